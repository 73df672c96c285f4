"""Alt-Svc: where a pool uses HTTP/3, and that no request fails because of it."""

from __future__ import annotations

import logging
import re
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import pytest
import trustme

import httpcore2
from httpcore2_core._api import async_connection
from httpcore2_core._connect import http3_dial
from httpcore2_core._http.alternatives import Alternative, AlternativeServices
from httpcore2_core._http.memory import Memory
from httpcore2_core.testing import ReceivedRequest, Script, ScriptedServer, reply

from ..support.h3peer import H3Peer, answering
from ..support.lossy_relay import LossyRelay
from ..support.resolvers import RecordingResolver
from ..support.runtimes import TestedRuntime
from .conftest import HTTP3_ONLY, Serve


class Origin:
    """A server over TLS and TCP, whose responses have an Alt-Svc field."""

    def __init__(self, server_tls: ssl.SSLContext) -> None:
        self.alt_svc = ""
        self.server = ScriptedServer(Script(*[self.answer] * 20), ssl_context=server_tls)

    def answer(self, request: ReceivedRequest) -> bytes:
        if request.method == b"CONNECT":
            return b"HTTP/1.1 200 OK\r\n\r\n"
        if request.header("upgrade"):
            return reply(101, b"", {"Connection": "Upgrade", "Upgrade": "websocket"})
        return reply(200, b"tcp", {"Alt-Svc": self.alt_svc} if self.alt_svc else ())

    @property
    def url(self) -> str:
        return self.server.url


@pytest.fixture
def origin(server_tls: ssl.SSLContext) -> Iterator[Origin]:
    origin = Origin(server_tls)
    with origin.server:
        yield origin


@pytest.fixture
def unused_udp() -> Iterator[int]:
    """Return a UDP port that drops all datagrams."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


async def fetch(pool: httpcore2.AsyncConnectionPool, url: str, **extensions: Any) -> str:
    response = await pool.request("GET", url, extensions=extensions)
    assert response.status == 200
    return bytes(response.extensions["http_version"]).decode()


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(async_connection, "RACE_DELAY", 0.02)


@pytest.fixture
def dials(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the attempts to connect over HTTP/3, the first one first."""
    dials: list[Any] = []
    real_init = http3_dial.HTTP3Dial.__init__

    def remember(self: Any, *args: Any) -> None:
        real_init(self, *args)
        dials.append(self)

    monkeypatch.setattr(http3_dial.HTTP3Dial, "__init__", remember)
    return dials


def offer(pool: Any, url: str, port: int) -> None:
    """Let the origin of `url` have offered HTTP/3 on a port."""
    engine = getattr(pool, "_engine", None) or pool.wrapped._engine
    site = (b"127.0.0.1", int(url.split(":")[2][:-1]))
    fields = [(b"alt-svc", b'h3=":%d"' % port)]
    engine.memory.of(AlternativeServices).learn(site, fields, 1e12)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    # A handshake on a machine under load may take longer than 250 ms.
    monkeypatch.setattr(async_connection, "RACE_DELAY", 10.0)


@pytest.mark.usefixtures("patient")
def test_the_request_after_an_alt_svc_field_uses_http3(
    runtime: TestedRuntime, serve: Serve, origin: Origin, client_tls: ssl.SSLContext
) -> None:
    with serve(answering()) as server:
        origin.alt_svc = f'h3=":{server.port}"; ma=60'

        async def main() -> None:
            async with runtime.pool(ssl_context=client_tls, http3=True) as pool:
                versions = [await fetch(pool, origin.url) for _ in range(3)]
                assert versions == ["HTTP/1.1", "HTTP/3", "HTTP/3"]
                assert len(pool.connections) == 2
                # What a request overrides of TLS, its connection was not made with.
                assert await fetch(pool, origin.url, sni_hostname="localhost") == "HTTP/1.1"

        runtime.run(main)
        (peer,) = server.peers
        authority = origin.url.split("/")[2].encode()
        assert peer.requests[0][b":authority"] == authority, "it is the origin's"


