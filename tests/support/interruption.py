"""Asynchronous exceptions, as signal handlers and `PyThreadState_SetAsyncExc` raise them, at each place in turn.

CPython checks for a pending exception when it enters a function, after a call and at the end of a loop's body.
`interrupted_at` raises one at the n-th of these places in the code of httpcore2.
Rules: the interpreter itself raises the exception, so the tests cover the places where it can occur, and no others.
The cyclic collector does not run meanwhile: its finalisers and weak references' callbacks would receive the exception,
and Python prints what those raise instead of propagating it. CPython 3.12 crashes (3.12.1: segmentation fault) where
this tracer of instructions replaces that of a coverage measurement: there the tests are skipped.
Must not know: the operation that is interrupted.
"""

from __future__ import annotations

import ctypes
import dis
import gc
import os
import sys
import threading
from collections.abc import Callable
from functools import cache, partial
from types import CodeType, FrameType
from typing import Any

import pytest


class Interruption(BaseException):
    """The exception that interrupts."""


_set_async_exc = ctypes.pythonapi.PyThreadState_SetAsyncExc
# The third argument is `self`: the function is the getter of a property, and ignores it.
_set_async_exc.argtypes = [ctypes.c_ulong, ctypes.py_object, ctypes.py_object]


@cache
def _places_of(code: CodeType) -> frozenset[int]:
    """Return the offsets of the instructions where the interpreter checks for an exception from another thread."""
    return frozenset(
        instruction.offset
        for instruction in dis.get_instructions(code)
        if instruction.opname.startswith(("CALL", "JUMP_BACKWARD"))
    )


class _Places:
    """Counts places, and at one of them raises the exception, or calls a function."""

    def __init__(self, number: int, call: Callable[[], object] | None = None) -> None:
        self._left = number
        self._call = call
        self.is_counting = False

    # Reading this property raises the exception at the interpreter's next check. After a call, the next check would be
    # in this class.
    _is_due = property(partial(_set_async_exc, threading.main_thread().ident, Interruption))

    @property
    def was_reached(self) -> bool:
        return self._left <= 0

    def trace(self, frame: FrameType, event: str, arg: Any) -> Any:
        code = frame.f_code
        if f"{os.sep}httpcore2_" not in code.co_filename:
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        self._count()
        return self._trace_opcode

    def _trace_opcode(self, frame: FrameType, event: str, arg: Any) -> Any:
        if event == "opcode" and frame.f_lasti in _places_of(frame.f_code):
            self._count()
        return self._trace_opcode

    def _count(self) -> None:
        if not self.is_counting:
            return
        self._left -= 1
        if not self._left:
            sys.settrace(None)
            if self._call is not None:
                self._call()
            else:
                self._is_due  # noqa: B018


def _replaced_tracer() -> Any:
    """Return the tracer that is going to be replaced; skip the test where CPython can't do that."""
    before = sys.gettrace()
    if before is not None and sys.version_info[:2] == (3, 12):
        pytest.skip("CPython 3.12 crashes where a tracer of instructions replaces that of coverage")
    return before


def interrupted_at(
    number: int, function: Callable[[], object], warm_up: Callable[[], object]
) -> bool:
    """Run `function`, interrupt it at the `number`-th place, and return whether it reached that place.

    Args:
        number: from 1.
        function: the operation to interrupt. Any other exception of it propagates.
        warm_up: does the same without an interruption: since Python 3.12 the first call of a function is not traced.
    """
    assert threading.current_thread() is threading.main_thread()
    places = _Places(number)
    before = _replaced_tracer()
    was_collecting = gc.isenabled()
    gc.disable()
    try:
        sys.settrace(places.trace)
        warm_up()
        places.is_counting = True
        function()
        sys.settrace(None)
    except Interruption:
        assert places.was_reached
    finally:
        sys.settrace(before)
        if was_collecting:
            gc.enable()
    return places.was_reached


def called_at(
    number: int,
    call: Callable[[], object],
    function: Callable[[], object],
    warm_up: Callable[[], object],
) -> bool:
    """Run `function`, call `call` at its `number`-th place, and return whether it reached that place.

    The collector calls finalisers so: CPython runs it where it checks for exceptions, too, since 3.12.
    The other arguments are those of `interrupted_at`.
    """
    places = _Places(number, call)
    before = _replaced_tracer()
    try:
        sys.settrace(places.trace)
        warm_up()
        places.is_counting = True
        function()
    finally:
        sys.settrace(before)
    return places.was_reached
