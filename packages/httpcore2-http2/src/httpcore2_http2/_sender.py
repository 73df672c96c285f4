"""The frames that are sent on streams, and the windows that bound them (RFC 9113, sections 5.2 and 6.9). Layer: stream.

Must not know: received frames, h2, the network.
"""

from __future__ import annotations

from httpcore2_core._http.fields import Headers

from ._codec import MAX_TABLE
from ._errors import ConnectionFault, ErrorCode
from ._frames import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    FRAME_HEADER,
    HEADERS,
    INITIAL_WINDOW,
    MAX_FRAME,
    MAX_WINDOW,
    RST_STREAM,
    RST_STREAM_FRAME,
    WINDOW_UPDATE,
    WINDOW_UPDATE_FRAME,
)
from ._hpack import CachingEncoder
from ._stream import Stream

# Bound once: a method that is made for each call takes 250 instructions.
_pack_header = FRAME_HEADER.pack


class FrameSender:
    """The frames to be sent on one connection.

    Attributes:
        encoder: encodes the fields of requests.
        outgoing: the bytes to be sent, in their order.
        window: bytes of data that may be sent on all streams together.
        max_frame: the most bytes of a frame's payload that the server accepts.
    """

    def __init__(self) -> None:
        self.encoder: CachingEncoder = CachingEncoder(MAX_TABLE)
        self.outgoing: list[bytes | memoryview] = []
        self.window: int = INITIAL_WINDOW
        self.max_frame: int = MAX_FRAME

    def send_headers(
        self, stream_id: int, pseudo: Headers, headers: Headers, end_stream: bool
    ) -> None:
        """Send HEADERS, and CONTINUATION if they take more than one frame (RFC 9113, section 4.3)."""
        block = self.encoder.encode_request(pseudo, headers)
        size = len(block)
        flags = END_STREAM if end_stream else 0
        if size <= self.max_frame:
            flags |= END_HEADERS
            self.outgoing += (
                _pack_header(size << 8 | HEADERS, flags, stream_id),
                block,
            )
            return
        kind = HEADERS
        for start in range(0, size, self.max_frame):
            part = block[start : start + self.max_frame]
            length = len(part)
            if start + length == size:
                flags |= END_HEADERS
            self.outgoing += (
                _pack_header(length << 8 | kind, flags, stream_id),
                part,
            )
            kind, flags = CONTINUATION, 0

    def send_data(self, stream: Stream, data: bytes | memoryview, end_stream: bool) -> None:
        """Send DATA, in as many frames as it takes."""
        size = len(data)
        assert not size or size <= min(self.window, stream.send_window), (
            "the caller knows the window"
        )
        stream.send_window -= size
        self.window -= size
        start = 0
        while True:
            part = data if size <= self.max_frame else data[start : start + self.max_frame]
            length = len(part)
            start += length
            flags = END_STREAM if end_stream and start == size else 0
            self.outgoing += (
                _pack_header(length << 8 | DATA, flags, stream.stream_id),
                part,
            )
            if start == size:
                return

    def open_window(self, increment: int) -> None:
        """Note that the server accepts `increment` bytes more on all streams together (RFC 9113, section 6.9.1).

        Raises:
            ConnectionFault: the window is too large.
        """
        self.window += increment
        if self.window > MAX_WINDOW:
            raise ConnectionFault(
                f"The server opened the window of the connection beyond {MAX_WINDOW} bytes "
                "(RFC 9113, section 6.9.1).",
                ErrorCode.FLOW_CONTROL_ERROR,
            )

    def send_reset(self, stream_id: int, code: ErrorCode) -> None:
        """Send RST_STREAM."""
        self.outgoing.append(RST_STREAM_FRAME.pack(0, 4, RST_STREAM, 0, stream_id, code))

    def send_window_update(self, stream_id: int, increment: int) -> None:
        """Send WINDOW_UPDATE; stream 0 is the connection."""
        self.outgoing.append(WINDOW_UPDATE_FRAME.pack(0, 4, WINDOW_UPDATE, 0, stream_id, increment))
