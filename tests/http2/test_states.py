"""The table of stream states: each cell of it, and its diagram in the architecture."""

from __future__ import annotations

import pytest

from httpcore2 import Request
from httpcore2_http2._states import (
    ENDED,
    HALF_CLOSED_LOCAL,
    HALF_CLOSED_REMOTE,
    IDLE,
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
    SEND_DATA,
    SEND_END_STREAM,
    SEND_HEADERS,
    SEND_RST_STREAM,
    TRANSITIONS,
    StreamEvent,
    StreamState,
    states_allowing,
)
from httpcore2_http2._stream import Stream

from ..support.tables import arrows, cells, documented

CELLS = list(cells(TRANSITIONS, StreamState, StreamEvent))

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
