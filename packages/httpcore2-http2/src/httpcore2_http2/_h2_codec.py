"""The codec over h2.

h2 keeps streams, what we may send, and the compression of what we send; nobody else knows of it. What it sees, it sees
frame by frame, so that what came before a fault is still told, and only what is right by itself (`_frames`). These go
past it:

- data, of which it sees only the end: that costs 3 µs a frame instead of 30, so what we may receive is counted here;
- the fields of responses, which are checked here, faster, and with faults kept to their stream. A field block reaches
  it as one frame without padding and priority, however it came;
- GOAWAY, after which it would refuse all that follows, though streams that the peer has taken on go on;
- what comes for streams that are closed, which it would reset again for each frame (RFC 9113, sections 5.1 and 5.4.2).

Must not know: the network, clocks, locks, connections, pools.
"""

from __future__ import annotations

from collections.abc import Iterator

import h2.events as h2_events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.exceptions import NoAvailableStreamIDError, ProtocolError, TooManyStreamsError
from h2.settings import SettingCodes, Settings

from httpcore2_core._exceptions import RemoteProtocolError

from ._closed import ClosedStreams
from ._codec import (
    IDLE_FRAMES_PER_DATA,
    MAX_HEADER_BLOCK,
    MAX_HEADER_LIST,
    MAX_IDLE_FRAMES,
    MAX_INTERIM,
    MAX_STREAMS,
    MAX_TABLE,
    DataReceived,
    Ended,
    ErrorCode,
    Event,
    GoAway,
    HeadReceived,
    Reset,
    SettingsReceived,
    StreamEvent,
    StreamFailed,
    WindowOpened,
)
from ._fields import Headers, Inspection, Malformed, body_length, check_fields
from ._frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    FRAME_HEADER,
    GOAWAY,
    HEADERS,
    MAX_FRAME,
    PADDED,
    PRIORITY,
    PRIORITY_FIELDS,
    RST_STREAM,
    RST_STREAM_FRAME,
    SETTINGS,
    WINDOW_UPDATE,
    WINDOW_UPDATE_FRAME,
    Fault,
    HeaderBlock,
    check_header,
    check_settings,
    content,
    number,
    two_numbers,
)
from ._hpack import RememberingEncoder, StatusDecoder

_NOTHING = -1
# Those that tell whether a header block is the payload of one frame.
_BLOCK_FLAGS = END_HEADERS | PADDED | PRIORITY_FIELDS


class _Message:
    """A response, from its request on until nobody asks for it any more."""

    __slots__ = (
        "has_ended",
        "has_sent_all",
        "interim",
        "is_forgotten",
        "is_open",
        "left",
        "method",
        "trailers",
        "unreturned",
        "window",
    )

    def __init__(self, method: bytes, window: int, has_sent_all: bool) -> None:
        self.method = method
        self.window = window  # what the peer may send
        self.has_ended = False
        self.has_sent_all = has_sent_all  # the request is complete
        self.is_forgotten = False  # nobody waits for it
        self.is_open = False  # its head has come
        self.interim = 0
        self.left: int | None = None  # what its Content-Length says is still to come
        self.trailers: Headers = []
        self.unreturned = 0  # taken by the receiver, and not yet told to the peer


# Fields, both ways, are checked elsewhere.
CONFIG = H2Configuration(
    client_side=True,
    header_encoding=None,
    validate_outbound_headers=False,
    normalize_outbound_headers=False,
    validate_inbound_headers=False,
    normalize_inbound_headers=False,
)


