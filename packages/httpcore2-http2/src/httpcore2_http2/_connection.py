"""One HTTP/2 connection: many requests at a time, over one stream.

Rules:

- There is no task in the background: one of the waiting requests reads for all (`Reader`), one writes for all
  (`Writer`), under one lock, so that several threads may share the connection. Nothing is awaited under it.
- A request that is cancelled, out of time or closed early resets its stream, alone.
- An exchange ends exactly once, in `finish`, without awaiting.

Must not know: pools, how the stream was made, what frames look like (the codec does).
"""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING, ClassVar, Protocol

from httpcore2_core._exceptions import (
    ConnectionNotAvailable,
    LocalProtocolError,
    NetworkError,
    ProtocolError,
    ReadError,
    ReadTimeout,
    RemoteProtocolError,
    TimeoutException,
    add_context,
)
from httpcore2_core._http.established import (
    EstablishedConnection,
    ExchangeBody,
    RequestLimit,
    State,
)
from httpcore2_core._http.timeouts import Timeouts
from httpcore2_core._http.trace import Tracer
from httpcore2_core._models import (
    IDEMPOTENT_METHODS,
    Origin,
    Request,
    Response,
    received_response,
)
from httpcore2_core._net.backend_stream import BackendStream
from httpcore2_core._net.forks import generation

from ._codec import (
    Codec,
    DataReceived,
    Ended,
    ErrorCode,
    Event,
    GoAway,
    HeadReceived,
    Reset,
    SettingsReceived,
    WindowOpened,
    name_code,
)
from ._exchange import Exchange
from ._fields import Preparation, is_granted, protocol_of, pseudo_headers
from ._h2_codec import CONFIG, H2Codec
from ._keepalive import KeepAlive
from ._reader import Reader
from ._stream import Stream, Upload
from ._tunnel import Tunnel
from ._writer import Writer

if TYPE_CHECKING:
    from h2.config import H2Configuration

# Bytes that wait for a server which is stuck, left by requests that gave up: new ones had better go elsewhere.
# All requests that there can be at a time have less.
_MAX_UNSENT = 8 * 1024 * 1024
# What an exchange may end in. Anything else has come from outside, or from code of the caller's.
_EXPECTED = (ConnectionNotAvailable, NetworkError, ProtocolError, TimeoutException, TypeError)
# What runs code of the caller's in the middle of an exchange.
_CALLS_CALLER = (Upload.next_chunk.__code__, Tracer.event.__code__)


class HTTP2Settings(Protocol):
    """What a class or an object decides for its HTTP/2 connections; see `EstablishedHTTP2Connection`."""

    READ_NUM_BYTES: ClassVar[int]
    CONFIG: ClassVar[H2Configuration]


