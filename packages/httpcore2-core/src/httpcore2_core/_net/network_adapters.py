"""Adapters of callers' own network backends and streams, and the backends of pools that are given none.

They are applied once, where a backend or a stream enters the transport from a public class.

Rules: of a caller's stream only the public methods are used. `aclose()` may suspend: it is awaited, shielded, when the
transport's own state is in order (`wait_closed`).
Must not know: HTTP, the pool.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from .._distributions import PREFIX
from .._exceptions import ReadError, WriteError
from .backend_stream import BackendStream
from .datagram_stream import DatagramStream, SyncDatagramStream
from .detection import AutoBackend, detect_backend, is_patched, running_loop
from .errors import CLOSED_HERE
from .network_interfaces import (
    SOCKET_OPTION,
    AsyncNetworkBackend,
    AsyncNetworkStream,
    NetworkBackend,
    NetworkStream,
)
from .resolver_interfaces import AsyncResolver
from .runtime import Runtime, Waiter
from .runtime_backend import DelegatingBackend, RuntimeBackend, no_udp, opens_datagrams, result_of
from .sync_backend import THREADS, SyncBackend, SyncStream

if TYPE_CHECKING:
    import ssl

T = TypeVar("T")


def adapt_async_backend(backend: AsyncNetworkBackend | None) -> RuntimeBackend | None:
    """Return a backend of the async API for the transport; `None` if `default_backend()` is to be used."""
    if backend is None or type(backend) is AutoBackend:
        return None
    if isinstance(backend, CallerBackend):
        return backend  # adapted already, for the sync API
    if isinstance(backend, RuntimeBackend):
        return RuntimeBackendAdapter(backend)
    return CallerBackend(backend)


def adapt_sync_backend(backend: NetworkBackend | None) -> RuntimeBackend:
    """Return a backend of the sync API for the transport.

    An instance of a class that is derived from `SyncBackend` is used as a caller's own: it may override a method.
    """
    if backend is None or type(backend) is SyncBackend:
        return _SYNC_DEFAULT
    return CallerSyncBackend(backend)


def default_backend() -> RuntimeBackend:
    """Return the backend for the running event loop, where none was given.

    Raises:
        RuntimeError: no event loop runs the caller.
        ImportError: the backend of the event loop is not installed.
    """
    if is_patched(AutoBackend):
        return CallerBackend(AutoBackend())
    backend = detect_backend()
    return RuntimeBackendAdapter(backend) if is_patched(type(backend)) else backend


def adapt_async_stream(stream: AsyncNetworkStream) -> BackendStream:
    """Return a stream of the async API for the transport, adapted unless it is a `BackendStream`."""
    return stream if isinstance(stream, BackendStream) else CallerStream(stream)


def adapt_sync_stream(stream: NetworkStream) -> BackendStream:
    """Return a stream of the sync API for the transport: its async counterpart, or an adapter of a caller's stream."""
    if isinstance(stream, SyncStream) and isinstance(stream.inner, BackendStream):
        return stream.inner
    return CallerSyncStream(stream)


class CallerRuntime(Runtime):
    """The runtime of a caller's own backend: the event loop that happens to run it."""

    __slots__ = ()

    def now(self) -> float:
        return time.monotonic()

    def token(self) -> object:
        found = running_loop()
        return None if found is None else found[1]

    def is_running(self, token: object) -> bool:
        # Its streams are closed by its own methods, in any loop: none has to be protected.
        return False

    def create_waiter(self) -> Waiter:
        return detect_backend().runtime.create_waiter()

    async def sleep(self, seconds: float) -> None:
        await detect_backend().runtime.sleep(seconds)

    async def shielded(self, call: Callable[[], Awaitable[T]]) -> T:
        try:
            runtime = detect_backend().runtime
        except (ImportError, RuntimeError):
            return await call()  # a loop that has no backend here: it gets no shield
        return await runtime.shielded(call)

    async def interruptible(
        self,
        work: Coroutine[Any, Any, object],
        interrupt: Callable[[], Coroutine[Any, Any, bool]] | None,
        timeout: float | None,
    ) -> bool:
        try:
            runtime = detect_backend().runtime
        except (ImportError, RuntimeError):
            return await super().interruptible(work, interrupt, timeout)
        return await runtime.interruptible(work, interrupt, timeout)


_RUNTIME = CallerRuntime()


