"""`CachingResolver`: what it remembers, and how look-ups at the same time share a query, on each runtime."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

import httpcore2
from httpcore2_core._net import caching_resolver
from httpcore2_core._net.roles import Turn
from httpcore2_core._net.sync_backend import THREADS

from ..support.resolvers import RecordingResolver
from ..support.runtimes import RUNTIMES, TestedAsyncRuntime, TestedRuntime

NAME = "www.example.com"
FOUND = ["192.0.2.1"]


@pytest.fixture(params=RUNTIMES)
def runtime(request: pytest.FixtureRequest, no_leaks: None) -> TestedRuntime:
    return RUNTIMES[request.param]


class Clock:
    """Replaces the clock of the cache."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(caching_resolver, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def look_up(
    runtime: TestedRuntime,
    resolver: httpcore2.CachingResolver,
    host: str = NAME,
    timeout: float | None = None,
) -> Callable[[], Coroutine[Any, Any, Sequence[str]]]:
    async def call() -> Sequence[str]:
        if runtime.name == "threads":
            return resolver.resolve(host, 80, timeout)
        return await resolver.aresolve(host, 80, timeout)

    return call


def waiting(resolver: httpcore2.CachingResolver) -> int:
    """How many wait for the query of another one."""
    return sum(len(query.role.waiting) for query in list(resolver._queries.values()))


# What is remembered


def test_an_address_is_remembered_until_its_time_is_over(clock: Clock) -> None:
    inner = RecordingResolver({NAME: FOUND})
    resolver = httpcore2.CachingResolver(ttl=30.0, resolver=inner)
    for now, queries in ((1000.0, 1), (1029.9, 1), (1030.0, 2), (1059.9, 2), (1060.0, 3)):
        clock.now = now
        assert resolver.resolve(NAME, 80) == ("192.0.2.1",)
        assert len(inner.queries) == queries


def test_ports_are_remembered_apart() -> None:
    inner = RecordingResolver({NAME: FOUND})
    resolver = httpcore2.CachingResolver(resolver=inner)
    resolver.resolve(NAME, 80)
    resolver.resolve(NAME, 443)
    resolver.resolve(NAME, 80)
    assert inner.queries == [(NAME, 80), (NAME, 443)]


def test_the_least_recently_used_entry_is_dropped() -> None:
    inner = RecordingResolver(dict.fromkeys("abc", FOUND))
    resolver = httpcore2.CachingResolver(max_entries=2, resolver=inner)
    for host in "abacab":
        resolver.resolve(host, 80)
    assert [host for host, _ in inner.queries] == ["a", "b", "c", "b"]
    assert list(resolver._found) == [("a", 80), ("b", 80)]


def test_ip_addresses_and_failures_are_not_remembered() -> None:
    inner = RecordingResolver({"192.0.2.1": FOUND, NAME: OSError("no server"), "none": []})
    resolver = httpcore2.CachingResolver(resolver=inner)
    for _ in range(2):
        assert list(resolver.resolve("192.0.2.1", 80)) == FOUND
        with pytest.raises(httpcore2.ConnectError, match=r"^no server$") as caught:
            resolver.resolve(NAME, 80)
        assert isinstance(caught.value.__cause__, OSError)
        with pytest.raises(httpcore2.ConnectError, match="returned no address for none"):
            resolver.resolve("none", 80)
    assert len(inner.queries) == 6
    assert not resolver._found
    assert not resolver._queries


def test_all_addresses_can_be_forgotten() -> None:
    inner = RecordingResolver({NAME: FOUND})
    resolver = httpcore2.CachingResolver(resolver=inner)
    resolver.resolve(NAME, 80)
    resolver.clear()
    resolver.resolve(NAME, 80)
    assert len(inner.queries) == 2


def test_the_systems_resolver_is_asked_by_default() -> None:
    assert "127.0.0.1" in httpcore2.CachingResolver().resolve("localhost", 80)


@pytest.mark.parametrize("ttl", [0, -1.0, float("nan")])
def test_a_time_to_live_that_is_not_positive_is_refused(ttl: float) -> None:
    with pytest.raises(ValueError, match=r"^ttl must be more than 0 seconds, but got"):
        httpcore2.CachingResolver(ttl)


def test_a_cache_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^max_entries must be 1 or more, but got 0"):
        httpcore2.CachingResolver(max_entries=0)


# Queries that are shared


