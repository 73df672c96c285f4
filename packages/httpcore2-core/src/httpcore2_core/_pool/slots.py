"""What the ledger knows: slots, keys, and requests that wait; and how that is repaired after an interruption.

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
from enum import Enum, auto
from math import inf
from operator import attrgetter
from typing import Any, Generic, NamedTuple, TypeVar
from weakref import ref

from .._http.close_reason import CloseReason
from .._http.lease import Lease
from .quota import Quota
from .states import BUSY, DIALING, IDLE, RETIRED, TRANSITIONS, SlotEvent, SlotState
from .statistics import LedgerStats, OriginStats, Totals

K = TypeVar("K", bound=Hashable)
C = TypeVar("C", bound=Hashable)

# What no request waits in; never changed.
_NO_TICKETS: OrderedDict[Any, None] = OrderedDict()


class Grant(Enum):
    """What a ticket was granted."""

    DIAL = auto()
    """A slot: the request dials, and gives the connection to `add()`."""
    REUSE = auto()
    """The use of the connection of `ticket.lease`."""
    CLEARED = auto()
    """Nothing, because of `clear()`: the request acquires anew, or fails."""


# Attributes of an enum's class are slow to get.
DIAL, REUSE, CLEARED = Grant
_REMOVED = SlotEvent.REMOVED


class Counts(NamedTuple):
    """How many connections and requests a pool has.

    Attributes:
        active_connections: those that are being dialled, in use or retired.
        idle_connections: those that no request uses, and the next one may.
        active_requests: those that use a connection, or dial one.
        queued_requests: those that wait.
    """

    active_connections: int
    idle_connections: int
    active_requests: int
    queued_requests: int


class Ticket(Generic[K, C]):
    """A request that got no connection at once: it waits for one, or for a slot. `grant` is `None` while it waits.

    Attributes:
        holder: the lease of the request, until it was granted that of another connection.
        lease: that of the connection that it was granted to use.
        slot: that of the connection that was dialled for it.
        waiter: what the pool notifies when the ticket was granted something; the ledger keeps it only.
    """

    __slots__ = (
        "grant",
        "group",
        "holder",
        "is_abandoned",
        "key",
        "lease",
        "may_share",
        "number",
        "slot",
        "waiter",
    )

    def __init__(
        self, group: Group[K, C], number: float, may_share: bool, holder: ref[Lease[C]]
    ) -> None:
        self.key = group.key
        self.group = group
        self.number = number
        self.may_share = may_share
        self.holder: ref[Lease[C]] | None = holder
        self.grant: Grant | None = None
        self.lease: Lease[C] | None = None
        self.slot: Slot[K, C] | None = None
        self.waiter: Any = None
        self.is_abandoned = False

    @property
    def is_lost(self) -> bool:
        """Whether its request no longer exists."""
        return self.holder is not None and self.holder() is None


class Slot(Generic[K, C]):
    """A connection, and what the ledger knows about it.

    Attributes:
        holder: a weak reference to the connection's lease.
        lease: the lease itself, kept here while no request uses the connection.
        expires_at: when it expires, if it is idle.
        retires_at: when it is too old for further requests; negative infinity once it was retired for that.
        ticket: the one that it is dialled for, until it is established.
    """

    __slots__ = (
        "capacity",
        "connection",
        "expires_at",
        "group",
        "holder",
        "in_use",
        "lease",
        "retires_at",
        "state",
        "ticket",
    )

    def __init__(self, connection: C, ticket: Ticket[K, C], holder: ref[Lease[C]]) -> None:
        self.connection = connection
        self.group = ticket.group
        self.state: SlotState = DIALING
        self.capacity = 1
        self.in_use = 1
        self.expires_at = self.retires_at = inf
        self.ticket: Ticket[K, C] | None = ticket
        self.holder = holder
        self.lease: Lease[C] | None = None

    def change(self, event: SlotEvent) -> None:
        """Change the state, as the table says. An event that is forbidden in the state is an `AssertionError`."""
        try:
            self.state = TRANSITIONS[self.state][event]
        except KeyError:
            raise AssertionError(f"{event.name} in the state {self.state.name}") from None

    @property
    def expiry_reason(self) -> CloseReason:
        """Why it is closed when it has expired."""
        return CloseReason.AGED if self.retires_at <= self.expires_at else CloseReason.EXPIRED

    @property
    def is_lost(self) -> bool:
        """Whether it is in use, and its request no longer exists."""
        return self.lease is None and self.holder() is None


class Group(Generic[K, C]):
    """The connections and the waiting requests of one key; dropped when it has neither.

    Attributes:
        quota: the slots that it shares with other keys; `None` without a limit on their number.
    """

    quota: Quota | None = None

    __slots__ = (
        "available",
        "blocked",
        "connecting",
        "dial",
        "exclusive_waiters",
        "is_exclusive",
        "key",
        "multiplexed",
        "retired",
        "shared_waiters",
        "slots",
    )

    def __init__(self, key: K) -> None:
        self.key = key
        # Whether the last dial resulted in a connection for one request at a time: the next one probably does, too.
        self.is_exclusive = False
        self.reset()

    def reset(self) -> None:
        """Forget what is derived from slots and tickets."""
        # Slots taken, including those whose dial has not begun.
        self.slots = 0
        # Slots among them whose connections are retired.
        self.retired = 0
        # Slots among them whose connections are not established.
        self.connecting = 0
        # Connections that ever took another number of requests than one at a time: the requests of the others need not
        # be counted. Made when it is needed.
        self.multiplexed: dict[Slot[K, C], None] | None = None
        # Connections with room for a request, the last used at the end. Empty while any request waits.
        self.available: dict[Slot[K, C], None] = {}
        # Requests that wait for a slot each, and those that wait for one dial together.
        # OrderedDict, since finding the first of a dict from which many firsts were deleted is O(n); each is made when
        # the first request waits, as that takes 500 instructions.
        self.exclusive_waiters: OrderedDict[Ticket[K, C], None] = _NO_TICKETS
        self.shared_waiters: OrderedDict[Ticket[K, C], None] = _NO_TICKETS
        # Requests that wait for a slot each, outside the pool's queue, since the origin has no more slots. They arrived
        # after the exclusive waiters.
        self.blocked: OrderedDict[Ticket[K, C], None] = _NO_TICKETS
        # The dial that the shared waiters wait for. Without one the group is in the queue on their behalf.
        self.dial: Ticket[K, C] | None = None

    def add_exclusive(self, ticket: Ticket[K, C]) -> None:
        """Add a request that waits for a slot."""
        if self.exclusive_waiters is _NO_TICKETS:
            self.exclusive_waiters = OrderedDict()
        self.exclusive_waiters[ticket] = None

    def add_shared(self, ticket: Ticket[K, C]) -> None:
        """Add a request that waits for one dial together with others."""
        if self.shared_waiters is _NO_TICKETS:
            self.shared_waiters = OrderedDict()
        self.shared_waiters[ticket] = None

    def add_blocked(self, ticket: Ticket[K, C]) -> None:
        """Add a request that waits for a slot of its origin."""
        if self.blocked is _NO_TICKETS:
            self.blocked = OrderedDict()
        self.blocked[ticket] = None

    def note_multiplexed(self, slot: Slot[K, C]) -> None:
        """The connection takes another number of requests than one at a time."""
        if self.multiplexed is None:
            self.multiplexed = {}
        self.multiplexed[slot] = None

    def stats(self) -> OriginStats:
        """Count connections and requests: those of each multiplexed connection, and the others by their number."""
        multiplexed = list(self.multiplexed or ())
        shared_idle = sum(slot.state is IDLE for slot in multiplexed)
        # Each connection that serves one request at a time is available, and so idle, or serves one.
        exclusive_idle = len(self.available) - sum(slot in self.available for slot in multiplexed)
        exclusive_active = self.slots - self.connecting - len(multiplexed) - exclusive_idle
        return OriginStats(
            active_connections=exclusive_active + len(multiplexed) - shared_idle,
            idle_connections=exclusive_idle + shared_idle,
            connecting_connections=self.connecting,
            active_requests=exclusive_active
            + sum(slot.in_use for slot in multiplexed)
            + self.connecting,
            queued_requests=len(self.exclusive_waiters)
            + len(self.shared_waiters)
            + len(self.blocked),
        )


class LimitedGroup(Group[K, C]):
    """A group whose slots are limited, together with those of other keys.

    Attributes:
        places: how many of those that are taken of the quota are its own.
    """

    __slots__ = ("places", "quota")

    def __init__(self, key: K, quota: Quota) -> None:
        super().__init__(key)
        self.quota: Quota = quota

    def reset(self) -> None:
        super().reset()
        self.places = 0


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
