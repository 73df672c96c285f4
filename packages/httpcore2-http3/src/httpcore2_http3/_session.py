"""The state of one HTTP/3 connection that its exchanges share (RFC 9114). Layer: session.

It has the streams, decides what received frames mean for the requests, and how the connection ends.

Rules:

- It changes under the endpoint's lock, and nothing is awaited under it.
- A request that is cancelled, out of time or closed early resets its stream alone.
- qh3 lets the server send more as soon as data has arrived, whether it was read or not. So a response that nobody reads
  is held back by receiving nothing for it alone: while one has `UNREAD_LIMIT` bytes, the connection takes no further
  request, which would have to receive on its behalf. Above `MAX_UNREAD` it is reset.

Must not know: pools, how requests and responses are passed to callers.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock
from typing import Any

from qh3.h3.events import (
    DataReceived,
    GoawayReceived,
    H3Event,
    HeadersReceived,
    InformationalHeadersReceived,
    StopSending,
    StreamReset,
)
from qh3.quic.events import HandshakeCompleted, PingAcknowledged, StreamDataReceived

from httpcore2_core._exceptions import (
    ConnectError,
    ReadError,
    ReadTimeout,
    RemoteProtocolError,
    TimeoutException,
)
from httpcore2_core._http.close_reason import CloseReason
from httpcore2_core._http.fields import Headers
from httpcore2_core._http.interruptions import came_from_outside
from httpcore2_core._http.observation import Report
from httpcore2_core._http.states import ABORT, FAIL, RETIRE, ConnectionChange
from httpcore2_core._http.stream_fields import MalformedResponse
from httpcore2_core._http.stream_upload import StreamUpload
from httpcore2_core._models import IDEMPOTENT_METHODS, Request
from httpcore2_core._net.datagram_stream import DatagramStream
from httpcore2_core._net.forks import generation
from httpcore2_core._net.roles import Turn
from httpcore2_core._net.runtime import Runtime

from ._endpoint import Endpoint
from ._errors import ErrorCode, name_application_code, name_transport_code
from ._frames import ClientH3
from ._quic import ClientQuic
from ._responses import ResponseReceiver
from ._states import END, STOP
from ._stream import Stream
from ._tls import IDLE_TIMEOUT

MAX_STREAMS = 100
"""Concurrent requests, if the server allows as many."""

SEND_LIMIT = 256 * 1024
"""Bytes of one request that wait to be sent. QUIC sends as the server and the path allow."""

UNREAD_LIMIT = 1024 * 1024
"""Bytes of one response that nobody has read, from which on the connection takes no further request."""

MAX_UNREAD = 64 * 1024 * 1024
"""Bytes of one response that nobody has read, above which it is reset."""


# Events that wait for the observers: a server may send any number of GOAWAY frames at once.
_MAX_REPORTS = 10
# Seconds without any datagram after which a request that is given up leaves its connection to others only if the server
# answers a PING; if nothing has come since the request was sent, to none.
_SILENCE = 1.0
# The reason that qh3 gives when its own idle timeout has passed.
_IDLE = "Idle timeout"
# The step from one stream of requests to the next (RFC 9000, section 2.1).
_STEP = 4
# The identifier of no stream (RFC 9000, section 2.1); it is none of the server's either.
_NO_STREAM = -4


class Session:
    """The state of one HTTP/3 connection.

    Attributes:
        endpoint: QUIC, and the datagrams below.
        lock: the endpoint's.
        runtime: that of the datagrams.
        quic: the QUIC connection.
        streams: those of the exchanges under way, by their identifiers.
        exchanges: how many exchanges are under way, those without a stream included.
        request_count: how many requests were ever sent.
        is_ready: the handshake is complete.
        is_early_data_accepted: the server has accepted what was sent before that.
        is_retired: no new request is accepted.
        is_closed: the connection has ended.
        error: why it has ended.
        close_reason: the same for observers; `None` if the pool knows it.
        reports: events for the observers of the connection, which nobody has reported yet.
        has_changed: `notify()` must be called.
        limit: how many requests it takes at a time.
        credit_turns: participants that wait for the server to allow one more stream.
        uploads: the streams whose request is not complete.
    """

    def __init__(
        self,
        datagrams: DatagramStream,
        quic: ClientQuic,
        ping_interval: float | None,
        change_state: Callable[[ConnectionChange], None],
        on_change: Callable[[], None],
    ) -> None:
        """Start a session over `datagrams`, without sending anything.

        Args:
            datagrams: leads to the server.
            quic: a connection that was not begun.
            ping_interval: seconds of silence after which a PING is sent while requests wait; `None` for never.
            change_state: changes the connection's state; called under the lock when no further request is accepted, and
                when the connection ends.
            on_change: called without the lock when there are reports, or when `capacity`, `is_retired` or `is_closed`
                may have changed.
        """
        self.endpoint = Endpoint(datagrams, quic, self, ping_interval)
        self.lock = self.endpoint.lock
        self.runtime: Runtime = datagrams.runtime
        self.quic = quic
        self.streams: dict[int, Stream] = {}
        self.exchanges = 0
        self.request_count = 0
        self.is_ready = False
        self.is_early_data_accepted = False
        self.is_retired = False
        self.is_closed = False
        self.error: Exception | None = None
        self.close_reason: CloseReason | None = None
        self.reports: list[Report] = []
        self.limit = MAX_STREAMS
        self.credit_turns: list[Turn] = []
        self.uploads: set[Stream] = set()
        self._h3: ClientH3 | None = None
        self._receiver = receiver = ResponseReceiver()
        # What is done with the events of a request's stream; those that have no entry are not for one request.
        self._handlers: dict[type, Callable[[Stream, Any], None]] = {
            HeadersReceived: receiver.on_headers,
            InformationalHeadersReceived: receiver.on_interim,
            DataReceived: self._on_data,
            StreamDataReceived: self._on_data,
            StreamReset: self._on_reset,
            StopSending: self._on_stop_sending,
        }
        self._change_state = change_state
        self._on_change = on_change
        self.has_changed = False
        self._goaway: int | None = None
        self._pinged_at: float | None = None  # since when a reply to a PING is due
        self._unanswered_since = 0.0  # when the first request was sent since datagrams came last
        self._excess = 0  # responses with more unread bytes than `UNREAD_LIMIT`
        self._generation = generation()

    # Exchanges

    def begin_early(self) -> bool:
        """Return whether a request can be sent before the handshake is complete; under the lock, once it has begun.

        It can if a session is resumed that permits it. The limits are those that the server had in that session (RFC
        9000, section 7.4.1), and QUIC keeps to them.
        """
        if not self.quic.may_send_early_data or not self.has_credit():
            return False
        self._h3 = ClientH3(self.quic)
        return True

    def begin_exchange(self) -> None:
        """Count one more exchange; under the lock."""
        if not self.exchanges:
            self.endpoint.resume()
        self.exchanges += 1

    def has_room(self) -> bool:
        """Whether a request can be sent now or soon; under the lock."""
        return not self.is_closed and not self.is_retired and len(self.streams) < self.limit

    def has_credit(self) -> bool:
        """Whether the server allows one more stream, or never will."""
        allowed = self.quic.max_concurrent_bidi_streams
        return (
            self.is_closed
            or self.is_retired
            or self.quic.get_next_available_stream_id() // _STEP < allowed
        )

    def open_stream(
        self, request: Request, upload: StreamUpload | None, pseudo: Headers, headers: Headers
    ) -> Stream:
        """Queue the head of `request` on a new stream; under the lock."""
        h3 = self._h3
        assert h3 is not None, "the handshake is complete"
        stream_id = self.quic.get_next_available_stream_id()
        if self._unanswered_since <= self.endpoint.received_at:
            self._unanswered_since = self.endpoint.runtime.now()
        stream = Stream(request, stream_id, upload)
        h3.send_request(stream_id, pseudo, headers, upload is None)
        if upload is not None:
            self.uploads.add(stream)
        self.streams[stream_id] = stream
        if self.request_count:
            self.endpoint.traffic.reused += 1
        self.request_count += 1
        return stream

    def room(self, stream: Stream) -> int:
        """Return how many bytes of a request's body may be queued now; under the lock."""
        if self.is_closed:
            return SEND_LIMIT  # the error is found by the one who waits
        return SEND_LIMIT - self.quic.get_send_buffer_size(stream.stream_id)

    def send_data(self, stream: Stream, data: memoryview | bytes, end_stream: bool) -> None:
        """Queue part of a request's body; under the lock."""
        h3 = self._h3
        assert h3 is not None, "the handshake is complete"
        # With an empty DATA frame at the end: qh3 2.1 does not send an end without any bytes again when it was lost.
        h3.send_data(stream.stream_id, data, end_stream)
        if end_stream:
            stream.upload = None
            stream.change_request(END)
            self.uploads.discard(stream)

    def end_exchange(self, stream: Stream | None) -> None:
        """Count one exchange less, and reset its stream unless it is complete; under the lock."""
        if stream is not None:
            del self.streams[stream.stream_id]
            self.uploads.discard(stream)
            self._note_unread(stream, 0)
            if not stream.is_over:
                received_at, now = self.endpoint.received_at, self.endpoint.runtime.now()
                if received_at < self._unanswered_since < now - _SILENCE:
                    self.retire()  # nothing at all has come: the path may be gone, and the next request waits in vain
            self._release(stream)
        self.exchanges -= 1
        self._close_if_done()

    def _release(self, stream: Stream) -> None:
        """Send and receive nothing more on the stream; under the lock."""
        if stream.is_released:
            return
        stream.is_released = True
        stream.wake()
        if not self.is_closed:
            self._abandon(stream, ErrorCode.H3_REQUEST_CANCELLED)

    def _abandon(self, stream: Stream, code: ErrorCode) -> None:
        """Reset what is not complete of a stream; under the lock."""
        sending = not stream.has_sent_all and not stream.is_stopped
        receiving = not stream.has_ended
        if not sending and not receiving:
            return
        assert self._h3 is not None, "there is a stream"
        self.quic.abandon_stream(stream.stream_id, code, sending=sending, receiving=receiving)
        self._h3.forget(stream.stream_id)
        stream.change_request(STOP)
        self.endpoint.flush()

    @property
    def capacity(self) -> int:
        """How many requests it takes at a time."""
        return min(self.limit, max(1, len(self.streams))) if self._excess else self.limit

    def data_taken(self, stream: Stream) -> bytes:
        """Return the received data of a stream; under the lock."""
        if stream.unread > UNREAD_LIMIT:
            self._note_unread(stream, 0)
        return stream.take_data()

    def _note_unread(self, stream: Stream, now: int) -> None:
        """Count the responses that nobody reads."""
        before, stream.unread = stream.unread, now
        if (before > UNREAD_LIMIT) != (now > UNREAD_LIMIT):
            self._excess += 1 if now > UNREAD_LIMIT else -1
            self.has_changed = True

    # Notifications by the endpoint (`EndpointListener`)

    def is_awaiting_server(self) -> bool:
        return self.exchanges > 0 and self.is_ready

    def on_received(self) -> None:
        for stream in self.uploads:
            if stream.turns and self.room(stream) > 0:
                stream.wake()
        self._close_if_done()

    def on_ping(self, now: float) -> None:
        if self._pinged_at is None:
            self._pinged_at = now
        self._report(lambda observation: observation.ping_sent(now))

    def on_dropped_packet(self) -> None:
        self.retire()

    def on_end(self) -> None:
        self.fail(self._end_error())

    def on_events(self) -> None:
        quic = self.quic
        while (event := quic.next_event()) is not None:
            if not self.is_ready and isinstance(event, HandshakeCompleted):
                self._on_handshake(event)
            elif self._h3 is not None:
                if isinstance(event, StreamDataReceived) and self._h3.is_inside_data(event):
                    self._on_event(event)
                elif isinstance(event, PingAcknowledged):
                    self._on_ping_answered()
                else:
                    for h3_event in self._h3.handle_event(event):
                        self._on_event(h3_event)
        if self.credit_turns and self.has_credit():
            for turn in self.credit_turns:
                turn.wake()

    def _on_handshake(self, event: HandshakeCompleted) -> None:
        if self._h3 is None:
            self._h3 = ClientH3(self.quic)
        self.is_ready = True
        # If it has not, qh3 sends the same again.
        self.is_early_data_accepted = event.early_data_accepted
        self.limit = max(1, min(MAX_STREAMS, self.quic.max_concurrent_bidi_streams))
        self.endpoint.wake_all()

    # What received frames mean

    def _on_event(self, event: H3Event | StreamDataReceived) -> None:
        handle = self._handlers.get(type(event))
        stream = self.streams.get(getattr(event, "stream_id", _NO_STREAM))
        if handle is None or stream is None:
            self._on_other_event(event)
            return
        if stream.is_released or stream.is_over:
            return
        try:
            handle(stream, event)
        except MalformedResponse as exc:
            stream.fail(RemoteProtocolError(str(exc)), False)
            self._abandon(stream, ErrorCode.H3_MESSAGE_ERROR)
        if stream.turns:
            stream.wake()

    def _on_other_event(self, event: H3Event | StreamDataReceived) -> None:
        """Process what belongs to no request that is under way."""
        if isinstance(event, GoawayReceived):
            self._on_goaway(event.stream_id)
            return
        stream_id: int = getattr(event, "stream_id", _NO_STREAM)
        if stream_id % 4 == 1:
            # RFC 9114, section 6.1: only an extension could allow them, and none was agreed on.
            self.quic.close(ErrorCode.H3_STREAM_CREATION_ERROR, None, "a stream of the server's")
            return
        if stream_id % 4 == 3 and getattr(event, "push_id", None) is not None:
            # What a server pushes is never used.
            code = ErrorCode.H3_REQUEST_CANCELLED
            self.quic.abandon_stream(stream_id, code, sending=False, receiving=True)

    def _on_data(self, stream: Stream, event: DataReceived | StreamDataReceived) -> None:
        self._receiver.on_data(stream, event.data)
        if isinstance(event, DataReceived) and event.stream_ended:
            self._receiver.on_end(stream)
        unread = stream.unread + len(event.data)
        if unread <= UNREAD_LIMIT:
            stream.unread = unread
        else:
            self._note_unread(stream, unread)
        if unread > MAX_UNREAD:
            error = ReadError(
                f"The response was reset: {MAX_UNREAD // 1024 // 1024} MiB of its body have arrived and were "
                "not read, while other requests used the connection. Read it sooner, or in another pool."
            )
            stream.fail(error, False)
            self._release(stream)

    def _on_reset(self, stream: Stream, event: StreamReset) -> None:
        code = event.error_code
        error = RemoteProtocolError(f"The server reset the stream: {name_application_code(code)}.")
        stream.made_progress = self._receiver.responses > 0
        stream.fail(error, code == ErrorCode.H3_REQUEST_REJECTED)

    def _on_stop_sending(self, stream: Stream, event: StopSending) -> None:
        stream.change_request(STOP)

    def _on_goaway(self, stream_id: int) -> None:
        before = self._goaway
        if stream_id % _STEP or (before is not None and stream_id > before):
            # RFC 9114, section 5.2
            self.quic.close(ErrorCode.H3_ID_ERROR, None, f"GOAWAY with identifier {stream_id}")
            return
        self._goaway = stream_id
        now = self.endpoint.runtime.now()
        last = stream_id - _STEP
        self._report(lambda observation: observation.goaway_received(0, last, b"", now))
        self.retire()
        for stream in self.streams.values():
            if stream.stream_id >= stream_id:
                error = RemoteProtocolError(
                    "The server is closing the connection, and did not process the request (GOAWAY)."
                )
                stream.made_progress = self._receiver.responses > 0
                stream.fail(error, True)
                stream.wake()
        self.endpoint.wake_all()

    def _on_ping_answered(self) -> None:
        pinged_at, self._pinged_at = self._pinged_at, None
        if pinged_at is not None:
            now = self.endpoint.runtime.now()
            self._report(lambda observation: observation.ping_answered(now - pinged_at, now))

    def _report(self, report: Report) -> None:
        """Keep an event for the observers; under the lock."""
        if len(self.reports) < _MAX_REPORTS:
            self.reports.append(report)
            self.has_changed = True

    def watch(self) -> None:
        """Send what is queued, and receive what arrives while no request is under way; under the lock."""
        self.endpoint.flush()
        self.endpoint.watch()

    # End

    def retire(self) -> None:
        """Accept no new request; under the lock."""
        if not self.is_retired:
            self.is_retired = True
            self._change_state(RETIRE)
            self.has_changed = True

    def _close_if_done(self) -> None:
        if self.is_retired and not self.exchanges:
            self.endpoint.send_close()
            self.fail(ReadError("The connection was closed."))

    def _end_error(self) -> Exception:
        """Return the error for the end of the connection that QUIC has noticed."""
        end = self.quic.end
        assert end is not None, "it has ended"
        if end.frame_type is None and self.is_ready:
            name = name_application_code(end.error_code)
        else:
            name = name_transport_code(end.error_code)
        reason = f"{name}: {end.reason_phrase}" if end.reason_phrase else name
        if not self.is_ready:
            return ConnectError(f"The QUIC handshake failed ({reason}).")
        if self.quic.has_closed:
            return RemoteProtocolError(f"The server violated HTTP/3 ({reason}).")
        if end.reason_phrase == _IDLE:
            return ReadTimeout(
                "The server sent nothing for as long as the idle timeout of QUIC, "
                f"which is at most {IDLE_TIMEOUT:g} seconds."
            )
        return RemoteProtocolError(f"The server closed the connection ({reason}).")

    def fail(self, error: Exception, is_ours: bool = False) -> None:
        """End the connection, and fail all requests; under the lock.

        Args:
            error: why; each request gets a copy of its own.
            is_ours: whether this side has ended it.
        """
        if self.is_closed:
            return
        self.is_closed = True
        self.error = error
        self.has_changed = True
        if self.exchanges:
            self.close_reason = CloseReason.EXCHANGE_FAILED
        elif not is_ours:
            self.close_reason = CloseReason.RETIRED if self.is_retired else CloseReason.PEER
        self._change_state(ABORT if is_ours else FAIL)
        for stream in self.streams.values():
            own = type(error)(*error.args)
            own.__cause__ = error
            # This also happens if the server closes an idle connection while a request is on its way to it.
            is_unanswered = (
                self._receiver.responses > 0 and stream.head is None and not stream.interim
            )
            may_repeat = (
                is_unanswered
                and not is_ours
                and not isinstance(error, ReadTimeout)
                and stream.request.method in IDEMPOTENT_METHODS
            )
            stream.fail(own, may_repeat)
            stream.wake()
        self.endpoint.close()

    def abort(self) -> None:
        """Close the connection without awaiting."""
        if self._generation != generation():
            # After a fork: a thread of the parent may have held the lock, and the connection is the parent's.
            self.lock = self.endpoint.lock = RLock()
            self.is_closed = self.endpoint.is_closed = True
            self._change_state(ABORT)
        with self.lock:
            self.endpoint.send_close()
            self.fail(ReadError("The connection was closed."), is_ours=True)
        self.endpoint.datagrams.abort()

    def on_failure(self, exc: BaseException) -> None:
        """Find out what `exc`, which ends an exchange, means for the connection.

        If it came from outside, as KeyboardInterrupt does, it may have come in the middle of a datagram that was being
        processed on behalf of all, or have stopped the reader. All requests fail at once, instead of waiting in vain.
        """
        if isinstance(exc, TimeoutException):
            with self.lock:
                if self.is_ready and not self.is_closed:
                    self.endpoint.doubt(_SILENCE)
        elif self.endpoint.runtime.is_blocking and came_from_outside(exc):
            self.abort()
        else:
            return
        self.notify()

    def notify(self) -> None:
        """Call `on_change` if something has changed; without the lock."""
        if self.has_changed:
            self.has_changed = False
            self._on_change()
