"""The pool's limits, its order, its ends, and what it shows of itself."""

from __future__ import annotations

import threading

import pytest

import httpcore2

from ..support.runtimes import TestedRuntime
from ..support.scripted_servers import Peer, canned_responses, response, scripted_server

FINE = response(b"fine")


def _echo_path(peer: Peer) -> None:
    while request := peer.receive_request():
        peer.send(response(request[0].split(b" ")[1]))


async def _counts(
    pool: httpcore2.AsyncConnectionPool, requests: tuple[int, int], connections: tuple[int, int]
) -> None:
    assert repr(pool).endswith(
        f"ConnectionPool [Requests: {requests[0]} active, {requests[1]} queued | "
        f"Connections: {connections[0]} active, {connections[1]} idle]>"
    )


@pytest.mark.parametrize("limit", [1, 3, None])
def test_concurrent_requests_share_no_more_connections_than_allowed(
    runtime: TestedRuntime, limit: int | None
) -> None:
    async def scenario() -> None:
        async with runtime.pool(max_connections=limit) as pool:

            async def fetch(number: int) -> None:
                reply = await pool.request("GET", server.url + str(number))
                assert reply.content == f"/{number}".encode()

            await runtime.gather(*[lambda number=number: fetch(number) for number in range(20)])
            assert len(pool.connections) <= (limit or 20)
            await _counts(pool, (0, 0), (0, len(pool.connections)))

    with scripted_server(_echo_path) as server:
        runtime.run(scenario)
        assert server.accepted <= (limit or 20)


def test_waiting_requests_are_served_in_the_order_in_which_they_came(
    runtime: TestedRuntime,
) -> None:
    order: list[bytes] = []

    def handler(peer: Peer) -> None:
        while request := peer.receive_request():
            order.append(request[0].split(b" ")[1])
            peer.send(FINE)

    async def scenario() -> None:
        async with runtime.pool(max_connections=1) as pool:
            release = runtime.event()
            arrived = [runtime.event() for _ in range(6)]

            async def hold() -> None:
                async with pool.stream("GET", server.url + "0") as held:
                    arrived[0].set()
                    await release.wait()
                    await held.aread()

            async def follow(number: int) -> None:
                # Each sets out when the one before it stands in the queue.
                await arrived[number - 1].wait()
                await runtime.wait_until(lambda: f" {number - 1} queued" in repr(pool))
                arrived[number].set()
                await pool.request("GET", server.url + str(number))

            async def let_go() -> None:
                await arrived[5].wait()
                await runtime.wait_until(lambda: " 5 queued" in repr(pool))
                assert "Requests: 1 active, 5 queued" in repr(pool)
                release.set()

            await runtime.gather(
                hold, *[lambda number=number: follow(number) for number in range(1, 6)], let_go
            )
            await _counts(pool, (0, 0), (0, 1))

    with scripted_server(handler) as server:
        runtime.run(scenario)
        assert server.accepted == 1
    assert order == [b"/0", b"/1", b"/2", b"/3", b"/4", b"/5"]


@pytest.mark.parametrize("limit", [0, 0.01])
def test_the_error_of_a_request_that_waits_too_long_describes_the_state_of_the_pool(
    runtime: TestedRuntime, limit: float
) -> None:
    async def scenario() -> None:
        async with runtime.pool(max_connections=1) as pool:
            async with pool.stream("GET", server.url) as held:
                with pytest.raises(httpcore2.PoolTimeout) as caught:
                    await pool.request("GET", server.url, extensions={"timeout": {"pool": limit}})
                message = str(caught.value)
                assert server.origin in message
                assert "max_connections" in message
                await _counts(pool, (1, 0), (1, 0))
                await held.aread()
            assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(canned_responses([FINE] * 2)) as server:
        runtime.run(scenario)
        assert server.accepted == 1


def test_an_idle_connection_to_another_origin_makes_room_at_the_limit(
    runtime: TestedRuntime,
) -> None:
    async def scenario() -> None:
        async with runtime.pool(max_connections=1) as pool:
            for server in (one, two, one):
                assert (await pool.request("GET", server.url)).content == b"fine"
                (connection,) = pool.connections
                assert server.origin in connection.info()

    with (
        scripted_server(canned_responses([FINE])) as one,
        scripted_server(canned_responses([FINE])) as two,
    ):
        runtime.run(scenario)
        assert (one.accepted, two.accepted) == (2, 1)


