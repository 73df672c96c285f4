"""Backends that record the bytes that pass through the connections of another backend.

Rules: no coroutine suspends by itself, so that the backend for threads is an adapter of the async one.
Must not know: sockets, HTTP.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .._net.network_adapters import adapt_sync_backend
from .._net.network_interfaces import (
    SOCKET_OPTION,
    AsyncNetworkBackend,
    AsyncNetworkStream,
    NetworkBackend,
)
from .._net.sync_backend import SyncBackendAdapter

if TYPE_CHECKING:
    import ssl


@dataclass
class Recording:
    """The bytes that passed through one connection.

    Args:
        address: the host and the port, or the path of a unix socket.
        server_hostname: the server name of the TLS handshake, `None` where there was no handshake.
        sent: the bytes that were written, before TLS is applied.
        received: the bytes that were read, after TLS is removed.
        is_closed: whether this side has closed the connection.

    Example:
        A backend makes one recording for each connection.

        ```python
        import httpcore2
        from httpcore2_core.testing import RecordingBackend, Script, ScriptedBackend, reply

        backend = RecordingBackend(ScriptedBackend(Script(reply(200))))
        with httpcore2.ConnectionPool(network_backend=backend) as http:
            http.request("GET", "https://www.example.com/")
        recording = backend.recordings[0]
        assert recording.address == ("www.example.com", 443)
        assert recording.received.startswith(b"HTTP/1.1 200 OK")
        ```
    """

    address: tuple[str, int] | str
    server_hostname: str | None = None
    sent: bytearray = field(default_factory=bytearray)
    received: bytearray = field(default_factory=bytearray)
    is_closed: bool = False


class _RecordingStream(AsyncNetworkStream):
    def __init__(self, stream: AsyncNetworkStream, recording: Recording) -> None:
        self._stream = stream
        self._recording = recording

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data = await self._stream.read(max_bytes, timeout)
        self._recording.received += data
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._recording.sent += buffer
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        self._recording.is_closed = True
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> AsyncNetworkStream:
        self._recording.server_hostname = server_hostname
        inside = await self._stream.start_tls(ssl_context, server_hostname, timeout)
        return _RecordingStream(inside, self._recording)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class AsyncRecordingBackend(AsyncNetworkBackend):
    """A backend that connects by another backend, and records the bytes of each connection.

    Args:
        backend: the backend that connects: a real one, a mock, or a scripted one.

    Attributes:
        recordings: one `Recording` for each connection, in the order in which they were opened.

    Example:
        This records a request to a scripted server.

        ```python
        import asyncio

        import httpcore2
        from httpcore2_core.testing import (
            AsyncRecordingBackend,
            AsyncScriptedBackend,
            Script,
            reply,
        )


        async def main():
            backend = AsyncRecordingBackend(AsyncScriptedBackend(Script(reply(200))))
            async with httpcore2.AsyncConnectionPool(network_backend=backend) as http:
                await http.request("GET", "http://example.com/")
            assert backend.recordings[0].sent.startswith(b"GET / HTTP/1.1")


        asyncio.run(main())
        ```
    """

    def __init__(self, backend: AsyncNetworkBackend) -> None:
        self._backend = backend
        self.recordings: list[Recording] = []

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        stream = await self._backend.connect_tcp(
            host=host,
            port=port,
            timeout=timeout,
            local_address=local_address,
            socket_options=socket_options,
        )
        return self._record(stream, (host, port))

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        stream = await self._backend.connect_unix_socket(
            path=path, timeout=timeout, socket_options=socket_options
        )
        return self._record(stream, path)

    def _record(
        self, stream: AsyncNetworkStream, address: tuple[str, int] | str
    ) -> AsyncNetworkStream:
        recording = Recording(address)
        self.recordings.append(recording)
        return _RecordingStream(stream, recording)

    async def sleep(self, seconds: float) -> None:
        await self._backend.sleep(seconds)


class RecordingBackend(SyncBackendAdapter):
    """A backend for threads that connects by another backend, and records the bytes of each connection.

    Args:
        backend: the backend that connects: a real one, a mock, or a scripted one.

    Attributes:
        recordings: one `Recording` for each connection, in the order in which they were opened.

    Example:
        This records a request to a scripted server.

        ```python
        import httpcore2
        from httpcore2_core.testing import RecordingBackend, Script, ScriptedBackend, reply

        backend = RecordingBackend(ScriptedBackend(Script(reply(200))))
        with httpcore2.ConnectionPool(network_backend=backend) as http:
            http.request("GET", "http://example.com/")
        assert backend.recordings[0].sent.startswith(b"GET / HTTP/1.1")
        ```
    """

    def __init__(self, backend: NetworkBackend) -> None:
        counterpart = AsyncRecordingBackend(adapt_sync_backend(backend))
        super().__init__(counterpart)
        self.recordings: list[Recording] = counterpart.recordings
