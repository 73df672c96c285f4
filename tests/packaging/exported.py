"""Runs a snippet that sets up an exporter, then requests on threads and on asyncio, and prints what the service gets.

Its argument is the snippet. A server of this program takes the place of the service to which it exports, and decodes
OTLP. It prints JSON: the spans, each with its name, kind, parent and attributes, and the names of the metrics. It needs
httpcore2 with the extras `asyncio` and `opentelemetry`, and an SDK that exports OTLP over HTTP.
"""

from __future__ import annotations

import asyncio
import gzip
import importlib
import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, ClassVar

# What Logfire asks for first, with the token.
PROJECT = b'{"project_name": "demo", "project_url": "http://127.0.0.1/demo"}'


class Handler(BaseHTTPRequestHandler):
    """Answers requests, and receives OTLP."""

    protocol_version = "HTTP/1.1"
    traces: ClassVar[list[bytes]] = []
    metrics: ClassVar[list[bytes]] = []

    def do_GET(self) -> None:
        self._answer(404 if self.path == "/missing" else 200, PROJECT)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Content-Encoding"] == "gzip":
            body = gzip.decompress(body)
        # Sentry's path ends with a slash.
        kept = {"traces": self.traces, "metrics": self.metrics}
        kept.get(self.path.rstrip("/").rpartition("/")[2], []).append(body)
        self._answer(200, b"")

    def log_message(self, *arguments: object) -> None:
        """Keep standard error for errors."""

    def _answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def parsed(signal: str, message: str, body: bytes) -> Any:
    module: Any = importlib.import_module(f"opentelemetry.proto.collector.{signal}_service_pb2")
    return getattr(module, message).FromString(body)


def spans_of(body: bytes) -> list[dict[str, Any]]:
    return [
        {
            "name": span.name,
            "kind": span.kind,
            "id": span.span_id.hex(),
            "parent": span.parent_span_id.hex(),
            "attributes": {
                each.key: getattr(each.value, each.value.WhichOneof("value"))
                for each in span.attributes
            },
        }
        for resource in parsed("trace.v1.trace", "ExportTraceServiceRequest", body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def metrics_of(body: bytes) -> list[str]:
    request = parsed("metrics.v1.metrics", "ExportMetricsServiceRequest", body)
    return [
        metric.name
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    ]


def main(snippet: str) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    address = f"127.0.0.1:{server.server_port}"
    os.environ["SENTRY_DSN"] = f"http://key@{address}/1"
    os.environ["LOGFIRE_TOKEN"] = "token"
    os.environ["LOGFIRE_BASE_URL"] = f"http://{address}"
    # Under pytest, Logfire sends nothing.
    os.environ.pop("PYTEST_VERSION", None)
    os.environ["LOGFIRE_CONSOLE"] = "false"
    exec(compile(snippet, "<snippet>", "exec"), {"__name__": "__main__"})

    http: Any = importlib.import_module("httpcore2")
    trace: Any = importlib.import_module("opentelemetry.trace")
    metrics: Any = importlib.import_module("opentelemetry.metrics")

    async def on_asyncio() -> None:
        async with http.AsyncConnectionPool() as pool:
            await pool.request("GET", f"http://{address}/missing")

    with trace.get_tracer("program").start_as_current_span("job"):
        http.request("GET", f"http://{address}/found")
        asyncio.run(on_asyncio())
    assert trace.get_tracer_provider().force_flush()
    # Without an SDK for metrics there is nothing to flush.
    if hasattr(metrics.get_meter_provider(), "force_flush"):
        metrics.get_meter_provider().force_flush()
    received = {
        "spans": [span for body in Handler.traces for span in spans_of(body)],
        "metrics": [name for body in Handler.metrics for name in metrics_of(body)],
    }
    sys.stdout.write(json.dumps(received))


if __name__ == "__main__":
    main(sys.argv[1])
