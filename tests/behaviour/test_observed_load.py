"""An observer that counts everything, and the statistics, agree with what the server has seen under load."""

from __future__ import annotations

from collections import Counter
from threading import Lock

import pytest

import httpcore2

from ..support.observers import Event, RecordingObserver
from ..support.runtimes import RUNTIMES
from ..support.scripted_servers import Peer, response, scripted_server

TASKS = 16
REQUESTS = 10_000


class Totals(RecordingObserver):
    """Counts the events, and sums the bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()
        self._lock = Lock()

    def on_event(self, event: Event) -> None:
        with self._lock:
            self.counts[event.name] += 1
            if event.name == "request_ended":
                self.counts["sent"] += event.arguments["sent"]
                self.counts["received"] += event.arguments["received"]
                self.counts[f"status {event.arguments['status']}"] += 1
            self.events.clear()


@pytest.mark.parametrize("name", ["threads", "asyncio"])
def test_the_counts_of_many_requests_are_those_of_the_server(name: str) -> None:
    runtime = RUNTIMES[name]
    observer = Totals()
    served: Counter[str] = Counter()
    lock = Lock()

    def handler(peer: Peer) -> None:
        count = 0
        while request := peer.receive_request():
            count += 1
            with lock:
                served["requests"] += 1
                served["received"] += len(request[1])
                served["sent"] += len(request[1])
            # Each connection ends after 500 responses, the last of which says so.
            last = [b"Connection: close"] if count == 500 else []
            peer.send(response(request[1], *last))
            if last:
                return

    async def scenario() -> httpcore2.PoolStats:
        async with runtime.pool(max_connections=8) as pool:
            pool.observe(observer)

            async def work() -> None:
                for number in range(REQUESTS // TASKS):
                    content = b"x" * (number % 50)
                    reply = await pool.request("POST", server.url, content=content)
                    assert reply.content == content

            await runtime.gather(*[work] * TASKS)
        return pool.stats()

    with scripted_server(handler) as server:
        stats = runtime.run(scenario)
    counts = observer.counts
    assert served["requests"] == counts["status 200"] == REQUESTS
    for event in ("request_started", "connection_acquired", "response_received", "request_ended"):
        assert counts[event] == REQUESTS, event
    assert (counts["sent"], counts["received"]) == (served["received"], served["sent"])
    assert counts["connection_opened"] == counts["connection_closed"] == server.accepted
    assert stats.opened == sum(stats.closed.values()) == server.accepted
    assert stats.opened + stats.reused == REQUESTS
    assert counts["connection_active"] >= counts["connection_idle"]
