"""The limit of connections to one origin: it is kept, its requests wait in order, and delay no others."""

from __future__ import annotations

import ssl
import threading
from typing import Any

import pytest
import trustme

import httpcore2

from ..support.runtimes import TestedAsyncRuntime, TestedRuntime
from ..support.scripted_proxies import PROXY_KINDS, scripted_proxy
from ..support.scripted_servers import Peer, canned_responses, response, scripted_server
from ..support.tls_origins import ROUTES, tls_origin

FINE = response(b"fine")


def serve(peer: Peer) -> None:
    while peer.receive_request():
        peer.send(FINE)


@pytest.mark.parametrize("limit", [1, 3])
def test_concurrent_requests_to_an_origin_share_no_more_connections_than_it_is_allowed(
    runtime: TestedRuntime, limit: int
) -> None:
    async def scenario() -> None:
        async with runtime.pool(max_connections=None, max_connections_per_origin=limit) as pool:

            async def fetch() -> None:
                assert (await pool.request("GET", server.url)).content == b"fine"

            await runtime.gather(*[fetch] * 20)
            assert len(pool.connections) <= limit

    with scripted_server(serve) as server:
        runtime.run(scenario)
    assert server.accepted <= limit


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("protocol", ["HTTP/1.1", "HTTP/2"])
def test_the_limit_is_that_of_the_origin_on_each_route(
    runtime: TestedRuntime, certificate_authority: trustme.CA, protocol: str, route: str
) -> None:
    async def scenario() -> None:
        async with runtime.pool(max_connections_per_origin=1, **origin.options) as pool:

            async def fetch() -> None:
                await pool.request("GET", origin.url)

            await runtime.gather(*[fetch] * 5)
            assert len(pool.connections) == 1

    with tls_origin(certificate_authority, ["127.0.0.1"], protocol, route) as origin:
        runtime.run(scenario)
    assert len(origin.names) == 1


