"""The ledger for threads: one lock makes each operation atomic.

Rules: an operation holds the lock from its beginning to its end, and nothing else holds it. A forked child gets locks
of its own: one that another thread held when the process forked stays locked there.
Must not know: what an operation decides.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from math import inf
from threading import RLock
from typing import Any
from weakref import WeakSet

from .._http.close_reason import CloseReason
from .._http.lease import Lease
from .._net.forks import call_in_children
from .ledger import Decisions, Ledger
from .slots import C, Counts, K, Ticket
from .statistics import LedgerStats, Totals

_ledgers: WeakSet[LockedLedger[Any, Any]] = WeakSet()


class LockedLedger(Ledger[K, C]):
    """A ledger that any number of threads may call.

    `connections()` takes no lock: see there.
    """

    __slots__ = ("__weakref__", "_lock")

    def __init__(
        self,
        max_connections: int | None,
        max_keepalive: int | None,
        keepalive_expiry: float | None,
        max_per_origin: int | None = None,
        max_shared_per_key: int | None = None,
        origin_of: Callable[[K], Hashable] | None = None,
    ) -> None:
        super().__init__(
            max_connections,
            max_keepalive,
            keepalive_expiry,
            max_per_origin,
            max_shared_per_key,
            origin_of,
        )
        # Re-entrant, since operations call each other; and since the collector or a signal handler may run a caller's
        # code in the middle of one, which closes a response.
        self._lock = RLock()
        _ledgers.add(self)

    def counts(self) -> Counts:
        with self._lock:
            return super().counts()

    def count_open(self, key: K) -> int:
        with self._lock:
            return super().count_open(key)

    def stats(self) -> LedgerStats[K]:
        with self._lock:
            return super().stats()

    def note(self, change: Callable[[Totals], None]) -> None:
        with self._lock:
            super().note(change)

    def checkout(self, key: K, now: float) -> Lease[C] | None:
        with self._lock:
            return Ledger.checkout(self, key, now)

    def acquire(
        self,
        key: K,
        now: float,
        may_share: bool,
        lease: Lease[C],
        create_waiter: Callable[[], Any],
        arrival: int | None = None,
    ) -> Lease[C] | None:
        with self._lock:
            return super().acquire(key, now, may_share, lease, create_waiter, arrival)

    def reserve(
        self, key: K, may_share: bool, lease: Lease[C], arrival: int | None = None
    ) -> Ticket[K, C]:
        with self._lock:
            return super().reserve(key, may_share, lease, arrival)

    def reserve_ahead(
        self, key: K, may_share: bool, lease: Lease[C], count: int
    ) -> Ticket[K, C] | None:
        with self._lock:
            return super().reserve_ahead(key, may_share, lease, count)

    def abandon(self, ticket: Ticket[K, C], now: float) -> None:
        with self._lock:
            super().abandon(ticket, now)

    def give_up(self, lease: Lease[C], uses: int) -> None:
        with self._lock:
            super().give_up(lease, uses)

    def add(self, ticket: Ticket[K, C], connection: C) -> bool:
        with self._lock:
            return super().add(ticket, connection)

    def established(self, connection: C, capacity: int, retires_at: float = inf) -> None:
        with self._lock:
            super().established(connection, capacity, retires_at)

    def set_capacity(self, connection: C, capacity: int, now: float) -> None:
        with self._lock:
            super().set_capacity(connection, capacity, now)

    def checkin(self, connection: C, now: float, expires_at: float | None = None) -> None:
        with self._lock:
            Ledger.checkin(self, connection, now, expires_at)

    def retire(self, connection: C) -> None:
        with self._lock:
            super().retire(connection)

    def discard(self, connection: C, reason: CloseReason = CloseReason.EXCHANGE_FAILED) -> None:
        with self._lock:
            super().discard(connection, reason)

    def close(self, connection: C, reason: CloseReason = CloseReason.EXCHANGE_FAILED) -> None:
        with self._lock:
            super().close(connection, reason)

    def expire(self, now: float) -> None:
        with self._lock:
            super().expire(now)

    def close_expired(self, now: float) -> int:
        with self._lock:
            return super().close_expired(now)

    def last_expiry(self) -> float:
        with self._lock:
            return super().last_expiry()

    def first_expiry(self) -> float:
        with self._lock:
            return super().first_expiry()

    def recover(self) -> None:
        with self._lock:
            super().recover()

    def clear(self) -> None:
        with self._lock:
            super().clear()

    def take_decisions(self, taken: Decisions[K, C]) -> None:
        with self._lock:
            super().take_decisions(taken)

    def return_decisions(self, taken: Decisions[K, C]) -> None:
        with self._lock:
            super().return_decisions(taken)


def _renew_locks() -> None:
    for ledger in _ledgers:
        ledger._lock = RLock()


call_in_children(_renew_locks)
