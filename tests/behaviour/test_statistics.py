"""`pool.stats()`: what a pool is doing, and what it has done."""

from __future__ import annotations

import threading

import pytest

import httpcore2

from ..support.h2peer import answering, speaking
from ..support.runtimes import RUNTIMES, TestedRuntime
from ..support.scripted_servers import Peer, canned_responses, response, scripted_server

FINE = response(b"fine")


def test_the_statistics_count_connections_and_requests_by_origin(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with runtime.pool(max_connections=2, max_keepalive_connections=1) as pool:
            assert pool.stats().origins == {}
            async with pool.stream("GET", first.url) as held:
                await pool.request("GET", second.url)
                stats = pool.stats()
                await held.aread()
        assert stats.origins == {
            first.origin: httpcore2.OriginStats(1, 0, 0, 1, 0),
            second.origin: httpcore2.OriginStats(0, 1, 0, 0, 0),
        }
        assert stats[:5] == (1, 1, 0, 1, 0)
        assert (stats.max_connections, stats.max_keepalive_connections) == (2, 1)
        assert stats.max_connections_per_origin is None
        assert stats.opened == 2
        stats = pool.stats()
        assert stats[:5] == (0, 0, 0, 0, 0)
        assert sum(stats.closed.values()) == 2

    with (
        scripted_server(canned_responses([FINE])) as first,
        scripted_server(canned_responses([FINE])) as second,
    ):
        runtime.run(scenario)


@pytest.mark.parametrize("is_http2", [False, True])
def test_the_totals_count_reuse_and_bytes(runtime: TestedRuntime, is_http2: bool) -> None:
    async def scenario() -> None:
        async with runtime.pool(http1=not is_http2, http2=is_http2) as pool:
            for _ in range(3):
                await pool.request("POST", server.url, content=b"x" * 70_000)
            open_stats = pool.stats()
        closed_stats = pool.stats()
        for stats in (open_stats, closed_stats):
            assert (stats.opened, stats.reused) == (1, 2)
            assert 210_000 < stats.bytes_sent < 215_000
            assert 210_000 < stats.bytes_received < 215_000
        assert closed_stats.bytes_sent >= open_stats.bytes_sent
        assert closed_stats.closed == {httpcore2.CloseReason.POOL_CLOSED: 1}

    def echo(peer: Peer) -> None:
        while request := peer.receive_request():
            peer.send(response(request[1]))

    def http2(peer: Peer) -> None:
        speaking(answering())(peer)

    with scripted_server(http2 if is_http2 else echo) as server:
        runtime.run(scenario)


def test_the_bytes_of_http11_are_those_that_the_server_has_seen(runtime: TestedRuntime) -> None:
    received: list[int] = []

    def handler(peer: Peer) -> None:
        while request := peer.receive_request():
            received.append(len(request[0]) + len(request[1]))
            peer.send(FINE)

    async def scenario() -> None:
        async with runtime.pool() as pool:
            for content in (b"", b"x" * 100, b"x" * 100_000):
                await pool.request("POST", server.url, content=content)
            body = runtime.body([b"1", b"23"])
            headers = [("Content-Length", "3")]
            await pool.request("POST", server.url, headers=headers, content=body)
            stats = pool.stats()
        assert stats.bytes_sent == sum(received)
        assert stats.bytes_received == 4 * len(FINE)

    with scripted_server(handler) as server:
        runtime.run(scenario)


def test_failures_are_counted_by_phase(runtime: TestedRuntime) -> None:
    def handler(peer: Peer) -> None:
        request = peer.receive_request()
        assert request is not None
        if request[0].startswith(b"GET /body"):
            peer.send(FINE[:-1])

    async def scenario() -> None:
        async with runtime.pool(max_connections=1) as pool:
            for path in ("body", "head"):
                with pytest.raises(httpcore2.RemoteProtocolError):
                    await pool.request("GET", server.url + path)
            with pytest.raises(httpcore2.ConnectError):
                await pool.request("GET", refused)
            async with pool.stream("GET", server.url + "body"):
                with pytest.raises(httpcore2.PoolTimeout):
                    await pool.request("GET", server.url, extensions={"timeout": {"pool": 0.01}})
            stats = pool.stats()
        assert stats.failed == {"body": 1, "exchange": 1, "connect": 1, "pool": 1}
        assert stats.pool_timeouts == 1
        assert stats.seconds_waited >= 0.0
        assert stats.closed[httpcore2.CloseReason.DIAL_FAILED] == 1

    with scripted_server(canned_responses([])) as gone:
        refused = gone.url
    with scripted_server(handler, allow_disconnect=True) as server:
        runtime.run(scenario)


def test_requests_that_are_sent_again_are_counted(runtime: TestedRuntime) -> None:
    def handler(peer: Peer) -> None:
        peer.receive_request()
        peer.send(FINE)
        peer.receive_request()  # and the connection ends without a response

    async def scenario() -> None:
        async with runtime.pool() as pool:
            for _ in range(2):
                await pool.request("GET", server.url)
            assert pool.stats().resent == 1
            assert pool.stats().failed == {}

    with scripted_server(handler) as server:
        runtime.run(scenario)


def test_the_totals_go_on_when_a_pool_moves_to_another_event_loop() -> None:
    runtime = RUNTIMES["asyncio"]
    pool = runtime.pool()

    async def request() -> None:
        await pool.request("GET", server.url)

    async def end() -> None:
        await request()
        stats = pool.stats()
        await pool.aclose()
        assert stats.opened == 2
        assert stats.closed == {httpcore2.CloseReason.LOST: 1}

    with scripted_server(canned_responses([FINE]), allow_disconnect=True) as server:
        runtime.run(request)
        runtime.run(end)


def test_many_threads_are_counted_without_loss() -> None:
    def echo(peer: Peer) -> None:
        while peer.receive_request():
            peer.send(FINE)

    with scripted_server(echo) as server, httpcore2.ConnectionPool(max_connections=4) as pool:

        def fetch() -> None:
            for _ in range(50):
                assert pool.request("GET", server.url).content == b"fine"

        threads = [threading.Thread(target=fetch) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        stats = pool.stats()
        assert stats.opened == server.accepted
        assert stats.opened + stats.reused == 400
        assert stats.bytes_received == 400 * len(FINE)
        assert stats.active_requests == stats.queued_requests == 0
