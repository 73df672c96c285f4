"""Connections that are opened ahead: the limits hold, requests use them, and a failed attempt leaks nothing."""

from __future__ import annotations

import ssl
import threading
from functools import partial
from typing import Any

import pytest
import trustme

import httpcore2

from ..support.cancellation import cancel_at_every_wait
from ..support.interruption import interrupted_at
from ..support.observers import RecordingObserver
from ..support.runtimes import CancellationOutcome, TestedAsyncRuntime, TestedRuntime
from ..support.scripted_protocols import PROTOCOLS, Protocol, ServerConnection
from ..support.scripted_proxies import FORWARDED, PROXY_KINDS, scripted_proxy
from ..support.scripted_servers import (
    Peer,
    canned_responses,
    refusing_port,
    response,
    scripted_server,
)
from ..support.tls_origins import ROUTES, tls_origin

FINE = response(b"fine")


def serve(peer: Peer) -> None:
    while peer.receive_request():
        peer.send(FINE)


def ignore(peer: Peer) -> None:
    peer.receive_until_close()


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
def test_requests_use_the_connections_that_were_opened_ahead(
    runtime: TestedRuntime,
    protocol: Protocol,
    protocol_tls: ssl.SSLContext | None,
    client_tls: ssl.SSLContext,
) -> None:
    def handler(peer: Peer) -> None:
        connection = ServerConnection(peer, protocol)
        while connection.receive_request():
            connection.respond()

    async def scenario() -> None:
        async with runtime.pool(ssl_context=client_tls, **protocol.options) as pool:
            assert await pool.connect(server.url, 3) == 3
            assert "Requests: 0 active, 0 queued | Connections: 0 active, 3 idle" in repr(pool)
            # They are there: none is opened again.
            assert await pool.connect(server.url + "another/path", count=2) == 3
            assert await pool.connect(server.url) == 3
            assert all(each.is_idle() and each.is_available() for each in pool.connections)
            for _ in range(3):
                assert (await pool.request("GET", server.url)).content == b"fine"
            assert pool.stats().opened == 3

    with scripted_server(handler, tls=protocol_tls, allow_disconnect=True) as server:
        runtime.run(scenario)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("protocol", ["HTTP/1.1", "HTTP/2"])
def test_connections_are_opened_ahead_on_each_route(
    runtime: TestedRuntime, certificate_authority: trustme.CA, protocol: str, route: str
) -> None:
    async def scenario() -> None:
        async with runtime.pool(**origin.options) as pool:
            assert await pool.connect(origin.url, 2) == 2
            assert len(origin.names) == 2
            await pool.request("GET", origin.url)
            assert len(origin.names) == 2

    with tls_origin(certificate_authority, ["127.0.0.1"], protocol, route) as origin:
        runtime.run(scenario)


