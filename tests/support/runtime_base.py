"""The base classes of the runtimes under test, and their events.

A runtime runs a scenario, written once as a coroutine function that uses the async interface, and has factories for
the classes of httpcore2 that the scenario uses.
Rules: no wait exceeds `LIMIT` seconds; nothing sleeps.
Must not know: a particular runtime, HTTP on the wire, servers.
"""

from __future__ import annotations

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
)
from enum import Enum, auto
from typing import Any, ClassVar, TypeVar

import httpcore2

T = TypeVar("T")
Function = Callable[[], Coroutine[Any, Any, T]]

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
def watched(
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
