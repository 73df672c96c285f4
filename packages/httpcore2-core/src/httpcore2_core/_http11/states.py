"""The two sides of an HTTP/1.1 exchange as tables (the model is h11's `_state.py`).

The request side says how much of the request has been made into bytes, the response side what the next received bytes
are. Each side is changed in one method of the codec, through its table. An event that the table does not have for a
state is a bug in the caller.

- How a body ends is decided by its head (RFC 9112, section 6.3): a known length, chunks, or the end of the connection
  (`UNTIL_CLOSE`). Responses to HEAD, and 204 and 304, have none, whatever their head declares: `HEAD_WITHOUT_BODY`. A
  response may end before its request does.
- Interim responses (1xx) leave the response side as it is. After 101, and after a 2xx to CONNECT, the connection has
  left HTTP (`SWITCHED`), and what follows belongs to another protocol.
- A request that is given up before all of it was sent is `ABANDONED`: the server can't tell where a next one would
  begin. Its response may still be read. This side does not change any more.
- h11, the fallback for heads that are not of the strict form, decides what a head means, not which states there are:
  the events are the same.

A connection is used again only if both sides are at their ends, `SENT` and `DONE`; see `HTTP11Codec.is_reusable`.

Must not know: bytes, the network.
"""

from __future__ import annotations

from .._states import Label, Transitions


class RequestState(Label):
    """How much of the request has been made into bytes."""

    IDLE = "no request yet"
    SENDING_LENGTH = "a body of known length"
    SENDING_CHUNKS = "a chunked body"
    SENT = "complete"
    ABANDONED = "given up before all of it was sent"


class RequestEvent(Label):
    """What is made of a request."""

    HEAD_WITHOUT_BODY = "a head, and no body follows"
    HEAD_WITH_LENGTH = "a head, and a body of the length that it declares follows"
    HEAD_WITH_CHUNKS = "a head, and a chunked body follows"
    DATA = "a part of the body, and more follows"
    END = "the end of the body"
    ABANDON = "nothing more is sent"


class ResponseState(Label):
    """What the next received bytes are."""

    IDLE = "nothing: no request yet"
    HEAD = "the response's head, or an interim one"
    LENGTH = "a body of known length"
    CHUNKED = "a chunked body"
    TRAILERS = "the fields after a chunked body"
    UNTIL_CLOSE = "a body that ends with the connection"
    DONE = "nothing: the response is complete"
    SWITCHED = "another protocol than HTTP"


class ResponseEvent(Label):
    """What is received of a response."""

    REQUEST = "a request begins, whose response is due"
    INTERIM_HEAD = "the head of an interim response (1xx)"
    HEAD_WITHOUT_BODY = "a head, and no body follows"
    HEAD_WITH_LENGTH = "a head, and a body of the length that it declares follows"
    HEAD_WITH_CHUNKS = "a head, and a chunked body follows"
    HEAD_UNTIL_CLOSE = "a head, and a body that ends with the connection follows"
    SWITCH = "the head of a 101, or of a 2xx to CONNECT"
    LAST_CHUNK = "the size line of the last chunk, and fields follow"
    END = "the end of the body"


REQUEST_TRANSITIONS: Transitions[RequestState, RequestEvent] = {
    RequestState.IDLE: {
        RequestEvent.HEAD_WITHOUT_BODY: RequestState.SENT,
        RequestEvent.HEAD_WITH_LENGTH: RequestState.SENDING_LENGTH,
        RequestEvent.HEAD_WITH_CHUNKS: RequestState.SENDING_CHUNKS,
    },
    RequestState.SENDING_LENGTH: {
        RequestEvent.DATA: RequestState.SENDING_LENGTH,
        RequestEvent.END: RequestState.SENT,
        RequestEvent.ABANDON: RequestState.ABANDONED,
    },
    RequestState.SENDING_CHUNKS: {
        RequestEvent.DATA: RequestState.SENDING_CHUNKS,
        RequestEvent.END: RequestState.SENT,
        RequestEvent.ABANDON: RequestState.ABANDONED,
    },
    RequestState.SENT: {
        RequestEvent.HEAD_WITHOUT_BODY: RequestState.SENT,
        RequestEvent.HEAD_WITH_LENGTH: RequestState.SENDING_LENGTH,
        RequestEvent.HEAD_WITH_CHUNKS: RequestState.SENDING_CHUNKS,
        # Its bytes were made, and could not all be written.
        RequestEvent.ABANDON: RequestState.ABANDONED,
    },
    RequestState.ABANDONED: {RequestEvent.ABANDON: RequestState.ABANDONED},
}

RESPONSE_TRANSITIONS: Transitions[ResponseState, ResponseEvent] = {
    ResponseState.IDLE: {ResponseEvent.REQUEST: ResponseState.HEAD},
    ResponseState.HEAD: {
        ResponseEvent.INTERIM_HEAD: ResponseState.HEAD,
        ResponseEvent.HEAD_WITHOUT_BODY: ResponseState.DONE,
        ResponseEvent.HEAD_WITH_LENGTH: ResponseState.LENGTH,
        ResponseEvent.HEAD_WITH_CHUNKS: ResponseState.CHUNKED,
        ResponseEvent.HEAD_UNTIL_CLOSE: ResponseState.UNTIL_CLOSE,
        ResponseEvent.SWITCH: ResponseState.SWITCHED,
    },
    ResponseState.LENGTH: {ResponseEvent.END: ResponseState.DONE},
    ResponseState.CHUNKED: {
        ResponseEvent.LAST_CHUNK: ResponseState.TRAILERS,
        ResponseEvent.END: ResponseState.DONE,
    },
    ResponseState.TRAILERS: {ResponseEvent.END: ResponseState.DONE},
    ResponseState.UNTIL_CLOSE: {ResponseEvent.END: ResponseState.DONE},
    ResponseState.DONE: {ResponseEvent.REQUEST: ResponseState.HEAD},
    ResponseState.SWITCHED: {},
}
