"""Requests of the clients through this transport, on threads, asyncio and trio."""

from __future__ import annotations

import re
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest

import httpcore2

from ...support.h2peer import answering, speaking
from ...support.runtimes import TestedRuntime
from ...support.scripted_proxies import FORWARDED, PROXY_KINDS, scripted_proxy
from ...support.scripted_servers import (
    Handler,
    Peer,
    canned_responses,
    response,
    scripted_server,
    unused_port,
)
from .conftest import Connect

FINE = response(b"fine")
URL = "http://www.example.com/"


def _echo_request(peer: Peer) -> None:
    """Respond to each request with its bytes."""
    while request := peer.receive_request():
        peer.send(response(b"".join(request)))


def test_the_clients_use_this_checkout(library: Any) -> None:
    assert httpcore2.__version__ == "3.0.0"
    pool = library.HTTPTransport()._pool
    assert type(pool) is httpcore2.ConnectionPool
    pool.close()


def test_a_connection_is_reused(runtime: TestedRuntime, connect: Connect) -> None:
    async def scenario() -> None:
        async with connect() as client:
            for _ in range(3):
                reply = await client.get(server.url)
                assert (reply.status_code, reply.reason_phrase) == (200, "OK")
                assert (reply.http_version, reply.content) == ("HTTP/1.1", b"fine")

    with scripted_server(canned_responses([FINE] * 3)) as server:
        runtime.run(scenario)
        assert server.accepted == 1


def test_a_redirect_is_followed(runtime: TestedRuntime, connect: Connect) -> None:
    moved = response(b"moved", b"Location: /there", status=b"302 Found")

    async def scenario() -> None:
        async with connect(follow_redirects=True) as client:
            reply = await client.get(server.url)
            assert (str(reply.url), reply.content) == (f"{server.url}there", b"fine")

    with scripted_server(canned_responses([moved, FINE])) as server:
        runtime.run(scenario)
        assert server.accepted == 1


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        ({"content": b"abc"}, b"Content-Length: 3\r\n.*abc"),
        ({"json": {"a": 1}}, b'application/json.*{"a":1}'),
        ({"data": {"a": "b c"}}, b"x-www-form-urlencoded.*a=b\\+c"),
        ({"files": {"file": b"abc"}}, b'multipart/form-data.*name="file".*abc'),
        ({"content": [b"ab", b"c"]}, b"Transfer-Encoding: chunked.*2\r\nab\r\n1\r\nc\r\n0\r\n"),
    ],
    ids=["bytes", "json", "form", "files", "iterator"],
)
def test_bodies_of_all_kinds_are_sent(
    runtime: TestedRuntime, connect: Connect, body: dict[str, Any], sent: bytes
) -> None:
    async def scenario() -> None:
        options = body
        if isinstance(body.get("content"), list):
            options = {"content": runtime.body(body["content"])}
        async with connect() as client:
            reply = await client.post(server.url, **options)
            assert re.search(b"(?is)" + sent, reply.content)

    with scripted_server(_echo_request) as server:
        runtime.run(scenario)


def test_a_response_is_streamed(runtime: TestedRuntime, connect: Connect) -> None:
    first_read = runtime.event()

    def handler(peer: Peer) -> None:
        peer.receive_request()
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        first_read.wait_in_thread()
        peer.send(b"3\r\ntwo\r\n0\r\n\r\n")
        peer.receive_until_close()

    async def scenario() -> None:
        async with connect() as client, client.stream("GET", server.url) as reply:
            chunks = []
            async for chunk in reply.aiter_bytes():
                chunks.append(chunk)
                first_read.set()
            assert chunks == [b"one", b"two"]

    with scripted_server(handler) as server:
        runtime.run(scenario)


