"""How backends that make sockets connect, over TCP or to a unix socket: written once, for threads and all event loops.

A backend says how its runtime resolves names, waits for a socket and limits the time. The order of events is here: one
deadline covers resolving, connecting and the making of the stream.

Rules: every socket is returned or closed, cancelled or not. With one address, the usual case, there is no nursery and
no other task.
Must not know: which event loop it is, TLS, HTTP, the pool.
"""

from __future__ import annotations

import math
import os
import socket
from abc import abstractmethod
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar, Generic, TypeVar

from .._exceptions import ConnectError, ConnectTimeout
from .attempts import AttemptLog
from .backend_stream import BackendStream
from .connection_guard import check_address, check_path
from .datagram_socket import (
    RECEIVE_BUFFER,
    ReadinessDatagramStream,
    SocketDatagramStream,
    datagram_address,
)
from .datagram_stream import DatagramStream
from .dial_listener import report_resolution, reported_attempt
from .errors import connect_timeout
from .happy_eyeballs import connect_first, interleave, race_error
from .network_interfaces import SOCKET_OPTION
from .readiness import Address, Nursery, ReadinessRuntime
from .resolver_interfaces import AsyncResolver, find_addresses
from .runtime import Runtime
from .runtime_backend import RuntimeBackend
from .socket_stream import SocketStream

# Seconds after which a unix socket whose backlog is full is tried again. Linux gives no sign of when it has room: that
# depends on the server's next `accept`.
BACKLOG_RETRY = 0.01

_UDP_OPTIONS: tuple[SOCKET_OPTION, ...] = ((socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER),)

S = TypeVar("S", bound=BackendStream)
T = TypeVar("T")


class DeadlinePassed(Exception):
    """Leaves `SocketBackend._limited` when the time is over."""


