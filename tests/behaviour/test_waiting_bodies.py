"""Async bodies that wait between their chunks: the events that end the wait, and the task and context of their code."""

from __future__ import annotations

import asyncio
import contextvars
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from typing import TypeAlias

import anyio
import pytest
import sniffio
import trio

import httpcore2

from ..support.runtimes import RuntimeEvent, TestedAsyncRuntime, TestedRuntime, TestedTrio
from ..support.scripted_protocols import HTTP1, HTTP1_TLS, HTTP2, Protocol, ServerConnection
from ..support.scripted_servers import Peer, Server, scripted_server

SOON = 0.02
# For a timeout before which other steps must be complete.
SOON_ENOUGH = 0.5

Body: TypeAlias = AsyncIterator[bytes]


@pytest.fixture(params=[HTTP1, HTTP1_TLS, HTTP2], ids=str)
def protocol(request: pytest.FixtureRequest) -> Protocol:
    assert isinstance(request.param, Protocol)
    return request.param


Handle = Callable[[ServerConnection], object]
Serve = Callable[[Handle], AbstractContextManager[Server]]


@pytest.fixture
def serve(protocol: Protocol, protocol_tls: ssl.SSLContext | None) -> Serve:
    """Return a context manager that runs a server; it responds to GET with `fine`, and calls `handle` for a POST."""

    def make(handle: Handle) -> AbstractContextManager[Server]:
        def handler(peer: Peer) -> None:
            connection = ServerConnection(peer, protocol)
            while method := connection.receive_head():
                if method == b"POST":
                    handle(connection)
                else:
                    connection.respond()

        return scripted_server(handler, tls=protocol_tls, allow_disconnect=True)

    return make


@asynccontextmanager
async def pool_for(
    runtime: TestedRuntime, protocol: Protocol, client_tls: ssl.SSLContext, server: Server
) -> AsyncIterator[httpcore2.AsyncConnectionPool]:
    """Yield a pool with one connection, so that no timeout limits connecting; then check that the pool is idle."""
    async with runtime.pool(ssl_context=client_tls, max_connections=1, **protocol.options) as pool:
        assert (await pool.request("GET", server.url)).content == b"fine"
        yield pool
        assert "Requests: 0 active, 0 queued | Connections: 0 active" in repr(pool)
        assert (await pool.request("GET", server.url)).content == b"fine"
        # On HTTP/2 only the stream was aborted.
        assert server.accepted == (1 if protocol.is_http2 else 2)


class WaitingBody:
    """A body that yields some chunks, then waits until it is interrupted."""

    def __init__(self, runtime: TestedRuntime, chunks: int = 1) -> None:
        self.waiting: RuntimeEvent = runtime.event()
        self.chunks = chunks
        self.is_closed = False

    async def iterate(self) -> Body:
        try:
            for _ in range(self.chunks):
                yield b"chunk"
            self.waiting.set()
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


class Suppressing(WaitingBody):
    """Suppresses the interruption, and yields another chunk."""

    async def when_ended(self) -> list[bytes]:
        return [b"too late"]


class Ending(WaitingBody):
    """Suppresses the interruption, and ends."""

    async def when_ended(self) -> list[bytes]:
        return []


class CleaningUp(WaitingBody):
    """Awaits in its clean-up, shielded from cancellation."""

    async def clean_up(self) -> None:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(SOON)


class Failing(WaitingBody):
    """Raises another exception when it is interrupted."""

    async def when_ended(self) -> list[bytes]:
        raise LookupError("raised by the body")


class NoGenerator(WaitingBody):
    """An iterator that is not a generator, and can't be closed."""

    def iterate(self) -> Body:
        return self

    def __aiter__(self) -> Body:
        return self

    async def __anext__(self) -> bytes:
        if self.chunks:
            self.chunks -= 1
            return b"chunk"
        self.waiting.set()
        try:
            await self.wait()
        finally:
            self.is_closed = True
        raise AssertionError("the wait ended without an exception")


BODIES = pytest.mark.parametrize(
    "kind", [WaitingBody, Suppressing, Ending, CleaningUp, NoGenerator]
)


@pytest.mark.parametrize("chunks", [0, 1, 40])
@BODIES
def test_a_response_is_returned_at_once_while_the_body_waits(
    async_runtime: TestedAsyncRuntime,
    protocol: Protocol,
    serve: Serve,
    client_tls: ssl.SSLContext,
    kind: type[WaitingBody],
    chunks: int,
) -> None:
    runtime = async_runtime
    body = kind(runtime, chunks)
    received = []

    def handle(connection: ServerConnection) -> None:
        body.waiting.wait_in_thread()
        connection.respond(b"too large", 413)
        received.append(connection.receive_until_aborted())

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
    serve: Serve,
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
            assert body.is_closed or not body.waiting.is_set()

    with serve(lambda connection: connection.receive_until_aborted()) as server:
        runtime.run(scenario)


