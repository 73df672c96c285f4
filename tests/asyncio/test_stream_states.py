"""The tables of the asyncio stream's states, cell by cell, and what a stream does in each state."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Iterator

import pytest

from httpcore2_asyncio._stream import AsyncIOStream
from httpcore2_asyncio._stream_states import (
    CANNOT_WRITE,
    FLOW_TRANSITIONS,
    TRANSITIONS,
    Flow,
    FlowEvent,
    StreamEvent,
    StreamState,
)
from httpcore2_core import ReadError, WriteError

from ..support.tables import arrows, cells, documented

CLOSED_HERE = "closed on this side"


class Transport(asyncio.Transport):
    """Records the calls of a stream. It has no socket, as uvloop's."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []

    def write(self, data: object) -> None:
        assert isinstance(data, bytes)
        self.written.append(data)

    def is_closing(self) -> bool:
        return False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass


@pytest.fixture
def stream() -> Iterator[AsyncIOStream]:
    loop = asyncio.new_event_loop()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        stream = AsyncIOStream(loop, ours)
        stream.connection_made(Transport())
        yield stream
    loop.close()


@pytest.mark.parametrize(
    ("state", "event", "following"), list(cells(TRANSITIONS, StreamState, StreamEvent))
)
def test_an_event_changes_the_state_as_the_table_says_or_is_refused(
    stream: AsyncIOStream, state: StreamState, event: StreamEvent, following: StreamState | None
) -> None:
    stream._state = state
    if following is None:
        with pytest.raises(KeyError):
            stream._change(event)
        following = state
    else:
        stream._change(event)
    assert stream._state is following


@pytest.mark.parametrize(
    ("flow", "event", "following"), list(cells(FLOW_TRANSITIONS, Flow, FlowEvent))
)
@pytest.mark.parametrize("direction", ["receiving", "sending"])
def test_an_event_changes_the_flow_as_the_table_says_or_is_refused(
    stream: AsyncIOStream, direction: str, flow: Flow, event: FlowEvent, following: Flow | None
) -> None:
    change = getattr(stream, f"_change_{direction}")
    setattr(stream, f"_{direction}", flow)
    if following is None:
        with pytest.raises(KeyError):
            change(event)
        following = flow
    else:
        change(event)
    assert getattr(stream, f"_{direction}") is following


def test_the_diagrams_in_the_architecture_show_the_tables() -> None:
    assert documented("States of an asyncio stream") == arrows(TRANSITIONS)
    assert documented("Flow control of an asyncio stream") == arrows(FLOW_TRANSITIONS)


def test_every_state_but_the_first_can_be_reached() -> None:
    reached = {following for row in TRANSITIONS.values() for following in row.values()}
    assert reached == set(StreamState) - {StreamState.OPEN}


RESET = ConnectionResetError(errno.ECONNRESET, "reset")
EVENTS: dict[StreamEvent, list[Callable[[AsyncIOStream], object]]] = {
    StreamEvent.PEER_ENDED: [lambda stream: stream.eof_received()],
    StreamEvent.LOST_AT_END: [
        lambda stream: stream.connection_lost(None),
        lambda stream: stream.connection_lost(BrokenPipeError(errno.EPIPE, "broken pipe")),
    ],
    StreamEvent.LOST_BY_ERROR: [lambda stream: stream.connection_lost(RESET)],
}


@pytest.mark.parametrize(
    ("state", "report", "following"),
    [
        (state, report, TRANSITIONS[state][event])
        for event, reports in EVENTS.items()
        for report in reports
        for state in StreamState
        if event in TRANSITIONS[state]
    ],
)
def test_reports_of_the_transport_are_the_events_of_the_table(
    stream: AsyncIOStream,
    state: StreamState,
    report: Callable[[AsyncIOStream], object],
    following: StreamState,
) -> None:
    stream._state = state
    report(stream)
    assert stream._state is following


@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        (StreamState.OPEN, None),
        (StreamState.HALF_CLOSED, b""),
        (StreamState.RECEIVE_FAILED, "reset"),
        (StreamState.ENDED, b""),
        (StreamState.LOST, "reset"),
        (StreamState.CLOSED, CLOSED_HERE),
        (StreamState.DETACHED, CLOSED_HERE),
    ],
)
def test_the_state_tells_what_is_read(
    stream: AsyncIOStream, state: StreamState, outcome: bytes | str | None
) -> None:
    stream._state = state
    stream._error = RESET
    if isinstance(outcome, str):
        with pytest.raises(ReadError, match=outcome):
            stream.read_nowait(10)
    else:
        assert stream.read_nowait(10) == outcome


@pytest.mark.parametrize("state", StreamState)
def test_the_state_tells_whether_bytes_can_be_written(
    stream: AsyncIOStream, state: StreamState
) -> None:
    stream._state = state
    if state in CANNOT_WRITE:
        with pytest.raises(WriteError):
            stream.write_nowait(b"hello")
    else:
        assert stream.write_nowait(b"hello") == 5
    assert stream._transport.written == ([] if state in CANNOT_WRITE else [b"hello"])
