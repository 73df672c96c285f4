"""Many requests on one connection: limits, windows, and the ends that harm nobody else."""

from __future__ import annotations

import functools
import ssl
from collections.abc import Callable, Coroutine
from typing import Any

import h2.events
import pytest
from h2.errors import ErrorCodes

import httpcore2

from ..support.h2peer import H2Peer, answering, speaking
from ..support.server import scripted
from ..support.worlds import AsyncWorld, Cancelling, World
from .conftest import PoolMaker

TWO_WORLDS = pytest.mark.parametrize("async_world", ["asyncio", "trio"], indirect=True)
"""The two kinds of cancellation; every other world has one of them."""

STEPS = 100
"""More than any request here suspends."""


# Limits


def test_the_servers_limit_is_kept_and_all_get_their_turn(world: World, h2_pool: PoolMaker) -> None:
    at_a_time: list[int] = []

    def script(peer: H2Peer) -> None:
        # The client knows the limit from the first response on.
        stream_id = peer.whole_request()
        assert stream_id is not None
        peer.respond(stream_id, b"fine")
        for _ in range(4):
            streams = [peer.whole_request() for _ in range(3)]
            at_a_time.append(peer.h2.open_inbound_streams)
            for stream_id in streams:
                assert stream_id is not None
                peer.respond(stream_id, b"fine")
        peer.until_end()

    async def scenario() -> None:
        async with h2_pool(world, max_connections=1) as pool:

            async def fetch() -> None:
                assert (await pool.request("GET", server.url)).content == b"fine"

            await fetch()
            await world.gather(*[fetch] * 12)
            assert len(pool.connections) == 1

    with scripted(speaking(script, max_concurrent_streams=3)) as server:
        world.run(scenario)
    assert max(at_a_time) == 3


def test_beyond_the_limit_another_connection_is_opened(world: World, h2_pool: PoolMaker) -> None:
    async def scenario() -> None:
        async with h2_pool(world, max_connections=2) as pool:
            assert (await pool.request("GET", server.url)).content == b"fine"
            held = world.signal()
            done = world.signal()

            async def hold() -> None:
                async with pool.stream("GET", server.url) as reply:
                    held.set()
                    await done.wait()
                    assert await reply.aread() == b"fine"

            async def fetch() -> None:
                await held.wait()
                assert (await pool.request("GET", server.url)).content == b"fine"
                assert len(pool.connections) == 2
                done.set()

            await world.gather(hold, fetch)

    with scripted(speaking(answering(), max_concurrent_streams=1)) as server:
        world.run(scenario)
        assert server.accepted == 2


def test_the_limit_is_followed_down_to_nothing_and_up_again(
    world: World, h2_pool: PoolMaker
) -> None:
    waiting = world.signal()

    def script(peer: H2Peer) -> None:
        first = peer.whole_request()
        assert first is not None
        peer.change(max_concurrent_streams=0)
        peer.head(first)
        waiting.wait_in_thread()
        assert peer.h2.open_inbound_streams == 1
        peer.data(first, b"on")
        peer.change(max_concurrent_streams=1)
        peer.data(first, b"e", end=True)
        for _ in range(3):
            stream_id = peer.whole_request()
            assert stream_id is not None
            assert peer.h2.open_inbound_streams == 1
            peer.respond(stream_id, b"more")
        peer.until_end()

    async def scenario() -> None:
        async with h2_pool(world, max_connections=1) as pool:
            begun = world.signal()

            async def first() -> None:
                async with pool.stream("GET", server.url) as reply:
                    begun.set()
                    await world.until(lambda: " 3 queued" in repr(pool))
                    waiting.set()
                    assert await reply.aread() == b"one"

            async def follow() -> None:
                await begun.wait()
                assert (await pool.request("GET", server.url)).content == b"more"

            await world.gather(first, follow, follow, follow)

    with scripted(speaking(script, max_concurrent_streams=100)) as server:
        world.run(scenario)
        assert server.accepted == 1


