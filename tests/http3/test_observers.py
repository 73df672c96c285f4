"""Observers and statistics of HTTP/3: shared connections, GOAWAY, PING, and requests that are sent again."""

from __future__ import annotations

import ssl
from threading import Event
from typing import Any

import pytest

import httpcore2
from httpcore2_http3._connection import EstablishedHTTP3Connection

from ..support.h3peer import H3Peer, answering
from ..support.observers import RecordingObserver
from ..support.runtimes import TestedRuntime
from .conftest import HTTP3_ONLY, PoolMaker, Serve


def test_requests_that_share_a_connection_make_it_active_once(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    observer = RecordingObserver()

    async def scenario() -> None:
        async with make_pool() as pool:
            pool.observe(observer)
            async with pool.stream("GET", server.url) as first:
                async with pool.stream("GET", server.url) as second:
                    await second.aread()
                assert "connection_idle" not in observer.names()
                await first.aread()
            stats = pool.stats()
            assert (stats.reused, stats.idle_connections) == (1, 1)
            assert list(stats.origins) == [server.url.rstrip("/")]
            assert min(stats.bytes_sent, stats.bytes_received) > 100
        connection = observer.one("connection_opened")["connection"]
        assert connection.http_version == "HTTP/3"
        assert connection.peer_address == ("127.0.0.1", server.port)
        assert observer.one("resolution_ended")["addresses"] == ["127.0.0.1"]
        tls = observer.one("tls_ended")
        assert (tls["version"], tls["alpn"], tls["error"]) == ("TLSv1.3", "h3", None)
        assert str(tls["cipher"]).startswith("TLS_")
        assert connection.requests == 2
        assert observer.names("connection_active", "connection_idle") == [
            "connection_active",
            "connection_idle",
        ]
        assert [each["reused"] for each in observer.all("connection_acquired")] == [False, True]
        assert [each["received"] for each in observer.all("request_ended")] == [4, 4]
        assert observer.one("connection_closed")["reason"] is httpcore2.CloseReason.POOL_CLOSED

    with serve(answering()) as server:
        runtime.run(scenario)


def test_a_handshake_that_fails_is_reported(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    observer = RecordingObserver()

    async def scenario() -> None:
        # The server's certificate is of an authority that the default context does not trust.
        async with make_pool(ssl_context=None) as pool:
            pool.observe(observer)
            with pytest.raises(httpcore2.ConnectError) as raised:
                await pool.request("GET", server.url)
        tls = observer.one("tls_ended")
        assert (tls["version"], tls["alpn"], tls["cipher"]) == (None, None, None)
        assert tls["error"] is raised.value
        assert observer.one("request_ended")["error"] is raised.value

    with serve(answering()) as server:
        runtime.run(scenario)


@pytest.mark.parametrize("is_traced", [False, True])
@pytest.mark.parametrize("size", [0, 5, 300_000])
def test_the_bytes_of_a_request_body_are_counted(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker, size: int, is_traced: bool
) -> None:
    observer = RecordingObserver()

    async def scenario() -> None:
        extensions = {"trace": runtime.trace([])} if is_traced else {}
        async with make_pool() as pool:
            pool.observe(observer)
            content = b"x" * size
            await pool.request("POST", server.url, content=content, extensions=extensions)
            body = runtime.body([content[:3], content[3:]])
            await pool.request("POST", server.url, content=body, extensions=extensions)
        assert [each["sent"] for each in observer.all("request_ended")] == [size, size]
        assert (
            observer.names("request_head_sent", "first_byte_received", "response_received")
            == ["request_head_sent", "first_byte_received", "response_received"] * 2
        )

    with serve(answering()) as server:
        runtime.run(scenario)


def test_the_times_of_a_request_are_measured(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    timings: list[httpcore2.RequestTimings] = []

    async def scenario() -> None:
        async with make_pool() as pool:
            pool.observe(httpcore2.Timings())
            for _ in range(2):
                response = await pool.request("GET", server.url)
                timings.append(response.extensions["timings"])

    with serve(answering()) as server:
        runtime.run(scenario)
    first, second = timings
    assert (first.reused, second.reused) == (False, True)
    assert first.tls is not None and second.tls is None
    assert all(each.total is not None and each.wait is not None for each in timings)


def test_a_request_that_the_server_did_not_process_is_reported_as_sent_again(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    observer = RecordingObserver()

    def script(peer: H3Peer) -> None:
        if len(server.peers) > 1:
            answering()(peer)
            return
        peer.request()
        peer.go_away(0)
        peer.until_end()

    async def scenario() -> None:
        async with make_pool() as pool:
            pool.observe(observer)
            assert (await pool.request("POST", server.url, content=b"12")).content == b"12"
            assert pool.stats().resent == 1

    with serve(script) as server:
        runtime.run(scenario)
    resent = observer.one("request_resent")
    assert resent["count"] == 1
    assert isinstance(resent["cause"], httpcore2.RemoteProtocolError)
    first, second = observer.all("connection_acquired")
    goaway = observer.one("goaway_received")
    assert goaway["connection"] is first["connection"]
    assert (goaway["code"], goaway["last_stream_id"], goaway["debug_data"]) == (0, -4, b"")
    closed = observer.all("connection_closed")[0]
    assert closed["connection"] is first["connection"]
    assert closed["reason"] is httpcore2.CloseReason.RETIRED
    assert second["connection"] is not first["connection"]
    assert observer.one("request_ended")["sent"] == 4


def test_a_flood_of_goaway_is_reported_in_part(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    observer = RecordingObserver()

    def script(peer: H3Peer) -> None:
        stream_id = peer.request()
        for number in range(50):
            peer.go_away(400 - 4 * number)
        peer.respond(stream_id, b"fine")
        peer.until_end()

    async def scenario() -> None:
        async with make_pool() as pool:
            pool.observe(observer)
            assert (await pool.request("GET", server.url)).content == b"fine"
            assert 1 <= len(observer.all("goaway_received")) <= 50

    with serve(script) as server:
        runtime.run(scenario)


def test_a_ping_and_its_answer_are_reported(
    runtime: TestedRuntime,
    serve: Serve,
    make_pool: PoolMaker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    observer = RecordingObserver()
    monkeypatch.setattr(EstablishedHTTP3Connection, "PING_INTERVAL", 0.02)

    def script(peer: H3Peer) -> None:
        stream_id = peer.request()
        while not observer.all("ping_answered"):
            peer.pump()
        peer.respond(stream_id, b"fine")
        peer.until_end()

    async def scenario() -> None:
        async with make_pool() as pool:
            pool.observe(observer)
            assert (await pool.request("GET", server.url)).content == b"fine"
            connection = observer.one("connection_opened")["connection"]
            sent, answered = observer.all("ping_sent")[0], observer.all("ping_answered")[0]
            assert sent["connection"] is answered["connection"] is connection
            assert answered["waited"] == answered["time"] - sent["time"]

    with serve(script) as server:
        runtime.run(scenario)


def test_the_server_is_the_reason_of_the_end_of_an_idle_connection(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    observer = RecordingObserver()
    is_idle = Event()

    def script(peer: H3Peer) -> None:
        peer.respond(peer.whole_request(), b"fine")
        if len(server.peers) == 1:
            peer.wait_until(is_idle)
            peer.close()
        peer.until_end()

    async def scenario() -> None:
        async with make_pool() as pool:
            pool.observe(observer)
            await pool.request("GET", server.url)
            is_idle.set()
            await runtime.wait_until(
                lambda: all(connection.has_expired() for connection in pool.connections)
            )
            await pool.request("GET", server.url)
            first = observer.all("connection_closed")[0]
            assert first["reason"] is httpcore2.CloseReason.PEER
            assert first["connection"].opened_at is not None

    with serve(script) as server:
        runtime.run(scenario)


def test_the_events_of_a_connection_without_a_pool_are_reported_to_nobody(
    serve: Serve, client_tls: ssl.SSLContext
) -> None:
    def script(peer: H3Peer) -> None:
        stream_id = peer.whole_request()
        peer.go_away(stream_id + 4)
        peer.respond(stream_id, b"fine")
        peer.until_end()

    options: dict[str, Any] = {"ssl_context": client_tls, **HTTP3_ONLY}
    with serve(script) as server:
        origin = httpcore2.Origin(b"https", b"127.0.0.1", server.port)
        with httpcore2.HTTPConnection(origin, **options) as connection:
            assert connection.request("GET", server.url).content == b"fine"
