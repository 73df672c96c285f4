"""asyncio as a runtime under test: the standard library's loop, with eager tasks, on uvloop, and through anyio."""

from __future__ import annotations

import asyncio
from typing import Any

import httpcore2

from . import runtime_base
from .runtime_base import (
    CancellationOutcome,
    Function,
    RuntimeEvent,
    T,
    TestedAsyncRuntime,
    watched,
)

Loop = asyncio.AbstractEventLoop


class AsyncioEvent(RuntimeEvent):
    async def wait(self) -> None:
        loop = asyncio.get_running_loop()
        event = asyncio.Event()
        self._add_waker(lambda: loop.call_soon_threadsafe(event.set))
        async with asyncio.timeout(runtime_base.LIMIT):
            await event.wait()


class TestedAsyncio(TestedAsyncRuntime):
    """asyncio on the event loop of the standard library."""

    name = "asyncio"

    def new_loop(self) -> Loop:
        return asyncio.new_event_loop()

    def run(self, scenario: Function[T]) -> T:
        problems: list[dict[str, Any]] = []

        async def main() -> T:
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: problems.append(context))
            async with asyncio.timeout(runtime_base.LIMIT):
                result = await scenario()
            # asyncio closes a transport one or two iterations of its loop after `close()`.
            for _ in range(4):
                await asyncio.sleep(0)
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, f"tasks are left: {left}"
            return result

        with asyncio.Runner(loop_factory=self.new_loop) as runner:
            result = runner.run(main())
        assert not problems, f"the event loop's exception handler was called: {problems}"
        return result

    def event(self) -> RuntimeEvent:
        return AsyncioEvent()

    async def outcomes(self, *functions: Function[T]) -> list[T | Exception]:
        async def run(function: Function[T]) -> T | Exception:
            try:
                return await function()
            except Exception as exc:
                return exc

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(run(function)) for function in functions]
        return [task.result() for task in tasks]

    def backend(self) -> httpcore2.AsyncNetworkBackend:
        return httpcore2.AsyncIOBackend()

    async def cancel_on_event(self, event: RuntimeEvent, function: Function[object]) -> bool:
        task = asyncio.create_task(function())
        await event.wait()
        task.cancel()
        return await self._was_cancelled(task)

    async def cancel_at_wait(
        self, number: int, function: Function[object], late: bool
    ) -> CancellationOutcome:
        was_reached = False

        def before_yield(now: int, yielded: Any) -> None:
            nonlocal was_reached
            if now == number:
                was_reached = True
                # An eager task is running before `create_task` has returned it.
                task = asyncio.current_task()
                assert task is not None
                if late and yielded is not None:
                    # This runs before the task's own callback: there is a result, and the task has not received it.
                    yielded.add_done_callback(lambda _: task.cancel())
                else:
                    task.cancel()

        async def main() -> None:
            await watched(function(), before_yield)

        if await self._was_cancelled(asyncio.create_task(main())):
            return CancellationOutcome.CANCELLED
        return CancellationOutcome.COMPLETED if was_reached else CancellationOutcome.NOT_REACHED

    async def let_others_run(self) -> None:
        for _ in range(4):
            await asyncio.sleep(0)

    @staticmethod
    async def _was_cancelled(task: asyncio.Task[Any]) -> bool:
        await asyncio.wait([task])
        if task.cancelled():
            return True
        task.result()
        return False


class TestedUvloop(TestedAsyncio):
    """asyncio on uvloop."""

    name = "uvloop"

    def new_loop(self) -> Loop:
        import uvloop

        return uvloop.new_event_loop()


class TestedEagerAsyncio(TestedAsyncio):
    """asyncio with the eager task factory: a new task runs at once until its first wait."""

    name = "asyncio-eager"

    def new_loop(self) -> Loop:
        loop = asyncio.new_event_loop()
        loop.set_task_factory(getattr(asyncio, "eager_task_factory"))  # noqa: B009 - not on 3.11
        return loop


class TestedAnyIOOnAsyncio(TestedAsyncio):
    """The anyio backend on asyncio."""

    name = "anyio-asyncio"

    def pool_options(self) -> dict[str, Any]:
        return {"network_backend": self.backend()}

    def backend(self) -> httpcore2.AsyncNetworkBackend:
        return httpcore2.AnyIOBackend()
