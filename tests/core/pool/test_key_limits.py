"""The rules on the slots of one origin, one example history each; most origins have one key."""

from __future__ import annotations

import pytest

from httpcore2_core._http.close_reason import CloseReason
from httpcore2_core._http.lease import Lease
from httpcore2_core._pool.ledger import Ledger
from httpcore2_core._pool.slots import Grant

from .ledgers import (
    LedgerOfNumbers,
    acquire,
    acquire_repeated,
    add_idle,
    assert_nothing_is_left,
    assert_reuses,
    begin_dial,
    checkout,
    closed,
    dial,
    new,
    notified,
)


def test_a_request_waits_when_its_key_has_all_its_slots() -> None:
    ledger = new(max_per_origin=2)
    dial(ledger, "a", 1)
    dial(ledger, "a", 2)
    assert acquire(ledger, "a").grant is None
    assert ledger.counts().queued_requests == 1


def test_a_dial_takes_its_slot_of_the_key_before_there_is_a_connection() -> None:
    ledger = new(max_per_origin=1)
    assert acquire(ledger, "a").grant is Grant.DIAL
    assert acquire(ledger, "a").grant is None


def test_the_requests_of_a_busy_key_delay_no_other() -> None:
    ledger = new(max_connections=2, max_per_origin=1)
    dial(ledger, "a", 1)
    waiters = [acquire(ledger, "a") for _ in range(3)]
    dial(ledger, "b", 2)
    ledger.checkin(2, now=0.0)
    assert acquire(ledger, "c").grant is Grant.DIAL
    assert closed(ledger) == [2]
    assert all(ticket.grant is None for ticket in waiters)


def test_a_connection_goes_to_the_requests_of_its_key_in_the_order_of_their_arrival() -> None:
    ledger = new(max_per_origin=1)
    dial(ledger, "a", 1)
    waiters = [acquire(ledger, "a") for _ in range(3)]
    for ticket in waiters:
        ledger.checkin(1, now=0.0)
        assert notified(ledger) == [ticket]
        assert_reuses(ticket, 1)
    ledger.discard(1)
    assert_nothing_is_left(ledger)


def test_a_freed_slot_of_a_key_goes_to_the_request_of_the_key_that_has_waited_longest() -> None:
    ledger = new(max_per_origin=1)
    dial(ledger, "a", 1)
    first, second = acquire(ledger, "a"), acquire(ledger, "a")
    ledger.discard(1)
    assert notified(ledger) == [first]
    assert first.grant is Grant.DIAL
    ledger.abandon(first, now=0.0)
    assert notified(ledger) == [second]


def test_a_request_that_waited_for_its_key_precedes_those_that_came_later() -> None:
    ledger = new(max_connections=2, max_per_origin=1)
    dial(ledger, "a", 1)
    first = acquire(ledger, "a")
    dial(ledger, "b", 2)
    other = acquire(ledger, "c")
    # The slots of the key and of the pool become free at once.
    ledger.discard(1)
    assert notified(ledger) == [first]
    ledger.discard(2)
    assert notified(ledger) == [other]


def test_a_connection_serves_its_key_if_a_request_of_the_key_has_waited_longest() -> None:
    ledger = new(max_connections=2, max_per_origin=1)
    dial(ledger, "a", 1)
    dial(ledger, "b", 2)
    first = acquire(ledger, "a")
    other = acquire(ledger, "c")
    second = acquire(ledger, "a")
    ledger.checkin(1, now=0.0)
    assert notified(ledger) == [first]
    assert not ledger.closing
    ledger.checkin(1, now=0.0)
    assert closed(ledger) == [1]
    assert notified(ledger) == [other]
    assert second.grant is None
    ledger.discard(2)
    assert notified(ledger) == [second]


def test_a_request_that_gives_up_lets_another_of_its_key_into_the_queue() -> None:
    ledger = new(max_connections=1, max_per_origin=1)
    dial(ledger, "z", 1)
    first, second, third = (acquire(ledger, "a") for _ in range(3))
    ledger.abandon(second, now=0.0)
    ledger.abandon(first, now=0.0)
    ledger.discard(1)
    assert notified(ledger) == [third]


