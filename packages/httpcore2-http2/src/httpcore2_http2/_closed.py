"""What is remembered of streams that are closed, and for which frames may still come (RFC 9113, section 5.1).

Must not know: frames, h2.
"""

from __future__ import annotations

from collections import OrderedDict, deque

from ._codec import MAX_STREAMS

MAX_RESETS = 1000
"""Streams that we have reset, and of which we remember it."""


class ClosedStreams:
    """The last of them: what comes for one that is older was on its way for long."""

    def __init__(self) -> None:
        # Those that we have reset, and how much data the peer may have sent before it heard of that.
        self._resets: OrderedDict[int, int] = OrderedDict()
        # Those of which both halves have ended.
        self._ended: deque[int] = deque(maxlen=MAX_STREAMS)

    def note_end(self, stream_id: int) -> None:
        """Both halves of a stream have ended."""
        self._ended.append(stream_id)

    def note_reset(self, stream_id: int, window: int) -> None:
        """We have reset a stream on which the peer had leave to send `window` bytes."""
        self._resets[stream_id] = window
        if len(self._resets) > MAX_RESETS:
            self._resets.popitem(last=False)

    def was_reset(self, stream_id: int) -> bool:
        """Whether we have reset the stream."""
        return stream_id in self._resets

    def had_leave(self, stream_id: int, size: int) -> bool:
        """Whether the peer had leave to send these bytes, not yet counted, on a stream that we have reset."""
        left = self._resets[stream_id]
        if not 0 < size <= left:
            return False
        self._resets[stream_id] = left - size
        return True

    def has_ended(self, stream_id: int) -> bool:
        """Whether both halves of the stream have ended."""
        return stream_id in self._ended
