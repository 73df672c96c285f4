"""Host names: their validation, and their forms in the lookup, in TLS and in the Host field."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

import httpcore2

from ..support.fake_network import FakeNetworkBackend, FakeNetworkStream
from ..support.runtimes import TestedRuntime
from ..support.scripted_servers import Peer, response, scripted_server

FINE = response(b"fine")


def url_of(scheme: str, host: str | bytes, port: int | None = None) -> httpcore2.URL:
    return httpcore2.URL(scheme=scheme, host=host, port=port, target="/")


@pytest.mark.parametrize(
    "url",
    [
        url_of("http", "127.0.0.1\0.allowed.example"),
        url_of("http", "allowed.example\r\nX: y"),
        url_of("http", "a b"),
        url_of("http", "a\\b"),
        url_of("http", "a@b"),
        url_of("https", "[::1]"),
        url_of("https", b"\xff"),
        url_of("ws", ""),
        url_of("http", "fe80::1%e\0"),
        url_of("http", "a", 65536 + 80),
        url_of("http", "a", -1),
        "http:///a",
        "http:name/a",
        "http:\\\\a/b",
    ],
)
def test_an_invalid_host_or_port_is_refused_before_its_lookup(
    runtime: TestedRuntime, url: httpcore2.URL | str
) -> None:
    async def scenario() -> None:
        for options in ({}, {"uds": "/path"}):
            backend = FakeNetworkBackend(FakeNetworkStream([FINE]))
            async with runtime.pool(network_backend=backend, **options) as pool:
                with pytest.raises(
                    (httpcore2.LocalProtocolError, httpcore2.ConnectError),
                    match=r"is not a valid host|has no host|is out of range 0-65535",
                ):
                    # The caller's Host field bypasses every other check of the name.
                    await pool.request("GET", url, headers={"Host": "allowed.example"})
                assert pool.connections == []
            assert backend.connected == []

    runtime.run(scenario)


def test_a_url_with_an_ambiguous_host_is_refused(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        backend = FakeNetworkBackend(FakeNetworkStream([FINE]))
        async with runtime.pool(network_backend=backend) as pool:
            for url in ("http://a\\@evil/", "http://127.0.0.1\0.allowed.example/", "http://a b/"):
                with pytest.raises(ValueError, match=r"before the '@'|is not a valid host"):
                    await pool.request("GET", url)
        assert backend.connected == []

    runtime.run(scenario)


@pytest.mark.parametrize("target", ["/a\r\nb", "/a\tb", "/a b", "/a\0"])
def test_a_target_that_is_invalid_in_a_request_line_is_refused(
    runtime: TestedRuntime, target: str
) -> None:
    async def scenario() -> None:
        stream = FakeNetworkStream([FINE])
        async with runtime.pool(network_backend=FakeNetworkBackend(stream)) as pool:
            with pytest.raises(httpcore2.LocalProtocolError):
                await pool.request("GET", f"http://a{target}")
        assert stream.written == []

    runtime.run(scenario)


def test_a_question_mark_without_a_query_is_sent(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        stream = FakeNetworkStream([FINE])
        async with runtime.pool(network_backend=FakeNetworkBackend(stream)) as pool:
            assert (await pool.request("GET", "http://a/b?")).content == b"fine"
        assert b"".join(stream.written).startswith(b"GET /b? HTTP/1.1\r\n")

    runtime.run(scenario)


# The final dot


@contextmanager
def recording_names(
    server_tls: ssl.SSLContext, uds: Path | None = None, host: tuple[str, int] | None = None
) -> Iterator[tuple[Any, list[Any]]]:
    """Run a TLS server that records the names in SNI and in the Host fields."""
    seen: list[Any] = []

    def handler(peer: Peer) -> None:
        head = peer.receive_head()
        seen.append(head.split(b"\r\nHost: ")[1].split(b"\r\n")[0])
        peer.send(FINE)
        peer.receive_until_close()

    server_tls.sni_callback = lambda _sock, name, _context: seen.append(name)
    try:
        with scripted_server(handler, tls=server_tls, uds=uds, host=host) as server:
            yield server, seen
    finally:
        server_tls.sni_callback = None


def test_sni_omits_the_final_dot_of_the_host(
    runtime: TestedRuntime, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with runtime.pool(ssl_context=client_tls, uds=str(path)) as pool:
            assert (await pool.request("GET", "https://www.example.com./")).content == b"fine"

    path = tmp_path / "socket"
    with recording_names(server_tls, path) as (_, seen):
        runtime.run(scenario)
    assert seen == ["www.example.com", b"www.example.com."]


def test_sni_omits_the_final_dot_of_sni_hostname(
    runtime: TestedRuntime, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        for name in ("www.example.com.", b"www.example.com."):
            async with runtime.pool(ssl_context=client_tls) as pool:
                extensions = {"sni_hostname": name}
                assert (
                    await pool.request("GET", server.url, extensions=extensions)
                ).content == b"fine"

    with recording_names(server_tls) as (server, seen):
        runtime.run(scenario)
    assert seen[::2] == ["www.example.com"] * 2


# Zones


def link_local() -> tuple[str, str, int] | None:
    """Return a link-local address of this machine, and the name and number of its interface."""
    table = Path("/proc/net/if_inet6")
    for line in table.read_text().splitlines() if table.exists() else ():
        digits, index, _, scope, flags, name = line.split()
        is_usable = not int(flags, 16) & 0x68  # neither failed, nor deprecated, nor tentative
        if scope == "20" and is_usable:
            address = ":".join(digits[at : at + 4] for at in range(0, 32, 4))
            return address, name, int(index, 16)
    return None


LINK_LOCAL = link_local()


@pytest.mark.parametrize("percent", ["%25", "%"])
@pytest.mark.parametrize(
    "interface",
    [
        ("::1", "1", 1),
        pytest.param(
            LINK_LOCAL,
            marks=pytest.mark.skipif(
                LINK_LOCAL is None, reason="no interface has a link-local address"
            ),
        ),
    ],
    ids=["loopback", "link-local"],
)
def test_a_zone_selects_the_interface_and_is_not_sent(
    runtime: TestedRuntime,
    certificate_authority: trustme.CA,
    client_tls: ssl.SSLContext,
    interface: tuple[str, str, int],
    percent: str,
) -> None:
    address, name, index = interface
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate_authority.issue_cert(address).configure_cert(server_tls)

    async def scenario() -> None:
        for zone in (name, str(index)):
            url = f"https://[{address}{percent}{zone}]:{server.port}/"
            async with runtime.pool(ssl_context=client_tls) as pool:
                assert (await pool.request("GET", url)).content == b"fine"

    with recording_names(server_tls, host=(address, index)) as (server, seen):
        runtime.run(scenario)
    assert seen == [None, f"[{address}]:{server.port}".encode()] * 2


@pytest.mark.parametrize("percent", ["%25", "%"])
def test_a_zone_is_used_in_the_lookup_only(
    runtime: TestedRuntime, client_tls: ssl.SSLContext, percent: str
) -> None:
    async def scenario() -> None:
        stream = FakeNetworkStream([FINE])
        backend = FakeNetworkBackend(stream)
        async with runtime.pool(network_backend=backend, ssl_context=client_tls) as pool:
            response = await pool.request("GET", f"https://[fe80::1{percent}eth0]/")
            assert response.content == b"fine"
        assert backend.connected == [("fe80::1%eth0", 443)]
        assert stream.tls == ["fe80::1"]
        assert b"\r\nHost: [fe80::1]\r\n" in b"".join(stream.written)

    runtime.run(scenario)
