"""Streams and connecting for event loops that tell when a socket is ready and have nurseries.

Trio is one, and whatever anyio runs on another; a backend adds its `ReadinessRuntime`.

Rules:

- Try the system call first; enter a cancel scope (6 µs on trio) only to wait with a deadline. The
  answer to what was just sent can't be there yet, but mostly is when the other tasks have had their
  turn: a checkpoint (2 µs) before the try saves the wait (11 µs). Where it came later, the next
  ones are waited for without a try.
- A call that succeeds at once doesn't suspend, so a peer that always has more to give would starve
  all other tasks, and let no cancellation in: after `EAGER_CALLS` in a row the stream yields. To
  read 64 KiB on trio costs 8.9 µs of CPU without yielding, 9.9 so, 13.9 with yielding every time.
- The stream yields before it receives or sends. So a cancelled read has taken nothing; a cancelled
  write may have sent part.
- A forked child closes its own descriptor and nothing else: it shares the epoll set with its
  parent, and a shutdown would be the parent's, too.
- The system reports a reset once, to a read or to a write; the next receive looks like the peer's
  end. So the stream remembers it: a connection that was reset fails, it never ends.

Must not know: which event loop it is, TLS, HTTP, the pool.
"""

from __future__ import annotations

import errno
import math
import os
import socket
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, Protocol, TypeVar

from .._exceptions import (
    ConnectError,
    ConnectTimeout,
    ReadError,
    ReadTimeout,
    WriteError,
    WriteTimeout,
)
from .happy_eyeballs import ATTEMPT_DELAY, connect_error, interleave
from .interfaces import SOCKET_OPTION, BackendStream, RuntimeBackend
from .polling import make_poller
from .runtime import Runtime, Waiter, generation

EAGER_CALLS = 16

# Seconds after which a unix socket whose backlog is full is tried again: nothing tells of room.
BACKLOG_RETRY = 0.01

CLOSED_HERE = "The connection was closed on this side."

T = TypeVar("T")

# As `socket.getaddrinfo` returns them.
Address = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]


class CancelScope(AbstractContextManager["CancelScope", bool], Protocol):
    """As in trio and anyio."""

    def cancel(self) -> None: ...


class Nursery(Protocol):
    """As in trio; anyio's task group."""

    @property
    def cancel_scope(self) -> CancelScope: ...

    def start_soon(
        self, async_fn: Callable[..., Coroutine[Any, Any, Any]], /, *args: Any
    ) -> object: ...


class ReadinessRuntime(Runtime):
    """An event loop that tells when a socket is ready. Deadlines are on the clock of `now()`."""

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
        """Wake whoever waits for `sock`, which is closed next. Without an event loop do nothing."""

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
        # The next call on the socket tells, with an error of its own.
        return True
    except busy_error as exc:
        # A bug of the caller: as a network error it would be taken for a fault of the network.
        raise RuntimeError("Another task is already waiting for this connection.") from exc


