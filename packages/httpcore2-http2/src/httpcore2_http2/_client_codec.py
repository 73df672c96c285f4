"""The client's side of HTTP/2: streams, their states and the frames that the server sends on them. Layer: stream.

`FrameReader` finds the received frames, `FrameSender` builds those to be sent; `ConnectionControl` has the rare frames
of the connection, over h2.

Rules: what a frame may do depends on the state of its stream, and follows from the tables in `_states`. A field block
is decoded even if nobody waits for its response, since the dynamic tables of both sides must agree.

Must not know: the network, clocks, locks, sessions, pools.
"""

from __future__ import annotations

from h2.config import H2Configuration

from httpcore2_core._exceptions import RemoteProtocolError
from httpcore2_core._http.fields import Headers
from httpcore2_core._http.stream_fields import (
    METHODS_WITHOUT_CONTENT,
    FieldSection,
    MalformedResponse,
    check_fields,
    check_response,
)

from ._codec import (
    IDLE_FRAMES_PER_DATA,
    MAX_HEADER_LIST,
    MAX_IDLE_FRAMES,
    MAX_INTERIM,
    MAX_STREAMS,
    CodecListener,
    SettingsReceived,
)
from ._control import CONFIG, ConnectionControl
from ._errors import ConnectionFault, ErrorCode
from ._frame_reader import FrameReader
from ._frames import (
    DATA,
    END_STREAM,
    GOAWAY,
    HEADERS,
    INITIAL_WINDOW,
    MAX_WINDOW,
    PADDED,
    PING,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    content,
    name_frame,
    number,
    two_numbers,
)
from ._hpack import CachingDecoder
from ._sender import FrameSender
from ._states import (
    BODY_DUE,
    CONTENT,
    END,
    END_DUE,
    ENDED,
    FINAL_HEAD,
    HALF_CLOSED_REMOTE,
    HEAD_DUE,
    INTERIM_HEAD,
    RECEIVE_DATA,
    RECEIVE_END_STREAM,
    RECEIVE_RST_STREAM,
    RELEASED,
    RESET_SENT,
    RESPONSE_TRANSITIONS,
    SEND_END_STREAM,
    TRAILERS,
    states_allowing,
)
from ._stream import Stream
from ._stream_table import StreamTable

_MAX_STREAM_ID = 2**31 - 1

_NO_HEAD = "The server sent data before the response's head."

_RECEIVING = states_allowing(RECEIVE_DATA)


