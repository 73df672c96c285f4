"""The state of one HTTP/2 connection that its exchanges and tunnels share (RFC 9113). Layer: session.

It has the lock, the codec, the reading and the writing end, and the streams; it decides what received frames mean for
the requests, and how the connection ends.

Rules:

- There is no task in the background: one of the waiting requests reads on behalf of all (`Reader`), one writes on
  behalf of all (`Writer`), under one lock, so that threads may share the connection. Nothing is awaited under it.
- A request that is cancelled, out of time or closed early resets its stream alone.

Must not know: pools, how requests and responses are passed to callers, the format of frames (the codec does).
"""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock
from typing import NamedTuple

from httpcore2_core._exceptions import NetworkError, ReadError, ReadTimeout, RemoteProtocolError
from httpcore2_core._http.close_reason import CloseReason
from httpcore2_core._http.established import RequestLimit
from httpcore2_core._http.expectation import CONTINUE
from httpcore2_core._http.fields import Headers
from httpcore2_core._http.interruptions import came_from_outside
from httpcore2_core._http.observation import Report
from httpcore2_core._http.states import ABORT, FAIL, RETIRE, ConnectionChange
from httpcore2_core._http.stream_fields import is_granted, protocol_of
from httpcore2_core._http.stream_upload import StreamUpload
from httpcore2_core._models import IDEMPOTENT_METHODS, Origin, Request
from httpcore2_core._net.backend_stream import BackendStream
from httpcore2_core._net.forks import generation
from httpcore2_core._net.runtime import Runtime

from ._codec import CodecListener, HTTP2Codec, SettingsReceived
from ._errors import ErrorCode, name_code
from ._keepalive import KeepAlive
from ._reader import Reader
from ._states import ENDED
from ._stream import Stream
from ._writer import MAX_REPLIES, Writer

# Events that wait for the observers: a server may send any number of GOAWAY frames at once.
_MAX_REPORTS = 10


class SessionSettings(NamedTuple):
    """How a session reads, and when it sends PING.

    Attributes:
        read_size: bytes to read at a time.
        ping_interval: seconds of silence before a PING while requests wait; `None` for never.
        ping_before_reuse: seconds of silence before a PING when the idle connection is used again; `None` for never.
        ping_timeout: seconds that the server has for the reply.
    """

    read_size: int
    ping_interval: float | None
    ping_before_reuse: float | None
    ping_timeout: float


