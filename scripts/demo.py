"""Download pages concurrently on each of the four runtimes, and print the connections of the pool.

It ends with the phases of a request, as the command `httpcore2` draws them.
Without arguments the pages come from a local server, and each is checked.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.server
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import anyio
import trio

import httpcore2
import httpcore2_cli

PAGES = range(2000, 2020)


class DemoError(Exception):
    """A page differs from the expected one."""


Check = Callable[[str, int, bytes], None]


def page(path: str) -> bytes:
    return f"<title>{path}</title>\n".encode() + b"All is well.\n" * 100


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # Head and body in one segment: the second of two would wait (Nagle).

    def do_GET(self) -> None:
        body = page(self.path)
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """Run a server on a free port of the loopback interface while the block runs."""
    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def check_own_page(url: str, status: int, content: bytes) -> None:
    expected = page(urlsplit(url).path)
    if status != 200:
        raise DemoError(f"{url}: status {status}, not 200")
    if content != expected:
        raise DemoError(f"{url}: {len(content)} bytes that differ from the {len(expected)} sent")


def check_any_page(url: str, status: int, content: bytes) -> None:
    print(f"{status} {url} {len(content)} bytes")
    if status >= 400:
        raise DemoError(f"{url}: status {status}")


def run_on_threads(urls: list[str], check: Check) -> None:
    with httpcore2.ConnectionPool() as http, ThreadPoolExecutor(len(urls)) as executor:

        def download(url: str) -> None:
            response = http.request("GET", url)
            check(url, response.status, response.content)

        for _ in executor.map(download, urls):
            pass
        for connection in http.connections:
            print(connection)


async def run_on_asyncio(urls: list[str], check: Check) -> None:
    async with httpcore2.AsyncConnectionPool() as http:

        async def download(url: str) -> None:
            response = await http.request("GET", url)
            check(url, response.status, response.content)

        async with asyncio.TaskGroup() as group:
            for url in urls:
                group.create_task(download(url))
        for connection in http.connections:
            print(connection)


async def run_on_trio(urls: list[str], check: Check) -> None:
    async with httpcore2.AsyncConnectionPool() as http:

        async def download(url: str) -> None:
            response = await http.request("GET", url)
            check(url, response.status, response.content)

        async with trio.open_nursery() as nursery:
            for url in urls:
                nursery.start_soon(download, url)
        for connection in http.connections:
            print(connection)


async def run_on_anyio(urls: list[str], check: Check) -> None:
    # By default the pool uses the asyncio backend here.
    backend = httpcore2.AnyIOBackend()
    async with httpcore2.AsyncConnectionPool(network_backend=backend) as http:

        async def download(url: str) -> None:
            response = await http.request("GET", url)
            check(url, response.status, response.content)

        async with anyio.create_task_group() as group:
            for url in urls:
                group.start_soon(download, url)
        for connection in http.connections:
            print(connection)


RUNTIMES: dict[str, Callable[[list[str], Check], None]] = {
    "threads": run_on_threads,
    "asyncio": lambda urls, check: asyncio.run(run_on_asyncio(urls, check)),
    "trio": lambda urls, check: trio.run(run_on_trio, urls, check),
    "anyio": lambda urls, check: anyio.run(run_on_anyio, urls, check),
}


def run_everywhere(urls: list[str], check: Check) -> None:
    for name, run in RUNTIMES.items():
        print(f"{name}: {len(urls)} pages")
        started = time.perf_counter()
        run(urls, check)
        print(f"Complete in {time.perf_counter() - started:.3f} seconds")


def draw_phases(url: str) -> None:
    """Show where the time of a request goes, and what a second one on its connection saves."""
    print("httpcore2, the command")
    arguments = ["-s", "-S", "--waterfall", "--repeat", "2", "-o", os.devnull, url]
    try:
        httpcore2_cli.main(arguments)
    except SystemExit as exit_:
        if exit_.code:
            raise DemoError(f"httpcore2 {url}: exit code {exit_.code}") from None


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the exceptions in exception groups, which task groups raise."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from causes(inner)
    else:
        yield error


def absolute_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname)
        _ = parts.port  # Raises ValueError if the port is not a number.
    except ValueError:
        valid = False
    if not valid:
        raise argparse.ArgumentTypeError(f"not an http:// or https:// URL: {text}")
    return text


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("urls", metavar="URL", nargs="*", type=absolute_url)
    urls: list[str] = parser.parse_args().urls
    try:
        if urls:
            run_everywhere(urls, check_any_page)
            draw_phases(urls[0])
        else:
            with serving() as origin:
                run_everywhere([f"{origin}/{year}" for year in PAGES], check_own_page)
                draw_phases(f"{origin}/{PAGES[0]}")
    except Exception as error:  # noqa: BLE001
        for cause in causes(error):
            print(f"scripts/demo: {type(cause).__name__}: {cause}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