def test_requests_beyond_a_limit_that_was_not_known_are_sent_again(
    world: World, h2_pool: PoolMaker
) -> None:
    def script(peer: H2Peer) -> None:
        while event := peer.next():
            if isinstance(event, h2.events.StreamEnded):
                assert event.stream_id is not None
                if peer.h2.open_inbound_streams > 2:
                    peer.reset(event.stream_id, ErrorCodes.REFUSED_STREAM)
                    continue
                peer.respond(event.stream_id, peer.bodies[event.stream_id])

    async def scenario() -> None:
        async with h2_pool(world, max_connections=1) as pool:

            async def post(number: int) -> None:
                content = b"%d" % number
                reply = await pool.request("POST", server.url, content=content)
                assert reply.content == content

            await world.gather(*[lambda number=number: post(number) for number in range(20)])

    with scripted(speaking(script)) as server:
        world.run(scenario)
        assert server.accepted == 1


def test_a_server_that_refuses_for_ever_is_given_up(world: World, h2_pool: PoolMaker) -> None:
    def script(peer: H2Peer) -> None:
        while stream_id := peer.whole_request():
            peer.reset(stream_id, ErrorCodes.REFUSED_STREAM)

    async def scenario() -> None:
        async with h2_pool(world) as pool:
            with pytest.raises(
                httpcore2.RemoteProtocolError, match=r"10 times, and never processed\. .*REFUSED"
            ):
                await pool.request("GET", server.url)
            assert "Requests: 0 active, 0 queued | Connections: 0 active, 1 idle" in repr(pool)

    with scripted(speaking(script)) as server:
        world.run(scenario)


def test_a_body_that_was_begun_is_not_sent_again(world: World, h2_pool: PoolMaker) -> None:
    def script(peer: H2Peer) -> None:
        peer.reset(peer.request(), ErrorCodes.REFUSED_STREAM)
        peer.until_end()

    async def scenario() -> None:
        async with h2_pool(world) as pool:
            body = world.body(bytes(20_000) for _ in range(10))
            with pytest.raises(httpcore2.RemoteProtocolError, match="REFUSED_STREAM") as raised:
                await pool.request("POST", server.url, content=body)
            assert raised.value.__notes__ == [
                "The request's body was begun, and can't be sent again."
            ]

    with scripted(speaking(script)) as server:
        world.run(scenario)


# GOAWAY


def test_a_server_that_goes_away_finishes_what_it_took_and_the_rest_moves(
    world: World, h2_pool: PoolMaker
) -> None:
    def script(peer: H2Peer) -> None:
        if peer.number:
            answering(b"second")(peer)
            return
        streams = [peer.whole_request() for _ in range(10)]
        peer.go_away(2 * 4 - 1)
        for stream_id in streams[:4]:
            assert stream_id is not None
            peer.respond(stream_id, b"first")
        peer.until_end()

    async def scenario() -> None:
        async with h2_pool(world) as pool:

            async def post() -> bytes:
                return (await pool.request("POST", server.url)).content

            contents = await world.gather(*[post] * 10)
            assert sorted(contents) == [b"first"] * 4 + [b"second"] * 6
            (connection,) = pool.connections
            assert connection.info().endswith("IDLE, Request Count: 6")

    with scripted(speaking(script)) as server:
        world.run(scenario)
        assert server.accepted == 2


def test_a_farewell_to_an_idle_connection_is_heard_before_it_is_used(
    world: World, h2_pool: PoolMaker
) -> None:
    said = world.signal()

    def script(peer: H2Peer) -> None:
        stream_id = peer.whole_request()
        assert stream_id is not None
        peer.respond(stream_id, b"%d" % peer.number)
        if not peer.number:
            done.wait_in_thread()
            peer.go_away(stream_id)
            said.set()
        peer.until_end()

    done = world.signal()

    async def scenario() -> None:
        async with h2_pool(world) as pool:
            assert (await pool.request("POST", server.url)).content == b"0"
            (connection,) = pool.connections
            done.set()
            await said.wait()
            assert (await pool.request("POST", server.url)).content == b"1"
            assert connection.is_closed() and connection not in pool.connections

    with scripted(speaking(script)) as server:
        world.run(scenario)


def test_bytes_on_an_idle_connection_do_no_harm(world: World, h2_pool: PoolMaker) -> None:
    said = world.signal()

    def script(peer: H2Peer) -> None:
        stream_id = peer.whole_request()
        assert stream_id is not None
        peer.respond(stream_id, b"fine")
        done.wait_in_thread()
        peer.h2.ping(b"pingpong")
        peer.flush()
        said.set()
        while event := peer.next():
            if isinstance(event, h2.events.StreamEnded):
                assert event.stream_id is not None
                peer.respond(event.stream_id, b"fine")
            else:
                acknowledged.append(isinstance(event, h2.events.PingAckReceived))

    acknowledged: list[bool] = []
    done = world.signal()

    async def scenario() -> None:
        async with h2_pool(world, keepalive_expiry=100.0) as pool:
            await pool.request("GET", server.url)
            done.set()
            await said.wait()
            assert (await pool.request("GET", server.url)).content == b"fine"
            assert not pool.connections[0].has_expired()

    with scripted(speaking(script)) as server:
        world.run(scenario)
        assert server.accepted == 1
    assert any(acknowledged)


