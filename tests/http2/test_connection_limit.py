"""The limit of HTTP/2 connections to one origin: requests beyond their streams wait for one to end."""

from __future__ import annotations

from typing import Any

import pytest

import httpcore2

from ..support.h2peer import H2Peer, speaking
from ..support.runtimes import TestedRuntime
from ..support.scripted_servers import scripted_server

OPTIONS = {"http1": False, "http2": True}


def test_requests_beyond_the_streams_of_the_allowed_connection_wait(
    runtime: TestedRuntime,
) -> None:
    def script(peer: H2Peer) -> None:
        while (stream := peer.whole_request()) is not None:
            peer.respond(stream, b"fine")

    async def scenario() -> None:
        async with runtime.pool(max_http2_connections_per_origin=1, **OPTIONS) as pool:

            async def fetch() -> None:
                assert (await pool.request("GET", server.url)).content == b"fine"

            await fetch()  # the server's settings have come
            await runtime.gather(*[fetch] * 10)
            assert len(pool.connections) == 1

    with scripted_server(
        speaking(script, MAX_CONCURRENT_STREAMS=1), allow_disconnect=True
    ) as server:
        runtime.run(scenario)
    assert server.accepted == 1


def test_a_connection_that_drains_does_not_count(runtime: TestedRuntime) -> None:
    def script(peer: H2Peer) -> None:
        stream = peer.request()
        if peer.peer.number == 0:
            peer.go_away(stream)
            is_answered.wait_in_thread()
        peer.respond(stream, b"fine")
        peer.until_end()

    is_answered = runtime.event()

    async def scenario() -> None:
        async with runtime.pool(max_http2_connections_per_origin=1, **OPTIONS) as pool:

            async def first() -> None:
                assert (await pool.request("GET", server.url)).content == b"fine"

            async def second() -> None:
                await runtime.wait_until(
                    lambda: (
                        any(not each.is_available() for each in pool.connections)
                        and any(each.is_connected() for each in pool.connections)
                    )
                )
                assert (await pool.request("GET", server.url)).content == b"fine"
                is_answered.set()

            await runtime.gather(first, second)

    with scripted_server(speaking(script), allow_disconnect=True) as server:
        runtime.run(scenario)
    assert server.accepted == 2


@pytest.mark.parametrize("value", [0, -1])
@pytest.mark.parametrize("pool_class", [httpcore2.ConnectionPool, httpcore2.AsyncConnectionPool])
def test_a_limit_that_allows_no_connection_is_refused(pool_class: Any, value: int) -> None:
    match = f"max_http2_connections_per_origin must be .* got {value}"
    with pytest.raises(ValueError, match=match):
        pool_class(max_http2_connections_per_origin=value)


def test_the_error_of_a_full_pool_names_the_limit_on_http2_connections() -> None:
    with (
        httpcore2.ConnectionPool(
            max_connections=0, http2=True, max_http2_connections_per_origin=2
        ) as pool,
        pytest.raises(httpcore2.PoolTimeout, match="2 with HTTP/2 to each origin") as caught,
    ):
        pool.request("GET", "http://www.example.com/", extensions={"timeout": {"pool": 0.0}})
    assert "raise max_connections or max_http2_connections_per_origin" in str(caught.value)
