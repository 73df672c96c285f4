"""Cancelled requests: at whichever wait one is cancelled, it leaks nothing and does not affect other requests."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import pytest

import httpcore2

from ..support.cancellation import Operation, cancel_at_every_wait, get, timed, traced
from ..support.runtimes import CancellationOutcome, TestedAsyncRuntime
from ..support.scripted_servers import Peer, response, scripted_server

FINE = response(b"fine")


def _serve(peer: Peer) -> None:
    """Respond to each request with a body that arrives in two chunks."""
    while peer.receive_request():
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nfi\r\n")
        peer.send(b"2\r\nne\r\n0\r\n\r\n")


def _body(runtime: TestedAsyncRuntime) -> Any:
    return runtime.body([b"x" * 1000, b"y" * 1000])


def _streamed_post(runtime: TestedAsyncRuntime) -> Operation:
    async def run(pool: httpcore2.AsyncConnectionPool, url: str) -> None:
        assert (await pool.request("POST", url, content=_body(runtime))).content == b"fine"

    return run


def _waiting_post(runtime: TestedAsyncRuntime) -> Operation:
    async def chunks() -> AsyncIterator[bytes]:
        for chunk in (b"x", b"y"):
            await runtime.let_others_run()
            yield chunk

    async def run(pool: httpcore2.AsyncConnectionPool, url: str) -> None:
        assert (await pool.request("POST", url, content=chunks())).content == b"fine"

    return run


def _streamed_response(runtime: TestedAsyncRuntime) -> Operation:
    async def run(pool: httpcore2.AsyncConnectionPool, url: str) -> None:
        async with pool.stream("GET", url) as streamed:
            chunks = [chunk async for chunk in streamed.aiter_stream()]
        assert b"".join(chunks) == b"fine"

    return run


def _reused(runtime: TestedAsyncRuntime) -> Operation:
    async def run(pool: httpcore2.AsyncConnectionPool, url: str) -> None:
        for _ in range(2):
            assert (await pool.request("GET", url)).content == b"fine"

    return run


OPERATIONS = {
    "get": get,
    "streamed post": _streamed_post,
    "post with a waiting body": _waiting_post,
    "streamed response": _streamed_response,
    "reused connection": _reused,
    "with timeouts": timed,
    "traced": traced,
}


@pytest.mark.parametrize("late", [False, True], ids=["while waiting", "as the result arrives"])
@pytest.mark.parametrize("secured", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_a_request_can_be_cancelled_at_every_wait(
    async_runtime: TestedAsyncRuntime,
    operation: Callable[[TestedAsyncRuntime], Operation],
    secured: bool,
    late: bool,
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
) -> None:
    runtime = async_runtime
    run = operation(runtime)

    async def attempt(number: int) -> CancellationOutcome:
        async with runtime.pool(max_connections=1, ssl_context=client_tls) as pool:
            outcome = await runtime.cancel_at_wait(number, partial(run, pool, server.url), late)
            assert "Requests: 0 active, 0 queued | Connections: 0 active" in repr(pool)
            reply = await pool.request("GET", server.url)
            assert reply.content == b"fine"
            assert "Connections: 0 active, 1 idle" in repr(pool)
        return outcome

    async def scenario() -> None:
        assert CancellationOutcome.CANCELLED in await cancel_at_every_wait(attempt)

    with scripted_server(
        _serve, tls=server_tls if secured else None, allow_disconnect=True
    ) as server:
        runtime.run(scenario)


@pytest.mark.parametrize("late", [False, True], ids=["while waiting", "as the result arrives"])
def test_a_cancelled_queued_request_leaves_the_queue_in_order(
    async_runtime: TestedAsyncRuntime, late: bool
) -> None:
    runtime = async_runtime
    order: list[bytes] = []

    def handler(peer: Peer) -> None:
        while request := peer.receive_request():
            order.append(request[0].split(b" ")[1])
            peer.send(FINE)

    async def race(pool: httpcore2.AsyncConnectionPool, number: int) -> CancellationOutcome:
        outcomes: list[CancellationOutcome] = []
        is_held, is_next_queued = runtime.event(), runtime.event()

        async def hold() -> None:
            async with pool.stream("GET", server.url + "hold") as holding:
                is_held.set()
                await is_next_queued.wait()
                await holding.aread()

        async def cancelled() -> None:
            await is_held.wait()
            fetch = partial(get(runtime), pool, server.url + "cancelled")
            outcomes.append(await runtime.cancel_at_wait(number, fetch, late))

        async def fetch_next() -> None:
            await is_held.wait()
            await runtime.let_others_run()
            is_next_queued.set()
            reply = await pool.request("GET", server.url + "next")
            assert reply.content == b"fine"

        await runtime.gather(hold, cancelled, fetch_next)
        return outcomes[0]

    async def attempt(number: int) -> CancellationOutcome:
        order.clear()
        async with runtime.pool(max_connections=1) as pool:
            outcome = await race(pool, number)
            assert "Requests: 0 active, 0 queued | Connections: 0 active" in repr(pool)
        assert [path for path in order if path != b"/cancelled"] == [b"/hold", b"/next"]
        return outcome

    async def scenario() -> None:
        await cancel_at_every_wait(attempt)

    with scripted_server(handler, allow_disconnect=True) as server:
        runtime.run(scenario)


def test_cancelling_a_request_does_not_affect_other_requests(
    async_runtime: TestedAsyncRuntime,
) -> None:
    runtime = async_runtime
    received = runtime.event()

    def handler(peer: Peer) -> None:
        while request := peer.receive_request():
            if b"/silent" in request[0]:
                received.set()
                peer.receive_until_close()
            else:
                peer.send(FINE)

    async def scenario() -> None:
        async with runtime.pool(max_connections=2) as pool:

            async def silent() -> None:
                await pool.request("GET", server.url + "silent")

            async def cancelled() -> None:
                assert await runtime.cancel_on_event(received, silent)

            async def fetch() -> None:
                for _ in range(10):
                    assert (await pool.request("GET", server.url)).content == b"fine"

            await runtime.gather(fetch, cancelled, fetch, fetch)
            assert "0 active, 0 queued | Connections: 0 active" in repr(pool)

    with scripted_server(handler, allow_disconnect=True) as server:
        runtime.run(scenario)


def test_closing_the_pool_can_be_cancelled(async_runtime: TestedAsyncRuntime) -> None:
    runtime = async_runtime

    async def attempt(number: int) -> CancellationOutcome:
        pool = runtime.pool()
        await pool.request("GET", server.url)
        outcome = await runtime.cancel_at_wait(number, pool.aclose, late=False)
        assert pool.connections == []
        return outcome

    async def scenario() -> None:
        await cancel_at_every_wait(attempt)

    with scripted_server(_serve, allow_disconnect=True) as server:
        runtime.run(scenario)
