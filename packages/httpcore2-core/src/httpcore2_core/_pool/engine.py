"""Applies what the ledger decides: dials, waits, sends requests, and closes connections.

Rules:

- The ledger's operations are atomic; nothing here holds a lock over several of them.
- To release a connection, to notify a waiter and to close never awaits, so that no cancellation can come in between.
- A connection belongs to exactly one of: the ledger (idle), one request, or nobody (closed). A request has it from the
  checkout on, and passes it on with the response, whose body releases it.
- On a thread an exception may come between any two instructions: from a signal handler, or from another thread by
  `PyThreadState_SetAsyncExc`. CPython checks for it where a function is entered, after a call, and at the end of a
  loop's body, and nowhere else. What must not be parted is therefore written without calls; a list of what is left to
  do is emptied from one end, and what is left of it is done later; and what is lost all the same, to a second
  exception that comes while the first is handled, is found by its lease (`Ledger.recover`).

Must not know: HTTP's framing, sockets, locks, which runtime it runs in, which classes of connections there are.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from copy import copy
from functools import partial
from math import inf
from random import uniform
from typing import TYPE_CHECKING, Any, TypeAlias

from .._connect.tls_handshake import TLSOverrides, tls_overrides
from .._exceptions import (
    ConnectError,
    ConnectionNotAvailable,
    LocalProtocolError,
    NetworkError,
    PoolTimeout,
    RemoteProtocolError,
    UnsupportedProtocol,
    add_context,
)
from .._http.bodies import check_body_api
from .._http.close_reason import CloseReason
from .._http.established import RequestLimit
from .._http.expectation import EXPECTATION_FAILED, without_expectation
from .._http.informational import Informer
from .._http.lease import Lease
from .._http.memory import Memory
from .._http.observation import (
    ConnectionObservation,
    ObservedBody,
    Observers,
    RequestObservation,
    everywhere,
)
from .._http.observer import ObservedConnection
from .._http.timeouts import TimeoutMemory, Timeouts
from .._http.trace import Tracer, log
from .._models import DEFAULT_PORTS, IDEMPOTENT_METHODS, ByteStream, Origin, Request, Response
from .._net.errors import rounded
from .._net.forks import generation
from .._net.runtime import Deadline, Runtime
from .._net.runtime_backend import RuntimeBackend
from .config import PoolConfig
from .expiry import ExpiryTimer
from .ledger import Decisions, Ledger
from .locked_ledger import LockedLedger
from .poolable import Poolable
from .slots import Counts, Grant, Ticket
from .statistics import OriginStats, PoolStats, Totals, summed

if TYPE_CHECKING:
    import ssl

# Scheme, host and port, and what extensions say about TLS. A key that has a context keeps it alive, so that no other
# one gets its identity; the ledger drops a key with its last connection and waiting request.
# Leased connections have keys of their own, which say whether the next lease may have the connection.
_Key: TypeAlias = (
    tuple[bytes, bytes, int]
    | tuple[bytes, bytes, int, TLSOverrides]
    | tuple[bytes, bytes, int, TLSOverrides | None, bool]
)
_Ticket: TypeAlias = Ticket[_Key, Poolable]
_Lease: TypeAlias = Lease[Poolable]

_SCHEMES = frozenset((b"http", b"https", b"ws", b"wss"))
_LEASED = 5
"""The length of the key of a leased connection."""
# How often in a row a request may be refused by connections before it fails: a server may refuse all.
_MAX_ATTEMPTS_WITHOUT_PROGRESS = 10
# How often in all, while the server processes other requests: it may close each connection after a few.
_MAX_ATTEMPTS = 1000
# How many origins' request limits are kept.
_MAX_REQUEST_LIMITS = 100
# By which part of `max_connection_age` the age of a connection may differ from it.
_AGE_JITTER = 0.1
# Seconds after which a thread that waits for a connection calls `recover()` itself: the thread that should have
# notified it may have been interrupted.
_RECOVERY_INTERVAL = 0.5


def _reason(connection: Poolable) -> CloseReason:
    """Return why a connection closed itself."""
    established = connection.established
    reason = None if established is None else established.close_reason
    return reason or CloseReason.EXCHANGE_FAILED


def _phase(error: Exception, has_begun: bool) -> str:
    """Return the phase in which a request failed, as in `PoolStats.failed`."""
    if has_begun:
        return "exchange"
    return "pool" if isinstance(error, PoolTimeout) else "connect"


def _usage_of(connection: Poolable) -> tuple[int, int, int]:
    return connection.usage


def _report_closed(connection: Poolable, reason: CloseReason) -> None:
    """Report that `connection` was closed; only the first call for it counts."""
    if connection.observation is not None:
        connection.observation.closed(reason)


def _describe(connection: Poolable) -> ObservedConnection:
    """Return an established connection as observers know it."""
    observation, established = connection.observation, connection.established
    assert observation is not None and established is not None, "it was dialled"
    observed = observation.connection
    if observed.http_version is None:  # there was no observer when it was established
        observation.describe(established.http_version, established.peer_address)
    return observed


def _unsupported(scheme: bytes) -> UnsupportedProtocol:
    if not scheme:
        return UnsupportedProtocol("Request URL is missing an 'http://' or 'https://' protocol.")
    return UnsupportedProtocol(
        f"Request URL has an unsupported protocol '{scheme.decode('ascii')}://'."
    )


class Engine:
    """The inside of a pool, on which the pools of the sync and of the async API run.

    It is an object of its own so that a pool is finalised as soon as its user drops it: connections refer to the
    engine, and only responses refer to the pool.
    """

    def __init__(self, config: PoolConfig, default_backend: Callable[[], RuntimeBackend]) -> None:
        """Begin with an empty pool.

        Args:
            config: the settings of the pool.
            default_backend: returns the backend for the running event loop, if `config` has none.
        """
        self._config = config
        self._default_backend = default_backend
        self._given_backend = self._backend = config.connection.network_backend
        self._multiplexing_schemes = config.multiplexing_schemes
        self.memory = Memory()
        self._timeouts = self.memory.of(TimeoutMemory)
        self._totals = Totals()
        self.observers = Observers()
        self._own_observers = self.observers.own
        token = None
        if self._backend is not None and self._backend.runtime.is_blocking:
            # All threads share one runtime; resolve it here, once, so that two threads cannot race to do it.
            token = self._backend.runtime.token()
        self._reset(token)

    def _reset(self, token: object) -> None:
        """Begin with an empty ledger, on the runtime of `token`."""
        self._token = token
        self._generation = generation()
        # A lock that a thread held when the process forked stays locked in the child: a new ledger brings its own.
        is_shared = self._backend is not None and self._backend.runtime.is_blocking
        ledger_class: type[Ledger[_Key, Poolable]] = LockedLedger if is_shared else Ledger
        self._ledger = ledger_class(
            self._config.max_connections,
            self._config.max_keepalive_connections,
            self._config.connection.keepalive_expiry,
            self._config.max_connections_per_origin,
            self._config.max_http2_connections_per_origin,
        )
        self._ledger.continue_from(self._totals, _usage_of)
        # Another one for each event loop: what is left of an old one refers to nothing.
        self._expiry_timer = ExpiryTimer(self._on_expiry)
        self._close_pending: list[Poolable] = []
        # How many requests an origin takes on a connection, where that is known.
        self._request_limits: dict[tuple[bytes, bytes, int], RequestLimit] = {}

    # The runtime

    def use_backend(self, backend: RuntimeBackend | None) -> None:
        """Open connections with `backend` from now on; `None` for that of the running event loop."""
        self._given_backend = backend
        if self._backend is not None and backend is not None:
            self._backend = backend

    def _bind(self) -> Runtime:
        """Return the caller's runtime, and make sure that the pool's connections belong to it.

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
        return self._rebind()

    def _rebind(self) -> Runtime:
        """Bind to another event loop, or to the forked child, and close the connections of the old one."""
        backend = self._given_backend or self._default_backend()
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
        for connection in left:
            self._ledger.discard(connection, CloseReason.LOST)
        self._reset(token)
        for connection in left:
            connection.abort()
            _report_closed(connection, CloseReason.LOST)
        return backend.runtime

    @property
    def ssl_context(self) -> ssl.SSLContext | None:
        """The TLS context of the settings, for origins."""
        return self._config.connection.ssl_context

    def timeouts_of(self, request: Request, runtime: Runtime) -> Timeouts:
        """Return the limits of `request`, from now on.

        Raises:
            UnsupportedProtocol: the URL's scheme is not one of http, https, ws, wss.
        """
        if request.url.scheme not in _SCHEMES:
            raise _unsupported(request.url.scheme)
        return self._timeouts.of(request.extensions, runtime)

    # A request

    async def handle(
        self,
        request: Request,
        create: Callable[[Origin], Poolable],
        pool: object,
        observation: RequestObservation | None,
    ) -> Response:
        """Send `request` on a connection of its origin, and return its response, the body still to be read.

        Args:
            request: the request.
            create: makes a connection where there is none to use.
            pool: the pool itself: the response's body refers to it, so that the pool isn't finalised while the body is
                read.
            observation: the request as its observers see it; `None`, unless this is called by itself. An argument that
                has a default takes 300 instructions more if it is left out.

        Raises:
            UnsupportedProtocol: the URL's scheme is not one of http, https, ws, wss.
            TypeError: an async body was given to the sync API, or the reverse; `sni_hostname` is neither text nor
                bytes; `ssl_context` is not an `ssl.SSLContext`; `resend` is neither true nor false; or `informational`
                is not a function of the API of the pool.
        """
        runtime = self._bind()
        if (self._own_observers or everywhere) and observation is None:
            # Not a lambda, whose variables would cost every request more.
            send = partial(self._send_observed, create, pool)
            return await self._handle_observed(request, runtime, send)
        url = request.url
        if url.scheme not in _SCHEMES:
            raise _unsupported(url.scheme)
        if type(request.stream) is not ByteStream:
            check_body_api(request.stream, runtime.is_blocking)
        extensions = request.extensions
        timeouts = self._timeouts.of(extensions, runtime)
        port = DEFAULT_PORTS[url.scheme] if url.port is None else url.port
        key: _Key = (url.scheme, url.host, port)
        may_resend = self._config.resend
        # Most requests have `timeout` alone: one check is cheaper than one for each of the others.
        if extensions and (len(extensions) > 1 or "timeout" not in extensions):
            Informer.of(request, runtime.is_blocking, None)
            tls = tls_overrides(request, self._config.connection.ssl_context)
            if tls is not None:
                key = (*key, tls)
            may_resend = self._config.may_resend(request)
        refusal: Exception | None = None
        ledger = self._ledger
        attempts = attempts_without_progress = 0
        began = ledger.arrivals
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
                lease = ledger.checkout(key, runtime.now())
                if ledger.closing:
                    self._apply_decisions()
                if lease is None:
                    lease = await self._acquire(
                        key, arrival, request, timeouts, runtime, create, observation
                    )
                uses = lease.uses
                connection = lease.connection
                established = connection.established
                assert established is not None, "only an established connection is granted"
                if established.is_stale():
                    self._close(connection, CloseReason.PEER)
                    arrival = began
                    continue
                if observation is not None:
                    observation.acquired(_describe(connection))
                try:
                    has_begun = True
                    response = await established.exchange(request, timeouts, observation)
                    # From here on nothing is called: the body has the connection now.
                    body: Any = response.stream
                    body.pool = pool
                    body.lease = lease
                    body.uses = uses
                    if not (
                        response.status == EXPECTATION_FAILED
                        and body.is_expectation_refused
                        and may_resend
                    ):
                        return response
                    # RFC 9110, section 10.1.1: some proxies forward no expectation.
                    request = without_expectation(request)
                    await body.aclose()
                    arrival = began
                    continue
                except ConnectionNotAvailable as exc:
                    if connection.can_multiplex():
                        # It has released the reservation: it is full or going away, which another thread may not have
                        # reported yet, or the server did not process the request, which may then be sent again,
                        # whatever its method (RFC 9113, section 8.7).
                        self._update(connection, key)
                    else:
                        # It was closed in this very moment.
                        self._close(connection, CloseReason.PEER)
                    if not may_resend:
                        refusal = exc.reason
                    arrival = began
                    attempts += 1
                    attempts_without_progress = (
                        0 if exc.made_progress else attempts_without_progress + 1
                    )
                    if (
                        attempts_without_progress == _MAX_ATTEMPTS_WITHOUT_PROGRESS
                        or attempts == _MAX_ATTEMPTS
                    ):
                        raise RemoteProtocolError(
                            f"The request was sent {attempts} times, and never processed. {exc}"
                        ) from exc
                    if refusal is None and exc.reason is not None:
                        ledger.note(Totals.add_resent)
                    if observation is not None and refusal is None:
                        observation.repeated(exc.reason)
                except (NetworkError, RemoteProtocolError) as exc:
                    # The server closed an idle connection while the request was on its way to it: it did
                    # not answer, and to send it again does no harm (RFC 9110, section 9.2.2).
                    if not (
                        may_resend
                        and established.may_be_resent
                        and request.method in IDEMPOTENT_METHODS
                    ):
                        raise
                    ledger.note(Totals.add_resent)
                    if observation is not None:
                        observation.repeated(exc)
                if refusal is not None:
                    refusal.add_note("The request was not sent again, since `resend` is False.")
                    raise refusal
        except BaseException as exc:
            if lease is not None:
                self._give_up(lease, uses, has_begun, runtime)
            if isinstance(exc, Exception):
                self._note_failed(_phase(exc, has_begun))
            raise

    async def acquire_alone(
        self,
        request: Request,
        create: Callable[[Origin], Poolable],
        is_reusable: bool,
    ) -> tuple[_Lease, TLSOverrides | None]:
        """Acquire a connection that serves one request at a time, for one caller, until it is closed or released.

        Args:
            request: it is not sent: its URL and its extensions say which connection, and how long to wait.
            create: makes a connection where there is none to use.
            is_reusable: whether the connection may be one that was given back, and may be used again.

        Returns:
            The lease of the connection, and what the extensions of `request` say about TLS.

        Raises:
            UnsupportedProtocol: the URL's scheme is not one of http, https, ws, wss.
            TypeError: `sni_hostname` is neither text nor bytes, or `ssl_context` is not an `ssl.SSLContext`.
            LocalProtocolError: the connection uses HTTP/2.
        """
        runtime = self._bind()
        timeouts = self.timeouts_of(request, runtime)
        origin = request.url.origin
        tls = tls_overrides(request, self.ssl_context)
        key: _Key = (origin.scheme, origin.host, origin.port, tls, is_reusable)
        lease: _Lease | None = None
        try:
            while True:
                lease = None
                if self._close_pending:
                    await self._wait_closed()
                lease = self._ledger.checkout(key, runtime.now())
                self._apply_decisions()
                if lease is None:
                    lease = await self._acquire(key, None, request, timeouts, runtime, create, None)
                connection = lease.connection
                established = connection.established
                assert established is not None, "only an established connection is granted"
                if established.is_stale():
                    self._close(connection, CloseReason.PEER)
                    continue
                if established.capacity == 1 and not connection.can_multiplex():
                    return lease, tls
                self._close(connection, CloseReason.LEASE_ENDED)
                raise LocalProtocolError(
                    f"The connection to {origin} can't be leased, since it uses HTTP/2, whose requests share it: "
                    "give the ssl_context no ALPN protocols, or let create_connection() offer HTTP/1.1 alone."
                )
        except BaseException as exc:
            if lease is not None:
                self._give_up(lease, None, False, runtime)
            if isinstance(exc, Exception):
                self._note_failed(_phase(exc, has_begun=False))
            raise

    def _send_observed(
        self,
        create: Callable[[Origin], Poolable],
        pool: object,
        request: Request,
        observation: RequestObservation,
    ) -> Coroutine[Any, Any, Response]:
        return self.handle(request, create, pool, observation)

    async def _handle_observed(
        self,
        request: Request,
        runtime: Runtime,
        send: Callable[[Request, RequestObservation], Coroutine[Any, Any, Response]],
    ) -> Response:
        """Send a copy of the request by `send`, and report the start and the end of the request."""
        request = copy(request)
        observation = RequestObservation(self.observers, request, runtime.now)
        body: ObservedBody | None = None
        try:
            response = await send(request, observation)
            received: Any = response.stream
            response.stream = body = ObservedBody(received, observation)
            observation.response_received(response)
        except BaseException as exc:
            if body is not None:
                await body.aclose()  # the caller has not got it
            observation.ended(exc)
            raise
        return response

    async def connect(
        self, request: Request, count: int, create: Callable[[Origin], Poolable]
    ) -> int:
        """Dial connections for requests like `request` until `count` are open, and return how many there are.

        It dials one after another: the first one tells whether the next is one for several requests. It ends early
        where the limits of the pool permit no other.

        Raises:
            UnsupportedProtocol: the URL's scheme is not one of http, https, ws, wss.
            TypeError: `sni_hostname` is neither text nor bytes; or `ssl_context` is not an `ssl.SSLContext`.
        """
        runtime = self._bind()
        url = request.url
        if url.scheme not in _SCHEMES:
            raise _unsupported(url.scheme)
        timeouts = self._timeouts.of(request.extensions, runtime)
        port = DEFAULT_PORTS[url.scheme] if url.port is None else url.port
        key: _Key = (url.scheme, url.host, port)
        tls = tls_overrides(request, self._config.connection.ssl_context)
        if tls is not None:
            key = (*key, tls)
        self.close_expired()
        # Each pass dials at most one: a connection may be closed, or retired, in the very moment.
        for _ in range(count):
            await self._wait_closed()
            if not await self._dial_ahead(key, count, request, timeouts, create, runtime):
                break
        return self._ledger.count_open(key)

    async def _dial_ahead(
        self,
        key: _Key,
        count: int,
        request: Request,
        timeouts: Timeouts,
        create: Callable[[Origin], Poolable],
        runtime: Runtime,
    ) -> bool:
        """Dial one connection, and leave it to the next request; return whether the ledger has granted the dial."""
        ledger = self._ledger
        lease: _Lease = Lease()
        try:
            may_share = key[0] in self._multiplexing_schemes
            if ledger.reserve_ahead(key, may_share, lease, count) is None:
                return False
            await self._dial(lease.ticket, key, request, timeouts, create, runtime)
            established = lease.connection.established
            assert established is not None, "it was dialled"
            established.become_idle()
        finally:
            if lease.ticket is not None:
                ledger.abandon(lease.ticket, runtime.now())
            self._apply_decisions()
        if ledger.expires:
            self._expiry_timer.watch(runtime, ledger.last_expiry())
        observation = lease.connection.observation
        assert observation is not None, "it was dialled"
        if observation.is_observed:
            observation.became_idle()
        return True

    def _give_up(self, lease: _Lease, uses: int | None, has_begun: bool, runtime: Runtime) -> None:
        """The request failed, or was interrupted: make sure that its use of the connection is over.

        Args:
            lease: the connection's.
            uses: `lease.uses` when the request got it; `None` if it got it in this very moment.
            has_begun: whether the connection was given the request.
            runtime: the caller's.
        """
        if uses is None:
            uses = lease.uses
        if not lease.connection.can_multiplex():
            self._ledger.give_up(lease, uses)
        elif not has_begun:
            self._ledger.checkin(lease.connection, runtime.now())
        # Else the connection has released it.
        self._apply_decisions()

    async def _acquire(
        self,
        key: _Key,
        arrival: int | None,
        request: Request,
        timeouts: Timeouts,
        runtime: Runtime,
        create: Callable[[Origin], Poolable],
        observation: RequestObservation | None,
    ) -> _Lease:
        """Wait for a connection, or dial one, as the ledger grants it."""
        lease: _Lease = Lease()
        lease.on_failure = partial(self._note_failed, "body")
        found: _Lease | None = None
        ledger = self._ledger
        try:
            may_share = key[0] in self._multiplexing_schemes and len(key) != _LEASED
            found = ledger.acquire(
                key, runtime.now(), may_share, lease, runtime.create_waiter, arrival
            )
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
                waiting = self._wait_for_grant(ticket, limit, request, runtime, observation)
                tracer = Tracer.of("connection_pool", request, runtime.is_blocking)
                if tracer is not None:
                    info = {"request": request}
                    waiting = tracer.span("wait_for_connection", info, waiting)
                await waiting
            if ticket.grant is Grant.REUSE:
                assert ticket.lease is not None, "it is what was granted"
                return ticket.lease
            if observation is not None:
                observation.dialled()
            await self._dial(ticket, key, request, timeouts, create, runtime)
        except BaseException:
            if found is not None:
                self._give_up(found, None, False, runtime)
            elif lease.ticket is not None:
                ledger.abandon(lease.ticket, runtime.now())
            self._apply_decisions()
            raise
        lease.ticket = None
        return lease

    async def _dial(
        self,
        ticket: _Ticket,
        key: _Key,
        request: Request,
        timeouts: Timeouts,
        create: Callable[[Origin], Poolable],
        runtime: Runtime,
    ) -> None:
        """Make the connection that `ticket` was granted a slot for, and establish it."""
        origin = request.url.origin
        connection = create(origin)
        connection.on_release = partial(self._release, connection)
        connection.on_change = partial(self._update, connection, key)
        connection.memory = self.memory
        observation = ConnectionObservation(self.observers, origin, runtime.now)
        connection.observation = observation
        if not self._ledger.add(ticket, connection):
            raise ConnectError(
                f"The pool was closed while a request to {origin} waited for a connection."
            )
        await connection.connect(request, timeouts)
        established = connection.established
        assert established is not None, "connect() has returned"
        limit = self._request_limits.get(key[:3])
        if limit is not None:
            established.request_limit = limit
        retires_at = inf
        age = self._config.max_connection_age
        if age is not None:
            # Connections that were made together are not replaced together.
            jitter = uniform(1 - _AGE_JITTER, 1 + _AGE_JITTER)  # noqa: S311 - nothing secret
            retires_at = runtime.now() + age * jitter
        self._ledger.established(connection, established.capacity, retires_at)
        self._apply_decisions()
        observation.connection.opened_at = runtime.now()
        if observation.is_observed:
            observation.opened(established.http_version, established.peer_address)

    async def _wait_for_grant(
        self,
        ticket: _Ticket,
        limit: float | None,
        request: Request,
        runtime: Runtime,
        observation: RequestObservation | None,
    ) -> None:
        """Wait until `ticket` is granted something, and report the wait."""
        if observation is not None:
            observation.queued()
        began = runtime.now()
        try:
            await self._wait(ticket, limit, runtime)
        finally:
            waited = runtime.now() - began
            self._ledger.note(lambda totals: totals.add_waited(waited))
        if observation is not None:
            observation.granted()
        if ticket.grant is None:
            raise self._pool_timeout(request, limit)

    async def _wait(self, ticket: _Ticket, limit: float | None, runtime: Runtime) -> None:
        """Wait until `ticket` is granted something, at most `limit` seconds."""
        if not runtime.is_blocking:
            await ticket.waiter.wait(limit)
            return
        deadline = Deadline(limit, runtime)
        left = limit
        while ticket.grant is None and left != 0:
            pause = _RECOVERY_INTERVAL if left is None else min(left, _RECOVERY_INTERVAL)
            if not await ticket.waiter.wait(pause):
                self._ledger.recover()
                self._apply_decisions()
            left = deadline.left()

    def _pool_timeout(self, request: Request, limit: float | None) -> PoolTimeout:
        origin = request.url.origin
        tls = tls_overrides(request, self._config.connection.ssl_context) or TLSOverrides()
        named = "" if tls.server_name is None else f" with the sni_hostname {tls.server_name!r}"
        if tls.ssl_context is not None:
            named += " with the request's own ssl_context"
        counts = self._ledger.counts()
        to_origin = sum(
            connection.can_handle_request(origin) for connection in self._ledger.connections()
        )
        per_origin = self._config.max_connections_per_origin
        allowed, remedy = f"{self._config.max_connections}", "max_connections"
        if per_origin is not None:
            allowed += f", and {per_origin} to each origin"
            remedy += " or max_connections_per_origin"
        per_origin = self._config.max_http2_connections_per_origin
        if per_origin is not None:
            allowed += f", and {per_origin} with HTTP/2 to each origin"
            remedy += " or max_http2_connections_per_origin"
        return PoolTimeout(
            f"No connection to {origin}{named} became free within {rounded(limit)} seconds. "
            f"The pool allows {allowed}: {counts.active_connections} are active, "
            f"{to_origin} of them to this origin; "
            f"{counts.queued_requests} requests are waiting. "
            f"Read or close responses sooner, or raise {remedy}."
        )

    def _note_failed(self, phase: str) -> None:
        self._ledger.note(lambda totals: totals.add_failed(phase))

    # Ends: none of these awaits

    def _release(self, connection: Poolable, is_reusable: bool, expires_at: float | None) -> None:
        """A request on `connection` has ended."""
        ledger = self._ledger
        if is_reusable:
            assert self._backend is not None, "there was a request"
            runtime = self._backend.runtime
            ledger.checkin(connection, runtime.now(), expires_at)
            if ledger.expires:
                self._expiry_timer.watch(runtime, ledger.last_expiry())
        else:
            reason = _reason(connection)
            ledger.discard(connection, reason)
            _report_closed(connection, reason)
        if ledger.granted or ledger.closing:
            self._apply_decisions()

    def _update(self, connection: Poolable, key: _Key) -> None:
        """`connection` now takes another number of requests, or none any more."""
        established = connection.established
        assert established is not None, "what is not established does not change"
        if established.request_limit is not None:
            self._request_limits[key[:3]] = established.request_limit
            if len(self._request_limits) > _MAX_REQUEST_LIMITS:
                # Another thread may do the same: of a copy, and only if it is still there.
                self._request_limits.pop(next(iter(self._request_limits.copy())), None)
        if connection.is_closed():
            self._ledger.close(connection, _reason(connection))
        elif established.is_retired:
            self._ledger.retire(connection)
        else:
            # Two threads may report changes at the same time: neither may leave what it read before the other's change.
            noted = None
            while noted != (capacity := established.capacity):
                self._ledger.set_capacity(connection, capacity)
                noted = capacity
        self._apply_decisions()

    def _close(self, connection: Poolable, reason: CloseReason) -> None:
        """`connection` can't be used any more."""
        self._ledger.close(connection, reason)
        self._apply_decisions()

    def _apply_decisions(self) -> None:
        """Notify the waiters that the ledger has granted something, and close the connections that it has removed."""
        ledger = self._ledger
        if not (ledger.granted or ledger.closing):
            return
        taken: Decisions[_Key, Poolable] = Decisions()
        try:
            ledger.take_decisions(taken)
            for ticket in taken.granted:
                if ticket.waiter is not None:
                    ticket.waiter.wake()  # if this is interrupted, it is done again, which does no harm
            taken.granted.clear()
            while taken.closing:
                self._abort(taken.closing[0])
                del taken.closing[0]
        except BaseException:
            ledger.return_decisions(taken)
            raise

    def close_expired(self) -> int:
        """Close all idle connections whose expiry has come, and return how many; none of another process or loop."""
        backend = self._backend
        if backend is None or self._generation != generation():
            return 0
        count = self._ledger.close_expired(backend.runtime.now())
        self._apply_decisions()
        return count

    def _on_expiry(self) -> None:
        self.close_expired()
        assert self._backend is not None, "a connection has expired"
        self._expiry_timer.watch(self._backend.runtime, self._ledger.first_expiry())

    def _abort(self, connection: Poolable) -> None:
        if connection.is_connected():
            log("connection", "close.started")
            connection.abort()
            log("connection", "close.complete")
        else:
            connection.abort()
        if connection.close_pending:
            self._close_pending.append(connection)
        _report_closed(connection, self._ledger.close_reasons.pop(connection, CloseReason.LOST))

    async def _wait_closed(self) -> None:
        """Await what the closing of callers' own streams has left to do."""
        while self._close_pending:
            await self._close_pending.pop().wait_closed()

    async def aclose(self) -> None:
        """Close all connections, whatever they are doing; requests that wait for one fail."""
        self._ledger.clear()
        self._expiry_timer.cancel()
        self._apply_decisions()
        self.memory.forget()
        await self._wait_closed()

    def finalise(self) -> None:
        """Close the connections of a pool that the collector finalises.

        That may be in the middle of any operation, on any thread: a connection's callbacks refer to the engine alone.
        So the ledger is read, and not changed, and an operation that is under way goes on as if nothing had happened.
        No request can come or wait, since each refers to the pool; the ledger ends with the engine.
        """
        for connection in [*self._ledger.connections(), *self._ledger.closing]:
            self._abort(connection)

    # Queries

    @property
    def connections(self) -> list[Poolable]:
        """The connections, in the order of their creation."""
        return self._ledger.connections()

    @property
    def counts(self) -> Counts:
        """How many connections and requests there are, by state."""
        return self._ledger.counts()

    def stats(self) -> PoolStats:
        """Return the statistics of the pool, by origin."""
        keys, totals = self._ledger.stats()
        origins: dict[str, OriginStats] = {}
        for key, stats in keys.items():
            name = str(Origin(*key[:3]))
            origins[name] = stats if name not in origins else summed([origins[name], stats])
        config = self._config
        return PoolStats(
            *summed(list(origins.values())),
            origins=origins,
            max_connections=config.max_connections,
            max_keepalive_connections=config.max_keepalive_connections,
            max_connections_per_origin=config.max_connections_per_origin,
            **{name: getattr(totals, name) for name in Totals.__slots__},
        )
