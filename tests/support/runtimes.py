"""The runtimes under test: threads, asyncio, uvloop, trio, and anyio on both event loops.

For all tests that run on several runtimes. Such a test holds a scenario, written once as a coroutine function that
uses the async interface. On threads a single `send(None)` runs it: there `TestedRuntime.pool` and the other factories
return adapters of the sync classes (`sync_adapters`).
Rules: no wait exceeds `LIMIT` seconds; nothing sleeps.
Must not know: HTTP on the wire, servers.
"""

from __future__ import annotations

import asyncio
import threading
import time
import types
from abc import ABC, abstractmethod
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Coroutine,
    Generator,
    Iterable,
    Iterator,
)
from enum import Enum, auto
from typing import Any, ClassVar, TypeVar, cast

import trio

import httpcore2

from . import sync_adapters

T = TypeVar("T")
Function = Callable[[], Coroutine[Any, Any, T]]
Loop = asyncio.AbstractEventLoop

LIMIT = 60.0
"""Seconds after which a wait counts as a hang."""


class RuntimeEvent(ABC):
    """An event that any thread can set. Scenarios await it, and the threads of scripted servers wait for it."""

    def __init__(self) -> None:
        self._flag = threading.Event()
        self._lock = threading.Lock()
        self._wakers: list[Callable[[], object]] = []

    def set(self) -> None:
        with self._lock:
            self._flag.set()
            wakers, self._wakers = self._wakers, []
        for wake in wakers:
            wake()

    def is_set(self) -> bool:
        return self._flag.is_set()

    def wait_in_thread(self) -> None:
        assert self._flag.wait(LIMIT), "the event was never set"

    @abstractmethod
    async def wait(self) -> None: ...

    def _add_waker(self, wake: Callable[[], object]) -> None:
        with self._lock:
            if not self._flag.is_set():
                self._wakers.append(wake)
                return
        wake()


class CancellationOutcome(Enum):
    """How an operation ended that was to be cancelled."""

    NOT_REACHED = auto()  # it completed before the cancellation
    COMPLETED = auto()  # it completed in spite of the cancellation
    CANCELLED = auto()


