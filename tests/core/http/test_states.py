"""The life of a connection: each event in each state, its names, and the diagram of the architecture."""

from __future__ import annotations

import pytest

import httpcore2
from httpcore2_core._http.states import (
    CONNECTION_TRANSITIONS,
    ConnectionEvent,
    ConnectionState,
)
from httpcore2_core._states import columns

from ...support.tables import arrows, cells, documented
from ..fake_runtime import FakeStream


@pytest.mark.parametrize(
    ("state", "event", "following"),
    list(cells(CONNECTION_TRANSITIONS, ConnectionState, ConnectionEvent)),
)
def test_an_event_changes_a_connection_as_the_table_says(
    state: ConnectionState, event: ConnectionEvent, following: ConnectionState | None
) -> None:
    origin = httpcore2.Origin(b"http", b"example.com", 80)
    connection = httpcore2.AsyncHTTP11Connection(origin, FakeStream())
    connection._state = state
    if following is None:
        with pytest.raises(KeyError):
            connection._change(columns(CONNECTION_TRANSITIONS)[event])
    else:
        connection._change(columns(CONNECTION_TRANSITIONS)[event])
    assert connection._state is (following or state)
    assert connection.is_closed() == (connection._state.public_name == "CLOSED")
    assert connection.is_idle() == (connection._state.public_name == "IDLE")


def test_states_show_under_the_names_of_the_published_release() -> None:
    assert {state.public_name for state in ConnectionState} == {"NEW", "ACTIVE", "IDLE", "CLOSED"}


def test_the_diagram_shows_the_table() -> None:
    assert documented("The life of a connection") == arrows(CONNECTION_TRANSITIONS)
