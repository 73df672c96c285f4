"""The streams of one connection: those that are open or awaited, and the memory of closed ones. Layer: stream.

Rules: a stream is reset once (RFC 9113, section 5.4.2). One that the caller has released counts as open until the
server ends it, or its place is needed.

Must not know: fields, windows, received frames.
"""

from __future__ import annotations

from collections.abc import Callable

from ._closed_streams import ClosedStreams
from ._errors import ErrorCode
from ._states import ENDED, RELEASE, RELEASED, SEND_RST_STREAM, states_allowing
from ._stream import Stream

_OPEN = states_allowing(SEND_RST_STREAM)


class StreamTable:
    """The streams of one connection.

    Attributes:
        streams: those that are not closed, by their identifiers.
        closed: remembers the others.
        max_streams: how many the server allows at a time; `None` for any number.
    """

    def __init__(self, send_reset: Callable[[int, ErrorCode], None]) -> None:
        """Begin without streams.

        Args:
            send_reset: sends RST_STREAM.
        """
        self.streams: dict[int, Stream] = {}
        self.closed: ClosedStreams = ClosedStreams()
        self.max_streams: int | None = None
        self.has_released: bool = False  # one of the streams may be RELEASED
        self._send_reset = send_reset

    def make_room(self) -> None:
        """Reset released streams if the server has no room for another: it counts those that it has not ended."""
        released = [stream for stream in self.streams.values() if stream.state is RELEASED]
        is_open = [stream for stream in self.streams.values() if stream.state in _OPEN]
        if self.max_streams is not None and len(is_open) >= self.max_streams:
            for stream in released:
                self.reset(stream)
            released = []
        self.has_released = bool(released)

    def reset(self, stream: Stream, code: ErrorCode = ErrorCode.CANCEL) -> None:
        """Close a stream by RST_STREAM, unless it is closed already."""
        stream_id = stream.stream_id
        if self.streams.pop(stream_id, None) is None:
            return
        if stream.state is ENDED:
            self.closed.add_ended(stream_id)
            return
        stream.transition(SEND_RST_STREAM)
        self.closed.add_reset(stream_id, stream.receive_window)
        self._send_reset(stream_id, code)

    def reset_again(self, stream_id: int) -> None:
        """Answer a frame on a stream that the server has reset itself."""
        self.closed.add_reset(stream_id, 0)
        self._send_reset(stream_id, ErrorCode.STREAM_CLOSED)

    def release(self, stream: Stream) -> None:
        """Let the server end a stream that nobody waits for any more."""
        if stream.stream_id in self.streams:
            stream.transition(RELEASE)
            if stream.state is ENDED:
                self.drop_ended(stream)
            else:
                self.has_released = True

    def drop_ended(self, stream: Stream) -> None:
        """Remember no more of a stream than that it has ended."""
        stream_id = stream.stream_id
        del self.streams[stream_id]
        self.closed.add_ended(stream_id)
