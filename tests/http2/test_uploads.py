"""What a response, or a limit, makes of an upload that is under way on a connection that others share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import h2.events
import pytest

import httpcore2
from httpcore2_core._http.established import ExchangeBody

from ..support.custom_network import CustomBackend
from ..support.h2peer import NARROW, H2Peer, answering, speaking
from ..support.runtimes import TestedAsyncRuntime, TestedRuntime
from ..support.scripted_servers import scripted_server
from .conftest import PoolMaker
from .test_edges import is_writing, open_windows

SOON = 0.02


class LongBody:
    """A body whose chunks come until the caller is told of the response's head, and that never ends."""

    def __init__(self, runtime: TestedAsyncRuntime, suspends: bool = True) -> None:
        self.runtime = runtime
        self.suspends = suspends
        self.begun = runtime.event()
        self.told = runtime.event()
        self.waits = runtime.event()
        self.is_closed = False

    async def iterate(self) -> AsyncIterator[bytes]:
        try:
            while not self.told.is_set():
                yield b"x"
                self.begun.set()
                if self.suspends:
                    await self.runtime.let_others_run()
            self.waits.set()
            await anyio.sleep_forever()
        finally:
            self.is_closed = True


def answered_early(peer: H2Peer, body: LongBody, status: int = 200) -> int:
    """Send the first half of a response before the body has ended."""
    stream_id = peer.request()
    body.begun.wait_in_thread()
    # In one segment: data that arrives while the body waits is not delivered before its next chunk.
    peer.h2.send_headers(stream_id, [(b":status", b"%d" % status)])
    peer.data(stream_id, b"fi")
    return stream_id


def test_the_total_limits_a_body_that_is_sent_while_the_response_is_read(
    async_runtime: TestedAsyncRuntime, h2_pool: PoolMaker, no_leaks: None
) -> None:
    runtime = async_runtime
    body = LongBody(runtime)

    def script(peer: H2Peer) -> None:
        stream_id = answered_early(peer, body)
        peer.wait_for(h2.events.StreamReset, stream_id)
        answering()(peer)

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            extensions = {"timeout": {"total": 60.0}}
            async with pool.stream(
                "POST", server.url, content=body.iterate(), extensions=extensions
            ) as streamed:
                body.told.set()
                chunks = streamed.aiter_stream()
                assert await anext(chunks) == b"fi"
                assert isinstance(streamed.stream, ExchangeBody)
                timeouts = streamed.stream._timeouts
                assert timeouts._runtime is not None
                timeouts._deadline = timeouts._runtime.now() + SOON  # as if a minute had passed
                with pytest.raises(httpcore2.WriteTimeout, match=r"total of 60\.0 seconds"):
                    await anext(chunks)
            assert body.is_closed
            assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(speaking(script)) as server:
        runtime.run(scenario)
        assert server.accepted == 1


@pytest.mark.parametrize("status", [200, 201])
def test_a_response_that_is_complete_ends_a_body_that_waits_while_it_is_read(
    async_runtime: TestedAsyncRuntime, h2_pool: PoolMaker, no_leaks: None, status: int
) -> None:
    runtime = async_runtime
    # A body that does not suspend has its turn between two reads.
    body = LongBody(runtime, suspends=status == 200)

    def script(peer: H2Peer) -> None:
        stream_id = answered_early(peer, body, status)
        body.waits.wait_in_thread()
        peer.data(stream_id, b"ne", end=True)
        peer.wait_for(h2.events.StreamReset, stream_id)
        answering()(peer)

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            async with pool.stream("POST", server.url, content=body.iterate()) as streamed:
                assert streamed.status == status
                body.told.set()
                assert await streamed.aread() == b"fine"
            assert body.is_closed
            assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(speaking(script)) as server:
        runtime.run(scenario)
        assert server.accepted == 1


def test_a_refusal_is_returned_before_it_is_complete_and_its_body_can_be_read(
    async_runtime: TestedAsyncRuntime, h2_pool: PoolMaker, no_leaks: None
) -> None:
    runtime = async_runtime
    begun, told = runtime.event(), runtime.event()

    async def chunks() -> AsyncIterator[bytes]:
        yield b"one"
        begun.set()
        await anyio.sleep_forever()

    def script(peer: H2Peer) -> None:
        stream_id = peer.request()
        begun.wait_in_thread()
        peer.head(stream_id, status=413)
        told.wait_in_thread()
        peer.data(stream_id, b"too large", end=True)
        peer.wait_for(h2.events.StreamReset, stream_id)
        answering()(peer)

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            async with pool.stream("POST", server.url, content=chunks()) as streamed:
                assert streamed.status == 413
                told.set()
                assert await streamed.aread() == b"too large"
            assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(speaking(script)) as server:
        runtime.run(scenario)
        assert server.accepted == 1


