"""A request's body that keeps the request waiting: what ends the wait, where its code runs, and what it may do then."""

from __future__ import annotations

import asyncio
import contextvars
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import anyio
import h2.events
import pytest
import sniffio
import trio

import httpcore2

from ..support.h2peer import H2Peer, speaking
from ..support.runtimes import RuntimeEvent, TestedAsyncRuntime, TestedRuntime, TestedTrio
from ..support.scripted_servers import Handler, Peer, Server, response, scripted_server

FINE = response(b"fine")
SOON = 0.02
# When what comes before has to be done by then.
SOON_ENOUGH = 0.5

Body: TypeAlias = AsyncIterator[bytes]


@dataclass(frozen=True)
class Protocol:
    """How the server is spoken to."""

    name: str
    options: dict[str, Any]
    is_secured: bool = False

    def __str__(self) -> str:
        return self.name

    @property
    def is_http2(self) -> bool:
        return "http2" in self.options


HTTP1 = Protocol("http1", {})
HTTP1_TLS = Protocol("http1-tls", {}, is_secured=True)
HTTP2 = Protocol("http2", {"http1": False, "http2": True})


@pytest.fixture(params=[HTTP1, HTTP1_TLS, HTTP2], ids=str)
def protocol(request: pytest.FixtureRequest) -> Protocol:
    assert isinstance(request.param, Protocol)
    return request.param


class Exchange:
    """The server's end of the request whose body waits, in either protocol."""

    def __init__(self, peer: Peer | H2Peer, stream_id: int = 0) -> None:
        self.peer = peer
        self.stream_id = stream_id

    def respond(self, status: int, body: bytes = b"") -> None:
        if isinstance(self.peer, H2Peer):
            self.peer.respond(self.stream_id, body, status=status)
        else:
            self.peer.send(response(body, status=b"%d Some" % status))

    def rest(self) -> bytes:
        """Return what else is received until the client has given up the request."""
        if isinstance(self.peer, H2Peer):
            self.peer.wait_for(h2.events.StreamReset)
            return self.peer.bodies[self.stream_id]
        return self.peer.receive_until_close()


def handling(protocol: Protocol, handle: Callable[[Exchange], None]) -> Handler:
    """Answer GETs with `fine`, and let `handle` deal with the one POST."""

    def http2(peer: H2Peer) -> None:
        while event := peer.next():
            if isinstance(event, h2.events.RequestReceived):
                assert event.stream_id is not None
                if peer.requests[event.stream_id][b":method"] == b"POST":
                    handle(Exchange(peer, event.stream_id))
                else:
                    peer.respond(event.stream_id, b"fine")

    def http1(peer: Peer) -> None:
        while first := peer.receive_some():
            peer.buffer = first
            if peer.receive_head().startswith(b"POST"):
                handle(Exchange(peer))
            else:
                peer.send(FINE)

    return speaking(http2) if protocol.is_http2 else http1


@pytest.fixture
def serve(protocol: Protocol, server_tls: ssl.SSLContext) -> Callable[..., Any]:
    def make(handle: Callable[[Exchange], None]) -> Any:
        tls = server_tls if protocol.is_secured else None
        return scripted_server(handling(protocol, handle), tls=tls, allow_disconnect=True)

    return make


@asynccontextmanager
async def pool_for(
    runtime: TestedRuntime, protocol: Protocol, client_tls: ssl.SSLContext, server: Server
) -> AsyncIterator[httpcore2.AsyncConnectionPool]:
    """A pool with a connection, since connecting is not what is limited here; afterwards nothing may be left of it."""
    async with runtime.pool(ssl_context=client_tls, max_connections=1, **protocol.options) as pool:
        assert (await pool.request("GET", server.url)).content == b"fine"
        yield pool
        assert "Requests: 0 active, 0 queued | Connections: 0 active" in repr(pool)
        assert (await pool.request("GET", server.url)).content == b"fine"
        # Of HTTP/2 it is the stream alone that is given up.
        assert server.accepted == (1 if protocol.is_http2 else 2)


class WaitingBody:
    """A body that gives some chunks, and then waits for what never comes."""

    def __init__(self, runtime: TestedRuntime, chunks: int = 1) -> None:
        self.begun: RuntimeEvent = runtime.event()
        self.chunks = chunks
        self.is_closed = False

    async def iterate(self) -> Body:
        try:
            for _ in range(self.chunks):
                yield b"chunk"
            self.begun.set()
            try:
                await self.wait()
            except BaseException:
                for chunk in await self.when_ended():
                    yield chunk
        finally:
            await self.clean_up()
            self.is_closed = True

    async def wait(self) -> None:
        await anyio.sleep_forever()

    async def when_ended(self) -> list[bytes]:
        """Return further chunks, in place of the exception that is being handled."""
        raise

    async def clean_up(self) -> None:
        pass


class Swallowing(WaitingBody):
    """Goes on as if nothing had happened."""

    async def when_ended(self) -> list[bytes]:
        return [b"too late"]


class Ending(WaitingBody):
    """Ends as if nothing had happened."""

    async def when_ended(self) -> list[bytes]:
        return []