@pytest.mark.usefixtures("patient")
def test_concurrent_requests_share_the_dial(
    runtime: TestedRuntime, serve: Serve, origin: Origin, client_tls: ssl.SSLContext
) -> None:
    with serve(answering()) as server:
        origin.alt_svc = f'h3=":{server.port}"'

        async def main() -> None:
            async with runtime.pool(ssl_context=client_tls, http3=True) as pool:
                await fetch(pool, origin.url)

                async def send() -> str:
                    return await fetch(pool, origin.url)

                assert set(await runtime.gather(*[send] * 10)) == {"HTTP/3"}
                assert len(pool.connections) == 2

        runtime.run(main)


@pytest.mark.usefixtures("patient")
def test_connections_over_tcp_and_over_http3_count_towards_one_limit(
    runtime: TestedRuntime, serve: Serve, origin: Origin, client_tls: ssl.SSLContext
) -> None:
    with serve(answering()) as server:
        origin.alt_svc = f'h3=":{server.port}"'

        async def main() -> None:
            options: dict[str, Any] = {"http3": True, "max_connections_per_origin": 1}
            async with runtime.pool(ssl_context=client_tls, **options) as pool:
                versions = [await fetch(pool, origin.url) for _ in range(3)]
                assert versions == ["HTTP/1.1", "HTTP/3", "HTTP/3"]
                (of_origin,) = pool.stats().origins.values()
                assert of_origin.idle_connections == 1

        runtime.run(main)


@pytest.mark.usefixtures("patient")
def test_connections_are_opened_ahead_over_http3_and_leased_over_tcp(
    runtime: TestedRuntime, serve: Serve, origin: Origin, client_tls: ssl.SSLContext
) -> None:
    with serve(answering()) as server:
        origin.alt_svc = f'h3=":{server.port}"'

        async def main() -> None:
            options: dict[str, Any] = {"http3": True, "keepalive_expiry": 60.0}
            async with runtime.pool(ssl_context=client_tls, **options) as pool:
                await fetch(pool, origin.url)
                assert await pool.connect(origin.url) == 1
                assert len(server.peers) == 1
                assert await fetch(pool, origin.url) == "HTTP/3"
                async with pool.lease(origin.url) as lease:
                    response = await lease.request("GET", origin.url)
                    assert response.extensions["http_version"] == b"HTTP/1.1"

        runtime.run(main)


TUNNEL: dict[bytes | str, bytes | str] = {"Host": "example.com:80"}
WEBSOCKET: dict[bytes | str, bytes | str] = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Key": "x",
}


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("kind", ["CONNECT", "websocket"])
def test_tunnels_and_websockets_use_tcp_though_http3_is_offered(
    runtime: TestedRuntime, serve: Serve, origin: Origin, client_tls: ssl.SSLContext, kind: str
) -> None:
    with serve(answering()) as server:
        origin.alt_svc = f'h3=":{server.port}"'

        async def main() -> None:
            async with runtime.pool(ssl_context=client_tls, http3=True) as pool:
                assert await fetch(pool, origin.url) == "HTTP/1.1"
                assert await fetch(pool, origin.url) == "HTTP/3"
                if kind == "CONNECT":
                    method, url, expected = "CONNECT", origin.url, 200
                else:
                    method, url, expected = "GET", origin.url.replace("https", "wss"), 101
                fields = TUNNEL if kind == "CONNECT" else WEBSOCKET
                extensions = {"target": b"example.com:80"} if kind == "CONNECT" else {}
                async with pool.stream(method, url, headers=fields, extensions=extensions) as reply:
                    assert reply.status == expected
                    assert reply.extensions["http_version"] == b"HTTP/1.1"
                assert await fetch(pool, origin.url) == "HTTP/3"

        runtime.run(main)


