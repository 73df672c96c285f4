"""CONNECT and extended CONNECT: a byte stream through one stream of a connection that others use, too."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import h2.events
import pytest
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError

import httpcore2

from ..support import real_servers
from ..support.cancellation import cancel_at_every_wait
from ..support.fake_network import FakeNetworkBackend, FakeNetworkStream
from ..support.h2peer import (
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    SETTINGS,
    H2Peer,
    answering,
    block,
    frame,
    speaking,
)
from ..support.runtimes import CancellationOutcome, TestedAsyncRuntime, TestedRuntime
from ..support.scripted_servers import LIMIT, Peer, canned_responses, response, scripted_server
from .conftest import PoolMaker

TARGET: dict[str, Any] = {"target": b"www.example.com:443"}
WEBSOCKET: dict[str, Any] = {"protocol": "websocket"}

Stream = httpcore2.AsyncNetworkStream


async def read_exactly(stream: Stream, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = await stream.read(count - len(data), timeout=5.0)
        assert more, "the stream ended early"
        data += more
    return data


def echo(peer: H2Peer, stream_id: int) -> None:
    """Send back what comes, until the client ends it; then end it, too."""
    while not isinstance(event := peer.next(), h2.events.StreamEnded):
        if event is None or isinstance(event, h2.events.StreamReset):
            return
        if isinstance(event, h2.events.DataReceived) and event.stream_id == stream_id:
            assert event.data is not None
            rest = event.data
            while rest:
                room = peer.h2.local_flow_control_window(stream_id)
                if not room:
                    peer.pending += peer.h2.receive_data(peer.peer.receive_some())
                peer.data(stream_id, rest[:room])
                rest = rest[room:]
            peer.h2.acknowledge_received_data(event.flow_controlled_length, stream_id)
            peer.flush()
    peer.data(stream_id, b"", end=True)


def granting(script: Callable[[H2Peer, int], None], **settings: int) -> Callable[[Peer], None]:
    """Answer CONNECT with 200, and do as the script says with its stream; then answer requests."""

    def handle(peer: H2Peer) -> None:
        stream_id = peer.request()
        peer.head(stream_id)
        script(peer, stream_id)
        answering()(peer)

    return speaking(handle, **settings)


def test_connect_sends_the_method_and_the_authority_alone(
    runtime: TestedRuntime, h2_pool: PoolMaker
) -> None:
    heads: list[list[tuple[bytes, bytes]]] = []

    def script(peer: H2Peer) -> None:
        event = peer.wait_for(h2.events.RequestReceived)
        heads.append([(bytes(name), bytes(value)) for name, value in event.headers])
        assert event.stream_ended is None and event.stream_id is not None
        peer.head(event.stream_id, (b"content-length", b"5"), (b"proxy-agent", b"p"))
        echo(peer, event.stream_id)
        answering()(peer)

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            async with pool.stream(
                "CONNECT", server.url, headers={"User-Agent": "x"}, extensions=TARGET
            ) as granted:
                assert granted.status == 200
                assert granted.extensions["stream_id"] == 1
                stream = granted.extensions["network_stream"]
                await stream.write(b"ping")
                assert await stream.read(max_bytes=2, timeout=5.0) == b"pi"
                assert stream.get_extra_info("is_readable")
                assert await stream.read(max_bytes=100) == b"ng"
                assert not stream.get_extra_info("is_readable")
                assert stream.get_extra_info("server_addr")[1] == server.port
                assert await granted.aread() == b""
                await stream.write(b"pong")
                assert await read_exactly(stream, 4) == b"pong"
                await stream.aclose()
                await stream.aclose()
                with pytest.raises(httpcore2.ReadError, match="closed on this side"):
                    await stream.read(1)
                with pytest.raises(httpcore2.WriteError, match="closed on this side"):
                    await stream.write(b"x")
            assert "0 active, 0 queued | Connections: 0 active, 1 idle" in repr(pool)
            assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(speaking(script)) as server:
        runtime.run(scenario)
        assert server.accepted == 1
    assert heads == [
        [
            (b":method", b"CONNECT"),
            (b":authority", b"www.example.com:443"),
            (b"user-agent", b"x"),
        ]
    ]


def test_requests_proceed_while_both_sides_of_a_tunnel_send(
    runtime: TestedRuntime, h2_pool: PoolMaker
) -> None:
    size = 3_000_000  # three times what a stream may hold

    def script(peer: H2Peer) -> None:
        tunnel = peer.request()
        peer.head(tunnel)
        waiting = b""
        while event := peer.next():
            if isinstance(event, h2.events.DataReceived) and event.stream_id == tunnel:
                assert event.data is not None
                waiting += event.data
                peer.h2.acknowledge_received_data(event.flow_controlled_length, tunnel)
            elif isinstance(event, h2.events.StreamEnded) and event.stream_id != tunnel:
                assert event.stream_id is not None
                peer.respond(event.stream_id, b"fine")
            room = peer.h2.local_flow_control_window(tunnel)
            peer.data(tunnel, waiting[:room])
            waiting = waiting[room:]

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            async with pool.stream("CONNECT", server.url, extensions=TARGET) as granted:
                stream = granted.extensions["network_stream"]
                content = bytes(range(250)) * (size // 250)

                async def write() -> None:
                    await stream.write(content, timeout=9.0)

                async def read() -> None:
                    assert await read_exactly(stream, size) == content

                async def fetch() -> None:
                    for _ in range(10):
                        assert (await pool.request("GET", server.url)).content == b"fine"

                await runtime.gather(read, write, fetch)
            assert len(pool.connections) == 1

    with scripted_server(speaking(script), allow_disconnect=True) as server:
        runtime.run(scenario)


def test_tls_can_be_spoken_through_a_tunnel(
    runtime: TestedRuntime,
    h2_pool: PoolMaker,
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()

    def script(peer: H2Peer, stream_id: int) -> None:
        secured = server_tls.wrap_bio(incoming, outgoing, server_side=True)
        steps: list[Callable[[], object]] = [
            secured.do_handshake,
            lambda: secured.write(secured.read(4)[::-1]),
        ]
        while steps:
            try:
                steps[0]()
                steps.pop(0)
                needs_more = False
            except ssl.SSLWantReadError:
                needs_more = True
            peer.data(stream_id, outgoing.read())
            if needs_more:
                event = peer.wait_for(h2.events.DataReceived, stream_id)
                assert event.data is not None
                incoming.write(event.data)

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            async with pool.stream("CONNECT", server.url, extensions=TARGET) as granted:
                stream = granted.extensions["network_stream"]
                secured = await stream.start_tls(client_tls, "localhost", timeout=5.0)
                await secured.write(b"ping", timeout=5.0)
                assert await read_exactly(secured, 4) == b"gnip"
                assert secured.get_extra_info("ssl_object").version().startswith("TLS")
                await secured.aclose()
            assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(granting(script)) as server:
        runtime.run(scenario)


class Inside:
    """What the server's end of a tunnel looks like to a script for a connection."""

    def __init__(self, peer: H2Peer, stream_id: int) -> None:
        self.number = 0
        self._peer = peer
        self._stream_id = stream_id

    def receive_some(self) -> bytes:
        while event := self._peer.next():
            if isinstance(event, h2.events.DataReceived):
                assert event.data is not None
                self._peer.h2.acknowledge_received_data(
                    event.flow_controlled_length, self._stream_id
                )
                self._peer.flush()
                return event.data
            if isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset)):
                break
        return b""

    def send(self, data: bytes) -> None:
        self._peer.data(self._stream_id, data)


