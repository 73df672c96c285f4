"""PING: a dead server is detected by requests that wait for it, and by those that would reuse its connection."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import h2.events
import pytest

import httpcore2
import httpcore2_http2._keepalive
from httpcore2 import AsyncHTTP2Connection
from httpcore2_http2._keepalive import KeepAlive

from ..support.fake_network import FakeNetworkBackend, FakeNetworkStream
from ..support.h2peer import (
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PING,
    SETTINGS,
    H2Peer,
    answering,
    block,
    frame,
    speaking,
)
from ..support.h2state import session
from ..support.runtimes import TestedRuntime
from ..support.scripted_servers import scripted_server
from .conftest import PoolMaker

Configure = Callable[..., None]


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Configure:
    """Sets the seconds of the keep-alive."""

    def configure(**seconds: float | None) -> None:
        for name, value in seconds.items():
            monkeypatch.setattr(AsyncHTTP2Connection, f"PING_{name.upper()}", value)

    return configure


def falling_silent(peer: H2Peer) -> None:
    """Answer one request on the first connection, and then nothing more, ever; answer all on others."""
    if peer.number:
        answering(b"moved")(peer)
        return
    stream_id = peer.whole_request()
    assert stream_id is not None
    peer.respond(stream_id, b"fine")
    peer.peer.receive_until_close()


def falling_silent_in_a_body(peer: H2Peer, bodies: int = 1) -> None:
    """Begin the responses of so many requests on the first connection, and then nothing more; answer all on others."""
    if peer.number:
        answering(b"moved")(peer)
        return
    for _ in range(bodies):
        peer.head(peer.request())
    peer.peer.receive_until_close()


# The decisions


def test_silence_is_counted_from_the_last_received_data() -> None:
    keepalive = KeepAlive(10.0, 60.0, 5.0, now=100.0)
    assert keepalive.due == 110.0
    keepalive.data_received(105.0)
    assert keepalive.due == 115.0
    assert not keepalive.must_ping_before_reuse(164.9)
    assert keepalive.must_ping_before_reuse(165.0)
    assert not keepalive.must_ping_after_abandoned_request(105.9)
    assert keepalive.must_ping_after_abandoned_request(106.0)
    keepalive.resume(200.0)
    assert keepalive.due == 210.0
    assert not keepalive.must_ping_after_abandoned_request(200.9)


def test_a_reply_is_due_after_a_ping_and_any_frame_is_one() -> None:
    keepalive = KeepAlive(10.0, None, 5.0, now=0.0)
    keepalive.ping_sent(10.0)
    assert keepalive.is_ping_pending
    assert keepalive.due == 15.0
    keepalive.resume(11.0)
    assert keepalive.due == 15.0
    keepalive.resume(40.0)  # it may be there, though nobody has looked
    assert keepalive.due == 40.05
    keepalive.data_received(40.01)
    assert not keepalive.is_ping_pending
    assert keepalive.due == 50.01


def test_pings_can_be_disabled() -> None:
    keepalive = KeepAlive(None, None, 5.0, now=0.0)
    assert keepalive.due is None
    assert not keepalive.must_ping_before_reuse(1e9)
    assert not keepalive.must_ping_after_abandoned_request(1e9)
    assert keepalive.longest_wait is None
    keepalive.ping_sent(1.0)
    keepalive.data_received(2.0)
    assert keepalive.due is None


def test_an_overdue_reply_has_one_grace_period() -> None:
    keepalive = KeepAlive(None, 60.0, 5.0, now=0.0)
    assert keepalive.longest_wait == 5.0
    for began in (10.0, 30.0):
        keepalive.ping_sent(began)
        assert keepalive.take_grace(began + 7.0)
        assert keepalive.due == began + 7.05
        assert not keepalive.take_grace(began + 8.0)


# Before reuse


@pytest.mark.parametrize("seconds", [0.0, None])
def test_a_ping_is_sent_before_an_idle_connection_is_reused(
    runtime: TestedRuntime, h2_pool: PoolMaker, configure: Configure, seconds: float | None
) -> None:
    configure(before_reuse=seconds)
    pings: list[int] = []

    def script(peer: H2Peer) -> None:
        count = 0
        while event := peer.next():
            if isinstance(event, h2.events.PingReceived):
                count += 1
            elif isinstance(event, h2.events.RequestReceived):
                pings.append(count)
                assert event.stream_id is not None
                peer.respond(event.stream_id, b"fine")

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            for _ in range(3):
                assert (await pool.request("POST", server.url)).content == b"fine"

    with scripted_server(speaking(script)) as server:
        runtime.run(scenario)
        assert server.accepted == 1
    assert pings == ([0, 0, 0] if seconds is None else [0, 1, 2])


@pytest.mark.parametrize(
    ("timeout", "limits"),
    [(0.3, {}), (15.0, {"read": 1.0})],
    ids=["after the time for an answer", "after the request's own"],
)
def test_requests_on_a_dead_idle_connection_are_sent_on_another(
    runtime: TestedRuntime, h2_pool: PoolMaker, configure: Configure, timeout: float, limits: Any
) -> None:
    configure(before_reuse=0.0, timeout=timeout)

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            assert (await pool.request("POST", server.url)).content == b"fine"
            first = pool.connections[0]
            extensions = {"timeout": limits}

            async def post() -> None:
                body = runtime.body([b"it can't be sent twice"])
                reply = await pool.request("POST", server.url, content=body, extensions=extensions)
                assert reply.content == b"it can't be sent twice"

            await runtime.gather(post, post, post)
            assert first.is_closed() and first not in pool.connections
            assert len(pool.connections) == 1

    with scripted_server(speaking(falling_silent)) as server:
        runtime.run(scenario)
        assert server.accepted == 2


def test_a_ping_is_sent_on_a_callers_own_stream_too(
    runtime: TestedRuntime, h2_pool: PoolMaker, configure: Configure
) -> None:
    configure(before_reuse=0.0)
    head = block((b":status", b"200"))
    replies = [
        frame(SETTINGS, 0, 0)
        + frame(HEADERS, END_HEADERS, 1, head)
        + frame(DATA, END_STREAM, 1, b"one"),
        frame(PING, 1, 0, b"httpcor2"),
        frame(HEADERS, END_HEADERS, 3, head) + frame(DATA, END_STREAM, 3, b"two"),
    ]
    stream = FakeNetworkStream(replies)

    async def scenario() -> None:
        async with h2_pool(runtime, network_backend=FakeNetworkBackend(stream)) as pool:
            assert (await pool.request("GET", "http://a/")).content == b"one"
            assert (await pool.request("GET", "http://a/")).content == b"two"

    runtime.run(scenario)
    assert frame(PING, 0, 0, b"httpcor2") in b"".join(stream.written)


# After a request that was given up


@pytest.fixture
def doubting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A PING is sent after any request that was abandoned without response, however soon."""
    monkeypatch.setattr(httpcore2_http2._keepalive, "SILENCE_BEFORE_PING", 0.0)


