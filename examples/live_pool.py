"""Watch a pool under load in the terminal: `python examples/live_pool.py URL [REQUESTS]`; needs `rich`."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from rich.live import Live
from rich.table import Table

import httpcore2

THREADS = 16


def table(stats: httpcore2.PoolStats) -> Table:
    drawn = Table(title=f"{stats.opened} opened, {stats.reused} reused, {stats.resent} resent")
    for column in ("origin", "active", "idle", "connecting", "requests", "queued"):
        drawn.add_column(column, justify="left" if column == "origin" else "right")
    for origin, counts in stats.origins.items():
        drawn.add_row(origin, *map(str, counts))
    drawn.caption = (
        f"{stats.bytes_received:,} bytes received, {stats.seconds_waited:.3f} seconds waited"
    )
    return drawn


def main(url: str, requests: int) -> None:
    with (
        httpcore2.ConnectionPool(max_connections=4) as http,
        Live(table(http.stats())) as live,
        ThreadPoolExecutor(THREADS) as threads,
    ):
        done = threading.Event()

        def show() -> None:
            while not done.wait(0.1):
                live.update(table(http.stats()))

        watcher = threading.Thread(target=show)
        watcher.start()
        try:
            for _ in threads.map(lambda _: http.request("GET", url), range(requests)):
                pass
        finally:
            done.set()
            watcher.join()
        live.update(table(http.stats()))


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        raise SystemExit(__doc__)
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) == 3 else 1000)
