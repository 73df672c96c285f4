"""Carries out what the ledger decides: dials, waits, sends, and gives connections back.

Rules: the ledger is touched only under the lock, and nothing else is done there. On an event loop nobody else is
there, so the two operations of every request go without it: it would cost 5 % of them. Giving back, waking
and closing never await, so that no cancellation can come in between. A connection is with exactly
one of: the ledger as idle, one request, or nobody (closed).
Must not know: HTTP's framing, sockets, which world it runs in.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import RLock
from typing import TypeAlias

from .._backends.caller import adapt_async_backend, adapt_given_backend, default_backend
from .._bodies import ReceivedBody, check_colour
from .._established import RequestLimit
from .._exceptions import (
    ConnectError,
    ConnectionNotAvailable,
    NetworkError,
    PoolTimeout,
    RemoteProtocolError,
    UnsupportedProtocol,
    add_context,
)
from .._models import DEFAULT_PORTS, IDEMPOTENT_METHODS, ByteStream, Origin, Request, Response
from .._network import AsyncNetworkBackend, RuntimeBackend
from .._routes import own_server_name
from .._runtime import Runtime, generation
from .._timeouts import Timeouts
from .._trace import log
from .ledger import Counts, Grant, Ledger, Ticket
from .pooled import PooledConnection

# Scheme, host and port, and the `sni_hostname` of those that have one of their own.
_Key: TypeAlias = tuple[bytes, bytes, int] | tuple[bytes, bytes, int, bytes]
_Ticket: TypeAlias = Ticket[_Key, PooledConnection]

_SCHEMES = frozenset((b"http", b"https", b"ws", b"wss"))
# How often a request may come to a connection in vain before it fails: a server may refuse forever.
_ATTEMPTS = 10
# How often while the server processes others, as it does if it closes each connection after a few requests.
_MAX_ATTEMPTS = 1000
# Origins of which it is remembered how many requests they take on a connection.
_MAX_REMEMBERED = 100


def _unsupported(scheme: bytes) -> UnsupportedProtocol:
    if not scheme:
        return UnsupportedProtocol("Request URL is missing an 'http://' or 'https://' protocol.")
    return UnsupportedProtocol(
        f"Request URL has an unsupported protocol '{scheme.decode('ascii')}://'."
    )


class Engine:
    """A pool's inside. Both faces of the pool, the synchronous and the asynchronous, run on it."""

    def __init__(
        self,
        backend: AsyncNetworkBackend | None,
        *,
        max_connections: int | None,
        max_keepalive_connections: int | None,
        keepalive_expiry: float | None,
        http1: bool,
        http2: bool,
    ) -> None:
        self._given_backend = adapt_given_backend(backend)
        self._backend: RuntimeBackend | None = self._given_backend
        self._limits = (max_connections, max_keepalive_connections, keepalive_expiry)
        # Where it may turn out to be HTTP/2: by ALPN, or because there is nothing else.
        self._shared_schemes: tuple[bytes, ...] = ()
        if http2:
            self._shared_schemes = (
                (b"https", b"wss") if http1 else (b"https", b"wss", b"http", b"ws")
            )
        token = None
        if self._backend is not None and self._backend.runtime.is_blocking:
            # There is but one world of threads, and they must not find out about it at the same time.
            token = self._backend.runtime.token()
        self._reset(token)

    def _reset(self, token: object) -> None:
        self._token = token
        self._generation = generation()
        # A lock that a thread held when the process forked stays locked in the child: a new one.
        # Re-entrant, since the collector may finalise the pool while one of its callbacks holds it.
        self._lock = RLock()
        self._ledger: Ledger[_Key, PooledConnection] = Ledger(*self._limits)
        self._unsettled: list[PooledConnection] = []
        # How many requests an origin takes on a connection, where that has shown.
        self._request_limits: dict[_Key, RequestLimit] = {}

    # Which world

    @property
    def backend(self) -> RuntimeBackend | None:
        """What opens connections, if it was given: else each finds it, and with it what a test kit has patched."""
        return self._given_backend

    def use_backend(self, backend: AsyncNetworkBackend) -> None:
        """Open the connections to come with `backend`."""
        self._given_backend = adapt_given_backend(backend)
        if self._backend is not None:  # else the first request finds it
            self._backend = adapt_async_backend(backend)

    def _enter(self) -> Runtime:
        """Return the caller's runtime, having made sure that the pool's connections belong to it.

        Raises:
            RuntimeError: no event loop runs, or the pool is in use on another one.
            ImportError: the distribution with the backend for the running event loop is not installed.
        """
        backend = self._backend
        if backend is not None and self._generation == generation():
            try:
                if backend.runtime.token() is self._token:
                    return backend.runtime
            except RuntimeError:
                pass  # no loop of that kind runs: it may be another one now
        return self._move()

    def _move(self) -> Runtime:
        """Come to another event loop, or to a forked child, and forget what belongs to the old one."""
        backend = self._given_backend or default_backend()
        token = backend.runtime.token()
        left = self._ledger.connections()
        if (
            left
            and self._backend is not None
            and self._generation == generation()
            and self._backend.runtime.is_running(self._token)
        ):
            raise RuntimeError(
                "This pool is in use on another event loop, which is still running. "
                "Use one pool for each loop."
            )
        self._backend = backend
        self._reset(token)
        for connection in left:
            connection.abort()
        return backend.runtime

    # A request

    async def handle(
        self,
        request: Request,
        create: Callable[[Origin], PooledConnection],
        keeper: object,
    ) -> Response:
        """Send `request` on a connection of its origin, and return its response, the body still to be read.

        Args:
            request: what to send.
            create: makes a connection where there is none to use.
            keeper: the pool itself; the response keeps it alive, so that it isn't collected while a
                body is read.

        Raises:
            UnsupportedProtocol: the URL's scheme is not one of http, https, ws, wss.
            TypeError: the body is of the other colour, or `sni_hostname` is neither text nor bytes.
        """
        runtime = self._enter()
        url = request.url
        if url.scheme not in _SCHEMES:
            raise _unsupported(url.scheme)
        if type(request.stream) is not ByteStream:
            check_colour(request.stream, runtime.is_blocking)
        timeouts = Timeouts.of(request.extensions, runtime)
        port = DEFAULT_PORTS[url.scheme] if url.port is None else url.port
        key: _Key = (url.scheme, url.host, port)
        if "sni_hostname" in request.extensions:
            name = own_server_name(request)
            if name is not None:
                key = (*key, name)
        attempts = vain_attempts = 0
        began = self._ledger.arrivals
        arrival: int | None = None
        while True:
            if self._unsettled:
                await self._settle()
            connection, ticket = self._ask(key, runtime, arrival)
            if connection is None:
                assert ticket is not None, "it is one or the other"
                connection = await self._obtain(ticket, request, timeouts, runtime, create)
            if connection.is_stale():
                self._drop(connection)
                arrival = began
                continue
            try:
                response = await connection.exchange(request, timeouts)
            except ConnectionNotAvailable as exc:
                if connection.can_multiplex():
                    # It has given the reservation back: it is full or going away, which another thread may not have
                    # told the ledger yet, or the server did not process the request, which may then be sent again,
                    # whatever its method (RFC 9113, section 8.7).
                    self._update(connection, key)
                else:
                    self._drop(connection)  # it was closed in this very moment
                arrival = began
                attempts += 1
                vain_attempts = 0 if exc.made_progress else vain_attempts + 1
                if vain_attempts == _ATTEMPTS or attempts == _MAX_ATTEMPTS:
                    raise RemoteProtocolError(
                        f"The request was sent {attempts} times, and never processed. {exc}"
                    ) from exc
            except (NetworkError, RemoteProtocolError):
                # The server closed an idle connection while the request was on its way to it: it did
                # not answer, and to send it again does no harm (RFC 9110, section 9.2.2).
                if not (connection.may_be_resent and request.method in IDEMPOTENT_METHODS):
                    raise
            else:
                assert isinstance(response.stream, ReceivedBody), "connections make no other"
                response.stream.keeper = keeper
                return response

    def _ask(
        self, key: _Key, runtime: Runtime, arrival: int | None
    ) -> tuple[PooledConnection | None, _Ticket | None]:
        """Return a connection that is there, or else a ticket for one."""
        ticket = None
        if runtime.is_blocking:
            with self._lock:
                connection = self._ledger.checkout(key, runtime.now())
                if connection is None:
                    ticket = self._reserve(key, runtime, arrival)
        else:
            connection = self._ledger.checkout(key, runtime.now())
            if connection is None:
                ticket = self._reserve(key, runtime, arrival)
        if self._ledger.closing:
            self._carry_out()
        return connection, ticket

    def _reserve(self, key: _Key, runtime: Runtime, arrival: int | None) -> _Ticket:
        ticket = self._ledger.reserve(key, key[0] in self._shared_schemes, arrival)
        if ticket.grant is None:
            ticket.waiter = runtime.create_waiter()
        return ticket

    async def _obtain(
        self,
        ticket: _Ticket,
        request: Request,
        timeouts: Timeouts,
        runtime: Runtime,
        create: Callable[[Origin], PooledConnection],
    ) -> PooledConnection:
        """Wait for a connection, or make one, as the ticket is granted."""
        try:
            if ticket.grant is None:
                try:
                    limit = timeouts.for_pool()
                except PoolTimeout as exc:
                    add_context(exc, request.url.origin)
                    raise
                if not await ticket.waiter.wait(limit) and ticket.grant is None:
                    raise self._pool_timeout(request, limit)
            if ticket.grant is Grant.REUSE:
                assert ticket.connection is not None, "it is what was granted"
                return ticket.connection
            origin = request.url.origin
            connection = create(origin)
            connection.on_release = partial(self._release, connection)
            connection.on_lost = partial(self._drop, connection)
            connection.on_change = partial(self._update, connection, ticket.key)
            with self._lock:
                if ticket.grant is Grant.CLEARED:
                    raise ConnectError(
                        f"The pool was closed while a request to {origin} waited for a connection."
                    )
                self._ledger.add(ticket, connection)
        except BaseException:
            with self._lock:
                self._ledger.abandon(ticket, runtime.now())
            self._carry_out()
            raise
        try:
            await connection.connect(request, timeouts)
        except BaseException:
            self._drop(connection)
            raise
        with self._lock:
            if ticket.key in self._request_limits:
                connection.request_limit = self._request_limits[ticket.key]
            self._ledger.established(connection, connection.capacity)
        self._carry_out()
        return connection

    def _pool_timeout(self, request: Request, limit: float | None) -> PoolTimeout:
        origin = request.url.origin
        name = own_server_name(request)
        named = "" if name is None else f" with the sni_hostname {name.decode()!r}"
        with self._lock:
            counts = self._ledger.counts()
            to_origin = sum(
                connection.can_handle_request(origin) for connection in self._ledger.connections()
            )
        return PoolTimeout(
            f"No connection to {origin}{named} became free within {limit} seconds. "
            f"The pool allows {self._limits[0]}: {counts.active_connections} are active, "
            f"{to_origin} of them to this origin; "
            f"{counts.queued_requests} requests are waiting. "
            "Read or close responses sooner, or raise max_connections."
        )

    # The ends, none of which awaits

    def _release(
        self, connection: PooledConnection, is_reusable: bool, expires_at: float | None
    ) -> None:
        """A request on `connection` has ended."""
        assert self._backend is not None, "there was a request"
        ledger = self._ledger
        runtime = self._backend.runtime
        if not is_reusable:
            with self._lock:
                ledger.discard(connection)
        elif runtime.is_blocking:
            with self._lock:
                ledger.checkin(connection, runtime.now(), expires_at)
        else:
            ledger.checkin(connection, runtime.now(), expires_at)
        if ledger.granted or ledger.closing:
            self._carry_out()

    def _update(self, connection: PooledConnection, key: _Key) -> None:
        """`connection` now takes another number of requests, or none any more."""
        ledger = self._ledger
        with self._lock:
            if connection.request_limit is not None:
                self._request_limits[key] = connection.request_limit
                if len(self._request_limits) > _MAX_REMEMBERED:
                    del self._request_limits[next(iter(self._request_limits))]
            if connection.is_closed():
                ledger.discard(connection)
            elif connection.is_retired:
                ledger.retire(connection)
            else:
                ledger.set_capacity(connection, connection.capacity)
        self._carry_out()

    def _drop(self, connection: PooledConnection) -> None:
        """`connection` is of no use any more."""
        with self._lock:
            self._ledger.discard(connection)
            self._ledger.closing.append(connection)
        self._carry_out()

    def _carry_out(self) -> None:
        """Wake those whom the ledger has granted something, and close what it wants closed."""
        ledger = self._ledger
        with self._lock:
            granted, ledger.granted = ledger.granted, []
            closing, ledger.closing = ledger.closing, []
        for ticket in granted:
            ticket.waiter.wake()
        for connection in closing:
            if connection.is_connected():
                log("connection", "close.started")
                connection.abort()
                log("connection", "close.complete")
            else:
                connection.abort()
            if connection.needs_settling:
                self._unsettled.append(connection)

    async def _settle(self) -> None:
        """Await what closing a caller's own streams has left to do."""
        while self._unsettled:
            await self._unsettled.pop().settle()

    def abandon(self) -> None:
        """Close all connections, whatever they are doing, without awaiting."""
        with self._lock:
            connections, tickets = self._ledger.clear()
            self._ledger.closing += connections
            self._ledger.granted += (ticket for ticket in tickets if ticket.waiter is not None)
        self._carry_out()

    async def aclose(self) -> None:
        """Close all connections, whatever they are doing."""
        self.abandon()
        await self._settle()

    # What there is

    @property
    def connections(self) -> list[PooledConnection]:
        """The connections, in the order in which they were made."""
        with self._lock:
            return self._ledger.connections()

    @property
    def counts(self) -> Counts:
        """How many connections and requests there are, in which state."""
        with self._lock:
            return self._ledger.counts()