def test_http_can_be_spoken_through_a_tunnel(runtime: TestedRuntime, h2_pool: PoolMaker) -> None:
    def script(peer: H2Peer, stream_id: int) -> None:
        inside = Inside(peer, stream_id)
        for _ in range(2):
            assert inside.receive_some().startswith(b"GET / HTTP/1.1\r\n")
            inside.send(response(b"inside"))
        assert inside.receive_some() == b""

    async def scenario() -> None:
        origin = httpcore2.Origin(b"http", b"www.example.com", 80)
        async with h2_pool(runtime) as pool:
            async with pool.stream("CONNECT", server.url, extensions=TARGET) as granted:
                stream = granted.extensions["network_stream"]
                async with runtime.http11_connection(origin, stream) as connection:
                    for _ in range(2):
                        reply = await connection.request("GET", "http://www.example.com/")
                        assert reply.content == b"inside"
                        assert not connection.has_expired()
            assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(granting(script)) as server:
        runtime.run(scenario)
        assert server.accepted == 1


def test_http2_can_be_spoken_through_a_tunnel(runtime: TestedRuntime, h2_pool: PoolMaker) -> None:
    content = bytes(300_000)  # more than the windows of either

    def script(peer: H2Peer, stream_id: int) -> None:
        outer: Any = Inside(peer, stream_id)
        answering()(H2Peer(outer, initial_window_size=2**20))

    async def scenario() -> None:
        origin = httpcore2.Origin(b"http", b"www.example.com", 80)
        async with (
            h2_pool(runtime) as pool,
            pool.stream("CONNECT", server.url, extensions=TARGET) as granted,
        ):
            stream = granted.extensions["network_stream"]
            async with runtime.http2_connection(origin, stream) as connection:

                async def post() -> None:
                    url = "http://www.example.com/"
                    reply = await connection.request("POST", url, content=content)
                    assert reply.content == content

                await runtime.gather(post, post)
                assert not connection.has_expired()
                assert connection.info().endswith("IDLE, Request Count: 2")
                await stream.aclose()
                assert connection.has_expired()

    with scripted_server(granting(script), allow_disconnect=True) as server:
        runtime.run(scenario)
        assert server.accepted == 1