@pytest.mark.parametrize("cause", ["response", "total"])
def test_an_exception_of_an_interrupted_body_reaches_the_caller(
    async_runtime: TestedAsyncRuntime,
    protocol: Protocol,
    serve: Serve,
    client_tls: ssl.SSLContext,
    cause: str,
) -> None:
    runtime = async_runtime
    body = Failing(runtime)

    def handle(connection: ServerConnection) -> None:
        if cause == "response":
            body.waiting.wait_in_thread()
            connection.respond(b"too large", 413)
        connection.receive_until_aborted()

    async def scenario() -> None:
        extensions = {"timeout": {"total": SOON_ENOUGH}} if cause == "total" else {}
        async with pool_for(runtime, protocol, client_tls, server) as pool:
            with pytest.raises(LookupError, match="raised by the body"):
                await pool.request(
                    "POST", server.url, content=body.iterate(), extensions=extensions
                )
            assert body.is_closed

    with serve(handle) as server:
        runtime.run(scenario)


def test_a_timeout_error_of_the_body_is_not_mistaken_for_a_timeout_of_the_request(
    async_runtime: TestedAsyncRuntime,
    protocol: Protocol,
    serve: Serve,
    client_tls: ssl.SSLContext,
) -> None:
    runtime = async_runtime

    async def chunks() -> Body:
        yield b"chunk"
        await runtime.let_others_run()
        raise TimeoutError("raised by the body")

    async def scenario() -> None:
        async with pool_for(runtime, protocol, client_tls, server) as pool:
            extensions = {"timeout": {"total": 60.0}}
            with pytest.raises(TimeoutError, match="raised by the body"):
                await pool.request("POST", server.url, content=chunks(), extensions=extensions)

    with serve(lambda connection: connection.receive_until_aborted()) as server:
        runtime.run(scenario)


def test_cancelling_a_request_while_its_body_waits_leaks_nothing(
    async_runtime: TestedAsyncRuntime,
    protocol: Protocol,
    serve: Serve,
    client_tls: ssl.SSLContext,
) -> None:
    runtime = async_runtime
    body = WaitingBody(runtime)

    async def scenario() -> None:
        async with pool_for(runtime, protocol, client_tls, server) as pool:

            async def post() -> None:
                await pool.request("POST", server.url, content=body.iterate())

            assert await runtime.cancel_on_event(body.waiting, post)
            assert body.is_closed

    with serve(lambda connection: connection.receive_until_aborted()) as server:
        runtime.run(scenario)


@pytest.mark.parametrize("ending", ["closed", "reset"])
def test_a_request_whose_connection_ends_while_the_body_waits_is_not_sent_again(
    async_runtime: TestedAsyncRuntime,
    protocol: Protocol,
    serve: Serve,
    client_tls: ssl.SSLContext,
    ending: str,
) -> None:
    runtime = async_runtime
    body = WaitingBody(runtime, 0)
    posts = 0

    def handle(connection: ServerConnection) -> None:
        nonlocal posts
        posts += 1
        body.waiting.wait_in_thread()
        if ending == "reset":
            connection.peer.reset()
        else:
            connection.peer.close()

    async def scenario() -> None:
        async with runtime.pool(ssl_context=client_tls, **protocol.options) as pool:
            await pool.request("GET", server.url)
            # The connection is reused, but a body whose iteration has begun can't be sent again.
            with pytest.raises((httpcore2.RemoteProtocolError, httpcore2.ReadError)):
                await pool.request("POST", server.url, content=body.iterate())
            assert body.is_closed

    with serve(handle) as server:
        runtime.run(scenario)
    assert posts == 1


# The task and context of the body's code

_place: contextvars.ContextVar[str] = contextvars.ContextVar("_place", default="nowhere")


def current_task() -> object:
    if sniffio.current_async_library() == "trio":
        return trio.lowlevel.current_task()
    return asyncio.current_task()


@pytest.mark.parametrize("total", [None, 60.0])
def test_a_body_runs_in_the_callers_task_and_context(
    async_runtime: TestedAsyncRuntime,
    protocol: Protocol,
    serve: Serve,
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

    def handle(connection: ServerConnection) -> None:
        connection.receive_end_of_body()
        connection.respond()

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
@pytest.mark.parametrize("waits", [False, True], ids=["ready", "waits"])
@pytest.mark.parametrize("kind", ["native", "anyio"])
def test_a_body_may_hold_a_cancel_scope_across_its_chunks(
    async_runtime: TestedAsyncRuntime,
    protocol: Protocol,
    serve: Serve,
    client_tls: ssl.SSLContext,
    kind: str,
    waits: bool,
    outcome: str,
) -> None:
    runtime = async_runtime
    waiting = runtime.event()

    async def inner() -> Body:
        for _ in range(3):
            if waits:
                await runtime.let_others_run()
            yield b"chunk"
        waiting.set()
        if outcome != "whole":
            await anyio.sleep_forever()

    async def chunks() -> Body:
        yield b"chunk"
        if kind == "native" and not isinstance(runtime, TestedTrio):
            async with asyncio.timeout(60):
                async for chunk in inner():
                    yield chunk
        else:
            with trio.fail_after(60) if kind == "native" else anyio.fail_after(60):
                async for chunk in inner():
                    yield chunk

    def handle(connection: ServerConnection) -> None:
        if outcome != "total":
            waiting.wait_in_thread()
            connection.respond(b"fine", 413 if outcome == "refused" else 200)
        if outcome != "whole":
            connection.receive_until_aborted()

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
            # An outer scope raises at its end if an inner one is still open.
            with anyio.CancelScope():
                await runtime.let_others_run()

    with serve(handle) as server:
        runtime.run(scenario)
