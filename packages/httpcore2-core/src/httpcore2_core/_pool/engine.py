"""Carries out what the ledger decides: dials, waits, sends, and gives connections back.

Rules:

- The ledger is touched only under the lock, and little else is done there. On an event loop nobody else is there, so
  the two operations of every request go without it: it would cost 5 % of them.
- Giving back, waking and closing never await, so that no cancellation can come in between.
- A connection is with exactly one of: the ledger as idle, one request, or nobody (closed). A request has it from the
  checkout on, and hands it on with the response, whose body gives it back.
- On a thread an exception may come between any two instructions: what a signal handler raises, or another thread by
  `PyThreadState_SetAsyncExc`. CPython looks for it where a function is entered, after a call, and at the end of a
  loop's body, and nowhere else. What must not be parted is therefore written without calls; a list that tells what is
  left to do is worked off from one end, and done again from there; and what is lost all the same, to the second
  exception that comes while the first is dealt with, is found by its lease (`recover`).

Must not know: HTTP's framing, sockets, which world it runs in.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import RLock
from typing import Any, TypeAlias

from .._connect.routes import own_server_name
from .._exceptions import (
    ConnectError,
    ConnectionNotAvailable,
    NetworkError,
    PoolTimeout,
    RemoteProtocolError,
    UnsupportedProtocol,
    add_context,
)
from .._http.bodies import check_body_api
from .._http.established import RequestLimit
from .._http.lease import Lease
from .._http.timeouts import Timeouts
from .._http.trace import log
from .._models import DEFAULT_PORTS, IDEMPOTENT_METHODS, ByteStream, Origin, Request, Response
from .._net.forks import generation
from .._net.network_adapters import default_backend
from .._net.runtime import Deadline, Runtime
from .._net.runtime_backend import RuntimeBackend
from .config import PoolConfig
from .ledger import Ledger
from .poolable import Poolable
from .slots import Counts, Grant, Ticket

# Scheme, host and port, and the `sni_hostname` of those that have one of their own.
_Key: TypeAlias = tuple[bytes, bytes, int] | tuple[bytes, bytes, int, bytes]
_Ticket: TypeAlias = Ticket[_Key, Poolable]
_Lease: TypeAlias = Lease[Poolable]

_SCHEMES = frozenset((b"http", b"https", b"ws", b"wss"))
# How often a request may come to a connection in vain before it fails: a server may refuse forever.
_ATTEMPTS = 10
# How often while the server processes others, as it does if it closes each connection after a few requests.
_MAX_ATTEMPTS = 1000
# Origins of which it is remembered how many requests they take on a connection.
_MAX_REMEMBERED = 100
# Seconds after which a thread that waits for a connection looks by itself: who should have woken it may have been
# interrupted.
_PATIENCE = 0.5


def _unsupported(scheme: bytes) -> UnsupportedProtocol:
    if not scheme:
        return UnsupportedProtocol("Request URL is missing an 'http://' or 'https://' protocol.")
    return UnsupportedProtocol(
        f"Request URL has an unsupported protocol '{scheme.decode('ascii')}://'."
    )


class Engine:
    """A pool's inside. Both faces of the pool, the synchronous and the asynchronous, run on it."""

    def __init__(self, config: PoolConfig) -> None:
        self._config = config
        self._given_backend = self._backend = config.connection.network_backend
        self._multiplexing_schemes = config.multiplexing_schemes
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
        self._ledger: Ledger[_Key, Poolable] = Ledger(
            self._config.max_connections,
            self._config.max_keepalive_connections,
            self._config.connection.keepalive_expiry,
        )
        self._close_pending: list[Poolable] = []
        # How many requests an origin takes on a connection, where that has shown.
        self._request_limits: dict[_Key, RequestLimit] = {}

    # Which world

    def use_backend(self, backend: RuntimeBackend | None) -> None:
        """Open connections with `backend` from now on; `None` for that of the running event loop."""
        self._given_backend = backend
        if self._backend is not None and backend is not None:
            self._backend = backend

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
        create: Callable[[Origin], Poolable],
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
            TypeError: an async body was given to the sync API, or the reverse; or `sni_hostname` is neither
                text nor bytes.
        """
        runtime = self._enter()
        url = request.url
        if url.scheme not in _SCHEMES:
            raise _unsupported(url.scheme)
        if type(request.stream) is not ByteStream:
            check_body_api(request.stream, runtime.is_blocking)
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
        lease: _Lease | None = None
        uses: int | None = None
        has_begun = False
        try:
            while True:
                lease = uses = None
                has_begun = False
                if self._close_pending:
                    await self._wait_closed()
                ledger = self._ledger
                if runtime.is_blocking:
                    with self._lock:
                        lease = ledger.checkout(key, runtime.now())
                else:
                    lease = ledger.checkout(key, runtime.now())
                if ledger.closing:
                    self._apply_decisions()
                if lease is None:
                    lease = await self._acquire(key, arrival, request, timeouts, runtime, create)
                uses = lease.uses
                connection = lease.connection
                if connection.is_stale():
                    self._drop(connection)
                    arrival = began
                    continue
                try:
                    has_begun = True
                    response = await connection.exchange(request, timeouts)
                    # From here on nothing is called: the body has the connection now.
                    body: Any = response.stream
                    body.keeper = keeper
                    body.lease = lease
                    body.uses = uses
                    return response
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
        except BaseException:
            if lease is not None:
                self._give_up(lease, uses, has_begun, runtime)
            raise

    def _give_up(self, lease: _Lease, uses: int | None, has_begun: bool, runtime: Runtime) -> None:
        """The request failed, or was interrupted: see to it that its use of the connection is over.

        Args:
            lease: the connection's.
            uses: `lease.uses` when the request got it; `None` if it got it in this very moment.
            has_begun: whether the connection was given the request.
            runtime: the caller's.
        """
        ledger = self._ledger
        if uses is None:
            uses = lease.uses
        with self._lock:
            if not lease.connection.can_multiplex():
                ledger.give_up(lease, uses)
            elif not has_begun:
                ledger.checkin(lease.connection, runtime.now())
            # Else the connection has seen to it.
        self._apply_decisions()

    async def _acquire(
        self,
        key: _Key,
        arrival: int | None,
        request: Request,
        timeouts: Timeouts,
        runtime: Runtime,
        create: Callable[[Origin], Poolable],
    ) -> _Lease:
        """Wait for a connection, or make one, as the ledger grants it."""
        lease: _Lease = Lease()
        found: _Lease | None = None
        ledger = self._ledger
        try:
            with self._lock:
                if ledger.lost:
                    self._recover()
                # Another thread may have left one meanwhile.
                found = ledger.checkout(key, runtime.now())
                if found is None:
                    ledger.reserve(key, key[0] in self._multiplexing_schemes, lease, arrival)
                    if lease.ticket.grant is None:
                        lease.ticket.waiter = runtime.create_waiter()
            self._apply_decisions()
            if found is not None:
                return found
            ticket: _Ticket = lease.ticket
            if ticket.grant is None:
                try:
                    limit = timeouts.for_pool()
                except PoolTimeout as exc:
                    add_context(exc, request.url.origin)
                    raise
                await self._wait(ticket, limit, runtime)
                if ticket.grant is None:
                    raise self._pool_timeout(request, limit)
            if ticket.grant is Grant.REUSE:
                assert ticket.lease is not None, "it is what was granted"
                return ticket.lease
            origin = request.url.origin
            connection = create(origin)
            connection.on_release = partial(self._release, connection)
            connection.on_change = partial(self._update, connection, key)
            with self._lock:
                if ticket.grant is Grant.CLEARED:
                    raise ConnectError(
                        f"The pool was closed while a request to {origin} waited for a connection."
                    )
                ledger.add(ticket, connection)
            await connection.connect(request, timeouts)
            with self._lock:
                if key in self._request_limits:
                    connection.request_limit = self._request_limits[key]
                ledger.established(connection, connection.capacity)
            self._apply_decisions()
        except BaseException:
            if found is not None:
                self._give_up(found, None, False, runtime)
            elif lease.ticket is not None:
                with self._lock:
                    ledger.abandon(lease.ticket, runtime.now())
            self._apply_decisions()
            raise
        lease.ticket = None
        return lease

    async def _wait(self, ticket: _Ticket, limit: float | None, runtime: Runtime) -> None:
        """Wait until `ticket` is granted something, at most `limit` seconds."""
        if not runtime.is_blocking:
            await ticket.waiter.wait(limit)
            return
        deadline = Deadline(limit, runtime)
        left = limit
        while ticket.grant is None and left != 0:
            pause = _PATIENCE if left is None else min(left, _PATIENCE)
            if not await ticket.waiter.wait(pause):
                with self._lock:
                    self._recover()
                self._apply_decisions()
            left = deadline.left()

    def _recover(self) -> None:
        """Take back connections and slots whose requests are gone; under the lock."""
        ledger = self._ledger
        # Those that are lost meanwhile stay for the next time.
        count = len(ledger.lost)
        ledger.recover()
        del ledger.lost[:count]

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
            f"The pool allows {self._config.max_connections}: {counts.active_connections} are active, "
            f"{to_origin} of them to this origin; "
            f"{counts.queued_requests} requests are waiting. "
            "Read or close responses sooner, or raise max_connections."
        )

    # The ends, none of which awaits

    def _release(self, connection: Poolable, is_reusable: bool, expires_at: float | None) -> None:
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
            self._apply_decisions()

    def _update(self, connection: Poolable, key: _Key) -> None:
        """`connection` now takes another number of requests, or none any more."""
        ledger = self._ledger
        with self._lock:
            if connection.request_limit is not None:
                self._request_limits[key] = connection.request_limit
                if len(self._request_limits) > _MAX_REMEMBERED:
                    del self._request_limits[next(iter(self._request_limits))]
            if connection.is_closed():
                ledger.closing.append(connection)
                ledger.discard(connection)
            elif connection.is_retired:
                ledger.retire(connection)
            else:
                ledger.set_capacity(connection, connection.capacity)
        self._apply_decisions()

    def _drop(self, connection: Poolable) -> None:
        """`connection` is of no use any more."""
        with self._lock:
            self._ledger.closing.append(connection)
            self._ledger.discard(connection)
        self._apply_decisions()

    def _apply_decisions(self) -> None:
        """Wake those whom the ledger has granted something, and close what it wants closed."""
        ledger = self._ledger
        if ledger.granted:
            with self._lock:
                for ticket in ledger.granted:
                    if ticket.waiter is not None:
                        ticket.waiter.wake()  # again, if this was interrupted before, which does no harm
                ledger.granted.clear()
        connection = None
        try:
            while ledger.closing:
                with self._lock:
                    if ledger.closing:
                        connection = ledger.closing[0]
                        del ledger.closing[0]
                if connection is not None:
                    self._close(connection)
                connection = None
        except BaseException:
            if connection is not None:
                ledger.closing.append(connection)
            raise

    def _close(self, connection: Poolable) -> None:
        if connection.is_connected():
            log("connection", "close.started")
            connection.abort()
            log("connection", "close.complete")
        else:
            connection.abort()
        if connection.close_pending:
            self._close_pending.append(connection)

    async def _wait_closed(self) -> None:
        """Await what closing a caller's own streams has left to do."""
        while self._close_pending:
            await self._close_pending.pop().wait_closed()

    def abandon(self) -> None:
        """Close all connections, whatever they are doing, without awaiting."""
        with self._lock:
            connections, tickets = self._ledger.clear()
            self._ledger.closing += connections
            self._ledger.granted += tickets
        self._apply_decisions()

    async def aclose(self) -> None:
        """Close all connections, whatever they are doing."""
        self.abandon()
        await self._wait_closed()

    # What there is

    @property
    def connections(self) -> list[Poolable]:
        """The connections, in the order in which they were made."""
        with self._lock:
            return self._ledger.connections()

    @property
    def counts(self) -> Counts:
        """How many connections and requests there are, in which state."""
        with self._lock:
            return self._ledger.counts()