def test_a_tunnels_reads_and_writes_have_deadlines(
    runtime: TestedRuntime, h2_pool: PoolMaker
) -> None:
    timed_out = runtime.event()

    def script(peer: H2Peer, stream_id: int) -> None:
        timed_out.wait_in_thread()
        while len(peer.bodies[stream_id]) < 65535:
            peer.wait_for(h2.events.DataReceived)
        peer.h2.increment_flow_control_window(1000)
        peer.h2.increment_flow_control_window(1000, stream_id)
        peer.data(stream_id, b"go on")
        assert peer.wait_for(h2.events.DataReceived).data == b"on"

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            async with pool.stream("CONNECT", server.url, extensions=TARGET) as granted:
                stream = granted.extensions["network_stream"]
                with pytest.raises(httpcore2.ReadTimeout):
                    await stream.read(1, timeout=0.01)
                # The server's window for a stream holds 65,535 bytes, and is never opened.
                with pytest.raises(
                    httpcore2.WriteTimeout, match=r"did not accept data for 0\.05 seconds"
                ):
                    await stream.write(bytes(100_000), timeout=0.05)
                timed_out.set()
                assert await read_exactly(stream, 5) == b"go on"
                await stream.write(b"on", timeout=5.0)
            assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(granting(script)) as server:
        runtime.run(scenario)
        assert server.accepted == 1


def test_a_tunnel_that_the_server_resets_affects_no_other_stream(
    runtime: TestedRuntime, h2_pool: PoolMaker
) -> None:
    def script(peer: H2Peer, stream_id: int) -> None:
        peer.data(stream_id, b"last")
        peer.reset(stream_id, ErrorCodes.CONNECT_ERROR)

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            async with pool.stream("CONNECT", server.url, extensions=TARGET) as granted:
                stream = granted.extensions["network_stream"]
                assert await read_exactly(stream, 4) == b"last"
                for _ in range(2):
                    with pytest.raises(httpcore2.ReadError, match="reset the stream: CONNECT_ERR"):
                        await stream.read(1)
                    with pytest.raises(httpcore2.WriteError, match="reset the stream: CONNECT_ERR"):
                        await stream.write(b"x")
            assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(granting(script)) as server:
        runtime.run(scenario)
        assert server.accepted == 1


