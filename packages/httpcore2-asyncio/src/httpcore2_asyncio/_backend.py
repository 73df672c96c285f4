"""The asyncio backend: opens connections on the running event loop, the stdlib's or uvloop's.

Rules: one deadline covers resolving, connecting and the time that the loop needs to take the socket over. The loop is
found anew for each connection, so a backend may outlive its loop.
Must not know: TLS, HTTP, the pool.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

from httpcore2_core._net.readiness import Address, Nursery
from httpcore2_core._net.socket_backend import DeadlinePassed, SocketBackend

from ._datagrams import AsyncIODatagramStream
from ._nursery import TaskNursery
from ._runtime import RUNTIME, AsyncIORuntime
from ._stream import AsyncIOStream

T = TypeVar("T")


class AsyncIOBackend(SocketBackend[AsyncIOStream]):
    """Opens connections on asyncio's event loops.

    Example:
        >>> import asyncio
        >>> from httpcore2_asyncio import AsyncIOBackend
        >>> async def main() -> None:
        ...     stream = await AsyncIOBackend().connect_tcp("www.example.com", 80, timeout=5.0)
        ...     await stream.aclose()
        >>> asyncio.run(main())
    """

    runtime: AsyncIORuntime = RUNTIME

    async def _resolve(
        self, host: str, port: int, family: socket.AddressFamily
    ) -> Sequence[Address]:
        try:
            # An IP address needs no resolver, and so no thread.
            return socket.getaddrinfo(
                host, port, family, socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
            )
        except socket.gaierror:
            loop = asyncio.get_running_loop()
            return await loop.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)

    async def _connect_socket(self, sock: socket.socket, target: Any) -> None:
        if sock.family == socket.AF_INET6 and target[3]:
            # uvloop 0.23 takes the zone of a link-local address from its text alone.
            target = (f"{target[0]}%{target[3]}", *target[1:])
        await asyncio.get_running_loop().sock_connect(sock, target)

    async def _make_stream(self, sock: socket.socket) -> AsyncIOStream:
        return await AsyncIOStream.adopt(sock)

    def _make_datagram_stream(
        self, sock: socket.socket, further: Iterator[socket.socket] | None
    ) -> AsyncIODatagramStream:
        return AsyncIODatagramStream(sock, further)

    async def _limited(self, timeout: float | None, work: Coroutine[Any, Any, T]) -> T:
        limit = asyncio.timeout(timeout)
        try:
            async with limit:
                return await work
        except OSError as exc:
            # A `TimeoutError` may also be the network's own (ETIMEDOUT).
            if limit.expired():
                raise DeadlinePassed from exc
            raise

    def _open_nursery(self) -> AbstractAsyncContextManager[Nursery]:
        return TaskNursery()
