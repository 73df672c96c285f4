"""What the ledger knows of a connection (a slot), of a request that waits (a ticket), and of a key (a group).

Rules: slots and tickets are facts, each of which changes in one instruction. A group is derived from them: `tables.py`
derives it anew after an interruption.
Must not know: clocks, locks, which request gets which connection.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from enum import Enum, auto
from math import inf
from typing import Any, Generic, NamedTuple, TypeVar
from weakref import ref

from .._http.close_reason import CloseReason
from .._http.lease import Lease
from .quota import Quota
from .states import DIALING, IDLE, TRANSITIONS, SlotEvent, SlotState
from .statistics import OriginStats

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
