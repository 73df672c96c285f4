"""An HTTP/3 connection as callers and pools use it: handshake, requests, their responses, its life. Layer: connection.

Rules: all that exchanges share is in the session.
Must not know: pools, how the datagrams below are sent, frames.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from httpcore2_core._exceptions import (
    ConnectError,
    ConnectionNotAvailable,
    ConnectTimeout,
    LocalProtocolError,
    ReadTimeout,
)
from httpcore2_core._http.early_data import TOO_EARLY
from httpcore2_core._http.established import ExchangeBody
from httpcore2_core._http.expectation import EXPECTATION_FAILED, may_send_without_expectation
from httpcore2_core._http.informational import Informer
from httpcore2_core._http.memory import Memory
from httpcore2_core._http.multiplexed_connection import MultiplexedConnection
from httpcore2_core._http.observation import RequestObservation
from httpcore2_core._http.states import IDLE, REQUEST, RESERVED, SEND
from httpcore2_core._http.stream_fields import RequestFieldsCache
from httpcore2_core._http.stream_upload import StreamUpload
from httpcore2_core._http.timeouts import Timeouts
from httpcore2_core._http.trace import Tracer
from httpcore2_core._http.traffic import Traffic
from httpcore2_core._models import ByteStream, Origin, Request, Response, received_response
from httpcore2_core._net.backend_stream import BackendStream, addresses_of
from httpcore2_core._net.datagram_stream import DatagramStream
from httpcore2_core._net.ssl_context import shared_ssl_context
from httpcore2_core._urls import server_name as name_of

from ._exchange import HTTP3Exchange
from ._network_stream import QuicNetworkStream
from ._quic import ClientQuic
from ._session import Session
from ._stream import Stream
from ._tls import IDLE_TIMEOUT, QuicMemory, make_quic, problem_of

if TYPE_CHECKING:
    import ssl


_NO_INFO: dict[str, Any] = {}  # for a body that nobody traces

EARLY_LIMIT = 1.0
"""Seconds after which a handshake is begun again without the early data. QUIC repeats its first flight before that."""


def _plain(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    return name, value


class EstablishedHTTP3Connection(MultiplexedConnection[Session, Stream]):
    """An HTTP/3 connection over datagrams (RFC 9114).

    Attributes:
        PING_INTERVAL: seconds of silence after which a PING keeps the connection open while requests wait (RFC 9114,
            section 5.1); `None` for never.
    """

    PING_INTERVAL: float | None = 10.0

    _version = "HTTP/3"

    def __init__(
        self,
        origin: Origin,
        datagrams: DatagramStream,
        keepalive_expiry: float | None = None,
        ssl_context: ssl.SSLContext | None = None,
        server_name: str | None = None,
        memory: QuicMemory | None = None,
        early_request: Request | None = None,
    ) -> None:
        """Create a connection over `datagrams`, without sending anything.

        Args:
            origin: the server that the datagrams are exchanged with.
            datagrams: leads to the server.
            keepalive_expiry: seconds after which the idle connection counts as expired; `None` for never.
            ssl_context: the TLS context; `None` for the default.
            server_name: the name that the server's certificate must hold for; `None` for the origin's host.
            memory: sessions and trust anchors that connections share.
            early_request: the first request, if it is to be sent before the handshake is complete, where that is
                possible.

        Raises:
            ValueError: the TLS context does what HTTP/3 can't do.
        """
        self._is_own_context = ssl_context is not None
        context = ssl_context or shared_ssl_context(("h3",))
        problem = problem_of(context)
        if problem is not None:
            raise ValueError(f"The ssl_context can't be used for HTTP/3: {problem}.")
        name = server_name or name_of(origin.host)
        self._make_quic = partial(make_quic, context, name, memory or QuicMemory())
        self._datagrams = datagrams
        quic = self._make_quic(early_request is not None)
        super().__init__(origin, QuicNetworkStream(datagrams, quic), keepalive_expiry)
        self._session = self._make_session(quic)
        self._fields = RequestFieldsCache(_plain)
        self._public_stream = self._stream.unwrapped
        self._on_end = self._end_exchange  # bound once
        self._has_begun = False
        self._early_request = early_request
        # The exchange of that request, until `exchange()` is called with it.
        self._early: HTTP3Exchange | None = None

    def _make_session(self, quic: ClientQuic) -> Session:
        return Session(
            self._datagrams, quic, self.PING_INTERVAL, self._change, self._on_session_change
        )

    @classmethod
    def memory_of(cls, memory: Memory) -> QuicMemory:
        """Return what the connections of a pool share.

        Args:
            memory: the memory of the pool.

        Returns:
            Sessions, and trust anchors.
        """
        return memory.of(QuicMemory)

    # Handshake

    async def handshake(self, limit: float | None) -> BackendStream:
        """Do the QUIC handshake, TLS included. A second call goes on with one that has timed out.

        Args:
            limit: seconds; `None` for no limit.

        Returns:
            The connection as callers see it: addresses, certificate, cipher.

        Raises:
            ConnectTimeout: it took longer. The connection is not closed.
            ConnectError: it failed, or the network did.
        """
        if not self._has_begun:
            self._has_begun = True
            self._begin_handshake()
        if self._early is not None and (limit is None or limit > EARLY_LIMIT):
            try:
                await self._wait_for_handshake(EARLY_LIMIT)
            except ConnectTimeout:
                self._begin_again()
        await self._wait_for_handshake(limit)
        self.check_handshake()
        return self._stream

    async def _wait_for_handshake(self, limit: float | None) -> None:
        session = self._session
        await session.endpoint.wait(
            [], lambda: session.is_ready or session.is_closed, limit, ConnectTimeout
        )

    def _begin_again(self) -> None:
        """Begin another connection over the same datagrams, without early data.

        What was lost of the first flight can't be repeated together with early data (`EarlyQuic`).
        """
        with self._session.lock:
            self._session.endpoint.send_close()
        self._early = None
        quic = self._make_quic()
        self._stream = QuicNetworkStream(self._datagrams, quic)
        self._public_stream = self._stream.unwrapped
        self._session = self._make_session(quic)
        self._begin_handshake()

    def _begin_handshake(self) -> None:
        """Send the first flight, with the request that may be sent in early data."""
        session = self._session
        request, self._early_request = self._early_request, None
        with session.lock:
            session.endpoint.begin()
            if request is not None and session.begin_early():
                session.begin_exchange()
                self._early = self._queue(request, None)
            session.endpoint.flush()

    def check_handshake(self) -> bool:
        """Receive what has arrived, and return whether the handshake is complete.

        Returns:
            Whether it is.

        Raises:
            ConnectError: it has failed, or the server requires a certificate of the client.
        """
        session = self._session
        session.endpoint.poll()
        if session.is_closed:
            error = session.error
            assert error is not None, "it has failed"
            raise ConnectError(str(error)) from error
        if session.is_ready and self._is_own_context and session.quic.is_asked_for_certificate:
            self.abort()
            raise ConnectError(
                "The server requests a certificate of the client, which HTTP/3 can't take from an ssl_context. "
                "Use HTTP/1.1 or HTTP/2."
            )
        if session.is_ready:
            # Only now it is known which of the host's addresses has answered.
            self.peer.addresses = addresses_of(self._stream)
        return session.is_ready

    # Requests

    async def exchange(
        self,
        request: Request,
        timeouts: Timeouts,
        observation: RequestObservation | None = None,
    ) -> Response:
        session = self._session
        tracer = Tracer.of("http3", request, self.runtime.is_blocking)
        exchange: HTTP3Exchange | None = None
        early: HTTP3Exchange | None = None
        has_begun = False
        try:
            with session.lock:
                if self._early is not None:
                    exchange = early = self._take_early(request, observation)
                if early is None:
                    session.begin_exchange()
                has_begun = True
                self._expires_at = None
                if self._state is IDLE:
                    self._change(REQUEST)
                if early is not None and self._state is RESERVED:
                    self._change(SEND)
            if not session.is_ready:
                await self.handshake(timeouts.for_connect())
            while (
                exchange is None and (exchange := self._open_exchange(request, observation)) is None
            ):
                await session.endpoint.wait(
                    session.credit_turns, session.has_credit, timeouts.for_read()
                )
            if observation is not None:
                observation.head_sent()
            stream = exchange.stream
            if tracer is None:
                if stream.upload is not None:
                    await exchange.send_body(timeouts)
                if stream.informer is not None:
                    await exchange.wait_for_head(timeouts)
                elif not stream.has_head():
                    # While other requests are under way, their tasks may be about to send, too.
                    is_shared = session.exchanges > 1
                    limit = timeouts.for_read()
                    await session.endpoint.wait(
                        stream.turns, stream.has_head, limit, ReadTimeout, is_shared
                    )
                head = stream.head or exchange.raise_error()
            else:
                info = {"request": request, "stream_id": stream.stream_id}
                await tracer.span("send_request_headers", info, self._send_queued())
                await tracer.span("send_request_body", info, exchange.send_body(timeouts))
                receiving = exchange.receive_head(timeouts)
                head = await tracer.span("receive_response_headers", info, receiving)
            if observation is not None:
                observation.data_received()
        except BaseException as exc:
            session.on_failure(exc)
            await self._fail_exchange(exc, exchange, has_begun, tracer)
            raise
        extensions = {
            "http_version": b"HTTP/3",
            "network_stream": self._public_stream,
            "stream_id": stream.stream_id,
            **self.peer.addresses,
        }
        if early is not None:
            extensions["early_data"] = session.is_early_data_accepted
        info = _NO_INFO
        if tracer is not None:
            info = {"request": request, "stream_id": stream.stream_id}
        body = ExchangeBody(exchange, timeouts, tracer, info, extensions)
        status, headers = head
        if status == EXPECTATION_FAILED:
            body.is_expectation_refused = may_send_without_expectation(
                request, exchange.has_consumed_body
            )
        elif status == TOO_EARLY:
            body.is_too_early = early is not None and session.is_early_data_accepted
        return received_response(status, headers, body, extensions)

    async def _send_queued(self) -> None:
        """Send what is queued, which no request waits for."""
        with self._session.lock:
            self._session.endpoint.flush()

    def _take_early(
        self, request: Request, observation: RequestObservation | None
    ) -> HTTP3Exchange | None:
        """Return the exchange of `request` if it was sent in early data; under the lock."""
        early = self._early
        if early is None or early.stream.request is not request:
            return None
        self._early = None
        early.observe(self._informer(request, observation), observation)
        return early

    def _open_exchange(
        self, request: Request, observation: RequestObservation | None
    ) -> HTTP3Exchange | None:
        """Open a stream, and queue the request's head and as much of its body as is here and may be sent.

        Returns:
            The exchange; `None` if the server does not allow one more stream yet. Checked here, under the lock: on
            threads, another request may have taken the stream that this one has waited for.
        """
        session = self._session
        if request.method == b"CONNECT":
            raise LocalProtocolError(
                "CONNECT is not supported over HTTP/3: allow http1 or http2 as well for tunnels and WebSockets."
            )
        with session.lock:
            if not session.has_room():
                raise ConnectionNotAvailable(
                    f"The connection accepts no further request: {len(session.streams)} of at most "
                    f"{session.limit} streams are open."
                )
            if not session.has_credit():
                return None
            exchange = self._queue(request, observation)
            if self._state is RESERVED:
                self._change(SEND)
            return exchange

    def _queue(self, request: Request, observation: RequestObservation | None) -> HTTP3Exchange:
        """Queue a request on a new stream; under the lock."""
        session = self._session
        length, pseudo, headers = self._fields.of(request)
        body = request.stream
        upload = None
        if length or type(body) is not ByteStream or body.content:
            upload = StreamUpload.of(request, length, self.runtime.is_blocking)
        informer = self._informer(request, observation)
        stream = session.open_stream(request, upload, pseudo, headers)
        stream.informer = informer
        self._request_count = session.request_count
        exchange = HTTP3Exchange(session, stream, self.peer, self._on_end, observation)
        if upload is not None and upload.iterator is None and not upload.expects_continue:
            exchange.queue_slice(upload)
        return exchange

    def _informer(
        self, request: Request, observation: RequestObservation | None
    ) -> Informer | None:
        if "informational" in request.extensions or observation is not None:
            return Informer.of(request, self.runtime.is_blocking, observation)
        return None

    # Life

    def count_in(self, traffic: Traffic) -> None:
        self._session.endpoint.traffic = traffic

    def become_idle(self) -> None:
        with self._session.lock:
            early, self._early = self._early, None
            if early is not None:
                self._session.end_exchange(early.stream)
        super().become_idle()

    def is_stale(self) -> bool:
        session = self._session
        # A new connection is checked by its first request.
        if session.request_count or self._was_idle_unused:
            endpoint = session.endpoint
            endpoint.poll()
            if endpoint.received_at < endpoint.doubted_at:
                self._retire()  # the path may be gone, and the next request waits in vain
            elif not session.exchanges and endpoint.silence() > 0.9 * IDLE_TIMEOUT:
                self.abort()  # the server may close it while the request is on its way
        return session.is_closed

    def _retire(self) -> None:
        """Accept no further request, and close the connection if there is no other."""
        session = self._session
        if session.exchanges:
            with session.lock:
                session.retire()
            session.notify()
        else:
            self.abort()
