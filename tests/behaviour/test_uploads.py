"""Uploads: a response that arrives while the body is sent is detected, and the timeouts hold."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeAlias, cast

import pytest

import httpcore2

from ..support.runtimes import TestedRuntime
from ..support.scripted_servers import Handler, Peer, response, scripted_server

FINE = response(b"fine")
REFUSAL = response(b"too large", status=b"413 Content Too Large")
# For a timeout after which the response has arrived, and the sockets' buffers are full.
SOON_ENOUGH = 0.5
CHUNK = bytes(1 << 18)
# More than the sockets' buffers hold.
CHUNKS = 64

Headers: TypeAlias = dict[bytes | str, bytes | str]
SECURED = pytest.mark.parametrize("secured", [False, True], ids=["plain", "tls"])


def large_body(runtime: TestedRuntime, framing: str) -> tuple[Any, Headers]:
    if framing == "bytes":
        return bytes(CHUNKS * len(CHUNK)), {}
    length = {"Content-Length": str(CHUNKS * len(CHUNK))} if framing == "length" else {}
    return runtime.body(CHUNK for _ in range(CHUNKS)), cast(Headers, length)


def responding_early(early: Callable[[Peer], None]) -> Handler:
    """Make a handler that calls `early` after the head of the first connection's request, and else sends `FINE`."""

    def handler(peer: Peer) -> None:
        peer.receive_head()
        if peer.number == 0:
            early(peer)
        else:
            peer.send(FINE)
            peer.receive_until_close()

    return handler


# Early responses


def whole(peer: Peer) -> None:
    peer.send(REFUSAL)


def bytewise(peer: Peer) -> None:
    peer.send_bytewise(REFUSAL)


def after_interim_responses(peer: Peer) -> None:
    peer.send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
    peer.receive_exactly(100_000)
    peer.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" + REFUSAL)


def with_redirect(peer: Peer) -> None:
    peer.send(REFUSAL.replace(b"413 Content Too Large", b"303 See Other"))


@SECURED
@pytest.mark.parametrize("refuse", [whole, bytewise, after_interim_responses, with_redirect])
@pytest.mark.parametrize("framing", ["bytes", "length", "chunked"])
def test_a_refusal_is_returned_when_the_server_does_not_read_the_upload(
    runtime: TestedRuntime,
    framing: str,
    refuse: Callable[[Peer], None],
    secured: bool,
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
) -> None:
    done = runtime.event()

    def early(peer: Peer) -> None:
        refuse(peer)
        peer.half_close()
        done.wait_in_thread()

    async def scenario() -> None:
        async with runtime.pool(ssl_context=client_tls, max_connections=1) as pool:
            content, headers = large_body(runtime, framing)
            reply = await pool.request("POST", server.url, headers=headers, content=content)
            assert reply.status in (303, 413)
            assert reply.content == b"too large"
            assert "Requests: 0 active, 0 queued | Connections: 0 active, 0 idle" in repr(pool)
            done.set()
            assert (await pool.request("GET", server.url)).content == b"fine"

    handler = responding_early(early)
    with scripted_server(
        handler, tls=server_tls if secured else None, allow_disconnect=True
    ) as server:
        runtime.run(scenario)
        assert server.accepted == 2


def test_a_refusal_is_streamed_and_traced_like_any_response(runtime: TestedRuntime) -> None:
    done = runtime.event()

    def early(peer: Peer) -> None:
        peer.send(REFUSAL)
        done.wait_in_thread()

    async def scenario() -> None:
        events: list[tuple[str, dict[str, Any]]] = []
        async with runtime.pool() as pool:
            content, headers = large_body(runtime, "chunked")
            extensions = {"trace": runtime.trace(events)}
            async with pool.stream(
                "POST", server.url, headers=headers, content=content, extensions=extensions
            ) as streamed:
                assert streamed.status == 413
                assert b"".join([chunk async for chunk in streamed.aiter_stream()]) == b"too large"
            done.set()
        completed = {name: info for name, info in events if name.endswith("complete")}
        assert completed["http11.send_request_body.complete"] == {"return_value": None}
        assert completed["http11.receive_response_headers.complete"]["return_value"][1] == 413

    with scripted_server(responding_early(early), allow_disconnect=True) as server:
        runtime.run(scenario)


