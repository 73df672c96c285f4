"""`Runtime.interruptible`: work of a caller's own that ends when something else says so, on every runtime."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

import pytest

import httpcore2
from httpcore2_core._net.backend_stream import BackendStream
from httpcore2_core._net.coroutines import before_suspending, run_blocking
from httpcore2_core._net.network_adapters import CallerRuntime
from httpcore2_core._net.prefixed_stream import PrefixedStream
from httpcore2_core._net.runtime import Runtime, Waiter
from httpcore2_core._net.runtime_backend import RuntimeBackend

from ...support.runtimes import RUNTIMES, TestedAsyncRuntime
from ...support.scripted_servers import Peer, scripted_server
from ..fake_runtime import FakeRuntime, FakeStream

SOON = 0.02

Interrupt = Callable[[], Coroutine[Any, Any, bool]]


def runtime_of(runtime: TestedAsyncRuntime) -> Runtime:
    backend = runtime.backend()
    assert isinstance(backend, RuntimeBackend)
    return backend.runtime


@pytest.fixture(params=["own", "caller's"])
def runtime(request: pytest.FixtureRequest, async_runtime: TestedAsyncRuntime) -> Runtime:
    """Each runtime with an event loop, and the one of callers' own backends, which passes on to it."""
    return runtime_of(async_runtime) if request.param == "own" else CallerRuntime()


