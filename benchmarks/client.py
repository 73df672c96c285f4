"""One client: sends GETs for some seconds, checks every answer, prints what it did as JSON.

Runs in any environment that has an `httpcore2`, so it imports nothing of this project by another name.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpcore2

# What a real caller sends.
HEADERS = [
    ("User-Agent", "benchmark/1.0"),
    ("Accept", "*/*"),
    ("Accept-Encoding", "gzip, deflate"),
    ("Connection", "keep-alive"),
]
EXTENSIONS = {"timeout": {"pool": 5.0, "connect": 5.0, "read": 5.0, "write": 5.0}}


class Wrong(Exception):
    """An answer that isn't what was asked for."""


def check(response: httpcore2.Response, size: int) -> None:
    if response.status != 200 or len(response.content) != size:
        raise Wrong(f"status {response.status}, {len(response.content)} bytes")


class Run:
    """Counts requests between the end of the warm-up and the deadline."""

    def __init__(self, seconds: float) -> None:
        self.begin = time.perf_counter() + seconds * 0.2
        self.end = self.begin + seconds
        self.count = 0
        self.cpu = 0.0
        self.started_at: float | None = None
        self.ended_at = 0.0

    def goes_on(self) -> bool:
        """Count a request that was done; whether there is time for another."""
        now = time.perf_counter()
        if now < self.begin:
            return True
        if self.started_at is None:
            self.started_at = now
            self.cpu = time.process_time()
        else:
            self.count += 1
        if now < self.end:
            return True
        self.ended_at = now
        return False

    def result(self) -> dict[str, float]:
        assert self.started_at is not None
        seconds = self.ended_at - self.started_at
        cpu = time.process_time() - self.cpu
        return {"rps": self.count / seconds, "cpu_us": cpu / self.count * 1e6}


def on_threads(url: str, size: int, concurrency: int, run: Run) -> None:
    def work() -> None:
        while True:
            response = http.request("GET", url, headers=HEADERS, extensions=EXTENSIONS)
            check(response, size)
            if not run.goes_on():
                break

    with httpcore2.ConnectionPool(max_connections=concurrency) as http:
        if concurrency == 1:
            work()
            return
        with ThreadPoolExecutor(concurrency) as executor:
            for future in [executor.submit(work) for _ in range(concurrency)]:
                future.result()


async def work_async(http: Any, url: str, size: int, run: Run) -> None:
    while True:
        response = await http.request("GET", url, headers=HEADERS, extensions=EXTENSIONS)
        check(response, size)
        if not run.goes_on():
            break


def on_asyncio(url: str, size: int, concurrency: int, run: Run, *, uvloop: bool = False) -> None:
    import asyncio

    async def main() -> None:
        async with httpcore2.AsyncConnectionPool(max_connections=concurrency) as http:
            await asyncio.gather(*(work_async(http, url, size, run) for _ in range(concurrency)))

    if uvloop:
        import uvloop as library

        library.run(main())
    else:
        asyncio.run(main())


def on_uvloop(url: str, size: int, concurrency: int, run: Run) -> None:
    on_asyncio(url, size, concurrency, run, uvloop=True)


def on_trio(url: str, size: int, concurrency: int, run: Run) -> None:
    import trio

    async def main() -> None:
        async with (
            httpcore2.AsyncConnectionPool(max_connections=concurrency) as http,
            trio.open_nursery() as nursery,
        ):
            for _ in range(concurrency):
                nursery.start_soon(work_async, http, url, size, run)

    trio.run(main)


def on_anyio(url: str, size: int, concurrency: int, run: Run) -> None:
    import anyio

    async def main() -> None:
        backend = httpcore2.AnyIOBackend()
        async with (
            httpcore2.AsyncConnectionPool(
                max_connections=concurrency, network_backend=backend
            ) as http,
            anyio.create_task_group() as group,
        ):
            for _ in range(concurrency):
                group.start_soon(work_async, http, url, size, run)

    anyio.run(main)


RUNTIMES = {
    "threads": on_threads,
    "asyncio": on_asyncio,
    "uvloop": on_uvloop,
    "trio": on_trio,
    "anyio": on_anyio,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runtime", choices=RUNTIMES)
    parser.add_argument("url")
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--core", type=int)
    arguments = parser.parse_args()
    if arguments.core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {arguments.core})
    run = Run(arguments.seconds)
    RUNTIMES[arguments.runtime](arguments.url, arguments.size, arguments.concurrency, run)
    json.dump(run.result(), sys.stdout)


if __name__ == "__main__":
    main()
