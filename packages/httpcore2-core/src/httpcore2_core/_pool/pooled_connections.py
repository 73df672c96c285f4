"""The connections of a pool: acquired, dialled, released and closed, as the ledger decides.

Rules:

- The ledger's operations are atomic; nothing here holds a lock over several of them.
- To release a connection, to notify a waiter and to close never awaits, so that no cancellation can come in between.
- On a thread an exception may come between any two instructions: from a signal handler, or from another thread by
  `PyThreadState_SetAsyncExc`. CPython checks for it where a function is entered, after a call, and at the end of a
  loop's body, and nowhere else. What must not be parted is therefore written without calls; a list of what is left to
  do is emptied from one end, and what is left of it is done later; and what is lost all the same, to a second
  exception that comes while the first is handled, is found by its lease (`Ledger.recover`).

Must not know: what is sent on a connection, sockets, locks, which runtime it runs in, which classes of connections
there are.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import inf
from random import uniform
from typing import TYPE_CHECKING, TypeAlias

from .._connect.tls_handshake import TLSOverrides, tls_overrides
from .._exceptions import ConnectError, PoolTimeout, add_context
from .._http.alternatives import AlternativeServices
from .._http.close_reason import CloseReason
from .._http.established import RequestLimit
from .._http.lease import Lease
from .._http.memory import Memory
from .._http.observation import ConnectionObservation, Observers, RequestObservation
from .._http.observer import ObservedConnection
from .._http.timeouts import TimeoutMemory, Timeouts
from .._http.trace import Tracer, log
from .._http.traffic import Traffic
from .._models import Origin, Request, Response
from .._net.errors import rounded
from .._net.forks import generation
from .._net.runtime import Deadline, Runtime
from .._net.runtime_backend import RuntimeBackend
from .config import OVER_HTTP3, PoolConfig
from .expiry import ExpiryTimer
from .ledger import Decisions, Ledger
from .locked_ledger import LockedLedger
from .poolable import Poolable
from .slots import REUSE, Counts, Ticket
from .statistics import OriginStats, PoolStats, Totals, summed

if TYPE_CHECKING:
    import ssl

# Scheme (or `OVER_HTTP3`), host and port, and what extensions say about TLS. A key that has a context keeps it alive,
# so that no other one gets its identity; the ledger drops a key with its last connection and waiting request.
# Leased connections have keys of their own, which say whether the next lease may have the connection.
Key: TypeAlias = (
    tuple[bytes, bytes, int]
    | tuple[bytes, bytes, int, TLSOverrides]
    | tuple[bytes, bytes, int, TLSOverrides | None, bool]
)
PoolTicket: TypeAlias = Ticket[Key, Poolable]
PoolLease: TypeAlias = Lease[Poolable]

_LEASED = 5
"""The length of the key of a leased connection."""
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


def _origin_of(key: Key) -> tuple[bytes, bytes, int]:
    scheme, host, port = key[:3]
    return (b"https" if scheme == OVER_HTTP3 else scheme, host, port)


def _report_closed(connection: Poolable, reason: CloseReason) -> None:
    """Report that `connection` was closed; only the first call for it counts."""
    if connection.observation is not None:
        connection.observation.closed(reason)


def describe(connection: Poolable) -> ObservedConnection:
    """Return an established connection as observers know it."""
    observation, established = connection.observation, connection.established
    assert observation is not None and established is not None, "it was dialled"
    observed = observation.connection
    if observed.http_version is None:  # there was no observer when it was established
        observation.describe(established.http_version, established.peer_address)
    return observed


class PooledConnections:
    """The connections of a pool, bound to one runtime at a time."""

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
        self._resends = config.resend
        self.memory = Memory()
        self._timeouts = self.memory.of(TimeoutMemory)
        self._totals = Totals()
        self._traffic = Traffic()
        self.alternatives: AlternativeServices | None = None
        if config.connection.http3 and not config.connection.is_http3_only:
            self.alternatives = self.memory.of(AlternativeServices)
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
        ledger_class: type[Ledger[Key, Poolable]] = LockedLedger if is_shared else Ledger
        self._ledger = ledger_class(
            self._config.max_connections,
            self._config.max_keepalive_connections,
            self._config.connection.keepalive_expiry,
            self._config.max_connections_per_origin,
            self._config.max_http2_connections_per_origin,
            _origin_of,
        )
        self._ledger.continue_from(self._totals)
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

    # Acquiring

    def _over_http3(self, key: Key, request: Request, runtime: Runtime) -> Key:
        """Return the key for a request to the origin of `key`: another one if the origin offers HTTP/3 now."""
        assert self.alternatives is not None, "HTTP/3 may be used"
        scheme, host, port = key[:3]
        # CONNECT needs a stream of bytes, which HTTP/3 has not.
        if len(key) != len(key[:3]) or scheme != b"https" or request.method == b"CONNECT":
            return key
        is_offered = self.alternatives.find((host, port), runtime.now()) is not None
        return (OVER_HTTP3, host, port) if is_offered else key

    def _learn(self, request: Request, response: Response) -> None:
        """Note where the origin of a response offers HTTP/3, if that may be used."""
        origin = request.url.origin
        if origin.scheme != b"https":
            return
        assert self.alternatives is not None and self._backend is not None, "a request was sent"
        now = self._backend.runtime.now()
        self.alternatives.learn((origin.host, origin.port), response.headers, now)

    def _give_up(
        self, lease: PoolLease, uses: int | None, has_begun: bool, runtime: Runtime
    ) -> None:
        """The request failed, or was interrupted: make sure that its use of the connection is over.

        Args:
            lease: the connection's.
            uses: `lease.uses` when the request got it; `None` if it got it in this very moment.
            has_begun: whether the connection was given the request.
            runtime: the caller's.
        """
        if uses is None:
            uses = lease.uses
        connection = lease.connection
        if not connection.can_multiplex():
            self._ledger.give_up(lease, uses)
        elif not has_begun:
            established = connection.established
            assert established is not None, "only an established connection is granted"
            established.become_idle()
            self._ledger.checkin(connection, runtime.now())
        # Else the connection has released it.
        self._apply_decisions()

    async def _acquire(
        self,
        key: Key,
        arrival: int | None,
        request: Request,
        timeouts: Timeouts,
        runtime: Runtime,
        create: Callable[[Origin], Poolable],
        observation: RequestObservation | None,
    ) -> PoolLease:
        """Wait for a connection, or dial one, as the ledger grants it."""
        lease: PoolLease = Lease()
        lease.on_failure = partial(self._note_failed, "body")
        found: PoolLease | None = None
        ledger = self._ledger
        try:
            may_share = key[0] in self._multiplexing_schemes and len(key) != _LEASED
            found = ledger.acquire(
                key, runtime.now(), may_share, lease, runtime.create_waiter, arrival
            )
            self._apply_decisions()
            if found is not None:
                return found
            ticket: PoolTicket = lease.ticket
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
            if ticket.grant is REUSE:
                assert ticket.lease is not None, "it is what was granted"
                return ticket.lease
            if observation is not None:
                observation.dialled()
            await self._dial(ticket, key, request, timeouts, create, runtime)
        except BaseException:
            if found is not None:
                self._give_up(found, None, False, runtime)
            elif lease.ticket is not None:
                self._abandon(lease.ticket, runtime)
            self._apply_decisions()
            raise
        lease.ticket = None
        return lease

    def _abandon(self, ticket: PoolTicket, runtime: Runtime) -> None:
        """No request uses what `ticket` was granted: another one gets it, or the connection becomes idle."""
        slot = ticket.slot
        connection = None if slot is None else slot.connection
        established = None if connection is None else connection.established
        if established is not None:
            # First: a request that gets it later then checks whether the server has closed it meanwhile.
            established.become_idle()
        ledger = self._ledger
        ledger.abandon(ticket, runtime.now())
        self._apply_decisions()
        if ledger.expires:
            self._expiry_timer.watch(runtime, ledger.last_expiry())
        if established is not None:
            assert connection is not None and connection.observation is not None, "it was dialled"
            if connection.observation.is_observed:
                connection.observation.became_idle()

    async def _dial(
        self,
        ticket: PoolTicket,
        key: Key,
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
        connection.memory, connection.traffic = self.memory, self._traffic
        observation = ConnectionObservation(self.observers, origin, runtime.now)
        connection.observation = observation
        connection.uses_alternative = key[0] == OVER_HTTP3
        if not self._ledger.add(ticket, connection):
            raise ConnectError(
                f"The pool was closed while a request to {origin} waited for a connection."
            )
        await connection.connect(request, timeouts)
        established = connection.established
        assert established is not None, "connect() has returned"
        limit = self._request_limits.get(_origin_of(key))
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
        ticket: PoolTicket,
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

    async def _wait(self, ticket: PoolTicket, limit: float | None, runtime: Runtime) -> None:
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

    def _update(self, connection: Poolable, key: Key) -> None:
        """`connection` now takes another number of requests, or none any more."""
        established = connection.established
        assert established is not None, "what is not established does not change"
        if established.request_limit is not None:
            self._request_limits[_origin_of(key)] = established.request_limit
            if len(self._request_limits) > _MAX_REQUEST_LIMITS:
                # Another thread may do the same: of a copy, and only if it is still there.
                self._request_limits.pop(next(iter(self._request_limits.copy())), None)
        if connection.is_closed():
            self._ledger.close(connection, _reason(connection))
        elif established.is_retired:
            self._ledger.retire(connection)
        else:
            # Two threads may report changes at the same time: neither may leave what it read before the other's change.
            assert self._backend is not None, "there is a connection"
            now = self._backend.runtime.now()
            noted = None
            while noted != (capacity := established.capacity):
                self._ledger.set_capacity(connection, capacity, now)
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
        taken: Decisions[Key, Poolable] = Decisions()
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
            name = str(Origin(*_origin_of(key)))
            origins[name] = stats if name not in origins else summed([origins[name], stats])
        counted = {
            name: getattr(counts, name)
            for counts in (totals, self._traffic)
            for name in counts.__slots__
        }
        config = self._config
        return PoolStats(
            *summed(list(origins.values())),
            origins=origins,
            max_connections=config.max_connections,
            max_keepalive_connections=config.max_keepalive_connections,
            max_connections_per_origin=config.max_connections_per_origin,
            **counted,
        )
