"""What the connections of all protocols have in common: a stream that is established, a state, exchanges.

Rules: an exchange ends exactly once: at the end of the response's body, on an error, a cancellation or an early close.
Must not know: how HTTP is framed, pools, how the stream was made.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple, Protocol

from .._exceptions import Peer, ReadError, add_context
from .._models import Origin, Request, Response
from .._net.backend_stream import BackendStream, addresses_of
from .._net.runtime import Runtime
from .bodies import ReceivedBody, check_body_api
from .close_reason import CloseReason
from .interfaces import AsyncClosingContext, AsyncConnectionInterface
from .memory import Memory
from .observation import ConnectionObservation, RequestObservation
from .states import (
    ABORTED,
    CLOSED,
    IDLE,
    ConnectionChange,
    ConnectionState,
)
from .timeouts import Timeouts
from .trace import Tracer
from .traffic import Traffic


class RequestLimit(NamedTuple):
    """How many requests a server processes on one connection, as the end of an earlier connection showed."""

    requests: int
    is_certain: bool
    """Whether two connections in a row have ended so: the next one is sent no more requests."""


class EstablishedConnection(ABC, AsyncClosingContext, AsyncConnectionInterface):
    """A connection over a stream that is already established.

    Attributes:
        runtime: the stream's.
        peer: the server, and the proxies before it, for errors. The text is only made for these.
        on_release: set by a pool: called at the end of each exchange with whether the connection can be used again,
            and when it expires on the runtime's clock.
        on_change: set by a pool: called when `capacity`, `is_retired` or `is_closed()` changed, other than at the end
            of an exchange.
        request_limit: how many requests the server processes on one connection, if that is known.
        close_reason: why it was closed, if an exchange or the peer has ended it.
        observation: set by a pool: reports the events of the connection.
    """

    request_limit: RequestLimit | None = None
    close_reason: CloseReason | None = None
    observation: ConnectionObservation | None = None

    _version: str
    _first_state: ConnectionState

    def __init__(
        self,
        origin: Origin,
        stream: BackendStream,
        keepalive_expiry: float | None = None,
    ) -> None:
        """Take over a stream.

        Args:
            origin: the server at the other end of the stream, or the proxy.
            stream: an established connection.
            keepalive_expiry: seconds after which the idle connection counts as expired; `None` for never.
        """
        self._origin = origin
        self._stream: BackendStream = stream
        # The addresses are asked for once: the system forgets the peer's when the connection breaks.
        self.peer: Peer = Peer(origin, addresses_of(stream))
        self.runtime: Runtime = self._stream.runtime
        self._keepalive_expiry = keepalive_expiry
        self._expires_at: float | None = None
        self._state: ConnectionState = self._first_state
        self._request_count = 0
        self.on_release: Callable[[bool, float | None], None] | None = None
        self.on_change: Callable[[], None] | None = None

    def use_memory(self, memory: Memory) -> None:
        """Remember heads and timeouts in the memory of a pool.

        Args:
            memory: the memory that all connections of the pool share.
        """

    @abstractmethod
    def count_in(self, traffic: Traffic) -> None:
        """Count what the connection carries from now on.

        Args:
            traffic: the counts of the pool, which all its connections share.
        """

    # Requests

    async def handle_async_request(self, request: Request) -> Response:
        """Send a request, and return its response with the body unread.

        The caller reads the body, for example with `response.aread()`, and then calls `response.aclose()`.

        Args:
            request: the request. No header fields are added to it. Its body is bytes or an async iterable of bytes.

        Returns:
            The response.

        Raises:
            RuntimeError: the request is for another origin.
            TypeError: the body is sync in the async API, or async in the sync API.
            ConnectionNotAvailable: the connection is closed, or takes no further request at the moment.
            LocalProtocolError: the request violates HTTP.
            RemoteProtocolError: the server violated HTTP, or closed the connection before the end of the response.
            ReadError: the connection failed while the response was read.
            WriteError: the connection failed while the request was sent.
            ReadTimeout: no data arrived within the `read` timeout, or the response did not end within `total`.
            WriteTimeout: the server accepted no data within the `write` timeout.
        """
        if not self.can_handle_request(request.url.origin):
            raise RuntimeError(
                f"Attempted to send request to {request.url.origin} on connection to {self._origin}"
            )
        check_body_api(request.stream, self.runtime.is_blocking)
        return await self.exchange(request, Timeouts.of(request.extensions, self.runtime))

    @abstractmethod
    async def exchange(
        self,
        request: Request,
        timeouts: Timeouts,
        observation: RequestObservation | None = None,
    ) -> Response:
        """Send a request, and return its response with the body unread.

        Args:
            request: the request. Its body is sync on threads, and async on event loops.
            timeouts: the limits of the request.
            observation: reports the events of the request; `None` if it has no observer.

        Returns:
            The response.

        Raises:
            ConnectionNotAvailable: the request was not sent, or not processed, and may be sent on another connection.
            LocalProtocolError: the request violates HTTP.
            RemoteProtocolError: the server violated HTTP, or closed the connection before the end of the response.
            ReadError: the connection failed while the response was read.
            WriteError: the connection failed while the request was sent.
            ReadTimeout: no data arrived within the `read` timeout, or the response did not end within `total`.
            WriteTimeout: the server accepted no data within the `write` timeout.
        """

    # Life

    @property
    def http_version(self) -> str:
        """The version of HTTP, such as `HTTP/1.1`."""
        return self._version

    @property
    def peer_address(self) -> Any:
        """The address of the other end of the stream, as the socket reports it; `None` if that is not known."""
        return self._stream.get_extra_info("server_addr")

    @property
    @abstractmethod
    def capacity(self) -> int:
        """The number of requests that it takes at the same time; further ones raise `ConnectionNotAvailable`."""

    @property
    @abstractmethod
    def is_retired(self) -> bool:
        """Whether it takes no further request, while those in progress continue."""

    @property
    @abstractmethod
    def may_be_resent(self) -> bool:
        """Whether the last exchange failed as it does when the server closes an idle connection."""

    def _change(self, event: ConnectionChange) -> None:
        """Change the state, by an event's column of the table.

        Nothing is called between reading the state and writing it: with the GIL no other thread comes in between.
        """
        self._state = event[self._state]

    @abstractmethod
    def abort(self) -> None:
        """Close the connection without awaiting."""

    @property
    def close_pending(self) -> bool:
        """Whether `abort()` has left something to await."""
        return self._stream.close_pending

    async def wait_closed(self) -> None:
        """After `abort()`, await what could not be done at once."""
        if self._stream.close_pending:
            await self._stream.wait_closed()

    async def aclose(self) -> None:
        self.abort()
        await self.wait_closed()

    @abstractmethod
    def become_idle(self) -> None:
        """Wait for the first request as a connection that was used before waits for the next.

        A pool calls this for a connection that it has dialled ahead, or for a request that was interrupted: the server
        may close it before it is used. Requests that are under way are not affected.
        """

    @abstractmethod
    def is_stale(self) -> bool:
        """Return whether a connection that was idle before must not be reused.

        Returns:
            Whether the server has closed it, or sent unexpected data.
        """

    def can_handle_request(self, origin: Origin) -> bool:
        return origin == self._origin

    def has_expired(self) -> bool:
        if self._state is not IDLE:
            return False
        if self._expires_at is not None and self.runtime.now() >= self._expires_at:
            return True
        return self._is_lost()

    @abstractmethod
    def _is_lost(self) -> bool:
        """Whether the peer has ended the connection while it was idle."""

    def is_idle(self) -> bool:
        return self._state is IDLE

    def is_closed(self) -> bool:
        return self._state is CLOSED or self._state is ABORTED

    def is_connected(self) -> bool:
        return not self.is_closed()

    def info(self) -> str:
        return (
            f"{str(self._origin)!r}, {self._version}, {self._state.public_name}, "
            f"Request Count: {self._request_count}"
        )

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} [{str(self._origin)!r}, {self._state.public_name}, "
            f"Request Count: {self._request_count}]>"
        )


class Exchange(Protocol):
    """A request and its response, as the response's body sees them."""

    @property
    def has_body_left(self) -> bool:
        """Whether more of the body follows."""

    @property
    def has_switched(self) -> bool:
        """Whether it has left HTTP, by an upgrade or CONNECT: it is the caller's until the response is closed."""

    @property
    def trailers(self) -> list[tuple[bytes, bytes]]:
        """The fields after the body, once it has ended."""

    @property
    def peer(self) -> object:
        """The server, and the proxies before it, for the messages of errors."""

    def take_remaining(self) -> bytes | None:
        """End the exchange and return the remaining body if it has been received; otherwise return `None`."""

    def take_chunk(self) -> bytes | None:
        """Return the next chunk if one has been received; `b""` at the end of the body, `None` otherwise."""

    def receive_chunk(self, timeouts: Timeouts) -> Coroutine[Any, Any, bytes]:
        """Return the next chunk of the body; `b""` at its end."""

    def finish(self, has_failed: bool) -> None:
        """End the exchange without awaiting. An incomplete request or response is aborted."""

    @property
    def close_pending(self) -> bool:
        """Whether `wait_closed` has to be awaited."""

    async def wait_closed(self) -> None:
        """Await the end of the closing of a caller's own stream."""


