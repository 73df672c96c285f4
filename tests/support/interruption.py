"""Exceptions from nowhere, as signal handlers and `PyThreadState_SetAsyncExc` raise them: at each place in turn.

CPython looks for such an exception where a function is entered, after a call and at the end of a loop's body.
`interrupted_at` has it raised at the n-th of these places that lies in httpcore2.
Rules: the exception is the interpreter's own, at a place where it can come; no other place is shown to leak.
Must not know: what is interrupted.
"""

from __future__ import annotations

import ctypes
import dis
import os
import sys
import threading
from collections.abc import Callable
from functools import partial
from types import CodeType, FrameType
from typing import Any


class Interruption(BaseException):
    """What is raised."""


_set_async_exc = ctypes.pythonapi.PyThreadState_SetAsyncExc
# The last is there since it is the getter of a property, and ignored.
_set_async_exc.argtypes = [ctypes.c_ulong, ctypes.py_object, ctypes.py_object]


class _Places:
    """Counts places, and has the exception raised at one of them."""

    def __init__(self, number: int) -> None:
        self._left = number
        self._places: dict[CodeType, frozenset[int]] = {}
        self.is_counting = False

    # To read it has the exception raised where the interpreter looks next. As a call it would be raised in here.
    _is_due = property(partial(_set_async_exc, threading.main_thread().ident, Interruption))

    @property
    def was_reached(self) -> bool:
        return self._left <= 0

    def trace(self, frame: FrameType, event: str, arg: Any) -> Any:
        code = frame.f_code
        if f"{os.sep}httpcore2_" not in code.co_filename:
            return None
        if code not in self._places:
            self._places[code] = frozenset(
                instruction.offset
                for instruction in dis.get_instructions(code)
                if instruction.opname.startswith(("CALL", "JUMP_BACKWARD"))
            )
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        self._count()
        return self._trace_opcode

    def _trace_opcode(self, frame: FrameType, event: str, arg: Any) -> Any:
        if event == "opcode" and frame.f_lasti in self._places[frame.f_code]:
            self._count()
        return self._trace_opcode

    def _count(self) -> None:
        if not self.is_counting:
            return
        self._left -= 1
        if not self._left:
            sys.settrace(None)
            self._is_due  # noqa: B018


def interrupted_at(
    number: int, function: Callable[[], object], warm_up: Callable[[], object]
) -> bool:
    """Run `function`, interrupt it at the `number`-th place, and return whether it came that far.

    Args:
        number: from 1.
        function: what to interrupt; what it raises otherwise is raised.
        warm_up: does the same, and is not interrupted: from Python 3.12 on a function's first call is not traced.
    """
    assert threading.current_thread() is threading.main_thread()
    places = _Places(number)
    before = sys.gettrace()
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
    return places.was_reached