def test_a_connection_with_unsent_bytes_of_an_upload_is_not_reused(
    runtime: TestedRuntime,
) -> None:
    done = runtime.event()

    def early(peer: Peer) -> None:
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.send(REFUSAL)
        done.wait_in_thread()

    async def scenario() -> None:
        options = [(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)]
        async with runtime.pool(socket_options=options) as pool:
            # The whole body is one write, so no later write can detect that the server does not read.
            reply = await pool.request("POST", server.url, content=CHUNK)
            assert reply.status == 413
            assert (await pool.request("GET", server.url)).content == b"fine"
        done.set()

    with scripted_server(responding_early(early), allow_disconnect=True) as server:
        runtime.run(scenario)
        assert server.accepted == 2


@SECURED
@pytest.mark.parametrize("framing", ["bytes", "length", "chunked"])
def test_a_server_that_responds_early_and_continues_to_read_receives_the_whole_body(
    runtime: TestedRuntime,
    framing: str,
    secured: bool,
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
) -> None:
    def handler(peer: Peer) -> None:
        head = peer.receive_head()
        peer.send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfi")
        if b"chunked" in head:
            for _ in range(CHUNKS):
                assert int(peer.receive_until(b"\r\n"), 16) == len(CHUNK)
                assert peer.receive_exactly(len(CHUNK) + 2) == CHUNK + b"\r\n"
            assert peer.receive_until(b"\r\n\r\n") == b"0\r\n\r\n"
        else:
            for _ in range(CHUNKS):
                assert peer.receive_exactly(len(CHUNK)) == CHUNK
        peer.send(b"ne")
        peer.receive_head()
        peer.send(FINE)
        peer.receive_until_close()

    async def scenario() -> None:
        async with runtime.pool(ssl_context=client_tls) as pool:
            content, headers = large_body(runtime, framing)
            reply = await pool.request("POST", server.url, headers=headers, content=content)
            assert (reply.status, reply.content) == (200, b"fine")
            assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(handler, tls=server_tls if secured else None) as server:
        runtime.run(scenario)
        assert server.accepted == 1


@pytest.mark.parametrize(
    "limits", [{"write": SOON_ENOUGH}, {"total": SOON_ENOUGH}], ids=["write", "total"]
)
@pytest.mark.parametrize("framing", ["bytes", "chunked"])
def test_a_received_refusal_is_returned_though_the_upload_times_out(
    runtime: TestedRuntime, framing: str, limits: dict[str, float]
) -> None:
    done = runtime.event()

    def handler(peer: Peer) -> None:
        peer.receive_head()
        peer.send(FINE)
        if peer.number == 0:
            peer.receive_head()
            peer.send(REFUSAL)
            done.wait_in_thread()
        else:
            peer.receive_until_close()

    async def scenario() -> None:
        async with runtime.pool() as pool:
            await pool.request("GET", server.url)  # connect first: the timeout must not limit it
            content, headers = large_body(runtime, framing)
            extensions = {"timeout": limits}
            reply = await pool.request(
                "POST", server.url, headers=headers, content=content, extensions=extensions
            )
            assert reply.status == 413
            done.set()
            assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(handler, allow_disconnect=True) as server:
        runtime.run(scenario)
        assert server.accepted == 2


