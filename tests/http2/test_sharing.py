"""Many requests on one connection: limits, windows, and the ends that harm nobody else."""

from __future__ import annotations

from typing import Any

import h2.events
import pytest
from h2.errors import ErrorCodes

import httpcore2

from ..support.h2peer import HEADERS, NARROW, H2Peer, answering, speaking
from ..support.h2state import session
from ..support.runtimes import TestedRuntime
from ..support.scripted_servers import scripted_server
from .conftest import PoolMaker

TWO_RUNTIMES = pytest.mark.parametrize("async_runtime", ["asyncio", "trio"], indirect=True)
"""The two kinds of cancellation; every other runtime has one of them."""

STEPS = 100
"""More than any request here suspends."""


# Limits


def test_the_servers_stream_limit_is_kept_and_all_requests_are_sent(
    runtime: TestedRuntime, h2_pool: PoolMaker
) -> None:
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
        async with h2_pool(runtime, max_connections=1) as pool:

            async def fetch() -> None:
                assert (await pool.request("GET", server.url)).content == b"fine"

            await fetch()
            await runtime.gather(*[fetch] * 12)
            assert len(pool.connections) == 1

    with scripted_server(speaking(script, max_concurrent_streams=3)) as server:
        runtime.run(scenario)
    assert max(at_a_time) == 3


def test_beyond_the_limit_another_connection_is_opened(
    runtime: TestedRuntime, h2_pool: PoolMaker
) -> None:
    async def scenario() -> None:
        async with h2_pool(runtime, max_connections=2) as pool:
            assert (await pool.request("GET", server.url)).content == b"fine"
            held = runtime.event()
            done = runtime.event()

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

            await runtime.gather(hold, fetch)

    with scripted_server(speaking(answering(), max_concurrent_streams=1)) as server:
        runtime.run(scenario)
        assert server.accepted == 2


def test_the_stream_limit_may_be_lowered_to_0_and_raised_again(
    runtime: TestedRuntime, h2_pool: PoolMaker
) -> None:
    waiting = runtime.event()

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
        async with h2_pool(runtime, max_connections=1) as pool:
            begun = runtime.event()

            async def first() -> None:
                async with pool.stream("GET", server.url) as reply:
                    begun.set()
                    await runtime.wait_until(lambda: " 3 queued" in repr(pool))
                    waiting.set()
                    assert await reply.aread() == b"one"

            async def follow() -> None:
                await begun.wait()
                assert (await pool.request("GET", server.url)).content == b"more"

            await runtime.gather(first, follow, follow, follow)

    with scripted_server(speaking(script, max_concurrent_streams=100)) as server:
        runtime.run(scenario)
        assert server.accepted == 1


def test_an_idle_connection_that_accepts_no_request_is_replaced(
    runtime: TestedRuntime, h2_pool: PoolMaker
) -> None:
    def script(peer: H2Peer) -> None:
        stream_id = peer.whole_request()
        assert stream_id is not None
        if not peer.number:
            peer.change(max_concurrent_streams=0)
        peer.respond(stream_id, b"%d" % peer.number)
        peer.until_end()

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            assert (await pool.request("POST", server.url)).content == b"0"
            assert pool.connections == []
            assert (await pool.request("POST", server.url)).content == b"1"
            assert len(pool.connections) == 1

    with scripted_server(speaking(script)) as server:
        runtime.run(scenario)


