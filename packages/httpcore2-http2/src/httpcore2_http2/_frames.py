"""The format of frames (RFC 9113, sections 4 and 6): which frame headers and payloads are errors. Layer: frames.

Rules: a frame is checked without regard to the frames before it. A fault is a connection error, with the code that the
RFC names. A PRIORITY frame of the wrong length is a connection error too, as in nghttp2 and Go; the RFC has a stream
error there. Reserved bits, priorities, and flags and settings without a meaning are ignored, as the RFC demands.

Must not know: the states of streams (it is given the highest identifier in use), h2.
"""

from __future__ import annotations

from struct import Struct

from ._errors import ConnectionFault, ErrorCode

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE = range(9)
CONTINUATION = 9

ACK = END_STREAM = 0x1
END_HEADERS, PADDED, PRIORITY_FIELDS = 0x4, 0x8, 0x20
BLOCK_FLAGS = END_HEADERS | PADDED | PRIORITY_FIELDS
"""Of these, a HEADERS frame whose payload is a whole field block has END_HEADERS alone."""

MAX_FRAME = 16 * 1024
"""The most bytes of a payload: the initial SETTINGS_MAX_FRAME_SIZE, which we do not change."""

INITIAL_WINDOW = 65535
"""Bytes of the flow-control windows of a new connection, before any SETTINGS or WINDOW_UPDATE."""

MAX_WINDOW = 2**31 - 1
"""The most bytes of a flow-control window (RFC 9113, section 6.9.1)."""

MAX_FIELD_BLOCK = 256 * 1024
"""The most bytes of a compressed field block. They are kept until its last frame has come."""

FRAME_HEADER = Struct(">LBL")
"""The header of a frame: length and type in one number (`length << 8 | kind`), flags, stream."""

RST_STREAM_FRAME = Struct(">BHBBLL")
WINDOW_UPDATE_FRAME = Struct(">BHBBLL")

_SETTING = Struct(">HL")
_TWO_NUMBERS = Struct(">LL")
_NUMBER = Struct(">L")

_NAMES = (
    "DATA",
    "HEADERS",
    "PRIORITY",
    "RST_STREAM",
    "SETTINGS",
    "PUSH_PROMISE",
    "PING",
    "GOAWAY",
    "WINDOW_UPDATE",
    "CONTINUATION",
)
_SECTIONS = dict(enumerate(f"RFC 9113, section 6.{number}" for number in range(1, 11)))
# Their stream must be 0.
_CONNECTION_FRAMES = frozenset((SETTINGS, PING, GOAWAY))
_LENGTHS = {PRIORITY: 5, RST_STREAM: 4, PING: 8, WINDOW_UPDATE: 4}
_MIN_GOAWAY = 8

# Settings that have a range, and the code for those outside of it (section 6.5.2; RFC 8441, section 3). A server that
# sets ENABLE_PUSH may set it to 0 alone.
_RANGES = {
    0x2: ("SETTINGS_ENABLE_PUSH", 0, 0, ErrorCode.PROTOCOL_ERROR),
    0x4: ("SETTINGS_INITIAL_WINDOW_SIZE", 0, 2**31 - 1, ErrorCode.FLOW_CONTROL_ERROR),
    0x5: ("SETTINGS_MAX_FRAME_SIZE", 2**14, 2**24 - 1, ErrorCode.PROTOCOL_ERROR),
    0x8: ("SETTINGS_ENABLE_CONNECT_PROTOCOL", 0, 1, ErrorCode.PROTOCOL_ERROR),
}


def name_frame(kind: int) -> str:
    """Return the name that RFC 9113 has for a frame type."""
    return _NAMES[kind] if kind < len(_NAMES) else f"type {kind:#x}"


