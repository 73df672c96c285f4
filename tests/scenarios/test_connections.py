"""Connections can be used without a pool."""

from __future__ import annotations

import pytest

import httpcore2

from ..support.fakes import ListBackend, ListStream
from ..support.server import canned, response, scripted
from ..support.worlds import World

FINE = response(b"fine")
ORIGIN = httpcore2.Origin(b"http", b"h", 80)


def test_a_connection_connects_when_it_is_first_used(world: World) -> None:
    async def scenario() -> None:
        origin = httpcore2.URL(server.url).origin
        connection = world.connection(origin)
        assert connection.info() == "CONNECTING"
        assert repr(connection) == f"<{world.prefix}HTTPConnection [CONNECTING]>"
        assert not connection.is_idle()
        assert not connection.is_available()
        assert not connection.is_connected()
        assert not connection.is_closed()
        assert not connection.has_expired()
        for count in (1, 2):
            assert (await connection.request("GET", server.url)).content == b"fine"
            assert connection.info() == f"'{origin}', HTTP/1.1, IDLE, Request Count: {count}"
        assert connection.is_available()
        assert connection.is_connected()
        await connection.aclose()
        assert connection.is_closed()
        assert not connection.is_connected()
        with pytest.raises(httpcore2.ConnectionNotAvailable):
            await connection.request("GET", server.url)

    with scripted(canned([FINE] * 2)) as server:
        world.run(scenario)
        assert server.accepted == 1


def test_a_connection_that_could_not_be_made_is_closed(world: World) -> None:
    async def scenario() -> None:
        backend = ListBackend(httpcore2.ConnectError("no"))
        connection = world.connection(ORIGIN, network_backend=backend)
        with pytest.raises(httpcore2.ConnectError, match="no"):
            await connection.request("GET", "http://h/")
        assert connection.info() == "CONNECTION FAILED"
        assert connection.is_closed()
        assert not connection.is_available()

    world.run(scenario)


def test_a_connection_refuses_another_origin_and_a_second_request_at_a_time(world: World) -> None:
    async def scenario() -> None:
        backend = ListBackend(ListStream([FINE]))
        connection = world.connection(ORIGIN, network_backend=backend)
        with pytest.raises(RuntimeError, match="http://other:80 on connection to http://h:80"):
            await connection.request("GET", "http://other/")
        async with connection.stream("GET", "http://h/") as held:
            with pytest.raises(httpcore2.ConnectionNotAvailable):
                await connection.request("GET", "http://h/")
            assert await held.aread() == b"fine"
        await connection.aclose()

    world.run(scenario)


def test_an_http11_connection_speaks_over_any_stream(world: World) -> None:
    async def scenario() -> None:
        name = f"{world.prefix}HTTP11Connection"
        stream = ListStream([FINE, FINE])
        async with world.http11_connection(ORIGIN, stream, keepalive_expiry=60.0) as connection:
            assert repr(connection) == f"<{name} ['http://h:80', NEW, Request Count: 0]>"
            assert connection.info() == "'http://h:80', HTTP/1.1, NEW, Request Count: 0"
            assert connection.is_connected()
            async with connection.stream("GET", "http://h/") as held:
                assert repr(connection) == f"<{name} ['http://h:80', ACTIVE, Request Count: 1]>"
                assert not connection.is_available()
                await held.aread()
            assert repr(connection) == f"<{name} ['http://h:80', IDLE, Request Count: 1]>"
            assert connection.is_idle()
            assert not connection.has_expired()
        assert repr(connection) == f"<{name} ['http://h:80', CLOSED, Request Count: 1]>"
        assert connection.is_closed()
        assert stream.closed

    world.run(scenario)


def test_mock_streams_are_streams(world: World) -> None:
    async def scenario() -> None:
        stream = world.mock_stream([FINE])
        async with world.http11_connection(ORIGIN, stream) as connection:
            assert (await connection.request("GET", "http://h/")).content == b"fine"

    world.run(scenario)
