"""Where the synchronous network interface meets the transport's coroutines, in both directions.

`SyncBackend` and `SyncStream` show the backend for threads to callers. `BlockingBackend` and
`BlockingStream` let a caller's own `NetworkBackend` carry the transport.
Must not know: sockets, HTTP, the pool.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .._distributions import PREFIX
from .adapters import CallerBackend, CallerStream, public_stream
from .detection import is_patched
from .interfaces import (
    SOCKET_OPTION,
    AsyncNetworkBackend,
    AsyncNetworkStream,
    BackendStream,
    NetworkBackend,
    NetworkStream,
    RuntimeBackend,
)
from .runtime import Runtime, run_blocking
from .threads import ThreadBackend

if TYPE_CHECKING:
    import ssl

_THREADS = ThreadBackend()


class SyncStream(NetworkStream):
    """A stream of the transport's, for threads."""

    def __init__(self, stream: AsyncNetworkStream) -> None:
        """Take a stream whose coroutines block."""
        self.inner = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return run_blocking(self.inner.read(max_bytes, timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        run_blocking(self.inner.write(buffer, timeout))

    def close(self) -> None:
        run_blocking(self.inner.aclose())

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> NetworkStream:
        return public_sync_stream(
            run_blocking(self.inner.start_tls(ssl_context, server_hostname, timeout))
        )

    def get_extra_info(self, info: str) -> Any:
        return self.inner.get_extra_info(info)


class BackendFace(NetworkBackend):
    """A backend for threads made of one whose coroutines block."""

    def __init__(self, counterpart: AsyncNetworkBackend) -> None:
        self._counterpart = counterpart

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> NetworkStream:
        dial = self._counterpart.connect_tcp(host, port, timeout, local_address, socket_options)
        return SyncStream(run_blocking(dial))

    def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> NetworkStream:
        dial = self._counterpart.connect_unix_socket(path, timeout, socket_options)
        return SyncStream(run_blocking(dial))

    def sleep(self, seconds: float) -> None:
        run_blocking(self._counterpart.sleep(seconds))


class SyncBackend(BackendFace):
    """Opens connections for threads."""

    def __init__(self) -> None:
        super().__init__(_THREADS)


class BlockingStream(CallerStream):
    """A caller's own synchronous stream, for the transport."""

    @property
    def runtime(self) -> Runtime:
        return _THREADS.runtime

    def abort(self) -> None:
        if self._is_aborted:
            return
        self._is_aborted = True
        try:
            # Another thread may be using it. When its descriptor is closed is the caller's to decide.
            self.inner.close()
        except Exception:
            # It is closed in the middle of other things, which must not fail because of it.
            import logging

            logger = logging.getLogger(f"{PREFIX}httpcore2.connection")
            logger.warning("%r could not be closed", self.inner, exc_info=True)

    @staticmethod
    def _adapt(stream: NetworkStream) -> BackendStream:
        return adapt_stream(stream)


class BlockingBackend(CallerBackend):
    """A caller's own synchronous backend, for the transport."""

    runtime = _THREADS.runtime

    @staticmethod
    def _adapt(stream: NetworkStream) -> BackendStream:
        return adapt_stream(stream)

    async def resolve_ipv4(self, host: str, timeout: float | None = None) -> str:
        return await _THREADS.resolve_ipv4(host, timeout)


class DefaultBackend(RuntimeBackend):
    """Opens the connections of pools that were given no backend: with `SyncBackend`, if that was patched."""

    runtime = _THREADS.runtime

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        return await _dialler().connect_tcp(host, port, timeout, local_address, socket_options)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        return await _dialler().connect_unix_socket(path, timeout, socket_options)

    async def resolve_ipv4(self, host: str, timeout: float | None = None) -> str:
        return await _THREADS.resolve_ipv4(host, timeout)


def _dialler() -> RuntimeBackend:
    return BlockingBackend(SyncBackend()) if is_patched(SyncBackend) else _THREADS


_DEFAULT = DefaultBackend()


def adapt_backend(backend: NetworkBackend | None) -> RuntimeBackend:
    """Return what carries the transport over `backend`.

    For `None` and for our own that is the backend for threads. A class of the caller's that
    is derived from ours may do something of its own.
    """
    if backend is None or type(backend) is SyncBackend:
        return _DEFAULT
    return BlockingBackend(backend)


def adapt_stream(stream: NetworkStream) -> BackendStream:
    """Return what carries the transport over `stream`."""
    if isinstance(stream, SyncStream) and isinstance(stream.inner, BackendStream):
        return stream.inner
    return BlockingStream(stream)


def public_sync_stream(stream: AsyncNetworkStream | NetworkStream) -> NetworkStream:
    """Return what the caller knows `stream` as."""
    shown = public_stream(stream)
    return shown if isinstance(shown, NetworkStream) else SyncStream(shown)
