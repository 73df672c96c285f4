"""The seam between a connection and what keeps its frames: a codec, which is an object without I/O (RFC 9113).

    stream_id = codec.open_stream(...)      then window(), send_data(...); reset(...) gives it up
    for event in codec.receive(data):       whatever was read
    codec.consumed(...)                     the receiver has taken so much from a stream
    codec.take()                            what is to be written, after any of these

All that a connection knows of a codec is here, and all that a codec has to keep to: another could take its place.
Rules: a fault of the peer raises `RemoteProtocolError` if it is the connection's, and is a `StreamFailed` if it is one
stream's alone; events that came before a fault are told. What costs the peer little and us time or memory is counted.

Must not know: how it is done.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple, Protocol, final

from ._fields import Headers

MAX_STREAMS = 100
"""Requests at a time, if the peer allows as many. It is also what is hoped for until the peer has said."""

MAX_HEADER_LIST = 100 * 1024
"""Bytes of a response's fields, as RFC 9113, section 6.5.2, counts them."""

MAX_HEADER_BLOCK = 256 * 1024
"""Bytes of the same, compressed: they are collected until the last frame."""

MAX_IDLE_FRAMES = 10_000
"""Frames in a row that bring no response any further: pings, settings, empty data and their like."""

IDLE_FRAMES_PER_DATA = 10
"""How many of them are forgiven for a frame that has data. If all were, a byte now and then would excuse any flood."""

MAX_TABLE = 4096
"""Bytes of headers that we remember so as to refer to them, though the peer may have room for any number."""

MAX_INTERIM = 100
"""Interim responses before a final one, as for HTTP/1.1."""


class ErrorCode(IntEnum):
    """Why a stream or a connection ends (RFC 9113, section 7)."""

    NO_ERROR = 0x0
    PROTOCOL_ERROR = 0x1
    INTERNAL_ERROR = 0x2
    FLOW_CONTROL_ERROR = 0x3
    SETTINGS_TIMEOUT = 0x4
    STREAM_CLOSED = 0x5
    FRAME_SIZE_ERROR = 0x6
    REFUSED_STREAM = 0x7
    CANCEL = 0x8
    COMPRESSION_ERROR = 0x9
    CONNECT_ERROR = 0xA
    ENHANCE_YOUR_CALM = 0xB
    INADEQUATE_SECURITY = 0xC
    HTTP_1_1_REQUIRED = 0xD


def name_code(code: int) -> str:
    """Return what RFC 9113 calls an error code."""
    try:
        return ErrorCode(code).name
    except ValueError:
        return f"error {code:#x}"


class HeadReceived(NamedTuple):
    """A final response's head."""

    stream_id: int
    status: int
    headers: Headers


class DataReceived(NamedTuple):
    """A piece of a body or tunnel, never empty. `consumed()` gives the peer leave to send as much again."""

    stream_id: int
    data: bytes


class Ended(NamedTuple):
    """A response is complete, or the peer's half of a tunnel."""

    stream_id: int
    trailers: Headers


class Reset(NamedTuple):
    """The peer has given the stream up; after `Ended`, too, if our half is open."""

    stream_id: int
    code: int


class StreamFailed(NamedTuple):
    """What came on the stream breaks the rules; it was reset."""

    stream_id: int
    reason: str


@final
class WindowOpened(NamedTuple):
    """There may be room to send on the stream now; on any, if it is 0."""

    stream_id: int


@final
class SettingsReceived(NamedTuple):
    """The peer has changed its settings; the codec's `limit` is up to date."""

    changed: dict[int, int]


@final
class GoAway(NamedTuple):
    """The peer takes no new streams, and has not processed those above `last_stream_id`."""

    last_stream_id: int
    code: int
    debug_data: bytes


StreamEvent = HeadReceived | DataReceived | Ended | Reset | StreamFailed
Event = StreamEvent | WindowOpened | SettingsReceived | GoAway


class Codec(Protocol):
    """The HTTP/2 of one connection, as a client. The first `take()` gives the preface.

    Made with two numbers: how many bytes a stream may hold that its receiver has not consumed; and how many may be on
    their way to us on all streams together, which are consumed as they come.

    Attributes:
        limit: how many streams may be open at a time.
        allows_protocols: whether the peer takes extended CONNECT (RFC 8441); `None` until its settings have come.
    """

    limit: int
    allows_protocols: bool | None

    # Sending

    def open_stream(self, pseudo: Headers, headers: Headers, end_stream: bool) -> int | None:
        """Send a request's head and return its stream; `None` if there are no identifiers left.

        Args:
            pseudo: `:method`, which comes first, and its likes.
            headers: the other fields, in the form of HTTP/2.
            end_stream: whether no body follows.
        """

    def window(self, stream_id: int) -> int:
        """Return how many bytes can be sent on the stream now; less than 1: wait for `WindowOpened`."""

    def send_data(self, stream_id: int, data: bytes | memoryview, end_stream: bool) -> None:
        """Send part of a body that is no longer than the window."""

    def reset(self, stream_id: int, code: ErrorCode = ErrorCode.CANCEL) -> None:
        """Give the stream up."""

    def forget(self, stream_id: int) -> None:
        """Nobody waits for the stream any more: what still comes for it is dropped.

        Where the peer has not ended it, it may; if it sends data instead, or its room is needed, the stream is reset.
        """

    def ping(self) -> None:
        """Ask the peer for an answer. None is told of: any frame shows that it is there."""

    def take(self) -> bytes:
        """Return the bytes to send."""

    # Receiving

    def consumed(self, stream_id: int, count: int) -> None:
        """The receiver has taken `count` bytes of the stream's data: the peer may send as many."""

    def receive(self, data: bytes) -> Iterator[Event]:
        """Take in what was read, and tell what it means. To be iterated to its end.

        Raises:
            RemoteProtocolError: the connection can't go on; `take()` has a GOAWAY that says why.
        """
