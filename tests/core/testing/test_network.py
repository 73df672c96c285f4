"""The network is forbidden to all pools while a block runs, except for the addresses that it allows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import httpcore2
from httpcore2_core._net.connection_guard import check_address
from httpcore2_core.testing import (
    AsyncScriptedBackend,
    Script,
    ScriptedBackend,
    ScriptedServer,
    forbid_network,
    reply,
)

from ...support.runtimes import RUNTIMES, TestedAsyncRuntime, TestedRuntime

each_runtime = pytest.mark.parametrize("runtime", RUNTIMES.values(), ids=list(RUNTIMES))


@each_runtime
def test_no_pool_connects_or_retries_while_the_block_runs(
    runtime: TestedRuntime, no_leaks: None
) -> None:
    async def scenario() -> None:
        async with runtime.pool(retries=3) as pool:
            with (
                forbid_network(),
                pytest.raises(
                    AssertionError,
                    match=r"forbidden: no connection to www\.example\.com:443 was opened",
                ),
            ):
                await pool.request("GET", "https://www.example.com/")
            assert pool.connections == []

    runtime.run(scenario)


@each_runtime
def test_the_same_pool_connects_after_the_block(runtime: TestedRuntime, no_leaks: None) -> None:
    server = ScriptedServer(Script(reply(200, b"fine")))

    async def scenario() -> None:
        async with runtime.pool() as pool:
            with forbid_network(), pytest.raises(AssertionError, match=r"to 127\.0\.0\.1:\d+ was"):
                await pool.request("GET", server.url)
            assert (await pool.request("GET", server.url)).content == b"fine"

    with server:
        runtime.run(scenario)


def test_the_proxy_is_the_address_that_may_not_be_connected_to(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        proxy = httpcore2.Proxy("http://proxy.example.com:8080")
        async with runtime.pool(proxy=proxy) as pool:
            with pytest.raises(AssertionError, match=r"to proxy\.example\.com:8080 was"):
                await pool.request("GET", "https://www.example.com/")

    with forbid_network():
        runtime.run(scenario)


def test_a_name_is_not_resolved_for_a_socks4_proxy(runtime: TestedRuntime) -> None:
    script = Script()

    async def scenario() -> None:
        if isinstance(runtime, TestedAsyncRuntime):
            pool = runtime.pool(
                proxy=httpcore2.Proxy("socks4://proxy.example.com"),
                network_backend=AsyncScriptedBackend(script),
            )
        else:
            pool = runtime.pool(
                proxy=httpcore2.Proxy("socks4://proxy.example.com"),
                network_backend=ScriptedBackend(script),
            )
        async with pool:
            with pytest.raises(
                AssertionError, match=r"the name www\.example\.com was not resolved"
            ):
                await pool.request("GET", "http://www.example.com/")

    with forbid_network(allow=[("other.example.com", 80)]):
        check_address("other.example.com", None)
        runtime.run(scenario)


def test_loopback_is_allowed_on_request() -> None:
    with (
        ScriptedServer(Script(reply(200, b"fine"))) as server,
        forbid_network(allow_loopback=True),
        httpcore2.ConnectionPool() as http,
    ):
        assert http.request("GET", server.url).content == b"fine"
        with pytest.raises(AssertionError, match=r"to 203\.0\.113\.5:80 was"):
            http.request("GET", "http://203.0.113.5/")


@pytest.mark.parametrize(
    ("host", "is_allowed"),
    [
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        ("localhost", True),
        ("api.localhost", True),
        ("localhost.example.com", False),
        ("notlocalhost", False),
        ("10.0.0.1", False),
        ("0.0.0.0", False),
        ("::", False),
    ],
)
def test_the_hosts_that_count_as_loopback(host: str, is_allowed: bool) -> None:
    with forbid_network(allow_loopback=True):
        if is_allowed:
            check_address(host, 80)
            check_address(host, None)
        else:
            with pytest.raises(AssertionError, match=re.escape(host)):
                check_address(host, 80)


def test_a_unix_socket_is_allowed_together_with_loopback(tmp_path: Path) -> None:
    path = str(tmp_path / "missing.sock")
    with httpcore2.ConnectionPool(uds=path) as http:
        with forbid_network(), pytest.raises(AssertionError, match=f"connection to {path} was"):
            http.request("GET", "http://localhost/")
        with forbid_network(allow_loopback=True), pytest.raises(httpcore2.ConnectError):
            http.request("GET", "http://localhost/")


def test_an_address_that_is_added_while_the_block_runs_is_allowed() -> None:
    allowed: set[tuple[str, int]] = set()
    with (
        forbid_network(allow=allowed, advice="Add the address."),
        ScriptedServer(Script(reply(200, b"fine"))) as server,
        httpcore2.ConnectionPool() as http,
    ):
        with pytest.raises(AssertionError, match=r"was opened\. Add the address\.$"):
            http.request("GET", server.url)
        allowed.add(server.address)
        assert http.request("GET", server.url).content == b"fine"


def test_datagrams_are_forbidden_too() -> None:
    with forbid_network(), pytest.raises(AssertionError, match=r"to www\.example\.com:443 was"):
        httpcore2.SyncBackend().connect_udp("www.example.com", 443)


def test_a_resolver_of_the_pool_is_not_asked() -> None:
    asked: list[str] = []

    class Recorded(httpcore2.Resolver):
        def resolve(self, host: str, port: int, timeout: float | None = None) -> list[str]:
            asked.append(host)
            return ["127.0.0.1"]

    with (
        forbid_network(),
        httpcore2.ConnectionPool(resolver=Recorded()) as http,
        pytest.raises(AssertionError, match=r"to www\.example\.com:80 was"),
    ):
        http.request("GET", "http://www.example.com/")
    assert asked == []


def test_inner_and_outer_blocks_are_both_in_force() -> None:
    with forbid_network(advice="Outer."), httpcore2.ConnectionPool() as http:
        with forbid_network(allow_loopback=True), pytest.raises(AssertionError, match="Outer"):
            http.request("GET", "http://127.0.0.1:1/")
        with pytest.raises(AssertionError, match="Outer"):
            http.request("GET", "http://127.0.0.1:1/")
