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
    r"""Base class of byte streams for threads: a connection over TCP or a unix socket, encrypted or not.

    A custom backend returns streams of a derived class. `httpcore2_core.testing` has checks for them.

    Example:
        A stream is used without HTTP, for example after an upgrade.

        ```python
        import httpcore2

        stream = httpcore2.SyncBackend().connect_tcp("www.example.com", 80, timeout=5.0)
        stream.write(b"GET / HTTP/1.1\r\nHost: www.example.com\r\nConnection: close\r\n\r\n", timeout=5.0)
        print(stream.read(65536, timeout=5.0))
        stream.close()
        ```
    """

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read bytes. The call returns as soon as at least one byte is available.

        Args:
            max_bytes: the most bytes to return.
            timeout: the limit on the wait for the first byte, in seconds; `None` is no limit.

        Returns:
            From 1 to `max_bytes` bytes, or `b""` at the end of the stream.

        Raises:
            ReadTimeout: no byte arrived within `timeout`.
            ReadError: the connection failed, or was closed on this side.
        """
        raise NotImplementedError

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all bytes.

        Args:
            buffer: the bytes to write.
            timeout: the limit on the time until the operating system has accepted all bytes, in seconds; `None` is no
                limit.

        Raises:
            WriteTimeout: the system did not accept all bytes within `timeout`. It may have sent some of them.
            WriteError: the connection failed, or was closed on this side.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Close the connection. Further calls do nothing."""
        raise NotImplementedError

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> NetworkStream:
        """Do a TLS handshake as the client.

        The stream must not be used any more, also after an error, which closes it.

        Args:
            ssl_context: the context, with trust anchors, versions and ALPN protocols.
            server_hostname: the name for SNI and for the verification of the certificate.
            timeout: the limit on the whole handshake, in seconds; `None` is no limit.

        Returns:
            The encrypted stream, to be used instead of this one.

        Raises:
            ConnectTimeout: the handshake did not end within `timeout`.
            ConnectError: the handshake failed, the certificate was not accepted, or the connection failed.
        """
        raise NotImplementedError

    def get_extra_info(self, info: str) -> Any:
        """Return information on the connection.

        Args:
            info: `"client_addr"` and `"server_addr"` are the addresses of the two ends, `"socket"` is the socket,
                `"ssl_object"` is the `ssl.SSLObject` of an encrypted stream, and `"is_readable"` says whether a read
                returns at once. It does if the peer has closed an idle connection.

        Returns:
            The information, or `None` if the stream does not have it.
        """
        return None


class NetworkBackend:
    """Base class of network backends for threads, which open connections. A pool accepts one as `network_backend`.

    Example:
        This backend prints each connection that a pool opens.

        ```python
        import httpcore2


        class PrintingBackend(httpcore2.NetworkBackend):
            def __init__(self):
                self.backend = httpcore2.SyncBackend()

            def connect_tcp(self, host, port, **options):
                print(f"connecting to {host}:{port}")
                return self.backend.connect_tcp(host, port, **options)


        with httpcore2.ConnectionPool(network_backend=PrintingBackend()) as http:
            http.request("GET", "https://www.example.com/")
        ```
    """

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> NetworkStream:
        """Connect to a host over TCP.

        Args:
            host: the name or the IP address.
            port: the port.
            timeout: the limit on resolving the name and connecting, in seconds; `None` is no limit.
            local_address: the address to connect from, which also selects the address family. `None` and `""` are any.
            socket_options: arguments for `setsockopt`, which are applied before connecting.

        Returns:
            The stream.

        Raises:
            ConnectTimeout: the connection was not established within `timeout`.
            ConnectError: the name was not resolved, or no address accepted the connection.
        """
        raise NotImplementedError

    def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> NetworkStream:
        """Connect to a unix domain socket.

        Args:
            path: the path of the socket.
            timeout: the limit on connecting, in seconds; `None` is no limit.
            socket_options: arguments for `setsockopt`, which are applied before connecting.

        Returns:
            The stream.

        Raises:
            ConnectTimeout: the connection was not established within `timeout`.
            ConnectError: the socket does not exist, or did not accept the connection.
        """
        raise NotImplementedError

    def sleep(self, seconds: float) -> None:
        """Block the calling thread.

        Args:
            seconds: the time to wait, in seconds.
        """
        time.sleep(seconds)


