"""The tables of HTTP/1.1: each event in each state, and the diagrams of the architecture."""

from __future__ import annotations

import pytest

from httpcore2_core._http11.codec import HTTP11Codec
from httpcore2_core._http11.states import (
    REQUEST_TRANSITIONS,
    RESPONSE_TRANSITIONS,
    RequestEvent,
    RequestState,
    ResponseEvent,
    ResponseState,
)
from httpcore2_core._states import columns

from ...support.tables import arrows, cells, documented


@pytest.mark.parametrize(
    ("state", "event", "following"), list(cells(REQUEST_TRANSITIONS, RequestState, RequestEvent))
)
def test_an_event_changes_the_request_side_as_the_table_says(
    state: RequestState, event: RequestEvent, following: RequestState | None
) -> None:
    codec = HTTP11Codec()
    codec.request_state = state
    if following is None:
        with pytest.raises(KeyError):
            codec._change_request(columns(REQUEST_TRANSITIONS)[event])
    else:
        codec._change_request(columns(REQUEST_TRANSITIONS)[event])
    assert codec.request_state is (following or state)


@pytest.mark.parametrize(
    ("state", "event", "following"), list(cells(RESPONSE_TRANSITIONS, ResponseState, ResponseEvent))
)
def test_an_event_changes_the_response_side_as_the_table_says(
    state: ResponseState, event: ResponseEvent, following: ResponseState | None
) -> None:
    codec = HTTP11Codec()
    codec.response_state = state
    if following is None:
        with pytest.raises(KeyError):
            codec._change_response(columns(RESPONSE_TRANSITIONS)[event])
    else:
        codec._change_response(columns(RESPONSE_TRANSITIONS)[event])
    assert codec.response_state is (following or state)


def test_the_diagrams_show_the_tables() -> None:
    assert documented("HTTP/1.1: the request side") == arrows(REQUEST_TRANSITIONS)
    assert documented("HTTP/1.1: the response side") == arrows(RESPONSE_TRANSITIONS)
