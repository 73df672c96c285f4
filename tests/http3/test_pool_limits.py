"""What pools do with connections over HTTP/3: opening ahead, ages, limits, expiry, leases, addresses."""

from __future__ import annotations

import ssl
from threading import Event
from typing import Any

import pytest

import httpcore2

from ..support.h3peer import H3Peer, answering
from ..support.h3state import check_idle, session
from ..support.runtimes import TestedRuntime
from .conftest import PoolMaker, Serve


def test_a_connection_can_be_opened_ahead(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    async def scenario() -> None:
        async with make_pool(keepalive_expiry=60.0) as pool:
            assert await pool.connect(server.url) == 1
            assert pool.stats().idle_connections == 1
            assert await pool.connect(server.url) == 1, "it takes many requests"
            response = await pool.request("GET", server.url)
            assert response.extensions["stream_id"] == 0
            assert len(server.peers) == 1

    with serve(answering()) as server:
        runtime.run(scenario)


def test_a_connection_that_the_server_closed_before_its_first_request_is_replaced(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    is_idle = Event()

    def script(peer: H3Peer) -> None:
        if len(server.peers) == 1:
            while peer.h3 is None:
                peer.pump()
            peer.wait_until(is_idle)
            peer.close()
        answering()(peer)

    async def scenario() -> None:
        async with make_pool() as pool:
            assert await pool.connect(server.url) == 1
            is_idle.set()
            await runtime.wait_until(
                lambda: all(connection.has_expired() for connection in pool.connections)
            )
            assert (await pool.request("POST", server.url)).content == b"fine"

    with serve(script) as server:
        runtime.run(scenario)
        assert len(server.peers) == 2


def test_a_connection_past_its_age_takes_no_further_request(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    async def scenario() -> None:
        async with make_pool(max_connection_age=1e-9) as pool:
            for _ in range(2):
                assert (await pool.request("GET", server.url)).content == b"fine"

    with serve(answering()) as server:
        runtime.run(scenario)
        assert len(server.peers) == 2


@pytest.mark.parametrize(
    "limit", ["max_connections_per_origin", "max_http2_connections_per_origin", "max_connections"]
)
def test_requests_beyond_the_streams_of_the_allowed_connection_wait(
    runtime: TestedRuntime,
    serve: Serve,
    make_pool: PoolMaker,
    limit: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("httpcore2_http3._session.MAX_STREAMS", 2)

    async def scenario() -> None:
        async with make_pool(**{limit: 1}) as pool:

            async def send() -> None:
                assert (await pool.request("GET", server.url)).content == b"fine"

            await runtime.gather(*[send] * 7)
            check_idle(pool)
            assert session(pool).request_count == 7

    with serve(answering()) as server:
        runtime.run(scenario)
        assert len(server.peers) == 1


def test_an_idle_connection_expires(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    async def scenario() -> None:
        async with make_pool(keepalive_expiry=0.0) as pool:
            for _ in range(2):
                assert (await pool.request("GET", server.url)).content == b"fine"

    with serve(answering()) as server:
        runtime.run(scenario)
        assert len(server.peers) == 2


def test_responses_and_errors_have_the_addresses_of_both_ends(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    def script(peer: H3Peer) -> None:
        peer.respond(peer.whole_request(), b"fine")
        peer.reset(peer.whole_request(), 0x102)
        peer.until_end()

    async def scenario() -> None:
        async with make_pool() as pool:
            response = await pool.request("GET", server.url)
            assert response.extensions["peer_address"] == ("127.0.0.1", server.port)
            assert response.extensions["local_address"][0] == "127.0.0.1"
            with pytest.raises(httpcore2.RemoteProtocolError, match="H3_INTERNAL_ERROR") as raised:
                await pool.request("GET", server.url)
            assert raised.value.peer_address == ("127.0.0.1", server.port)
            assert raised.value.local_address == response.extensions["local_address"]

    with serve(script) as server:
        runtime.run(scenario)


def test_a_lease_is_not_over_http3(
    runtime: TestedRuntime, make_pool: PoolMaker, client_tls: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        async with make_pool() as pool:
            with pytest.raises(RuntimeError, match="http1=False"):
                pool.lease("https://127.0.0.1:9/")

    runtime.run(scenario)


def test_what_a_user_changes_of_a_pool_is_checked() -> None:
    options: dict[str, Any] = {"http1": False, "http2": False, "http3": False}
    with pytest.raises(ValueError, match="leaves no protocol"):
        httpcore2.ConnectionPool(**options)
