"""Rare events on a shared connection: full sockets, broken writes, callers' own streams, no identifiers left."""

from __future__ import annotations

import ssl
from typing import Any

import h2.events
import pytest

import httpcore2
from httpcore2_core._exceptions import ReadError
from httpcore2_http2 import AsyncHTTP2Connection

from ..support.fake_network import FakeNetworkBackend, FakeNetworkStream
from ..support.h2peer import (
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    NARROW,
    SETTINGS,
    WINDOW,
    H2Peer,
    answering,
    block,
    frame,
    speaking,
)
from ..support.h2state import inner, session
from ..support.runtimes import RUNTIMES, TestedRuntime
from ..support.scripted_servers import scripted_server
from .conftest import PoolMaker

HEAD = frame(HEADERS, END_HEADERS, 1, block((b":status", b"200")))
FINE = frame(SETTINGS, 0, 0) + HEAD + frame(DATA, END_STREAM, 1, b"fine")


def is_writing(pool: Any) -> bool:
    """Whether some connection waits to write."""
    counterparts = [getattr(each, "_counterpart", each).established for each in pool.connections]
    return any(
        counterpart is not None and counterpart._session.writer.is_writing
        for counterpart in counterparts
    )


def open_windows(peer: H2Peer, stream_id: int) -> None:
    peer.h2.increment_flow_control_window(2**30)
    peer.h2.increment_flow_control_window(2**30, stream_id)
    peer.flush()


@pytest.mark.parametrize("secured", [False, True], ids=["plain", "tls"])
def test_other_requests_are_written_when_one_gives_up_on_a_full_socket(
    runtime: TestedRuntime,
    h2_pool: PoolMaker,
    secured: bool,
    h2_server_tls: ssl.SSLContext,
    h2_client_tls: ssl.SSLContext,
) -> None:
    full, given_up = runtime.event(), runtime.event()

    def script(peer: H2Peer) -> None:
        peer.narrow()
        held, upload = peer.request(), peer.request()
        open_windows(peer, upload)
        full.wait_in_thread()
        peer.h2.ping(bytes(8))
        peer.flush()
        given_up.wait_in_thread()
        while event := peer.next():
            if isinstance(event, h2.events.StreamReset):
                assert event.stream_id == upload
                peer.respond(held, b"held")
            elif isinstance(event, h2.events.StreamEnded) and event.stream_id != held:
                assert event.stream_id is not None
                peer.respond(event.stream_id, b"fine")

    async def scenario() -> None:
        async with h2_pool(runtime, ssl_context=h2_client_tls, socket_options=NARROW) as pool:
            begun = runtime.event()

            async def hold() -> None:
                extensions = {"timeout": {"read": 9.0}, "trace": runtime.trace(events)}
                reply = await pool.request("GET", server.url, extensions=extensions)
                assert reply.content == b"held"

            events: list[tuple[str, dict[str, Any]]] = []

            async def begin() -> None:
                name = "http2.send_request_body.complete"
                await runtime.wait_until(lambda: any(event == name for event, _ in events))
                begun.set()

            async def upload() -> None:
                await begun.wait()
                with pytest.raises(httpcore2.WriteTimeout):
                    await pool.request(
                        "POST",
                        server.url,
                        content=bytes(2_000_000),
                        extensions={"timeout": {"write": 1.0}},
                    )
                given_up.set()

            async def fetch() -> None:
                await begun.wait()
                await runtime.wait_until(lambda: is_writing(pool))
                full.set()
                assert (await pool.request("GET", server.url)).content == b"fine"

            await runtime.gather(hold, begin, upload, fetch)
            assert "0 active, 0 queued | Connections: 0 active, 1 idle" in repr(pool)

    with scripted_server(speaking(script), tls=h2_server_tls if secured else None) as server:
        runtime.run(scenario)
        assert server.accepted == 1