def test_a_write_that_waits_ends_when_the_tunnel_does(
    runtime: TestedRuntime, h2_pool: PoolMaker
) -> None:
    def script(peer: H2Peer, stream_id: int) -> None:
        while len(peer.bodies[stream_id]) < 65535:
            peer.wait_for(h2.events.DataReceived)
        peer.data(stream_id, b"", end=True)
        peer.reset(stream_id, ErrorCodes.NO_ERROR)

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            async with pool.stream("CONNECT", server.url, extensions=TARGET) as granted:
                stream = granted.extensions["network_stream"]
                with pytest.raises(httpcore2.WriteError, match="reset the stream: NO_ERROR"):
                    await stream.write(bytes(100_000), timeout=5.0)
                assert await stream.read(1) == b""
            assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(granting(script)) as server:
        runtime.run(scenario)
        assert server.accepted == 1


def test_our_half_of_a_tunnel_stays_open_when_the_server_closes_its_half(
    runtime: TestedRuntime, h2_pool: PoolMaker
) -> None:
    received: list[bytes] = []

    def script(peer: H2Peer, stream_id: int) -> None:
        peer.data(stream_id, b"bye", end=True)
        peer.wait_for(h2.events.StreamEnded)
        received.append(peer.bodies[stream_id])

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            async with pool.stream("CONNECT", server.url, extensions=TARGET) as granted:
                stream = granted.extensions["network_stream"]
                assert await read_exactly(stream, 3) == b"bye"
                assert await stream.read(1) == b""
                await stream.write(b"still here")
                await stream.aclose()
            assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(granting(script)) as server:
        runtime.run(scenario)
        assert server.accepted == 1
    assert received == [b"still here"]


def test_a_lost_connection_breaks_its_tunnels(runtime: TestedRuntime, h2_pool: PoolMaker) -> None:
    def script(peer: H2Peer) -> None:
        peer.head(peer.request())
        peer.wait_for(h2.events.SettingsAcknowledged)  # else it were a reset

    async def scenario() -> None:
        async with (
            h2_pool(runtime) as pool,
            pool.stream("CONNECT", server.url, extensions=TARGET) as granted,
        ):
            stream = granted.extensions["network_stream"]
            with pytest.raises(httpcore2.ReadError, match="Server disconnected"):
                await stream.read(1)
            with pytest.raises(httpcore2.WriteError, match="Server disconnected"):
                await stream.write(b"x")
            assert stream.get_extra_info("is_readable")
            await stream.aclose()

    with scripted_server(speaking(script)) as server:
        runtime.run(scenario)


@pytest.mark.parametrize("how", ["stream", "response"])
def test_closing_a_tunnel_sends_end_stream_and_no_reset(
    runtime: TestedRuntime, h2_pool: PoolMaker, how: str
) -> None:
    events: list[object] = []

    def script(peer: H2Peer, stream_id: int) -> None:
        peer.wait_for(h2.events.StreamEnded, stream_id)
        asked = peer.request()  # the client didn't wait for our end
        peer.data(stream_id, b"nobody wants this")
        reset = peer.wait_for(h2.events.StreamReset)
        events.append((peer.bodies[stream_id], reset.stream_id, reset.error_code))
        peer.respond(asked, b"fine")

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            async with pool.stream("CONNECT", server.url, extensions=TARGET) as granted:
                stream = granted.extensions["network_stream"]
                await stream.write(b"last words")
                if how == "stream":
                    await stream.aclose()
            assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(granting(script)) as server:
        runtime.run(scenario)
        assert server.accepted == 1
    assert events == [(b"last words", 1, ErrorCodes.CANCEL)]