@pytest.mark.parametrize("framing", ["bytes", "chunked"])
def test_a_received_response_is_returned_though_the_server_resets_the_upload(
    runtime: TestedRuntime, framing: str
) -> None:
    def early(peer: Peer) -> None:
        peer.send(response(b"enough"))
        peer.receive_exactly(len(CHUNK))
        peer.reset()

    async def scenario() -> None:
        async with runtime.pool() as pool:
            content, headers = large_body(runtime, framing)
            reply = await pool.request("POST", server.url, headers=headers, content=content)
            assert reply.content == b"enough"
            assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(responding_early(early)) as server:
        runtime.run(scenario)


@pytest.mark.parametrize("framing", ["bytes", "chunked"])
def test_invalid_input_ends_the_upload(runtime: TestedRuntime, framing: str) -> None:
    done = runtime.event()

    def early(peer: Peer) -> None:
        peer.send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
        done.wait_in_thread()

    async def scenario() -> None:
        async with runtime.pool() as pool:
            content, headers = large_body(runtime, framing)
            with pytest.raises(httpcore2.RemoteProtocolError):
                await pool.request("POST", server.url, headers=headers, content=content)
            done.set()
            assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(responding_early(early), allow_disconnect=True) as server:
        runtime.run(scenario)


@pytest.mark.parametrize("framing", ["bytes", "chunked"])
def test_the_end_of_the_connection_ends_the_upload(runtime: TestedRuntime, framing: str) -> None:
    done = runtime.event()

    def early(peer: Peer) -> None:
        peer.half_close()
        done.wait_in_thread()

    async def scenario() -> None:
        async with runtime.pool() as pool:
            content, headers = large_body(runtime, framing)
            with pytest.raises(httpcore2.RemoteProtocolError, match="disconnected"):
                await pool.request("POST", server.url, headers=headers, content=content)
            done.set()
            assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(responding_early(early), allow_disconnect=True) as server:
        runtime.run(scenario)


@pytest.mark.parametrize(
    "notified", [False, True], ids=["without close_notify", "with close_notify"]
)
def test_the_end_of_a_refusal_received_during_the_upload_needs_close_notify(
    runtime: TestedRuntime, notified: bool, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    done = runtime.event()

    def early(peer: Peer) -> None:
        peer.send(b"HTTP/1.1 413 Content Too Large\r\n\r\ntoo large")
        if notified:
            assert isinstance(peer.socket, ssl.SSLSocket)
            peer.socket.settimeout(0)
            with suppress(OSError):
                peer.socket.unwrap()  # sends close_notify without waiting for the client's
        else:
            peer.half_close()
        done.wait_in_thread()

    async def scenario() -> None:
        async with runtime.pool(ssl_context=client_tls) as pool:
            content, headers = large_body(runtime, "chunked")
            async with pool.stream(
                "POST", server.url, headers=headers, content=content
            ) as streamed:
                assert streamed.status == 413
                if notified:
                    assert await streamed.aread() == b"too large"
                else:
                    with pytest.raises(httpcore2.RemoteProtocolError, match="close_notify"):
                        await streamed.aread()
            done.set()

    with scripted_server(responding_early(early), tls=server_tls, allow_disconnect=True) as server:
        runtime.run(scenario)


@pytest.mark.parametrize("framing", ["bytes", "chunked"])
def test_an_upload_that_times_out_after_a_successful_head_raises_write_timeout(
    runtime: TestedRuntime, framing: str
) -> None:
    """The response may be incomplete, as in a test of httpx, so the timeout of the upload is raised."""
    done = runtime.event()

    def handler(peer: Peer) -> None:
        peer.receive_head()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nen")
        done.wait_in_thread()

    async def scenario() -> None:
        async with runtime.pool() as pool:
            content, headers = large_body(runtime, framing)
            extensions = {"timeout": {"write": SOON_ENOUGH}}
            with pytest.raises(httpcore2.WriteTimeout):
                await pool.request(
                    "POST", server.url, headers=headers, content=content, extensions=extensions
                )
            assert pool.connections == []
        done.set()

    with scripted_server(handler, allow_disconnect=True) as server:
        runtime.run(scenario)
