"""A client above that is instrumented itself: its span is enriched, and there is no second one."""

from __future__ import annotations

import httpx
import pytest
from opentelemetry import trace
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.trace import SpanKind

import httpcore2

from ..support.scripted_servers import Peer, response, scripted_server
from .conftest import Telemetry


class Transport(httpx.BaseTransport):
    """httpx over a pool of httpcore2."""

    def __init__(self, pool: httpcore2.ConnectionPool) -> None:
        self._pool = pool

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        reply = self._pool.request(
            request.method, str(request.url), headers=request.headers.raw, content=request.read()
        )
        return httpx.Response(reply.status, headers=reply.headers, content=reply.content)


def echoing_headers(peer: Peer) -> None:
    while (request := peer.receive_request()) is not None:
        peer.send(response(request[0]))


def test_the_span_of_an_instrumented_client_is_enriched_and_not_doubled(
    telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "http")
    with (
        scripted_server(echoing_headers) as server,
        httpcore2.ConnectionPool() as pool,
        httpx.Client(transport=Transport(pool)) as client,
    ):
        pool.observe(telemetry.observer())
        HTTPXClientInstrumentor.instrument_client(client, tracer_provider=telemetry.tracer_provider)
        content = client.get(server.url).content
    span = telemetry.span()
    assert span.attributes is not None
    assert span.context is not None
    assert span.instrumentation_scope is not None
    assert span.instrumentation_scope.name == "opentelemetry.instrumentation.httpx"
    assert span.attributes["network.peer.address"] == "127.0.0.1"
    assert span.attributes["network.peer.port"] == server.port
    assert content.count(b"traceparent") == 1
    assert b"%016x" % span.context.span_id in content
    assert telemetry.points() == {}, "the client records the duration"


@pytest.mark.parametrize(
    ("kind", "attributes"),
    [
        (SpanKind.CLIENT, {"rpc.system": "grpc"}),
        (SpanKind.SERVER, {"http.request.method": "GET"}),
        (SpanKind.INTERNAL, {}),
    ],
)
def test_any_other_span_of_the_caller_becomes_the_parent(
    telemetry: Telemetry, kind: SpanKind, attributes: dict[str, str]
) -> None:
    tracer = telemetry.tracer_provider.get_tracer("caller")
    with (
        scripted_server(echoing_headers) as server,
        httpcore2.ConnectionPool() as pool,
        tracer.start_as_current_span("job", kind=kind, attributes=attributes) as job,
    ):
        pool.observe(telemetry.observer())
        pool.request("GET", server.url)
        assert trace.get_current_span() is job
    assert telemetry.spans()[0].parent == job.get_span_context()
