"""What ends a stream or a connection, as the requests on it and the server see it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import h2.events
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import httpcore2
from httpcore2 import RemoteProtocolError

from ..support.fake_network import FakeNetworkBackend, FakeNetworkStream
from ..support.h2peer import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    PRIORITY,
    PRIORITY_FLAG,
    SETTINGS,
    WINDOW,
    H2Peer,
    answering,
    block,
    frame,
    speaking,
)
from ..support.h2state import session
from ..support.runtimes import RUNTIMES, TestedRuntime
from ..support.scripted_servers import scripted_server
from .conftest import PoolMaker
from .test_client_codec import FRAMES

OK = block((b":status", b"200"))
HEAD = frame(HEADERS, END_HEADERS, 1, OK)
PRIORITY_FIELDS = b"\x80\0\0\0\x0f"

FAULTS = {
    "a header block that can't be decoded": (frame(HEADERS, END_HEADERS, 3, b"\xff" * 9), 0x9),
    "an acknowledgement with a payload": (frame(SETTINGS, ACK, 0, bytes(6)), 0x6),
    "GOAWAY on a stream": (frame(GOAWAY, 0, 3, bytes(8)), 0x1),
    "PRIORITY on stream 0": (frame(PRIORITY, 0, 0, bytes(5)), 0x1),
    "PRIORITY of 4 bytes": (frame(PRIORITY, 0, 3, bytes(4)), 0x6),
    "DATA after the end": (frame(DATA, 0, 1, b"more"), 0x5),
    "PING of 7 bytes": (frame(PING, 0, 0, bytes(7)), 0x6),
    "a window that overflows": (frame(WINDOW, 0, 0, b"\x7f\xff\xff\xff"), 0x3),
}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("bytewise", [False, True], ids=["", "byte by byte"])
def test_goaway_tells_the_server_the_code_of_its_fault(
    runtime: TestedRuntime, h2_pool: PoolMaker, name: str, bytewise: bool
) -> None:
    data, code = FAULTS[name]
    told: list[int | None] = []

    def script(peer: H2Peer) -> None:
        peer.respond(peer.request(), b"fine")
        peer.request()
        with suppress(ConnectionError):  # the header of a frame can be enough
            (peer.peer.send_bytewise if bytewise else peer.send)(data)
        told.append(peer.wait_for(h2.events.ConnectionTerminated).error_code)

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            assert (await pool.request("GET", server.url)).content == b"fine"
            with pytest.raises(RemoteProtocolError):
                await pool.request("POST", server.url)

    with scripted_server(speaking(script), allow_disconnect=True) as server:
        runtime.run(scenario)
    assert told == [code]


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_on_an_idle_connection_is_found_before_reuse(
    runtime: TestedRuntime, h2_pool: PoolMaker, name: str
) -> None:
    data, _ = FAULTS[name]
    answered, sent = runtime.event(), runtime.event()
    if not name.startswith("DATA"):
        data = data.replace(b"\0\0\0\3", b"\0\0\0\1")  # of the stream that there was

    def script(peer: H2Peer) -> None:
        if peer.number:
            answering(b"moved")(peer)
            return
        peer.respond(peer.request(), b"fine")
        answered.wait_in_thread()
        peer.send(data)
        sent.set()
        # A request that is sent on this connection all the same is not answered.
        assert not [e for e in peer.until_end() if isinstance(e, h2.events.RequestReceived)]

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            assert (await pool.request("GET", server.url)).content == b"fine"
            answered.set()
            await sent.wait()
            # A body that can't be sent twice: it must not be begun on the old connection.
            reply = await pool.request("POST", server.url, content=runtime.body([b"once"]))
            assert reply.content == b"once"

    with scripted_server(speaking(script), allow_disconnect=True) as server:
        runtime.run(scenario)
        assert server.accepted == 2


@pytest.mark.parametrize("bytewise", [False, True], ids=["", "byte by byte"])
def test_priority_fields_in_a_head_or_in_trailers_are_ignored(
    runtime: TestedRuntime, h2_pool: PoolMaker, bytewise: bool
) -> None:
    """RFC 9113, section 6.2. It ended in an `AssertionError`, and the other request waited for ever."""
    trailers = block((b"x-sum", b"1"))

    def script(peer: H2Peer) -> None:
        first, second = peer.request(), peer.request()
        flags = END_HEADERS | PRIORITY_FLAG
        send = peer.peer.send_bytewise if bytewise else peer.send
        for stream_id in (first, second):
            send(
                frame(HEADERS, flags, stream_id, PRIORITY_FIELDS + OK)
                + frame(PRIORITY, 0, stream_id, PRIORITY_FIELDS)
                + frame(DATA, 0, stream_id, b"fine")
                + frame(HEADERS, flags | END_STREAM, stream_id, PRIORITY_FIELDS + trailers)
            )
        peer.until_end()

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:

            async def fetch() -> None:
                reply = await pool.request("GET", server.url)
                assert reply.content == b"fine"
                assert reply.extensions["trailing_headers"] == [(b"x-sum", b"1")]

            await runtime.gather(fetch, fetch)
            assert len(pool.connections) == 1

    with scripted_server(speaking(script)) as server:
        runtime.run(scenario)


def test_a_bug_in_the_codec_fails_all_requests_and_lets_none_wait(
    runtime: TestedRuntime, h2_pool: PoolMaker
) -> None:
    def script(peer: H2Peer) -> None:
        if peer.number:
            answering()(peer)
            return
        peer.respond(peer.request(), b"fine")
        peer.request(), peer.request()
        broken.set()
        peer.send(frame(SETTINGS, 0, 0, b"\0\4\0\0\0\1"))
        peer.until_end()

    broken = runtime.event()

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:

            def receive(data: bytes) -> Any:
                if broken.is_set():
                    raise KeyError(7)
                return real(data)

            assert (await pool.request("GET", server.url)).content == b"fine"
            codec: Any = session(pool).codec
            real, codec.receive = codec.receive, receive

            async def post() -> None:
                with pytest.raises(RemoteProtocolError, match=r"KeyError\(7\)") as caught:
                    await pool.request("POST", server.url)
                cause = caught.value.__cause__
                assert cause is not None and isinstance(cause.__cause__, KeyError)

            await runtime.gather(post, post)
            assert (await pool.request("POST", server.url)).content == b"fine"

    with scripted_server(speaking(script), allow_disconnect=True) as server:
        runtime.run(scenario)
        assert server.accepted == 2


@settings(max_examples=200, deadline=None)
@given(st.lists(FRAMES, max_size=12))
def test_all_requests_end_whatever_frames_arrive(frames: list[bytes]) -> None:
    """And then the server closes."""
    runtime = RUNTIMES["asyncio"]
    replies = [frame(SETTINGS, 0, 0), *frames]
    outcomes: list[object] = []

    async def scenario() -> None:
        backend = FakeNetworkBackend(FakeNetworkStream(replies))
        async with runtime.pool(http1=False, http2=True, network_backend=backend) as pool:

            async def fetch() -> None:
                try:
                    outcomes.append((await pool.request("POST", "http://a/")).status)
                except (RemoteProtocolError, httpcore2.ReadError) as exc:
                    outcomes.append(exc)

            await runtime.gather(fetch, fetch, fetch)

    runtime.run(scenario)
    assert len(outcomes) == 3
    assert not any("could not be dealt with" in str(outcome) for outcome in outcomes)


# Streams that were left before their end


STREAMS = 20
EVENT = bytes(1024)
EVENTS = 600
"""Data in flight when a stream is abandoned: 600 KiB of a window of 1 MiB."""


def test_data_that_was_in_flight_to_abandoned_streams_is_no_flood_and_each_is_reset_once(
    runtime: TestedRuntime, h2_pool: PoolMaker
) -> None:
    resets: list[int] = []

    def script(peer: H2Peer) -> None:
        streams = [peer.request() for _ in range(STREAMS + 1)]
        for stream_id in streams:
            peer.send(frame(HEADERS, END_HEADERS, stream_id, OK) + frame(DATA, 0, stream_id, b"x"))
        left.wait_in_thread()
        sibling = next(n for n in streams if peer.requests[n][b":path"] == b"/sibling")
        streams.remove(sibling)
        events = b"".join(frame(DATA, 0, stream_id, EVENT) for stream_id in streams)
        for _ in range(EVENTS):
            peer.peer.send(events)
        peer.send(frame(DATA, END_STREAM, sibling, b"untouched"))
        # The next request comes behind all of the resets.
        while event := peer.next():
            if isinstance(event, h2.events.StreamReset):
                resets.append(event.stream_id)
            elif isinstance(event, h2.events.RequestReceived):
                assert event.stream_id is not None
                peer.respond(event.stream_id, b"next")

    left = runtime.event()

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:

            async def leave() -> None:
                async with pool.stream("GET", server.url) as reply:
                    async for _ in reply.aiter_stream():
                        break

            async def leave_all() -> None:
                await runtime.gather(*[leave] * STREAMS)
                left.set()

            async def stay() -> None:
                async with pool.stream("GET", f"{server.url}sibling") as reply:
                    await left.wait()
                    assert await reply.aread() == b"xuntouched"

            await runtime.gather(leave_all, stay)
            assert (await pool.request("GET", server.url)).content == b"next"
            assert len(pool.connections) == 1

    with scripted_server(speaking(script), allow_disconnect=True) as server:
        runtime.run(scenario)
        assert server.accepted == 1
    assert len(resets) == STREAMS == len(set(resets))
