"""The runtimes that a scenario runs in: threads, asyncio, uvloop, trio, and anyio on both loops.

A scenario is written once, as a coroutine function against the asynchronous interface. On threads it is driven
by a single `send(None)`: there `TestedRuntime.pool()` and its likes are thin dressings of the synchronous classes.
Rules: every wait is bounded by `LIMIT`; nothing sleeps.
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
"""Seconds after which whatever waits is taken to hang."""


class RuntimeEvent(ABC):
    """Something that happened. Set from any thread; awaited by scenarios, waited for by server threads."""

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
        assert self._flag.wait(LIMIT), "a signal never came"

    @abstractmethod
    async def wait(self) -> None: ...

    def _add_waker(self, wake: Callable[[], object]) -> None:
        with self._lock:
            if not self._flag.is_set():
                self._wakers.append(wake)
                return
        wake()


class CancellationOutcome(Enum):
    """What became of a cancellation."""

    NOT_REACHED = auto()
    COMPLETED = auto()
    CANCELLED = auto()


class TestedRuntime(ABC):
    """A runtime, and the interface of httpcore2 that belongs to it."""

    name: ClassVar[str]
    class_prefix: ClassVar[str] = "Async"
    """What the names of the classes begin with."""

    @abstractmethod
    def run(self, scenario: Function[T]) -> T:
        """Run a scenario to its end; nothing that it started may be left."""

    @abstractmethod
    def event(self) -> RuntimeEvent: ...

    @abstractmethod
    async def outcomes(self, *functions: Function[T]) -> list[T | Exception]:
        """Run all at the same time, and return what each returned or raised, in order."""

    async def gather(self, *functions: Function[T]) -> list[T]:
        """Run all at the same time to their ends, and return the results in order, or raise the first error."""
        results = []
        for outcome in await self.outcomes(*functions):
            if isinstance(outcome, Exception):
                raise outcome
            results.append(outcome)
        return results

    @abstractmethod
    async def let_others_run(self) -> None:
        """Let others run."""

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until something holds that gives no signal."""
        end = time.monotonic() + LIMIT
        while not condition():
            assert time.monotonic() < end, "it never came to hold"
            await self.let_others_run()

    def pool(self, **options: Any) -> httpcore2.AsyncConnectionPool:
        """Make a pool; `network_backend` may be asynchronous in every runtime."""
        return httpcore2.AsyncConnectionPool(**{**self.pool_options(), **options})

    def pool_options(self) -> dict[str, Any]:
        return {}

    def connection(self, origin: httpcore2.Origin, **options: Any) -> httpcore2.AsyncHTTPConnection:
        return httpcore2.AsyncHTTPConnection(origin, **{**self.pool_options(), **options})

    def http11_connection(
        self, origin: httpcore2.Origin, stream: httpcore2.AsyncNetworkStream, **options: Any
    ) -> httpcore2.AsyncHTTP11Connection:
        return httpcore2.AsyncHTTP11Connection(origin, stream, **options)

    async def close(self, connection: httpcore2.AsyncConnectionInterface) -> None:
        """Close one of `pool.connections`."""
        await connection.aclose()

    def http2_connection(
        self, origin: httpcore2.Origin, stream: httpcore2.AsyncNetworkStream, **options: Any
    ) -> httpcore2.AsyncHTTP2Connection:
        return httpcore2.AsyncHTTP2Connection(origin, stream, **options)

    @abstractmethod
    def backend(self) -> httpcore2.AsyncNetworkBackend:
        """The backend that `pool()` uses when it is given none."""

    def mock_backend(self, buffer: list[bytes]) -> httpcore2.AsyncNetworkBackend:
        return httpcore2.AsyncMockBackend(buffer)

    def mock_stream(self, buffer: list[bytes]) -> httpcore2.AsyncNetworkStream:
        return httpcore2.AsyncMockStream(buffer)

    def body(self, chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
        """A request body that is iterated over once, in the colour of this runtime."""

        async def iterate() -> AsyncGenerator[bytes, None]:
            for chunk in chunks:
                yield chunk

        return iterate()

    def mismatched_body(self, chunks: Iterable[bytes]) -> Any:
        """A request body in the colour that this runtime can't take."""
        return iter(list(chunks))

    def trace(
        self, events: list[tuple[str, dict[str, Any]]]
    ) -> Callable[[str, dict[str, Any]], Any]:
        """A `trace` extension that notes the events."""

        async def note(name: str, info: dict[str, Any]) -> None:
            events.append((name, info))

        return note

    def mismatched_trace(self) -> Callable[[str, dict[str, Any]], Any]:
        """A `trace` extension in the colour that this runtime can't take."""
        return lambda name, info: None


class ThreadEvent(RuntimeEvent):
    async def wait(self) -> None:
        self.wait_in_thread()


class TestedThreads(TestedRuntime):
    """Threads and the synchronous interface."""

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
        """Run `function`, cancel it when `signal` comes, and return whether that stopped it."""

    @abstractmethod
    async def cancel_at_wait(
        self, step: int, function: Function[object], late: bool
    ) -> CancellationOutcome:
        """Run `function`, and cancel it when it suspends for the `step`-th time.

        Args:
            step: from 0.
            function: what to cancel.
            late: let what it waits for happen, and cancel before it can see so: there results get lost.
                trio has no such moment.
        """


@types.coroutine
def _watched(
    coroutine: Coroutine[Any, Any, T], before_yield: Callable[[int, Any], None]
) -> Generator[Any, Any, T]:
    """Run a coroutine as `await` does, and tell each time that it suspends."""
    step = 0
    send: Callable[[], Any] = lambda: coroutine.send(None)  # noqa: E731
    while True:
        try:
            yielded = send()
        except StopIteration as stop:
            result: T = stop.value
            return result
        before_yield(step, yielded)
        step += 1
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
    """asyncio on the loop of the standard library."""

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
            # Transports are closed a turn or two after they were told to.
            for _ in range(4):
                await asyncio.sleep(0)
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, f"tasks are left: {left}"
            return result

        with asyncio.Runner(loop_factory=self.new_loop) as runner:
            result = runner.run(main())
        assert not problems, f"the event loop was told of {problems}"
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
        self, step: int, function: Function[object], late: bool
    ) -> CancellationOutcome:
        came = False

        def before_yield(now: int, yielded: Any) -> None:
            nonlocal came
            if now == step:
                came = True
                # An eager task is running before `create_task` has returned it.
                task = asyncio.current_task()
                assert task is not None
                if late and yielded is not None:
                    # This runs before the task's own callback: the result is there, but the task can't have it.
                    yielded.add_done_callback(lambda _: task.cancel())
                else:
                    task.cancel()

        async def main() -> None:
            await _watched(function(), before_yield)

        if await self._was_cancelled(asyncio.create_task(main())):
            return CancellationOutcome.CANCELLED
        return CancellationOutcome.COMPLETED if came else CancellationOutcome.NOT_REACHED

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
    """asyncio with tasks that run at once up to their first wait."""

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
        self, step: int, function: Function[object], late: bool
    ) -> CancellationOutcome:
        came = False
        with trio.CancelScope() as scope:

            def before_yield(now: int, _: object) -> None:
                nonlocal came
                if now == step:
                    came = True
                    scope.cancel()

            await _watched(function(), before_yield)
        if scope.cancelled_caught:
            return CancellationOutcome.CANCELLED
        return CancellationOutcome.COMPLETED if came else CancellationOutcome.NOT_REACHED

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

# One of each kind. What tests in tables runs on these; cancellation, lifetimes and the conformance of
# backends, where the others could differ, on all.
MAIN_RUNTIMES = [name for name in RUNTIMES if name not in ("anyio-trio", "asyncio-eager")]