class SocketBackend(RuntimeBackend, Generic[S]):
    """Base class of the backends that make sockets."""

    # Arguments of `setsockopt` for connections over TCP. The caller's are applied after them.
    _tcp_options: ClassVar[tuple[SOCKET_OPTION, ...]] = ()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> S:
        return await self._open_tcp(host, port, timeout, local_address, socket_options, None)

    async def connect_to(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
        *,
        resolver: AsyncResolver | None = None,
    ) -> BackendStream:
        if getattr(self.connect_tcp, "__func__", None) is not SocketBackend.connect_tcp:
            # A derived class, or a test kit, has its own, which has to see every attempt.
            return await super().connect_to(
                host, port, timeout, local_address, socket_options, resolver=resolver
            )
        return await self._open_tcp(host, port, timeout, local_address, socket_options, resolver)

    async def _open_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None,
        local_address: str | None,
        socket_options: Iterable[SOCKET_OPTION] | None,
        resolver: AsyncResolver | None,
    ) -> S:
        check_address(host, port)
        options = (*self._tcp_options, *(socket_options or ()))
        find = self._resolve if resolver is None else _Lookup(resolver, self.runtime, timeout).find
        log = AttemptLog(host, sockaddr)
        stream = self._stream_of(self._connect_tcp(host, port, local_address, options, find, log))
        try:
            return await self._within(timeout, stream, f"connection to {host}:{port}")
        except (ConnectError, ConnectTimeout) as exc:
            log.add_to(exc)
            raise

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> S:
        if not hasattr(socket, "AF_UNIX"):
            raise ConnectError("This platform has no unix domain sockets.")
        check_path(path)
        stream = self._stream_of(self._connect_unix(path, tuple(socket_options or ())))
        return await self._within(timeout, stream, f"connection to {path}")

    async def connect_udp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> DatagramStream:
        return await self._open_udp(host, port, timeout, local_address, socket_options, None)

    async def connect_udp_to(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
        *,
        resolver: AsyncResolver | None = None,
    ) -> DatagramStream:
        if getattr(self.connect_udp, "__func__", None) is not SocketBackend.connect_udp:
            # A derived class, or a test kit, has its own, which has to see every attempt.
            return await super().connect_udp_to(
                host, port, timeout, local_address, socket_options, resolver=resolver
            )
        return await self._open_udp(host, port, timeout, local_address, socket_options, resolver)

    async def _open_udp(
        self,
        host: str,
        port: int,
        timeout: float | None,
        local_address: str | None,
        socket_options: Iterable[SOCKET_OPTION] | None,
        resolver: AsyncResolver | None,
    ) -> DatagramStream:
        check_address(host, port)
        options = (*_UDP_OPTIONS, *(socket_options or ()))
        find = self._resolve if resolver is None else _Lookup(resolver, self.runtime, timeout).find
        opening = self._connect_udp(host, port, local_address, options, find)
        return await self._within(timeout, opening, f"address of {host}:{port}")

    async def _resolve_by_system(
        self, host: str, port: int, timeout: float | None
    ) -> Sequence[str]:
        check_address(host, None)
        resolving = self._resolve(host, port, socket.AF_UNSPEC)
        found = await self._within(timeout, resolving, f"address of {host}")
        return _texts(found)

    async def resolve_ipv4(self, host: str, timeout: float | None = None) -> str:
        check_address(host, None)
        resolving = self._resolve(host, 0, socket.AF_INET)
        found = await self._within(timeout, resolving, f"address of {host}")
        address: str = found[0][4][0]
        return address

    # The parts that depend on the runtime

    @abstractmethod
    async def _resolve(
        self, host: str, port: int, family: socket.AddressFamily
    ) -> Sequence[Address]:
        """Return the stream addresses of `host` as `socket.getaddrinfo` does, with its errors."""

    @abstractmethod
    async def _connect_socket(self, sock: socket.socket, target: Any) -> None:
        """Connect a non-blocking TCP socket, or raise `OSError`."""

    @abstractmethod
    async def _make_stream(self, sock: socket.socket) -> S:
        """Make a stream of a connected socket. The socket is closed if that fails."""

    @abstractmethod
    def _make_datagram_stream(
        self, sock: socket.socket, further: Iterator[socket.socket] | None
    ) -> SocketDatagramStream:
        """Make a stream of a connected UDP socket; `further` makes the sockets to the other addresses."""

    @abstractmethod
    async def _limited(self, timeout: float | None, work: Coroutine[Any, Any, T]) -> T:
        """Await `work`, and cancel it after `timeout` seconds.

        Raises:
            DeadlinePassed: the time is over.
        """

    @abstractmethod
    def _open_nursery(self) -> AbstractAsyncContextManager[Nursery]:
        """Open a nursery for several attempts to connect."""

    # The order of events

    async def _within(self, timeout: float | None, work: Coroutine[Any, Any, T], missing: str) -> T:
        try:
            return await self._limited(timeout, work)
        except DeadlinePassed:
            raise connect_timeout(missing, timeout) from None
        except (OSError, UnicodeError) as exc:
            # A host that is no name at all is a `UnicodeError`.
            raise ConnectError(str(exc)) from exc

    async def _stream_of(self, connecting: Coroutine[Any, Any, socket.socket]) -> S:
        return await self._make_stream(await connecting)

    async def _connect_tcp(
        self,
        host: str,
        port: int,
        local_address: str | None,
        options: Sequence[SOCKET_OPTION],
        find: Callable[[str, int, socket.AddressFamily], Coroutine[Any, Any, Sequence[Address]]],
        log: AttemptLog,
    ) -> socket.socket:
        family, source = socket.AF_UNSPEC, None
        if local_address:  # an empty one is any, as for `socket.bind`
            family, _, _, _, source = (await self._resolve(local_address, 0, family))[0]
        found = await report_resolution(host, find(host, port, family), _texts)
        addresses = interleave(found)
        if len(addresses) > 1:
            return await self._connect_first(addresses, source, options, log)
        return await self._attempt(addresses[0], source, options, log)

    async def _connect_udp(
        self,
        host: str,
        port: int,
        local_address: str | None,
        options: Sequence[SOCKET_OPTION],
        find: Callable[[str, int, socket.AddressFamily], Coroutine[Any, Any, Sequence[Address]]],
    ) -> DatagramStream:
        family, source = socket.AF_UNSPEC, None
        if local_address:
            family, _, _, _, source = (await self._resolve(local_address, 0, family))[0]
        found = await report_resolution(host, find(host, port, family), _texts)
        addresses = interleave(found)
        errors: list[OSError] = []
        sockets = connect_udp_sockets(addresses, source, options, errors)
        sock = next(sockets, None)
        if sock is None:
            raise race_error(errors)
        return self._make_datagram_stream(sock, sockets if len(addresses) > 1 else None)

    async def _connect_first(
        self,
        addresses: Sequence[Address],
        source: tuple[Any, ...] | None,
        options: Sequence[SOCKET_OPTION],
        log: AttemptLog,
    ) -> socket.socket:
        async def connect(address: Address) -> socket.socket:
            return await self._attempt(address, source, options, log)

        return await connect_first(addresses, connect, self.runtime, self._open_nursery)

    async def _attempt(
        self,
        address: Address,
        source: tuple[Any, ...] | None,
        options: Sequence[SOCKET_OPTION],
        log: AttemptLog,
    ) -> socket.socket:
        attempt = log.begin(address)
        try:
            return await self._connect_address(address, source, options)
        except OSError as exc:
            attempt.error = exc
            raise

    async def _connect_address(
        self, address: Address, source: tuple[Any, ...] | None, options: Sequence[SOCKET_OPTION]
    ) -> socket.socket:
        with reported_attempt(peer_of(address)):
            sock = make_socket(address, source, options)
            try:
                await self._connect_socket(sock, address[4])
            except BaseException:
                sock.close()
                raise
            return sock

    async def _connect_unix(self, path: str, options: Sequence[SOCKET_OPTION]) -> socket.socket:
        with reported_attempt(path):
            sock = make_socket((socket.AF_UNIX, socket.SOCK_STREAM, 0, "", path), None, options)
            try:
                while True:
                    try:
                        sock.connect(path)
                    except BlockingIOError:
                        # The backlog is full. Nothing is in progress, yet event loops report the socket as writable,
                        # and it has no error: a bug once was to take it for connected.
                        await self.runtime.sleep(BACKLOG_RETRY)
                    else:
                        return sock
            except BaseException:
                sock.close()
                raise