def test_a_get_on_an_idle_connection_that_the_server_closed_is_sent_again(
    world: World, h2_pool: PoolMaker
) -> None:
    def script(peer: H2Peer) -> None:
        stream_id = peer.whole_request()
        assert stream_id is not None
        peer.respond(stream_id, b"%d" % peer.number)
        if not peer.number:
            peer.request()  # closes once it is on its way
        else:
            peer.until_end()

    async def scenario() -> None:
        async with h2_pool(world) as pool:
            assert (await pool.request("GET", server.url)).content == b"0"
            assert (await pool.request("GET", server.url)).content == b"1"
            assert len(pool.connections) == 1

    with scripted(speaking(script)) as server:
        world.run(scenario)
        assert server.accepted == 2


def test_a_post_on_such_a_connection_fails_and_the_next_does_not(
    world: World, h2_pool: PoolMaker
) -> None:
    def script(peer: H2Peer) -> None:
        stream_id = peer.whole_request()
        assert stream_id is not None
        peer.respond(stream_id, b"%d" % peer.number)
        if not peer.number:
            last = peer.request()
            peer.go_away(last, 11, b"calm down")
        else:
            peer.until_end()

    async def scenario() -> None:
        async with h2_pool(world) as pool:
            assert (await pool.request("GET", server.url)).content == b"0"
            with pytest.raises(
                httpcore2.RemoteProtocolError, match="Server disconnected"
            ) as raised:
                await pool.request("POST", server.url)
            assert raised.value.__notes__ == [
                "Before, the server had said: ENHANCE_YOUR_CALM b'calm down'."
            ]
            assert pool.connections == []
            assert (await pool.request("GET", server.url)).content == b"1"

    with scripted(speaking(script)) as server:
        world.run(scenario)


# Windows


def test_a_slow_consumer_stops_nobody_else(world: World, h2_pool: PoolMaker) -> None:
    size = 3 * 1024 * 1024
    stalled = world.signal()

    def script(peer: H2Peer) -> None:
        slow = peer.request()
        peer.head(slow)
        sent = 0
        while window := min(peer.h2.local_flow_control_window(slow), 65536):
            peer.data(slow, bytes(window))
            sent += window
        assert sent == 1024 * 1024, "the memory for a stream is bounded"
        stalled.set()
        while event := peer.next():
            if isinstance(event, h2.events.StreamEnded) and event.stream_id != slow:
                assert event.stream_id is not None
                peer.respond(event.stream_id, bytes(100_000))
            elif (
                isinstance(event, h2.events.WindowUpdated)
                and event.stream_id == slow
                and sent < size
            ):
                count = min(size - sent, peer.h2.local_flow_control_window(slow))
                peer.data(slow, bytes(count), end=sent + count == size)
                sent += count

    async def scenario() -> None:
        async with h2_pool(world) as pool:
            async with pool.stream("GET", server.url) as slow:
                await stalled.wait()
                for _ in range(30):
                    assert len((await pool.request("GET", server.url)).content) == 100_000
                assert len(await slow.aread()) == size
            assert len(pool.connections) == 1

    with scripted(speaking(script)) as server:
        world.run(scenario)


def test_settings_may_drive_a_window_below_zero(world: World, h2_pool: PoolMaker) -> None:
    def script(peer: H2Peer) -> None:
        stream_id = peer.request()
        while len(peer.bodies[stream_id]) < 60_000:
            peer.wait_for(h2.events.DataReceived)
        peer.change(initial_window_size=1000)  # 59,000 too many were sent
        peer.wait_for(h2.events.SettingsAcknowledged)
        peer.h2.increment_flow_control_window(1_000_000)
        peer.change(initial_window_size=200_000)
        while not isinstance(event := peer.next(), h2.events.StreamEnded):
            assert event is not None
        peer.respond(stream_id, b"%d" % len(peer.bodies[stream_id]))
        peer.until_end()

    async def scenario() -> None:
        async with h2_pool(world) as pool:
            reply = await pool.request("POST", server.url, content=bytes(150_000))
            assert reply.content == b"150000"

    with scripted(speaking(script)) as server:
        world.run(scenario)


