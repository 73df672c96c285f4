"""The rules on requests that wait for a slot, one example history each."""

from __future__ import annotations

from httpcore2_core._http.lease import Lease
from httpcore2_core._pool.slots import Grant

from .ledgers import (
    HELD,
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

# Slots and the queue


def test_a_request_waits_when_all_slots_are_in_use() -> None:
    ledger = new(max_connections=1)
    dial(ledger, "a", 1)
    ticket = acquire(ledger, "a")
    assert ticket.grant is None
    assert not ledger.granted


def test_a_dial_takes_its_slot_before_there_is_a_connection() -> None:
    ledger = new(max_connections=1)
    assert acquire(ledger, "a").grant is Grant.DIAL
    assert acquire(ledger, "b").grant is None


def test_the_least_recently_used_idle_connection_of_all_keys_makes_room_for_a_dial() -> None:
    ledger = new(max_connections=3)
    add_idle(ledger, "a", 1)
    add_idle(ledger, "b", 2)
    add_idle(ledger, "c", 3)
    assert checkout(ledger, "a", now=0.0) == 1
    assert acquire(ledger, "d").grant is Grant.DIAL
    assert closed(ledger) == [2]


def test_without_a_limit_no_request_waits_and_no_connection_is_closed_for_another() -> None:
    ledger = new()
    for number in range(1000):
        add_idle(ledger, str(number), number)
    assert not ledger.closing
    assert len(ledger.connections()) == 1000


def test_with_a_limit_of_zero_every_request_waits() -> None:
    ledger = new(max_connections=0)
    assert acquire(ledger, "a").grant is None
    assert acquire(ledger, "b", share=True).grant is None


def test_a_connection_that_is_checked_in_goes_to_the_waiter_of_its_key() -> None:
    ledger = new(max_connections=1)
    dial(ledger, "a", 1)
    ticket = acquire(ledger, "a")
    ledger.checkin(1, now=0.0)
    assert notified(ledger) == [ticket]
    assert_reuses(ticket, 1)
    assert not ledger.counts().idle_connections


def test_a_connection_that_is_checked_in_is_closed_for_an_earlier_waiter_of_another_key() -> None:
    ledger = new(max_connections=1)
    dial(ledger, "a", 1)
    other = acquire(ledger, "b")
    same = acquire(ledger, "a")
    ledger.checkin(1, now=0.0)
    assert closed(ledger) == [1]
    assert notified(ledger) == [other]
    assert other.grant is Grant.DIAL
    assert same.grant is None


def test_a_connection_that_is_checked_in_is_not_closed_for_a_later_waiter_of_another_key() -> None:
    ledger = new(max_connections=1)
    dial(ledger, "a", 1)
    same = acquire(ledger, "a")
    other = acquire(ledger, "b")
    later = acquire(ledger, "a")
    ledger.checkin(1, now=0.0)
    assert notified(ledger) == [same]
    ledger.checkin(1, now=0.0)
    assert notified(ledger) == [other]
    assert closed(ledger) == [1]
    assert later.grant is None


def test_a_slot_that_is_freed_goes_to_the_earliest_waiter() -> None:
    ledger = new(max_connections=2)
    dial(ledger, "a", 1)
    dial(ledger, "a", 2)
    first, second, third = acquire(ledger, "b"), acquire(ledger, "a"), acquire(ledger, "c")
    ledger.discard(1)
    ledger.discard(2)
    assert notified(ledger) == [first, second]
    assert first.grant is second.grant is Grant.DIAL
    assert third.grant is None
    assert not ledger.closing


def test_a_dial_that_fails_gives_its_slot_to_the_earliest_waiter() -> None:
    ledger = new(max_connections=1)
    begin_dial(ledger, "a", 1)
    ticket = acquire(ledger, "b")
    ledger.discard(1)
    assert notified(ledger) == [ticket]
    assert ticket.grant is Grant.DIAL


def test_a_new_request_does_not_overtake_those_that_wait() -> None:
    ledger = new(max_connections=1)
    dial(ledger, "a", 1)
    waiting = acquire(ledger, "b")
    ledger.discard(1)
    assert acquire(ledger, "c").grant is None
    assert notified(ledger) == [waiting]


# Requests that give up


def test_a_waiter_that_gives_up_is_passed_over() -> None:
    ledger = new(max_connections=1)
    dial(ledger, "a", 1)
    first, second = acquire(ledger, "b"), acquire(ledger, "c")
    ledger.abandon(first, now=0.0)
    ledger.discard(1)
    assert notified(ledger) == [second]


def test_a_waiter_that_gives_up_passes_on_the_connection_that_it_was_granted() -> None:
    ledger = new(max_connections=1)
    dial(ledger, "a", 1)
    first, second = acquire(ledger, "a"), acquire(ledger, "a")
    ledger.checkin(1, now=0.0)
    ledger.abandon(first, now=0.0)
    assert notified(ledger) == [first, second]
    assert_reuses(second, 1)


def test_a_connection_without_other_waiters_is_idle_after_its_waiter_gave_up() -> None:
    ledger = new(max_connections=1)
    dial(ledger, "a", 1)
    ticket = acquire(ledger, "a")
    ledger.checkin(1, now=0.0)
    ledger.abandon(ticket, now=1.0)
    assert checkout(ledger, "a", now=1.0) == 1


def test_a_connection_that_is_returned_unused_keeps_its_expiry() -> None:
    ledger = new(max_connections=1, keepalive_expiry=10.0)
    dial(ledger, "a", 1)
    ticket = acquire(ledger, "a")
    ledger.checkin(1, now=0.0, expires_at=5.0)
    ledger.abandon(ticket, now=4.0)
    assert checkout(ledger, "a", now=6.0) is None
    assert closed(ledger) == [1]


def test_a_waiter_that_gives_up_passes_on_the_slot_that_it_was_granted() -> None:
    ledger = new(max_connections=1)
    dial(ledger, "a", 1)
    first, second = acquire(ledger, "b"), acquire(ledger, "c")
    ledger.discard(1)
    ledger.abandon(first, now=0.0)
    assert notified(ledger) == [first, second]
    assert second.grant is Grant.DIAL
    ledger.abandon(second, now=0.0)
    assert_nothing_is_left(ledger)


def test_a_waiter_that_gives_up_a_discarded_connection_frees_nothing_twice() -> None:
    ledger = new(max_connections=1)
    dial(ledger, "a", 1)
    ticket = acquire(ledger, "a")
    ledger.checkin(1, now=0.0)
    ledger.discard(1)
    ledger.abandon(ticket, now=0.0)
    assert_nothing_is_left(ledger)


def test_the_last_waiter_of_a_key_without_connections_leaves_nothing_behind() -> None:
    ledger = new(max_connections=0)
    ledger.abandon(acquire(ledger, "a"), now=0.0)
    ledger.abandon(acquire(ledger, "a", share=True), now=0.0)
    assert_nothing_is_left(ledger)


# Shared waiters


def test_requests_that_may_share_wait_for_a_dial_in_progress() -> None:
    ledger = new()
    begin_dial(ledger, "a", 1, share=True)
    waiters = [acquire(ledger, "a", share=True) for _ in range(2)]
    assert [waiter.grant for waiter in waiters] == [None, None]
    ledger.established(1, capacity=100)
    assert notified(ledger) == waiters
    for waiter in waiters:
        assert_reuses(waiter, 1)


def test_requests_that_may_share_wait_for_a_dial_that_is_granted_and_not_begun() -> None:
    ledger = new()
    dialer = acquire(ledger, "a", share=True)
    waiter = acquire(ledger, "a", share=True)
    ledger.add(dialer, 1)
    ledger.established(1, capacity=2)
    assert notified(ledger) == [waiter]


def test_requests_that_may_not_share_dial_at_the_same_time() -> None:
    ledger = new()
    begin_dial(ledger, "a", 1)
    assert acquire(ledger, "a").grant is Grant.DIAL


def test_a_shared_waiter_without_room_on_the_new_connection_dials_the_next() -> None:
    ledger = new()
    begin_dial(ledger, "a", 1, share=True)
    first, second, third = (acquire(ledger, "a", share=True) for _ in range(3))
    ledger.established(1, capacity=2)
    assert notified(ledger) == [first, second]
    assert_reuses(first, 1)
    assert second.grant is Grant.DIAL
    assert third.grant is None


def test_shared_waiters_without_room_and_slot_wait_for_either() -> None:
    ledger = new(max_connections=1)
    begin_dial(ledger, "a", 1, share=True)
    first, second, third = (acquire(ledger, "a", share=True) for _ in range(3))
    ledger.established(1, capacity=2)
    assert notified(ledger) == [first]
    ledger.checkin(1, now=0.0)
    assert notified(ledger) == [second]
    assert_reuses(second, 1)
    ledger.discard(1)
    assert notified(ledger) == [third]
    assert third.grant is Grant.DIAL


def test_when_a_connection_is_full_one_request_dials_and_the_others_wait_for_its_dial() -> None:
    ledger = new()
    dial(ledger, "a", 1, capacity=2)
    assert checkout(ledger, "a", now=0.0) == 1
    begin_dial(ledger, "a", 2, share=True)
    assert acquire(ledger, "a", share=True).grant is None


def test_shared_waiters_of_a_dial_are_granted_room_on_another_connection() -> None:
    ledger = new()
    dial(ledger, "a", 1, capacity=2)
    checkout(ledger, "a", now=0.0)
    begin_dial(ledger, "a", 2, share=True)
    waiter = acquire(ledger, "a", share=True)
    ledger.checkin(1, now=0.0)
    assert notified(ledger) == [waiter]
    assert_reuses(waiter, 1)
    ledger.established(2, capacity=2)
    assert not ledger.granted


def test_when_the_dial_results_in_an_exclusive_connection_each_shared_waiter_dials() -> None:
    ledger = new()
    begin_dial(ledger, "a", 1, share=True)
    waiters = [acquire(ledger, "a", share=True) for _ in range(3)]
    ledger.established(1, capacity=1)
    assert notified(ledger) == waiters
    assert {waiter.grant for waiter in waiters} == {Grant.DIAL}


def test_shared_waiters_of_an_exclusive_connection_dial_while_slots_are_free_and_then_queue() -> (
    None
):
    ledger = new(max_connections=3)
    dial(ledger, "z", 9)
    begin_dial(ledger, "a", 1, share=True)
    waiters = [acquire(ledger, "a", share=True) for _ in range(3)]
    ledger.established(1, capacity=1)
    assert notified(ledger) == waiters[:1]
    other = acquire(ledger, "b")
    ledger.discard(9)
    ledger.discard(1)
    assert notified(ledger) == waiters[1:]
    ledger.add(waiters[1], 2)
    ledger.discard(2)
    assert notified(ledger) == [other]


def test_shared_waiters_of_an_exclusive_connection_queue_behind_earlier_waiters() -> None:
    ledger = new(max_connections=1)
    begin_dial(ledger, "a", 1, share=True)
    first = acquire(ledger, "a", share=True)
    other = acquire(ledger, "b")
    second = acquire(ledger, "a", share=True)
    ledger.established(1, capacity=1)
    assert not ledger.granted
    for connection, ticket in enumerate([other, first, second], start=1):
        ledger.discard(connection)
        assert notified(ledger) == [ticket]
        ledger.add(ticket, connection + 1)


def test_a_key_whose_connections_are_exclusive_is_dialled_in_parallel() -> None:
    ledger = new()
    begin_dial(ledger, "a", 1, share=True)
    ledger.established(1, capacity=1)
    begin_dial(ledger, "a", 2, share=True)
    assert acquire(ledger, "a", share=True).grant is Grant.DIAL


def test_a_waiter_of_an_exclusive_key_takes_its_connection_when_it_is_checked_in() -> None:
    ledger = new(max_connections=1)
    begin_dial(ledger, "a", 1, share=True)
    ledger.established(1, capacity=1)
    ticket = acquire(ledger, "a", share=True)
    ledger.checkin(1, now=0.0)
    assert notified(ledger) == [ticket]
    assert_reuses(ticket, 1)


def test_a_key_is_no_longer_exclusive_when_a_later_connection_can_be_shared() -> None:
    ledger = new()
    begin_dial(ledger, "a", 1, share=True)
    ledger.established(1, capacity=1)
    begin_dial(ledger, "a", 2, share=True)
    ledger.established(2, capacity=2)
    checkout(ledger, "a", now=0.0)
    begin_dial(ledger, "a", 3, share=True)
    assert acquire(ledger, "a", share=True).grant is None


def test_a_key_that_was_dropped_is_no_longer_exclusive() -> None:
    ledger = new()
    begin_dial(ledger, "a", 1, share=True)
    ledger.established(1, capacity=1)
    ledger.discard(1)
    begin_dial(ledger, "a", 2, share=True)
    assert acquire(ledger, "a", share=True).grant is None


def test_when_a_dial_fails_the_first_shared_waiter_dials_and_the_others_wait_for_it() -> None:
    ledger = new(max_connections=1)
    begin_dial(ledger, "a", 1, share=True)
    first, second = acquire(ledger, "a", share=True), acquire(ledger, "a", share=True)
    ledger.discard(1)
    assert notified(ledger) == [first]
    assert first.grant is Grant.DIAL
    ledger.add(first, 2)
    ledger.established(2, capacity=2)
    assert notified(ledger) == [second]
    assert_reuses(second, 2)


def test_when_a_dial_is_abandoned_before_it_began_the_first_shared_waiter_dials() -> None:
    ledger = new()
    dialer = acquire(ledger, "a", share=True)
    waiter = acquire(ledger, "a", share=True)
    ledger.abandon(dialer, now=0.0)
    assert notified(ledger) == [waiter]
    assert waiter.grant is Grant.DIAL


def test_when_a_dial_fails_shared_waiters_that_came_before_all_others_keep_the_slot() -> None:
    ledger = new(max_connections=1)
    begin_dial(ledger, "a", 1, share=True)
    waiter = acquire(ledger, "a", share=True)
    acquire(ledger, "b")
    ledger.discard(1)
    assert notified(ledger) == [waiter]


def test_when_a_dial_fails_the_slot_goes_to_a_request_that_came_before_the_shared_waiters() -> None:
    ledger = new(max_connections=1)
    begin_dial(ledger, "a", 1, share=True)
    other = acquire(ledger, "b")
    waiter = acquire(ledger, "a", share=True)
    ledger.discard(1)
    assert notified(ledger) == [other]
    ledger.abandon(other, now=0.0)
    assert notified(ledger) == [waiter]


def test_the_shared_waiters_of_two_keys_take_turns() -> None:
    ledger = new(max_connections=1)
    begin_dial(ledger, "z", 1)
    a1, b1, a2 = (acquire(ledger, key, share=True) for key in "aba")
    ledger.discard(1)
    assert notified(ledger) == [a1]
    ledger.add(a1, 2)
    ledger.discard(2)
    assert notified(ledger) == [b1]
    ledger.add(b1, 3)
    ledger.discard(3)
    assert notified(ledger) == [a2]


def test_shared_waiters_without_a_slot_take_only_one_of_the_slots_that_become_free() -> None:
    ledger = new(max_connections=2)
    dial(ledger, "z", 1)
    dial(ledger, "z", 2)
    first, second = acquire(ledger, "a", share=True), acquire(ledger, "a", share=True)
    ledger.discard(1)
    ledger.discard(2)
    assert notified(ledger) == [first]
    ledger.add(first, 3)
    ledger.established(3, capacity=2)
    assert notified(ledger) == [second]
    assert_reuses(second, 3)


def test_requests_wait_for_a_dial_that_was_granted_to_a_shared_waiter() -> None:
    ledger = new(max_connections=2)
    dial(ledger, "z", 1)
    dial(ledger, "z", 2)
    first = acquire(ledger, "a", share=True)
    ledger.discard(1)
    ledger.discard(2)
    assert notified(ledger) == [first]
    assert acquire(ledger, "a", share=True).grant is None


def test_shared_waiters_keep_their_place_when_the_first_of_them_gives_up() -> None:
    ledger = new(max_connections=1)
    dial(ledger, "z", 1)
    first, other, second = (
        acquire(ledger, "a", share=True),
        acquire(ledger, "b"),
        acquire(ledger, "a", share=True),
    )
    ledger.abandon(first, now=0.0)
    ledger.discard(1)
    assert notified(ledger) == [second]
    assert other.grant is None


def test_a_repeated_request_is_served_before_those_that_came_later() -> None:
    ledger = new(max_connections=1)
    before = ledger.arrivals
    begin_dial(ledger, "a", 1, share=True)
    early = acquire(ledger, "a", share=True)
    between = ledger.arrivals
    late = acquire(ledger, "a", share=True)
    second = acquire_repeated(ledger, "a", between)
    first = acquire_repeated(ledger, "a", before)
    third = acquire_repeated(ledger, "a", between)
    assert early.grant is None
    ledger.established(1, capacity=10)
    assert notified(ledger) == [first, early, second, third, late]


def test_shared_waiters_whose_first_is_repeated_are_served_before_those_of_other_keys() -> None:
    ledger = new(max_connections=1)
    before = ledger.arrivals
    begin_dial(ledger, "z", 1)
    b1, a1 = (acquire(ledger, key, share=True) for key in "ba")
    again = acquire_repeated(ledger, "a", before)
    ledger.discard(1)
    assert notified(ledger) == [again]
    ledger.add(again, 2)
    ledger.discard(2)
    assert notified(ledger) == [b1]
    assert a1.grant is None


def test_shared_waiters_whose_first_came_before_a_repeated_request_keep_their_place() -> None:
    ledger = new(max_connections=1)
    begin_dial(ledger, "a", 1, share=True)
    waiter = acquire(ledger, "a", share=True)
    HELD.append(Lease())
    again = ledger.reserve("b", True, HELD[-1], ledger.arrivals)
    ledger.discard(1)
    assert notified(ledger) == [waiter]
    assert again.grant is None


def test_a_repeated_request_may_be_the_only_one_that_waits() -> None:
    ledger = new(max_connections=1)
    before = ledger.arrivals
    begin_dial(ledger, "z", 1)
    other = acquire(ledger, "b", share=True)
    again = acquire_repeated(ledger, "a", before)
    ledger.discard(1)
    assert notified(ledger) == [again]
    assert other.grant is None


def test_a_shared_waiter_that_gives_up_is_passed_over() -> None:
    ledger = new()
    begin_dial(ledger, "a", 1, share=True)
    first, second = acquire(ledger, "a", share=True), acquire(ledger, "a", share=True)
    ledger.abandon(first, now=0.0)
    ledger.established(1, capacity=2)
    assert notified(ledger) == [second]


def test_a_shared_waiter_that_gives_up_passes_on_its_room() -> None:
    ledger = new(max_connections=1)
    begin_dial(ledger, "a", 1, share=True)
    first, second = acquire(ledger, "a", share=True), acquire(ledger, "a", share=True)
    ledger.established(1, capacity=2)
    ledger.abandon(first, now=0.0)
    assert notified(ledger) == [first, second]
    assert_reuses(second, 1)


def test_exclusive_waiters_of_a_key_are_served_before_its_shared_waiters() -> None:
    ledger = new(max_connections=2)
    begin_dial(ledger, "a", 1, share=True)
    ledger.established(1, capacity=1)
    begin_dial(ledger, "a", 2, share=True)
    first, second = acquire(ledger, "a", share=True), acquire(ledger, "a", share=True)
    ledger.established(2, capacity=2)
    assert notified(ledger) == [first]
    third = acquire(ledger, "a", share=True)
    ledger.set_capacity(2, 4, now=0.0)
    assert notified(ledger) == [second, third]


def test_shared_waiters_in_the_queue_become_exclusive_when_their_key_does() -> None:
    ledger = new(max_connections=1)
    begin_dial(ledger, "a", 1)
    waiters = [acquire(ledger, "a", share=True) for _ in range(2)]
    ledger.established(1, capacity=1)
    later = acquire(ledger, "a", share=True)
    assert ledger.counts().queued_requests == 3
    for ticket in [*waiters, later]:
        ledger.checkin(1, now=0.0)
        assert notified(ledger) == [ticket]
    ledger.discard(1)
    assert_nothing_is_left(ledger)


def test_shared_waiters_in_the_queue_stay_there_when_another_dial_of_their_key_fails() -> None:
    ledger = new(max_connections=2)
    begin_dial(ledger, "a", 1)
    dial(ledger, "z", 2)
    first, second = acquire(ledger, "a", share=True), acquire(ledger, "a", share=True)
    ledger.established(1, capacity=2)
    assert notified(ledger) == [first]
    ledger.discard(2)
    assert notified(ledger) == [second]


def test_shared_waiters_keep_waiting_for_their_dial_when_another_of_their_key_fails() -> None:
    ledger = new()
    begin_dial(ledger, "a", 1, share=True)
    waiter = acquire(ledger, "a", share=True)
    begin_dial(ledger, "a", 2)
    ledger.discard(2)
    assert waiter.grant is None


def test_shared_waiters_are_served_before_later_requests_once_the_key_is_exclusive() -> None:
    ledger = new(max_per_origin=2)
    begin_dial(ledger, "a", 1, share=True)
    first = acquire(ledger, "a", share=True)
    HELD.append(Lease())
    ahead = ledger.reserve_ahead("a", True, HELD[-1], 2)
    assert ahead is not None
    ledger.add(ahead, 2)
    ledger.established(2, 1)
    second = acquire(ledger, "a", share=True)
    ledger.abandon(ahead, now=0.0)
    assert notified(ledger) == [first]
    assert_reuses(first, 2)
    assert second.grant is None
