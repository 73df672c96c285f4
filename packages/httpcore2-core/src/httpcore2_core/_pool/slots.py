"""What the ledger knows: slots, keys, and requests that wait; and how it is put in order after an interruption.

A signal handler may raise between any two instructions of the main thread, and so in the middle of an operation. The
slots and the tickets are facts, each of which changes in one instruction. All else follows from them, and is made anew
from them before the next operation, if one did not come to its end (`_begin`).

Rules: a fact that is in doubt says "in use". A connection that nobody uses any more is found by its lease; one that is
in use must never be given to another request.
Must not know: clocks, locks, which request gets which connection.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Hashable
from enum import Enum, auto
from math import inf
from operator import attrgetter
from typing import Any, Generic, NamedTuple, TypeVar
from weakref import ref

from .._http.lease import Lease

K = TypeVar("K", bound=Hashable)
C = TypeVar("C", bound=Hashable)


class State(Enum):
    """The life of a connection."""

    DIALING = auto()
    BUSY = auto()
    IDLE = auto()
    RETIRED = auto()  # Takes no new request; those that it has may finish.
    GONE = auto()


# Enum's own way to its members is slow; see those of `_http.established.State`.
DIALING, BUSY, IDLE, RETIRED, GONE = State


class Grant(Enum):
    """What a ticket has got."""

    DIAL = auto()  # A slot: dial, and `add()` the connection.
    REUSE = auto()  # A reservation on the connection of `ticket.lease`.
    CLEARED = auto()  # Nothing, because of `clear()`: ask again, or give up.


class Counts(NamedTuple):
    active_connections: int
    idle_connections: int
    active_requests: int
    queued_requests: int


class Ticket(Generic[K, C]):
    """A request that has asked for a slot. `grant` is `None` while it waits.

    Attributes:
        holder: the lease of the request, until it was granted that of another connection.
        lease: of the connection that it was granted to reuse.
        slot: of the connection that was dialled for it.
        waiter: the pool's own; the ledger never looks at it.
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
        """Whether the request is gone."""
        return self.holder is not None and self.holder() is None


class Slot(Generic[K, C]):
    """A connection and what is known of it.

    Attributes:
        holder: the connection's lease.
        lease: the same, kept here while nobody uses the connection.
        ticket: whose dial it is, while it is one.
    """

    __slots__ = (
        "capacity",
        "connection",
        "expires_at",
        "group",
        "holder",
        "in_use",
        "lease",
        "state",
        "ticket",
    )

    def __init__(self, connection: C, ticket: Ticket[K, C], holder: ref[Lease[C]]) -> None:
        self.connection = connection
        self.group = ticket.group
        self.state = DIALING
        self.capacity = 1
        self.in_use = 1
        self.expires_at = inf
        self.ticket: Ticket[K, C] | None = ticket
        self.holder = holder
        self.lease: Lease[C] | None = None

    @property
    def is_lost(self) -> bool:
        """Whether it is in use, and by nobody."""
        return self.lease is None and self.holder() is None


class Group(Generic[K, C]):
    """All that there is of one key; dropped when there is nothing."""

    __slots__ = ("available", "crowd", "dial", "exclusive", "key", "singles", "slots")

    def __init__(self, key: K) -> None:
        self.key = key
        # The last dial brought a connection for one request at a time: sharing is not to be hoped for.
        self.exclusive = False
        self.reset()

    def reset(self) -> None:
        """Forget what follows from slots and tickets."""
        # Slots taken, those without a connection yet included.
        self.slots = 0
        # Connections with room for a request, the last used at the end. Empty while anyone waits.
        self.available: dict[Slot[K, C], None] = {}
        # Those who wait for a slot each, and those who wait for one dial together.
        # OrderedDict, since finding the first of a dict from which many firsts were deleted is O(n).
        self.singles: OrderedDict[Ticket[K, C], None] = OrderedDict()
        self.crowd: OrderedDict[Ticket[K, C], None] = OrderedDict()
        # The dial that the crowd waits for. Without one the group stands in the queue on the crowd's behalf.
        self.dial: Ticket[K, C] | None = None


