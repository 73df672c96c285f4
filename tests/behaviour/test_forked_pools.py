"""A process with a pool forks, and the child uses the same pool on each runtime.

The child's requests get their own connections, and the parent's connections stay usable.
"""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from ..support.h2peer import H2Peer
from ..support.scripted_servers import Peer, response, scripted_server

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork()"),
    pytest.mark.usefixtures("no_leaks"),
]

# It runs in a process of its own: pytest's may have threads, and a process with threads must not fork.
SCRIPT = """
    import asyncio, os, ssl, sys, traceback, warnings
    import trio, uvloop
    import httpcore2

    backend, parent, state, certificate, *urls = sys.argv[1:]
    LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    if state == "closed":
        # uvloop warns about each open transport when its loop is closed, then closes it.
        warnings.simplefilter("ignore", ResourceWarning)

    class Runtime:
        def __init__(self, name):
            self.name = name
            self.loop = None

        def run(self, function, *args):
            if self.name == "threads":
                coroutine = function(*args)
                try:
                    coroutine.send(None)
                except StopIteration as stop:
                    return stop.value
            if self.name == "trio":
                return trio.run(function, *args)
            if self.loop is None:
                self.loop = LOOPS[self.name]()
            try:
                return self.loop.run_until_complete(function(*args))
            finally:
                if state == "closed":
                    self.end()

        def end(self):
            if self.loop is not None:
                self.loop.close()
                self.loop = None

    def make_pool(http2):
        options = {"http2": http2, "http1": not http2, "ssl_context": ssl.create_default_context(cafile=certificate)}
        if backend == "threads":
            return httpcore2.ConnectionPool(**options)
        if backend == "anyio":
            options["network_backend"] = httpcore2.AnyIOBackend()
        return httpcore2.AsyncConnectionPool(**options)

    async def fetch(pool, url):
        response = pool.request("GET", url)
        return (response if backend == "threads" else await response).content

    async def close(pool):
        if backend == "threads":
            pool.close()
        else:
            await pool.aclose()

    def in_child(name, pool, url, number):
        child = os.fork()
        if child:
            assert os.waitpid(child, 0)[1] == 0, f"the child's {name} failed: {url}"
            return
        try:
            runtime = Runtime(name)
            for _ in range(2):
                assert runtime.run(fetch, pool, url) != number
            runtime.run(close, pool)
            runtime.end()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)

    def work(runtime, child, url, http2):
        pool = make_pool(http2)
        number = runtime.run(fetch, pool, url)
        in_child(child, pool, url, number)
        again = runtime.run(fetch, pool, url)
        # The pool forgets the connections of a closed loop.
        assert (again == number) is (state == "open"), (again, number)
        runtime.run(close, pool)

    async def work_in_loop(child, url, http2):
        pool = make_pool(http2)
        number = await fetch(pool, url)
        in_child(child, pool, url, number)
        assert await fetch(pool, url) == number
        await close(pool)

    runtime = Runtime(parent)
    names = ["threads"] if backend == "threads" else ["asyncio", "uvloop", "trio"]
    for child in names:
        for url, http2 in zip(urls, [False, True], strict=True):
            if state != "running":
                work(runtime, child, url, http2)
            elif child != "trio":  # no trio run begins inside a loop that runs
                runtime.run(work_in_loop, child, url, http2)
    runtime.end()
"""


def http1(peer: Peer) -> None:
    """Respond to each request with the number of its connection."""
    while peer.receive_request() is not None:
        peer.send(response(b"%d" % peer.number))


def http2(peer: Peer) -> None:
    server = H2Peer(peer)
    while (stream_id := server.whole_request()) is not None:
        server.respond(stream_id, b"%d" % peer.number)


# The backend of the pool, the runtime of the parent, and the state of the parent's event loop at the fork: running,
# stopped but open, or closed. A trio run ends with its function, and a child that is forked inside would continue it.
CASES = [
    ("threads", "threads", "open"),
    *(
        (backend, parent, state)
        for backend in ("native", "anyio")
        for parent, states in (
            ("asyncio", ("running", "open", "closed")),
            ("uvloop", ("running", "open", "closed")),
            ("trio", ("closed",)),
        )
        for state in states
    ),
]


@pytest.mark.parametrize("secured", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize(("backend", "parent", "state"), CASES)
def test_a_forked_child_uses_its_parents_pool_on_any_runtime(
    backend: str,
    parent: str,
    state: str,
    secured: bool,
    server_tls: ssl.SSLContext,
    h2_server_tls: ssl.SSLContext,
    ca_file: Path,
) -> None:
    script = textwrap.dedent(SCRIPT)
    with (
        scripted_server(http1, tls=server_tls if secured else None, allow_disconnect=True) as first,
        scripted_server(
            http2, tls=h2_server_tls if secured else None, allow_disconnect=True
        ) as second,
    ):
        arguments = [backend, parent, state, str(ca_file), first.url, second.url]
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", script, *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert (done.returncode, done.stderr) == (0, "")
