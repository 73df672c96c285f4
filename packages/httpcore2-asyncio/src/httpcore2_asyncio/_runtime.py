"""Clock, waiting and shielding on an asyncio event loop.

Rules: nothing here keeps a loop alive. A waiter makes its future only when it has to wait. Waits with the same timeout
share a timer. Everything that was made for a wait is removed when it ends, however it ends, unless others share it.
Must not know: sockets, streams, HTTP, the pool.
"""

from __future__ import annotations

import asyncio
import time
import types
from collections.abc import Awaitable, Callable, Collection, Coroutine
from typing import Any, TypeVar

from httpcore2_core._net.coroutines import resume
from httpcore2_core._net.runtime import Interrupter, Runtime, Waiter

T = TypeVar("T")


def finish(future: asyncio.Future[None]) -> None:
    """End the wait for `future`, unless it has ended. The waiter's own state has the result."""
    if not future.done():
        future.set_result(None)


async def wait_out(tasks: Collection[asyncio.Task[Any]]) -> asyncio.CancelledError | None:
    """Wait until all `tasks` are done, and return the cancellation that came meanwhile, if any.

    It may come more than once: anyio repeats it while a cancelled scope waits.
    """
    cancellation = None
    while not all(task.done() for task in tasks):
        try:
            await asyncio.wait(tasks)
        except asyncio.CancelledError as exc:
            cancellation = exc
    return cancellation


# Loops round a timer to their clock's tick (a millisecond for uvloop's) and may fire it that much early. Setting it
# again for the remaining time would spin until the tick is over.
CLOCK_TICK = 0.001


class AsyncIOWaiter(Waiter):
    """One task that waits. It costs one future, or nothing if the wake-up comes first."""

    __slots__ = ("_future", "_woken")

    def __init__(self) -> None:
        self._woken = False
        self._future: asyncio.Future[None] | None = None

    def wake(self) -> None:
        self._woken = True
        # A loop that was closed with its tasks accepts no callback any more, and nobody waits there.
        if self._future is not None and not self._future.get_loop().is_closed():
            finish(self._future)

    async def wait(self, timeout: float | None) -> bool:
        if not self._woken:
            loop = asyncio.get_running_loop()
            self._future = future = loop.create_future()
            if timeout is None:
                await future
            else:
                limit = _limits.get((loop, timeout)) or _Limit.create(loop, timeout)
                limit.begin(future)
                try:
                    await future
                finally:
                    limit.end(future)
        return self._woken


class _Limit:
    """Ends the waits of one loop that have the same timeout, with one timer: the first to begin is the first to end.

    Most requests of a pool have the same timeout. 10,000 that wait would keep as many timers sorted, for 4 µs each.
    """

    __slots__ = ("_ends", "_loop", "_seconds", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._loop = loop
        self._seconds = seconds
        self._ends: dict[asyncio.Future[None], float] = {}
        self._timer: asyncio.TimerHandle | None = None

    @classmethod
    def create(cls, loop: asyncio.AbstractEventLoop, seconds: float) -> _Limit:
        """Make the limit for these waits. It is removed when nobody waits any more."""
        for key in list(_limits):
            if key[0].is_closed():
                _limits.pop(key, None)  # it was closed with the tasks that waited
        limit = _limits[loop, seconds] = cls(loop, seconds)
        return limit

    def begin(self, future: asyncio.Future[None]) -> None:
        self._ends[future] = when = self._loop.time() + self._seconds
        if self._timer is None:
            self._timer = self._loop.call_at(when, self._on_timer)

    def end(self, future: asyncio.Future[None]) -> None:
        self._ends.pop(future, None)
        if not self._ends:
            _limits.pop((self._loop, self._seconds), None)
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def _on_timer(self) -> None:
        self._timer = None
        now = self._loop.time() + CLOCK_TICK
        for future, when in list(self._ends.items()):
            if when > now:
                self._timer = self._loop.call_at(when, self._on_timer)
                break
            del self._ends[future]
            finish(future)


# The limits of the waits under way.
_limits: dict[tuple[asyncio.AbstractEventLoop, float], _Limit] = {}


class AsyncIORuntime(Runtime):
    """The asyncio runtime. It has no state, so that one instance serves every loop."""

    __slots__ = ()

    def now(self) -> float:
        # Not `loop.time()`: a pool's state is also read, and the pool closed, without a loop, and its times must still
        # hold on the next loop. The clock of the stdlib's loop is this one; uvloop's is the same, read once an
        # iteration.
        return time.monotonic()

    def token(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    def is_running(self, token: object) -> bool:
        assert isinstance(token, asyncio.AbstractEventLoop), (
            "only what `token()` returned is a token"
        )
        return token.is_running()

    def create_waiter(self) -> AsyncIOWaiter:
        return AsyncIOWaiter()

    def call_later(self, seconds: float, call: Callable[[], None]) -> Callable[[], None] | None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return None  # a finaliser runs elsewhere
        timer = loop.call_later(seconds, call)

        def cancel() -> None:
            if not loop.is_closed():
                timer.cancel()

        return cancel

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def shielded(self, call: Callable[[], Awaitable[T]]) -> T:
        # In a task of its own: asyncio cancels the future that a task waits for, so nothing that the caller's task
        # awaits itself can be shielded.
        async def run() -> T:
            return await call()

        task = asyncio.get_running_loop().create_task(run())
        cancellation = await wait_out((task,))
        if cancellation is None:
            return task.result()
        # The caller's scopes and timeouts expect the cancellation; an error of the call becomes its cause.
        raise cancellation from (None if task.cancelled() else task.exception())

    async def interruptible(
        self,
        work: Coroutine[Any, Any, object],
        interrupt: Callable[[], Coroutine[Any, Any, bool]] | None,
        timeout: float | None,
    ) -> bool:
        loop = asyncio.get_running_loop()
        deadline = None if timeout is None else loop.time() + timeout
        # Most work doesn't suspend. A timeout costs as much as four awaits, and a task as much as fifty.
        try:
            yielded = work.send(None)
        except StopIteration:
            return True
        limit = asyncio.timeout_at(deadline)

        def cancel() -> None:
            if not limit.expired():
                limit.reschedule(0)  # in the past of every loop's clock

        interrupter: Interrupter | None = None
        task: asyncio.Task[None] | None = None
        has_failed = False
        try:
            async with limit:
                if interrupt is not None:
                    interrupter = Interrupter(interrupt, cancel)
                    task = loop.create_task(interrupter.run())
                try:
                    await _resume(work, yielded)
                except Exception:
                    has_failed = True
                    raise
        except TimeoutError:
            if has_failed:
                raise  # it was raised by `work`
        except GeneratorExit:
            task = None  # the loop is closed, and nothing can be awaited
            raise
        finally:
            if task is not None:
                task.cancel()
                cancellation = await wait_out((task,))
                if cancellation is not None:
                    raise cancellation
        if interrupter is not None and interrupter.error is not None:
            raise interrupter.error
        return not limit.expired()


_resume = types.coroutine(resume)

RUNTIME = AsyncIORuntime()
