"""Serve the statistics of a pool to Prometheus: `python examples/prometheus.py URL PORT`.

It sends a request to URL, and serves http://127.0.0.1:PORT/metrics until it is interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpcore2


def exposition(stats: httpcore2.PoolStats) -> Iterator[str]:
    """Yield the lines of Prometheus' text format."""
    yield "# TYPE http_pool_connections gauge"
    for origin, counts in stats.origins.items():
        for state in ("active", "idle", "connecting"):
            number = getattr(counts, f"{state}_connections")
            yield f'http_pool_connections{{origin="{origin}",state="{state}"}} {number}'
    yield "# TYPE http_pool_requests gauge"
    for origin, counts in stats.origins.items():
        for state in ("active", "queued"):
            number = getattr(counts, f"{state}_requests")
            yield f'http_pool_requests{{origin="{origin}",state="{state}"}} {number}'
    yield "# TYPE http_pool_closed_total counter"
    for reason, number in stats.closed.items():
        yield f'http_pool_closed_total{{reason="{reason.name}"}} {number}'
    yield "# TYPE http_pool_failed_total counter"
    for phase, number in stats.failed.items():
        yield f'http_pool_failed_total{{phase="{phase}"}} {number}'
    for name in (
        "opened",
        "reused",
        "resent",
        "pool_timeouts",
        "seconds_waited",
        "bytes_sent",
        "bytes_received",
    ):
        yield f"# TYPE http_pool_{name}_total counter"
        yield f"http_pool_{name}_total {getattr(stats, name)}"


def main(url: str, port: int) -> None:
    with httpcore2.ConnectionPool() as http:

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = "".join(f"{line}\n" for line in exposition(http.stats())).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        http.request("GET", url)
        with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
            print(f"http://127.0.0.1:{server.server_port}/metrics", flush=True)
            server.serve_forever()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(sys.argv[1], int(sys.argv[2]))
