"""Idle connections past their expiry: a timer closes them on event loops that have timers, a call elsewhere."""

from __future__ import annotations

import gc
import warnings
import weakref

import httpcore2

from ..support.runtimes import TestedRuntime
from ..support.scripted_servers import Peer, canned_responses, response, scripted_server

FINE = response(b"fine")
TIMED = response(b"fine", b"Keep-Alive: timeout=1")
WITHOUT_TIMERS = ("threads", "trio")


def serve(peer: Peer) -> None:
    while peer.receive_request():
        peer.send(FINE)


def has_timers(runtime: TestedRuntime) -> bool:
    return runtime.name not in WITHOUT_TIMERS


def test_an_idle_connection_is_closed_when_it_expires(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with runtime.pool(keepalive_expiry=0.05) as pool:
            for _ in range(2):
                assert (await pool.request("GET", server.url)).content == b"fine"
                if has_timers(runtime):
                    await runtime.wait_until(lambda: not pool.connections)
                else:
                    await runtime.wait_until(lambda: pool.close_expired() == 1)
                assert pool.connections == []

    with scripted_server(serve) as server:
        runtime.run(scenario)
    assert server.accepted == 2


def test_connections_expire_one_after_another(runtime: TestedRuntime) -> None:
    closed = 0

    async def scenario() -> None:
        async with runtime.pool(keepalive_expiry=0.05) as pool:
            for url in (one.url, two.url):
                await pool.request("GET", url)
            if not has_timers(runtime):
                await runtime.wait_until(lambda: close(pool) == 2)
            await runtime.wait_until(lambda: not pool.connections)

    def close(pool: httpcore2.AsyncConnectionPool) -> int:
        nonlocal closed
        closed += pool.close_expired()
        return closed

    with scripted_server(serve) as one, scripted_server(serve) as two:
        runtime.run(scenario)


def test_a_connection_that_expires_before_those_that_were_idle_first_is_closed_then(
    runtime: TestedRuntime,
) -> None:
    async def scenario() -> None:
        async with runtime.pool(keepalive_expiry=1e6) as pool:
            await pool.request("GET", lasting.url)
            await pool.request("GET", short.url)
            if not has_timers(runtime):
                await runtime.wait_until(lambda: pool.close_expired() == 1)
            await runtime.wait_until(lambda: len(pool.connections) == 1)
            (left,) = pool.connections
            assert lasting.origin in left.info()

    with (
        scripted_server(serve) as lasting,
        scripted_server(canned_responses([TIMED])) as short,
    ):
        runtime.run(scenario)


def test_close_expired_closes_no_connection_that_may_be_used(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with runtime.pool(keepalive_expiry=1e6) as pool:
            assert pool.close_expired() == 0
            await pool.request("GET", server.url)
            assert pool.close_expired() == 0
            await pool.request("GET", server.url)

    with scripted_server(serve) as server:
        runtime.run(scenario)
    assert server.accepted == 1


def test_the_timer_does_not_keep_a_dropped_pool_alive(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        pool = runtime.pool(keepalive_expiry=1e6)
        await pool.request("GET", server.url)
        engine = weakref.ref(pool._engine)
        del pool
        gc.collect()
        assert engine() is None

    with scripted_server(serve) as server, warnings.catch_warnings():
        # A warning that is recorded refers to the pool.
        warnings.simplefilter("ignore", ResourceWarning)
        runtime.run(scenario)


def test_a_pool_that_was_closed_has_no_timer_left(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with runtime.pool(keepalive_expiry=1e6) as pool:
            await pool.request("GET", server.url)
        assert pool._engine._expiry_timer._cancel is None

    with scripted_server(serve) as server:
        runtime.run(scenario)
