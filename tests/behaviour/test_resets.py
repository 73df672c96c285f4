"""One event is one exception: a reset is a `ReadError`, an early end of the connection a `RemoteProtocolError`.

It does not matter whether a write or a read detects it: a response may have arrived before it, so the transport reads
before it raises.
"""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import h2.events
import pytest

import httpcore2

from ..support.runtimes import TestedRuntime
from ..support.scripted_protocols import HTTP1, HTTP2, PROTOCOLS, Protocol, ServerConnection
from ..support.scripted_servers import LIMIT, Peer, scripted_server

LARGE = bytes(16 * 1024 * 1024)


def end_and_close(peer: Peer) -> None:
    """Send the end of the stream, then close, which sends a reset if there is unread input."""
    peer.half_close()
    peer.close()


# How the server ends the connection, and the exception of the client.
ENDS: list[tuple[str, Callable[[Peer], None], type[Exception]]] = [
    ("reset", Peer.reset, httpcore2.ReadError),
    ("end", end_and_close, httpcore2.RemoteProtocolError),
]
each_end = pytest.mark.parametrize(
    ("end", "error"), [case[1:] for case in ENDS], ids=[case[0] for case in ENDS]
)
each_protocol = pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)


def block_until(sock: socket.socket, mask: int = 0) -> None:
    """Wait for `mask` or an error of the socket in the system, without the event loop."""
    if sock.fileno() == -1:
        return  # the transport has detected the end, and closed the connection
    poller = select.poll()
    poller.register(sock, mask)
    assert poller.poll(LIMIT * 1000), "nothing happened"


def connected(events: list[tuple[str, dict[str, Any]]]) -> socket.socket:
    """Return the socket of the connection that a traced request has made."""
    (stream,) = (
        info["return_value"] for name, info in events if name == "connection.connect_tcp.complete"
    )
    sock: socket.socket = stream.get_extra_info("socket")
    return sock


@each_end
@pytest.mark.parametrize("sent", ["none", "head", "body"])
@pytest.mark.parametrize("is_reused", [False, True], ids=["new", "reused"])
@each_protocol
def test_an_ended_connection_raises_one_exception_during_the_response(
    runtime: TestedRuntime,
    protocol: Protocol,
    end: Callable[[Peer], None],
    error: type[Exception],
    sent: str,
    is_reused: bool,
    protocol_tls: ssl.SSLContext | None,
    client_tls: ssl.SSLContext,
) -> None:
    def handler(peer: Peer) -> None:
        connection = ServerConnection(peer, protocol)
        if is_reused:
            connection.receive_request()
            connection.respond()
        connection.receive_request()
        connection.begin_response(sent)
        end(peer)

    async def scenario() -> None:
        async with runtime.pool(ssl_context=client_tls, **protocol.options) as pool:
            if is_reused:
                assert (await pool.request("GET", server.url)).content == b"fine"
            with pytest.raises(error) as caught:
                # POST is not idempotent, so the request is not sent again.
                await pool.request("POST", server.url, content=b"x")
            assert type(caught.value) is error
            assert pool.connections == []

    with scripted_server(handler, tls=protocol_tls) as server:
        runtime.run(scenario)
        assert server.accepted == 1


@each_end
@each_protocol
def test_a_reused_connection_that_ends_before_the_response_raises_nothing_if_the_request_is_idempotent(
    runtime: TestedRuntime,
    protocol: Protocol,
    end: Callable[[Peer], None],
    error: type[Exception],
    protocol_tls: ssl.SSLContext | None,
    client_tls: ssl.SSLContext,
) -> None:
    def handler(peer: Peer) -> None:
        connection = ServerConnection(peer, protocol)
        connection.receive_request()
        connection.respond()
        if peer.number == 0:
            connection.receive_request()
            end(peer)
        else:
            connection.receive_until_close()

    async def scenario() -> None:
        async with runtime.pool(ssl_context=client_tls, **protocol.options) as pool:
            for _ in range(2):
                assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(handler, tls=protocol_tls) as server:
        runtime.run(scenario)
        assert server.accepted == 2


def blocking_body(
    events: list[tuple[str, dict[str, Any]]],
    error: type[Exception],
    may_end: Callable[[], None],
    *,
    fills_window: bool = False,
) -> Iterator[bytes]:
    """Yield chunks, and block between them until the end of the connection has arrived.

    It never awaits, so that no event loop can detect the end before the next write.

    Args:
        events: the trace events of the request.
        error: the expected exception.
        may_end: lets the server end the connection.
        fills_window: whether to send more than the server's flow-control window first.
    """
    yield b"first"
    if fills_window:
        yield LARGE
    may_end()
    if error is httpcore2.RemoteProtocolError:
        block_until(connected(events), select.POLLRDHUP)
        yield b"second"  # the system accepts it, and the server's system resets the connection
    block_until(connected(events))
    yield b"third"


