"""The limits of a request's phases, and of the whole."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from httpcore2_core._exceptions import (
    ConnectTimeout,
    PoolTimeout,
    ReadTimeout,
    TimeoutException,
    WriteTimeout,
)
from httpcore2_core._http.timeouts import TimeoutMemory, Timeouts

from ..fake_runtime import FakeRuntime

Limit = Callable[[Timeouts], float | None]

LIMITS: dict[str, tuple[Limit, type[TimeoutException]]] = {
    "pool": (Timeouts.for_pool, PoolTimeout),
    "connect": (Timeouts.for_connect, ConnectTimeout),
    "read": (Timeouts.for_read, ReadTimeout),
    "write": (Timeouts.for_write, WriteTimeout),
}
each_limit = pytest.mark.parametrize("phase", LIMITS)


def of(**limits: Any) -> tuple[Timeouts, FakeRuntime]:
    runtime = FakeRuntime(now=100.0)
    return Timeouts.of({"timeout": limits}, runtime), runtime


@pytest.mark.parametrize("extensions", [{}, {"timeout": None}, {"timeout": {}}])
@each_limit
def test_without_a_timeout_nothing_is_limited(extensions: dict[str, Any], phase: str) -> None:
    timeouts = Timeouts.of(extensions, FakeRuntime())
    assert LIMITS[phase][0](timeouts) is None
    assert timeouts.for_pause(0.5) == 0.5


@each_limit
def test_each_phase_has_its_own_limit(phase: str) -> None:
    timeouts, _ = of(**{phase: 3.0})
    for name, (limit, _) in LIMITS.items():
        assert limit(timeouts) == (3.0 if name == phase else None)


@each_limit
@pytest.mark.parametrize(
    ("own", "passed", "left"), [(None, 4.0, 6.0), (3.0, 4.0, 3.0), (3.0, 8.0, 2.0)]
)
def test_the_total_cuts_each_phase_at_the_deadline(
    phase: str, own: float | None, passed: float, left: float
) -> None:
    timeouts, runtime = of(total=10, **{phase: own})
    runtime.time += passed
    assert LIMITS[phase][0](timeouts) == left


@each_limit
@pytest.mark.parametrize("passed", [10.0, 11.0])
def test_after_the_deadline_each_phase_raises_its_own_timeout(phase: str, passed: float) -> None:
    limit, exception = LIMITS[phase]
    timeouts, runtime = of(total=10, **{phase: 3.0})
    runtime.time += passed
    with pytest.raises(exception, match="longer than its total of 10 seconds"):
        limit(timeouts)


def test_a_pause_ends_at_the_deadline() -> None:
    timeouts, runtime = of(total=10)
    assert timeouts.for_pause(0.5) == 0.5
    runtime.time += 9.75
    assert timeouts.for_pause(0.5) == 0.25
    runtime.time += 0.25
    with pytest.raises(ConnectTimeout, match="longer than its total"):
        timeouts.for_pause(0.5)


def test_a_limit_may_be_zero() -> None:
    timeouts, _ = of(pool=0, read=0.0)
    assert timeouts.for_pool() == 0
    assert timeouts.for_read() == 0.0


def test_the_wait_for_100_continue_takes_a_second_unless_the_request_says_otherwise() -> None:
    assert Timeouts.of({}, FakeRuntime()).for_continue() == 1.0
    assert of(read=5.0)[0].for_continue() == 1.0
    assert of(**{"continue": 3.0})[0].for_continue() == 3.0
    assert of(**{"continue": None, "total": 9.0})[0].for_continue() is None


def test_the_total_cuts_the_wait_for_100_continue_at_the_deadline() -> None:
    timeouts, runtime = of(total=0.5)
    assert timeouts.for_continue() == 0.5
    runtime.time += 0.5
    with pytest.raises(WriteTimeout, match="longer than its total"):
        timeouts.for_continue()


@pytest.mark.parametrize("phase", [*LIMITS, "total", "continue"])
@pytest.mark.parametrize("total", [{}, {"total": 1.0}], ids=["alone", "with a total"])
@pytest.mark.parametrize(
    ("limit", "exception", "message"),
    [
        ("5", TypeError, "must be a number of seconds or None, but got str"),
        (True, TypeError, "must be a number of seconds or None, but got bool"),
        ([], TypeError, "must be a number of seconds or None, but got list"),
        (-1, ValueError, "must be 0 or more seconds, but got -1"),
        (float("nan"), ValueError, "must be 0 or more seconds, but got nan"),
    ],
)
def test_a_limit_that_is_no_number_of_seconds_is_refused(
    phase: str,
    total: dict[str, float],
    limit: Any,
    exception: type[Exception],
    message: str,
) -> None:
    with pytest.raises(exception, match=rf"extensions\['timeout'\]\['{phase}'\] {message}"):
        of(**{**total, phase: limit})


def test_limits_that_are_no_mapping_are_refused() -> None:
    with pytest.raises(TypeError, match=r"must be a mapping of .* to seconds, but got float"):
        Timeouts.of({"timeout": 5.0}, FakeRuntime())


def test_a_deadline_needs_a_clock() -> None:
    with pytest.raises(AssertionError, match="a deadline needs a clock"):
        Timeouts(total=1.0)


# A pool's memory


def test_equal_limits_are_checked_once() -> None:
    memory = TimeoutMemory()
    given: dict[str, Any] = {"pool": 5.0, "read": None}
    first = memory.of({"timeout": given}, FakeRuntime())
    assert memory.of({"timeout": dict(given)}, FakeRuntime()) is first
    given["read"] = 2
    assert memory.of({"timeout": given}, FakeRuntime()).for_read() == 2
    memory.forget()
    assert memory.of({"timeout": {"pool": 5.0, "read": None}}, FakeRuntime()) is not first


@pytest.mark.parametrize("extensions", [{}, {"timeout": None}, {"timeout": {}}])
def test_no_limits_need_no_memory(extensions: dict[str, Any]) -> None:
    assert TimeoutMemory().of(extensions, FakeRuntime()).for_read() is None


def test_a_deadline_is_that_of_its_own_request() -> None:
    memory = TimeoutMemory()
    runtime = FakeRuntime(now=100.0)
    for _ in range(2):
        assert memory.of({"timeout": {"total": 5.0}}, runtime).for_read() == 5.0
        runtime.time += 3.0


@pytest.mark.parametrize("limit", [True, Decimal(1)])
def test_limits_that_only_equal_the_last_ones_are_refused(limit: Any) -> None:
    memory = TimeoutMemory()
    runtime = FakeRuntime()
    for _ in range(2):
        assert memory.of({"timeout": {"pool": 5.0, "read": 1}}, runtime).for_read() == 1
        with pytest.raises(TypeError, match="must be a number of seconds or None, but got"):
            memory.of({"timeout": {"pool": 5.0, "read": limit}}, runtime)
