"""Requests go through every kind of proxy as they go without one."""

from __future__ import annotations

import socket
import ssl
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trustme

import httpcore2

from ...support.fake_network import FakeNetworkBackend, FakeNetworkStream
from ...support.h2peer import H2Peer, answering, speaking
from ...support.runtimes import TestedRuntime
from ...support.scripted_proxies import (
    ESTABLISHED,
    FORWARDED,
    PROXY_KINDS,
    ProxyKind,
    scripted_proxy,
)
from ...support.scripted_servers import Peer, response, scripted_server
from .conftest import FINE, Setting

NAME = "www.example.com"
SOCKS5_REPLIES = [b"\x05\x00", b"\x05\x00\x00\x01\x7f\x00\x00\x01\x12\x34"]
CONNECTED = {"http": [ESTABLISHED], "socks5": SOCKS5_REPLIES, "socks4a": [b"\x00\x5a" + bytes(6)]}

each_kind = pytest.mark.parametrize("kind", PROXY_KINDS.values(), ids=PROXY_KINDS)
each_protocol = pytest.mark.parametrize(("scheme", "replies"), CONNECTED.items(), ids=CONNECTED)


def asked_for(kind: ProxyKind, port: int) -> str:
    """What a proxy is asked, when it is to connect to `NAME`."""
    return f"CONNECT {NAME}:{port} " if kind.is_http else f"name {NAME}:{port}"


@pytest.fixture
def url(kind: ProxyKind) -> str:
    """Where to, by a name that the proxy knows; SOCKS4 wants it resolved here."""
    return f"https://{'localhost' if kind.scheme == 'socks4' else NAME}/"


