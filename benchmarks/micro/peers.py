"""A network in memory, which responds to each request at once and takes almost no time."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable, Sequence
from struct import Struct
from typing import Any

import trustme
from qh3.h3.connection import H3Connection
from qh3.h3.events import HeadersReceived
from qh3.quic.configuration import QuicConfiguration
from qh3.quic.connection import QuicConnection
from qh3.quic.events import HandshakeCompleted

from httpcore2_core._net.backend_stream import BackendStream
from httpcore2_core._net.datagram_stream import DatagramStream
from httpcore2_core._net.errors import read_timeout
from httpcore2_core._net.network_interfaces import SOCKET_OPTION
from httpcore2_core._net.runtime_backend import RuntimeBackend
from httpcore2_core._net.thread_runtime import ThreadRuntime

BODY = bytes(1024)
ANSWER = (
    b"HTTP/1.1 200 OK\r\n"
    b"Server: nginx/1.22.1\r\n"
    b"Date: Sat, 21 Nov 2026 07:19:04 GMT\r\n"
    b"Content-Type: application/octet-stream\r\n"
    b"Content-Length: 1024\r\n"
    b"Last-Modified: Sat, 21 Nov 2026 07:19:04 GMT\r\n"
    b"Connection: keep-alive\r\n"
    b'ETag: "655c"\r\n'
    b"Accept-Ranges: bytes\r\n\r\n"
) + BODY

_FRAME = Struct(">BHBBL")
SETTINGS = b"\0\0\0\x04\0\0\0\0\0"
_SETTINGS_ACK = b"\0\0\0\x04\x01\0\0\0\0"
# :status 200, content-length: 1024, server: nginx; nothing is added to the dynamic table (RFC 7541, section 6.2.2).
_FIELDS = b"\x88\x0f\x0d\x041024\x0f\x27\x05nginx"


class Stream(BackendStream):
    """A stream that responds to each write with the same bytes."""

    runtime = ThreadRuntime()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return ANSWER

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        pass

    def abort(self) -> None:
        pass

    def read_nowait(self, max_bytes: int) -> bytes | None:
        return None


def http2_answer(stream_id: int) -> bytes:
    """Return the frames of a response."""
    return b"".join(
        (
            _FRAME.pack(0, len(_FIELDS), 1, 4, stream_id),
            _FIELDS,
            _FRAME.pack(0, len(BODY), 0, 1, stream_id),
            BODY,
        )
    )


class HTTP2Stream(Stream):
    """A stream that responds to each HEADERS frame."""

    is_resumable = True

    def __init__(self) -> None:
        self._pending = SETTINGS

    def write_nowait(self, buffer: bytes) -> int:
        position = 24 if buffer.startswith(b"PRI") else 0
        while position < len(buffer):
            high, low, kind, flags, stream_id = _FRAME.unpack_from(buffer, position)
            position += 9 + (high << 16 | low)
            if kind == 1:
                self._pending += http2_answer(stream_id)
            elif kind == 4 and not flags:
                self._pending += _SETTINGS_ACK
        return len(buffer)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data, self._pending = self._pending, b""
        assert data, "nothing was asked for"
        return data

    def read_nowait(self, max_bytes: int) -> bytes | None:
        data, self._pending = self._pending, b""
        return data or None


class SilentListener:
    """A session for a codec that is run by itself."""

    def on_interim(self, stream: object, status: int, headers: object) -> None:
        pass

    def on_head(self, stream: object) -> None:
        pass

    def on_data(self, stream: object) -> None:
        pass

    def on_end(self, stream: object) -> None:
        pass

    def on_reset(self, stream: object, code: int) -> None:
        pass

    def on_stream_error(self, stream: object, reason: str) -> None:
        pass

    def on_window(self, stream: object) -> None:
        pass

    def on_settings(self, settings: object) -> None:
        pass

    def on_goaway(self, last_stream_id: int, code: int, debug_data: bytes) -> None:
        pass


class Backend(RuntimeBackend):
    """A backend whose streams are of one class."""

    runtime = Stream.runtime

    def __init__(self, kind: type[Stream]) -> None:
        self._kind = kind

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> Stream:
        return self._kind()


class SteadyRuntime(ThreadRuntime):
    """The runtime for threads with a clock that each look moves by 10 µs, so that QUIC's timers run alike each time."""

    def __init__(self) -> None:
        super().__init__()
        self._time = 0.0

    def now(self) -> float:
        self._time += 0.00001
        return self._time


class HTTP3Datagrams(DatagramStream):
    """Datagrams to a server of qh3, which responds to each HEADERS frame."""

    runtime = SteadyRuntime()

    def __init__(self, certificate: bytes) -> None:
        self._configuration = QuicConfiguration(
            is_client=False,
            alpn_protocols=["h3"],
            max_datagram_frame_size=65536,  # without it clients refuse the SETTINGS of qh3
        )
        self._configuration.load_cert_chain(certificate, certificate)
        self._quic: QuicConnection | None = None
        self._h3: H3Connection | None = None
        self._pending: list[bytes] = []

    def send(self, datagrams: Sequence[bytes]) -> int:
        now = self.runtime.now()
        quic = self._quic
        if quic is None:
            # The destination's connection ID of a long header (RFC 9000, section 17.2).
            identifier = datagrams[0][6 : 6 + datagrams[0][5]]
            quic = self._quic = QuicConnection(
                configuration=self._configuration, original_destination_connection_id=identifier
            )
        for datagram in datagrams:
            quic.receive_datagram(datagram, _CLIENT, now)
        while (event := quic.next_event()) is not None:
            if isinstance(event, HandshakeCompleted):
                self._h3 = H3Connection(quic)
            if self._h3 is not None:
                for frame in self._h3.handle_event(event):
                    if isinstance(frame, HeadersReceived):
                        self._h3.send_headers(frame.stream_id, _HTTP3_FIELDS)
                        self._h3.send_data(frame.stream_id, BODY, True)
        self._pending += [data for data, _ in quic.datagrams_to_send(now)]
        return len(datagrams)

    async def receive(self, timeout: float | None = None) -> list[bytes]:
        received = self.receive_nowait()
        if not received:
            raise read_timeout(timeout)
        return received

    def receive_nowait(self) -> list[bytes]:
        received, self._pending = self._pending, []
        return received

    def abort(self) -> None:
        pass

    def get_extra_info(self, info: str) -> Any:
        return None


_CLIENT = ("127.0.0.1", 40000)
_HTTP3_FIELDS = [(b":status", b"200"), (b"content-length", b"1024"), (b"server", b"nginx")]


class DatagramBackend(Backend):
    """A backend for HTTP/3, and the TLS context that trusts its server."""

    runtime = HTTP3Datagrams.runtime

    def __init__(self) -> None:
        super().__init__(Stream)
        authority = trustme.CA()
        self._certificate = authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.bytes()
        self.ssl_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        authority.configure_trust(self.ssl_context)

    async def connect_udp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> HTTP3Datagrams:
        return HTTP3Datagrams(self._certificate)


class Transport:
    """A transport of asyncio that responds in the next iteration of the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: Any) -> None:
        self._loop = loop
        self._protocol = protocol

    def write(self, data: bytes) -> None:
        self._loop.call_soon(self._answer)

    def _answer(self) -> None:
        buffer = self._protocol.get_buffer(-1)
        buffer[: len(ANSWER)] = ANSWER
        self._protocol.buffer_updated(len(ANSWER))

    def set_write_buffer_limits(self, high: int) -> None:
        pass

    def is_closing(self) -> bool:
        return False
