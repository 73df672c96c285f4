"""From a host name or a path to a connected socket, on an asyncio event loop.

Rules: every socket that is opened here is returned or closed, and every task that is started here
is awaited, on every way out, repeated cancellation included. With one address, the usual case,
there is no task at all. A name that can't be one is a `UnicodeError`; other failures are `OSError`,
or `ConnectError` where they are several. The deadline is the caller's.
Must not know: streams, timeouts, TLS, HTTP, the pool.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Sequence
from typing import Any

from httpcore2_core._exceptions import ConnectError
from httpcore2_core._net.happy_eyeballs import ATTEMPT_DELAY, connect_error, interleave
from httpcore2_core._net.network_interfaces import SOCKET_OPTION

from ._runtime import wait_out

Address = tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[Any, ...]]

# Linux gives no sign of when a unix socket's backlog has room again. It is a matter of the server's
# next `accept`.
BACKLOG_DELAY = 0.01


async def open_tcp(
    host: str, port: int, local_address: str | None, options: Sequence[SOCKET_OPTION]
) -> socket.socket:
    """Return a socket that is connected to `host`:`port`, by its first address that answers."""
    loop = asyncio.get_running_loop()
    family, source = socket.AF_UNSPEC, None
    if local_address:  # an empty one is any, as for `socket.bind`
        family, _, _, _, source = (await resolve(loop, local_address, 0, family))[0]
    addresses = interleave(await resolve(loop, host, port, family))
    if len(addresses) > 1:
        return await _open_first(loop, addresses, source, options)
    return await _open(loop, addresses[0], source, options)


async def open_unix(path: str, options: Sequence[SOCKET_OPTION]) -> socket.socket:
    """Return a socket that is connected to the unix domain socket at `path`."""
    if not hasattr(socket, "AF_UNIX"):
        raise ConnectError("This platform has no unix domain sockets.")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        for option in options:
            sock.setsockopt(*option)
        while True:
            # Not `loop.sock_connect`: a full backlog is an EAGAIN that is no sign of progress, and
            # the stdlib's loop takes the socket for connected at the next poll.
            try:
                sock.connect(path)
            except BlockingIOError:
                await asyncio.sleep(BACKLOG_DELAY)
            else:
                return sock
    except BaseException:
        sock.close()
        raise


async def resolve(
    loop: asyncio.AbstractEventLoop, host: str, port: int, family: socket.AddressFamily
) -> Sequence[Address]:
    """Return the stream addresses of `host` as `socket.getaddrinfo` does, with its errors."""
    try:
        # An IP address needs no lookup, and so no thread.
        return socket.getaddrinfo(
            host, port, family, socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
        )
    except socket.gaierror:
        return await loop.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)


async def _open(
    loop: asyncio.AbstractEventLoop,
    address: Address,
    source: tuple[Any, ...] | None,
    options: Sequence[SOCKET_OPTION],
) -> socket.socket:
    family, kind, protocol, _, target = address
    if family == socket.AF_INET6 and target[3]:
        # uvloop 0.23 takes the zone of a link-local address from its text alone.
        target = (f"{target[0]}%{target[3]}", *target[1:])
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        for option in options:
            sock.setsockopt(*option)
        if source is not None:
            sock.bind(source)
        await loop.sock_connect(sock, target)
    except BaseException:
        sock.close()
        raise
    return sock


async def _open_first(
    loop: asyncio.AbstractEventLoop,
    addresses: Sequence[Address],
    source: tuple[Any, ...] | None,
    options: Sequence[SOCKET_OPTION],
) -> socket.socket:
    """Happy Eyeballs (RFC 8305): try the next address when the last one failed or answers late."""
    opened: list[socket.socket] = []
    errors: list[OSError] = []

    async def attempt(address: Address) -> None:
        try:
            opened.append(await _open(loop, address, source, options))
        except OSError as exc:
            errors.append(exc)

    ahead = deque(addresses)
    pending: set[asyncio.Task[None]] = set()
    kept = 0
    try:
        while not opened and (ahead or pending):
            if ahead:
                pending.add(loop.create_task(attempt(ahead.popleft())))
            done, pending = await asyncio.wait(
                pending,
                timeout=ATTEMPT_DELAY if ahead else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in done:
                task.result()
        kept = 1
    finally:
        for task in pending:
            task.cancel()
        cancellation = await wait_out(pending)
        if cancellation is not None:
            kept = 0
        for sock in opened[kept:]:
            sock.close()
        if cancellation is not None:
            raise cancellation
    if not opened:
        raise connect_error(errors) from errors[-1]
    return opened[0]
