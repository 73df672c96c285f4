"""A request that is abandoned, wherever it waits, leaves the connection usable and other requests unaffected."""

from __future__ import annotations

import functools
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import pytest
from h2.exceptions import ProtocolError

import httpcore2

from ..support import soak_workloads
from ..support.cancellation import Operation, cancel_at_every_wait, get, timed, traced
from ..support.h2peer import NARROW, H2Peer, answering, speaking
from ..support.h2state import Windows, check_idle, server_windows
from ..support.runtimes import CancellationOutcome, TestedAsyncRuntime, TestedRuntime
from ..support.scripted_servers import scripted_server
from .conftest import PoolMaker

# Each loop of its own; trio has no moment at which a result gets lost.
CANCELLATIONS = pytest.mark.parametrize(
    ("async_runtime", "late"),
    [("asyncio", False), ("asyncio", True), ("uvloop", False), ("uvloop", True), ("trio", False)],
    indirect=["async_runtime"],
    ids=lambda value: value if isinstance(value, str) else "late" if value else "",
)
SECURED = pytest.mark.parametrize("secured", [False, True], ids=["plain", "tls"])


def _streamed_post(runtime: TestedAsyncRuntime) -> Operation:
    async def run(pool: httpcore2.AsyncConnectionPool, url: str) -> None:
        # More than the first window, so that it waits for more.
        body = runtime.body([b"x" * 40_000, b"y" * 40_000])
        assert len((await pool.request("POST", url, content=body)).content) == 80_000

    return run


def _waiting_post(runtime: TestedAsyncRuntime) -> Operation:
    async def chunks() -> AsyncIterator[bytes]:
        for chunk in (b"x", b"y"):
            await runtime.let_others_run()
            yield chunk

    async def run(pool: httpcore2.AsyncConnectionPool, url: str) -> None:
        assert (await pool.request("POST", url, content=chunks())).content == b"xy"

    return run


def _streamed_response(runtime: TestedAsyncRuntime) -> Operation:
    async def run(pool: httpcore2.AsyncConnectionPool, url: str) -> None:
        async with pool.stream("POST", url, content=bytes(100_000)) as streamed:
            chunks = [chunk async for chunk in streamed.aiter_stream()]
        assert sum(map(len, chunks)) == 100_000

    return run


def _early_close(runtime: TestedAsyncRuntime) -> Operation:
    async def run(pool: httpcore2.AsyncConnectionPool, url: str) -> None:
        async with pool.stream("POST", url, content=bytes(100_000)):
            pass

    return run


OPERATIONS = {
    "get": get,
    "streamed post": _streamed_post,
    "post that waits for its body": _waiting_post,
    "streamed response": _streamed_response,
    "early close": _early_close,
    "with timeouts": timed,
    "traced": traced,
}


class Ledger:
    """The windows of each connection, as both of its ends have them at last."""

    def __init__(self) -> None:
        self.client: dict[object, Windows] = {}
        self.server: dict[object, Windows] = {}

    def script(self, peer: H2Peer) -> None:
        address = peer.peer.socket.getpeername()
        answering()(peer)
        self.server[address] = server_windows(peer)

    def note(self, pool: Any, reply: httpcore2.Response) -> None:
        address = reply.extensions["network_stream"].get_extra_info("client_addr")
        self.client[address] = check_idle(pool)

    def check(self) -> None:
        """Check that both ends agree on the flow-control windows."""
        assert self.client
        assert {address: self.server[address] for address in self.client} == self.client


@SECURED
@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
@CANCELLATIONS
def test_a_request_can_be_cancelled_at_every_wait(
    async_runtime: TestedAsyncRuntime,
    h2_pool: PoolMaker,
    operation: Callable[[TestedAsyncRuntime], Operation],
    secured: bool,
    late: bool,
    h2_server_tls: ssl.SSLContext,
    h2_client_tls: ssl.SSLContext,
) -> None:
    runtime = async_runtime
    run = operation(runtime)
    windows = Ledger()

    async def attempt(step: int, warm: bool) -> CancellationOutcome:
        async with h2_pool(runtime, max_connections=1, ssl_context=h2_client_tls) as pool:
            if warm:
                assert (await pool.request("GET", server.url)).content == b"fine"
            outcome = await runtime.cancel_at_wait(
                step, functools.partial(run, pool, server.url), late
            )
            assert "Requests: 0 active, 0 queued | Connections: 0 active" in repr(pool)
            reply = await pool.request("GET", server.url)
            assert reply.content == b"fine"
            windows.note(pool, reply)
            if warm:
                # No connection was lost by it.
                assert reply.extensions["stream_id"] in (3, 5)
        return outcome

    async def scenario() -> None:
        outcomes = await cancel_at_every_wait(functools.partial(attempt, warm=False))
        outcomes += await cancel_at_every_wait(functools.partial(attempt, warm=True))
        assert CancellationOutcome.CANCELLED in outcomes, "no cancellation had an effect"

    tls = h2_server_tls if secured else None
    with scripted_server(speaking(windows.script), tls=tls, allow_disconnect=True) as server:
        runtime.run(scenario)
    windows.check()


