"""Received bytes as frames: where each begins, and whether it is allowed there. Layer: stream.

Rules: a frame is checked before it is processed, by its header as soon as that has come. Most frames of responses need
few checks: HEADERS or DATA on a stream that is open, between two field blocks. A frame that arrives byte by byte is
joined once.

Must not know: the meaning of frames, windows, fields, h2.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from ._frames import (
    BLOCK_FLAGS,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    FRAME_HEADER,
    HEADERS,
    MAX_FRAME,
    FieldBlock,
    IncompleteFrame,
    check_first,
    check_header,
    check_order,
)
from ._stream import Stream

_BLOCK_FRAMES = (HEADERS, CONTINUATION)
# Bound once: a method that is made for each call takes 250 instructions.
_unpack_header = FRAME_HEADER.unpack_from
# No field block is being received; and not even the server's first frame has come.
_NO_BLOCK, _NO_FRAME = 0, -1


class FrameReader(ABC):
    """The frames that are received on one connection. A subclass processes each of them."""

    def __init__(self, streams: dict[int, Stream]) -> None:
        """Begin before the server's first frame.

        Args:
            streams: those that are not closed, by their identifiers.
        """
        self._find = streams.get
        self._last_id = -1  # the highest stream that we have opened
        self._incomplete = IncompleteFrame()
        self._block_id = _NO_FRAME  # the stream of the field block that is being received
        self._block = FieldBlock()

    def _read_frames(self, data: bytes) -> None:
        """Process the frames in received data, and keep the last if it is incomplete.

        Raises:
            ConnectionFault: a frame is not allowed, or the subclass found a fault in it.
        """
        position = 0
        incomplete = self._incomplete
        while incomplete.parts:
            # Its header alone may be complete then, so that it is incomplete once more.
            position = incomplete.fill(data, position)
            frame = incomplete.take()
            if frame is None:
                return
            self._read_frames(frame)
        size = len(data)
        needed = 9
        unpack = _unpack_header
        find = self._find
        while size - position >= 9:
            head, flags, stream_id = unpack(data, position)
            kind = head & 0xFF
            length = head >> 8
            stream = find(stream_id)
            if stream is None or kind > HEADERS or length > MAX_FRAME or self._block_id:
                stream_id &= 0x7FFFFFFF  # the first bit is reserved
                self._check_frame(length, kind, flags, stream_id, data)
                stream = find(stream_id)
            start = position + 9
            end = start + length
            if end > size:
                needed = 9 + length
                break
            position = end
            if kind == DATA:
                self._receive_data(data[start:end], flags, stream_id, stream)
            elif kind == HEADERS and flags & BLOCK_FLAGS == END_HEADERS:
                self._receive_block(data[start:end], flags & END_STREAM, stream_id, stream)
            elif kind in _BLOCK_FRAMES:
                self._receive_fragment(data[start:end], kind, flags, stream_id, stream)
            else:
                self._receive_other(data[start:end], kind, flags, stream_id, stream)
        if position < size:
            incomplete.keep(data[position:], needed)

    def _check_frame(self, length: int, kind: int, flags: int, stream_id: int, data: bytes) -> None:
        """Refuse a frame by its header, before its payload has come."""
        if self._block_id == _NO_FRAME:
            check_first(kind, flags, data)
            self._block_id = _NO_BLOCK
        check_order(kind, length, stream_id, self._block_id)
        if kind <= CONTINUATION:
            check_header(kind, length, flags, stream_id, self._last_id)

    def _receive_fragment(
        self, payload: bytes, kind: int, flags: int, stream_id: int, stream: Stream | None
    ) -> None:
        """Add a frame to the field block that takes more than this frame, or has padding or a priority beside it."""
        self._count_idle_frame()
        block = self._block.add(payload, kind, flags)
        self._block_id = stream_id if block is None else _NO_BLOCK
        if block is not None:
            self._receive_block(block, self._block.end_stream, stream_id, stream)

    @abstractmethod
    def _count_idle_frame(self) -> None:
        """Bound the frames that cost the server little (RFC 9113, section 10.5)."""

    @abstractmethod
    def _receive_data(self, data: bytes, flags: int, stream_id: int, stream: Stream | None) -> None:
        """Process a DATA frame (RFC 9113, section 6.1).

        Args:
            data: its payload, padding included.
            flags: its flags.
            stream_id: its stream.
            stream: the same, if it is not closed.
        """

    @abstractmethod
    def _receive_block(
        self, block: bytes, end_stream: int, stream_id: int, stream: Stream | None
    ) -> None:
        """Process a whole field block (RFC 9113, sections 6.2 and 8.1)."""

    @abstractmethod
    def _receive_other(
        self, payload: bytes, kind: int, flags: int, stream_id: int, stream: Stream | None
    ) -> None:
        """Process a frame of any other type, unknown ones included."""