def test_a_key_whose_waiting_requests_all_give_up_leaves_nothing_behind() -> None:
    ledger = new(max_per_origin=1)
    dial(ledger, "a", 1)
    tickets = [acquire(ledger, "a") for _ in range(3)]
    ledger.discard(1)
    for ticket in reversed(tickets):
        ledger.abandon(ticket, now=0.0)
    assert_nothing_is_left(ledger)


def test_shared_waiters_dial_when_their_key_may_have_another_slot() -> None:
    ledger = new(max_per_origin=1)
    dial(ledger, "a", 1, capacity=2)
    assert checkout(ledger, "a", now=0.0) == 1
    waiters = [acquire(ledger, "a", share=True) for _ in range(2)]
    assert waiters[0].grant is None
    ledger.discard(1)
    assert notified(ledger) == waiters[:1]
    assert waiters[0].grant is Grant.DIAL
    assert waiters[1].grant is None


def test_shared_waiters_get_the_room_of_their_connections_at_the_limit() -> None:
    ledger = new(max_per_origin=1)
    dial(ledger, "a", 1, capacity=2)
    assert checkout(ledger, "a", now=0.0) == 1
    waiter = acquire(ledger, "a", share=True)
    ledger.checkin(1, now=0.0)
    assert notified(ledger) == [waiter]
    assert_reuses(waiter, 1)


def test_shared_waiters_become_exclusive_at_the_limit() -> None:
    ledger = new(max_per_origin=2)
    begin_dial(ledger, "a", 1, share=True)
    waiters = [acquire(ledger, "a", share=True) for _ in range(3)]
    ledger.established(1, capacity=1)
    assert notified(ledger) == waiters[:1]
    ledger.checkin(1, now=0.0)
    assert notified(ledger) == [waiters[1]]
    assert_reuses(waiters[1], 1)


def test_a_repeated_request_waits_for_its_key_before_those_that_came_later() -> None:
    ledger = new(max_per_origin=1)
    before = ledger.arrivals
    dial(ledger, "a", 1, capacity=2)
    assert checkout(ledger, "a", now=0.0) == 1
    later = acquire(ledger, "a", share=True)
    again = acquire_repeated(ledger, "a", before)
    ledger.discard(1)
    assert notified(ledger) == [again]
    assert later.grant is None


def test_an_idle_connection_of_another_key_makes_no_room_for_a_key_at_its_limit() -> None:
    ledger = new(max_connections=2, max_per_origin=1)
    dial(ledger, "a", 1)
    add_idle(ledger, "b", 2)
    assert acquire(ledger, "a").grant is None
    assert not ledger.closing


def test_lost_requests_free_the_slots_of_their_key() -> None:
    ledger = new(max_per_origin=1)
    lease: Lease[int] = Lease()
    ticket = ledger.reserve("a", False, lease)
    assert ticket.grant is Grant.DIAL
    waiter = acquire(ledger, "a")
    del lease
    ledger.recover()
    assert notified(ledger) == [waiter]


# Keys that share an origin: those of "a1" and "a2" do


def origin_of(key: str) -> str:
    return key[0]


def test_the_keys_of_an_origin_share_its_slots() -> None:
    ledger = new(max_per_origin=2, origin_of=origin_of)
    dial(ledger, "a1", 1)
    dial(ledger, "a2", 2)
    first, second = acquire(ledger, "a1"), acquire(ledger, "a3")
    assert first.grant is second.grant is None
    assert acquire(ledger, "b1").grant is Grant.DIAL
    ledger.discard(2)
    assert notified(ledger) == [first]
    assert first.grant is Grant.DIAL
    ledger.abandon(first, now=0.0)
    assert notified(ledger) == [second]
    ledger.abandon(second, now=0.0)
    assert ledger.count_open("a3") == 0


def test_an_idle_connection_of_another_key_is_closed_for_a_request_to_the_origin() -> None:
    ledger = new(max_per_origin=2, origin_of=origin_of)
    add_idle(ledger, "a1", 1)
    dial(ledger, "a2", 2)
    ledger.checkin(2, now=0.0)
    assert checkout(ledger, "a1", now=0.0) == 1
    ledger.checkin(1, now=0.0)
    # The least recently used one.
    assert acquire(ledger, "a3").grant is Grant.DIAL
    assert closed(ledger) == [2]
    assert ledger.close_reasons[2] is CloseReason.EVICTED


