"""The runtime interface: the clock and the scheduling of threads, or of an event loop.

Rules: only backends read the clock and wait, so that a simulated runtime can drive the real pool.
Must not know: sockets, HTTP, the pool.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Waiter(ABC):
    """Base class of waiters, by which one task or thread waits until another one wakes it, once.

    `wake()` may be called before `wait()`, which then returns at once. `Runtime.create_waiter()` creates a waiter.

    Example:
        A task waits until another one wakes it.

        ```python
        import asyncio

        import httpcore2


        async def main():
            waiter = httpcore2.AsyncIOBackend().runtime.create_waiter()
            asyncio.get_running_loop().call_soon(waiter.wake)
            assert await waiter.wait(timeout=1.0)


        asyncio.run(main())
        ```
    """

    __slots__ = ()

    @abstractmethod
    def wake(self) -> None:
        """Wake the waiter: `wait()` returns `True`.

        The call does not block or raise, and further calls do nothing. On threads, any thread may call it.
        """

    @abstractmethod
    async def wait(self, timeout: float | None) -> bool:
        """Wait for `wake()`.

        Args:
            timeout: the limit on the wait, in seconds; `None` is no limit.

        Returns:
            Whether the waiter was woken.
        """


class Runtime(ABC):
    """Base class of runtimes: the clock and the scheduling of threads, asyncio, trio, anyio, or a simulation.

    Attributes:
        is_blocking: whether a wait blocks the thread, so that no coroutine suspends.

    Example:
        A task measures time and waits by the runtime of its backend.

        ```python
        import asyncio

        import httpcore2


        async def main():
            runtime = httpcore2.AsyncIOBackend().runtime
            started = runtime.now()
            await runtime.sleep(0.01)
            assert runtime.now() > started
            waiter = runtime.create_waiter()
            waiter.wake()
            assert await waiter.wait(timeout=1.0)


        asyncio.run(main())
        ```
    """

    __slots__ = ()

    is_blocking = False

    @abstractmethod
    def now(self) -> float:
        """Return the time.

        Returns:
            Seconds on a monotonic clock.
        """

    @abstractmethod
    def token(self) -> object:
        """Return the identity of the running event loop.

        Returns:
            An object that is the same for each call on one event loop, and on all threads.

        Raises:
            RuntimeError: no event loop of this runtime runs the caller.
        """

    @abstractmethod
    def is_running(self, token: object) -> bool:
        """Return whether an event loop still runs.

        Args:
            token: the result of `token()` on that event loop.

        Returns:
            Whether it runs.
        """

    @abstractmethod
    def create_waiter(self) -> Waiter:
        """Create a waiter for the calling task or thread.

        Returns:
            A waiter that has not been woken.
        """

    def call_later(self, seconds: float, call: Callable[[], None]) -> Callable[[], None] | None:
        """Call a function on the running event loop, without a task that waits for it.

        The default, for runtimes without timers such as threads and trio, does nothing.

        Args:
            seconds: the time until the call, in seconds.
            call: a function that neither blocks nor raises.

        Returns:
            A function that cancels the call; `None` if there is no timer, or no event loop that runs the caller.
        """
        return None

    @abstractmethod
    async def sleep(self, seconds: float) -> None:
        """Suspend the calling task, or block the calling thread.

        Args:
            seconds: the time to wait, in seconds. With 0 it is a checkpoint.
        """

    @abstractmethod
    async def shielded(self, call: Callable[[], Awaitable[T]]) -> T:
        """Await a call to its end. A cancellation of the caller takes effect afterwards.

        Args:
            call: an async function of no arguments.

        Returns:
            The result of the call. Its exceptions are raised.
        """

    async def interruptible(
        self,
        work: Coroutine[Any, Any, object],
        interrupt: Callable[[], Coroutine[Any, Any, bool]] | None,
        timeout: float | None,
    ) -> bool:
        """Await a coroutine in the calling task; cancel it when `interrupt` returns `True`, or after `timeout`.

        An exception of `work`, also after its cancellation, is raised. An exception of `interrupt` cancels `work`, and
        is raised. The default, which threads use, cannot cancel: it awaits `work` alone.

        Args:
            work: the coroutine. It may leave cancel scopes open that it has entered.
            interrupt: an async function that returns whether to cancel `work`. It runs in a second task from the moment
                in which `work` first suspends, and is cancelled and awaited when `work` has ended.
            timeout: the seconds after which `work` is cancelled; `None` is no limit.

        Returns:
            Whether `work` has ended by itself: `False` if it was cancelled, even if it suppressed that.
        """
        await work
        return True


class Interrupter:
    """The second task of `Runtime.interruptible`.

    Attributes:
        error: the exception of `interrupt`, if it raised one.
    """

    __slots__ = ("_cancel", "_interrupt", "error")

    def __init__(
        self, interrupt: Callable[[], Coroutine[Any, Any, bool]], cancel: Callable[[], object]
    ) -> None:
        self._interrupt = interrupt
        self._cancel = cancel
        self.error: Exception | None = None

    async def run(self) -> None:
        """Call `cancel` if `interrupt` returns `True` or raises."""
        try:
            if not await self._interrupt():
                return
        except Exception as exc:  # noqa: BLE001 - `interruptible` raises it
            self.error = exc
        self._cancel()


class Deadline:
    """The time that is left of a timeout, for an operation with several parts."""

    __slots__ = ("_end", "_now")

    def __init__(self, timeout: float | None, runtime: Runtime) -> None:
        self._now = runtime.now
        self._end = None if timeout is None else runtime.now() + timeout

    def left(self) -> float | None:
        return None if self._end is None else max(0.0, self._end - self._now())