class ClientCodec(FrameReader):
    """The client's side of the HTTP/2 protocol on one connection; see `HTTP2Codec`."""

    def __init__(
        self,
        listener: CodecListener,
        stream_window: int,
        connection_window: int,
        config: H2Configuration = CONFIG,
    ) -> None:
        """Start the connection: `take()` returns its preface.

        Args:
            listener: is notified of received frames.
            stream_window: the most bytes that a stream may hold and its receiver has not consumed.
            connection_window: the most bytes that the server may send on all streams together. They count as consumed
                when they arrive.
            config: configures h2.
        """
        self.limit = MAX_STREAMS
        self.allows_protocols: bool | None = None
        self._listener = listener
        self._is_closed = False
        self._table = StreamTable(self._send_reset)
        self._streams = self._table.streams
        self._add_ended = self._table.closed.add_ended
        super().__init__(self._streams)
        self._initial_send_window = INITIAL_WINDOW
        self._stream_window = stream_window
        self._connection_window = connection_window
        self._update_size = connection_window // 4
        # Bytes that were received, but not yet added to the connection's window.
        self._unreturned = 0
        self._decoder = CachingDecoder(MAX_HEADER_LIST)
        self._idle_frames = 0
        self._sender = FrameSender()
        self.outgoing = self._sender.outgoing
        self._control = ConnectionControl(
            config, stream_window, self._sender.encoder, self._decoder
        )
        self._send_control()
        if connection_window > INITIAL_WINDOW:
            self._sender.send_window_update(0, connection_window - INITIAL_WINDOW)

    def _send_control(self) -> None:
        self._sender.outgoing.append(self._control.take())

    # Sending

    def open_stream(
        self, stream: Stream, pseudo: Headers, headers: Headers, end_stream: bool
    ) -> bool:
        stream_id = self._last_id + 2
        if stream_id > _MAX_STREAM_ID:
            return False
        if self._table.has_released:
            self._table.make_room()
        self._last_id = stream_id
        stream.open(stream_id, self._initial_send_window, self._stream_window, end_stream)
        self._streams[stream_id] = stream
        self._sender.send_headers(stream_id, pseudo, headers, end_stream)
        # The server may send frames about it, however it ends: if all requests of an hour are given up, that is no
        # flood.
        if self._idle_frames:
            self._idle_frames -= min(self._idle_frames, IDLE_FRAMES_PER_DATA)
        return True

    def window(self, stream: Stream) -> int:
        return min(self._sender.window, stream.send_window)

    def send_data(self, stream: Stream, data: bytes | memoryview, end_stream: bool) -> None:
        self._sender.send_data(stream, data, end_stream)
        if end_stream:
            stream.transition(SEND_END_STREAM)
            if stream.state is ENDED:
                self._table.drop_ended(stream)
        self._idle_frames = 0  # the server may now send WINDOW_UPDATE frames again

    def reset(self, stream: Stream, code: ErrorCode = ErrorCode.CANCEL) -> None:
        self._table.reset(stream, code)

    def _send_reset(self, stream_id: int, code: ErrorCode) -> None:
        if not self._is_closed:
            self._sender.send_reset(stream_id, code)

    def release(self, stream: Stream) -> None:
        self._table.release(stream)

    def ping(self) -> None:
        self._control.ping()
        self._send_control()

    def take(self) -> bytes:
        data = b"".join(self.outgoing)
        self.outgoing.clear()
        return data

    # Receiving

    def consumed(self, stream: Stream, count: int) -> bool:
        if stream.state not in _RECEIVING:
            return False
        stream.unreturned += count
        if stream.unreturned < self._stream_window // 2:
            return False
        stream.receive_window += stream.unreturned
        self._sender.send_window_update(stream.stream_id, stream.unreturned)
        stream.unreturned = 0
        return True

    def receive(self, data: bytes) -> None:
        try:
            self._read_frames(data)
        except ConnectionFault as exc:
            self._is_closed = True
            self._control.close(exc.code)
            self._send_control()
            raise RemoteProtocolError(str(exc)) from exc.__cause__

    def _count_idle_frame(self) -> None:
        """Bound the frames that cost the server little (RFC 9113, section 10.5)."""
        self._idle_frames += 1
        if self._idle_frames > MAX_IDLE_FRAMES:
            raise ConnectionFault(
                "The server sent too many frames that belong to no response: "
                f"more than {MAX_IDLE_FRAMES} in a row.",
                ErrorCode.ENHANCE_YOUR_CALM,
            )

    # DATA and HEADERS

    def _receive_data(self, data: bytes, flags: int, stream_id: int, stream: Stream | None) -> None:
        size = len(data)  # padding included: section 6.9.1
        if flags & PADDED:
            data = content(DATA, data, flags)
        # Data counts as consumed on the connection when it arrives: the window of a stream bounds what waits in it, so
        # that a stream that nobody reads can't stop the others.
        unreturned = self._unreturned + size
        if unreturned > self._connection_window or (
            stream is not None and stream.receive_window < size
        ):
            raise self._beyond_window(size, stream_id, stream)
        if unreturned >= self._update_size:
            self._sender.send_window_update(0, unreturned)
            unreturned = 0
        self._unreturned = unreturned
        if (
            data
            and stream is not None
            and stream.response is BODY_DUE
            and stream.state is not RELEASED
        ):
            stream.receive_window -= size
            left = stream.body_left
            if left is not None:
                stream.body_left = left = left - len(data)
                if left < 0:
                    self._fail_stream(stream, "Too much data for the response's Content-Length.")
                    return
            if self._idle_frames:
                self._idle_frames -= min(self._idle_frames, IDLE_FRAMES_PER_DATA)
            if stream.chunks:
                # The listener was notified of the data before it, which nobody has taken yet.
                stream.add_data(data)
            else:
                stream.chunks.append(data)
                self._listener.on_data(stream)
        elif not self._receive_unusual_data(size, flags, stream_id, stream):
            return
        assert stream is not None, "data on any other stream is unexpected"
        if flags & PADDED:
            self.consumed(stream, size - len(data))
        if flags & END_STREAM:
            self._end_response(stream)

    @property
    def _receive_window(self) -> int:
        """Bytes that the server may send on all streams together."""
        return self._connection_window - self._unreturned

    def _beyond_window(self, size: int, stream_id: int, stream: Stream | None) -> ConnectionFault:
        """Return the error for `size` bytes of data that were not allowed (RFC 9113, section 6.9.1)."""
        return ConnectionFault(
            f"The server sent more data than it was allowed to: {size} bytes on stream {stream_id}, "
            f"whose window is {'closed' if stream is None else f'{stream.receive_window} bytes'}, "
            f"on a connection whose window was {self._receive_window} bytes.",
            ErrorCode.FLOW_CONTROL_ERROR,
        )

    def _receive_unusual_data(
        self, size: int, flags: int, stream_id: int, stream: Stream | None
    ) -> bool:
        """Process a DATA frame that is empty, or for which nobody waits.

        Return whether it is part of a response for which somebody waits.
        """
        self._count_idle_frame()
        if stream is None or stream.state not in _RECEIVING:
            self._receive_unexpected(DATA, stream_id, size, stream)
            return False
        stream.receive_window -= size
        is_due = CONTENT in RESPONSE_TRANSITIONS[stream.response]
        if stream.state is not RELEASED:
            if not is_due:
                self._fail_stream(stream, _NO_HEAD)
            return is_due
        if not flags & END_STREAM:
            self.reset(stream)
        elif not is_due:
            raise ConnectionFault(_NO_HEAD)
        else:
            self._end_released(stream)
        return False

    def _receive_block(
        self, block: bytes, end_stream: int, stream_id: int, stream: Stream | None
    ) -> None:
        fields = self._decoder.decode_block(block)
        if stream is None or stream.response is not HEAD_DUE or stream.state is RELEASED:
            self._count_idle_frame()
        elif fields.checked is not None and stream.request.method not in METHODS_WITHOUT_CONTENT:
            stream.receive_head(fields.checked)
            self._idle_frames = 0
            self._listener.on_head(stream)
            if end_stream:
                self._end_response(stream)
            return
        if stream is None or stream.state not in _RECEIVING:
            self._receive_unexpected(HEADERS, stream_id, 0, stream)
            return
        event = TRAILERS if stream.response is BODY_DUE else FINAL_HEAD
        if fields and fields[0][0] == b":status" and fields[0][1][:1] == b"1":
            event = INTERIM_HEAD
        following = RESPONSE_TRANSITIONS[stream.response].get(event)
        if following is None or (end_stream and END not in RESPONSE_TRANSITIONS[following]):
            raise ConnectionFault(
                f"The server sent an interim response on stream {stream_id} that ends the stream, or after the "
                "final response (RFC 9113, section 8.1)."
            )
        if following is END_DUE and not end_stream:
            raise ConnectionFault(
                f"The server sent trailers on stream {stream_id} that do not end it (RFC 9113, section 8.1)."
            )
        if stream.state is RELEASED:
            stream.response = following
            if end_stream:
                self._end_released(stream)
            return
        try:
            if event is INTERIM_HEAD:
                self._count_idle_frame()
                self._receive_interim(stream, fields)
            elif event is FINAL_HEAD:
                stream.receive_head(check_response(fields, stream.request.method))
                self._idle_frames = 0
                self._listener.on_head(stream)
            else:
                stream.trailers = check_fields(fields)
                stream.advance(TRAILERS)
        except MalformedResponse as exc:
            if end_stream:
                stream.transition(RECEIVE_END_STREAM)
            self._fail_stream(stream, str(exc))
            return
        if end_stream:
            self._end_response(stream)

    def _receive_interim(self, stream: Stream, fields: FieldSection) -> None:
        status, headers, _ = check_response(fields, stream.request.method)
        if status == 101:
            raise MalformedResponse(
                "The server sent status 101, which HTTP/2 does not have (RFC 9113, section 8.6)."
            )
        stream.interim += 1
        if stream.interim > MAX_INTERIM:
            raise MalformedResponse(
                f"The server sent too many interim responses: more than {MAX_INTERIM}."
            )
        self._listener.on_interim(stream, status, headers)

    def _end_response(self, stream: Stream) -> None:
        if stream.body_left:
            stream.transition(RECEIVE_END_STREAM)
            self._fail_stream(
                stream,
                f"Too little data for the response's Content-Length: {stream.body_left} bytes are missing.",
            )
            return
        if stream.end_response() is ENDED:
            stream_id = stream.stream_id
            del self._streams[stream_id]
            self._add_ended(stream_id)
        self._listener.on_end(stream)

    def _end_released(self, stream: Stream) -> None:
        stream.transition(RECEIVE_END_STREAM)
        self._table.drop_ended(stream)

    def _receive_unexpected(
        self, kind: int, stream_id: int, size: int, stream: Stream | None
    ) -> None:
        """Process DATA or HEADERS in a state that doesn't allow it (RFC 9113, section 5.1).

        Args:
            kind: the frame's type.
            stream_id: its stream.
            size: bytes of its payload, if it is DATA.
            stream: the stream, if it is open or its response was not read.
        """
        reason = (
            f"The server sent {name_frame(kind)} on stream {stream_id} after the response's end."
        )
        state = self._table.closed.state_of(stream_id) if stream is None else stream.state
        if state is ENDED:
            raise ConnectionFault(reason, ErrorCode.STREAM_CLOSED)
        if state is HALF_CLOSED_REMOTE:
            assert stream is not None, "it is open"
            self._fail_stream(stream, reason, ErrorCode.STREAM_CLOSED)
        elif state is RESET_SENT:
            # It may have been sent before our RST_STREAM was received. Data within the window is no flood.
            if self._table.closed.was_allowed(stream_id, size):
                self._idle_frames -= 1
        else:
            self._table.reset_again(stream_id)

    def _fail_stream(
        self, stream: Stream, reason: str, code: ErrorCode = ErrorCode.PROTOCOL_ERROR
    ) -> None:
        """Reset a stream on which the server broke a rule (RFC 9113, section 5.4.2)."""
        is_awaited = stream.state is not RELEASED
        self.reset(stream, code)
        if is_awaited:
            self._listener.on_stream_error(stream, reason)

    # Other frames

    def _receive_other(
        self, payload: bytes, kind: int, flags: int, stream_id: int, stream: Stream | None
    ) -> None:
        # PRIORITY and unknown types are ignored.
        self._count_idle_frame()
        if kind == WINDOW_UPDATE:
            self._receive_window_update(number(payload) & 0x7FFFFFFF, stream_id, stream)
        elif kind == RST_STREAM:
            if stream is not None:
                is_awaited = stream.state is not RELEASED
                stream.transition(RECEIVE_RST_STREAM)
                del self._streams[stream_id]
                if is_awaited:
                    self._listener.on_reset(stream, number(payload))
        elif kind == GOAWAY:
            self._listener.on_goaway(*two_numbers(payload), payload[8:])
        elif kind in (SETTINGS, PING):
            changed = self._control.receive(payload, kind, flags)
            if changed is not None:
                self._apply_settings(changed)
            self._send_control()

    def _receive_window_update(self, increment: int, stream_id: int, stream: Stream | None) -> None:
        """Process WINDOW_UPDATE (RFC 9113, section 6.9)."""
        reason = f"The server sent WINDOW_UPDATE with an increment of 0 for stream {stream_id}."
        if not stream_id:
            if not increment:
                raise ConnectionFault(reason)
            self._sender.open_window(increment)
            self._listener.on_window(None)
            return
        if stream is None:
            return  # it was sent before the server received our end of the stream
        stream.send_window += increment
        if not increment:
            self._fail_stream(stream, reason)
        elif stream.send_window > MAX_WINDOW:
            self._fail_stream(
                stream,
                f"The server opened the window of stream {stream_id} beyond {MAX_WINDOW} bytes "
                "(RFC 9113, section 6.9.1).",
                ErrorCode.FLOW_CONTROL_ERROR,
            )
        else:
            self._listener.on_window(stream)

    def _apply_settings(self, changed: dict[int, int]) -> None:
        """Apply the server's settings (RFC 9113, section 6.5.2)."""
        settings = self._control.server_settings
        self._sender.max_frame = settings.max_frame_size
        change = settings.initial_window_size - self._initial_send_window
        self._initial_send_window = settings.initial_window_size
        for stream in self._streams.values():
            stream.send_window += change
            if stream.send_window > MAX_WINDOW:
                self._control.take()  # they are not acknowledged
                raise ConnectionFault(
                    f"The server's SETTINGS opened the window of stream {stream.stream_id} beyond "
                    f"{MAX_WINDOW} bytes (RFC 9113, section 6.9.2).",
                    ErrorCode.FLOW_CONTROL_ERROR,
                )
        self._table.max_streams = settings.max_concurrent_streams
        self.limit = min(MAX_STREAMS, settings.max_concurrent_streams)
        self.allows_protocols = settings.enable_connect_protocol == 1
        self._listener.on_settings(SettingsReceived(changed))