@pytest.mark.usefixtures("patient")
def test_an_alternative_that_is_cleared_is_used_no_more(
    runtime: TestedRuntime, serve: Serve, origin: Origin, client_tls: ssl.SSLContext
) -> None:
    def script(peer: H3Peer) -> None:
        stream_id = peer.whole_request()
        peer.respond(stream_id, b"", (b"alt-svc", b"clear"))

    with serve(script) as server:
        origin.alt_svc = f'h3=":{server.port}"'

        async def main() -> None:
            async with runtime.pool(ssl_context=client_tls, http3=True) as pool:
                assert await fetch(pool, origin.url) == "HTTP/1.1"
                assert await fetch(pool, origin.url) == "HTTP/3"
                origin.alt_svc = ""
                assert await fetch(pool, origin.url) == "HTTP/1.1"

        runtime.run(main)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("is_refused", [False, True])
def test_an_alternative_that_is_not_there_costs_one_request_a_pause(
    runtime: TestedRuntime,
    origin: Origin,
    unused_udp: int,
    client_tls: ssl.SSLContext,
    is_refused: bool,
) -> None:
    port = unused_udp
    if is_refused:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.1", 0))
            port = sock.getsockname()[1]
    origin.alt_svc = f'h3=":{port}"'

    async def main() -> None:
        async with runtime.pool(ssl_context=client_tls, http3=True) as pool:
            for _ in range(4):
                assert await fetch(pool, origin.url) == "HTTP/1.1"
            # The second request made a connection over TCP beside the first one's; the others tried no UDP.
            assert len(pool.connections) == 2

    runtime.run(main)


@pytest.mark.usefixtures("soon")
def test_a_network_without_udp_costs_no_request_and_only_one_a_pause(
    runtime: TestedRuntime, serve: Serve, origin: Origin, client_tls: ssl.SSLContext
) -> None:
    with (
        serve(answering()) as server,
        LossyRelay(server.port, seed=1, loss=0.0).running() as relay,
    ):
        relay.is_silent = True
        origin.alt_svc = f'h3=":{relay.port}"; ma=60'

        async def main() -> None:
            async with runtime.pool(ssl_context=client_tls, http3=True) as pool:
                events: list[tuple[str, dict[str, Any]]] = []
                for _ in range(6):
                    assert await fetch(pool, origin.url, trace=runtime.trace(events)) == "HTTP/1.1"
                dials = [name for name, _ in events if name == "connection.connect_udp.started"]
                # The second request has tried it; those after it have not.
                assert len(dials) == 1

        runtime.run(main)
    assert not server.peers