def test_after_a_timeout_in_silence_the_next_request_waits_for_a_ping_reply(
    runtime: TestedRuntime, h2_pool: PoolMaker, configure: Configure, doubting: None
) -> None:
    configure(timeout=0.3)

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            assert (await pool.request("GET", server.url)).content == b"fine"
            with pytest.raises(httpcore2.ReadTimeout):
                await pool.request("GET", server.url, extensions={"timeout": {"read": 0.01}})
            assert len(pool.connections) == 1
            assert (await pool.request("POST", server.url)).content == b"moved"

    with scripted_server(speaking(falling_silent)) as server:
        runtime.run(scenario)
        assert server.accepted == 2


def test_a_server_that_is_only_slow_keeps_its_connection(
    runtime: TestedRuntime, h2_pool: PoolMaker, doubting: None
) -> None:
    events: list[str] = []

    def script(peer: H2Peer) -> None:
        peer.respond(peer.request(), b"fine")
        asked = {peer.request(), peer.request()}
        while event := peer.next():
            events.append(type(event).__name__)
            if isinstance(event, h2.events.RequestReceived):
                assert event.stream_id not in asked
                peer.respond(event.stream_id or 0, b"fine")

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:

            async def impatient() -> None:
                with pytest.raises(httpcore2.ReadTimeout):
                    await pool.request("GET", server.url, extensions={"timeout": {"read": 0.1}})

            assert (await pool.request("GET", server.url)).content == b"fine"
            await runtime.gather(impatient, impatient)
            assert (await pool.request("GET", server.url)).content == b"fine"
            assert len(pool.connections) == 1

    with scripted_server(speaking(script)) as server:
        runtime.run(scenario)
        assert server.accepted == 1
    assert events.count("PingReceived") >= 1
    assert events.index("PingReceived") < events.index("RequestReceived")


