"""An HTTP/2 connection as callers and pools use it: requests, their responses, its life. Layer: connection.

Rules: all that exchanges and tunnels share is in the session.
Must not know: pools, how the stream below was made, the format of frames.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from hpack import NeverIndexedHeaderTuple

from httpcore2_core._exceptions import (
    ConnectionNotAvailable,
    LocalProtocolError,
    ReadTimeout,
)
from httpcore2_core._http.established import (
    ExchangeBody,
    RequestLimit,
)
from httpcore2_core._http.expectation import EXPECTATION_FAILED, may_send_without_expectation
from httpcore2_core._http.informational import Informer
from httpcore2_core._http.multiplexed_connection import MultiplexedConnection
from httpcore2_core._http.observation import RequestObservation
from httpcore2_core._http.states import IDLE, REQUEST, RESERVED, SEND
from httpcore2_core._http.stream_fields import RequestFieldsCache, protocol_of
from httpcore2_core._http.stream_upload import StreamUpload
from httpcore2_core._http.timeouts import Timeouts
from httpcore2_core._http.trace import Tracer
from httpcore2_core._http.traffic import Traffic
from httpcore2_core._models import ByteStream, Origin, Request, Response, received_response
from httpcore2_core._net.backend_stream import BackendStream
from httpcore2_core._net.errors import rounded
from httpcore2_core._net.roles import Turn

from ._client_codec import ClientCodec
from ._control import CONFIG
from ._exchange import HTTP2Exchange
from ._session import Session, SessionSettings
from ._stream import Stream
from ._tunnel import Tunnel

if TYPE_CHECKING:
    from h2.config import H2Configuration

# Bytes that wait for a server that reads nothing, left by requests that were given up. New requests are better sent on
# another connection. The requests that can be under way at a time have less.
_MAX_UNSENT = 8 * 1024 * 1024
_READ_SIZE = 64 * 1024
# glibc maps and unmaps a buffer of 128 KiB or more each time.
_MAX_READ_SIZE = 112 * 1024
_NO_INFO: dict[str, Any] = {}  # for a body that nobody traces


class HTTP2Settings(Protocol):
    """Settings that a class or an object has for its HTTP/2 connections; see `EstablishedHTTP2Connection`."""

    READ_NUM_BYTES: ClassVar[int]
    CONFIG: ClassVar[H2Configuration]


class EstablishedHTTP2Connection(MultiplexedConnection[Session, Stream]):
    """An HTTP/2 connection over a stream that is already established (RFC 9113).

    Attributes:
        READ_NUM_BYTES: bytes to read at a time.
        STREAM_WINDOW: bytes of one response that the server may send before the caller reads them.
        CONNECTION_WINDOW: bytes that the server may send on all streams together before they are received.
        CONFIG: configures h2, which the codec uses.
        PING_INTERVAL: seconds of silence before a PING while requests wait; `None` for never.
        PING_BEFORE_REUSE: seconds of silence before a PING when the idle connection is used again; `None` for never.
        PING_TIMEOUT: seconds that the server has for the reply.
    """

    READ_NUM_BYTES: ClassVar[int] = _READ_SIZE
    STREAM_WINDOW = 1024 * 1024
    CONNECTION_WINDOW = 16 * 1024 * 1024
    CONFIG: ClassVar[H2Configuration] = CONFIG
    PING_INTERVAL: float | None = None
    PING_BEFORE_REUSE: float | None = 60.0
    PING_TIMEOUT: float = 15.0

    _version = "HTTP/2"

    def __init__(
        self,
        origin: Origin,
        stream: BackendStream,
        keepalive_expiry: float | None = None,
        settings: HTTP2Settings | type[HTTP2Settings] | None = None,
    ) -> None:
        """Create a connection over `stream`, without sending anything.

        Args:
            origin: the server that the stream leads to.
            stream: an established connection.
            keepalive_expiry: seconds after which the idle connection counts as expired; `None` for never.
            settings: those of this class by default.
        """
        super().__init__(origin, stream, keepalive_expiry)
        settings = settings or self
        create_codec = partial(
            ClientCodec,
            stream_window=self.STREAM_WINDOW,
            connection_window=self.CONNECTION_WINDOW,
            config=settings.CONFIG,
        )
        read_size = settings.READ_NUM_BYTES
        if read_size == _READ_SIZE:
            # The stream's own size is faster, unless the setting was changed.
            read_size = min(max(read_size, self._stream.read_size), _MAX_READ_SIZE)
        reading = SessionSettings(
            read_size, self.PING_INTERVAL, self.PING_BEFORE_REUSE, self.PING_TIMEOUT
        )
        self._session = Session(
            self._stream, origin, create_codec, reading, self._change, self._on_session_change
        )
        self._fields = RequestFieldsCache(NeverIndexedHeaderTuple)
        self._public_stream = self._stream.unwrapped
        self._on_end = self._end_exchange  # bound once

    # Requests

    async def exchange(
        self,
        request: Request,
        timeouts: Timeouts,
        observation: RequestObservation | None = None,
    ) -> Response:
        session = self._session
        tracer = Tracer.of("http2", request, self.runtime.is_blocking)
        exchange: HTTP2Exchange | None = None
        owes_flush = has_begun = has_role = False
        turn = Turn()
        try:
            with session.lock:
                session.begin_exchange()
                has_begun = True
                self._expires_at = None
                if self._state is IDLE:
                    self._change(REQUEST)
                if (
                    tracer is None
                    and not session.keepalive.is_ping_pending
                    and request.method != b"CONNECT"
                ):
                    exchange = self._open_exchange(request, observation)
                    writer = session.writer
                    if session.exchanges == 1 or self.runtime.is_blocking:
                        writer.push()
                        if exchange.waits_for_head_alone:
                            has_role = session.reader.begin(turn)
                    elif not writer.is_flush_due:
                        # Requests are under way on an event loop: the first task that queues one writes for all that
                        # run in the same iteration of the loop, and do not wait for it.
                        writer.is_flush_due = owes_flush = True
            if exchange is None:
                if session.keepalive.is_ping_pending:
                    await self._await_ping_reply(timeouts)
                if tracer is not None and not session.request_count:
                    flushing = session.writer.flush(timeouts.for_write())
                    await tracer.span("send_connection_init", {"request": request}, flushing)
                await self._check_protocol(request, timeouts)
                with session.lock:
                    exchange = self._open_exchange(request, observation)
                    if tracer is None:
                        session.writer.push()
            stream = exchange.stream
            if tracer is None:
                if owes_flush:
                    await self.runtime.sleep(0)
                    owes_flush = False
                    with session.lock:
                        session.writer.push()
                        if exchange.waits_for_head_alone:
                            has_role = session.reader.begin(turn)
                if session.writer.unsent and not has_role:
                    await session.writer.flush(timeouts.for_write(), stream.has_head)
                if observation is not None:
                    observation.head_sent()
                if stream.upload is not None:
                    await exchange.send_body(timeouts)
                if stream.informer is not None:
                    await exchange.wait_for_head(timeouts)
                elif stream.head is None:
                    limit = timeouts.for_read()
                    await session.reader.wait(
                        stream.turns,
                        stream.has_head,
                        limit,
                        ReadTimeout,
                        turn if has_role else None,
                    )
                head = stream.head or exchange.raise_error()
            else:
                info = {"request": request, "stream_id": stream.stream_id}
                flushing = session.writer.flush(timeouts.for_write(), stream.has_head)
                await tracer.span("send_request_headers", info, flushing)
                if observation is not None:
                    observation.head_sent()
                await tracer.span("send_request_body", info, exchange.send_body(timeouts))
                receiving = exchange.receive_head(timeouts, tracer)
                head = await tracer.span("receive_response_headers", info, receiving)
            if observation is not None:
                observation.data_received()
        except BaseException as exc:
            session.on_failure(exc)
            with session.lock:
                session.reader.role.leave(turn)
                if owes_flush:
                    session.writer.push()
            await self._fail_exchange(exc, exchange, has_begun, tracer)
            raise
        tunnel = Tunnel(session, stream) if stream.is_tunnel else None
        extensions = {
            "http_version": b"HTTP/2",
            "network_stream": self._public_stream if tunnel is None else tunnel.unwrapped,
            "stream_id": stream.stream_id,
            **self.peer.addresses,
        }
        info = _NO_INFO
        if tracer is not None:
            info = {"request": request, "stream_id": stream.stream_id}
        body = ExchangeBody(exchange, timeouts, tracer, info, extensions)
        if head[0] == EXPECTATION_FAILED:
            body.is_expectation_refused = may_send_without_expectation(
                request, exchange.has_consumed_body
            )
        if tunnel is not None:
            tunnel.owner = body  # the caller may keep the stream alone
        status, headers = head
        return received_response(status, headers, body, extensions)

    async def _await_ping_reply(self, timeouts: Timeouts) -> None:
        """Wait for the reply to a PING before anything else is sent to a server that may be gone."""
        session = self._session
        limit = timeouts.for_read()

        def is_ready() -> bool:
            return not session.keepalive.is_ping_pending or session.is_closed

        try:
            await session.reader.wait([], is_ready, limit)
        except ReadTimeout:
            with session.lock:
                if session.streams:
                    raise  # requests under way may have longer timeouts
                session.fail(
                    ReadTimeout(
                        f"The server did not answer a PING within {rounded(limit)} seconds (read timeout)."
                    )
                )
            session.notify()

    async def _check_protocol(self, request: Request, timeouts: Timeouts) -> None:
        """Check that the server supports extended CONNECT, if the request is one (RFC 8441, section 3).

        Raises:
            LocalProtocolError: it doesn't.
        """
        protocol = protocol_of(request)
        if protocol is None:
            return
        session = self._session
        codec = session.codec

        def is_ready() -> bool:
            return codec.allows_protocols is not None or session.is_closed

        if codec.allows_protocols is None:
            await session.reader.wait([], is_ready, timeouts.for_read())
        if not codec.allows_protocols and not session.is_closed:
            raise LocalProtocolError(
                f"{self._origin} does not support extended CONNECT over HTTP/2, which {protocol!r} needs: "
                "its settings have no ENABLE_CONNECT_PROTOCOL (RFC 8441). "
                "For a WebSocket, send a GET with 'Upgrade: websocket' over HTTP/1.1."
            )

    def _open_exchange(
        self, request: Request, observation: RequestObservation | None
    ) -> HTTP2Exchange:
        """Open a stream, and queue the head and as much of the body as is here and may be sent; under the lock."""
        session = self._session
        if session.writer.unsent and len(session.writer.unsent) > _MAX_UNSENT:
            session.retire()
        if session.is_closed or session.is_retired or len(session.streams) >= session.codec.limit:
            raise ConnectionNotAvailable(
                f"The connection accepts no further request: {len(session.streams)} of at most "
                f"{session.codec.limit} streams are open."
            )
        length, pseudo, headers = self._fields.of(request)
        body = request.stream
        upload = None
        if length or type(body) is not ByteStream or body.content or request.method == b"CONNECT":
            upload = StreamUpload.of(request, length, self.runtime.is_blocking)
        informer = None
        if observation is not None or "informational" in request.extensions:
            informer = Informer.of(request, self.runtime.is_blocking, observation)
        stream = session.open_stream(request, upload, pseudo, headers)
        if stream is None:
            session.retire()
            raise ConnectionNotAvailable("The connection has no stream identifiers left.")
        if informer is not None:
            stream.informer = informer
        if self._state is RESERVED:
            self._change(SEND)
        self._request_count = session.request_count
        exchange = HTTP2Exchange(session, stream, self.peer, self._on_end, observation)
        if upload is not None and upload.iterator is None and not upload.expects_continue:
            exchange.queue_slice(upload)
        return exchange

    # Life

    @property
    def request_limit(self) -> RequestLimit | None:
        """What is known of how many requests the server processes on one connection."""
        return self._session.request_limit

    @request_limit.setter
    def request_limit(self, limit: RequestLimit | None) -> None:
        self._session.request_limit = limit

    def count_in(self, traffic: Traffic) -> None:
        self._session.writer.traffic = traffic

    def is_stale(self) -> bool:
        session = self._session
        # A new connection is checked by its first request, and one that is in use by the participant that reads.
        if (session.request_count or self._was_idle_unused) and (
            session.reader.role.holder is None or session.keepalive.due is not None
        ):
            session.poll()
        return session.is_closed