class AsyncNetworkStream:
    r"""Base class of byte streams for event loops: a connection over TCP or a unix socket, encrypted or not.

    A custom backend returns streams of a derived class. `httpcore2_core.testing` has checks for them.

    Example:
        A stream is used without HTTP, for example after an upgrade.

        ```python
        import asyncio

        import httpcore2


        async def main():
            stream = await httpcore2.AsyncIOBackend().connect_tcp("www.example.com", 80, timeout=5.0)
            request = b"GET / HTTP/1.1\r\nHost: www.example.com\r\nConnection: close\r\n\r\n"
            await stream.write(request, timeout=5.0)
            print(await stream.read(65536, timeout=5.0))
            await stream.aclose()


        asyncio.run(main())
        ```
    """

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read bytes. The call returns as soon as at least one byte is available.

        Args:
            max_bytes: the most bytes to return.
            timeout: the limit on the wait for the first byte, in seconds; `None` is no limit.

        Returns:
            From 1 to `max_bytes` bytes, or `b""` at the end of the stream.

        Raises:
            ReadTimeout: no byte arrived within `timeout`.
            ReadError: the connection failed, or was closed on this side.
        """
        raise NotImplementedError

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all bytes.

        Args:
            buffer: the bytes to write.
            timeout: the limit on the time until the operating system has accepted all bytes, in seconds; `None` is no
                limit.

        Raises:
            WriteTimeout: the system did not accept all bytes within `timeout`. It may have sent some of them.
            WriteError: the connection failed, or was closed on this side.
        """
        raise NotImplementedError

    async def aclose(self) -> None:
        """Close the connection. Further calls do nothing."""
        raise NotImplementedError

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> AsyncNetworkStream:
        """Do a TLS handshake as the client.

        The stream must not be used any more, also after an error, which closes it.

        Args:
            ssl_context: the context, with trust anchors, versions and ALPN protocols.
            server_hostname: the name for SNI and for the verification of the certificate.
            timeout: the limit on the whole handshake, in seconds; `None` is no limit.

        Returns:
            The encrypted stream, to be used instead of this one.

        Raises:
            ConnectTimeout: the handshake did not end within `timeout`.
            ConnectError: the handshake failed, the certificate was not accepted, or the connection failed.
        """
        raise NotImplementedError

    def get_extra_info(self, info: str) -> Any:
        """Return information on the connection.

        Args:
            info: `"client_addr"` and `"server_addr"` are the addresses of the two ends, `"socket"` is the socket,
                `"ssl_object"` is the `ssl.SSLObject` of an encrypted stream, and `"is_readable"` says whether a read
                returns at once. It does if the peer has closed an idle connection.

        Returns:
            The information, or `None` if the stream does not have it.
        """
        return None


class AsyncNetworkBackend:
    """Base class of network backends for event loops, which open connections. A pool accepts one as `network_backend`.

    Example:
        This backend prints each connection that a pool opens.

        ```python
        import asyncio

        import httpcore2


        class PrintingBackend(httpcore2.AsyncNetworkBackend):
            def __init__(self):
                self.backend = httpcore2.AsyncIOBackend()

            async def connect_tcp(self, host, port, **options):
                print(f"connecting to {host}:{port}")
                return await self.backend.connect_tcp(host, port, **options)


        async def main():
            async with httpcore2.AsyncConnectionPool(network_backend=PrintingBackend()) as http:
                await http.request("GET", "https://www.example.com/")


        asyncio.run(main())
        ```
    """

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        """Connect to a host over TCP.

        Args:
            host: the name or the IP address.
            port: the port.
            timeout: the limit on resolving the name and connecting, in seconds; `None` is no limit.
            local_address: the address to connect from, which also selects the address family. `None` and `""` are any.
            socket_options: arguments for `setsockopt`, which are applied before connecting.

        Returns:
            The stream.

        Raises:
            ConnectTimeout: the connection was not established within `timeout`.
            ConnectError: the name was not resolved, or no address accepted the connection.
        """
        raise NotImplementedError

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        """Connect to a unix domain socket.

        Args:
            path: the path of the socket.
            timeout: the limit on connecting, in seconds; `None` is no limit.
            socket_options: arguments for `setsockopt`, which are applied before connecting.

        Returns:
            The stream.

        Raises:
            ConnectTimeout: the connection was not established within `timeout`.
            ConnectError: the socket does not exist, or did not accept the connection.
        """
        raise NotImplementedError

    async def sleep(self, seconds: float) -> None:
        """Suspend the calling task.

        Args:
            seconds: the time to wait, in seconds.
        """
        raise NotImplementedError