class CleaningUp(WaitingBody):
    """Takes its time to end."""

    async def clean_up(self) -> None:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(SOON)


class Failing(WaitingBody):
    """Has an exception of its own for everything."""

    async def when_ended(self) -> list[bytes]:
        raise LookupError("It is the body's own.")


class NoGenerator(WaitingBody):
    """Is no generator, and can't be closed."""

    def iterate(self) -> Body:
        return self

    def __aiter__(self) -> Body:
        return self

    async def __anext__(self) -> bytes:
        if self.chunks:
            self.chunks -= 1
            return b"chunk"
        self.begun.set()
        try:
            await self.wait()
        finally:
            self.is_closed = True
        raise AssertionError("it never comes")


BODIES = pytest.mark.parametrize("kind", [WaitingBody, Swallowing, Ending, CleaningUp, NoGenerator])


@pytest.mark.parametrize("chunks", [0, 1, 40])
@BODIES
def test_a_response_is_returned_at_once_while_the_body_waits(
    async_runtime: TestedAsyncRuntime,
    protocol: Protocol,
    serve: Callable[..., Any],
    client_tls: ssl.SSLContext,
    kind: type[WaitingBody],
    chunks: int,
) -> None:
    runtime = async_runtime
    body = kind(runtime, chunks)
    received = []

    def handle(exchange: Exchange) -> None:
        body.begun.wait_in_thread()
        exchange.respond(413, b"too large")
        received.append(exchange.rest())

    async def scenario() -> None:
        async with pool_for(runtime, protocol, client_tls, server) as pool:
            reply = await pool.request("POST", server.url, content=body.iterate())
            assert (reply.status, reply.content) == (413, b"too large")
            assert body.is_closed

    with serve(handle) as server:
        runtime.run(scenario)
    assert b"too late" not in received[0]


@pytest.mark.parametrize("chunks", [0, 1])
@BODIES
def test_the_total_timeout_limits_the_wait_for_the_body(
    async_runtime: TestedAsyncRuntime,
    protocol: Protocol,
    serve: Callable[..., Any],
    client_tls: ssl.SSLContext,
    kind: type[WaitingBody],
    chunks: int,
) -> None:
    runtime = async_runtime
    body = kind(runtime, chunks)

    async def scenario() -> None:
        extensions = {"timeout": {"total": SOON}}
        async with pool_for(runtime, protocol, client_tls, server) as pool:
            with pytest.raises(httpcore2.WriteTimeout, match=r"total of 0\.02 seconds"):
                await pool.request(
                    "POST", server.url, content=body.iterate(), extensions=extensions
                )
            assert body.is_closed or not body.begun.is_set()

    with serve(lambda exchange: exchange.rest()) as server:
        runtime.run(scenario)


@pytest.mark.parametrize("cause", ["answer", "total"])
def test_an_exception_of_an_interrupted_body_reaches_the_caller(
    async_runtime: TestedAsyncRuntime,
    protocol: Protocol,
    serve: Callable[..., Any],
    client_tls: ssl.SSLContext,
    cause: str,
) -> None:
    runtime = async_runtime
    body = Failing(runtime)

    def handle(exchange: Exchange) -> None:
        if cause == "answer":
            body.begun.wait_in_thread()
            exchange.respond(413, b"too large")
        exchange.rest()

    async def scenario() -> None:
        extensions = {"timeout": {"total": SOON_ENOUGH}} if cause == "total" else {}
        async with pool_for(runtime, protocol, client_tls, server) as pool:
            with pytest.raises(LookupError, match="own"):
                await pool.request(
                    "POST", server.url, content=body.iterate(), extensions=extensions
                )
            assert body.is_closed

    with serve(handle) as server:
        runtime.run(scenario)


def test_a_timeout_error_of_the_body_is_not_mistaken_for_a_timeout_of_the_request(
    async_runtime: TestedAsyncRuntime,
    protocol: Protocol,
    serve: Callable[..., Any],
    client_tls: ssl.SSLContext,
) -> None:
    runtime = async_runtime

    async def chunks() -> Body:
        yield b"chunk"
        await runtime.let_others_run()
        raise TimeoutError("the body's own")

    async def scenario() -> None:
        async with pool_for(runtime, protocol, client_tls, server) as pool:
            extensions = {"timeout": {"total": 60.0}}
            with pytest.raises(TimeoutError, match="own"):
                await pool.request("POST", server.url, content=chunks(), extensions=extensions)

    with serve(lambda exchange: exchange.rest()) as server:
        runtime.run(scenario)


def test_cancelling_a_request_while_its_body_waits_leaks_nothing(
    async_runtime: TestedAsyncRuntime,
    protocol: Protocol,
    serve: Callable[..., Any],
    client_tls: ssl.SSLContext,
) -> None:
    runtime = async_runtime
    body = WaitingBody(runtime)

    async def scenario() -> None:
        async with pool_for(runtime, protocol, client_tls, server) as pool:

            async def post() -> None:
                await pool.request("POST", server.url, content=body.iterate())

            assert await runtime.cancel_on_event(body.begun, post)
            assert body.is_closed

    with serve(lambda exchange: exchange.rest()) as server:
        runtime.run(scenario)


