"""Resolving names: which host a pool's resolver is asked for, when, and what happens with its answer."""

from __future__ import annotations

import socket
import ssl
import time
from pathlib import Path
from typing import Any

import pytest

import httpcore2

from ..support.fake_network import FakeNetworkBackend, FakeNetworkStream
from ..support.resolvers import AsyncOnlyResolver, RecordingResolver, SyncOnlyResolver
from ..support.runtimes import TestedAsyncRuntime, TestedRuntime
from ..support.scripted_servers import (
    Peer,
    canned_responses,
    refusing_port,
    response,
    scripted_server,
)

FINE = response(b"fine")
NAME = "www.example.com"


def test_the_connection_goes_to_the_address_that_the_resolver_returns(
    runtime: TestedRuntime,
) -> None:
    resolver = RecordingResolver({NAME: ["127.0.0.1"]})

    async def scenario() -> None:
        async with runtime.pool(resolver=resolver) as pool:
            for _ in range(2):
                result = await pool.request("GET", f"http://{NAME}:{server.port}/")
                assert result.content == b"fine"
        # The second request is sent on the same connection, and needs no address.
        assert resolver.queries == [(NAME, server.port)]

    with scripted_server(canned_responses([FINE, FINE])) as server:
        runtime.run(scenario)


def test_the_certificate_is_checked_for_the_name(
    runtime: TestedRuntime, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    resolver = RecordingResolver({NAME: ["127.0.0.1"], "other.example": ["127.0.0.1"]})

    async def scenario() -> None:
        async with runtime.pool(resolver=resolver, ssl_context=client_tls) as pool:
            result = await pool.request("GET", f"https://{NAME}:{server.port}/")
            assert result.content == b"fine"
            with pytest.raises(httpcore2.ConnectError, match=r"other.example"):
                await pool.request("GET", f"https://other.example:{server.port}/")

    with scripted_server(canned_responses([FINE]), tls=server_tls, allow_disconnect=True) as server:
        runtime.run(scenario)


def test_a_connection_without_a_pool_asks_its_resolver(runtime: TestedRuntime) -> None:
    resolver = RecordingResolver({NAME: ["127.0.0.1"]})

    async def scenario() -> None:
        origin = httpcore2.Origin(b"http", NAME.encode(), server.port)
        async with runtime.connection(origin, resolver=resolver) as connection:
            result = await connection.request("GET", f"http://{NAME}:{server.port}/")
            assert result.content == b"fine"

    with scripted_server(canned_responses([FINE])) as server:
        runtime.run(scenario)
    assert resolver.queries == [(NAME, server.port)]


def test_the_resolver_is_asked_for_ip_addresses_too(runtime: TestedRuntime) -> None:
    refusal = httpcore2.ConnectError("127.0.0.1 is a loopback address.")
    resolver = RecordingResolver({"127.0.0.1": refusal})

    async def scenario() -> None:
        async with runtime.pool(resolver=resolver) as pool:
            with pytest.raises(httpcore2.ConnectError, match="is a loopback address"):
                await pool.request("GET", "http://127.0.0.1:1/")

    runtime.run(scenario)


def test_all_addresses_are_tried(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        resolver = RecordingResolver({NAME: ["127.0.0.2", "127.0.0.1"]})
        async with runtime.pool(resolver=resolver) as pool:
            result = await pool.request("GET", f"http://{NAME}:{server.port}/")
            assert result.content == b"fine"

    # It listens on 127.0.0.1 alone, and the system refuses connections to 127.0.0.2.
    with scripted_server(canned_responses([FINE])) as server:
        runtime.run(scenario)


def test_a_resolver_on_a_callers_own_backend_gives_it_each_address_in_turn(
    runtime: TestedRuntime,
) -> None:
    async def scenario() -> None:
        resolver = RecordingResolver({NAME: ["192.0.2.1", "2001:db8::1"]})
        backend = FakeNetworkBackend(httpcore2.ConnectError("one"), FakeNetworkStream([FINE]))
        async with runtime.pool(resolver=resolver, network_backend=backend) as pool:
            assert (await pool.request("GET", f"http://{NAME}/")).content == b"fine"
        assert backend.connected == [("192.0.2.1", 80), ("2001:db8::1", 80)]
        backend = FakeNetworkBackend(httpcore2.ConnectError("one"), httpcore2.ConnectError("two"))
        async with runtime.pool(resolver=resolver, network_backend=backend) as pool:
            with pytest.raises(
                httpcore2.ConnectError,
                match=f"^one at 192.0.2.1; two at 2001:db8::1 .connecting to .*{NAME}",
            ):
                await pool.request("GET", f"http://{NAME}/")

    runtime.run(scenario)


def test_a_callers_own_backend_that_runs_out_of_time_ends_the_dial(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        resolver = RecordingResolver({NAME: ["192.0.2.1", "192.0.2.2", "192.0.2.3"]})
        backend = FakeNetworkBackend(
            httpcore2.ConnectError("one"), httpcore2.ConnectTimeout("Too late.")
        )
        async with runtime.pool(resolver=resolver, network_backend=backend) as pool:
            with pytest.raises(httpcore2.ConnectTimeout, match=r"^Too late\. Tried ") as caught:
                await pool.request("GET", f"http://{NAME}/")
        assert "Tried 192.0.2.1: one; 192.0.2.2: no answer. (connecting" in str(caught.value)
        assert [address for address, _ in caught.value.attempts] == [
            ("192.0.2.1", 80),
            ("192.0.2.2", 80),
        ]

    runtime.run(scenario)


def test_a_derived_backend_sees_every_attempt(async_runtime: TestedAsyncRuntime) -> None:
    seen: list[str] = []
    base: Any = type(async_runtime.backend())

    class Seeing(base):  # type: ignore[misc]
        async def connect_tcp(self, host: str, port: int, *args: Any, **options: Any) -> Any:
            seen.append(host)
            return await super().connect_tcp(host, port, *args, **options)

    async def scenario() -> None:
        resolver = RecordingResolver({NAME: ["127.0.0.2", "127.0.0.1"]})
        async with async_runtime.pool(resolver=resolver, network_backend=Seeing()) as pool:
            result = await pool.request("GET", f"http://{NAME}:{server.port}/")
            assert result.content == b"fine"

    with scripted_server(canned_responses([FINE])) as server:
        async_runtime.run(scenario)
    assert seen == ["127.0.0.2", "127.0.0.1"]


def test_a_patched_backend_sees_every_attempt_on_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    original = httpcore2.SyncBackend.connect_tcp

    def connect_tcp(self: Any, host: str, *args: Any, **options: Any) -> Any:
        seen.append(host)
        return original(self, host, *args, **options)

    monkeypatch.setattr(httpcore2.SyncBackend, "connect_tcp", connect_tcp)
    resolver = RecordingResolver({NAME: ["127.0.0.2", "127.0.0.1"]})
    with (
        scripted_server(canned_responses([FINE])) as server,
        httpcore2.ConnectionPool(resolver=resolver) as pool,
    ):
        assert pool.request("GET", f"http://{NAME}:{server.port}/").content == b"fine"
    assert seen == ["127.0.0.2", "127.0.0.1"]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ([], f"The resolver returned no address for {NAME}."),
        (["127.1"], f"The resolver returned '127.1' for {NAME}, which is not an IP address."),
        (["localhost"], "'localhost'"),
        (socket.gaierror(-2, "Name or service not known"), "Name or service not known"),
        (OSError("no server answered"), "no server answered"),
        (httpcore2.ConnectError("refused by policy"), "refused by policy"),
        (UnicodeError("label too long"), "label too long"),
    ],
)
@pytest.mark.parametrize("has_own_backend", [False, True])
def test_an_answer_without_addresses_is_a_connect_error(
    runtime: TestedRuntime, answer: object, message: str, has_own_backend: bool
) -> None:
    async def scenario() -> None:
        options: dict[str, Any] = {"resolver": RecordingResolver({NAME: answer})}
        if has_own_backend:
            options["network_backend"] = FakeNetworkBackend()
        async with runtime.pool(**options) as pool:
            with pytest.raises(httpcore2.ConnectError) as caught:
                await pool.request("GET", f"http://{NAME}/")
            assert message in str(caught.value)
            assert f"(connecting to http://{NAME}:80)" in str(caught.value)
            assert "0 active, 0 queued | Connections: 0 active, 0 idle" in repr(pool)

    runtime.run(scenario)


def test_a_resolver_that_returns_text_in_place_of_a_list_is_a_type_error(
    runtime: TestedRuntime,
) -> None:
    async def scenario() -> None:
        async with runtime.pool(resolver=RecordingResolver({NAME: "127.0.0.1"})) as pool:
            with pytest.raises(TypeError, match="must return a sequence of addresses, but got str"):
                await pool.request("GET", f"http://{NAME}/")

    runtime.run(scenario)


@pytest.mark.parametrize("has_own_backend", [False, True])
def test_the_connect_timeout_ends_a_query(runtime: TestedRuntime, has_own_backend: bool) -> None:
    async def scenario() -> None:
        never = runtime.event()

        async def hang() -> None:
            if runtime.name == "threads":
                # A thread can't be cancelled: this resolver returns too late.
                end = time.monotonic() + 0.03
                await runtime.wait_until(lambda: time.monotonic() > end)
            else:
                await never.wait()

        resolver = RecordingResolver({NAME: ["127.0.0.1"]}, hang)
        options: dict[str, Any] = {"resolver": resolver}
        if has_own_backend:
            options["network_backend"] = FakeNetworkBackend(FakeNetworkStream([FINE]))
        async with runtime.pool(**options) as pool:
            with pytest.raises(httpcore2.ConnectTimeout, match=r"0\.02 seconds .connect timeout"):
                await pool.request(
                    "GET", f"http://{NAME}/", extensions={"timeout": {"connect": 0.02}}
                )
            assert "0 active, 0 queued | Connections: 0 active, 0 idle" in repr(pool)
        assert 0 < (resolver.timeouts[0] or 0) <= 0.02

    runtime.run(scenario)


def test_a_query_that_is_cancelled_leaves_no_connection(
    async_runtime: TestedAsyncRuntime,
) -> None:
    async def scenario() -> None:
        begun, never = async_runtime.event(), async_runtime.event()

        async def hang() -> None:
            begun.set()
            await never.wait()

        async with async_runtime.pool(resolver=RecordingResolver({}, hang)) as pool:

            async def request() -> None:
                await pool.request("GET", f"http://{NAME}/")

            assert await async_runtime.cancel_on_event(begun, request)
            assert "0 active, 0 queued | Connections: 0 active, 0 idle" in repr(pool)

    async_runtime.run(scenario)


def test_the_local_address_selects_the_family(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        resolver = RecordingResolver({NAME: ["::1", "127.0.0.1"], "six.example": ["::1"]})
        async with runtime.pool(resolver=resolver, local_address="127.0.0.3") as pool:
            result = await pool.request("GET", f"http://{NAME}:{server.port}/")
            assert result.content == b"fine"
            with pytest.raises(
                httpcore2.ConnectError,
                match=r"None of the addresses of six.example \(::1\) is of the family of local_address",
            ):
                await pool.request("GET", f"http://six.example:{server.port}/")

    with scripted_server(canned_responses([FINE])) as server:
        runtime.run(scenario)


def test_retries_ask_the_resolver_again(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        resolver = RecordingResolver({NAME: ["127.0.0.1"]})
        async with runtime.pool(resolver=resolver, retries=1) as pool:
            with pytest.raises(httpcore2.ConnectError):
                await pool.request("GET", f"http://{NAME}:{port}/")
        assert resolver.queries == [(NAME, port)] * 2

    with refusing_port() as port:
        runtime.run(scenario)


# Proxies


def test_the_host_of_an_http_proxy_is_resolved_and_that_of_the_origin_is_not(
    runtime: TestedRuntime,
) -> None:
    def serve(peer: Peer) -> None:
        request = peer.receive_request()
        assert request is not None
        assert request[0].startswith(b"GET http://origin.example/ HTTP/1.1\r\n")
        peer.send(FINE)
        peer.receive_until_close()

    async def scenario() -> None:
        resolver = RecordingResolver({"proxy.example": ["127.0.0.1"]})
        proxy = httpcore2.Proxy(f"http://proxy.example:{server.port}")
        async with runtime.pool(resolver=resolver, proxy=proxy) as pool:
            assert (await pool.request("GET", "http://origin.example/")).content == b"fine"
        assert resolver.queries == [("proxy.example", server.port)]

    with scripted_server(serve) as server:
        runtime.run(scenario)


@pytest.mark.parametrize(
    ("scheme", "reply", "names"),
    [
        ("socks5", None, ["proxy.example"]),
        ("socks4a", b"\x00\x5a" + bytes(6), ["proxy.example"]),
        ("socks4", b"\x00\x5a" + bytes(6), ["proxy.example", "origin.example"]),
    ],
)
def test_a_socks_proxy_is_sent_the_name_but_socks4_the_address_that_the_resolver_returns(
    runtime: TestedRuntime, scheme: str, reply: bytes | None, names: list[str]
) -> None:
    received: list[bytes] = []

    def serve(peer: Peer) -> None:
        if reply is None:
            peer.receive_exactly(3)
            peer.send(b"\x05\x00")
            received.append(peer.receive_exactly(5 + len("origin.example") + 2))
            peer.send(b"\x05\x00\x00\x01" + bytes(6))
        else:
            is_name = scheme == "socks4a"
            received.append(peer.receive_exactly(9 + (len("origin.example") + 1) * is_name))
            peer.send(reply)
        peer.receive_request()
        peer.send(FINE)
        peer.receive_until_close()

    async def scenario() -> None:
        resolver = RecordingResolver(
            {"proxy.example": ["127.0.0.1"], "origin.example": ["2001:db8::1", "192.0.2.1"]}
        )
        proxy = httpcore2.Proxy(f"{scheme}://proxy.example:{server.port}")
        async with runtime.pool(resolver=resolver, proxy=proxy) as pool:
            assert (await pool.request("GET", "http://origin.example/")).content == b"fine"
        assert [host for host, _ in resolver.queries] == names

    with scripted_server(serve) as server:
        runtime.run(scenario)
    if scheme == "socks4":
        assert received == [b"\x04\x01\x00\x50" + bytes((192, 0, 2, 1)) + b"\x00"]
    else:
        assert b"origin.example" in received[0]


def test_socks4_needs_an_ipv4_address(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        resolver = RecordingResolver(
            {"proxy.example": ["127.0.0.1"], "origin.example": ["2001:db8::1"]}
        )
        proxy = httpcore2.Proxy(f"socks4://proxy.example:{server.port}")
        async with runtime.pool(resolver=resolver, proxy=proxy) as pool:
            with pytest.raises(httpcore2.ConnectError, match="has no IPv4 address, which SOCKS4"):
                await pool.request("GET", "http://origin.example/")

    def serve(peer: Peer) -> None:
        peer.receive_until_close()

    with scripted_server(serve) as server:
        runtime.run(scenario)


# The resolvers that come with the library, on each runtime


def test_the_systems_resolver_finds_localhost(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with runtime.pool(resolver=httpcore2.SystemResolver()) as pool:
            result = await pool.request("GET", f"http://localhost:{server.port}/")
            assert result.content == b"fine"

    with scripted_server(canned_responses([FINE])) as server:
        runtime.run(scenario)


def test_a_static_resolver_and_a_cache_serve_every_runtime(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        table = httpcore2.StaticResolver({NAME: "127.0.0.1"})
        resolver = httpcore2.CachingResolver(resolver=table)
        async with runtime.pool(resolver=resolver) as pool:
            for host in (NAME, "localhost"):
                result = await pool.request("GET", f"http://{host}:{server.port}/")
                assert result.content == b"fine"

    with scripted_server(canned_responses([FINE])) as server:
        runtime.run(scenario)


# Arguments


def test_a_resolver_of_the_other_api_is_refused() -> None:
    wrong: Any = AsyncOnlyResolver()
    with pytest.raises(TypeError, match="derived from Resolver, but got AsyncOnlyResolver"):
        httpcore2.ConnectionPool(resolver=wrong)
    with pytest.raises(TypeError, match="but got AsyncOnlyResolver inside CachingResolver"):
        httpcore2.ConnectionPool(resolver=httpcore2.CachingResolver(resolver=wrong))
    wrong = SyncOnlyResolver()
    with pytest.raises(TypeError, match="derived from AsyncResolver, but got SyncOnlyResolver"):
        httpcore2.AsyncConnectionPool(resolver=wrong)
    wrong = {}
    with pytest.raises(TypeError, match="derived from Resolver, but got dict"):
        httpcore2.CachingResolver(resolver=wrong)
    with pytest.raises(TypeError, match="derived from Resolver, but got dict"):
        httpcore2.HTTPProxy("http://proxy", resolver=wrong)


@pytest.mark.parametrize("prefix", ["", "Async"])
def test_the_pools_of_proxies_take_a_resolver(prefix: str) -> None:
    for name, url in (("HTTPProxy", "http://h"), ("SOCKSProxy", "socks4a://h")):
        pool = getattr(httpcore2, prefix + name)(url, resolver=httpcore2.SystemResolver())
        assert pool._config.connection.resolver is not None


def test_a_resolver_for_a_unix_socket_is_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "server")
    with pytest.raises(ValueError, match="resolver must be None with uds='/"):
        httpcore2.ConnectionPool(uds=path, resolver=httpcore2.SystemResolver())
