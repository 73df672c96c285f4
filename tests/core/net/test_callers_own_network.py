"""A pool over a caller's own backend: its streams are closed by their own `aclose()`, soon and once."""

from __future__ import annotations

import asyncio

import httpcore2
from httpcore2_core._net.network_interfaces import AsyncNetworkStream

from ...support.fake_network import FakeNetworkBackend, FakeNetworkStream

KEPT = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LAST = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"


def test_a_connection_that_the_server_ends_is_closed_with_the_response() -> None:
    stream = FakeNetworkStream([LAST])

    async def main() -> None:
        async with httpcore2.AsyncConnectionPool(
            network_backend=FakeNetworkBackend(stream)
        ) as pool:
            await pool.request("GET", "http://a/")
            assert stream.closed == 1

    asyncio.run(main())
    assert stream.closed == 1


def test_a_connection_that_has_to_make_room_is_closed_by_the_next_request() -> None:
    first, second = FakeNetworkStream([KEPT]), FakeNetworkStream([KEPT, KEPT])

    async def main() -> None:
        backend = FakeNetworkBackend(first, second)
        async with httpcore2.AsyncConnectionPool(
            max_connections=1, network_backend=backend
        ) as pool:
            await pool.request("GET", "http://a/")
            await pool.request("GET", "http://b/")
            await pool.request("GET", "http://b/")
            assert first.closed == 1
            assert second.closed == 0

    asyncio.run(main())
    assert second.closed == 1


def test_a_connection_that_is_closed_in_the_moment_of_its_use_is_replaced() -> None:
    class Fatal(FakeNetworkStream):
        """Its connection is closed while it is asked whether it is still there."""

        connection: httpcore2.AsyncConnectionInterface | None = None

        def get_extra_info(self, info: str) -> object:
            if info == "is_readable" and self.connection is not None:
                self.connection.abort()  # type: ignore[attr-defined]
            return super().get_extra_info(info)

    first = Fatal([KEPT])
    second = FakeNetworkStream([KEPT])

    async def main() -> None:
        async with httpcore2.AsyncConnectionPool(
            network_backend=FakeNetworkBackend(first, second)
        ) as pool:
            await pool.request("GET", "http://a/")
            (first.connection,) = pool.connections
            assert (await pool.request("GET", "http://a/")).content == b"ok"
            assert len(pool.connections) == 1

    asyncio.run(main())
    assert (first.closed, second.closed) == (1, 1)


def test_a_caller_sees_its_own_stream() -> None:
    stream = FakeNetworkStream([KEPT])

    async def main() -> AsyncNetworkStream:
        async with httpcore2.AsyncConnectionPool(
            network_backend=FakeNetworkBackend(stream)
        ) as pool:
            response = await pool.request("GET", "http://a/")
            seen: AsyncNetworkStream = response.extensions["network_stream"]
            return seen

    assert asyncio.run(main()) is stream
