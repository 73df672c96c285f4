"""Faults: layers over a correct backend, each of which breaks one thing, and the base classes of such layers.

`stream_faults`, `backend_faults` and `runtime_faults` define the faults; `detected_by` registers each in `FAULTS`.
Rules: a fault changes one thing. The checks that it names must fail, both without and with TLS where both exist.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from httpcore2_core import (
    SOCKET_OPTION,
)
from httpcore2_core._net.backend_stream import BackendStream
from httpcore2_core._net.datagram_stream import DatagramStream
from httpcore2_core._net.runtime import Runtime, Waiter
from httpcore2_core._net.runtime_backend import RuntimeBackend

T = TypeVar("T")


class DelegatingStream(BackendStream):
    """A stream that delegates every call to another one."""

    def __init__(self, inner: BackendStream) -> None:
        self.inner = inner
        self.is_closed = False

    @property
    def runtime(self) -> Runtime:
        return self.inner.runtime

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await self.inner.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self.inner.write(buffer, timeout)

    def abort(self) -> None:
        self.is_closed = True
        self.inner.abort()

    def read_nowait(self, max_bytes: int) -> bytes | None:
        return self.inner.read_nowait(max_bytes)

    def watch(self, callback: Callable[[], None] | None) -> None:
        self.inner.watch(callback)

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> BackendStream:
        return type(self)(await self.inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self.inner.get_extra_info(info)


class DelegatingDatagramStream(DatagramStream):
    """A datagram stream that delegates every call to another one."""

    def __init__(self, inner: DatagramStream) -> None:
        self.inner = inner

    @property
    def runtime(self) -> Runtime:
        return self.inner.runtime

    def send(self, datagrams: Sequence[bytes]) -> int:
        return self.inner.send(datagrams)

    async def receive(self, timeout: float | None = None) -> list[bytes]:
        return await self.inner.receive(timeout)

    def receive_nowait(self) -> list[bytes]:
        return self.inner.receive_nowait()

    def watch(self, callback: Callable[[], None] | None) -> None:
        self.inner.watch(callback)

    def abort(self) -> None:
        self.inner.abort()

    def get_extra_info(self, info: str) -> Any:
        return self.inner.get_extra_info(info)


class DelegatingBackend(RuntimeBackend):
    """A backend that delegates every call to another one, and records the streams that it opens."""

    stream_class: type[DelegatingStream] = DelegatingStream
    datagram_class: type[DelegatingDatagramStream] = DelegatingDatagramStream

    def __init__(self, inner: RuntimeBackend) -> None:
        self.inner = inner
        self.runtime = inner.runtime
        self.opened: list[BackendStream | DatagramStream] = []

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> BackendStream:
        return self._opened(
            await self.inner.connect_tcp(host, port, timeout, local_address, socket_options)
        )

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> BackendStream:
        return self._opened(await self.inner.connect_unix_socket(path, timeout, socket_options))

    async def connect_udp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> DatagramStream:
        stream = await self.inner.connect_udp(host, port, timeout, local_address, socket_options)
        self.opened.append(stream)
        return self.datagram_class(stream)

    def _opened(self, stream: Any) -> BackendStream:
        self.opened.append(stream)
        return self.stream_class(stream)


class DelegatingRuntime(Runtime):
    """A runtime that delegates every call to another one."""

    def __init__(self, inner: Runtime) -> None:
        self.inner = inner

    def now(self) -> float:
        return self.inner.now()

    def token(self) -> object:
        return self.inner.token()

    def is_running(self, token: object) -> bool:
        return self.inner.is_running(token)

    def create_waiter(self) -> Waiter:
        return self.inner.create_waiter()

    async def sleep(self, seconds: float) -> None:
        await self.inner.sleep(seconds)

    async def shielded(self, call: Callable[[], Awaitable[T]]) -> T:
        return await self.inner.shielded(call)


@dataclass(frozen=True)
class Fault:
    """A layer that breaks one thing.

    Attributes:
        name: the name of its class, which states the fault.
        checks: the names of the checks that must fail.
        make: wraps a correct backend in the layer.
        hangs: whether the checks fail by a timeout.
        watches: whether the correct backend must be one that calls watchers.
    """

    name: str
    checks: tuple[str, ...]
    make: Callable[[RuntimeBackend], DelegatingBackend]
    hangs: bool
    watches: bool

    def __str__(self) -> str:
        return self.name


FAULTS: list[Fault] = []

C = TypeVar("C", bound=type)


def detected_by(*checks: str, hangs: bool = False, watches: bool = False) -> Callable[[C], C]:
    """Register the class of a stream, a backend or a runtime as a fault that these checks detect."""

    def register(broken: C) -> C:
        def make(inner: RuntimeBackend) -> DelegatingBackend:
            if issubclass(broken, DelegatingBackend):
                return broken(inner)
            backend = DelegatingBackend(inner)
            if issubclass(broken, DelegatingStream):
                backend.stream_class = broken
            elif issubclass(broken, DelegatingDatagramStream):
                backend.datagram_class = broken
            else:
                assert issubclass(broken, DelegatingRuntime)
                backend.runtime = broken(inner.runtime)
            return backend

        FAULTS.append(Fault(broken.__name__, checks, make, hangs, watches))
        return broken

    return register
