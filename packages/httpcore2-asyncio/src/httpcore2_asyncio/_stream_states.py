"""The states of an asyncio stream: what may follow what.

The table is about the connection as a whole. Flow control, in each direction, has a small table of its own.

Rules: `AsyncIOStream` changes its state in one method, through this table. An event that the table does not have for a
state is a bug in the stream. The first event that ends reading stands: the system reports a reset once, and the
transport's next receive looks like the peer's end.

Must not know: transports, sockets, event loops.
"""

from __future__ import annotations

from httpcore2_core._states import Label, Transitions


class StreamState(Label):
    """The life of a connection.

    In the states from `HALF_CLOSED` on, reading returns the bytes that were received before, and then ends or fails.
    """

    OPEN = "OPEN"  # both sides may send
    HALF_CLOSED = "HALF_CLOSED"  # the peer has ended its side; we may still send
    RECEIVE_FAILED = "RECEIVE_FAILED"  # a receive failed, and the transport has not noticed yet
    ENDED = "ENDED"  # the transport has lost the connection, after the peer's end
    LOST = "LOST"  # the transport has lost the connection by an error
    CLOSED = "CLOSED"  # closed on this side
    DETACHED = "DETACHED"  # closed on this side, and the transport's socket taken away from it


class StreamEvent(Label):
    """What happens to a connection."""

    PEER_ENDED = "PEER_ENDED"  # the peer's end was received
    RECEIVE_ERROR = "RECEIVE_ERROR"  # a receive outside the transport failed
    LOST_AT_END = (
        "LOST_AT_END"  # the transport has closed after the peer's end, which an EPIPE tells, too
    )
    LOST_BY_ERROR = "LOST_BY_ERROR"  # the transport has closed because of any other error
    CLOSE = "CLOSE"  # `abort()`
    DETACH = "DETACH"  # the descriptor was closed without the transport


OPEN = StreamState.OPEN
HALF_CLOSED = StreamState.HALF_CLOSED
RECEIVE_FAILED = StreamState.RECEIVE_FAILED
ENDED = StreamState.ENDED
LOST = StreamState.LOST
CLOSED = StreamState.CLOSED
DETACHED = StreamState.DETACHED

PEER_ENDED = StreamEvent.PEER_ENDED
RECEIVE_ERROR = StreamEvent.RECEIVE_ERROR
LOST_AT_END = StreamEvent.LOST_AT_END
LOST_BY_ERROR = StreamEvent.LOST_BY_ERROR
CLOSE = StreamEvent.CLOSE
DETACH = StreamEvent.DETACH

TRANSITIONS: Transitions[StreamState, StreamEvent] = {
    OPEN: {
        PEER_ENDED: HALF_CLOSED,
        RECEIVE_ERROR: RECEIVE_FAILED,
        LOST_AT_END: ENDED,
        LOST_BY_ERROR: LOST,
        CLOSE: CLOSED,
    },
    HALF_CLOSED: {
        PEER_ENDED: HALF_CLOSED,  # seen by `read_nowait`, and then by the transport
        LOST_AT_END: ENDED,
        LOST_BY_ERROR: ENDED,  # a reset for what we went on to send
        CLOSE: CLOSED,
    },
    RECEIVE_FAILED: {
        PEER_ENDED: RECEIVE_FAILED,
        LOST_AT_END: LOST,
        LOST_BY_ERROR: LOST,
        CLOSE: CLOSED,
    },
    ENDED: {CLOSE: CLOSED},
    LOST: {CLOSE: CLOSED},
    CLOSED: {
        # The transport closes in a later iteration of the loop, and may report this before.
        PEER_ENDED: CLOSED,
        LOST_AT_END: CLOSED,
        LOST_BY_ERROR: CLOSED,
        DETACH: DETACHED,
    },
    # A loop that runs again reports the loss, and the transport gets its socket back.
    DETACHED: {PEER_ENDED: DETACHED, LOST_AT_END: CLOSED, LOST_BY_ERROR: CLOSED},
}

CANNOT_WRITE = frozenset({ENDED, LOST, CLOSED, DETACHED})
"""The states in which the transport takes no bytes: it would log a warning of its own after a while."""


class Flow(Label):
    """Whether bytes flow in one direction, or have to wait."""

    FLOWING = "FLOWING"
    PAUSED = "PAUSED"


class FlowEvent(Label):
    """What happens to the flow in one direction."""

    FULL = "FULL"  # the buffer has reached its limit
    DRAINED = "DRAINED"  # there is room again


FLOWING = Flow.FLOWING
PAUSED = Flow.PAUSED
FULL = FlowEvent.FULL
DRAINED = FlowEvent.DRAINED

# asyncio pairs `pause_writing()` with `resume_writing()`. Kept bytes may grow once more after reading was paused, by a
# receive that was under way.
FLOW_TRANSITIONS: Transitions[Flow, FlowEvent] = {
    FLOWING: {FULL: PAUSED},
    PAUSED: {FULL: PAUSED, DRAINED: FLOWING},
}
