"""A request over HTTP/3 can be cancelled wherever it waits: the pool loses no slot, and others go on."""

from __future__ import annotations

import ssl
from collections.abc import Callable

import pytest

import httpcore2

from ..support import h3state, soak_workloads
from ..support.cancellation import STEPS, Operation, cancel_at_every_wait, get, timed, traced
from ..support.h3peer import answering
from ..support.h3state import check_idle, session
from ..support.runtimes import CancellationOutcome, TestedAsyncRuntime, TestedRuntime
from .conftest import HTTP3_ONLY, Serve


def streamed_post(runtime: TestedAsyncRuntime) -> Operation:
    async def run(pool: httpcore2.AsyncConnectionPool, url: str) -> None:
        body = runtime.body([bytes(20_000)] * 2)
        async with pool.stream("POST", url, content=body) as response:
            assert sum([len(chunk) async for chunk in response.aiter_stream()]) == 40_000

    return run


def early_close(runtime: TestedAsyncRuntime) -> Operation:
    async def run(pool: httpcore2.AsyncConnectionPool, url: str) -> None:
        async with pool.stream("POST", url, content=bytes(100_000)):
            pass

    return run


OPERATIONS = {
    "get": get,
    "streamed post": streamed_post,
    "early close": early_close,
    "with timeouts": timed,
    "traced": traced,
}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
@pytest.mark.parametrize("late", [False, True], ids=["at-the-wait", "after-the-event"])
@pytest.mark.parametrize("is_used", [False, True], ids=["new", "used"])
def test_a_request_can_be_cancelled_at_every_wait(
    async_runtime: TestedAsyncRuntime,
    serve: Serve,
    client_tls: ssl.SSLContext,
    operation: Callable[[TestedAsyncRuntime], Operation],
    late: bool,
    is_used: bool,
) -> None:
    runtime = async_runtime
    run = operation(runtime)
    with serve(answering()) as server:

        async def attempt(number: int) -> CancellationOutcome:
            async with runtime.pool(
                ssl_context=client_tls, max_connections=1, **HTTP3_ONLY
            ) as pool:
                if is_used:
                    assert (await pool.request("GET", server.url)).content == b"fine"
                outcome = await runtime.cancel_at_wait(number, lambda: run(pool, server.url), late)
                # The only slot is free, and the connection, if it is still there, works.
                assert (await pool.request("GET", server.url)).content == b"fine"
                (connection,) = pool.connections
                assert connection.is_idle()
                check_idle(pool)
                return outcome

        outcomes = runtime.run(lambda: cancel_at_every_wait(attempt))
        assert CancellationOutcome.CANCELLED in outcomes


@pytest.mark.parametrize("late", [False, True], ids=["at-the-wait", "after-the-event"])
def test_a_request_that_sends_for_others_can_be_cancelled_at_every_wait(
    async_runtime: TestedAsyncRuntime, serve: Serve, client_tls: ssl.SSLContext, late: bool
) -> None:
    runtime = async_runtime
    with serve(answering()) as server:

        async def attempt(number: int) -> CancellationOutcome:
            async with runtime.pool(
                ssl_context=client_tls, max_connections=1, **HTTP3_ONLY
            ) as pool:
                outcomes: dict[int, CancellationOutcome] = {}

                async def request() -> None:
                    assert (await pool.request("GET", server.url)).content == b"fine"

                async def run(wait: int) -> None:
                    outcomes[wait] = await runtime.cancel_at_wait(wait, request, late)

                async with pool.stream("GET", server.url) as response:
                    # The others are run in the same way, so that they begin after the first has begun.
                    await runtime.gather(*[lambda n=n: run(n) for n in (number, STEPS, STEPS)])
                    assert await response.aread() == b"fine"
                check_idle(pool)
                return outcomes[number]

        outcomes = runtime.run(lambda: cancel_at_every_wait(attempt))
        assert CancellationOutcome.CANCELLED in outcomes


def test_early_closes_leave_nothing_behind(
    async_runtime: TestedAsyncRuntime, serve: Serve, client_tls: ssl.SSLContext
) -> None:
    runtime = async_runtime
    with serve(answering(bytes(50_000))) as server:

        async def main() -> None:
            async with runtime.pool(ssl_context=client_tls, **HTTP3_ONLY) as pool:
                for _ in range(150):
                    async with pool.stream("GET", server.url) as response:
                        assert response.status == 200
                assert len((await pool.request("GET", server.url)).content) == 50_000
                check_idle(pool)
                assert len(session(pool).quic._created_local_stream_ids) < 40

        runtime.run(main)
        assert len(server.peers) == 1


def test_interrupted_requests_leave_nothing_behind(
    runtime: TestedRuntime, serve: Serve, client_tls: ssl.SSLContext
) -> None:
    with serve(soak_workloads.serve_interrupted_http3_requests) as server:

        async def main() -> None:
            async with runtime.pool(
                ssl_context=client_tls, max_connections=1, **HTTP3_ONLY
            ) as pool:
                origin = server.url.rstrip("/")
                await soak_workloads.interrupt_requests(runtime, pool, origin, 480, 12)
                h3state.check_idle(pool)

        runtime.run(main)
        assert len(server.peers) == 1
