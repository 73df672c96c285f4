"""Input that waits in an idle connection's socket is detected at the next use, even if the program never awaited.

An event loop receives while the program awaits. These programs block instead, like one that computes between two
requests: they wait for the socket itself.
"""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Callable

import h2.events
import pytest

import httpcore2

from ..support.h2peer import PING, H2Peer, frame
from ..support.runtimes import TestedRuntime
from ..support.scripted_protocols import (
    HTTP1,
    HTTP1_TLS,
    HTTP2,
    HTTP2_TLS,
    PROTOCOLS,
    Protocol,
    ServerConnection,
)
from ..support.scripted_servers import LIMIT, Peer, response, scripted_server

FORGED = response(b"forged")


def block_until_readable(received: httpcore2.Response) -> None:
    """Wait in the system, without the event loop, until the response's connection has input."""
    sock: socket.socket = received.extensions["network_stream"].get_extra_info("socket")
    poller = select.poll()
    poller.register(sock, select.POLLIN)
    assert poller.poll(LIMIT * 1000), "no input arrived"


# Input of an idle connection


def forge(connection: ServerConnection) -> None:
    connection.peer.send(FORGED)


def forge_and_end(connection: ServerConnection) -> None:
    forge(connection)
    end(connection)


def send_byte(connection: ServerConnection) -> None:
    connection.peer.send(b"\n")


def end(connection: ServerConnection) -> None:
    connection.peer.half_close()


def end_with_close_notify(connection: ServerConnection) -> None:
    peer = connection.peer
    if isinstance(peer.socket, ssl.SSLSocket):
        peer.socket.settimeout(0)
        with pytest.raises(ssl.SSLWantReadError):
            peer.socket.unwrap()
        peer.socket.settimeout(LIMIT)
    else:
        peer.half_close()


def reset(connection: ServerConnection) -> None:
    connection.peer.reset()


def http2_of(connection: ServerConnection) -> H2Peer:
    assert connection.http2 is not None
    return connection.http2


def send_goaway(connection: ServerConnection) -> None:
    http2 = http2_of(connection)
    http2.h2.close_connection(last_stream_id=1)
    http2.flush()


def send_goaway_and_end(connection: ServerConnection) -> None:
    send_goaway(connection)
    end(connection)


def send_malformed_ping(connection: ServerConnection) -> None:
    # A PING's payload is eight bytes long (RFC 9113, section 6.7).
    http2_of(connection).send(frame(PING, 0, 0, b"short"))


HTTP1_INPUT = {
    "response": forge,
    "byte": send_byte,
    "response and end": forge_and_end,
    "end": end,
    "close_notify": end_with_close_notify,
    "reset": reset,
}
HTTP2_INPUT = {
    "GOAWAY": send_goaway,
    "GOAWAY and end": send_goaway_and_end,
    "end": end,
    "close_notify": end_with_close_notify,
    "reset": reset,
    "malformed PING": send_malformed_ping,
}
CASES = [
    pytest.param(protocol, function, id=f"{protocol}-{name}")
    for protocols, functions in (
        ((HTTP1, HTTP1_TLS), HTTP1_INPUT),
        ((HTTP2, HTTP2_TLS), HTTP2_INPUT),
    )
    for protocol in protocols
    for name, function in functions.items()
]


@pytest.mark.parametrize("detected_by", ["request", "has_expired"])
@pytest.mark.parametrize(("protocol", "send_input"), CASES)
def test_a_connection_with_unread_input_or_an_end_in_its_socket_is_not_reused(
    runtime: TestedRuntime,
    protocol: Protocol,
    send_input: Callable[[ServerConnection], None],
    detected_by: str,
    protocol_tls: ssl.SSLContext | None,
    client_tls: ssl.SSLContext,
) -> None:
    may_send = runtime.event()

    def handler(peer: Peer) -> None:
        connection = ServerConnection(peer, protocol)
        connection.receive_request()
        connection.respond()
        connection.wait_until_quiet()
        if peer.number == 0:
            may_send.wait_in_thread()
            send_input(connection)
            if send_input is reset:
                return
        assert not connection.receive_until_close()

    async def scenario() -> None:
        async with runtime.pool(ssl_context=client_tls, **protocol.options) as pool:
            first = await pool.request("GET", server.url)
            (connection,) = pool.connections
            assert not connection.has_expired()
            may_send.set()
            block_until_readable(first)
            if detected_by == "has_expired":
                assert connection.has_expired()
            # The body can't be sent twice, so the pool must detect the end before it sends the request.
            second = await pool.request("POST", server.url, content=runtime.body([b"x"]))
            assert second.content == b"fine"
            assert len(pool.connections) == 1

    with scripted_server(handler, tls=protocol_tls, allow_disconnect=True) as server:
        runtime.run(scenario)
        assert server.accepted == 2


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
def test_has_expired_does_not_change_an_idle_connection(
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
            for _ in range(3):
                assert (await pool.request("GET", server.url)).content == b"fine"
                assert not pool.connections[0].has_expired()

    with scripted_server(handler, tls=protocol_tls) as server:
        runtime.run(scenario)
        assert server.accepted == 1


@pytest.mark.parametrize("protocol", [HTTP2, HTTP2_TLS], ids=str)
def test_unread_http2_frames_are_processed_before_the_next_request(
    runtime: TestedRuntime,
    protocol: Protocol,
    protocol_tls: ssl.SSLContext | None,
    client_tls: ssl.SSLContext,
) -> None:
    may_send = runtime.event()

    def handler(peer: Peer) -> None:
        connection = ServerConnection(peer, protocol)
        http2 = http2_of(connection)
        connection.receive_request()
        connection.respond()
        connection.wait_until_quiet()
        may_send.wait_in_thread()
        http2.h2.update_settings({3: 1})  # SETTINGS_MAX_CONCURRENT_STREAMS
        http2.h2.ping(b"are you?")
        http2.flush()
        # The client replies to both before it sends the next request, not in the middle of it.
        kinds = []
        while not isinstance(event := http2.next(), h2.events.RequestReceived):
            assert event is not None
            kinds.append(type(event))
        assert kinds == [h2.events.SettingsAcknowledged, h2.events.PingAckReceived]
        http2.wait_for(h2.events.StreamEnded)
        http2.respond(3, b"fine again")
        http2.until_end()

    async def scenario() -> None:
        async with runtime.pool(ssl_context=client_tls, **protocol.options) as pool:
            first = await pool.request("GET", server.url)
            may_send.set()
            block_until_readable(first)
            second = await pool.request("POST", server.url, content=runtime.body([b"x"]))
            assert second.content == b"fine again"

    with scripted_server(handler, tls=protocol_tls) as server:
        runtime.run(scenario)
        assert server.accepted == 1
