"""Clock, waiting and shielding, alike on all event loops with nurseries."""

from __future__ import annotations

import math
import threading

import anyio
import pytest

from .conftest import Loop


def test_time_goes_on(loop: Loop) -> None:
    async def main() -> None:
        runtime = loop.backend.runtime
        before = runtime.now()
        await loop.backend.sleep(0.01)
        assert runtime.now() >= before + 0.009

    loop.run(main)


def test_where_no_event_loop_runs_all_of_its_time_is_over(loop: Loop) -> None:
    assert loop.backend.runtime.now() == math.inf


def test_a_token_is_the_same_throughout_a_run_and_another_in_the_next(loop: Loop) -> None:
    runtime = loop.backend.runtime

    async def main() -> object:
        await runtime.sleep(0)
        assert runtime.token() is token_of_task[0]
        return runtime.token()

    async def start() -> object:
        token_of_task[:] = [runtime.token()]
        return await main()

    token_of_task: list[object] = []
    first = loop.run(start)
    assert loop.run(start) is not first


def test_there_is_no_token_without_an_event_loop(loop: Loop) -> None:
    with pytest.raises(RuntimeError):
        loop.backend.runtime.token()


def test_a_token_tells_whether_its_event_loop_runs_wherever_it_is_asked(loop: Loop) -> None:
    runtime = loop.backend.runtime
    answers = []

    async def main() -> object:
        token = runtime.token()
        answers.append(runtime.is_running(token))
        thread = threading.Thread(target=lambda: answers.append(runtime.is_running(token)))
        thread.start()
        thread.join()
        return token

    token = loop.run(main)
    answers.append(runtime.is_running(token))

    async def later() -> None:
        answers.append(runtime.is_running(token))

    loop.run(later)
    assert answers == [True, True, False, False]


def test_a_waiter_woken_before_it_waits_returns_at_once(loop: Loop) -> None:
    async def main() -> None:
        waiter = loop.backend.runtime.create_waiter()
        waiter.wake()
        waiter.wake()
        assert await waiter.wait(None)
        assert await waiter.wait(0)

    loop.run(main)


@pytest.mark.parametrize("timeout", [None, 10])
def test_a_waiter_is_woken_while_it_waits(loop: Loop, timeout: float | None) -> None:
    async def main() -> None:
        waiter = loop.backend.runtime.create_waiter()
        async with anyio.create_task_group() as tasks:

            async def wait() -> None:
                assert await waiter.wait(timeout)

            tasks.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            waiter.wake()
            waiter.wake()
        waiter.wake()

    loop.run(main)


def test_a_waiter_that_is_not_woken_in_time_says_so(loop: Loop) -> None:
    async def main() -> None:
        waiter = loop.backend.runtime.create_waiter()
        assert not await waiter.wait(0.001)
        waiter.wake()
        assert await waiter.wait(0.001)

    loop.run(main)


def test_a_cancelled_waiter_may_still_be_woken(loop: Loop) -> None:
    async def main() -> None:
        waiter = loop.backend.runtime.create_waiter()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(waiter.wait, None)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        waiter.wake()
        assert await waiter.wait(None)

    loop.run(main)


def test_a_shielded_call_ends_before_the_cancellation_is_delivered(loop: Loop) -> None:
    runtime = loop.backend.runtime

    async def main() -> list[str]:
        events = []

        async def call() -> str:
            await runtime.sleep(0)
            await runtime.sleep(0.001)
            events.append("ended")
            return "result"

        with anyio.CancelScope() as scope:
            scope.cancel()
            await runtime.shielded(call)
            await runtime.sleep(0)
            events.append("not cancelled")
        return events

    assert loop.run(main) == ["ended"]


def test_a_shielded_call_returns_its_result_and_raises_its_error(loop: Loop) -> None:
    runtime = loop.backend.runtime

    async def give() -> str:
        return "result"

    async def fail() -> None:
        raise LookupError

    async def main() -> None:
        assert await runtime.shielded(give) == "result"
        with pytest.raises(LookupError):
            await runtime.shielded(fail)

    loop.run(main)


def test_a_wake_up_where_no_event_loop_runs_does_not_raise(loop: Loop) -> None:
    async def main() -> None:
        waiter = loop.backend.runtime.create_waiter()
        with anyio.move_on_after(0.001):
            await waiter.wait(None)
        thread = threading.Thread(target=waiter.wake)
        thread.start()
        thread.join()
        assert await waiter.wait(None)

    loop.run(main)
