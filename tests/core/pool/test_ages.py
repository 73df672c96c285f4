"""The rules on connections that are too old, one example history each."""

from __future__ import annotations

from httpcore2_core._http.close_reason import CloseReason
from httpcore2_core._pool.slots import Grant

from .ledgers import (
    LedgerOfNumbers,
    acquire,
    assert_nothing_is_left,
    begin_dial,
    checkout,
    closed,
    new,
    notified,
)


def dial_until(
    ledger: LedgerOfNumbers, connection: int, retires_at: float, capacity: int = 1
) -> None:
    begin_dial(ledger, "a", connection, share=capacity > 1)
    ledger.established(connection, capacity, retires_at)


def test_an_idle_connection_is_not_used_after_its_time() -> None:
    ledger = new()
    dial_until(ledger, 1, 10.0)
    ledger.checkin(1, now=5.0)
    assert checkout(ledger, "a", now=9.0) == 1
    ledger.checkin(1, now=9.0)
    assert checkout(ledger, "a", now=10.5) is None
    assert closed(ledger) == [1]
    assert ledger.close_reasons[1] is CloseReason.AGED


def test_an_expiry_before_its_time_counts() -> None:
    ledger = new(keepalive_expiry=1.0)
    dial_until(ledger, 1, 10.0)
    ledger.checkin(1, now=5.0)
    ledger.expire(now=7.0)
    assert closed(ledger) == [1]
    assert ledger.close_reasons[1] is CloseReason.EXPIRED


def test_a_connection_in_use_is_closed_when_its_request_ends_after_its_time() -> None:
    ledger = new(max_connections=1)
    dial_until(ledger, 1, 10.0)
    waiter = acquire(ledger, "a")
    ledger.checkin(1, now=10.0)
    assert closed(ledger) == [1]
    assert ledger.close_reasons[1] is CloseReason.AGED
    assert notified(ledger) == [waiter]
    assert waiter.grant is Grant.DIAL


def test_a_shared_connection_takes_no_further_request_after_its_time() -> None:
    ledger = new()
    dial_until(ledger, 1, 10.0, capacity=5)
    assert checkout(ledger, "a", now=9.0) == 1
    assert checkout(ledger, "a", now=10.0) is None
    begin_dial(ledger, "a", 2, share=True)
    ledger.checkin(1, now=11.0)
    assert not ledger.closing
    ledger.checkin(1, now=12.0)
    assert closed(ledger) == [1]
    assert ledger.close_reasons[1] is CloseReason.AGED
    ledger.discard(2)
    assert_nothing_is_left(ledger)


def test_room_that_the_peer_adds_after_its_time_goes_to_no_waiter() -> None:
    ledger = new(max_connections=1)
    dial_until(ledger, 1, 10.0, capacity=2)
    assert checkout(ledger, "a", now=9.0) == 1
    waiter = acquire(ledger, "a", share=True)
    ledger.set_capacity(1, 100, now=10.0)
    assert waiter.grant is None
    assert checkout(ledger, "a", now=10.0) is None
    ledger.checkin(1, now=10.0)
    ledger.checkin(1, now=10.0)
    assert closed(ledger) == [1]
    assert ledger.close_reasons[1] is CloseReason.AGED
    assert notified(ledger) == [waiter]
    assert waiter.grant is Grant.DIAL


def test_the_room_of_a_shared_connection_goes_to_no_waiter_after_its_time() -> None:
    ledger = new(max_connections=1)
    dial_until(ledger, 1, 10.0, capacity=2)
    assert checkout(ledger, "a", now=9.0) == 1
    waiter = acquire(ledger, "a", share=True)
    ledger.checkin(1, now=10.0)
    assert waiter.grant is None
    ledger.checkin(1, now=10.0)
    assert notified(ledger) == [waiter]
    assert waiter.grant is Grant.DIAL
