"""`Timings`: each response says how long each phase of its request took."""

from __future__ import annotations

import itertools
import ssl
from typing import Any

import pytest

import httpcore2
from httpcore2_core._http.observer import ObservedConnection

from ..support.fake_network import FakeNetworkBackend, FakeNetworkStream
from ..support.h2peer import answering, speaking
from ..support.runtimes import TestedRuntime
from ..support.scripted_proxies import ESTABLISHED
from ..support.scripted_servers import Peer, canned_responses, response, scripted_server

FINE = response(b"fine")
PHASES = ("queued", "resolve", "connect", "tls", "send", "wait", "receive")


def _timings(reply: httpcore2.Response) -> httpcore2.RequestTimings:
    timings: httpcore2.RequestTimings = reply.extensions["timings"]
    return timings


def _check_sum(timings: httpcore2.RequestTimings) -> None:
    """The phases follow each other: their sum is at most the total."""
    phases = [getattr(timings, name) for name in PHASES]
    assert all(phase is None or phase >= 0.0 for phase in phases)
    assert timings.total is not None
    assert sum(phase or 0.0 for phase in phases) <= timings.total + 1e-6


def test_the_first_request_has_the_phases_of_its_connection_and_the_next_has_not(
    runtime: TestedRuntime, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        async with runtime.pool(ssl_context=client_tls) as pool:
            pool.observe(httpcore2.Timings())
            first = _timings(await pool.request("GET", server.url))
            second = _timings(await pool.request("GET", server.url))
        for timings in (first, second):
            _check_sum(timings)
            assert timings.send is not None
            assert timings.wait is not None
            assert timings.receive is not None
        assert not first.reused
        assert first.resolve is not None
        assert first.connect is not None
        assert first.tls is not None
        assert second.reused
        assert second.resolve is second.connect is second.tls is None
        assert repr(first).startswith("<RequestTimings [reused=False, queued=0.000000, resolve=0.")

    with scripted_server(canned_responses([FINE] * 2), tls=server_tls) as server:
        runtime.run(scenario)


def test_receive_and_total_are_known_when_the_body_was_read(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool:
            pool.observe(httpcore2.Timings())
            async with pool.stream("GET", server.url) as reply:
                timings = _timings(reply)
                assert timings.wait is not None
                assert timings.receive is timings.total is None
                await reply.aread()
            _check_sum(timings)
            assert timings.tls is None

    with scripted_server(canned_responses([FINE])) as server:
        runtime.run(scenario)


def test_requests_over_http2_have_timings(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with runtime.pool(http1=False, http2=True) as pool:
            pool.observe(httpcore2.Timings())
            replies = [await pool.request("GET", server.url) for _ in range(2)]
        assert [_timings(reply).reused for reply in replies] == [False, True]
        for reply in replies:
            _check_sum(_timings(reply))
            assert _timings(reply).wait is not None

    with scripted_server(speaking(answering())) as server:
        runtime.run(scenario)


def test_a_request_that_waits_for_a_connection_has_the_time_in_queued(
    runtime: TestedRuntime,
) -> None:
    async def scenario() -> None:
        async with runtime.pool(max_connections=1) as pool:
            pool.observe(httpcore2.Timings())
            async with pool.stream("GET", server.url) as held:

                async def follow() -> httpcore2.RequestTimings:
                    return _timings(await pool.request("GET", server.url))

                async def let_go() -> None:
                    await runtime.wait_until(lambda: " 1 queued" in repr(pool))
                    await held.aread()

                results: list[Any] = await runtime.gather(follow, let_go)
            timings = results[0]
            assert timings.queued > 0.0
            assert timings.reused
            _check_sum(timings)

    with scripted_server(canned_responses([FINE] * 2)) as server:
        runtime.run(scenario)


def test_a_request_that_was_sent_again_has_the_times_of_its_last_attempt(
    runtime: TestedRuntime,
) -> None:
    def handler(peer: Peer) -> None:
        peer.receive_request()
        peer.send(FINE)
        peer.receive_request()  # and the connection ends without a response

    async def scenario() -> None:
        async with runtime.pool() as pool:
            pool.observe(httpcore2.Timings())
            await pool.request("GET", server.url)
            timings = _timings(await pool.request("GET", server.url))
            assert not timings.reused
            assert timings.connect is not None
            _check_sum(timings)

    with scripted_server(handler) as server:
        runtime.run(scenario)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_request_through_a_proxy_has_timings(runtime: TestedRuntime, scheme: str) -> None:
    received = [FINE] if scheme == "http" else [ESTABLISHED, FINE]

    async def scenario() -> None:
        backend = FakeNetworkBackend(FakeNetworkStream(received))
        proxy = httpcore2.Proxy("http://proxy.example:8080")
        async with runtime.pool(proxy=proxy, network_backend=backend) as pool:
            pool.observe(httpcore2.Timings())
            timings = _timings(await pool.request("GET", f"{scheme}://example.com/"))
        _check_sum(timings)
        assert (timings.tls is None) == (scheme == "http")
        assert timings.wait is not None

    runtime.run(scenario)


def test_the_times_of_each_phase_are_differences_of_the_clock() -> None:
    observer = httpcore2.Timings()
    connection = ObservedConnection(httpcore2.Origin(b"https", b"x", 443), 0.0)
    clock = itertools.count(1.0)
    address = ("192.0.2.1", 443)
    token = observer.request_started(httpcore2.Request("GET", "https://x/"), next(clock))  # 1
    observer.resolution_started(connection, "x", next(clock))  # 2
    observer.resolution_ended(connection, "x", ["192.0.2.1"], None, 4.0)
    observer.attempt_started(connection, ("192.0.2.2", 443), 5.0)
    observer.attempt_started(connection, address, 6.0)
    observer.attempt_ended(connection, ("192.0.2.2", 443), OSError(), 7.0)
    observer.attempt_ended(connection, address, None, 9.0)
    observer.tls_started(connection, "x", 10.0)
    observer.tls_ended(connection, "TLSv1.3", None, None, None, 15.0)
    observer.tls_started(connection, "x", 16.0)
    observer.tls_ended(connection, "TLSv1.3", None, None, None, 17.0)
    observer.connection_acquired(token, connection, False, 0.5, 20.0)
    observer.request_head_sent(token, 21.0)
    observer.first_byte_received(token, 27.0)
    reply = httpcore2.Response(200)
    observer.response_received(token, reply, 28.0)
    observer.request_ended(token, 200, None, 0, 0, 40.0)
    timings = _timings(reply)
    phases = {name: getattr(timings, name) for name in (*PHASES, "total")}
    assert phases == {
        "queued": 0.5,
        "resolve": 2.0,
        "connect": 4.0,
        "tls": 6.0,
        "send": 1.0,
        "wait": 6.0,
        "receive": 13.0,
        "total": 39.0,
    }


def test_a_request_that_fails_before_its_response_has_no_time_of_receiving() -> None:
    observer = httpcore2.Timings()
    token = observer.request_started(httpcore2.Request("GET", "https://x/"), 1.0)
    connection = ObservedConnection(httpcore2.Origin(b"https", b"x", 443), 0.0)
    observer.attempt_ended(connection, "path", None, 2.0)
    observer.connection_acquired(token, connection, False, 0.0, 3.0)
    observer.request_ended(token, None, OSError(), 0, 0, 4.0)
    assert token.timings.receive is token.timings.connect is None
    assert token.timings.total == 3.0
