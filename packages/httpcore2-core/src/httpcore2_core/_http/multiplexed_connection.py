"""What the connections of HTTP/2 and HTTP/3 have in common: many exchanges at a time, which share a session.

Rules: an exchange ends exactly once, in `_end_exchange`, without awaiting. What exchanges share is in the session, and
changes under its lock.
Must not know: frames, pools, how the stream was made.
"""

from __future__ import annotations

from collections.abc import Container
from contextlib import AbstractContextManager
from typing import Any, Generic, Protocol, TypeVar

from .._exceptions import ConnectionNotAvailable, add_context
from .close_reason import CloseReason
from .established import EstablishedConnection
from .observation import Report
from .states import ACTIVE, IDLE, RELEASE, RESERVED
from .stream_exchange import StreamExchange
from .trace import Tracer


class NumberedStream(Protocol):
    """What a connection needs of the stream that carries an exchange."""

    @property
    def stream_id(self) -> int:
        """Its identifier."""


StreamT = TypeVar("StreamT", bound=NumberedStream)
StreamT_contra = TypeVar("StreamT_contra", bound=NumberedStream, contravariant=True)


class ConnectionSession(Protocol[StreamT_contra]):
    """What a connection needs of the state that its exchanges share.

    Attributes:
        reports: events for the observers of the connection, which nobody has reported yet.
        has_changed: `notify()` must be called.
    """

    reports: list[Report]
    has_changed: bool

    @property
    def lock(self) -> AbstractContextManager[bool]:
        """Held for every decision."""

    @property
    def exchanges(self) -> int:
        """How many exchanges are under way, those without a stream included."""

    @property
    def streams(self) -> Container[int]:
        """The identifiers of the streams of the exchanges under way."""

    @property
    def capacity(self) -> int:
        """How many requests it takes at a time."""

    @property
    def is_retired(self) -> bool:
        """Whether no new request is accepted."""

    @property
    def is_closed(self) -> bool:
        """Whether the connection has ended."""

    @property
    def close_reason(self) -> CloseReason | None:
        """Why it has ended; `None` if the pool knows it."""

    def end_exchange(self, stream: StreamT_contra | None) -> None:
        """Count one exchange less, and give up its stream unless it is complete; under the lock."""

    def watch(self) -> None:
        """Notice what arrives while no request is under way; under the lock."""

    def notify(self) -> None:
        """Call `on_change` if something has changed; without the lock."""

    def abort(self) -> None:
        """Close the connection without awaiting."""


SessionT = TypeVar("SessionT", bound=ConnectionSession[Any])


class MultiplexedConnection(EstablishedConnection, Generic[SessionT, StreamT]):
    """An established connection that carries many exchanges at a time, each on a stream."""

    _first_state = IDLE
    _was_idle_unused = False  # so that its first request checks whether it is stale, too
    _session: SessionT

    def _end_exchange(self, stream: StreamT | None) -> None:
        """End an exchange, and give up its stream unless it is complete. A second call for a stream does nothing."""
        session = self._session
        with session.lock:
            if stream is not None and stream.stream_id not in session.streams:
                return  # an exception came in the middle of this, and it is called again
            session.end_exchange(stream)
            if not session.exchanges and (self._state is ACTIVE or self._state is RESERVED):
                self._change(RELEASE)
                self._begin_idleness()
            is_usable = not session.is_closed
        if session.has_changed:
            session.notify()
        if self.on_release is not None:
            self.on_release(is_usable, self._expires_at)

    async def _fail_exchange(
        self,
        exc: BaseException,
        exchange: StreamExchange[Any, Any] | None,
        has_begun: bool,
        tracer: Tracer | None,
    ) -> None:
        """End an exchange that has no response, because of `exc`, which the caller raises then.

        Args:
            exc: why.
            exchange: the exchange; `None` if it has no stream.
            has_begun: whether the session counts it.
            tracer: reports its end; `None` for nobody.

        Raises:
            ConnectionNotAvailable: the server did not process the request, which may be sent on another connection.
        """
        add_context(exc, self.peer if exchange is None else exchange.peer)
        if has_begun:
            # If it was the first request, perhaps nothing was sent.
            self._was_idle_unused = True
            self._end_exchange(None if exchange is None else exchange.stream)
        try:
            if tracer is not None and exchange is not None:
                info = {"stream_id": exchange.stream.stream_id}
                await tracer.span("response_closed", info, self.wait_closed())
        finally:
            await (exchange or self).wait_closed()  # a `trace` callback may have raised before
        if exchange is not None and exchange.may_be_resent(exc):
            again = ConnectionNotAvailable(str(exc))
            again.made_progress = exchange.stream.made_progress
            again.reason = exchange.stream.error
            raise again from exc

    def _begin_idleness(self) -> None:
        """Begin to wait for the next request; under the lock."""
        if self._keepalive_expiry is not None:
            self._expires_at = self.runtime.now() + self._keepalive_expiry
        self._session.watch()

    def _on_session_change(self) -> None:
        session = self._session
        self.close_reason: CloseReason | None = session.close_reason
        if session.reports:
            with session.lock:
                reports, session.reports = session.reports, []
            if self.observation is not None:
                for report in reports:
                    report(self.observation)
        if self.on_change is not None:
            self.on_change()

    # Life

    @property
    def capacity(self) -> int:
        """How many requests the connection takes at a time."""
        return self._session.capacity

    @property
    def is_retired(self) -> bool:
        """Whether the connection takes no new request, though some may be under way."""
        return self._session.is_retired

    @property
    def may_be_resent(self) -> bool:
        """Never: a request that may be sent again ends in `ConnectionNotAvailable`."""
        return False

    def become_idle(self) -> None:
        self._was_idle_unused = True
        session = self._session
        with session.lock:
            # Other requests may have the connection already.
            if not session.exchanges and not session.is_closed:
                self._begin_idleness()

    def abort(self) -> None:
        """Close the connection without awaiting."""
        self._session.abort()

    def can_multiplex(self) -> bool:
        return True

    def is_available(self) -> bool:
        return not self._session.is_closed and not self._session.is_retired

    def _is_lost(self) -> bool:
        return self.is_stale()