def test_a_tunnel_that_only_the_server_keeps_open_makes_room_for_a_request(
    runtime: TestedRuntime, h2_pool: PoolMaker
) -> None:
    resets: list[object] = []

    def script(peer: H2Peer, stream_id: int) -> None:
        peer.wait_for(h2.events.StreamEnded, stream_id)
        reset = peer.wait_for(h2.events.StreamReset)
        resets.append(reset.stream_id)

    async def scenario() -> None:
        async with h2_pool(runtime, max_connections=1) as pool:
            async with pool.stream("CONNECT", server.url, extensions=TARGET):
                pass
            assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(granting(script, max_concurrent_streams=1)) as server:
        runtime.run(scenario)
        assert server.accepted == 1
    assert resets == [1]


def test_an_abandoned_tunnel_under_tls_is_reset(
    runtime: TestedRuntime, h2_pool: PoolMaker, client_tls: ssl.SSLContext
) -> None:
    resets: list[object] = []

    def script(peer: H2Peer, stream_id: int) -> None:
        peer.data(stream_id, b"this is no TLS")
        reset = peer.wait_for(h2.events.StreamReset)
        resets.append((reset.stream_id, reset.error_code))

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            async with pool.stream("CONNECT", server.url, extensions=TARGET) as granted:
                stream = granted.extensions["network_stream"]
                with pytest.raises(httpcore2.ConnectError):
                    await stream.start_tls(client_tls, "localhost", timeout=5.0)
            assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(granting(script)) as server:
        runtime.run(scenario)
    assert resets == [(1, ErrorCodes.CANCEL)]


def test_a_connect_that_is_refused_has_a_body(runtime: TestedRuntime, h2_pool: PoolMaker) -> None:
    def script(peer: H2Peer) -> None:
        stream_id = peer.request()
        peer.head(stream_id, (b"content-length", b"7"), status=403)
        peer.wait_for(h2.events.StreamEnded, stream_id)
        peer.data(stream_id, b"go away", end=True)
        answering()(peer)

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            refused = await pool.request("CONNECT", server.url, extensions=TARGET)
            assert (refused.status, refused.content) == (403, b"go away")
            assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(speaking(script)) as server:
        runtime.run(scenario)
        assert server.accepted == 1


@pytest.mark.parametrize(
    ("headers", "content", "extensions", "match"),
    [
        ({}, None, {}, "needs a host and a port to connect to, but got b'/'"),
        ({}, None, {"target": b"host"}, "but got b'host'"),
        ({}, None, {"target": b"user@host:1"}, "but got b'user@host:1'"),
        ({}, b"x", TARGET, "CONNECT has no content"),
        ({"Content-Length": "0"}, None, TARGET, "CONNECT has no content"),
        ({}, None, {"protocol": "web socket"}, "Illegal value b'web socket' for :protocol"),
    ],
)
def test_a_connect_that_breaks_the_rules_is_not_sent(
    runtime: TestedRuntime,
    h2_pool: PoolMaker,
    headers: Any,
    content: Any,
    extensions: Any,
    match: str,
) -> None:
    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            with pytest.raises(httpcore2.LocalProtocolError, match=match):
                await pool.request(
                    "CONNECT", server.url, headers=headers, content=content, extensions=extensions
                )
            assert (await pool.request("GET", server.url)).content == b"fine"
            (connection,) = pool.connections
            assert connection.info().endswith("IDLE, Request Count: 1")

    with scripted_server(speaking(answering(), enable_connect_protocol=1)) as server:
        runtime.run(scenario)
        assert server.accepted == 1


def test_an_address_may_be_one_of_ipv6(runtime: TestedRuntime, h2_pool: PoolMaker) -> None:
    def script(peer: H2Peer, stream_id: int) -> None:
        assert peer.requests[stream_id][b":authority"] == b"[::1]:25"

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            granted = await pool.request("CONNECT", server.url, extensions={"target": b"[::1]:25"})
            assert granted.status == 200

    with scripted_server(granting(script)) as server:
        runtime.run(scenario)


