"""Upgrades and CONNECT: after 101, or a 2xx to CONNECT, the connection is the caller's byte stream."""

from __future__ import annotations

import ssl

import pytest

import httpcore2

from ..support.runtimes import TestedRuntime
from ..support.scripted_servers import Peer, response, scripted_server

UPGRADE: dict[bytes | str, bytes | str] = {"Connection": "upgrade", "Upgrade": "echo"}
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


async def _read_exactly(stream: httpcore2.AsyncNetworkStream, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = await stream.read(count - len(data), timeout=5.0)
        assert more, "the stream ended early"
        data += more
    return data


def _echo(peer: Peer) -> None:
    while data := peer.receive_some():
        peer.send(data)


def test_the_stream_after_101_starts_with_the_bytes_already_received(
    runtime: TestedRuntime,
) -> None:
    def handler(peer: Peer) -> None:
        peer.receive_head()
        if peer.number == 0:
            peer.send(SWITCHING + b"lead")
            _echo(peer)
        else:
            peer.send(response(b"fine"))
            peer.receive_until_close()

    async def scenario() -> None:
        async with runtime.pool() as pool:
            async with pool.stream("GET", server.url, headers=UPGRADE) as switched:
                assert switched.status == 101
                assert switched.extensions["reason_phrase"] == b"Switching Protocols"
                stream = switched.extensions["network_stream"]
                assert await stream.read(max_bytes=2) == b"le"
                assert await stream.read(max_bytes=65536) == b"ad"
                await stream.write(b"ping")
                assert await _read_exactly(stream, 4) == b"ping"
                assert stream.get_extra_info("server_addr")[1] == server.port
                with pytest.raises(httpcore2.ReadTimeout):
                    await stream.read(max_bytes=1, timeout=0.01)
                # An upgraded connection is not used for another request.
                assert (await pool.request("GET", server.url)).content == b"fine"
            assert "0 active, 0 queued | Connections: 0 active, 1 idle" in repr(pool)

    with scripted_server(handler) as server:
        runtime.run(scenario)
        assert server.accepted == 2


def test_the_stream_after_101_ends_when_the_server_closes(runtime: TestedRuntime) -> None:
    def handler(peer: Peer) -> None:
        peer.receive_head()
        peer.send(SWITCHING)
        assert peer.receive_until(b"bye") == b"bye"

    async def scenario() -> None:
        async with (
            runtime.pool() as pool,
            pool.stream("GET", server.url, headers=UPGRADE) as switched,
        ):
            stream = switched.extensions["network_stream"]
            await stream.write(b"bye")
            assert await stream.read(max_bytes=10) == b""

    with scripted_server(handler) as server:
        runtime.run(scenario)


def test_an_upgraded_connection_is_closed_with_its_response(runtime: TestedRuntime) -> None:
    def handler(peer: Peer) -> None:
        peer.receive_head()
        peer.send(SWITCHING)
        assert peer.receive_until_close() == b""

    async def scenario() -> None:
        async with runtime.pool(max_connections=1) as pool:
            for _ in range(2):
                async with pool.stream("GET", server.url, headers=UPGRADE) as switched:
                    assert switched.status == 101
            assert "0 active, 0 queued | Connections: 0 active, 0 idle" in repr(pool)

    with scripted_server(handler) as server:
        runtime.run(scenario)
        assert server.accepted == 2


def test_a_declined_upgrade_is_an_ordinary_response(runtime: TestedRuntime) -> None:
    def handler(peer: Peer) -> None:
        for _ in range(2):
            peer.receive_head()
            peer.send(response(b"no"))
        peer.receive_until_close()

    async def scenario() -> None:
        async with runtime.pool() as pool:
            for _ in range(2):
                declined = await pool.request("GET", server.url, headers=UPGRADE)
                assert (declined.status, declined.content) == (200, b"no")

    with scripted_server(handler) as server:
        runtime.run(scenario)
        assert server.accepted == 1


def test_tls_works_through_the_tunnel_of_a_connect_request(
    runtime: TestedRuntime, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    heads: list[bytes] = []

    def handler(peer: Peer) -> None:
        heads.append(peer.receive_head())
        peer.send(ESTABLISHED)
        with server_tls.wrap_socket(peer.socket, server_side=True) as secured:
            _echo(Peer(secured, peer.number))

    async def scenario() -> None:
        async with (
            runtime.pool() as pool,
            pool.stream(
                "CONNECT", server.url, extensions={"target": b"localhost:443"}
            ) as established,
        ):
            stream = established.extensions["network_stream"]
            secured = await stream.start_tls(client_tls, server_hostname="localhost", timeout=5.0)
            await secured.write(b"ping")
            assert await _read_exactly(secured, 4) == b"ping"
            assert secured.get_extra_info("ssl_object").version().startswith("TLS")
            await secured.aclose()

    with scripted_server(handler, allow_disconnect=True) as server:
        runtime.run(scenario)
    assert heads[0].startswith(b"CONNECT localhost:443 HTTP/1.1\r\n")


def test_the_stream_after_connect_starts_with_the_bytes_already_received(
    runtime: TestedRuntime,
) -> None:
    def handler(peer: Peer) -> None:
        peer.receive_head()
        peer.send(ESTABLISHED + b"220 ready")
        peer.receive_until_close()

    async def scenario() -> None:
        async with (
            runtime.pool() as pool,
            pool.stream("CONNECT", server.url, extensions={"target": b"h:25"}) as established,
        ):
            stream = established.extensions["network_stream"]
            assert await _read_exactly(stream, 9) == b"220 ready"

    with scripted_server(handler) as server:
        runtime.run(scenario)


def test_a_refused_connect_request_has_a_body(runtime: TestedRuntime) -> None:
    def handler(peer: Peer) -> None:
        for _ in range(2):
            peer.receive_head()
            peer.send(response(b"go away", status=b"403 Forbidden"))
        peer.receive_until_close()

    async def scenario() -> None:
        async with runtime.pool() as pool:
            for _ in range(2):
                refused = await pool.request(
                    "CONNECT", server.url, extensions={"target": b"localhost:443"}
                )
                assert (refused.status, refused.content) == (403, b"go away")

    with scripted_server(handler) as server:
        runtime.run(scenario)
        assert server.accepted == 1


def test_reading_the_empty_body_of_an_upgrade_leaves_the_stream_open(
    runtime: TestedRuntime,
) -> None:
    events: list[tuple[str, dict[str, object]]] = []

    def handler(peer: Peer) -> None:
        peer.receive_head()
        peer.send(SWITCHING)
        _echo(peer)

    async def scenario() -> None:
        async with runtime.pool() as pool:
            extensions = {"trace": runtime.trace(events)}
            async with pool.stream(
                "GET", server.url, headers=UPGRADE, extensions=extensions
            ) as switched:
                assert await switched.aread() == b""
                stream = switched.extensions["network_stream"]
                await stream.write(b"ping")
                assert await _read_exactly(stream, 4) == b"ping"

    with scripted_server(handler) as server:
        runtime.run(scenario)
    assert [name for name, _ in events[-4:]] == [
        "http11.receive_response_body.started",
        "http11.receive_response_body.complete",
        "http11.response_closed.started",
        "http11.response_closed.complete",
    ]
