"""The runtime of event loops that report when a socket is ready and have nurseries: trio's, and all that anyio runs on.

Must not know: streams, how a connection is made, HTTP, the pool.
"""

from __future__ import annotations

import socket
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, Protocol

from .runtime import Runtime

# As `socket.getaddrinfo` returns them.
Address = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]


class Cancellable(Protocol):
    """Tasks that can be cancelled together."""

    def cancel(self) -> None:
        """Cancel them."""


class CancelScope(Cancellable, AbstractContextManager["CancelScope", bool], Protocol):
    """As in trio and anyio."""


class Nursery(Protocol):
    """As in trio; anyio's task group."""

    @property
    def cancel_scope(self) -> Cancellable: ...

    def start_soon(
        self, async_fn: Callable[..., Coroutine[Any, Any, Any]], /, *args: Any
    ) -> object: ...


class ReadinessRuntime(Runtime):
    """A runtime that waits for sockets to be ready. Deadlines are on the clock of `now()`."""

    __slots__ = ()

    def deadline(self, timeout: float | None) -> float | None:
        """Return the time at which `timeout` seconds from now are over; `None` for no limit."""
        return None if timeout is None else self.now() + timeout

    @abstractmethod
    async def checkpoint(self) -> None:
        """Let other tasks run, and deliver a cancellation."""

    @abstractmethod
    async def wait_readable(self, sock: socket.socket, deadline: float | None) -> bool:
        """Wait until `sock` can be read or was closed on this side; return `False` if the deadline has passed.

        Raises:
            RuntimeError: another task waits for it already.
        """

    @abstractmethod
    async def wait_writable(self, sock: socket.socket, deadline: float | None) -> bool:
        """Wait until `sock` can be written to or was closed on this side; return `False` if the deadline has passed.

        Raises:
            RuntimeError: another task waits for it already.
        """

    @abstractmethod
    def notify_closing(self, sock: socket.socket) -> None:
        """Wake every task that waits for `sock`, before it is closed. Without an event loop do nothing."""

    @abstractmethod
    def cancel_scope(self, deadline: float) -> CancelScope:
        """Make a cancel scope that is cancelled at `deadline`."""

    @abstractmethod
    def open_nursery(self) -> AbstractAsyncContextManager[Nursery]:
        """Open a nursery."""

    @abstractmethod
    async def resolve(
        self, host: str, port: int, family: socket.AddressFamily
    ) -> Sequence[Address]:
        """Return the stream addresses of `host` as `socket.getaddrinfo` does, with its errors."""


async def wait_until_ready(
    wait: Callable[[socket.socket], Awaitable[Any]],
    sock: socket.socket,
    scope: CancelScope | None,
    closed_error: type[Exception],
    busy_error: type[Exception],
) -> bool:
    """Await `wait(sock)`, and return or raise what `wait_readable` does.

    Args:
        wait: the event loop's function.
        sock: the socket to wait for.
        scope: has the deadline; `None` for no deadline.
        closed_error: the event loop's error for a socket that is closed meanwhile.
        busy_error: the event loop's error for a socket that another task waits for.
    """
    try:
        if scope is None:
            await wait(sock)
            return True
        with scope:
            await wait(sock)
            return True
        return False
    except closed_error:
        # The next call on the socket raises the error.
        return True
    except busy_error as exc:
        # A bug in the caller, and so no network error, after which the request would be sent again.
        raise RuntimeError("Another task is already waiting for this connection.") from exc


def foremost(errors: Sequence[BaseException]) -> BaseException:
    """Return the first exception of a nursery that is an error or an interrupt, before any cancellation."""
    return next(
        (exc for exc in errors if isinstance(exc, (Exception, KeyboardInterrupt, SystemExit))),
        errors[0],
    )
