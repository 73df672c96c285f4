"""The codec over h2.

h2 keeps streams, what we may send, and the compression of what we send; nobody else knows of it. What it sees, it sees
frame by frame, so that what came before a fault is still told. Three things go past it:

- data, of which it sees only the end: that costs 3 µs a frame instead of 30, so what we may receive is counted here;
- the fields of responses, which are checked here, faster, and with faults kept to their stream;
- GOAWAY, after which it would refuse all that follows, though streams that the peer has taken on go on.

Must not know: the network, clocks, locks, connections, pools.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from struct import Struct

import h2.events as h2_events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.exceptions import NoAvailableStreamIDError, ProtocolError, TooManyStreamsError
from h2.settings import SettingCodes, Settings
from hpack import HeaderTuple

from httpcore2_core._exceptions import RemoteProtocolError

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
from ._hpack import RememberingDecoder, RememberingEncoder

_DATA, _HEADERS, _PRIORITY, _RST_STREAM, _SETTINGS = range(5)
_GOAWAY, _WINDOW_UPDATE, _CONTINUATION = range(7, 10)
_ON_A_STREAM = frozenset((_DATA, _HEADERS, _RST_STREAM, _WINDOW_UPDATE, _CONTINUATION))
_ACK = _END_STREAM = 0x1
_END_HEADERS, _PADDED = 0x4, 0x8
_HEADER = Struct(">BHBBL")
_GOAWAY_PAYLOAD = Struct(">LL")
_WINDOW_UPDATE_FRAME = Struct(">BHBBLL")
_MAX_FRAME = 16 * 1024


class _Fault(Exception):
    """The connection can't go on; `code` is what the peer is told."""

    def __init__(self, reason: str, code: ErrorCode = ErrorCode.PROTOCOL_ERROR) -> None:
        super().__init__(reason)
        self.code = code


class _Message:
    """A response, from its request on until nobody asks for it any more."""

    __slots__ = (
        "has_ended",
        "interim",
        "is_forgotten",
        "is_open",
        "left",
        "method",
        "trailers",
        "unreturned",
        "window",
    )

    def __init__(self, method: bytes, window: int) -> None:
        self.method = method
        self.window = window  # what the peer may send
        self.has_ended = False
        self.is_forgotten = False  # nobody waits for it
        self.is_open = False  # its head has come
        self.interim = 0
        self.left: int | None = None  # what its Content-Length says is still to come
        self.trailers: Headers = []
        self.unreturned = 0  # taken by the receiver, and not yet told to the peer


class _Decoder(RememberingDecoder):
    """Shows h2 no more of a header block than it must know: whether it begins with a status, and which.

    h2 would check a Content-Length, against that of a 304, too, and let the connection pay for one that is wrong.

    Attributes:
        fields: what the last block stood for.
    """

    def __init__(self) -> None:
        super().__init__(MAX_HEADER_LIST)
        self.fields: Sequence[tuple[bytes, bytes]] = ()

    def decode(self, data: bytes, raw: bool = False) -> list[HeaderTuple]:
        self.fields = fields = super().decode(data, raw)
        return fields[:1] if fields and fields[0][0][:1] == b":" else []


