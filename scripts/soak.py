"""Run workloads for minutes: HTTP/2 and HTTP/3, which must leave nothing behind, and the connection policy of pools.

The servers run on this machine: nginx, nghttpd, haproxy and scripted peers in clear text, caddy and a scripted peer for
HTTP/3. Any error ends the run with a traceback.
"""

from __future__ import annotations

import argparse
import resource
import ssl
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import trustme
from tests.http2.test_hostile_peers import FLOODS, PROMPT, flood
from tests.support import (
    h3peer,
    h3process,
    h3state,
    policy_workloads,
    real_servers,
    runtime_base,
    scripted_servers,
    soak_workloads,
)
from tests.support.h2peer import speaking
from tests.support.h2state import Windows, check_idle
from tests.support.load_balancer import load_balancer
from tests.support.lossy_relay import LossyRelay
from tests.support.policy_workloads import FIRST, SECOND
from tests.support.runtimes import RUNTIMES, TestedRuntime
from tests.support.scripted_servers import Peer, response, scripted_server

import httpcore2

MAIN = ("threads", "asyncio", "trio")
MEMORY = 2 * 1024 * 1024
"""The most memory that a flood may take, in bytes."""
SHARE = 0.35
"""The least part of the requests that one of two servers behind a load balancer must get."""
RATIO = 1.5
"""How much longer the slowest requests may take beside an origin that hangs."""
ROUNDS = 5
"""How often the times beside that origin, and without it, are measured."""
GROWTH = 4 * 1024 * 1024
"""The most memory by which many requests over HTTP/3 may enlarge the process, in bytes."""
OBJECTS = 1000
"""The most objects that they may leave."""


