"""The states of an HTTP/2 stream, and what leads from one to the next (RFC 9113, section 5.1). Layer: stream.

The figure of the RFC, as a client without server push sees it (H: HEADERS, ES: END_STREAM, R: RST_STREAM):

                                 +--------+
                                 |  IDLE  |
                                 +--------+
                                     | send H
                                     v
                   send ES       +--------+       receive ES
               .-----------------|  OPEN  |-----------------.
               v                 +--------+                 v
         +-------------+             |               +-------------+
         | HALF_CLOSED |             |               | HALF_CLOSED |
         |   _LOCAL    |             |               |   _REMOTE   |
         +-------------+             |               +-------------+
               |                     |                      |
               | receive ES / R      | R                    | send ES / R
               |                     v                      |
               |  .---------------------------------------. |
               '->| ENDED | RESET_SENT | RESET_RECEIVED   |<'
                  '---------------------------------------'

The RFC's "closed" is three states here, since it depends on the cause which frames may still arrive, and how those that
may not are answered. RELEASED is one more: nobody waits for the response, but the server has not ended it, such as
after a tunnel was closed on this side. There are no reserved states: push is disabled.  A stream of CONNECT, extended
CONNECT included (RFC 8441), has no states of its own: it stays OPEN for as long as both sides send. Closing the
tunnel of a plain CONNECT is SEND_END_STREAM and then RELEASE; closing that of an extended CONNECT is SEND_RST_STREAM.
A request without body is SEND_HEADERS followed by SEND_END_STREAM. An event that the table does not have for a state
is a bug of the codec if it starts with SEND, and a fault of the server, which the codec handles, if it starts with
RECEIVE.
"""

from __future__ import annotations

from httpcore2_core._states import Label, Transitions


class StreamState(Label):
    """State of a stream; see the module's figure."""

    IDLE = "IDLE"
    OPEN = "OPEN"
    HALF_CLOSED_LOCAL = "HALF_CLOSED_LOCAL"
    """The request is complete."""
    HALF_CLOSED_REMOTE = "HALF_CLOSED_REMOTE"
    """The response is complete, the request is not."""
    RELEASED = "RELEASED"
    """Nobody waits for the response, and the server has not ended it."""
    ENDED = "ENDED"
    """Closed: request and response are complete."""
    RESET_SENT = "RESET_SENT"
    """Closed by our RST_STREAM."""
    RESET_RECEIVED = "RESET_RECEIVED"
    """Closed by the server's RST_STREAM."""


class StreamEvent(Label):
    """A frame, or a flag of one, in either direction; or the end of the exchange."""

    SEND_HEADERS = "SEND_HEADERS"
    SEND_DATA = "SEND_DATA"
    SEND_END_STREAM = "SEND_END_STREAM"
    SEND_RST_STREAM = "SEND_RST_STREAM"
    RECEIVE_HEADERS = "RECEIVE_HEADERS"
    """Head, interim response or trailers."""
    RECEIVE_DATA = "RECEIVE_DATA"
    RECEIVE_END_STREAM = "RECEIVE_END_STREAM"
    RECEIVE_RST_STREAM = "RECEIVE_RST_STREAM"
    RECEIVE_WINDOW_UPDATE = "RECEIVE_WINDOW_UPDATE"
    RELEASE = "RELEASE"
    """The exchange is over, and the stream is not reset."""


# Bound to names once: the way of an enum to its members is slow.
(
    IDLE,
    OPEN,
    HALF_CLOSED_LOCAL,
    HALF_CLOSED_REMOTE,
    RELEASED,
    ENDED,
    RESET_SENT,
    RESET_RECEIVED,
) = StreamState
(
    SEND_HEADERS,
    SEND_DATA,
    SEND_END_STREAM,
    SEND_RST_STREAM,
    RECEIVE_HEADERS,
    RECEIVE_DATA,
    RECEIVE_END_STREAM,
    RECEIVE_RST_STREAM,
    RECEIVE_WINDOW_UPDATE,
    RELEASE,
) = StreamEvent

TRANSITIONS: Transitions[StreamState, StreamEvent] = {
    IDLE: {SEND_HEADERS: OPEN},
    OPEN: {
        SEND_DATA: OPEN,
        SEND_END_STREAM: HALF_CLOSED_LOCAL,
        SEND_RST_STREAM: RESET_SENT,
        RECEIVE_HEADERS: OPEN,
        RECEIVE_DATA: OPEN,
        RECEIVE_END_STREAM: HALF_CLOSED_REMOTE,
        RECEIVE_RST_STREAM: RESET_RECEIVED,
        RECEIVE_WINDOW_UPDATE: OPEN,
        RELEASE: RELEASED,
    },
    HALF_CLOSED_LOCAL: {
        SEND_RST_STREAM: RESET_SENT,
        RECEIVE_HEADERS: HALF_CLOSED_LOCAL,
        RECEIVE_DATA: HALF_CLOSED_LOCAL,
        RECEIVE_END_STREAM: ENDED,
        RECEIVE_RST_STREAM: RESET_RECEIVED,
        RECEIVE_WINDOW_UPDATE: HALF_CLOSED_LOCAL,
        RELEASE: RELEASED,
    },
    HALF_CLOSED_REMOTE: {
        SEND_DATA: HALF_CLOSED_REMOTE,
        SEND_END_STREAM: ENDED,
        SEND_RST_STREAM: RESET_SENT,
        RECEIVE_RST_STREAM: RESET_RECEIVED,
        RECEIVE_WINDOW_UPDATE: HALF_CLOSED_REMOTE,
        # Only after a GOAWAY that says that the server did not process the request.
        RELEASE: ENDED,
    },
    RELEASED: {
        SEND_RST_STREAM: RESET_SENT,
        RECEIVE_HEADERS: RELEASED,
        RECEIVE_DATA: RELEASED,
        RECEIVE_END_STREAM: ENDED,
        RECEIVE_RST_STREAM: RESET_RECEIVED,
        RECEIVE_WINDOW_UPDATE: RELEASED,
    },
    # Both may have been sent before the server received our END_STREAM.
    ENDED: {RECEIVE_RST_STREAM: ENDED, RECEIVE_WINDOW_UPDATE: ENDED, RELEASE: ENDED},
    # All may have been sent before the server received our RST_STREAM.
    RESET_SENT: {
        RECEIVE_HEADERS: RESET_SENT,
        RECEIVE_DATA: RESET_SENT,
        RECEIVE_END_STREAM: RESET_SENT,
        RECEIVE_RST_STREAM: RESET_SENT,
        RECEIVE_WINDOW_UPDATE: RESET_SENT,
    },
    # HEADERS and DATA after it are answered with a RST_STREAM of type STREAM_CLOSED.
    RESET_RECEIVED: {
        SEND_RST_STREAM: RESET_SENT,
        RECEIVE_RST_STREAM: RESET_RECEIVED,
        RECEIVE_WINDOW_UPDATE: RESET_RECEIVED,
    },
}


def states_allowing(event: StreamEvent) -> frozenset[StreamState]:
    """Return the states in which the table allows `event`."""
    return frozenset(state for state, row in TRANSITIONS.items() if event in row)
