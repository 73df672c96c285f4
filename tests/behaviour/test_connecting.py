"""Connecting: the options of a pool that affect it, its retries and its errors."""

from __future__ import annotations

import socket
import ssl
import sys
from pathlib import Path
from typing import Any

import pytest
import trustme

import httpcore2

from ..support.fake_network import FakeNetworkBackend, FakeNetworkStream
from ..support.runtimes import MAIN_RUNTIMES, TestedRuntime
from ..support.scripted_servers import (
    Peer,
    canned_responses,
    refusing_port,
    response,
    scripted_server,
)

FINE = response(b"fine")


def test_a_refused_connection_raises_connect_error(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool:
            with pytest.raises(httpcore2.ConnectError):
                await pool.request("GET", f"http://127.0.0.1:{port}/")
            assert "0 active, 0 queued | Connections: 0 active, 0 idle" in repr(pool)

    with refusing_port() as port:
        runtime.run(scenario)


# uvloop has its own resolver.
@pytest.mark.parametrize(
    "runtime", [name for name in MAIN_RUNTIMES if name != "uvloop"], indirect=True
)
def test_an_unresolvable_name_raises_connect_error(
    runtime: TestedRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)

    async def scenario() -> None:
        async with runtime.pool() as pool:
            with pytest.raises(httpcore2.ConnectError):
                await pool.request("GET", "http://nowhere.invalid/")

    runtime.run(scenario)


def test_an_invalid_host_name_raises_connect_error(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool:
            for name in ("a" * 64, "a..b"):
                with pytest.raises(httpcore2.ConnectError):
                    await pool.request("GET", f"http://{name}/")
            assert "0 active, 0 queued | Connections: 0 active, 0 idle" in repr(pool)

    runtime.run(scenario)


def test_localhost_is_reached_by_name(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool:
            assert (
                await pool.request("GET", f"http://localhost:{server.port}/")
            ).content == b"fine"

    with scripted_server(canned_responses([FINE])) as server:
        runtime.run(scenario)


def test_connecting_is_retried_with_growing_delays(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        backend = FakeNetworkBackend(
            httpcore2.ConnectError("one"),
            httpcore2.ConnectTimeout("two"),
            httpcore2.ConnectError("three"),
            FakeNetworkStream([FINE]),
        )
        async with runtime.pool(network_backend=backend, retries=3) as pool:
            assert (await pool.request("GET", "http://h/")).content == b"fine"
        assert backend.connected == [("h", 80)] * 4
        assert backend.sleeps == [0, 0.5, 1.0]

    runtime.run(scenario)


def test_the_last_retry_raises_its_connect_error(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        backend = FakeNetworkBackend(httpcore2.ConnectError("no"))
        async with runtime.pool(network_backend=backend, retries=4) as pool:
            with pytest.raises(httpcore2.ConnectError, match="no"):
                await pool.request("GET", "http://h/")
            assert "0 active, 0 queued | Connections: 0 active, 0 idle" in repr(pool)
        assert len(backend.connected) == 5
        assert backend.sleeps == [0, 0.5, 1.0, 2.0]

    runtime.run(scenario)


def test_a_failed_exchange_is_not_retried(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        backend = FakeNetworkBackend(FakeNetworkStream([httpcore2.ReadError("gone")]))
        async with runtime.pool(network_backend=backend, retries=3) as pool:
            with pytest.raises(httpcore2.ReadError, match="gone"):
                await pool.request("GET", "http://h/")
        assert len(backend.connected) == 1

    runtime.run(scenario)


def test_the_given_network_backend_opens_the_connections(runtime: TestedRuntime) -> None:
    stream = FakeNetworkStream([FINE, FINE])

    async def scenario() -> None:
        backend = FakeNetworkBackend(stream)
        async with runtime.pool(network_backend=backend) as pool:
            for _ in range(2):
                assert (await pool.request("GET", "https://h/")).content == b"fine"
        assert backend.connected == [("h", 443)]
        assert stream.tls == ["h"]
        assert stream.closed == 1

    runtime.run(scenario)


def test_the_backend_of_the_runtime_can_be_passed_explicitly(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with runtime.pool(network_backend=runtime.backend()) as pool:
            assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(canned_responses([FINE])) as server:
        runtime.run(scenario)


def test_the_mock_backend_responds_from_its_buffer(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with runtime.pool(network_backend=runtime.mock_backend([FINE])) as pool:
            assert (await pool.request("GET", "https://h/")).content == b"fine"
            assert pool.connections[0].info() == (
                "'https://h:443', HTTP/1.1, IDLE, Request Count: 1"
            )

    runtime.run(scenario)


def test_uds_connects_to_a_unix_socket(runtime: TestedRuntime, tmp_path: Path) -> None:
    path = tmp_path / "socket"

    async def scenario() -> None:
        async with runtime.pool(uds=str(path)) as pool:
            for _ in range(2):
                assert (await pool.request("GET", "http://anywhere/")).content == b"fine"

    with scripted_server(canned_responses([FINE] * 2), uds=path) as server:
        runtime.run(scenario)
        assert server.accepted == 1


def test_a_missing_unix_socket_raises_connect_error(runtime: TestedRuntime, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with runtime.pool(uds=str(tmp_path / "none")) as pool:
            with pytest.raises(httpcore2.ConnectError):
                await pool.request("GET", "http://anywhere/")

    runtime.run(scenario)


@pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.0/8 is local on Linux alone")
def test_local_address_sets_the_source_address(runtime: TestedRuntime) -> None:
    sources: list[str] = []

    def handler(peer: Peer) -> None:
        sources.append(peer.socket.getpeername()[0])
        canned_responses([FINE])(peer)

    async def scenario() -> None:
        async with runtime.pool(local_address="127.0.0.2") as pool:
            await pool.request("GET", server.url)

    with scripted_server(handler) as server:
        runtime.run(scenario)
    assert sources == ["127.0.0.2"]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_an_empty_local_address_means_any_address(runtime: TestedRuntime, host: str) -> None:
    async def scenario() -> None:
        async with runtime.pool(local_address="") as pool:
            name = f"[{host}]" if ":" in host else host
            url = f"http://{name}:{server.port}/"
            assert (await pool.request("GET", url)).content == b"fine"

    with scripted_server(
        canned_responses([FINE]), host=(host, 0) if ":" in host else None
    ) as server:
        runtime.run(scenario)


def test_socket_options_are_set(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
        async with (
            runtime.pool(socket_options=options) as pool,
            pool.stream("GET", server.url) as opened,
        ):
            sock = opened.extensions["network_stream"].get_extra_info("socket")
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
            await opened.aread()

    with scripted_server(canned_responses([FINE])) as server:
        runtime.run(scenario)


def test_the_network_stream_of_a_response_provides_its_addresses(
    runtime: TestedRuntime, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        async with (
            runtime.pool(ssl_context=client_tls) as pool,
            pool.stream("GET", server.url) as opened,
        ):
            stream = opened.extensions["network_stream"]
            assert stream.get_extra_info("server_addr") == ("127.0.0.1", server.port)
            assert stream.get_extra_info("client_addr")[0] == "127.0.0.1"
            assert stream.get_extra_info("ssl_object").version() == "TLSv1.3"
            assert stream.get_extra_info("socket").fileno() > 0
            assert stream.get_extra_info("nonsense") is None
            await opened.aread()

    with scripted_server(canned_responses([FINE]), tls=server_tls) as server:
        runtime.run(scenario)


def test_requests_and_responses_go_through_tls(
    runtime: TestedRuntime, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    content = bytes(range(256)) * 4096

    def handler(peer: Peer) -> None:
        while request := peer.receive_request():
            peer.send(response(request[1]))

    async def scenario() -> None:
        async with runtime.pool(ssl_context=client_tls) as pool:
            for _ in range(2):
                echo = await pool.request("POST", server.url, content=content)
                assert echo.content == content

    with scripted_server(handler, tls=server_tls) as server:
        runtime.run(scenario)
        assert server.accepted == 1


def test_alpn_offers_http_1_1(
    runtime: TestedRuntime, certificate_authority: trustme.CA, client_tls: ssl.SSLContext
) -> None:
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate_authority.issue_cert("127.0.0.1").configure_cert(server_tls)
    server_tls.set_alpn_protocols(["h2", "http/1.1"])

    async def scenario() -> None:
        async with (
            runtime.pool(ssl_context=client_tls) as pool,
            pool.stream("GET", server.url) as opened,
        ):
            ssl_object = opened.extensions["network_stream"].get_extra_info("ssl_object")
            assert ssl_object.selected_alpn_protocol() == "http/1.1"
            await opened.aread()

    with scripted_server(canned_responses([FINE]), tls=server_tls) as server:
        runtime.run(scenario)


@pytest.mark.parametrize(
    "notifies", [True, False], ids=["with close_notify", "without close_notify"]
)
def test_a_body_of_a_known_length_may_end_with_the_tls_session(
    runtime: TestedRuntime, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, notifies: bool
) -> None:
    def handler(peer: Peer) -> None:
        peer.receive_head()
        peer.send(response(b"fine"))
        if notifies:
            assert isinstance(peer.socket, ssl.SSLSocket)
            peer.socket.unwrap()

    async def scenario() -> None:
        async with runtime.pool(ssl_context=client_tls) as pool:
            for _ in range(2):
                assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(handler, tls=server_tls, allow_disconnect=True) as server:
        runtime.run(scenario)
        assert server.accepted == 2


def test_sni_hostname_sets_the_server_name_and_the_name_that_the_certificate_must_match(
    runtime: TestedRuntime, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    names: list[str | None] = []

    def record(sock: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        names.append(name)

    async def scenario() -> None:
        async with runtime.pool(ssl_context=client_tls) as pool:
            extensions = {"sni_hostname": "www.example.com"}
            assert (await pool.request("GET", server.url, extensions=extensions)).content == b"fine"
        async with runtime.pool(ssl_context=client_tls) as pool:
            extensions = {"sni_hostname": "other.example.com"}
            with pytest.raises(httpcore2.ConnectError, match=r"(?i)certificate"):
                await pool.request("GET", server.url, extensions=extensions)

    server_tls.sni_callback = record
    try:
        with scripted_server(
            canned_responses([FINE]), tls=server_tls, allow_disconnect=True
        ) as server:
            runtime.run(scenario)
    finally:
        server_tls.sni_callback = None
    assert names == ["www.example.com", "other.example.com"]


def test_an_untrusted_certificate_raises_connect_error_with_the_reason(
    runtime: TestedRuntime, server_tls: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool:
            with pytest.raises(httpcore2.ConnectError, match=r"(?i)certificate verify failed"):
                await pool.request("GET", server.url)
            assert "0 active, 0 queued | Connections: 0 active, 0 idle" in repr(pool)

    with scripted_server(canned_responses([FINE]), tls=server_tls, allow_disconnect=True) as server:
        runtime.run(scenario)
        assert server.accepted == 1


@pytest.mark.parametrize("sent", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b""], ids=["http", "end"])
def test_a_server_without_tls_raises_connect_error(
    runtime: TestedRuntime, client_tls: ssl.SSLContext, sent: bytes
) -> None:
    def handler(peer: Peer) -> None:
        peer.receive_some()
        peer.send(sent)

    async def scenario() -> None:
        async with runtime.pool(ssl_context=client_tls) as pool:
            with pytest.raises(httpcore2.ConnectError):
                await pool.request("GET", f"https://127.0.0.1:{server.port}/")
            assert "0 active, 0 queued | Connections: 0 active, 0 idle" in repr(pool)

    with scripted_server(handler, allow_disconnect=True) as server:
        runtime.run(scenario)


def test_ssl_cert_file_sets_the_trusted_authorities(
    runtime: TestedRuntime,
    server_tls: ssl.SSLContext,
    ca_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))

    async def scenario() -> None:
        async with runtime.pool(ssl_context=httpcore2.default_ssl_context()) as pool:
            assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(canned_responses([FINE]), tls=server_tls) as server:
        runtime.run(scenario)


def test_the_options_of_tcp_keep_alive_are_in_force(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        options = httpcore2.tcp_keepalive(idle=20, interval=5, count=3)
        async with (
            runtime.pool(socket_options=options) as pool,
            pool.stream("GET", server.url) as found,
        ):
            sock = found.extensions["network_stream"].get_extra_info("socket")
            assert [sock.getsockopt(*option[:2]) for option in options] == [1, 20, 5, 3]
            assert await found.aread() == b"fine"

    with scripted_server(canned_responses([FINE])) as server:
        runtime.run(scenario)
