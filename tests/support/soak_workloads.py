"""Workloads of many requests over few connections of HTTP/2 or HTTP/3, with checks that nothing of them is lost.

The tests run them for a moment, `scripts/soak.py` for minutes.
Must not know: how servers are started.
"""

from __future__ import annotations

import ctypes.util
import gc
import os
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import h2.events
import h2.exceptions
import qh3.h3.connection
from qh3.h3.events import DataReceived, HeadersReceived
from qh3.quic.connection import QuicConnectionError

import httpcore2

from .h2peer import H2Peer
from .h2state import Windows, check_idle, server_windows
from .h3peer import H3Peer
from .lossy_relay import LossyRelay
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
) -> None:
    """Interrupt requests by closing, by a timeout and by cancellation, in turn.

    On threads, which have no cancellation, its share is closed early. The server runs `serve_interrupted_requests`, or
    `serve_interrupted_http3_requests`. Afterwards it admits as many requests as before.
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
            with suppress(h2.exceptions.ProtocolError):  # it was reset meanwhile
                if path == b"/endless":
                    peer.head(event.stream_id)
                    peer.data(event.stream_id, bytes(30_000))
                elif path == b"/fine":
                    peer.respond(event.stream_id, b"fine")
    return server_windows(peer)


def serve_interrupted_http3_requests(peer: H3Peer) -> None:
    """Run a server whose responses never end (`/endless`) or never begin (`/silent`)."""
    while True:
        event = peer.next()
        if not isinstance(event, (HeadersReceived, DataReceived)):
            continue
        peer.bodies[event.stream_id] = b""  # kept, they would fill the memory
        if event.stream_ended:
            path = peer.requests.pop(event.stream_id)[b":path"]
            del peer.bodies[event.stream_id]
            # It may have been reset meanwhile.
            with suppress(qh3.h3.connection.ProtocolError, QuicConnectionError, ValueError):
                if path == b"/endless":
                    peer.head(event.stream_id)
                    peer.data(event.stream_id, bytes(30_000))
                elif path == b"/fine":
                    peer.respond(event.stream_id, b"fine")


class Network(NamedTuple):
    """What a relay does to the datagrams of one workload.

    Attributes:
        loss: the share that it loses; it doubles and delays as many.
        rebinds: whether it sends from another port from time to time.
        falls_silent: whether it drops all for a while from time to time.
    """

    loss: float = 0.0
    rebinds: bool = False
    falls_silent: bool = False


NETWORKS = {
    "loss-0": Network(),
    "loss-5": Network(0.05),
    "loss-10": Network(0.1),
    "loss-20": Network(0.2),
    "rebinding": Network(0.02, rebinds=True),
    "silent": Network(0.02, falls_silent=True),
}


SILENCE = 1.0
"""Seconds for which a relay drops all datagrams from time to time: four times the read timeout of the requests."""


class Memory(NamedTuple):
    """What this process has in memory after a collection: its resident bytes, and the objects that are collected.

    Memory that is free, but was not given back to the system, is given back first, where the C library can: on 50
    threads that is 25 MiB.
    """

    resident: int
    objects: int

    @classmethod
    def now(cls) -> Memory:
        gc.collect()
        if libc := ctypes.util.find_library("c"):
            with suppress(AttributeError):  # another one
                ctypes.CDLL(libc).malloc_trim(0)
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return cls(pages * os.sysconf("SC_PAGESIZE"), len(gc.get_objects()))


class NetworkFindings(NamedTuple):
    """What a workload found.

    Attributes:
        timeouts: how many requests timed out.
        longest: the seconds that the longest request took.
        before: the memory when a fifth of the requests was sent.
        after: the memory at the end.
    """

    timeouts: int
    longest: float
    before: Memory
    after: Memory


async def echo_through(
    runtime: TestedRuntime,
    pool: httpcore2.AsyncConnectionPool,
    relay: LossyRelay,
    network: Network,
    requests: int,
    tasks: int,
) -> NetworkFindings:
    """Send bodies of many sizes to `/echo` through a relay, and check each response: one of 20 has 50 KB at most.

    From time to time the relay does what the network says. A request may time out only if the network falls silent, or
    loses a tenth of the datagrams or more: then QUIC's timer has become so long that the next datagram comes too late.
    """
    url = f"https://127.0.0.1:{relay.port}/echo"
    # Far more than a lost datagram takes, unless the network falls silent.
    limit = 0.25 if network.falls_silent else 10.0
    timeout = {"timeout": {"connect": limit, "read": limit, "write": limit, "pool": 60.0}}
    period = max(10, requests // 20)
    timeouts = 0
    longest = 0.0
    sent = 0

    async def put(task: int, number: int) -> None:
        nonlocal timeouts, longest
        most = 20 if (number + task) % 20 else 3000
        content = b"%d in task %d, " % (number, task) * (1 + (7 * number + 131 * task) % most)
        begin = time.monotonic()
        try:
            reply = await pool.request("PUT", url, content=content, extensions=timeout)
        except httpcore2.TimeoutException:
            assert network.falls_silent or network.loss >= 0.1
            timeouts += 1
        else:
            assert (reply.status, reply.content) == (200, content)
            assert reply.extensions["http_version"] == b"HTTP/3"
        longest = max(longest, time.monotonic() - begin)

    async def put_many(task: int, count: int) -> None:
        nonlocal sent
        for number in range(count):
            sent += 1
            is_due = sent % period == 0
            if is_due and network.rebinds:
                relay.rebind()
            if is_due and network.falls_silent:
                relay.fall_silent(SILENCE)
            await put(task, number)

    async def run(count: int) -> Memory:
        await runtime.gather(*[partial(put_many, task, count // tasks) for task in range(tasks)])
        return Memory.now()

    first = requests // 5
    before = await run(first)
    after = await run(requests - first)
    # Whatever has happened, the next request finds a connection that works.
    relay.silent_until = 0.0
    network = network._replace(falls_silent=False)
    timeout["timeout"].update(connect=10.0, read=10.0, write=10.0)
    await put(tasks, 0)
    return NetworkFindings(timeouts, longest, before, after)