class Session:
    """The state of one HTTP/2 connection.

    Attributes:
        lock: held for every decision. Re-entrant, since the garbage collector may close the connection while one of its
            own callbacks holds the lock.
        streams: those of the exchanges under way, by their identifiers.
        exchanges: how many exchanges are under way, those without a stream included.
        request_count: how many requests were ever sent.
        request_limit: what is known of how many requests the server processes on one connection.
        reads: how often something was received.
        last_head_read: which of the reads brought a response's head last.
        is_retired: no new request is accepted.
        is_closed: the connection has ended.
        close_reason: why it has; `None` if this side has closed it.
        reports: events for observers, which the connection takes when the lock is free.
        new_settings: settings of the server that were not reported to a `trace` callback yet.
        has_changed: `notify()` must be called.
    """

    def __init__(
        self,
        stream: BackendStream,
        origin: Origin,
        create_codec: Callable[[CodecListener], HTTP2Codec],
        settings: SessionSettings,
        change_state: Callable[[ConnectionChange], None],
        on_change: Callable[[], None],
    ) -> None:
        """Start a session over `stream`, without sending anything.

        Args:
            stream: an established connection.
            origin: the server, for messages.
            create_codec: makes the codec that notifies this session of received frames.
            settings: how to read, and when to send PING.
            change_state: changes the connection's state; called under the lock when no further request is accepted, and
                when the connection ends.
            on_change: called without the lock when `capacity`, `is_retired` or `is_closed` may have changed.
        """
        runtime = stream.runtime
        self.stream = stream
        self.runtime: Runtime = runtime
        self.lock: RLock = RLock()
        self.codec: HTTP2Codec = create_codec(self)
        self.keepalive = KeepAlive(
            settings.ping_interval,
            settings.ping_before_reuse,
            settings.ping_timeout,
            runtime.now(),
        )
        self.writer: Writer = Writer(stream, self.lock, self.codec.outgoing, self.poll, self.retire)
        self.reader: Reader = Reader(
            stream,
            self.lock,
            self.writer,
            settings.read_size,
            self.keepalive,
            self._on_read,
            self._on_silence,
            self.notify,
        )
        self.streams: dict[int, Stream] = {}
        self.exchanges = 0
        self.request_count = 0
        self.request_limit: RequestLimit | None = None
        self.reads = 0
        self.last_head_read = 0
        self.is_retired = False
        self.is_closed = False
        self.close_reason: CloseReason | None = None
        self.reports: list[Report] = []
        self.new_settings: SettingsReceived | None = None
        self.has_changed = False
        self._origin = origin
        self._change_state = change_state
        self._on_change = on_change
        self._goaway: tuple[int, bytes] | None = None  # its code and debug data
        self._pinged_at = 0.0
        self._generation = generation()
        self._watcher = self._on_arrival  # bound once

    # Exchanges

    def begin_exchange(self) -> None:
        """Count one more exchange; under the lock."""
        if not self.exchanges:
            self.stream.watch(None)
            now = self.runtime.now()
            if self.keepalive.begin(now) and self.request_count:
                self._send_ping(now)
        self.exchanges += 1

    def open_stream(
        self,
        request: Request,
        upload: StreamUpload | None,
        pseudo: Headers,
        headers: Headers,
    ) -> Stream | None:
        """Queue the head of `request` on a new stream; `None` if there are no identifiers left; under the lock."""
        stream = Stream(request, upload, self.reads)
        if not self.codec.open_stream(
            stream, pseudo, headers, upload is None and not stream.is_connect
        ):
            return None
        self.streams[stream.stream_id] = stream
        if self.request_count:
            self.writer.traffic.reused += 1
        self.request_count += 1
        return stream

    def end_exchange(self, stream: Stream | None) -> None:
        """Count one exchange less, and give up its stream unless it is complete; under the lock."""
        if stream is not None:
            del self.streams[stream.stream_id]
            if stream.state is ENDED and not stream.turns:
                stream.is_released = True
            else:
                # Closing a WebSocket is a message of its own, and browsers reset the stream after it. hypercorn 0.18
                # breaks the connection if END_STREAM follows it.
                gently = stream.is_tunnel and protocol_of(stream.request) is None
                self.release(stream, gently)
        self.exchanges -= 1
        limit = self.request_limit
        if limit is not None and limit.is_certain:
            self.has_changed = True  # there is room for one request less
            if not self.exchanges and self.request_count >= limit.requests:
                # Unless the server has sent GOAWAY by now, it processes more.
                self.request_limit = RequestLimit(limit.requests, self.is_retired)
        if self.is_retired:
            self._close_if_done()

    def release(self, stream: Stream, gently: bool = False) -> None:
        """Send and receive nothing more on the stream; under the lock.

        A stream that is not complete is reset, except for a tunnel that is closed `gently`: as with TCP, its last bytes
        may still be on their way, and a reset could lose them.
        """
        if stream.is_released:
            return
        stream.is_released = True
        stream.wake()
        if self.is_closed:
            return
        if gently and stream.may_send and stream.error is None:
            self.codec.send_data(stream, b"", True)
            self.writer.push()
        if stream.error is not None or (stream.has_sent_all and (gently or stream.has_ended)):
            self.codec.release(stream)
        else:
            # The server has no use for the rest of the body after its whole response (RFC 9113, section 8.1).
            is_complete = stream.has_ended and not stream.is_tunnel
            self.codec.reset(stream, ErrorCode.NO_ERROR if is_complete else ErrorCode.CANCEL)
            now = self.runtime.now()
            if stream.reads == self.reads and self.keepalive.must_ping_after_abandoned_request(now):
                self._send_ping(now)
            self.writer.push()

    @property
    def capacity(self) -> int:
        """How many requests the server processes at a time."""
        limit = self.request_limit
        if limit is None or not limit.is_certain:
            return self.codec.limit
        # At most so many requests are not complete.
        left = limit.requests - self.request_count + len(self.streams)
        return max(0, min(self.codec.limit, left))

    # Receiving

    def poll(self) -> bool:
        """Receive data that has arrived, if nobody reads; return whether there may be more."""
        with self.lock:
            has_more = self._poll_reader()
            if self.exchanges and self.keepalive.due is not None:
                self._on_silence()
            if self.is_retired:
                self._close_if_done()
        if self.has_changed:
            self.notify()
        return has_more

    def watch(self) -> None:
        """Receive data that arrives while no request is under way, if the stream supports it."""
        self.stream.watch(self._watcher)

    def _on_arrival(self) -> None:
        self.poll()
        if not self.exchanges and not self.is_closed:
            self.watch()

    def _poll_reader(self) -> bool:
        """Receive data that has arrived; return whether there may be more; under the lock."""
        try:
            return self.reader.poll()
        except NetworkError as exc:
            self.keepalive.data_received(self.runtime.now())
            if self.exchanges:
                # They find the error when they read. Only then is it certain what came before it: after a failed write
                # asyncio delivers the reason in the next iteration of the loop.
                self.retire()
            else:
                self.fail(exc)
            return False

    def _on_read(self, received: bytes | Exception) -> None:
        """Process received data, `b""` at the end, or the error that ended the stream; under the lock."""
        if isinstance(received, Exception):
            self.fail(received)
            return
        if not received:
            self.fail(RemoteProtocolError("Server disconnected"))
            return
        self.reads += 1
        self.writer.traffic.bytes_received += len(received)
        keepalive = self.keepalive
        if keepalive.is_ping_pending:
            self._report_ping_answered()
            self.reader.wake_all()
        keepalive.data_received(self.runtime.now())
        try:
            self.codec.receive(received)
        except RemoteProtocolError as exc:
            self.writer.push()
            self.fail(exc)
        except Exception as exc:  # noqa: BLE001 - re-raised, for all requests
            # A bug, in this package or in h2. Raised here, it would fail the reader alone, and let all others wait.
            error = RemoteProtocolError(
                f"Internal error in processing data from {self._origin}: {exc!r}. Please report it."
            )
            error.__cause__ = exc
            self.fail(error)
        else:
            if (self.codec.outgoing or self.writer.unsent) and not self.writer.push_replies():
                self.fail(
                    RemoteProtocolError(
                        f"The server does not read: {MAX_REPLIES // 1024} KiB of PING and SETTINGS replies are queued."
                    )
                )

    def _report_ping_answered(self) -> None:
        now = self.runtime.now()
        waited = now - self._pinged_at
        self.reports.append(lambda observation: observation.ping_answered(waited, now))
        self.has_changed = True

    def _on_silence(self) -> None:
        """Send a PING, or give the connection up, if that is due; under the lock."""
        keepalive = self.keepalive
        now = self.runtime.now()
        due = keepalive.due
        if due is None or now < due:
            return
        self._poll_reader()  # data may have arrived while this thread or task had no turn
        if keepalive.due != due or self.is_closed:
            return
        if keepalive.is_ping_pending:
            if self.reader.is_reading and keepalive.take_grace(now):
                return  # the reader may have had no turn, either
            self.fail(
                ReadTimeout(f"The server did not answer a PING within {keepalive.timeout} seconds.")
            )
        else:
            self._send_ping(now)

    def _send_ping(self, now: float) -> None:
        if not self.keepalive.is_ping_pending:
            self.keepalive.ping_sent(now)
            self._pinged_at = now
            self.reports.append(lambda observation: observation.ping_sent(now))
            self.has_changed = True
            self.codec.ping()
            self.writer.push()
            self.reader.wake_all()  # the reply is due before the end of their waits

    # Notifications by the codec (`CodecListener`)

    def on_interim(self, stream: Stream, status: int, headers: Headers) -> None:
        if status == CONTINUE:
            stream.was_continued = True
        if stream.informer is not None:
            stream.informer.pending.append((status, headers))
        stream.wake()

    def on_head(self, stream: Stream) -> None:
        self.last_head_read = self.reads
        assert stream.head is not None, "the codec has set it"
        if stream.is_connect:
            stream.is_tunnel = is_granted(stream.head[0])
            if not stream.is_tunnel:
                self.codec.send_data(stream, b"", True)
        if stream.turns:
            stream.wake()

    def on_data(self, stream: Stream) -> None:
        if stream.turns:
            stream.wake()

    def on_end(self, stream: Stream) -> None:
        if stream.turns:
            stream.wake()

    def on_reset(self, stream: Stream, code: int) -> None:
        error = RemoteProtocolError(f"The server reset the stream: {name_code(code)}.")
        stream.made_progress = self.last_head_read > stream.reads
        self._fail_stream(stream, error, code == ErrorCode.REFUSED_STREAM)

    def on_stream_error(self, stream: Stream, reason: str) -> None:
        self._fail_stream(stream, RemoteProtocolError(reason), False)

    def on_window(self, stream: Stream | None) -> None:
        if stream is None:
            self.reader.wake_all()
        else:
            stream.wake()

    def on_settings(self, settings: SettingsReceived) -> None:
        self.new_settings = settings
        self.has_changed = True
        self.reader.wake_all()  # windows may have changed with them

    def on_goaway(self, last_stream_id: int, code: int, debug_data: bytes) -> None:
        unprocessed = [
            stream for stream in self.streams.values() if stream.stream_id > last_stream_id
        ]
        if last_stream_id and unprocessed:
            # Some servers process so many requests on each connection, as nginx does 1000. It may also be a restart.
            count = (last_stream_id + 1) // 2
            before = self.request_limit
            is_certain = before is not None and before.requests == count
            self.request_limit = RequestLimit(count, is_certain)
        self._goaway = code, debug_data
        if len(self.reports) < _MAX_REPORTS:
            now = self.runtime.now()
            self.reports.append(
                lambda observation: observation.goaway_received(
                    code, last_stream_id, debug_data, now
                )
            )
        self.retire()
        for stream in unprocessed:
            error = RemoteProtocolError(
                f"The server is closing the connection, and did not process the request: {name_code(code)}."
            )
            stream.made_progress = last_stream_id > 0
            self._fail_stream(stream, error, True)
        self.reader.wake_all()

    def _fail_stream(self, stream: Stream, error: Exception, is_unprocessed: bool) -> None:
        stream.fail(error, is_unprocessed)
        stream.wake()

    # End

    def retire(self) -> None:
        """Accept no new request; under the lock."""
        self.is_retired = True
        self._change_state(RETIRE)
        self.has_changed = True

    def _close_if_done(self) -> None:
        if self.is_retired and not self.exchanges:
            self.fail(ReadError("The connection was closed."))

    def fail(self, error: Exception, is_ours: bool = False) -> None:
        """End the connection, and fail all requests; under the lock.

        Args:
            error: why; each request gets a copy of its own.
            is_ours: whether this side has ended it.
        """
        if self.is_closed:
            return
        self.is_closed = True
        self.has_changed = True
        if self.exchanges:
            self.close_reason = CloseReason.EXCHANGE_FAILED
        elif not is_ours:
            self.close_reason = CloseReason.RETIRED if self.is_retired else CloseReason.PEER
        self._change_state(ABORT if is_ours else FAIL)
        self.stream.abort()
        if self.writer.error is not None:
            error.__cause__ = self.writer.error
        for stream in self.streams.values():
            own = type(error)(*error.args)
            own.__cause__ = error
            if self._goaway is not None:
                code, debug_data = self._goaway
                own.add_note(
                    f"Before that, the server sent GOAWAY: {name_code(code)} {debug_data!r}."
                )
            # This also happens if the server closes an idle connection while a request is on its way to it.
            is_unanswered = self.last_head_read > 0 and stream.reads == self.reads
            may_repeat = (
                is_unanswered and not is_ours and stream.request.method in IDEMPOTENT_METHODS
            )
            self._fail_stream(stream, own, may_repeat)
        self.writer.close()
        self.reader.close()

    def abort(self) -> None:
        """Close the connection without awaiting."""
        if self._generation != generation():
            # After a fork: a thread of the parent may have held the lock.
            self.lock = self.reader.lock = self.writer.lock = RLock()
        with self.lock:
            self.fail(ReadError("The connection was closed."), is_ours=True)
        self.stream.abort()

    def on_failure(self, exc: BaseException) -> None:
        """Close the connection if `exc`, which ends an exchange, came from outside, as KeyboardInterrupt does.

        It may have come in the middle of a frame that was being read or written on behalf of all, or have stopped the
        reader: the other requests fail at once, instead of waiting in vain.
        """
        if self.runtime.is_blocking and came_from_outside(exc):
            self.abort()
            self.notify()

    def notify(self) -> None:
        """Call `on_change` if something has changed; without the lock."""
        if self.has_changed:
            self.has_changed = False
            self._on_change()
