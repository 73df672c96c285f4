"""Threads as a runtime under test: one `send(None)` runs a scenario, and its factories return adapters of sync classes.

Must not know: event loops.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any, cast

import httpcore2

from . import runtime_base, sync_adapters
from .runtime_base import Function, RuntimeEvent, T, TestedRuntime


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
            thread.join(runtime_base.LIMIT)
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
