"""The queue of requests that wait for a slot: first come, first served, for whichever key.

Requests of one key that may share a connection wait for one dial together (shared waiters), and have one place in the
queue, that of the first of them. Each other request has a place of its own (exclusive waiters).
Must not know: clocks, locks, who uses a connection.
"""

from __future__ import annotations

from abc import ABC
from itertools import takewhile
from math import inf

from .._http.close_reason import CloseReason
from .slots import C, Grant, Group, K, Tables, Ticket


class Queue(Tables[K, C], ABC):
    """The tables, with the operations on what waits."""

    __slots__ = ("_max_connections",)

    def __init__(self, max_connections: int | None) -> None:
        super().__init__()
        self._max_connections = inf if max_connections is None else max_connections

    def _can_dial(self) -> bool:
        return len(self._slots) + self._dials < self._max_connections or bool(self._idle)

    def _grant_dial(self, ticket: Ticket[K, C]) -> None:
        ticket.grant = Grant.DIAL
        # First, lest the group be dropped with the connection that is closed for the dial.
        ticket.group.slots += 1
        if len(self._slots) + self._dials >= self._max_connections:
            self._close(next(iter(self._idle)), CloseReason.EVICTED)
        self._dials += 1

    def _grant_slots(self) -> None:
        """Grant the free slots to the requests that have waited longest."""
        while self._queue and self._can_dial():
            first, _ = self._queue.popitem(last=False)
            if isinstance(first, Ticket):
                ticket = first
                del ticket.group.exclusive_waiters[ticket]
            else:
                ticket, _ = first.shared_waiters.popitem(last=False)
                first.dial = ticket
            self._grant_dial(ticket)
            self.granted.append(ticket)

    def _end_dial(self, group: Group[K, C], ticket: Ticket[K, C] | None) -> None:
        """The dial of `ticket` is over: put the shared waiters that got nothing from it into the queue."""
        if group.dial is ticket:
            group.dial = None
        if not group.shared_waiters or group.dial is not None:
            return
        queue = self._queue
        if group.is_exclusive:
            queue.pop(group, None)
            for waiter in group.shared_waiters:
                group.exclusive_waiters[waiter] = None
                queue[waiter] = group
            group.shared_waiters.clear()
        elif group not in queue:
            self._enqueue_group(group)

    def _enqueue_group(self, group: Group[K, C]) -> None:
        """Put the group into the queue for its shared waiters; in front, if one of them arrived before all others."""
        queue = self._queue
        queue[group] = group
        if _arrival(group) < _arrival(next(iter(queue))):
            queue.move_to_end(group, last=False)

    def _move_ahead(self, group: Group[K, C], ticket: Ticket[K, C]) -> None:
        """Move `ticket` from the end of the shared waiters to before those that arrived later.

        Those before it are moved: few, since all of them are repeated requests, too.
        """
        waiters = group.shared_waiters
        before = list(takewhile(lambda other: other.number <= ticket.number, waiters))
        waiters.move_to_end(ticket, last=False)
        for other in reversed(before):
            waiters.move_to_end(other, last=False)
        if group in self._queue:
            self._enqueue_group(group)

    def _withdraw(self, ticket: Ticket[K, C]) -> None:
        """Take back the place in the queue, or the dial, of a request that is over."""
        group = ticket.group
        del self._tickets[ticket]
        ticket.holder = None
        if ticket.grant is Grant.DIAL:
            self._dials -= 1
            group.slots -= 1
            self._drop_if_empty(group)
            self._end_dial(group, ticket)
            return
        if ticket in group.exclusive_waiters:
            del group.exclusive_waiters[ticket], self._queue[ticket]
        else:
            del group.shared_waiters[ticket]
            if not group.shared_waiters:
                self._queue.pop(group, None)
        self._drop_if_empty(group)


def _arrival(waiting: Ticket[K, C] | Group[K, C]) -> float:
    ticket = waiting if isinstance(waiting, Ticket) else next(iter(waiting.shared_waiters))
    return ticket.number
