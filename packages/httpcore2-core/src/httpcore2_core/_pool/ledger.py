"""Which request gets which connection: the pool's decisions, and nothing else.

The ledger decides and never does. The pool carries out what it decided: it dials, closes what it finds in `closing`,
and wakes the requests whose tickets it finds in `granted`.

    lease = ledger.checkout(key, now)                       one at rest, or one with room for another request
    if lease is None:
        lease = Lease()
        ticket = ledger.reserve(key, True, lease)           ticket.grant: DIAL now, or None: wait for it
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
  closing it. With an expiry of 0 seconds, or no keep-alive, each serves one request at a time and once.
- A request that gives up hands on what it was just given (`abandon`).
- A request that comes again, since its connection did not process it, goes before those of its key that came later.
- Who uses a connection holds its lease, who waits or dials one of its own. What nobody holds comes back (`recover`).
- An operation that an exception ends in the middle leaves the ledger for the next one to repair (`slots.py`). Where
  the paths of every request change more than one thing, they call nothing meanwhile: no exception can come in between.
- Each operation takes the same time for one and for a million connections, keys or waiters (amortised), and
  a key with neither connections nor waiters leaves nothing behind.
- A connection that the ledger doesn't hold is ignored: it may have been discarded while requests were using it.
  Any other misuse is an `AssertionError`.

Must not know: clocks (`now` is an argument, in seconds), locks, tasks, HTTP, or what keys and connections are. Not
thread-safe: the pool holds its lock around each call.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import takewhile
from math import inf
from operator import attrgetter
from weakref import ref

from .._http.lease import Lease
from .slots import (
    BUSY,
    DIALING,
    IDLE,
    RETIRED,
    C,
    Grant,
    Group,
    K,
    Slot,
    Tables,
    Ticket,
)


class Ledger(Tables[K, C]):
    """The connections of a pool, who uses them, and who waits for them.

    Args:
        max_connections: slots, or `None` for any number. With 0 everyone waits.
        max_keepalive: how many connections may be idle; `None` for any number.
        keepalive_expiry: seconds after which an idle connection isn't used any more, 0 to keep none; `None` for never.
    """

    __slots__ = (
        "_expires",
        "_keepalive_expiry",
        "_max_connections",
        "_max_keepalive",
        "arrivals",
    )

    def __init__(
        self,
        max_connections: int | None,
        max_keepalive: int | None,
        keepalive_expiry: float | None,
    ) -> None:
        super().__init__()
        self._max_connections = inf if max_connections is None else max_connections
        self._max_keepalive = inf if max_keepalive is None else max_keepalive
        # Without keep-alive each connection expires as soon as it is idle.
        if max_keepalive == 0:
            keepalive_expiry = 0.0
        self._keepalive_expiry = inf if keepalive_expiry is None else keepalive_expiry
        # Whether any connection has had an expiry, be it of its server's.
        self._expires = keepalive_expiry is not None
        # How many have reserved so far: for whoever comes now, its place in the queue if it comes again.
        self.arrivals = 0

    # Requests

    def checkout(self, key: K, now: float) -> Lease[C] | None:
        """Reserve the last used connection to `key` that has room, and return its lease; `None`: `reserve()` a slot."""
        if self._is_changing:
            self._repair()
        idle = self._idle
        if self._expires and idle and now > next(iter(idle)).expires_at:
            self.expire(now)
        group = self._groups.get(key)
        if group is None:
            return None
        available = group.available
        while available:
            self._is_changing = True
            slot, _ = available.popitem()
            lease = slot.lease
            if lease is not None and now <= slot.expires_at:
                # From here on nothing is called.
                del idle[slot]
                slot.state = BUSY
                slot.lease = None
                slot.in_use = 1
                if slot.capacity > 1:
                    available[slot] = None
                self._is_changing = False
                return lease
            lease = self._join(slot)
            self._is_changing = False
            if lease is not None:
                return lease
        return None

    def reserve(
        self, key: K, may_share: bool, lease: Lease[C], arrival: int | None = None
    ) -> Ticket[K, C]:
        """Grant a dial to who has `lease`, or queue; only after `checkout()` returned `None`.

        With `may_share`, which is the same for all requests of a key, they expect to be able to use one connection:
        a request waits for the dial of another instead of dialling, unless the key's last dial has shown otherwise.
        One that comes again tells `arrival`: what `arrivals` was when it came first.
        """
        self._begin()
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Group(key)
        assert not group.available, "reserve() although checkout() has a connection"
        self.arrivals += 1
        # One that comes again came after the ticket of that number, and before the next.
        number = self.arrivals if arrival is None else arrival + 0.5
        ticket = Ticket(group, number, may_share, ref(lease, self._note_lost))
        lease.ticket = ticket
        self._tickets[ticket] = None
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
        self._is_changing = False
        return ticket

    def abandon(self, ticket: Ticket[K, C], now: float) -> None:
        """The request is cancelled or out of time: it leaves the queue, or hands on what it was granted.

        What was dialled for it is closed, or is checked in if it is established. Not after the request has begun to use
        a connection: that is then checked in or discarded instead.
        """
        assert not ticket.is_abandoned, "abandon() of a ticket that was abandoned"
        self._begin()
        ticket.is_abandoned = True
        slot = ticket.slot
        if ticket in self._tickets:
            self._withdraw(ticket)
        elif ticket.lease is not None:
            slot = self._slots.get(ticket.lease.connection)
            if slot is not None:
                self._release(slot, ticket.lease, slot.expires_at, now)
        elif slot is not None and self._slots.get(slot.connection) is slot:
            if slot.state is DIALING:
                self._close(slot)
                self._end_dial(slot.group, ticket)
            else:
                self._release(slot, self._lease_of(slot), now + self._keepalive_expiry, now)
        self._serve()
        self._is_changing = False

    def give_up(self, lease: Lease[C], uses: int) -> None:
        """A request on a connection that serves one at a time was interrupted: close it, if that use is not over.

        Args:
            lease: the connection's.
            uses: `lease.uses` as they were when the request got it.
        """
        self._begin()
        slot = self._slots.get(lease.connection)
        if slot is not None and lease.uses == uses:
            self._close(slot)
            self._serve()
        self._is_changing = False

    # Connections

    def add(self, ticket: Ticket[K, C], connection: C) -> None:
        """`connection` is being dialled for `ticket`."""
        self._begin()
        assert not ticket.is_abandoned, "add() for a ticket that was abandoned or used"
        assert ticket.slot is None, "add() for a ticket that was abandoned or used"
        assert ticket.grant is Grant.DIAL, "add() for a ticket that wasn't granted a dial"
        assert connection not in self._slots, "add() of a connection that is there already"
        assert ticket.holder is not None, "it is its own"
        lease = ticket.holder()
        assert lease is not None, "add() for a ticket that nobody has"
        slot = Slot(connection, ticket, ticket.holder)
        # From here on nothing is called.
        lease.connection = connection
        ticket.slot, ticket.holder = slot, None
        del self._tickets[ticket]
        self._slots[connection] = slot
        self._dials -= 1
        self._is_changing = False

    def established(self, connection: C, capacity: int) -> None:
        """The dial has succeeded; `capacity` requests can use `connection` at a time, one of them the dialer."""
        if self._is_changing:
            self._repair()
        slot = self._slots.get(connection)
        if slot is None:
            return
        assert slot.state is DIALING, "established() without a dial"
        assert capacity >= 1, "established() without room for the dialer"
        self._is_changing = True
        slot.state = BUSY
        group = slot.group
        group.exclusive = capacity == 1
        slot.capacity = capacity
        ticket, slot.ticket = slot.ticket, None
        self._admit(slot, self._lease_of(slot))
        self._end_dial(group, ticket)
        self._serve()
        self._is_changing = False

    def set_capacity(self, connection: C, capacity: int) -> None:
        """The peer now allows `capacity` requests at a time; 0, and fewer than there are, included."""
        if self._is_changing:
            self._repair()
        slot = self._slots.get(connection)
        if slot is None:
            return
        assert slot.state is not DIALING, "set_capacity() before established()"
        self._is_changing = True
        slot.capacity = capacity
        if slot.state is IDLE and not capacity:
            self._close(slot)
        elif slot.state is not RETIRED:
            self._admit(slot, self._lease_of(slot))
        self._is_changing = False

    def checkin(self, connection: C, now: float, expires_at: float | None = None) -> None:
        """A request is done, and `connection` can take another, at `expires_at` the latest."""
        if self._is_changing:
            self._repair()
        slot = self._slots.get(connection)
        if slot is None:
            return
        expiry = now + self._keepalive_expiry
        if expires_at is not None:
            self._expires = True
            expiry = min(expiry, expires_at)
        group = slot.group
        lease = slot.holder()
        if (
            slot.in_use == 1
            and slot.state is BUSY
            and slot.capacity
            and lease is not None
            and expiry > now
            and not (self._queue or group.crowd)
            and len(self._idle) < self._max_keepalive
        ):
            # From here on nothing is called.
            slot.in_use = 0
            slot.state = IDLE
            slot.lease = lease
            lease.uses += 1
            slot.expires_at = expiry
            group.available[slot] = None
            self._idle[slot] = None
            return
        self._is_changing = True
        self._release(slot, lease or self._lease_of(slot), expiry, now)
        self._is_changing = False

    def retire(self, connection: C) -> None:
        """`connection` takes no new request; when the last one that uses it is checked in, it leaves."""
        if self._is_changing:
            self._repair()
        slot = self._slots.get(connection)
        if slot is None or slot.state is RETIRED:
            return
        assert slot.state is not DIALING, "retire() before established()"
        self._is_changing = True
        if slot.state is IDLE:
            self._close(slot)
        else:
            slot.state = RETIRED
            slot.group.available.pop(slot, None)
        self._is_changing = False

    def discard(self, connection: C) -> None:
        """`connection` is broken or closed, or its dial has failed: it leaves at once, and frees its slot."""
        if self._is_changing:
            self._repair()
        slot = self._slots.get(connection)
        if slot is None:
            return
        self._is_changing = True
        del self._slots[connection]
        ticket = slot.ticket
        self._forget(slot)
        self._end_dial(slot.group, ticket)
        self._serve()
        self._is_changing = False

    def expire(self, now: float) -> None:
        """Close idle connections past their expiry, from the least recently used on.

        One that expires sooner than those used before it is found when its turn or its key comes.
        """
        self._begin()
        while self._idle and now > (slot := next(iter(self._idle))).expires_at:
            self._close(slot)
        self._is_changing = False

    def recover(self) -> None:
        """Take back what nobody holds any more: close its connections, and withdraw its tickets."""
        self._begin()
        for slot in [slot for slot in self._slots.values() if slot.is_lost]:
            ticket = slot.ticket
            self._close(slot)
            self._end_dial(slot.group, ticket)
        for ticket in sorted(
            (each for each in self._tickets if each.is_lost), key=attrgetter("number")
        ):
            self._withdraw(ticket)
        self._serve()
        self._is_changing = False

    def clear(self) -> tuple[list[C], list[Ticket[K, C]]]:
        """Forget everything; return the connections to close and the tickets to wake, now `CLEARED`.

        Among the tickets are those that were granted a dial and have not begun it.
        """
        self._begin()
        connections = list(self._slots)
        tickets = sorted(self._tickets, key=attrgetter("number"))
        for ticket in tickets:
            ticket.grant = Grant.CLEARED
        idle: OrderedDict[Slot[K, C], None] = OrderedDict()
        queue: OrderedDict[Ticket[K, C] | Group[K, C], Group[K, C]] = OrderedDict()
        # From here on nothing is called.
        self._slots, self._tickets = {}, {}
        self._groups, self._dials, self._idle, self._queue = {}, 0, idle, queue
        self._is_changing = False
        return connections, tickets

    # Inside

    def _can_dial(self) -> bool:
        return len(self._slots) + self._dials < self._max_connections or bool(self._idle)

    def _grant_dial(self, ticket: Ticket[K, C]) -> None:
        ticket.grant = Grant.DIAL
        # First, lest the group be dropped with the connection that has to go.
        ticket.group.slots += 1
        if len(self._slots) + self._dials >= self._max_connections:
            self._close(next(iter(self._idle)))
        self._dials += 1

    def _end_dial(self, group: Group[K, C], ticket: Ticket[K, C] | None) -> None:
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

    def _line_up(self, group: Group[K, C]) -> None:
        """Put the group into the queue for its crowd, at the front if its first request came before all others."""
        queue = self._queue
        queue[group] = group
        if _arrival(group) < _arrival(next(iter(queue))):
            queue.move_to_end(group, last=False)

    def _go_ahead(self, group: Group[K, C], ticket: Ticket[K, C]) -> None:
        """Move `ticket` from the end of its crowd to before those that came later.

        It is those before it that are moved: few, since all of them come again, as it does.
        """
        crowd = group.crowd
        before = list(takewhile(lambda other: other.number <= ticket.number, crowd))
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
                del ticket.group.singles[ticket]
            else:
                ticket, _ = first.crowd.popitem(last=False)
                first.dial = ticket
            self._grant_dial(ticket)
            self.granted.append(ticket)

    def _withdraw(self, ticket: Ticket[K, C]) -> None:
        """Take back the place in the queue, or the dial, of a request that is gone."""
        group = ticket.group
        del self._tickets[ticket]
        ticket.holder = None
        if ticket.grant is Grant.DIAL:
            self._dials -= 1
            group.slots -= 1
            self._drop_if_empty(group)
            self._end_dial(group, ticket)
            return
        if ticket in group.singles:
            del group.singles[ticket], self._queue[ticket]
        else:
            del group.crowd[ticket]
            if not group.crowd:
                self._queue.pop(group, None)
        self._drop_if_empty(group)

    def _join(self, slot: Slot[K, C]) -> Lease[C] | None:
        """Reserve a connection that others use, too. One that has expired or was lost is closed: `None`."""
        lease = slot.holder()
        if slot.state is IDLE or lease is None:
            self._close(slot)
            self._serve()
            return None
        slot.in_use += 1
        if slot.in_use < slot.capacity:
            slot.group.available[slot] = None
        return lease

    def _release(self, slot: Slot[K, C], lease: Lease[C], expires_at: float, now: float) -> None:
        """A request on the connection has ended."""
        assert slot.state is BUSY or slot.state is RETIRED, "checkin() without a reservation"
        in_use = slot.in_use - 1
        # From here on nothing is called, until it is noted.
        if not in_use:
            lease.uses += 1
        slot.in_use = in_use
        slot.expires_at = expires_at
        if not in_use and expires_at <= now:
            self._close(slot)
            self._serve()
        else:
            self._use_room(slot, lease)

    def _use_room(self, slot: Slot[K, C], lease: Lease[C]) -> None:
        """Give the room that a connection has to those who wait, or leave it idle, or close it."""
        if slot.in_use:
            if slot.state is BUSY:
                self._admit(slot, lease)
            return
        if (
            slot.state is RETIRED
            or not slot.capacity
            or (self._queue and next(iter(self._queue.values())) is not slot.group)
        ):
            self._close(slot)
            self._serve()
            return
        self._admit(slot, lease)
        if not slot.in_use:
            slot.lease = lease
            slot.state = IDLE
            self._idle[slot] = None
            if len(self._idle) > self._max_keepalive:
                self._close(next(iter(self._idle)))

    def _admit(self, slot: Slot[K, C], lease: Lease[C]) -> None:
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
            # From here on nothing is called, until it is noted.
            slot.in_use += 1
            del self._tickets[ticket]
            ticket.grant = Grant.REUSE
            ticket.lease = lease
            ticket.holder = None
            self.granted.append(ticket)
        group.available.pop(slot, None)

    def _close(self, slot: Slot[K, C]) -> None:
        # Nothing is called in between.
        del self._slots[slot.connection]
        self.closing.append(slot.connection)
        self._forget(slot)

    def _repair(self) -> None:
        self._is_changing = True
        for ticket in list(self._tickets):
            if ticket.is_abandoned or ticket.grant is Grant.CLEARED:
                self.granted.append(ticket)
                del self._tickets[ticket]
        self._rebuild()
        for slot in list(self._slots.values()):
            if slot.state is IDLE and not slot.capacity:
                self._close(slot)
            elif slot.state is BUSY or slot.state is RETIRED:
                self._use_room(slot, self._lease_of(slot))
        while len(self._idle) > self._max_keepalive:
            self._close(next(iter(self._idle)))
        self._serve()
        # Whoever was granted something may not have been told.
        self.granted += [ticket for ticket in self._tickets if ticket.grant is not None]
        self._is_changing = False


def _arrival(waiting: Ticket[K, C] | Group[K, C]) -> float:
    ticket = waiting if isinstance(waiting, Ticket) else next(iter(waiting.crowd))
    return ticket.number