def test_requests_beyond_a_limit_that_was_not_yet_known_are_sent_again(
    runtime: TestedRuntime, h2_pool: PoolMaker
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
        async with h2_pool(runtime, max_connections=1) as pool:

            async def post(number: int) -> None:
                content = b"%d" % number
                reply = await pool.request("POST", server.url, content=content)
                assert reply.content == content

            await runtime.gather(*[lambda number=number: post(number) for number in range(20)])

    with scripted_server(speaking(script)) as server:
        runtime.run(scenario)
        assert server.accepted == 1


def test_a_server_that_keeps_refusing_a_request_fails_it(
    runtime: TestedRuntime, h2_pool: PoolMaker
) -> None:
    def script(peer: H2Peer) -> None:
        while stream_id := peer.whole_request():
            peer.reset(stream_id, ErrorCodes.REFUSED_STREAM)

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            with pytest.raises(
                httpcore2.RemoteProtocolError, match=r"10 times, and never processed\. .*REFUSED"
            ):
                await pool.request("GET", server.url)
            assert "Requests: 0 active, 0 queued | Connections: 0 active, 1 idle" in repr(pool)

    with scripted_server(speaking(script)) as server:
        runtime.run(scenario)


def test_a_request_whose_body_was_begun_is_not_sent_again(
    runtime: TestedRuntime, h2_pool: PoolMaker
) -> None:
    def script(peer: H2Peer) -> None:
        peer.reset(peer.request(), ErrorCodes.REFUSED_STREAM)
        peer.until_end()

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            body = runtime.body(bytes(20_000) for _ in range(10))
            with pytest.raises(httpcore2.RemoteProtocolError, match="REFUSED_STREAM") as raised:
                await pool.request("POST", server.url, content=body)
            assert raised.value.__notes__ == [
                "The request can't be sent again: a chunk of its body was taken already."
            ]

    with scripted_server(speaking(script)) as server:
        runtime.run(scenario)


# GOAWAY


def test_after_goaway_processed_requests_finish_and_the_others_are_sent_elsewhere(
    runtime: TestedRuntime, h2_pool: PoolMaker
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
        async with h2_pool(runtime) as pool:

            async def post() -> bytes:
                return (await pool.request("POST", server.url)).content

            contents = await runtime.gather(*[post] * 10)
            assert sorted(contents) == [b"first"] * 4 + [b"second"] * 6
            (connection,) = pool.connections
            assert connection.info().endswith("IDLE, Request Count: 6")

    with scripted_server(speaking(script)) as server:
        runtime.run(scenario)
        assert server.accepted == 2


def test_a_goaway_on_an_idle_connection_is_received_before_reuse(
    runtime: TestedRuntime, h2_pool: PoolMaker
) -> None:
    said = runtime.event()

    def script(peer: H2Peer) -> None:
        stream_id = peer.whole_request()
        assert stream_id is not None
        peer.respond(stream_id, b"%d" % peer.number)
        if not peer.number:
            done.wait_in_thread()
            peer.go_away(stream_id)
            said.set()
        peer.until_end()

    done = runtime.event()

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            assert (await pool.request("POST", server.url)).content == b"0"
            (connection,) = pool.connections
            done.set()
            await said.wait()
            assert (await pool.request("POST", server.url)).content == b"1"
            assert connection.is_closed() and connection not in pool.connections

    with scripted_server(speaking(script)) as server:
        runtime.run(scenario)


def test_frames_on_an_idle_connection_are_harmless(
    runtime: TestedRuntime, h2_pool: PoolMaker
) -> None:
    said = runtime.event()

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
    done = runtime.event()

    async def scenario() -> None:
        async with h2_pool(runtime, keepalive_expiry=100.0) as pool:
            await pool.request("GET", server.url)
            done.set()
            await said.wait()
            assert (await pool.request("GET", server.url)).content == b"fine"
            assert not pool.connections[0].has_expired()

    with scripted_server(speaking(script)) as server:
        runtime.run(scenario)
        assert server.accepted == 1
    assert any(acknowledged)


def test_a_get_on_an_idle_connection_that_the_server_closed_is_sent_again(
    runtime: TestedRuntime, h2_pool: PoolMaker
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
        async with h2_pool(runtime) as pool:
            assert (await pool.request("GET", server.url)).content == b"0"
            assert (await pool.request("GET", server.url)).content == b"1"
            assert len(pool.connections) == 1

    with scripted_server(speaking(script)) as server:
        runtime.run(scenario)
        assert server.accepted == 2


def test_a_post_on_such_a_connection_fails_and_the_next_does_not(
    runtime: TestedRuntime, h2_pool: PoolMaker
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
        async with h2_pool(runtime) as pool:
            assert (await pool.request("GET", server.url)).content == b"0"
            with pytest.raises(
                httpcore2.RemoteProtocolError, match="Server disconnected"
            ) as raised:
                await pool.request("POST", server.url)
            assert raised.value.__notes__ == [
                "Before that, the server sent GOAWAY: ENHANCE_YOUR_CALM b'calm down'."
            ]
            assert pool.connections == []
            assert (await pool.request("GET", server.url)).content == b"1"

    with scripted_server(speaking(script)) as server:
        runtime.run(scenario)


# Windows


def test_an_unread_response_does_not_stop_ninety_nine_others(
    runtime: TestedRuntime, h2_pool: PoolMaker
) -> None:
    size = 3 * 1024 * 1024
    stalled = runtime.event()

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
                peer.respond(event.stream_id, bytes(20_000))
            elif (
                isinstance(event, h2.events.WindowUpdated)
                and event.stream_id == slow
                and sent < size
            ):
                count = min(size - sent, peer.h2.local_flow_control_window(slow))
                peer.data(slow, bytes(count), end=sent + count == size)
                sent += count

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            async with pool.stream("GET", server.url) as slow:
                await stalled.wait()

                async def fetch() -> None:
                    for _ in range(3):
                        assert len((await pool.request("GET", server.url)).content) == 20_000

                await runtime.gather(*[fetch] * 99)
                assert len(await slow.aread()) == size
            assert len(pool.connections) == 1

    with scripted_server(speaking(script)) as server:
        runtime.run(scenario)


def test_settings_may_make_a_window_negative(runtime: TestedRuntime, h2_pool: PoolMaker) -> None:
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
        async with h2_pool(runtime) as pool:
            reply = await pool.request("POST", server.url, content=bytes(150_000))
            assert reply.content == b"150000"

    with scripted_server(speaking(script)) as server:
        runtime.run(scenario)


def test_many_uploads_share_the_connections_window(
    runtime: TestedRuntime, h2_pool: PoolMaker
) -> None:
    async def scenario() -> None:
        async with h2_pool(runtime) as pool:

            async def post(number: int) -> None:
                content = bytes([number]) * 100_000
                reply = await pool.request("POST", server.url, content=content)
                assert reply.content == content

            await runtime.gather(*[lambda number=number: post(number) for number in range(8)])

    with scripted_server(speaking(answering(), initial_window_size=2_000_000)) as server:
        runtime.run(scenario)
        assert server.accepted == 1


# Ends


def test_a_request_that_times_out_resets_its_stream_alone(
    runtime: TestedRuntime, h2_pool: PoolMaker
) -> None:
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
        async with h2_pool(runtime) as pool:
            answered = runtime.event()

            async def silent() -> None:
                await answered.wait()
                with pytest.raises(
                    httpcore2.ReadTimeout, match=r"No data from the server within 0\.05 seconds"
                ):
                    await pool.request("GET", server.url, extensions={"timeout": {"read": 0.05}})

            async def good() -> None:
                async with pool.stream("GET", server.url) as reply:
                    assert await reply.aread() == b"fine"

            async def begin() -> None:
                await runtime.wait_until(lambda: bool(pool.connections))
                answered.set()

            await runtime.gather(good, silent, begin)
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

    with scripted_server(speaking(either)) as server:
        runtime.run(scenario)
    assert codes == [(True, ErrorCodes.CANCEL)]


def test_a_response_that_is_closed_early_resets_its_stream_alone(
    runtime: TestedRuntime, h2_pool: PoolMaker
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
        async with h2_pool(runtime) as pool:
            begun, asked = runtime.event(), runtime.event()

            async def closed() -> None:
                async with pool.stream(
                    "GET", server.url, extensions={"trace": runtime.trace(events)}
                ) as reply:
                    async for _ in reply.aiter_stream():
                        break
                    body: Any = reply.stream
                with pytest.raises(httpcore2.ReadError, match="closed before its body was read"):
                    await body.aread_all() if hasattr(body, "aread_all") else body.read_all()

            events: list[tuple[str, dict[str, Any]]] = []

            async def good() -> None:
                await runtime.wait_until(
                    lambda: any(name == "http2.send_request_headers.complete" for name, _ in events)
                )
                assert (await pool.request("GET", server.url)).content == b"fine"

            await runtime.gather(closed, good)
            assert "0 active, 0 queued | Connections: 0 active, 1 idle" in repr(pool)
            begun.set()
            asked.set()

    with scripted_server(speaking(script)) as server:
        runtime.run(scenario)
    assert resets == [(1, ErrorCodes.CANCEL)]


def test_a_server_that_opens_no_window_lets_one_write_time_out_alone(
    runtime: TestedRuntime, h2_pool: PoolMaker
) -> None:
    def script(peer: H2Peer) -> None:
        stream_id = peer.request()
        peer.wait_for(h2.events.StreamReset, stream_id)  # it never opens the window
        answering()(peer)

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            with pytest.raises(httpcore2.WriteTimeout):
                await pool.request(
                    "POST",
                    server.url,
                    content=bytes(200_000),
                    extensions={"timeout": {"write": 0.05}},
                )
            assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(speaking(script)) as server:
        runtime.run(scenario)
        assert server.accepted == 1


def test_a_full_socket_lets_writes_time_out_without_tearing_a_frame(
    runtime: TestedRuntime, h2_pool: PoolMaker
) -> None:
    given_up = runtime.event()

    def script(peer: H2Peer) -> None:
        peer.narrow()
        stream_id = peer.request()
        peer.h2.increment_flow_control_window(2**30)
        peer.h2.increment_flow_control_window(2**30, stream_id)
        peer.flush()
        given_up.wait_in_thread()
        peer.wait_for(h2.events.StreamReset, stream_id)
        answering()(peer)

    async def scenario() -> None:
        async with h2_pool(runtime, socket_options=NARROW) as pool:
            with pytest.raises(httpcore2.WriteTimeout, match="did not accept data"):
                await pool.request(
                    "POST",
                    server.url,
                    content=bytes(2_000_000),
                    extensions={"timeout": {"write": 0.1}},
                )
            given_up.set()
            assert (await pool.request("GET", server.url)).content == b"fine"
            assert len(pool.connections) == 1

    with scripted_server(speaking(script)) as server:
        runtime.run(scenario)
        assert server.accepted == 1


def test_closing_the_pool_ends_all_requests(runtime: TestedRuntime, h2_pool: PoolMaker) -> None:
    asked = runtime.event()

    def script(peer: H2Peer) -> None:
        peer.request()
        peer.request()
        asked.set()
        peer.until_end()

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:

            async def fetch() -> None:
                with pytest.raises(httpcore2.ReadError, match="was closed"):
                    await pool.request("GET", server.url)

            async def close() -> None:
                await asked.wait()
                await pool.aclose()

            await runtime.gather(fetch, fetch, close)
            assert pool.connections == []

    with scripted_server(speaking(script), allow_disconnect=True) as server:
        runtime.run(scenario)


def test_requests_of_tasks_that_run_at_the_same_time_are_written_together(
    runtime: TestedRuntime, h2_pool: PoolMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    if runtime.name == "threads":
        pytest.skip("threads do not run in one loop")

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:

            async def fetch() -> None:
                assert (await pool.request("GET", server.url)).content == b"fine"

            await fetch()
            stream = session(pool).stream
            write_nowait = stream.write_nowait
            writes = 0

            def count(buffer: bytes) -> int:
                nonlocal writes
                writes += buffer[3] == HEADERS
                return write_nowait(buffer)

            monkeypatch.setattr(stream, "write_nowait", count)
            await fetch()
            assert writes == 1
            await runtime.gather(*[fetch] * 20)
            # The first request of a connection that is idle does not wait for others.
            assert writes <= 4

    with scripted_server(speaking(answering())) as server:
        runtime.run(scenario)
