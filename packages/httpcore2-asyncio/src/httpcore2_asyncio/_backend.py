"""The asyncio backend: opens connections on the running event loop, the stdlib's or uvloop's.

Rules: one deadline covers resolving, connecting and what the loop needs to take the socket over.
The loop is found anew for each connection, so a backend may outlive its loop.
Must not know: TLS, HTTP, the pool.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from httpcore2_core._exceptions import ConnectError, ConnectTimeout
from httpcore2_core._net.network_interfaces import SOCKET_OPTION
from httpcore2_core._net.runtime_backend import RuntimeBackend

from ._connect import open_tcp, open_unix, resolve
from ._runtime import RUNTIME, AsyncIORuntime
from ._stream import AsyncIOStream

T = TypeVar("T")


class AsyncIOBackend(RuntimeBackend):
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

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> AsyncIOStream:
        opening = open_tcp(host, port, local_address, tuple(socket_options or ()))
        return await _within(timeout, _adopt(opening), f"connection to {host}:{port}")

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> AsyncIOStream:
        opening = open_unix(path, tuple(socket_options or ()))
        return await _within(timeout, _adopt(opening), f"connection to {path}")

    async def resolve_ipv4(self, host: str, timeout: float | None = None) -> str:
        looking_up = resolve(asyncio.get_running_loop(), host, 0, socket.AF_INET)
        found = await _within(timeout, looking_up, f"address of {host}")
        address: str = found[0][4][0]
        return address


async def _adopt(opening: Coroutine[Any, Any, socket.socket]) -> AsyncIOStream:
    return await AsyncIOStream.adopt(await opening)


async def _within(timeout: float | None, step: Coroutine[Any, Any, T], what: str) -> T:
    limit = asyncio.timeout(timeout)
    try:
        async with limit:
            return await step
    except (OSError, UnicodeError) as exc:
        # A `TimeoutError` may also be the network's own (ETIMEDOUT).
        if limit.expired():
            raise ConnectTimeout(f"No {what} within {timeout} seconds.") from exc
        raise ConnectError(str(exc)) from exc
