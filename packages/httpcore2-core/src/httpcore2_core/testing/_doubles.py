"""Backends for tests: those whose connections lead to a script, and those that note what goes through another one.

Rules: no coroutine here suspends by itself, so that a backend for threads is a face of the other one.
Must not know: sockets, HTTP (the script does).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .._backends.mock import AsyncMockBackend, MockSSLObject
from .._backends.sync import BackendFace, adapt_backend
from .._exceptions import ReadError, WriteError
from .._network import SOCKET_OPTION, AsyncNetworkBackend, AsyncNetworkStream, NetworkBackend
from ._script import Script, ScriptedConnection

if TYPE_CHECKING:
    import ssl


class _ScriptedStream(AsyncNetworkStream):
    def __init__(self, script: Script) -> None:
        self._connection = ScriptedConnection(script)
        self._is_closed = False
        self._ssl_object: MockSSLObject | None = None

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._is_closed:
            raise ReadError("The connection was closed.")
        output = self._connection.output
        if not output:
            assert self._connection.is_ended, "The client waits for what the script does not send."
            return b""
        piece = output.popleft()
        if isinstance(piece, Exception):
            raise piece
        if len(piece) > max_bytes:
            output.appendleft(piece[max_bytes:])
        return piece[:max_bytes]

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if self._is_closed:
            raise WriteError("The connection was closed.")
        if buffer:
            self._connection.receive(bytes(buffer))

    async def aclose(self) -> None:
        self._is_closed = True

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> AsyncNetworkStream:
        self._ssl_object = MockSSLObject(http2=False)
        return self

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":
            return bool(self._connection.output) or self._connection.is_ended
        return self._ssl_object if info == "ssl_object" else None


class AsyncScriptedBackend(AsyncMockBackend):
    """Opens connections, to wherever, to a server that answers as a script says; speaks HTTP/1.1, "TLS" included."""

    def __init__(self, script: Script) -> None:
        """Take the script; all connections share it."""
        super().__init__([])
        self._script = script

    def _open(self) -> AsyncNetworkStream:
        return _ScriptedStream(self._script)


class ScriptedBackend(BackendFace):
    """`AsyncScriptedBackend` for threads."""

    def __init__(self, script: Script) -> None:
        """Take the script; all connections share it."""
        super().__init__(AsyncScriptedBackend(script))


@dataclass
class Recording:
    """What went through one connection.

    Attributes:
        address: host and port, or the path of a unix socket.
        server_hostname: the name of the TLS handshake, if there was one.
        sent: the bytes that were written, those before TLS and those within, in the clear.
        received: the bytes that were read.
        is_closed: whether it was closed on this side.
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
    """Opens connections with another backend, and notes what goes through them.

        backend = AsyncRecordingBackend(AsyncScriptedBackend(Script(reply(200))))
        async with AsyncConnectionPool(network_backend=backend) as http:
            await http.request("GET", "http://example.com/")
        assert backend.recordings[0].sent.startswith(b"GET / HTTP/1.1")

    Attributes:
        recordings: of each connection that was opened, in that order.
    """

    def __init__(self, backend: AsyncNetworkBackend) -> None:
        """Take the backend that opens the connections: a real one, or one of the mocks."""
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


class RecordingBackend(BackendFace):
    """`AsyncRecordingBackend` for threads.

    Attributes:
        recordings: of each connection that was opened, in that order.
    """

    def __init__(self, backend: NetworkBackend) -> None:
        """Take the backend that opens the connections: a real one, or one of the mocks."""
        twin = AsyncRecordingBackend(adapt_backend(backend))
        super().__init__(twin)
        self.recordings: list[Recording] = twin.recordings
