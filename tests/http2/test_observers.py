"""Observers of HTTP/2: shared connections, GOAWAY, PING, and requests that are sent again."""

from __future__ import annotations

import pytest

import httpcore2
from httpcore2_http2._connection import EstablishedHTTP2Connection

from ..support.h2peer import GOAWAY, H2Peer, answering, frame, speaking
from ..support.observers import RecordingObserver
from ..support.runtimes import TestedRuntime
from ..support.scripted_servers import scripted_server
from .conftest import PoolMaker


def test_requests_that_share_a_connection_make_it_active_once(
    runtime: TestedRuntime, h2_pool: PoolMaker
) -> None:
    observer = RecordingObserver()

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            pool.observe(observer)
            async with pool.stream("GET", server.url) as first:
                async with pool.stream("GET", server.url) as second:
                    await second.aread()
                assert "connection_idle" not in observer.names()
                await first.aread()
        connection = observer.one("connection_opened")["connection"]
        assert connection.http_version == "HTTP/2"
        assert connection.requests == 2
        assert observer.names("connection_active", "connection_idle") == [
            "connection_active",
            "connection_idle",
        ]
        assert [each["reused"] for each in observer.all("connection_acquired")] == [False, True]
        assert [each["received"] for each in observer.all("request_ended")] == [4, 4]

    with scripted_server(speaking(answering())) as server:
        runtime.run(scenario)


@pytest.mark.parametrize("is_traced", [False, True])
@pytest.mark.parametrize("size", [0, 5, 300_000])
def test_the_bytes_of_a_request_body_are_counted_over_http2(
    runtime: TestedRuntime, h2_pool: PoolMaker, size: int, is_traced: bool
) -> None:
    observer = RecordingObserver()

    def script(peer: H2Peer) -> None:
        while (stream_id := peer.whole_request()) is not None:
            peer.respond(stream_id, b"fine")

    async def scenario() -> None:
        extensions = {"trace": runtime.trace([])} if is_traced else {}
        async with h2_pool(runtime) as pool:
            pool.observe(observer)
            content = b"x" * size
            await pool.request("POST", server.url, content=content, extensions=extensions)
            body = runtime.body([content[:3], content[3:]])
            await pool.request("POST", server.url, content=body, extensions=extensions)
        assert [each["sent"] for each in observer.all("request_ended")] == [size, size]
        assert (
            observer.names("request_head_sent", "first_byte_received", "response_received")
            == [
                "request_head_sent",
                "first_byte_received",
                "response_received",
            ]
            * 2
        )

    with scripted_server(speaking(script)) as server:
        runtime.run(scenario)


def test_a_request_that_the_server_did_not_process_is_reported_as_sent_again(
    runtime: TestedRuntime, h2_pool: PoolMaker
) -> None:
    observer = RecordingObserver()

    def script(peer: H2Peer) -> None:
        if peer.peer.number:
            answering()(peer)
            return
        peer.request()
        peer.go_away(0, debug=b"later")
        peer.peer.receive_until_close()

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            pool.observe(observer)
            assert (await pool.request("POST", server.url, content=b"12")).content == b"12"

    with scripted_server(speaking(script)) as server:
        runtime.run(scenario)
    resent = observer.one("request_resent")
    assert resent["count"] == 1
    assert isinstance(resent["cause"], httpcore2.RemoteProtocolError)
    first, second = observer.all("connection_acquired")
    goaway = observer.one("goaway_received")
    assert goaway["connection"] is first["connection"]
    assert (goaway["code"], goaway["last_stream_id"], goaway["debug_data"]) == (0, 0, b"later")
    closed = observer.all("connection_closed")[0]
    assert closed["connection"] is first["connection"]
    assert closed["reason"] is httpcore2.CloseReason.RETIRED
    assert second["connection"] is not first["connection"]
    assert observer.one("request_ended")["sent"] == 4


def test_a_ping_and_its_answer_are_reported(
    runtime: TestedRuntime, h2_pool: PoolMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    observer = RecordingObserver()
    monkeypatch.setattr(EstablishedHTTP2Connection, "PING_BEFORE_REUSE", 0.0)

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            pool.observe(observer)
            await pool.request("GET", server.url)
            await pool.request("GET", server.url)
            connection = observer.one("connection_opened")["connection"]
            assert observer.one("ping_sent")["connection"] is connection
            answered = observer.one("ping_answered")
            assert answered["connection"] is connection
            assert answered["waited"] == answered["time"] - observer.one("ping_sent")["time"]

    with scripted_server(speaking(answering())) as server:
        runtime.run(scenario)


def test_a_server_that_ends_an_idle_connection_is_the_reason_of_its_end(
    runtime: TestedRuntime, h2_pool: PoolMaker
) -> None:
    observer = RecordingObserver()

    def script(peer: H2Peer) -> None:
        peer.respond(peer.request(), b"fine")
        if not peer.peer.number:
            peer.flush()
            peer.peer.close()
            closed.set()

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            await pool.request("GET", server.url)
            pool.observe(observer)
            await closed.wait()
            await pool.request("GET", server.url)
            first = observer.all("connection_closed")[0]
            assert first["reason"] is httpcore2.CloseReason.PEER
            assert first["connection"].opened_at is not None

    closed = runtime.event()
    with scripted_server(speaking(script)) as server:
        runtime.run(scenario)


def test_a_flood_of_goaway_is_reported_in_part(runtime: TestedRuntime, h2_pool: PoolMaker) -> None:
    observer = RecordingObserver()

    def script(peer: H2Peer) -> None:
        stream_id = peer.request()
        peer.send(frame(7, 0, 0, stream_id.to_bytes(4, "big") + bytes(4)) * 100)
        peer.respond(stream_id, b"fine")
        peer.peer.receive_until_close()

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            pool.observe(observer)
            assert (await pool.request("GET", server.url)).content == b"fine"
            assert 1 <= len(observer.all("goaway_received")) < 100

    with scripted_server(speaking(script)) as server:
        runtime.run(scenario)


def test_the_events_of_a_connection_without_a_pool_are_reported_to_nobody() -> None:
    def script(peer: H2Peer) -> None:
        stream_id = peer.whole_request()
        assert stream_id
        peer.send(frame(GOAWAY, 0, 0, stream_id.to_bytes(4, "big") + bytes(4)))
        peer.respond(stream_id, b"fine")
        while peer.next() is not None:
            pass

    with scripted_server(speaking(script), allow_disconnect=True) as server:
        origin = httpcore2.Origin(b"http", b"127.0.0.1", server.port)
        with httpcore2.HTTPConnection(origin, http1=False, http2=True) as connection:
            assert connection.request("GET", server.url).content == b"fine"