@each_kind
def test_an_https_origin_is_reached_and_its_connection_kept(
    runtime: TestedRuntime, kind: ProxyKind, url: str, behind: Setting, client_tls: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        async with runtime.pool(proxy=proxy.proxy(), ssl_context=client_tls) as pool:
            for _ in range(2):
                reply = await pool.request("GET", url, headers={"X": "y"})
                assert (reply.status, reply.content) == (200, b"fine")
            name = url.strip("/") + ":443"
            state = f"'{name}', HTTP/1.1, IDLE, Request Count: 2"
            assert repr(pool.connections) == (
                f"[<{runtime.class_prefix}{kind.class_name} [{state}] to '{name}' via '{proxy.origin}'>]"
            )
        assert proxy.server is not None and proxy.server.accepted == origin.accepted == 1
        assert len(proxy.requests) == 1
        if kind.scheme == "socks4":
            assert proxy.requests == ["ipv4 127.0.0.1:443"]
        else:
            assert proxy.requests[0].startswith(asked_for(kind, 443))

    with behind(kind) as (proxy, origin):
        runtime.run(scenario)


@each_kind
def test_a_plain_origin_is_reached(
    runtime: TestedRuntime, kind: ProxyKind, url: str, behind: Setting
) -> None:
    plain = url.replace("https", "http") + "path?query"

    async def scenario() -> None:
        async with runtime.pool(proxy=proxy.proxy()) as pool:
            for _ in range(2):
                reply = await pool.request("GET", plain)
                assert reply.content == (FORWARDED if kind.is_http else b"fine")
        if kind.is_http:
            assert [head.split(" HTTP/1.1")[0] for head in proxy.requests] == [f"GET {plain}"] * 2
        assert proxy.server is not None and proxy.server.accepted == 1

    with behind(kind, tls=None) as (proxy, _):
        runtime.run(scenario)


@each_kind
def test_http2_is_spoken_inside_where_the_origin_offers_it(
    runtime: TestedRuntime,
    kind: ProxyKind,
    url: str,
    behind: Setting,
    certificate_authority: trustme.CA,
    client_tls: ssl.SSLContext,
) -> None:
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate_authority.issue_cert(NAME, "localhost").configure_cert(server_tls)
    server_tls.set_alpn_protocols(["h2"])
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    certificate_authority.configure_trust(tls)

    async def scenario() -> None:
        async with runtime.pool(proxy=proxy.proxy(), ssl_context=tls, http2=True) as pool:

            async def fetch() -> None:
                body = b"x" * 100_000
                reply = await pool.request("POST", url, content=body)
                assert reply.extensions["http_version"] == b"HTTP/2"
                assert reply.content == body

            await runtime.gather(fetch, fetch, fetch)
            assert "HTTP/2" in repr(pool.connections)
        assert origin.accepted == len(proxy.requests) == 1

    with behind(kind, speaking(answering()), tls=server_tls) as (proxy, origin):
        runtime.run(scenario)


def test_one_context_may_serve_the_proxy_and_the_origin(
    runtime: TestedRuntime, certificate_authority: trustme.CA
) -> None:
    """The proxy is offered HTTP/1.1 alone, though it would like to speak HTTP/2."""
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate_authority.issue_cert(NAME, "127.0.0.1").configure_cert(server_tls)
    server_tls.set_alpn_protocols(["h2", "http/1.1"])
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    certificate_authority.configure_trust(tls)

    async def scenario() -> None:
        async with runtime.pool(proxy=proxy.proxy(), ssl_context=tls, http2=True) as pool:

            async def fetch(number: int) -> None:
                extensions = {"trace": runtime.trace([])}
                url = f"https://{NAME}:{number}/"
                reply = await pool.request("GET", url, extensions=extensions)
                assert reply.extensions["http_version"] == b"HTTP/2"

            await runtime.gather(*[partial(fetch, number) for number in range(1, 5)])

    with (
        scripted_server(speaking(answering()), tls=server_tls) as origin,
        scripted_proxy(PROXY_KINDS["https"], origin.port, server_tls, tls) as proxy,
    ):
        runtime.run(scenario)


@pytest.mark.parametrize("kind", [PROXY_KINDS["http"], PROXY_KINDS["https"], PROXY_KINDS["socks5"]])
def test_a_websocket_goes_through_a_tunnel_without_tls_of_its_own(
    runtime: TestedRuntime, kind: ProxyKind, behind: Setting
) -> None:
    def handler(peer: Peer) -> None:
        peer.receive_request()
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\nhello")
        peer.send(peer.receive_exactly(5))
        peer.receive_until_close()

    async def scenario() -> None:
        fields = [("Connection", "Upgrade"), ("Upgrade", "websocket")]
        async with (
            runtime.pool(proxy=proxy.proxy()) as pool,
            pool.stream("GET", f"ws://{NAME}/", headers=fields) as reply,
        ):
            stream = reply.extensions["network_stream"]
            received = await stream.read(1000)
            await stream.write(b"again")
            while len(received) < 10:
                received += await stream.read(1000)
            assert received == b"helloagain"
        assert proxy.requests[0].startswith(asked_for(kind, 80))

    with behind(kind, handler, tls=None) as (proxy, _):
        runtime.run(scenario)


@each_kind
def test_large_bodies_go_both_ways(
    runtime: TestedRuntime, kind: ProxyKind, url: str, behind: Setting, client_tls: ssl.SSLContext
) -> None:
    body = bytes(range(256)) * 4000

    def handler(peer: Peer) -> None:
        request = peer.receive_request()
        assert request is not None
        peer.send(response(request[1]))
        peer.receive_until_close()

    async def scenario() -> None:
        async with runtime.pool(proxy=proxy.proxy(), ssl_context=client_tls) as pool:
            assert (await pool.request("POST", url, content=body)).content == body

    with behind(kind, handler) as (proxy, _):
        runtime.run(scenario)


@pytest.mark.parametrize("kind", [PROXY_KINDS["http"], PROXY_KINDS["https"], PROXY_KINDS["socks5"]])
def test_a_proxy_may_be_behind_a_unix_socket(
    runtime: TestedRuntime,
    kind: ProxyKind,
    behind: Setting,
    client_tls: ssl.SSLContext,
    tmp_path: Path,
) -> None:
    path = tmp_path / "proxy"

    async def scenario() -> None:
        # Its URL tells the protocol, and the name in its certificate.
        proxy = httpcore2.Proxy(
            f"{kind.scheme}://localhost",
            ssl_context=client_tls if kind.scheme == "https" else None,
        )
        async with runtime.pool(proxy=proxy, uds=str(path), ssl_context=client_tls) as pool:
            assert (await pool.request("GET", f"https://{NAME}/")).content == b"fine"

    with behind(kind, uds=path) as (scripted_proxy, _):
        runtime.run(scenario)
        assert scripted_proxy.requests[0].startswith(asked_for(kind, 443))


@each_kind
def test_an_idle_connection_that_the_proxy_closed_is_replaced(
    runtime: TestedRuntime, kind: ProxyKind, url: str, behind: Setting, client_tls: ssl.SSLContext
) -> None:
    def handler(peer: Peer) -> None:
        peer.receive_request()
        peer.send(FINE)  # and closes, which the proxy hands on

    async def scenario() -> None:
        async with runtime.pool(proxy=proxy.proxy(), ssl_context=client_tls) as pool:
            for _ in range(3):
                assert (await pool.request("GET", url)).content == b"fine"
                assert len(pool.connections) <= 1

    with behind(kind, handler) as (proxy, origin):
        runtime.run(scenario)
        assert origin.accepted == 3


@pytest.mark.parametrize("url", [f"http://{NAME}/", f"https://{NAME}/"])
@each_protocol
def test_a_request_that_a_reused_connection_lost_is_sent_again(
    runtime: TestedRuntime, scheme: str, replies: list[bytes], url: str
) -> None:
    if scheme == "http" and url.startswith("http:"):
        replies = []  # it is passed on, without a tunnel

    async def scenario() -> None:
        lost = FakeNetworkStream([*replies, FINE, httpcore2.ReadError("reset")])
        backend = FakeNetworkBackend(lost, FakeNetworkStream([*replies, FINE]))
        proxy = httpcore2.Proxy(f"{scheme}://proxy:8080")
        async with runtime.pool(network_backend=backend, proxy=proxy) as pool:
            for _ in range(2):
                assert (await pool.request("GET", url)).content == b"fine"
            assert len(pool.connections) == 1
        assert backend.connected == [("proxy", 8080)] * 2

    runtime.run(scenario)


@each_protocol
def test_the_first_bytes_of_the_origin_may_come_with_the_proxys_reply(
    runtime: TestedRuntime, scheme: str, replies: list[bytes]
) -> None:
    """A server that speaks first is no HTTP server; but no byte may be lost."""

    async def scenario() -> None:
        stream = FakeNetworkStream([*replies[:-1], replies[-1] + FINE])
        proxy = httpcore2.Proxy(f"{scheme}://proxy")
        async with runtime.pool(network_backend=FakeNetworkBackend(stream), proxy=proxy) as pool:
            assert (await pool.request("GET", f"ws://{NAME}/")).content == b"fine"
        assert stream.closed == 1

    runtime.run(scenario)


def test_an_http2_server_may_speak_first_and_along_with_the_proxys_reply(
    runtime: TestedRuntime,
) -> None:
    def handler(peer: Peer) -> None:
        peer.receive_exactly(3)
        peer.send(SOCKS5_REPLIES[0])
        peer.receive_exactly(4 + 1 + len(NAME) + 2)
        send, first = peer.send, SOCKS5_REPLIES[1]

        def send_joined(data: bytes) -> None:
            nonlocal first
            send(first + data)
            first = b""

        peer.send = send_joined  # type: ignore[method-assign]
        answering()(H2Peer(peer))

    async def scenario() -> None:
        proxy = httpcore2.Proxy(f"socks5://127.0.0.1:{server.port}")
        async with runtime.pool(proxy=proxy, http1=False, http2=True) as pool:

            async def fetch() -> None:
                body = b"x" * 100_000
                reply = await pool.request("POST", f"http://{NAME}/", content=body)
                assert reply.content == body

            await runtime.gather(fetch, fetch)
        assert server.accepted == 1

    with scripted_server(handler, allow_disconnect=True) as server:
        runtime.run(scenario)


@pytest.mark.parametrize("scheme", ["socks4", "socks4a"])
@pytest.mark.parametrize("is_own", [False, True], ids=["ours", "the caller's own"])
def test_socks4_resolves_names_here_and_socks4a_does_not(
    runtime: TestedRuntime, scheme: str, is_own: bool
) -> None:
    granted = b"\x00\x5a" + bytes(6)
    requests: list[bytes] = []

    def handler(peer: Peer) -> None:
        requests.append(peer.receive_some())
        peer.send(granted)
        peer.receive_request()
        peer.send(FINE)
        peer.receive_until_close()

    async def scenario() -> None:
        stream = FakeNetworkStream([granted, FINE])
        options = {"network_backend": FakeNetworkBackend(stream)} if is_own else {}
        proxy = httpcore2.Proxy(f"{scheme}://127.0.0.1:{server.port}")
        async with runtime.pool(proxy=proxy, **options) as pool:
            timeout = {"timeout": {"connect": 9}}
            reply = await pool.request("GET", "http://localhost/", extensions=timeout)
            assert reply.content == b"fine"
        requests.extend(stream.written)
        resolved = b"\x7f\x00\x00\x01\x00"
        named = b"\x00\x00\x00\x01\x00localhost\x00"
        assert requests[0] == b"\x04\x01\x00\x50" + (resolved if scheme == "socks4" else named)

    with scripted_server(handler) as server:
        runtime.run(scenario)


def test_socks4_fails_to_connect_if_the_name_does_not_resolve(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        stream = FakeNetworkStream()
        proxy = httpcore2.Proxy("socks4://proxy")
        async with runtime.pool(network_backend=FakeNetworkBackend(stream), proxy=proxy) as pool:
            with pytest.raises(httpcore2.ConnectError) as caught:
                await pool.request("GET", "http://a..b/")
            assert pool.connections == []
        assert "from the SOCKS4 proxy socks4://proxy" in str(caught.value)
        assert stream.written == []
        assert stream.closed == 1

    runtime.run(scenario)


def _capture_target(replies: list[bytes], scheme: str, url: str, runtime: TestedRuntime) -> bytes:
    stream = FakeNetworkStream([*replies, FINE])

    async def scenario() -> None:
        proxy = httpcore2.Proxy(f"{scheme}://proxy")
        async with runtime.pool(network_backend=FakeNetworkBackend(stream), proxy=proxy) as pool:
            assert (await pool.request("GET", url)).content == b"fine"

    runtime.run(scenario)
    return b"".join(stream.written)


def test_an_ipv6_address_is_bracketed_where_http_wants_it(runtime: TestedRuntime) -> None:
    sent = _capture_target(CONNECTED["http"], "http", "https://[2001:db8::1]:8443/", runtime)
    assert sent.startswith(
        b"CONNECT [2001:db8::1]:8443 HTTP/1.1\r\nHost: [2001:db8::1]:8443\r\nAccept: */*\r\n\r\n"
        b"GET / HTTP/1.1\r\nHost: [2001:db8::1]:8443\r\n"
    )
    sent = _capture_target([], "http", "http://[2001:db8::1]:8080/path", runtime)
    assert sent.startswith(
        b"GET http://[2001:db8::1]:8080/path HTTP/1.1\r\nHost: [2001:db8::1]:8080"
    )
    sent = _capture_target(CONNECTED["socks5"], "socks5", "https://[2001:db8::1]/", runtime)
    assert b"\x05\x01\x00\x04\x20\x01\x0d\xb8" in sent


def test_a_proxy_may_have_an_ipv6_address(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        backend = FakeNetworkBackend(FakeNetworkStream([ESTABLISHED, FINE]))
        proxy = httpcore2.Proxy("http://[::1]:3128/")
        async with runtime.pool(network_backend=backend, proxy=proxy) as pool:
            assert (await pool.request("GET", f"https://{NAME}/")).content == b"fine"
            assert "via 'http://[::1]:3128'>" in repr(pool.connections)
        assert backend.connected == [("::1", 3128)]

    runtime.run(scenario)


def test_the_sni_hostname_is_for_the_origin_alone(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        stream = FakeNetworkStream([ESTABLISHED, FINE])
        proxy = httpcore2.Proxy("https://proxy")
        extensions = {"sni_hostname": "other.example"}
        async with runtime.pool(network_backend=FakeNetworkBackend(stream), proxy=proxy) as pool:
            await pool.request("GET", f"https://{NAME}/", extensions=extensions)
        assert stream.tls == ["proxy", "other.example"]
        forwarding = FakeNetworkStream([FINE])
        async with runtime.pool(
            network_backend=FakeNetworkBackend(forwarding), proxy=proxy
        ) as pool:
            await pool.request("GET", f"http://{NAME}/", extensions=extensions)
        assert forwarding.tls == ["proxy"]

    runtime.run(scenario)


def test_the_protocol_of_an_extended_connect_is_for_the_origin_alone(
    runtime: TestedRuntime, behind: Setting, client_tls: ssl.SSLContext
) -> None:
    def handler(peer: Peer) -> None:
        origin = H2Peer(peer, enable_connect_protocol=1)
        origin.head(origin.request())
        origin.until_end()

    async def scenario() -> None:
        options = {"ssl_context": client_tls, "http1": False, "http2": True}
        async with (
            runtime.pool(proxy=proxy.proxy(), **options) as pool,
            pool.stream(
                "CONNECT", f"https://{NAME}/", extensions={"protocol": "websocket"}
            ) as reply,
        ):
            assert reply.status == 200

    with behind(PROXY_KINDS["http"], handler) as (proxy, _):
        runtime.run(scenario)
    (asked,) = proxy.requests
    assert "websocket" not in asked


def test_a_proxy_that_is_not_trusted_gets_no_request(
    runtime: TestedRuntime, behind: Setting, client_tls: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        untrusted = proxy.proxy(ssl_context=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        for scheme in ("http", "https"):
            async with runtime.pool(proxy=untrusted, ssl_context=client_tls) as pool:
                with pytest.raises(httpcore2.ConnectError, match="certificate") as caught:
                    await pool.request("GET", f"{scheme}://{NAME}/")
                assert pool.connections == []
            assert "(TLS handshake with the proxy" in str(caught.value)
        assert proxy.requests == []

    with behind(PROXY_KINDS["https"]) as (proxy, _):
        runtime.run(scenario)


@pytest.mark.parametrize("kind", [PROXY_KINDS["http"], PROXY_KINDS["https"], PROXY_KINDS["socks5"]])
def test_an_origin_that_is_not_trusted_is_refused_through_a_tunnel(
    runtime: TestedRuntime, kind: ProxyKind, behind: Setting
) -> None:
    async def scenario() -> None:
        async with runtime.pool(
            proxy=proxy.proxy(), ssl_context=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        ) as pool:
            with pytest.raises(httpcore2.ConnectError, match="certificate") as caught:
                await pool.request("GET", f"https://{NAME}/")
            assert pool.connections == []
        assert str(caught.value).endswith(
            f" (connecting to https://{NAME}:443 through the proxy {proxy.origin})"
        )

    with behind(kind) as (proxy, _):
        runtime.run(scenario)


@each_protocol
def test_connecting_to_a_proxy_is_tried_again(
    runtime: TestedRuntime, scheme: str, replies: list[bytes]
) -> None:
    async def scenario() -> None:
        backend = FakeNetworkBackend(
            httpcore2.ConnectError("one"),
            FakeNetworkStream([httpcore2.ReadError("reset in the handshake")]),
            FakeNetworkStream([*replies, FINE]),
        )
        proxy = httpcore2.Proxy(f"{scheme}://proxy")
        async with runtime.pool(network_backend=backend, proxy=proxy, retries=2) as pool:
            assert (await pool.request("GET", f"wss://{NAME}/")).content == b"fine"
        assert backend.sleeps == [0, 0.5]

    runtime.run(scenario)


def test_a_refusal_is_not_tried_again(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        backend = FakeNetworkBackend(FakeNetworkStream([response(status=b"403 Forbidden")]))
        proxy = httpcore2.Proxy("http://proxy")
        async with runtime.pool(network_backend=backend, proxy=proxy, retries=2) as pool:
            with pytest.raises(httpcore2.ProxyError, match="403 Forbidden"):
                await pool.request("GET", f"https://{NAME}/")
        assert len(backend.connected) == 1

    runtime.run(scenario)


def test_how_to_dial_is_for_the_proxy(runtime: TestedRuntime) -> None:
    accepted: list[Any] = []

    def handler(peer: Peer) -> None:
        accepted.append(peer.socket.getpeername()[0])
        peer.receive_request()
        peer.send(FINE)
        peer.receive_until_close()

    async def scenario() -> None:
        async with (
            runtime.pool(
                proxy=httpcore2.Proxy(proxy.origin),
                local_address="127.0.0.2",
                socket_options=[(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)],
            ) as pool,
            pool.stream("GET", f"http://{NAME}/") as reply,
        ):
            sock = reply.extensions["network_stream"].get_extra_info("socket")
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert accepted == ["127.0.0.2"]

    with scripted_server(handler) as proxy:
        runtime.run(scenario)


def test_a_pools_limit_holds_through_a_proxy_that_may_turn_out_to_speak_http2(
    runtime: TestedRuntime,
) -> None:
    """To a forwarding proxy it does not, and those who hoped to share a connection get one each."""

    def handler(peer: Peer) -> None:
        while peer.receive_request():
            peer.send(FINE)

    async def scenario() -> None:
        async with runtime.pool(
            proxy=httpcore2.Proxy(proxy.origin), http1=False, http2=True, max_connections=2
        ) as pool:

            async def fetch() -> None:
                assert (await pool.request("GET", f"http://{NAME}/")).content == b"fine"

            await runtime.gather(*[fetch] * 6)
            assert len(pool.connections) <= 2
        assert proxy.accepted <= 2

    with scripted_server(handler) as proxy:
        runtime.run(scenario)


def test_socks4_can_not_reach_ipv6(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        backend = FakeNetworkBackend(FakeNetworkStream())
        for scheme in ("socks4", "socks4a"):
            proxy = httpcore2.Proxy(f"{scheme}://proxy")
            async with runtime.pool(network_backend=backend, proxy=proxy) as pool:
                with pytest.raises(
                    httpcore2.ConnectError, match=r"can't connect to \[::1\]: use SOCKS5"
                ):
                    await pool.request("GET", "https://[::1]/")
                assert pool.connections == []
        assert backend.connected == []

    runtime.run(scenario)
