"""The age of connections and the limit for each origin, with real servers and a load balancer."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import httpcore2

from ..support import policy_workloads, real_servers
from ..support.load_balancer import load_balancer
from ..support.policy_workloads import FIRST, SECOND
from ..support.runtimes import TestedRuntime
from ..support.scripted_servers import Peer, response, scripted_server


@pytest.mark.parametrize("http2", [False, True], ids=["HTTP/1.1", "HTTP/2"])
def test_servers_behind_a_load_balancer_are_replaced_without_an_error(
    runtime: TestedRuntime, tmp_path: Path, http2: bool
) -> None:
    async def scenario() -> None:
        options = {"http1": not http2, "http2": http2}
        async with runtime.pool(max_connection_age=0.1, **options) as pool:
            answers, _ = await policy_workloads.restart_servers(
                runtime, pool, balancer, 200, 4, time.monotonic
            )
        servers = [answer.server for answer in answers]
        assert set(servers[:50]) <= set(FIRST)
        assert set(servers[50:]) & set(SECOND)
        assert servers[-1] in SECOND

    with load_balancer(tmp_path, FIRST + SECOND, ready=2, http2=http2) as balancer:
        runtime.run(scenario)


def test_an_origin_that_hangs_takes_no_connection_from_the_others(
    runtime: TestedRuntime, tmp_path: Path
) -> None:
    hosts = [f"origin-{number}.test" for number in range(15)]
    released = runtime.event()

    def handler(peer: Peer) -> None:
        while peer.receive_request():
            released.wait_in_thread()
            peer.send(response(b"late"))

    async def scenario() -> None:
        resolver = httpcore2.StaticResolver(dict.fromkeys(hosts, "127.0.0.1"))
        # Without the limit of two the server that hangs would take all.
        limits = {"max_connections": 8, "max_connections_per_origin": 2}
        async with runtime.pool(resolver=resolver, **limits) as pool:
            port = origin.rpartition(":")[2]
            urls = [f"http://{host}:{port}/1" for host in hosts]
            durations = await policy_workloads.fetch_beside_waiting_requests(
                runtime, pool, urls, server.url, released.set, 4, 6, time.monotonic
            )
            assert len(durations) == 15 * 4

    with (
        real_servers.running_server("nginx", tmp_path, None) as origin,
        scripted_server(handler, allow_disconnect=True) as server,
    ):
        runtime.run(scenario)
    assert server.accepted == 2
