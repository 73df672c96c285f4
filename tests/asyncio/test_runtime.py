"""The asyncio runtime: clock, tokens, waiters, sleeping, shielding."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from httpcore2_asyncio._runtime import AsyncIORuntime, _limits

from .conftest import LoopFactory, Run

runtime = AsyncIORuntime()


def test_the_clock_is_the_monotonic_one_and_needs_no_loop() -> None:
    assert time.monotonic() <= runtime.now() <= time.monotonic()


def test_the_token_is_the_running_loop(run: Run) -> None:
    async def main() -> object:
        assert runtime.token() is asyncio.get_running_loop()
        assert runtime.is_running(runtime.token())
        return runtime.token()

    assert not runtime.is_running(run(main))


def test_there_is_no_token_outside_a_loop() -> None:
    with pytest.raises(RuntimeError):
        runtime.token()


def test_a_waiter_that_was_woken_before_returns_at_once_without_a_loop() -> None:
    waiter = runtime.create_waiter()
    waiter.wake()
    with pytest.raises(StopIteration) as stop:
        waiter.wait(1.0).send(None)
    assert stop.value.value is True


@pytest.mark.parametrize("timeout", [None, 30.0])
def test_a_waiter_is_woken_while_it_waits(run: Run, timeout: float | None) -> None:
    async def main() -> None:
        waiter = runtime.create_waiter()
        waiting = asyncio.create_task(waiter.wait(timeout))
        await asyncio.sleep(0)
        waiter.wake()
        waiter.wake()
        assert await waiting is True
        assert await waiter.wait(timeout) is True

    run(main)


def test_a_waiter_that_nobody_wakes_times_out(run: Run) -> None:
    async def main() -> None:
        assert await runtime.create_waiter().wait(0.0) is False

    run(main)


def test_a_wake_up_just_after_the_timeout_still_counts(run: Run) -> None:
    async def main() -> None:
        waiter = runtime.create_waiter()
        asyncio.get_running_loop().call_later(0.0, waiter.wake)
        assert await waiter.wait(0.0) is True

    run(main)


def test_a_cancelled_wait_can_be_woken_without_harm(run: Run) -> None:
    async def main() -> None:
        waiter = runtime.create_waiter()
        waiting = asyncio.create_task(waiter.wait(30.0))
        await asyncio.sleep(0)
        waiting.cancel()
        waiter.wake()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await waiter.wait(None) is True

    run(main)


class ManualLoop(asyncio.SelectorEventLoop):
    """Its clock can be put forward, and it keeps the timers that were made."""

    def __init__(self) -> None:
        super().__init__()
        self.timers: list[asyncio.TimerHandle] = []
        self.ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, **options: Any
    ) -> asyncio.TimerHandle:
        self.timers.append(super().call_at(when, callback, *args, **options))
        return self.timers[-1]


@pytest.fixture
def manual_loop() -> Iterator[ManualLoop]:
    loop = ManualLoop()
    yield loop
    loop.close()


async def wait_closed() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_a_wait_leaves_no_timer(manual_loop: ManualLoop) -> None:
    async def main() -> None:
        waiter = runtime.create_waiter()
        manual_loop.call_soon(waiter.wake)
        await waiter.wait(30.0)

    manual_loop.run_until_complete(main())
    assert [timer.cancelled() for timer in manual_loop.timers] == [True]


def test_waits_with_the_same_timeout_share_a_timer_and_end_each_at_its_time(
    manual_loop: ManualLoop,
) -> None:
    async def main() -> None:
        first = asyncio.create_task(runtime.create_waiter().wait(30.0))
        await wait_closed()
        manual_loop.ahead += 20
        second, third = (asyncio.create_task(runtime.create_waiter().wait(30.0)) for _ in range(2))
        await wait_closed()
        assert len(manual_loop.timers) == 1
        manual_loop.ahead += 11
        await wait_closed()
        assert first.done() and first.result() is False
        assert not second.done()
        manual_loop.ahead += 20
        assert await second is False
        assert await third is False
        assert len(manual_loop.timers) == 2

    manual_loop.run_until_complete(main())


def test_a_wait_that_is_left_behind_with_its_loop_is_collected(manual_loop: ManualLoop) -> None:
    left: list[Any] = []

    def limits() -> list[float]:
        return [seconds for loop, seconds in _limits if loop is manual_loop]

    async def main() -> None:
        waiting = runtime.create_waiter().wait(30.0)
        waiting.send(None)
        left.append(waiting)

    manual_loop.run_until_complete(main())
    assert limits() == [30.0]
    manual_loop.close()
    manual_loop.timers.clear()
    left.clear()
    gc.collect()
    assert limits() == []


def test_a_wait_that_is_held_beyond_its_loop_keeps_it_until_others_wait(
    manual_loop: ManualLoop, run: Run
) -> None:
    waiting = runtime.create_waiter().wait(30.0)

    async def begin() -> None:
        waiting.send(None)

    async def wait() -> None:
        assert not await runtime.create_waiter().wait(0)

    manual_loop.run_until_complete(begin())
    manual_loop.close()
    assert [loop for loop, _ in _limits] == [manual_loop]
    run(wait)
    assert not _limits
    waiting.close()


def test_waking_a_waiter_of_a_closed_loop_does_nothing(loop_factory: LoopFactory) -> None:
    loop = loop_factory()
    waiter = runtime.create_waiter()
    waiting = waiter.wait(None)

    async def main() -> None:
        waiting.send(None)

    loop.run_until_complete(main())
    loop.close()
    waiter.wake()
    waiting.close()


def test_sleeping_lets_other_tasks_run_even_for_no_time(run: Run) -> None:
    async def main() -> None:
        order: list[str] = []
        asyncio.get_running_loop().call_soon(order.append, "other")
        await runtime.sleep(0)
        order.append("slept")
        assert order == ["other", "slept"]

    run(main)


class Call:
    """A call that ends when it is told to, and says whether it was cancelled."""

    def __init__(self, error: Exception | None = None) -> None:
        self.end = asyncio.Event()
        self.ended = False
        self.error = error
        self.task: asyncio.Task[object] | None = None

    async def __call__(self) -> str:
        self.task = asyncio.current_task()
        await self.end.wait()
        self.ended = True
        if self.error is not None:
            raise self.error
        return "result"


def test_a_shielded_call_gives_its_result(run: Run) -> None:
    async def main() -> None:
        call = Call()
        call.end.set()
        assert await runtime.shielded(call) == "result"

    run(main)


def test_a_shielded_call_gives_its_error(run: Run) -> None:
    async def main() -> None:
        call = Call(KeyError("lost"))
        call.end.set()
        with pytest.raises(KeyError, match="lost"):
            await runtime.shielded(call)

    run(main)


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("error", [None, KeyError("lost")])
def test_a_cancellation_waits_for_the_end_of_a_shielded_call(
    run: Run, times: int, error: Exception | None
) -> None:
    async def main() -> None:
        call = Call(error)
        caller = asyncio.create_task(runtime.shielded(call))
        for _ in range(times):
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            caller.cancel()
        await asyncio.sleep(0)
        assert not caller.done()
        call.end.set()
        with pytest.raises(asyncio.CancelledError) as cancellation:
            await caller
        assert call.ended
        assert isinstance(caller, asyncio.Task)
        assert caller.cancelled()
        raised = cancellation.value.__cause__ or getattr(
            cancellation.value.__context__, "__cause__", None
        )
        assert raised is error

    run(main)


@pytest.mark.parametrize("caller_too", [False, True])
def test_a_shielded_call_that_is_cancelled_itself_is_a_cancellation(
    run: Run, caller_too: bool
) -> None:
    async def main() -> None:
        call = Call()
        caller = asyncio.create_task(runtime.shielded(call))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert call.task is not None
        if caller_too:
            caller.cancel()
        call.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert not call.ended

    run(main)


def test_a_shielded_call_keeps_to_a_timeout_around_it(run: Run) -> None:
    async def main() -> None:
        call = Call()

        async def in_no_time() -> None:
            async with asyncio.timeout(0):
                await runtime.shielded(call)

        asyncio.get_running_loop().call_later(0.001, call.end.set)
        with pytest.raises(TimeoutError):
            await in_no_time()
        assert call.ended

    run(main)


def test_without_a_running_loop_there_is_no_timer() -> None:
    assert runtime.call_later(1.0, lambda: None) is None


def test_a_timer_can_be_cancelled_before_and_after_the_loop_was_closed(run: Run) -> None:
    async def main() -> Callable[[], None]:
        cancelled = runtime.call_later(30.0, lambda: None)
        assert cancelled is not None
        cancelled()
        cancel = runtime.call_later(30.0, lambda: None)
        assert cancel is not None
        return cancel

    run(main)()
