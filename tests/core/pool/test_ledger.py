"""The ledger's rules, one example history each. Keys are strings, connections are numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import pytest

from httpcore2_core._http.lease import Lease
from httpcore2_core._pool.ledger import Ledger
from httpcore2_core._pool.slots import Counts, Grant, Ticket
from httpcore2_core._pool.states import SlotState

_Ledger: TypeAlias = Ledger[str, int]
_Ticket: TypeAlias = Ticket[str, int]


def new(
    max_connections: int | None = None,
    max_keepalive: int | None = None,
    keepalive_expiry: float | None = None,
) -> _Ledger:
    return Ledger(max_connections, max_keepalive, keepalive_expiry)


HELD: list[Lease[int]] = []
"""What requests hold, which are in the middle of something."""


@pytest.fixture(autouse=True)
def _let_go() -> Iterator[None]:
    yield
    HELD.clear()


def take(ledger: _Ledger, key: str, now: float) -> int | None:
    """Check a connection out, hold its lease, and return it."""
    lease = ledger.checkout(key, now)
    if lease is None:
        return None
    HELD.append(lease)
    return lease.connection


def ask(ledger: _Ledger, key: str, *, share: bool = False) -> _Ticket:
    """Ask for a connection where none is to be had at once."""
    assert take(ledger, key, now=0.0) is None
    HELD.append(Lease())
    return ledger.reserve(key, share, HELD[-1])


def ask_again(ledger: _Ledger, key: str, arrival: int) -> _Ticket:
    """Ask as one does whose connection did not process it."""
    HELD.append(Lease())
    return ledger.reserve(key, True, HELD[-1], arrival)


def begin(ledger: _Ledger, key: str, connection: int, *, share: bool = False) -> None:
    ticket = ask(ledger, key, share=share)
    assert ticket.grant is Grant.DIAL
    ledger.add(ticket, connection)


def dial(ledger: _Ledger, key: str, connection: int, capacity: int = 1) -> None:
    begin(ledger, key, connection, share=capacity > 1)
    ledger.established(connection, capacity)


def rest(ledger: _Ledger, key: str, connection: int, now: float = 0.0) -> None:
    """Leave an idle connection."""
    dial(ledger, key, connection)
    ledger.checkin(connection, now)


def woken(ledger: _Ledger) -> list[_Ticket]:
    tickets = ledger.granted[:]
    ledger.granted.clear()
    return tickets


def closed(ledger: _Ledger) -> list[int]:
    connections = ledger.closing[:]
    ledger.closing.clear()
    return connections


def assert_reuses(ticket: _Ticket, connection: int) -> None:
    assert ticket.grant is Grant.REUSE
    assert ticket.lease is not None
    assert ticket.lease.connection == connection


def assert_nothing_is_left(ledger: _Ledger) -> None:
    assert ledger.counts() == Counts(0, 0, 0, 0)
    for held in (ledger._groups, ledger._slots, ledger._tickets, ledger._idle, ledger._queue):
        assert not held


# Reuse


def test_the_first_request_to_a_key_dials() -> None:
    ticket = ask(new(), "a")
    assert ticket.grant is Grant.DIAL
    assert ticket.key == "a"


def test_a_connection_that_was_checked_in_is_reused() -> None:
    ledger = new()
    rest(ledger, "a", 1)
    assert ledger.counts().idle_connections == 1
    assert take(ledger, "a", now=1.0) == 1
    assert not ledger.counts().idle_connections


def test_a_connection_is_not_reused_for_another_key() -> None:
    ledger = new()
    rest(ledger, "a", 1)
    assert take(ledger, "b", now=1.0) is None


def test_a_connection_in_use_is_not_given_to_another_request() -> None:
    ledger = new()
    dial(ledger, "a", 1)
    assert take(ledger, "a", now=1.0) is None


def test_the_last_used_connection_is_reused_first() -> None:
    ledger = new()
    dial(ledger, "a", 1)
    dial(ledger, "a", 2)
    dial(ledger, "a", 3)
    for connection in (2, 3, 1):
        ledger.checkin(connection, now=0.0)
    assert [take(ledger, "a", now=0.0) for _ in range(4)] == [1, 3, 2, None]


def test_a_connection_idle_for_just_the_keepalive_expiry_is_reused() -> None:
    ledger = new(keepalive_expiry=5.0)
    rest(ledger, "a", 1, now=10.0)
    assert take(ledger, "a", now=15.0) == 1


def test_a_connection_idle_for_longer_than_the_keepalive_expiry_is_closed() -> None:
    ledger = new(keepalive_expiry=5.0)
    rest(ledger, "a", 1, now=10.0)
    assert take(ledger, "a", now=15.1) is None
    assert closed(ledger) == [1]
    assert_nothing_is_left(ledger)


def test_a_connection_past_its_own_expiry_is_closed_and_one_that_is_not_is_reused() -> None:
    ledger = new(keepalive_expiry=100.0)
    dial(ledger, "a", 1)
    dial(ledger, "a", 2)
    ledger.checkin(1, now=0.0)
    ledger.checkin(2, now=0.0, expires_at=5.0)
    assert take(ledger, "a", now=6.0) == 1
    assert closed(ledger) == [2]


def test_a_connection_does_not_outlive_the_keepalive_expiry_by_an_expiry_of_its_own() -> None:
    ledger = new(keepalive_expiry=5.0)
    dial(ledger, "a", 1)
    ledger.checkin(1, now=0.0, expires_at=100.0)
    assert take(ledger, "a", now=6.0) is None
    assert closed(ledger) == [1]


def test_a_checkout_closes_the_expired_connections_of_all_keys() -> None:
    ledger = new(keepalive_expiry=5.0)
    rest(ledger, "a", 1, now=0.0)
    rest(ledger, "b", 2, now=1.0)
    rest(ledger, "c", 3, now=2.0)
    assert take(ledger, "c", now=6.5) == 3
    assert closed(ledger) == [1, 2]


def test_expire_closes_what_is_expired_and_nothing_else() -> None:
    ledger = new(keepalive_expiry=5.0)
    rest(ledger, "a", 1, now=0.0)
    rest(ledger, "b", 2, now=1.0)
    ledger.expire(now=5.0)
    assert not ledger.closing
    ledger.expire(now=5.5)
    assert closed(ledger) == [1]
    assert ledger.connections() == [2]


def test_connections_without_an_expiry_are_never_too_old() -> None:
    ledger = new()
    rest(ledger, "a", 1, now=0.0)
    ledger.expire(now=1e9)
    assert take(ledger, "a", now=1e9) == 1


# Keep-alive limit


def test_over_the_keepalive_limit_the_least_recently_used_of_all_keys_is_closed() -> None:
    ledger = new(max_keepalive=2)
    for number, key in enumerate("abc", start=1):
        rest(ledger, key, number)
    assert closed(ledger) == [1]
    assert ledger.connections() == [2, 3]


def test_without_keepalive_a_connection_is_closed_when_it_is_checked_in() -> None:
    ledger = new(max_keepalive=0)
    rest(ledger, "a", 1)
    assert closed(ledger) == [1]
    assert_nothing_is_left(ledger)


def test_without_keepalive_not_even_a_request_that_waits_for_the_key_gets_the_connection() -> None:
    ledger = new(max_connections=1, max_keepalive=0)
    dial(ledger, "a", 1)
    ticket = ask(ledger, "a")
    ledger.checkin(1, now=0.0)
    assert closed(ledger) == [1]
    assert woken(ledger) == [ticket]
    assert ticket.grant is Grant.DIAL


@pytest.mark.parametrize(
    ("keepalive_expiry", "expires_at"), [(0.0, None), (None, 7.0), (60.0, 7.0), (None, 6.5)]
)
def test_a_connection_whose_expiry_has_come_is_closed_when_it_is_checked_in(
    keepalive_expiry: float | None, expires_at: float | None
) -> None:
    ledger = new(max_connections=1, keepalive_expiry=keepalive_expiry)
    dial(ledger, "a", 1)
    ticket = ask(ledger, "a")
    ledger.checkin(1, now=7.0, expires_at=expires_at)
    assert closed(ledger) == [1]
    assert woken(ledger) == [ticket]
    assert ticket.grant is Grant.DIAL


def test_a_shared_connection_whose_expiry_has_come_is_closed_with_its_last_request() -> None:
    ledger = new(keepalive_expiry=0.0)
    dial(ledger, "a", 1, capacity=3)
    assert take(ledger, "a", now=1.0) == 1
    ledger.checkin(1, now=2.0)
    assert not ledger.closing
    assert take(ledger, "a", now=3.0) == 1
    ledger.checkin(1, now=4.0)
    ledger.checkin(1, now=5.0)
    assert closed(ledger) == [1]
    assert_nothing_is_left(ledger)


def test_the_keepalive_limit_does_not_count_connections_in_use() -> None:
    ledger = new(max_keepalive=1)
    dial(ledger, "a", 1)
    dial(ledger, "a", 2)
    ledger.checkin(1, now=0.0)
    assert not ledger.closing


# Slots and the queue


def test_a_request_waits_when_all_slots_are_in_use() -> None:
    ledger = new(max_connections=1)
    dial(ledger, "a", 1)
    ticket = ask(ledger, "a")
    assert ticket.grant is None
    assert not ledger.granted


def test_a_dial_takes_its_slot_before_there_is_a_connection() -> None:
    ledger = new(max_connections=1)
    assert ask(ledger, "a").grant is Grant.DIAL
    assert ask(ledger, "b").grant is None


def test_the_least_recently_used_idle_connection_of_all_keys_makes_room_for_a_dial() -> None:
    ledger = new(max_connections=3)
    rest(ledger, "a", 1)
    rest(ledger, "b", 2)
    rest(ledger, "c", 3)
    assert take(ledger, "a", now=0.0) == 1
    assert ask(ledger, "d").grant is Grant.DIAL
    assert closed(ledger) == [2]


def test_without_a_limit_no_request_waits_and_none_costs_another_its_connection() -> None:
    ledger = new()
    for number in range(1000):
        rest(ledger, str(number), number)
    assert not ledger.closing
    assert len(ledger.connections()) == 1000


def test_with_a_limit_of_none_at_all_everyone_waits() -> None:
    ledger = new(max_connections=0)
    assert ask(ledger, "a").grant is None
    assert ask(ledger, "b", share=True).grant is None


def test_a_connection_that_is_checked_in_goes_to_the_waiter_of_its_key() -> None:
    ledger = new(max_connections=1)
    dial(ledger, "a", 1)
    ticket = ask(ledger, "a")
    ledger.checkin(1, now=0.0)
    assert woken(ledger) == [ticket]
    assert_reuses(ticket, 1)
    assert not ledger.counts().idle_connections


def test_a_connection_that_is_checked_in_is_closed_for_an_earlier_waiter_of_another_key() -> None:
    ledger = new(max_connections=1)
    dial(ledger, "a", 1)
    other = ask(ledger, "b")
    same = ask(ledger, "a")
    ledger.checkin(1, now=0.0)
    assert closed(ledger) == [1]
    assert woken(ledger) == [other]
    assert other.grant is Grant.DIAL
    assert same.grant is None


def test_a_connection_that_is_checked_in_is_not_closed_for_a_later_waiter_of_another_key() -> None:
    ledger = new(max_connections=1)
    dial(ledger, "a", 1)
    same = ask(ledger, "a")
    other = ask(ledger, "b")
    later = ask(ledger, "a")
    ledger.checkin(1, now=0.0)
    assert woken(ledger) == [same]
    ledger.checkin(1, now=0.0)
    assert woken(ledger) == [other]
    assert closed(ledger) == [1]
    assert later.grant is None


def test_a_slot_that_is_freed_goes_to_the_earliest_waiter() -> None:
    ledger = new(max_connections=2)
    dial(ledger, "a", 1)
    dial(ledger, "a", 2)
    first, second, third = ask(ledger, "b"), ask(ledger, "a"), ask(ledger, "c")
    ledger.discard(1)
    ledger.discard(2)
    assert woken(ledger) == [first, second]
    assert first.grant is second.grant is Grant.DIAL
    assert third.grant is None
    assert not ledger.closing


def test_a_dial_that_fails_gives_its_slot_to_the_earliest_waiter() -> None:
    ledger = new(max_connections=1)
    begin(ledger, "a", 1)
    ticket = ask(ledger, "b")
    ledger.discard(1)
    assert woken(ledger) == [ticket]
    assert ticket.grant is Grant.DIAL


def test_a_new_request_does_not_overtake_those_that_wait() -> None:
    ledger = new(max_connections=1)
    dial(ledger, "a", 1)
    waiting = ask(ledger, "b")
    ledger.discard(1)
    assert ask(ledger, "c").grant is None
    assert woken(ledger) == [waiting]


# Giving up


def test_a_waiter_that_gives_up_is_passed_over() -> None:
    ledger = new(max_connections=1)
    dial(ledger, "a", 1)
    first, second = ask(ledger, "b"), ask(ledger, "c")
    ledger.abandon(first, now=0.0)
    ledger.discard(1)
    assert woken(ledger) == [second]


def test_a_waiter_that_gives_up_hands_on_the_connection_that_it_was_given() -> None:
    ledger = new(max_connections=1)
    dial(ledger, "a", 1)
    first, second = ask(ledger, "a"), ask(ledger, "a")
    ledger.checkin(1, now=0.0)
    ledger.abandon(first, now=0.0)
    assert woken(ledger) == [first, second]
    assert_reuses(second, 1)


def test_a_connection_that_nobody_else_waits_for_is_idle_after_its_waiter_gave_up() -> None:
    ledger = new(max_connections=1)
    dial(ledger, "a", 1)
    ticket = ask(ledger, "a")
    ledger.checkin(1, now=0.0)
    ledger.abandon(ticket, now=1.0)
    assert take(ledger, "a", now=1.0) == 1


def test_a_connection_that_was_handed_back_unused_expires_as_if_it_had_been_idle() -> None:
    ledger = new(max_connections=1, keepalive_expiry=10.0)
    dial(ledger, "a", 1)
    ticket = ask(ledger, "a")
    ledger.checkin(1, now=0.0, expires_at=5.0)
    ledger.abandon(ticket, now=4.0)
    assert take(ledger, "a", now=6.0) is None
    assert closed(ledger) == [1]


def test_a_waiter_that_gives_up_hands_on_the_slot_that_it_was_given() -> None:
    ledger = new(max_connections=1)
    dial(ledger, "a", 1)
    first, second = ask(ledger, "b"), ask(ledger, "c")
    ledger.discard(1)
    ledger.abandon(first, now=0.0)
    assert woken(ledger) == [first, second]
    assert second.grant is Grant.DIAL
    ledger.abandon(second, now=0.0)
    assert_nothing_is_left(ledger)


def test_a_waiter_that_gives_up_a_connection_discarded_meanwhile_frees_nothing_twice() -> None:
    ledger = new(max_connections=1)
    dial(ledger, "a", 1)
    ticket = ask(ledger, "a")
    ledger.checkin(1, now=0.0)
    ledger.discard(1)
    ledger.abandon(ticket, now=0.0)
    assert_nothing_is_left(ledger)


def test_the_last_waiter_of_a_key_without_connections_leaves_nothing_behind() -> None:
    ledger = new(max_connections=0)
    ledger.abandon(ask(ledger, "a"), now=0.0)
    ledger.abandon(ask(ledger, "a", share=True), now=0.0)
    assert_nothing_is_left(ledger)


# Shared connections


def test_requests_share_a_connection_up_to_its_capacity() -> None:
    ledger = new()
    dial(ledger, "a", 1, capacity=3)
    assert [take(ledger, "a", now=0.0) for _ in range(3)] == [1, 1, None]


def test_a_shared_connection_is_idle_when_its_last_request_is_checked_in() -> None:
    ledger = new()
    dial(ledger, "a", 1, capacity=2)
    assert take(ledger, "a", now=0.0) == 1
    ledger.checkin(1, now=0.0)
    assert not ledger.counts().idle_connections
    ledger.checkin(1, now=0.0)
    assert ledger.counts().idle_connections == 1


def test_a_full_shared_connection_has_room_again_after_a_checkin() -> None:
    ledger = new()
    dial(ledger, "a", 1, capacity=2)
    take(ledger, "a", now=0.0)
    ledger.checkin(1, now=0.0)
    assert take(ledger, "a", now=0.0) == 1


def test_room_on_a_shared_connection_goes_to_the_waiters_of_its_key_in_turn() -> None:
    ledger = new(max_connections=1)
    dial(ledger, "a", 1, capacity=2)
    assert take(ledger, "a", now=0.0) == 1
    other = ask(ledger, "b")
    first, second = ask(ledger, "a", share=True), ask(ledger, "a", share=True)
    ledger.checkin(1, now=0.0)
    assert woken(ledger) == [first]
    assert_reuses(first, 1)
    ledger.checkin(1, now=0.0)
    assert woken(ledger) == [second]
    assert other.grant is None


def test_a_shared_connection_at_rest_is_closed_for_the_earliest_waiter() -> None:
    ledger = new(max_connections=1)
    dial(ledger, "a", 1, capacity=2)
    other = ask(ledger, "b")
    ledger.checkin(1, now=0.0)
    assert closed(ledger) == [1]
    assert woken(ledger) == [other]


def test_more_capacity_admits_waiters() -> None:
    ledger = new(max_connections=1)
    dial(ledger, "a", 1, capacity=2)
    take(ledger, "a", now=0.0)
    tickets = [ask(ledger, "a", share=True) for _ in range(3)]
    ledger.set_capacity(1, 4)
    assert woken(ledger) == tickets[:2]
    ledger.set_capacity(1, 6)
    assert woken(ledger) == tickets[2:]
    assert take(ledger, "a", now=0.0) == 1


def test_less_capacity_than_in_use_admits_nobody_until_enough_are_checked_in() -> None:
    ledger = new()
    dial(ledger, "a", 1, capacity=3)
    take(ledger, "a", now=0.0)
    ledger.set_capacity(1, 1)
    assert take(ledger, "a", now=0.0) is None
    ledger.checkin(1, now=0.0)
    assert take(ledger, "a", now=0.0) is None
    ledger.checkin(1, now=0.0)
    assert take(ledger, "a", now=0.0) == 1


@pytest.mark.parametrize("idle_first", [False, True])
def test_an_idle_connection_without_capacity_is_closed(idle_first: bool) -> None:
    ledger = new()
    dial(ledger, "a", 1, capacity=2)
    if idle_first:
        ledger.checkin(1, now=0.0)
        ledger.set_capacity(1, 0)
    else:
        ledger.set_capacity(1, 0)
        assert not closed(ledger)
        ledger.checkin(1, now=0.0)
    assert closed(ledger) == [1]
    assert_nothing_is_left(ledger)


def test_a_connection_without_capacity_is_closed_for_a_waiter_of_its_own_key() -> None:
    ledger = new(max_connections=1)
    dial(ledger, "a", 1, capacity=2)
    ledger.set_capacity(1, 0)
    ticket = ask(ledger, "a", share=True)
    ledger.checkin(1, now=0.0)
    assert closed(ledger) == [1]
    assert woken(ledger) == [ticket]
    assert ticket.grant is Grant.DIAL


# Dials that are shared


def test_requests_that_may_share_join_a_dial_under_way() -> None:
    ledger = new()
    begin(ledger, "a", 1, share=True)
    joiners = [ask(ledger, "a", share=True) for _ in range(2)]
    assert [joiner.grant for joiner in joiners] == [None, None]
    ledger.established(1, capacity=100)
    assert woken(ledger) == joiners
    for joiner in joiners:
        assert_reuses(joiner, 1)


def test_requests_that_may_share_join_a_dial_that_is_granted_and_not_begun() -> None:
    ledger = new()
    dialer = ask(ledger, "a", share=True)
    joiner = ask(ledger, "a", share=True)
    ledger.add(dialer, 1)
    ledger.established(1, capacity=2)
    assert woken(ledger) == [joiner]


def test_requests_that_may_not_share_dial_at_the_same_time() -> None:
    ledger = new()
    begin(ledger, "a", 1)
    assert ask(ledger, "a").grant is Grant.DIAL


def test_one_joiner_more_than_the_connection_has_room_for_dials_the_next() -> None:
    ledger = new()
    begin(ledger, "a", 1, share=True)
    first, second, third = (ask(ledger, "a", share=True) for _ in range(3))
    ledger.established(1, capacity=2)
    assert woken(ledger) == [first, second]
    assert_reuses(first, 1)
    assert second.grant is Grant.DIAL
    assert third.grant is None


def test_joiners_without_room_and_slot_wait_for_either() -> None:
    ledger = new(max_connections=1)
    begin(ledger, "a", 1, share=True)
    first, second, third = (ask(ledger, "a", share=True) for _ in range(3))
    ledger.established(1, capacity=2)
    assert woken(ledger) == [first]
    ledger.checkin(1, now=0.0)
    assert woken(ledger) == [second]
    assert_reuses(second, 1)
    ledger.discard(1)
    assert woken(ledger) == [third]
    assert third.grant is Grant.DIAL


def test_one_connection_more_is_dialled_when_the_first_is_full_and_others_join_that_dial() -> None:
    ledger = new()
    dial(ledger, "a", 1, capacity=2)
    assert take(ledger, "a", now=0.0) == 1
    begin(ledger, "a", 2, share=True)
    assert ask(ledger, "a", share=True).grant is None


def test_joiners_of_a_dial_take_room_on_another_connection_when_it_comes() -> None:
    ledger = new()
    dial(ledger, "a", 1, capacity=2)
    take(ledger, "a", now=0.0)
    begin(ledger, "a", 2, share=True)
    joiner = ask(ledger, "a", share=True)
    ledger.checkin(1, now=0.0)
    assert woken(ledger) == [joiner]
    assert_reuses(joiner, 1)
    ledger.established(2, capacity=2)
    assert not ledger.granted


def test_when_the_dial_brings_an_exclusive_connection_each_joiner_dials() -> None:
    ledger = new()
    begin(ledger, "a", 1, share=True)
    joiners = [ask(ledger, "a", share=True) for _ in range(3)]
    ledger.established(1, capacity=1)
    assert woken(ledger) == joiners
    assert {joiner.grant for joiner in joiners} == {Grant.DIAL}


def test_joiners_of_an_exclusive_connection_dial_as_far_as_slots_allow_and_then_queue() -> None:
    ledger = new(max_connections=3)
    dial(ledger, "z", 9)
    begin(ledger, "a", 1, share=True)
    joiners = [ask(ledger, "a", share=True) for _ in range(3)]
    ledger.established(1, capacity=1)
    assert woken(ledger) == joiners[:1]
    other = ask(ledger, "b")
    ledger.discard(9)
    ledger.discard(1)
    assert woken(ledger) == joiners[1:]
    ledger.add(joiners[1], 2)
    ledger.discard(2)
    assert woken(ledger) == [other]


def test_joiners_of_an_exclusive_connection_queue_behind_those_who_stand_there_already() -> None:
    ledger = new(max_connections=1)
    begin(ledger, "a", 1, share=True)
    first = ask(ledger, "a", share=True)
    other = ask(ledger, "b")
    second = ask(ledger, "a", share=True)
    ledger.established(1, capacity=1)
    assert not ledger.granted
    for connection, ticket in enumerate([other, first, second], start=1):
        ledger.discard(connection)
        assert woken(ledger) == [ticket]
        ledger.add(ticket, connection + 1)


def test_a_key_whose_connections_are_exclusive_is_dialled_in_parallel() -> None:
    ledger = new()
    begin(ledger, "a", 1, share=True)
    ledger.established(1, capacity=1)
    begin(ledger, "a", 2, share=True)
    assert ask(ledger, "a", share=True).grant is Grant.DIAL


def test_a_waiter_of_an_exclusive_key_takes_its_connection_when_it_is_checked_in() -> None:
    ledger = new(max_connections=1)
    begin(ledger, "a", 1, share=True)
    ledger.established(1, capacity=1)
    ticket = ask(ledger, "a", share=True)
    ledger.checkin(1, now=0.0)
    assert woken(ledger) == [ticket]
    assert_reuses(ticket, 1)


def test_a_key_is_no_longer_exclusive_when_a_later_connection_can_be_shared() -> None:
    ledger = new()
    begin(ledger, "a", 1, share=True)
    ledger.established(1, capacity=1)
    begin(ledger, "a", 2, share=True)
    ledger.established(2, capacity=2)
    take(ledger, "a", now=0.0)
    begin(ledger, "a", 3, share=True)
    assert ask(ledger, "a", share=True).grant is None


def test_a_key_that_was_dropped_is_no_longer_exclusive() -> None:
    ledger = new()
    begin(ledger, "a", 1, share=True)
    ledger.established(1, capacity=1)
    ledger.discard(1)
    begin(ledger, "a", 2, share=True)
    assert ask(ledger, "a", share=True).grant is None


def test_when_a_dial_fails_the_first_joiner_dials_and_the_others_join_it() -> None:
    ledger = new(max_connections=1)
    begin(ledger, "a", 1, share=True)
    first, second = ask(ledger, "a", share=True), ask(ledger, "a", share=True)
    ledger.discard(1)
    assert woken(ledger) == [first]
    assert first.grant is Grant.DIAL
    ledger.add(first, 2)
    ledger.established(2, capacity=2)
    assert woken(ledger) == [second]
    assert_reuses(second, 2)


def test_when_a_dial_is_abandoned_before_it_began_the_first_joiner_dials() -> None:
    ledger = new()
    dialer = ask(ledger, "a", share=True)
    joiner = ask(ledger, "a", share=True)
    ledger.abandon(dialer, now=0.0)
    assert woken(ledger) == [joiner]
    assert joiner.grant is Grant.DIAL


def test_when_a_dial_fails_joiners_who_came_before_all_others_keep_the_slot() -> None:
    ledger = new(max_connections=1)
    begin(ledger, "a", 1, share=True)
    joiner = ask(ledger, "a", share=True)
    ask(ledger, "b")
    ledger.discard(1)
    assert woken(ledger) == [joiner]


def test_when_a_dial_fails_the_slot_goes_to_one_who_came_before_the_joiners() -> None:
    ledger = new(max_connections=1)
    begin(ledger, "a", 1, share=True)
    other = ask(ledger, "b")
    joiner = ask(ledger, "a", share=True)
    ledger.discard(1)
    assert woken(ledger) == [other]
    ledger.abandon(other, now=0.0)
    assert woken(ledger) == [joiner]


def test_crowds_of_two_keys_take_turns() -> None:
    ledger = new(max_connections=1)
    begin(ledger, "z", 1)
    a1, b1, a2 = (ask(ledger, key, share=True) for key in "aba")
    ledger.discard(1)
    assert woken(ledger) == [a1]
    ledger.add(a1, 2)
    ledger.discard(2)
    assert woken(ledger) == [b1]
    ledger.add(b1, 3)
    ledger.discard(3)
    assert woken(ledger) == [a2]


def test_a_crowd_that_got_no_slot_yet_takes_only_one_of_the_slots_that_come_free() -> None:
    ledger = new(max_connections=2)
    dial(ledger, "z", 1)
    dial(ledger, "z", 2)
    first, second = ask(ledger, "a", share=True), ask(ledger, "a", share=True)
    ledger.discard(1)
    ledger.discard(2)
    assert woken(ledger) == [first]
    ledger.add(first, 3)
    ledger.established(3, capacity=2)
    assert woken(ledger) == [second]
    assert_reuses(second, 3)


def test_requests_join_a_dial_that_was_granted_to_a_crowd() -> None:
    ledger = new(max_connections=2)
    dial(ledger, "z", 1)
    dial(ledger, "z", 2)
    first = ask(ledger, "a", share=True)
    ledger.discard(1)
    ledger.discard(2)
    assert woken(ledger) == [first]
    assert ask(ledger, "a", share=True).grant is None


def test_a_crowd_keeps_its_place_when_its_first_gives_up() -> None:
    ledger = new(max_connections=1)
    dial(ledger, "z", 1)
    first, other, second = (
        ask(ledger, "a", share=True),
        ask(ledger, "b"),
        ask(ledger, "a", share=True),
    )
    ledger.abandon(first, now=0.0)
    ledger.discard(1)
    assert woken(ledger) == [second]
    assert other.grant is None


def test_a_request_that_comes_again_goes_before_those_that_came_later() -> None:
    ledger = new(max_connections=1)
    before = ledger.arrivals
    begin(ledger, "a", 1, share=True)
    early = ask(ledger, "a", share=True)
    between = ledger.arrivals
    late = ask(ledger, "a", share=True)
    second = ask_again(ledger, "a", between)
    first = ask_again(ledger, "a", before)
    third = ask_again(ledger, "a", between)
    assert early.grant is None
    ledger.established(1, capacity=10)
    assert woken(ledger) == [first, early, second, third, late]


def test_a_crowd_whose_first_comes_again_goes_before_the_crowds_of_other_keys() -> None:
    ledger = new(max_connections=1)
    before = ledger.arrivals
    begin(ledger, "z", 1)
    b1, a1 = (ask(ledger, key, share=True) for key in "ba")
    again = ask_again(ledger, "a", before)
    ledger.discard(1)
    assert woken(ledger) == [again]
    ledger.add(again, 2)
    ledger.discard(2)
    assert woken(ledger) == [b1]
    assert a1.grant is None


def test_a_crowd_whose_first_came_before_one_that_comes_again_keeps_its_place() -> None:
    ledger = new(max_connections=1)
    begin(ledger, "a", 1, share=True)
    joiner = ask(ledger, "a", share=True)
    HELD.append(Lease())
    again = ledger.reserve("b", True, HELD[-1], ledger.arrivals)
    ledger.discard(1)
    assert woken(ledger) == [joiner]
    assert again.grant is None


def test_a_request_that_comes_again_may_find_nobody_waiting() -> None:
    ledger = new(max_connections=1)
    before = ledger.arrivals
    begin(ledger, "z", 1)
    other = ask(ledger, "b", share=True)
    again = ask_again(ledger, "a", before)
    ledger.discard(1)
    assert woken(ledger) == [again]
    assert other.grant is None


def test_a_joiner_that_gives_up_is_passed_over() -> None:
    ledger = new()
    begin(ledger, "a", 1, share=True)
    first, second = ask(ledger, "a", share=True), ask(ledger, "a", share=True)
    ledger.abandon(first, now=0.0)
    ledger.established(1, capacity=2)
    assert woken(ledger) == [second]


def test_a_joiner_that_gives_up_hands_on_its_share() -> None:
    ledger = new(max_connections=1)
    begin(ledger, "a", 1, share=True)
    first, second = ask(ledger, "a", share=True), ask(ledger, "a", share=True)
    ledger.established(1, capacity=2)
    ledger.abandon(first, now=0.0)
    assert woken(ledger) == [first, second]
    assert_reuses(second, 1)


def test_those_who_waited_while_their_key_was_exclusive_come_before_its_crowd() -> None:
    ledger = new(max_connections=2)
    begin(ledger, "a", 1, share=True)
    ledger.established(1, capacity=1)
    begin(ledger, "a", 2, share=True)
    first, second = ask(ledger, "a", share=True), ask(ledger, "a", share=True)
    ledger.established(2, capacity=2)
    assert woken(ledger) == [first]
    third = ask(ledger, "a", share=True)
    ledger.set_capacity(2, 4)
    assert woken(ledger) == [second, third]


def test_a_crowd_in_the_queue_parts_when_its_key_turns_out_to_be_exclusive() -> None:
    ledger = new(max_connections=1)
    begin(ledger, "a", 1)
    joiners = [ask(ledger, "a", share=True) for _ in range(2)]
    ledger.established(1, capacity=1)
    later = ask(ledger, "a", share=True)
    assert ledger.counts().queued_requests == 3
    for ticket in [*joiners, later]:
        ledger.checkin(1, now=0.0)
        assert woken(ledger) == [ticket]
    ledger.discard(1)
    assert_nothing_is_left(ledger)


def test_a_crowd_in_the_queue_stays_there_when_another_dial_of_its_key_fails() -> None:
    ledger = new(max_connections=2)
    begin(ledger, "a", 1)
    dial(ledger, "z", 2)
    first, second = ask(ledger, "a", share=True), ask(ledger, "a", share=True)
    ledger.established(1, capacity=2)
    assert woken(ledger) == [first]
    ledger.discard(2)
    assert woken(ledger) == [second]


def test_joiners_go_on_waiting_for_their_dial_when_another_of_their_key_fails() -> None:
    ledger = new()
    begin(ledger, "a", 1, share=True)
    joiner = ask(ledger, "a", share=True)
    begin(ledger, "a", 2)
    ledger.discard(2)
    assert joiner.grant is None


# The end of connections


def test_a_retired_connection_takes_no_new_request() -> None:
    ledger = new()
    dial(ledger, "a", 1, capacity=2)
    ledger.retire(1)
    assert take(ledger, "a", now=0.0) is None


def test_a_retired_connection_leaves_when_its_last_request_is_checked_in() -> None:
    ledger = new(max_connections=1)
    dial(ledger, "a", 1, capacity=2)
    take(ledger, "a", now=0.0)
    ledger.retire(1)
    ticket = ask(ledger, "b")
    ledger.checkin(1, now=0.0)
    assert ledger.connections() == [1]
    assert ticket.grant is None
    ledger.checkin(1, now=0.0)
    assert closed(ledger) == [1]
    assert woken(ledger) == [ticket]


def test_a_retired_connection_admits_nobody_when_its_capacity_grows() -> None:
    ledger = new(max_connections=1)
    dial(ledger, "a", 1, capacity=2)
    ledger.retire(1)
    ticket = ask(ledger, "a", share=True)
    ledger.set_capacity(1, 100)
    assert ticket.grant is None


def test_an_idle_connection_that_is_retired_leaves_at_once() -> None:
    ledger = new()
    rest(ledger, "a", 1)
    ledger.retire(1)
    assert closed(ledger) == [1]
    assert_nothing_is_left(ledger)


def test_an_idle_connection_that_is_discarded_leaves_at_once_and_need_not_be_closed() -> None:
    ledger = new()
    rest(ledger, "a", 1)
    ledger.discard(1)
    assert not ledger.closing
    assert_nothing_is_left(ledger)


def test_an_idle_connection_that_is_discarded_is_not_handed_out() -> None:
    ledger = new()
    dial(ledger, "a", 1)
    dial(ledger, "a", 2)
    ledger.checkin(1, now=0.0)
    ledger.checkin(2, now=0.0)
    ledger.discard(2)
    assert take(ledger, "a", now=0.0) == 1
    assert take(ledger, "a", now=0.0) is None


def test_a_connection_may_be_discarded_twice() -> None:
    ledger = new(max_connections=1)
    dial(ledger, "a", 1)
    first, second = ask(ledger, "a"), ask(ledger, "a")
    ledger.discard(1)
    ledger.discard(1)
    assert woken(ledger) == [first]
    assert second.grant is None


def test_requests_of_a_discarded_connection_may_still_be_checked_in() -> None:
    ledger = new()
    dial(ledger, "a", 1, capacity=2)
    take(ledger, "a", now=0.0)
    ledger.discard(1)
    ledger.checkin(1, now=0.0)
    ledger.checkin(1, now=0.0)
    assert_nothing_is_left(ledger)


def test_a_million_keys_visited_once_leave_nothing_behind() -> None:
    ledger = new(max_connections=10, max_keepalive=5)
    for number in range(10_000):  # A million takes a while, and shows nothing more.
        rest(ledger, str(number), number)
    assert len(ledger._groups) == len(ledger._slots) == len(ledger._idle) == 5


# Leases


def test_a_connection_is_held_by_the_lease_of_its_dialler_and_then_by_those_who_use_it() -> None:
    ledger = new()
    rest(ledger, "a", 1)
    (dialler,) = HELD
    assert dialler.connection == 1
    assert ledger.checkout("a", now=0.0) is dialler


def test_requests_that_share_a_connection_share_its_lease() -> None:
    ledger = new()
    dial(ledger, "a", 1, capacity=2)
    (lease,) = HELD
    assert ledger.checkout("a", now=0.0) is lease


def test_the_uses_of_a_lease_are_counted_when_nobody_uses_the_connection_any_more() -> None:
    ledger = new(max_connections=1)
    dial(ledger, "a", 1, capacity=2)
    (lease,) = HELD
    take(ledger, "a", now=0.0)
    ledger.checkin(1, now=0.0)
    assert lease.uses == 0
    ledger.checkin(1, now=0.0)
    assert lease.uses == 1
    take(ledger, "a", now=0.0)
    ask(ledger, "b")
    ledger.checkin(1, now=0.0)
    assert lease.uses == 2


def test_a_connection_in_use_whose_lease_is_gone_is_closed_and_its_slot_goes_to_who_waits() -> None:
    ledger = new(max_connections=1)
    dial(ledger, "a", 1)
    ticket = ask(ledger, "b")
    assert not ledger.lost
    del HELD[0]
    assert ledger.lost
    ledger.recover()
    assert closed(ledger) == [1]
    assert woken(ledger) == [ticket]
    assert ticket.grant is Grant.DIAL


def test_a_shared_connection_is_lost_when_the_last_that_used_it_is_gone() -> None:
    ledger = new(max_connections=1)
    dial(ledger, "a", 1, capacity=3)
    for _ in range(2):
        take(ledger, "a", now=0.0)
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
    assert take(ledger, "a", now=0.0) is None
    assert closed(ledger) == [1]
    assert_nothing_is_left(ledger)


def test_a_dial_whose_request_is_gone_is_closed_and_those_who_waited_for_it_dial() -> None:
    ledger = new(max_connections=1)
    begin(ledger, "a", 1, share=True)
    joiner = ask(ledger, "a", share=True)
    del HELD[0]
    ledger.recover()
    assert closed(ledger) == [1]
    assert woken(ledger) == [joiner]
    assert joiner.grant is Grant.DIAL


@pytest.mark.parametrize("share", [False, True])
def test_a_request_that_is_gone_leaves_the_queue(share: bool) -> None:
    ledger = new(max_connections=1)
    dial(ledger, "a", 1)
    ask(ledger, "b", share=share)
    last = ask(ledger, "c", share=share)
    del HELD[1]
    ledger.recover()
    assert ledger.counts().queued_requests == 1
    ledger.discard(1)
    assert woken(ledger) == [last]


def test_the_slot_of_a_request_that_is_gone_before_it_dialled_goes_to_who_waits() -> None:
    ledger = new(max_connections=1)
    ask(ledger, "a")
    ticket = ask(ledger, "b")
    del HELD[0]
    ledger.recover()
    assert woken(ledger) == [ticket]


def test_a_connection_that_was_granted_to_a_request_that_is_gone_is_closed() -> None:
    ledger = new(max_connections=1)
    dial(ledger, "a", 1)
    ask(ledger, "a")
    ledger.checkin(1, now=0.0)
    HELD.clear()
    assert woken(ledger)[0].grant is Grant.REUSE
    ledger.recover()
    assert closed(ledger) == [1]
    assert_nothing_is_left(ledger)


def test_an_idle_connection_is_never_lost() -> None:
    ledger = new()
    rest(ledger, "a", 1)
    HELD.clear()
    assert not ledger.lost
    ledger.recover()
    assert ledger.connections() == [1]


def test_a_connection_whose_lease_is_gone_may_still_be_checked_in() -> None:
    ledger = new()
    dial(ledger, "a", 1)
    HELD.clear()
    ledger.checkin(1, now=0.0)
    ledger.recover()
    assert take(ledger, "a", now=0.0) == 1


def test_requests_that_ended_in_order_leave_nothing_to_recover() -> None:
    ledger = new(max_connections=1)
    dial(ledger, "a", 1)
    HELD[0].ticket = None  # as the pool has it, once the dial is over
    waiter = ask(ledger, "a")
    gave_up = ask(ledger, "b")
    ledger.abandon(gave_up, now=0.0)
    ledger.checkin(1, now=0.0)
    assert woken(ledger) == [waiter]
    ledger.discard(1)
    begin(ledger, "b", 2)
    ledger.discard(2)
    del waiter, gave_up
    HELD.clear()
    assert not ledger.lost


def test_an_interrupted_use_of_a_connection_closes_it() -> None:
    ledger = new(max_connections=1)
    dial(ledger, "a", 1)
    ticket = ask(ledger, "b")
    ledger.give_up(HELD[0], HELD[0].uses)
    assert closed(ledger) == [1]
    assert woken(ledger) == [ticket]


def test_an_interrupted_use_that_was_over_takes_the_connection_from_nobody() -> None:
    ledger = new()
    dial(ledger, "a", 1)
    (lease,) = HELD
    uses = lease.uses
    ledger.checkin(1, now=0.0)
    ledger.give_up(lease, uses)
    assert take(ledger, "a", now=0.0) == 1
    ledger.give_up(lease, uses)
    assert ledger.connections() == [1]
    ledger.discard(1)
    ledger.give_up(lease, lease.uses)
    assert not ledger.closing


def test_a_dial_that_is_abandoned_after_it_began_is_closed() -> None:
    ledger = new(max_connections=1)
    ticket = ask(ledger, "a")
    ledger.add(ticket, 1)
    waiter = ask(ledger, "b")
    ledger.abandon(ticket, now=0.0)
    assert closed(ledger) == [1]
    assert woken(ledger) == [waiter]


def test_a_connection_that_is_abandoned_as_soon_as_it_is_established_is_checked_in() -> None:
    ledger = new()
    ticket = ask(ledger, "a", share=True)
    ledger.add(ticket, 1)
    ledger.established(1, capacity=2)
    assert take(ledger, "a", now=0.0) == 1
    ledger.abandon(ticket, now=0.0)
    assert ledger.counts().active_requests == 1
    ledger.checkin(1, now=0.0)
    assert ledger.counts().idle_connections == 1


def test_a_dial_that_is_abandoned_after_it_failed_frees_nothing_twice() -> None:
    ledger = new()
    ticket = ask(ledger, "a")
    ledger.add(ticket, 1)
    ledger.discard(1)
    ledger.abandon(ticket, now=0.0)
    assert_nothing_is_left(ledger)


# Clearing


def test_clear_closes_all_connections_and_notifies_all_waiters_in_their_order() -> None:
    ledger = new(max_connections=5)
    dial(ledger, "a", 1)
    dial(ledger, "a", 2)
    dial(ledger, "b", 3, capacity=2)
    begin(ledger, "c", 4)
    dialer = ask(ledger, "d", share=True)
    joiner = ask(ledger, "d", share=True)
    single = ask(ledger, "a")
    late = ask(ledger, "d", share=True)
    ledger.clear()
    assert closed(ledger) == [1, 2, 3, 4]
    tickets = woken(ledger)
    assert tickets == [dialer, joiner, single, late]
    assert {ticket.grant for ticket in tickets} == {Grant.CLEARED}
    assert_nothing_is_left(ledger)


def test_clear_forgets_idle_connections_too() -> None:
    ledger = new()
    rest(ledger, "a", 1)
    ledger.clear()
    assert closed(ledger) == [1]
    assert woken(ledger) == []
    assert_nothing_is_left(ledger)


def test_a_cleared_ticket_may_be_abandoned() -> None:
    ledger = new(max_connections=0)
    ticket = ask(ledger, "a")
    ledger.clear()
    ledger.abandon(ticket, now=0.0)
    assert_nothing_is_left(ledger)


def test_a_cleared_ledger_ignores_its_old_connections_and_takes_new_ones() -> None:
    ledger = new(max_connections=1)
    begin(ledger, "a", 1)
    ledger.clear()
    ledger.established(1, capacity=1)
    ledger.checkin(1, now=0.0)
    rest(ledger, "a", 2)
    assert ledger.connections() == [2]


# Looking in


def test_connections_are_listed_in_the_order_of_their_creation_from_their_dial_on() -> None:
    ledger = new()
    begin(ledger, "b", 2)
    rest(ledger, "a", 1)
    begin(ledger, "b", 3)
    assert ledger.connections() == [2, 1, 3]


def test_counts_tell_active_from_idle_and_from_queued() -> None:
    ledger = new(max_connections=4)
    dial(ledger, "a", 1, capacity=5)
    take(ledger, "a", now=0.0)
    rest(ledger, "b", 2)
    begin(ledger, "c", 3, share=True)
    ask(ledger, "c", share=True)
    ask(ledger, "d")
    assert ledger.counts() == Counts(
        active_connections=2, idle_connections=1, active_requests=4, queued_requests=1
    )
    assert take(ledger, "b", now=0.0) == 2
    ask(ledger, "e")
    assert ledger.counts() == Counts(
        active_connections=3, idle_connections=0, active_requests=5, queued_requests=2
    )


# The life of a connection: every state and every operation


def in_dialing(ledger: _Ledger) -> None:
    begin(ledger, "a", 1)


def in_busy(ledger: _Ledger) -> None:
    dial(ledger, "a", 1)


def in_idle(ledger: _Ledger) -> None:
    rest(ledger, "a", 1)


def in_retired(ledger: _Ledger) -> None:
    dial(ledger, "a", 1)
    ledger.retire(1)


def in_gone(ledger: _Ledger) -> None:
    dial(ledger, "a", 1)
    ledger.discard(1)


STATES: dict[SlotState, Callable[[_Ledger], None]] = {
    SlotState.DIALING: in_dialing,
    SlotState.BUSY: in_busy,
    SlotState.IDLE: in_idle,
    SlotState.RETIRED: in_retired,
    SlotState.GONE: in_gone,
}

OPERATIONS: dict[str, Callable[[_Ledger], object]] = {
    "established": lambda ledger: ledger.established(1, 1),
    "checkout": lambda ledger: take(ledger, "a", 0.0),
    "checkin": lambda ledger: ledger.checkin(1, 0.0),
    "set_capacity": lambda ledger: ledger.set_capacity(1, 1),
    "retire": lambda ledger: ledger.retire(1),
    "discard": lambda ledger: ledger.discard(1),
}

# One row for each operation, one column for each of DIALING, BUSY, IDLE, RETIRED, GONE; None is misuse.
D, B, I, R, G = SlotState  # noqa: E741
LIFE: dict[str, tuple[SlotState | None, ...]] = {
    "established": (B, None, None, None, G),
    "checkout": (D, B, B, R, G),
    "checkin": (None, I, None, G, G),
    "set_capacity": (None, B, I, R, G),
    "retire": (None, R, G, R, G),
    "discard": (G, G, G, G, G),
}


def state_of(ledger: _Ledger, connection: int) -> SlotState:
    slot = ledger._slots.get(connection)
    return SlotState.GONE if slot is None else slot.state


@pytest.mark.parametrize(
    ("operation", "before", "after"),
    [
        pytest.param(operation, before, after, id=f"{operation} in {before.name}")
        for operation, row in LIFE.items()
        for before, after in zip(SlotState, row, strict=True)
    ],
)
def test_each_operation_leads_each_state_where_it_must(
    operation: str, before: SlotState, after: SlotState | None
) -> None:
    ledger = new()
    STATES[before](ledger)
    assert state_of(ledger, 1) is before
    if after is None:
        with pytest.raises(AssertionError, match=r"reservation|established"):
            OPERATIONS[operation](ledger)
        assert state_of(ledger, 1) is before
    else:
        OPERATIONS[operation](ledger)
        assert state_of(ledger, 1) is after


# Misuse


def test_a_request_may_not_be_checked_in_twice() -> None:
    ledger = new()
    rest(ledger, "a", 1)
    with pytest.raises(AssertionError, match="without a reservation"):
        ledger.checkin(1, now=0.0)


def test_a_slot_may_not_be_asked_for_while_a_connection_is_available() -> None:
    ledger = new()
    rest(ledger, "a", 1)
    with pytest.raises(AssertionError, match="checkout"):
        ledger.reserve("a", False, Lease())


def test_a_connection_may_not_be_added_for_a_ticket_that_waits() -> None:
    ledger = new(max_connections=0)
    ticket = ask(ledger, "a")
    with pytest.raises(AssertionError, match="wasn't granted a dial"):
        ledger.add(ticket, 1)


def test_a_ticket_is_good_for_one_connection() -> None:
    ledger = new()
    ticket = ask(ledger, "a")
    ledger.add(ticket, 1)
    with pytest.raises(AssertionError, match="abandoned or used"):
        ledger.add(ticket, 2)


def test_a_connection_may_not_be_added_twice() -> None:
    ledger = new()
    begin(ledger, "a", 1)
    ticket = ask(ledger, "a")
    with pytest.raises(AssertionError, match="there already"):
        ledger.add(ticket, 1)


def test_a_ticket_may_not_be_abandoned_twice() -> None:
    ledger = new()
    ticket = ask(ledger, "a")
    ledger.abandon(ticket, now=0.0)
    with pytest.raises(AssertionError, match="that was abandoned"):
        ledger.abandon(ticket, now=0.0)


def test_nothing_is_dialled_for_a_ticket_that_was_abandoned() -> None:
    ledger = new()
    ticket = ask(ledger, "a")
    ledger.abandon(ticket, now=0.0)
    with pytest.raises(AssertionError, match="abandoned or used"):
        ledger.add(ticket, 1)


def _ask_again(ledger: _Ledger) -> None:
    HELD.append(Lease())
    ledger.reserve("a", False, HELD[-1])


@pytest.mark.parametrize(
    "operate",
    [
        lambda ledger: ledger.established(1, capacity=1),
        lambda ledger: ledger.discard(1),
        lambda ledger: ledger.counts(),
        _ask_again,
    ],
)
def test_an_operation_on_a_dial_first_repairs_what_an_interrupted_one_left(
    operate: Callable[[_Ledger], object],
) -> None:
    ledger = new()
    begin(ledger, "a", 1)
    ledger._groups.clear()
    ledger._is_changing = True
    operate(ledger)
    assert not ledger._is_changing
    assert list(ledger._groups) == (["a"] if ledger.connections() else [])


@pytest.mark.parametrize(
    "operate",
    [
        lambda ledger: ledger.set_capacity(1, 2),
        lambda ledger: ledger.checkin(1, now=0.0),
        lambda ledger: ledger.retire(1),
        lambda ledger: ledger.discard(1),
    ],
)
def test_an_operation_on_a_connection_first_repairs_what_an_interrupted_one_left(
    operate: Callable[[_Ledger], object],
) -> None:
    ledger = new()
    dial(ledger, "a", 1)
    ledger._groups.clear()
    ledger._is_changing = True
    operate(ledger)
    assert not ledger._is_changing
    ledger.discard(1)
    assert_nothing_is_left(ledger)