def test_a_forwarding_proxy_takes_a_connection_for_each_origin(
    runtime: TestedRuntime, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        async with runtime.pool(proxy=proxy.proxy(), max_connections_per_origin=1) as pool:

            async def fetch(host: str) -> None:
                await pool.request("GET", f"http://{host}/")

            hosts = ["a.test", "b.test"] * 3
            await runtime.gather(*[lambda host=host: fetch(host) for host in hosts])
            assert len(pool.connections) == 2

    with (
        scripted_server(canned_responses([FINE] * 3, [FINE] * 3)) as server,
        scripted_proxy(PROXY_KINDS["http"], server.port, server_tls, client_tls) as proxy,
    ):
        runtime.run(scenario)


def test_an_origin_that_hangs_delays_no_request_to_another(runtime: TestedRuntime) -> None:
    release = threading.Event()

    def hang(peer: Peer) -> None:
        while peer.receive_request():
            assert release.wait(60)
            peer.send(FINE)

    async def scenario() -> None:
        async with runtime.pool(max_connections=2, max_connections_per_origin=1) as pool:

            async def fetch(url: str) -> None:
                assert (await pool.request("GET", url)).content == b"fine"

            async def others() -> None:
                await runtime.wait_until(lambda: "1 active, 3 queued" in repr(pool))
                for url in (one.url, two.url) * 3:
                    await fetch(url)
                assert "1 active, 3 queued" in repr(pool)
                release.set()

            await runtime.gather(*[lambda: fetch(hanging.url)] * 4, others)

    with (
        scripted_server(hang) as hanging,
        scripted_server(serve) as one,
        scripted_server(serve) as two,
    ):
        runtime.run(scenario)
    assert hanging.accepted == 1


def test_requests_that_wait_for_their_origin_are_served_in_the_order_of_their_arrival(
    runtime: TestedRuntime,
) -> None:
    order: list[bytes] = []

    def record(peer: Peer) -> None:
        while request := peer.receive_request():
            order.append(request[0].split(b" ")[1])
            peer.send(FINE)

    async def scenario() -> None:
        async with runtime.pool(max_connections_per_origin=1) as pool:

            async def hold() -> None:
                async with pool.stream("GET", server.url + "0") as held:
                    await runtime.wait_until(lambda: " 5 queued" in repr(pool))
                    await held.aread()

            async def follow(number: int) -> None:
                await runtime.wait_until(lambda: f"1 active, {number - 1} queued" in repr(pool))
                await pool.request("GET", server.url + str(number))

            await runtime.gather(
                hold, *[lambda number=number: follow(number) for number in range(1, 6)]
            )

    with scripted_server(record) as server:
        runtime.run(scenario)
    assert server.accepted == 1
    assert order == [b"/0", b"/1", b"/2", b"/3", b"/4", b"/5"]


def test_a_connection_that_failed_is_replaced_for_the_request_that_waits(
    runtime: TestedRuntime,
) -> None:
    def fail_once(peer: Peer) -> None:
        peer.receive_request()
        if peer.number == 0:
            has_request.set()
            assert may_fail.wait(60)
        else:
            peer.send(FINE)
            peer.receive_until_close()

    has_request, may_fail = runtime.event(), threading.Event()

    async def scenario() -> None:
        async with runtime.pool(max_connections_per_origin=1) as pool:

            async def fail() -> None:
                with pytest.raises(httpcore2.RemoteProtocolError):
                    await pool.request("POST", server.url)

            async def wait() -> None:
                await has_request.wait()
                assert (await pool.request("GET", server.url)).content == b"fine"

            async def end() -> None:
                await runtime.wait_until(lambda: " 1 queued" in repr(pool))
                may_fail.set()

            await runtime.gather(fail, wait, end)

    with scripted_server(fail_once, allow_disconnect=True) as server:
        runtime.run(scenario)
    assert server.accepted == 2


def test_a_request_that_is_cancelled_while_it_waits_for_its_origin_takes_no_slot(
    async_runtime: TestedAsyncRuntime,
) -> None:
    runtime = async_runtime

    async def scenario() -> None:
        async with runtime.pool(max_connections_per_origin=1) as pool:
            is_waiting = runtime.event()

            async def wait() -> None:
                await pool.request("GET", server.url)

            async def watch() -> None:
                await runtime.wait_until(lambda: " 1 queued" in repr(pool))
                is_waiting.set()

            async with pool.stream("GET", server.url) as held:
                stopped, _ = await runtime.gather(
                    lambda: runtime.cancel_on_event(is_waiting, wait), watch
                )
                assert stopped
                assert "1 active, 0 queued" in repr(pool)
                await held.aread()
            await pool.request("GET", server.url)

    with scripted_server(serve) as server:
        runtime.run(scenario)
    assert server.accepted == 1


def test_the_error_of_a_request_that_waits_too_long_names_the_limit_of_the_origin(
    runtime: TestedRuntime,
) -> None:
    async def scenario() -> None:
        async with (
            runtime.pool(max_connections_per_origin=1) as pool,
            pool.stream("GET", server.url) as held,
        ):
            with pytest.raises(httpcore2.PoolTimeout) as caught:
                await pool.request("GET", server.url, extensions={"timeout": {"pool": 0.0}})
            message = str(caught.value)
            assert "The pool allows 10, and 1 to each origin: 1 are active" in message
            assert "raise max_connections or max_connections_per_origin." in message
            await held.aread()

    with scripted_server(canned_responses([FINE])) as server:
        runtime.run(scenario)


@pytest.mark.parametrize("value", [0, -1])
@pytest.mark.parametrize("pool_class", [httpcore2.ConnectionPool, httpcore2.AsyncConnectionPool])
def test_a_limit_that_allows_no_connection_is_refused(pool_class: Any, value: int) -> None:
    with pytest.raises(ValueError, match=f"max_connections_per_origin must be .* got {value}"):
        pool_class(max_connections_per_origin=value)


def test_a_leased_connection_counts_in_the_limit_of_its_origin(runtime: TestedRuntime) -> None:
    at_once: dict[str, Any] = {"timeout": {"pool": 0.0}}

    async def scenario() -> None:
        async with runtime.pool(max_connections_per_origin=1) as pool:
            async with pool.lease(server.url) as connection:
                assert (await connection.request("GET", server.url)).content == b"fine"
                with pytest.raises(httpcore2.PoolTimeout, match="and 1 to each origin"):
                    await pool.request("GET", server.url, extensions=at_once)
            # The slot of an idle connection goes to a lease, and the reverse.
            for _ in range(2):
                await pool.request("GET", server.url, extensions=at_once)
                async with pool.lease(server.url, reuse=True, extensions=at_once) as connection:
                    await connection.request("GET", server.url)
                assert len(pool.connections) == 1

    with scripted_server(serve, allow_disconnect=True) as server:
        runtime.run(scenario)
    assert server.accepted == 5


def test_requests_and_leases_of_an_origin_are_served_in_order(
    async_runtime: TestedAsyncRuntime,
) -> None:
    runtime = async_runtime
    order: list[str] = []
    is_leased = runtime.event()

    async def scenario() -> None:
        async with runtime.pool(max_connections_per_origin=1) as pool:

            async def wait_for_place(place: int) -> None:
                await is_leased.wait()
                await runtime.wait_until(lambda: pool.stats().queued_requests >= place)

            async def fetch(place: int) -> None:
                await wait_for_place(place)
                await pool.request("GET", server.url)
                order.append(f"request {place}")

            async def lease(place: int) -> None:
                await wait_for_place(place)
                async with pool.lease(server.url) as connection:
                    await connection.request("GET", server.url)
                    order.append(f"lease {place}")

            async def block() -> None:
                async with pool.lease(server.url):
                    is_leased.set()
                    await wait_for_place(4)

            await runtime.gather(
                block,
                lambda: fetch(0),
                lambda: lease(1),
                lambda: fetch(2),
                lambda: lease(3),
            )

    with scripted_server(serve, allow_disconnect=True) as server:
        runtime.run(scenario)
    assert order == ["request 0", "lease 1", "request 2", "lease 3"]


@pytest.mark.parametrize("protocol", ["HTTP/1.1", "HTTP/2"])
def test_connections_with_another_server_name_count_in_the_limit_of_the_origin(
    runtime: TestedRuntime, certificate_authority: trustme.CA, protocol: str
) -> None:
    async def scenario() -> None:
        async with runtime.pool(max_connections_per_origin=2, **origin.options) as pool:

            async def fetch(name: str) -> None:
                await pool.request("GET", origin.url, extensions={"sni_hostname": name})
                assert len(pool.connections) <= 2

            names = ["one.test", "two.test", "three.test"] * 3
            await runtime.gather(*[lambda name=name: fetch(name) for name in names])

    names = ["127.0.0.1", "one.test", "two.test", "three.test"]
    with tls_origin(certificate_authority, names, protocol) as origin:
        runtime.run(scenario)
    assert set(origin.names) == {"one.test", "two.test", "three.test"}