class SocketStream(BackendStream):
    """A connection over a non-blocking socket of its own."""

    is_resumable = True

    def __init__(self, sock: socket.socket, runtime: ReadinessRuntime) -> None:
        self._socket = sock
        self._runtime = runtime
        self._generation = generation()
        self._eager = 0  # calls in a row that succeeded at once
        self._is_asking = False  # the next read is for an answer
        self._late = 0  # how many more answers are not worth a try
        self._failure: str | None = None  # what broke the connection
        self._poller = make_poller(sock)

    @property
    def runtime(self) -> Runtime:
        return self._runtime

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        is_answer, self._is_asking = self._is_asking, False
        data = None
        if is_answer and self._late:
            self._late -= 1
        else:
            if is_answer or self._eager >= EAGER_CALLS:
                await self._yield()
            data = self._receive(max_bytes)
            if data is not None:
                self._eager += 1
                return data
            if is_answer:
                self._late = EAGER_CALLS
        self._eager = 0
        deadline = None if timeout is None else self._runtime.now() + timeout
        while data is None:
            if not await self._runtime.wait_readable(self._socket, deadline):
                raise ReadTimeout(f"The peer sent nothing for {timeout} seconds.")
            data = self._receive(max_bytes)
        return data

    def read_nowait(self, max_bytes: int) -> bytes | None:
        # Mostly there is nothing: to receive in vain costs an exception.
        if self._poller is not None and not self._poller.poll(0):
            return None
        return self._receive(max_bytes)

    async def wait_readable(self) -> None:
        await self._runtime.wait_readable(self._socket, None)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if self._eager >= EAGER_CALLS:
            await self._yield()
        sent = self._send(buffer)
        if sent == len(buffer):
            self._eager += 1
            return
        self._eager = 0
        await self._send_rest(memoryview(buffer)[sent:], timeout)

    async def _send_rest(self, rest: memoryview, timeout: float | None) -> None:
        deadline = None if timeout is None else self._runtime.now() + timeout
        while rest:
            if not await self._runtime.wait_writable(self._socket, deadline):
                raise WriteTimeout(f"The peer took in too little for {timeout} seconds.")
            rest = rest[self._send(rest) :]

    def write_nowait(self, buffer: bytes) -> int:
        return self._send(buffer)

    async def write_some(self, buffer: bytes, timeout: float | None = None) -> int:
        deadline = None if timeout is None else self._runtime.now() + timeout
        sent = 0
        while not sent and await self._runtime.wait_writable(self._socket, deadline):
            sent = self._send(buffer)
        return sent

    def abort(self) -> None:
        if self._socket.fileno() == -1:
            return
        # It knows the descriptor, which another connection may have next.
        self._poller = None
        if self._generation == generation():
            self._runtime.notify_closing(self._socket)
        self._socket.close()

    def get_extra_info(self, info: str) -> Any:
        if info == "socket":
            return self._socket
        if info == "is_readable":
            return self._is_readable()
        try:
            if info == "client_addr":
                return self._socket.getsockname()
            if info == "server_addr":
                return self._socket.getpeername()
        except OSError:
            # The connection is closed, so there are no addresses any more.
            pass
        return None

    async def _yield(self) -> None:
        self._eager = 0
        await self._runtime.checkpoint()

    def _receive(self, max_bytes: int) -> bytes | None:
        """Receive without waiting; return `None` if there is nothing."""
        try:
            data = self._socket.recv(max_bytes)
        except BlockingIOError:
            return None
        except OSError as exc:
            self._failure = self._failure or str(exc)
            raise ReadError(self._reason(exc)) from exc
        return data or self._end()

    def _end(self) -> bytes:
        """Return the peer's end, unless the connection broke before."""
        if self._failure is not None:
            raise ReadError(self._failure)
        return b""

    def _send(self, data: bytes | memoryview) -> int:
        """Send without waiting; return how many bytes were taken."""
        self._is_asking = True
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0
        except OSError as exc:
            # A broken pipe (EPIPE) is what a reset looks like that followed the peer's end, or an
            # error that is remembered already.
            if not isinstance(exc, BrokenPipeError):
                self._failure = self._failure or str(exc)
            raise WriteError(self._reason(exc)) from exc

    def _reason(self, error: OSError) -> str:
        return CLOSED_HERE if self._socket.fileno() == -1 else str(error)

    def _is_readable(self) -> bool:
        if self._poller is not None:
            return bool(self._poller.poll(0))
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError as exc:
            # A read would fail, at once. The system won't report the error again.
            self._failure = self._failure or str(exc)
        return True


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


def foremost(errors: Sequence[BaseException]) -> BaseException:
    """Return what a nursery's exceptions come down to: rather what happened than a cancellation."""
    return next(
        (exc for exc in errors if isinstance(exc, (Exception, KeyboardInterrupt, SystemExit))),
        errors[0],
    )
