"""What waits in an idle connection's socket is found at its next use, though the program never awaited meanwhile.

An event loop receives while the program awaits. These programs block instead: they wait for the socket itself, as one
does that computes for a while between two requests.
"""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Callable
from typing import Any

import h2.events
import pytest

import httpcore2

from ..support.h2peer import PING, H2Peer, frame
from ..support.runtimes import TestedRuntime
from ..support.scripted_servers import LIMIT, Peer, response, scripted_server

FINE = response(b"fine")
FORGED = response(b"forged")


def block_until_something_came(received: httpcore2.Response) -> None:
    """Wait for the system, not for the event loop."""
    sock: socket.socket = received.extensions["network_stream"].get_extra_info("socket")
    poller = select.poll()
    poller.register(sock, select.POLLIN)
    assert poller.poll(LIMIT * 1000), "nothing came"


@pytest.fixture(params=["plain", "tls"])
def server_context(request: pytest.FixtureRequest) -> ssl.SSLContext | None:
    if request.param == "plain":
        return None
    context: ssl.SSLContext = request.getfixturevalue("server_tls")
    return context


def end_with_close_notify(peer: Peer) -> None:
    if isinstance(peer.socket, ssl.SSLSocket):
        peer.socket.settimeout(0)
        with pytest.raises(ssl.SSLWantReadError):
            peer.socket.unwrap()
        peer.socket.settimeout(LIMIT)
    else:
        peer.half_close()


def forge_and_end(peer: Peer) -> None:
    peer.send(FORGED)
    peer.half_close()


# What a server may do to a connection that it keeps.
TOUCHES: dict[str, Callable[[Peer], None]] = {
    "response": lambda peer: peer.send(FORGED),
    "byte": lambda peer: peer.send(b"\n"),
    "response and end": forge_and_end,
    "end": Peer.half_close,
    "close_notify": end_with_close_notify,
    "reset": Peer.reset,
}


@pytest.mark.parametrize("asked", ["request", "has_expired"])
@pytest.mark.parametrize("touch", TOUCHES)
def test_a_connection_with_unread_input_or_an_end_in_its_socket_is_not_reused(
    runtime: TestedRuntime,
    touch: str,
    asked: str,
    server_context: ssl.SSLContext | None,
    client_tls: ssl.SSLContext,
) -> None:
    may_touch = runtime.event()

    def handler(peer: Peer) -> None:
        peer.receive_request()
        peer.send(FINE)
        if peer.number == 0:
            may_touch.wait_in_thread()
            TOUCHES[touch](peer)
            if touch != "reset":
                assert peer.receive_until_close() == b""
        else:
            peer.receive_until_close()

    async def scenario() -> None:
        async with runtime.pool(ssl_context=client_tls) as pool:
            first = await pool.request("GET", server.url)
            (connection,) = pool.connections
            assert not connection.has_expired()
            may_touch.set()
            block_until_something_came(first)
            if asked == "has_expired":
                assert connection.has_expired()
            # A body that can't be sent twice: to notice afterwards would be too late.
            second = await pool.request("POST", server.url, content=runtime.body([b"x"]))
            assert second.content == b"fine"
            assert len(pool.connections) == 1

    with scripted_server(handler, tls=server_context, allow_disconnect=True) as server:
        runtime.run(scenario)
        assert server.accepted == 2


def test_has_expired_does_not_change_an_idle_connection(
    runtime: TestedRuntime, server_context: ssl.SSLContext | None, client_tls: ssl.SSLContext
) -> None:
    def handler(peer: Peer) -> None:
        for _ in range(3):
            peer.receive_request()
            peer.send(FINE)
        peer.receive_until_close()

    async def scenario() -> None:
        async with runtime.pool(ssl_context=client_tls) as pool:
            for _ in range(3):
                assert (await pool.request("GET", server.url)).content == b"fine"
                assert not pool.connections[0].has_expired()

    with scripted_server(handler, tls=server_context) as server:
        runtime.run(scenario)
        assert server.accepted == 1


# HTTP/2


def say_goaway(peer: H2Peer) -> None:
    peer.h2.close_connection(last_stream_id=1)
    peer.flush()


def say_goaway_and_end(peer: H2Peer) -> None:
    say_goaway(peer)
    peer.peer.half_close()


