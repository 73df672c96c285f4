"""HTTP/2 as an object without I/O: what is to be sent -> bytes; bytes -> what was received.

One `Codec` serves one connection, as a client (RFC 9113):

    stream_id = codec.open_stream(...)      then window(), send_data(...); reset(...) gives it up
    for event in codec.receive(data):       whatever was read
    codec.consumed(...)                     the receiver has taken so much from a stream
    codec.take()                            what is to be written, after any of these

Rules: h2 keeps streams, what we may send, and header compression, and is known to nobody else: another codec could
take its place. What it sees, it sees frame by frame, so that what came before a fault is still told. Data it
doesn't see at all, only its end: that costs 3 µs a frame instead of 30, so what we may receive is counted here.
A fault of the peer raises `RemoteProtocolError` if it is the connection's, and is a `StreamFailed` if it is one
stream's alone; a fault of the caller raises `LocalProtocolError`. What costs the peer little and us time or memory
is counted.

Must not know: the network, clocks, locks, connections, pools.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from struct import Struct
from typing import Any, NamedTuple

import h2.events as h2_events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.exceptions import NoAvailableStreamIDError, ProtocolError
from h2.settings import SettingCodes, Settings
from hpack import Decoder, NeverIndexedHeaderTuple
from hpack.table import HeaderTable

from httpcore2_core._exceptions import LocalProtocolError, RemoteProtocolError

Headers = list[tuple[bytes, bytes]]

MAX_STREAMS = 100
"""Requests at a time, if the peer allows as many. It is also what is hoped for until the peer has said."""

MAX_HEADER_LIST = 100 * 1024
"""Bytes of a response's fields, as RFC 9113, section 6.5.2, counts them."""

MAX_HEADER_BLOCK = 256 * 1024
"""Bytes of the same, compressed: they are collected until the last frame."""

MAX_IDLE_FRAMES = 10_000
"""Frames in a row that bring no response any further: pings, settings, empty data and their like."""

MAX_INTERIM = 100
"""Interim responses before a final one, as for HTTP/1.1."""

_DATA, _HEADERS, _PRIORITY, _RST_STREAM, _SETTINGS = range(5)
_GOAWAY, _WINDOW_UPDATE, _CONTINUATION = range(7, 10)
_ON_A_STREAM = frozenset((_DATA, _HEADERS, _RST_STREAM, _WINDOW_UPDATE, _CONTINUATION))
_ACK = _END_STREAM = 0x1
_END_HEADERS, _PADDED = 0x4, 0x8
_HEADER = Struct(">BHBBL")
_GOAWAY_PAYLOAD = Struct(">LL")
_WINDOW_UPDATE_FRAME = Struct(">BHBBLL")
_MAX_FRAME = 16 * 1024

_is_token = re.compile(rb"[-!#$%&'*+.^_`|~0-9A-Za-z]++").fullmatch
_is_target = re.compile(rb"[\x21-\x7e]++").fullmatch
_is_value = re.compile(
    rb"(?:[\x21-\x7e\x80-\xff]++(?:[ \t]++[\x21-\x7e\x80-\xff]++)*+)?+"
).fullmatch
_is_received_name = re.compile(rb"[\x21-\x39\x3b-\x40\x5b-\x7e]++").fullmatch
_finds_illegal = re.compile(rb"[\0\r\n]").search
_is_status = re.compile(rb"[1-9][0-9][0-9]").fullmatch
_is_length = re.compile(rb"[0-9]{1,19}").fullmatch

