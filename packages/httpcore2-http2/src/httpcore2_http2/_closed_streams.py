"""Memory of closed streams, on which frames may still arrive (RFC 9113, section 5.1). Layer: stream.

Rules: it is bounded. A frame for an older stream is handled as if the server had reset the stream itself.

Must not know: frames, h2.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable

from ._states import ENDED, RESET_RECEIVED, RESET_SENT, StreamState

MAX_RESETS = 1000
"""Streams that we have reset, and remember."""

MAX_ENDED = 100
"""Streams that have ended, and that we remember."""


class ClosedStreams:
    """The closed streams of one connection.

    Attributes:
        add_ended: remembers a stream on which request and response are complete.
    """

    def __init__(self) -> None:
        # Streams that we have reset, and the bytes that the server was allowed to send when it had not heard of it.
        self._resets: OrderedDict[int, int] = OrderedDict()
        self._ended: deque[int] = deque(maxlen=MAX_ENDED)
        self.add_ended: Callable[[int], None] = self._ended.append

    def add_reset(self, stream_id: int, window: int) -> None:
        """Remember a stream that we have reset, on which the server was allowed to send `window` bytes."""
        self._resets[stream_id] = window
        if len(self._resets) > MAX_RESETS:
            self._resets.popitem(last=False)

    def state_of(self, stream_id: int) -> StreamState:
        """Return the state of a stream that is not open."""
        if stream_id in self._resets:
            return RESET_SENT
        return ENDED if stream_id in self._ended else RESET_RECEIVED

    def was_allowed(self, stream_id: int, size: int) -> bool:
        """Whether `size` bytes of data on a stream that we have reset are within its window, which they reduce."""
        left = self._resets[stream_id]
        if not 0 < size <= left:
            return False
        self._resets[stream_id] = left - size
        return True
