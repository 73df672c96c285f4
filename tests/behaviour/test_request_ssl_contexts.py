"""The `ssl_context` of one request: a connection that was made with one context is not used for another."""

from __future__ import annotations

import gc
import ssl
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from weakref import ref

import pytest
import trustme

import httpcore2

from ..support.runtimes import TestedRuntime
from ..support.scripted_proxies import scripted_proxy
from ..support.scripted_servers import canned_responses, scripted_server
from ..support.tls_origins import FINE, ROUTES, tls_origin

PROTOCOLS = ["HTTP/1.1", "HTTP/2"]


async def fetch(
    pool: httpcore2.AsyncConnectionPool, url: str, context: object, name: str | None = None
) -> None:
    extensions = {"ssl_context": context, "sni_hostname": name}
    reply = await pool.request("GET", url, extensions=extensions)
    assert reply.content == b"fine"


def trusting(authority: trustme.CA | None = None) -> ssl.SSLContext:
    """Make a context that trusts one authority, or none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if authority is not None:
        authority.configure_trust(context)
    return context


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_connection_verified_by_one_context_is_not_used_for_another(
    runtime: TestedRuntime, certificate_authority: trustme.CA, protocol: str, route: str
) -> None:
    async def scenario() -> None:
        async with runtime.pool(**origin.options) as pool:
            await fetch(pool, origin.url, None)
            with pytest.raises(httpcore2.ConnectError, match="certificate"):
                await fetch(pool, origin.url, trusting())
            await fetch(pool, origin.url, None)
            assert len(pool.connections) == 1

    with tls_origin(certificate_authority, ["127.0.0.1"], protocol, route) as origin:
        runtime.run(scenario)
    assert len(origin.names) == 2


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_each_context_has_its_own_connections(
    runtime: TestedRuntime, certificate_authority: trustme.CA, protocol: str, route: str
) -> None:
    async def scenario() -> None:
        origin.options["ssl_context"] = trusting()
        async with runtime.pool(**origin.options) as pool:
            for context in (first, second, second, first):
                await fetch(pool, origin.url, context)
            await fetch(pool, origin.url, first, "a.test")
            await fetch(pool, origin.url, first, "a.test")
            with pytest.raises(httpcore2.ConnectError, match="certificate"):
                await fetch(pool, origin.url, None)
            assert [connection.info()[-24:] for connection in pool.connections] == [
                f"{protocol}, IDLE, Request Count: 2"[-24:]
            ] * 3

    first, second = (trusting(certificate_authority) for _ in range(2))
    with tls_origin(certificate_authority, ["127.0.0.1", "a.test"], protocol, route) as origin:
        runtime.run(scenario)
    assert origin.names == [None, None, "a.test", None]


def test_the_context_of_the_pool_is_equivalent_to_none(
    runtime: TestedRuntime, certificate_authority: trustme.CA
) -> None:
    async def scenario() -> None:
        async with runtime.pool(**origin.options) as pool:
            await fetch(pool, origin.url, None)
            await fetch(pool, origin.url, origin.options["ssl_context"])
            assert (await pool.request("GET", origin.url)).status == 200

    with tls_origin(certificate_authority, ["127.0.0.1"], "HTTP/1.1") as origin:
        runtime.run(scenario)
    assert len(origin.names) == 1


def test_the_context_takes_the_place_of_the_default_one(
    runtime: TestedRuntime, certificate_authority: trustme.CA
) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool:
            with pytest.raises(httpcore2.ConnectError, match="certificate"):
                await fetch(pool, origin.url, None)
            await fetch(pool, origin.url, trusting(certificate_authority))

    with tls_origin(certificate_authority, ["127.0.0.1"], "HTTP/1.1") as origin:
        runtime.run(scenario)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_request_over_a_unix_socket_has_its_own_context(
    runtime: TestedRuntime, certificate_authority: trustme.CA, protocol: str, tmp_path: Path
) -> None:
    async def scenario() -> None:
        origin.options["ssl_context"] = trusting()
        async with runtime.pool(**origin.options) as pool:
            url = "https://localhost/"
            with pytest.raises(httpcore2.ConnectError, match="certificate"):
                await fetch(pool, url, None)
            await fetch(pool, url, trusting(certificate_authority))

    path = tmp_path / "server.sock"
    with tls_origin(certificate_authority, ["localhost"], protocol, uds=path) as origin:
        runtime.run(scenario)


@pytest.mark.parametrize("is_sent", [False, True])
def test_each_context_identifies_the_client_by_its_own_certificate(
    runtime: TestedRuntime, certificate_authority: trustme.CA, is_sent: bool
) -> None:
    async def scenario() -> None:
        async with runtime.pool(ssl_context=trusting(certificate_authority)) as pool:
            await fetch(pool, server.url, identified if is_sent else None)

    identified = trusting(certificate_authority)
    certificate_authority.issue_cert("client@example.com").configure_cert(identified)
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate_authority.issue_cert("127.0.0.1").configure_cert(server_tls)
    certificate_authority.configure_trust(server_tls)
    server_tls.verify_mode = ssl.CERT_REQUIRED
    handler = canned_responses([FINE])
    with scripted_server(handler, tls=server_tls, allow_disconnect=True) as server:
        if is_sent:
            runtime.run(scenario)
        else:
            with pytest.raises((httpcore2.NetworkError, httpcore2.RemoteProtocolError)):
                runtime.run(scenario)


@pytest.mark.parametrize("route", ROUTES)
def test_the_context_is_ignored_without_tls_to_the_origin(
    runtime: TestedRuntime, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, route: str
) -> None:
    async def scenario() -> None:
        async with runtime.pool(**options) as pool:
            for context in (trusting(), trusting(), None, 7):
                extensions = {"ssl_context": context}
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


def test_a_wait_for_a_connection_with_the_context_of_the_request_says_so(
    runtime: TestedRuntime, certificate_authority: trustme.CA
) -> None:
    async def scenario() -> None:
        async with (
            runtime.pool(max_connections=1, **origin.options) as pool,
            pool.stream("GET", origin.url),
        ):
            extensions: dict[str, Any] = {
                "ssl_context": trusting(),
                "sni_hostname": "a.test",
                "timeout": {"pool": 0.01},
            }
            with pytest.raises(httpcore2.PoolTimeout) as caught:
                await pool.request("GET", origin.url, extensions=extensions)
        assert str(caught.value).startswith(
            f"No connection to {origin.url.rstrip('/')} with the sni_hostname 'a.test' "
            "with the request's own ssl_context became free within 0.01 seconds. "
        )

    with tls_origin(certificate_authority, ["127.0.0.1"], "HTTP/1.1") as origin:
        runtime.run(scenario)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_connection_without_a_pool_refuses_another_context(
    runtime: TestedRuntime, certificate_authority: trustme.CA, protocol: str
) -> None:
    async def scenario() -> None:
        url = httpcore2.URL(origin.url)
        connection = runtime.connection(url.origin, **origin.options)
        context = trusting(certificate_authority)
        extensions: dict[str, Any] = {"ssl_context": context}
        assert (await connection.request("GET", url, extensions=extensions)).status == 200
        for other in (None, origin.options["ssl_context"], trusting(certificate_authority)):
            with pytest.raises(RuntimeError) as caught:
                await connection.request("GET", url, extensions={"ssl_context": other})
            assert str(caught.value) == (
                "Attempted to send a request with another ssl_context than that with which the connection to "
                f"{url.origin} was made: its certificate was checked by that one alone. "
                "Use another connection, or a pool."
            )
        assert (await connection.request("GET", url, extensions=extensions)).status == 200
        await connection.aclose()

    with tls_origin(certificate_authority, ["127.0.0.1"], protocol) as origin:
        runtime.run(scenario)
    assert len(origin.names) == 1


def test_a_context_of_a_wrong_type_is_refused_before_connecting(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool:
            with pytest.raises(
                TypeError, match=r"extensions\['ssl_context'\] must be .* but got int"
            ):
                await fetch(pool, "https://127.0.0.1:9/", 7)
            assert pool.connections == []

    runtime.run(scenario)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_pool_refers_to_a_context_for_as_long_as_a_connection_of_it_is_open(
    runtime: TestedRuntime, certificate_authority: trustme.CA, protocol: str
) -> None:
    async def scenario() -> None:
        async with runtime.pool(max_connections=1, **origin.options) as pool:
            context = trusting(certificate_authority)
            reference = ref(context)
            await fetch(pool, origin.url, context)
            del context
            gc.collect()
            # No other object can have its identity, and so get its connection.
            assert reference() is not None
            await fetch(pool, origin.url, None)  # closes the idle connection
            await runtime.let_others_run()
            gc.collect()
            assert reference() is None

    with tls_origin(certificate_authority, ["127.0.0.1"], protocol) as origin:
        runtime.run(scenario)
    assert len(origin.names) == 2


def test_a_context_with_the_identity_of_a_collected_one_does_not_get_its_connections(
    runtime: TestedRuntime, certificate_authority: trustme.CA
) -> None:
    async def scenario() -> None:
        async with runtime.pool(**origin.options) as pool:
            identities = set()
            for count in range(1, 10):
                context = trusting(certificate_authority)
                identities.add(id(context))
                await fetch(pool, origin.url, context)
                del context
                gc.collect()
                # Each is in use by an idle connection, so that none has the identity of another.
                assert len(identities) == len(pool.connections) == count

    with tls_origin(certificate_authority, ["127.0.0.1"], "HTTP/1.1") as origin:
        runtime.run(scenario)
    assert len(origin.names) == 9
