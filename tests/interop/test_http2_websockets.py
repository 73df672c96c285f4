"""A WebSocket over HTTP/2 (RFC 8441), with servers that others wrote."""

from __future__ import annotations

import ssl

import pytest
from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, Event, TextMessage

import httpcore2

from ..http2.conftest import PoolMaker
from ..support import real_servers
from ..support.runtimes import TestedRuntime


async def exchange(stream: httpcore2.AsyncNetworkStream, socket: Connection, event: Event) -> str:
    """Send an event, and return the text of the next message; `"closed"` if the socket was."""
    await stream.write(socket.send(event), timeout=5.0)
    text = ""
    while True:
        socket.receive_data(await stream.read(65536, timeout=5.0) or None)
        for received in socket.events():
            if not isinstance(received, TextMessage):
                assert isinstance(received, CloseConnection)
                return "closed"
            text += received.data
            if received.message_finished:
                return text


@pytest.mark.parametrize("name", ["hypercorn", "haproxy", "nghttpx"])
def test_websockets_share_a_connection_with_requests(
    runtime: TestedRuntime,
    h2_pool: PoolMaker,
    h2_client_tls: ssl.SSLContext,
    servers: real_servers.Servers,
    name: str,
) -> None:
    origin = servers.origin(name, secured=True)

    async def scenario() -> None:
        async with h2_pool(runtime, ssl_context=h2_client_tls) as pool:
            # haproxy tells of its settings with the first response only.
            assert (await pool.request("GET", f"{origin}/bytes/1")).status == 200

            async def chat(number: int) -> None:
                async with pool.stream(
                    "CONNECT",
                    f"{origin}/echo",
                    headers={"Sec-WebSocket-Version": "13"},
                    extensions={"protocol": "websocket"},
                ) as accepted:
                    assert accepted.status == 200
                    stream = accepted.extensions["network_stream"]
                    socket = Connection(ConnectionType.CLIENT)
                    for size in (1, 1000, 50_000):
                        text = f"{number} " * size
                        assert await exchange(stream, socket, TextMessage(text)) == text
                    assert await exchange(stream, socket, CloseConnection(1000)) == "closed"

            async def fetch() -> None:
                for _ in range(5):
                    reply = await pool.request("GET", f"{origin}/bytes/1000")
                    assert reply.content == bytes(1000)

            await runtime.gather(lambda: chat(1), fetch, lambda: chat(2))
            (connection,) = pool.connections
            assert connection.info().endswith("HTTP/2, IDLE, Request Count: 8")

    runtime.run(scenario)
