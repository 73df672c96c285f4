"""What can be pooled: the two interfaces by which the pool knows connections (the model is hyper-util's `Poolable`).

Must not know: which classes implement them, the ledger, HTTP's framing.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from .._http.close_reason import CloseReason
from .._http.established import RequestLimit
from .._http.memory import Memory
from .._http.observation import ConnectionObservation, RequestObservation
from .._http.timeouts import Timeouts
from .._http.traffic import Traffic
from .._models import Origin, Request, Response


class Established(Protocol):
    """A connection that is established, and exchanges requests for responses.

    Attributes:
        request_limit: how many requests the server takes on a connection, if that is known; the pool passes it on to
            the next connection of the origin.
        close_reason: why it was closed, if an exchange or the peer has ended it.
        on_release: that of the connection, until the pool sets another one for the time of a lease.
    """

    on_release: Callable[[bool, float | None], None] | None
    request_limit: RequestLimit | None
    close_reason: CloseReason | None

    def exchange(
        self, request: Request, timeouts: Timeouts, observation: RequestObservation | None
    ) -> Coroutine[Any, Any, Response]:
        """Send `request` and return its response, whose body is a `ReceivedBody`, still to be read.

        It reports to `observation`, unless that is `None`.

        Raises:
            ConnectionNotAvailable: the request was not sent, or not processed, and may be sent on another connection.
        """

    def become_idle(self) -> None:
        """No request uses it, though it was dialled: it waits as one that was used before waits for the next.

        If requests are under way on it, or it is closed, that goes on.
        """

    def is_stale(self) -> bool:
        """Whether a connection that was idle before must not be used again. Polls the network."""

    @property
    def http_version(self) -> str | None:
        """Such as `"HTTP/1.1"`; `None` if that is not known."""

    @property
    def peer_address(self) -> Any:
        """The address of the server or the proxy; `None` if that is not known."""

    @property
    def capacity(self) -> int:
        """How many exchanges it takes at a time."""

    @property
    def is_retired(self) -> bool:
        """Whether it takes no further exchange, though those in progress may finish."""

    @property
    def may_be_resent(self) -> bool:
        """Whether the last exchange failed as it does when the server closes an idle connection.

        Its request may then be sent again on another connection, if its method is idempotent.
        """


class Poolable(Protocol):
    """A connection that a pool can hold, from before it is established until it is closed.

    The pool calls `connect()` once. When that has returned, `established` exchanges requests, as many at a time as its
    `capacity` says. It is an object of its own, so that a request costs no delegating calls.

    Attributes:
        on_release: set by the pool: called at the end of each exchange with whether the connection can be used again,
            and when it expires on the runtime's clock (`None` for the pool's own expiry).
        on_change: set by the pool: called when `is_closed()`, or `capacity` or `is_retired` of `established`, changed
            other than at the end of an exchange.
        memory: set by the pool: remembers what its connections need not do again, until the pool is closed.
        traffic: set by the pool: counts what its connections carry.
        observation: set by the pool: reports the events of the connection.
        uses_alternative: set by the pool: the connection may be over HTTP/3, to an alternative service of its origin.
    """

    on_release: Callable[[bool, float | None], None] | None
    on_change: Callable[[], None] | None
    memory: Memory | None
    traffic: Traffic | None
    observation: ConnectionObservation | None
    uses_alternative: bool

    def __hash__(self) -> int: ...

    @property
    def established(self) -> Established | None:
        """What exchanges requests; `None` until `connect()` has returned."""

    async def connect(self, request: Request, timeouts: Timeouts) -> None:
        """Establish the connection on behalf of `request`.

        Raises:
            ConnectError: it could not be established.
            ConnectTimeout: it was not established in time.
            ProxyError: a proxy refused.
            RemoteProtocolError: a proxy violated its protocol.
            ReadTimeout: a proxy sent nothing in time.
            WriteTimeout: a proxy accepted no data in time.
            LocalProtocolError: the origin's host is malformed.
        """

    @property
    def close_pending(self) -> bool:
        """Whether `abort()` has left something for `wait_closed()`."""

    def can_handle_request(self, origin: Origin) -> bool:
        """Whether it is to `origin`."""

    def can_multiplex(self) -> bool:
        """Whether it may take several exchanges at a time."""

    def is_closed(self) -> bool:
        """Whether it was closed, or could not be established."""

    def is_connected(self) -> bool:
        """Whether it is established and not closed."""

    def abort(self) -> None:
        """Close it without awaiting, and without calling `on_release` or `on_change`.

        May be called more than once, and by another thread.
        """

    async def wait_closed(self) -> None:
        """After `abort()`, await what could not be done at once."""