@pytest.mark.parametrize("size", [1_000_000, 2_000_001])
def test_an_upload_to_a_slow_reader_arrives_whole_over_tls(
    runtime: TestedRuntime,
    h2_pool: PoolMaker,
    size: int,
    h2_server_tls: ssl.SSLContext,
    h2_client_tls: ssl.SSLContext,
) -> None:
    full = runtime.event()

    def script(peer: H2Peer) -> None:
        peer.narrow()
        stream_id = peer.request()
        open_windows(peer, stream_id)
        full.wait_in_thread()
        assert peer.whole_request() == stream_id
        peer.respond(stream_id, b"%d" % len(peer.bodies[stream_id]))
        peer.until_end()

    async def scenario() -> None:
        async with h2_pool(runtime, ssl_context=h2_client_tls, socket_options=NARROW) as pool:

            async def upload() -> None:
                reply = await pool.request("POST", server.url, content=bytes(size))
                assert reply.content == b"%d" % size

            async def watch() -> None:
                await runtime.wait_until(lambda: is_writing(pool))
                full.set()

            await runtime.gather(upload, watch)

    with scripted_server(speaking(script), tls=h2_server_tls) as server:
        runtime.run(scenario)


@pytest.mark.parametrize("blocked", [False, True], ids=["between writes", "in a write"])
def test_a_connection_that_breaks_under_an_upload_fails_it(
    runtime: TestedRuntime, h2_pool: PoolMaker, blocked: bool
) -> None:
    full, broken = runtime.event(), runtime.event()

    def script(peer: H2Peer) -> None:
        if peer.number:
            answering()(peer)
            return
        stream_id = peer.request()
        open_windows(peer, stream_id)
        full.wait_in_thread()
        peer.peer.reset()
        broken.set()

    def chunks() -> Any:
        yield b"begin"
        if not blocked:
            full.set()
            broken.wait_in_thread()
        for _ in range(500):
            yield bytes(100_000)

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:

            async def upload() -> None:
                with pytest.raises(
                    (httpcore2.ReadError, httpcore2.RemoteProtocolError, httpcore2.WriteError)
                ):
                    await pool.request("POST", server.url, content=runtime.body(chunks()))

            async def watch() -> None:
                if blocked:
                    await runtime.wait_until(lambda: is_writing(pool))
                    full.set()

            await runtime.gather(upload, watch)
            assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(speaking(script), allow_disconnect=True) as server:
        runtime.run(scenario)


def test_a_complete_response_stops_an_upload_that_waits_for_its_caller(
    h2_pool: PoolMaker, no_leaks: None
) -> None:
    runtime = RUNTIMES["threads"]
    answered = runtime.event()

    def script(peer: H2Peer) -> None:
        upload = peer.request()
        asked.wait_in_thread()
        peer.respond(upload, b"enough")
        stream_id = peer.request()
        peer.respond(stream_id, b"fine")
        peer.until_end()

    def chunks() -> Any:
        yield b"begin"
        asked.set()
        answered.wait_in_thread()
        yield b"never sent"

    asked = runtime.event()

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:

            async def upload() -> None:
                reply = await pool.request("POST", server.url, content=runtime.body(chunks()))
                assert reply.content == b"enough"

            async def fetch() -> None:
                await asked.wait()
                assert (await pool.request("GET", server.url)).content == b"fine"
                answered.set()

            await runtime.gather(upload, fetch)

    with scripted_server(speaking(script)) as server:
        runtime.run(scenario)


