"""The states of the two halves of a request's stream, and what leads from one to the next. Layer: stream.

QUIC ends each direction of a stream on its own (RFC 9000, section 3), and so there are two small tables where HTTP/2
has one. Received frames come in the order of RFC 9114, section 4.1, which qh3 checks:

    request    SENDING --END--> SENT            response   HEAD --RECEIVE_HEAD--> BODY --RECEIVE_END--> ENDED
                  |                                          |                     |                      ^
                  '----STOP--> STOPPED                       |            RECEIVE_TRAILERS                |
                                                             v                     v                      |
                                                          FAILED <--FAIL------- TRAILERS --RECEIVE_END----'

An event that a table does not have for a state is a bug of the session if it is one of the request's, and a fault of
the server, which the session handles, if it starts with RECEIVE.
"""

from __future__ import annotations

from httpcore2_core._states import Label, Transitions


class RequestState(Label):
    """State of the half that carries the request."""

    SENDING = "SENDING"
    SENT = "SENT"
    """The request is complete."""
    STOPPED = "STOPPED"
    """Nothing more may be sent: the server does not want it, or the half was reset by either side."""


class RequestEvent(Label):
    """What changes the state of the request's half."""

    END = "END"
    """The last of the request is queued."""
    STOP = "STOP"
    """STOP_SENDING of the server, or our RESET_STREAM."""


class ResponseState(Label):
    """State of the half that carries the response: what the next frame may be."""

    HEAD = "HEAD"
    """The head, after any number of interim responses."""
    BODY = "BODY"
    TRAILERS = "TRAILERS"
    """Trailers have come: only the end may follow."""
    ENDED = "ENDED"
    """The response is complete."""
    FAILED = "FAILED"
    """It never will be."""


class ResponseEvent(Label):
    """What changes the state of the response's half."""

    RECEIVE_INTERIM = "RECEIVE_INTERIM"
    RECEIVE_HEAD = "RECEIVE_HEAD"
    RECEIVE_DATA = "RECEIVE_DATA"
    RECEIVE_TRAILERS = "RECEIVE_TRAILERS"
    RECEIVE_END = "RECEIVE_END"
    FAIL = "FAIL"
    """RESET_STREAM, GOAWAY, a malformed response, or the end of the connection."""


# Bound to names once: the way of an enum to its members is slow.
SENDING, SENT, STOPPED = RequestState
END, STOP = RequestEvent
HEAD, BODY, TRAILERS, ENDED, FAILED = ResponseState
(
    RECEIVE_INTERIM,
    RECEIVE_HEAD,
    RECEIVE_DATA,
    RECEIVE_TRAILERS,
    RECEIVE_END,
    FAIL,
) = ResponseEvent

REQUEST_TRANSITIONS: Transitions[RequestState, RequestEvent] = {
    SENDING: {END: SENT, STOP: STOPPED},
    SENT: {STOP: SENT},
    STOPPED: {STOP: STOPPED},
}

RESPONSE_TRANSITIONS: Transitions[ResponseState, ResponseEvent] = {
    HEAD: {RECEIVE_INTERIM: HEAD, RECEIVE_HEAD: BODY, FAIL: FAILED},
    BODY: {RECEIVE_DATA: BODY, RECEIVE_TRAILERS: TRAILERS, RECEIVE_END: ENDED, FAIL: FAILED},
    TRAILERS: {RECEIVE_END: ENDED, FAIL: FAILED},
    # What fails after the end concerns nobody.
    ENDED: {FAIL: ENDED},
    FAILED: {FAIL: FAILED},
}