def test_look_ups_at_the_same_time_share_one_query(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        may_answer = runtime.event()
        inner = RecordingResolver({NAME: FOUND}, may_answer.wait)
        resolver = httpcore2.CachingResolver(resolver=inner)

        async def answer() -> Sequence[str]:
            await runtime.wait_until(lambda: waiting(resolver) == 19)
            may_answer.set()
            return ("192.0.2.1",)

        calls = [look_up(runtime, resolver)] * 20
        found = await runtime.gather(*calls, answer)
        assert found == [("192.0.2.1",)] * 21
        assert inner.queries == [(NAME, 80)]
        assert not resolver._queries

    runtime.run(scenario)


def test_a_failure_is_that_of_all_who_wait(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        may_answer = runtime.event()
        inner = RecordingResolver({NAME: OSError("no server")}, may_answer.wait)
        resolver = httpcore2.CachingResolver(resolver=inner)

        async def answer() -> Sequence[str]:
            await runtime.wait_until(lambda: waiting(resolver) == 4)
            may_answer.set()
            return ()

        *errors, _ = await runtime.outcomes(*[look_up(runtime, resolver)] * 5, answer)
        assert [str(error) for error in errors] == ["no server"] * 5
        assert len(set(map(id, errors))) == 5
        assert len(inner.queries) == 1
        assert not resolver._queries

    runtime.run(scenario)


def test_a_mistake_in_a_resolver_comes_out_as_it_is(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        resolver = httpcore2.CachingResolver(resolver=RecordingResolver({}))
        [error] = await runtime.outcomes(look_up(runtime, resolver))
        assert isinstance(error, KeyError)
        assert not resolver._queries

    runtime.run(scenario)


def test_one_that_waits_for_too_long_leaves_the_query_to_the_others(
    runtime: TestedRuntime,
) -> None:
    async def scenario() -> None:
        may_answer = runtime.event()
        inner = RecordingResolver({NAME: FOUND}, may_answer.wait)
        resolver = httpcore2.CachingResolver(resolver=inner)

        async def late() -> Sequence[str]:
            await runtime.wait_until(lambda: bool(inner.queries))
            try:
                return await look_up(runtime, resolver, timeout=0.01)()
            finally:
                may_answer.set()

        first, second = await runtime.outcomes(look_up(runtime, resolver), late)
        assert first == ("192.0.2.1",)
        assert isinstance(second, httpcore2.ConnectTimeout)
        assert str(second) == f"No address of {NAME} within 0.01 seconds (connect timeout)."

    runtime.run(scenario)


def test_the_next_one_asks_if_the_time_of_the_first_is_over(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async def give_up_once() -> None:
            if len(inner.queries) == 1:
                await runtime.wait_until(lambda: waiting(resolver) == 2)
                raise httpcore2.ConnectTimeout("too late")

        inner = RecordingResolver({NAME: FOUND}, give_up_once)
        resolver = httpcore2.CachingResolver(resolver=inner)
        outcomes = await runtime.outcomes(*[look_up(runtime, resolver)] * 3)
        assert sum(isinstance(each, httpcore2.ConnectTimeout) for each in outcomes) == 1
        assert outcomes.count(("192.0.2.1",)) == 2
        assert len(inner.queries) == 2
        assert not resolver._queries

    runtime.run(scenario)


def test_a_cancellation_of_the_one_who_asks_does_not_end_the_others(
    async_runtime: TestedAsyncRuntime,
) -> None:
    async def scenario() -> None:
        never, may_cancel = async_runtime.event(), async_runtime.event()

        async def hang_once() -> None:
            if len(inner.queries) == 1:
                await never.wait()

        inner = RecordingResolver({NAME: FOUND}, hang_once)
        resolver = httpcore2.CachingResolver(resolver=inner)

        async def cancelled() -> object:
            return await async_runtime.cancel_on_event(may_cancel, look_up(async_runtime, resolver))

        async def follower() -> object:
            await async_runtime.wait_until(lambda: bool(inner.queries))
            return await look_up(async_runtime, resolver)()

        async def cancel() -> object:
            await async_runtime.wait_until(lambda: waiting(resolver) == 2)
            may_cancel.set()
            return None

        found = await async_runtime.gather(cancelled, follower, follower, cancel)
        assert found == [True, ("192.0.2.1",), ("192.0.2.1",), None]
        assert len(inner.queries) == 2
        assert not resolver._queries

    async_runtime.run(scenario)


def test_a_cancellation_of_one_that_waits_ends_that_one_alone(
    async_runtime: TestedAsyncRuntime,
) -> None:
    async def scenario() -> None:
        may_answer, may_cancel = async_runtime.event(), async_runtime.event()
        inner = RecordingResolver({NAME: FOUND}, may_answer.wait)
        resolver = httpcore2.CachingResolver(resolver=inner)

        async def cancelled() -> object:
            await async_runtime.wait_until(lambda: bool(inner.queries))
            try:
                return await async_runtime.cancel_on_event(
                    may_cancel, look_up(async_runtime, resolver)
                )
            finally:
                may_answer.set()

        async def cancel() -> object:
            await async_runtime.wait_until(lambda: waiting(resolver) == 1)
            may_cancel.set()
            return None

        found = await async_runtime.gather(look_up(async_runtime, resolver), cancelled, cancel)
        assert found == [("192.0.2.1",), True, None]
        assert len(inner.queries) == 1

    async_runtime.run(scenario)


def test_a_forked_child_does_not_wait_for_queries_of_its_parent() -> None:
    inner = RecordingResolver({NAME: FOUND})
    resolver = httpcore2.CachingResolver(resolver=inner)
    query = caching_resolver._Query()
    query.role.take(Turn())
    token = THREADS.runtime.token()
    resolver._queries[token, (NAME, 80)] = query
    child = os.fork()
    if not child:
        status = 1
        try:
            status = 0 if resolver.resolve(NAME, 80, timeout=10) == ("192.0.2.1",) else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