@pytest.mark.parametrize("late", [False, True], ids=["while waiting", "as it comes"])
@pytest.mark.parametrize("async_runtime", ["asyncio", "trio"], indirect=True)
def test_a_tunnel_can_be_cancelled_at_every_wait(
    async_runtime: TestedAsyncRuntime, h2_pool: PoolMaker, late: bool
) -> None:
    runtime = async_runtime
    size = 100_000  # more than the server's window at first

    def serve(peer: H2Peer) -> None:
        while event := peer.next():
            with suppress(ProtocolError):  # the stream was reset meanwhile
                if isinstance(event, h2.events.DataReceived):
                    assert event.stream_id is not None and event.data is not None
                    peer.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                    peer.data(event.stream_id, event.data)
                elif isinstance(event, h2.events.RequestReceived):
                    assert event.stream_id is not None
                    peer.head(event.stream_id)
                elif isinstance(event, h2.events.StreamEnded):
                    assert event.stream_id is not None
                    peer.data(event.stream_id, b"", end=True)

    async def attempt(step: int) -> CancellationOutcome:
        async with h2_pool(runtime, max_connections=1) as pool:
            assert (await pool.request("GET", server.url)).status == 200

            async def use() -> None:
                async with pool.stream("CONNECT", server.url, extensions=TARGET) as granted:
                    stream = granted.extensions["network_stream"]
                    await stream.write(bytes(size))
                    await read_exactly(stream, size)
                    await stream.aclose()

            outcome = await runtime.cancel_at_wait(step, use, late)
            assert "Requests: 0 active, 0 queued | Connections: 0 active, 1 idle" in repr(pool)
            reply = await pool.request("GET", server.url)
            assert reply.extensions["stream_id"] in (3, 5)
        return outcome

    async def scenario() -> None:
        await cancel_at_every_wait(attempt)

    with scripted_server(speaking(serve), allow_disconnect=True) as server:
        runtime.run(scenario)


# Extended CONNECT


@pytest.mark.parametrize("traced", [False, True], ids=["", "traced"])
def test_an_extended_connect_waits_for_the_servers_settings(
    runtime: TestedRuntime, h2_pool: PoolMaker, traced: bool
) -> None:
    heads: list[list[tuple[bytes, bytes]]] = []

    def handler(peer: Peer) -> None:
        preface = peer.receive_exactly(24)
        peer.buffer = preface + peer.buffer
        script(H2Peer(peer, enable_connect_protocol=1))

    def script(peer: H2Peer) -> None:
        event = peer.wait_for(h2.events.RequestReceived)
        heads.append([(bytes(name), bytes(value)) for name, value in event.headers])
        assert event.stream_id is not None
        peer.head(event.stream_id)
        echo(peer, event.stream_id)
        peer.until_end()

    async def scenario() -> None:
        url = f"ws://127.0.0.1:{server.port}/chat?room=1"
        extensions = {"trace": runtime.trace([])} if traced else {}
        async with (
            h2_pool(runtime) as pool,
            pool.stream(
                "CONNECT",
                url,
                headers={"Sec-WebSocket-Version": "13", "Connection": "Upgrade"},
                extensions={**WEBSOCKET, **extensions},
            ) as granted,
        ):
            stream = granted.extensions["network_stream"]
            await stream.write(b"hello")
            assert await read_exactly(stream, 5) == b"hello"

    with scripted_server(handler) as server:
        runtime.run(scenario)
    assert heads == [
        [
            (b":method", b"CONNECT"),
            (b":authority", b"127.0.0.1:%d" % server.port),
            (b":scheme", b"http"),
            (b":path", b"/chat?room=1"),
            (b":protocol", b"websocket"),
            (b"sec-websocket-version", b"13"),
        ]
    ]


def test_an_extended_connect_that_the_server_does_not_support_is_not_sent(
    runtime: TestedRuntime, h2_pool: PoolMaker
) -> None:
    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            for _ in range(2):
                with pytest.raises(
                    httpcore2.LocalProtocolError,
                    match=r"not support extended CONNECT .*Upgrade: websocket",
                ):
                    await pool.request("CONNECT", server.url, extensions=WEBSOCKET)
            assert (await pool.request("GET", server.url)).extensions["stream_id"] == 1

    with scripted_server(speaking(answering())) as server:
        runtime.run(scenario)
        assert server.accepted == 1