@each_end
@each_protocol
def test_a_write_that_detects_the_end_first_raises_the_same_exception(
    runtime: TestedRuntime,
    protocol: Protocol,
    end: Callable[[Peer], None],
    error: type[Exception],
    protocol_tls: ssl.SSLContext | None,
    client_tls: ssl.SSLContext,
) -> None:
    events: list[tuple[str, dict[str, Any]]] = []
    may_end = runtime.event()

    def handler(peer: Peer) -> None:
        ServerConnection(peer, protocol).receive_first_chunk(b"first")
        may_end.wait_in_thread()
        end(peer)

    async def scenario() -> None:
        async with runtime.pool(ssl_context=client_tls, **protocol.options) as pool:
            with pytest.raises(error) as caught:
                await pool.request(
                    "POST",
                    server.url,
                    content=runtime.body(blocking_body(events, error, may_end.set)),
                    extensions={"trace": runtime.trace(events)},
                )
            assert type(caught.value) is error
            # On threads the transport may have polled for input before it wrote.
            by_write = isinstance(caught.value.__cause__, httpcore2.WriteError)
            assert by_write or runtime.name == "threads" or protocol.is_http2
            assert pool.connections == []

    with scripted_server(handler, tls=protocol_tls) as server:
        runtime.run(scenario)
        assert server.accepted == 1


@each_end
def test_an_ended_http2_connection_raises_the_same_exception_while_the_window_is_full(
    runtime: TestedRuntime, end: Callable[[Peer], None], error: type[Exception]
) -> None:
    events: list[tuple[str, dict[str, Any]]] = []

    def handler(peer: Peer) -> None:
        http2 = ServerConnection(peer, HTTP2).http2
        assert http2 is not None
        http2.wait_for(h2.events.DataReceived)
        while sum(map(len, http2.bodies.values())) < 65535:
            http2.wait_for(h2.events.DataReceived)
        end(peer)

    async def scenario() -> None:
        async with runtime.pool(**HTTP2.options) as pool:
            content = blocking_body(events, error, lambda: None, fills_window=True)
            with pytest.raises(error) as caught:
                await pool.request(
                    "POST",
                    server.url,
                    content=runtime.body(content),
                    extensions={"trace": runtime.trace(events)},
                )
            assert type(caught.value) is error
            assert pool.connections == []

    with scripted_server(handler) as server:
        runtime.run(scenario)
        assert server.accepted == 1


@each_end
@pytest.mark.parametrize("secured", [False, True], ids=["plain", "tls"])
def test_an_ended_connection_raises_the_same_exception_during_a_blocked_write(
    runtime: TestedRuntime,
    end: Callable[[Peer], None],
    error: type[Exception],
    secured: bool,
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
) -> None:
    def handler(peer: Peer) -> None:
        peer.receive_head()
        end(peer)

    async def scenario() -> None:
        async with runtime.pool(ssl_context=client_tls) as pool:
            with pytest.raises(error) as caught:
                await pool.request("POST", server.url, content=LARGE)
            assert type(caught.value) is error
            assert pool.connections == []

    with scripted_server(
        handler, tls=server_tls if secured else None, allow_disconnect=True
    ) as server:
        runtime.run(scenario)
        assert server.accepted == 1


def test_is_readable_does_not_consume_a_pending_reset(
    runtime: TestedRuntime,
) -> None:
    """The system reports a reset once, to the first call that receives, sends or reads SO_ERROR."""
    received = runtime.event()

    def handler(peer: Peer) -> None:
        connection = ServerConnection(peer, HTTP1)
        connection.receive_request()
        connection.begin_response("body")
        received.wait_in_thread()
        peer.reset()

    async def scenario() -> None:
        async with runtime.pool() as pool, pool.stream("GET", server.url) as held:
            stream = held.extensions["network_stream"]
            chunks = held.aiter_stream()
            assert await anext(chunks) == b"hello"
            received.set()
            block_until(stream.get_extra_info("socket"))
            assert stream.get_extra_info("is_readable")
            with pytest.raises(httpcore2.ReadError):
                await anext(chunks)

    with scripted_server(handler) as server:
        runtime.run(scenario)
