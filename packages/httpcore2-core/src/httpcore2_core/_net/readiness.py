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

    def cancel(self) -> None: ...


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

    @abstractmethod
    async def checkpoint(self) -> None:
        """Let other tasks run, and a cancellation in."""

    @abstractmethod
    async def wait_readable(self, sock: socket.socket, deadline: float | None) -> bool:
        """Wait until `sock` can be read or was closed on this side; `False` if the deadline came.

        Raises:
            RuntimeError: another task does the same.
        """

    @abstractmethod
    async def wait_writable(self, sock: socket.socket, deadline: float | None) -> bool:
        """Wait until `sock` can be written to or was closed on this side; as `wait_readable`."""

    @abstractmethod
    def notify_closing(self, sock: socket.socket) -> None:
        """Wake every task that waits for `sock`, before it is closed. Without an event loop do nothing."""

    @abstractmethod
    def cancel_scope(self, deadline: float) -> CancelScope:
        """Make one that is cancelled at `deadline`."""

    @abstractmethod
    def open_nursery(self) -> AbstractAsyncContextManager[Nursery]:
        """Make one."""

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
    """Await `wait(sock)`, in `scope` if there is a deadline; the outcome is that of `wait_readable`.

    The errors are the event loop's for a socket that is closed meanwhile, or waited for by another.
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
        # A bug of the caller: as a network error it would be taken for a fault of the network.
        raise RuntimeError("Another task is already waiting for this connection.") from exc


def foremost(errors: Sequence[BaseException]) -> BaseException:
    """Return what a nursery's exceptions come down to: rather what happened than a cancellation."""
    return next(
        (exc for exc in errors if isinstance(exc, (Exception, KeyboardInterrupt, SystemExit))),
        errors[0],
    )
