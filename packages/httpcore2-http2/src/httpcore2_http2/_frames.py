"""Frames by themselves (RFC 9113, sections 4 and 6): which headers and payloads are errors, whatever came before.

Rules: a fault is a connection error, with the code that the RFC names. A PRIORITY of the wrong length is one, too, as
in nghttp2 and Go, though a stream error there. What the RFC wants ignored (reserved bits, flags and settings without a
meaning, priorities) is not looked at.

Must not know: which streams there are, but for the highest that was opened; h2.
"""

from __future__ import annotations

from struct import Struct

from ._codec import MAX_HEADER_BLOCK, ErrorCode

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE = range(9)
CONTINUATION = 9

ACK = END_STREAM = 0x1
END_HEADERS, PADDED, PRIORITY_FIELDS = 0x4, 0x8, 0x20

MAX_FRAME = 16 * 1024
"""Bytes of a payload: SETTINGS_MAX_FRAME_SIZE, of which we send none."""

FRAME_HEADER = Struct(">BHBBL")
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
# Of the whole connection, so that their stream must be 0.
_OF_THE_CONNECTION = frozenset((SETTINGS, PING, GOAWAY))
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


class Fault(Exception):
    """The connection can't go on; `code` is what the peer is told."""

    def __init__(self, reason: str, code: ErrorCode = ErrorCode.PROTOCOL_ERROR) -> None:
        super().__init__(reason)
        self.code = code


def check_header(kind: int, length: int, flags: int, stream_id: int, last_id: int) -> None:
    """Check the header of a frame of one of the types that RFC 9113 defines, before its payload has come.

    Args:
        kind: the frame's type.
        length: of its payload, in bytes.
        flags: its flags.
        stream_id: its stream, without the reserved bit.
        last_id: the highest stream that we have opened.

    Raises:
        Fault: there is no such frame.
    """
    if stream_id:
        if kind in _OF_THE_CONNECTION:
            raise Fault(
                f"The server sent a {_NAMES[kind]} frame for stream {stream_id}, "
                f"which belongs on stream 0 ({_SECTIONS[kind]})."
            )
        if (stream_id > last_id or not stream_id & 1) and kind != PRIORITY:
            raise Fault(f"The server sent a frame for stream {stream_id}, which is not open.")
    elif kind not in _OF_THE_CONNECTION and kind != WINDOW_UPDATE:
        raise Fault(
            f"The server sent a {_NAMES[kind]} frame on stream 0, "
            f"where there is none ({_SECTIONS[kind]})."
        )
    if kind in _LENGTHS:
        if length != _LENGTHS[kind]:
            raise _wrong_size(kind, length, f"{_LENGTHS[kind]} are required")
    elif kind == SETTINGS:
        if flags & ACK and length:
            raise _wrong_size(kind, length, "an acknowledgement has none")
        if length % 6:
            raise _wrong_size(kind, length, "a multiple of 6 is required")
    elif kind == GOAWAY and length < _MIN_GOAWAY:
        raise _wrong_size(kind, length, f"at least {_MIN_GOAWAY} are required")
    elif kind == PUSH_PROMISE:
        raise Fault(f"The server sent a PUSH_PROMISE, though push is disabled ({_SECTIONS[kind]}).")


def _wrong_size(kind: int, length: int, rule: str) -> Fault:
    return Fault(
        f"Malformed {_NAMES[kind]} frame: {length} bytes of payload, {rule} ({_SECTIONS[kind]}).",
        ErrorCode.FRAME_SIZE_ERROR,
    )


def content(kind: int, payload: bytes, flags: int) -> bytes:
    """Return the data of a DATA frame or the fragment of a HEADERS frame, without padding and priority fields.

    Raises:
        Fault: there is less payload than these take.
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
        raise Fault(
            f"Malformed {_NAMES[kind]} frame: {payload[0]} bytes of padding in a payload of {len(payload)} bytes "
            f"({_SECTIONS[kind]})."
        )
    return payload[start:end]


class HeaderBlock:
    """What has come of a header block that takes more than one frame, or is not all of its frame's payload."""

    __slots__ = ("_flags", "_fragments", "_size")

    def __init__(self) -> None:
        self._fragments: list[bytes] = []
        self._flags = 0
        self._size = 0

    def add(self, frame: bytes, kind: int, flags: int) -> bytes | None:
        """Take in a frame of the block, in its order.

        Args:
            frame: all of it.
            kind: HEADERS begins a block, CONTINUATION goes on with it.
            flags: its flags.

        Returns:
            The block as a single HEADERS frame, whose size may be beyond that of any frame; `None` if more is to come.

        Raises:
            Fault: the block is too long, or the frame's payload is none.
        """
        fragment = frame[9:]
        if kind == HEADERS:
            fragment = content(HEADERS, fragment, flags)
            self._flags = flags & END_STREAM
            self._size = 0
        self._fragments.append(fragment)
        self._size += len(fragment)
        if self._size > MAX_HEADER_BLOCK:
            raise Fault(
                f"The server sent a header block that is too long: at most {MAX_HEADER_BLOCK} bytes are allowed.",
                ErrorCode.ENHANCE_YOUR_CALM,
            )
        if not flags & END_HEADERS:
            return None
        block = b"".join(self._fragments)
        self._fragments.clear()
        header = (self._size >> 16, self._size & 0xFFFF, HEADERS, self._flags | END_HEADERS)
        return FRAME_HEADER.pack(*header, number(frame[5:9])) + block


def check_settings(payload: bytes) -> None:
    """Check the values in a SETTINGS frame, of which each counts (section 6.5.3).

    Raises:
        Fault: one is out of its range.
    """
    for identifier, value in _SETTING.iter_unpack(payload):
        if identifier in _RANGES:
            name, least, most, code = _RANGES[identifier]
            if not least <= value <= most:
                raise Fault(
                    f"The server sent {name} = {value}; "
                    f"{f'{least} to {most}' if least < most else f'only {least}'} is allowed.",
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