@pytest.mark.parametrize("ending", ["closed", "reset"])
def test_a_request_whose_connection_ends_while_the_body_waits_is_not_sent_again(
    async_runtime: TestedAsyncRuntime,
    protocol: Protocol,
    serve: Callable[..., Any],
    client_tls: ssl.SSLContext,
    ending: str,
) -> None:
    runtime = async_runtime
    body = WaitingBody(runtime, 0)
    posts = 0

    def handle(exchange: Exchange) -> None:
        nonlocal posts
        posts += 1
        body.begun.wait_in_thread()
        peer = exchange.peer.peer if isinstance(exchange.peer, H2Peer) else exchange.peer
        if ending == "reset":
            peer.reset()
        else:
            peer.close()

    async def scenario() -> None:
        async with runtime.pool(ssl_context=client_tls, **protocol.options) as pool:
            await pool.request("GET", server.url)
            # An idempotent method on a connection that was used before: but a body that was begun can't be sent again.
            with pytest.raises((httpcore2.RemoteProtocolError, httpcore2.ReadError)):
                await pool.request("POST", server.url, content=body.iterate())
            assert body.is_closed

    with serve(handle) as server:
        runtime.run(scenario)
    assert posts == 1


# Where the body's code runs

_place: contextvars.ContextVar[str] = contextvars.ContextVar("_place", default="nowhere")


def current_task() -> object:
    if sniffio.current_async_library() == "trio":
        return trio.lowlevel.current_task()
    return asyncio.current_task()


@pytest.mark.parametrize("total", [None, 60.0])
def test_a_body_runs_in_the_callers_task_and_context(
    async_runtime: TestedAsyncRuntime,
    protocol: Protocol,
    serve: Callable[..., Any],
    client_tls: ssl.SSLContext,
    total: float | None,
) -> None:
    runtime = async_runtime
    tasks = []
    places = []

    async def chunks() -> Body:
        for number in range(5):
            tasks.append(current_task())
            places.append(_place.get())
            _place.set(f"chunk {number}")
            await runtime.let_others_run()
            yield b"chunk"

    def handle(exchange: Exchange) -> None:
        if isinstance(exchange.peer, H2Peer):
            exchange.peer.wait_for(h2.events.StreamEnded)
        else:
            exchange.peer.receive_until(b"0\r\n\r\n")
        exchange.respond(200, b"fine")

    async def scenario() -> None:
        async with runtime.pool(ssl_context=client_tls, **protocol.options) as pool:
            extensions = {"timeout": {"total": total}}
            reply = await pool.request("POST", server.url, content=chunks(), extensions=extensions)
            assert reply.content == b"fine"
            assert set(tasks) == {current_task()}
            assert places == ["nowhere", *(f"chunk {number}" for number in range(4))]

    with serve(handle) as server:
        runtime.run(scenario)


@pytest.mark.parametrize("outcome", ["whole", "refused", "total"])
@pytest.mark.parametrize("waits", [False, True], ids=["", "waits"])
@pytest.mark.parametrize("kind", ["own", "anyio"])
def test_a_body_may_hold_a_cancel_scope_across_its_chunks(
    async_runtime: TestedAsyncRuntime,
    protocol: Protocol,
    serve: Callable[..., Any],
    client_tls: ssl.SSLContext,
    kind: str,
    waits: bool,
    outcome: str,
) -> None:
    runtime = async_runtime
    begun = runtime.event()

    async def give() -> Body:
        for _ in range(3):
            if waits:
                await runtime.let_others_run()
            yield b"chunk"
        begun.set()
        if outcome != "whole":
            await anyio.sleep_forever()

    async def chunks() -> Body:
        yield b"chunk"
        if kind == "own" and not isinstance(runtime, TestedTrio):
            async with asyncio.timeout(60):
                async for chunk in give():
                    yield chunk
        else:
            with trio.fail_after(60) if kind == "own" else anyio.fail_after(60):
                async for chunk in give():
                    yield chunk

    def handle(exchange: Exchange) -> None:
        if outcome != "total":
            begun.wait_in_thread()
            exchange.respond(413 if outcome == "refused" else 200, b"fine")
        if outcome != "whole":
            exchange.rest()

    async def scenario() -> None:
        async with runtime.pool(ssl_context=client_tls, **protocol.options) as pool:
            await pool.request("GET", server.url)
            if outcome == "total":
                with pytest.raises(httpcore2.WriteTimeout):
                    await pool.request(
                        "POST",
                        server.url,
                        content=chunks(),
                        extensions={"timeout": {"total": SOON}},
                    )
            else:
                reply = await pool.request("POST", server.url, content=chunks())
                assert reply.content == b"fine"
            # Whatever is left open of a scope is found when an outer one ends.
            with anyio.CancelScope():
                await runtime.let_others_run()

    with serve(handle) as server:
        runtime.run(scenario)
