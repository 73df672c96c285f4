"""The age of connections: an older one takes no further request, and those in progress are not affected."""

from __future__ import annotations

from typing import Any

import h2.events
import pytest
import trustme

import httpcore2

from ..support.h2peer import H2Peer, speaking
from ..support.runtimes import TestedRuntime
from ..support.scripted_servers import Peer, response, scripted_server
from ..support.tls_origins import ROUTES, tls_origin

FINE = response(b"fine")
SHORT = 1e-9
"""An age that a connection has reached when its first request has ended."""
LONG = 1e9


class Closings(httpcore2.Observer):
    """Records why connections were closed."""

    def __init__(self) -> None:
        self.reasons: list[httpcore2.CloseReason] = []

    def connection_closed(self, connection: Any, reason: httpcore2.CloseReason, time: Any) -> None:
        self.reasons.append(reason)


def serve(peer: Peer) -> None:
    while peer.receive_request():
        peer.send(FINE)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("protocol", ["HTTP/1.1", "HTTP/2"])
@pytest.mark.parametrize(("age", "connections"), [(SHORT, 3), (LONG, 1), (None, 1)])
def test_a_connection_older_than_its_limit_takes_no_further_request(
    runtime: TestedRuntime,
    certificate_authority: trustme.CA,
    protocol: str,
    route: str,
    age: float | None,
    connections: int,
) -> None:
    async def scenario() -> None:
        closings = Closings()
        async with runtime.pool(max_connection_age=age, **origin.options) as pool:
            pool.observe(closings)
            for _ in range(3):
                reply = await pool.request("GET", origin.url)
                assert reply.content == b"fine"
            assert closings.reasons == [httpcore2.CloseReason.AGED] * (3 if age == SHORT else 0)
            assert len(pool.connections) == (0 if age == SHORT else 1)

    with tls_origin(certificate_authority, ["127.0.0.1"], protocol, route) as origin:
        runtime.run(scenario)
    assert len(origin.names) == connections


def test_a_response_is_read_to_its_end_on_a_connection_that_is_too_old(
    runtime: TestedRuntime,
) -> None:
    async def scenario() -> None:
        async with runtime.pool(max_connection_age=SHORT) as pool:
            async with (
                pool.stream("GET", server.url) as first,
                pool.stream("GET", server.url) as second,
            ):
                assert [await each.aread() for each in (second, first)] == [b"fine"] * 2
            assert pool.connections == []

    with scripted_server(serve) as server:
        runtime.run(scenario)
    assert server.accepted == 2


def test_an_http2_connection_that_is_too_old_drains(runtime: TestedRuntime) -> None:
    def script(peer: H2Peer) -> None:
        streams = [peer.request()]
        if peer.peer.number == 0:
            is_answered.wait_in_thread()
        for stream in streams:
            peer.respond(stream, b"fine")
        peer.until_end()

    is_answered = runtime.event()

    async def scenario() -> None:
        closings = Closings()
        options = {"http1": False, "http2": True}
        async with runtime.pool(max_connection_age=SHORT, **options) as pool:
            pool.observe(closings)

            async def first() -> None:
                assert (await pool.request("GET", server.url)).content == b"fine"

            async def second() -> None:
                await runtime.wait_until(
                    lambda: any(connection.is_connected() for connection in pool.connections)
                )
                assert (await pool.request("GET", server.url)).content == b"fine"
                # The first one is in progress, on the connection that takes no other.
                assert len(pool.connections) == 1
                is_answered.set()

            await runtime.gather(first, second)
            assert pool.connections == []
            assert closings.reasons == [httpcore2.CloseReason.AGED] * 2

    with scripted_server(speaking(script), allow_disconnect=True) as server:
        runtime.run(scenario)
    assert server.accepted == 2


def test_streams_that_the_server_adds_are_not_used_on_a_connection_that_is_too_old(
    runtime: TestedRuntime,
) -> None:
    def script(peer: H2Peer) -> None:
        stream = peer.request()
        if peer.peer.number == 0:
            wait_until_read(peer)
            is_limited.set()
            is_waiting.wait_in_thread()
            peer.change(MAX_CONCURRENT_STREAMS=100)
            wait_until_read(peer)
        peer.respond(stream, b"fine")
        assert not [
            event for event in peer.until_end() if isinstance(event, h2.events.RequestReceived)
        ]

    def wait_until_read(peer: H2Peer) -> None:
        peer.h2.ping(b"question")
        peer.flush()
        peer.wait_for(h2.events.PingAckReceived)

    is_limited, is_waiting = runtime.event(), runtime.event()

    async def scenario() -> None:
        options = {"http1": False, "http2": True, "max_connections": 1}
        async with runtime.pool(max_connection_age=SHORT, **options) as pool:

            async def fetch() -> None:
                assert (await pool.request("GET", server.url)).content == b"fine"

            async def wait() -> None:
                await is_limited.wait()
                await fetch()

            async def release() -> None:
                await runtime.wait_until(lambda: pool.stats().queued_requests == 1)
                is_waiting.set()

            await runtime.gather(fetch, wait, release)

    with scripted_server(speaking(script, MAX_CONCURRENT_STREAMS=1)) as server:
        runtime.run(scenario)
    assert server.accepted == 2


@pytest.mark.parametrize("value", [0, -1.5, float("nan")])
@pytest.mark.parametrize("pool_class", [httpcore2.ConnectionPool, httpcore2.AsyncConnectionPool])
def test_an_age_that_allows_no_request_is_refused(pool_class: Any, value: float) -> None:
    with pytest.raises(ValueError, match=f"max_connection_age must be .* seconds.* got {value}"):
        pool_class(max_connection_age=value)
