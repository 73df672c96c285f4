"""The public interfaces between HTTP and the network: streams, and the backends that open them.

Callers may implement them: `NetworkStream` and `NetworkBackend` for threads, `AsyncNetworkStream` and
`AsyncNetworkBackend` for event loops.
Must not know: sockets, HTTP, the pool, how the transport uses a stream.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl


SOCKET_OPTION = (
    tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]
)


class NetworkStream:
    """A connected byte stream for threads."""

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return from 1 to `max_bytes` bytes, or `b""` at the end of the stream.

        Args:
            max_bytes: the most bytes to return.
            timeout: seconds to wait for the first byte; `None` waits for ever.

        Raises:
            ReadTimeout: nothing came within `timeout`.
            ReadError: the connection broke, or was closed on this side.
        """
        raise NotImplementedError

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of `buffer`.

        Args:
            buffer: the bytes to send.
            timeout: seconds in which the operating system must take all of it; `None` waits for ever.

        Raises:
            WriteTimeout: it was not taken within `timeout`; part of it may have been sent.
            WriteError: the connection broke, or was closed on this side.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Close the connection. May be called more than once."""
        raise NotImplementedError

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> NetworkStream:
        """Do a TLS handshake as the client and return the encrypted stream, to be used instead.

        Args:
            ssl_context: certificates, versions and ALPN protocols.
            server_hostname: the name for SNI and verification.
            timeout: seconds for the whole handshake; `None` waits for ever.

        Raises:
            ConnectTimeout: it took longer.
            ConnectError: it failed, the certificate is not trusted, or the connection broke.
        """
        raise NotImplementedError

    def get_extra_info(self, info: str) -> Any:
        """Return what is known of the connection, or `None`.

        Args:
            info: `"client_addr"`, `"server_addr"`, `"socket"`, `"ssl_object"`, or `"is_readable"`:
                whether a read would return at once, as it does where an idle connection was closed.
        """
        return None


class NetworkBackend:
    """Opens connections for threads."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> NetworkStream:
        """Connect to `host`:`port` over TCP.

        Args:
            host: a name or an IP address.
            port: the TCP port.
            timeout: seconds for name resolution and connecting together; `None` waits for ever.
            local_address: the address to connect from; also selects the address family. An empty one is any.
            socket_options: arguments of `setsockopt`, applied before connecting.

        Raises:
            ConnectTimeout: it took longer.
            ConnectError: the name did not resolve, or no address took the connection.
        """
        raise NotImplementedError

    def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> NetworkStream:
        """Connect to the unix domain socket at `path`; otherwise as `connect_tcp`."""
        raise NotImplementedError

    def sleep(self, seconds: float) -> None:
        """Block the calling thread for `seconds`."""
        time.sleep(seconds)


class AsyncNetworkStream:
    """A connected byte stream for event loops."""

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return from 1 to `max_bytes` bytes, or `b""` at the end; see `NetworkStream.read`."""
        raise NotImplementedError

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of `buffer`; see `NetworkStream.write`."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Close the connection. May be called more than once."""
        raise NotImplementedError

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> AsyncNetworkStream:
        """Do a TLS handshake and return the encrypted stream; see `NetworkStream.start_tls`."""
        raise NotImplementedError

    def get_extra_info(self, info: str) -> Any:
        """Return what is known of the connection, or `None`; see `NetworkStream.get_extra_info`."""
        return None


class AsyncNetworkBackend:
    """Opens connections for event loops."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        """Connect to `host`:`port` over TCP; see `NetworkBackend.connect_tcp`."""
        raise NotImplementedError

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        """Connect to the unix domain socket at `path`; see `NetworkBackend.connect_unix_socket`."""
        raise NotImplementedError

    async def sleep(self, seconds: float) -> None:
        """Let other tasks run for `seconds`."""
        raise NotImplementedError
