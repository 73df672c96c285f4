"""Early data (0-RTT): which requests are sent in it, and what happens if a server refuses it (RFC 8470)."""

from __future__ import annotations

import ssl
from datetime import datetime
from typing import Any

import pytest
from qh3 import tls
from qh3.quic.connection import QuicConnectionError

import httpcore2
from httpcore2_core._api import async_connection
from httpcore2_core._http.timeouts import Timeouts
from httpcore2_http3 import AsyncHTTP3Connection
from httpcore2_http3._connection import EstablishedHTTP3Connection
from httpcore2_http3._session import Session
from httpcore2_http3._tls import KnownSession, QuicMemory, make_quic

from ..support.cancellation import cancel_at_every_wait
from ..support.h3peer import H3Peer, H3Server, answering
from ..support.h3state import check_idle
from ..support.lossy_relay import LossyRelay
from ..support.observers import RecordingObserver
from ..support.runtimes import CancellationOutcome, TestedAsyncRuntime, TestedRuntime
from .conftest import HTTP3_ONLY, PoolMaker, Serve
from .test_upgrades import Origin

EARLY: dict[str, Any] = {"early_data": True}
Pool = httpcore2.AsyncConnectionPool


async def make_session(runtime: TestedRuntime, pool: Pool, url: str) -> None:
    """Make a session that the next connection can resume."""
    assert (await pool.request("GET", url)).status == 200
    for connection in pool.connections:
        await runtime.close(connection)


def early_streams(server: H3Server) -> list[bool]:
    """Return for each connection whether its first request came in early data."""
    return [0 in peer.early for peer in server.peers]


