"""What happens rarely on an HTTP/3 connection: full sockets, broken networks, forks, requests after its end."""

from __future__ import annotations

import asyncio
import math
import os
import ssl
from collections.abc import Callable, Sequence
from threading import Event
from typing import Any

import pytest
from qh3.h3.connection import ErrorCode
from qh3.h3.events import DataReceived, H3Event
from qh3.quic.connection import QuicConnection, QuicConnectionError

import httpcore2
from httpcore2_core._http.stream_fields import MalformedResponse
from httpcore2_core._http.stream_upload import StreamUpload
from httpcore2_core._net.backend_stream import BackendStream
from httpcore2_core._net.coroutines import run_blocking
from httpcore2_core._net.forks import generation
from httpcore2_http3._quic import ClientQuic
from httpcore2_http3._responses import ResponseReceiver
from httpcore2_http3._session import SEND_LIMIT, Session
from httpcore2_http3._stream import Stream
from httpcore2_http3._tls import QuicMemory, TLSInformation, make_quic

from ..support.h3peer import H3Peer, answering
from ..support.h3state import check_idle, session
from ..support.runtimes import TestedAsyncRuntime, TestedRuntime
from .conftest import HTTP3_ONLY, PoolMaker, Serve

CHUNK = bytes(20_000)


def test_datagrams_that_a_full_socket_does_not_take_are_sent_later(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    async def scenario() -> None:
        async with make_pool() as pool:
            await pool.request("GET", server.url)
            datagrams: Any = session(pool).endpoint.datagrams
            send, calls = datagrams.send, []

            def send_every_second_time(batch: list[bytes]) -> int:
                calls.append(len(batch))
                return send(batch[:1]) if len(calls) % 2 else 0

            datagrams.send = send_every_second_time
            response = await pool.request("POST", server.url, content=CHUNK)
            assert response.content == CHUNK
            del datagrams.send

    with serve(answering()) as server:
        runtime.run(scenario)


@pytest.mark.parametrize("direction", ["send", "receive"])
def test_a_network_that_breaks_fails_the_request_and_the_next_has_another_connection(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker, direction: str
) -> None:
    def break_down(state: Session, send: Callable[[Sequence[bytes]], int]) -> Any:
        def send_if_idle(datagrams: Sequence[bytes]) -> int:
            if state.exchanges:
                raise httpcore2.WriteError("no route")
            return send(datagrams)  # acknowledgements of what comes late

        return send_if_idle

    async def break_down_later(*_: Any) -> Any:
        raise httpcore2.ReadError("no route")

    async def scenario() -> None:
        async with make_pool() as pool:
            await pool.request("GET", server.url)
            datagrams: Any = session(pool).endpoint.datagrams
            if direction == "send":
                datagrams.send = break_down(session(pool), datagrams.send)
            else:
                datagrams.receive = break_down_later
            with pytest.raises(httpcore2.NetworkError, match="no route"):
                await pool.request("POST", server.url)
            assert (await pool.request("GET", server.url)).content == b"fine"
            check_idle(pool)

    with serve(answering()) as server:
        runtime.run(scenario)
        assert len(server.peers) == 2


def test_an_error_that_one_request_meets_as_it_sends_fails_another_that_waits(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    def script(peer: H3Peer) -> None:
        peer.respond(peer.whole_request(), b"fine")
        peer.until_end()

    def fail(datagrams: Sequence[bytes]) -> int:
        raise httpcore2.ReadError("no route")

    async def scenario() -> None:
        async with make_pool() as pool:
            await pool.request("GET", server.url)
            endpoint = session(pool).endpoint

            async def send() -> None:
                with pytest.raises(httpcore2.ReadError, match="no route"):
                    await pool.request("POST", server.url)

            async def send_without_network() -> None:
                await runtime.wait_until(lambda: endpoint._role.holder is not None)
                endpoint.datagrams.send = fail  # type: ignore[method-assign]
                await send()

            await runtime.gather(send, send_without_network)

    with serve(script) as server:
        runtime.run(scenario)


def test_an_idle_connection_whose_network_breaks_is_replaced(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    def break_down() -> Any:
        raise httpcore2.ReadError("no route")

    async def scenario() -> None:
        async with make_pool() as pool:
            await pool.request("GET", server.url)
            datagrams: Any = session(pool).endpoint.datagrams
            datagrams.receive_nowait = break_down
            assert (await pool.request("POST", server.url)).content == b"fine"

    with serve(answering()) as server:
        runtime.run(scenario)
        assert len(server.peers) == 2


def test_a_connection_that_was_given_without_a_pool_shakes_hands_for_its_first_request(
    runtime: TestedRuntime, serve: Serve, client_tls: ssl.SSLContext
) -> None:
    def script(peer: H3Peer) -> None:
        stream_id = peer.whole_request()
        peer.respond(stream_id, b"fine")
        peer.until_end()

    with serve(script) as server:
        origin = httpcore2.Origin(b"https", b"127.0.0.1", server.port)
        datagrams = httpcore2.SyncBackend().connect_udp("127.0.0.1", server.port)
        with httpcore2.HTTP3Connection(origin, datagrams, 60.0, client_tls) as connection:
            assert connection.request("GET", server.url).content == b"fine"
            with pytest.raises(httpcore2.LocalProtocolError, match="CONNECT is not supported"):
                connection.request("CONNECT", server.url)
            assert connection.is_idle()
        with pytest.raises(httpcore2.ConnectionNotAvailable, match="accepts no further request"):
            connection.request("GET", server.url)


def test_a_connection_over_quic_is_no_stream_of_bytes(
    serve: Serve, client_tls: ssl.SSLContext
) -> None:
    with (
        serve(answering()) as server,
        httpcore2.ConnectionPool(ssl_context=client_tls, **HTTP3_ONLY) as pool,
    ):
        response = pool.request("GET", server.url)
        stream = response.extensions["network_stream"]
        with pytest.raises(httpcore2.LocalProtocolError, match="can't be read or written"):
            stream.read(1)
        with pytest.raises(httpcore2.LocalProtocolError, match="can't be read or written"):
            stream.write(b"x")
        established: Any = pool._engine.connections[0].established
        inner: BackendStream = established._stream
        with pytest.raises(httpcore2.LocalProtocolError, match="can't be read or written"):
            inner.read_nowait(1)


def test_a_connection_that_has_not_begun_has_no_certificate_and_no_cipher(
    serve: Serve, client_tls: ssl.SSLContext
) -> None:
    with serve(answering()) as server:
        origin = httpcore2.Origin(b"https", b"127.0.0.1", server.port)
        datagrams = httpcore2.SyncBackend().connect_udp("127.0.0.1", server.port)
        with httpcore2.HTTP3Connection(origin, datagrams, None, client_tls) as connection:
            inner: Any = connection._counterpart
            tls = TLSInformation(inner._session.quic)
            assert tls.cipher() is None and tls.getpeercert() is None


def new_stream() -> Stream:
    return Stream(httpcore2.Request("GET", "https://a/"), 0, StreamUpload(b"", None, None))


def test_data_before_the_head_is_malformed() -> None:
    stream = new_stream()
    with pytest.raises(MalformedResponse, match="before its head"):
        ResponseReceiver().on_data(stream, b"x")


def test_the_end_of_a_quic_connection_is_not_reported_twice() -> None:
    quic: Any = ClientQuic.__new__(ClientQuic)
    quic._close_event = object()
    quic.close()
    quic.send_stream_data(0, b"ignored")
    assert not quic.has_closed


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork()")
def test_a_forked_child_does_not_wait_for_a_lock_of_its_parent_and_closes_nothing(
    serve: Serve, client_tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        serve(answering()) as server,
        httpcore2.ConnectionPool(ssl_context=client_tls, **HTTP3_ONLY) as pool,
    ):
        pool.request("GET", server.url)
        state = session(pool)
        before = state.lock
        monkeypatch.setattr("httpcore2_http3._session.generation", lambda: generation() + 1)
        state.abort()
        assert state.lock is not before and state.is_closed
        assert state.quic.end is None, "the parent's connection goes on"


def test_a_complete_response_stops_an_upload_that_waits_for_its_caller(
    async_runtime: TestedAsyncRuntime, serve: Serve, client_tls: ssl.SSLContext
) -> None:
    runtime = async_runtime
    never = Event()

    def script(peer: H3Peer) -> None:
        stream_id = peer.request()
        peer.wait_for(DataReceived)  # then the client waits for the next chunk
        peer.respond(stream_id, b"no", status=413)
        peer.until_end()

    async def scenario() -> None:
        async def body() -> Any:
            yield b"first"
            await runtime.event().wait()
            never.set()
            yield b"never"

        async with runtime.pool(ssl_context=client_tls, **HTTP3_ONLY) as pool:
            response = await pool.request("POST", server.url, content=body())
            assert (response.status, response.content) == (413, b"no")
            check_idle(pool)

    with serve(script) as server:
        runtime.run(scenario)
    assert not never.is_set()


def test_the_total_time_of_a_request_ends_a_body_that_waits_for_its_caller(
    async_runtime: TestedAsyncRuntime, serve: Serve, client_tls: ssl.SSLContext
) -> None:
    runtime = async_runtime

    async def scenario() -> None:
        async def body() -> Any:
            yield b"first"
            await runtime.event().wait()

        async with runtime.pool(ssl_context=client_tls, **HTTP3_ONLY) as pool:
            with pytest.raises(httpcore2.WriteTimeout):
                await pool.request(
                    "POST",
                    server.url,
                    content=body(),
                    extensions={"timeout": {"total": 0.3}},
                )

    with serve(H3Peer.until_end) as server:
        runtime.run(scenario)


def test_a_final_response_of_300_or_more_ends_the_upload_that_goes_on_while_it_is_read(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    def script(peer: H3Peer) -> None:
        stream_id = peer.request()
        peer.head(stream_id, status=403)
        peer.data(stream_id, b"refused", end=True)
        peer.until_end()

    async def scenario() -> None:
        async with make_pool() as pool:
            response = await pool.request("POST", server.url, content=bytes(4_000_000))
            assert (response.status, response.content) == (403, b"refused")
            check_idle(pool)

    with serve(script) as server:
        runtime.run(scenario)


def test_a_response_of_300_or_more_stops_the_upload_while_its_body_is_awaited(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    is_read = Event()

    def script(peer: H3Peer) -> None:
        stream_id = peer.request()
        peer.head(stream_id, status=403)
        peer.wait_until(is_read)
        peer.data(stream_id, b"refused", end=True)
        peer.until_end()
        assert len(peer.bodies[stream_id]) < 4_000_000

    async def scenario() -> None:
        async with make_pool() as pool:
            async with pool.stream("POST", server.url, content=bytes(4_000_000)) as response:
                is_read.set()
                assert await response.aread() == b"refused"
            check_idle(pool)

    with serve(script) as server:
        runtime.run(scenario)


def test_a_server_that_wants_no_more_of_a_body_gets_no_more(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    def script(peer: H3Peer) -> None:
        stream_id = peer.request()
        peer.stop(stream_id, ErrorCode.H3_NO_ERROR)
        peer.wait_for_reset(stream_id)
        peer.respond(stream_id, b"enough")
        peer.until_end()

    async def scenario() -> None:
        async with make_pool() as pool:
            response = await pool.request("POST", server.url, content=bytes(4_000_000))
            assert response.content == b"enough"
            check_idle(pool)

    with serve(script) as server:
        runtime.run(scenario)


def test_more_requests_than_the_server_allows_streams_wait_for_its_permission(
    async_runtime: TestedAsyncRuntime, serve: Serve, client_tls: ssl.SSLContext
) -> None:
    runtime = async_runtime

    async def scenario() -> None:
        async with runtime.pool(ssl_context=client_tls, max_connections=1, **HTTP3_ONLY) as pool:

            async def send() -> None:
                assert (await pool.request("GET", server.url)).content == b"fine"

            await runtime.gather(*[send] * 300)
            check_idle(pool)
            assert session(pool).request_count == 300

    with serve(answering()) as server:
        runtime.run(scenario)


def test_a_request_with_credentials_is_sent(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    async def scenario() -> None:
        async with make_pool() as pool:
            await pool.request("GET", server.url, headers={"Authorization": "Basic eA=="})

    with serve(answering()) as server:
        runtime.run(scenario)
        assert server.peers[0].requests[0][b"authorization"] == b"Basic eA=="


def test_a_connection_that_was_silent_for_almost_the_idle_timeout_is_not_used_again(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    async def scenario() -> None:
        async with make_pool() as pool:
            await pool.request("GET", server.url)
            endpoint: Any = session(pool).endpoint
            endpoint.silence = lambda: 28.0
            await pool.request("GET", server.url)

    with serve(answering()) as server:
        runtime.run(scenario)
        assert len(server.peers) == 2


def test_a_connection_under_use_does_not_become_idle(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    async def scenario() -> None:
        async with make_pool(keepalive_expiry=60.0) as pool:
            async with pool.stream("GET", server.url) as response:
                connection: Any = pool.connections[0]
                established = getattr(connection, "_counterpart", connection).established
                established.become_idle()
                assert established._expires_at is None
                await response.aread()
            assert established._expires_at is not None

    with serve(answering()) as server:
        runtime.run(scenario)


def test_a_closed_connection_sends_nothing_and_has_room_for_what_fails(
    serve: Serve, client_tls: ssl.SSLContext
) -> None:
    with serve(answering()) as server:
        with httpcore2.ConnectionPool(ssl_context=client_tls, **HTTP3_ONLY) as pool:
            pool.request("GET", server.url)
            state = session(pool)
        sent = state.endpoint.traffic.bytes_sent
        state.endpoint.flush()
        state.endpoint._on_timer()
        assert state.endpoint.traffic.bytes_sent == sent
        assert state.room(new_stream()) == SEND_LIMIT


def test_a_ping_is_answered_once_however_often_it_was_sent(
    serve: Serve, client_tls: ssl.SSLContext
) -> None:
    with (
        serve(answering()) as server,
        httpcore2.ConnectionPool(ssl_context=client_tls, **HTTP3_ONLY) as pool,
    ):
        pool.request("GET", server.url)
        state = session(pool)
        state.on_ping(1.0)
        state.on_ping(2.0)
        state._on_ping_answered()
        state._on_ping_answered()
        assert len(state.reports) == 3


def test_a_handshake_that_was_cut_short_goes_on_with_a_second_call(
    serve: Serve, client_tls: ssl.SSLContext
) -> None:
    with serve(answering()) as server:
        origin = httpcore2.Origin(b"https", b"127.0.0.1", server.port)
        datagrams = httpcore2.SyncBackend().connect_udp("127.0.0.1", server.port)
        with httpcore2.HTTP3Connection(origin, datagrams, None, client_tls) as connection:
            inner: Any = connection._counterpart
            with pytest.raises(httpcore2.ConnectTimeout, match="within 0"):
                run_blocking(inner.handshake(0.0))
            run_blocking(inner.handshake(10.0))
            assert connection.request("GET", server.url).content == b"fine"
            run_blocking(inner._stream.wait_closed())


def test_a_connection_that_was_not_begun_can_be_closed(client_tls: ssl.SSLContext) -> None:
    quic = make_quic(client_tls, "localhost", QuicMemory())
    quic.close()
    assert quic.has_closed


def test_a_connection_that_is_closed_is_not_watched_any_more(
    serve: Serve, client_tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        serve(answering()) as server,
        httpcore2.ConnectionPool(ssl_context=client_tls, **HTTP3_ONLY) as pool,
    ):
        assert pool.request("GET", server.url).content == b"fine"
        state = session(pool)
        watches: list[Callable[[], None] | None] = []
        monkeypatch.setattr(state.endpoint.datagrams, "watch", watches.append)
        state.endpoint._on_arrival()
        assert len(watches) == 1
        state.abort()
        state.endpoint._on_arrival()
        assert len(watches) == 1


def test_another_participant_takes_over_the_timer_of_one_that_is_cancelled(
    serve: Serve, client_tls: ssl.SSLContext
) -> None:
    def script(peer: H3Peer) -> None:
        first = peer.request()
        has_first.set()
        peer.request()
        peer.wait_for_reset(first + 4)
        peer.respond(first, b"fine")
        peer.until_end()

    async def scenario() -> None:
        async with httpcore2.AsyncConnectionPool(ssl_context=client_tls, **HTTP3_ONLY) as pool:
            first = asyncio.create_task(pool.request("GET", server.url))
            await asyncio.to_thread(has_first.wait)
            state = session(pool)
            state.endpoint._watched = math.inf
            second = asyncio.create_task(pool.request("GET", server.url))
            while len(state.streams) < 2 or not state.endpoint._role.waiting:
                await asyncio.sleep(0)
            second.cancel()
            with pytest.raises(asyncio.CancelledError):
                await second
            assert (await first).content == b"fine"

    has_first = Event()
    with serve(script) as server:
        asyncio.run(scenario())


def test_the_end_of_a_connection_that_qh3_has_noticed_first_is_no_error(
    client_tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise QuicConnectionError(0, 0, "the connection has ended")

    monkeypatch.setattr(QuicConnection, "close", refuse)
    quic = make_quic(client_tls, "localhost", QuicMemory())
    quic.close()
    assert quic.has_closed


def test_an_event_of_an_extension_is_ignored(serve: Serve, client_tls: ssl.SSLContext) -> None:
    class ExtensionReceived(H3Event):
        stream_id = 0

    with (
        serve(answering()) as server,
        httpcore2.ConnectionPool(ssl_context=client_tls, **HTTP3_ONLY) as pool,
        pool.stream("GET", server.url) as response,
    ):
        state = session(pool)
        stream = new_stream()
        with state.lock:
            before, state.streams[0] = state.streams[0], stream
            state._on_event(ExtensionReceived())
            state.streams[0] = before
        assert stream.has_head() is False and stream.error is None
        assert response.read() == b"fine"
