"""Spans and metrics reach a collector, by OTLP over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from httpcore2_opentelemetry import OpenTelemetryObserver

from ..support.runtimes import TestedRuntime
from ..support.scripted_servers import Peer, canned_responses, response, scripted_server

FINE = response(b"fine")
REQUESTS = 100


class Collector:
    """The server's end of OTLP: it keeps what it receives, by path."""

    def __init__(self) -> None:
        self.received: list[tuple[bytes, bytes]] = []

    def handle(self, peer: Peer) -> None:
        while (request := peer.receive_request()) is not None:
            head, body = request
            self.received.append((head.split(b" ")[1], body))
            peer.send(response(b"", b"Content-Type: application/x-protobuf"))

    def spans(self) -> Iterator[Any]:
        for path, body in self.received:
            if path == b"/v1/traces":
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    for scope in resource.scope_spans:
                        yield from scope.spans

    def metrics(self) -> Iterator[Any]:
        for path, body in self.received:
            if path == b"/v1/metrics":
                for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                    for scope in resource.scope_metrics:
                        yield from scope.metrics


def test_a_collector_receives_the_spans_and_metrics_of_a_run(
    runtime: TestedRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector = Collector()

    async def scenario() -> None:
        async with runtime.pool() as pool:
            pool.observe(
                OpenTelemetryObserver(
                    tracer_provider=tracer_provider, meter_provider=meter_provider
                )
            )

            async def several() -> None:
                for _ in range(REQUESTS // 4):
                    await pool.request("GET", server.url)

            await runtime.gather(*[several] * 4)

    with scripted_server(collector.handle) as receiver:
        tracer_provider = TracerProvider()
        tracer_provider.add_span_processor(
            BatchSpanProcessor(OTLPSpanExporter(receiver.url + "v1/traces"))
        )
        meter_provider = MeterProvider(
            [PeriodicExportingMetricReader(OTLPMetricExporter(receiver.url + "v1/metrics"))]
        )
        with scripted_server(canned_responses([FINE] * REQUESTS)) as server:
            runtime.run(scenario)
        tracer_provider.shutdown()
        meter_provider.shutdown()
    spans = list(collector.spans())
    assert len(spans) == REQUESTS
    assert len({span.span_id for span in spans}) == REQUESTS
    (metric,) = collector.metrics()
    assert metric.name == "http.client.request.duration"
    assert sum(point.count for point in metric.histogram.data_points) == REQUESTS
