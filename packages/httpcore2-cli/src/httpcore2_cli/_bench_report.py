"""Shows the result of a load: rate, percentiles, connections, errors, and a histogram of the latencies.

Must not know: how the load was made.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ._bench import BenchResult
from ._options import BenchOptions
from ._report import SCHEMA, rate

BUCKETS = 12
"""The rows of a histogram."""


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the least value that is not exceeded by this share of the values, which are in order; 0 without any."""
    if not ordered:
        return 0.0
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]


def bench_facts(
    result: BenchResult, url: str, limits: BenchOptions, backend: str
) -> dict[str, Any]:
    """Return the result as the line of --json."""
    ordered = sorted(result.latencies)
    responses = len(ordered)
    return {
        "schema": SCHEMA,
        "url": url,
        "backend": backend,
        "connections": limits.connections,
        "streams": limits.streams,
        "exitcode": int(result.code),
        "responses": responses,
        "time_total": round(result.seconds, 6),
        "rate": round(result.rate, 1),
        "size_download": result.received,
        "speed_download": rate(result.received, result.seconds),
        "statuses": {str(status): number for status, number in sorted(result.statuses.items())},
        "errors": dict(result.errors.most_common()),
        "num_connects": result.connections.opened,
        "reused": result.connections.reused,
        "latency": {
            "p50": round(percentile(ordered, 0.5), 6),
            "p90": round(percentile(ordered, 0.9), 6),
            "p99": round(percentile(ordered, 0.99), 6),
            "max": round(percentile(ordered, 1.0), 6),
        },
    }


def bench_lines(
    facts: dict[str, Any], latencies: Sequence[float], bar: str, width: int
) -> list[str]:
    """Return the result as lines of text.

    Args:
        facts: those of `bench_facts`.
        latencies: the seconds of each response.
        bar: the character of which bars are made.
        width: the columns of the window.
    """
    count, seconds = facts["responses"], facts["time_total"]
    size = f"{facts['rate']:,.1f}/s, {facts['speed_download']:,} bytes/s"
    many = _many(facts["connections"], "connection"), _many(facts["streams"], "request")
    lines = [
        f"{facts['url']} on {facts['backend']}",
        f"load         {many[0]}, {many[1]} at a time on each",
        f"responses    {count:,} in {seconds:.3f} s: {size}",
        f"statuses     {_listed(facts['statuses'])}",
        f"errors       {_listed(facts['errors'])}",
        f"connections  {facts['num_connects']:,} opened, {facts['reused']:,} requests reused one",
    ]
    if latencies:
        figures = (f"{name} {value * 1000:,.2f} ms" for name, value in facts["latency"].items())
        lines.append(f"latency      {'   '.join(figures)}")
        lines += histogram(latencies, bar, width)
    return [line[:width] for line in lines]


def histogram(latencies: Sequence[float], bar: str, width: int) -> list[str]:
    """Return a bar for each of some ranges of latencies, whose limits grow by the same factor."""
    least, most = min(latencies), max(latencies)
    factor = (most / least) ** (1 / BUCKETS) if least else 1.0
    counts = [0] * BUCKETS
    for latency in latencies:
        bucket = int(math.log(latency / least) / math.log(factor)) if factor > 1 else 0
        counts[min(bucket, BUCKETS - 1)] += 1
    columns = max(width - 38, 1)
    lines = []
    for bucket, number in enumerate(counts):
        if factor == 1 and bucket:
            break  # all are the same
        low, high = (least * factor**edge * 1000 for edge in (bucket, bucket + 1))
        length = math.ceil(number / max(counts) * columns)
        text = f"  {low:9,.2f} - {high:9,.2f} ms {number:9,}  {bar * length}"
        lines.append(text.rstrip())
    return lines


def _many(number: int, name: str) -> str:
    return f"{number:,} {name}{'' if number == 1 else 's'}"


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name}: {number:,}" for name, number in counts.items()) or "none"