@pytest.mark.usefixtures("patient")
def test_a_network_that_drops_udp_from_some_time_on_costs_one_request_its_read_timeout(
    runtime: TestedRuntime,
    serve: Serve,
    origin: Origin,
    client_tls: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("httpcore2_http3._session._SILENCE", 0.05)
    with (
        serve(answering()) as server,
        LossyRelay(server.port, seed=1, loss=0.0).running() as relay,
    ):
        origin.alt_svc = f'h3=":{relay.port}"; ma=60'

        async def main() -> None:
            async with runtime.pool(ssl_context=client_tls, http3=True) as pool:
                assert await fetch(pool, origin.url) == "HTTP/1.1"
                assert await fetch(pool, origin.url) == "HTTP/3"
                relay.is_silent = True
                with pytest.raises(httpcore2.ReadTimeout):
                    await fetch(pool, origin.url, timeout={"read": 0.2})
                monkeypatch.setattr(async_connection, "RACE_DELAY", 0.02)
                for _ in range(4):
                    assert await fetch(pool, origin.url) == "HTTP/1.1"

        runtime.run(main)


@pytest.mark.usefixtures("patient")
def test_a_network_that_drops_udp_during_a_response_costs_no_other_request(
    runtime: TestedRuntime,
    serve: Serve,
    origin: Origin,
    client_tls: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("httpcore2_http3._session._SILENCE", 0.05)

    def script(peer: H3Peer) -> None:
        stream_id = peer.whole_request()
        peer.head(stream_id)
        peer.data(stream_id, b"first")
        peer.until_end()

    with (
        serve(script) as server,
        LossyRelay(server.port, seed=1, loss=0.0).running() as relay,
    ):
        origin.alt_svc = f'h3=":{relay.port}"; ma=60'

        async def main() -> None:
            async with runtime.pool(ssl_context=client_tls, http3=True) as pool:
                assert await fetch(pool, origin.url) == "HTTP/1.1"
                extensions = {"timeout": {"read": 0.2}}
                async with pool.stream("GET", origin.url, extensions=extensions) as response:
                    assert response.extensions["http_version"] == b"HTTP/3"
                    chunks = response.aiter_stream()
                    assert await anext(chunks) == b"first"
                    relay.is_silent = True
                    with pytest.raises(httpcore2.ReadTimeout):
                        await anext(chunks)
                monkeypatch.setattr(async_connection, "RACE_DELAY", 0.02)
                for _ in range(4):
                    assert await fetch(pool, origin.url) == "HTTP/1.1"

        runtime.run(main)


@pytest.mark.usefixtures("patient")
def test_an_alternative_whose_certificate_is_wrong_is_not_used(
    runtime: TestedRuntime, serve: Serve, origin: Origin, client_tls: ssl.SSLContext
) -> None:
    # A server of an authority that nobody trusts.
    stranger = trustme.CA().issue_cert("127.0.0.1").private_key_and_cert_chain_pem.bytes()
    with serve(answering()) as server:
        server.certificate = stranger
        origin.alt_svc = f'h3=":{server.port}"'

        async def main() -> None:
            async with runtime.pool(ssl_context=client_tls, http3=True) as pool:
                for _ in range(3):
                    assert await fetch(pool, origin.url) == "HTTP/1.1"

        runtime.run(main)


@pytest.mark.usefixtures("soon")
def test_http3_wins_if_its_answer_has_come_when_tcp_is_ready(
    runtime: TestedRuntime,
    serve: Serve,
    origin: Origin,
    client_tls: ssl.SSLContext,
    dials: list[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = async_connection.AsyncHTTPConnection._establish_over_tcp

    async def late(self: Any, request: Any, timeouts: Any) -> Any:
        connection = await real(self, request, timeouts)
        if dials:
            relay.is_silent = False
            await runtime.wait_until(dials[0].is_ready)
        return connection

    with serve(answering()) as server, LossyRelay(server.port, seed=1, loss=0.0).running() as relay:
        relay.is_silent = True
        origin.alt_svc = f'h3=":{relay.port}"'
        monkeypatch.setattr(async_connection.AsyncHTTPConnection, "_establish_over_tcp", late)

        async def main() -> None:
            async with runtime.pool(ssl_context=client_tls, http3=True) as pool:
                assert await fetch(pool, origin.url) == "HTTP/1.1"
                assert await fetch(pool, origin.url) == "HTTP/3"

        runtime.run(main)


@pytest.mark.usefixtures("soon")
def test_http3_serves_an_origin_whose_tcp_port_is_closed(
    runtime: TestedRuntime,
    serve: Serve,
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    dials: list[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    origin = Origin(server_tls)
    with serve(answering()) as server, LossyRelay(server.port, seed=1, loss=0.0).running() as relay:
        relay.is_silent = True
        with origin.server:
            url = origin.url

        async def refuse(self: Any, request: Any, timeouts: Any) -> Any:
            relay.is_silent = False
            await runtime.wait_until(dials[0].is_ready)
            raise httpcore2.ConnectError("refused")

        monkeypatch.setattr(async_connection.AsyncHTTPConnection, "_establish_over_tcp", refuse)

        async def main() -> None:
            async with runtime.pool(ssl_context=client_tls, http3=True) as pool:
                offer(pool, url, relay.port)
                assert await fetch(pool, url) == "HTTP/3"

        runtime.run(main)


@pytest.mark.usefixtures("soon")
def test_the_error_is_that_of_tcp_if_neither_is_there(
    runtime: TestedRuntime,
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    unused_udp: int,
) -> None:
    origin = Origin(server_tls)
    with origin.server:
        url = origin.url

    async def main() -> None:
        async with runtime.pool(ssl_context=client_tls, http3=True) as pool:
            offer(pool, url, unused_udp)
            with pytest.raises(httpcore2.ConnectError, match=r"refused|Connect call failed"):
                await fetch(pool, url)

    runtime.run(main)


@pytest.mark.usefixtures("patient")
def test_an_alternative_whose_host_is_not_resolved_is_not_used(
    runtime: TestedRuntime, origin: Origin, client_tls: ssl.SSLContext
) -> None:
    table = {"127.0.0.1": ["127.0.0.1"], "a.test": httpcore2.ConnectError("unknown host")}
    resolver = RecordingResolver(table)
    origin.alt_svc = 'h3="a.test:443"'

    async def main() -> None:
        async with runtime.pool(ssl_context=client_tls, http3=True, resolver=resolver) as pool:
            for _ in range(2):
                assert await fetch(pool, origin.url) == "HTTP/1.1"
        assert ("a.test", 443) in resolver.queries

    runtime.run(main)


# Settings with which HTTP/3 can't be used


class OwnBackend(httpcore2.SyncBackend):
    def connect_tcp(self, *args: Any, **options: Any) -> httpcore2.NetworkStream:
        return super().connect_tcp(*args, **options)


def strange_context() -> ssl.SSLContext:
    class OwnContext(ssl.SSLContext):
        pass

    return OwnContext(ssl.PROTOCOL_TLS_CLIENT)


UNUSABLE: dict[str, tuple[dict[str, Any], str]] = {
    "proxy": ({"proxy": httpcore2.Proxy("http://127.0.0.1:1")}, "proxy"),
    "uds": ({"uds": "/tmp/socket"}, "HTTP/3 needs UDP"),
    "backend": ({"network_backend": OwnBackend()}, "has no connect_udp"),
    "context": ({"ssl_context": strange_context()}, "verifies certificates by itself"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_what_excludes_http3_is_an_error_if_nothing_else_is_allowed(case: str) -> None:
    options, message = UNUSABLE[case]
    with pytest.raises(
        ValueError, match=f"http3=True can't be the only protocol.*{message}|{message}"
    ):
        httpcore2.ConnectionPool(**HTTP3_ONLY, **options)


@pytest.mark.parametrize("case", UNUSABLE)
def test_what_excludes_http3_is_logged_if_other_protocols_are_allowed(
    case: str, caplog: pytest.LogCaptureFixture
) -> None:
    options, message = UNUSABLE[case]
    with caplog.at_level(logging.DEBUG, "httpcore2.connection"):
        pool = httpcore2.ConnectionPool(http3=True, **options)
    assert pool._engine.alternatives is None
    assert re.search(f"http3=True has no effect: .*{message}", caplog.text)


def test_a_connection_without_a_pool_knows_no_alternative(
    runtime: TestedRuntime, origin: Origin, client_tls: ssl.SSLContext
) -> None:
    origin.alt_svc = 'h3=":1"'

    async def main() -> None:
        port = int(origin.url.split(":")[2][:-1])
        target = httpcore2.Origin(b"https", b"127.0.0.1", port)
        async with runtime.connection(target, ssl_context=client_tls, http3=True) as connection:
            for _ in range(2):
                response = await connection.request("GET", origin.url)
                assert response.extensions["http_version"] == b"HTTP/1.1"

    runtime.run(main)


def test_no_protocol_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="leaves no protocol"):
        httpcore2.ConnectionPool(http1=False)


def test_the_target_names_an_alternative_host() -> None:
    origin = httpcore2.Origin(b"https", b"example.com", 443)
    config = httpcore2.ConnectionPool()._config.connection
    target = http3_dial.HTTP3Target(
        origin, Alternative(b"other.example.com", 8443), config, Memory()
    )
    assert str(target) == "https://example.com:443 over HTTP/3 at other.example.com:8443"