def test_a_request_with_a_shorter_timeout_leaves_the_connection_open_for_the_others(
    runtime: TestedRuntime, h2_pool: PoolMaker, doubting: None
) -> None:
    given_up = runtime.event()

    def script(peer: H2Peer) -> None:
        peer.respond(peer.request(), b"fine")
        first = peer.request()
        peer.request()
        given_up.wait_in_thread()  # until then no PING is answered
        peer.wait_for(h2.events.PingReceived)
        peer.respond(first, b"fine")
        peer.until_end()

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            assert (await pool.request("GET", server.url)).content == b"fine"
            begun = runtime.event()

            async def patient() -> None:
                extensions = {"trace": runtime.trace(events)}
                reply = await pool.request("GET", server.url, extensions=extensions)
                assert reply.content == b"fine"

            events: list[tuple[str, dict[str, Any]]] = []

            async def begin() -> None:
                name = "http2.send_request_body.complete"
                await runtime.wait_until(lambda: any(event == name for event, _ in events))
                begun.set()

            async def impatient() -> None:
                await begun.wait()
                for _ in range(2):  # the second one isn't even sent
                    with pytest.raises(httpcore2.ReadTimeout):
                        await pool.request(
                            "GET", server.url, extensions={"timeout": {"read": 0.05}}
                        )
                given_up.set()

            await runtime.gather(patient, begin, impatient)
            (connection,) = pool.connections
            assert connection.info().endswith("IDLE, Request Count: 3")

    with scripted_server(speaking(script)) as server:
        runtime.run(scenario)


# While requests wait


def test_a_ping_is_sent_to_a_silent_server_while_a_request_waits(
    runtime: TestedRuntime, h2_pool: PoolMaker, configure: Configure
) -> None:
    configure(interval=0.01)

    def script(peer: H2Peer) -> None:
        stream_id = peer.request()
        for _ in range(3):
            peer.wait_for(h2.events.PingReceived)
        peer.respond(stream_id, b"fine")
        peer.until_end()

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(speaking(script)) as server:
        runtime.run(scenario)
        assert server.accepted == 1


def test_a_dead_server_fails_waiting_requests_and_those_that_may_be_are_sent_again(
    runtime: TestedRuntime, h2_pool: PoolMaker, configure: Configure
) -> None:
    configure(interval=0.1, timeout=0.3, before_reuse=None)

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            assert (await pool.request("GET", server.url)).content == b"fine"

            async def get() -> None:
                assert (await pool.request("GET", server.url)).content == b"moved"

            async def post() -> None:
                with pytest.raises(
                    httpcore2.ReadTimeout, match=r"did not answer a PING within 0\.3 seconds"
                ):
                    await pool.request("POST", server.url)

            await runtime.gather(get, post)
            assert len(pool.connections) == 1

    with scripted_server(speaking(falling_silent)) as server:
        runtime.run(scenario)
        assert server.accepted == 2


def test_a_request_that_waits_to_write_detects_a_dead_server(
    runtime: TestedRuntime, h2_pool: PoolMaker, configure: Configure
) -> None:
    configure(interval=0.05, timeout=0.05)
    over = runtime.event()

    def script(peer: H2Peer) -> None:
        stream_id = peer.request()
        peer.h2.increment_flow_control_window(2**30)
        peer.h2.increment_flow_control_window(2**30, stream_id)
        peer.flush()
        over.wait_in_thread()

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            with pytest.raises(httpcore2.ReadTimeout, match="did not answer a PING"):
                await pool.request("POST", server.url, content=bytes(50_000_000))
            over.set()

    with scripted_server(speaking(script), allow_disconnect=True) as server:
        runtime.run(scenario)


# A connection on which somebody waits without a limit


