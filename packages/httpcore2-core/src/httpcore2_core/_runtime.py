"""What the transport needs from its world besides the network: a clock, waiting, to be run, to know its process.

Rules: nothing outside a backend reads the time or waits by itself, so that a simulated runtime can drive the real pool.
A forked child forgets its parent's sockets and event loops, and closes no more than its own descriptors.
Must not know: sockets, HTTP, the pool.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Waiter(ABC):
    """One task or thread that waits to be woken, once.

    `wake()` may come at any time; after it `wait()` returns at once.
    """

    __slots__ = ()

    @abstractmethod
    def wake(self) -> None:
        """Let `wait()` return `True`. Never blocks or raises; may be called again, and, on the thread
        runtime, by any thread.
        """

    @abstractmethod
    async def wait(self, timeout: float | None) -> bool:
        """Wait for `wake()`, at most `timeout` seconds (`None`: for ever); return whether it came."""


class Runtime(ABC):
    """Clock and scheduling of one world: threads, asyncio, trio, anyio, or a simulation.

    Attributes:
        is_blocking: whether waiting blocks the thread, so that no coroutine suspends.
    """

    __slots__ = ()

    is_blocking = False

    @abstractmethod
    def now(self) -> float:
        """The time in seconds, on a clock that never goes back."""

    @abstractmethod
    def token(self) -> object:
        """The identity of the event loop that runs the caller; one constant for threads.

        Raises:
            RuntimeError: no event loop of this kind runs the caller.
        """

    @abstractmethod
    def is_running(self, token: object) -> bool:
        """Whether the event loop of that `token()` still runs."""

    @abstractmethod
    def create_waiter(self) -> Waiter:
        """Make a waiter for the calling task or thread."""

    @abstractmethod
    async def sleep(self, seconds: float) -> None:
        """Do nothing for `seconds`; a checkpoint even for 0."""

    @abstractmethod
    async def shielded(self, call: Callable[[], Awaitable[T]]) -> T:
        """Await `call()` to its end; a cancellation of the caller is delivered afterwards."""


class Deadline:
    """How much of a timeout is left, for an operation that takes several steps."""

    __slots__ = ("_end", "_now")

    def __init__(self, timeout: float | None, runtime: Runtime) -> None:
        self._now = runtime.now
        self._end = None if timeout is None else runtime.now() + timeout

    def left(self) -> float | None:
        return None if self._end is None else max(0.0, self._end - self._now())


def run_blocking(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that blocks where it has to wait, and so never suspends, to its end.

    Costs about 1 µs. Exceptions, `KeyboardInterrupt` included, unwind through the coroutine's own
    `finally` blocks.

    Raises:
        RuntimeError: the coroutine suspended, so something in it belongs to an event loop.
    """
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    coroutine.close()
    raise RuntimeError(
        "A coroutine suspended on a thread without an event loop: an asynchronous object (body, "
        "stream or callback) was given to the synchronous interface."
    )


_generation = 0


def generation() -> int:
    """Return a number that is another one in each forked child."""
    return _generation


def call_in_children(function: Callable[[], None]) -> None:
    """Call `function` in each child that is forked from now on, before anything else runs there."""
    # Windows has no such function, and can't fork.
    getattr(os, "register_at_fork", lambda **_: None)(after_in_child=function)


def _count() -> None:
    global _generation
    _generation += 1


call_in_children(_count)
