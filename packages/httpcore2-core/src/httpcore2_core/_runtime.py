"""What the transport needs from its world besides the network: a clock and waiting.

Rules: nothing outside a backend reads the time or waits by itself, so that a simulated runtime can
drive the real pool.
Must not know: sockets, HTTP, the pool.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import TypeVar

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