class ReadinessBackend(SocketBackend[SocketStream]):
    """Base class of the backends whose runtime reports when a socket is ready."""

    runtime: ReadinessRuntime
    stream_class = SocketStream
    datagram_class: Callable[..., SocketDatagramStream] = ReadinessDatagramStream

    # A request is written at once: Nagle's algorithm could only delay it.
    _tcp_options = ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),)

    async def _resolve(
        self, host: str, port: int, family: socket.AddressFamily
    ) -> Sequence[Address]:
        return await self.runtime.resolve(host, port, family)

    async def _connect_socket(self, sock: socket.socket, target: Any) -> None:
        if begin_to_connect(sock, target):
            return
        await self.runtime.wait_writable(sock, None)
        check_connected(sock)

    async def _make_stream(self, sock: socket.socket) -> SocketStream:
        return self.stream_class(sock, self.runtime)

    def _make_datagram_stream(
        self, sock: socket.socket, further: Iterator[socket.socket] | None
    ) -> SocketDatagramStream:
        return self.datagram_class(self.runtime, sock, further)

    async def _limited(self, timeout: float | None, work: Coroutine[Any, Any, T]) -> T:
        deadline = self.runtime.deadline(timeout)
        with self.runtime.cancel_scope(math.inf if deadline is None else deadline):
            return await work
        raise DeadlinePassed

    def _open_nursery(self) -> AbstractAsyncContextManager[Nursery]:
        return self.runtime.open_nursery()


class _Lookup:
    """A look-up by a caller's resolver, within the deadline of connecting."""

    def __init__(self, resolver: AsyncResolver, runtime: Runtime, timeout: float | None) -> None:
        self._resolver = resolver
        self._runtime = runtime
        self._timeout = timeout

    async def find(self, host: str, port: int, family: socket.AddressFamily) -> Sequence[Address]:
        """Return addresses as `socket.getaddrinfo` does, without another look-up.

        Raises:
            ConnectError: the resolver found no address, or none of the family of `local_address`.
        """
        texts = await find_addresses(self._resolver, host, port, self._timeout)
        # A thread can't be cancelled, nor can a resolver that blocks its event loop: the deadline counts here.
        await self._runtime.sleep(0)
        addresses = [address for text in texts for address in numeric(text, port, family)]
        if not addresses:
            raise ConnectError(
                f"None of the addresses of {host} ({', '.join(texts)}) is of the family of local_address."
            )
        return addresses


def numeric(text: str, port: int, family: socket.AddressFamily) -> Sequence[Address]:
    """Return an IP address as `socket.getaddrinfo` does; nothing if it is of another family."""
    if family not in (socket.AF_UNSPEC, socket.AF_INET6 if ":" in text else socket.AF_INET):
        return ()
    return socket.getaddrinfo(text, port, family, socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)


def sockaddr(address: Address) -> tuple[Any, ...]:
    """Return the address as `socket.getpeername` would, with the zone of a link-local one in its text."""
    return (text_of(address), *address[4][1:])


def text_of(address: Address) -> str:
    """Return the text form of an IP address; that of a link-local one has its zone (RFC 4007, section 11)."""
    host: str = address[4][0]
    if address[0] == socket.AF_INET6 and address[4][3] and "%" not in host:
        return f"{host}%{address[4][3]}"
    return host


def peer_of(address: Address) -> tuple[str, int]:
    """Return the text form of an IP address, and its port."""
    return text_of(address), address[4][1]


def _texts(addresses: Sequence[Address]) -> list[str]:
    return list(dict.fromkeys(map(text_of, addresses)))


def make_socket(
    address: Address, source: tuple[Any, ...] | None, options: Sequence[SOCKET_OPTION]
) -> socket.socket:
    """Make a non-blocking socket that is ready to connect to `address`, from `source` if that is given."""
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


def connect_udp_sockets(
    addresses: Sequence[Address],
    source: tuple[Any, ...] | None,
    options: Sequence[SOCKET_OPTION],
    errors: list[OSError],
) -> Iterator[socket.socket]:
    """Make the UDP sockets to `addresses`, each when it is needed; `errors` gets those of addresses without a route."""
    for address in addresses:
        try:
            sock = make_socket(datagram_address(address), source, options)
            try:
                sock.connect(address[4])
            except BaseException:
                sock.close()
                raise
        except OSError as exc:
            errors.append(exc)
        else:
            yield sock


def begin_to_connect(sock: socket.socket, target: Any) -> bool:
    """Begin to connect; return whether `sock` is connected, else it is writable when it is, or has failed."""
    try:
        sock.connect(target)
    except BlockingIOError:
        return False
    return True


def check_connected(sock: socket.socket) -> None:
    """Raise the error of an attempt to connect that has ended, if it failed."""
    code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))