def tell(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def open_pool(runtime: TestedRuntime) -> httpcore2.AsyncConnectionPool:
    return runtime.pool(http1=False, http2=True)


@contextmanager
def timed(job: str, runtime: TestedRuntime, tasks: int, requests: int) -> Iterator[list[str]]:
    """Print how long an operation took, and the entries of the list."""
    found: list[str] = []
    begin = time.perf_counter()
    yield found
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    tell(
        f"{job:13} {runtime.name:8} {requests:7} requests, {tasks:2} at a time: {seconds:6.1f} s, "
        f"{requests / seconds:5.0f}/s, process at most {peak} MiB; {', '.join(found)}"
    )


def last(runtime: TestedRuntime, tasks: int, requests: int, folder: Path) -> None:
    """Get a page from an nginx that sends GOAWAY after each 1000 requests."""

    async def scenario() -> None:
        async with open_pool(runtime) as pool:
            opened = await soak_workloads.fetch_until_idle(
                runtime, pool, f"{origin}/1000", 1000, requests, tasks
            )
            found.append(f"0 errors, {opened} connections, 1 left")

    with (
        real_servers.running_server("nginx", folder, None, http2=True, requests=1000) as origin,
        timed("last", runtime, tasks, requests) as found,
    ):
        runtime.run(scenario)


def few(runtime: TestedRuntime, tasks: int, requests: int, folder: Path) -> None:
    """Get a page from an nginx that accepts ten requests on each connection."""

    async def scenario() -> None:
        async with open_pool(runtime) as pool:
            opened = await soak_workloads.fetch_all(
                runtime, pool, f"{origin}/1000", 1000, requests, tasks
            )
            found.append(f"0 errors, {opened} connections")

    with (
        real_servers.running_server("nginx", folder, None, http2=True, requests=10) as origin,
        timed("few", runtime, tasks, requests) as found,
    ):
        runtime.run(scenario)


def mix(runtime: TestedRuntime, tasks: int, requests: int, folder: Path) -> None:
    """Send different bodies to the echo of nghttpd over one connection."""

    async def scenario() -> None:
        async with open_pool(runtime) as pool:
            await soak_workloads.echo_bodies(runtime, pool, f"{origin}/1", requests, tasks)
            found.append("0 mixed up, 1 connection")

    with (
        real_servers.running_server("nghttpd", folder, None) as origin,
        timed("mix", runtime, tasks, requests) as found,
    ):
        runtime.run(scenario)


def give_up(runtime: TestedRuntime, tasks: int, requests: int, folder: Path) -> None:
    """Close responses early, time out and cancel requests, over one connection."""
    seen: list[Windows] = []

    async def scenario() -> None:
        async with open_pool(runtime) as pool:
            await soak_workloads.interrupt_requests(runtime, pool, peer.origin, requests, tasks)
            windows = check_idle(pool)
            found.append(f"0 streams left, 100 more admitted, windows {tuple(windows)}")
            seen.append(windows)

    script = speaking(lambda peer: seen.append(soak_workloads.serve_interrupted_requests(peer)))
    with (
        scripted_server(script, allow_disconnect=True) as peer,
        timed("give-up", runtime, tasks, requests) as found,
    ):
        runtime.run(scenario)
    assert peer.accepted == 1, "a connection was lost"
    ours, theirs = seen
    assert ours == theirs, f"the windows have drifted apart: {ours}, {theirs}"


def floods(runtime: TestedRuntime, tasks: int, requests: int, folder: Path) -> None:
    """Receive each kind of flood of the tests, until the connection is closed."""

    def drown(name: str) -> httpcore2.RemoteProtocolError:
        async def scenario() -> httpcore2.RemoteProtocolError:
            async with open_pool(runtime) as pool:
                try:
                    await pool.request("POST", f"{peer.origin}/")
                except httpcore2.RemoteProtocolError as exc:
                    return exc
            raise AssertionError("the server was not given up")

        with scripted_server(speaking(flood(name)), allow_disconnect=True) as peer:
            return runtime.run(scenario)

    for name in FLOODS:
        begin = time.perf_counter()
        error = drown(name)
        seconds = time.perf_counter() - begin
        tracemalloc.start()
        drown(name)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        tell(
            f"floods        {runtime.name:8} {name:30} {seconds:.2f} s, {peak / 2**20:.1f} MiB; {error}"
        )
        assert seconds < PROMPT and peak < MEMORY


class Authority:
    """A certificate authority, a server's certificate, and the settings of pools that trust it, for HTTP/3 alone."""

    def __init__(self) -> None:
        authority = trustme.CA()
        context = ssl.create_default_context()
        authority.configure_trust(context)
        self.server = authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem
        self.options = {
            "ssl_context": context,
            "http1": False,
            "http2": False,
            "http3": True,
        }


def networks(runtime: TestedRuntime, tasks: int, requests: int, folder: Path) -> None:
    """Send bodies to caddy, through a relay that loses, doubles and delays datagrams, changes its port or is silent."""
    authority = Authority()
    certificate = folder / "server.pem"
    authority.server.write_to_path(certificate)
    with real_servers.Servers(
        lambda name: Path(tempfile.mkdtemp(dir=folder)), certificate
    ) as servers:
        port = int(servers.origin("caddy", True).rpartition(":")[2])
        for name, network in soak_workloads.NETWORKS.items():

            async def scenario(
                network: soak_workloads.Network = network,
            ) -> soak_workloads.NetworkFindings:
                async with runtime.pool(**authority.options) as pool:
                    findings = await soak_workloads.echo_through(
                        runtime, pool, relay, network, requests, tasks
                    )
                    assert "Requests: 0 active, 0 queued" in repr(pool)
                    return findings

            with (
                LossyRelay(port, seed=1, loss=network.loss).running() as relay,
                timed("networks", runtime, tasks, requests) as found,
            ):
                findings = runtime.run(scenario)
                before, after = findings.before, findings.after
                found += [
                    name,
                    f"{findings.timeouts} timeouts, longest request {findings.longest:.2f} s",
                    f"{before.resident / 2**20:.1f} MiB before and {after.resident / 2**20:.1f} MiB after",
                    f"{before.objects} objects before and {after.objects} after",
                ]
            assert after.resident - before.resident < GROWTH
            assert after.objects - before.objects < OBJECTS


def interruptions(runtime: TestedRuntime, tasks: int, requests: int, folder: Path) -> None:
    """Close responses early, time out and cancel requests, over one connection of HTTP/3."""
    authority = Authority()

    async def scenario() -> tuple[soak_workloads.Memory, soak_workloads.Memory]:
        async with runtime.pool(**authority.options) as pool:
            memory = []
            for count in (requests // 5, requests - requests // 5):
                await soak_workloads.interrupt_requests(
                    runtime, pool, server.url.rstrip("/"), count, tasks
                )
                h3state.check_idle(pool)
                memory.append(soak_workloads.Memory.now())
            before, after = memory
            return before, after

    script = soak_workloads.serve_interrupted_http3_requests
    with timed("interruptions", runtime, tasks, requests) as found:
        with h3process.running(script, authority.server.bytes()) as server:
            before, after = runtime.run(scenario)
        found += [
            f"0 streams left, 100 more admitted, {server.connections} connections",
            f"{before.resident / 2**20:.1f} MiB before and {after.resident / 2**20:.1f} MiB after",
            f"{before.objects} objects before and {after.objects} after",
        ]
    # One from which nothing comes for a second, since all threads wait for the processor, is given up.
    assert server.connections is not None and server.connections < 10, "connections were lost"
    assert after.resident - before.resident < GROWTH
    assert after.objects - before.objects < OBJECTS


def restart(runtime: TestedRuntime, tasks: int, requests: int, folder: Path) -> None:
    """Replace both servers behind a haproxy, one after the other, with connections that live for two seconds."""

    async def scenario() -> None:
        async with runtime.pool(max_connection_age=2) as pool:
            answers, swaps = await policy_workloads.restart_servers(
                runtime, pool, balancer, requests, tasks, time.monotonic, pause=3.5
            )
        found.append(f"0 errors in {len(answers)} requests")
        for begin, old, new in zip(swaps, FIRST, SECOND, strict=True):
            servers = [each.server for each in answers if begin + 2.5 <= each.time < begin + 3]
            share = servers.count(new) / len(servers)
            last = max(each.time for each in answers if each.server == old) - begin
            found.append(f"{new} has {share:.0%} after 3 s, {old} the last after {last:.1f} s")
            assert old not in servers and share > SHARE

    names = FIRST + SECOND
    with (
        load_balancer(folder, names, ready=2) as balancer,
        timed("restart", runtime, tasks, requests) as found,
    ):
        runtime.run(scenario)


def hang(runtime: TestedRuntime, tasks: int, requests: int, folder: Path) -> None:
    """Send requests to 99 origins while another one hangs, with two connections for each."""
    hosts = [f"origin-{number}.test" for number in range(99)]

    def percentile(is_hanging: bool) -> float:
        """Return that below which 99 % of the requests are, in seconds."""
        released = runtime.event()

        def handler(peer: Peer) -> None:
            while peer.receive_request():
                released.wait_in_thread()
                peer.send(response(b"late"))

        async def scenario() -> list[float]:
            async with runtime.pool(**options) as pool:
                return await policy_workloads.fetch_beside_waiting_requests(
                    runtime,
                    pool,
                    urls,
                    server.url if is_hanging else None,
                    released.set,
                    requests // len(hosts),
                    tasks,
                    time.monotonic,
                )

        with scripted_server(handler, allow_disconnect=True) as server:
            durations = sorted(runtime.run(scenario))
        return durations[len(durations) * 99 // 100]

    resolver = httpcore2.StaticResolver(dict.fromkeys(hosts, "127.0.0.1"))
    options = {"resolver": resolver, "max_connections": 200, "max_connections_per_origin": 2}
    with (
        real_servers.running_server("nginx", folder, None) as origin,
        timed("hang", runtime, tasks, requests * 2 * ROUNDS) as found,
    ):
        urls = [f"http://{host}:{origin.rpartition(':')[2]}/1" for host in hosts]
        # In turn, and the median of each: the machine does other things meanwhile.
        rounds = [(percentile(False), percentile(True)) for _ in range(ROUNDS)]
        without, beside = (sorted(each)[ROUNDS // 2] for each in zip(*rounds, strict=True))
        found.append(
            f"0 errors, 99th percentile {beside * 1000:.1f} ms, {without * 1000:.1f} ms without the origin "
            f"that hangs: {beside / without:.2f}"
        )
    assert beside / without < RATIO


Job = Callable[[TestedRuntime, int, int, Path], None]
JOBS: dict[str, tuple[Job, int, tuple[int, ...]]] = {
    "last": (last, 100_000, (1, 50)),
    "few": (few, 20_000, (12, 100)),
    "mix": (mix, 10_000, (32,)),
    "give-up": (give_up, 12_000, (1, 50)),
    "floods": (floods, 1, (1,)),
    "networks": (networks, 10_000, (50,)),
    "interruptions": (interruptions, 10_000, (1, 50)),
    "restart": (restart, 20_000, (16,)),
    "hang": (hang, 19_800, (16,)),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m scripts.soak", description=__doc__)
    parser.add_argument("--job", action="append", choices=JOBS, help="default: all")
    parser.add_argument("--runtime", action="append", choices=RUNTIMES, help=f"default: {MAIN}")
    parser.add_argument("--requests", type=int, help="default: each job's own number")
    arguments = parser.parse_args()
    # The watchdog of the tests ends tests that hang. These jobs take longer.
    runtime_base.LIMIT = scripted_servers.LIMIT = h3peer.LIMIT = 3600.0
    for name in arguments.job or JOBS:
        job, requests, tasks = JOBS[name]
        for runtime in arguments.runtime or MAIN:
            for count in tasks:
                with tempfile.TemporaryDirectory() as folder:
                    job(RUNTIMES[runtime], count, arguments.requests or requests, Path(folder))


if __name__ == "__main__":
    main()