class CallerStream(BackendStream):
    """Adapts a caller's own stream, whose methods may be sync or async."""

    close_pending = False

    def __init__(self, stream: AsyncNetworkStream | NetworkStream) -> None:
        self.inner: Any = stream
        self._is_aborted = False

    @property
    def runtime(self) -> Runtime:
        return _RUNTIME

    @property
    def unwrapped(self) -> AsyncNetworkStream | NetworkStream:
        stream: AsyncNetworkStream | NetworkStream = self.inner
        return stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._is_aborted:
            raise ReadError(CLOSED_HERE)
        return await result_of(self.inner.read(max_bytes, timeout=timeout))

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if self._is_aborted:
            raise WriteError(CLOSED_HERE)
        await result_of(self.inner.write(buffer, timeout=timeout))

    def abort(self) -> None:
        if not self._is_aborted:
            self._is_aborted = True
            self.close_pending = True

    async def wait_closed(self) -> None:
        if self.close_pending:
            self.close_pending = False
            await _RUNTIME.shielded(self.inner.aclose)

    async def aclose(self) -> None:
        self.abort()
        await self.wait_closed()

    def read_nowait(self, max_bytes: int) -> bytes | None:
        # The bytes can't be read without waiting. The pool needs to know only whether there are any.
        if self._is_aborted or self.inner.get_extra_info("is_readable"):
            return b""
        return None

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> BackendStream:
        encrypted = self.inner.start_tls(
            ssl_context=ssl_context, server_hostname=server_hostname, timeout=timeout
        )
        return self._adapt(await result_of(encrypted))

    def get_extra_info(self, info: str) -> Any:
        return self.inner.get_extra_info(info)

    def _adapt(self, stream: Any) -> BackendStream:
        return adapt_async_stream(stream)


class CallerSyncStream(CallerStream):
    """Adapts a caller's own stream of the sync API."""

    @property
    def runtime(self) -> Runtime:
        return THREADS.runtime

    def abort(self) -> None:
        if self._is_aborted:
            return
        self._is_aborted = True
        try:
            # Another thread may be using it. The caller's class decides when its descriptor is closed.
            self.inner.close()
        except Exception:
            # The clean-up that closes it must go on.
            import logging

            logger = logging.getLogger(f"{PREFIX}httpcore2.connection")
            logger.warning("%r could not be closed", self.inner, exc_info=True)

    def _adapt(self, stream: Any) -> BackendStream:
        return adapt_sync_stream(stream)


class CallerBackend(DelegatingBackend[BackendStream], RuntimeBackend):
    """Adapts a caller's own backend, whose methods may be sync or async."""

    runtime: Runtime = _RUNTIME

    def __init__(self, backend: AsyncNetworkBackend | NetworkBackend) -> None:
        self._backend = backend

    def _delegate(self) -> AsyncNetworkBackend | NetworkBackend:
        return self._backend

    def _adapt(self, stream: Any) -> BackendStream:
        return adapt_async_stream(stream)

    @property
    def has_udp(self) -> bool:
        return opens_datagrams(self._delegate())

    async def connect_udp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> DatagramStream:
        backend: Any = self._delegate()
        if not opens_datagrams(backend):
            raise no_udp(backend)
        stream = await result_of(
            backend.connect_udp(
                host=host,
                port=port,
                timeout=timeout,
                local_address=local_address,
                socket_options=socket_options,
            )
        )
        adapted: DatagramStream = stream.inner if isinstance(stream, SyncDatagramStream) else stream
        return adapted

    async def resolve_ipv4(self, host: str, timeout: float | None = None) -> str:
        return await self._resolving_backend().resolve_ipv4(host, timeout)

    async def _resolve_by_system(
        self, host: str, port: int, timeout: float | None
    ) -> Sequence[str]:
        return await self._resolving_backend().resolve(host, port, timeout)

    def _resolving_backend(self) -> RuntimeBackend:
        return detect_backend()


class RuntimeBackendAdapter(CallerBackend):
    """Adapts a backend that has a runtime, and may all the same open streams of a caller's own class."""

    def __init__(self, backend: RuntimeBackend) -> None:
        super().__init__(backend)
        self._backend: RuntimeBackend = backend
        self.runtime = backend.runtime

    async def connect_to(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
        *,
        resolver: AsyncResolver | None = None,
    ) -> BackendStream:
        stream = await self._backend.connect_to(
            host, port, timeout, local_address, socket_options, resolver=resolver
        )
        return self._adapt(stream)

    def _resolving_backend(self) -> RuntimeBackend:
        return self._backend


class CallerSyncBackend(CallerBackend):
    """Adapts a caller's own backend of the sync API."""

    runtime = THREADS.runtime

    def _adapt(self, stream: Any) -> BackendStream:
        return adapt_sync_stream(stream)

    def _resolving_backend(self) -> RuntimeBackend:
        return THREADS


class SyncDefaultBackend(CallerSyncBackend):
    """The backend of sync pools that are given none: that for threads, or `SyncBackend` if it was patched."""

    def __init__(self) -> None:
        super().__init__(THREADS)

    def _delegate(self) -> AsyncNetworkBackend | NetworkBackend:
        return SyncBackend() if is_patched(SyncBackend) else THREADS

    async def connect_udp_to(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
        *,
        resolver: AsyncResolver | None = None,
    ) -> DatagramStream:
        connect = super().connect_udp_to if is_patched(SyncBackend) else THREADS.connect_udp_to
        return await connect(host, port, timeout, local_address, socket_options, resolver=resolver)

    async def connect_to(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
        *,
        resolver: AsyncResolver | None = None,
    ) -> BackendStream:
        # The methods of `SyncBackend` are called if they were patched.
        connect = super().connect_to if is_patched(SyncBackend) else THREADS.connect_to
        return await connect(host, port, timeout, local_address, socket_options, resolver=resolver)

    def _adapt(self, stream: Any) -> BackendStream:
        return stream if isinstance(stream, BackendStream) else adapt_sync_stream(stream)


_SYNC_DEFAULT = SyncDefaultBackend()