# RFC 9113, section 8.2.2: these are HTTP/1.1's own.
_CONNECTION_FIELDS = frozenset(
    (b"connection", b"host", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade")
)
_SIZE_UPDATES = frozenset(bytes([code]) for code in range(0x20, 0x40))
_SECRETS = frozenset((b"authorization", b"proxy-authorization"))
# Shorter ones could be guessed byte by byte from the size of compressed headers (RFC 7541, section 7.1.3).
_SHORT_COOKIE = 20


class HeadReceived(NamedTuple):
    """A final response's head."""

    stream_id: int
    status: int
    headers: Headers


class DataReceived(NamedTuple):
    """A piece of a body, never empty. `consumed()` gives the peer leave to send as much again."""

    stream_id: int
    data: bytes


class Ended(NamedTuple):
    """A response is complete."""

    stream_id: int
    trailers: Headers


class Reset(NamedTuple):
    """The peer has given the stream up."""

    stream_id: int
    code: int


class StreamFailed(NamedTuple):
    """What came on the stream breaks the rules; it was reset."""

    stream_id: int
    reason: str


class WindowOpened(NamedTuple):
    """There may be room to send on the stream now; on any, if it is 0."""

    stream_id: int


class SettingsReceived(NamedTuple):
    """The peer has changed its settings; `limit` is up to date."""

    changed: dict[int, int]


class GoAway(NamedTuple):
    """The peer takes no new streams, and has not processed those above `last_stream_id`."""

    last_stream_id: int
    code: int
    debug_data: bytes


StreamEvent = HeadReceived | DataReceived | Ended | Reset | StreamFailed
Event = StreamEvent | WindowOpened | SettingsReceived | GoAway


def name_code(code: int) -> str:
    """Return what RFC 9113, section 7, calls an error code."""
    try:
        return ErrorCodes(code).name
    except ValueError:
        return f"error {code:#x}"


REFUSED_STREAM = int(ErrorCodes.REFUSED_STREAM)
NO_ERROR = int(ErrorCodes.NO_ERROR)


class _Fault(Exception):
    """The connection can't go on; `code` is what the peer is told."""

    def __init__(self, reason: str, code: ErrorCodes = ErrorCodes.PROTOCOL_ERROR) -> None:
        super().__init__(reason)
        self.code = code


class _Malformed(Exception):
    """A response breaks the rules of HTTP: its stream can't go on (RFC 9113, section 8.1.1)."""


class _Message:
    """A response that is being received."""

    __slots__ = ("interim", "is_head", "is_open", "left", "trailers", "unreturned", "window")

    def __init__(self, is_head: bool, window: int) -> None:
        self.is_head = is_head
        self.window = window  # what the peer may send
        self.is_open = False  # its head has come
        self.interim = 0
        self.left: int | None = None  # what its Content-Length says is still to come
        self.trailers: Headers = []
        self.unreturned = 0  # taken by the receiver, and not yet told to the peer


def prepare_headers(headers: Headers) -> tuple[bytes | None, int | None, Headers]:
    """Return the fields as HTTP/2 sends them, with Host, which becomes `:authority`, and Content-Length apart.

    Raises:
        LocalProtocolError: a field can't be sent.
    """
    authority: bytes | None = None
    length: int | None = None
    prepared: Headers = []
    dropped = _CONNECTION_FIELDS
    for name, value in headers:
        lowered = name.lower()
        if lowered == b"connection":
            named = (element.strip() for element in value.lower().split(b","))
            # What nobody would name there, and requests can't do without.
            dropped = dropped.union(named) - {b"content-length"}
    for name, value in headers:
        if _is_token(name) is None:
            raise LocalProtocolError(f"Illegal header name {name!r}")
        if _is_value(value) is None:
            raise LocalProtocolError(f"Illegal header value {value!r}")
        lowered = name.lower()
        if lowered == b"host":
            if authority is not None:
                raise LocalProtocolError("Found multiple Host: headers")
            authority = value
        elif lowered in dropped or (lowered == b"te" and value.lower() != b"trailers"):
            continue
        elif lowered in _SECRETS or (lowered == b"cookie" and len(value) < _SHORT_COOKIE):
            prepared.append(NeverIndexedHeaderTuple(lowered, value))
        else:
            if lowered == b"content-length":
                if _is_length(value) is None or length is not None:
                    raise LocalProtocolError("bad Content-Length")
                length = int(value)
            prepared.append((lowered, value))
    return authority, length, prepared


class Codec:
    """The HTTP/2 of one connection, as a client.

    Attributes:
        limit: how many streams may be open at a time.
    """

    def __init__(self, stream_window: int, connection_window: int) -> None:
        """Begin the connection: `take()` gives its preface.

        Args:
            stream_window: how many bytes a stream may hold that its receiver has not consumed.
            connection_window: how many bytes may be on their way to us; they are consumed as they come.
        """
        self.limit = MAX_STREAMS
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
        self._fields: tuple[Headers, tuple[bytes | None, int | None, Headers]] | None = None
        # The headers, both ways, are checked here, faster, and with a response's faults kept to its stream.
        self._h2 = H2Connection(
            H2Configuration(
                client_side=True,
                header_encoding=None,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
                validate_inbound_headers=False,
                normalize_inbound_headers=False,
            )
        )
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
        self._h2.decoder = _Decoder()
        self._h2.decoder.max_header_list_size = MAX_HEADER_LIST
        if connection_window > 65535:
            self._h2.increment_flow_control_window(connection_window - 65535)

    # Sending

    def prepare(self, headers: Headers) -> tuple[bytes | None, int | None, Headers]:
        """As `prepare_headers`; made once for requests that are alike."""
        fields = self._fields
        if fields is None or fields[0] != headers:
            fields = self._fields = (headers.copy(), prepare_headers(headers))
        return fields[1]

    def open_stream(self, pseudo: Headers, headers: Headers, end_stream: bool) -> int | None:
        """Send a request's head and return its stream; `None` if there are no identifiers left.

        Args:
            pseudo: `:method` and its likes.
            headers: the other fields, prepared.
            end_stream: whether no body follows.

        Raises:
            LocalProtocolError: the method or the target can't be sent.
        """
        for name, value in pseudo:
            check = _is_token if name == b":method" else _is_target
            if check(value) is None:
                raise LocalProtocolError(f"Illegal value {value!r} for {name.decode()}")
        h2 = self._h2
        try:
            stream_id = h2.get_next_available_stream_id()
        except NoAvailableStreamIDError:
            return None
        h2.send_headers(stream_id, [*pseudo, *headers], end_stream=end_stream)
        # h2 takes the Content-Length of a 304 for its own, and lets the connection pay for one that is wrong.
        setattr(h2.streams[stream_id], "_initialize_content_length", _do_nothing)  # noqa: B010
        self._last_id = stream_id
        self._messages[stream_id] = _Message(pseudo[0][1] == b"HEAD", self._stream_window)
        return stream_id

    def window(self, stream_id: int) -> int:
        """Return how many bytes can be sent on the stream now; less than 1: wait for `WindowOpened`."""
        return self._h2.local_flow_control_window(stream_id)

    def send_data(self, stream_id: int, data: bytes | memoryview, end_stream: bool) -> None:
        """Send part of a body that is no longer than the window."""
        h2 = self._h2
        size = h2.max_outbound_frame_size
        start = 0
        while len(data) - start > size:
            h2.send_data(stream_id, data[start : start + size])
            start += size
        h2.send_data(stream_id, data[start:] if start else data, end_stream)
        self._idle_frames = 0  # the peer may now tell of its windows again

    def reset(self, stream_id: int, code: ErrorCodes = ErrorCodes.CANCEL) -> None:
        """Give the stream up."""
        self.forget(stream_id)
        try:
            self._h2.reset_stream(stream_id, code)
        except ProtocolError:
            pass  # it is closed on both sides, or the connection is

    def forget(self, stream_id: int) -> None:
        """Nobody waits for the stream any more: what still comes for it is dropped."""
        self._messages.pop(stream_id, None)

    def take(self) -> bytes:
        """Return the bytes to send."""
        data = self._h2.data_to_send()
        if self._updates:
            data += self._updates
            self._updates = b""
        return data

    # Receiving

    def consumed(self, stream_id: int, count: int) -> None:
        """The receiver has taken `count` bytes of the stream's data: the peer may send as many."""
        message = self._messages.get(stream_id)
        if message is not None:
            message.unreturned += count
            if message.unreturned >= self._stream_window // 2:
                message.window += message.unreturned
                self._open_window(stream_id, message.unreturned)
                message.unreturned = 0

    def receive(self, data: bytes) -> Iterator[Event]:
        """Take in what was read, and tell what it means. To be iterated to its end.

        Raises:
            RemoteProtocolError: the connection can't go on; `take()` has a GOAWAY that says why.
        """
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
            raise _Fault(f"The server sent a frame of {length} bytes.", ErrorCodes.FRAME_SIZE_ERROR)
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
                ErrorCodes.ENHANCE_YOUR_CALM,
            )
        if kind in (_HEADERS, _CONTINUATION):
            self._block_size += length
            if self._block_size > MAX_HEADER_BLOCK:
                raise _Fault(
                    "The server sent a header block that is too long.", ErrorCodes.ENHANCE_YOUR_CALM
                )
            if flags & _END_HEADERS:
                self._block_id = self._block_size = 0
            else:
                self._block_id = stream_id

    def _going_away(self, frame: bytes, stream_id: int) -> GoAway:
        if len(frame) < 17 or stream_id:
            raise _Fault("The server sent a GOAWAY that is none.", ErrorCodes.FRAME_SIZE_ERROR)
        last_stream_id, code = _GOAWAY_PAYLOAD.unpack_from(frame, 9)
        return GoAway(last_stream_id & 0x7FFFFFFF, code, frame[17:])

    def _translate(self, event: h2_events.Event) -> Iterator[Event]:
        if isinstance(event, h2_events.WindowUpdated):
            yield WindowOpened(event.stream_id)
            return
        if isinstance(event, h2_events.RemoteSettingsChanged):
            settings = self._h2.remote_settings
            self.limit = min(MAX_STREAMS, settings.max_concurrent_streams)
            yield SettingsReceived(
                {int(code): setting.new_value for code, setting in event.changed_settings.items()}
            )
            return
        stream_id = getattr(event, "stream_id", 0)
        message = self._messages.get(stream_id)
        if message is None:
            return
        translated: StreamEvent | None
        try:
            translated = self._translate_message(event, message, stream_id)
        except _Malformed as exc:
            self.reset(stream_id, ErrorCodes.PROTOCOL_ERROR)
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
            status, headers = _check_head(event.headers)
            message.is_open = True
            message.left = _body_length(status, headers, message.is_head)
            self._idle_frames = 0
            return HeadReceived(stream_id, status, headers)
        if isinstance(event, h2_events.InformationalResponseReceived):
            status, _ = _check_head(event.headers)
            if status == 101:
                raise _Malformed("The server switched protocols, which HTTP/2 can't.")
            message.interim += 1
            if message.interim > MAX_INTERIM:
                raise _Malformed("The server sent too many interim responses.")
            return None
        if isinstance(event, h2_events.TrailersReceived):
            message.trailers = _check_fields(event.headers)
            return None
        if isinstance(event, h2_events.StreamEnded):
            if message.left:
                raise _Malformed("Too little data for the response's Content-Length")
            self.forget(stream_id)
            return Ended(stream_id, message.trailers)
        assert isinstance(event, h2_events.StreamReset), f"{event} should concern no stream"
        self.forget(stream_id)
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
                "The server sent more data than it was allowed to.", ErrorCodes.FLOW_CONTROL_ERROR
            )
        if self._unreturned >= self._connection_window // 4:
            self._window += self._unreturned
            self._open_window(0, self._unreturned)
            self._unreturned = 0
        if message is None:
            return None
        if not message.is_open:
            raise _Fault("The server sent data before the response's head.")
        message.window -= size
        if message.left is not None:
            message.left -= len(data)
            if message.left < 0:
                self.reset(stream_id, ErrorCodes.PROTOCOL_ERROR)
                return StreamFailed(stream_id, "Too much data for the response's Content-Length")
        if size != len(data):
            self.consumed(stream_id, size - len(data))
        if not data:
            return None
        self._idle_frames = 0
        return DataReceived(stream_id, data)

    def _open_window(self, stream_id: int, count: int) -> None:
        self._updates += _WINDOW_UPDATE_FRAME.pack(0, 4, _WINDOW_UPDATE, 0, stream_id, count)