class Work:
    """Something that waits until it is told to go on, and notes how it ended."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.go_on: Waiter = runtime.create_waiter()
        self.ended: list[str] = []

    async def run(self) -> None:
        try:
            await self.go_on.wait(None)
        except BaseException:
            self.ended.append("cancelled")
            raise
        self.ended.append("done")


async def agree() -> bool:
    return True


async def refuse() -> bool:
    return False


class Never:
    """An interrupt that never says anything, and notes whether it was cancelled."""

    def __init__(self, runtime: Runtime) -> None:
        self.waiter = runtime.create_waiter()
        self.calls: list[str] = []

    async def __call__(self) -> bool:
        self.calls.append("begun")
        try:
            await self.waiter.wait(None)
        finally:
            self.calls.append("ended")
        raise AssertionError("nobody wakes it")


def test_work_that_does_not_wait_starts_nothing(
    async_runtime: TestedAsyncRuntime, runtime: Runtime
) -> None:
    async def scenario() -> None:
        calls: list[str] = []

        async def work() -> None:
            calls.append("work")

        never = Never(runtime)
        assert await runtime.interruptible(work(), never, 60.0)
        assert await runtime.interruptible(work(), None, None)
        assert calls == ["work", "work"]
        assert never.calls == []

    async_runtime.run(scenario)


@pytest.mark.parametrize("timeout", [None, 60.0])
def test_work_that_ends_by_itself_ends_the_interrupt(
    async_runtime: TestedAsyncRuntime, runtime: Runtime, timeout: float | None
) -> None:
    async def scenario() -> None:
        never = Never(runtime)

        async def work() -> None:
            while never.calls != ["begun"]:
                await runtime.sleep(0)

        assert await runtime.interruptible(work(), never, timeout)
        assert never.calls == ["begun", "ended"]
        await runtime.sleep(0)

    async_runtime.run(scenario)


def test_the_interrupt_cancels_the_work(
    async_runtime: TestedAsyncRuntime, runtime: Runtime
) -> None:
    async def scenario() -> None:
        work = Work(runtime)
        assert not await runtime.interruptible(work.run(), agree, None)
        assert work.ended == ["cancelled"]
        await runtime.sleep(0)  # nothing of the cancellation is left

    async_runtime.run(scenario)


def test_an_interrupt_that_declines_leaves_the_work_alone(
    async_runtime: TestedAsyncRuntime, runtime: Runtime
) -> None:
    async def scenario() -> None:
        work = Work(runtime)

        async def decline() -> bool:
            work.go_on.wake()
            return False

        assert await runtime.interruptible(work.run(), decline, None)
        assert work.ended == ["done"]

    async_runtime.run(scenario)


@pytest.mark.parametrize("interrupt", [None, refuse], ids=["alone", "with an interrupt"])
def test_the_timeout_cancels_the_work(
    async_runtime: TestedAsyncRuntime, runtime: Runtime, interrupt: Interrupt | None
) -> None:
    async def scenario() -> None:
        work = Work(runtime)
        assert not await runtime.interruptible(work.run(), interrupt, SOON)
        assert work.ended == ["cancelled"]
        await runtime.sleep(0)

    async_runtime.run(scenario)


def test_a_timeout_and_an_interrupt_at_the_same_time_are_one(
    async_runtime: TestedAsyncRuntime, runtime: Runtime
) -> None:
    async def scenario() -> None:
        work = Work(runtime)

        async def wait_and_agree() -> bool:
            while not work.ended:
                await runtime.sleep(0)
            return True

        async def run() -> None:
            try:
                await work.run()
            finally:
                await runtime.shielded(lambda: runtime.sleep(SOON))

        assert not await runtime.interruptible(run(), wait_and_agree, SOON)
        assert work.ended == ["cancelled"]

    async_runtime.run(scenario)


@pytest.mark.parametrize("waits", [False, True], ids=["at once", "after a wait"])
def test_what_the_work_raises_is_raised(
    async_runtime: TestedAsyncRuntime, runtime: Runtime, waits: bool
) -> None:
    async def scenario() -> None:
        async def fail() -> None:
            if waits:
                await runtime.sleep(0)
            raise TimeoutError("the work's own")

        with pytest.raises(TimeoutError, match="own"):
            await runtime.interruptible(fail(), Never(runtime), 60.0)

    async_runtime.run(scenario)


@pytest.mark.parametrize("cause", ["interrupt", "timeout"])
def test_what_the_work_raises_when_it_is_cancelled_is_raised(
    async_runtime: TestedAsyncRuntime, runtime: Runtime, cause: str
) -> None:
    async def scenario() -> None:
        async def fail() -> None:
            try:
                await runtime.create_waiter().wait(None)
            finally:
                raise TimeoutError("the work's own")

        interrupt = agree if cause == "interrupt" else refuse
        with pytest.raises(TimeoutError, match="own"):
            await runtime.interruptible(fail(), interrupt, SOON if cause == "timeout" else None)
        await runtime.sleep(0)

    async_runtime.run(scenario)


def test_what_the_interrupt_raises_cancels_the_work_and_is_raised(
    async_runtime: TestedAsyncRuntime, runtime: Runtime
) -> None:
    async def scenario() -> None:
        work = Work(runtime)

        async def fail() -> bool:
            raise httpcore2.RemoteProtocolError("It is no response.")

        with pytest.raises(httpcore2.RemoteProtocolError, match="no response"):
            await runtime.interruptible(work.run(), fail, None)
        assert work.ended == ["cancelled"]

    async_runtime.run(scenario)


def test_work_that_swallows_the_cancellation_goes_on_and_counts_as_cancelled(
    async_runtime: TestedAsyncRuntime, runtime: Runtime
) -> None:
    async def scenario() -> None:
        work = Work(runtime)

        async def swallow() -> None:
            try:
                await work.run()
            except BaseException:
                work.ended.append("swallowed")

        assert not await runtime.interruptible(swallow(), agree, None)
        assert work.ended == ["cancelled", "swallowed"]
        await runtime.sleep(0)

    async_runtime.run(scenario)


@pytest.mark.parametrize("interrupt", [None, refuse], ids=["alone", "with an interrupt"])
def test_a_cancellation_of_the_caller_is_the_callers(
    async_runtime: TestedAsyncRuntime, runtime: Runtime, interrupt: Interrupt | None
) -> None:
    async def scenario() -> None:
        begun = async_runtime.event()
        ended = []

        async def work() -> None:
            begun.set()
            try:
                await runtime.create_waiter().wait(None)
            finally:
                ended.append(True)

        async def run() -> None:
            await runtime.interruptible(work(), interrupt, 60.0)

        assert await async_runtime.cancel_on_event(begun, run)
        assert ended == [True]

    async_runtime.run(scenario)


def test_a_cancellation_while_the_interrupt_ends_is_the_callers_too(
    async_runtime: TestedAsyncRuntime, runtime: Runtime
) -> None:
    """asyncio delivers it once, in the middle of the wait for the other task."""

    async def scenario() -> None:
        begun = async_runtime.event()

        async def ends_late() -> bool:
            try:
                await runtime.create_waiter().wait(None)
            finally:
                begun.set()
                await runtime.shielded(lambda: runtime.sleep(SOON))
            raise AssertionError("nobody wakes it")

        async def run() -> None:
            await runtime.interruptible(async_runtime.let_others_run(), ends_late, None)
            await runtime.sleep(0)

        assert await async_runtime.cancel_on_event(begun, run)

    async_runtime.run(scenario)


def test_threads_and_runtimes_that_can_cancel_nothing_await_the_work_alone() -> None:
    calls: list[str] = []

    async def work() -> None:
        calls.append("work")

    async def interrupt() -> NoReturn:
        raise AssertionError("there is no other task")

    runtime = httpcore2.SyncBackend()._counterpart.runtime  # type: ignore[attr-defined]
    for each in (runtime, FakeRuntime(), CallerRuntime()):
        assert run_blocking(each.interruptible(work(), interrupt, 0.0))
    assert calls == ["work"] * 3


def test_a_loop_that_is_closed_under_the_work_takes_both_with_it() -> None:
    runtime = runtime_of(RUNTIMES["asyncio"])  # type: ignore[arg-type]
    loop = asyncio.new_event_loop()
    ended: list[str] = []

    async def wait(name: str) -> bool:
        try:
            await loop.create_future()
        finally:
            ended.append(name)
        return True

    async def main() -> None:
        await runtime.interruptible(wait("work"), lambda: wait("interrupt"), 60.0)

    coroutine = main()

    async def begin() -> None:
        coroutine.send(None)
        await asyncio.sleep(0)

    loop.run_until_complete(begin())
    coroutine.close()
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    gc.collect()
    assert ended == ["work", "interrupt"]


# Steps


class Steps:
    """Awaitables as event loops know them: what is sent in comes back."""

    def __await__(self) -> Any:
        return (yield "step")


async def three_steps() -> list[Any]:
    got: list[Any] = []
    for _ in range(3):
        try:
            got.append(await Steps())
        except LookupError as exc:
            got.append(exc)
    return got


def test_a_coroutine_is_told_before_it_suspends_for_the_first_time_alone() -> None:
    calls: list[str] = []
    error = LookupError("thrown in")

    async def run() -> list[Any]:
        return await before_suspending(three_steps(), lambda: calls.append("call"))

    running = run()
    assert running.send(None) == "step"
    assert calls == ["call"]
    assert running.send("first") == "step"
    assert running.throw(error) == "step"
    with pytest.raises(StopIteration) as stopped:
        running.send("last")
    assert stopped.value.value == ["first", error, "last"]
    assert calls == ["call"]


def test_a_coroutine_that_does_not_suspend_is_told_nothing() -> None:
    async def run() -> str:
        return await before_suspending(at_once(), lambda: pytest.fail("it does not suspend"))

    async def at_once() -> str:
        return "result"

    assert run_blocking(run()) == "result"


def test_a_coroutine_that_is_closed_while_it_is_suspended_closes_what_it_awaits() -> None:
    ended = []

    async def wait() -> None:
        try:
            await Steps()
        finally:
            ended.append(True)

    async def run() -> None:
        await before_suspending(wait(), lambda: None)

    running = run()
    running.send(None)
    running.close()
    assert ended == [True]


# Waiting for something to read


@pytest.mark.parametrize("event", ["bytes", "end", "abort", "there already"])
def test_a_stream_is_waited_for_without_taking_anything(
    async_runtime: TestedAsyncRuntime, event: str
) -> None:
    runtime = async_runtime
    go = runtime.event()

    def handler(peer: Peer) -> None:
        if event != "there already":
            go.wait_in_thread()
        if event == "end":
            peer.half_close()
        elif event != "abort":
            peer.send(b"hello")
        peer.receive_until_close()

    async def scenario() -> None:
        stream = await runtime.backend().connect_tcp("127.0.0.1", server.port)
        assert isinstance(stream, BackendStream)
        try:
            if event == "there already":
                await runtime.wait_until(lambda: bool(stream.get_extra_info("is_readable")))

            async def wait() -> None:
                await stream.wait_readable()
                if event == "abort":
                    with pytest.raises(httpcore2.ReadError):
                        stream.read_nowait(100)
                else:
                    assert stream.get_extra_info("is_readable")
                    assert stream.read_nowait(100) == (b"" if event == "end" else b"hello")

            async def act() -> None:
                await runtime.let_others_run()
                go.set()
                if event == "abort":
                    stream.abort()

            await runtime.gather(wait, act)
        finally:
            await stream.aclose()

    with scripted_server(handler) as server:
        runtime.run(scenario)


def test_a_stream_that_cannot_tell_is_waited_for_in_vain(async_runtime: TestedAsyncRuntime) -> None:
    own = runtime_of(async_runtime)

    class Silent(FakeStream):
        @property
        def runtime(self) -> Runtime:
            return own

    async def scenario() -> None:
        waiting = Silent().wait_readable()
        assert not await own.interruptible(waiting, None, SOON)
        waiting = PrefixedStream(Silent(), b"first").wait_readable()
        assert await own.interruptible(waiting, None, SOON)
        waiting = PrefixedStream(Silent(), b"").wait_readable()
        assert not await own.interruptible(waiting, None, SOON)

    async_runtime.run(scenario)
