"""Module path of 2.16.2: locks, semaphores and events, sync and async, for a caller's own connection classes."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

from httpcore2_core._net.detection import detect_backend, running_loop

from . import PoolTimeout

if TYPE_CHECKING:
    from types import TracebackType

    from httpcore2_core import Waiter


def current_async_library() -> str:
    """Return the name of the library that runs the caller's task: "trio" or "asyncio"."""
    found = running_loop()
    return "asyncio" if found is None else found[0]


class AsyncSemaphore:
    """A semaphore for tasks, first come, first served."""

    def __init__(self, bound: int) -> None:
        self._free = bound
        self._waiters: deque[Waiter] = deque()

    async def acquire(self) -> None:
        if await self.acquire_if_available():
            return
        waiter = detect_backend().runtime.create_waiter()
        self._waiters.append(waiter)
        try:
            await waiter.wait(None)
        except BaseException:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            else:  # the semaphore was handed over to it before it was cancelled
                await self.release()
            raise

    async def acquire_if_available(self) -> bool:
        """Acquire the semaphore if that needs no wait, and return whether it was acquired."""
        if not self._free:
            return False
        self._free -= 1
        return True

    async def release(self) -> None:
        if self._waiters:
            self._waiters.popleft().wake()
        else:
            self._free += 1


class AsyncLock:
    """A lock for tasks: `async with lock`."""

    def __init__(self) -> None:
        self._semaphore = AsyncSemaphore(1)

    async def __aenter__(self) -> AsyncLock:
        await self._semaphore.acquire()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self._semaphore.release()


class AsyncEvent:
    """An event for tasks: they wait until it is set."""

    def __init__(self) -> None:
        self._is_set = False
        self._waiters: set[Waiter] = set()

    def set(self) -> None:
        self._is_set = True
        for waiter in self._waiters:
            waiter.wake()

    async def wait(self, timeout: float | None = None) -> None:
        """Wait until the event is set.

        Raises:
            PoolTimeout: it was not set within `timeout` seconds.
        """
        if self._is_set:
            return
        waiter = detect_backend().runtime.create_waiter()
        self._waiters.add(waiter)
        try:
            if not await waiter.wait(timeout):
                raise PoolTimeout(f"The event was not set within {timeout} seconds.")
        finally:
            self._waiters.discard(waiter)


class Event:
    """An event for threads: they wait until it is set."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        self._event.set()

    def wait(self, timeout: float | None = None) -> None:
        """Wait until the event is set.

        Raises:
            PoolTimeout: it was not set within `timeout` seconds.
        """
        if not self._event.wait(timeout):
            raise PoolTimeout(f"The event was not set within {timeout} seconds.")


Lock = ThreadLock = threading.Lock
Semaphore = threading.Semaphore

__all__ = [
    "AsyncEvent",
    "AsyncLock",
    "AsyncSemaphore",
    "Event",
    "Lock",
    "Semaphore",
    "ThreadLock",
    "current_async_library",
]
