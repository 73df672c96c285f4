"""Requests with a body that the server did not process: they are sent again, unless a chunk of the body was taken."""

from __future__ import annotations

from typing import Any

import pytest
from qh3.h3.connection import ErrorCode
from qh3.h3.events import StreamReset

import httpcore2
from httpcore2_core._http.stream_upload import StreamUpload

from ..support.h3peer import H3Peer
from ..support.h3state import session
from ..support.runtimes import TestedRuntime
from .conftest import PoolMaker, Serve

CHUNKS = [b"first ", b"second"]
WHOLE = b"".join(CHUNKS)
NOTE = "The request can't be sent again: a chunk of its body was taken already."


def reject_first(peer: H3Peer) -> None:
    """Answer requests, but reject the first that is whole."""
    stream_id = peer.whole_request()
    peer.reset(stream_id, ErrorCode.H3_REQUEST_REJECTED)
    while True:
        stream_id = peer.whole_request()
        peer.respond(stream_id, peer.bodies[stream_id] or b"fine")


def test_a_request_is_not_sent_again_if_its_body_was_taken(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    async def scenario() -> None:
        async with make_pool() as pool:
            with pytest.raises(httpcore2.RemoteProtocolError, match="REJECTED") as raised:
                await pool.request("PUT", server.url, content=runtime.body(CHUNKS))
            assert raised.value.__notes__ == [NOTE]
            assert (await pool.request("GET", server.url)).content == b"fine"
            assert len(pool.connections) == 1

    with serve(reject_first) as server:
        runtime.run(scenario)


def test_a_request_is_sent_again_if_its_body_is_bytes(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    async def scenario() -> None:
        async with make_pool() as pool:
            assert (await pool.request("PUT", server.url, content=WHOLE)).content == WHOLE

    with serve(reject_first) as server:
        runtime.run(scenario)


def test_a_request_that_must_not_be_sent_again_is_not(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    async def scenario() -> None:
        async with make_pool(resend=False) as pool:
            with pytest.raises(httpcore2.RemoteProtocolError, match="REJECTED") as raised:
                await pool.request("PUT", server.url, content=WHOLE)
            assert "since `resend` is False" in raised.value.__notes__[-1]

    with serve(reject_first) as server:
        runtime.run(scenario)


def test_a_request_is_sent_again_if_nothing_was_taken_from_its_body(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    def script(peer: H3Peer) -> None:
        peer.reset(peer.request(), ErrorCode.H3_REQUEST_REJECTED)
        stream_id = peer.request()
        peer.head(stream_id, status=100)
        assert peer.whole_request() == stream_id
        peer.respond(stream_id, peer.bodies[stream_id])
        peer.until_end()

    async def scenario() -> None:
        extensions: dict[str, Any] = {"timeout": {"continue": 30.0}}
        async with make_pool() as pool:
            reply = await pool.request(
                "PUT",
                server.url,
                headers={"Expect": "100-continue"},
                content=runtime.body(CHUNKS),
                extensions=extensions,
            )
            assert reply.content == WHOLE

    with serve(script) as server:
        runtime.run(scenario)


def test_a_request_is_not_sent_again_if_another_reads_the_refusal_before_the_first_chunk_is_taken(
    runtime: TestedRuntime,
    serve: Serve,
    make_pool: PoolMaker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    take = StreamUpload.next_chunk

    async def scenario() -> None:
        async with make_pool() as pool:

            async def next_chunk(upload: StreamUpload) -> None:
                state = session(pool)
                with state.lock:
                    (stream,) = state.streams.values()
                    reset = StreamReset(stream.stream_id, ErrorCode.H3_REQUEST_REJECTED)
                    state._on_reset(stream, reset)
                await take(upload)

            monkeypatch.setattr(StreamUpload, "next_chunk", next_chunk)
            with pytest.raises(httpcore2.RemoteProtocolError, match="REJECTED") as raised:
                await pool.request("PUT", server.url, content=runtime.body(CHUNKS))
            assert raised.value.__notes__ == [NOTE]
            assert session(pool).request_count == 1

    with serve(H3Peer.until_end) as server:
        runtime.run(scenario)
