"""Pools that outlive their event loop, are garbage-collected, or are used in a forked process."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import textwrap
import threading
import warnings
from pathlib import Path

import pytest

import httpcore2

from ..support.runtimes import RUNTIMES, TestedAsyncRuntime, TestedRuntime
from ..support.scripted_servers import Peer, canned_responses, response, scripted_server

FINE = response(b"fine")


def test_a_pool_works_in_one_run_after_another(runtime: TestedRuntime) -> None:
    pool = runtime.pool()

    async def scenario() -> None:
        for _ in range(2):
            assert (await pool.request("GET", server.url)).content == b"fine"
        assert len(pool.connections) == 1

    async def end() -> None:
        await pool.aclose()

    with scripted_server(canned_responses([FINE] * 10)) as server, warnings.catch_warnings():
        if runtime.name == "uvloop":
            # It warns itself, of every transport that is open when its loop is closed, and then closes them.
            warnings.simplefilter("ignore", ResourceWarning)
        for _ in range(3):
            runtime.run(scenario)
        runtime.run(end)
        # The connections of a loop that has ended are forgotten; threads have no such end.
        assert server.accepted == (1 if runtime.name == "threads" else 3)


def test_a_pool_that_is_used_on_two_running_loops_raises_an_error(
    async_runtime: TestedAsyncRuntime,
) -> None:
    runtime = async_runtime

    async def scenario() -> None:
        async with runtime.pool() as pool:
            errors: list[Exception] = []

            async def intrude() -> None:
                try:
                    await pool.request("GET", server.url)
                except Exception as exc:
                    errors.append(exc)

            async with pool.stream("GET", server.url) as held:
                thread = threading.Thread(target=runtime.run, args=(intrude,))
                thread.start()
                thread.join()
                (error,) = errors
                assert isinstance(error, RuntimeError)
                assert "event loop" in str(error)
                assert await held.aread() == b"fine"
            # Its own loop can go on.
            assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(canned_responses([FINE] * 2)) as server:
        runtime.run(scenario)
        assert server.accepted == 1


def test_an_async_pool_that_is_not_closed_warns_once_and_leaves_no_socket(
    async_runtime: TestedAsyncRuntime,
) -> None:
    runtime = async_runtime
    closed = runtime.event()

    def handler(peer: Peer) -> None:
        canned_responses([FINE])(peer)
        closed.set()

    async def use_without_closing() -> None:
        pool = runtime.pool()
        assert (await pool.request("GET", server.url)).content == b"fine"

    async def scenario() -> None:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            await use_without_closing()
            gc.collect()
            # The server sees the end while the loop is still running.
            await closed.wait()
            gc.collect()
        messages = [str(entry.message) for entry in caught]
        assert [entry.category for entry in caught] == [ResourceWarning], messages
        assert "AsyncConnectionPool" in messages[0]
        assert "aclose()" in messages[0]

    with scripted_server(handler) as server:
        runtime.run(scenario)


def test_an_async_pool_that_another_thread_finalises_is_closed_while_its_loop_runs(
    async_runtime: TestedAsyncRuntime,
) -> None:
    """As the garbage collector does, which runs in whatever thread comes along."""
    runtime = async_runtime
    closed = runtime.event()

    def handler(peer: Peer) -> None:
        canned_responses([FINE])(peer)
        closed.set()

    async def scenario() -> None:
        pools = [runtime.pool()]
        assert (await pools[0].request("GET", server.url)).content == b"fine"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            thread = threading.Thread(target=pools.clear)
            thread.start()
            thread.join()
        await closed.wait()

    with scripted_server(handler) as server:
        runtime.run(scenario)


def test_an_async_pool_that_was_closed_or_never_used_is_finalised_without_a_warning(
    async_runtime: TestedAsyncRuntime,
) -> None:
    async def scenario() -> None:
        unused = async_runtime.pool()
        del unused
        closed = async_runtime.pool()
        await closed.request("GET", server.url)
        await closed.aclose()
        del closed
        gc.collect()

    with scripted_server(canned_responses([FINE])) as server:
        async_runtime.run(scenario)


def test_a_sync_pool_closes_its_connections_when_it_is_collected(no_leaks: None) -> None:
    closed = threading.Event()

    def handler(peer: Peer) -> None:
        canned_responses([FINE])(peer)
        closed.set()

    with scripted_server(handler) as server:
        pool = httpcore2.ConnectionPool()
        assert pool.request("GET", server.url).content == b"fine"
        del pool
        gc.collect()
        assert closed.wait(5)


def test_a_response_refers_to_its_sync_pool(no_leaks: None) -> None:
    def handler(peer: Peer) -> None:
        peer.receive_head()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfi")
        begun.wait(5)
        peer.send(b"ne")
        peer.receive_until_close()

    begun = threading.Event()
    with scripted_server(handler) as server:
        request = httpcore2.Request("GET", server.url, headers={"Host": "h"})
        held = httpcore2.ConnectionPool().handle_request(request)
        gc.collect()
        begun.set()
        assert held.read() == b"fine"
        held.close()
        del held
        gc.collect()


def test_the_top_level_functions_leave_nothing_open(no_leaks: None) -> None:
    with scripted_server(canned_responses([FINE])) as server:
        assert httpcore2.request("GET", server.url).content == b"fine"
        with httpcore2.stream("GET", server.url) as streamed:
            assert b"".join(streamed.iter_stream()) == b"fine"
    assert server.accepted == 2


FORKING = {
    "threads": """
        pool = httpcore2.ConnectionPool(ssl_context=context)

        def fetch():
            return pool.request("GET", url).content

        def close():
            pool.close()
    """,
    "asyncio": """
        import asyncio

        pool = httpcore2.AsyncConnectionPool(ssl_context=context)
        loop = asyncio.new_event_loop()

        def fetch():
            async def main():
                return (await pool.request("GET", url)).content
            return loop.run_until_complete(main())

        def close():
            loop.run_until_complete(pool.aclose())
            loop.close()
    """,
}

# The child first uses the pool, and then closes it: neither may be felt by the parent's connection.
FORK = """
    import os, ssl, sys
    import httpcore2

    url = sys.argv[1]
    context = ssl.create_default_context(cafile=sys.argv[2])
    {setup}
    assert fetch() == b"fine"
    child = os.fork()
    if child == 0:
        {child}
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, "the child failed"
    assert fetch() == b"fine"
    close()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork()")