def test_connections_to_a_forwarding_proxy_are_opened_ahead_for_each_origin(
    runtime: TestedRuntime, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        async with runtime.pool(proxy=proxy.proxy()) as pool:
            assert await pool.connect("http://a.test/", 2) == 2
            assert await pool.connect("http://b.test/") == 1
            assert (await pool.request("GET", "http://b.test/")).content == FORWARDED
            assert len(pool.connections) == 3

    with (
        scripted_server(canned_responses([FINE])) as server,
        scripted_proxy(PROXY_KINDS["http"], server.port, server_tls, client_tls) as proxy,
    ):
        runtime.run(scenario)


@pytest.mark.parametrize(
    ("options", "opened"),
    [
        ({"max_connections": 2}, 2),
        ({"max_connections": 0}, 0),
        ({"max_connections_per_origin": 2}, 2),
        ({"max_keepalive_connections": 2}, 2),
        ({"max_keepalive_connections": 0}, 0),
        ({"keepalive_expiry": 0}, 0),
        ({"max_connections": None}, 4),
    ],
    ids=str,
)
def test_the_limits_of_the_pool_end_it_early(
    runtime: TestedRuntime, options: dict[str, Any], opened: int
) -> None:
    async def scenario() -> None:
        async with runtime.pool(**options) as pool:
            assert await pool.connect(server.url, 4) == opened
            assert len(pool.connections) == pool.stats().opened == opened

    with scripted_server(serve, allow_disconnect=True) as server:
        runtime.run(scenario)


@pytest.mark.parametrize(("protocol", "opened"), [("HTTP/2", 2), ("HTTP/1.1", 4)])
def test_the_limit_of_http2_connections_holds_for_no_others(
    runtime: TestedRuntime, certificate_authority: trustme.CA, protocol: str, opened: int
) -> None:
    async def scenario() -> None:
        options = {**origin.options, "http2": True, "max_http2_connections_per_origin": 2}
        async with runtime.pool(**options) as pool:
            assert await pool.connect(origin.url, 4) == opened

    with tls_origin(certificate_authority, ["127.0.0.1"], protocol) as origin:
        runtime.run(scenario)


def test_no_idle_connection_to_another_origin_is_closed_for_it(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with runtime.pool(max_connections=2) as pool:
            assert await pool.connect(one.url, 2) == 2
            assert await pool.connect(two.url) == 0
            assert (await pool.request("GET", two.url)).content == b"fine"  # a request does
            assert await pool.connect(one.url) == 1

    with (
        scripted_server(serve, allow_disconnect=True) as one,
        scripted_server(serve, allow_disconnect=True) as two,
    ):
        runtime.run(scenario)


def test_connections_in_use_count_and_it_waits_for_none(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with runtime.pool(max_connections=2) as pool:
            async with pool.stream("GET", server.url) as held:
                assert await pool.connect(server.url) == 1
                assert await pool.connect(server.url, 3) == 2
                await held.aread()
            assert "0 active, 2 idle" in repr(pool)

    with scripted_server(serve, allow_disconnect=True) as server:
        runtime.run(scenario)


def test_connections_for_another_server_name_do_not_count(
    runtime: TestedRuntime, certificate_authority: trustme.CA
) -> None:
    async def scenario() -> None:
        async with runtime.pool(**origin.options) as pool:
            named = {"sni_hostname": "a.test"}
            assert await pool.connect(origin.url) == 1
            assert await pool.connect(origin.url, extensions=named) == 1
            assert origin.names == [None, "a.test"]
            await pool.request("GET", origin.url, extensions=named)
            assert len(origin.names) == 2

    with tls_origin(certificate_authority, ["127.0.0.1", "a.test"], "HTTP/1.1") as origin:
        runtime.run(scenario)


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
def test_an_unused_connection_expires(
    runtime: TestedRuntime,
    protocol: Protocol,
    protocol_tls: ssl.SSLContext | None,
    client_tls: ssl.SSLContext,
) -> None:
    def handler(peer: Peer) -> None:
        ServerConnection(peer, protocol).receive_until_close()

    async def scenario() -> None:
        options = {**protocol.options, "ssl_context": client_tls, "keepalive_expiry": 0.05}
        async with runtime.pool(**options) as pool:
            assert await pool.connect(server.url) == 1
            await runtime.wait_until(lambda: bool(pool.close_expired()) or not pool.connections)
            # It is replaced, without a request in between.
            assert await pool.connect(server.url) == 1
            assert pool.stats().opened == 2

    with scripted_server(handler, tls=protocol_tls, allow_disconnect=True) as server:
        runtime.run(scenario)


def test_a_connection_that_is_too_old_at_once_is_closed_and_not_replaced_without_end(
    runtime: TestedRuntime,
) -> None:
    observer = RecordingObserver()

    async def scenario() -> None:
        async with runtime.pool(max_connection_age=1e-12) as pool:
            with pool.observe(observer):
                assert await pool.connect(server.url, 2) == 0
            assert pool.stats().opened == 2

    with scripted_server(serve, allow_disconnect=True) as server:
        runtime.run(scenario)
    life = observer.names("connection_opened", "connection_idle", "connection_closed")
    assert life == ["connection_opened", "connection_closed"] * 2


def test_a_failure_is_raised_and_leaves_nothing(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        with refusing_port() as port:
            async with runtime.pool(max_connections=1) as pool:
                for _ in range(2):
                    with pytest.raises(httpcore2.ConnectError, match=f"127.0.0.1:{port}"):
                        await pool.connect(f"http://127.0.0.1:{port}/")
                    assert pool.connections == []
                assert pool.stats().closed == {httpcore2.CloseReason.DIAL_FAILED: 2}
                assert sum(pool.stats().failed.values()) == 0  # no request has failed

    runtime.run(scenario)


def test_a_server_that_does_not_complete_the_handshake_costs_the_timeout(
    runtime: TestedRuntime, client_tls: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        async with runtime.pool(ssl_context=client_tls, max_connections=1) as pool:
            url = f"https://127.0.0.1:{server.port}/"
            limits = [{"connect": 0.05}, {"total": 0.05}]
            for timeout in limits:
                with pytest.raises(httpcore2.ConnectTimeout):
                    await pool.connect(url, extensions={"timeout": timeout})
                assert pool.connections == []

    with scripted_server(ignore, allow_disconnect=True) as server:
        runtime.run(scenario)


def test_observers_see_an_idle_connection_and_no_request(runtime: TestedRuntime) -> None:
    observer = RecordingObserver()

    async def scenario() -> None:
        async with runtime.pool() as pool:
            with pool.observe(observer):
                assert await pool.connect(server.url) == 1
                life = ("connection_opened", "connection_idle", "connection_active")
                assert observer.names(*life) == ["connection_opened", "connection_idle"]
                assert "request_started" not in observer.names()
                stats = pool.stats()
                assert (stats.idle_connections, stats.active_requests) == (1, 0)
                await pool.request("GET", server.url)
                assert observer.names(*life)[2:] == ["connection_active", "connection_idle"]
                assert observer.one("connection_acquired")["reused"]

    with scripted_server(serve, allow_disconnect=True) as server:
        runtime.run(scenario)


def test_the_handshakes_are_traced(runtime: TestedRuntime) -> None:
    events: list[tuple[str, dict[str, Any]]] = []

    async def scenario() -> None:
        async with runtime.pool() as pool:
            await pool.connect(server.url, extensions={"trace": runtime.trace(events)})

    with scripted_server(serve, allow_disconnect=True) as server:
        runtime.run(scenario)
    names = [name for name, _ in events]
    assert names == ["connection.connect_tcp.started", "connection.connect_tcp.complete"]


def test_requests_wait_for_an_http2_connection_that_is_being_opened_ahead(
    async_runtime: TestedAsyncRuntime, certificate_authority: trustme.CA
) -> None:
    runtime = async_runtime

    async def scenario() -> None:
        async with runtime.pool(**origin.options) as pool:

            async def connect() -> None:
                assert await pool.connect(origin.url) == 1

            async def fetch() -> None:
                await runtime.wait_until(lambda: bool(pool.connections))
                assert (await pool.request("GET", origin.url)).content == b"fine"

            await runtime.gather(connect, fetch, fetch)
            assert len(pool.connections) == 1
            assert (await pool.request("GET", origin.url)).content == b"fine"

    with tls_origin(certificate_authority, ["127.0.0.1"], "HTTP/2") as origin:
        runtime.run(scenario)
    assert len(origin.names) == 1


def test_a_pool_that_is_closed_meanwhile_has_no_connection(
    async_runtime: TestedAsyncRuntime, client_tls: ssl.SSLContext
) -> None:
    runtime = async_runtime

    async def scenario() -> None:
        pool = runtime.pool(ssl_context=client_tls)

        async def connect() -> None:
            with pytest.raises(httpcore2.ConnectError):
                await pool.connect(f"https://127.0.0.1:{server.port}/", 2)

        async def close() -> None:
            await runtime.wait_until(lambda: server.accepted == 1)
            await pool.aclose()

        await runtime.gather(connect, close)
        assert pool.connections == []

    with scripted_server(ignore, allow_disconnect=True) as server:
        runtime.run(scenario)


@pytest.mark.parametrize("late", [False, True], ids=["while waiting", "as the result arrives"])
@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
def test_it_can_be_cancelled_at_every_wait(
    async_runtime: TestedAsyncRuntime,
    protocol: Protocol,
    protocol_tls: ssl.SSLContext | None,
    client_tls: ssl.SSLContext,
    late: bool,
) -> None:
    runtime = async_runtime

    def handler(peer: Peer) -> None:
        connection = ServerConnection(peer, protocol)
        while connection.receive_request():
            connection.respond()

    async def attempt(number: int) -> CancellationOutcome:
        options = {**protocol.options, "max_connections": 2, "ssl_context": client_tls}
        async with runtime.pool(**options) as pool:

            async def connect() -> None:
                assert await pool.connect(server.url, 2) == 2

            outcome = await runtime.cancel_at_wait(number, connect, late)
            assert "Requests: 0 active, 0 queued | Connections: 0 active" in repr(pool)
            assert await pool.connect(server.url, 2) == 2
            assert (await pool.request("GET", server.url)).content == b"fine"
        return outcome

    async def scenario() -> None:
        assert CancellationOutcome.CANCELLED in await cancel_at_every_wait(attempt)

    with scripted_server(handler, tls=protocol_tls, allow_disconnect=True) as server:
        runtime.run(scenario)


class SilentStream(httpcore2.NetworkStream):
    def close(self) -> None:
        pass

    def get_extra_info(self, info: str) -> Any:
        return False if info == "is_readable" else None


class SilentBackend(httpcore2.NetworkBackend):
    def connect_tcp(self, *args: Any, **options: Any) -> SilentStream:
        return SilentStream()


# An exception before the first step of a coroutine leaves the coroutine unawaited.
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
def test_an_interruption_at_any_place_leaks_no_slot() -> None:
    number = 0
    was_reached = True
    while was_reached:
        number += 1
        pool, spare = (
            httpcore2.ConnectionPool(max_connections=2, network_backend=SilentBackend())
            for _ in range(2)
        )
        was_reached = interrupted_at(
            number, partial(pool.connect, "http://h/", 2), partial(spare.connect, "http://h/", 2)
        )
        assert pool.connect("http://h/", 2) == 2
        assert "0 active, 0 queued | Connections: 0 active, 2 idle" in repr(pool)
        for each in (pool, spare):
            each.close()
    assert number > 50


def test_threads_that_open_connections_at_the_same_time_open_no_more_than_were_wanted() -> None:
    results: list[int] = []
    with (
        scripted_server(serve, allow_disconnect=True) as server,
        httpcore2.ConnectionPool() as pool,
    ):
        threads = [
            threading.Thread(target=lambda: results.append(pool.connect(server.url, 3)))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert results == [3] * 8
        assert len(pool.connections) == 3


def test_a_pool_keeps_a_connection_of_a_callers_own_class_for_the_next_request() -> None:
    class Own(httpcore2.ConnectionPool):
        def create_connection(self, origin: httpcore2.Origin) -> httpcore2.ConnectionInterface:
            return Renamed(super().create_connection(origin))

    class Renamed(httpcore2.HTTPConnection):
        def __init__(self, inner: Any) -> None:
            self._counterpart = inner._counterpart

        def handle_request(self, request: httpcore2.Request) -> httpcore2.Response:
            return super().handle_request(request)

    with scripted_server(serve, allow_disconnect=True) as server, Own() as pool:
        assert pool.connect(server.url) == 1
        assert pool.request("GET", server.url).content == b"fine"
        assert len(pool.connections) == 1


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("http://h/", 0), ValueError, "count must be 1 or more, but got 0."),
        (("http://h/", -3), ValueError, "count must be 1 or more, but got -3."),
        (("http://h/", 1.5), TypeError, "count must be an int, but got float."),
        ((5,), TypeError, "url must be a URL, bytes, or str, but got int."),
        (("ftp://h/",), httpcore2.UnsupportedProtocol, "unsupported protocol 'ftp://'"),
    ],
    ids=str,
)
def test_a_wrong_argument_is_refused(
    runtime: TestedRuntime, arguments: tuple[Any, ...], error: type[Exception], message: str
) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool:
            with pytest.raises(error, match=message):
                await pool.connect(*arguments)

    runtime.run(scenario)