class TestedRuntime(ABC):
    """A runtime, with factories for the classes of httpcore2 that belong to it."""

    name: ClassVar[str]
    class_prefix: ClassVar[str] = "Async"
    """The prefix of the names of those classes."""

    @abstractmethod
    def run(self, scenario: Function[T]) -> T:
        """Run a scenario; the test fails if a task is left at its end."""

    @abstractmethod
    def event(self) -> RuntimeEvent:
        """Return a new event, which is not set."""

    @abstractmethod
    async def outcomes(self, *functions: Function[T]) -> list[T | Exception]:
        """Run all concurrently, and return the result or the exception of each, in their order."""

    async def gather(self, *functions: Function[T]) -> list[T]:
        """Run all concurrently to their ends, and return the results in their order, or raise the first exception."""
        results = []
        for outcome in await self.outcomes(*functions):
            if isinstance(outcome, Exception):
                raise outcome
            results.append(outcome)
        return results

    @abstractmethod
    async def let_others_run(self) -> None:
        """Let the other tasks or threads run once."""

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds, by polling: for conditions that set no event."""
        end = time.monotonic() + LIMIT
        while not condition():
            assert time.monotonic() < end, "the condition never became true"
            await self.let_others_run()

    def pool(self, **options: Any) -> httpcore2.AsyncConnectionPool:
        """Return a new pool; `network_backend` may be an async one on every runtime."""
        return httpcore2.AsyncConnectionPool(**{**self.pool_options(), **options})

    def pool_options(self) -> dict[str, Any]:
        """Return the arguments that select this runtime's backend where detection would not."""
        return {}

    def connection(self, origin: httpcore2.Origin, **options: Any) -> httpcore2.AsyncHTTPConnection:
        return httpcore2.AsyncHTTPConnection(origin, **{**self.pool_options(), **options})

    def http11_connection(
        self, origin: httpcore2.Origin, stream: httpcore2.AsyncNetworkStream, **options: Any
    ) -> httpcore2.AsyncHTTP11Connection:
        return httpcore2.AsyncHTTP11Connection(origin, stream, **options)

    async def close(self, connection: httpcore2.AsyncConnectionInterface) -> None:
        """Close one of `pool.connections`; they are not adapted."""
        await connection.aclose()

    def http2_connection(
        self, origin: httpcore2.Origin, stream: httpcore2.AsyncNetworkStream, **options: Any
    ) -> httpcore2.AsyncHTTP2Connection:
        return httpcore2.AsyncHTTP2Connection(origin, stream, **options)

    @abstractmethod
    def backend(self) -> httpcore2.AsyncNetworkBackend:
        """Return the backend that `pool()` uses by default."""

    def mock_backend(self, buffer: list[bytes]) -> httpcore2.AsyncNetworkBackend:
        return httpcore2.AsyncMockBackend(buffer)

    def mock_stream(self, buffer: list[bytes]) -> httpcore2.AsyncNetworkStream:
        return httpcore2.AsyncMockStream(buffer)

    def body(self, chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
        """Return a request body that can be iterated over once: sync on threads, else async."""

        async def iterate() -> AsyncGenerator[bytes, None]:
            for chunk in chunks:
                yield chunk

        return iterate()

    def mismatched_body(self, chunks: Iterable[bytes]) -> Any:
        """Return a request body that this runtime can't iterate over: async on threads, else sync."""
        return iter(list(chunks))

    def trace(
        self, events: list[tuple[str, dict[str, Any]]]
    ) -> Callable[[str, dict[str, Any]], Any]:
        """Return a `trace` extension that appends the trace events to `events`."""

        async def record(name: str, info: dict[str, Any]) -> None:
            events.append((name, info))

        return record

    def mismatched_trace(self) -> Callable[[str, dict[str, Any]], Any]:
        """Return a `trace` extension that this runtime can't call: async on threads, else sync."""
        return lambda name, info: None


class ThreadEvent(RuntimeEvent):
    async def wait(self) -> None:
        self.wait_in_thread()


class TestedThreads(TestedRuntime):
    """Threads, with the sync interface."""

    name = "threads"
    class_prefix = ""

    def run(self, scenario: Function[T]) -> T:
        return sync_adapters.drive(scenario())

    def event(self) -> RuntimeEvent:
        return ThreadEvent()

    async def outcomes(self, *functions: Function[T]) -> list[T | Exception]:
        results: list[T | Exception | None] = [None] * len(functions)

        def run(index: int, function: Function[T]) -> None:
            try:
                results[index] = sync_adapters.drive(function())
            except Exception as exc:
                results[index] = exc

        threads = [
            threading.Thread(target=run, args=(index, function), daemon=True, name="scenario")
            for index, function in enumerate(functions)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LIMIT)
            assert not thread.is_alive(), "a thread hangs"
        return cast(list[T | Exception], results)

    async def let_others_run(self) -> None:
        threading.Event().wait(0.001)

    def pool(self, **options: Any) -> httpcore2.AsyncConnectionPool:
        pool = httpcore2.ConnectionPool(**sync_adapters.to_sync_options(options))
        return cast(httpcore2.AsyncConnectionPool, sync_adapters.AsyncAdapter(pool))

    def connection(self, origin: httpcore2.Origin, **options: Any) -> httpcore2.AsyncHTTPConnection:
        connection = httpcore2.HTTPConnection(origin, **sync_adapters.to_sync_options(options))
        return cast(httpcore2.AsyncHTTPConnection, sync_adapters.AsyncAdapter(connection))

    def http11_connection(
        self, origin: httpcore2.Origin, stream: httpcore2.AsyncNetworkStream, **options: Any
    ) -> httpcore2.AsyncHTTP11Connection:
        connection = httpcore2.HTTP11Connection(
            origin, sync_adapters.to_sync_stream(stream), **options
        )
        return cast(httpcore2.AsyncHTTP11Connection, sync_adapters.AsyncAdapter(connection))

    async def close(self, connection: httpcore2.AsyncConnectionInterface) -> None:
        cast(httpcore2.ConnectionInterface, connection).close()

    def http2_connection(
        self, origin: httpcore2.Origin, stream: httpcore2.AsyncNetworkStream, **options: Any
    ) -> httpcore2.AsyncHTTP2Connection:
        connection = httpcore2.HTTP2Connection(
            origin, sync_adapters.to_sync_stream(stream), **options
        )
        return cast(httpcore2.AsyncHTTP2Connection, sync_adapters.AsyncAdapter(connection))

    def backend(self) -> httpcore2.AsyncNetworkBackend:
        return sync_adapters.AsyncAdapterBackend(httpcore2.SyncBackend())

    def mock_backend(self, buffer: list[bytes]) -> httpcore2.AsyncNetworkBackend:
        return sync_adapters.AsyncAdapterBackend(httpcore2.MockBackend(buffer))

    def mock_stream(self, buffer: list[bytes]) -> httpcore2.AsyncNetworkStream:
        return sync_adapters.AsyncAdapterStream(httpcore2.MockStream(buffer))

    def body(self, chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
        def iterate() -> Iterator[bytes]:
            yield from chunks

        return cast(AsyncIterator[bytes], iterate())

    def mismatched_body(self, chunks: Iterable[bytes]) -> Any:
        return TestedRuntime.body(self, chunks)

    def trace(
        self, events: list[tuple[str, dict[str, Any]]]
    ) -> Callable[[str, dict[str, Any]], Any]:
        return lambda name, info: events.append((name, info))

    def mismatched_trace(self) -> Callable[[str, dict[str, Any]], Any]:
        return TestedRuntime.trace(self, [])


class TestedAsyncRuntime(TestedRuntime):
    """A runtime in which a task can be cancelled."""

    @abstractmethod
    async def cancel_on_event(self, event: RuntimeEvent, function: Function[object]) -> bool:
        """Run `function`, cancel it when `event` is set, and return whether that stopped it."""

    @abstractmethod
    async def cancel_at_wait(
        self, number: int, function: Function[object], late: bool
    ) -> CancellationOutcome:
        """Run `function`, and cancel it at one of its waits.

        Args:
            number: the number of the wait, from 0: how often it suspended before.
            function: the operation to cancel.
            late: whether to cancel after the awaited event, but before the task resumes: at this moment a result can
                get lost. trio has no such moment.
        """


@types.coroutine
def _watched(
    coroutine: Coroutine[Any, Any, T], before_yield: Callable[[int, Any], None]
) -> Generator[Any, Any, T]:
    """Run a coroutine as `await` does, and call `before_yield` with the wait's number and value at each wait."""
    number = 0
    send: Callable[[], Any] = lambda: coroutine.send(None)  # noqa: E731
    while True:
        try:
            yielded = send()
        except StopIteration as stop:
            result: T = stop.value
            return result
        before_yield(number, yielded)
        number += 1
        try:
            value = yield yielded
        except GeneratorExit:
            coroutine.close()
            raise
        except BaseException as exc:
            send = lambda exc=exc: coroutine.throw(exc)  # type: ignore[misc]  # noqa: E731
        else:
            send = lambda value=value: coroutine.send(value)  # type: ignore[misc]  # noqa: E731


class AsyncioEvent(RuntimeEvent):
    async def wait(self) -> None:
        loop = asyncio.get_running_loop()
        event = asyncio.Event()
        self._add_waker(lambda: loop.call_soon_threadsafe(event.set))
        async with asyncio.timeout(LIMIT):
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
            async with asyncio.timeout(LIMIT):
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
            await _watched(function(), before_yield)

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


class TrioEvent(RuntimeEvent):
    async def wait(self) -> None:
        token = trio.lowlevel.current_trio_token()
        event = trio.Event()
        self._add_waker(lambda: token.run_sync_soon(event.set))
        with trio.fail_after(LIMIT):
            await event.wait()


class TestedTrio(TestedAsyncRuntime):
    """trio."""

    name = "trio"

    def run(self, scenario: Function[T]) -> T:
        async def main() -> T:
            with trio.fail_after(LIMIT):
                return await scenario()

        return trio.run(main)

    def event(self) -> RuntimeEvent:
        return TrioEvent()

    async def outcomes(self, *functions: Function[T]) -> list[T | Exception]:
        results: list[T | Exception | None] = [None] * len(functions)

        async def run(index: int, function: Function[T]) -> None:
            try:
                results[index] = await function()
            except Exception as exc:
                results[index] = exc

        async with trio.open_nursery() as nursery:
            for index, function in enumerate(functions):
                nursery.start_soon(run, index, function)
        return cast(list[T | Exception], results)

    def backend(self) -> httpcore2.AsyncNetworkBackend:
        return httpcore2.TrioBackend()

    async def cancel_on_event(self, event: RuntimeEvent, function: Function[object]) -> bool:
        scope = trio.CancelScope()

        async def run() -> None:
            with scope:
                await function()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(run)
            await event.wait()
            scope.cancel()
        return scope.cancelled_caught

    async def cancel_at_wait(
        self, number: int, function: Function[object], late: bool
    ) -> CancellationOutcome:
        was_reached = False
        with trio.CancelScope() as scope:

            def before_yield(now: int, _: object) -> None:
                nonlocal was_reached
                if now == number:
                    was_reached = True
                    scope.cancel()

            await _watched(function(), before_yield)
        if scope.cancelled_caught:
            return CancellationOutcome.CANCELLED
        return CancellationOutcome.COMPLETED if was_reached else CancellationOutcome.NOT_REACHED

    async def let_others_run(self) -> None:
        await trio.sleep(0)


class TestedAnyIOOnAsyncio(TestedAsyncio):
    """The anyio backend on asyncio."""

    name = "anyio-asyncio"

    def pool_options(self) -> dict[str, Any]:
        return {"network_backend": self.backend()}

    def backend(self) -> httpcore2.AsyncNetworkBackend:
        return httpcore2.AnyIOBackend()


class TestedAnyIOOnTrio(TestedTrio):
    """The anyio backend on trio."""

    name = "anyio-trio"

    def pool_options(self) -> dict[str, Any]:
        return {"network_backend": self.backend()}

    def backend(self) -> httpcore2.AsyncNetworkBackend:
        return httpcore2.AnyIOBackend()


RUNTIMES: dict[str, TestedRuntime] = {
    runtime.name: runtime
    for runtime in (
        TestedThreads(),
        TestedAsyncio(),
        TestedUvloop(),
        TestedTrio(),
        TestedAnyIOOnAsyncio(),
        TestedAnyIOOnTrio(),
    )
}
if hasattr(asyncio, "eager_task_factory"):
    RUNTIMES["asyncio-eager"] = TestedEagerAsyncio()

# One runtime of each kind, for tests with tables of cases. Cancellation, lifetimes and the conformance of backends,
# where the others could differ, are tested on all.
MAIN_RUNTIMES = [name for name in RUNTIMES if name not in ("anyio-trio", "asyncio-eager")]
