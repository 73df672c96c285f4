"""Sends requests on the connections of a pool: the inside of the pools of both APIs.

Rules:

- A connection belongs to exactly one of: the ledger (idle), one request, or nobody (closed). A request has it from the
  checkout on, and passes it on with the response, whose body releases it.
- An exception may come between any two instructions, as `pooled_connections` says.

Must not know: HTTP's framing, sockets, locks, which runtime it runs in, which classes of connections there are.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from copy import copy
from functools import partial
from typing import Any

from .._connect.tls_handshake import TLSOverrides, tls_overrides
from .._exceptions import (
    ConnectionNotAvailable,
    LocalProtocolError,
    NetworkError,
    PoolTimeout,
    RemoteProtocolError,
    UnsupportedProtocol,
)
from .._http.bodies import check_body_api
from .._http.close_reason import CloseReason
from .._http.early_data import TOO_EARLY, check_early_data, without_early_data
from .._http.expectation import EXPECTATION_FAILED, without_expectation
from .._http.informational import Informer
from .._http.lease import Lease
from .._http.observation import ObservedBody, RequestObservation, everywhere
from .._http.timeouts import Timeouts
from .._models import DEFAULT_PORTS, IDEMPOTENT_METHODS, ByteStream, Origin, Request, Response
from .._net.runtime import Runtime
from .poolable import Poolable
from .pooled_connections import Key, PooledConnections, PoolLease, describe
from .statistics import Totals

_SCHEMES = frozenset((b"http", b"https", b"ws", b"wss"))
# How often in a row a request may be refused by connections before it fails: a server may refuse all.
_MAX_ATTEMPTS_WITHOUT_PROGRESS = 10
# How often in all, while the server processes other requests: it may close each connection after a few.
_MAX_ATTEMPTS = 1000


def _phase(error: Exception, has_begun: bool) -> str:
    """Return the phase in which a request failed, as in `PoolStats.failed`."""
    if has_begun:
        return "exchange"
    return "pool" if isinstance(error, PoolTimeout) else "connect"


def _unsupported(scheme: bytes) -> UnsupportedProtocol:
    if not scheme:
        return UnsupportedProtocol("Request URL is missing an 'http://' or 'https://' protocol.")
    return UnsupportedProtocol(
        f"Request URL has an unsupported protocol '{scheme.decode('ascii')}://'."
    )


class Engine(PooledConnections):
    """The inside of a pool, on which the pools of the sync and of the async API run.

    It is an object of its own so that a pool is finalised as soon as its user drops it: connections refer to the
    engine, and only responses refer to the pool.
    """

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
                bytes; `ssl_context` is not an `ssl.SSLContext`; `resend` or `early_data` is neither true nor false; or
                `informational` is not a function of the API of the pool.
            LocalProtocolError: `early_data` is true, and the method is not idempotent.
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
        key: Key = (url.scheme, url.host, port)
        may_resend = self._resends
        alternatives = self.alternatives
        # Most requests have `timeout` alone: one check is cheaper than one for each of the others.
        if extensions and (len(extensions) > 1 or "timeout" not in extensions):
            Informer.of(request, runtime.is_blocking, None)
            tls = tls_overrides(request, self._config.connection.ssl_context)
            if tls is not None:
                key = (*key, tls)
            may_resend = self._config.may_resend(request)
            if "early_data" in extensions:
                check_early_data(request)
                if not may_resend:
                    request = without_early_data(request)
        if alternatives is not None:
            key = self._over_http3(key, request, runtime)
        refusal: Exception | None = None
        ledger = self._ledger
        attempts = attempts_without_progress = 0
        began = ledger.arrivals
        arrival: int | None = None
        lease: PoolLease | None = None
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
                    observation.acquired(describe(connection))
                try:
                    has_begun = True
                    response = await established.exchange(request, timeouts, observation)
                    if alternatives is not None:
                        self._learn(request, response)
                    # From here on nothing is called: the body has the connection now.
                    body: Any = response.stream
                    body.pool = pool
                    body.lease = lease
                    body.uses = uses
                    status = response.status
                    if not (
                        may_resend
                        and (
                            (status == EXPECTATION_FAILED and body.is_expectation_refused)
                            or (status == TOO_EARLY and body.is_too_early)
                        )
                    ):
                        return response
                    if status == TOO_EARLY:
                        request = without_early_data(request)
                    else:
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
    ) -> tuple[PoolLease, TLSOverrides | None]:
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
        key: Key = (origin.scheme, origin.host, origin.port, tls, is_reusable)
        lease: PoolLease | None = None
        try:
            while True:
                lease = None
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
        timeouts = self.timeouts_of(request, runtime)
        if "early_data" in request.extensions:
            request = without_early_data(request)  # it is not sent
        origin = request.url.origin
        key: Key = (origin.scheme, origin.host, origin.port)
        tls = tls_overrides(request, self.ssl_context)
        if tls is not None:
            key = (*key, tls)
        elif self.alternatives is not None:
            key = self._over_http3(key, request, runtime)
        self.close_expired()
        # Each pass dials at most one: a connection may be closed, or retired, in the very moment.
        for _ in range(count):
            await self._wait_closed()
            if not await self._dial_ahead(key, count, request, timeouts, create, runtime):
                break
        return self._ledger.count_open(key)

    async def _dial_ahead(
        self,
        key: Key,
        count: int,
        request: Request,
        timeouts: Timeouts,
        create: Callable[[Origin], Poolable],
        runtime: Runtime,
    ) -> bool:
        """Dial one connection, and leave it to the next request; return whether the ledger has granted the dial."""
        lease: PoolLease = Lease()
        try:
            may_share = key[0] in self._multiplexing_schemes
            ticket = self._ledger.reserve_ahead(key, may_share, lease, count)
            if ticket is not None:
                await self._dial(ticket, key, request, timeouts, create, runtime)
        finally:
            if lease.ticket is not None:
                self._abandon(lease.ticket, runtime)
        return ticket is not None
