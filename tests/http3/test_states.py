"""The tables of the two halves of a stream: each cell of them, and their diagrams in the architecture."""

from __future__ import annotations

import pytest

from httpcore2 import Request
from httpcore2_core._http.stream_upload import StreamUpload
from httpcore2_http3._states import (
    BODY,
    ENDED,
    FAIL,
    FAILED,
    HEAD,
    RECEIVE_DATA,
    RECEIVE_END,
    RECEIVE_HEAD,
    RECEIVE_INTERIM,
    RECEIVE_TRAILERS,
    REQUEST_TRANSITIONS,
    RESPONSE_TRANSITIONS,
    SENDING,
    SENT,
    STOPPED,
    TRAILERS,
    RequestEvent,
    RequestState,
    ResponseEvent,
    ResponseState,
)
from httpcore2_http3._stream import Stream

from ..support.tables import arrows, cells, documented

REQUEST_CELLS = list(cells(REQUEST_TRANSITIONS, RequestState, RequestEvent))
RESPONSE_CELLS = list(cells(RESPONSE_TRANSITIONS, ResponseState, ResponseEvent))

# RFC 9114, section 4.1: interim responses, one head, data, trailers, and the end; what fails, fails at any time.
ALLOWED = {
    HEAD: {RECEIVE_INTERIM, RECEIVE_HEAD, FAIL},
    BODY: {RECEIVE_DATA, RECEIVE_TRAILERS, RECEIVE_END, FAIL},
    TRAILERS: {RECEIVE_END, FAIL},
    ENDED: {FAIL},
    FAILED: {FAIL},
}


def new_stream() -> Stream:
    stream = Stream(Request("GET", "https://a/"), 0, StreamUpload(b"", None, None))
    assert stream.request_state is SENDING and stream.response_state is HEAD
    return stream


@pytest.mark.parametrize(
    ("state", "event", "following"),
    REQUEST_CELLS,
    ids=[f"{state.name} {event.name}" for state, event, _ in REQUEST_CELLS],
)
def test_the_half_of_the_request_changes_its_state_as_the_table_says(
    state: RequestState, event: RequestEvent, following: RequestState | None
) -> None:
    stream = new_stream()
    stream.request_state = state
    if following is None:
        with pytest.raises(KeyError):
            stream.change_request(event)
        assert stream.request_state is state
    else:
        stream.change_request(event)
        assert stream.request_state is following
    assert stream.has_sent_all == (stream.request_state is SENT)
    assert stream.is_stopped == (stream.request_state is STOPPED)


@pytest.mark.parametrize(
    ("state", "event", "following"),
    RESPONSE_CELLS,
    ids=[f"{state.name} {event.name}" for state, event, _ in RESPONSE_CELLS],
)
def test_the_half_of_the_response_changes_its_state_as_the_table_says(
    state: ResponseState, event: ResponseEvent, following: ResponseState | None
) -> None:
    stream = new_stream()
    stream.response_state = state
    assert (event in ALLOWED[state]) == (following is not None)
    if following is None:
        with pytest.raises(KeyError):
            stream.change_response(event)
        assert stream.response_state is state
    else:
        stream.change_response(event)
        assert stream.response_state is following
    assert stream.is_over == (stream.response_state in {ENDED, FAILED})


def test_a_failure_after_the_end_of_a_response_is_nobody_s() -> None:
    stream = new_stream()
    stream.response_state = ENDED
    stream.fail(ValueError(), True)
    assert stream.error is None and not stream.is_unprocessed


def test_the_diagrams_in_the_architecture_are_the_tables() -> None:
    assert documented("HTTP/3: the request side") == arrows(REQUEST_TRANSITIONS)
    assert documented("HTTP/3: the response side") == arrows(RESPONSE_TRANSITIONS)
