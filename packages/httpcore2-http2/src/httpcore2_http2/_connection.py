"""One HTTP/2 connection: moves bytes between the codec and the stream, for many requests at a time.

Rules:

- There is no task in the background. One of the waiting requests reads for all; when it has what it needs, is
  cancelled or runs out of time, another takes the lead. Likewise one writes for all. Both roles are handed on
  under the lock, so that several threads may share the connection.
- Nothing is awaited under the lock, and whoever waits for something waits outside of it and looks again.
- A frame is never torn: bytes leave the queue only when the stream has taken them. A request that is cancelled, out of
  time or closed early resets its stream, alone; what can't be written at once leaves with the next write by anyone.
- An exchange ends exactly once, in `finish`, without awaiting.
- Whoever waits for room to write reads what there is from time to time: the peer may be doing the same.

Must not know: pools, how the stream was made, what frames look like (the codec does).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from enum import Enum
from threading import RLock
from typing import Any, NoReturn

from httpcore2_core._backends.caller import adapt_async_stream, public_stream
from httpcore2_core._bodies import ReceivedBody, check_colour, iterate
from httpcore2_core._exceptions import (
    ConnectionNotAvailable,
    LocalProtocolError,
    NetworkError,
    ReadError,
    ReadTimeout,
    RemoteProtocolError,
    TimeoutException,
    WriteError,
    WriteTimeout,
)
from httpcore2_core._fork import generation
from httpcore2_core._interfaces import AsyncClosingContext, AsyncConnectionInterface
from httpcore2_core._models import (
    IDEMPOTENT_METHODS,
    ByteStream,
    Origin,
    Request,
    Response,
    received_response,
)
from httpcore2_core._network import AsyncNetworkStream, BackendStream
from httpcore2_core._runtime import Waiter
from httpcore2_core._timeouts import Timeouts
from httpcore2_core._trace import Tracer

from ._codec import (
    REFUSED_STREAM,
    Codec,
    DataReceived,
    Ended,
    Event,
    GoAway,
    HeadReceived,
    Reset,
    SettingsReceived,
    WindowOpened,
    name_code,
)
from ._stream import Stream, Upload

_SLICE = 64 * 1024
# Seconds after which one who waits to write has a look at what came, and one who reads at what could be written.
_PATIENCE = 0.05
# Parts of a body that leave without waiting, before others get their turn.
_EAGER_PARTS = 16

_SCHEMES = {b"ws": b"http", b"wss": b"https"}


class _State(Enum):
    ACTIVE = "ACTIVE"
    IDLE = "IDLE"
    CLOSED = "CLOSED"


class AsyncHTTP2Connection(AsyncClosingContext, AsyncConnectionInterface):
    """An HTTP/2 connection over a stream that is already established (RFC 9113).

    Attributes:
        STREAM_WINDOW: how many bytes of a response wait for their reader before the server has to.
        CONNECTION_WINDOW: how many bytes may be on their way at a time.
    """

    READ_NUM_BYTES = 64 * 1024
    STREAM_WINDOW = 1024 * 1024
    CONNECTION_WINDOW = 16 * 1024 * 1024

    def __init__(
        self,
        origin: Origin,
        stream: AsyncNetworkStream,
        keepalive_expiry: float | None = None,
    ) -> None:
        """Take over a stream.

        Args:
            origin: whom the stream leads to.
            stream: an established connection.
            keepalive_expiry: seconds after which the idle connection counts as expired; `None` for never.
        """
        self._origin = origin
        self._stream: BackendStream = adapt_async_stream(stream)
        self._runtime = self._stream.runtime
        self._keepalive_expiry = keepalive_expiry
        self._codec = Codec(self.STREAM_WINDOW, self.CONNECTION_WINDOW)
        self._state = _State.IDLE
        # Re-entrant, since the collector may close this connection while one of its own callbacks holds it.
        self._lock = RLock()
        self._generation = generation()
        self._request_count = 0
        self._exchanges = 0  # under way
        self._expires_at: float | None = None
        self._streams: dict[int, Stream] = {}
        self._is_retired = False  # takes no new request
        self._farewell: GoAway | None = None
        self._has_changed = False  # something that `on_change` is to tell
        # Reading
        self._is_reading = False  # somebody has the lead
        self._readers: dict[Stream, Waiter] = {}  # those who wait for what it reads
        self._reads = 0
        self._has_answered = False  # there was a response
        # Writing
        self._is_writing = False  # somebody waits for the stream to take more
        self._writers: dict[Waiter, None] = {}
        self._unsent = b""
        self._queued = 0  # how many bytes there were to be sent, ever
        self._sent = 0  # how many of them were
        self._write_error: WriteError | None = None
        # Set by whoever pools this connection: told of the end of each exchange, and of changes of `capacity`,
        # `is_retired` and `is_closed()`.
        self.on_release: Callable[[bool], None] | None = None
        self.on_change: Callable[[], None] | None = None

    # Requests

    async def handle_async_request(self, request: Request) -> Response:
        """Send `request` and return its response, the body still to be read.

        Raises:
            RuntimeError: the request is for another origin.
            ConnectionNotAvailable: there is no room for another request, or the server did not process this one.
        """
        if not self.can_handle_request(request.url.origin):
            raise RuntimeError(
                f"Attempted to send request to {request.url.origin} on connection to {self._origin}"
            )
        check_colour(request.stream, self._runtime.is_blocking)
        return await self.exchange(request, Timeouts.of(request.extensions, self._runtime))

    async def exchange(self, request: Request, timeouts: Timeouts) -> Response:
        """Send `request`, whose body has the right colour, and return its response, the body still to be read.

        Raises:
            ConnectionNotAvailable: the request was not sent, or not processed, and may be sent elsewhere.
        """
        tracer = Tracer.of("http2", request, self._runtime.is_blocking)
        stream: Stream | None = None
        self._enter()
        try:
            if tracer is None:
                stream = self._open(request)
                await self._flush(timeouts.for_write())
                if stream.upload is not None:
                    await self._send_body(stream, timeouts)
                head = stream.head or await self._receive_head(stream, timeouts)
            else:
                if not self._request_count:
                    flushing = self._flush(timeouts.for_write())
                    await tracer.span("send_connection_init", {"request": request}, flushing)
                stream = self._open(request)
                info = {"request": request, "stream_id": stream.stream_id}
                flushing = self._flush(timeouts.for_write())
                await tracer.span("send_request_headers", info, flushing)
                sending = self._send_body(stream, timeouts)
                await tracer.span("send_request_body", info, sending)
                receiving = self._receive_head(stream, timeouts)
                head = await tracer.span("receive_response_headers", info, receiving)
        except BaseException as exc:
            self.finish(stream)
            if tracer is not None and stream is not None:
                info = {"stream_id": stream.stream_id}
                await tracer.span("response_closed", info, self.settle())
            elif self.needs_settling:
                await self.settle()
            if stream is not None and stream.is_unprocessed and exc is stream.error:
                raise ConnectionNotAvailable(str(exc)) from exc
            raise
        extensions = {
            "http_version": b"HTTP/2",
            "network_stream": public_stream(self._stream),
            "stream_id": stream.stream_id,
        }
        status, headers = head
        body = _Body(self, stream, timeouts, tracer, extensions)
        return received_response(status, headers, body, extensions)

    def _enter(self) -> None:
        self._stream.watch(None)
        with self._lock:
            self._exchanges += 1
            self._expires_at = None
            if self._state is _State.IDLE:
                self._state = _State.ACTIVE

    def _open(self, request: Request) -> Stream:
        """Open a stream and queue the request's head, and what of its body is there and may be sent."""
        body = request.stream
        content = body.content if type(body) is ByteStream else None
        with self._lock:
            if not self._has_room():
                raise ConnectionNotAvailable("The connection takes no further request now.")
            authority, length, headers = self._codec.prepare(request.headers)
            if authority is None:
                raise LocalProtocolError("Missing mandatory Host: header")
            if content is not None and length is not None and length != len(content):
                how_much = "much" if len(content) > length else "little"
                raise LocalProtocolError(f"Too {how_much} data for declared Content-Length")
            if request.method == b"CONNECT":
                raise LocalProtocolError("CONNECT is not supported over HTTP/2.")
            scheme = request.url.scheme
            pseudo = [
                (b":method", request.method),
                (b":authority", authority),
                (b":scheme", _SCHEMES.get(scheme, scheme)),
                (b":path", request.url.target),
            ]
            stream_id = self._codec.open_stream(pseudo, headers, end_stream=content == b"")
            if stream_id is None:
                self._retire()
                raise ConnectionNotAvailable("The connection has no stream identifiers left.")
            iterator = None
            if content is None:
                iterator = aiter(iterate(body, self._runtime.is_blocking))
            upload = Upload(content or b"", iterator, length)
            reads = self._reads if self._has_answered else -1
            stream = Stream(stream_id, request, upload, reads)
            self._streams[stream_id] = stream
            self._request_count += 1
            if upload.is_done:
                stream.upload = None
            elif iterator is None:
                self._send_part(stream, upload)
            return stream

    def _has_room(self) -> bool:
        return (
            self._state is not _State.CLOSED
            and not self._is_retired
            and len(self._streams) < self._codec.limit
        )

    # The request's body

    async def _send_body(self, stream: Stream, timeouts: Timeouts) -> None:
        """Send the body, until the response's head has come: what is left then is sent as the response is read."""
        while stream.upload is not None and stream.head is None and not stream.is_over:
            await self._send_some(stream, stream.upload, timeouts, _has_head_or_window)

    async def _send_some(
        self,
        stream: Stream,
        upload: Upload,
        timeouts: Timeouts,
        is_ready: Callable[[Stream, Codec], bool],
    ) -> None:
        """Send the next part of the body, or wait until that is possible or `is_ready`."""
        if not upload.chunk and upload.iterator is not None:
            await upload.next_chunk()
        with self._lock:
            if stream.is_over:
                return
            was_sent = self._send_part(stream, upload)
        if was_sent:
            await self._flush(timeouts.for_write())
            upload.parts += 1
            if not upload.parts % _EAGER_PARTS:
                await self._runtime.sleep(0)
            self._look()
        else:
            await self._wait(stream, is_ready, timeouts.for_write(), WriteTimeout)

    def _send_part(self, stream: Stream, upload: Upload) -> bool:
        """Queue as much of the piece at hand as the windows allow; whether there was anything to queue."""
        if upload.is_done:
            self._codec.send_data(stream.stream_id, b"", True)
            stream.upload = None
            return True
        if not upload.chunk:
            return True  # an empty piece
        room = min(self._codec.window(stream.stream_id), _SLICE)
        if room <= 0:
            return False
        part = upload.take(room)
        self._codec.send_data(stream.stream_id, part, upload.is_done)
        if upload.is_done:
            stream.upload = None
        return True

    # The response

    async def _receive_head(
        self, stream: Stream, timeouts: Timeouts
    ) -> tuple[int, list[tuple[bytes, bytes]]]:
        await self._wait(stream, _has_head, timeouts.for_read(), ReadTimeout)
        if stream.head is None:
            self._raise_error(stream)
        return stream.head

    async def receive_piece(self, stream: Stream, timeouts: Timeouts) -> bytes:
        """Return what has come of the response's body, at least a byte; `b""` at its end."""
        while True:
            with self._lock:
                if stream.buffer:
                    piece = bytes(stream.buffer)
                    stream.buffer.clear()
                    self._codec.consumed(stream.stream_id, len(piece))
                    self._push()
                    return piece
                if stream.has_ended:
                    return b""
            if stream.error is not None:
                self._raise_error(stream)
            if stream.upload is not None:
                await self._send_some(stream, stream.upload, timeouts, _has_data_or_window)
            else:
                await self._wait(stream, _has_data, timeouts.for_read(), ReadTimeout)

    def _raise_error(self, stream: Stream) -> NoReturn:
        assert stream.error is not None, "there is one if nothing else came"
        raise stream.error

    # Reading

    async def _wait(
        self,
        stream: Stream,
        is_ready: Callable[[Stream, Codec], bool],
        limit: float | None,
        timeout_error: type[TimeoutException],
    ) -> None:
        """Wait until `is_ready` says so: read for all, or let another do so."""
        runtime = self._runtime
        deadline = None if limit is None else runtime.now() + limit
        left = limit
        while True:
            waiter: Waiter | None = None
            with self._lock:
                if is_ready(stream, self._codec):
                    return
                self._push()
                must_flush = bool(self._unsent) and not self._is_writing
                if self._is_reading:
                    waiter = self._readers[stream] = runtime.create_waiter()
                elif not must_flush:
                    self._is_reading = True
                if self._unsent and (left is None or left > _PATIENCE):
                    pause: float | None = _PATIENCE
                else:
                    pause = left
            if waiter is not None:
                await self._follow(stream, waiter, left)
            elif must_flush:
                await self._flush(left, timeout_error)
            else:
                await self._lead(stream, is_ready, pause)
            if deadline is not None:
                left = deadline - runtime.now()
                if left <= 0 and not is_ready(stream, self._codec):
                    raise timeout_error(f"The server let {limit} seconds pass.")

    async def _follow(self, stream: Stream, waiter: Waiter, timeout: float | None) -> None:
        """Wait until something came for `stream`, or the lead is free."""
        try:
            await waiter.wait(timeout)
        finally:
            with self._lock:
                del self._readers[stream]
                self._hand_on_lead()

    async def _lead(
        self, stream: Stream, is_ready: Callable[[Stream, Codec], bool], timeout: float | None
    ) -> None:
        """Read once, for all."""
        data: bytes | None = None
        error: Exception | None = None
        try:
            data = await self._stream.read(self.READ_NUM_BYTES, timeout)
        except ReadTimeout:
            pass  # whoever leads sees whether it was the last moment
        except NetworkError as exc:
            error = exc
        finally:
            with self._lock:
                self._is_reading = False
                if error is not None:
                    self._fail(error)
                elif data is not None:
                    self._receive(data)
                self._hand_on_lead()
            self._tell()

    def _hand_on_lead(self) -> None:
        """Let one who waits see that the lead is free."""
        if not self._is_reading:
            for waiter in self._readers.values():
                waiter.wake()
                return

    def _look(self) -> None:
        """Take in what is there already, if nobody reads."""
        with self._lock:
            # Of a caller's own stream nothing can be read without awaiting.
            while (
                not self._is_reading
                and self._stream.is_resumable
                and self._state is not _State.CLOSED
            ):
                data = self._stream.read_nowait(self.READ_NUM_BYTES)
                if data is None:
                    break
                self._receive(data)
            self._close_if_done()
        self._tell()

    def _receive(self, data: bytes) -> None:
        """Take in what was read."""
        if self._state is _State.CLOSED:
            return
        if not data:
            self._fail(RemoteProtocolError("Server disconnected"))
            return
        self._reads += 1
        try:
            for event in self._codec.receive(data):
                self._handle(event)
        except RemoteProtocolError as exc:
            self._push()
            self._fail(exc)
        else:
            self._push()

    def _handle(self, event: Event) -> None:
        if isinstance(event, GoAway):
            self._go_away(event)
            return
        if isinstance(event, SettingsReceived):
            self._has_changed = True
            self._wake_all()  # their windows may have changed with it
            return
        if isinstance(event, WindowOpened):
            for reader, waiter in self._readers.items():
                if event.stream_id in (0, reader.stream_id):
                    waiter.wake()
            return
        stream = self._streams[event.stream_id]
        if isinstance(event, DataReceived):
            stream.buffer += event.data
        elif isinstance(event, HeadReceived):
            stream.head = (event.status, event.headers)
            self._has_answered = True
        elif isinstance(event, Ended):
            stream.has_ended = True
            stream.trailers = event.trailers
        elif isinstance(event, Reset):
            error = RemoteProtocolError(f"The server reset the stream: {name_code(event.code)}.")
            self._fail_stream(stream, error, event.code == REFUSED_STREAM)
        else:
            self._fail_stream(stream, RemoteProtocolError(event.reason), False)
        if stream in self._readers:
            self._readers[stream].wake()

    def _go_away(self, event: GoAway) -> None:
        self._farewell = event
        self._retire()
        for stream in self._streams.values():
            if stream.stream_id > event.last_stream_id:
                error = RemoteProtocolError(
                    f"The server is closing the connection, and did not process the request: {name_code(event.code)}."
                )
                self._fail_stream(stream, error, True)
        self._wake_all()

    def _fail_stream(self, stream: Stream, error: Exception, is_unprocessed: bool) -> None:
        if is_unprocessed and stream.upload is not None and stream.upload.has_begun:
            error.add_note("The request's body was begun, and can't be sent again.")
            is_unprocessed = False
        stream.fail(error, is_unprocessed)

    def _wake_all(self) -> None:
        for waiter in self._readers.values():
            waiter.wake()

    # Writing

    def _push(self) -> None:
        """Write what can be written without waiting."""
        data = self._codec.take()
        if self._state is _State.CLOSED or self._write_error is not None:
            return
        if data:
            self._queued += len(data)
            self._unsent = self._unsent + data if self._unsent else data
        while self._unsent and not self._is_writing:
            try:
                taken = self._stream.write_nowait(self._unsent)
            except WriteError as exc:
                self._stop_writing(exc)
                return
            if not taken:
                return
            self._took(taken)

    def _took(self, count: int) -> None:
        self._unsent = self._unsent[count:]
        self._sent += count

    def _stop_writing(self, error: WriteError) -> None:
        """What was received may still hold answers; the end of the stream tells those who wait in vain."""
        self._write_error = error
        self._took(len(self._unsent))
        self._retire()

    async def _flush(
        self, limit: float | None, timeout_error: type[TimeoutException] = WriteTimeout
    ) -> None:
        """Wait until all that was queued so far is written."""
        with self._lock:
            self._push()
            mark = self._queued
            if self._sent >= mark:
                return
        runtime = self._runtime
        deadline = None if limit is None else runtime.now() + limit
        left = limit
        while True:
            waiter: Waiter | None = None
            with self._lock:
                self._push()
                # What nobody waits for is left to whoever writes: there may be no other before long.
                if self._sent >= mark and (self._writers or not self._unsent):
                    return
                if self._is_writing:
                    waiter = runtime.create_waiter()
                    self._writers[waiter] = None
                else:
                    self._is_writing = True
            if waiter is not None:
                try:
                    await waiter.wait(left)
                finally:
                    with self._lock:
                        del self._writers[waiter]
                        self._hand_on_writing()
            else:
                await self._write(left)
            if deadline is not None:
                left = deadline - runtime.now()
                if left <= 0 and self._sent < mark:
                    raise timeout_error(f"The server took in too little for {limit} seconds.")

    async def _write(self, timeout: float | None) -> None:
        """Write once, for all."""
        stream = self._stream
        if stream.is_resumable and (timeout is None or timeout > _PATIENCE):
            timeout = _PATIENCE
        taken = 0
        error: WriteError | None = None
        try:
            taken = await stream.write_some(self._unsent[:_SLICE], timeout)
        except WriteError as exc:
            error = exc
        finally:
            with self._lock:
                self._is_writing = False
                self._took(taken)
                if error is not None:
                    self._stop_writing(error)
                self._hand_on_writing()
            if not taken:
                self._look()

    def _hand_on_writing(self) -> None:
        if not self._is_writing:
            for waiter in self._writers:
                waiter.wake()

    # Ends

    def finish(self, stream: Stream | None) -> None:
        """End an exchange. What is not complete is given up."""
        with self._lock:
            if stream is not None:
                del self._streams[stream.stream_id]
                if self._state is _State.CLOSED:
                    pass
                elif stream.error is not None or (stream.has_ended and stream.upload is None):
                    self._codec.forget(stream.stream_id)
                else:
                    self._codec.reset(stream.stream_id)
                    self._push()
            self._exchanges -= 1
            self._close_if_done()
            if not self._exchanges and self._state is _State.ACTIVE:
                self._state = _State.IDLE
                if self._keepalive_expiry is not None:
                    self._expires_at = self._runtime.now() + self._keepalive_expiry
                self._stream.watch(self._on_arrival)
            is_usable = self._state is not _State.CLOSED
        self._tell()
        if self.on_release is not None:
            self.on_release(is_usable)

    def _close_if_done(self) -> None:
        if self._is_retired and not self._exchanges:
            self._fail(ReadError("The connection was closed."))

    def _on_arrival(self) -> None:
        """Something came while no request was under way."""
        self._look()
        if self._state is _State.IDLE:
            self._stream.watch(self._on_arrival)

    def _retire(self) -> None:
        self._is_retired = True
        self._has_changed = True

    def _fail(self, error: Exception, is_ours: bool = False) -> None:
        """The connection is at its end, by our own doing or not."""
        if self._state is _State.CLOSED:
            return
        self._state = _State.CLOSED
        self._has_changed = True
        self._stream.abort()
        if self._write_error is not None:
            error.__cause__ = self._write_error
        for stream in self._streams.values():
            own = type(error)(*error.args)
            own.__cause__ = error
            if self._farewell is not None:
                code = name_code(self._farewell.code)
                own.add_note(f"Before, the server had said: {code} {self._farewell.debug_data!r}.")
            # As it goes when the server closes an idle connection while a request is on its way to it.
            is_unanswered = stream.reads == self._reads and not is_ours
            may_repeat = is_unanswered and stream.request.method in IDEMPOTENT_METHODS
            self._fail_stream(stream, own, may_repeat)
        self._unsent = b""
        self._sent = self._queued
        self._wake_all()
        self._hand_on_writing()

    def _tell(self) -> None:
        """Tell whoever pools this connection of changes; outside of the lock."""
        if self._has_changed:
            self._has_changed = False
            if self.on_change is not None:
                self.on_change()

    # Life

    @property
    def capacity(self) -> int:
        """How many requests the connection takes at a time."""
        return self._codec.limit

    @property
    def is_retired(self) -> bool:
        """Whether the connection takes no new request, though some may be under way."""
        return self._is_retired

    @property
    def expires_at(self) -> float | None:
        """When the idle connection expires, on the runtime's clock."""
        return self._expires_at

    @property
    def may_be_resent(self) -> bool:
        """Never: what may be sent again ends in `ConnectionNotAvailable`."""
        return False

    def is_stale(self) -> bool:
        """Whether the connection must not be used: the peer closed it."""
        if self._request_count:  # what is wrong with a new one, its first request tells
            self._look()
        return self._state is _State.CLOSED

    def abort(self) -> None:
        """Close the connection without awaiting."""
        if self._generation != generation():
            # Another thread of the parent's may have held it when the process forked.
            self._lock = RLock()
        with self._lock:
            self._fail(ReadError("The connection was closed."), is_ours=True)
        self._stream.abort()

    @property
    def needs_settling(self) -> bool:
        """Whether `abort()` has left something to await."""
        return self._stream.needs_settling

    async def settle(self) -> None:
        """After `abort()`, await what could not be done at once."""
        if self._stream.needs_settling:
            await self._stream.settle()

    async def aclose(self) -> None:
        self.abort()
        await self.settle()

    def can_handle_request(self, origin: Origin) -> bool:
        return origin == self._origin

    def can_multiplex(self) -> bool:
        return True

    def is_available(self) -> bool:
        return self._state is not _State.CLOSED and not self._is_retired

    def has_expired(self) -> bool:
        if self._state is not _State.IDLE:
            return False
        if self._expires_at is not None and self._runtime.now() >= self._expires_at:
            return True
        return self.is_stale()

    def is_idle(self) -> bool:
        return self._state is _State.IDLE

    def is_closed(self) -> bool:
        return self._state is _State.CLOSED

    def is_connected(self) -> bool:
        return self._state is not _State.CLOSED

    def info(self) -> str:
        return (
            f"{str(self._origin)!r}, HTTP/2, {self._state.value}, "
            f"Request Count: {self._request_count}"
        )

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} [{str(self._origin)!r}, {self._state.value}, "
            f"Request Count: {self._request_count}]>"
        )