def test_later_requests_do_not_use_a_dead_connection_that_has_a_request_without_timeout(
    runtime: TestedRuntime, h2_pool: PoolMaker, configure: Configure, doubting: None
) -> None:
    """The reader began to wait before the PING, and can't be woken."""
    configure(timeout=0.3)

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            begun = runtime.event()

            async def listen() -> None:
                async with pool.stream("GET", server.url) as reply:
                    begun.set()
                    with pytest.raises(
                        httpcore2.ReadTimeout, match=r"did not answer a PING within 0\.3 seconds"
                    ):
                        await reply.aread()

            async def others() -> None:
                await begun.wait()
                await runtime.wait_until(lambda: session(pool).reader.is_reading)
                first = pool.connections[0]
                extensions = {"timeout": {"read": 0.05}}
                content = b""
                while not content:
                    with suppress(httpcore2.ReadTimeout):
                        reply = await pool.request("POST", server.url, extensions=extensions)
                        content = reply.content
                assert content == b"moved"
                assert first.is_closed()

            await runtime.gather(listen, others)

    with scripted_server(speaking(falling_silent_in_a_body)) as server:
        runtime.run(scenario)
        # More than two if the second one, too, was silent for 50 ms, on a machine under load.
        assert server.accepted >= 2


@pytest.mark.parametrize("count", [0, 1, 3])
def test_requests_without_timeout_fail_on_a_dead_connection(
    runtime: TestedRuntime, h2_pool: PoolMaker, configure: Configure, doubting: None, count: int
) -> None:
    """Whether or not others wait beside the reader."""
    configure(timeout=0.2)

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            begun = [runtime.event() for _ in range(count + 1)]

            def listening(number: int) -> Callable[[], Any]:
                async def listen() -> None:
                    async with pool.stream("GET", server.url) as reply:
                        begun[number].set()
                        with pytest.raises(httpcore2.ReadTimeout, match="did not answer a PING"):
                            await reply.aread()

                return listen

            async def impatient() -> None:
                for signal in begun:
                    await signal.wait()
                reader = session(pool).reader
                await runtime.wait_until(
                    lambda: reader.is_reading and len(reader.role.waiting) == count
                )
                with pytest.raises(httpcore2.ReadTimeout, match=r"0\.05"):
                    await pool.request("GET", server.url, extensions={"timeout": {"read": 0.05}})

            await runtime.gather(impatient, *[listening(number) for number in range(count + 1)])
            assert (await pool.request("POST", server.url)).content == b"moved"

    with scripted_server(speaking(partial(falling_silent_in_a_body, bodies=count + 1))) as server:
        runtime.run(scenario)
        assert server.accepted == 2


def test_a_reply_at_the_last_moment_keeps_the_connection_open(
    runtime: TestedRuntime, h2_pool: PoolMaker, configure: Configure, doubting: None
) -> None:
    """A participant that waits may find the reply overdue before the reader has had a turn."""
    configure(timeout=0.1)

    def script(peer: H2Peer) -> None:
        stream_id = peer.request()
        peer.head(stream_id)
        peer.wait_for(h2.events.PingReceived)
        answered.set()
        peer.data(stream_id, b"fine", end=True)
        peer.until_end()

    answered = runtime.event()

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            begun = runtime.event()

            async def listen() -> None:
                async with pool.stream("GET", server.url) as reply:
                    begun.set()
                    assert await reply.aread() == b"fine"

            async def impatient() -> None:
                await begun.wait()
                of_connection = session(pool)
                await runtime.wait_until(lambda: of_connection.reader.is_reading)
                with pytest.raises(httpcore2.ReadTimeout):
                    await pool.request("GET", server.url, extensions={"timeout": {"read": 0.05}})
                with of_connection.lock:
                    # As if this process had been stopped until now.
                    if of_connection.keepalive.is_ping_pending:
                        answered.wait_in_thread()
                        of_connection.keepalive.due = of_connection.runtime.now() - 1.0
                        of_connection._on_silence()
                assert not of_connection.is_closed

            await runtime.gather(listen, impatient)
            assert len(pool.connections) == 1

    with scripted_server(speaking(script)) as server:
        runtime.run(scenario)
