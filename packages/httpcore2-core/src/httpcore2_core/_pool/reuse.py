"""What becomes of a connection when a request on it ends: waiters get it, it is idle, or it is closed.

Must not know: clocks, locks, who uses a connection.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Hashable
from math import inf

from .._http.close_reason import CloseReason
from .._http.lease import Lease
from .queue import Queue
from .slots import CLEARED, REUSE, C, K, Slot
from .states import BUSY, IDLE, RETIRED, SlotEvent

# The attributes of an enum's class are slow to get.
_RESTED, _RETIRED = SlotEvent.RESTED, SlotEvent.RETIRED


class Reuse(Queue[K, C], ABC):
    """The tables and the queue, with the operations on connections that are in use."""

    __slots__ = ("_max_keepalive",)

    def __init__(
        self,
        max_connections: int | None,
        max_keepalive: int | None,
        max_per_origin: int | None,
        max_shared_per_key: int | None,
        origin_of: Callable[[K], Hashable] | None,
    ) -> None:
        super().__init__(max_connections, max_per_origin, max_shared_per_key, origin_of)
        # `None` rather than infinity: the idle connections need not be counted then.
        self._max_keepalive = max_keepalive

    def _share(self, slot: Slot[K, C], now: float) -> Lease[C] | None:
        """Reserve a connection that others use, too.

        `None` if it has expired or was lost, and is closed, or is too old, and is retired.
        """
        lease = slot.holder()
        if slot.state is IDLE or lease is None:
            self._close(slot, CloseReason.LOST if lease is None else slot.expiry_reason)
            self._grant_slots()
            return None
        if now >= slot.retires_at:
            self._retire_old(slot)
            return None
        slot.in_use += 1
        if slot.in_use < slot.capacity:
            slot.group.available[slot] = None
        return lease

    def _retire_old(self, slot: Slot[K, C]) -> None:
        """Give a connection in use no further request, because of its age."""
        slot.retires_at = -inf
        self._retire(slot)

    def _retire(self, slot: Slot[K, C]) -> None:
        slot.change(_RETIRED)
        group = slot.group
        group.retired += 1
        group.available.pop(slot, None)
        if self._max_per_origin is not None:
            # Its waiters may now get another connection.
            self._unblock(group)
            self._grant_slots()

    def _release(self, slot: Slot[K, C], lease: Lease[C], expires_at: float, now: float) -> None:
        """A request on the connection has ended; it expires at `expires_at`, at its retirement the latest."""
        assert slot.state is BUSY or slot.state is RETIRED, "checkin() without a reservation"
        in_use = slot.in_use - 1
        # From here on nothing is called, until it is noted.
        if not in_use:
            lease.uses += 1
        slot.in_use = in_use
        slot.expires_at = expires_at
        if in_use and now >= slot.retires_at and slot.state is BUSY:
            self._retire_old(slot)
        if not in_use and expires_at <= now:
            self._close(slot, slot.expiry_reason)
            self._grant_slots()
        else:
            self._use_room(slot, lease)

    def _use_room(self, slot: Slot[K, C], lease: Lease[C]) -> None:
        """Grant the room that a connection has to waiters, or leave it idle, or close it."""
        if slot.in_use:
            if slot.state is BUSY:
                self._grant_room(slot, lease)
            return
        if slot.state is RETIRED or not slot.capacity:
            is_old = slot.retires_at == -inf
            self._close(slot, CloseReason.AGED if is_old else CloseReason.RETIRED)
            self._grant_slots()
        elif (
            self._queue and next(iter(self._queue.values())) is not slot.group
            if self._max_per_origin is None
            else self._is_preceded(slot.group)
        ):
            self._close(slot, CloseReason.EVICTED)
            self._grant_slots()
        else:
            self._grant_room(slot, lease)
            if not slot.in_use:
                self._rest(slot, lease)

    def _rest(self, slot: Slot[K, C], lease: Lease[C]) -> None:
        """Leave the connection idle."""
        slot.lease = lease
        slot.change(_RESTED)
        self._idle[slot] = None
        if self._max_per_origin is not None:
            assert slot.group.quota is not None, "there is a limit"
            slot.group.quota.note_idle(slot)
        if self._max_keepalive is not None and len(self._idle) > self._max_keepalive:
            self._close(next(iter(self._idle)), CloseReason.EVICTED)

    def _grant_room(self, slot: Slot[K, C], lease: Lease[C]) -> None:
        """Grant the room of `slot` to the waiters of its key, and leave the rest to requests that arrive later."""
        group = slot.group
        while slot.in_use < slot.capacity:
            # There are shared waiters once the key is not exclusive any more: they arrived after the exclusive ones.
            if group.exclusive_waiters:
                ticket, _ = group.exclusive_waiters.popitem(last=False)
                del self._queue[ticket]
            elif group.blocked:
                ticket, _ = group.blocked.popitem(last=False)
                assert group.quota is not None, "there is a limit"
                del group.quota.blocked[ticket]
            elif group.shared_waiters:
                ticket, _ = group.shared_waiters.popitem(last=False)
                if not group.shared_waiters:
                    self._queue.pop(group, None)
            else:
                group.available[slot] = None
                break
            # From here on nothing is called, until it is noted.
            slot.in_use += 1
            del self._tickets[ticket]
            ticket.grant = REUSE
            ticket.lease = lease
            ticket.holder = None
            self.granted.append(ticket)
        else:
            if slot in group.available:  # `pop` takes 100 instructions more
                del group.available[slot]
        if self._max_per_origin is not None:
            self._unblock(group)

    def _repair(self) -> None:
        self._is_changing = True
        for ticket in list(self._tickets):
            if ticket.is_abandoned or ticket.grant is CLEARED:
                self.granted.append(ticket)
                del self._tickets[ticket]
        self._rebuild()
        for slot in list(self._slots.values()):
            if slot.state is IDLE and not slot.capacity:
                self._close(slot, CloseReason.RETIRED)
            elif slot.state is BUSY or slot.state is RETIRED:
                self._use_room(slot, self._lease_of(slot))
        while self._max_keepalive is not None and len(self._idle) > self._max_keepalive:
            self._close(next(iter(self._idle)), CloseReason.EVICTED)
        for slot in list(self._idle):
            if slot.group.quota is not None and slot.group.quota.blocked:
                self._close(slot, CloseReason.EVICTED)
        self._grant_slots()
        # Waiters that were granted something may not have been notified.
        self.granted += [ticket for ticket in self._tickets if ticket.grant is not None]
        self._is_changing = False