# What requests wait for.


def _has_head(stream: Stream, codec: Codec) -> bool:
    return stream.head is not None or stream.is_over


def _has_data(stream: Stream, codec: Codec) -> bool:
    return bool(stream.buffer) or stream.is_over


def _has_head_or_window(stream: Stream, codec: Codec) -> bool:
    return _has_head(stream, codec) or codec.window(stream.stream_id) > 0


def _has_data_or_window(stream: Stream, codec: Codec) -> bool:
    return _has_data(stream, codec) or codec.window(stream.stream_id) > 0


class _Body(ReceivedBody):
    """The body of a response. Its end is the end of the exchange."""

    __slots__ = (
        "_connection",
        "_extensions",
        "_has_begun",
        "_is_closed",
        "_is_complete",
        "_stream",
        "_timeouts",
        "_tracer",
    )

    def __init__(
        self,
        connection: AsyncHTTP2Connection,
        stream: Stream,
        timeouts: Timeouts,
        tracer: Tracer | None,
        extensions: dict[str, Any],
    ) -> None:
        self._connection = connection
        self._stream = stream
        self._timeouts = timeouts
        self._tracer = tracer
        self._extensions = extensions
        self._has_begun = False
        self._is_complete = False  # read to its end
        self._is_closed = False  # the exchange has ended

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        piece = await self.next_piece()
        if not piece:
            raise StopAsyncIteration
        return piece

    async def read_all(self) -> bytes:
        pieces = [await self.next_piece()]
        while not self._is_complete:
            pieces.append(await self.next_piece())
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def next_piece(self) -> bytes:
        if self._is_complete:
            return b""
        if self._is_closed:
            raise ReadError("The response was closed before its body was read to its end.")
        try:
            if self._tracer is not None and not self._has_begun:
                self._has_begun = True
                await self._tracer.event(
                    "receive_response_body.started",
                    {"request": self._stream.request, "stream_id": self._stream.stream_id},
                )
            piece = await self._connection.receive_piece(self._stream, self._timeouts)
        except BaseException as exc:
            await self._end("failed", {"exception": exc})
            raise
        if self._stream.has_ended and not self._stream.buffer:
            self._is_complete = True
            if self._stream.trailers:
                self._extensions["trailing_headers"] = self._stream.trailers
            await self._end("complete", {"return_value": None})
        return piece

    async def aclose(self) -> None:
        if not self._is_closed:
            await self._end(None, {})

    async def _end(self, fate: str | None, info: dict[str, Any]) -> None:
        """End the exchange, and tell whoever listens what became of the body."""
        self._is_closed = True
        connection = self._connection
        if self._tracer is None:
            connection.finish(self._stream)
        else:
            try:
                if fate is not None:
                    await self._tracer.event(f"receive_response_body.{fate}", info)
                stream_id = self._stream.stream_id
                await self._tracer.event("response_closed.started", {"stream_id": stream_id})
            finally:
                connection.finish(self._stream)
            await self._tracer.event("response_closed.complete", {"return_value": None})
        if connection.needs_settling:
            await connection.settle()
