"""Which request gets which connection: the pool's decisions, and nothing else.

The ledger decides and never does. The pool carries out what it decided: it dials, closes what it finds in `closing`,
and wakes the requests whose tickets it finds in `granted`.

    connection = ledger.checkout(key, now)                  one at rest, or one with room for another request
    if connection is None:
        ticket = ledger.reserve(key, may_share=True)        ticket.grant: DIAL now, or None: wait for it
    ledger.add(ticket, connection)                          DIAL: the dial begins
    ledger.established(connection, capacity)                it has succeeded; or discard(connection)
    ledger.checkin(connection, now)                         the request is done; or discard(connection)

Rules:

- Slots are what `max_connections` counts. A slot is taken from the moment that a dial is granted.
- First come, first served: a freed slot goes to whoever has stood in the queue longest, for whichever key, and a
  connection at rest is closed for it where need be. Nobody waits while a slot is free or a connection is at rest.
- Requests of one key that may share a connection form a crowd: they wait for one dial together, and stand in the queue
  as one, so that a crowd takes one slot at a time. Room on any connection of the key goes to its waiters first.
- A connection at rest whose peer allows no request is closed: that it allows some again, nobody would see.
- A connection whose expiry has come when its last request ends is closed then, and serves no waiter: its server may be
  closing it. With an expiry of 0 seconds, or no keep-alive at all, each connection serves one request at a time and once.
- A request that gives up hands on what it was just given (`abandon`).
- A request that comes again, since its connection did not process it, goes before those of its key that came later.
- Each operation takes the same time for one and for a million connections, keys or waiters (amortised), and
  a key with neither connections nor waiters leaves nothing behind.
- A connection that the ledger doesn't hold is ignored: it may have been discarded while requests were using it.
  Any other misuse is an `AssertionError`.

Must not know: clocks (`now` is an argument, in seconds), locks, tasks, HTTP, or what keys and connections are. Not
thread-safe: the pool holds its lock around each call.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from enum import Enum, auto
from itertools import takewhile
from math import inf
from typing import Any, Generic, NamedTuple, TypeVar

K = TypeVar("K", bound=Hashable)
C = TypeVar("C", bound=Hashable)


class State(Enum):
    """The life of a connection."""

    DIALING = auto()
    BUSY = auto()
    IDLE = auto()
    RETIRED = auto()  # Takes no new request; those that it has may finish.
    GONE = auto()


# Enum's own way to its members is slow; see those of `_established.State`.
_DIALING, _BUSY, _IDLE, _RETIRED, _GONE = State


class Grant(Enum):
    """What a ticket has got."""

    DIAL = auto()  # A slot: dial, and `add()` the connection.
    REUSE = auto()  # A reservation on `ticket.connection`.
    CLEARED = auto()  # Nothing, because of `clear()`: ask again, or give up.


class Counts(NamedTuple):
    active_connections: int
    idle_connections: int
    active_requests: int
    queued_requests: int


class Ticket(Generic[K, C]):
    """A request that has asked for a slot. `grant` is `None` while it waits."""

    __slots__ = ("_group", "_number", "_spent", "connection", "grant", "key", "waiter")

    def __init__(self, group: _Group[K, C], number: float) -> None:
        self.key = group.key
        self.grant: Grant | None = None
        self.connection: C | None = None
        # The pool's own; the ledger never looks at it.
        self.waiter: Any = None
        self._group = group
        self._number = number
        self._spent = False


class _Slot(Generic[K, C]):
    """A connection and what is known of it."""

    __slots__ = ("capacity", "connection", "expires_at", "group", "in_use", "state", "ticket")

    def __init__(self, connection: C, ticket: Ticket[K, C]) -> None:
        self.connection = connection
        self.group = ticket._group
        self.state = _DIALING
        self.capacity = 1
        self.in_use = 1
        self.expires_at = inf
        # Whose dial it is, while it is one.
        self.ticket: Ticket[K, C] | None = ticket


class _Group(Generic[K, C]):
    """All that there is of one key; dropped when there is nothing."""

    __slots__ = ("available", "crowd", "dial", "exclusive", "key", "singles", "slots")

    def __init__(self, key: K) -> None:
        self.key = key
        # Slots taken, those without a connection yet included.
        self.slots = 0
        # Connections with room for a request, the last used at the end. Empty while anyone waits.
        self.available: dict[_Slot[K, C], None] = {}
        # Those who wait for a slot each, and those who wait for one dial together.
        # OrderedDict, since finding the first of a dict from which many firsts were deleted is O(n).
        self.singles: OrderedDict[Ticket[K, C], None] = OrderedDict()
        self.crowd: OrderedDict[Ticket[K, C], None] = OrderedDict()
        # The dial that the crowd waits for. Without one the group stands in the queue on the crowd's behalf.
        self.dial: Ticket[K, C] | None = None
        # The last dial brought a connection for one request at a time: sharing is not to be hoped for.
        self.exclusive = False


class Ledger(Generic[K, C]):
    """The connections of a pool, who uses them, and who waits for them.

    Args:
        max_connections: slots, or `None` for any number. With 0 everyone waits.
        max_keepalive: how many connections may be idle; `None` for any number.
        keepalive_expiry: seconds after which an idle connection isn't used any more, 0 to keep none; `None` for never.
    """

    __slots__ = (
        "_dials",
        "_expires",
        "_groups",
        "_idle",
        "_keepalive_expiry",
        "_max_connections",
        "_max_keepalive",
        "_queue",
        "_slots",
        "arrivals",
        "closing",
        "granted",
    )

    def __init__(
        self,
        max_connections: int | None,
        max_keepalive: int | None,
        keepalive_expiry: float | None,
    ) -> None:
        self._max_connections = inf if max_connections is None else max_connections
        self._max_keepalive = inf if max_keepalive is None else max_keepalive
        # Without keep-alive each connection expires as soon as it is idle.
        if max_keepalive == 0:
            keepalive_expiry = 0.0
        self._keepalive_expiry = inf if keepalive_expiry is None else keepalive_expiry
        # Connections that left by the ledger's decision, for the pool to close and take out of the list.
        self.closing: list[C] = []
        # Tickets that were granted something while they waited, for the pool to wake and take out of the list.
        self.granted: list[Ticket[K, C]] = []
        self._groups: dict[K, _Group[K, C]] = {}
        self._slots: dict[C, _Slot[K, C]] = {}
        # Dials that were granted and have no connection yet.
        self._dials: dict[Ticket[K, C], None] = {}
        # The least recently used first.
        self._idle: OrderedDict[_Slot[K, C], None] = OrderedDict()
        # Whether any connection has had an expiry, be it of its server's.
        self._expires = keepalive_expiry is not None
        # Who waits for a slot: single requests, and groups on behalf of their crowds; and of which group they are.
        self._queue: OrderedDict[Ticket[K, C] | _Group[K, C], _Group[K, C]] = OrderedDict()
        # How many have reserved so far: for whoever comes now, its place in the queue if it comes again.
        self.arrivals = 0

    # Requests

    def checkout(self, key: K, now: float) -> C | None:
        """Reserve the last used connection to `key` that has room, and return it; `None`: `reserve()` a slot."""
        idle = self._idle
        if self._expires and idle and now > next(iter(idle)).expires_at:
            self.expire(now)
        group = self._groups.get(key)
        if group is None:
            return None
        available = group.available
        while available:
            slot, _ = available.popitem()
            if slot.state is _IDLE:
                if now > slot.expires_at:
                    self._close(slot)
                    continue
                del idle[slot]
                slot.state = _BUSY
            slot.in_use += 1
            if slot.in_use < slot.capacity:
                available[slot] = None
            return slot.connection
        return None

    def reserve(self, key: K, may_share: bool, arrival: int | None = None) -> Ticket[K, C]:
        """Grant a dial, or queue; only after `checkout()` returned `None`.

        With `may_share`, which is the same for all requests of a key, they expect to be able to use one connection:
        a request waits for the dial of another instead of dialling, unless the key's last dial has shown otherwise.
        One that comes again tells `arrival`: what `arrivals` was when it came first.
        """
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = _Group(key)
        assert not group.available, "reserve() although checkout() has a connection"
        self.arrivals += 1
        # One that comes again came after the ticket of that number, and before the next.
        ticket = Ticket(group, self.arrivals if arrival is None else arrival + 0.5)
        if not may_share or group.exclusive:
            if self._can_dial():
                self._grant_dial(ticket)
            else:
                group.singles[ticket] = None
                self._queue[ticket] = group
        elif group.crowd or group.dial is not None:
            group.crowd[ticket] = None
            if arrival is not None:
                self._go_ahead(group, ticket)
        elif self._can_dial():
            group.dial = ticket
            self._grant_dial(ticket)
        else:
            group.crowd[ticket] = None
            self._line_up(group)
        return ticket

    def abandon(self, ticket: Ticket[K, C], now: float) -> None:
        """The request is cancelled or out of time: it leaves the queue, or hands on what it was granted.

        Not after it has begun to use that: a connection is then checked in or discarded instead.
        """
        assert not ticket._spent, "abandon() of a ticket that was abandoned or used"
        ticket._spent = True
        group = ticket._group
        if ticket.grant is None:
            if ticket in group.singles:
                del group.singles[ticket], self._queue[ticket]
            else:
                del group.crowd[ticket]
                if not group.crowd:
                    self._queue.pop(group, None)
            self._drop_if_empty(group)
        elif ticket.grant is Grant.DIAL:
            del self._dials[ticket]
            group.slots -= 1
            self._drop_if_empty(group)
            self._end_dial(group, ticket)
            self._serve()
        elif ticket.connection is not None:
            slot = self._slots.get(ticket.connection)
            if slot is not None:
                self.checkin(slot.connection, now, slot.expires_at)

    # Connections

    def add(self, ticket: Ticket[K, C], connection: C) -> None:
        """`connection` is being dialled for `ticket`."""
        assert ticket.grant is Grant.DIAL, "add() for a ticket that wasn't granted a dial"
        assert not ticket._spent, "add() for a ticket that was abandoned or used"
        assert connection not in self._slots, "add() of a connection that is there already"
        ticket._spent = True
        del self._dials[ticket]
        self._slots[connection] = _Slot(connection, ticket)

    def established(self, connection: C, capacity: int) -> None:
        """The dial has succeeded; `capacity` requests can use `connection` at a time, one of them the dialer."""
        slot = self._slots.get(connection)
        if slot is None:
            return
        assert slot.state is _DIALING, "established() without a dial"
        assert capacity >= 1, "established() without room for the dialer"
        slot.state = _BUSY
        group = slot.group
        group.exclusive = capacity == 1
        slot.capacity = capacity
        self._admit(slot)
        self._end_dial(group, slot.ticket)
        slot.ticket = None
        self._serve()

    def set_capacity(self, connection: C, capacity: int) -> None:
        """The peer now allows `capacity` requests at a time; 0, and fewer than there are, included."""
        slot = self._slots.get(connection)
        if slot is None:
            return
        assert slot.state is not _DIALING, "set_capacity() before established()"
        slot.capacity = capacity
        if slot.state is _IDLE and not capacity:
            self._close(slot)
        elif slot.state is not _RETIRED:
            self._admit(slot)

    def checkin(self, connection: C, now: float, expires_at: float | None = None) -> None:
        """A request is done, and `connection` can take another, at `expires_at` the latest."""
        slot = self._slots.get(connection)
        if slot is None:
            return
        slot.in_use = in_use = slot.in_use - 1
        slot.expires_at = now + self._keepalive_expiry
        if expires_at is not None:
            self._expires = True
            slot.expires_at = min(slot.expires_at, expires_at)
        group = slot.group
        if slot.state is not _BUSY:
            assert slot.state is _RETIRED, "checkin() without a reservation"
            if not in_use:
                self._close(slot)
                self._serve()
            return
        if not in_use and (
            not slot.capacity
            or slot.expires_at <= now
            or (self._queue and next(iter(self._queue.values())) is not group)
        ):
            self._close(slot)
            self._serve()
            return
        if group.singles or group.crowd:
            self._admit(slot)
        elif in_use < slot.capacity:
            group.available[slot] = None
        if not slot.in_use:
            slot.state = _IDLE
            self._idle[slot] = None
            if len(self._idle) > self._max_keepalive:
                self._close(next(iter(self._idle)))

    def retire(self, connection: C) -> None:
        """`connection` takes no new request; when the last one that uses it is checked in, it leaves."""
        slot = self._slots.get(connection)
        if slot is None or slot.state is _RETIRED:
            return
        if slot.state is _IDLE:
            self._close(slot)
            return
        assert slot.state is _BUSY, "retire() before established()"
        slot.state = _RETIRED
        slot.group.available.pop(slot, None)

    def discard(self, connection: C) -> None:
        """`connection` is broken or closed, or its dial has failed: it leaves at once, and frees its slot."""
        slot = self._slots.get(connection)
        if slot is None:
            return
        self._leave(slot)
        self._end_dial(slot.group, slot.ticket)
        self._serve()

    def expire(self, now: float) -> None:
        """Close idle connections past their expiry, from the least recently used on.

        One that expires sooner than those used before it is found when its turn or its key comes.
        """
        while self._idle and now > (slot := next(iter(self._idle))).expires_at:
            self._close(slot)

    def clear(self) -> tuple[list[C], list[Ticket[K, C]]]:
        """Forget everything; return the connections to close and the tickets to wake, now `CLEARED`.

        Among the tickets are those that were granted a dial and have not begun it.
        """
        connections = list(self._slots)
        tickets = list(self._dials)
        for group in self._groups.values():
            tickets += group.singles
            tickets += group.crowd
        tickets.sort(key=_number)
        for ticket in tickets:
            ticket.grant = Grant.CLEARED
        self._groups.clear()
        self._slots.clear()
        self._dials.clear()
        self._idle.clear()
        self._queue.clear()
        return connections, tickets

    # Looking in

    def connections(self) -> list[C]:
        """All connections, those being dialled and the retired ones included, in the order of their creation."""
        return list(self._slots)

    def counts(self) -> Counts:
        """Count connections, and requests: those with a connection or a dial, and those that wait."""
        idle = len(self._idle)
        return Counts(
            active_connections=len(self._slots) - idle,
            idle_connections=idle,
            active_requests=len(self._dials) + sum(slot.in_use for slot in self._slots.values()),
            queued_requests=sum(len(g.singles) + len(g.crowd) for g in self._groups.values()),
        )

    # Inside

    def _can_dial(self) -> bool:
        return len(self._slots) + len(self._dials) < self._max_connections or bool(self._idle)

    def _grant_dial(self, ticket: Ticket[K, C]) -> None:
        ticket.grant = Grant.DIAL
        # First, lest the group be dropped with the connection that has to go.
        ticket._group.slots += 1
        if len(self._slots) + len(self._dials) >= self._max_connections:
            self._close(next(iter(self._idle)))
        self._dials[ticket] = None

    def _end_dial(self, group: _Group[K, C], ticket: Ticket[K, C] | None) -> None:
        """The dial of `ticket` is over: those of the crowd who got nothing from it go on to the queue."""
        if group.dial is ticket:
            group.dial = None
        if not group.crowd or group.dial is not None:
            return
        queue = self._queue
        if group.exclusive:
            queue.pop(group, None)
            for joiner in group.crowd:
                group.singles[joiner] = None
                queue[joiner] = group
            group.crowd.clear()
        elif group not in queue:
            self._line_up(group)

    def _line_up(self, group: _Group[K, C]) -> None:
        """Have the crowd stand in the queue, where its first belongs if that is the front."""
        queue = self._queue
        queue[group] = group
        if _arrival(group) < _arrival(next(iter(queue))):
            queue.move_to_end(group, last=False)

    def _go_ahead(self, group: _Group[K, C], ticket: Ticket[K, C]) -> None:
        """Move `ticket` from the end of its crowd to before those that came later.

        It is those before it that are moved: few, since all of them come again, as it does.
        """
        crowd = group.crowd
        before = list(takewhile(lambda other: other._number <= ticket._number, crowd))
        crowd.move_to_end(ticket, last=False)
        for other in reversed(before):
            crowd.move_to_end(other, last=False)
        if group in self._queue:
            self._line_up(group)

    def _serve(self) -> None:
        """Give what slots there are to those who have stood in the queue longest."""
        while self._queue and self._can_dial():
            first, _ = self._queue.popitem(last=False)
            if isinstance(first, Ticket):
                ticket = first
                del ticket._group.singles[ticket]
            else:
                ticket, _ = first.crowd.popitem(last=False)
                first.dial = ticket
            self._grant_dial(ticket)
            self.granted.append(ticket)

    def _admit(self, slot: _Slot[K, C]) -> None:
        """Give what room `slot` has to the waiters of its key, and what is left to those who come."""
        group = slot.group
        while slot.in_use < slot.capacity:
            # A crowd forms when its key is not exclusive any more: its requests came after the singles.
            if group.singles:
                ticket, _ = group.singles.popitem(last=False)
                del self._queue[ticket]
            elif group.crowd:
                ticket, _ = group.crowd.popitem(last=False)
                if not group.crowd:
                    self._queue.pop(group, None)
            else:
                group.available[slot] = None
                return
            slot.in_use += 1
            ticket.grant = Grant.REUSE
            ticket.connection = slot.connection
            self.granted.append(ticket)
        group.available.pop(slot, None)

    def _close(self, slot: _Slot[K, C]) -> None:
        self._leave(slot)
        self.closing.append(slot.connection)

    def _leave(self, slot: _Slot[K, C]) -> None:
        if slot.state is _IDLE:
            del self._idle[slot]
        slot.state = _GONE
        del self._slots[slot.connection]
        group = slot.group
        group.available.pop(slot, None)
        group.slots -= 1
        self._drop_if_empty(group)

    def _drop_if_empty(self, group: _Group[K, C]) -> None:
        if not (group.slots or group.singles or group.crowd):
            del self._groups[group.key]


def _number(ticket: Ticket[K, C]) -> float:
    return ticket._number


def _arrival(waiting: Ticket[K, C] | _Group[K, C]) -> float:
    ticket = waiting if isinstance(waiting, Ticket) else next(iter(waiting.crowd))
    return ticket._number