def test_an_extended_connect_is_refused_over_http11(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool:
            with pytest.raises(
                httpcore2.LocalProtocolError, match=r"for HTTP/2, and the connection to http://.*"
            ):
                await pool.request("CONNECT", server.url, extensions=WEBSOCKET)
            assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(canned_responses([response(b"fine")])) as server:
        runtime.run(scenario)
        assert server.accepted == 1


def test_waiting_for_the_servers_settings_times_out(
    runtime: TestedRuntime, h2_pool: PoolMaker
) -> None:
    def silent(peer: Peer) -> None:
        peer.receive_until_close()

    def closing(peer: Peer) -> None:
        peer.receive_exactly(24)

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            for url, limit, error in (
                (server.url, 0.05, httpcore2.ReadTimeout),
                (other.url, LIMIT, httpcore2.RemoteProtocolError),
            ):
                with pytest.raises(error):
                    await pool.request(
                        "CONNECT", url, extensions={**WEBSOCKET, "timeout": {"read": limit}}
                    )

    with (
        scripted_server(silent) as server,
        scripted_server(closing, allow_disconnect=True) as other,
    ):
        runtime.run(scenario)


# A caller's own streams


def test_a_callers_own_stream_carries_a_tunnel(runtime: TestedRuntime, h2_pool: PoolMaker) -> None:
    head = frame(HEADERS, END_HEADERS, 1, block((b":status", b"200")))
    stream = FakeNetworkStream([frame(SETTINGS, 0, 0) + head + frame(DATA, 0, 1, b"hello")])

    async def scenario() -> None:
        async with (
            h2_pool(runtime, network_backend=FakeNetworkBackend(stream)) as pool,
            pool.stream("CONNECT", "http://a/", extensions=TARGET) as granted,
        ):
            tunnel = granted.extensions["network_stream"]
            assert await read_exactly(tunnel, 5) == b"hello"
            await tunnel.write(b"ping")
            await tunnel.aclose()

    runtime.run(scenario)
    written = b"".join(stream.written)
    assert written.endswith(frame(DATA, 0, 1, b"ping") + frame(DATA, END_STREAM, 1))


# A real proxy


def test_a_proxy_that_speaks_http2_carries_several_tunnels_at_a_time(
    runtime: TestedRuntime,
    h2_pool: PoolMaker,
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    tmp_path: Path,
) -> None:
    heads: list[bytes] = []

    def handler(peer: Peer) -> None:
        head = peer.receive_head()
        heads.append(head.partition(b" HTTP/1.1")[0])
        peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with server_tls.wrap_socket(peer.socket, server_side=True) as secured:
            inside = Peer(secured, 0)
            while inside.receive_request() is not None:
                inside.send(response(bytes(100_000)))

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:

            async def fetch(host: str) -> None:
                name = host.encode()
                async with pool.stream(
                    "CONNECT", proxy, extensions={"target": name + b":443"}
                ) as granted:
                    assert granted.status == 200
                    stream = granted.extensions["network_stream"]
                    secured = await stream.start_tls(client_tls, host, timeout=5.0)
                    origin = httpcore2.Origin(b"https", name, 443)
                    async with runtime.http11_connection(origin, secured) as connection:
                        for _ in range(3):
                            reply = await connection.request("GET", f"https://{host}/")
                            assert reply.content == bytes(100_000)

            await runtime.gather(lambda: fetch("localhost"), lambda: fetch("www.example.com"))
            (connection,) = pool.connections
            assert connection.info().endswith("HTTP/2, IDLE, Request Count: 2")

    with (
        scripted_server(handler, allow_disconnect=True) as backend,
        real_servers.running_server(
            "nghttpx-proxy", tmp_path, None, backend=backend.origin
        ) as proxy,
    ):
        runtime.run(scenario)
    assert sorted(heads) == [b"CONNECT localhost:443", b"CONNECT www.example.com:443"]
