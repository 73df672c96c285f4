"""What the transport needs from its world besides the network: a clock, waiting, to be run, to know its process.

Rules: nothing outside a backend reads the time or waits by itself, so that a simulated runtime can drive the real pool.
A forked child forgets its parent's sockets and event loops, and closes no more than its own descriptors.
Must not know: sockets, HTTP, the pool.
"""

from __future__ import annotations

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

    async def interruptible(
        self,
        work: Coroutine[Any, Any, object],
        interrupt: Callable[[], Coroutine[Any, Any, bool]] | None,
        timeout: float | None,
    ) -> bool:
        """Await `work` in the calling task, and cancel it when `interrupt` says so or the time is over.

        An exception that `work` raises, also when it is cancelled, is raised here; so is one of `interrupt`,
        which cancels `work`. The default, which threads use, can cancel nothing: it awaits `work` alone.

        Args:
            work: what may have to be cancelled. It may leave cancel scopes open that it has opened.
            interrupt: runs in a task of its own as soon as `work` suspends, and returns whether to cancel it. When
                `work` has ended, `interrupt` is cancelled, and waited for.
            timeout: seconds after which `work` is cancelled; `None` for no limit.

        Returns:
            Whether `work` came to its end; `False` if it was cancelled here, whatever it made of that.
        """
        await work
        return True


class Interrupter:
    """What `Runtime.interruptible` runs in a task of its own.

    Attributes:
        error: what `interrupt` raised.
    """

    __slots__ = ("_cancel", "_interrupt", "error")

    def __init__(
        self, interrupt: Callable[[], Coroutine[Any, Any, bool]], cancel: Callable[[], object]
    ) -> None:
        self._interrupt = interrupt
        self._cancel = cancel
        self.error: Exception | None = None

    async def run(self) -> None:
        """Call `cancel` if `interrupt` says so, or fails."""
        try:
            if not await self._interrupt():
                return
        except Exception as exc:  # noqa: BLE001 - `interruptible` raises it
            self.error = exc
        self._cancel()


class Deadline:
    """How much of a timeout is left, for an operation that takes several steps."""

    __slots__ = ("_end", "_now")

    def __init__(self, timeout: float | None, runtime: Runtime) -> None:
        self._now = runtime.now
        self._end = None if timeout is None else runtime.now() + timeout

    def left(self) -> float | None:
        return None if self._end is None else max(0.0, self._end - self._now())
