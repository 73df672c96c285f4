"""Bodies that end with a TLS connection, with and without close_notify (RFC 9112, sections 8 and 9.8)."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

import httpcore2

from ..support.fake_network import FakeNetworkBackend, FakeNetworkStream
from ..support.runtimes import TestedRuntime
from ..support.scripted_proxies import PROXY_KINDS, scripted_proxy
from ..support.scripted_servers import Handler, Peer, scripted_server

HEAD = b"HTTP/1.1 200 OK\r\n"
CLOSING = {
    "HTTP/1.1": HEAD + b"\r\n",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\n",
    "h11 fallback": HEAD + b"X: a\r\n b\r\n\r\n",
    "gzip": HEAD + b"Connection: close\r\nContent-Encoding: gzip\r\n\r\n",
}
FRAMED = {
    "Content-Length": HEAD + b"Content-Length: 5\r\n\r\nhello",
    "chunked": HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
}


def responding(data: bytes, *, notifies: bool, bytewise: bool = False) -> Handler:
    """Make a handler that sends `data`, and ends the connection with close_notify or without."""

    def handler(peer: Peer) -> None:
        peer.receive_head()
        (peer.send_bytewise if bytewise else peer.send)(data)
        if notifies:
            assert isinstance(peer.socket, ssl.SSLSocket)
            peer.socket.unwrap()
        else:
            peer.half_close()
            # Wait for the client's end: to close before it could send a reset.
            peer.socket.recv(1)

    return handler


@pytest.mark.parametrize(
    "notifies", [True, False], ids=["with close_notify", "without close_notify"]
)
@pytest.mark.parametrize("bytewise", [False, True], ids=["whole", "byte by byte"])
@pytest.mark.parametrize("body", [b"hello", b""], ids=["body", "empty"])
@pytest.mark.parametrize("head", CLOSING.values(), ids=CLOSING)
def test_a_body_that_ends_with_the_connection_needs_a_close_notify(
    runtime: TestedRuntime,
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    head: bytes,
    body: bytes,
    bytewise: bool,
    notifies: bool,
) -> None:
    async def scenario() -> None:
        async with runtime.pool(ssl_context=client_tls) as pool:
            if notifies:
                assert (await pool.request("GET", server.url)).content == body
            else:
                with pytest.raises(httpcore2.RemoteProtocolError, match="without close_notify"):
                    await pool.request("GET", server.url)
            assert "0 active, 0 queued | Connections: 0 active, 0 idle" in repr(pool)

    handler = responding(head + body, notifies=notifies, bytewise=bytewise)
    with scripted_server(handler, tls=server_tls, allow_disconnect=True) as server:
        runtime.run(scenario)


def test_the_received_part_of_a_body_without_close_notify_is_returned_before_the_error(
    runtime: TestedRuntime, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        async with (
            runtime.pool(ssl_context=client_tls) as pool,
            pool.stream("GET", server.url) as response,
        ):
            chunks = response.aiter_stream()
            assert await anext(chunks) == b"hello"
            with pytest.raises(httpcore2.RemoteProtocolError, match="without close_notify"):
                await anext(chunks)

    handler = responding(HEAD + b"\r\nhello", notifies=False)
    with scripted_server(handler, tls=server_tls, allow_disconnect=True) as server:
        runtime.run(scenario)


@pytest.mark.parametrize("data", FRAMED.values(), ids=FRAMED)
def test_a_body_with_a_length_or_chunks_needs_no_close_notify(
    runtime: TestedRuntime, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, data: bytes
) -> None:
    async def scenario() -> None:
        async with runtime.pool(ssl_context=client_tls) as pool:
            assert (await pool.request("GET", server.url)).content == b"hello"

    with scripted_server(
        responding(data, notifies=False), tls=server_tls, allow_disconnect=True
    ) as server:
        runtime.run(scenario)


def test_op_ignore_unexpected_eof_allows_an_end_without_close_notify(
    runtime: TestedRuntime, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        async with runtime.pool(ssl_context=client_tls) as pool:
            assert (await pool.request("GET", server.url)).content == b"hello"

    handler = responding(HEAD + b"\r\nhello", notifies=False)
    client_tls.options |= ssl.OP_IGNORE_UNEXPECTED_EOF
    try:
        with scripted_server(handler, tls=server_tls, allow_disconnect=True) as server:
            runtime.run(scenario)
    finally:
        client_tls.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF


def test_without_tls_the_end_of_the_connection_is_the_end_of_the_body(
    runtime: TestedRuntime,
) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool:
            assert (await pool.request("GET", server.url)).content == b"hello"

    with scripted_server(responding(HEAD + b"\r\nhello", notifies=False)) as server:
        runtime.run(scenario)


def test_the_end_of_a_callers_stream_is_the_end_of_the_body(
    runtime: TestedRuntime, client_tls: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        backend = FakeNetworkBackend(FakeNetworkStream([HEAD + b"\r\nhello"]))
        async with runtime.pool(network_backend=backend, ssl_context=client_tls) as pool:
            assert (await pool.request("GET", "https://a/")).content == b"hello"

    runtime.run(scenario)


@pytest.mark.parametrize("kind", ["http", "https", "socks5", "socks4"])
@pytest.mark.parametrize(
    "notifies", [True, False], ids=["with close_notify", "without close_notify"]
)
def test_a_body_through_a_tunnel_needs_the_close_notify_of_the_origin(
    runtime: TestedRuntime,
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    kind: str,
    notifies: bool,
) -> None:
    """The scripted proxies, over TLS, close without a close_notify of their own."""

    async def scenario() -> None:
        async with runtime.pool(ssl_context=client_tls, proxy=proxy.proxy()) as pool:
            if notifies:
                assert (await pool.request("GET", origin.url)).content == b"hello"
            else:
                with pytest.raises(httpcore2.RemoteProtocolError, match="without close_notify"):
                    await pool.request("GET", origin.url)

    handler = responding(HEAD + b"\r\nhello", notifies=notifies)
    with (
        scripted_server(handler, tls=server_tls, allow_disconnect=True) as origin,
        scripted_proxy(PROXY_KINDS[kind], origin.port, server_tls, client_tls) as proxy,
    ):
        runtime.run(scenario)


@pytest.mark.parametrize(
    "notifies", [True, False], ids=["with close_notify", "without close_notify"]
)
def test_a_body_forwarded_over_tls_needs_the_close_notify_of_the_proxy(
    runtime: TestedRuntime, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, notifies: bool
) -> None:
    async def scenario() -> None:
        proxy: Any = httpcore2.Proxy(server.url, ssl_context=client_tls)
        async with runtime.pool(proxy=proxy) as pool:
            if notifies:
                assert (await pool.request("GET", "http://a/")).content == b"hello"
            else:
                with pytest.raises(httpcore2.RemoteProtocolError, match="without close_notify"):
                    await pool.request("GET", "http://a/")

    handler = responding(HEAD + b"\r\nhello", notifies=notifies)
    with scripted_server(handler, tls=server_tls, allow_disconnect=True) as server:
        runtime.run(scenario)
