"""`sni_hostname`: a connection whose certificate was verified for one name is not used for another."""

from __future__ import annotations

import ssl
from contextlib import ExitStack
from typing import Any

import pytest
import trustme

import httpcore2

from ..support.runtimes import TestedRuntime
from ..support.scripted_proxies import scripted_proxy
from ..support.scripted_servers import canned_responses, scripted_server
from ..support.tls_origins import FINE, ROUTES, tls_origin


async def fetch(pool: httpcore2.AsyncConnectionPool, url: str, name: object) -> None:
    extensions = {} if name is None else {"sni_hostname": name}
    reply = await pool.request("GET", url, extensions=extensions)
    assert reply.content == b"fine"


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("protocol", ["HTTP/1.1", "HTTP/2"])
def test_a_connection_verified_for_one_server_name_is_not_used_for_another(
    runtime: TestedRuntime, certificate_authority: trustme.CA, protocol: str, route: str
) -> None:
    async def scenario() -> None:
        async with runtime.pool(**origin.options) as pool:
            await fetch(pool, origin.url, "a.test")
            for name in ("b.test", None):
                with pytest.raises(httpcore2.ConnectError, match="certificate"):
                    await fetch(pool, origin.url, name)
            await fetch(pool, origin.url, "a.test")
            assert len(pool.connections) == 1

    with tls_origin(certificate_authority, ["a.test"], protocol, route) as origin:
        runtime.run(scenario)
    # No SNI is sent for an address (RFC 6066, section 3).
    assert origin.names == ["a.test", "b.test", None]


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("protocol", ["HTTP/1.1", "HTTP/2"])
def test_each_server_name_has_its_own_connections(
    runtime: TestedRuntime, certificate_authority: trustme.CA, protocol: str, route: str
) -> None:
    async def scenario() -> None:
        async with runtime.pool(**origin.options) as pool:
            for name in ("a.test", "b.test", None, "b.test", "a.test", None):
                await fetch(pool, origin.url, name)
            assert [connection.info()[-24:] for connection in pool.connections] == [
                f"{protocol}, IDLE, Request Count: 2"[-24:]
            ] * 3

    with tls_origin(
        certificate_authority, ["a.test", "b.test", "127.0.0.1"], protocol, route
    ) as origin:
        runtime.run(scenario)
    assert origin.names == ["a.test", "b.test", None]


def test_server_names_are_compared_regardless_of_type_case_and_final_dot(
    runtime: TestedRuntime, certificate_authority: trustme.CA
) -> None:
    async def scenario() -> None:
        async with runtime.pool(**origin.options) as pool:
            for name in ("a.test", b"a.test", "A.Test", b"a.TEST", "a.test.", bytearray(b"a.test")):
                await fetch(pool, origin.url, name)

    with tls_origin(certificate_authority, ["a.test"], "HTTP/1.1") as origin:
        runtime.run(scenario)
    assert origin.names == ["a.test"]


def test_an_empty_server_name_and_the_host_of_the_url_are_equivalent_to_none(
    runtime: TestedRuntime, certificate_authority: trustme.CA
) -> None:
    async def scenario() -> None:
        async with runtime.pool(**origin.options) as pool:
            for name in (None, "LOCALHOST", b"localhost.", "", b""):
                await fetch(pool, url, name)

    with tls_origin(certificate_authority, ["localhost"], "HTTP/1.1") as origin:
        url = origin.url.replace("127.0.0.1", "localhost")
        origin.options["local_address"] = "0.0.0.0"  # the server has no other address
        runtime.run(scenario)
    assert origin.names == ["localhost"]


@pytest.mark.parametrize("route", ROUTES)
def test_the_server_name_is_ignored_without_tls_to_the_origin(
    runtime: TestedRuntime, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, route: str
) -> None:
    async def scenario() -> None:
        async with runtime.pool(**options) as pool:
            for name in ("a.test", "b.test", None, 7):
                extensions = {"sni_hostname": name}
                assert (await pool.request("GET", server.url, extensions=extensions)).status == 200
            assert len(pool.connections) == 1

    options: dict[str, Any] = {}
    with ExitStack() as stack:
        server = stack.enter_context(scripted_server(canned_responses([FINE] * 4)))
        kind = ROUTES[route]
        if kind is not None:
            proxy = scripted_proxy(kind, server.port, server_tls, client_tls)
            options["proxy"] = stack.enter_context(proxy).proxy()
        runtime.run(scenario)


def test_requests_for_other_server_names_count_as_those_for_other_origins(
    runtime: TestedRuntime, certificate_authority: trustme.CA
) -> None:
    async def scenario() -> None:
        async with runtime.pool(max_connections=1, **origin.options) as pool:
            await fetch(pool, origin.url, "a.test")
            await fetch(pool, origin.url, "b.test")  # closes the idle connection
            assert len(pool.connections) == 1
            extensions: dict[str, Any] = {"sni_hostname": "b.test"}
            async with pool.stream("GET", origin.url, extensions=extensions):
                extensions = {"sni_hostname": "a.test", "timeout": {"pool": 0.01}}
                with pytest.raises(httpcore2.PoolTimeout) as caught:
                    await pool.request("GET", origin.url, extensions=extensions)
        assert str(caught.value).startswith(
            f"No connection to {origin.url.rstrip('/')} with the sni_hostname 'a.test' "
            "became free within 0.01 seconds. "
            "The pool allows 1: 1 are active, 1 of them to this origin; "
        )

    with tls_origin(certificate_authority, ["a.test", "b.test"], "HTTP/1.1") as origin:
        runtime.run(scenario)
    assert origin.names == ["a.test", "b.test"]


@pytest.mark.parametrize("protocol", ["HTTP/1.1", "HTTP/2"])
def test_a_connection_without_a_pool_refuses_another_server_name(
    runtime: TestedRuntime, certificate_authority: trustme.CA, protocol: str
) -> None:
    async def scenario() -> None:
        url = httpcore2.URL(origin.url)
        connection = runtime.connection(url.origin, **origin.options)
        extensions: dict[str, Any] = {"sni_hostname": "a.test"}
        assert (await connection.request("GET", url, extensions=extensions)).status == 200
        for other, name in ({"sni_hostname": "b.test"}, "'b.test'"), ({}, "None"):
            with pytest.raises(RuntimeError) as caught:
                await connection.request("GET", url, extensions=other)
            assert str(caught.value) == (
                f"Attempted to send a request with the sni_hostname {name} on a connection to {url.origin} "
                "that was made with 'a.test': its certificate was checked for no other name. "
                "Use another connection, or a pool."
            )
        extensions = {"sni_hostname": "A.TEST"}
        assert (await connection.request("GET", url, extensions=extensions)).status == 200
        await connection.aclose()

    with tls_origin(certificate_authority, ["a.test", "127.0.0.1"], protocol) as origin:
        runtime.run(scenario)
    assert origin.names == ["a.test"]


def test_a_server_name_of_a_wrong_type_is_refused_before_connecting(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool:
            with pytest.raises(TypeError, match=r"extensions\['sni_hostname'\] .* but got int"):
                await fetch(pool, "https://127.0.0.1:9/", 7)
            assert pool.connections == []

    runtime.run(scenario)
