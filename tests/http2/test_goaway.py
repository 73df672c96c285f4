"""Servers that process a few requests on each connection, and send GOAWAY then: all requests succeed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from threading import Lock

import h2.events
import pytest
from h2.errors import ErrorCodes

import httpcore2
from httpcore2_core._http.established import RequestLimit

from ..support.h2peer import H2Peer, answering, speaking
from ..support.h2state import inner, session
from ..support.runtimes import TestedRuntime
from ..support.scripted_servers import scripted_server
from .conftest import PoolMaker

LIMIT = 3
"""How many requests the server processes on a connection."""


class Limited:
    """A server that sends GOAWAY with its `limit`-th request on a connection, and processes none beyond."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.processed: Counter[bytes] = Counter()
        self.refused: Counter[bytes] = Counter()
        self.connections: list[int] = []
        """How many requests were sent on each connection, in the order of their ends."""
        self._lock = Lock()

    def __call__(self, peer: H2Peer) -> None:
        requests = 0
        while event := peer.next():
            if not isinstance(event, h2.events.RequestReceived):
                continue
            assert event.stream_id is not None
            path = peer.requests[event.stream_id][b":path"]
            requests += 1
            with self._lock:
                (self.processed if requests <= self.limit else self.refused)[path] += 1
            if requests == self.limit:
                peer.go_away(event.stream_id)
            if requests <= self.limit:
                peer.respond(event.stream_id, path)
        self.connections.append(requests)


def test_unprocessed_requests_are_sent_first_and_a_known_limit_of_requests_is_kept(
    runtime: TestedRuntime, h2_pool: PoolMaker
) -> None:
    tasks, each = 12, 15
    script = Limited(LIMIT)

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:

            def fetching(task: int) -> Callable[[], object]:
                async def fetch() -> None:
                    for number in range(each):
                        reply = await pool.request("POST", f"{server.url}{task}/{number}")
                        assert reply.content == b"/%d/%d" % (task, number)

                return fetch

            await runtime.gather(*[fetching(task) for task in range(tasks)])  # type: ignore[arg-type]

    with scripted_server(speaking(script), allow_disconnect=True) as server:
        runtime.run(scenario)
    assert len(script.processed) == tasks * each
    assert set(script.processed.values()) == {1}
    # Two connections show how many requests the server processes on each. With threads, a third may be under way.
    assert sum(count > LIMIT for count in script.connections) <= 3
    assert max(script.refused.values()) <= 3


def test_a_server_that_closed_two_connections_for_another_reason_is_assumed_to_process_more(
    runtime: TestedRuntime, h2_pool: PoolMaker
) -> None:
    def script(peer: H2Peer) -> None:
        if peer.number < 2:
            Limited(LIMIT)(peer)
        else:
            answering()(peer)

    async def scenario() -> None:
        async with h2_pool(runtime, max_connections=1) as pool:

            async def post() -> None:
                assert (await pool.request("POST", server.url)).status == 200

            await runtime.gather(*[post] * 12)
            await post()
            connection = inner(pool)
            # Six were processed by the first two connections, and three at a time by the third, until it had taken more
            # than those before.
            assert connection._request_count == 7
            assert connection.request_limit == RequestLimit(LIMIT, False)
            assert connection.capacity == 100

    with scripted_server(speaking(script), allow_disconnect=True) as server:
        runtime.run(scenario)
        assert server.accepted == 3


def test_a_server_that_has_closed_one_connection_is_sent_as_many_requests_on_the_next(
    runtime: TestedRuntime, h2_pool: PoolMaker
) -> None:
    def script(peer: H2Peer) -> None:
        if peer.number == 0:
            Limited(1)(peer)
            return
        streams = [peer.request() for _ in range(9)]
        for stream_id in streams:
            peer.respond(stream_id, b"fine")
        peer.until_end()

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:

            async def post() -> None:
                assert (await pool.request("POST", server.url)).status == 200

            await runtime.gather(*[post] * 10)

    with scripted_server(speaking(script), allow_disconnect=True) as server:
        runtime.run(scenario)
        assert server.accepted == 2


