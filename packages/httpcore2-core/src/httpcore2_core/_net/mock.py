"""Backends without a network, for tests: every connection reads the same bytes.

Must not know: HTTP, the pool.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .._exceptions import ReadError
from .network_interfaces import (
    SOCKET_OPTION,
    AsyncNetworkBackend,
    AsyncNetworkStream,
    NetworkBackend,
    NetworkStream,
)

if TYPE_CHECKING:
    import ssl


class _Replies:
    """The bytes that a mock stream reads, and whether it is closed."""

    def __init__(self, buffer: list[bytes], http2: bool) -> None:
        self._buffer = buffer
        self._http2 = http2
        self._is_closed = False

    def read(self) -> bytes:
        if self._is_closed:
            raise ReadError("Connection closed")
        return self._buffer.pop(0) if self._buffer else b""

    def close(self) -> None:
        self._is_closed = True

    def extra_info(self, info: str) -> Any:
        return MockSSLObject(self._http2) if info == "ssl_object" else None


class MockSSLObject:
    """Stands for the `ssl.SSLObject` of a mock stream, with the protocol that ALPN selected."""

    def __init__(self, http2: bool) -> None:
        self._http2 = http2

    def selected_alpn_protocol(self) -> str:
        return "h2" if self._http2 else "http/1.1"


class MockStream(NetworkStream):
    """A stream without a network for threads. It reads given bytes, and ignores the bytes that are written.

    Args:
        buffer: the results of the reads, in order. Further reads return `b""`, the end of the stream.
        http2: whether a TLS handshake selects HTTP/2 by ALPN.

    Example:
        The third read is at the end of the stream.

        ```python
        import httpcore2

        stream = httpcore2.MockStream([b"first", b"second"])
        print(stream.read(100), stream.read(100), stream.read(100))
        ```
    """

    def __init__(self, buffer: list[bytes], http2: bool = False) -> None:
        self._replies = _Replies(buffer, http2)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._replies.read()

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        pass

    def close(self) -> None:
        self._replies.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> NetworkStream:
        return self

    def get_extra_info(self, info: str) -> Any:
        return self._replies.extra_info(info)

    def __repr__(self) -> str:
        return "<httpcore2.MockStream>"


class MockBackend(NetworkBackend):
    r"""A backend without a network for threads. Each of its connections reads the same bytes.

    Args:
        buffer: the results of the reads of each connection, in order. Further reads return `b""`.
        http2: whether TLS handshakes select HTTP/2 by ALPN.

    Example:
        The response does not depend on the request.

        ```python
        import httpcore2

        backend = httpcore2.MockBackend([b"HTTP/1.1 200 OK\r\n", b"Content-Length: 2\r\n\r\n", b"ok"])
        with httpcore2.ConnectionPool(network_backend=backend) as http:
            response = http.request("GET", "https://www.example.com/")
        print(response.content)
        ```
    """

    def __init__(self, buffer: list[bytes], http2: bool = False) -> None:
        self._buffer = buffer
        self._http2 = http2

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> NetworkStream:
        return MockStream(list(self._buffer), self._http2)

    def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> NetworkStream:
        return MockStream(list(self._buffer), self._http2)

    def sleep(self, seconds: float) -> None:
        pass


class AsyncMockStream(AsyncNetworkStream):
    """A stream without a network for event loops. It reads given bytes, and ignores the bytes that are written.

    Args:
        buffer: the results of the reads, in order. Further reads return `b""`, the end of the stream.
        http2: whether a TLS handshake selects HTTP/2 by ALPN.

    Example:
        The third read is at the end of the stream.

        ```python
        import asyncio

        import httpcore2


        async def main():
            stream = httpcore2.AsyncMockStream([b"first", b"second"])
            print(await stream.read(100), await stream.read(100), await stream.read(100))


        asyncio.run(main())
        ```
    """

    def __init__(self, buffer: list[bytes], http2: bool = False) -> None:
        self._replies = _Replies(buffer, http2)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._replies.read()

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        pass

    async def aclose(self) -> None:
        self._replies.close()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> AsyncNetworkStream:
        return self

    def get_extra_info(self, info: str) -> Any:
        return self._replies.extra_info(info)

    def __repr__(self) -> str:
        return "<httpcore2.AsyncMockStream>"


class AsyncMockBackend(AsyncNetworkBackend):
    r"""A backend without a network for event loops. Each of its connections reads the same bytes.

    Args:
        buffer: the results of the reads of each connection, in order. Further reads return `b""`.
        http2: whether TLS handshakes select HTTP/2 by ALPN.

    Example:
        The response does not depend on the request.

        ```python
        import asyncio

        import httpcore2


        async def main():
            backend = httpcore2.AsyncMockBackend([b"HTTP/1.1 200 OK\r\n", b"Content-Length: 2\r\n\r\n", b"ok"])
            async with httpcore2.AsyncConnectionPool(network_backend=backend) as http:
                response = await http.request("GET", "https://www.example.com/")
            print(response.content)


        asyncio.run(main())
        ```
    """

    def __init__(self, buffer: list[bytes], http2: bool = False) -> None:
        self._buffer = buffer
        self._http2 = http2

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        return self._open()

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        return self._open()

    def _open(self) -> AsyncNetworkStream:
        return AsyncMockStream(list(self._buffer), self._http2)

    async def sleep(self, seconds: float) -> None:
        pass
