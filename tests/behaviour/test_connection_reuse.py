"""Keep-alive: the idle connections that a pool keeps, reuses and closes, and requests that are sent again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import httpcore2

from ..support.h2peer import answering, speaking
from ..support.runtimes import TestedRuntime
from ..support.scripted_servers import Peer, canned_responses, response, scripted_server

FINE = response(b"fine")
FORGED = response(b"forged")


def test_one_connection_serves_many_requests(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool:
            for _ in range(20):
                assert (await pool.request("GET", server.url)).content == b"fine"
            (connection,) = pool.connections
            assert connection.info().endswith("HTTP/1.1, IDLE, Request Count: 20")

    with scripted_server(canned_responses([FINE] * 20)) as server:
        runtime.run(scenario)
        assert server.accepted == 1


@pytest.mark.parametrize("ending", ["end", "reset", "byte", "response"])
def test_an_idle_connection_that_received_data_or_its_end_is_not_reused(
    runtime: TestedRuntime, ending: str
) -> None:
    has_sent = runtime.event()

    def handler(peer: Peer) -> None:
        peer.receive_head()
        peer.send(FINE)
        if peer.number == 0:
            proceed.wait_in_thread()
            if ending == "reset":
                peer.reset()
            elif ending == "byte":
                peer.send(b"\r\n")
            elif ending == "response":
                peer.send(FORGED)
            else:
                peer.close()
            has_sent.set()
            if ending in ("byte", "response"):
                assert peer.receive_until_close() == b""
        else:
            peer.receive_until_close()

    proceed = runtime.event()

    async def scenario() -> None:
        async with runtime.pool() as pool:
            await pool.request("GET", server.url)
            proceed.set()
            await has_sent.wait()
            # The body can't be sent twice, so the pool must detect the end before it sends the request.
            response = await pool.request("POST", server.url, content=runtime.body([b"x"]))
            assert response.content == b"fine"
            assert len(pool.connections) == 1

    with scripted_server(handler, allow_disconnect=True) as server:
        runtime.run(scenario)
        assert server.accepted == 2


def test_a_partly_read_response_closes_its_connection(
    runtime: TestedRuntime,
) -> None:
    def handler(peer: Peer) -> None:
        peer.receive_head()
        if peer.number == 0:
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")
            assert peer.receive_until_close() == b""
        else:
            peer.send(FINE)
            peer.receive_until_close()

    async def scenario() -> None:
        async with runtime.pool(max_connections=1) as pool:
            async with pool.stream("GET", server.url) as unread:
                assert unread.status == 200
            assert "0 active, 0 queued | Connections: 0 active, 0 idle" in repr(pool)
            assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(handler) as server:
        runtime.run(scenario)
        assert server.accepted == 2


def test_a_fully_read_response_releases_its_connection_before_it_is_closed(
    runtime: TestedRuntime,
) -> None:
    async def scenario() -> None:
        async with runtime.pool(max_connections=1) as pool:
            async with pool.stream("GET", server.url) as first:
                assert b"".join([chunk async for chunk in first.aiter_stream()]) == b"fine"
            assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(canned_responses([FINE] * 2)) as server:
        runtime.run(scenario)
        assert server.accepted == 1


@pytest.mark.parametrize("protocol", ["HTTP/1.1", "HTTP/2"])
@pytest.mark.parametrize(
    "options", [{"keepalive_expiry": 0.0}, {"max_keepalive_connections": 0}], ids=repr
)
def test_a_connection_without_keep_alive_is_closed_at_the_end_of_its_request(
    runtime: TestedRuntime, options: dict[str, Any], protocol: str
) -> None:
    async def scenario() -> None:
        async with runtime.pool(http2=http2, http1=not http2, **options) as pool:
            for _ in range(2):
                assert (await pool.request("GET", server.url)).content == b"fine"
                assert pool.connections == []
                await closed.pop().wait()

    def handler(peer: Peer) -> None:
        speaking(answering())(peer) if http2 else canned_responses([FINE])(peer)
        peer.receive_until_close()
        unset.pop().set()

    http2 = protocol == "HTTP/2"
    closed = [runtime.event(), runtime.event()]
    unset = closed.copy()
    with scripted_server(handler) as server:
        runtime.run(scenario)
        assert server.accepted == 2


@pytest.mark.parametrize(
    "options", [{"keepalive_expiry": 0.0}, {"max_keepalive_connections": 0}], ids=repr
)
def test_a_connection_without_keep_alive_is_not_assigned_to_a_queued_request(
    runtime: TestedRuntime, options: dict[str, Any]
) -> None:
    async def scenario() -> None:
        async with runtime.pool(max_connections=1, **options) as pool:

            async def first() -> None:
                async with pool.stream("GET", server.url) as held:
                    await runtime.wait_until(lambda: "1 queued" in repr(pool))
                    await held.aread()

            async def second() -> None:
                await runtime.wait_until(lambda: "1 active" in repr(pool))
                assert (await pool.request("GET", server.url)).content == b"fine"

            await runtime.gather(first, second)

    with scripted_server(canned_responses([FINE])) as server:
        runtime.run(scenario)
        assert server.accepted == 2


@pytest.mark.parametrize("field", [b"X: a", b"X: a\r\n b"], ids=["fast path", "h11 fallback"])
def test_a_keep_alive_timeout_of_zero_closes_the_connection_at_the_end_of_its_request(
    runtime: TestedRuntime, field: bytes
) -> None:
    data = response(b"fine", field, b"Keep-Alive: timeout=0")

    async def scenario() -> None:
        async with runtime.pool() as pool:
            for _ in range(2):
                assert (await pool.request("GET", server.url)).content == b"fine"
                assert pool.connections == []

    with scripted_server(canned_responses([data])) as server:
        runtime.run(scenario)
        assert server.accepted == 2


def test_max_keepalive_connections_of_zero_keeps_no_connection(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with runtime.pool(max_keepalive_connections=0) as pool:
            for _ in range(2):
                await pool.request("GET", server.url)
                assert "Connections: 0 active, 0 idle" in repr(pool)

    with scripted_server(canned_responses([FINE])) as server:
        runtime.run(scenario)
        assert server.accepted == 2


def test_max_keepalive_connections_limits_the_idle_connections(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with runtime.pool(max_keepalive_connections=1) as pool:
            async with pool.stream("GET", server.url) as one, pool.stream("GET", server.url) as two:
                await one.aread()
                await two.aread()
            assert "Connections: 0 active, 1 idle" in repr(pool)

    with scripted_server(canned_responses([FINE])) as server:
        runtime.run(scenario)
        assert server.accepted == 2


Ending = Callable[[Peer], None]
ENDINGS: dict[str, Ending] = {"close": Peer.close, "reset": Peer.reset}


def _end_at_second_request(ending: Ending, seen: list[bytes]) -> Callable[[Peer], None]:
    def handler(peer: Peer) -> None:
        for _ in range(2):
            request = peer.receive_request()
            if request is None:
                return
            head, body = request
            seen.append(head.split(b" ")[0] + b" " + body)
            if peer.number == 0 and len(seen) == 2:
                ending(peer)
                return
            peer.send(FINE)
        peer.receive_until_close()

    return handler


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
@pytest.mark.parametrize(
    ("method", "content"),
    [
        ("GET", None),
        ("HEAD", None),
        ("OPTIONS", None),
        ("DELETE", None),
        ("PUT", b"x"),
        ("DELETE", b"x"),
    ],
)
def test_an_idempotent_request_on_a_closed_connection_is_sent_again(
    runtime: TestedRuntime, method: str, content: bytes | None, ending: Ending
) -> None:
    seen: list[bytes] = []

    async def scenario() -> None:
        async with runtime.pool(max_connections=1) as pool:
            await pool.request("GET", server.url)
            response = await pool.request(method, server.url, content=content)
            assert response.status == 200
            assert "0 active, 0 queued | Connections: 0 active, 1 idle" in repr(pool)

    def handler(peer: Peer) -> None:
        while request := peer.receive_request():
            head, body = request
            seen.append(head.split(b" ")[0] + b" " + body)
            if len(seen) == 2:
                return ending(peer)
            peer.send(FINE if not head.startswith(b"HEAD") else response())

    with scripted_server(handler) as server:
        runtime.run(scenario)
        assert server.accepted == 2
    again = method.encode() + b" " + (content or b"")
    assert seen == [b"GET ", again, again]


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
@pytest.mark.parametrize(
    ("method", "content"),
    [("POST", b"x"), ("PATCH", b"x"), ("POST", None), ("PUT", [b"x"])],
    ids=repr,
)
def test_a_request_that_is_not_idempotent_or_replayable_is_not_sent_again(
    runtime: TestedRuntime, method: str, content: Any, ending: Ending
) -> None:
    seen: list[bytes] = []

    async def scenario() -> None:
        async with runtime.pool(max_connections=1) as pool:
            await pool.request("GET", server.url)
            body = runtime.body(content) if isinstance(content, list) else content
            with pytest.raises((httpcore2.RemoteProtocolError, httpcore2.ReadError)):
                await pool.request(method, server.url, content=body)
            assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(_end_at_second_request(ending, seen)) as server:
        runtime.run(scenario)
        assert server.accepted == 2
    assert [entry.split(b" ")[0] for entry in seen] == [b"GET", method.encode(), b"GET"]


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
def test_a_request_is_not_sent_again_after_the_first_byte_of_a_response(
    runtime: TestedRuntime, ending: Ending
) -> None:
    seen: list[bytes] = []

    def begin_and_end(peer: Peer) -> None:
        peer.send(b"H")
        ending(peer)

    async def scenario() -> None:
        async with runtime.pool(max_connections=1) as pool:
            await pool.request("GET", server.url)
            with pytest.raises((httpcore2.RemoteProtocolError, httpcore2.ReadError)):
                await pool.request("GET", server.url)

    with scripted_server(_end_at_second_request(begin_and_end, seen)) as server:
        runtime.run(scenario)
        assert server.accepted == 1


def test_a_request_on_a_new_connection_is_not_sent_again(
    runtime: TestedRuntime,
) -> None:
    def handler(peer: Peer) -> None:
        peer.receive_head()

    async def scenario() -> None:
        async with runtime.pool() as pool:
            with pytest.raises(httpcore2.RemoteProtocolError, match="without sending a response"):
                await pool.request("GET", server.url)

    with scripted_server(handler) as server:
        runtime.run(scenario)
        assert server.accepted == 1
