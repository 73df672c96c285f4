"""One HTTP/1.1 connection: passes bytes between the codec and the stream, one exchange at a time.

Rules: an exchange ends exactly once, in `_end`, without awaiting: at the end of the body, on an error, a cancellation
or an early close. Only a connection whose exchange was complete is used again. Must not know: pools, how the stream
was established, the format of messages (the codec does).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, Protocol

from .._exceptions import (
    ConnectionNotAvailable,
    LocalProtocolError,
    NetworkError,
    ReadError,
    RemoteProtocolError,
    WriteError,
    WriteTimeout,
    add_context,
)
from .._http.close_reason import CloseReason
from .._http.established import EstablishedConnection, ExchangeBody
from .._http.expectation import EXPECTATION_FAILED, may_send_without_expectation
from .._http.fields import Headers
from .._http.informational import Informer
from .._http.memory import Memory
from .._http.observation import RequestObservation
from .._http.states import ABORT, ABORTED, FAIL, IDLE, NEW, RELEASE, REQUEST, RESERVED, SEND
from .._http.timeouts import Timeouts
from .._http.trace import Tracer
from .._http.traffic import Traffic
from .._models import ByteStream, Origin, Request, Response, received_response
from .._net.backend_stream import BackendStream
from .._net.prefixed_stream import PrefixedStream
from .codec import HEAD_DUE, NO_BODY_LEFT, SENT, SWITCHED, HTTP11Codec
from .heads import HEAD_LIMIT, HeadMemory, ResponseHead
from .upload import Upload

# Up to here head and body leave in one write: copying them together costs less than a second segment. The peer's
# system buffers as much (Linux, macOS and Windows begin with a window of 64 KiB), so the response is not watched for
# meanwhile.
_SMALL_BODY = 60 * 1024
_READ_SIZE = 64 * 1024
_NO_INFO: dict[str, Any] = {}  # for a body that nobody traces


class HTTP11Settings(Protocol):
    """What a class or an object decides for its HTTP/1.1 connections, in bytes."""

    READ_NUM_BYTES: ClassVar[int]
    MAX_INCOMPLETE_EVENT_SIZE: ClassVar[int]


class EstablishedHTTP11Connection(EstablishedConnection):
    """An HTTP/1.1 connection over a stream that is already established (RFC 9112).

    Attributes:
        READ_NUM_BYTES: how many bytes to read at a time.
        MAX_INCOMPLETE_EVENT_SIZE: how many bytes the head of a response may have.
    """

    READ_NUM_BYTES: ClassVar[int] = _READ_SIZE
    MAX_INCOMPLETE_EVENT_SIZE: ClassVar[int] = HEAD_LIMIT

    _version = "HTTP/1.1"
    _first_state = NEW
    _was_idle_unused = False

    def __init__(
        self,
        origin: Origin,
        stream: BackendStream,
        keepalive_expiry: float | None = None,
        settings: HTTP11Settings | type[HTTP11Settings] | None = None,
    ) -> None:
        """Take over a stream; `settings` are those of this class by default, all else is as in the base class."""
        super().__init__(origin, stream, keepalive_expiry)
        self._public_stream = self._stream.unwrapped
        self._codec = HTTP11Codec()
        settings = settings or self
        self._codec.head_limit = settings.MAX_INCOMPLETE_EVENT_SIZE
        size = settings.READ_NUM_BYTES
        # The stream's own size is the fastest, unless the setting was changed.
        self._read_size = max(size, self._stream.read_size) if size == _READ_SIZE else size
        self.take_chunk: Callable[[], bytes | None] = self._codec.take_chunk
        self._traffic = Traffic()
        self._has_consumed = False
        self._observation: RequestObservation | None = None
        self._informer: Informer | None = None
        # The extensions of responses with the last head.
        self._last_head: ResponseHead | None = None
        self._extensions: dict[str, Any] = {}
        # Returns the target and the header fields to send in place of the request's; set for proxies.
        self.rewrite: Callable[[Request], tuple[bytes, Headers]] | None = None

    def use_memory(self, memory: Memory) -> None:
        self._codec.memory = memory.of(HeadMemory)

    def count_in(self, traffic: Traffic) -> None:
        self._traffic = traffic

    # Requests

    async def exchange(
        self,
        request: Request,
        timeouts: Timeouts,
        observation: RequestObservation | None = None,
    ) -> Response:
        tracer = Tracer.of("http11", request, self.runtime.is_blocking)
        try:
            self._change(REQUEST)
        except KeyError:
            # Another request is under way, perhaps another thread's, or the connection is closed.
            raise ConnectionNotAvailable from None
        self._stream.watch(None)
        self._request_count += 1
        if self._request_count != 1:
            self._traffic.reused += 1
        self._has_consumed = False
        self._expires_at = None
        self._observation = observation
        codec = self._codec
        head: ResponseHead | None = None
        try:
            if "informational" in request.extensions or observation is not None:
                self._inform(request)
            write_error: WriteError | None = None
            try:
                if tracer is None:
                    await self._send_head(request, timeouts)
                    if observation is not None:
                        self._head_sent(request, observation)
                    if codec.request_state is not SENT or type(request.stream) is not ByteStream:
                        head = await self._send_body(request, timeouts)
                    if head is None:
                        # Most heads arrive whole, and need no coroutine.
                        size = codec.head_size or self._read_size
                        data = await self._stream.read(size, timeouts.for_read())
                        codec.receive(data)
                        size = len(data)
                        self._traffic.bytes_received += size
                        if observation is not None:
                            observation.data_received()
                        head = codec.take_head()
                else:
                    head = await self._send_traced(request, timeouts, tracer)
            except WriteError as exc:
                write_error = exc  # the server may have answered before it closed the connection
                codec.abandon_request()
            except WriteTimeout:
                if self._state is RESERVED or codec.response_state is not HEAD_DUE:
                    raise
                head = self._upload(timeouts).final_poll()
                if head is None:
                    raise
            if head is None or tracer is not None or self._informer is not None:
                receiving = self._receive_head(timeouts, write_error, head)
                if tracer is not None:
                    receiving = tracer.span(
                        "receive_response_headers",
                        {"request": request},
                        receiving,
                        present=lambda head: (*head[:3], head.headers.copy()),
                    )
                head = await receiving
        except BaseException as exc:
            add_context(exc, self.peer)
            codec.interim_heads = self._informer = None
            # A request that was refused before a byte was sent leaves the connection as it was.
            self._end(self._state is RESERVED and codec.response_state is not HEAD_DUE)
            try:
                if tracer is not None:
                    await tracer.span("response_closed", {}, self.wait_closed())
            finally:
                await self.wait_closed()  # a callback may have raised before it was awaited
            raise
        if self._informer is not None:
            codec.interim_heads = self._informer = None
        if head is not self._last_head:
            self._last_head = head
            self._extensions = {
                "http_version": head.version,
                "reason_phrase": head.reason,
                "network_stream": self._public_stream,
                **self.peer.addresses,
            }
        extensions = self._extensions.copy()
        switched: PrefixedStream | None = None
        if codec.response_state is SWITCHED:
            switched = PrefixedStream(self._stream, codec.leading_data)
            extensions["network_stream"] = switched
        info = _NO_INFO if tracer is None else {"request": request}
        body = ExchangeBody(self, timeouts, tracer, info, extensions)
        if head.status == EXPECTATION_FAILED:
            body.is_expectation_refused = may_send_without_expectation(request, self._has_consumed)
        if switched is not None:
            switched.owner = body  # the caller may keep the stream alone
        return received_response(head.status, head.headers.copy(), body, extensions)

    def _inform(self, request: Request) -> None:
        """Report the interim responses to `request` to its extension."""
        informer = self._informer = Informer.of(
            request, self.runtime.is_blocking, self._observation
        )
        self._codec.interim_heads = None if informer is None else informer.pending

    async def _send_traced(
        self, request: Request, timeouts: Timeouts, tracer: Tracer
    ) -> ResponseHead | None:
        async def send_head() -> None:
            await self._send_head(request, timeouts)
            if self._observation is not None:
                self._head_sent(request, self._observation)

        info = {"request": request}
        await tracer.span("send_request_headers", info, send_head())
        sending = self._send_body(request, timeouts)
        return await tracer.span("send_request_body", info, sending, present=_nothing)

    def _send_head(self, request: Request, timeouts: Timeouts) -> Coroutine[Any, Any, None]:
        """Send the head, and a small body along with it, unless that has to wait for 100 (Continue)."""
        if request.method == b"CONNECT" and request.extensions.get("protocol") is not None:
            raise LocalProtocolError(
                f"extensions['protocol'] is for HTTP/2, and the connection to {self._origin} uses HTTP/1.1. "
                "For a WebSocket, send a GET with 'Upgrade: websocket'."
            )
        limit = timeouts.for_write()
        codec = self._codec
        stream = request.stream
        content = stream.content if type(stream) is ByteStream else None
        if self.rewrite is None:
            target, headers = request.url.target, request.headers
        else:
            target, headers = self.rewrite(request)
        data = codec.start_request(
            request.method, target, headers, None if content is None else len(content)
        )
        has_body = codec.request_state is not SENT
        if (
            has_body
            and content is not None
            and len(content) <= _SMALL_BODY
            and not codec.expects_continue
        ):
            data += codec.send_data(content)
            data += codec.end_request()
        self._change(SEND)
        size = len(data)
        self._traffic.bytes_sent += size
        return self._stream.write(data, limit)

    async def _send_body(self, request: Request, timeouts: Timeouts) -> ResponseHead | None:
        """Send the remaining body; return the response's head if it was received meanwhile."""
        if type(request.stream) is ByteStream and self._codec.request_state is SENT:
            return None
        codec = self._codec
        upload = self._upload(timeouts)
        try:
            waits = codec.request_state is not SENT and codec.expects_continue
            if waits and not await upload.wait_for_continue():
                return upload.head
            return await upload.send(request.stream)
        finally:
            self._has_consumed = upload.has_begun

    def _upload(self, timeouts: Timeouts) -> Upload:
        return Upload(
            self._stream,
            self._codec,
            self._traffic,
            self._read_size,
            timeouts,
            self._observation,
            self._informer,
        )

    def _head_sent(self, request: Request, observation: RequestObservation) -> None:
        stream = request.stream
        if type(stream) is ByteStream and self._codec.request_state is SENT:
            observation.sent += len(stream.content)  # it left with the head
        observation.head_sent()

    async def _receive_head(
        self, timeouts: Timeouts, write_error: WriteError | None, head: ResponseHead | None
    ) -> ResponseHead:
        codec = self._codec
        try:
            while True:
                if self._informer is not None:
                    await self._informer.report()
                if head is not None:
                    return head
                self._receive(await self._stream.read(self._read_size, timeouts.for_read()))
                if self._observation is not None:
                    self._observation.data_received()
                head = codec.take_head()
        except (NetworkError, RemoteProtocolError) as exc:
            raise exc from write_error

    def _receive(self, data: bytes) -> None:
        """Count received data, and pass it on to the codec; `exchange` receives most heads without this call."""
        self._codec.receive(data)
        size = len(data)
        self._traffic.bytes_received += size

    def take_remaining(self) -> bytes | None:
        """End the exchange and return the remaining body if it has been received.

        Returns:
            The remaining body, or `None` if it has not been received.
        """
        remaining = self._codec.take_remaining()
        if remaining is not None:
            self._end(True)
        return remaining

    async def receive_chunk(self, timeouts: Timeouts) -> bytes:
        """Receive the next chunk of the response's body.

        Args:
            timeouts: the limits of the request.

        Returns:
            The chunk; `b""` at the end of the body.

        Raises:
            RemoteProtocolError: the server violated HTTP, or closed the connection within the body.
            ReadError: the connection failed.
            ReadTimeout: no data arrived within the `read` timeout, or the total has passed.
        """
        codec = self._codec
        while True:
            received = await self._stream.read(self._read_size, timeouts.for_read())
            self._receive(received)
            data = codec.take_chunk()
            if data is not None:
                if not received and not self._stream.ended_cleanly:
                    # RFC 9112, sections 8 and 9.8. If the body had another end, the codec would have raised an error.
                    raise RemoteProtocolError(
                        "The server closed the TLS connection without close_notify, which alone marks the end of this "
                        "body: it may be incomplete. If the server never sends close_notify, allow that with "
                        "ssl_context.options |= ssl.OP_IGNORE_UNEXPECTED_EOF."
                    )
                return data

    # The end of an exchange

    def finish(self, has_failed: bool) -> None:
        """End the exchange, and keep the connection if it can be reused; otherwise close it.

        Args:
            has_failed: whether the exchange has failed, so that the connection is closed.
        """
        if has_failed:
            self.abort()
        codec = self._codec
        try:
            # The remaining body is skipped if it has been received.
            while codec.response_state not in NO_BODY_LEFT and codec.take_chunk() is not None:
                pass
        except RemoteProtocolError:
            pass  # it is not complete, so the connection is not used again
        self._end(codec.is_reusable)

    @property
    def has_body_left(self) -> bool:
        """Whether more of the body follows."""
        return self._codec.response_state not in NO_BODY_LEFT

    @property
    def trailers(self) -> Headers:
        """The fields after a chunked body, once it has ended."""
        return self._codec.trailers

    @property
    def has_switched(self) -> bool:
        """Whether the connection has left HTTP, by an upgrade or CONNECT."""
        return self._codec.response_state is SWITCHED

    def _end(self, is_reusable: bool) -> None:
        self._change(RELEASE if is_reusable else FAIL)
        is_reusable = self._state is IDLE  # unless it was aborted meanwhile
        if is_reusable:
            if self._keepalive_expiry is not None or self._codec.keep_alive_timeout is not None:
                self._expires_at = self._next_expiry()
            self._stream.watch(self._lost)
        else:
            codec = self._codec
            is_complete = codec.response_state in NO_BODY_LEFT and codec.request_state is SENT
            self.close_reason = (
                CloseReason.NOT_PERSISTENT if is_complete else CloseReason.EXCHANGE_FAILED
            )
            self._stream.abort()
        if self.on_release is not None:
            self.on_release(is_reusable, self._expires_at)

    def _next_expiry(self) -> float:
        limits = (self._keepalive_expiry, self._codec.keep_alive_timeout)
        return self.runtime.now() + min(limit for limit in limits if limit is not None)

    def _lost(self) -> None:
        """Close the connection: bytes, or the end of the stream, arrived while no request was under way."""
        self._change(FAIL)
        self.close_reason: CloseReason | None = CloseReason.PEER
        self._stream.abort()
        if self.on_change is not None:
            self.on_change()

    # Life

    capacity = 1
    is_retired = False

    @property
    def may_be_resent(self) -> bool:
        """Whether the last exchange failed as it does when the server closes an idle connection.

        The connection was idle before, no byte of the response was received, the connection was not closed on this
        side, and the body, if there is one, can be sent again.
        """
        return (
            (self._request_count > 1 or self._was_idle_unused)
            and self._codec.is_unanswered
            and self._state is not ABORTED
            and not self._has_consumed
        )

    def become_idle(self) -> None:
        try:
            # As a request does of which nothing was sent.
            self._change(REQUEST)
        except KeyError:
            return  # a request is under way, or it is closed
        self._change(RELEASE)
        self._was_idle_unused = self._request_count == 0
        if self._keepalive_expiry is not None:
            self._expires_at = self._next_expiry()
        self._stream.watch(self._lost)

    def is_stale(self) -> bool:
        try:
            return self._state is not NEW and self._stream.read_nowait(1) is not None
        except ReadError:
            return True

    def abort(self) -> None:
        """Close the connection without awaiting."""
        self._change(ABORT)
        self._stream.abort()

    def is_available(self) -> bool:
        return self._state is IDLE

    def _is_lost(self) -> bool:
        return bool(self._stream.get_extra_info("is_readable"))


def _nothing(_: object) -> None:
    """Return the result of a `send_…` event, which is `None` in 2.x."""