def check_first(kind: int, flags: int, data: bytes) -> None:
    """Check the type and flags of the server's first frame (RFC 9113, section 3.4).

    Raises:
        ConnectionFault: it is not SETTINGS; `data`, with which the connection begins, may be an answer in HTTP/1.
    """
    if data.startswith(b"HTTP/1."):
        raise ConnectionFault(
            "The server answered in HTTP/1, where HTTP/2 was agreed on: "
            "use http1=True, http2=False for this server."
        )
    if kind != SETTINGS or flags & ACK:
        raise ConnectionFault(
            f"The server's first frame is {name_frame(kind)}, not SETTINGS (RFC 9113, section 3.4)."
        )


def check_order(kind: int, length: int, stream_id: int, block_id: int) -> None:
    """Check a frame's length, and that a field block is not interrupted (RFC 9113, sections 4.2 and 6.10).

    Args:
        kind: the frame's type.
        length: bytes of its payload.
        stream_id: its stream.
        block_id: the stream of the field block that is incomplete; 0 if none is.

    Raises:
        ConnectionFault: the frame is too large, or is not allowed here.
    """
    if length > MAX_FRAME:
        raise ConnectionFault(
            f"The server sent a frame of {length} bytes; at most {MAX_FRAME} are allowed (RFC 9113, section 4.2).",
            ErrorCode.FRAME_SIZE_ERROR,
        )
    if (block_id or kind == CONTINUATION) and (kind != CONTINUATION or stream_id != block_id):
        rule = "no field block is incomplete"
        if block_id:
            rule = f"a CONTINUATION frame for stream {block_id} is required"
        raise ConnectionFault(
            f"The server sent a {name_frame(kind)} frame for stream {stream_id} out of order: "
            f"{rule} (RFC 9113, section 6.10)."
        )


def check_header(kind: int, length: int, flags: int, stream_id: int, last_id: int) -> None:
    """Check the header of a frame of one of the types that RFC 9113 defines, before its payload has come.

    Args:
        kind: the frame's type.
        length: bytes of its payload.
        flags: its flags.
        stream_id: its stream, without the reserved bit.
        last_id: the highest stream that we have opened.

    Raises:
        ConnectionFault: RFC 9113 allows no such frame.
    """
    if stream_id:
        if kind in _CONNECTION_FRAMES:
            raise ConnectionFault(
                f"The server sent a {_NAMES[kind]} frame for stream {stream_id}; "
                f"it is allowed on stream 0 alone ({_SECTIONS[kind]})."
            )
        if (stream_id > last_id or not stream_id & 1) and kind != PRIORITY:
            raise ConnectionFault(
                f"The server sent a {_NAMES[kind]} frame for stream {stream_id}, which was never opened: "
                f"the highest is {last_id} (RFC 9113, section 5.1)."
            )
    elif kind not in _CONNECTION_FRAMES and kind != WINDOW_UPDATE:
        raise ConnectionFault(
            f"The server sent a {_NAMES[kind]} frame on stream 0; "
            f"it is allowed on the stream of a request alone ({_SECTIONS[kind]})."
        )
    if kind in _LENGTHS:
        if length != _LENGTHS[kind]:
            raise _wrong_size(kind, length, f"{_LENGTHS[kind]} are required")
    elif kind == SETTINGS:
        if flags & ACK and length:
            raise _wrong_size(kind, length, "an acknowledgement must have none")
        if length % 6:
            raise _wrong_size(kind, length, "a multiple of 6 is required")
    elif kind == GOAWAY and length < _MIN_GOAWAY:
        raise _wrong_size(kind, length, f"at least {_MIN_GOAWAY} are required")
    elif kind == PUSH_PROMISE:
        raise ConnectionFault(
            f"The server sent a PUSH_PROMISE frame, but server push is disabled ({_SECTIONS[kind]})."
        )


def _wrong_size(kind: int, length: int, rule: str) -> ConnectionFault:
    return ConnectionFault(
        f"Malformed {_NAMES[kind]} frame: {length} bytes of payload, {rule} ({_SECTIONS[kind]}).",
        ErrorCode.FRAME_SIZE_ERROR,
    )