def test_a_connection_is_closed_for_the_request_of_another_key_that_came_first() -> None:
    ledger = new(max_per_origin=1, origin_of=origin_of)
    dial(ledger, "a1", 1)
    first, second = acquire(ledger, "a2"), acquire(ledger, "a1")
    ledger.checkin(1, now=0.0)
    assert closed(ledger) == [1]
    assert notified(ledger) == [first]
    assert first.grant is Grant.DIAL
    ledger.add(first, 2)
    ledger.established(2, 1)
    ledger.checkin(2, now=0.0)
    assert closed(ledger) == [2]
    assert notified(ledger) == [second]
    ledger.abandon(second, now=0.0)
    assert_nothing_is_left(ledger)


def test_a_connection_goes_to_a_request_of_its_key_that_came_before_those_of_other_keys() -> None:
    ledger = new(max_per_origin=1, origin_of=origin_of)
    dial(ledger, "a1", 1)
    first, second = acquire(ledger, "a1"), acquire(ledger, "a2")
    ledger.checkin(1, now=0.0)
    assert notified(ledger) == [first]
    assert_reuses(first, 1)
    ledger.checkin(1, now=0.0)
    assert closed(ledger) == [1]
    assert notified(ledger) == [second]
    ledger.abandon(second, now=0.0)
    assert_nothing_is_left(ledger)


def test_shared_waiters_of_several_keys_wait_for_the_slots_of_their_origin() -> None:
    ledger = new(max_per_origin=1, origin_of=origin_of)
    dial(ledger, "a1", 1, capacity=2)
    waiters = [acquire(ledger, key, share=True) for key in ("a2", "a3", "a2")]
    ledger.checkin(1, now=0.0)
    assert closed(ledger) == [1]
    assert notified(ledger) == [waiters[0]]
    ledger.add(waiters[0], 2)
    ledger.established(2, 2)
    assert notified(ledger) == [waiters[2]]
    assert_reuses(waiters[2], 2)
    ledger.discard(2)
    assert notified(ledger) == [waiters[1]]
    ledger.abandon(waiters[1], now=0.0)
    assert_nothing_is_left(ledger)


def test_no_connection_is_closed_for_one_that_is_dialled_ahead() -> None:
    ledger = new(max_per_origin=1, origin_of=origin_of)
    lease: Lease[int] = Lease()
    add_idle(ledger, "a1", 1)
    assert ledger.reserve_ahead("a2", False, lease, 1) is None
    ledger.discard(1)
    assert_nothing_is_left(ledger)
    assert ledger.reserve_ahead("a2", False, lease, 1) is not None
    assert acquire(ledger, "a1").grant is None


def test_a_key_with_all_its_shared_connections_leaves_the_slots_of_its_origin_to_others() -> None:
    ledger: LedgerOfNumbers = Ledger(None, None, None, 2, 1, origin_of)
    dial(ledger, "a1", 1)
    dial(ledger, "a1", 2)
    alone = acquire(ledger, "a2")
    shared = acquire(ledger, "a2", share=True)
    ledger.discard(1)
    assert notified(ledger) == [alone]
    ledger.discard(2)
    assert shared.grant is None
    assert acquire(ledger, "a3").grant is Grant.DIAL
    ledger.abandon(alone, now=0.0)
    assert notified(ledger) == [shared]


class InterruptedLedger(Ledger[str, int]):
    """A ledger in which an exception comes where it looks for a free slot."""

    is_due = False

    def _can_dial(self) -> bool:
        if self.is_due:
            self.is_due = False
            raise KeyboardInterrupt
        return super()._can_dial()


def test_an_idle_connection_is_closed_after_an_interruption_as_well() -> None:
    ledger = InterruptedLedger(None, None, None, 1, None, origin_of)
    add_idle(ledger, "a1", 1)
    ledger.is_due = True
    with pytest.raises(KeyboardInterrupt):
        acquire(ledger, "a2")
    assert ledger.counts().active_requests == 1
    assert closed(ledger) == [1]
    (ticket,) = ledger._tickets
    assert ticket.grant is Grant.DIAL
