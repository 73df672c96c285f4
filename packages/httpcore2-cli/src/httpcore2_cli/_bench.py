"""Loads a server with many requests, and counts what came of them.

Rules: the number of requests has a hard limit. A server that is not on this machine is loaded only if the user says
that it may be. Latencies are those of whole responses.
Must not know: how the result is shown.
"""

from __future__ import annotations

import time
from array import array
from collections import Counter
from dataclasses import dataclass, field
from ipaddress import ip_address
from itertools import count
from typing import Any

from httpcore2_core import ConnectError, ConnectTimeout, ObservedConnection, Observer

from ._connections import make_proxy
from ._failures import ExitCode, Failure, explain
from ._options import BenchOptions, Options
from ._requests import make_request, parse_url
from ._routes import Route
from ._runtimes import Client, Runtime
from ._timeline import Phase


def refuse_remote(options: Options, url: str) -> None:
    """Refuse a server that is not on the loopback interface.

    Names count as remote, except `localhost`: what they resolve to may change between two look-ups.

    Raises:
        Failure: it is remote, and the user did not say that it may be loaded.
    """
    assert options.bench is not None, "the caller checked"
    if options.bench.is_allowed or options.unix_socket is not None:
        return
    parsed = parse_url(url)
    route = Route(options.connect_to, options.resolve)
    hosts = [route.target(parsed.host.decode("ascii"), parsed.origin.port)[0]]
    proxy = make_proxy(options)
    if proxy is not None:
        hosts.append(proxy.url.host.decode("ascii"))
    for host in hosts:
        if not is_loopback(host):
            hint = f"If you may load {host}, add --yes."
            raise Failure(ExitCode.USAGE, f"{host} is not a loopback address.", hint)


def is_loopback(host: str) -> bool:
    """Return whether a host is `localhost`, or an address of the loopback interface."""
    name = host.lower().removesuffix(".").strip("[]")
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


class ConnectionCounter(Observer):
    """Counts the connections that are opened, and the requests that reuse one."""

    def __init__(self) -> None:
        self.opened = 0
        self.reused = 0

    def connection_opened(self, connection: ObservedConnection, time: float) -> None:
        self.opened += 1

    def connection_acquired(
        self, token: Any, connection: ObservedConnection, reused: bool, waited: float, time: float
    ) -> None:
        self.reused += reused


@dataclass
class BenchResult:
    """What came of a load.

    Attributes:
        seconds: how long it took.
        latencies: the seconds of each response, in order of their ends.
        statuses: how often each status was received.
        errors: how often each kind of error was raised.
        codes: the exit codes of the errors.
        received: the bytes of all bodies.
        connections: counts connections.
    """

    seconds: float = 0.0
    latencies: array[float] = field(default_factory=lambda: array("d"))
    statuses: Counter[int] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    codes: Counter[ExitCode] = field(default_factory=Counter)
    received: int = 0
    connections: ConnectionCounter = field(default_factory=ConnectionCounter)

    @property
    def code(self) -> ExitCode:
        """The exit code: that of the most frequent error."""
        return self.codes.most_common(1)[0][0] if self.codes else ExitCode.OK

    @property
    def rate(self) -> float:
        """The responses for each second."""
        return len(self.latencies) / self.seconds if self.seconds else 0.0


class Bench:
    """One load.

    Args:
        options: the options of the run.
        limits: how to load the server.
        url: the URL as given.

    Attributes:
        result: what came of it until now.
    """

    def __init__(self, options: Options, limits: BenchOptions, url: str) -> None:
        self.result = BenchResult()
        self._options = options
        self._limits = limits
        self._url = url
        self._numbers = count()
        self._end: float | None = None
        self._is_stopped = False
        self._started = 0.0

    async def run(self, runtime: Runtime, client: Client) -> None:
        """Send the requests.

        Args:
            runtime: runs the workers.
            client: a pool with as many connections as the options say.
        """
        client.observe(self.result.connections)
        self._started = time.perf_counter()
        if self._limits.seconds is not None:
            self._end = self._started + self._limits.seconds
        workers = min(self._limits.connections * self._limits.streams, self._limits.requests)

        async def worker() -> None:
            await self._work(client)

        async def stop() -> None:
            self._is_stopped = True
            await client.aclose()

        try:
            await runtime.run_all(workers, worker, stop)
        finally:
            self.result.seconds = time.perf_counter() - self._started

    async def _work(self, client: Client) -> None:
        request, upload = make_request(self._options, self._url)
        try:
            while self._goes_on():
                started = time.perf_counter()
                try:
                    response = await client.send(request)
                    received = 0
                    try:
                        async for chunk in client.chunks(response):
                            received += len(chunk)
                    finally:
                        await client.close_response(response)
                except Exception as exc:  # noqa: BLE001 - it is counted
                    self._fail(exc)
                    continue
                self._succeed(time.perf_counter() - started, response.status, received)
        finally:
            if upload is not None:
                upload.close()

    def _goes_on(self) -> bool:
        if self._is_stopped or (self._end is not None and time.perf_counter() >= self._end):
            return False
        return next(self._numbers) < self._limits.requests

    def _fail(self, error: Exception) -> None:
        if self._is_stopped:
            return  # its connection was closed on this side
        is_connecting = isinstance(error, (ConnectError, ConnectTimeout))
        reached = Phase.TCP if is_connecting else Phase.WAIT
        failure = explain(error, reached, is_http2=False, is_proxied=False)
        self.result.errors[type(error).__name__] += 1
        self.result.codes[failure.code] += 1

    def _succeed(self, seconds: float, status: int, received: int) -> None:
        self.result.latencies.append(seconds)
        self.result.statuses[status] += 1
        self.result.received += received
        if self._options.fail and status >= 400:
            self.result.errors[f"status {status}"] += 1
            self.result.codes[ExitCode.HTTP_STATUS] += 1
