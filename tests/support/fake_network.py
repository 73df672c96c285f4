"""A fake network: a stream that reads from a list and records writes, and a backend that connects to such streams.

Its coroutines never suspend, so it serves every runtime; on threads, behind `sync_adapters.SyncAdapterBackend`.
Must not know: sockets, event loops.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Sequence
from typing import Any

import httpcore2

Options = Iterable[httpcore2.SOCKET_OPTION] | None


class FakeNetworkStream(httpcore2.AsyncNetworkStream):
    """A stream that reads from a list, raises the exceptions in it, and records the writes."""

    def __init__(self, replies: Iterable[bytes | Exception] = ()) -> None:
        self.replies = list(replies)
        self.written: list[bytes] = []
        self.closed = 0
        self.tls: list[str | None] = []
        """The server names of the handshakes."""

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if not self.replies:
            return b""
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        if len(reply) > max_bytes:
            self.replies.insert(0, reply[max_bytes:])
        return reply[:max_bytes]

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if buffer:
            self.written.append(bytes(buffer))

    async def aclose(self) -> None:
        self.closed += 1

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        self.tls.append(server_hostname)
        return self

    def get_extra_info(self, info: str) -> Any:
        return False if info == "is_readable" else None


class FakeNetworkBackend(httpcore2.AsyncNetworkBackend):
    """A backend whose connections come from a list of streams and errors; the last one is repeated."""

    def __init__(self, *outcomes: FakeNetworkStream | Exception) -> None:
        self.outcomes: Sequence[FakeNetworkStream | Exception] = outcomes
        self.connected: list[tuple[str, int]] = []
        self.sleeps: list[float] = []

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Options = None,
    ) -> httpcore2.AsyncNetworkStream:
        outcome = self.outcomes[min(len(self.connected), len(self.outcomes) - 1)]
        self.connected.append((host, port))
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Options = None
    ) -> httpcore2.AsyncNetworkStream:
        return await self.connect_tcp(path, 0, timeout)

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