@SECURED
@CANCELLATIONS
def test_a_request_that_waits_for_room_can_be_cancelled_at_every_wait(
    async_runtime: TestedAsyncRuntime,
    h2_pool: PoolMaker,
    secured: bool,
    late: bool,
    h2_server_tls: ssl.SSLContext,
    h2_client_tls: ssl.SSLContext,
) -> None:
    runtime = async_runtime

    async def attempt(step: int) -> CancellationOutcome:
        outcomes: list[CancellationOutcome] = []
        async with h2_pool(runtime, max_connections=1, ssl_context=h2_client_tls) as pool:

            async def fetch() -> None:
                assert (await pool.request("GET", server.url)).content == b"fine"

            async def hold() -> None:
                async with pool.stream("GET", server.url) as reply:
                    held.set()
                    await runtime.wait_until(lambda: bool(outcomes) or " 2 queued" in repr(pool))
                    await reply.aread()

            async def cancelled() -> None:
                await held.wait()
                outcomes.append(await runtime.cancel_at_wait(step, fetch, late))

            async def follow() -> None:
                await held.wait()
                await runtime.let_others_run()
                await fetch()

            await fetch()  # it tells the limit, too
            held = runtime.event()
            await runtime.gather(hold, cancelled, follow)
            check_idle(pool)
            (connection,) = pool.connections
            info = connection.info()
            assert info.endswith(("Request Count: 3", "Request Count: 4"))
        return outcomes[0]

    async def scenario() -> None:
        assert CancellationOutcome.CANCELLED in await cancel_at_every_wait(attempt)

    tls = h2_server_tls if secured else None
    script = speaking(answering(), max_concurrent_streams=1)
    with scripted_server(script, tls=tls, allow_disconnect=True) as server:
        runtime.run(scenario)
        assert server.errors == []


@SECURED
@CANCELLATIONS
def test_an_upload_that_waits_for_a_full_socket_can_be_cancelled_without_tearing_a_frame(
    async_runtime: TestedAsyncRuntime,
    h2_pool: PoolMaker,
    secured: bool,
    late: bool,
    h2_server_tls: ssl.SSLContext,
    h2_client_tls: ssl.SSLContext,
) -> None:
    runtime = async_runtime

    def script(peer: H2Peer) -> None:
        peer.narrow()
        peer.h2.increment_flow_control_window(2**30)
        while stream_id := peer.whole_request():
            with suppress(ProtocolError):  # it was reset meanwhile
                peer.respond(stream_id, b"%d" % len(peer.bodies[stream_id]))

    async def attempt(step: int) -> CancellationOutcome:
        outcomes: list[CancellationOutcome] = []
        options = {"max_connections": 1, "ssl_context": h2_client_tls, "socket_options": NARROW}
        async with h2_pool(runtime, **options) as pool:

            async def post(size: int) -> None:
                reply = await pool.request("POST", server.url, content=bytes(size))
                assert reply.content == b"%d" % size

            async def cancelled() -> None:
                upload = functools.partial(post, 200_000)
                outcomes.append(await runtime.cancel_at_wait(step, upload, late))

            await post(1)
            sibling = functools.partial(post, 150_000)
            await runtime.gather(sibling, cancelled)
            await post(2)
            check_idle(pool)
            assert len(pool.connections) == 1
        return outcomes[0]

    async def scenario() -> None:
        assert CancellationOutcome.CANCELLED in await cancel_at_every_wait(attempt)

    tls = h2_server_tls if secured else None
    handler = speaking(script, initial_window_size=2**30)
    with scripted_server(handler, tls=tls, allow_disconnect=True) as server:
        runtime.run(scenario)
        assert server.errors == []


@pytest.mark.parametrize("late", [False, True], ids=["while waiting", "as it comes"])
def test_a_cancellation_does_not_affect_other_requests(
    async_runtime: TestedAsyncRuntime, h2_pool: PoolMaker, late: bool
) -> None:
    runtime = async_runtime
    run = _streamed_response(runtime)

    async def attempt(step: int) -> CancellationOutcome:
        outcomes: list[CancellationOutcome] = []
        async with h2_pool(runtime, max_connections=1) as pool:
            await pool.request("GET", server.url)

            async def cancelled() -> None:
                operation = functools.partial(run, pool, server.url)
                outcomes.append(await runtime.cancel_at_wait(step, operation, late))

            async def sibling() -> None:
                content = bytes(80_000)
                for _ in range(2):
                    reply = await pool.request("POST", server.url, content=content)
                    assert reply.content == content

            await runtime.gather(cancelled, sibling, cancelled, sibling)
            check_idle(pool)
            reply = await pool.request("GET", server.url)
            # Those that were cancelled before they began have no stream.
            assert 2 * 5 + 1 <= reply.extensions["stream_id"] <= 2 * 7 + 1
        return outcomes[-1]

    async def scenario() -> None:
        assert CancellationOutcome.CANCELLED in await cancel_at_every_wait(attempt)

    with scripted_server(speaking(answering()), allow_disconnect=True) as server:
        runtime.run(scenario)


def test_hundreds_of_abandoned_requests_leave_no_drift(
    runtime: TestedRuntime, h2_pool: PoolMaker
) -> None:
    windows: list[Windows] = []

    async def scenario() -> None:
        async with h2_pool(runtime, max_connections=1) as pool:
            await soak_workloads.interrupt_requests(runtime, pool, server.origin, 480, 12)
            windows.append(check_idle(pool))

    with scripted_server(
        speaking(lambda peer: windows.append(soak_workloads.serve_interrupted_requests(peer))),
        allow_disconnect=True,
    ) as server:
        runtime.run(scenario)
        assert server.accepted == 1
    ours, theirs = windows
    assert ours == theirs