def test_a_partly_read_response_leaks_no_slot(
    runtime: TestedRuntime, connect: Connect, library: Any
) -> None:
    async def scenario() -> None:
        async with connect(limits=library.Limits(max_connections=1)) as client:
            for _ in range(3):
                async with client.stream("GET", server.url) as reply:
                    assert reply.status_code == 200

    with scripted_server(
        canned_responses([b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nsome"])
    ) as server:
        runtime.run(scenario)


def test_http2_multiplexes_many_requests(
    runtime: TestedRuntime,
    connect: Connect,
    h2_server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
) -> None:
    async def scenario() -> None:
        async with connect(http2=True, verify=client_tls) as client:

            async def post(number: int) -> None:
                content: Any = b"%d" % number
                if number % 2:
                    content = runtime.body([b"%d" % number])
                reply = await client.post(server.url, content=content)
                assert (reply.http_version, reply.content) == ("HTTP/2", b"%d" % number)

            await post(0)
            await runtime.gather(*[lambda number=number: post(number) for number in range(20)])

    with scripted_server(speaking(answering()), tls=h2_server_tls) as server:
        runtime.run(scenario)
        assert server.accepted == 1


# Timeouts and errors


def _send_nothing(peer: Peer) -> None:
    peer.receive_until_close()


def _sending(data: bytes) -> Handler:
    def handle(peer: Peer) -> None:
        peer.receive_request()
        peer.send(data)

    return handle


@pytest.mark.parametrize(
    ("handler", "error"),
    [
        (_send_nothing, "ReadTimeout"),
        (_sending(b""), "RemoteProtocolError"),
        (_sending(b"nonsense\r\n\r\n"), "RemoteProtocolError"),
        (_sending(FINE[:-1]), "RemoteProtocolError"),
    ],
    ids=["silence", "an end", "nonsense", "an end in the body"],
)
def test_an_error_of_the_server_raises_the_exception_of_the_client(
    runtime: TestedRuntime, connect: Connect, library: Any, handler: Handler, error: str
) -> None:
    async def scenario() -> None:
        read = 0.05 if error == "ReadTimeout" else 5
        async with connect(timeout=library.Timeout(5, read=read)) as client:
            with pytest.raises(getattr(library, error)) as caught:
                await client.get(server.url)
            assert type(caught.value) is getattr(library, error)
            assert str(caught.value)

    with scripted_server(handler, allow_disconnect=True) as server:
        runtime.run(scenario)


@pytest.mark.parametrize(
    ("url", "options", "error"),
    [
        ("http://127.0.0.1:{unused}/", {}, "ConnectError"),
        ("ftp://127.0.0.1/", {}, "UnsupportedProtocol"),
        (URL, {"headers": {"a b": "c"}}, "LocalProtocolError"),
    ],
)
def test_a_local_error_raises_the_exception_of_the_client(
    runtime: TestedRuntime,
    connect: Connect,
    library: Any,
    url: str,
    options: dict[str, Any],
    error: str,
) -> None:
    async def scenario() -> None:
        async with connect() as client:
            with pytest.raises(getattr(library, error)) as caught:
                await client.get(target, **options)
            assert str(caught.value)

    with scripted_server(_send_nothing) as server:
        target = server.url if url == URL else url.format(unused=unused_port())
        runtime.run(scenario)


def test_a_server_that_does_not_read_raises_write_timeout(
    runtime: TestedRuntime, connect: Connect, library: Any
) -> None:
    timed_out = runtime.event()

    def handler(peer: Peer) -> None:
        peer.receive_head()
        timed_out.wait_in_thread()

    async def scenario() -> None:
        async with connect(timeout=library.Timeout(5, write=0.05)) as client:
            with pytest.raises(library.WriteTimeout):
                await client.post(server.url, content=runtime.body([bytes(1_000_000)] * 50))
        timed_out.set()

    with scripted_server(handler, allow_disconnect=True) as server:
        runtime.run(scenario)


def test_a_full_pool_raises_pool_timeout(
    runtime: TestedRuntime, connect: Connect, library: Any
) -> None:
    async def scenario() -> None:
        limits, timeout = library.Limits(max_connections=1), library.Timeout(5, pool=0.01)
        async with (
            connect(limits=limits, timeout=timeout) as client,
            client.stream("GET", server.url) as reply,
        ):
            with pytest.raises(library.PoolTimeout):
                await client.get(server.url)
            assert await reply.aread() == b"fine"

    with scripted_server(canned_responses([FINE])) as server:
        runtime.run(scenario)


def test_an_untrusted_certificate_raises_connect_error(
    runtime: TestedRuntime, connect: Connect, library: Any, server_tls: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        async with connect() as client:
            with pytest.raises(library.ConnectError, match="certificate"):
                await client.get(server.url)

    with scripted_server(canned_responses([FINE]), tls=server_tls) as server:
        runtime.run(scenario)


# Routes


def test_uds_connects_to_a_unix_socket(
    runtime: TestedRuntime, connect: Connect, transport: Connect, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with connect(transport=transport(uds=str(tmp_path / "socket"))) as client:
            assert (await client.get(URL)).content == b"fine"

    with scripted_server(canned_responses([FINE]), uds=tmp_path / "socket"):
        runtime.run(scenario)


def test_a_transport_accepts_its_options(
    runtime: TestedRuntime, connect: Connect, transport: Connect
) -> None:
    options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]

    async def scenario() -> None:
        network = transport(local_address="127.0.0.1", retries=1, socket_options=options)
        async with connect(transport=network) as client, client.stream("GET", server.url) as reply:
            stream = reply.extensions["network_stream"]
            assert stream.get_extra_info("server_addr") == ("127.0.0.1", server.port)
            sock = stream.get_extra_info("socket")
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)

    with scripted_server(canned_responses([FINE])) as server:
        runtime.run(scenario)


@pytest.mark.parametrize("secured", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("kind", [kind for kind in PROXY_KINDS if not kind.startswith("socks4")])
def test_a_request_is_sent_through_a_proxy(
    runtime: TestedRuntime,
    connect: Connect,
    library: Any,
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    kind: str,
    secured: bool,
) -> None:
    async def scenario() -> None:
        options: dict[str, Any] = {"auth": PROXY_KINDS[kind].auth}
        if kind == "https":
            options["ssl_context"] = client_tls
        route = library.Proxy(proxy.origin, **options)
        scheme = "https" if secured else "http"
        async with connect(proxy=route, verify=client_tls) as client:
            for _ in range(2):
                reply = await client.get(f"{scheme}://www.example.com/")
                forwarded = PROXY_KINDS[kind].is_http and not secured
                assert reply.content == (FORWARDED if forwarded else b"fine")

    with (
        scripted_server(
            canned_responses([FINE] * 2), tls=server_tls if secured else None, allow_disconnect=True
        ) as origin,
        scripted_proxy(PROXY_KINDS[kind], origin.port, server_tls, client_tls) as proxy,
    ):
        runtime.run(scenario)


def test_a_refusing_proxy_raises_proxy_error(
    runtime: TestedRuntime, connect: Connect, library: Any
) -> None:
    refusal = response(status=b"403 Forbidden")

    async def scenario() -> None:
        async with connect(proxy=proxy.origin) as client:
            with pytest.raises(library.ProxyError, match="403 Forbidden"):
                await client.get("https://www.example.com/")

    with scripted_server(canned_responses([refusal]), allow_disconnect=True) as proxy:
        runtime.run(scenario)


def test_the_phases_of_a_request_are_traced(runtime: TestedRuntime, connect: Connect) -> None:
    events: list[tuple[str, dict[str, Any]]] = []

    async def scenario() -> None:
        async with connect() as client:
            await client.get(server.url, extensions={"trace": runtime.trace(events)})

    with scripted_server(canned_responses([FINE])) as server:
        runtime.run(scenario)
    assert [events[0][0], events[-1][0]] == [
        "connection.connect_tcp.started",
        "http11.response_closed.complete",
    ]
