"""Pools of a caller's own, whose connections are of the caller's own classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

import httpcore2

from ..support.h2peer import answering, speaking
from ..support.runtimes import TestedAsyncRuntime, TestedRuntime
from ..support.scripted_servers import canned_responses, response, scripted_server
from ..support.sync_adapters import AsyncAdapter

FINE = response(b"fine")


class Telling:
    """Says of itself what another connection says of itself."""

    inner: Any

    def can_handle_request(self, origin: httpcore2.Origin) -> bool:
        return bool(self.inner.can_handle_request(origin))

    def can_multiplex(self) -> bool:
        return bool(self.inner.can_multiplex())

    def has_expired(self) -> bool:
        return bool(self.inner.has_expired())

    def is_idle(self) -> bool:
        return bool(self.inner.is_idle())

    def is_closed(self) -> bool:
        return bool(self.inner.is_closed())

    def is_connected(self) -> bool:
        return bool(self.inner.is_connected())


class AsyncOwn(Telling, httpcore2.AsyncConnectionInterface):
    """Sends requests on a connection of ours, and adds a header to the responses."""

    def __init__(self, inner: httpcore2.AsyncConnectionInterface) -> None:
        self.inner = inner
        self.refusals = 0

    async def handle_async_request(self, request: httpcore2.Request) -> httpcore2.Response:
        if self.refusals:
            self.refusals -= 1
            raise httpcore2.ConnectionNotAvailable
        reply = await self.inner.handle_async_request(request)
        return httpcore2.Response(
            reply.status,
            headers=[*reply.headers, (b"Own", b"1")],
            content=reply.stream,
            extensions={},
        )

    async def aclose(self) -> None:
        await self.inner.aclose()


class Own(Telling, httpcore2.ConnectionInterface):
    """The same for threads."""

    def __init__(self, inner: httpcore2.ConnectionInterface) -> None:
        self.inner = inner
        self.refusals = 0

    def handle_request(self, request: httpcore2.Request) -> httpcore2.Response:
        if self.refusals:
            self.refusals -= 1
            raise httpcore2.ConnectionNotAvailable
        reply = self.inner.handle_request(request)
        return httpcore2.Response(
            reply.status,
            headers=[*reply.headers, (b"Own", b"1")],
            content=reply.stream,
            extensions={},
        )

    def close(self) -> None:
        self.inner.close()


class AsyncDerived(httpcore2.AsyncHTTPConnection):
    """A connection of ours that sends requests in a way of its own."""

    async def handle_async_request(self, request: httpcore2.Request) -> httpcore2.Response:
        reply = await super().handle_async_request(request)
        reply.headers.append((b"Own", b"1"))
        return reply


class Derived(httpcore2.HTTPConnection):
    """The same for threads."""

    def handle_request(self, request: httpcore2.Request) -> httpcore2.Response:
        reply = super().handle_request(request)
        reply.headers.append((b"Own", b"1"))
        return reply


def wrapped(runtime: TestedRuntime, origin: httpcore2.Origin, **options: Any) -> Any:
    if isinstance(runtime, TestedAsyncRuntime):
        inner = httpcore2.AsyncHTTPConnection(origin, **{**runtime.pool_options(), **options})
        return AsyncOwn(inner)
    return Own(httpcore2.HTTPConnection(origin, **options))


def derived(runtime: TestedRuntime, origin: httpcore2.Origin, **options: Any) -> Any:
    if isinstance(runtime, TestedAsyncRuntime):
        return AsyncDerived(origin, **{**runtime.pool_options(), **options})
    return Derived(origin, **options)


Kind = Callable[..., Any]
each_kind = pytest.mark.parametrize("kind", [wrapped, derived])


def own_pool(runtime: TestedRuntime, kind: Kind, **options: Any) -> httpcore2.AsyncConnectionPool:
    """A pool whose connections are of `kind`, with options of their own."""

    def create_connection(self: object, origin: httpcore2.Origin) -> Any:
        return kind(runtime, origin, **options)

    members = {"create_connection": create_connection}
    if isinstance(runtime, TestedAsyncRuntime):
        made = type("Pool", (httpcore2.AsyncConnectionPool,), members)(
            max_connections=1, **runtime.pool_options()
        )
        return cast("httpcore2.AsyncConnectionPool", made)
    made = AsyncAdapter(type("Pool", (httpcore2.ConnectionPool,), members)(max_connections=1))
    return cast("httpcore2.AsyncConnectionPool", made)


@each_kind
def test_a_callers_connection_is_reused_and_listed(runtime: TestedRuntime, kind: Kind) -> None:
    async def scenario() -> None:
        async with own_pool(runtime, kind) as pool:
            for _ in range(3):
                reply = await pool.request("GET", server.url)
                assert (reply.content, reply.headers[-1]) == (b"fine", (b"Own", b"1"))
            (connection,) = pool.connections
            assert type(connection).__name__.removeprefix("Async") in ("Own", "Derived")
            assert connection.is_idle()
            assert pool.stats().reused == 2
            assert "0 active, 1 idle" in repr(pool)
        assert connection.is_closed()

    with scripted_server(canned_responses([FINE] * 3)) as server:
        runtime.run(scenario)
        assert server.accepted == 1


@each_kind
def test_the_body_of_a_callers_connection_is_streamed_and_may_be_closed_early(
    runtime: TestedRuntime, kind: Kind
) -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    endless = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nsome"

    async def scenario() -> None:
        async with own_pool(runtime, kind) as pool:
            async with pool.stream("GET", server.url) as reply:
                assert b"".join([chunk async for chunk in reply.aiter_stream()]) == b"abc"
            assert "0 active, 1 idle" in repr(pool)
            async with pool.stream("GET", server.url):
                assert "1 active, 0 idle" in repr(pool)
            assert pool.connections == []

    with scripted_server(canned_responses([chunked, endless])) as server:
        runtime.run(scenario)


@each_kind
def test_a_callers_connection_that_fails_is_closed_and_frees_its_slot(
    runtime: TestedRuntime, kind: Kind
) -> None:
    broken = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\n"

    async def scenario() -> None:
        async with own_pool(runtime, kind) as pool:
            with pytest.raises(httpcore2.RemoteProtocolError):
                await pool.request("GET", server.url)
            assert pool.connections == []
            with pytest.raises(httpcore2.ReadTimeout):
                await pool.request("GET", server.url, extensions={"timeout": {"read": 0.02}})
            assert pool.connections == []
            assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(
        canned_responses([b"nonsense\r\n\r\n"], [broken], [FINE]), allow_disconnect=True
    ) as server:
        runtime.run(scenario)


@each_kind
def test_a_callers_connection_that_the_server_has_closed_is_replaced(
    runtime: TestedRuntime, kind: Kind
) -> None:
    last = response(b"bye", b"Connection: close")

    async def scenario() -> None:
        async with own_pool(runtime, kind) as pool:
            assert (await pool.request("POST", server.url)).content == b"bye"
            assert (await pool.request("POST", server.url)).content == b"fine"
            connection = pool.connections[0]
            await runtime.close(connection)
            assert (await pool.request("POST", server.url)).content == b"fine"

    with scripted_server(canned_responses([last], [FINE])) as server:
        runtime.run(scenario)
        assert server.accepted == 3


@each_kind
def test_a_callers_connection_that_multiplexes_is_shared(
    runtime: TestedRuntime, kind: Kind
) -> None:
    async def scenario() -> None:
        async with own_pool(runtime, kind, http1=False, http2=True) as pool:

            async def fetch() -> None:
                assert (await pool.request("POST", server.url, content=b"x")).content == b"x"

            await fetch()
            async with pool.stream("GET", server.url) as reply:
                await runtime.gather(*[fetch] * 5)
                assert await reply.aread() == b"fine"

    with scripted_server(speaking(answering())) as server:
        runtime.run(scenario)
        assert server.accepted == 1


@pytest.mark.parametrize("multiplexes", [False, True])
def test_a_request_that_a_callers_connection_refuses_is_sent_again(
    runtime: TestedRuntime, multiplexes: bool
) -> None:
    made: list[Any] = []

    def kind(runtime: TestedRuntime, origin: httpcore2.Origin, **options: Any) -> Any:
        made.append(wrapped(runtime, origin, **options))
        return made[-1]

    async def scenario() -> None:
        async with own_pool(runtime, kind, http1=not multiplexes, http2=multiplexes) as pool:
            assert (await pool.request("GET", server.url)).content == b"fine"
            made[0].refusals = 1
            assert (await pool.request("GET", server.url)).content == b"fine"
            assert len(made) == 1 if multiplexes else 2

    handler = speaking(answering()) if multiplexes else canned_responses([FINE])
    with scripted_server(handler) as server:
        runtime.run(scenario)


class AsyncMemory(AsyncOwn):
    """Knows all answers by heart."""

    async def handle_async_request(self, request: httpcore2.Request) -> httpcore2.Response:
        return httpcore2.Response(200, content=request.url.target)

    def is_idle(self) -> bool:
        return True


class Memory(Own):
    """The same for threads."""

    def handle_request(self, request: httpcore2.Request) -> httpcore2.Response:
        return httpcore2.Response(200, content=request.url.target)

    def is_idle(self) -> bool:
        return True


def test_a_callers_connection_may_respond_without_a_network(runtime: TestedRuntime) -> None:
    def kind(runtime: TestedRuntime, origin: httpcore2.Origin, **options: Any) -> Any:
        inner = wrapped(runtime, origin, **options).inner
        return AsyncMemory(inner) if isinstance(runtime, TestedAsyncRuntime) else Memory(inner)

    async def scenario() -> None:
        async with own_pool(runtime, kind) as pool:
            assert (await pool.request("GET", "http://www.example.com/a")).content == b"/a"
            async with pool.stream("GET", "http://www.example.com/b") as reply:
                extensions = {"timeout": {"pool": 0.01}}
                with pytest.raises(httpcore2.PoolTimeout, match="1 of them to this origin"):
                    await pool.request("GET", "http://www.example.com/", extensions=extensions)
                assert await reply.aread() == b"/b"
            assert len(pool.connections) == 1

    runtime.run(scenario)
