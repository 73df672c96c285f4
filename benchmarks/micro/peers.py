"""A network in memory, which responds to each request at once and takes almost no time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from struct import Struct
from typing import Any

from httpcore2_core._net.backend_stream import BackendStream
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
