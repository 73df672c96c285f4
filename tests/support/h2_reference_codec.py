"""A codec over h2, as the reference for `ClientCodec`: both must give the same events for the same frames.

h2 keeps the protocol of streams, the windows for sending and the compression of requests.
It is fed frame by frame, so that everything before a fault is told, and with frames that are well-formed (`_frames`).
These bypass it:

- DATA, of which it sees END_STREAM alone: that takes 3 µs a frame instead of 30, so the windows for receiving are here;
- the fields of responses, which are checked here, faster, so that a fault is an error of the stream. A field block
  reaches h2 as one frame without padding and priority, in whatever form it came;
- GOAWAY, after which h2 would refuse all frames, although streams that the server accepted continue;
- frames for closed streams, each of which h2 would answer with one more RST_STREAM (RFC 9113, sections 5.1 and 5.4.2).

Must not know: the network, clocks, locks, connections, pools.
"""

from __future__ import annotations

from typing import Any

import h2.events as h2_events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.exceptions import NoAvailableStreamIDError, ProtocolError, TooManyStreamsError
from h2.settings import SettingCodes, Settings
from hpack import Encoder

from httpcore2_core._exceptions import RemoteProtocolError
from httpcore2_core._http.fields import Headers
from httpcore2_core._http.stream_fields import (
    FieldSection,
    MalformedResponse,
    check_fields,
    check_response,
)
from httpcore2_http2._closed_streams import ClosedStreams
from httpcore2_http2._codec import (
    IDLE_FRAMES_PER_DATA,
    MAX_HEADER_LIST,
    MAX_IDLE_FRAMES,
    MAX_INTERIM,
    MAX_STREAMS,
    CodecListener,
    SettingsReceived,
)
from httpcore2_http2._control import CONFIG
from httpcore2_http2._errors import ConnectionFault, ErrorCode
from httpcore2_http2._frames import (
    ACK,
    BLOCK_FLAGS,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    FRAME_HEADER,
    GOAWAY,
    HEADERS,
    MAX_FIELD_BLOCK,
    MAX_FRAME,
    PADDED,
    PRIORITY,
    RST_STREAM,
    RST_STREAM_FRAME,
    SETTINGS,
    WINDOW_UPDATE,
    WINDOW_UPDATE_FRAME,
    FieldBlock,
    check_header,
    check_settings,
    content,
    name_frame,
    number,
    two_numbers,
)
from httpcore2_http2._hpack import CachingDecoder
from httpcore2_http2._states import (
    ENDED,
    HALF_CLOSED_REMOTE,
    RECEIVE_DATA,
    RECEIVE_END_STREAM,
    RECEIVE_RST_STREAM,
    RELEASE,
    RELEASED,
    RESET_SENT,
    SEND_END_STREAM,
    SEND_RST_STREAM,
    states_allowing,
)
from httpcore2_http2._stream import Stream

# No field block is being received; and not even the server's first frame has come.
_NO_BLOCK, _NO_FRAME = 0, -1
_RECEIVING = states_allowing(RECEIVE_DATA)


class StatusDecoder(CachingDecoder):
    """Returns to h2 only the part of a field block that it needs: the status, if the block begins with one.

    h2 would check a Content-Length, also that of a 304, and end the connection for a wrong one.
    """

    fields = FieldSection()
    _is_nested = False

    def decode(self, data: bytes, raw: bool = False) -> Any:
        if self._is_nested:
            return super().decode(data, raw)
        self._is_nested = True
        try:
            self.fields = fields = self.decode_block(data)
        finally:
            self._is_nested = False
        return fields[:1] if fields and fields[0][0][:1] == b":" else []


