"""Leases, and what is recovered when one is lost; one example history each."""

from __future__ import annotations

import pytest

from httpcore2_core._pool.slots import Grant

from .ledgers import (
    HELD,
    acquire,
    add_idle,
    assert_nothing_is_left,
    begin_dial,
    checkout,
    closed,
    dial,
    new,
    notified,
)

# Leases


def test_a_connection_is_held_by_the_lease_of_its_dialler_and_then_by_the_requests_that_use_it() -> (
    None
):
    ledger = new()
    add_idle(ledger, "a", 1)
    (dialler,) = HELD
    assert dialler.connection == 1
    assert ledger.checkout("a", now=0.0) is dialler


def test_requests_that_share_a_connection_share_its_lease() -> None:
    ledger = new()
    dial(ledger, "a", 1, capacity=2)
    (lease,) = HELD
    assert ledger.checkout("a", now=0.0) is lease


def test_a_use_of_a_lease_is_counted_when_the_last_request_has_ended() -> None:
    ledger = new(max_connections=1)
    dial(ledger, "a", 1, capacity=2)
    (lease,) = HELD
    checkout(ledger, "a", now=0.0)
    ledger.checkin(1, now=0.0)
    assert lease.uses == 0
    ledger.checkin(1, now=0.0)
    assert lease.uses == 1
    checkout(ledger, "a", now=0.0)
    acquire(ledger, "b")
    ledger.checkin(1, now=0.0)
    assert lease.uses == 2


def test_a_connection_in_use_whose_lease_is_lost_is_closed_and_its_slot_goes_to_a_waiter() -> None:
    ledger = new(max_connections=1)
    dial(ledger, "a", 1)
    ticket = acquire(ledger, "b")
    assert not ledger.lost
    del HELD[0]
    assert ledger.lost
    ledger.recover()
    assert closed(ledger) == [1]
    assert notified(ledger) == [ticket]
    assert ticket.grant is Grant.DIAL


def test_a_shared_connection_is_lost_with_the_last_request_that_used_it() -> None:
    ledger = new(max_connections=1)
    dial(ledger, "a", 1, capacity=3)
    for _ in range(2):
        checkout(ledger, "a", now=0.0)
    ledger.checkin(1, now=0.0)
    del HELD[:2]
    ledger.recover()
    assert ledger.connections() == [1]
    HELD.clear()
    ledger.recover()
    assert closed(ledger) == [1]
    assert_nothing_is_left(ledger)


def test_a_shared_connection_that_is_lost_is_not_given_to_another_request() -> None:
    ledger = new(max_connections=1)
    dial(ledger, "a", 1, capacity=3)
    HELD.clear()
    assert checkout(ledger, "a", now=0.0) is None
    assert closed(ledger) == [1]
    assert_nothing_is_left(ledger)


def test_a_dial_whose_request_is_lost_is_closed_and_its_shared_waiters_dial() -> None:
    ledger = new(max_connections=1)
    begin_dial(ledger, "a", 1, share=True)
    waiter = acquire(ledger, "a", share=True)
    del HELD[0]
    ledger.recover()
    assert closed(ledger) == [1]
    assert notified(ledger) == [waiter]
    assert waiter.grant is Grant.DIAL


@pytest.mark.parametrize("share", [False, True])
def test_a_lost_request_leaves_the_queue(share: bool) -> None:
    ledger = new(max_connections=1)
    dial(ledger, "a", 1)
    acquire(ledger, "b", share=share)
    last = acquire(ledger, "c", share=share)
    del HELD[1]
    ledger.recover()
    assert ledger.counts().queued_requests == 1
    ledger.discard(1)
    assert notified(ledger) == [last]


def test_the_slot_of_a_request_that_is_lost_before_it_dialled_goes_to_a_waiter() -> None:
    ledger = new(max_connections=1)
    acquire(ledger, "a")
    ticket = acquire(ledger, "b")
    del HELD[0]
    ledger.recover()
    assert notified(ledger) == [ticket]


def test_a_connection_that_was_granted_to_a_lost_request_is_closed() -> None:
    ledger = new(max_connections=1)
    dial(ledger, "a", 1)
    acquire(ledger, "a")
    ledger.checkin(1, now=0.0)
    HELD.clear()
    assert notified(ledger)[0].grant is Grant.REUSE
    ledger.recover()
    assert closed(ledger) == [1]
    assert_nothing_is_left(ledger)


def test_an_idle_connection_is_never_lost() -> None:
    ledger = new()
    add_idle(ledger, "a", 1)
    HELD.clear()
    assert not ledger.lost
    ledger.recover()
    assert ledger.connections() == [1]


def test_a_connection_whose_lease_is_lost_may_still_be_checked_in() -> None:
    ledger = new()
    dial(ledger, "a", 1)
    HELD.clear()
    ledger.checkin(1, now=0.0)
    ledger.recover()
    assert checkout(ledger, "a", now=0.0) == 1


def test_requests_that_ended_in_order_leave_nothing_to_recover() -> None:
    ledger = new(max_connections=1)
    dial(ledger, "a", 1)
    HELD[0].ticket = None  # as the pool has it, once the dial is over
    waiter = acquire(ledger, "a")
    gave_up = acquire(ledger, "b")
    ledger.abandon(gave_up, now=0.0)
    ledger.checkin(1, now=0.0)
    assert notified(ledger) == [waiter]
    ledger.discard(1)
    begin_dial(ledger, "b", 2)
    ledger.discard(2)
    del waiter, gave_up
    HELD.clear()
    assert not ledger.lost


def test_an_interrupted_use_of_a_connection_closes_it() -> None:
    ledger = new(max_connections=1)
    dial(ledger, "a", 1)
    ticket = acquire(ledger, "b")
    ledger.give_up(HELD[0], HELD[0].uses)
    assert closed(ledger) == [1]
    assert notified(ledger) == [ticket]


def test_an_interrupted_use_that_was_over_leaves_the_connection_to_its_next_request() -> None:
    ledger = new()
    dial(ledger, "a", 1)
    (lease,) = HELD
    uses = lease.uses
    ledger.checkin(1, now=0.0)
    ledger.give_up(lease, uses)
    assert checkout(ledger, "a", now=0.0) == 1
    ledger.give_up(lease, uses)
    assert ledger.connections() == [1]
    ledger.discard(1)
    ledger.give_up(lease, lease.uses)
    assert not ledger.closing


def test_a_dial_that_is_abandoned_after_it_began_is_closed() -> None:
    ledger = new(max_connections=1)
    ticket = acquire(ledger, "a")
    ledger.add(ticket, 1)
    waiter = acquire(ledger, "b")
    ledger.abandon(ticket, now=0.0)
    assert closed(ledger) == [1]
    assert notified(ledger) == [waiter]


def test_a_connection_that_is_abandoned_as_soon_as_it_is_established_is_checked_in() -> None:
    ledger = new()
    ticket = acquire(ledger, "a", share=True)
    ledger.add(ticket, 1)
    ledger.established(1, capacity=2)
    assert checkout(ledger, "a", now=0.0) == 1
    ledger.abandon(ticket, now=0.0)
    assert ledger.counts().active_requests == 1
    ledger.checkin(1, now=0.0)
    assert ledger.counts().idle_connections == 1


def test_a_dial_that_is_abandoned_after_it_failed_frees_nothing_twice() -> None:
    ledger = new()
    ticket = acquire(ledger, "a")
    ledger.add(ticket, 1)
    ledger.discard(1)
    ledger.abandon(ticket, now=0.0)
    assert_nothing_is_left(ledger)