class EstablishedHTTP2Connection(EstablishedConnection):
    """An HTTP/2 connection over a stream that is already established (RFC 9113).

    Attributes:
        STREAM_WINDOW: how many bytes of a response wait for their reader before the server has to.
        CONNECTION_WINDOW: how many bytes may be on their way at a time.
        READ_NUM_BYTES: how many bytes to read at a time.
        CONFIG: what h2 is told, which the codec makes use of.
        PING_INTERVAL: seconds without a frame after which the server is asked, by a PING, whether it is still there
            while requests wait for it; `None` for never.
        PING_BEFORE_REUSE: the same, before a connection that was idle is used again; `None` for never.
        PING_TIMEOUT: seconds for an answer, after which the connection is given up. A request that was to reuse it then
            moves to another one; those under way fail with `ReadTimeout`.
    """

    READ_NUM_BYTES: ClassVar[int] = 64 * 1024
    STREAM_WINDOW = 1024 * 1024
    CONNECTION_WINDOW = 16 * 1024 * 1024
    CONFIG: ClassVar[H2Configuration] = CONFIG
    PING_INTERVAL: float | None = None
    PING_BEFORE_REUSE: float | None = 60.0
    PING_TIMEOUT: float = 15.0

    _version = "HTTP/2"
    _first_state = State.IDLE

    def __init__(
        self,
        origin: Origin,
        stream: BackendStream,
        keepalive_expiry: float | None = None,
        settings: HTTP2Settings | type[HTTP2Settings] | None = None,
    ) -> None:
        """Take over a stream; `settings` are those of this class by default, all else is as in the base class."""
        super().__init__(origin, stream, keepalive_expiry)
        self.request_limit: RequestLimit | None = None
        # Re-entrant, since the collector may close this connection while one of its own callbacks holds it.
        self.lock: RLock = RLock()
        self._generation = generation()
        settings = settings or self
        self.codec: Codec = H2Codec(self.STREAM_WINDOW, self.CONNECTION_WINDOW, settings.CONFIG)
        self.writer: Writer = Writer(
            self._stream, self.lock, self.codec.take, self.poll, self._retire
        )
        self._keepalive = KeepAlive(
            self.PING_INTERVAL, self.PING_BEFORE_REUSE, self.PING_TIMEOUT, self.runtime.now()
        )
        self.reader: Reader = Reader(
            self._stream,
            self.lock,
            self.writer,
            settings.READ_NUM_BYTES,
            self._keepalive,
            self._on_read,
            self._on_silence,
            self._notify,
        )
        self._prepare = Preparation()
        self._streams: dict[int, Stream] = {}
        self._exchanges = 0  # under way
        self._reads = 0  # how often something came
        self._last_answer = 0  # which of the reads brought a response's head, last
        self._is_retired = False  # takes no new request
        self._goaway: GoAway | None = None
        # The server's, of which no listener was told yet.
        self.settings: SettingsReceived | None = None
        self._has_changed = False  # something that `on_change` is to tell

    # Requests

    async def exchange(self, request: Request, timeouts: Timeouts) -> Response:
        """Send `request`, whose body has the right colour, and return its response, the body still to be read.

        Raises:
            ConnectionNotAvailable: the request was not sent, or not processed, and may be sent elsewhere.
        """
        tracer = Tracer.of("http2", request, self.runtime.is_blocking)
        exchange: Exchange | None = None
        self._enter()
        try:
            if self._keepalive.is_asked:
                await self._await_answer(timeouts)
            if tracer is None:
                if request.method == b"CONNECT":
                    await self._check_protocol(request, timeouts)
                exchange = self._open(request)
                await self.writer.flush(timeouts.for_write(), exchange.stream.has_head)
                if exchange.stream.upload is not None:
                    await exchange.send_body(timeouts)
                head = exchange.stream.head or await exchange.receive_head(timeouts)
            else:
                if not self._request_count:
                    flushing = self.writer.flush(timeouts.for_write())
                    await tracer.span("send_connection_init", {"request": request}, flushing)
                await self._check_protocol(request, timeouts)
                exchange = self._open(request)
                info = {"request": request, "stream_id": exchange.stream.stream_id}
                flushing = self.writer.flush(timeouts.for_write(), exchange.stream.has_head)
                await tracer.span("send_request_headers", info, flushing)
                await tracer.span("send_request_body", info, exchange.send_body(timeouts))
                receiving = exchange.receive_head(timeouts, tracer)
                head = await tracer.span("receive_response_headers", info, receiving)
        except BaseException as exc:
            self.end_if_interrupted(exc)
            add_context(exc, self.peer if exchange is None else exchange.peer)
            self.finish(None if exchange is None else exchange.stream)
            try:
                if tracer is not None and exchange is not None:
                    info = {"stream_id": exchange.stream.stream_id}
                    await tracer.span("response_closed", info, self.wait_closed())
            finally:
                await (exchange or self).wait_closed()  # a listener may have raised before it began
            if exchange is not None and exchange.is_unprocessed(exc):
                again = ConnectionNotAvailable(str(exc))
                again.made_progress = exchange.stream.made_progress
                raise again from exc
            raise
        stream = exchange.stream
        tunnel = Tunnel(self, stream, self._stream) if stream.is_tunnel else None
        extensions = {
            "http_version": b"HTTP/2",
            "network_stream": (tunnel or self._stream).unwrapped,
            "stream_id": stream.stream_id,
        }
        info = {"request": request, "stream_id": stream.stream_id}
        body = ExchangeBody(exchange, timeouts, tracer, info, extensions)
        if tunnel is not None:
            tunnel.owner = body  # the caller may keep the stream alone
        return received_response(*head, body, extensions)

    def _enter(self) -> None:
        self._stream.watch(None)
        with self.lock:
            self._exchanges += 1
            self._expires_at = None
            if self._state is State.IDLE:
                self._state = State.ACTIVE
                now = self.runtime.now()
                if self._request_count and self._keepalive.is_doubtful(now):
                    self._ask(now)
                self._keepalive.resume(now)

    async def _await_answer(self, timeouts: Timeouts) -> None:
        """Send nothing to a server that may be gone."""
        limit = timeouts.for_read()
        try:
            await self.reader.wait([], self._is_answered, limit)
        except ReadTimeout:
            with self.lock:
                if self._streams:
                    raise  # requests under way may have more patience
                self._fail(ReadTimeout("The server did not answer a PING."))
            self._notify()

    def _is_answered(self) -> bool:
        return not self._keepalive.is_asked or self._state is State.CLOSED

    async def _check_protocol(self, request: Request, timeouts: Timeouts) -> None:
        """Make sure that the server takes an extended CONNECT, if the request is one (RFC 8441, section 3).

        Raises:
            LocalProtocolError: it doesn't.
        """
        protocol = protocol_of(request)
        if protocol is None:
            return
        if self.codec.allows_protocols is None:
            await self.reader.wait([], self._has_settings, timeouts.for_read())
        if not self.codec.allows_protocols and self._state is not State.CLOSED:
            raise LocalProtocolError(
                f"{self._origin} takes no extended CONNECT over HTTP/2, which {protocol!r} needs: "
                "its settings have no ENABLE_CONNECT_PROTOCOL (RFC 8441). "
                "For a WebSocket, send a GET with 'Upgrade: websocket' over HTTP/1.1."
            )

    def _has_settings(self) -> bool:
        return self.codec.allows_protocols is not None or self._state is State.CLOSED

    def _open(self, request: Request) -> Exchange:
        """Open a stream and queue the request's head, and what of its body is there and may be sent."""
        with self.lock:
            if len(self.writer.unsent) > _MAX_UNSENT:
                self._retire()
            if not self._has_room():
                raise ConnectionNotAvailable("The connection takes no further request now.")
            authority, length, headers = self._prepare(request.headers)
            pseudo = pseudo_headers(request, authority)
            upload = Upload.of(request, length, self.runtime.is_blocking)
            end_stream = upload is not None and upload.is_done
            stream_id = self.codec.open_stream(pseudo, headers, end_stream)
            if stream_id is None:
                self._retire()
                raise ConnectionNotAvailable("The connection has no stream identifiers left.")
            stream = Stream(stream_id, request, upload, self._reads)
            self._streams[stream_id] = stream
            self._request_count += 1
            exchange = Exchange(self, stream)
            if end_stream:
                stream.upload = None
            elif upload is not None and upload.iterator is None:
                exchange.send_part(upload)
            return exchange

    def _has_room(self) -> bool:
        return (
            self._state is not State.CLOSED
            and not self._is_retired
            and len(self._streams) < self.codec.limit
        )

    # What comes

    def poll(self) -> bool:
        """Take in what is there already, if nobody reads; return whether there may be more."""
        with self.lock:
            has_more = self._take_in()
            if self._exchanges:
                self._on_silence()
            self._close_if_done()
        self._notify()
        return has_more

    def _take_in(self) -> bool:
        """Take in what is there already; return whether there may be more; under the lock."""
        try:
            return self.reader.poll()
        except NetworkError as exc:
            self._keepalive.heard(self.runtime.now())
            if self._exchanges:
                # These learn of it when they read, and only then it is certain what came first: after a write that
                # failed, asyncio tells the reason in the loop's next iteration.
                self._retire()
            else:
                self._fail(exc)
            return False

    def _on_arrival(self) -> None:
        """Something came while no request was under way."""
        self.poll()
        if self._state is State.IDLE:
            self._stream.watch(self._on_arrival)

    def _on_read(self, read: bytes | Exception) -> None:
        """Take in what was read."""
        if isinstance(read, Exception):
            self._fail(read)
            return
        if not read:
            self._fail(RemoteProtocolError("Server disconnected"))
            return
        self._reads += 1
        if self._keepalive.is_asked:
            self.reader.wake_all()
        self._keepalive.heard(self.runtime.now())
        try:
            for event in self.codec.receive(read):
                self._handle(event)
        except RemoteProtocolError as exc:
            self.writer.push()
            self._fail(exc)
        except Exception as exc:  # noqa: BLE001 - re-raised, for all requests
            # A bug, of ours or of h2. Raised here, it would fail whoever reads, and let all others wait.
            error = RemoteProtocolError(
                f"What {self._origin} sent could not be dealt with: {exc!r}."
            )
            error.__cause__ = exc
            self._fail(error)
        else:
            if not self.writer.answer():
                self._fail(RemoteProtocolError("The server takes in no answers to what it sends."))

    def _on_silence(self) -> None:
        """Nothing came for a while: ask the server, or give it up, if that is due."""
        now = self.runtime.now()
        due = self._keepalive.due
        if due is None or now < due:
            return
        self._take_in()  # something may have come while this thread or task had no turn
        if self._keepalive.due != due or self._state is State.CLOSED:
            return
        if self._keepalive.is_asked:
            if self.reader.has_reader and self._keepalive.has_grace(now):
                return  # who reads may have had no turn, either
            seconds = self._keepalive.timeout
            self._fail(ReadTimeout(f"The server did not answer a PING within {seconds} seconds."))
        else:
            self._ask(now)

    def _ask(self, now: float) -> None:
        if not self._keepalive.is_asked:
            self._keepalive.asked(now)
            self.codec.ping()
            self.writer.push()
            self.reader.wake_all()  # it is due sooner than they wait for

    def _handle(self, event: Event) -> None:
        # `isinstance()` of another class costs 300 instructions.
        if type(event) is GoAway or type(event) is SettingsReceived or type(event) is WindowOpened:
            self._handle_connection(event)
            return
        stream = self._streams.get(event.stream_id)
        if stream is None:
            return  # nobody waits for it any more
        if isinstance(event, DataReceived):
            stream.buffer += event.data
        elif isinstance(event, HeadReceived):
            stream.head = (event.status, event.headers)
            self._last_answer = self._reads
            if stream.may_send:
                stream.is_tunnel = is_granted(event.status)
                if not stream.is_tunnel:
                    self.send_end(stream)
        elif isinstance(event, Ended):
            stream.has_ended = True
            stream.trailers = event.trailers
        elif isinstance(event, Reset):
            error = RemoteProtocolError(f"The server reset the stream: {name_code(event.code)}.")
            stream.made_progress = self._last_answer > stream.reads
            self._fail_stream(stream, error, event.code == ErrorCode.REFUSED_STREAM)
        else:
            self._fail_stream(stream, RemoteProtocolError(event.reason), False)
        stream.wake()

    def _handle_connection(self, event: GoAway | SettingsReceived | WindowOpened) -> None:
        if isinstance(event, GoAway):
            self._go_away(event)
        elif isinstance(event, SettingsReceived):
            self.settings = event
            self._has_changed = True
            self.reader.wake_all()  # their windows may have changed with it
        elif not event.stream_id:
            self.reader.wake_all()
        elif event.stream_id in self._streams:
            self._streams[event.stream_id].wake()

    def _go_away(self, event: GoAway) -> None:
        if event.last_stream_id and any(n > event.last_stream_id for n in self._streams):
            # Some take so many on a connection and no more, as nginx does 1000. It may also be a restart.
            count = (event.last_stream_id + 1) // 2
            before = self.request_limit
            is_certain = before is not None and before.requests == count
            self.request_limit = RequestLimit(count, is_certain)
        self._goaway = event
        self._retire()
        for stream in self._streams.values():
            if stream.stream_id > event.last_stream_id:
                error = RemoteProtocolError(
                    f"The server is closing the connection, and did not process the request: {name_code(event.code)}."
                )
                stream.made_progress = event.last_stream_id > 0
                self._fail_stream(stream, error, True)
        self.reader.wake_all()

    def _fail_stream(self, stream: Stream, error: Exception, is_unprocessed: bool) -> None:
        if is_unprocessed and stream.upload is not None and stream.upload.has_begun:
            error.add_note("The request's body was begun, and can't be sent again.")
            is_unprocessed = False
        stream.fail(error, is_unprocessed)

    # Ends

    def finish(self, stream: Stream | None) -> None:
        """End an exchange. What is not complete is given up."""
        with self.lock:
            if stream is not None:
                if stream.stream_id not in self._streams:
                    return  # an exception came in the middle of this, and it is tried again
                del self._streams[stream.stream_id]
                # What is spoken by an extended CONNECT has an end of its own. Browsers reset the stream after it, and
                # hypercorn 0.18 breaks the connection when the stream's end follows it.
                softly = stream.is_tunnel and protocol_of(stream.request) is None
                self.release(stream, softly)
            self._exchanges -= 1
            limit = self.request_limit
            if limit is not None and limit.is_certain:
                self._has_changed = True  # there is room for one less
                if not self._exchanges and self._request_count >= limit.requests:
                    # Unless it has said GOAWAY by now, the server takes more.
                    self.request_limit = RequestLimit(limit.requests, self._is_retired)
            self._close_if_done()
            if not self._exchanges and self._state is State.ACTIVE:
                self._state = State.IDLE
                if self._keepalive_expiry is not None:
                    self._expires_at = self.runtime.now() + self._keepalive_expiry
                self._stream.watch(self._on_arrival)
            is_usable = self._state is not State.CLOSED
        self._notify()
        if self.on_release is not None:
            self.on_release(is_usable, self._expires_at)

    def release(self, stream: Stream, softly: bool = False) -> None:
        """Neither send nor take in anything more for the stream; under the lock.

        What is not complete is reset, but for a tunnel that is closed `softly`: as with TCP, its last bytes may still
        be on their way, and a reset could cost them.
        """
        if stream.is_released:
            return
        stream.is_released = True
        stream.wake()
        if self._state is State.CLOSED:
            return
        if softly and stream.may_send and stream.error is None:
            self.send_end(stream)
            self.writer.push()
        if stream.error is not None or (stream.has_sent_all and (softly or stream.has_ended)):
            self.codec.forget(stream.stream_id)
        else:
            self.codec.reset(stream.stream_id)
            now = self.runtime.now()
            if stream.reads == self._reads and self._keepalive.casts_doubt(now):
                self._ask(now)
            self.writer.push()

    def send_end(self, stream: Stream) -> None:
        """Close our half of a stream that CONNECT has opened; under the lock."""
        stream.may_send = False
        self.codec.send_data(stream.stream_id, b"", True)

    def _close_if_done(self) -> None:
        if self._is_retired and not self._exchanges:
            self._fail(ReadError("The connection was closed."))

    def _retire(self) -> None:
        self._is_retired = True
        self._has_changed = True

    def _fail(self, error: Exception, is_ours: bool = False) -> None:
        """The connection is at its end, by our own doing or not."""
        if self._state is State.CLOSED:
            return
        self._state = State.CLOSED
        self._has_changed = True
        self._stream.abort()
        if self.writer.error is not None:
            error.__cause__ = self.writer.error
        for stream in self._streams.values():
            own = type(error)(*error.args)
            own.__cause__ = error
            if self._goaway is not None:
                code = name_code(self._goaway.code)
                own.add_note(f"Before, the server had said: {code} {self._goaway.debug_data!r}.")
            # As it goes when the server closes an idle connection while a request is on its way to it.
            is_unanswered = self._last_answer > 0 and stream.reads == self._reads
            may_repeat = (
                is_unanswered and not is_ours and stream.request.method in IDEMPOTENT_METHODS
            )
            self._fail_stream(stream, own, may_repeat)
        self.writer.close()
        self.reader.close()

    def _notify(self) -> None:
        """Tell whoever pools this connection of changes; outside of the lock."""
        if self._has_changed:
            self._has_changed = False
            if self.on_change is not None:
                self.on_change()

    # Life

    @property
    def capacity(self) -> int:
        """How many requests the connection takes at a time."""
        limit = self.request_limit
        if limit is None or not limit.is_certain:
            return self.codec.limit
        # So many requests are not done, at most.
        left = limit.requests - self._request_count + len(self._streams)
        return max(0, min(self.codec.limit, left))

    @property
    def is_retired(self) -> bool:
        """Whether the connection takes no new request, though some may be under way."""
        return self._is_retired

    @property
    def may_be_resent(self) -> bool:
        """Never: what may be sent again ends in `ConnectionNotAvailable`."""
        return False

    def is_stale(self) -> bool:
        """Whether the connection must not be used: the peer closed it."""
        if self._request_count:  # what is wrong with a new one, its first request tells
            self.poll()
        return self._state is State.CLOSED

    def abort(self) -> None:
        """Close the connection without awaiting."""
        if self._generation != generation():
            # Another thread of the parent's may have held it when the process forked.
            self.lock = self.reader.lock = self.writer.lock = RLock()
        with self.lock:
            self._fail(ReadError("The connection was closed."), is_ours=True)
        self._stream.abort()

    def end_if_interrupted(self, exc: BaseException) -> None:
        """Close the connection if `exc`, which ends an exchange, came from outside, as KeyboardInterrupt does.

        It may have come in the middle of a frame that was being read or written for all, or have cost all others who
        reads for them: they fail at once, instead of waiting for what never comes.
        """
        if not self.runtime.is_blocking or isinstance(exc, _EXPECTED):
            return
        if not (isinstance(exc, Exception) and _came_from_caller(exc)):
            self.abort()
            self._notify()

    def can_multiplex(self) -> bool:
        return True

    def is_available(self) -> bool:
        return self._state is not State.CLOSED and not self._is_retired

    def _is_lost(self) -> bool:
        return self.is_stale()


def _came_from_caller(exc: Exception) -> bool:
    """Whether the caller's body or its `trace` raised `exc`: where these are called, nothing is half done."""
    traceback = exc.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code in _CALLS_CALLER:
            return True
        traceback = traceback.tb_next
    return False
