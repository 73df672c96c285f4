"""The ledger's operations, interrupted at every place: the next one repairs them, and nothing is lost."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import pytest

from httpcore2_core._http.lease import Lease
from httpcore2_core._pool.ledger import Ledger
from httpcore2_core._pool.slots import Counts, Grant, Ticket

from ...support.interruption import interrupted_at

_Ledger: TypeAlias = Ledger[str, int]


class Pool:
    """A ledger with its requests, which hold their leases and tickets, and the connections that were made."""

    def __init__(self, max_connections: int, max_per_origin: int | None = None) -> None:
        self.max_connections = max_connections
        self.ledger: _Ledger = Ledger(
            max_connections,
            max_keepalive=1,
            keepalive_expiry=None,
            max_per_origin=max_per_origin,
            origin_of=str.lower,
        )
        self.leases: list[Lease[int]] = []
        self.tickets: list[Ticket[str, int]] = []
        self.made: list[int] = []

    def acquire(self, key: str, share: bool = False) -> Ticket[str, int]:
        self.leases.append(Lease())
        self.tickets.append(self.ledger.reserve(key, share, self.leases[-1]))
        return self.tickets[-1]

    def begin(self, key: str, share: bool = False) -> int:
        ticket = self.acquire(key, share)
        assert ticket.grant is Grant.DIAL
        return self.add(ticket)

    def add(self, ticket: Ticket[str, int]) -> int:
        connection = len(self.made)
        self.ledger.add(ticket, connection)
        self.made.append(connection)
        return connection

    def dial(self, key: str, capacity: int = 1) -> int:
        connection = self.begin(key, share=capacity > 1)
        self.ledger.established(connection, capacity)
        return connection

    def add_idle(self, key: str) -> int:
        connection = self.dial(key)
        self.ledger.checkin(connection, now=0.0)
        return connection

    def take(self, key: str) -> None:
        lease = self.ledger.checkout(key, now=1.0)
        if lease is not None:
            self.leases.append(lease)

    def lose_requests(self) -> None:
        """Drop all requests without ending them."""
        self.leases.clear()
        self.tickets.clear()
        self.ledger.granted.clear()


# The states of a ledger, and the operations on it.

Setting: TypeAlias = Callable[[Pool], Any]
Operation: TypeAlias = Callable[[Pool], object]


def nothing(pool: Pool) -> None:
    pass


def idle(pool: Pool) -> None:
    pool.add_idle("a")
    pool.add_idle("b")


def busy(pool: Pool) -> None:
    pool.dial("a")
    pool.dial("b")


def waited_for(pool: Pool) -> None:
    busy(pool)
    pool.acquire("a")
    pool.acquire("c")
    pool.acquire("b")


def waited_for_by_others(pool: Pool) -> None:
    busy(pool)
    pool.acquire("c")
    pool.acquire("a")


def shared(pool: Pool) -> None:
    pool.dial("a", capacity=3)
    pool.take("a")
    pool.add_idle("b")


def shared_with_waiters(pool: Pool) -> None:
    pool.dial("a", capacity=2)
    pool.take("a")
    pool.begin("c", share=True)
    for key in "acacc":
        pool.acquire(key, share=True)


def dialled(pool: Pool) -> None:
    pool.begin("a")
    for _ in range(3):
        pool.acquire("b", share=True)


def retired(pool: Pool) -> None:
    pool.ledger.retire(pool.dial("a", capacity=2))
    pool.dial("b")
    pool.acquire("a")


def blocked(pool: Pool) -> None:
    pool.dial("a")
    for key in "aab":
        pool.acquire(key)
    pool.acquire("a")


def blocked_and_shared(pool: Pool) -> None:
    pool.dial("a", capacity=2)
    pool.take("a")
    for key in "aba":
        pool.acquire(key, share=True)


def blocked_by_another_key(pool: Pool) -> None:
    pool.dial("a")
    pool.acquire("A")
    pool.acquire("a")
    pool.acquire("A", share=True)
    pool.add_idle("b")


def idle_beside_another_key(pool: Pool) -> None:
    pool.add_idle("D")
    pool.dial("a")


LIMITED = (blocked, blocked_and_shared, blocked_by_another_key, idle_beside_another_key)
"""Those with one slot for each origin: the lower case of a key."""

SETTINGS: list[Setting] = [
    nothing,
    idle,
    busy,
    waited_for,
    waited_for_by_others,
    shared,
    shared_with_waiters,
    dialled,
    retired,
    blocked,
    blocked_and_shared,
    blocked_by_another_key,
    idle_beside_another_key,
]


def reserve(pool: Pool) -> None:
    if not any(group.available for group in pool.ledger._groups.values()):
        for share in (False, True):
            pool.acquire("d", share)
            pool.acquire("c", share)


def abandon(pool: Pool) -> None:
    for ticket in [ticket for ticket in pool.tickets if not ticket.is_abandoned]:
        if ticket.slot is None or ticket.slot.ticket is not None:
            pool.ledger.abandon(ticket, now=1.0)


def dial(pool: Pool) -> None:
    for ticket in pool.tickets:
        if ticket.grant is Grant.DIAL and ticket.slot is None and ticket.holder is not None:
            pool.ledger.established(pool.add(ticket), 1)


def each(operation: Callable[[_Ledger, int], object]) -> Operation:
    """Do it to every connection that is established."""

    def run(pool: Pool) -> None:
        for connection, slot in list(pool.ledger._slots.items()):
            if slot.ticket is None:
                operation(pool.ledger, connection)

    return run


def establish(pool: Pool) -> None:
    for connection, slot in list(pool.ledger._slots.items()):
        if slot.ticket is not None:
            pool.ledger.established(connection, 2)


def check_out(pool: Pool) -> None:
    for key in "aab":
        pool.take(key)


def check_in(ledger: _Ledger, connection: int) -> None:
    if ledger._slots[connection].in_use:
        ledger.checkin(connection, now=1.0, expires_at=3.0)


def give_up(ledger: _Ledger, connection: int) -> None:
    lease = ledger._slots[connection].holder()
    assert lease is not None
    ledger.give_up(lease, lease.uses)


def lose_requests(pool: Pool) -> None:
    pool.leases.clear()
    pool.tickets.clear()
    pool.ledger.recover()


OPERATIONS: dict[str, Operation] = {
    "reserve": reserve,
    "abandon": abandon,
    "dial": dial,
    "establish": establish,
    "checkout": check_out,
    "checkin": each(check_in),
    "set_capacity to 0": each(
        lambda ledger, connection: ledger.set_capacity(connection, 0, now=0.0)
    ),
    "set_capacity to 4": each(
        lambda ledger, connection: ledger.set_capacity(connection, 4, now=0.0)
    ),
    "retire": each(lambda ledger, connection: ledger.retire(connection)),
    "discard": each(lambda ledger, connection: ledger.discard(connection)),
    "give_up": each(give_up),
    "expire": lambda pool: pool.ledger.expire(now=2.0),
    "close_expired": lambda pool: pool.ledger.close_expired(now=math.inf),
    "last_expiry": lambda pool: pool.ledger.last_expiry(),
    "first_expiry": lambda pool: pool.ledger.first_expiry(),
    "recover": lose_requests,
    "clear": lambda pool: pool.ledger.clear(),
    "repair": lambda pool: pool.ledger._repair(),
}


def tables(ledger: _Ledger) -> list[Any]:
    """Return the derived tables in comparable form."""
    groups = {
        key: (
            group.slots,
            set(group.available),
            list(group.exclusive_waiters),
            list(group.blocked),
            list(group.shared_waiters),
            group.dial,
        )
        for key, group in ledger._groups.items()
    }
    quotas = {
        origin: (quota.taken, quota.groups, list(quota.blocked), quota.least_recently_used())
        for origin, quota in ledger._quotas.items()
    }
    return [groups, ledger._dials, set(ledger._idle), list(ledger._queue), quotas]


def assert_consistent(pool: Pool) -> None:
    """The derived tables agree with the facts, no limit is exceeded, and no request waits without need."""
    ledger = pool.ledger
    before = tables(ledger)
    ledger._repair()
    assert tables(ledger) == before
    assert len(ledger._slots) + ledger._dials <= pool.max_connections
    if ledger._queue:
        assert not ledger._can_dial()
    for ticket in ledger._tickets:
        if ticket.grant is None:
            assert not ticket.group.available
            if ticket in ticket.group.blocked:
                assert not ledger._may_dial(ticket.group)
                assert ticket.group.quota is not None
                assert ticket.group.quota.least_recently_used() is None
        else:
            assert ticket in ledger.granted
    for slot in ledger._slots.values():
        assert (slot.lease is not None) is (slot in ledger._idle) is (not slot.in_use)


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.__name__)
def test_an_operation_that_is_interrupted_anywhere_loses_nothing(
    setting: Setting, operation: Operation
) -> None:
    number = 0
    was_reached = True
    while was_reached:
        number += 1
        per_key = 1 if setting in LIMITED else None
        pool, spare = (Pool(3 if setting is dialled else 2, per_key) for _ in range(2))
        for each_pool in (pool, spare):
            setting(each_pool)
        was_reached = interrupted_at(number, partial(operation, pool), partial(operation, spare))
        ledger = pool.ledger
        ledger.counts()  # whatever comes next puts it in order
        assert_consistent(pool)
        # Requests that are dropped now are recovered.
        pool.lose_requests()
        assert ledger.lost or not (ledger._tickets or ledger.counts().active_requests)
        ledger.recover()
        assert_consistent(pool)
        assert ledger.counts() == Counts(0, ledger.counts().idle_connections, 0, 0)
        # Each connection is there, or is to be closed, or was discarded.
        left = set(pool.made) - set(ledger.connections()) - set(ledger.closing)
        assert not left or operation in (OPERATIONS["discard"], OPERATIONS["clear"])
        for key in "xy":
            pool.begin(key)
        assert ledger.counts().active_connections == 2


def test_the_interruptions_do_come() -> None:
    pool, spare = Pool(1), Pool(1)
    for each_pool in (pool, spare):
        each_pool.dial("a")
    assert interrupted_at(
        1, lambda: pool.ledger.checkin(0, 0.0), lambda: spare.ledger.checkin(0, 0.0)
    )
    assert pool.ledger.counts().active_connections == 1
    assert spare.ledger.counts().active_connections == 0