def test_a_request_that_asks_for_it_is_sent_in_the_first_flight(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    async def scenario() -> None:
        async with make_pool() as pool:
            for number in range(3):
                content = b"body %d" % number
                response = await pool.request("PUT", server.url, content=content, extensions=EARLY)
                assert response.content == content
                assert response.extensions.get("early_data") == (True if number else None)
                again = await pool.request("GET", server.url, extensions=EARLY)
                assert "early_data" not in again.extensions, "the connection was there"
                check_idle(pool)
                await runtime.close(pool.connections[0])

    with serve(answering()) as server:
        runtime.run(scenario)
    assert early_streams(server) == [False, True, True]
    assert all(len(peer.requests) == 2 for peer in server.peers)


def body_of(runtime: TestedRuntime, kind: str) -> dict[str, Any]:
    options: dict[str, dict[str, Any]] = {
        "no extension": {},
        "false": {"extensions": {"early_data": False}},
        "may not be sent again": {"extensions": {**EARLY, "resend": False}},
        "a body that comes later": {"extensions": EARLY, "content": runtime.body([b"one", b"two"])},
    }
    return options[kind]


@pytest.mark.parametrize(
    "kind", ["no extension", "false", "may not be sent again", "a body that comes later"]
)
def test_other_requests_resume_the_session_and_wait_for_the_handshake(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker, kind: str
) -> None:
    async def scenario() -> None:
        async with make_pool() as pool:
            await make_session(runtime, pool, server.url)
            response = await pool.request("PUT", server.url, **body_of(runtime, kind))
            assert response.status == 200
            assert "early_data" not in response.extensions

    with serve(answering()) as server:
        runtime.run(scenario)
    assert not any(peer.early for peer in server.peers)
    assert [peer.is_resumed for peer in server.peers] == [False, True]


def test_a_pool_that_sends_nothing_again_uses_no_early_data(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    async def scenario() -> None:
        async with make_pool(resend=False) as pool:
            await make_session(runtime, pool, server.url)
            await pool.request("GET", server.url, extensions=EARLY)

    with serve(answering()) as server:
        runtime.run(scenario)
    assert early_streams(server) == [False, False]


def test_opening_a_connection_ahead_sends_no_request(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    async def scenario() -> None:
        async with make_pool(keepalive_expiry=60.0) as pool:
            await make_session(runtime, pool, server.url)
            # The one that was closed still counts.
            assert await pool.connect(server.url, 2, extensions=EARLY) == 2

    with serve(answering()) as server:
        runtime.run(scenario)
    assert [len(peer.requests) for peer in server.peers] == [1, 0]
    assert early_streams(server) == [False, False]


@pytest.mark.parametrize("method", ["POST", "PATCH", "CONNECT"])
def test_a_method_that_is_not_idempotent_is_refused_before_anything_is_sent(
    runtime: TestedRuntime, make_pool: PoolMaker, method: str
) -> None:
    async def scenario() -> None:
        async with make_pool() as pool:
            with pytest.raises(
                httpcore2.LocalProtocolError,
                match=rf"A {method} request to https://127.0.0.1:9 can't be sent in early data.*only DELETE, GET, HEAD",
            ):
                await pool.request(method, "https://127.0.0.1:9/", extensions=EARLY)
            assert not pool.connections

    runtime.run(scenario)


def test_the_extension_is_a_bool(runtime: TestedRuntime, make_pool: PoolMaker) -> None:
    async def scenario() -> None:
        async with make_pool() as pool:
            with pytest.raises(
                TypeError, match=r"early_data'\] must be True or False, but got str"
            ):
                await pool.request(
                    "GET",
                    "https://127.0.0.1:9/",
                    extensions={"early_data": "yes"},
                )

    runtime.run(scenario)


# Rejection


@pytest.mark.parametrize("size", [0, 100_000])
@pytest.mark.parametrize("is_resumed", [False, True])
def test_what_the_server_rejects_is_sent_again_after_the_handshake(
    runtime: TestedRuntime,
    serve: Serve,
    make_pool: PoolMaker,
    monkeypatch: pytest.MonkeyPatch,
    is_resumed: bool,
    size: int,
) -> None:
    real = tls.pull_client_hello

    def without_early_data(buffer: Any) -> tls.ClientHello:
        hello = real(buffer)
        hello.early_data = False
        return hello

    async def scenario() -> None:
        async with make_pool() as pool:
            await make_session(runtime, pool, server.url)
            if is_resumed:
                monkeypatch.setattr(tls, "pull_client_hello", without_early_data)
            else:
                server.tickets.clear()
            content = bytes(range(250)) * (size // 250) + b"end"
            for number in range(3):
                response = await pool.request("PUT", server.url, content=content, extensions=EARLY)
                assert response.content == content
                assert response.extensions.get("early_data") == (None if number else False)
            check_idle(pool)

    with serve(answering()) as server:
        runtime.run(scenario)
    assert early_streams(server) == [False, False]
    assert [peer.is_resumed for peer in server.peers] == [False, is_resumed]
    assert len(server.peers[1].requests) == 3


def too_early(peer: H3Peer) -> None:
    """Answer requests in early data with 425, and those to /never as well."""
    while True:
        stream_id = peer.whole_request()
        is_early = stream_id in peer.early or peer.requests[stream_id][b":path"] == b"/never"
        peer.respond(stream_id, peer.bodies[stream_id] or b"fine", status=425 if is_early else 200)


def test_a_request_that_is_too_early_is_sent_once_more_after_the_handshake(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    async def scenario() -> None:
        async with make_pool() as pool:
            await make_session(runtime, pool, server.url)
            response = await pool.request("PUT", server.url, content=b"text", extensions=EARLY)
            assert (response.status, response.content) == (200, b"text")
            assert "early_data" not in response.extensions
            assert response.extensions["stream_id"] == 4
            check_idle(pool)

    with serve(too_early) as server:
        runtime.run(scenario)
    assert early_streams(server) == [False, True]
    assert len(server.peers[1].requests) == 2


def test_the_second_too_early_is_returned(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    async def scenario() -> None:
        async with make_pool() as pool:
            await make_session(runtime, pool, server.url)
            for _ in range(2):
                response = await pool.request("GET", f"{server.url}never", extensions=EARLY)
                assert response.status == 425
            check_idle(pool)

    with serve(too_early) as server:
        runtime.run(scenario)
    # The second call found a connection, and so was not early: it was sent once.
    assert len(server.peers[1].requests) == 3


# The race with TCP


def test_a_request_whose_early_data_is_lost_is_sent_over_tcp(
    runtime: TestedRuntime,
    serve: Serve,
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(async_connection, "RACE_DELAY", 10.0)
    origin = Origin(server_tls)
    with (
        origin.server,
        serve(answering()) as server,
        LossyRelay(server.port, seed=1, loss=0.0).running() as relay,
    ):
        origin.alt_svc = f'h3=":{relay.port}"; ma=60'

        async def main() -> None:
            async with runtime.pool(ssl_context=client_tls, http3=True) as pool:
                await make_session(runtime, pool, origin.url)
                await make_session(runtime, pool, origin.url)
                relay.is_silent = True
                monkeypatch.setattr(async_connection, "RACE_DELAY", 0.02)
                response = await pool.request("GET", origin.url, extensions=EARLY)
                assert response.extensions["http_version"] == b"HTTP/1.1"
                assert "early_data" not in response.extensions

        runtime.run(main)
    assert len(server.peers) == 1


def test_a_request_in_early_data_wins_the_race(
    runtime: TestedRuntime,
    serve: Serve,
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(async_connection, "RACE_DELAY", 10.0)
    origin = Origin(server_tls)
    with origin.server, serve(answering()) as server:
        origin.alt_svc = f'h3=":{server.port}"; ma=60'

        async def main() -> None:
            async with runtime.pool(ssl_context=client_tls, http3=True) as pool:
                await make_session(runtime, pool, origin.url)
                await make_session(runtime, pool, origin.url)
                response = await pool.request("GET", origin.url, extensions=EARLY)
                assert response.extensions["early_data"] is True

        runtime.run(main)
    assert early_streams(server) == [False, True]


# Networks that lose datagrams


@pytest.mark.parametrize("size", [0, 50_000])
def test_a_first_flight_that_gets_lost_is_followed_by_another_handshake(
    runtime: TestedRuntime,
    serve: Serve,
    make_pool: PoolMaker,
    monkeypatch: pytest.MonkeyPatch,
    size: int,
) -> None:
    real = EstablishedHTTP3Connection._begin_again

    def begin_again(connection: EstablishedHTTP3Connection) -> None:
        relay.is_silent = False
        real(connection)

    monkeypatch.setattr("httpcore2_http3._connection.EARLY_LIMIT", 0.05)
    monkeypatch.setattr(EstablishedHTTP3Connection, "_begin_again", begin_again)
    with (
        serve(answering()) as server,
        LossyRelay(server.port, seed=5, loss=0.0).running() as relay,
    ):
        url = f"https://127.0.0.1:{relay.port}/"

        async def main() -> None:
            async with make_pool() as pool:
                await make_session(runtime, pool, url)
                relay.is_silent = True
                response = await pool.request("PUT", url, content=bytes(size), extensions=EARLY)
                assert response.content == (bytes(size) or b"fine")
                assert "early_data" not in response.extensions
                assert response.extensions["stream_id"] == 0
                tls = response.extensions["network_stream"].get_extra_info("ssl_object")
                assert tls.getpeercert()["subjectAltName"][0] == ("IP Address", "127.0.0.1")
                again = await pool.request("GET", url)
                assert again.extensions["stream_id"] == 4
                check_idle(pool)

        runtime.run(main)
    assert sum(len(peer.requests) for peer in server.peers) == 3
    assert len(server.peers[-1].requests) == 2
    assert not any(peer.early for peer in server.peers)


# Observers, interim responses


def test_interim_responses_and_observers_miss_nothing(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    def script(peer: H3Peer) -> None:
        while True:
            stream_id = peer.whole_request()
            peer.head(stream_id, (b"link", b"</style.css>"), status=103)
            peer.respond(stream_id, b"fine")

    observer = RecordingObserver()
    interim: list[int] = []

    async def scenario() -> None:
        async with make_pool() as pool:
            await make_session(runtime, pool, server.url)
            pool.observe(observer)
            extensions = {**EARLY, "informational": lambda status, _: interim.append(status)}
            for _ in range(2):
                response = await pool.request(
                    "PUT", server.url, content=b"12345", extensions=extensions
                )
                assert response.content == b"fine"
            assert interim == [103, 103]
            assert [each["sent"] for each in observer.all("request_ended")] == [5, 5]
            assert len(observer.all("interim_received")) == 2

    with serve(script) as server:
        runtime.run(scenario)
    assert early_streams(server) == [False, True]


# Requests that are given up


def test_a_request_in_early_data_can_be_cancelled_at_every_wait(
    async_runtime: TestedAsyncRuntime, serve: Serve, client_tls: ssl.SSLContext
) -> None:
    runtime = async_runtime
    with serve(answering()) as server:

        async def attempt(number: int) -> CancellationOutcome:
            async with runtime.pool(
                ssl_context=client_tls, max_connections=1, **HTTP3_ONLY
            ) as pool:
                await make_session(runtime, pool, server.url)

                async def send() -> None:
                    await pool.request("PUT", server.url, content=b"text", extensions=EARLY)

                outcome = await runtime.cancel_at_wait(number, send, False)
                assert (await pool.request("GET", server.url)).content == b"fine"
                check_idle(pool)
                return outcome

        outcomes = runtime.run(lambda: cancel_at_every_wait(attempt))
        assert CancellationOutcome.CANCELLED in outcomes


async def connect_early(
    runtime: TestedAsyncRuntime,
    server: H3Server,
    client_tls: ssl.SSLContext,
    request: httpcore2.Request,
) -> AsyncHTTP3Connection:
    """Return a connection that has sent a request in early data, and whose handshake is complete."""
    origin = httpcore2.Origin(b"https", b"127.0.0.1", server.port)
    memory = QuicMemory()
    backend: Any = runtime.backend()

    async def connect(early_request: httpcore2.Request | None) -> AsyncHTTP3Connection:
        datagrams = await backend.connect_udp("127.0.0.1", server.port)
        connection = AsyncHTTP3Connection(
            origin, datagrams, None, client_tls, _memory=memory, _early_request=early_request
        )
        await connection.handshake(10.0)
        return connection

    async with await connect(None) as first:
        await first.request("GET", server.url)
    return await connect(request)


def test_a_request_that_is_given_up_after_the_handshake_is_reset(
    async_runtime: TestedAsyncRuntime, serve: Serve, client_tls: ssl.SSLContext
) -> None:
    runtime = async_runtime

    def script(peer: H3Peer) -> None:
        stream_id = peer.whole_request()
        if stream_id in peer.early:
            peer.respond(peer.whole_request(), b"fine")
            peer.wait_for_reset(stream_id)
        else:
            peer.respond(stream_id)
        answering()(peer)

    async def scenario() -> None:
        request = httpcore2.Request("GET", server.url, headers={"Host": "x"}, extensions=EARLY)
        connection = await connect_early(runtime, server, client_tls, request)
        # Another request has its own stream.
        assert (await connection.request("GET", server.url)).extensions["stream_id"] == 4
        connection.become_idle()
        assert not connection._session.streams and not connection._session.exchanges
        assert (await connection.request("GET", server.url)).content == b"fine"
        await connection.aclose()

    with serve(script) as server:
        runtime.run(scenario)


def test_a_connection_that_breaks_before_the_early_request_is_waited_for(
    async_runtime: TestedAsyncRuntime, serve: Serve, client_tls: ssl.SSLContext
) -> None:
    runtime = async_runtime

    async def scenario() -> None:
        request = httpcore2.Request("GET", server.url, headers={"Host": "x"}, extensions=EARLY)
        connection = await connect_early(runtime, server, client_tls, request)
        connection.abort()
        with pytest.raises(httpcore2.ReadError, match="connection was closed"):
            await connection.exchange(request, Timeouts.of({}, connection.runtime))

    def script(peer: H3Peer) -> None:
        if peer.whole_request() not in peer.early:
            peer.respond(0)

    with serve(script) as server:
        runtime.run(scenario)


def test_a_server_that_allowed_no_request_gets_none_before_the_handshake(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Session.has_credit
    monkeypatch.setattr(Session, "has_credit", lambda self: self.is_ready and real(self))

    async def scenario() -> None:
        async with make_pool() as pool:
            await make_session(runtime, pool, server.url)
            response = await pool.request("GET", server.url, extensions=EARLY)
            assert "early_data" not in response.extensions

    with serve(answering()) as server:
        runtime.run(scenario)
    assert early_streams(server) == [False, False]


def test_what_can_not_be_repeated_before_the_handshake_is_left_for_later(
    client_tls: ssl.SSLContext,
) -> None:
    quic = make_quic(client_tls, "localhost", QuicMemory(), True)
    calls: list[str] = []

    def poll(message: str) -> None:
        calls.append(message)
        raise RuntimeError(message)

    assert quic._call_core(poll, "missing OneRtt packet key") is None
    assert len(calls) == 2
    with pytest.raises(QuicConnectionError, match="another error"):
        quic._call_core(poll, "another error")


def test_the_first_flight_is_repeated_once(client_tls: ssl.SSLContext) -> None:
    ticket: Any = tls.SessionTicket(
        age_add=0,
        cipher_suite=tls.CipherSuite.AES_128_GCM_SHA256,
        not_valid_after=datetime.max,
        not_valid_before=datetime.min,
        resumption_secret=bytes(32),
        server_name="localhost",
        ticket=b"ticket",
        max_early_data_size=0xFFFFFFFF,
    )
    memory = QuicMemory()
    memory.add_session(client_tls, "localhost", KnownSession(ticket, None))
    quic = make_quic(client_tls, "localhost", memory, True)
    assert quic.get_timer() is None
    quic.handle_timer(0.0)
    quic.connect(("127.0.0.1", 1), 0.0)
    assert quic.may_send_early_data
    assert quic.datagrams_to_send(0.0)
    timer = quic.get_timer()
    assert timer is not None
    quic.handle_timer(timer + 0.001)
    assert quic.datagrams_to_send(timer + 0.001)
    assert quic.get_timer() is None
