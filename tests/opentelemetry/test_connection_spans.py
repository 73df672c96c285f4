"""Spans of connections: their steps, their errors, and the links from the spans of requests."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode

import httpcore2

from ..support.h2peer import answering, speaking
from ..support.runtimes import TestedRuntime
from ..support.scripted_servers import canned_responses, response, scripted_server, unused_port
from .conftest import Telemetry

FINE = response(b"fine")


class Nowhere(httpcore2.Resolver, httpcore2.AsyncResolver):
    """Finds no address of any host."""

    def resolve(self, host: str, port: int, timeout: float | None = None) -> Sequence[str]:
        raise OSError(f"{host} has no address")

    async def aresolve(self, host: str, port: int, timeout: float | None = None) -> Sequence[str]:
        return self.resolve(host, port)


def by_name(telemetry: Telemetry) -> dict[str, ReadableSpan]:
    spans = {span.name: span for span in telemetry.spans()}
    assert len(spans) == len(telemetry.spans())
    return spans


def attributes_of(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def test_a_connection_has_a_trace_with_a_span_for_each_step(
    runtime: TestedRuntime,
    telemetry: Telemetry,
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
) -> None:
    async def scenario() -> None:
        async with runtime.pool(ssl_context=client_tls) as pool:
            pool.observe(telemetry.observer(connection_spans=True, optional_metrics="all"))
            await pool.request("GET", f"https://localhost:{server.port}/")

    with scripted_server(canned_responses([FINE]), tls=server_tls) as server:
        runtime.run(scenario)
    spans = {span.name: span for span in telemetry.spans()}
    setup, request = spans["HTTP connection_setup"], spans["GET"]
    assert setup.parent is None
    assert [link.context for link in request.links] == [setup.context]
    peer = attributes_of(setup)["network.peer.address"]
    assert attributes_of(setup) == {
        "network.peer.address": peer,
        "network.peer.port": server.port,
        "server.address": "localhost",
        "server.port": server.port,
    }
    for name in ("DNS lookup", "socket connect", "TLS handshake"):
        assert spans[name].parent == setup.context
    lookup = attributes_of(spans["DNS lookup"])
    assert lookup["dns.question.name"] == "localhost"
    assert peer in lookup["dns.answers"]
    assert attributes_of(spans["TLS handshake"]) == {
        "tls.cipher": "TLS_AES_256_GCM_SHA384",
        "tls.client.server_name": "localhost",
        "tls.protocol.version": "1.3",
    }
    point = telemetry.point("dns.lookup.duration")
    assert (point.count, dict(point.attributes)) == (1, {"dns.question.name": "localhost"})


def test_a_later_request_on_a_connection_has_the_same_link(telemetry: Telemetry) -> None:
    with (
        scripted_server(canned_responses([FINE] * 2)) as server,
        httpcore2.ConnectionPool() as pool,
    ):
        pool.observe(telemetry.observer(connection_spans=True))
        for _ in range(2):
            pool.request("GET", server.url)
    first, second = (span for span in telemetry.spans() if span.name == "GET")
    assert first.links[0].context == second.links[0].context
    assert first.links[0].context != first.context


def test_a_step_that_fails_ends_its_span_and_that_of_the_connection_with_an_error(
    runtime: TestedRuntime, telemetry: Telemetry
) -> None:
    port = unused_port()

    async def scenario() -> None:
        async with runtime.pool() as pool:
            pool.observe(telemetry.observer(connection_spans=True, optional_metrics="all"))
            with pytest.raises(httpcore2.ConnectError):
                await pool.request("GET", f"http://127.0.0.1:{port}/")

    runtime.run(scenario)
    spans = by_name(telemetry)
    assert spans.keys() == {"socket connect", "HTTP connection_setup", "GET"}, "no name resolution"
    assert all(span.status.status_code is StatusCode.ERROR for span in spans.values())
    assert attributes_of(spans["socket connect"]) == {
        "error.type": "ConnectionRefusedError",
        "network.peer.address": "127.0.0.1",
        "network.peer.port": port,
    }
    assert not spans["GET"].links
    assert "dns.lookup.duration" not in telemetry.points()


def test_a_name_that_does_not_resolve_is_recorded_with_its_error(
    runtime: TestedRuntime, telemetry: Telemetry
) -> None:
    async def scenario() -> None:
        async with runtime.pool(resolver=Nowhere()) as pool:
            pool.observe(telemetry.observer(connection_spans=True, optional_metrics="all"))
            with pytest.raises(httpcore2.ConnectError):
                await pool.request("GET", "http://missing.example/")

    runtime.run(scenario)
    spans = by_name(telemetry)
    assert attributes_of(spans["DNS lookup"])["error.type"]
    assert telemetry.point("dns.lookup.duration").attributes["error.type"]


def test_a_connection_over_a_unix_socket_has_the_path_as_its_peer(
    telemetry: Telemetry, tmp_path: Any
) -> None:
    path = tmp_path / "socket"
    with (
        scripted_server(canned_responses([FINE]), uds=path) as server,
        httpcore2.ConnectionPool(uds=str(path)) as pool,
    ):
        assert server.accepted == 0
        pool.observe(telemetry.observer(connection_spans=True))
        pool.request("GET", "http://service/")
    spans = by_name(telemetry)
    assert attributes_of(spans["socket connect"]) == {"network.peer.address": str(path)}
    assert attributes_of(spans["GET"])["network.peer.address"] == str(path)


def test_the_protocol_that_tls_agreed_on_is_recorded(
    telemetry: Telemetry, h2_server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    with (
        scripted_server(speaking(answering()), tls=h2_server_tls) as server,
        httpcore2.ConnectionPool(ssl_context=client_tls, http2=True) as pool,
    ):
        pool.observe(telemetry.observer(connection_spans=True))
        pool.request("GET", server.url)
    assert attributes_of(by_name(telemetry)["TLS handshake"])["tls.next_protocol"] == "h2"


def test_without_connection_spans_there_is_the_span_of_the_request_alone(
    telemetry: Telemetry, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    with (
        scripted_server(canned_responses([FINE]), tls=server_tls) as server,
        httpcore2.ConnectionPool(ssl_context=client_tls) as pool,
    ):
        pool.observe(telemetry.observer())
        pool.request("GET", f"https://localhost:{server.port}/")
    assert by_name(telemetry).keys() == {"GET"}
