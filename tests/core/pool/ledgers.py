"""Operations of ledgers in tests, in short. Keys are strings, connections are numbers.

Must not know: what the ledger decides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from httpcore2_core._http.lease import Lease
from httpcore2_core._pool.ledger import Ledger
from httpcore2_core._pool.slots import Counts, Grant, Ticket

LedgerOfNumbers: TypeAlias = Ledger[str, int]
TicketOfNumbers: TypeAlias = Ticket[str, int]


def new(
    max_connections: int | None = None,
    max_keepalive: int | None = None,
    keepalive_expiry: float | None = None,
    max_per_origin: int | None = None,
    origin_of: Callable[[str], str] | None = None,
) -> LedgerOfNumbers:
    return Ledger(
        max_connections, max_keepalive, keepalive_expiry, max_per_origin, origin_of=origin_of
    )


HELD: list[Lease[int]] = []
"""The leases of the requests in progress."""


def checkout(ledger: LedgerOfNumbers, key: str, now: float) -> int | None:
    """Check a connection out for a request in progress, and return it."""
    lease = ledger.checkout(key, now)
    if lease is None:
        return None
    HELD.append(lease)
    return lease.connection


def acquire(ledger: LedgerOfNumbers, key: str, *, share: bool = False) -> TicketOfNumbers:
    """Acquire a slot where no connection is available."""
    assert checkout(ledger, key, now=0.0) is None
    HELD.append(Lease())
    return ledger.reserve(key, share, HELD[-1])


def acquire_repeated(ledger: LedgerOfNumbers, key: str, arrival: int) -> TicketOfNumbers:
    """Acquire a slot for a request that its connection did not process."""
    HELD.append(Lease())
    return ledger.reserve(key, True, HELD[-1], arrival)


def begin_dial(ledger: LedgerOfNumbers, key: str, connection: int, *, share: bool = False) -> None:
    ticket = acquire(ledger, key, share=share)
    assert ticket.grant is Grant.DIAL
    ledger.add(ticket, connection)


def dial(ledger: LedgerOfNumbers, key: str, connection: int, capacity: int = 1) -> None:
    begin_dial(ledger, key, connection, share=capacity > 1)
    ledger.established(connection, capacity)


def add_idle(ledger: LedgerOfNumbers, key: str, connection: int, now: float = 0.0) -> None:
    """Add an idle connection."""
    dial(ledger, key, connection)
    ledger.checkin(connection, now)


def notified(ledger: LedgerOfNumbers) -> list[TicketOfNumbers]:
    tickets = ledger.granted[:]
    ledger.granted.clear()
    return tickets


def closed(ledger: LedgerOfNumbers) -> list[int]:
    connections = ledger.closing[:]
    ledger.closing.clear()
    return connections


def assert_reuses(ticket: TicketOfNumbers, connection: int) -> None:
    assert ticket.grant is Grant.REUSE
    assert ticket.lease is not None
    assert ticket.lease.connection == connection


def assert_nothing_is_left(ledger: LedgerOfNumbers) -> None:
    assert ledger.counts() == Counts(0, 0, 0, 0)
    for held in (
        ledger._groups,
        ledger._quotas,
        ledger._slots,
        ledger._tickets,
        ledger._idle,
        ledger._queue,
    ):
        assert not held
