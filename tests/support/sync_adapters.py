"""Adapters between the sync and the async interface, so that one scenario, a coroutine, tests both.

Rules: no coroutine here ever suspends; `drive` fails the test if one does. The attribute `wrapped` of each adapter is
the unwrapped object.
Must not know: the runtimes.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import httpcore2

T = TypeVar("T")
Options = Iterable[httpcore2.SOCKET_OPTION] | None


def drive(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never suspends."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    coroutine.close()
    raise AssertionError("the scenario awaited a coroutine that suspends, which threads cannot run")


class AsyncAdapterStream(httpcore2.AsyncNetworkStream):
    """A sync stream behind the async interface."""

    def __init__(self, stream: httpcore2.NetworkStream) -> None:
        self.wrapped = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self.wrapped.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.wrapped.write(buffer, timeout)

    async def aclose(self) -> None:
        self.wrapped.close()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        return AsyncAdapterStream(self.wrapped.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self.wrapped.get_extra_info(info)


class SyncAdapterStream(httpcore2.NetworkStream):
    """An async stream, whose coroutines never suspend, behind the sync interface."""

    def __init__(self, stream: httpcore2.AsyncNetworkStream) -> None:
        self.wrapped = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return drive(self.wrapped.read(max_bytes, timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        drive(self.wrapped.write(buffer, timeout))

    def close(self) -> None:
        drive(self.wrapped.aclose())

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.NetworkStream:
        return to_sync_stream(drive(self.wrapped.start_tls(ssl_context, server_hostname, timeout)))

    def get_extra_info(self, info: str) -> Any:
        return self.wrapped.get_extra_info(info)


def to_sync_stream(stream: httpcore2.AsyncNetworkStream) -> httpcore2.NetworkStream:
    """Unwrap a sync stream, or wrap an async one."""
    return stream.wrapped if isinstance(stream, AsyncAdapterStream) else SyncAdapterStream(stream)


class AsyncAdapterBackend(httpcore2.AsyncNetworkBackend):
    """A sync backend behind the async interface."""

    def __init__(self, backend: httpcore2.NetworkBackend) -> None:
        self.wrapped = backend

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Options = None,
    ) -> httpcore2.AsyncNetworkStream:
        return AsyncAdapterStream(
            self.wrapped.connect_tcp(host, port, timeout, local_address, socket_options)
        )

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Options = None
    ) -> httpcore2.AsyncNetworkStream:
        return AsyncAdapterStream(self.wrapped.connect_unix_socket(path, timeout, socket_options))

    async def sleep(self, seconds: float) -> None:
        self.wrapped.sleep(seconds)


class SyncAdapterBackend(httpcore2.NetworkBackend):
    """An async backend, whose coroutines never suspend, behind the sync interface."""

    def __init__(self, backend: httpcore2.AsyncNetworkBackend) -> None:
        self.wrapped = backend

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Options = None,
    ) -> httpcore2.NetworkStream:
        return to_sync_stream(
            drive(self.wrapped.connect_tcp(host, port, timeout, local_address, socket_options))
        )

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Options = None
    ) -> httpcore2.NetworkStream:
        return to_sync_stream(
            drive(self.wrapped.connect_unix_socket(path, timeout, socket_options))
        )

    def sleep(self, seconds: float) -> None:
        drive(self.wrapped.sleep(seconds))


def to_sync_options(options: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a pool or connection with a sync `network_backend`."""
    backend = options.get("network_backend")
    if isinstance(backend, AsyncAdapterBackend):
        backend = backend.wrapped
    elif isinstance(backend, httpcore2.AsyncNetworkBackend):
        backend = SyncAdapterBackend(backend)
    return {**options, "network_backend": backend}


class AsyncAdapterResponse:
    """A sync response behind the async interface."""

    def __init__(self, response: httpcore2.Response) -> None:
        self.wrapped = response
        self.status = response.status
        self.headers = response.headers

    @property
    def extensions(self) -> dict[str, Any]:
        extensions = dict(self.wrapped.extensions)
        if "network_stream" in extensions:
            extensions["network_stream"] = AsyncAdapterStream(extensions["network_stream"])
        return extensions

    @property
    def content(self) -> bytes:
        return self.wrapped.content

    @property
    def stream(self) -> Any:
        return self.wrapped.stream

    async def aread(self) -> bytes:
        return self.wrapped.read()

    async def aiter_stream(self) -> AsyncIterator[bytes]:
        for chunk in self.wrapped.iter_stream():
            yield chunk

    async def aclose(self) -> None:
        self.wrapped.close()

    def __repr__(self) -> str:
        return repr(self.wrapped)


class AsyncAdapter:
    """A sync pool or connection behind the async interface; other attributes are those of the wrapped object."""

    def __init__(self, wrapped: Any) -> None:
        self.wrapped = wrapped

    def __getattr__(self, name: str) -> Any:
        return getattr(self.wrapped, name)

    def __repr__(self) -> str:
        return repr(self.wrapped)

    async def __aenter__(self) -> AsyncAdapter:
        self.wrapped.__enter__()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.wrapped.__exit__(*exc_info)

    async def aclose(self) -> None:
        self.wrapped.close()

    async def connect(self, *args: Any, **options: Any) -> Any:
        return self.wrapped.connect(*args, **options)

    async def request(self, *args: Any, **options: Any) -> AsyncAdapterResponse:
        return AsyncAdapterResponse(self.wrapped.request(*args, **options))

    @asynccontextmanager
    async def stream(self, *args: Any, **options: Any) -> AsyncIterator[AsyncAdapterResponse]:
        with self.wrapped.stream(*args, **options) as response:
            yield AsyncAdapterResponse(response)

    def lease(self, *args: Any, **options: Any) -> AsyncAdapter:
        return AsyncAdapter(self.wrapped.lease(*args, **options))

    async def handle_async_request(self, request: httpcore2.Request) -> AsyncAdapterResponse:
        return AsyncAdapterResponse(self.wrapped.handle_request(request))