def test_many_uploads_share_the_connections_window(world: World, h2_pool: PoolMaker) -> None:
    async def scenario() -> None:
        async with h2_pool(world) as pool:

            async def post(number: int) -> None:
                content = bytes([number]) * 100_000
                reply = await pool.request("POST", server.url, content=content)
                assert reply.content == content

            await world.gather(*[lambda number=number: post(number) for number in range(8)])

    with scripted(speaking(answering(), initial_window_size=2_000_000)) as server:
        world.run(scenario)
        assert server.accepted == 1


# Ends


def test_a_stream_that_times_out_is_reset_alone(world: World, h2_pool: PoolMaker) -> None:
    codes: list[object] = []

    def script(peer: H2Peer) -> None:
        silent, good = peer.request(), peer.request()
        peer.head(good)
        reset = peer.wait_for(h2.events.StreamReset)
        codes.append((reset.stream_id == silent or reset.stream_id == good, reset.error_code))
        other = good if reset.stream_id == silent else silent
        peer.data(other, b"fine", end=True)
        peer.until_end()

    async def scenario() -> None:
        async with h2_pool(world) as pool:
            answered = world.signal()

            async def silent() -> None:
                await answered.wait()
                with pytest.raises(httpcore2.ReadTimeout, match=r"The server let 0\.05 seconds"):
                    await pool.request("GET", server.url, extensions={"timeout": {"read": 0.05}})

            async def good() -> None:
                async with pool.stream("GET", server.url) as reply:
                    assert await reply.aread() == b"fine"

            async def begin() -> None:
                await world.until(lambda: bool(pool.connections))
                answered.set()

            await world.gather(good, silent, begin)
            assert "0 active, 0 queued | Connections: 0 active, 1 idle" in repr(pool)

    def either(peer: H2Peer) -> None:
        # Whichever request comes first: the one with the head is the good one.
        first = peer.request()
        peer.head(first)
        second = peer.request()
        reset = peer.wait_for(h2.events.StreamReset)
        codes.append((reset.stream_id == second, reset.error_code))
        peer.data(first, b"fine", end=True)
        peer.until_end()

    with scripted(speaking(either)) as server:
        world.run(scenario)
    assert codes == [(True, ErrorCodes.CANCEL)]


def test_a_response_that_is_closed_early_resets_its_stream_alone(
    world: World, h2_pool: PoolMaker
) -> None:
    resets: list[tuple[int | None, object]] = []

    def script(peer: H2Peer) -> None:
        endless, good = peer.request(), peer.request()
        peer.head(endless)
        peer.head(good)
        for _ in range(3):
            peer.data(endless, bytes(10_000))
        reset = peer.wait_for(h2.events.StreamReset)
        resets.append((reset.stream_id, reset.error_code))
        peer.data(good, b"fine", end=True)
        peer.until_end()

    async def scenario() -> None:
        async with h2_pool(world) as pool:
            begun, asked = world.signal(), world.signal()

            async def closed() -> None:
                async with pool.stream(
                    "GET", server.url, extensions={"trace": world.trace(events)}
                ) as reply:
                    async for _ in reply.aiter_stream():
                        break
                    stream: Any = reply
                await stream.aclose()
                with pytest.raises(httpcore2.ReadError, match="closed before its body was read"):
                    await stream.stream.read_all()

            events: list[tuple[str, dict[str, Any]]] = []

            async def good() -> None:
                await world.until(
                    lambda: any(name == "http2.send_request_headers.complete" for name, _ in events)
                )
                assert (await pool.request("GET", server.url)).content == b"fine"

            await world.gather(closed, good)
            assert "0 active, 0 queued | Connections: 0 active, 1 idle" in repr(pool)
            begun.set()
            asked.set()

    with scripted(speaking(script)) as server:
        world.run(scenario)
    assert resets == [(1, ErrorCodes.CANCEL)]


