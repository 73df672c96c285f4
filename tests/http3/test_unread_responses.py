"""Responses that nobody reads: their connection takes no further request, and above a limit they are reset."""

from __future__ import annotations

import pytest

import httpcore2
from httpcore2_http3 import _session

from ..support.h3peer import H3Peer, answering
from ..support.runtimes import TestedRuntime
from .conftest import PoolMaker, Serve

SIZE = 200_000


def large_and_small(peer: H3Peer) -> None:
    large = peer.whole_request()
    peer.head(large)
    small = peer.whole_request()
    peer.data(large, bytes(SIZE), end=True)
    assert peer.quic is not None
    while peer.quic.get_send_buffer_size(large) and peer.end is None:
        peer.pump()
    peer.respond(small, b"small")
    answering()(peer)


def test_a_connection_with_an_unread_response_takes_no_further_request(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_session, "UNREAD_LIMIT", 10_000)
    scripts = [large_and_small]
    with serve(lambda peer: (scripts.pop() if scripts else answering())(peer)) as server:

        async def main() -> None:
            async with make_pool() as pool, pool.stream("GET", server.url) as response:
                await pool.request("GET", server.url)
                # It has arrived, or arrives now, while this one waits on another connection.
                first = pool.connections[0]
                await runtime.wait_until(lambda: not first.has_expired())
                await pool.request("GET", server.url)
                body = b"".join([chunk async for chunk in response.aiter_stream()])
                assert len(body) == SIZE

        runtime.run(main)


def test_a_response_of_which_too_much_is_unread_is_reset(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_session, "MAX_UNREAD", 20_000)
    with serve(large_and_small) as server:

        async def main() -> None:
            async with make_pool() as pool:
                async with pool.stream("GET", server.url) as response:
                    await pool.request("GET", server.url)
                    with pytest.raises(httpcore2.ReadError, match="were not read"):
                        async for _ in response.aiter_stream():
                            pass
                assert (await pool.request("GET", server.url)).content == b"fine"

        runtime.run(main)
