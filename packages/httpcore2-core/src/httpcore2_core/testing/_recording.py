"""Backends that note what goes through the connections of another backend.

Must not know: HTTP, which network carries the bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .._backends.sync import BackendFace, adapt_backend
from .._network import SOCKET_OPTION, AsyncNetworkBackend, AsyncNetworkStream, NetworkBackend

if TYPE_CHECKING:
    import ssl


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
