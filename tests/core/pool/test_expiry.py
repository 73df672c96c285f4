"""The times at which idle connections expire, and the timer that closes them."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

from httpcore2_core._http.lease import Lease
from httpcore2_core._pool.expiry import ExpiryTimer
from httpcore2_core._pool.locked_ledger import LockedLedger

from .ledgers import add_idle, new


def test_the_first_and_the_last_expiry_are_those_of_the_idle_connections() -> None:
    ledger = new(keepalive_expiry=5.0)
    assert (ledger.first_expiry(), ledger.last_expiry()) == (inf, inf)
    add_idle(ledger, "a", 1, now=1.0)
    add_idle(ledger, "b", 2, now=2.0)
    assert (ledger.first_expiry(), ledger.last_expiry()) == (6.0, 7.0)


def test_an_operation_that_was_interrupted_is_repaired_before_an_expiry_is_read() -> None:
    for read in ("first_expiry", "last_expiry", "stats"):
        ledger = new(keepalive_expiry=5.0)
        add_idle(ledger, "a", 1, now=1.0)
        ledger._is_changing = True
        getattr(ledger, read)()
        assert not ledger._is_changing


def test_threads_read_the_expiry_of_the_same_connections() -> None:
    ledger: LockedLedger[str, int] = LockedLedger(None, None, 5.0)
    lease: Lease[int] = Lease()
    ledger.add(ledger.reserve("a", False, lease), 1)
    ledger.established(1, 1)
    ledger.checkin(1, now=1.0)
    assert (ledger.first_expiry(), ledger.last_expiry()) == (6.0, 6.0)


class Clock:
    """A runtime whose timers a test fires."""

    def __init__(self, has_timers: bool = True) -> None:
        self.timers: list[Callable[[], None]] = []
        self._has_timers = has_timers

    def now(self) -> float:
        return 0.0

    def call_later(self, seconds: float, call: Callable[[], None]) -> Callable[[], None] | None:
        if not self._has_timers:
            return None
        self.timers.append(call)
        return lambda: self.timers.remove(call)


class Owner:
    """Counts the calls of the timer."""

    def __init__(self) -> None:
        self.calls = 0

    def close_expired(self) -> None:
        self.calls += 1


def test_an_earlier_expiry_moves_the_timer_and_a_later_one_does_not() -> None:
    owner, clock = Owner(), Clock()
    runtime: Any = clock
    timer = ExpiryTimer(owner.close_expired)
    timer.watch(runtime, 5.0)
    (first,) = clock.timers
    timer.watch(runtime, 9.0)
    assert clock.timers == [first]
    timer.watch(runtime, 3.0)
    (second,) = clock.timers
    second()
    assert owner.calls == 1
    timer.cancel()  # it has fired


def test_a_timer_whose_pool_is_gone_does_nothing() -> None:
    owner, clock = Owner(), Clock()
    runtime: Any = clock
    timer = ExpiryTimer(owner.close_expired)
    timer.watch(runtime, 5.0)
    del owner
    clock.timers[0]()


def test_a_runtime_without_timers_is_asked_again_at_the_next_expiry() -> None:
    owner, clock = Owner(), Clock(has_timers=False)
    runtime: Any = clock
    timer = ExpiryTimer(owner.close_expired)
    timer.watch(runtime, 5.0)
    clock._has_timers = True
    timer.watch(runtime, 5.0)
    assert len(clock.timers) == 1