def test_origins_have_connections_of_their_own(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool:
            for server in (one, two, one, two):
                assert (await pool.request("GET", server.url)).content == b"fine"
            assert [connection.is_idle() for connection in pool.connections] == [True, True]

    with (
        scripted_server(canned_responses([FINE] * 2)) as one,
        scripted_server(canned_responses([FINE] * 2)) as two,
    ):
        runtime.run(scenario)
        assert (one.accepted, two.accepted) == (1, 1)


def test_the_repr_of_pools_and_connections_shows_their_state(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        name = f"{runtime.class_prefix}HTTPConnection"
        async with runtime.pool() as pool:
            assert repr(pool) == (
                f"<{runtime.class_prefix}ConnectionPool [Requests: 0 active, 0 queued | "
                "Connections: 0 active, 0 idle]>"
            )
            assert pool.connections == []
            async with pool.stream("GET", server.url) as first:
                await _counts(pool, (1, 0), (1, 0))
                (connection,) = pool.connections
                info = f"'{server.origin}', HTTP/1.1, ACTIVE, Request Count: 1"
                assert connection.info() == info
                assert repr(connection) == f"<{name} [{info}]>"
                assert connection.is_connected()
                assert not connection.is_idle()
                assert not connection.is_available()
                assert not connection.is_closed()
                assert not connection.has_expired()
                assert not connection.can_multiplex()
                await first.aread()
            await _counts(pool, (0, 0), (0, 1))
            assert pool.connections == [connection]
            info = f"'{server.origin}', HTTP/1.1, IDLE, Request Count: 1"
            assert repr(connection) == f"<{name} [{info}]>"
            assert connection.is_idle()
            assert connection.is_available()
            assert not connection.has_expired()
            assert connection.can_handle_request(httpcore2.URL(server.url).origin)
            assert not connection.can_handle_request(httpcore2.URL("http://other/").origin)
            await pool.request("GET", server.url)
            assert connection.info().endswith("IDLE, Request Count: 2")
        assert pool.connections == []
        assert connection.is_closed()
        assert connection.info() == f"'{server.origin}', HTTP/1.1, CLOSED, Request Count: 2"

    with scripted_server(canned_responses([FINE] * 2)) as server:
        runtime.run(scenario)


def test_a_closed_pool_can_be_used_again(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        pool = runtime.pool()
        for _ in range(2):
            assert (await pool.request("GET", server.url)).content == b"fine"
            await pool.aclose()
            await _counts(pool, (0, 0), (0, 0))
        await pool.aclose()

    with scripted_server(canned_responses([FINE])) as server:
        runtime.run(scenario)
        assert server.accepted == 2


def test_closing_the_pool_fails_the_requests_in_progress(runtime: TestedRuntime) -> None:
    closed = threading.Event()

    def handler(peer: Peer) -> None:
        peer.receive_head()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")
        peer.receive_until_close()
        closed.set()

    async def scenario() -> None:
        pool = runtime.pool()
        async with pool.stream("GET", server.url) as cut:
            await pool.aclose()
            await _counts(pool, (0, 0), (0, 0))
            # The connection is closed when the pool is, not when the response is.
            await runtime.wait_until(closed.is_set)
            with pytest.raises(httpcore2.ReadError):
                await cut.aread()
        await _counts(pool, (0, 0), (0, 0))

    with scripted_server(handler) as server:
        runtime.run(scenario)


def test_a_request_that_fails_since_the_pool_was_closed_is_not_sent_again(
    runtime: TestedRuntime,
) -> None:
    received = runtime.event()

    def handler(peer: Peer) -> None:
        peer.receive_head()
        peer.send(FINE)
        peer.receive_head()  # on the connection that is reused, and never answered
        received.set()
        peer.receive_until_close()

    async def scenario() -> None:
        pool = runtime.pool()
        await pool.request("GET", server.url)

        async def send() -> None:
            with pytest.raises(httpcore2.NetworkError):
                await pool.request("GET", server.url)

        async def close() -> None:
            await received.wait()
            await pool.aclose()

        await runtime.gather(send, close)
        assert pool.connections == []

    with scripted_server(handler) as server:
        runtime.run(scenario)
        assert server.accepted == 1


def test_closing_the_pool_fails_the_requests_that_wait(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        pool = runtime.pool(max_connections=1)
        queued = runtime.event()

        async def hold() -> None:
            async with pool.stream("GET", server.url):
                queued.set()
                await runtime.wait_until(lambda: " 1 queued" in repr(pool))
                await pool.aclose()

        async def wait() -> None:
            await queued.wait()
            with pytest.raises(httpcore2.ConnectError, match="closed"):
                await pool.request("GET", server.url)

        await runtime.gather(hold, wait)
        await _counts(pool, (0, 0), (0, 0))

    with scripted_server(canned_responses([FINE])) as server:
        runtime.run(scenario)


def test_a_response_can_be_closed_twice_and_without_having_been_read(
    runtime: TestedRuntime,
) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool:
            request = httpcore2.Request("GET", server.url, headers={"Host": "h"})
            unread = await pool.handle_async_request(request)
            await unread.aclose()
            await unread.aclose()
            await _counts(pool, (0, 0), (0, 0))

    def handler(peer: Peer) -> None:
        peer.receive_head()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")
        peer.receive_until_close()

    with scripted_server(handler) as server:
        runtime.run(scenario)


def test_the_pool_makes_its_connections_by_create_connection(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool:
            connection = pool.create_connection(httpcore2.URL("http://h/").origin)
            assert repr(connection) == f"<{runtime.class_prefix}HTTPConnection [CONNECTING]>"
            assert pool.connections == []

    runtime.run(scenario)


@pytest.mark.parametrize(
    "options",
    [{"max_connections": -1}, {"max_keepalive_connections": -1}, {"retries": -1}],
    ids=lambda options: next(iter(options)),
)
def test_negative_limits_are_refused(runtime: TestedRuntime, options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        runtime.pool(**options)
