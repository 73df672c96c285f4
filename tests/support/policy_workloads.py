"""Workloads that show a pool's policy on connections: their age, and the limit for each origin.

The tests run them for a moment, `scripts/soak.py` at full size and with a clock.
Must not know: how servers are started.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import httpcore2

from .load_balancer import LoadBalancer
from .runtimes import TestedRuntime

FIRST, SECOND = ["first", "second"], ["third", "fourth"]
"""The servers at the beginning, and those that replace them, one after the other."""


class Answer(NamedTuple):
    """A response of a server behind a load balancer."""

    time: float
    """The time of its end."""
    server: str


async def restart_servers(
    runtime: TestedRuntime,
    pool: httpcore2.AsyncConnectionPool,
    balancer: LoadBalancer,
    requests: int,
    tasks: int,
    now: Callable[[], float],
    pause: float = 0.0,
) -> tuple[list[Answer], list[float]]:
    """Replace each server while `tasks` tasks send requests, at least `requests` in all.

    A server is stopped when it has no connection left, so that a request which was sent to it then would fail.

    Args:
        runtime: the runtime.
        pool: gives its connections an age.
        balancer: has the servers of `FIRST`, and knows those of `SECOND`.
        requests: how many are sent at least.
        tasks: how many are sent at a time.
        now: the clock.
        pause: seconds for which the requests go on after each replacement, at least.

    Returns:
        The answers in the order of their ends, and the times at which a new server replaced an old one.
    """
    answers: list[Answer] = []
    swaps: list[float] = []
    is_done = False

    async def fetch() -> None:
        while not is_done:
            reply = await pool.request("GET", balancer.url)
            assert reply.status == 200
            answers.append(Answer(now(), reply.content.decode()))

    async def restart() -> None:
        nonlocal is_done
        try:
            for number, (old, new) in enumerate(zip(FIRST, SECOND, strict=True), 1):
                due = number * requests // 4
                await runtime.wait_until(partial(has_answers, due))
                swaps.append(now())
                balancer.add(new)
                balancer.drain(old)
                await runtime.wait_until(partial(is_unused, old))
                balancer.stop(old)
                await runtime.wait_until(lambda: now() >= swaps[-1] + pause)
            await runtime.wait_until(partial(has_answers, requests))
        finally:
            is_done = True

    def has_answers(number: int) -> bool:
        return len(answers) >= number

    def is_unused(name: str) -> bool:
        pool.close_expired()
        return balancer.connections(name) == 0

    await runtime.gather(restart, *[fetch] * tasks)
    return answers, swaps


async def fetch_beside_waiting_requests(
    runtime: TestedRuntime,
    pool: httpcore2.AsyncConnectionPool,
    urls: list[str],
    hanging: str | None,
    release: Callable[[], None],
    requests: int,
    tasks: int,
    now: Callable[[], float],
) -> list[float]:
    """Send `requests` GET requests to each of `urls`, in turn, and return the seconds that each took.

    Meanwhile twenty requests wait for the server of `hanging`, which answers once `release` was called. They are served
    in the end.

    Args:
        runtime: the runtime.
        pool: allows each origin two connections.
        urls: of the servers that answer.
        hanging: the URL of the server that does not answer yet; `None` for no such requests.
        release: lets it answer.
        requests: how many each URL gets.
        tasks: how many are sent at a time.
        now: the clock.
    """
    durations: list[float] = []
    work = iter(urls * requests)

    async def fetch() -> None:
        for url in work:
            began = now()
            reply = await pool.request("GET", url)
            durations.append(now() - began)
            assert reply.status == 200

    async def wait() -> None:
        assert hanging is not None
        assert (await pool.request("GET", hanging)).status == 200

    async def send() -> None:
        try:
            if hanging is not None:
                await runtime.wait_until(lambda: pool.stats().queued_requests == len(waiting) - 2)
            await runtime.gather(*[fetch] * tasks)
            if hanging is not None:
                origin = pool.stats().origins[hanging.rstrip("/")]
                assert (origin.active_requests, origin.queued_requests) == (2, len(waiting) - 2)
        finally:
            release()

    waiting = [] if hanging is None else [wait] * 20
    await runtime.gather(send, *waiting)
    return durations
