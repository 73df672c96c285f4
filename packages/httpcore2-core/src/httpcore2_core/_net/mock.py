"""Backends without a network, for tests: every connection reads the same scripted bytes."""

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


class _Script:
    """What a mock stream reads, and whether it was closed."""

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
    """Says which protocol the mock's handshake agreed on."""

    def __init__(self, http2: bool) -> None:
        self._http2 = http2

    def selected_alpn_protocol(self) -> str:
        return "h2" if self._http2 else "http/1.1"


class MockStream(NetworkStream):
    """Reads the pieces of `buffer` one after the other, then the end; takes whatever is written."""

    def __init__(self, buffer: list[bytes], http2: bool = False) -> None:
        """Take the pieces to read; `http2` tells which protocol TLS seems to have agreed on."""
        self._script = _Script(buffer, http2)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._script.read()

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        pass

    def close(self) -> None:
        self._script.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> NetworkStream:
        return self

    def get_extra_info(self, info: str) -> Any:
        return self._script.extra_info(info)

    def __repr__(self) -> str:
        return "<httpcore2.MockStream>"


class MockBackend(NetworkBackend):
    """Gives each connection a `MockStream` with a copy of `buffer`."""

    def __init__(self, buffer: list[bytes], http2: bool = False) -> None:
        """Take the pieces to read; `http2` tells which protocol TLS seems to agree on."""
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
    """Reads the pieces of `buffer` one after the other, then the end; takes whatever is written."""

    def __init__(self, buffer: list[bytes], http2: bool = False) -> None:
        """Take the pieces to read; `http2` tells which protocol TLS seems to have agreed on."""
        self._script = _Script(buffer, http2)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._script.read()

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        pass

    async def aclose(self) -> None:
        self._script.close()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> AsyncNetworkStream:
        return self

    def get_extra_info(self, info: str) -> Any:
        return self._script.extra_info(info)

    def __repr__(self) -> str:
        return "<httpcore2.AsyncMockStream>"


class AsyncMockBackend(AsyncNetworkBackend):
    """Gives each connection an `AsyncMockStream` with a copy of `buffer`."""

    def __init__(self, buffer: list[bytes], http2: bool = False) -> None:
        """Take the pieces to read; `http2` tells which protocol TLS seems to agree on."""
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