class Choosy:
    """A server that refuses one request, each time that it has processed another meanwhile."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.seen: Counter[bytes] = Counter()

    def __call__(self, peer: H2Peer) -> None:
        unlucky: int | None = None
        while event := peer.next():
            if not isinstance(event, h2.events.RequestReceived):
                continue
            assert event.stream_id is not None
            path = peer.requests[event.stream_id][b":path"]
            self.seen[path] += 1
            if path == b"/unlucky" and self.seen[path] <= self.times:
                unlucky = event.stream_id
                continue
            peer.respond(event.stream_id, b"fine")
            if unlucky is not None:
                peer.reset(unlucky, ErrorCodes.REFUSED_STREAM)
                unlucky = None


async def send_unlucky_and_others(
    runtime: TestedRuntime,
    pool: httpcore2.AsyncConnectionPool,
    url: str,
    unlucky: Callable[[], Awaitable[object]],
) -> None:
    done = runtime.event()

    async def one() -> None:
        await unlucky()
        done.set()

    async def others() -> None:
        while not done.is_set():
            assert (await pool.request("GET", f"{url}other")).content == b"fine"

    await pool.request("GET", f"{url}other")
    await runtime.gather(one, others)


def test_a_request_is_sent_more_than_ten_times_while_the_server_processes_others(
    runtime: TestedRuntime, h2_pool: PoolMaker
) -> None:
    script = Choosy(25)

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:

            async def unlucky() -> None:
                assert (await pool.request("POST", f"{server.url}unlucky")).content == b"fine"

            await send_unlucky_and_others(runtime, pool, server.url, unlucky)

    with scripted_server(speaking(script), allow_disconnect=True) as server:
        runtime.run(scenario)
    assert script.seen[b"/unlucky"] == 26


def test_a_request_that_the_server_never_processes_fails_in_the_end(
    runtime: TestedRuntime, h2_pool: PoolMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("httpcore2_core._pool.engine._MAX_ATTEMPTS", 30)
    script = Choosy(1_000_000)

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:

            async def unlucky() -> None:
                with pytest.raises(
                    httpcore2.RemoteProtocolError, match="30 times, and never processed"
                ):
                    await pool.request("POST", f"{server.url}unlucky")

            await send_unlucky_and_others(runtime, pool, server.url, unlucky)

    with scripted_server(speaking(script), allow_disconnect=True) as server:
        runtime.run(scenario)
    assert script.seen[b"/unlucky"] == 30


def test_the_limits_of_a_bounded_number_of_origins_are_remembered(
    runtime: TestedRuntime, h2_pool: PoolMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("httpcore2_core._pool.pooled_connections._MAX_REQUEST_LIMITS", 1)

    def script(peer: H2Peer) -> None:
        if peer.number:
            answering()(peer)
            return
        streams = [peer.request() for _ in range(5)]
        peer.go_away(streams[LIMIT - 1])
        for stream_id in streams[:LIMIT]:
            peer.respond(stream_id)
        peer.until_end()

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            for server in (first, second):

                async def post(url: str = server.url) -> None:
                    assert (await pool.request("POST", url)).status == 200

                await runtime.gather(*[post] * 5)
            engine = getattr(pool, "_counterpart", pool)._engine
            assert [key[2] for key in engine._request_limits] == [second.port]

    with (
        scripted_server(speaking(script), allow_disconnect=True) as first,
        scripted_server(speaking(script), allow_disconnect=True) as second,
    ):
        runtime.run(scenario)


def test_a_connection_that_another_thread_is_about_to_report_as_retired_is_tried_once(
    runtime: TestedRuntime, h2_pool: PoolMaker
) -> None:
    """The thread that has read the GOAWAY may have no turn for a while; ten tries were over in less."""

    async def scenario() -> None:
        async with h2_pool(runtime) as pool, pool.stream("GET", server.url) as held:
            session(pool).is_retired = True
            assert (await pool.request("POST", server.url)).content == b"fine"
            assert await held.aread() == b"fine"

    with scripted_server(speaking(answering()), allow_disconnect=True) as server:
        runtime.run(scenario)
        assert server.accepted == 2
