"""Opening TCP and unix connections on the event loops of `ReadinessRuntime`.

Rules: every socket is returned or closed, cancelled or not. With one address, the usual case, there is no nursery
and no other task.
Must not know: which event loop it is, TLS, HTTP, the pool.
"""

from __future__ import annotations

import errno
import math
import os
import socket
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any, TypeVar

from .._exceptions import (
    ConnectError,
    ConnectTimeout,
)
from .happy_eyeballs import ATTEMPT_DELAY, connect_error, interleave
from .network_interfaces import SOCKET_OPTION
from .readiness import Address, ReadinessRuntime, foremost
from .runtime import Waiter
from .runtime_backend import RuntimeBackend
from .socket_stream import SocketStream

# Seconds after which a unix socket whose backlog is full is tried again: nothing tells of room.
BACKLOG_RETRY = 0.01


T = TypeVar("T")


class ReadinessBackend(RuntimeBackend):
    """Opens `SocketStream`s. Every socket is returned or closed, cancelled or not.

    With one address, the usual case, there is no nursery and no other task.
    """

    runtime: ReadinessRuntime
    stream_class = SocketStream

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> SocketStream:
        opening = self._open_tcp(host, port, local_address, tuple(socket_options or ()))
        sock = await self._within(timeout, opening, f"connection to {host}:{port}")
        return self.stream_class(sock, self.runtime)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> SocketStream:
        if not hasattr(socket, "AF_UNIX"):
            raise ConnectError("This platform has no unix domain sockets.")
        address = (socket.AF_UNIX, socket.SOCK_STREAM, 0, "", path)
        opening = self._open(address, None, tuple(socket_options or ()))
        sock = await self._within(timeout, opening, f"connection to {path}")
        return self.stream_class(sock, self.runtime)

    async def resolve_ipv4(self, host: str, timeout: float | None = None) -> str:
        looking_up = self.runtime.resolve(host, 0, socket.AF_INET)
        found = await self._within(timeout, looking_up, f"address of {host}")
        address: str = found[0][4][0]
        return address

    async def _within(self, timeout: float | None, step: Coroutine[Any, Any, T], what: str) -> T:
        deadline = math.inf if timeout is None else self.runtime.now() + timeout
        with self.runtime.cancel_scope(deadline):
            try:
                return await step
            except (OSError, UnicodeError) as exc:
                # A name that can't be one is a `UnicodeError`.
                raise ConnectError(str(exc)) from exc
        raise ConnectTimeout(f"No {what} within {timeout} seconds.")

    async def _open_tcp(
        self, host: str, port: int, local_address: str | None, options: Sequence[SOCKET_OPTION]
    ) -> socket.socket:
        family, source = socket.AF_UNSPEC, None
        if local_address:  # an empty one is any, as for `socket.bind`
            family, _, _, _, source = (await self.runtime.resolve(local_address, 0, family))[0]
        # A request is written in one piece: Nagle's algorithm could only delay it. The caller's
        # options come later, and win.
        options = ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), *options)
        addresses = interleave(await self.runtime.resolve(host, port, family))
        if len(addresses) > 1:
            return await self._open_first(addresses, source, options)
        return await self._open(addresses[0], source, options)

    async def _open(
        self, address: Address, source: tuple[Any, ...] | None, options: Sequence[SOCKET_OPTION]
    ) -> socket.socket:
        sock = make_socket(address, source, options)
        try:
            await self._establish(sock, address[4])
        except BaseException:
            sock.close()
            raise
        return sock

    async def _establish(self, sock: socket.socket, target: Any) -> None:
        while True:
            try:
                sock.connect(target)
            except BlockingIOError as exc:
                if exc.errno != errno.EAGAIN:
                    break
                # Linux: a unix socket whose backlog is full. Nothing is in progress, yet it counts
                # as writable, without an error: to take it for connected is a bug once seen.
                await self.runtime.sleep(BACKLOG_RETRY)
            else:
                return
        await self.runtime.wait_writable(sock, None)
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))

    async def _open_first(
        self,
        addresses: Sequence[Address],
        source: tuple[Any, ...] | None,
        options: Sequence[SOCKET_OPTION],
    ) -> socket.socket:
        """Happy Eyeballs (RFC 8305): try the next address when the last failed or answers late."""
        opened: list[socket.socket] = []
        errors: list[OSError] = []

        async def attempt(address: Address, failure: Waiter) -> None:
            try:
                opened.append(await self._open(address, source, options))
            except OSError as exc:
                errors.append(exc)
                failure.wake()
            else:
                nursery.cancel_scope.cancel()

        try:
            async with self.runtime.open_nursery() as nursery:
                for address in addresses:
                    failure = self.runtime.create_waiter()
                    nursery.start_soon(attempt, address, failure)
                    await failure.wait(ATTEMPT_DELAY)
        except BaseException as exc:
            close_all(opened)
            if isinstance(exc, BaseExceptionGroup):
                raise foremost(exc.exceptions) from None
            raise
        if not opened:
            raise connect_error(errors) from errors[-1]
        # Two may have answered in the same instant.
        close_all(opened[1:])
        return opened[0]


def make_socket(
    address: Address, source: tuple[Any, ...] | None, options: Sequence[SOCKET_OPTION]
) -> socket.socket:
    """Make a non-blocking socket that is ready to connect to `address`."""
    family, kind, protocol, _, _ = address
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        for option in options:
            sock.setsockopt(*option)
        if source is not None:
            sock.bind(source)
    except BaseException:
        sock.close()
        raise
    return sock


def close_all(sockets: Iterable[socket.socket]) -> None:
    for sock in sockets:
        sock.close()
