"""Which request gets which connection: the pool's decisions, and nothing else.

The ledger decides, and the engine applies the decisions: it dials, closes the connections in `closing`, and notifies
the requests of the tickets in `granted` (`take_decisions`).

    lease = Lease()
    found = ledger.acquire(key, now, True, lease, create_waiter)
    ticket = lease.ticket                                   if `found` is None; ticket.grant: DIAL, or None: wait
    ledger.add(ticket, connection)                          DIAL: the dial begins
    ledger.established(connection, capacity)                the dial has succeeded; else discard(connection)
    ledger.checkin(connection, now)                         the request is done; or discard(connection)
    lease = ledger.checkout(key, now)                       the next request: an idle connection, or one with room

    ticket = ledger.reserve_ahead(key, True, lease, count)  no request: a dial ahead, or `None`
    ledger.abandon(ticket, now)                             its end: the connection is idle, or closed

Rules:

- Slots are what `max_connections` counts. A slot is taken from the moment in which a dial is granted.
- First come, first served: a freed slot goes to the request that has waited longest, for whichever key, and an idle
  connection of another key is closed for it if need be. No request waits while a slot is free or a connection idle,
  unless its origin has as many slots as it may have, and no idle connection.
- A request that waits for a slot of its origin delays none of another origin, and has its place among the requests of
  its origin. It has a place among all from the moment in which its origin may take a slot for it (`queue.py`).
- Requests of one key that may share a connection wait for one dial together, so that they take one slot at a time
  (`queue.py`). Room on any connection of the key goes to its waiters first.
- An idle connection whose peer allows no request is closed: no operation would notice when it allows some again.
- A connection whose expiry has come when its last request ends is closed then, and serves no waiter: its server may be
  closing it. With an expiry of 0 seconds, or no keep-alive, each serves one request at a time and once.
- A connection that is too old (`retires_at`) takes no further request, and is closed when those that use it have ended.
- A request that is over passes on what it was just granted (`abandon`).
- A connection is dialled ahead only into a free slot, and if it may stay idle: no other connection is closed for it.
- A request that is repeated, since its connection did not process it, is served before those of its key that came
  later.
- A request holds the lease of the connection that it uses, or one of its own while it waits or dials. Connections and
  slots whose lease no longer exists are taken back (`recover`).
- An operation that an exception ends in the middle leaves the ledger for the next one to repair (`tables.py`). Where
  the paths of every request change more than one thing, they call nothing meanwhile: no exception can come in between.
- Each operation takes the same time for one and for a million connections, keys or waiters (amortised), and
  a key with neither connections nor waiters leaves nothing behind.
- A connection that the ledger doesn't hold is ignored: it may have been discarded while requests were using it.
  Any other misuse is an `AssertionError`.

Must not know: clocks (`now` is an argument, in seconds), tasks, HTTP, or what keys and connections are. This one is for
event loops, where one thread calls it; `LockedLedger` is for threads.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from math import inf
from operator import attrgetter
from typing import Any, Generic
from weakref import ref

from .._http.close_reason import CloseReason
from .._http.lease import Lease
from .reuse import Reuse
from .slots import CLEARED, DIAL, C, Group, K, Slot, Ticket
from .states import BUSY, DIALING, IDLE, RETIRED, SlotEvent
from .statistics import Totals

# An attribute of an enum's class is slow to get.
_ESTABLISHED = SlotEvent.ESTABLISHED


class Decisions(Generic[K, C]):
    """What the ledger has decided, for the pool to apply.

    Attributes:
        closing: connections to close, which have left the ledger.
        granted: tickets that were granted something while they waited, to be notified.
    """

    __slots__ = ("closing", "granted")

    def __init__(self) -> None:
        self.closing: list[C] = []
        self.granted: list[Ticket[K, C]] = []


class Ledger(Reuse[K, C]):
    """The connections of a pool, the requests that use them, and those that wait.

    Args:
        max_connections: slots, or `None` for any number. With 0 every request waits.
        max_keepalive: how many connections may be idle; `None` for any number.
        keepalive_expiry: seconds after which an idle connection isn't used any more, 0 to keep none; `None` for never.
        max_per_origin: slots of each origin, 1 or more; `None` for any number.
        max_shared_per_key: connections of each key that several requests share, without retired ones, 1 or more; `None`
            for any number.
        origin_of: returns the origin of a key: the keys of one origin share its slots; `None` if each key has its own.
    """

    __slots__ = ("_keepalive_expiry", "arrivals", "expires")

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
            max_connections, max_keepalive, max_per_origin, max_shared_per_key, origin_of
        )
        # Without keep-alive each connection expires as soon as it is idle.
        if max_keepalive == 0:
            keepalive_expiry = 0.0
        self._keepalive_expiry = inf if keepalive_expiry is None else keepalive_expiry
        # Whether any connection has an expiry, the pool's or its server's.
        self.expires = keepalive_expiry is not None
        # How many tickets there were so far: the place in the queue of a request that arrives now, if it is repeated.
        self.arrivals = 0

    # Requests

    def checkout(self, key: K, now: float) -> Lease[C] | None:
        """Reserve the last used connection to `key` that has room, and return its lease; `None` if there is none."""
        if self._is_changing:
            self._repair()
        idle = self._idle
        if self.expires and idle and now > next(iter(idle)).expires_at:
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
                slot.state = BUSY  # by ACQUIRED; only an idle slot has a lease
                slot.lease = None
                slot.in_use = 1
                if slot.capacity > 1:
                    available[slot] = None
                self._is_changing = False
                return lease
            lease = self._share(slot, now)
            self._is_changing = False
            if lease is not None:
                return lease
        return None

    def acquire(
        self,
        key: K,
        now: float,
        may_share: bool,
        lease: Lease[C],
        create_waiter: Callable[[], Any],
        arrival: int | None = None,
    ) -> Lease[C] | None:
        """Reserve a connection and return its lease; or else a slot for the request of `lease`, which gets a ticket.

        Args:
            key: of the connections that the request can use.
            now: the time.
            may_share: whether several requests of the key may expect to use one connection.
            lease: the request's own.
            create_waiter: makes the ticket's waiter, if the request has to wait.
            arrival: of a repeated request: what `arrivals` was when the request came first.
        """
        if self.lost:
            self.recover()
        found = self.checkout(key, now)
        if found is None:
            ticket = self.reserve(key, may_share, lease, arrival)
            if ticket.grant is None:
                ticket.waiter = create_waiter()
        return found

    def reserve(
        self, key: K, may_share: bool, lease: Lease[C], arrival: int | None = None
    ) -> Ticket[K, C]:
        """Grant a dial to the request of `lease`, or queue it; only after `checkout()` returned `None`.

        With `may_share`, which is the same for all requests of a key, a request waits for the dial of another instead
        of dialling, unless the key's last dial resulted in a connection for one request at a time.
        """
        if self._is_changing:
            self._repair()
        self._is_changing = True
        group = self._groups.get(key)
        if group is None:
            group = Group(key) if self._max_per_origin is None else self._limited_group(key)
            self._groups[key] = group
        assert not group.available, "reserve() although checkout() has a connection"
        self.arrivals += 1
        # A repeated request came after the ticket of that number, and before the next.
        number = self.arrivals if arrival is None else arrival + 0.5
        ticket = Ticket(group, number, may_share, ref(lease, self._note_lost))
        lease.ticket = ticket
        self._tickets[ticket] = None
        if not may_share or group.is_exclusive:
            if self._can_dial() and (self._max_per_origin is None or self._take_place(group)):
                self._grant_dial(ticket)
            elif self._max_per_origin is None:
                if group.exclusive_waiters:
                    group.exclusive_waiters[ticket] = None  # without a call
                else:
                    group.add_exclusive(ticket)
                self._queue[ticket] = group
            else:
                self._enqueue(group, ticket)
        elif group.shared_waiters or group.dial is not None:
            group.add_shared(ticket)
            if arrival is not None:
                self._move_ahead(group, ticket)
        elif self._can_dial() and (
            self._max_per_origin is None or self._take_place(group, may_share=True)
        ):
            group.dial = ticket
            self._grant_dial(ticket)
        else:
            group.add_shared(ticket)
            self._enqueue_group(group)
        self._is_changing = False
        return ticket

    def reserve_ahead(
        self, key: K, may_share: bool, lease: Lease[C], count: int
    ) -> Ticket[K, C] | None:
        """Grant a dial that no request waits for to `lease`; `abandon()` checks the connection in.

        `None` if `count` connections to the key take requests or are dialled, or the limits permit no other.
        """
        if self.lost:
            self.recover()
        self._begin()
        group = self._groups.get(key)
        if group is None:
            group = Group(key) if self._max_per_origin is None else self._limited_group(key)
            self._groups[key] = group
        is_together = may_share and not group.is_exclusive
        is_permitted = (
            group.slots - group.retired < count
            and len(self._slots) + self._dials < self._max_connections
            and (self._max_keepalive is None or len(self._idle) < self._max_keepalive)
            and self._keepalive_expiry > 0
            and self._may_dial(group, may_share=is_together)
        )
        ticket: Ticket[K, C] | None = None
        if is_permitted:
            self._take_place(group)
            self.arrivals += 1
            ticket = Ticket(group, self.arrivals, may_share, ref(lease, self._note_lost))
            lease.ticket = ticket
            self._tickets[ticket] = None
            if is_together and group.dial is None:
                group.dial = ticket
            self._grant_dial(ticket)
        else:
            self._drop_if_empty(group)
        self._is_changing = False
        return ticket

    def abandon(self, ticket: Ticket[K, C], now: float) -> None:
        """The request was cancelled or timed out: it leaves the queue, or passes on what it was granted.

        The connection that was dialled for it is closed, or is checked in if it is established. Not after the request
        has begun to use a connection: that is then checked in or discarded instead.
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
                expires_at = min(slot.expires_at, slot.retires_at)
                self._release(slot, ticket.lease, expires_at, now)
        elif slot is not None and self._slots.get(slot.connection) is slot:
            if slot.state is DIALING:
                self._close(slot, CloseReason.DIAL_FAILED)
                self._end_dial(slot.group, ticket)
            else:
                expires_at = min(now + self._keepalive_expiry, slot.retires_at)
                self._release(slot, self._lease_of(slot), expires_at, now)
        self._grant_slots()
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
            self._close(slot, CloseReason.EXCHANGE_FAILED)
            self._grant_slots()
        self._is_changing = False

    # Connections

    def add(self, ticket: Ticket[K, C], connection: C) -> bool:
        """`connection` is being dialled for `ticket`; false if `clear()` has come first, and it must not be."""
        self._begin()
        assert not ticket.is_abandoned, "add() for a ticket that was abandoned or used"
        assert ticket.slot is None, "add() for a ticket that was abandoned or used"
        if ticket.grant is CLEARED:
            self._is_changing = False
            return False
        assert ticket.grant is DIAL, "add() for a ticket that wasn't granted a dial"
        assert connection not in self._slots, "add() of a connection that is there already"
        assert ticket.holder is not None, "it is its own"
        lease = ticket.holder()
        assert lease is not None, "add() for a ticket whose request no longer exists"
        slot = Slot(connection, ticket, ticket.holder)
        # From here on nothing is called.
        lease.connection = connection
        ticket.slot, ticket.holder = slot, None
        del self._tickets[ticket]
        self._slots[connection] = slot
        self._dials -= 1
        self._is_changing = False
        return True

    def established(self, connection: C, capacity: int, retires_at: float = inf) -> None:
        """The dial has succeeded; `capacity` requests can use `connection` at a time, one of them the dialer.

        From `retires_at` on it takes no further request.
        """
        if self._is_changing:
            self._repair()
        slot = self._slots.get(connection)
        if slot is None:
            return
        assert slot.state is DIALING, "established() without a dial"
        assert capacity >= 1, "established() without room for the dialer"
        self._is_changing = True
        slot.change(_ESTABLISHED)
        group = slot.group
        group.connecting -= 1
        group.is_exclusive = capacity == 1
        if capacity != 1:
            group.note_multiplexed(slot)
        slot.capacity = capacity
        if retires_at != inf:
            self.expires = True
            slot.retires_at = retires_at
        self.totals.opened += 1
        ticket, slot.ticket = slot.ticket, None
        self._grant_room(slot, slot.holder() or self._lease_of(slot))
        self._end_dial(group, ticket)
        if self._queue:
            self._grant_slots()
        self._is_changing = False

    def set_capacity(self, connection: C, capacity: int, now: float) -> None:
        """The peer now allows `capacity` requests at a time; 0, and fewer than there are, included."""
        if self._is_changing:
            self._repair()
        slot = self._slots.get(connection)
        if slot is None:
            return
        assert slot.state is not DIALING, "set_capacity() before established()"
        self._is_changing = True
        if capacity != 1:
            slot.group.note_multiplexed(slot)
        slot.capacity = capacity
        if slot.state is IDLE and not capacity:
            self._close(slot, CloseReason.RETIRED)
        elif slot.state is BUSY and now >= slot.retires_at:
            self._retire_old(slot)
        elif slot.state is not RETIRED:
            self._grant_room(slot, self._lease_of(slot))
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
            self.expires = True
            expiry = min(expiry, expires_at)
        # Not `min`, whose call takes 150 instructions more.
        if expiry > slot.retires_at:  # noqa: PLR1730
            expiry = slot.retires_at
        group = slot.group
        lease = slot.holder()
        if (
            not (self._queue or group.shared_waiters or self._max_per_origin is not None)
            and slot.in_use == 1
            and slot.state is BUSY
            and slot.capacity
            and lease is not None
            and expiry > now
            and (self._max_keepalive is None or len(self._idle) < self._max_keepalive)
        ):
            # From here on nothing is called.
            slot.in_use = 0
            slot.state = IDLE  # by RESTED
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
            self._close(slot, CloseReason.RETIRED)
        else:
            self._retire(slot)
        self._is_changing = False

    def discard(self, connection: C, reason: CloseReason = CloseReason.EXCHANGE_FAILED) -> None:
        """`connection` is broken or closed, or its dial has failed: it leaves at once, and frees its slot."""
        if self._is_changing:
            self._repair()
        slot = self._slots.get(connection)
        if slot is None:
            return
        self._is_changing = True
        del self._slots[connection]
        ticket = slot.ticket
        self._forget(slot, reason)
        if ticket is not None:
            self._end_dial(slot.group, ticket)
        if self._queue:
            self._grant_slots()
        self._is_changing = False

    def close(self, connection: C, reason: CloseReason = CloseReason.EXCHANGE_FAILED) -> None:
        """Discard `connection`, and decide that it is to be closed, whether the ledger holds it or not."""
        self.close_reasons[connection] = reason
        self.closing.append(connection)
        self.discard(connection, reason)

    def expire(self, now: float) -> None:
        """Close idle connections past their expiry, from the least recently used on.

        One that expires sooner than those used before it is found when it would be the next to be closed or used.
        """
        self._begin()
        while self._idle and now > (slot := next(iter(self._idle))).expires_at:
            self._close(slot, slot.expiry_reason)
        self._is_changing = False

    def close_expired(self, now: float) -> int:
        """Close all idle connections past their expiry, in time that grows with their number; return how many."""
        self._begin()
        expired = [slot for slot in self._idle if now > slot.expires_at]
        for slot in expired:
            self._close(slot, slot.expiry_reason)
        self._is_changing = False
        return len(expired)

    def last_expiry(self) -> float:
        """Return when the connection expires that became idle last; infinity if there is none, or never."""
        if self._is_changing:
            self._repair()
        return next(reversed(self._idle)).expires_at if self._idle else inf

    def first_expiry(self) -> float:
        """Return when the first idle connection expires, in time that grows with their number."""
        if self._is_changing:
            self._repair()
        return min((slot.expires_at for slot in self._idle), default=inf)

    def recover(self) -> None:
        """Close the connections, and withdraw the tickets, whose leases no longer exist."""
        self._begin()
        # What is lost from here on stays for the next time.
        count = len(self.lost)
        for slot in [slot for slot in self._slots.values() if slot.is_lost]:
            ticket = slot.ticket
            self._close(slot, CloseReason.LOST)
            self._end_dial(slot.group, ticket)
        for ticket in sorted(
            (each for each in self._tickets if each.is_lost), key=attrgetter("number")
        ):
            self._withdraw(ticket)
        self._grant_slots()
        del self.lost[:count]
        self._is_changing = False

    def clear(self) -> None:
        """Remove everything: all connections are to be closed, and all tickets are `CLEARED`.

        Those that were granted a dial and have not begun it are cleared, too.
        """
        self._begin()
        connections = list(self._slots)
        for slot in self._slots.values():
            reason = CloseReason.DIAL_FAILED if slot.state is DIALING else CloseReason.POOL_CLOSED
            self.totals.closed[reason] += 1
        tickets = sorted(self._tickets, key=attrgetter("number"))
        for ticket in tickets:
            ticket.grant = CLEARED
        idle: OrderedDict[Slot[K, C], None] = OrderedDict()
        queue: OrderedDict[Ticket[K, C] | Group[K, C], Group[K, C]] = OrderedDict()
        self.close_reasons.update(dict.fromkeys(connections, CloseReason.POOL_CLOSED))
        # From here on nothing is called.
        self.closing += connections
        self.granted += tickets
        self._slots, self._tickets = {}, {}
        self._groups, self._dials, self._idle, self._queue = {}, 0, idle, queue
        self._quotas = {}
        self._is_changing = False

    # Statistics

    def note(self, change: Callable[[Totals], None]) -> None:
        """Add something to the totals that the pool alone knows."""
        change(self.totals)

    def continue_from(self, totals: Totals) -> None:
        """Count on from `totals`."""
        self.totals = totals

    # Decisions

    def take_decisions(self, taken: Decisions[K, C]) -> None:
        """Move all decisions to `taken`."""
        # Nothing is called: an exception finds each decision in one place or the other.
        taken.closing += self.closing
        taken.granted += self.granted
        self.closing, self.granted = [], []

    def return_decisions(self, taken: Decisions[K, C]) -> None:
        """Take back the decisions that were not applied, since an exception came."""
        self.closing += taken.closing
        self.granted += taken.granted