def test_a_server_that_takes_nothing_in_lets_writes_time_out_alone(
    world: World, h2_pool: PoolMaker
) -> None:
    def script(peer: H2Peer) -> None:
        stream_id = peer.request()
        peer.wait_for(h2.events.StreamReset, stream_id)  # it never opens the window
        answering()(peer)

    async def scenario() -> None:
        async with h2_pool(world) as pool:
            with pytest.raises(httpcore2.WriteTimeout):
                await pool.request(
                    "POST",
                    server.url,
                    content=bytes(200_000),
                    extensions={"timeout": {"write": 0.05}},
                )
            assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted(speaking(script)) as server:
        world.run(scenario)
        assert server.accepted == 1


def test_a_full_socket_lets_writes_time_out_and_no_frame_is_torn(
    world: World, h2_pool: PoolMaker
) -> None:
    given_up = world.signal()

    def script(peer: H2Peer) -> None:
        stream_id = peer.request()
        peer.h2.increment_flow_control_window(2**30)
        peer.h2.increment_flow_control_window(2**30, stream_id)
        peer.flush()
        given_up.wait_in_thread()
        peer.wait_for(h2.events.StreamReset, stream_id)
        answering()(peer)

    async def scenario() -> None:
        async with h2_pool(world) as pool:
            with pytest.raises(httpcore2.WriteTimeout, match="took in too little"):
                await pool.request(
                    "POST",
                    server.url,
                    content=bytes(50_000_000),
                    extensions={"timeout": {"write": 0.2}},
                )
            given_up.set()
            assert (await pool.request("GET", server.url)).content == b"fine"
            assert len(pool.connections) == 1

    with scripted(speaking(script)) as server:
        world.run(scenario)
        assert server.accepted == 1


# Cancellation

Operation = Callable[[httpcore2.AsyncConnectionPool, str], Coroutine[Any, Any, None]]


def _get(world: AsyncWorld) -> Operation:
    async def run(pool: httpcore2.AsyncConnectionPool, url: str) -> None:
        assert (await pool.request("GET", url)).content == b"fine"

    return run


def _streamed_post(world: AsyncWorld) -> Operation:
    async def run(pool: httpcore2.AsyncConnectionPool, url: str) -> None:
        # More than the first window, so that it waits for more.
        body = world.body([b"x" * 40_000, b"y" * 40_000])
        assert len((await pool.request("POST", url, content=body)).content) == 80_000

    return run


def _streamed_response(world: AsyncWorld) -> Operation:
    async def run(pool: httpcore2.AsyncConnectionPool, url: str) -> None:
        async with pool.stream("POST", url, content=bytes(100_000)) as streamed:
            chunks = [chunk async for chunk in streamed.aiter_stream()]
        assert sum(map(len, chunks)) == 100_000

    return run


def _early_close(world: AsyncWorld) -> Operation:
    async def run(pool: httpcore2.AsyncConnectionPool, url: str) -> None:
        async with pool.stream("POST", url, content=bytes(100_000)):
            pass

    return run


def _timed(world: AsyncWorld) -> Operation:
    async def run(pool: httpcore2.AsyncConnectionPool, url: str) -> None:
        timeout = {"pool": 9.0, "connect": 9.0, "read": 9.0, "write": 9.0, "total": 9.0}
        reply = await pool.request("GET", url, extensions={"timeout": timeout})
        assert reply.content == b"fine"

    return run


def _traced(world: AsyncWorld) -> Operation:
    async def run(pool: httpcore2.AsyncConnectionPool, url: str) -> None:
        async def trace(name: str, info: dict[str, Any]) -> None:
            await world.turn()  # the callback can be cancelled too

        assert (await pool.request("GET", url, extensions={"trace": trace})).content == b"fine"

    return run


OPERATIONS = {
    "get": _get,
    "streamed post": _streamed_post,
    "streamed response": _streamed_response,
    "early close": _early_close,
    "with timeouts": _timed,
    "traced": _traced,
}


