"""One event is one exception: a reset is a `ReadError`, an end that comes too early a `RemoteProtocolError`.

Whatever notices it first, a write or a read: an answer may have come before it, so reading has the last word.
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

from ..support.h2peer import H2Peer
from ..support.runtimes import TestedRuntime
from ..support.scripted_servers import LIMIT, Peer, response, scripted_server

FINE = response(b"fine")
HALF_A_HEAD = b"HTTP/1.1 200 OK\r\nContent-Le"
HALF_A_BODY = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"
LARGE = bytes(16 * 1024 * 1024)


def end_and_close(peer: Peer) -> None:
    """Send the end, and then perhaps a reset: that is what closing comes to when something was not read."""
    peer.half_close()
    peer.close()


# What the server does, and what it is to the client.
ENDS: list[tuple[str, Callable[[Peer], None], type[Exception]]] = [
    ("reset", Peer.reset, httpcore2.ReadError),
    ("end", end_and_close, httpcore2.RemoteProtocolError),
]
each_end = pytest.mark.parametrize(
    ("end", "error"), [case[1:] for case in ENDS], ids=[case[0] for case in ENDS]
)


@pytest.fixture(params=["plain", "tls"])
def server_context(request: pytest.FixtureRequest) -> ssl.SSLContext | None:
    if request.param == "plain":
        return None
    context: ssl.SSLContext = request.getfixturevalue("server_tls")
    return context


def block_until(sock: socket.socket, mask: int = 0) -> None:
    """Wait for the system, not for the event loop: for `mask`, or for an error."""
    if sock.fileno() == -1:
        return  # it was noticed, and the connection closed
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
@pytest.mark.parametrize("sent", [b"", HALF_A_HEAD, HALF_A_BODY], ids=["none", "head", "body"])
@pytest.mark.parametrize("is_used", [False, True], ids=["new", "used"])
def test_an_ended_connection_raises_one_exception_during_the_response(
    runtime: TestedRuntime,
    end: Callable[[Peer], None],
    error: type[Exception],
    sent: bytes,
    is_used: bool,
    server_context: ssl.SSLContext | None,
    client_tls: ssl.SSLContext,
) -> None:
    def handler(peer: Peer) -> None:
        if is_used:
            peer.receive_request()
            peer.send(FINE)
        peer.receive_request()
        peer.send(sent)
        end(peer)

    async def scenario() -> None:
        async with runtime.pool(ssl_context=client_tls) as pool:
            if is_used:
                assert (await pool.request("GET", server.url)).content == b"fine"
            with pytest.raises(error) as caught:
                # Not idempotent, so that it is not sent again.
                await pool.request("POST", server.url, content=b"x")
            assert type(caught.value) is error
            assert pool.connections == []

    with scripted_server(handler, tls=server_context) as server:
        runtime.run(scenario)
        assert server.accepted == 1


@each_end
def test_a_reused_connection_that_ends_before_the_response_raises_nothing_if_the_request_may_be_sent_again(
    runtime: TestedRuntime,
    end: Callable[[Peer], None],
    error: type[Exception],
    server_context: ssl.SSLContext | None,
    client_tls: ssl.SSLContext,
) -> None:
    def handler(peer: Peer) -> None:
        peer.receive_request()
        peer.send(FINE)
        if peer.number == 0:
            peer.receive_request()
            end(peer)
        else:
            peer.receive_until_close()

    async def scenario() -> None:
        async with runtime.pool(ssl_context=client_tls) as pool:
            for _ in range(2):
                assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(handler, tls=server_context) as server:
        runtime.run(scenario)
        assert server.accepted == 2


@each_end
def test_a_write_that_detects_the_end_first_raises_the_same_exception(
    runtime: TestedRuntime,
    end: Callable[[Peer], None],
    error: type[Exception],
    server_context: ssl.SSLContext | None,
    client_tls: ssl.SSLContext,
) -> None:
    """The program makes its body without awaiting, so that no event loop can have seen the end before the write."""
    events: list[tuple[str, dict[str, Any]]] = []
    may_end = runtime.event()

    def handler(peer: Peer) -> None:
        peer.receive_until(b"first\r\n")
        may_end.wait_in_thread()
        end(peer)

    def chunks() -> Iterator[bytes]:
        yield b"first"
        may_end.set()
        if error is httpcore2.RemoteProtocolError:
            block_until(connected(events), select.POLLRDHUP)
            yield b"second"  # the system takes it, and the server's resets the connection for it
        block_until(connected(events))
        yield b"third"

    async def scenario() -> None:
        async with runtime.pool(ssl_context=client_tls) as pool:
            with pytest.raises(error) as caught:
                await pool.request(
                    "POST",
                    server.url,
                    content=runtime.body(chunks()),
                    extensions={"trace": runtime.trace(events)},
                )
            assert type(caught.value) is error
            # A thread that sends may have looked at what came before it wrote.
            by_write = isinstance(caught.value.__cause__, httpcore2.WriteError)
            assert by_write or runtime.name == "threads"
            assert pool.connections == []

    with scripted_server(handler, tls=server_context) as server:
        runtime.run(scenario)
        assert server.accepted == 1


@each_end
def test_an_ended_connection_raises_the_same_exception_during_a_blocked_write(
    runtime: TestedRuntime,
    end: Callable[[Peer], None],
    error: type[Exception],
    server_context: ssl.SSLContext | None,
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

    with scripted_server(handler, tls=server_context, allow_disconnect=True) as server:
        runtime.run(scenario)
        assert server.accepted == 1


def test_is_readable_does_not_consume_a_pending_reset(
    runtime: TestedRuntime,
) -> None:
    """The system reports it once, to whatever asks in a way that takes something."""
    received = runtime.event()

    def handler(peer: Peer) -> None:
        peer.receive_request()
        peer.send(HALF_A_BODY)
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


# HTTP/2


def http2_pool(runtime: TestedRuntime, **options: Any) -> httpcore2.AsyncConnectionPool:
    return runtime.pool(http1=False, http2=True, **options)


@each_end
@pytest.mark.parametrize("sent", ["none", "head", "body"])
def test_what_ends_an_http2_connection_under_a_response_is_one_exception(
    runtime: TestedRuntime, end: Callable[[Peer], None], error: type[Exception], sent: str
) -> None:
    def handler(peer: Peer) -> None:
        server_side = H2Peer(peer)
        stream_id = server_side.whole_request()
        assert stream_id is not None
        if sent != "none":
            server_side.head(stream_id)
        if sent == "body":
            server_side.data(stream_id, b"hello")
        end(peer)

    async def scenario() -> None:
        async with http2_pool(runtime) as pool:
            with pytest.raises(error) as caught:
                await pool.request("POST", server.url, content=b"x")
            assert type(caught.value) is error
            assert pool.connections == []

    with scripted_server(handler) as server:
        runtime.run(scenario)
        assert server.accepted == 1


@each_end
@pytest.mark.parametrize("stalled", ["between two chunks", "by the window"])
def test_what_ends_an_http2_connection_under_an_upload_is_the_same_exception(
    runtime: TestedRuntime, end: Callable[[Peer], None], error: type[Exception], stalled: str
) -> None:
    events: list[tuple[str, dict[str, Any]]] = []
    may_end = runtime.event()

    def handler(peer: Peer) -> None:
        server_side = H2Peer(peer)
        server_side.wait_for(h2.events.DataReceived)
        if stalled == "by the window":
            while sum(map(len, server_side.bodies.values())) < 65535:
                server_side.wait_for(h2.events.DataReceived)
        else:
            may_end.wait_in_thread()
        end(peer)

    def chunks() -> Iterator[bytes]:
        yield b"first"
        if stalled == "by the window":
            yield LARGE
        may_end.set()
        if error is httpcore2.RemoteProtocolError:
            block_until(connected(events), select.POLLRDHUP)
            yield b"second"
        block_until(connected(events))
        yield b"third"

    async def scenario() -> None:
        async with http2_pool(runtime) as pool:
            with pytest.raises(error) as caught:
                await pool.request(
                    "POST",
                    server.url,
                    content=runtime.body(chunks()),
                    extensions={"trace": runtime.trace(events)},
                )
            assert type(caught.value) is error
            assert pool.connections == []

    with scripted_server(handler) as server:
        runtime.run(scenario)
        assert server.accepted == 1
