"""The statistics of a ledger, which it derives, against a count of its slots and tickets after each operation."""

from __future__ import annotations

import random
from collections import Counter

from httpcore2_core._http.close_reason import CloseReason
from httpcore2_core._http.lease import Lease
from httpcore2_core._pool.ledger import Ledger
from httpcore2_core._pool.slots import Grant, Ticket
from httpcore2_core._pool.states import SlotState
from httpcore2_core._pool.statistics import OriginStats, Totals, summed

OPERATIONS = 100_000


def _recounted(ledger: Ledger[str, int]) -> dict[str, OriginStats]:
    counts: dict[str, Counter[str]] = {}
    for slot in ledger._slots.values():
        count = counts.setdefault(slot.group.key, Counter())
        count["requests"] += slot.in_use
        count[slot.state.name] += 1
    for ticket in ledger._tickets:
        count = counts.setdefault(ticket.key, Counter())
        if ticket.grant is Grant.DIAL:
            count["DIALING"] += 1
            count["requests"] += 1
        else:
            count["queued"] += 1
    return {
        key: OriginStats(
            count["BUSY"] + count["RETIRED"],
            count["IDLE"],
            count["DIALING"],
            count["requests"],
            count["queued"],
        )
        for key, count in counts.items()
    }


class _Client:
    """Uses a ledger at random, as requests to three origins do."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.ledger: Ledger[str, int] = Ledger(8, 4, 30.0)
        self.now = 0.0
        self.number = 0
        self.tickets: list[tuple[Ticket[str, int], Lease[int]]] = []
        self.dialled: list[tuple[int, Lease[int]]] = []
        self.in_use: list[Lease[int]] = []
        self.established = self.left = 0

    def step(self) -> None:
        ledger, chance = self.ledger, self.random.random()
        self.now += self.random.random()
        if chance < 0.4 and len(self.tickets) < 10:
            key = self.random.choice("abc")
            found = ledger.checkout(key, self.now)
            if found is not None:
                self.in_use.append(found)
                return
            lease: Lease[int] = Lease()
            self.tickets.append((ledger.reserve(key, key == "a", lease), lease))
        elif chance < 0.5 and self.tickets:
            ticket, lease = self.tickets.pop(self.random.randrange(len(self.tickets)))
            ledger.abandon(ticket, self.now)
        elif chance < 0.65 and self.tickets:
            self._use(self.random.randrange(len(self.tickets)))
        elif chance < 0.75 and self.dialled:
            connection, lease = self.dialled.pop(self.random.randrange(len(self.dialled)))
            if self.random.random() < 0.2:
                ledger.discard(connection)
            else:
                ledger.established(connection, self.random.choice([1, 1, 3]))
                self.established += 1
                self.in_use.append(lease)
        elif self.in_use:
            lease = self.in_use.pop(self.random.randrange(len(self.in_use)))
            if chance < 0.78:
                ledger.close(lease.connection, CloseReason.PEER)
            elif chance < 0.8:
                ledger.retire(lease.connection)
                ledger.checkin(lease.connection, self.now)
            else:
                if chance < 0.82:
                    ledger.set_capacity(lease.connection, self.random.randrange(4), self.now)
                ledger.checkin(lease.connection, self.now)

    def _use(self, index: int) -> None:
        ticket, lease = self.tickets[index]
        if ticket.grant is Grant.DIAL:
            self.number += 1
            self.ledger.add(ticket, self.number)
            self.dialled.append((self.number, lease))
            del self.tickets[index]
        elif ticket.grant is Grant.REUSE:
            assert ticket.lease is not None
            self.in_use.append(ticket.lease)
            del self.tickets[index]


def test_the_statistics_are_right_after_each_of_many_random_operations() -> None:
    client = _Client(seed=18)
    ledger = client.ledger
    for _ in range(OPERATIONS):
        client.step()
        keys = {key: group.stats() for key, group in ledger._groups.items()}
        assert keys == _recounted(ledger)
    stats, totals = ledger.stats()
    counts = ledger.counts()
    total = summed(list(stats.values()))
    assert total.active_connections + total.connecting_connections == (
        counts.active_connections + ledger._dials
    )
    assert total.idle_connections == counts.idle_connections
    assert total.active_requests == counts.active_requests
    assert total.queued_requests == counts.queued_requests
    dialling = sum(slot.state is SlotState.DIALING for slot in ledger._slots.values())
    closed = sum(totals.closed.values()) - totals.closed[CloseReason.DIAL_FAILED]
    assert totals.opened == closed + len(ledger._slots) - dialling
    assert client.number == sum(totals.closed.values()) + len(ledger._slots)
    assert {reason.name for reason in totals.closed} >= {"PEER", "RETIRED", "EVICTED", "EXPIRED"}


def test_the_totals_that_are_returned_do_not_change() -> None:
    ledger: Ledger[str, int] = Ledger(1, None, None)
    ledger.note(Totals.add_resent)
    before = ledger.stats().totals
    ledger.note(lambda totals: totals.add_failed("pool"))
    ledger.note(lambda totals: totals.add_waited(1.5))
    after = ledger.stats().totals
    assert (before.resent, before.failed, before.pool_timeouts) == (1, {}, 0)
    assert (after.failed, after.pool_timeouts, after.seconds_waited) == ({"pool": 1}, 1, 1.5)


def test_the_statistics_of_no_origin_are_zero() -> None:
    assert summed([]) == OriginStats()