class H2Codec:
    """The HTTP/2 of one connection, as a client; see `Codec`."""

    def __init__(
        self, stream_window: int, connection_window: int, config: H2Configuration = CONFIG
    ) -> None:
        """Begin the connection: `take()` gives its preface.

        Args:
            stream_window: how many bytes a stream may hold that its receiver has not consumed.
            connection_window: how many bytes may be on their way to us; they are consumed as they come.
            config: what h2 is told.
        """
        self.limit = MAX_STREAMS
        self.allows_protocols: bool | None = None
        self._stream_window = stream_window
        self._connection_window = self._window = connection_window
        self._frames = b""  # that h2 knows nothing of, to be sent
        self._unreturned = 0  # of the connection's window, received and not yet told to the peer
        self._messages: dict[int, _Message] = {}
        self._closed = ClosedStreams()
        self._last_id = 0
        # What has come of a frame, and how many bytes there must be before it is worth a look.
        self._parts: list[bytes] = []
        self._size = 0
        self._needed = 0
        # Whose header block is being received; 0 between them, `_NOTHING` until the peer's first frame has come.
        self._block_id = _NOTHING
        self._block = HeaderBlock()
        self._idle_frames = 0
        self._check_head = Inspection()
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
        # A server's to send; some servers take offence.
        del self._h2.local_settings[SettingCodes.ENABLE_CONNECT_PROTOCOL]
        self._h2.initiate_connection()
        self._h2.decoder = self._decoder = StatusDecoder(MAX_HEADER_LIST)
        self._h2.encoder = RememberingEncoder(MAX_TABLE)
        # A header block comes to it as one frame; how long frames may be is checked before.
        self._h2.max_inbound_frame_size = MAX_HEADER_BLOCK
        if connection_window > 65535:
            self._h2.increment_flow_control_window(connection_window - 65535)

    # Sending

    def open_stream(self, pseudo: Headers, headers: Headers, end_stream: bool) -> int | None:
        h2 = self._h2
        try:
            stream_id = h2.get_next_available_stream_id()
        except NoAvailableStreamIDError:
            return None
        fields = [*pseudo, *headers]
        try:
            h2.send_headers(stream_id, fields, end_stream=end_stream)
        except TooManyStreamsError:
            # The peer counts those that it has not ended, though nobody waits for them.
            for other, message in list(self._messages.items()):
                if message.is_forgotten:
                    self.reset(other)
            h2.send_headers(stream_id, fields, end_stream=end_stream)
        self._last_id = stream_id
        self._messages[stream_id] = _Message(pseudo[0][1], self._stream_window, end_stream)
        # The peer may tell of it, however it ends: if all requests of an hour are given up, that is no flood.
        self._idle_frames = max(0, self._idle_frames - IDLE_FRAMES_PER_DATA)
        return stream_id

    def window(self, stream_id: int) -> int:
        return self._h2.local_flow_control_window(stream_id)

    def send_data(self, stream_id: int, data: bytes | memoryview, end_stream: bool) -> None:
        h2 = self._h2
        size = h2.max_outbound_frame_size
        start = 0
        while len(data) - start > size:
            h2.send_data(stream_id, data[start : start + size])
            start += size
        h2.send_data(stream_id, data[start:] if start else data, end_stream)
        if end_stream:
            self._messages[stream_id].has_sent_all = True
        self._idle_frames = 0  # the peer may now tell of its windows again

    def reset(self, stream_id: int, code: ErrorCode = ErrorCode.CANCEL) -> None:
        message = self._messages.pop(stream_id, None)
        if message is None:
            return  # it was reset before, by whomever
        if message.has_ended and message.has_sent_all:
            self._closed.note_end(stream_id)
            return
        try:
            self._h2.reset_stream(stream_id, code)
        except ProtocolError:
            return  # the connection is closed
        self._closed.note_reset(stream_id, message.window)

    def forget(self, stream_id: int) -> None:
        message = self._messages.get(stream_id)
        if message is not None:
            message.is_forgotten = True
            if message.has_ended:
                del self._messages[stream_id]
                self._closed.note_end(stream_id)

    def ping(self) -> None:
        self._h2.ping(b"httpcor2")

    def take(self) -> bytes:
        data = self._h2.data_to_send()
        if self._frames:
            data += self._frames
            self._frames = b""
        return data

    # Receiving

    def consumed(self, stream_id: int, count: int) -> None:
        message = self._messages.get(stream_id)
        if message is not None and not message.has_ended:
            message.unreturned += count
            if message.unreturned >= self._stream_window // 2:
                message.window += message.unreturned
                self._open_window(stream_id, message.unreturned)
                message.unreturned = 0

    def receive(self, data: bytes) -> Iterator[Event]:
        if self._parts:
            # Joined once it is worth it, however small the parts are.
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
                high, low, kind, flags, stream_id = FRAME_HEADER.unpack_from(data, position)
                stream_id &= 0x7FFFFFFF
                length = high << 16 | low
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
                # Bound what costs the peer little (RFC 9113, section 10.5).
                self._idle_frames += 1
                if self._idle_frames > MAX_IDLE_FRAMES:
                    raise Fault(
                        "The server sent too many frames that belong to no response.",
                        ErrorCode.ENHANCE_YOUR_CALM,
                    )
                message = self._messages.get(stream_id)
                if kind == DATA:
                    event = self._receive_data(frame, flags, stream_id, message)
                    if event is not None:
                        yield event
                    if not flags & END_STREAM or stream_id not in self._messages:
                        continue
                    frame = FRAME_HEADER.pack(0, 0, DATA, END_STREAM, stream_id)
                elif kind in (HEADERS, CONTINUATION):
                    if flags & _BLOCK_FLAGS != END_HEADERS or kind == CONTINUATION:
                        block = self._block.add(frame, kind, flags)
                        if block is None:
                            self._block_id = stream_id
                            continue
                        self._block_id = 0
                        frame = block
                    if message is None or message.has_ended:
                        self._decoder.decode(frame[9:], raw=True)  # the tables must agree
                        event = self._receive_closed(HEADERS, stream_id, 0, message)
                        if event is not None:
                            yield event
                        continue
                elif kind == GOAWAY:
                    yield GoAway(*two_numbers(frame[9:]), frame[17:])
                    continue
                elif kind == PRIORITY or kind > CONTINUATION:
                    continue
                elif kind == SETTINGS:
                    check_settings(frame[9:])
                elif stream_id and message is None:
                    continue  # a WINDOW_UPDATE or RST_STREAM that our end of the stream has crossed
                elif kind == WINDOW_UPDATE:
                    increment = number(frame[9:]) & 0x7FFFFFFF
                    if not increment:
                        event = self._receive_no_increment(stream_id, message)
                        if event is not None:
                            yield event
                        continue
                    frame = WINDOW_UPDATE_FRAME.pack(0, 4, WINDOW_UPDATE, 0, stream_id, increment)
                for translated in self._h2.receive_data(frame):
                    yield from self._translate(translated)
        except Fault as exc:
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
        """Refuse a frame by its header, before its payload has come: any but a response's that is in order."""
        if self._block_id == _NOTHING:
            if data.startswith(b"HTTP/1."):
                raise Fault("The server answered in HTTP/1, where HTTP/2 was agreed on.")
            if kind != SETTINGS or flags & ACK:
                raise Fault("The server began with something else than its settings.")
            self._block_id = 0
        if length > MAX_FRAME:
            raise Fault(
                f"The server sent a frame of {length} bytes; at most {MAX_FRAME} are allowed.",
                ErrorCode.FRAME_SIZE_ERROR,
            )
        if (self._block_id or kind == CONTINUATION) and (
            kind != CONTINUATION or stream_id != self._block_id
        ):
            raise Fault("The server sent the frames of a header block out of order.")
        if kind <= CONTINUATION:
            check_header(kind, length, flags, stream_id, self._last_id)

    def _receive_closed(
        self, kind: int, stream_id: int, size: int, message: _Message | None
    ) -> StreamEvent | None:
        """Deal with a frame that belongs to a response, on a stream where none is to come (RFC 9113, section 5.1)."""
        name = "DATA" if kind == DATA else "HEADERS"
        reason = f"The server sent {name} on stream {stream_id} after the response's end."
        if message is not None:
            if message.has_sent_all:
                raise Fault(reason, ErrorCode.STREAM_CLOSED)
            self.reset(stream_id, ErrorCode.STREAM_CLOSED)
            return StreamFailed(stream_id, reason)
        if self._closed.was_reset(stream_id):
            # It was on its way already. What the peer had leave to send is no flood.
            if self._closed.had_leave(stream_id, size):
                self._idle_frames -= 1
        elif self._closed.has_ended(stream_id):
            raise Fault(reason, ErrorCode.STREAM_CLOSED)
        else:
            self._closed.note_reset(stream_id, 0)
            self._frames += RST_STREAM_FRAME.pack(
                0, 4, RST_STREAM, 0, stream_id, ErrorCode.STREAM_CLOSED
            )
        return None

    def _receive_no_increment(self, stream_id: int, message: _Message | None) -> StreamEvent | None:
        """Deal with a window that is to be opened by nothing (RFC 9113, section 6.9)."""
        reason = f"The server opened the window of stream {stream_id} by 0 bytes."
        if message is None:
            raise Fault(reason)
        if message.has_ended and message.has_sent_all:
            return None  # the stream is closed
        self.reset(stream_id, ErrorCode.PROTOCOL_ERROR)
        return None if message.is_forgotten else StreamFailed(stream_id, reason)

    def _translate(self, event: h2_events.Event) -> Iterator[Event]:
        if isinstance(event, h2_events.WindowUpdated):
            yield WindowOpened(event.stream_id)
            return
        if isinstance(event, h2_events.RemoteSettingsChanged):
            settings = self._h2.remote_settings
            self.limit = min(MAX_STREAMS, settings.max_concurrent_streams)
            self.allows_protocols = settings.enable_connect_protocol == 1
            yield SettingsReceived(
                {int(code): setting.new_value for code, setting in event.changed_settings.items()}
            )
            return
        stream_id = getattr(event, "stream_id", 0)
        message = self._messages.get(stream_id)
        if message is None:
            return
        if message.is_forgotten:
            if isinstance(event, h2_events.StreamEnded):
                message.has_ended = True
                self.forget(stream_id)
            elif isinstance(event, h2_events.StreamReset):
                self._drop(event, message, stream_id)
            return
        translated: StreamEvent | None
        try:
            translated = self._translate_message(event, message, stream_id)
        except Malformed as exc:
            self.reset(stream_id, ErrorCode.PROTOCOL_ERROR)
            translated = StreamFailed(stream_id, str(exc))
        if translated is not None:
            yield translated

    def _translate_message(
        self, event: h2_events.Event, message: _Message, stream_id: int
    ) -> StreamEvent | None:
        """Tell what an event means for the response that its stream carries."""
        if isinstance(event, h2_events.DataReceived):
            return None  # there is none in it
        if isinstance(event, h2_events.ResponseReceived):
            status, headers = self._check_head(self._decoder.fields)
            message.is_open = True
            message.left = body_length(status, headers, message.method)
            self._idle_frames = 0
            return HeadReceived(stream_id, status, headers)
        if isinstance(event, h2_events.InformationalResponseReceived):
            status, _ = self._check_head(self._decoder.fields)
            if status == 101:
                raise Malformed("The server switched protocols, which HTTP/2 can't.")
            message.interim += 1
            if message.interim > MAX_INTERIM:
                raise Malformed("The server sent too many interim responses.")
            return None
        if isinstance(event, h2_events.TrailersReceived):
            message.trailers = check_fields(self._decoder.fields)
            return None
        if isinstance(event, h2_events.StreamEnded):
            if message.left:
                raise Malformed("Too little data for the response's Content-Length")
            message.has_ended = True
            return Ended(stream_id, message.trailers)
        if isinstance(event, h2_events.StreamReset):
            return self._drop(event, message, stream_id)
        return None  # of all the others h2 is shown nothing that they could come from

    def _drop(self, event: h2_events.StreamReset, message: _Message, stream_id: int) -> StreamEvent:
        """The stream was reset, by the peer, or by h2 since its window was opened too far."""
        del self._messages[stream_id]
        if event.remote_reset:
            return Reset(stream_id, int(event.error_code or 0))
        self._closed.note_reset(stream_id, message.window)
        return StreamFailed(stream_id, "The server opened the stream's window too far.")

    def _receive_data(
        self, frame: bytes, flags: int, stream_id: int, message: _Message | None
    ) -> StreamEvent | None:
        """Take in a data frame, and return what it means, its end apart."""
        size = len(frame) - 9  # padding included: RFC 9113, section 6.9.1
        data = content(DATA, frame[9:], flags) if flags & PADDED else frame[9:]
        # The connection's window is given back as data comes: a stream's own window bounds what waits in it, and
        # one that isn't read can't stop the others.
        self._window -= size
        self._unreturned += size
        if self._window < 0 or (message is not None and message.window < size):
            raise Fault(
                "The server sent more data than it was allowed to.", ErrorCode.FLOW_CONTROL_ERROR
            )
        if self._unreturned >= self._connection_window // 4:
            self._window += self._unreturned
            self._open_window(0, self._unreturned)
            self._unreturned = 0
        if message is None or message.has_ended:
            return self._receive_closed(DATA, stream_id, size, message)
        message.window -= size
        if message.is_forgotten:
            if not flags & END_STREAM:
                self.reset(stream_id)
            return None
        if not message.is_open:
            self.reset(stream_id, ErrorCode.PROTOCOL_ERROR)
            return StreamFailed(stream_id, "The server sent data before the response's head.")
        if message.left is not None:
            message.left -= len(data)
            if message.left < 0:
                self.reset(stream_id, ErrorCode.PROTOCOL_ERROR)
                return StreamFailed(stream_id, "Too much data for the response's Content-Length")
        if size != len(data):
            self.consumed(stream_id, size - len(data))
        if not data:
            return None
        self._idle_frames = max(0, self._idle_frames - IDLE_FRAMES_PER_DATA)
        return DataReceived(stream_id, data)

    def _open_window(self, stream_id: int, count: int) -> None:
        self._frames += WINDOW_UPDATE_FRAME.pack(0, 4, WINDOW_UPDATE, 0, stream_id, count)
