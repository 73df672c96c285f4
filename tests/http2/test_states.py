"""The tables of the states of streams and responses: each cell, and their diagrams in the architecture."""

from __future__ import annotations

import pytest

from httpcore2 import Request
from httpcore2_http2._states import (
    BODY_DUE,
    COMPLETE,
    CONTENT,
    END,
    END_DUE,
    ENDED,
    FINAL_HEAD,
    HALF_CLOSED_LOCAL,
    HALF_CLOSED_REMOTE,
    HEAD_DUE,
    IDLE,
    INTERIM_HEAD,
    OPEN,
    RECEIVE_DATA,
    RECEIVE_END_STREAM,
    RECEIVE_HEADERS,
    RECEIVE_RST_STREAM,
    RECEIVE_WINDOW_UPDATE,
    RELEASE,
    RELEASED,
    RESET_RECEIVED,
    RESET_SENT,
    RESPONSE_TRANSITIONS,
    SEND_DATA,
    SEND_END_STREAM,
    SEND_HEADERS,
    SEND_RST_STREAM,
    TRAILERS,
    TRANSITIONS,
    ResponseEvent,
    ResponseState,
    StreamEvent,
    StreamState,
    states_allowing,
)
from httpcore2_http2._stream import Stream

from ..support.tables import arrows, cells, documented

CELLS = list(cells(TRANSITIONS, StreamState, StreamEvent))
RESPONSE_CELLS = list(cells(RESPONSE_TRANSITIONS, ResponseState, ResponseEvent))

# RFC 9113, section 5.1, in the words of the RFC: which frames each state allows in either direction.
ALLOWED = {
    IDLE: {SEND_HEADERS},
    OPEN: set(StreamEvent) - {SEND_HEADERS},
    HALF_CLOSED_LOCAL: set(StreamEvent) - {SEND_HEADERS, SEND_DATA, SEND_END_STREAM},
    HALF_CLOSED_REMOTE: set(StreamEvent)
    - {SEND_HEADERS, RECEIVE_HEADERS, RECEIVE_DATA, RECEIVE_END_STREAM},
    RELEASED: {event for event in StreamEvent if event.name.startswith("RECEIVE")}
    | {SEND_RST_STREAM},
    ENDED: {RECEIVE_RST_STREAM, RECEIVE_WINDOW_UPDATE, RELEASE},
    RESET_SENT: {event for event in StreamEvent if event.name.startswith("RECEIVE")},
    RESET_RECEIVED: {RECEIVE_RST_STREAM, RECEIVE_WINDOW_UPDATE, SEND_RST_STREAM},
}

# RFC 9113, section 8.1: interim heads, the final head, data, trailers in the frame that ends the stream.
DUE = {
    HEAD_DUE: {INTERIM_HEAD, FINAL_HEAD},
    BODY_DUE: {CONTENT, TRAILERS, END},
    END_DUE: {END},
    COMPLETE: set(),
}


def in_state(state: StreamState) -> Stream:
    stream = Stream(Request("GET", "http://a/"), None, 0)
    assert stream.state is IDLE
    stream.state = state
    return stream


@pytest.mark.parametrize(
    ("state", "event", "following"),
    CELLS,
    ids=[f"{state.name} {event.name}" for state, event, _ in CELLS],
)
def test_a_stream_changes_its_state_as_the_table_says(
    state: StreamState, event: StreamEvent, following: StreamState | None
) -> None:
    stream = in_state(state)
    assert (event in ALLOWED[state]) == (following is not None)
    if following is None:
        with pytest.raises(KeyError):
            stream.transition(event)
        assert stream.state is state
    else:
        stream.transition(event)
        assert stream.state is following


def test_the_diagram_in_the_architecture_is_the_table() -> None:
    assert documented("States of an HTTP/2 stream") == arrows(TRANSITIONS)


def test_each_state_can_be_reached_and_each_open_one_can_be_left() -> None:
    reached = {IDLE}
    for _ in StreamState:
        reached |= {following for state in reached for following in TRANSITIONS[state].values()}
    assert reached == set(StreamState)
    open_states = states_allowing(SEND_RST_STREAM) - {RESET_RECEIVED}
    assert open_states == {OPEN, HALF_CLOSED_LOCAL, HALF_CLOSED_REMOTE, RELEASED}


def test_our_half_is_open_until_our_end_stream_or_a_reset() -> None:
    may_send = {state for state in StreamState if in_state(state).may_send}
    assert may_send == states_allowing(SEND_END_STREAM)
    has_sent_all = {state for state in StreamState if in_state(state).has_sent_all}
    assert has_sent_all == {HALF_CLOSED_LOCAL, ENDED}


@pytest.mark.parametrize(
    ("state", "event", "following"),
    RESPONSE_CELLS,
    ids=[f"{state.name} {event.name}" for state, event, _ in RESPONSE_CELLS],
)
def test_a_response_advances_as_the_table_says(
    state: ResponseState, event: ResponseEvent, following: ResponseState | None
) -> None:
    stream = in_state(OPEN)
    assert stream.response is HEAD_DUE
    stream.response = state
    assert (event in DUE[state]) == (following is not None)
    if following is None:
        with pytest.raises(KeyError):
            stream.advance(event)
        assert stream.response is state
    else:
        stream.advance(event)
        assert stream.response is following
    assert stream.has_ended == (stream.response is COMPLETE)


def test_the_diagram_of_responses_in_the_architecture_is_the_table() -> None:
    assert documented("Parts of an HTTP/2 response") == arrows(RESPONSE_TRANSITIONS)


@pytest.mark.parametrize(("end_stream", "state"), [(False, OPEN), (True, HALF_CLOSED_LOCAL)])
def test_the_head_of_a_request_opens_its_stream(end_stream: bool, state: StreamState) -> None:
    stream = in_state(IDLE)
    stream.open(7, 1, 2, end_stream)
    assert stream.state is state
    assert (stream.stream_id, stream.send_window, stream.receive_window) == (7, 1, 2)


@pytest.mark.parametrize("state", StreamState)
def test_the_end_of_a_response_needs_a_stream_that_may_receive(state: StreamState) -> None:
    stream = in_state(state)
    stream.response = BODY_DUE
    if state in states_allowing(RECEIVE_END_STREAM):
        assert stream.end_response() is TRANSITIONS[state][RECEIVE_END_STREAM]
        assert stream.has_ended
    else:
        with pytest.raises(KeyError):
            stream.end_response()