@pytest.mark.parametrize("late", [False, True], ids=["while waiting", "as it comes"])
@pytest.mark.parametrize("secured", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
@TWO_WORLDS
def test_a_request_can_be_cancelled_at_every_wait(
    async_world: AsyncWorld,
    h2_pool: PoolMaker,
    operation: Callable[[AsyncWorld], Operation],
    secured: bool,
    late: bool,
    h2_server_tls: ssl.SSLContext,
    h2_client_tls: ssl.SSLContext,
) -> None:
    world = async_world
    run = operation(world)

    async def scenario() -> None:
        stopped = 0
        for warm in (False, True):
            for step in range(STEPS):
                async with h2_pool(world, max_connections=1, ssl_context=h2_client_tls) as pool:
                    if warm:
                        assert (await pool.request("GET", server.url)).content == b"fine"
                    operation_at = functools.partial(run, pool, server.url)
                    outcome = await world.cancelled_at(step, operation_at, late)
                    assert "Requests: 0 active, 0 queued | Connections: 0 active" in repr(pool)
                    reply = await pool.request("GET", server.url)
                    assert reply.content == b"fine"
                    assert "Connections: 0 active, 1 idle" in repr(pool)
                    if warm:
                        # No connection was lost by it.
                        assert reply.extensions["stream_id"] in (3, 5)
                stopped += outcome is Cancelling.STOPPED_IT
                if outcome is Cancelling.NEVER_CAME_TO_IT:
                    break
            else:
                raise AssertionError("the request has no end of waits")
        assert stopped, "no cancellation had an effect"

    tls = h2_server_tls if secured else None
    with scripted(speaking(answering()), tls=tls, forgiving=True) as server:
        world.run(scenario)


@pytest.mark.parametrize("late", [False, True], ids=["while waiting", "as it comes"])
def test_no_sibling_notices_a_cancellation(
    async_world: AsyncWorld, h2_pool: PoolMaker, late: bool
) -> None:
    world = async_world

    async def scenario() -> None:
        for step in range(STEPS):
            async with h2_pool(world, max_connections=1) as pool:
                await pool.request("GET", server.url)
                outcome = Cancelling.NEVER_CAME_TO_IT

                async def cancelled() -> None:
                    nonlocal outcome
                    run = _streamed_response(world)
                    operation = functools.partial(run, pool, server.url)
                    outcome = await world.cancelled_at(step, operation, late)  # noqa: B023

                async def sibling() -> None:
                    content = bytes(80_000)
                    for _ in range(2):
                        reply = await pool.request("POST", server.url, content=content)
                        assert reply.content == content

                await world.gather(cancelled, sibling, cancelled, sibling)
                assert "Requests: 0 active, 0 queued | Connections: 0 active, 1 idle" in repr(pool)
                reply = await pool.request("GET", server.url)
                assert reply.extensions["stream_id"] == 2 * 7 + 1 or step < 3
            if outcome is Cancelling.NEVER_CAME_TO_IT:
                break
        else:
            raise AssertionError("the request has no end of waits")

    with scripted(speaking(answering()), forgiving=True) as server:
        world.run(scenario)


@TWO_WORLDS
def test_a_thousand_cancels_leave_no_drift(async_world: AsyncWorld, h2_pool: PoolMaker) -> None:
    world = async_world
    windows: list[int] = []

    def script(peer: H2Peer) -> None:
        while event := peer.next():
            if isinstance(event, h2.events.StreamEnded):
                assert event.stream_id is not None
                if peer.requests[event.stream_id][b":path"] == b"/last":
                    windows.append(peer.h2.outbound_flow_control_window)
                    peer.respond(event.stream_id, b"fine")
                else:
                    peer.head(event.stream_id)
                    peer.data(event.stream_id, bytes(30_000))

    async def scenario() -> None:
        async with h2_pool(world, max_connections=1) as pool:

            async def some() -> None:
                for _ in range(50):
                    async with pool.stream("GET", server.url) as reply:
                        async for _ in reply.aiter_stream():
                            break

            await world.gather(*[some] * 20)
            assert (await pool.request("GET", server.url + "last")).content == b"fine"
            (connection,) = pool.connections
            assert connection.info().endswith("IDLE, Request Count: 1001")

    with scripted(speaking(script), forgiving=True) as server:
        world.run(scenario)
    # 30 MB came and went: of the window of 16 MiB less than half is missing.
    assert windows[0] > 8 * 1024 * 1024


def test_closing_the_pool_ends_all_requests(world: World, h2_pool: PoolMaker) -> None:
    asked = world.signal()

    def script(peer: H2Peer) -> None:
        peer.request()
        peer.request()
        asked.set()
        peer.until_end()

    async def scenario() -> None:
        async with h2_pool(world) as pool:

            async def fetch() -> None:
                with pytest.raises(httpcore2.ReadError, match="was closed"):
                    await pool.request("GET", server.url)

            async def close() -> None:
                await asked.wait()
                await pool.aclose()

            await world.gather(fetch, fetch, close)
            assert pool.connections == []

    with scripted(speaking(script), forgiving=True) as server:
        world.run(scenario)
