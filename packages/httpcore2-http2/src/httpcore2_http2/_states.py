"""The states of an HTTP/2 stream and of its response (RFC 9113, sections 5.1 and 8.1). Layer: stream.

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

A second table says which part of the response may come next on a stream that may receive (section 8.1): any number of
interim heads, the final head, data, trailers. Trailers are a field block that ends the stream.
"""

from __future__ import annotations

from collections.abc import Mapping

from httpcore2_core._states import Label, Transitions, columns


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


class ResponseState(Label):
    """The part of a response that is due."""

    HEAD_DUE = "HEAD_DUE"
    BODY_DUE = "BODY_DUE"
    """Data, trailers, or the end."""
    END_DUE = "END_DUE"
    """Trailers have come: the frame that brought them ends the stream."""
    COMPLETE = "COMPLETE"


class ResponseEvent(Label):
    """A part of a response has come."""

    INTERIM_HEAD = "INTERIM_HEAD"
    FINAL_HEAD = "FINAL_HEAD"
    CONTENT = "CONTENT"
    """A DATA frame, even if it is empty."""
    TRAILERS = "TRAILERS"
    END = "END"
    """END_STREAM, of any of the frames."""


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
HEAD_DUE, BODY_DUE, END_DUE, COMPLETE = ResponseState
INTERIM_HEAD, FINAL_HEAD, CONTENT, TRAILERS, END = ResponseEvent

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


RESPONSE_TRANSITIONS: Transitions[ResponseState, ResponseEvent] = {
    HEAD_DUE: {INTERIM_HEAD: HEAD_DUE, FINAL_HEAD: BODY_DUE},
    BODY_DUE: {CONTENT: BODY_DUE, TRAILERS: END_DUE, END: COMPLETE},
    END_DUE: {END: COMPLETE},
    COMPLETE: {},
}

SENT_HEADERS: StreamState = TRANSITIONS[IDLE][SEND_HEADERS]
"""The state after the head of a request whose body follows."""
SENT_REQUEST: StreamState = TRANSITIONS[SENT_HEADERS][SEND_END_STREAM]
"""The state after the head of a request without body."""
AFTER_END_STREAM: Mapping[StreamState, StreamState] = columns(TRANSITIONS)[RECEIVE_END_STREAM]
"""What the end of the response makes of each state in which it is allowed."""


def states_allowing(event: StreamEvent) -> frozenset[StreamState]:
    """Return the states in which the table allows `event`."""
    return frozenset(state for state, row in TRANSITIONS.items() if event in row)