class ExchangeBody(ReceivedBody):
    """The body of a response. The exchange ends when the body does.

    A caller may keep the response for long. So a body lets go of its exchange when that has ended: the connection, the
    pool and the request, credentials included, are not kept by it.
    """

    __slots__ = (
        "_exchange",
        "_extensions",
        "_has_begun",
        "_info",
        "_is_complete",
        "_peer",
        "_timeouts",
        "_tracer",
    )

    def __init__(
        self,
        exchange: Exchange,
        timeouts: Timeouts,
        tracer: Tracer | None,
        info: dict[str, Any],
        extensions: dict[str, Any],
    ) -> None:
        """Take over an exchange whose response's head was received.

        Args:
            exchange: the exchange that the body belongs to.
            timeouts: the request's.
            tracer: reports the events of the body; `None` if nobody listens.
            info: the payload of these events, with the `request`.
            extensions: the response's; `trailing_headers` are added to them.
        """
        self._exchange = exchange
        self._timeouts = timeouts
        self._tracer = tracer
        self._info = info
        self._extensions = extensions
        self._has_begun = False
        self._is_complete = False  # read to its end
        self.is_closed = self.is_expectation_refused = self.is_too_early = False
        self.lease = None

    def take_remaining(self) -> bytes | None:
        if self._tracer is not None or self.is_closed:
            return None
        try:
            remaining = self._exchange.take_remaining()
        except BaseException:
            # Some of it may have been taken: the remaining body must not pass for the whole one.
            self.is_closed = True
            self._finish(has_failed=True)
            raise
        if remaining is not None:
            self.is_closed = self._is_complete = True
            self.lease = self.pool = None
            del self._exchange, self._timeouts, self._info
        return remaining

    async def next_body_chunk(self) -> bytes:
        if self._is_complete:
            return b""
        if self.is_closed:
            raise ReadError(
                f"The response was closed before its body was read to its end. ({self._peer})"
            )
        remaining = self.take_remaining()
        if remaining is not None:
            return remaining
        exchange = self._exchange
        try:
            if self._tracer is not None and not self._has_begun:
                self._has_begun = True
                await self._tracer.event("receive_response_body.started", self._info)
            # Most bodies are received with their head: these cost no coroutine.
            chunk = exchange.take_chunk()
            if chunk is None:
                chunk = await exchange.receive_chunk(self._timeouts)
        except BaseException as exc:
            add_context(exc, exchange.peer)
            if self.lease is not None and isinstance(exc, Exception):
                self.lease.report_failure()
            await self._end("failed", {"exception": exc})
            raise
        if not exchange.has_body_left:
            self._is_complete = True
            if exchange.trailers:
                self._extensions["trailing_headers"] = exchange.trailers
            info = {"return_value": None}
            if not exchange.has_switched:
                await self._end("complete", info)
            elif self._tracer is not None:
                await self._tracer.event("receive_response_body.complete", info)
        return chunk

    async def aclose(self) -> None:
        if not self.is_closed:
            await self._end(None, {})

    async def _end(self, outcome: str | None, info: dict[str, Any]) -> None:
        """End the exchange, and report the outcome of the body, if it has one."""
        self.is_closed = True
        exchange = self._exchange
        try:
            if self._tracer is not None:
                if outcome is not None:
                    await self._tracer.event(f"receive_response_body.{outcome}", info)
                closing = {key: value for key, value in self._info.items() if key != "request"}
                await self._tracer.event("response_closed.started", closing)
        finally:
            self._finish(has_failed=outcome == "failed")
            if exchange.close_pending:
                await exchange.wait_closed()
        if self._tracer is not None:
            await self._tracer.event("response_closed.complete", {"return_value": None})
            self._tracer = None

    def _finish(self, has_failed: bool) -> None:
        """End the exchange, once: the connection may be another request's as soon as it was checked in."""
        exchange = self._exchange
        self._peer = exchange.peer
        lease = self.lease
        if lease is not None and lease.uses != self.uses:
            return  # the exchange had ended in the moment before an exception came
        try:
            exchange.finish(has_failed)
        except BaseException:
            if lease is None or lease.uses == self.uses:
                exchange.finish(has_failed=True)
            raise
        self.lease = self.pool = None
        del self._exchange, self._timeouts, self._info
