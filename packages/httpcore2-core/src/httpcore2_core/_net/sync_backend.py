"""The sync network interface over the transport's coroutines, for callers on threads.

Must not know: sockets, HTTP, the pool, callers' own streams and backends.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .backend_stream import BackendStream
from .coroutines import run_blocking
from .datagram_stream import SyncDatagramStream
from .network_interfaces import (
    SOCKET_OPTION,
    AsyncNetworkBackend,
    AsyncNetworkStream,
    NetworkBackend,
    NetworkStream,
)
from .thread_backend import ThreadBackend

if TYPE_CHECKING:
    import ssl


THREADS = ThreadBackend()


class SyncStream(NetworkStream):
    """The sync counterpart of a stream whose coroutines block."""

    def __init__(self, stream: AsyncNetworkStream) -> None:
        """Make the counterpart of `stream`."""
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


class SyncBackendAdapter(NetworkBackend):
    """The sync counterpart of a backend whose coroutines block."""

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


class DatagramBackend(SyncBackendAdapter):
    """The sync counterpart of the backend for threads.

    `connect_udp` is not a method of `SyncBackend` itself: where `connect_tcp` is replaced there, datagrams must not
    pass by the replacement.
    """

    def __init__(self) -> None:
        super().__init__(THREADS)

    def connect_udp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> SyncDatagramStream:
        """Open a stream of datagrams to and from a host, for HTTP/3.

        UDP has no connections: that the host can be reached shows when its first datagram comes back. If it has several
        addresses, the stream tries them one after the other (RFC 8305).

        Args:
            host: the name or the IP address.
            port: the port.
            timeout: the limit on resolving the name, in seconds; `None` is no limit.
            local_address: the address to send from, which also selects the address family. `None` and `""` are any.
            socket_options: arguments for `setsockopt`, which are applied before connecting.

        Returns:
            The stream.

        Raises:
            ConnectTimeout: the name was not resolved within `timeout`.
            ConnectError: the name was not resolved, or there is no route to any address.
        """
        opening = THREADS.connect_udp(host, port, timeout, local_address, socket_options)
        return SyncDatagramStream(run_blocking(opening))


class SyncBackend(DatagramBackend):
    """Opens connections for threads.

    A sync pool that is given no backend connects in the same way by itself. This class is for backends of your own that
    do something before they connect: derive from it, or call its methods. It may be shared by threads.

    Example:
        ```python
        import httpcore2

        class LoggingBackend(httpcore2.SyncBackend):
            def connect_tcp(self, host, port, **options):
                print(f"connecting to {host}:{port}")
                return super().connect_tcp(host, port, **options)
        ```
    """


def public_sync_stream(stream: AsyncNetworkStream | NetworkStream) -> NetworkStream:
    """Return a stream for callers of the sync API: their own stream, or the sync counterpart of a `BackendStream`."""
    unwrapped = stream.unwrapped if isinstance(stream, BackendStream) else stream
    return unwrapped if isinstance(unwrapped, NetworkStream) else SyncStream(unwrapped)