@pytest.mark.parametrize("secured", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize(
    ("child", "connections"),
    [
        ("close()", 1),
        ("assert fetch() == b'fine'; pool.close()", 2),
        ("del pool; import gc; gc.collect()", 1),
    ],
    ids=["closes the pool", "uses the pool", "drops the pool"],
)
def test_a_forked_child_never_touches_the_connections_of_its_parent(
    child: str,
    connections: int,
    secured: bool,
    request: pytest.FixtureRequest,
    ca_file: Path,
    no_leaks: None,
) -> None:
    tls = request.getfixturevalue("server_tls") if secured else None
    script = FORK.format(
        setup=textwrap.indent(textwrap.dedent(FORKING["threads"]), "    "), child=child
    )
    _run_fork(script, tls, connections, ca_file)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork()")
@pytest.mark.parametrize("secured", [False, True], ids=["plain", "tls"])
def test_a_forked_child_has_an_event_loop_and_connections_of_its_own(
    secured: bool, request: pytest.FixtureRequest, ca_file: Path, no_leaks: None
) -> None:
    tls = request.getfixturevalue("server_tls") if secured else None
    # The parent's loop is kept: if it were collected in the child, it would warn that it was not closed.
    child = "old = loop; loop = asyncio.new_event_loop(); assert fetch() == b'fine'; close()"
    script = FORK.format(
        setup=textwrap.indent(textwrap.dedent(FORKING["asyncio"]), "    "), child=child
    )
    _run_fork(script, tls, 2, ca_file)


def _run_fork(script: str, tls: object, connections: int, ca_file: Path) -> None:
    with scripted_server(canned_responses([FINE] * 3), tls=tls) as server:  # type: ignore[arg-type]
        done = subprocess.run(
            [
                sys.executable,
                "-W",
                "error",
                "-c",
                textwrap.dedent(script),
                server.url,
                str(ca_file),
            ],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        assert server.accepted == connections


def test_a_pool_is_rebound_from_one_kind_of_event_loop_to_another(no_leaks: None) -> None:
    pool = httpcore2.AsyncConnectionPool()

    async def scenario() -> None:
        assert (await pool.request("GET", server.url)).content == b"fine"

    async def end() -> None:
        await pool.aclose()

    with scripted_server(canned_responses([FINE])) as server:
        for name in ("asyncio", "trio", "asyncio", "trio"):
            RUNTIMES[name].run(scenario)
        RUNTIMES["trio"].run(end)
        assert server.accepted == 4
