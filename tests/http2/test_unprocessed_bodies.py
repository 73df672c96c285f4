"""Requests with a body that the server did not process: they are sent again, unless a chunk of the body was taken."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from h2.errors import ErrorCodes

import httpcore2
from httpcore2_core._http.stream_upload import StreamUpload

from ..support.h2peer import H2Peer, speaking
from ..support.h2state import session
from ..support.runtimes import TestedRuntime
from ..support.scripted_servers import scripted_server
from .conftest import PoolMaker

CHUNKS = [b"first ", b"second"]
WHOLE = b"".join(CHUNKS)
NOTE = "The request can't be sent again: a chunk of its body was taken already."


class OpenFile:
    """An iterator as an open file is one: it goes on where it stopped, in both APIs."""

    def __init__(self) -> None:
        self.chunks = iter(CHUNKS)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self.chunks)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        for chunk in self.chunks:
            return chunk
        raise StopAsyncIteration


BODIES: dict[str, Callable[[TestedRuntime], Any]] = {
    "generator": lambda runtime: runtime.body(CHUNKS),
    "file": lambda _: OpenFile(),
}


def refuse(peer: H2Peer, stream_id: int) -> None:
    peer.reset(stream_id, ErrorCodes.REFUSED_STREAM)


def go_away(peer: H2Peer, stream_id: int) -> None:
    peer.go_away(stream_id - 2)


def disconnect(peer: H2Peer, stream_id: int) -> None:
    peer.peer.half_close()


REFUSALS = {
    "REFUSED_STREAM": (refuse, "REFUSED_STREAM"),
    "GOAWAY": (go_away, "did not process the request"),
    "disconnect": (disconnect, "disconnected"),
}


class Refusing:
    """A server that receives the whole of each PUT, and refuses the first one."""

    def __init__(self, refusal: Callable[[H2Peer, int], None]) -> None:
        self.refusal = refusal
        self.bodies: list[bytes] = []

    def __call__(self, peer: H2Peer) -> None:
        while stream_id := peer.whole_request():
            if peer.requests[stream_id][b":method"] == b"PUT":
                self.bodies.append(peer.bodies[stream_id])
                if len(self.bodies) == 1:
                    self.refusal(peer, stream_id)
                    continue
            peer.respond(stream_id, b"fine")


@pytest.mark.parametrize("length", [False, True], ids=["unknown", "declared"])
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_request_is_not_sent_again_if_its_body_was_taken_to_the_end(
    runtime: TestedRuntime,
    h2_pool: PoolMaker,
    no_leaks: None,
    refusal: str,
    body: str,
    length: bool,
) -> None:
    action, message = REFUSALS[refusal]
    headers: dict[bytes | str, bytes | str] = {"Content-Length": str(len(WHOLE))} if length else {}

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            assert (await pool.request("GET", server.url)).content == b"fine"
            with pytest.raises(httpcore2.RemoteProtocolError, match=message) as raised:
                await pool.request(
                    "PUT", server.url, headers=headers, content=BODIES[body](runtime)
                )
            assert NOTE in raised.value.__notes__
            assert (await pool.request("GET", server.url)).content == b"fine"

    script = Refusing(action)
    with scripted_server(speaking(script), allow_disconnect=True) as server:
        runtime.run(scenario)
    assert script.bodies == [WHOLE]


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_request_is_sent_again_if_its_body_is_bytes(
    runtime: TestedRuntime, h2_pool: PoolMaker, no_leaks: None, refusal: str
) -> None:
    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            assert (await pool.request("GET", server.url)).content == b"fine"
            reply = await pool.request("PUT", server.url, content=WHOLE)
            assert reply.content == b"fine"

    script = Refusing(REFUSALS[refusal][0])
    with scripted_server(speaking(script), allow_disconnect=True) as server:
        runtime.run(scenario)
    assert script.bodies == [WHOLE, WHOLE]


@pytest.mark.parametrize("body", BODIES)
def test_a_request_is_sent_again_if_nothing_was_taken_from_its_body(
    runtime: TestedRuntime, h2_pool: PoolMaker, no_leaks: None, body: str
) -> None:
    def script(peer: H2Peer) -> None:
        refuse(peer, peer.request())
        stream_id = peer.request()
        peer.head(stream_id, status=100)
        assert peer.whole_request() == stream_id
        peer.respond(stream_id, peer.bodies[stream_id])
        peer.until_end()

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            reply = await pool.request(
                "PUT",
                server.url,
                headers={"Expect": "100-continue"},
                content=BODIES[body](runtime),
                extensions={"timeout": {"continue": 30.0}},
            )
            assert reply.content == WHOLE

    with scripted_server(speaking(script)) as server:
        runtime.run(scenario)


def test_a_request_is_not_sent_again_if_another_reads_the_refusal_before_the_first_chunk_is_taken(
    runtime: TestedRuntime,
    h2_pool: PoolMaker,
    no_leaks: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    take = StreamUpload.next_chunk

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:

            async def next_chunk(upload: StreamUpload) -> None:
                state = session(pool)
                with state.lock:
                    (stream,) = state.streams.values()
                    state.on_reset(stream, ErrorCodes.REFUSED_STREAM)
                await take(upload)

            monkeypatch.setattr(StreamUpload, "next_chunk", next_chunk)
            with pytest.raises(httpcore2.RemoteProtocolError, match="REFUSED_STREAM") as raised:
                await pool.request("PUT", server.url, content=runtime.body(CHUNKS))
            assert raised.value.__notes__ == [NOTE]
            assert session(pool).request_count == 1

    with scripted_server(speaking(H2Peer.until_end)) as server:
        runtime.run(scenario)
