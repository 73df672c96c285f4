"""Workloads of many requests over few HTTP/2 connections, with checks that no stream, socket or window is lost.

The tests run them for a moment, `scripts/soak.py` for minutes.
Must not know: how servers are started.
"""

from __future__ import annotations

import os
from contextlib import suppress
from functools import partial
from pathlib import Path

import h2.events
from h2.exceptions import ProtocolError

import httpcore2

from .h2peer import H2Peer
from .h2state import Windows, check_idle, server_windows
from .runtimes import TestedAsyncRuntime, TestedRuntime

CHUNK = bytes(10_000)

STEPS = 8
"""How many waits of a request are cancelled, each in turn."""


def open_sockets() -> set[str]:
    """The sockets that this process holds, by inode."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the descriptor of the listing itself
            found.add(os.readlink(entry))
    return {target for target in found if target.startswith("socket:")}


async def fetch_until_idle(
    runtime: TestedRuntime,
    pool: httpcore2.AsyncConnectionPool,
    url: str,
    size: int,
    requests: int,
    tasks: int,
) -> int:
    """Send `requests` GET requests, and return the number of connections that they used.

    Afterwards the pool holds one idle connection, and no other socket is open.
    """
    before = open_sockets()
    firsts = await fetch_all(runtime, pool, url, size, requests, tasks)
    # The last request may have been the last on its connection, which the server then closed.
    firsts += await fetch_all(runtime, pool, url, size, 1, 1)
    check_idle(pool)
    # asyncio closes a socket one iteration of its loop after `close()`.
    await runtime.wait_until(lambda: len(open_sockets() - before) == 1)
    return firsts


async def fetch_all(
    runtime: TestedRuntime,
    pool: httpcore2.AsyncConnectionPool,
    url: str,
    size: int,
    requests: int,
    tasks: int,
) -> int:
    """Send `requests` GET requests, and return the number of connections that they used."""
    firsts: list[int] = []

    async def fetch() -> None:
        for _ in range(requests // tasks):
            reply = await pool.request("GET", url)
            assert (reply.status, len(reply.content)) == (200, size)
            assert reply.extensions["http_version"] == b"HTTP/2"
            if reply.extensions["stream_id"] == 1:
                firsts.append(1)

    await runtime.gather(*[fetch] * tasks)
    return len(firsts)


async def echo_bodies(
    runtime: TestedRuntime, pool: httpcore2.AsyncConnectionPool, url: str, requests: int, tasks: int
) -> None:
    """Send bodies of many sizes over one connection, and check that each is echoed to its own request."""

    async def post(task: int) -> None:
        for number in range(requests // tasks):
            content = b"%d in task %d, " % (number, task) * (1 + (7 * number + task) % 500)
            reply = await pool.request("POST", url, content=content)
            assert reply.content == content

    await runtime.gather(*[partial(post, task) for task in range(tasks)])
    assert len(pool.connections) == 1
    check_idle(pool)


async def interrupt_requests(
    runtime: TestedRuntime,
    pool: httpcore2.AsyncConnectionPool,
    origin: str,
    requests: int,
    tasks: int,
) -> Windows:
    """Interrupt requests by closing, by a timeout and by cancellation, in turn; return the windows of the connection.

    On threads, which have no cancellation, its share is closed early. The server runs `serve_interrupted_requests`.
    """

    async def close() -> None:
        async with pool.stream("GET", f"{origin}/endless") as reply:
            async for _ in reply.aiter_stream():
                break

    async def time_out(method: str, content: bytes | None = None) -> None:
        extensions = {"timeout": {"read": 0.0005, "write": 0.0005}}
        with suppress(httpcore2.ReadTimeout, httpcore2.WriteTimeout):
            await pool.request(method, f"{origin}/silent", content=content, extensions=extensions)

    async def fetch() -> None:
        chunks = runtime.body([CHUNK] * 3)
        async with pool.stream("POST", f"{origin}/endless", content=chunks) as reply:
            async for _ in reply.aiter_stream():
                break

    async def task() -> None:
        for number in range(requests // tasks):
            kind = number % 4
            if kind == 0:
                await close()
            elif kind == 1:
                await time_out("GET")
            elif kind == 2:
                await time_out("POST", bytes(100_000))
            elif isinstance(runtime, TestedAsyncRuntime):
                await runtime.cancel_at_wait(number // 4 % STEPS, fetch, late=number % 3 == 0)
            else:
                await fetch()

    assert (await pool.request("GET", f"{origin}/fine")).content == b"fine"
    await runtime.gather(*[task] * tasks)
    # No interrupted request counts against the server's limit of streams.
    fine = partial(pool.request, "GET", f"{origin}/fine")
    for reply in await runtime.gather(*[fine] * 100):
        assert reply.content == b"fine"
    return check_idle(pool)


def serve_interrupted_requests(peer: H2Peer) -> Windows:
    """Run a server whose responses never end (`/endless`) or never begin (`/silent`); return its windows."""
    while event := peer.next():
        if isinstance(event, h2.events.DataReceived):
            assert event.flow_controlled_length is not None and event.stream_id is not None
            peer.bodies[event.stream_id] = b""  # kept, they would fill the memory
            peer.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            peer.flush()
        elif isinstance(event, h2.events.StreamEnded):
            assert event.stream_id is not None
            path = peer.requests[event.stream_id][b":path"]
            with suppress(ProtocolError):  # it was reset meanwhile
                if path == b"/endless":
                    peer.head(event.stream_id)
                    peer.data(event.stream_id, bytes(30_000))
                elif path == b"/fine":
                    peer.respond(event.stream_id, b"fine")
    return server_windows(peer)