class _Table(HeaderTable):
    """A header table that tells when it changes."""

    def __init__(self) -> None:
        super().__init__()
        self.has_changed = False

    def add(self, name: bytes, value: bytes) -> None:
        was_empty = not self.dynamic_entries
        super().add(name, value)
        # nginx has us keep a table of size 0, and adds to it.
        self.has_changed = self.has_changed or not was_empty or bool(self.dynamic_entries)


class _Decoder(Decoder):
    """Remembers the header block before: servers send the same one, from one second to the next.

    What a block stands for depends on the table, so only one that found it and left it as it was counts.
    """

    def __init__(self) -> None:
        super().__init__()
        self.header_table: _Table = _Table()
        self._block = b""
        self._headers: Iterable[Any] = ()

    def decode(self, data: bytes, raw: bool = False) -> Iterable[Any]:
        if data == self._block and data:
            return self._headers
        self.header_table.has_changed = False
        headers = super().decode(data, raw)
        # One may begin by changing the table's size (RFC 7541, section 6.3).
        is_constant = not self.header_table.has_changed and data[:1] not in _SIZE_UPDATES
        self._block, self._headers = (data if is_constant else b""), headers
        return headers


def _do_nothing(*_: object) -> None:
    """In place of what h2 would do."""


def _check_fields(received: Sequence[tuple[bytes, bytes]]) -> Headers:
    """Return header or trailer fields as they are shown to the caller.

    Raises:
        _Malformed: one is none.
    """
    fields: Headers = []
    for name, value in received:
        if _is_received_name(name) is None or _finds_illegal(value) is not None:
            raise _Malformed(f"Illegal header field {name!r}: {value!r}")
        fields.append((name, value.strip(b" \t")))
    return fields


def _check_head(received: Sequence[tuple[bytes, bytes]]) -> tuple[int, Headers]:
    name, value = received[0] if received else (b"", b"")
    if name != b":status" or _is_status(value) is None:
        raise _Malformed("The response has no status.")
    return int(value), _check_fields(received[1:])


def _body_length(status: int, headers: Headers, is_head: bool) -> int | None:
    """Return how long the body must be; `None` if that is not known."""
    if is_head or status == 204 or status == 304:
        return 0
    length: int | None = None
    for name, value in headers:
        if name == b"content-length":
            if _is_length(value) is None or (length is not None and length != int(value)):
                raise _Malformed(f"The response's Content-Length is {value!r}.")
            length = int(value)
    return length