class H2Codec:
    """The HTTP/2 of one connection, as a client; see `Codec`."""

    # Fields, both ways, are checked elsewhere.
    CONFIG = H2Configuration(
        client_side=True,
        header_encoding=None,
        validate_outbound_headers=False,
        normalize_outbound_headers=False,
        validate_inbound_headers=False,
        normalize_inbound_headers=False,
    )

    def __init__(self, stream_window: int, connection_window: int) -> None:
        """Begin the connection: `take()` gives its preface.

        Args:
            stream_window: how many bytes a stream may hold that its receiver has not consumed.
            connection_window: how many bytes may be on their way to us; they are consumed as they come.
        """
        self.limit = MAX_STREAMS
        self.allows_protocols: bool | None = None
        self._stream_window = stream_window
        self._connection_window = self._window = connection_window
        self._updates = b""  # of windows, to be sent
        self._unreturned = 0  # of the connection's window, received and not yet told to the peer
        self._messages: dict[int, _Message] = {}
        self._last_id = 0
        self._data = b""
        self._has_begun = False  # the peer's first frame has come
        self._block_id = 0  # whose header block is being received
        self._block_size = 0
        self._idle_frames = 0
        self._check_head = Inspection()
        self._h2 = H2Connection(self.CONFIG)
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
        self._h2.decoder = self._decoder = _Decoder()
        self._h2.encoder = RememberingEncoder(MAX_TABLE)
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
            for number, message in list(self._messages.items()):
                if message.is_forgotten:
                    self.reset(number)
            h2.send_headers(stream_id, fields, end_stream=end_stream)
        self._last_id = stream_id
        self._messages[stream_id] = _Message(pseudo[0][1], self._stream_window)
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
        self._idle_frames = 0  # the peer may now tell of its windows again

    def reset(self, stream_id: int, code: ErrorCode = ErrorCode.CANCEL) -> None:
        self._messages.pop(stream_id, None)
        try:
            self._h2.reset_stream(stream_id, code)
        except ProtocolError:
            pass  # it is closed on both sides, or the connection is

    def forget(self, stream_id: int) -> None:
        message = self._messages.get(stream_id)
        if message is not None:
            message.is_forgotten = True
            if message.has_ended:
                del self._messages[stream_id]

    def ping(self) -> None:
        self._h2.ping(b"httpcor2")

    def take(self) -> bytes:
        data = self._h2.data_to_send()
        if self._updates:
            data += self._updates
            self._updates = b""
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
        if self._data:
            data = self._data + data
        position = 0
        try:
            while len(data) - position >= 9:
                high, low, kind, flags, stream_id = _HEADER.unpack_from(data, position)
                stream_id &= 0x7FFFFFFF
                length = high << 16 | low
                self._check_frame(length, kind, flags, stream_id, data)
                end = position + 9 + length
                if end > len(data):
                    break
                frame = data[position:end]
                position = end
                self._count(length, kind, flags, stream_id)
                if kind == _DATA:
                    message = self._messages.get(stream_id)
                    if message is not None and (message.has_ended or message.is_forgotten):
                        message = None
                    piece = self._receive_data(frame, flags, stream_id, message)
                    if piece is not None:
                        yield piece
                    if message is not None and not flags & _END_STREAM:
                        continue
                    # The end, or data that nobody waits for: h2 knows whether that is a fault.
                    frame = _HEADER.pack(0, 0, _DATA, flags & _END_STREAM, stream_id)
                if kind == _GOAWAY:
                    # h2 would refuse all that follows, but streams that the peer has taken on go on.
                    yield self._going_away(frame, stream_id)
                elif kind != _PRIORITY and kind <= _CONTINUATION:
                    for event in self._h2.receive_data(frame):
                        yield from self._translate(event)
        except _Fault as exc:
            self._h2.close_connection(exc.code)
            raise RemoteProtocolError(str(exc)) from None
        except ProtocolError as exc:
            raise RemoteProtocolError(str(exc) or type(exc).__name__) from exc
        finally:
            self._data = data[position:]

    def _check_frame(self, length: int, kind: int, flags: int, stream_id: int, data: bytes) -> None:
        """Refuse a frame by its header, before its payload has come."""
        if not self._has_begun:
            if data.startswith(b"HTTP/1."):
                raise _Fault("The server answered in HTTP/1, where HTTP/2 was agreed on.")
            if kind != _SETTINGS or flags & _ACK:
                raise _Fault("The server began with something else than its settings.")
            self._has_begun = True
        if length > _MAX_FRAME:
            raise _Fault(f"The server sent a frame of {length} bytes.", ErrorCode.FRAME_SIZE_ERROR)
        if kind in _ON_A_STREAM and (
            stream_id > self._last_id or (not stream_id & 1 and stream_id)
        ):
            raise _Fault(f"The server sent a frame for stream {stream_id}, which is not open.")
        if (kind == _CONTINUATION) is not bool(self._block_id) or (
            kind == _CONTINUATION and stream_id != self._block_id
        ):
            raise _Fault("The server sent the frames of a header block out of order.")

    def _count(self, length: int, kind: int, flags: int, stream_id: int) -> None:
        """Bound what costs the peer little (RFC 9113, section 10.5)."""
        self._idle_frames += 1
        if self._idle_frames > MAX_IDLE_FRAMES:
            raise _Fault(
                "The server sent too many frames that belong to no response.",
                ErrorCode.ENHANCE_YOUR_CALM,
            )
        if kind in (_HEADERS, _CONTINUATION):
            self._block_size += length
            if self._block_size > MAX_HEADER_BLOCK:
                raise _Fault(
                    "The server sent a header block that is too long.", ErrorCode.ENHANCE_YOUR_CALM
                )
            if flags & _END_HEADERS:
                self._block_id = self._block_size = 0
            else:
                self._block_id = stream_id

    def _going_away(self, frame: bytes, stream_id: int) -> GoAway:
        if len(frame) < 17 or stream_id:
            raise _Fault("The server sent a GOAWAY that is none.", ErrorCode.FRAME_SIZE_ERROR)
        last_stream_id, code = _GOAWAY_PAYLOAD.unpack_from(frame, 9)
        return GoAway(last_stream_id & 0x7FFFFFFF, code, frame[17:])

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
            if isinstance(event, (h2_events.StreamEnded, h2_events.StreamReset)):
                del self._messages[stream_id]
            elif isinstance(event, h2_events.DataReceived) and event.stream_ended is None:
                self.reset(stream_id)
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
        assert isinstance(event, h2_events.StreamReset), f"{event} should concern no stream"
        del self._messages[stream_id]
        if event.remote_reset:
            return Reset(stream_id, int(event.error_code))
        return StreamFailed(stream_id, "The server opened the stream's window too far.")

    def _receive_data(
        self, frame: bytes, flags: int, stream_id: int, message: _Message | None
    ) -> StreamEvent | None:
        """Take in a data frame, and return what it means, its end apart."""
        size = len(frame) - 9  # padding included: RFC 9113, section 6.9.1
        data = frame[9:]
        if flags & _PADDED:
            if not data or data[0] >= size:
                raise _Fault("The server sent more padding than there is room for.")
            data = data[1 : size - data[0]]
        # The connection's window is given back as data comes: a stream's own window bounds what waits in it, and
        # one that isn't read can't stop the others.
        self._window -= size
        self._unreturned += size
        if self._window < 0 or (message is not None and message.window < size):
            raise _Fault(
                "The server sent more data than it was allowed to.", ErrorCode.FLOW_CONTROL_ERROR
            )
        if self._unreturned >= self._connection_window // 4:
            self._window += self._unreturned
            self._open_window(0, self._unreturned)
            self._unreturned = 0
        if message is None:
            return None
        if not message.is_open:
            self.reset(stream_id, ErrorCode.PROTOCOL_ERROR)
            return StreamFailed(stream_id, "The server sent data before the response's head.")
        message.window -= size
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
        self._updates += _WINDOW_UPDATE_FRAME.pack(0, 4, _WINDOW_UPDATE, 0, stream_id, count)
