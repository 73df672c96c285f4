"""The floor: a client that sends fixed bytes and finds the end of the response, as fast as the event loop permits.

It has no timeouts, and parses the Content-Length only.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from threading import local
from typing import Any
from urllib.parse import urlsplit

from benchmarks.clients import AsyncClient, Client, Settings

_find_length = re.compile(rb"\r\ncontent-length: *+(\d++)", re.IGNORECASE).search


def create(settings: Settings, package: str) -> Client | AsyncClient:
    if settings.runtime == "threads":
        return _ThreadFloor(settings)
    if settings.runtime == "trio":
        return _TrioFloor(settings)
    return _AsyncioFloor(settings)


class _Shared:
    def __init__(self, settings: Settings) -> None:
        self._headers = settings.headers
        self._context: ssl.SSLContext | None = None
        if settings.authority is not None:
            self._context = ssl.create_default_context(cafile=settings.authority)
        self._requests: dict[str, tuple[bytes, str, int]] = {}

    def _request(self, url: str) -> tuple[bytes, str, int]:
        """Return the bytes to send, and the address."""
        request = self._requests.get(url)
        if request is None:
            parts = urlsplit(url)
            assert parts.hostname is not None and parts.port is not None, "both are in our URLs"
            fields = {"Host": parts.netloc, **self._headers}
            lines = [f"GET {parts.path} HTTP/1.1", *(f"{k}: {v}" for k, v in fields.items())]
            head = "\r\n".join([*lines, "", ""]).encode()
            request = self._requests[url] = (head, parts.hostname, parts.port)
        return request

    def _find_body(self, received: int, data: bytes) -> int:
        """Return the start of the body if the response is complete, otherwise 0.

        Args:
            received: the number of bytes received.
            data: the first of these bytes.
        """
        found = _find_length(data)
        if found is None:
            return 0
        begin = data.find(b"\r\n\r\n", found.end()) + 4
        return begin if received >= begin + int(found[1]) else 0


class _Protocol(asyncio.BufferedProtocol):
    _buffer = memoryview(
        bytearray(256 * 1024)
    )  # shared by all connections, since the bytes are copied out at once

    def __init__(self, floor: _AsyncioFloor) -> None:
        self.floor = floor
        self.waiter: asyncio.Future[tuple[int, bytes]] | None = None
        self.chunks_received: list[bytes] = []
        self.received = 0
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.chunks_received.append(bytes(self._buffer[:nbytes]))
        self.received += nbytes
        begin = self.floor._find_body(self.received, self.chunks_received[0])
        if begin and self.waiter is not None:
            data = (
                self.chunks_received[0]
                if len(self.chunks_received) == 1
                else b"".join(self.chunks_received)
            )
            self.chunks_received.clear()
            self.received = 0
            self.waiter.set_result((int(data[9:12]), data[begin:]))
            self.waiter = None


class _AsyncioFloor(_Shared, AsyncClient):
    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._idle: list[_Protocol] = []
        self._keeps_alive = settings.keep_alive
        self._loop = asyncio.get_running_loop()

    async def close(self) -> None:
        for connection in self._idle:
            connection.transport.abort()

    async def get(self, url: str) -> tuple[int, Any]:
        request, host, port = self._request(url)
        if self._idle:
            connection = self._idle.pop()
        else:
            _, connection = await self._loop.create_connection(
                lambda: _Protocol(self), host, port, ssl=self._context
            )
        waiter = connection.waiter = self._loop.create_future()
        connection.transport.write(request)
        answer: tuple[int, bytes] = await waiter
        if self._keeps_alive:
            self._idle.append(connection)
        else:
            connection.transport.abort()
        return answer


class _TrioFloor(_Shared, AsyncClient):
    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        import trio

        self._trio = trio
        self._idle: list[socket.socket] = []

    async def close(self) -> None:
        for sock in self._idle:
            sock.close()

    async def get(self, url: str) -> tuple[int, Any]:
        request, host, port = self._request(url)
        if self._idle:
            sock = self._idle.pop()
        else:
            sock = socket.create_connection((host, port))
            sock.setblocking(False)
        # trio's sockets reach a checkpoint at each call, even if they are ready.
        sock.send(request)
        data = b""
        while not (begin := self._find_body(len(data), data)):
            try:
                data += sock.recv(65536)
            except BlockingIOError:
                await self._trio.lowlevel.wait_readable(sock)
        self._idle.append(sock)
        return int(data[9:12]), data[begin:]


class _ThreadFloor(_Shared, Client):
    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._local = local()
        self._sockets: list[socket.socket] = []

    def close(self) -> None:
        for sock in self._sockets:
            sock.close()

    def get(self, url: str) -> tuple[int, Any]:
        request, host, port = self._request(url)
        sock = getattr(self._local, "socket", None)
        if sock is None:
            sock = socket.create_connection((host, port))
            if self._context is not None:
                sock = self._context.wrap_socket(sock, server_hostname=host)
            self._local.socket = sock
            self._sockets.append(sock)
        sock.send(request)
        data: bytes = sock.recv(65536)
        while not (begin := self._find_body(len(data), data)):
            data += sock.recv(65536)
        return int(data[9:12]), data[begin:]