def test_no_more_of_a_body_is_sent_after_a_refusal(
    runtime: TestedRuntime, h2_pool: PoolMaker, no_leaks: None
) -> None:
    told = runtime.event()
    # More than the buffers of both sockets hold, so that it can't leave while the script does not read.
    content = bytes(1 << 24)

    def script(peer: H2Peer) -> None:
        stream_id = peer.request()
        peer.head(stream_id, status=403)
        open_windows(peer, stream_id)
        peer.data(stream_id, b"n")
        told.wait_in_thread()
        peer.data(stream_id, b"o", end=True)
        peer.wait_for(h2.events.StreamReset, stream_id)
        assert len(peer.bodies[stream_id]) == 65535  # the initial window, sent with the head
        answering()(peer)

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            async with pool.stream("POST", server.url, content=content) as streamed:
                assert streamed.status == 403
                chunks = streamed.aiter_stream()
                assert await anext(chunks) == b"n"
                told.set()
                # The window is open: a client that would send more does so before it reads the end.
                assert [chunk async for chunk in chunks] == [b"o"]
            assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(speaking(script)) as server:
        runtime.run(scenario)
        assert server.accepted == 1


def test_other_requests_proceed_while_a_body_waits(
    async_runtime: TestedAsyncRuntime, h2_pool: PoolMaker, no_leaks: None
) -> None:
    """The task beside the body reads on behalf of all, and stops when the body continues."""
    runtime = async_runtime
    begun, go_on = runtime.event(), runtime.event()

    async def chunks() -> AsyncIterator[bytes]:
        yield b"one"
        begun.set()
        await go_on.wait()
        yield b"two"

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:

            async def upload() -> None:
                reply = await pool.request("POST", server.url, content=chunks())
                assert reply.content == b"onetwo"

            async def fetch() -> None:
                await begun.wait()
                for _ in range(3):
                    assert (await pool.request("GET", server.url)).content == b"fine"
                go_on.set()
                assert (await pool.request("GET", server.url)).content == b"fine"

            await runtime.gather(upload, fetch)

    def script(peer: H2Peer) -> None:
        upload = peer.request()
        while event := peer.next():
            if isinstance(event, h2.events.RequestReceived):
                assert event.stream_id is not None
                peer.respond(event.stream_id, b"fine")
            elif isinstance(event, h2.events.StreamEnded) and event.stream_id == upload:
                peer.respond(upload, peer.bodies[upload])

    with scripted_server(speaking(script)) as server:
        runtime.run(scenario)
        assert server.accepted == 1


@pytest.mark.parametrize("streamed", [False, True], ids=["bytes", "streamed"])
def test_a_response_ends_an_upload_that_waits_for_a_full_socket(
    runtime: TestedRuntime, h2_pool: PoolMaker, streamed: bool
) -> None:
    full, done = runtime.event(), runtime.event()

    def script(peer: H2Peer) -> None:
        peer.narrow()
        stream_id = peer.request()
        open_windows(peer, stream_id)
        full.wait_in_thread()
        peer.respond(stream_id, b"too large", status=413)
        done.wait_in_thread()  # without reading on

    async def scenario() -> None:
        async with h2_pool(runtime, socket_options=NARROW) as pool:
            body: Any = bytes(1 << 24)
            if streamed:
                body = runtime.body(bytes(1 << 18) for _ in range(64))

            async def upload() -> None:
                reply = await pool.request("POST", server.url, content=body)
                assert (reply.status, reply.content) == (413, b"too large")
                done.set()

            async def watch() -> None:
                await runtime.wait_until(lambda: is_writing(pool))
                full.set()

            await runtime.gather(upload, watch)

    with scripted_server(speaking(script), allow_disconnect=True) as server:
        runtime.run(scenario)


@pytest.mark.parametrize("cause", ["total", "chunk"])
def test_a_callers_own_stream_is_not_read_while_the_body_waits(
    async_runtime: TestedAsyncRuntime, h2_pool: PoolMaker, no_leaks: None, cause: str
) -> None:
    runtime = async_runtime
    answered = runtime.event()

    async def chunks() -> AsyncIterator[bytes]:
        yield b"one"
        answered.wait_in_thread()
        if cause == "total":
            await anyio.sleep_forever()
        await runtime.let_others_run()
        yield b"two"

    def script(peer: H2Peer) -> None:
        stream_id = peer.request()
        peer.wait_for(h2.events.DataReceived)
        if cause == "chunk":
            peer.respond(stream_id, b"enough", status=413)
        answered.set()
        answering()(peer)

    async def scenario() -> None:
        backend = CustomBackend(runtime.backend())
        async with h2_pool(runtime, network_backend=backend) as pool:
            if cause == "total":
                posting = pool.request(
                    "POST", server.url, content=chunks(), extensions={"timeout": {"total": 0.5}}
                )
                with pytest.raises(httpcore2.WriteTimeout, match="total"):
                    await posting
            else:
                reply = await pool.request("POST", server.url, content=chunks())
                assert (reply.status, reply.content) == (413, b"enough")
            assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(speaking(script), allow_disconnect=True) as server:
        runtime.run(scenario)
        assert server.accepted == 1