H2_TOUCHES: dict[str, Callable[[H2Peer], None]] = {
    "GOAWAY": say_goaway,
    "GOAWAY and end": say_goaway_and_end,
    "end": lambda peer: peer.peer.half_close(),
    "close_notify": lambda peer: end_with_close_notify(peer.peer),
    "reset": lambda peer: peer.peer.reset(),
    # A PING's payload is eight bytes long (RFC 9113, section 6.7).
    "fault": lambda peer: peer.send(frame(PING, 0, 0, b"short")),
}


def http2_options(server: Any, client_tls: ssl.SSLContext) -> dict[str, Any]:
    return {"http1": server.is_tls, "http2": True, "ssl_context": client_tls}


@pytest.fixture
def server_context_h2(
    server_context: ssl.SSLContext | None, request: pytest.FixtureRequest
) -> ssl.SSLContext | None:
    if server_context is None:
        return None
    context: ssl.SSLContext = request.getfixturevalue("h2_server_tls")
    return context


@pytest.mark.parametrize("asked", ["request", "has_expired"])
@pytest.mark.parametrize("touch", H2_TOUCHES)
def test_an_http2_connection_that_has_ended_in_its_socket_is_not_used_again(
    runtime: TestedRuntime,
    touch: str,
    asked: str,
    server_context_h2: ssl.SSLContext | None,
    client_tls: ssl.SSLContext,
) -> None:
    may_touch = runtime.event()

    def handler(peer: Peer) -> None:
        server_side = H2Peer(peer)
        stream_id = server_side.whole_request()
        assert stream_id is not None
        server_side.respond(stream_id, b"fine")
        # The connection is quiet now: its last frame is the acknowledgement of our settings.
        server_side.wait_for(h2.events.SettingsAcknowledged)
        if peer.number == 0:
            may_touch.wait_in_thread()
            H2_TOUCHES[touch](server_side)
            if touch == "reset":
                return
        assert not [
            event
            for event in server_side.until_end()
            if isinstance(event, h2.events.RequestReceived)
        ]

    async def scenario() -> None:
        async with runtime.pool(**http2_options(server, client_tls)) as pool:
            first = await pool.request("GET", server.url)
            (connection,) = pool.connections
            assert not connection.has_expired()
            may_touch.set()
            block_until_something_came(first)
            if asked == "has_expired":
                assert connection.has_expired()
            second = await pool.request("POST", server.url, content=runtime.body([b"x"]))
            assert second.content == b"fine"
            assert len(pool.connections) == 1

    with scripted_server(handler, tls=server_context_h2, allow_disconnect=True) as server:
        runtime.run(scenario)
        assert server.accepted == 2


def test_unread_http2_frames_are_processed_before_the_next_request(
    runtime: TestedRuntime, server_context_h2: ssl.SSLContext | None, client_tls: ssl.SSLContext
) -> None:
    may_touch = runtime.event()

    def handler(peer: Peer) -> None:
        server_side = H2Peer(peer)
        stream_id = server_side.whole_request()
        assert stream_id is not None
        server_side.respond(stream_id, b"fine")
        server_side.wait_for(h2.events.SettingsAcknowledged)
        may_touch.wait_in_thread()
        server_side.h2.update_settings({3: 1})  # SETTINGS_MAX_CONCURRENT_STREAMS
        server_side.h2.ping(b"are you?")
        server_side.flush()
        # Both are answered before the next request, not in the middle of it.
        kinds = []
        while not isinstance(event := server_side.next(), h2.events.RequestReceived):
            assert event is not None
            kinds.append(type(event))
        assert kinds == [h2.events.SettingsAcknowledged, h2.events.PingAckReceived]
        server_side.wait_for(h2.events.StreamEnded)
        server_side.respond(3, b"fine again")
        server_side.until_end()

    async def scenario() -> None:
        async with runtime.pool(**http2_options(server, client_tls)) as pool:
            first = await pool.request("GET", server.url)
            may_touch.set()
            block_until_something_came(first)
            second = await pool.request("POST", server.url, content=runtime.body([b"x"]))
            assert second.content == b"fine again"

    with scripted_server(handler, tls=server_context_h2) as server:
        runtime.run(scenario)
        assert server.accepted == 1
