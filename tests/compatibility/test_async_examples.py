"""Every example of the documentation's page on async support runs as it is written.

Each is a script in a Python of its own. A replaced `getaddrinfo` resolves every name to a server on the loopback
interface, whose certificate is trusted through `SSL_CERT_FILE`; nothing else is changed.
"""

from __future__ import annotations

import os
import re
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

import httpcore2

from ..support.scripted_servers import Peer, scripted_server

SETUP = """
import socket, sys

port, script = int(sys.argv[1]), sys.argv[2]
genuine = socket.getaddrinfo

def getaddrinfo(host, number, *args, **kwargs):
    name = host.decode() if isinstance(host, bytes) else host
    assert (name, number) in [("www.example.com", 443), ("en.wikipedia.org", 443)], (host, number)
    return genuine("127.0.0.1", port, *args, **kwargs)

socket.getaddrinfo = getaddrinfo
exec(compile(script, "example", "exec"), {"__name__": "__main__"})
"""

CONTEXT_MANAGED = """
import asyncio
import httpcore2

async def main():
    # The async variation of `httpcore2.ConnectionPool`
    async with httpcore2.AsyncConnectionPool() as http:
        ...

asyncio.run(main())
"""

SENDING = """
import asyncio
import httpcore2

async def main():
    async with httpcore2.AsyncConnectionPool() as http:
        response = await http.request("GET", "https://www.example.com/")

asyncio.run(main())
"""

STREAMING = """
import asyncio
import httpcore2

async def main():
    async with httpcore2.AsyncConnectionPool() as http:
        async with http.stream("GET", "https://www.example.com/") as response:
            async for chunk in response.aiter_stream():
                print(f"Downloaded: {chunk}")

asyncio.run(main())
"""

CLOSED_EXPLICITLY = """
import asyncio
import httpcore2

async def main():
    try:
        http = httpcore2.AsyncConnectionPool()
        await http.request("GET", "https://www.example.com/")
    finally:
        await http.aclose()

asyncio.run(main())
"""

ASYNCIO = """
import asyncio
import httpcore2
import time

async def download(http, year):
    await http.request("GET", f"https://en.wikipedia.org/wiki/{year}")

async def main():
    async with httpcore2.AsyncConnectionPool() as http:
        started = time.time()
        # Here we use `asyncio.gather()` in order to run several tasks concurrently...
        tasks = [download(http, year) for year in range(2000, 2020)]
        await asyncio.gather(*tasks)
        complete = time.time()

        for connection in http.connections:
            print(connection)
        print("Complete in %.3f seconds" % (complete - started))

asyncio.run(main())
"""

TRIO = """
import httpcore2
import trio
import time

async def download(http, year):
    await http.request("GET", f"https://en.wikipedia.org/wiki/{year}")

async def main():
    async with httpcore2.AsyncConnectionPool() as http:
        started = time.time()
        async with trio.open_nursery() as nursery:
            for year in range(2000, 2020):
                nursery.start_soon(download, http, year)
        complete = time.time()

        for connection in http.connections:
            print(connection)
        print("Complete in %.3f seconds" % (complete - started))

trio.run(main)
"""

ANYIO = """
import httpcore2
import anyio
import time

async def download(http, year):
    await http.request("GET", f"https://en.wikipedia.org/wiki/{year}")

async def main():
    async with httpcore2.AsyncConnectionPool() as http:
        started = time.time()
        async with anyio.create_task_group() as task_group:
            for year in range(2000, 2020):
                task_group.start_soon(download, http, year)
        complete = time.time()

        for connection in http.connections:
            print(connection)
        print("Complete in %.3f seconds" % (complete - started))

anyio.run(main)
"""


def _run(example: str, server_tls: ssl.SSLContext, ca_file: Path) -> tuple[list[str], list[str]]:
    """Run an example; return the lines that it printed, and the requests that the server received."""
    requests: list[str] = []

    def handler(peer: Peer) -> None:
        while request := peer.receive_request():
            lines = request[0].decode().split("\r\n")
            requests.append(f"{lines[0]}, {lines[1]}")
            # The client receives the chunks in two reads.
            peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            peer.send(b"5\r\nHello\r\n")
            peer.send(b"7\r\n, again\r\n0\r\n\r\n")

    with scripted_server(handler, tls=server_tls) as server:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", SETUP, str(server.port), example],
            env={**os.environ, "SSL_CERT_FILE": str(ca_file)},
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
    return done.stdout.splitlines(), requests


HOME = "GET / HTTP/1.1, Host: www.example.com"


def test_a_pool_is_opened_by_a_context_manager(
    server_tls: ssl.SSLContext, ca_file: Path, no_leaks: None
) -> None:
    assert _run(CONTEXT_MANAGED, server_tls, ca_file) == ([], [])


def test_a_request_is_sent_with_await(
    server_tls: ssl.SSLContext, ca_file: Path, no_leaks: None
) -> None:
    assert _run(SENDING, server_tls, ca_file) == ([], [HOME])


def test_a_response_is_streamed_with_async_for(
    server_tls: ssl.SSLContext, ca_file: Path, no_leaks: None
) -> None:
    printed, requests = _run(STREAMING, server_tls, ca_file)
    assert requests == [HOME]
    chunks = [re.fullmatch(r"Downloaded: b'(.+)'", line) for line in printed]
    assert "".join(chunk[1] for chunk in chunks if chunk) == "Hello, again"
    assert all(chunks)


def test_a_pool_can_be_closed_explicitly(
    server_tls: ssl.SSLContext, ca_file: Path, no_leaks: None
) -> None:
    assert _run(CLOSED_EXPLICITLY, server_tls, ca_file) == ([], [HOME])


@pytest.mark.parametrize("example", [ASYNCIO, TRIO, ANYIO], ids=["asyncio", "trio", "anyio"])
def test_twenty_pages_are_downloaded_concurrently(
    example: str, server_tls: ssl.SSLContext, ca_file: Path, no_leaks: None
) -> None:
    printed, requests = _run(example, server_tls, ca_file)
    assert sorted(requests) == [
        f"GET /wiki/{year} HTTP/1.1, Host: en.wikipedia.org" for year in range(2000, 2020)
    ]
    *connections, complete = printed
    assert re.fullmatch(r"Complete in \d+\.\d{3} seconds", complete)
    counts = []
    for line in connections:
        found = re.fullmatch(
            r"<AsyncHTTPConnection \['https://en\.wikipedia\.org:443', HTTP/1\.1, IDLE, "
            r"Request Count: (\d+)\]>",
            line,
        )
        assert found, line
        counts.append(int(found[1]))
    assert sum(counts) == 20
    assert len(counts) == 10


def test_the_documented_parameters_have_the_documented_defaults() -> None:
    pool = httpcore2.AsyncConnectionPool(
        ssl_context=None,
        proxy=None,
        max_connections=10,
        max_keepalive_connections=None,
        keepalive_expiry=None,
        http1=True,
        http2=False,
        retries=0,
        local_address=None,
        uds=None,
        network_backend=None,
        socket_options=None,
    )
    assert pool.connections == []