def content(kind: int, payload: bytes, flags: int) -> bytes:
    """Return the data of a DATA frame or the fragment of a HEADERS frame, without padding and priority fields.

    Raises:
        ConnectionFault: the payload is shorter than its flags require.
    """
    start = 0
    end = len(payload)
    if flags & PADDED:
        start = 1
        end -= payload[0] if payload else 0
    if kind == HEADERS and flags & PRIORITY_FIELDS:
        start += 5
    if start > len(payload):
        raise _wrong_size(kind, len(payload), f"its flags require at least {start}")
    if start > end:
        raise ConnectionFault(
            f"Malformed {_NAMES[kind]} frame: {payload[0]} bytes of padding in a payload of {len(payload)} bytes "
            f"({_SECTIONS[kind]})."
        )
    return payload[start:end]


class IncompleteFrame:
    """The received part of a frame. Its parts are joined once, however small they are, and nothing else with them.

    Attributes:
        parts: the received parts.
    """

    __slots__ = ("_missing", "parts")

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self._missing = 0

    def keep(self, data: bytes, needed: int) -> None:
        """Keep the first part of a frame, which can be processed when there are `needed` bytes."""
        self.parts.append(data)
        self._missing = needed - len(data)

    def fill(self, data: bytes, position: int) -> int:
        """Add the missing bytes, or as many as `data` has from `position` on; return the position after them."""
        part = data[position : position + self._missing]
        self.parts.append(part)
        self._missing -= len(part)
        return position + len(part)

    def take(self) -> bytes | None:
        """Return the bytes, and keep them no longer; `None` if some are missing."""
        if self._missing:
            return None
        whole = b"".join(self.parts)
        self.parts.clear()
        return whole


class FieldBlock:
    """A field block that takes more than one frame, or has padding or a priority beside it (RFC 9113, section 4.3).

    Attributes:
        end_stream: the END_STREAM flag of the HEADERS frame.
    """

    __slots__ = ("_fragments", "_size", "end_stream")

    def __init__(self) -> None:
        self._fragments: list[bytes] = []
        self._size = 0
        self.end_stream: int = 0

    def add(self, payload: bytes, kind: int, flags: int) -> bytes | None:
        """Add the next frame of the block.

        Args:
            payload: the frame's payload.
            kind: HEADERS, which begins a block, or CONTINUATION.
            flags: its flags.

        Returns:
            The whole block; `None` if a CONTINUATION frame must follow.

        Raises:
            ConnectionFault: the block is too long, or the frame is malformed.
        """
        fragment = payload
        if kind == HEADERS:
            fragment = content(HEADERS, payload, flags)
            self.end_stream = flags & END_STREAM
            self._size = 0
        self._fragments.append(fragment)
        self._size += len(fragment)
        if self._size > MAX_FIELD_BLOCK:
            raise ConnectionFault(
                f"The server sent a field block of {self._size} bytes or more; at most {MAX_FIELD_BLOCK} are allowed.",
                ErrorCode.ENHANCE_YOUR_CALM,
            )
        if not flags & END_HEADERS:
            return None
        block = b"".join(self._fragments)
        self._fragments.clear()
        return block


def check_settings(payload: bytes) -> None:
    """Check each value in a SETTINGS frame, repeated settings included (section 6.5.3).

    Raises:
        ConnectionFault: a value is out of its range.
    """
    for identifier, value in _SETTING.iter_unpack(payload):
        if identifier in _RANGES:
            name, least, most, code = _RANGES[identifier]
            if not least <= value <= most:
                raise ConnectionFault(
                    f"The server sent {name} = {value}; "
                    f"{f'{least} to {most}' if least < most else f'only {least}'} is allowed (section 6.5.2).",
                    code,
                )


def number(payload: bytes) -> int:
    """Return the error code of a RST_STREAM, or a stream or an increment with its reserved bit."""
    value: int = _NUMBER.unpack(payload)[0]
    return value


def two_numbers(payload: bytes) -> tuple[int, int]:
    """Return the last stream, without its reserved bit, and the error code of a GOAWAY."""
    last_stream_id, code = _TWO_NUMBERS.unpack_from(payload)
    return last_stream_id & 0x7FFFFFFF, code