class Tables(ABC, Generic[K, C]):
    """Slots and tickets, and what follows from them."""

    __slots__ = (
        "_dials",
        "_groups",
        "_idle",
        "_is_changing",
        "_note_lost",
        "_queue",
        "_slots",
        "_tickets",
        "closing",
        "granted",
        "lost",
    )

    def __init__(self) -> None:
        # Connections that left by the ledger's decision, for the pool to close and take out of the list.
        self.closing: list[C] = []
        # Tickets that were granted something while they waited, for the pool to wake and take out of the list.
        self.granted: list[Ticket[K, C]] = []
        # As long as it is not empty, there may be something to `recover()`. Python itself appends to it, so that
        # no exception comes in between.
        self.lost: list[object] = []
        self._note_lost = self.lost.append
        # An operation is under way, or was left in the middle.
        self._is_changing = False
        # Facts: the connections, and the requests that wait or may dial, in the order in which they came.
        self._slots: dict[C, Slot[K, C]] = {}
        self._tickets: dict[Ticket[K, C], None] = {}
        # What follows from them.
        self._groups: dict[K, Group[K, C]] = {}
        # Dials that were granted and have no connection yet.
        self._dials = 0
        # The least recently used first.
        self._idle: OrderedDict[Slot[K, C], None] = OrderedDict()
        # Who waits for a slot: single requests, and groups on behalf of their crowds; and of which group they are.
        self._queue: OrderedDict[Ticket[K, C] | Group[K, C], Group[K, C]] = OrderedDict()

    # Looking in

    def connections(self) -> list[C]:
        """All connections, those being dialled and the retired ones included, in the order of their creation."""
        return list(self._slots)

    def counts(self) -> Counts:
        """Count connections, and requests: those with a connection or a dial, and those that wait."""
        if self._is_changing:
            self._repair()
        idle = len(self._idle)
        return Counts(
            active_connections=len(self._slots) - idle,
            idle_connections=idle,
            active_requests=self._dials + sum(slot.in_use for slot in self._slots.values()),
            queued_requests=len(self._tickets) - self._dials,
        )

    # Inside

    def _begin(self) -> None:
        """Begin an operation that changes more than one thing; at its end `_is_changing` is false again."""
        if self._is_changing:
            self._repair()
        self._is_changing = True

    @abstractmethod
    def _repair(self) -> None:
        """Put in order what an interrupted operation left."""

    def _lease_of(self, slot: Slot[K, C]) -> Lease[C]:
        """Return the lease of a connection, a new one if who had it is gone."""
        lease = slot.lease or slot.holder()
        if lease is None:
            lease = Lease()
            lease.connection = slot.connection
            slot.holder = ref(lease, self._note_lost)
        return lease

    def _forget(self, slot: Slot[K, C]) -> None:
        """The connection has left."""
        if slot.state is IDLE:
            del self._idle[slot]
        slot.state = GONE
        if slot.ticket is not None:
            slot.ticket.slot = None
        group = slot.group
        group.available.pop(slot, None)
        group.slots -= 1
        self._drop_if_empty(group)

    def _drop_if_empty(self, group: Group[K, C]) -> None:
        if not (group.slots or group.singles or group.crowd):
            del self._groups[group.key]

    def _rebuild(self) -> None:
        """Make all that follows from the slots and the tickets. If that is interrupted, it can be done again."""
        slots = self._slots.values()
        groups = [slot.group for slot in slots]
        groups += [ticket.group for ticket in self._tickets]
        for group in groups:
            group.reset()
        self._groups = {group.key: group for group in groups}
        # In the order in which they were used last, as far as it is known.
        self._idle = OrderedDict.fromkeys(
            slot
            for slot in (*self._idle, *slots)
            if slot.state is IDLE and self._slots.get(slot.connection) is slot
        )
        for slot in slots:
            group = slot.group
            group.slots += 1
            if slot.state is DIALING:
                self._note_dial(slot.ticket)
            elif slot.state is BUSY and 0 < slot.in_use < slot.capacity:
                group.available[slot] = None
        for slot in self._idle:
            slot.group.available[slot] = None
        self._dials = 0
        for ticket in self._tickets:
            if ticket.grant is Grant.DIAL:
                self._dials += 1
                ticket.group.slots += 1
                self._note_dial(ticket)
        self._queue = OrderedDict()
        # One that comes again goes before those that came later.
        for ticket in sorted(self._tickets, key=attrgetter("number")):
            group = ticket.group
            if ticket.grant is not None:
                continue
            if group.exclusive or not ticket.may_share:
                group.singles[ticket] = None
                self._queue[ticket] = group
            else:
                group.crowd[ticket] = None
                if group.dial is None:
                    self._queue[group] = group

    def _note_dial(self, ticket: Ticket[K, C] | None) -> None:
        """Let those who may share wait for the dial of `ticket`."""
        if ticket is not None and ticket.may_share and not ticket.group.exclusive:
            ticket.group.dial = ticket
