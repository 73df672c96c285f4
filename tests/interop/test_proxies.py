"""Requests through real proxies, with and without credentials, to origins of each kind."""

from __future__ import annotations

import socket
import ssl
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any, NamedTuple

import pytest
import trustme

import httpcore2

from ..support import real_servers
from ..support.real_proxies import PASSWORD, SETUPS, USER, Proxies
from ..support.runtimes import TestedRuntime
from ..support.scripted_servers import refusing_port

CONTENT = bytes(range(250)) * 400

EACH = [(name, scheme) for name, kind in SETUPS.items() for scheme in kind.schemes]
LOCKED = [(name, scheme) for name, scheme in EACH if SETUPS[name].locked]
OPEN = [(name, scheme) for name, scheme in EACH if not SETUPS[name].locked]
# With SOCKS4 the client resolves names.
WITH_NAMES = [(name, scheme) for name, scheme in OPEN if scheme != "socks4"]
# SOCKS4 has no IPv6 addresses, and proxy.py resolves them with their brackets.
WITH_IPV6 = [
    (name, scheme) for name, scheme in OPEN if "socks4" not in scheme and name != "proxy.py"
]

Credentials = tuple[str, str] | None


class Origins(NamedTuple):
    http: str
    https: str
    """HTTP/1.1 and HTTP/2; it also listens on `localhost` and `::1`."""
    nginx: str
    """HTTP/2 over TLS."""


class Route(NamedTuple):
    """A route through a running proxy."""

    name: str
    scheme: str
    port: int
    uds: str | None
    pool: Callable[..., httpcore2.AsyncConnectionPool]
    """Returns a pool that uses the route, given a runtime, optional credentials, and arguments of the pool."""

    def refusal(self, credentials: Credentials) -> str:
        """Return the text of the refusal that the proxy sends for wrong or missing credentials."""
        if self.scheme in ("http", "https"):
            # tinyproxy refuses wrong credentials with the origin's status, 401.
            return "401 Unauthorized" if credentials and "tinyproxy" in self.name else "407 Proxy"
        if "socks4" in self.scheme:
            return "another user id"
        return "Invalid username/password" if credentials else "NO ACCEPTABLE METHODS"


def _has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def _id(param: tuple[str, str]) -> str:
    return "-".join(param)