def test_a_connection_without_identifiers_left_is_replaced(
    runtime: TestedRuntime, h2_pool: PoolMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            await pool.request("GET", server.url)
            monkeypatch.setattr(session(pool).codec, "open_stream", lambda *_: False)
            assert (await pool.request("POST", server.url)).content == b"fine"
            (connection,) = pool.connections
            assert connection.info().endswith("IDLE, Request Count: 1")

    with scripted_server(speaking(answering())) as server:
        runtime.run(scenario)
        assert server.accepted == 2


def test_a_window_update_for_a_request_that_was_sent_elsewhere_is_ignored(
    runtime: TestedRuntime, h2_pool: PoolMaker
) -> None:
    moved = runtime.event()

    def script(peer: H2Peer) -> None:
        if peer.number:
            peer.respond(peer.request(), b"moved")
            moved.set()
        else:
            first, second = peer.request(), peer.request()
            peer.go_away(first)
            moved.wait_in_thread()
            peer.send(frame(WINDOW, 0, second, b"\0\0\0\1"))
            peer.respond(first, b"stayed")
        peer.until_end()

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:

            async def fetch() -> bytes:
                return (await pool.request("GET", server.url)).content

            assert sorted(await runtime.gather(fetch, fetch)) == [b"moved", b"stayed"]

    with scripted_server(speaking(script)) as server:
        runtime.run(scenario)


def test_an_idle_connection_expires(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        origin = httpcore2.Origin(b"http", b"127.0.0.1", server.port)
        stream = await runtime.backend().connect_tcp("127.0.0.1", server.port)
        async with runtime.http2_connection(origin, stream, keepalive_expiry=0.0) as connection:
            assert not connection.has_expired()
            await connection.request("GET", server.url)
            assert connection.has_expired()

    with scripted_server(speaking(answering())) as server:
        runtime.run(scenario)


# A caller's own streams


def test_a_callers_own_stream_carries_http2(runtime: TestedRuntime, h2_pool: PoolMaker) -> None:
    stream = FakeNetworkStream([FINE])

    async def scenario() -> None:
        async with h2_pool(runtime, network_backend=FakeNetworkBackend(stream)) as pool:
            reply = await pool.request("POST", "http://a/", content=bytes(1000))
            assert reply.content == b"fine"
            assert not inner(pool).is_stale()
            assert "1 idle" in repr(pool)

    runtime.run(scenario)
    assert stream.closed == 1
    assert b"".join(stream.written).startswith(b"PRI * HTTP/2.0")


@pytest.mark.parametrize("traced", [False, True], ids=["", "traced"])
@pytest.mark.parametrize("replies", [[], [frame(SETTINGS, 0, 0) + HEAD]], ids=["head", "body"])
def test_a_callers_own_stream_is_closed_when_it_breaks(
    runtime: TestedRuntime, h2_pool: PoolMaker, replies: list[bytes], traced: bool
) -> None:
    stream = FakeNetworkStream(replies)

    async def scenario() -> None:
        events: list[tuple[str, dict[str, Any]]] = []
        extensions = {"trace": runtime.trace(events)} if traced else {}
        async with h2_pool(runtime, network_backend=FakeNetworkBackend(stream)) as pool:
            with pytest.raises(httpcore2.RemoteProtocolError, match="Server disconnected"):
                await pool.request("GET", "http://a/", extensions=extensions)
            assert stream.closed == 1
            assert pool.connections == []

    runtime.run(scenario)


class Unwritable(FakeNetworkStream):
    """Its writes time out."""

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        raise httpcore2.WriteTimeout("too slow")


def test_a_callers_own_stream_is_closed_after_a_write_that_was_cut_short(
    runtime: TestedRuntime, h2_pool: PoolMaker
) -> None:
    stream = Unwritable([FINE])

    async def scenario() -> None:
        async with h2_pool(runtime, network_backend=FakeNetworkBackend(stream)) as pool:
            with pytest.raises(httpcore2.WriteTimeout, match="too slow"):
                await pool.request("GET", "http://a/")
            with pytest.raises(httpcore2.NetworkError, match="closed"):
                await pool.request("POST", "http://a/")

    runtime.run(scenario)
    assert stream.closed == 1


def test_a_forked_child_does_not_wait_for_a_lock_of_its_parent() -> None:
    from httpcore2_core._net.network_adapters import adapt_sync_stream

    stream = adapt_sync_stream(httpcore2.MockStream([]))
    connection = AsyncHTTP2Connection(httpcore2.Origin(b"http", b"a", 80), stream)
    of_connection = connection._session
    lock = of_connection.lock
    of_connection._generation = -1
    connection.abort()
    assert of_connection.lock is not lock
    assert connection.is_closed()
    connection.abort()


def test_reading_from_an_aborted_connection_raises_read_error(
    runtime: TestedRuntime, h2_pool: PoolMaker
) -> None:
    async def scenario() -> None:
        async with h2_pool(runtime) as pool, pool.stream("GET", server.url) as reply:
            await pool.aclose()
            with pytest.raises(ReadError, match="The connection was closed"):
                await reply.aread()

    def script(peer: H2Peer) -> None:
        peer.head(peer.request())
        peer.until_end()

    with scripted_server(speaking(script), allow_disconnect=True) as server:
        runtime.run(scenario)
