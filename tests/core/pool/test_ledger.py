"""The ledger's rules on reuse, keep-alive, shared connections and states, one example history each."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from httpcore2_core._http.lease import Lease
from httpcore2_core._pool.slots import Counts, Grant
from httpcore2_core._pool.states import SlotState

from .ledgers import (
    HELD,
    LedgerOfNumbers,
    acquire,
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

# Reuse


def test_the_first_request_to_a_key_dials() -> None:
    ticket = acquire(new(), "a")
    assert ticket.grant is Grant.DIAL
    assert ticket.key == "a"


def test_a_connection_that_was_checked_in_is_reused() -> None:
    ledger = new()
    add_idle(ledger, "a", 1)
    assert ledger.counts().idle_connections == 1
    assert checkout(ledger, "a", now=1.0) == 1
    assert not ledger.counts().idle_connections


def test_a_connection_is_not_reused_for_another_key() -> None:
    ledger = new()
    add_idle(ledger, "a", 1)
    assert checkout(ledger, "b", now=1.0) is None


def test_a_connection_in_use_is_not_given_to_another_request() -> None:
    ledger = new()
    dial(ledger, "a", 1)
    assert checkout(ledger, "a", now=1.0) is None


def test_the_last_used_connection_is_reused_first() -> None:
    ledger = new()
    dial(ledger, "a", 1)
    dial(ledger, "a", 2)
    dial(ledger, "a", 3)
    for connection in (2, 3, 1):
        ledger.checkin(connection, now=0.0)
    assert [checkout(ledger, "a", now=0.0) for _ in range(4)] == [1, 3, 2, None]


def test_a_connection_idle_for_just_the_keepalive_expiry_is_reused() -> None:
    ledger = new(keepalive_expiry=5.0)
    add_idle(ledger, "a", 1, now=10.0)
    assert checkout(ledger, "a", now=15.0) == 1


def test_a_connection_idle_for_longer_than_the_keepalive_expiry_is_closed() -> None:
    ledger = new(keepalive_expiry=5.0)
    add_idle(ledger, "a", 1, now=10.0)
    assert checkout(ledger, "a", now=15.1) is None
    assert closed(ledger) == [1]
    assert_nothing_is_left(ledger)


def test_a_connection_past_its_own_expiry_is_closed_and_one_that_is_not_is_reused() -> None:
    ledger = new(keepalive_expiry=100.0)
    dial(ledger, "a", 1)
    dial(ledger, "a", 2)
    ledger.checkin(1, now=0.0)
    ledger.checkin(2, now=0.0, expires_at=5.0)
    assert checkout(ledger, "a", now=6.0) == 1
    assert closed(ledger) == [2]


def test_a_connection_does_not_outlive_the_keepalive_expiry_by_an_expiry_of_its_own() -> None:
    ledger = new(keepalive_expiry=5.0)
    dial(ledger, "a", 1)
    ledger.checkin(1, now=0.0, expires_at=100.0)
    assert checkout(ledger, "a", now=6.0) is None
    assert closed(ledger) == [1]


def test_a_checkout_closes_the_expired_connections_of_all_keys() -> None:
    ledger = new(keepalive_expiry=5.0)
    add_idle(ledger, "a", 1, now=0.0)
    add_idle(ledger, "b", 2, now=1.0)
    add_idle(ledger, "c", 3, now=2.0)
    assert checkout(ledger, "c", now=6.5) == 3
    assert closed(ledger) == [1, 2]


def test_expire_closes_what_is_expired_and_nothing_else() -> None:
    ledger = new(keepalive_expiry=5.0)
    add_idle(ledger, "a", 1, now=0.0)
    add_idle(ledger, "b", 2, now=1.0)
    ledger.expire(now=5.0)
    assert not ledger.closing
    ledger.expire(now=5.5)
    assert closed(ledger) == [1]
    assert ledger.connections() == [2]


def test_connections_without_an_expiry_are_never_too_old() -> None:
    ledger = new()
    add_idle(ledger, "a", 1, now=0.0)
    ledger.expire(now=1e9)
    assert checkout(ledger, "a", now=1e9) == 1


# Keep-alive limit


def test_over_the_keepalive_limit_the_least_recently_used_of_all_keys_is_closed() -> None:
    ledger = new(max_keepalive=2)
    for number, key in enumerate("abc", start=1):
        add_idle(ledger, key, number)
    assert closed(ledger) == [1]
    assert ledger.connections() == [2, 3]


def test_without_keepalive_a_connection_is_closed_when_it_is_checked_in() -> None:
    ledger = new(max_keepalive=0)
    add_idle(ledger, "a", 1)
    assert closed(ledger) == [1]
    assert_nothing_is_left(ledger)


def test_without_keepalive_a_request_that_waits_for_the_key_does_not_get_the_connection() -> None:
    ledger = new(max_connections=1, max_keepalive=0)
    dial(ledger, "a", 1)
    ticket = acquire(ledger, "a")
    ledger.checkin(1, now=0.0)
    assert closed(ledger) == [1]
    assert notified(ledger) == [ticket]
    assert ticket.grant is Grant.DIAL


@pytest.mark.parametrize(
    ("keepalive_expiry", "expires_at"), [(0.0, None), (None, 7.0), (60.0, 7.0), (None, 6.5)]
)
def test_a_connection_whose_expiry_has_come_is_closed_when_it_is_checked_in(
    keepalive_expiry: float | None, expires_at: float | None
) -> None:
    ledger = new(max_connections=1, keepalive_expiry=keepalive_expiry)
    dial(ledger, "a", 1)
    ticket = acquire(ledger, "a")
    ledger.checkin(1, now=7.0, expires_at=expires_at)
    assert closed(ledger) == [1]
    assert notified(ledger) == [ticket]
    assert ticket.grant is Grant.DIAL


def test_a_shared_connection_whose_expiry_has_come_is_closed_with_its_last_request() -> None:
    ledger = new(keepalive_expiry=0.0)
    dial(ledger, "a", 1, capacity=3)
    assert checkout(ledger, "a", now=1.0) == 1
    ledger.checkin(1, now=2.0)
    assert not ledger.closing
    assert checkout(ledger, "a", now=3.0) == 1
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


# Shared connections


def test_requests_share_a_connection_up_to_its_capacity() -> None:
    ledger = new()
    dial(ledger, "a", 1, capacity=3)
    assert [checkout(ledger, "a", now=0.0) for _ in range(3)] == [1, 1, None]


def test_a_shared_connection_is_idle_when_its_last_request_is_checked_in() -> None:
    ledger = new()
    dial(ledger, "a", 1, capacity=2)
    assert checkout(ledger, "a", now=0.0) == 1
    ledger.checkin(1, now=0.0)
    assert not ledger.counts().idle_connections
    ledger.checkin(1, now=0.0)
    assert ledger.counts().idle_connections == 1


def test_a_full_shared_connection_has_room_again_after_a_checkin() -> None:
    ledger = new()
    dial(ledger, "a", 1, capacity=2)
    checkout(ledger, "a", now=0.0)
    ledger.checkin(1, now=0.0)
    assert checkout(ledger, "a", now=0.0) == 1


def test_room_on_a_shared_connection_goes_to_the_waiters_of_its_key_in_turn() -> None:
    ledger = new(max_connections=1)
    dial(ledger, "a", 1, capacity=2)
    assert checkout(ledger, "a", now=0.0) == 1
    other = acquire(ledger, "b")
    first, second = acquire(ledger, "a", share=True), acquire(ledger, "a", share=True)
    ledger.checkin(1, now=0.0)
    assert notified(ledger) == [first]
    assert_reuses(first, 1)
    ledger.checkin(1, now=0.0)
    assert notified(ledger) == [second]
    assert other.grant is None


def test_an_idle_shared_connection_is_closed_for_the_earliest_waiter() -> None:
    ledger = new(max_connections=1)
    dial(ledger, "a", 1, capacity=2)
    other = acquire(ledger, "b")
    ledger.checkin(1, now=0.0)
    assert closed(ledger) == [1]
    assert notified(ledger) == [other]


def test_more_capacity_is_granted_to_waiters() -> None:
    ledger = new(max_connections=1)
    dial(ledger, "a", 1, capacity=2)
    checkout(ledger, "a", now=0.0)
    tickets = [acquire(ledger, "a", share=True) for _ in range(3)]
    ledger.set_capacity(1, 4, now=0.0)
    assert notified(ledger) == tickets[:2]
    ledger.set_capacity(1, 6, now=0.0)
    assert notified(ledger) == tickets[2:]
    assert checkout(ledger, "a", now=0.0) == 1


def test_with_less_capacity_than_in_use_no_request_is_granted_room_until_enough_have_ended() -> (
    None
):
    ledger = new()
    dial(ledger, "a", 1, capacity=3)
    checkout(ledger, "a", now=0.0)
    ledger.set_capacity(1, 1, now=0.0)
    assert checkout(ledger, "a", now=0.0) is None
    ledger.checkin(1, now=0.0)
    assert checkout(ledger, "a", now=0.0) is None
    ledger.checkin(1, now=0.0)
    assert checkout(ledger, "a", now=0.0) == 1


@pytest.mark.parametrize("idle_first", [False, True])
def test_an_idle_connection_without_capacity_is_closed(idle_first: bool) -> None:
    ledger = new()
    dial(ledger, "a", 1, capacity=2)
    if idle_first:
        ledger.checkin(1, now=0.0)
        ledger.set_capacity(1, 0, now=0.0)
    else:
        ledger.set_capacity(1, 0, now=0.0)
        assert not closed(ledger)
        ledger.checkin(1, now=0.0)
    assert closed(ledger) == [1]
    assert_nothing_is_left(ledger)


def test_a_connection_without_capacity_is_closed_for_a_waiter_of_its_own_key() -> None:
    ledger = new(max_connections=1)
    dial(ledger, "a", 1, capacity=2)
    ledger.set_capacity(1, 0, now=0.0)
    ticket = acquire(ledger, "a", share=True)
    ledger.checkin(1, now=0.0)
    assert closed(ledger) == [1]
    assert notified(ledger) == [ticket]
    assert ticket.grant is Grant.DIAL


# The end of connections


def test_a_retired_connection_takes_no_new_request() -> None:
    ledger = new()
    dial(ledger, "a", 1, capacity=2)
    ledger.retire(1)
    assert checkout(ledger, "a", now=0.0) is None


def test_a_retired_connection_leaves_when_its_last_request_is_checked_in() -> None:
    ledger = new(max_connections=1)
    dial(ledger, "a", 1, capacity=2)
    checkout(ledger, "a", now=0.0)
    ledger.retire(1)
    ticket = acquire(ledger, "b")
    ledger.checkin(1, now=0.0)
    assert ledger.connections() == [1]
    assert ticket.grant is None
    ledger.checkin(1, now=0.0)
    assert closed(ledger) == [1]
    assert notified(ledger) == [ticket]


def test_a_retired_connection_is_granted_to_no_request_when_its_capacity_grows() -> None:
    ledger = new(max_connections=1)
    dial(ledger, "a", 1, capacity=2)
    ledger.retire(1)
    ticket = acquire(ledger, "a", share=True)
    ledger.set_capacity(1, 100, now=0.0)
    assert ticket.grant is None


def test_an_idle_connection_that_is_retired_leaves_at_once() -> None:
    ledger = new()
    add_idle(ledger, "a", 1)
    ledger.retire(1)
    assert closed(ledger) == [1]
    assert_nothing_is_left(ledger)


def test_an_idle_connection_that_is_discarded_leaves_at_once_and_need_not_be_closed() -> None:
    ledger = new()
    add_idle(ledger, "a", 1)
    ledger.discard(1)
    assert not ledger.closing
    assert_nothing_is_left(ledger)


def test_an_idle_connection_that_is_discarded_is_not_reused() -> None:
    ledger = new()
    dial(ledger, "a", 1)
    dial(ledger, "a", 2)
    ledger.checkin(1, now=0.0)
    ledger.checkin(2, now=0.0)
    ledger.discard(2)
    assert checkout(ledger, "a", now=0.0) == 1
    assert checkout(ledger, "a", now=0.0) is None


def test_a_connection_may_be_discarded_twice() -> None:
    ledger = new(max_connections=1)
    dial(ledger, "a", 1)
    first, second = acquire(ledger, "a"), acquire(ledger, "a")
    ledger.discard(1)
    ledger.discard(1)
    assert notified(ledger) == [first]
    assert second.grant is None


def test_requests_of_a_discarded_connection_may_still_be_checked_in() -> None:
    ledger = new()
    dial(ledger, "a", 1, capacity=2)
    checkout(ledger, "a", now=0.0)
    ledger.discard(1)
    ledger.checkin(1, now=0.0)
    ledger.checkin(1, now=0.0)
    assert_nothing_is_left(ledger)


def test_a_million_keys_visited_once_leave_nothing_behind() -> None:
    ledger = new(max_connections=10, max_keepalive=5)
    for number in range(10_000):  # A million takes a while, and shows nothing more.
        add_idle(ledger, str(number), number)
    assert len(ledger._groups) == len(ledger._slots) == len(ledger._idle) == 5


# Clearing


def test_clear_closes_all_connections_and_notifies_all_waiters_in_their_order() -> None:
    ledger = new(max_connections=5)
    dial(ledger, "a", 1)
    dial(ledger, "a", 2)
    dial(ledger, "b", 3, capacity=2)
    begin_dial(ledger, "c", 4)
    dialer = acquire(ledger, "d", share=True)
    waiter = acquire(ledger, "d", share=True)
    exclusive = acquire(ledger, "a")
    late = acquire(ledger, "d", share=True)
    ledger.clear()
    assert closed(ledger) == [1, 2, 3, 4]
    tickets = notified(ledger)
    assert tickets == [dialer, waiter, exclusive, late]
    assert {ticket.grant for ticket in tickets} == {Grant.CLEARED}
    assert_nothing_is_left(ledger)


def test_clear_removes_idle_connections_too() -> None:
    ledger = new()
    add_idle(ledger, "a", 1)
    ledger.clear()
    assert closed(ledger) == [1]
    assert notified(ledger) == []
    assert_nothing_is_left(ledger)


def test_a_cleared_ticket_may_be_abandoned() -> None:
    ledger = new(max_connections=0)
    ticket = acquire(ledger, "a")
    ledger.clear()
    ledger.abandon(ticket, now=0.0)
    assert_nothing_is_left(ledger)


def test_a_cleared_ledger_ignores_its_old_connections_and_takes_new_ones() -> None:
    ledger = new(max_connections=1)
    begin_dial(ledger, "a", 1)
    ledger.clear()
    ledger.established(1, capacity=1)
    ledger.checkin(1, now=0.0)
    add_idle(ledger, "a", 2)
    assert ledger.connections() == [2]


# Queries


def test_connections_are_listed_in_the_order_of_their_creation_from_their_dial_on() -> None:
    ledger = new()
    begin_dial(ledger, "b", 2)
    add_idle(ledger, "a", 1)
    begin_dial(ledger, "b", 3)
    assert ledger.connections() == [2, 1, 3]


def test_counts_tell_active_from_idle_and_from_queued() -> None:
    ledger = new(max_connections=4)
    dial(ledger, "a", 1, capacity=5)
    checkout(ledger, "a", now=0.0)
    add_idle(ledger, "b", 2)
    begin_dial(ledger, "c", 3, share=True)
    acquire(ledger, "c", share=True)
    acquire(ledger, "d")
    assert ledger.counts() == Counts(
        active_connections=2, idle_connections=1, active_requests=4, queued_requests=1
    )
    assert checkout(ledger, "b", now=0.0) == 2
    acquire(ledger, "e")
    assert ledger.counts() == Counts(
        active_connections=3, idle_connections=0, active_requests=5, queued_requests=2
    )


# The life of a connection: every state and every operation


def in_dialing(ledger: LedgerOfNumbers) -> None:
    begin_dial(ledger, "a", 1)


def in_busy(ledger: LedgerOfNumbers) -> None:
    dial(ledger, "a", 1)


def in_idle(ledger: LedgerOfNumbers) -> None:
    add_idle(ledger, "a", 1)


def in_retired(ledger: LedgerOfNumbers) -> None:
    dial(ledger, "a", 1)
    ledger.retire(1)


def in_gone(ledger: LedgerOfNumbers) -> None:
    dial(ledger, "a", 1)
    ledger.discard(1)


STATES: dict[SlotState, Callable[[LedgerOfNumbers], None]] = {
    SlotState.DIALING: in_dialing,
    SlotState.BUSY: in_busy,
    SlotState.IDLE: in_idle,
    SlotState.RETIRED: in_retired,
    SlotState.GONE: in_gone,
}

OPERATIONS: dict[str, Callable[[LedgerOfNumbers], object]] = {
    "established": lambda ledger: ledger.established(1, 1),
    "checkout": lambda ledger: checkout(ledger, "a", 0.0),
    "checkin": lambda ledger: ledger.checkin(1, 0.0),
    "set_capacity": lambda ledger: ledger.set_capacity(1, 1, now=0.0),
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


def state_of(ledger: LedgerOfNumbers, connection: int) -> SlotState:
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
def test_each_operation_changes_each_state_as_it_must(
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
    add_idle(ledger, "a", 1)
    with pytest.raises(AssertionError, match="without a reservation"):
        ledger.checkin(1, now=0.0)


def test_a_slot_may_not_be_reserved_while_a_connection_is_available() -> None:
    ledger = new()
    add_idle(ledger, "a", 1)
    with pytest.raises(AssertionError, match="checkout"):
        ledger.reserve("a", False, Lease())


def test_a_connection_may_not_be_added_for_a_ticket_that_waits() -> None:
    ledger = new(max_connections=0)
    ticket = acquire(ledger, "a")
    with pytest.raises(AssertionError, match="wasn't granted a dial"):
        ledger.add(ticket, 1)


def test_a_ticket_is_for_one_connection() -> None:
    ledger = new()
    ticket = acquire(ledger, "a")
    ledger.add(ticket, 1)
    with pytest.raises(AssertionError, match="abandoned or used"):
        ledger.add(ticket, 2)


def test_a_connection_may_not_be_added_twice() -> None:
    ledger = new()
    begin_dial(ledger, "a", 1)
    ticket = acquire(ledger, "a")
    with pytest.raises(AssertionError, match="there already"):
        ledger.add(ticket, 1)


def test_a_ticket_may_not_be_abandoned_twice() -> None:
    ledger = new()
    ticket = acquire(ledger, "a")
    ledger.abandon(ticket, now=0.0)
    with pytest.raises(AssertionError, match="that was abandoned"):
        ledger.abandon(ticket, now=0.0)


def test_nothing_is_dialled_for_a_ticket_that_was_abandoned() -> None:
    ledger = new()
    ticket = acquire(ledger, "a")
    ledger.abandon(ticket, now=0.0)
    with pytest.raises(AssertionError, match="abandoned or used"):
        ledger.add(ticket, 1)


def _reserve(ledger: LedgerOfNumbers) -> None:
    HELD.append(Lease())
    ledger.reserve("a", False, HELD[-1])


@pytest.mark.parametrize(
    "operate",
    [
        lambda ledger: ledger.established(1, capacity=1),
        lambda ledger: ledger.discard(1),
        lambda ledger: ledger.counts(),
        _reserve,
    ],
)
def test_an_operation_on_a_dial_first_repairs_what_an_interrupted_one_left(
    operate: Callable[[LedgerOfNumbers], object],
) -> None:
    ledger = new()
    begin_dial(ledger, "a", 1)
    ledger._groups.clear()
    ledger._is_changing = True
    operate(ledger)
    assert not ledger._is_changing
    assert list(ledger._groups) == (["a"] if ledger.connections() else [])


@pytest.mark.parametrize(
    "operate",
    [
        lambda ledger: ledger.set_capacity(1, 2, now=0.0),
        lambda ledger: ledger.checkin(1, now=0.0),
        lambda ledger: ledger.retire(1),
        lambda ledger: ledger.discard(1),
    ],
)
def test_an_operation_on_a_connection_first_repairs_what_an_interrupted_one_left(
    operate: Callable[[LedgerOfNumbers], object],
) -> None:
    ledger = new()
    dial(ledger, "a", 1)
    ledger._groups.clear()
    ledger._is_changing = True
    operate(ledger)
    assert not ledger._is_changing
    ledger.discard(1)
    assert_nothing_is_left(ledger)
