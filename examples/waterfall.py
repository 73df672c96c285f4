"""Draw the phases of one request as a waterfall: `python examples/waterfall.py URL`."""

from __future__ import annotations

import sys

import httpcore2

PHASES = ("queued", "resolve", "connect", "tls", "send", "wait", "receive")
WIDTH = 50


def main(url: str) -> None:
    with httpcore2.ConnectionPool() as http:
        http.observe(httpcore2.Timings())
        response = http.request("GET", url)
    timings = response.extensions["timings"]
    print(response, "new connection" if not timings.reused else "reused connection")
    start = 0.0
    for phase in PHASES:
        seconds = getattr(timings, phase) or 0.0
        first, last = (round(WIDTH * time / timings.total) for time in (start, start + seconds))
        bar = " " * first + "█" * max(1, last - first)
        print(f"{phase:8} {seconds * 1000:9.3f} ms  {bar if seconds else ''}".rstrip())
        start += seconds
    print(f"{'total':8} {timings.total * 1000:9.3f} ms")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(sys.argv[1])
