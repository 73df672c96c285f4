"""Calls the observers of a pool: for each request by a `RequestObservation`, for each connection by another one.

Rules: no lock is held while an observer is called. What an observer raises is logged, unless it is no `Exception`. A
pool without observers makes one check for each request, and none below it: what reports to an observation has `None` in
its place.
Must not know: where the events come from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Lock
from types import TracebackType
from typing import Any, TypeAlias

from .._models import Origin, Request, Response
from .._net.dial_listener import PeerAddress
from .._net.forks import call_in_children
from .bodies import ReceivedBody
from .close_reason import CloseReason
from .observer import ObservedConnection, Observer
from .trace import log_exception

_lock = Lock()
"""For the counts of the requests on a connection: on threads several requests share one (HTTP/2)."""


class Observation:
    """An installed observer. It is removed by `remove()`, or at the end of a `with` block.

    Attributes:
        observer: the observer.

    Example:
        ```python
        import httpcore2

        with httpcore2.ConnectionPool() as http:
            with http.observe(httpcore2.Observer()):
                http.request("GET", "https://www.example.com/")
        ```
    """

    __slots__ = ("_installed", "observer")

    def __init__(self, observer: Observer) -> None:
        self.observer: Observer = observer
        self._installed: list[Observation] = []

    def remove(self) -> None:
        """Remove the observer; a second call does nothing.

        Requests that have started are still reported to it.
        """
        with suppress(ValueError):
            self._installed.remove(self)

    def __enter__(self) -> Observation:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.remove()


# Lists, since Python tests these faster than dictionaries.
everywhere: list[Observation] = []
"""The observers of all pools, which the program has installed and can remove."""


def observe(observer: Observer) -> Observation:
    """Install an observer for all pools of the process, those that exist and those to come.

    Args:
        observer: is told what the pools do. The same object may be installed more than once, and is then told as often.

    Returns:
        The installed observer: `remove()` removes it.

    Raises:
        TypeError: `observer` is not an `Observer`.

    Example:
        ```python
        import httpcore2


        class Statuses(httpcore2.Observer):
            def request_ended(self, token, status, error, sent, received, time):
                print(status)


        with httpcore2.observe(Statuses()):
            httpcore2.request("GET", "https://www.example.com/")
        ```

        ```text
        200
        ```
    """
    return install(everywhere, observer)


def install(installed: list[Observation], observer: Observer) -> Observation:
    """Add an observer to those of a pool, or to those of all.

    Raises:
        TypeError: `observer` is not an `Observer`.
    """
    if not isinstance(observer, Observer):
        raise TypeError(
            f"observer must be an instance of httpcore2.Observer, but got {type(observer).__name__}."
        )
    observation = Observation(observer)
    observation._installed = installed
    installed.append(observation)
    return observation


class Observers:
    """The observers of one pool, and those of all pools.

    Attributes:
        own: those of the pool.
    """

    __slots__ = ("own",)

    def __init__(self) -> None:
        self.own: list[Observation] = []

    def current(self) -> list[Observer]:
        """Return all observers, in the order in which they were installed, those of all pools first."""
        return [installed.observer for installed in (*everywhere, *self.own)]

    def notify(self, call: Callable[[Observer], None]) -> None:
        """Call each observer with an event of a connection."""
        for observer in self.current():
            try:
                call(observer)
            except Exception as exc:  # noqa: BLE001 - it is logged, and the transport goes on
                _log(observer, exc)


class ConnectionObservation:
    """One connection of a pool, and the observers of that pool.

    Attributes:
        connection: the connection as observers know it.
        now: the clock of the runtime.
    """

    __slots__ = ("_observers", "connection", "now")

    def __init__(self, observers: Observers, origin: Origin, now: Callable[[], float]) -> None:
        self._observers = observers
        self.now: Callable[[], float] = now
        self.connection: ObservedConnection = ObservedConnection(origin, now())

    @property
    def is_observed(self) -> bool:
        """Whether there is any observer."""
        return bool(self._observers.own or everywhere)

    # The methods of a `DialListener`

    def resolution_started(self, host: str) -> None:
        """A host is going to be resolved."""
        connection, time = self.connection, self.now()
        self._observers.notify(lambda each: each.resolution_started(connection, host, time))

    def resolution_ended(
        self, host: str, addresses: Sequence[str], error: BaseException | None
    ) -> None:
        """A host was resolved, or could not be."""
        connection, time = self.connection, self.now()
        self._observers.notify(
            lambda each: each.resolution_ended(connection, host, list(addresses), error, time)
        )

    def attempt_started(self, address: PeerAddress) -> None:
        """An attempt to connect begins."""
        connection, time = self.connection, self.now()
        self._observers.notify(lambda each: each.attempt_started(connection, address, time))

    def attempt_ended(self, address: PeerAddress, error: BaseException | None) -> None:
        """An attempt to connect has ended."""
        connection, time = self.connection, self.now()
        self._observers.notify(lambda each: each.attempt_ended(connection, address, error, time))

    # The further life

    def tls_started(self, server_name: str) -> None:
        """A TLS handshake begins."""
        connection, time = self.connection, self.now()
        self._observers.notify(lambda each: each.tls_started(connection, server_name, time))

    def tls_ended(
        self, version: str | None, cipher: str | None, alpn: str | None, error: BaseException | None
    ) -> None:
        """A TLS handshake has ended."""
        connection, time = self.connection, self.now()
        self._observers.notify(
            lambda each: each.tls_ended(connection, version, cipher, alpn, error, time)
        )

    def opened(self, http_version: str | None, peer_address: Any) -> None:
        """The connection was established."""
        connection, time = self.describe(http_version, peer_address), self.now()
        self._observers.notify(lambda each: each.connection_opened(connection, time))

    def became_idle(self) -> None:
        """The connection was dialled ahead, and no request uses it."""
        connection, time = self.connection, self.now()
        if not connection.in_use and connection.closed_at is None:
            self._observers.notify(lambda each: each.connection_idle(connection, time))

    def describe(self, http_version: str | None, peer_address: Any) -> ObservedConnection:
        """Return the connection, which is established."""
        connection = self.connection
        if connection.http_version is None:
            connection.http_version = http_version
            connection.peer_address = peer_address
        return connection

    def goaway_received(
        self, code: int, last_stream_id: int, debug_data: bytes, time: float
    ) -> None:
        """The server allows no further request (HTTP/2)."""
        connection = self.connection
        self._observers.notify(
            lambda each: each.goaway_received(connection, code, last_stream_id, debug_data, time)
        )

    def ping_sent(self, time: float) -> None:
        """A PING was sent (HTTP/2)."""
        connection = self.connection
        self._observers.notify(lambda each: each.ping_sent(connection, time))

    def ping_answered(self, waited: float, time: float) -> None:
        """The server has sent something after a PING (HTTP/2)."""
        connection = self.connection
        self._observers.notify(lambda each: each.ping_answered(connection, waited, time))

    def leased(self) -> None:
        """One caller has the connection for itself: it is active until that gives it back."""
        connection, time = self.connection, self.now()
        with _lock:
            connection.in_use += 1
        self._observers.notify(lambda each: each.connection_active(connection, time))

    def returned(self) -> None:
        """The caller has given it back, and its requests are over."""
        connection, time = self.connection, self.now()
        with _lock:
            connection.in_use -= 1
            is_last = not connection.in_use
        if is_last and connection.closed_at is None:
            self._observers.notify(lambda each: each.connection_idle(connection, time))

    def closed(self, reason: CloseReason) -> None:
        """The connection was closed; only the first reason counts."""
        connection = self.connection
        if connection.closed_at is None:
            connection.closed_at = time = self.now()
            self._observers.notify(lambda each: each.connection_closed(connection, reason, time))


Report: TypeAlias = Callable[[ConnectionObservation], None]
"""Reports an event of a connection, once its lock is free."""


class RequestObservation:
    """One request, and the observers that were there when it started.

    Attributes:
        now: the clock of the runtime.
        sent: the bytes of the request's body that were sent.
        received: the bytes of the response's body that the caller was given.
    """

    __slots__ = (
        "_connection",
        "_entries",
        "_has_dialled",
        "_has_ended",
        "_has_first_byte",
        "_observers",
        "_queued_at",
        "_resent",
        "_status",
        "_waited",
        "now",
        "received",
        "sent",
    )

    def __init__(self, observers: Observers, request: Request, now: Callable[[], float]) -> None:
        self.now: Callable[[], float] = now
        self.sent: int = 0
        self.received: int = 0
        self._observers = observers
        self._connection: ObservedConnection | None = None
        self._has_dialled = False
        self._has_first_byte = False
        self._has_ended = False
        self._queued_at = self._waited = 0.0
        self._resent = 0
        self._status: int | None = None
        self._entries: list[tuple[Observer, Any]] = []
        time = now()
        for observer in observers.current():
            token = None
            try:
                token = observer.request_started(request, time)
            except Exception as exc:  # noqa: BLE001 - as in `_notify`
                _log(observer, exc)
            self._entries.append((observer, token))

    def _notify(self, call: Callable[[Observer, Any], None]) -> None:
        for observer, token in self._entries:
            try:
                call(observer, token)
            except Exception as exc:  # noqa: BLE001 - it is logged, and the request goes on
                _log(observer, exc)

    def queued(self) -> None:
        """The request waits for a connection."""
        self._queued_at = time = self.now()
        self._notify(lambda each, token: each.request_queued(token, time))

    def granted(self) -> None:
        """The request does not wait any more."""
        self._waited += self.now() - self._queued_at

    def dialled(self) -> None:
        """The request makes a connection."""
        self._has_dialled = True

    def acquired(self, connection: ObservedConnection) -> None:
        """The request has a connection."""
        time = self.now()
        is_reused, waited = not self._has_dialled, self._waited
        with _lock:
            self._connection = connection
            connection.requests += 1
            connection.in_use += 1
            is_first = connection.in_use == 1
        if is_first:
            self._observers.notify(lambda each: each.connection_active(connection, time))
        self._notify(
            lambda each, token: each.connection_acquired(token, connection, is_reused, waited, time)
        )

    def repeated(self, cause: Exception | None) -> None:
        """The request goes to another connection, since `cause` ended the exchange; `None` if nothing was sent."""
        time = self.now()
        self._released(time)
        self._waited, self._has_dialled, self._has_first_byte = 0.0, False, False
        if cause is not None:
            self._resent += 1
            count = self._resent
            self._notify(lambda each, token: each.request_resent(token, count, cause, time))

    def head_sent(self) -> None:
        """The head of the request was written."""
        time = self.now()
        self._notify(lambda each, token: each.request_head_sent(token, time))

    def data_received(self) -> None:
        """Bytes of the response have arrived; only the first call of an attempt counts."""
        if not self._has_first_byte:
            self._has_first_byte = True
            time = self.now()
            self._notify(lambda each, token: each.first_byte_received(token, time))

    def interim_received(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """An interim response was received."""
        time = self.now()
        self._notify(lambda each, token: each.interim_received(token, status, headers, time))

    def response_received(self, response: Response) -> None:
        """The head of the response was received."""
        self._status = response.status
        time = self.now()
        self._notify(lambda each, token: each.response_received(token, response, time))

    def ended(self, error: BaseException | None) -> None:
        """The request is over, and has given its connection back. Only the first call counts."""
        if self._has_ended:
            return
        self._has_ended = True
        time = self.now()
        self._released(time)
        status, sent, received = self._status, self.sent, self.received
        self._notify(
            lambda each, token: each.request_ended(token, status, error, sent, received, time)
        )

    def _released(self, time: float) -> None:
        connection = self._connection
        if connection is None:
            return
        with _lock:
            self._connection = None
            connection.in_use -= 1
            is_last = not connection.in_use
        if is_last and connection.closed_at is None:
            self._observers.notify(lambda each: each.connection_idle(connection, time))


class ObservedBody(ReceivedBody):
    """The body of a response whose request is observed: the request ends when the body does."""

    __slots__ = ("_body", "_observation")

    def __init__(self, body: ReceivedBody, observation: RequestObservation) -> None:
        self._body = body
        self._observation = observation
        self.is_closed = body.is_closed
        self.lease = None

    def take_remaining(self) -> bytes | None:
        try:
            remaining = self._body.take_remaining()
        except BaseException as exc:
            self._end(exc)
            raise
        if remaining is not None:
            self._observation.received += len(remaining)
            self._end(None)
        return remaining

    async def next_body_chunk(self) -> bytes:
        try:
            chunk = await self._body.next_body_chunk()
        except BaseException as exc:
            self._end(exc)
            raise
        self._observation.received += len(chunk)
        if self._body.is_closed:
            self._end(None)
        return chunk

    async def aclose(self) -> None:
        try:
            await self._body.aclose()
        except BaseException as exc:
            self._end(exc)
            raise
        self._end(None)

    def _end(self, error: BaseException | None) -> None:
        self.is_closed = True
        self._observation.ended(error)


def _log(observer: Observer, error: Exception) -> None:
    log_exception("observer", f"{type(observer).__name__} raised {type(error).__name__}.", error)


def _renew_lock() -> None:
    global _lock
    _lock = Lock()


call_in_children(_renew_lock)
