"""All that the ledger knows, and how that is repaired after an interruption.

A signal handler may raise between any two instructions of the main thread, and so in the middle of an operation. The
slots and the tickets are facts, each of which changes in one instruction. All else is derived from them: the next
operation derives it anew if an operation did not come to its end (`_begin`).

Rules: a fact that is in doubt says "in use". A connection that no request uses any more is found by its lease; one that
is in use must never be given to another request.
Must not know: clocks, locks, which request gets which connection.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Hashable
from math import inf
from operator import attrgetter
from typing import Generic
from weakref import ref

from .._http.close_reason import CloseReason
from .._http.lease import Lease
from .quota import Quota
from .slots import DIAL, C, Counts, Group, K, Slot, Ticket
from .states import BUSY, DIALING, IDLE, RETIRED, SlotEvent
from .statistics import LedgerStats, Totals

# The attributes of an enum's class are slow to get.
_REMOVED = SlotEvent.REMOVED


class Tables(ABC, Generic[K, C]):
    """The slots and the tickets, and what is derived from them."""

    __slots__ = (
        "_dials",
        "_groups",
        "_idle",
        "_is_changing",
        "_max_per_origin",
        "_max_shared_per_key",
        "_note_lost",
        "_origin_of",
        "_queue",
        "_quotas",
        "_slots",
        "_tickets",
        "close_reasons",
        "closing",
        "granted",
        "lost",
        "totals",
    )

    def __init__(
        self,
        max_per_origin: int | None,
        max_shared_per_key: int | None,
        origin_of: Callable[[K], Hashable] | None,
    ) -> None:
        # `None` rather than infinity: without a limit nothing is counted, and no method called for it.
        self._max_per_origin: float | None = max_per_origin
        self._max_shared_per_key = inf if max_shared_per_key is None else max_shared_per_key
        if max_per_origin is None and max_shared_per_key is not None:
            self._max_per_origin = inf
        self._origin_of = origin_of
        # Where there is a limit: one for each origin.
        self._quotas: dict[Hashable, Quota] = {}
        # Decisions that were not taken yet: connections to close, and tickets that were granted something while they
        # waited.
        self.closing: list[C] = []
        self.granted: list[Ticket[K, C]] = []
        # Why each of `closing` is to be closed; the pool removes what it has read.
        self.close_reasons: dict[C, CloseReason] = {}
        # What was done so far, and what tells how much a connection was used.
        self.totals = Totals()
        # While it is not empty, `recover()` may find something. Python itself appends to it, so that no exception comes
        # in between.
        self.lost: list[object] = []
        self._note_lost = self.lost.append
        # Whether an operation is under way, or was interrupted.
        self._is_changing = False
        # Facts: the connections, and the requests that wait or may dial, in the order of their arrival.
        self._slots: dict[C, Slot[K, C]] = {}
        self._tickets: dict[Ticket[K, C], None] = {}
        # What is derived from them.
        self._groups: dict[K, Group[K, C]] = {}
        # Dials that were granted and have no connection yet.
        self._dials = 0
        # The least recently used first.
        self._idle: OrderedDict[Slot[K, C], None] = OrderedDict()
        # Those that wait for a slot, each with its group: exclusive waiters, and groups on behalf of shared waiters.
        self._queue: OrderedDict[Ticket[K, C] | Group[K, C], Group[K, C]] = OrderedDict()

    # Queries

    def connections(self) -> list[C]:
        """Return all connections, including dialled and retired ones, in the order of their creation.

        It changes nothing, and so may be called in the middle of any operation, on any thread.
        """
        return list(self._slots)

    def counts(self) -> Counts:
        """Count connections and requests."""
        if self._is_changing:
            self._repair()
        idle = len(self._idle)
        return Counts(
            active_connections=len(self._slots) - idle,
            idle_connections=idle,
            active_requests=self._dials + sum(slot.in_use for slot in self._slots.values()),
            queued_requests=len(self._tickets) - self._dials,
        )

    def count_open(self, key: K) -> int:
        """Count the connections to `key` that take requests, or are being dialled."""
        self._begin()
        group = self._groups.get(key)
        self._is_changing = False
        return 0 if group is None else group.slots - group.retired

    def stats(self) -> LedgerStats[K]:
        """Count connections and requests by key, in time proportional to the keys and the multiplexed connections."""
        if self._is_changing:
            self._repair()
        keys = {key: group.stats() for key, group in self._groups.items()}
        return LedgerStats(keys, self.totals.copy())

    # For the classes that decide

    def _begin(self) -> None:
        """Begin an operation that changes more than one thing; at its end `_is_changing` is false again."""
        if self._is_changing:
            self._repair()
        self._is_changing = True

    @abstractmethod
    def _repair(self) -> None:
        """Repair what an interrupted operation left."""

    @abstractmethod
    def _recount(self, group: Group[K, C]) -> None:
        """Count the slots of the key anew, and its places in the queue, where they are limited."""

    @abstractmethod
    def _enqueue(self, group: Group[K, C], ticket: Ticket[K, C]) -> None:
        """Let the request of `ticket` wait for a slot of its own."""

    @abstractmethod
    def _enqueue_group(self, group: Group[K, C]) -> None:
        """Let the group wait for a slot on behalf of its shared waiters."""

    @abstractmethod
    def _unblock(self, group: Group[K, C]) -> None:
        """The key has one slot less, or waits for one less in the queue: others may wait there now."""

    def _lease_of(self, slot: Slot[K, C]) -> Lease[C]:
        """Return the lease of a connection, a new one if it was lost."""
        lease = slot.lease or slot.holder()
        if lease is None:
            lease = Lease()
            lease.connection = slot.connection
            slot.holder = ref(lease, self._note_lost)
        return lease

    def _close(self, slot: Slot[K, C], reason: CloseReason) -> None:
        """Remove the connection, and decide that it is to be closed."""
        # Nothing is called in between.
        self.close_reasons[slot.connection] = reason
        del self._slots[slot.connection]
        self.closing.append(slot.connection)
        self._forget(slot, reason)

    def _forget(self, slot: Slot[K, C], reason: CloseReason) -> None:
        """Derive what follows from the removal of a slot."""
        group, state = slot.group, slot.state
        if state is IDLE:
            del self._idle[slot]
        elif state is DIALING:
            group.connecting -= 1
            reason = CloseReason.DIAL_FAILED
        elif state is RETIRED:
            group.retired -= 1
        self.totals.closed[reason] += 1
        slot.change(_REMOVED)
        if slot.ticket is not None:
            slot.ticket.slot = None
        group.available.pop(slot, None)
        if group.multiplexed is not None:
            group.multiplexed.pop(slot, None)
        group.slots -= 1
        if self._max_per_origin is not None:
            assert group.quota is not None, "there is a limit"
            group.quota.idle.pop(slot, None)
            self._unblock(group)
            self._drop_if_empty(group)
        elif not (group.slots or group.exclusive_waiters or group.shared_waiters):
            del self._groups[group.key]  # without a call

    def _drop_if_empty(self, group: Group[K, C]) -> None:
        if not (group.slots or group.exclusive_waiters or group.shared_waiters or group.blocked):
            del self._groups[group.key]
            if self._max_per_origin is not None:
                quota = group.quota
                assert quota is not None, "there is a limit"
                quota.groups -= 1
                if not quota.groups:
                    del self._quotas[quota.origin]

    def _rebuild(self) -> None:
        """Derive everything from the slots and the tickets. If that is interrupted, it can be done again."""
        slots = self._slots.values()
        groups = [slot.group for slot in slots]
        groups += [ticket.group for ticket in self._tickets]
        for group in groups:
            group.reset()
            if group.quota is not None:
                group.quota.reset()
        self._groups = {group.key: group for group in groups}
        # In the order of their last use, as far as that is known.
        self._idle = OrderedDict.fromkeys(
            slot
            for slot in (*self._idle, *slots)
            if slot.state is IDLE and self._slots.get(slot.connection) is slot
        )
        for slot in slots:
            group = slot.group
            group.slots += 1
            if slot.state is RETIRED:
                group.retired += 1
            if slot.capacity != 1 or slot.in_use > 1:
                group.note_multiplexed(slot)
            if slot.state is DIALING:
                group.connecting += 1
                self._note_dial(slot.ticket)
            elif slot.state is BUSY and 0 < slot.in_use < slot.capacity:
                group.available[slot] = None
        for slot in self._idle:
            slot.group.available[slot] = None
        self._dials = 0
        for ticket in self._tickets:
            if ticket.grant is DIAL:
                self._dials += 1
                ticket.group.slots += 1
                ticket.group.connecting += 1
                self._note_dial(ticket)
        self._queue = OrderedDict()
        self._quotas = {}
        for group in self._groups.values():
            if group.quota is not None:
                group.quota.groups += 1
                self._quotas[group.quota.origin] = group.quota
                self._recount(group)
        # By number: a repeated request comes before those that arrived later.
        for ticket in sorted(self._tickets, key=attrgetter("number")):
            group = ticket.group
            if ticket.grant is not None:
                continue
            if group.is_exclusive or not ticket.may_share:
                self._enqueue(group, ticket)
            else:
                group.add_shared(ticket)
                if group.dial is None and group not in self._queue:
                    self._enqueue_group(group)
        # Last: nothing is to be closed before everything is derived.
        for slot in self._idle:
            if slot.group.quota is not None:
                slot.group.quota.note_idle(slot)

    def _note_dial(self, ticket: Ticket[K, C] | None) -> None:
        """Let shared waiters wait for the dial of `ticket`, if it may result in a connection for several requests."""
        if ticket is not None and ticket.may_share and not ticket.group.is_exclusive:
            ticket.group.dial = ticket