@pytest.fixture(scope="session")
def proxies(
    certificate_authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxies]:
    certificate = tmp_path_factory.mktemp("certificate") / "proxy.pem"
    issued = certificate_authority.issue_cert("127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(certificate)
    with Proxies(tmp_path_factory.mktemp, certificate, certificate_authority) as proxies:
        yield proxies


@pytest.fixture(scope="session")
def origins(
    certificate_authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Origins]:
    make_folder = tmp_path_factory.mktemp
    certificate = make_folder("certificate") / "origin.pem"
    issued = certificate_authority.issue_cert("127.0.0.1", "localhost", "::1")
    issued.private_key_and_cert_chain_pem.write_to_path(certificate)
    ipv6 = _has_ipv6()
    with ExitStack() as servers:
        start = servers.enter_context
        yield Origins(
            start(real_servers.running_server("hypercorn", make_folder("http"), None)),
            start(
                real_servers.running_server(
                    "hypercorn", make_folder("https"), certificate, ipv6=ipv6
                )
            ),
            start(
                real_servers.running_server("nginx", make_folder("nginx"), certificate, http2=True)
            ),
        )


@pytest.fixture(scope="session")
def contexts(certificate_authority: trustme.CA) -> dict[str, ssl.SSLContext]:
    """Return the clients' SSL contexts by peer. They are separate, since a pool sets its ALPN protocols."""
    contexts = {}
    for peer in ("proxy", "origin", "http2 origin", "mitmproxy", "http2 mitmproxy"):
        context = contexts[peer] = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        certificate_authority.configure_trust(context)
        if "mitmproxy" not in peer:
            # Python 3.13's default. mitmproxy's certificates lack the identifier of their authority's key.
            context.verify_flags |= ssl.VERIFY_X509_STRICT
    return contexts


@pytest.fixture
def route(
    request: pytest.FixtureRequest, proxies: Proxies, contexts: dict[str, ssl.SSLContext]
) -> Iterator[Route]:
    name, scheme = request.param
    kind, proxy = SETUPS[name], proxies[name]
    uds = str(proxy.socket) if kind.unix else None
    required = (USER, PASSWORD) if kind.locked else None

    def pool(
        runtime: TestedRuntime, credentials: Credentials = required, **options: Any
    ) -> httpcore2.AsyncConnectionPool:
        if credentials and "socks4" in scheme:
            credentials = credentials[0], ""
        origin = "mitmproxy" if kind.program.startswith("mitmproxy") else "origin"
        return runtime.pool(
            proxy=httpcore2.Proxy(
                f"{scheme}://127.0.0.1:{proxy.port}",
                auth=credentials,
                headers={"X-Proxy": "for the proxy only"},
                ssl_context=contexts["proxy"] if scheme == "https" else None,
            ),
            ssl_context=contexts[f"http2 {origin}" if options.get("http2") else origin],
            uds=uds,
            **options,
        )

    before = len(proxies.log(name))
    yield Route(name, scheme, proxy.port, uds, pool)
    # pytest prints it if the test fails.
    sys.stdout.write(proxies.log(name)[before:])


def used_route(reply: httpcore2.Response, route: Route) -> bool:
    address = reply.extensions["network_stream"].get_extra_info("server_addr")
    if route.uds is not None:
        # haproxy appends a suffix to the path while it sets the socket up.
        return str(address).startswith(route.uds)
    return bool(address == ("127.0.0.1", route.port))


@pytest.mark.parametrize("route", EACH, ids=_id, indirect=True)
def test_an_http_origin_is_reached(runtime: TestedRuntime, route: Route, origins: Origins) -> None:
    async def scenario() -> None:
        async with route.pool(runtime) as pool:
            # This request is first, because it can't be sent again: tinyproxy closes connections without notice.
            body = runtime.body([CONTENT[:50_000], CONTENT[50_000:]])
            reply = await pool.request("POST", f"{origins.http}/echo", content=body)
            assert (reply.status, reply.content) == (200, CONTENT)
            async with pool.stream("GET", f"{origins.http}/bytes/1000") as reply:
                assert used_route(reply, route)
            assert len((await pool.request("GET", f"{origins.http}/stream/9999")).content) == 9999
            head = await pool.request("HEAD", f"{origins.http}/bytes/1000")
            assert (head.status, head.content) == (200, b"")
            assert len(pool.connections) <= 1

    runtime.run(scenario)


@pytest.mark.parametrize("route", EACH, ids=_id, indirect=True)
def test_an_https_origin_is_reached(runtime: TestedRuntime, route: Route, origins: Origins) -> None:
    async def scenario() -> None:
        async with route.pool(runtime) as pool:
            reply = await pool.request("POST", f"{origins.https}/echo", content=CONTENT)
            assert (reply.status, reply.content) == (200, CONTENT)
            assert used_route(reply, route)
            reply = await pool.request("GET", f"{origins.https}/headers")
            assert reply.extensions["http_version"] == b"HTTP/1.1"
            assert b"host: 127.0.0.1" in reply.content.lower()
            assert b"proxy" not in reply.content.lower()
            assert len(pool.connections) == 1

    runtime.run(scenario)


@pytest.mark.parametrize("route", EACH, ids=_id, indirect=True)
def test_an_http2_origin_is_reached(runtime: TestedRuntime, route: Route, origins: Origins) -> None:
    async def scenario() -> None:
        async with route.pool(runtime, http2=True) as pool:

            async def echo(number: int) -> None:
                content = CONTENT[: 10_000 + number]
                reply = await pool.request("POST", f"{origins.https}/echo", content=content)
                assert (reply.status, reply.content) == (200, content)
                assert reply.extensions["http_version"] == b"HTTP/2"
                assert used_route(reply, route)

            await runtime.gather(*[partial(echo, number) for number in range(4)])
            reply = await pool.request("GET", f"{origins.nginx}/1000000")
            assert reply.content == bytes(1_000_000)
            assert reply.extensions["http_version"] == b"HTTP/2"
            assert len(pool.connections) == 2

    runtime.run(scenario)


@pytest.mark.parametrize("route", LOCKED, ids=_id, indirect=True)
def test_missing_and_wrong_credentials_are_refused(
    runtime: TestedRuntime, route: Route, origins: Origins
) -> None:
    async def scenario() -> None:
        for credentials in (None, ("mallory", "gue55ed")):
            refusal = route.refusal(credentials)
            async with route.pool(runtime, credentials) as pool:
                if refusal[:3].isdigit():
                    refused = await pool.request("GET", f"{origins.http}/bytes/1")
                    assert refused.status == int(refusal[:3])
                else:
                    with pytest.raises(httpcore2.ProxyError, match=refusal):
                        await pool.request("GET", f"{origins.http}/bytes/1")
                with pytest.raises(httpcore2.ProxyError, match=refusal) as caught:
                    await pool.request("GET", f"{origins.https}/bytes/1")
                text = "".join(traceback.format_exception_only(caught.value))
                assert "gue55ed" not in text
                if route.scheme in ("http", "https"):
                    hint = "did not accept" if credentials else "give them with Proxy("
                    assert hint in text
                assert "0 active, 0 queued | Connections: 0 active" in repr(pool)

    runtime.run(scenario)


@pytest.mark.parametrize("route", WITH_NAMES, ids=_id, indirect=True)
def test_the_proxy_resolves_the_name_of_the_origin(
    runtime: TestedRuntime, route: Route, origins: Origins, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_up = socket.getaddrinfo

    def watched(host: Any, *arguments: Any, **options: Any) -> Any:
        assert host not in ("localhost", b"localhost")
        return look_up(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", watched)

    async def scenario() -> None:
        async with route.pool(runtime) as pool:
            origin = origins.https.replace("127.0.0.1", "localhost")
            assert (await pool.request("GET", f"{origin}/bytes/9")).content == bytes(9)

    runtime.run(scenario)


@pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize("route", WITH_IPV6, ids=_id, indirect=True)
def test_an_origin_with_an_ipv6_address_is_reached(
    runtime: TestedRuntime, route: Route, origins: Origins
) -> None:
    async def scenario() -> None:
        async with route.pool(runtime) as pool:
            origin = origins.https.replace("127.0.0.1", "[::1]")
            assert (await pool.request("GET", f"{origin}/bytes/9")).content == bytes(9)

    runtime.run(scenario)


@pytest.mark.parametrize("route", OPEN, ids=_id, indirect=True)
def test_the_refusal_of_an_origin_raises_an_error(
    runtime: TestedRuntime, route: Route, origins: Origins
) -> None:
    async def scenario() -> None:
        async with route.pool(runtime) as pool:
            with pytest.raises(httpcore2.ProxyError):
                await pool.request("GET", f"https://127.0.0.1:{port}/")
            assert pool.connections == []
            assert (await pool.request("GET", f"{origins.https}/bytes/9")).content == bytes(9)

    with refusing_port() as port:
        runtime.run(scenario)
