"""A connection that one caller has for itself, over several requests, until it is given back.

Rules:

- The connection takes one request at a time. A request is sent once, on this connection, or fails.
- For the ledger it is in use all the time: the end of an exchange is not reported there, unless the connection can't
  be used again.
- The lease tells the ledger that the connection is in use. So the connection, which the ledger refers to, must not
  refer to the lease: a lease that is dropped would never be found.

Must not know: HTTP's framing, sockets, which runtime it runs in, how the connection was acquired.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from functools import partial
from typing import Any
from weakref import ref

from .._connect.tls_handshake import TLSOverrides, tls_overrides
from .._exceptions import ConnectionNotAvailable, RemoteProtocolError
from .._http.bodies import check_body_api
from .._http.close_reason import CloseReason
from .._http.informational import Informer
from .._http.lease import Lease
from .._http.observation import RequestObservation, everywhere
from .._models import Origin, Request, Response
from .engine import Engine
from .poolable import Poolable
from .pooled_connections import describe


class ConnectionLease:
    """A connection, and the requests that are sent on it."""

    def __init__(
        self,
        engine: Engine,
        lease: Lease[Poolable],
        origin: Origin,
        tls: TLSOverrides | None,
        is_reusable: bool,
    ) -> None:
        """Take over a connection, which is established and idle.

        Args:
            engine: the pool's.
            lease: the connection's.
            origin: that of all requests.
            tls: what the extensions said about TLS when it was acquired.
            is_reusable: whether the next lease may have it.
        """
        self._engine = engine
        self._lease: Lease[Poolable] | None = lease
        self._origin = origin
        self._tls = tls
        self._is_reusable = is_reusable
        # Why it was closed, if a request here has found that.
        self._reason: CloseReason | None = None
        connection = self._connection = lease.connection
        established = connection.established
        assert established is not None, "only an established connection is granted"
        self._established = established
        # The expiry of the connection while it is idle: to take it out is one instruction, so that one of two threads
        # gets the connection.
        self._idle: list[float | None] = [None]
        self._on_release = established.on_release
        established.on_release = partial(_release, engine, connection, self._idle, ref(lease))
        assert connection.observation is not None, "the pool has set it"
        # It may be new, and the server may close it before its first request.
        established.become_idle()
        describe(connection)
        self._observation = connection.observation
        self._observation.leased()

    @classmethod
    async def acquire(
        cls,
        engine: Engine,
        request: Request,
        create: Callable[[Origin], Poolable],
        is_reusable: bool,
    ) -> ConnectionLease:
        """Acquire a connection; the arguments, and what it raises, are those of `Engine.acquire_alone`."""
        lease, tls = await engine.acquire_alone(request, create, is_reusable)
        return cls(engine, lease, request.url.origin, tls, is_reusable)

    async def handle(
        self, request: Request, pool: object, observation: RequestObservation | None = None
    ) -> Response:
        """Send `request` on the connection, and return its response, the body still to be read.

        Args:
            request: the request.
            pool: the pool, as for `Engine.handle`.
            observation: the request as its observers see it; `None`, unless this is called by itself.

        Raises:
            RuntimeError: the request is for another origin, or has another `sni_hostname` or `ssl_context`.
            ConnectionNotAvailable: a response is under way, or the connection is closed or was given back.
            RemoteProtocolError: the server closed the connection before the request was sent.
        """
        engine = self._engine
        runtime = engine._bind()
        if observation is None and (engine.observers.own or everywhere):
            return await engine._handle_observed(
                request,
                runtime,
                lambda request, observation: self.handle(request, pool, observation),
            )
        request = self._checked(request)
        check_body_api(request.stream, runtime.is_blocking)
        Informer.of(request, runtime.is_blocking, None)
        timeouts = engine.timeouts_of(request, runtime)
        lease = self._checkout()
        try:
            if self._established.is_stale():
                raise self._closed_by_peer()
            if observation is not None:
                observation.acquired(describe(self._connection))
            try:
                response = await self._established.exchange(request, timeouts, observation)
            except ConnectionNotAvailable:
                # It was closed in this very moment.
                raise self._closed_by_peer() from None
        except BaseException as exc:
            if not self._idle:
                self._reason = self._reason or CloseReason.EXCHANGE_FAILED
                engine._close(self._connection, self._reason)
                exc.add_note(
                    f"The leased connection to {self._origin} is closed, and the lease is over: the request is sent on "
                    "no other connection."
                )
            if isinstance(exc, Exception):
                engine._note_failed("exchange")
            raise
        body: Any = response.stream
        body.pool = pool
        body.lease = lease
        body.uses = lease.uses
        return response

    def _checked(self, request: Request) -> Request:
        """Return `request` with what the lease says about TLS, unless it was not verified for that."""
        origin = request.url.origin
        if origin != self._origin:
            raise RuntimeError(
                f"Attempted to send a request to {origin} on a leased connection to {self._origin}. "
                "Use another lease, or the pool."
            )
        if self._tls is not None:
            name, context = self._tls
            request = copy(request)
            request.extensions = {
                **({} if name is None else {"sni_hostname": name}),
                **({} if context is None else {"ssl_context": context}),
                **request.extensions,
            }
        if tls_overrides(request, self._engine.ssl_context) != self._tls:
            raise RuntimeError(
                f"Attempted to send a request with another sni_hostname or ssl_context than those with which the "
                f"connection to {self._origin} was leased: its certificate was checked for these alone. "
                "Use another lease, or the pool."
            )
        return request

    def _checkout(self) -> Lease[Poolable]:
        """Give the connection to a request.

        Raises:
            ConnectionNotAvailable: it is in use, is closed, or was given back.
            RemoteProtocolError: the server has closed it.
        """
        lease = self._lease
        if lease is None:
            raise ConnectionNotAvailable(
                f"The leased connection to {self._origin} was given back. Lease another one with lease()."
            )
        if self._connection.is_closed():
            reason = self._reason or self._established.close_reason or CloseReason.POOL_CLOSED
            if reason is CloseReason.PEER:
                raise self._closed_by_peer()
            raise ConnectionNotAvailable(
                f"The leased connection to {self._origin} is closed ({reason.value}), and the lease is over. "
                "Lease another one with lease()."
            )
        try:
            self._idle.pop()
        except IndexError:
            raise ConnectionNotAvailable(
                f"The leased connection to {self._origin} takes one request at a time, and the last one is under way. "
                "Read its response to the end first."
            ) from None
        return lease

    def _closed_by_peer(self) -> RemoteProtocolError:
        self._reason = CloseReason.PEER
        return RemoteProtocolError(
            f"The server closed the leased connection to {self._origin} before the request was sent. "
            "The lease is over: lease another connection with lease()."
        )

    async def aclose(self) -> None:
        """Give the connection back, or close it. Further calls do nothing."""
        self._end()
        await self._engine._wait_closed()

    def _end(self) -> None:
        lease, self._lease = self._lease, None
        if lease is None:
            return
        connection = self._connection
        is_idle = bool(self._idle)
        if is_idle and self._is_reusable and not connection.is_closed():
            self._established.on_release = self._on_release
            self._engine._release(connection, True, self._idle.pop())
        else:
            self._engine._close(
                connection, CloseReason.LEASE_ENDED if is_idle else CloseReason.EXCHANGE_FAILED
            )
        self._observation.returned()


def _release(
    engine: Engine,
    connection: Poolable,
    idle: list[float | None],
    holder: ref[Lease[Poolable]],
    is_reusable: bool,
    expires_at: float | None,
) -> None:
    """An exchange on a leased connection has ended."""
    if not is_reusable:
        engine._release(connection, False, None)
        return
    lease = holder()
    assert lease is not None, "what ends an exchange holds the lease"
    lease.uses += 1
    idle.append(expires_at)