class H2Codec:
    """The client's side of the HTTP/2 protocol on one connection, over h2; see `HTTP2Codec`."""

    def __init__(
        self,
        listener: CodecListener,
        stream_window: int,
        connection_window: int,
        config: H2Configuration = CONFIG,
    ) -> None:
        """Start the connection: `take()` returns its preface.

        Args:
            listener: is told what received frames mean.
            stream_window: the most bytes that a stream may hold and its receiver has not consumed.
            connection_window: the most bytes that the server may send on all streams together. They count as consumed
                when they arrive.
            config: configures h2.
        """
        self.limit = MAX_STREAMS
        self.allows_protocols: bool | None = None
        self._listener = listener
        self._stream_window = stream_window
        self._connection_window = self._window = connection_window
        self.outgoing: list[bytes | memoryview] = []  # to be sent, bypassing h2
        self._unreturned = (
            0  # bytes that were received, but not yet added to the connection's window
        )
        self._streams: dict[int, Stream] = {}
        self._closed = ClosedStreams()
        self._last_id = 0
        # An incomplete frame, and how many bytes there must be before it is processed.
        self._parts: list[bytes] = []
        self._size = 0
        self._needed = 0
        self._block_id = _NO_FRAME  # the stream of the field block that is being received
        self._block = FieldBlock()
        self._idle_frames = 0
        self._ends_stream = False  # the frame that is processed has END_STREAM
        self._h2 = H2Connection(config)
        self._h2.local_settings = Settings(
            client=True,
            initial_values={
                SettingCodes.ENABLE_PUSH: 0,
                SettingCodes.INITIAL_WINDOW_SIZE: stream_window,
                SettingCodes.MAX_CONCURRENT_STREAMS: MAX_STREAMS,
                SettingCodes.MAX_HEADER_LIST_SIZE: MAX_HEADER_LIST,
            },
        )
        # It is for servers to send; some servers refuse a connection with it.
        del self._h2.local_settings[SettingCodes.ENABLE_CONNECT_PROTOCOL]
        self._h2.initiate_connection()
        self._h2.decoder = self._decoder = StatusDecoder(MAX_HEADER_LIST)
        self._h2.encoder = Encoder()
        # A field block reaches h2 as one frame; the size of received frames is checked before.
        self._h2.max_inbound_frame_size = MAX_FIELD_BLOCK
        if connection_window > 65535:
            self._h2.increment_flow_control_window(connection_window - 65535)

    # Sending

    def open_stream(
        self, stream: Stream, pseudo: Headers, headers: Headers, end_stream: bool
    ) -> bool:
        h2 = self._h2
        try:
            stream_id = h2.get_next_available_stream_id()
        except NoAvailableStreamIDError:
            return False
        fields = [*pseudo, *headers]
        try:
            h2.send_headers(stream_id, fields, end_stream=end_stream)
        except TooManyStreamsError:
            # The server counts those that it has not ended, though nobody waits for them.
            for other in list(self._streams.values()):
                if other.state is RELEASED:
                    self.reset(other)
            h2.send_headers(stream_id, fields, end_stream=end_stream)
        self._last_id = stream_id
        stream.open(stream_id, 0, self._stream_window, end_stream)
        self._streams[stream_id] = stream
        # The server may send frames about it, however it ends: if all requests of an hour are given up, that is no
        # flood.
        self._idle_frames = max(0, self._idle_frames - IDLE_FRAMES_PER_DATA)
        return True

    def window(self, stream: Stream) -> int:
        return self._h2.local_flow_control_window(stream.stream_id)

    def send_data(self, stream: Stream, data: bytes | memoryview, end_stream: bool) -> None:
        h2 = self._h2
        stream_id = stream.stream_id
        size = h2.max_outbound_frame_size
        start = 0
        while len(data) - start > size:
            h2.send_data(stream_id, data[start : start + size])
            start += size
        h2.send_data(stream_id, data[start:] if start else data, end_stream)
        if end_stream:
            stream.transition(SEND_END_STREAM)
        self._idle_frames = 0  # the server may now send WINDOW_UPDATE frames again

    def reset(self, stream: Stream, code: ErrorCode = ErrorCode.CANCEL) -> None:
        if self._streams.pop(stream.stream_id, None) is None:
            return  # it is closed already
        if stream.state is ENDED:
            self._closed.add_ended(stream.stream_id)
            return
        stream.transition(SEND_RST_STREAM)
        try:
            self._h2.reset_stream(stream.stream_id, code)
        except ProtocolError:
            return  # the connection is closed
        self._closed.add_reset(stream.stream_id, stream.receive_window)

    def release(self, stream: Stream) -> None:
        if stream.stream_id in self._streams:
            stream.transition(RELEASE)
            self._drop_if_ended(stream)

    def _drop_if_ended(self, stream: Stream) -> None:
        """Remember no more of a stream that nobody waits for than that it has ended."""
        if stream.state is ENDED:
            del self._streams[stream.stream_id]
            self._closed.add_ended(stream.stream_id)

    def ping(self) -> None:
        self._h2.ping(b"httpcor2")

    def take(self) -> bytes:
        data: bytes = self._h2.data_to_send()
        data += b"".join(self.outgoing)
        self.outgoing.clear()
        return data

    # Receiving

    def consumed(self, stream: Stream, count: int) -> bool:
        if stream.state in _RECEIVING:
            stream.unreturned += count
            if stream.unreturned >= self._stream_window // 2:
                stream.receive_window += stream.unreturned
                self._open_window(stream.stream_id, stream.unreturned)
                stream.unreturned = 0
                return True
        return False

    def receive(self, data: bytes) -> None:
        if self._parts:
            # Joined once there is enough, however small the parts are.
            self._parts.append(data)
            self._size += len(data)
            if self._size < self._needed:
                return
            data = b"".join(self._parts)
            self._parts.clear()
        position = 0
        needed = 9
        try:
            while len(data) - position >= 9:
                head, flags, stream_id = FRAME_HEADER.unpack_from(data, position)
                stream_id &= 0x7FFFFFFF
                kind = head & 0xFF
                length = head >> 8
                if (
                    kind > HEADERS
                    or length > MAX_FRAME
                    or self._block_id
                    or not stream_id & 1
                    or stream_id > self._last_id
                ):
                    self._check_frame(length, kind, flags, stream_id, data)
                end = position + 9 + length
                if end > len(data):
                    needed = 9 + length
                    break
                frame = data[position:end]
                position = end
                # Bound the frames that cost the server little (RFC 9113, section 10.5).
                self._idle_frames += 1
                if self._idle_frames > MAX_IDLE_FRAMES:
                    raise ConnectionFault(
                        "The server sent too many frames that belong to no response: "
                        f"more than {MAX_IDLE_FRAMES} in a row.",
                        ErrorCode.ENHANCE_YOUR_CALM,
                    )
                self._receive_frame(frame, kind, flags, stream_id)
        except ConnectionFault as exc:
            self._h2.close_connection(exc.code)
            raise RemoteProtocolError(str(exc)) from exc.__cause__
        except ProtocolError as exc:
            raise RemoteProtocolError(str(exc) or type(exc).__name__) from exc
        finally:
            if position < len(data):
                self._parts.append(data[position:])
                self._size = len(data) - position
                self._needed = needed

    def _check_frame(self, length: int, kind: int, flags: int, stream_id: int, data: bytes) -> None:
        """Refuse a frame by its header, before its payload has come. Most frames of responses need no such check."""
        if self._block_id == _NO_FRAME:
            if data.startswith(b"HTTP/1."):
                raise ConnectionFault(
                    "The server answered in HTTP/1, where HTTP/2 was agreed on: "
                    "use http1=True, http2=False for this server."
                )
            if kind != SETTINGS or flags & ACK:
                raise ConnectionFault(
                    f"The server's first frame is {name_frame(kind)}, not SETTINGS (RFC 9113, section 3.4)."
                )
            self._block_id = _NO_BLOCK
        if length > MAX_FRAME:
            raise ConnectionFault(
                f"The server sent a frame of {length} bytes; at most {MAX_FRAME} are allowed "
                "(RFC 9113, section 4.2).",
                ErrorCode.FRAME_SIZE_ERROR,
            )
        if (self._block_id or kind == CONTINUATION) and (
            kind != CONTINUATION or stream_id != self._block_id
        ):
            rule = "no field block is incomplete"
            if self._block_id:
                rule = f"a CONTINUATION frame for stream {self._block_id} is required"
            raise ConnectionFault(
                f"The server sent a {name_frame(kind)} frame for stream {stream_id} out of order: "
                f"{rule} (RFC 9113, section 6.10)."
            )
        if kind <= CONTINUATION:
            check_header(kind, length, flags, stream_id, self._last_id)

    def _receive_frame(self, frame: bytes, kind: int, flags: int, stream_id: int) -> None:
        """Process a frame whose header is in order."""
        stream = self._streams.get(stream_id)
        if kind == DATA:
            self._receive_data(frame, flags, stream_id, stream)
            if not flags & END_STREAM or stream_id not in self._streams:
                return
            frame = FRAME_HEADER.pack(DATA, END_STREAM, stream_id)
        elif kind in (HEADERS, CONTINUATION):
            if flags & BLOCK_FLAGS != END_HEADERS or kind == CONTINUATION:
                block = self._block.add(frame[9:], kind, flags)
                if block is None:
                    self._block_id = stream_id
                    return
                self._block_id = _NO_BLOCK
                size = len(block)
                flags = self._block.end_stream | END_HEADERS
                frame = FRAME_HEADER.pack(size << 8 | HEADERS, flags, stream_id) + block
            if stream is None or stream.state not in _RECEIVING:
                self._decoder.decode(frame[9:], raw=True)  # the tables must agree
                self._receive_unexpected(HEADERS, stream_id, 0, stream)
                return
        elif kind == GOAWAY:
            self._listener.on_goaway(*two_numbers(frame[9:]), frame[17:])
            return
        elif kind == PRIORITY or kind > CONTINUATION:
            return
        elif kind == SETTINGS:
            check_settings(frame[9:])
        elif stream_id and stream is None:
            return  # a WINDOW_UPDATE or RST_STREAM that our end of the stream has crossed
        elif kind == WINDOW_UPDATE:
            increment = number(frame[9:]) & 0x7FFFFFFF
            if not increment:
                self._receive_no_increment(stream_id, stream)
                return
            frame = WINDOW_UPDATE_FRAME.pack(0, 4, WINDOW_UPDATE, 0, stream_id, increment)
        self._ends_stream = bool(kind in (DATA, HEADERS, CONTINUATION) and flags & END_STREAM)
        for event in self._h2.receive_data(frame):
            self._translate(event)

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
        state = self._closed.state_of(stream_id) if stream is None else stream.state
        if state is ENDED:
            raise ConnectionFault(reason, ErrorCode.STREAM_CLOSED)
        if state is HALF_CLOSED_REMOTE:
            assert stream is not None, "it is open"
            self._fail_stream(stream, reason, ErrorCode.STREAM_CLOSED)
        elif state is RESET_SENT:
            # It may have been sent before our RST_STREAM was received. Data within the window is no flood.
            if self._closed.was_allowed(stream_id, size):
                self._idle_frames -= 1
        else:
            self._closed.add_reset(stream_id, 0)
            self.outgoing.append(
                RST_STREAM_FRAME.pack(0, 4, RST_STREAM, 0, stream_id, ErrorCode.STREAM_CLOSED)
            )

    def _receive_no_increment(self, stream_id: int, stream: Stream | None) -> None:
        """Process a WINDOW_UPDATE frame with an increment of 0 (RFC 9113, section 6.9)."""
        reason = f"The server sent WINDOW_UPDATE with an increment of 0 for stream {stream_id}."
        if stream is None:
            raise ConnectionFault(reason)
        if stream.state is not ENDED:
            self._fail_stream(stream, reason, ErrorCode.PROTOCOL_ERROR)

    def _fail_stream(self, stream: Stream, reason: str, code: ErrorCode) -> None:
        """End a stream on which the server broke a rule (RFC 9113, section 5.4.2)."""
        is_awaited = stream.state is not RELEASED
        self.reset(stream, code)
        if is_awaited:
            self._listener.on_stream_error(stream, reason)

    def _translate(self, event: h2_events.Event) -> None:
        """Tell the listener what an event of h2 means."""
        if isinstance(event, h2_events.WindowUpdated):
            if not event.stream_id:
                self._listener.on_window(None)
            elif event.stream_id in self._streams:
                self._listener.on_window(self._streams[event.stream_id])
            return
        if isinstance(event, h2_events.RemoteSettingsChanged):
            settings = self._h2.remote_settings
            self.limit = min(MAX_STREAMS, settings.max_concurrent_streams)
            self.allows_protocols = settings.enable_connect_protocol == 1
            changed = event.changed_settings.items()
            self._listener.on_settings(
                SettingsReceived({int(code): setting.new_value for code, setting in changed})
            )
            return
        stream = self._streams.get(getattr(event, "stream_id", 0))
        if stream is None:
            return
        if isinstance(event, h2_events.StreamReset):
            self._drop(event, stream)
        elif stream.state is not RELEASED:
            try:
                self._translate_response(event, stream)
            except MalformedResponse as exc:
                if self._ends_stream:
                    stream.transition(RECEIVE_END_STREAM)
                self._fail_stream(stream, str(exc), ErrorCode.PROTOCOL_ERROR)
        elif isinstance(event, h2_events.StreamEnded):
            stream.transition(RECEIVE_END_STREAM)
            self._drop_if_ended(stream)

    def _translate_response(self, event: h2_events.Event, stream: Stream) -> None:
        """Tell the listener what an event of h2 means for a response that somebody waits for."""
        if isinstance(event, h2_events.ResponseReceived):
            method = stream.request.method
            stream.receive_head(check_response(self._decoder.fields, method))
            self._idle_frames = 0
            self._listener.on_head(stream)
        elif isinstance(event, h2_events.InformationalResponseReceived):
            status, headers, _ = check_response(self._decoder.fields, stream.request.method)
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
        elif isinstance(event, h2_events.TrailersReceived):
            stream.trailers = check_fields(self._decoder.fields)
        elif isinstance(event, h2_events.StreamEnded):
            if stream.body_left:
                raise MalformedResponse(
                    f"Too little data for the response's Content-Length: {stream.body_left} bytes are missing."
                )
            stream.end_response()
            self._listener.on_end(stream)
        # DATA that reaches h2 is empty, and frames that would be any other event do not reach it.

    def _drop(self, event: h2_events.StreamReset, stream: Stream) -> None:
        """End a stream that the server has reset, or h2 since its window was opened too far."""
        del self._streams[stream.stream_id]
        is_awaited = stream.state is not RELEASED
        if event.remote_reset:
            stream.transition(RECEIVE_RST_STREAM)
            if is_awaited:
                self._listener.on_reset(stream, int(event.error_code or 0))
            return
        stream.transition(SEND_RST_STREAM)
        self._closed.add_reset(stream.stream_id, stream.receive_window)
        if is_awaited:
            self._listener.on_stream_error(
                stream,
                f"The server opened the window of stream {stream.stream_id} beyond 2^31 - 1 bytes "
                "(RFC 9113, section 6.9.1).",
            )

    def _receive_data(
        self, frame: bytes, flags: int, stream_id: int, stream: Stream | None
    ) -> None:
        """Process a DATA frame, except for its END_STREAM flag."""
        size = len(frame) - 9  # padding included: RFC 9113, section 6.9.1
        data = content(DATA, frame[9:], flags) if flags & PADDED else frame[9:]
        # Data counts as consumed on the connection when it arrives: the window of a stream bounds what waits in it, so
        # that a stream that nobody reads can't stop the others.
        self._window -= size
        self._unreturned += size
        if self._window < 0 or (stream is not None and stream.receive_window < size):
            raise ConnectionFault(
                f"The server sent more data than it was allowed to: {size} bytes on stream {stream_id}, "
                f"whose window is {'closed' if stream is None else f'{stream.receive_window} bytes'}, "
                f"on a connection whose window was {self._window + size} bytes.",
                ErrorCode.FLOW_CONTROL_ERROR,
            )
        if self._unreturned >= self._connection_window // 4:
            self._window += self._unreturned
            self._open_window(0, self._unreturned)
            self._unreturned = 0
        if stream is None or stream.state not in _RECEIVING:
            self._receive_unexpected(DATA, stream_id, size, stream)
            return
        stream.receive_window -= size
        if stream.state is RELEASED:
            if not flags & END_STREAM:
                self.reset(stream)
            return
        if stream.head is None:
            self._fail_stream(
                stream,
                "The server sent data before the response's head.",
                ErrorCode.PROTOCOL_ERROR,
            )
            return
        if stream.body_left is not None:
            stream.body_left -= len(data)
            if stream.body_left < 0:
                self._fail_stream(
                    stream,
                    "Too much data for the response's Content-Length.",
                    ErrorCode.PROTOCOL_ERROR,
                )
                return
        if size != len(data):
            self.consumed(stream, size - len(data))
        if data:
            self._idle_frames = max(0, self._idle_frames - IDLE_FRAMES_PER_DATA)
            stream.chunks.append(data)
            self._listener.on_data(stream)

    def _open_window(self, stream_id: int, count: int) -> None:
        self.outgoing.append(WINDOW_UPDATE_FRAME.pack(0, 4, WINDOW_UPDATE, 0, stream_id, count))

    @property
    def h2(self) -> H2Connection:
        """The h2 inside."""
        return self._h2
