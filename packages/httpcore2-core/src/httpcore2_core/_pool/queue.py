"""The queue of requests that wait for a slot: first come, first served, for whichever key.

Requests of one key that may share a connection wait for one dial together (shared waiters), and have one place in the
queue, that of the first of them. Each other request has a place of its own (exclusive waiters).

With a limit on the slots of each key there are two queues, one behind the other: a request first waits until its key
may take one more slot (blocked), then until the pool may. So no request in the pool's queue waits for a slot of its
key, and those of a busy key delay no other. A request that leaves the first queue goes to the end of the second one; or
to its front, if it arrived before the first one there, and no request of its key is ahead.

Must not know: clocks, locks, who uses a connection.
"""

from __future__ import annotations

from abc import ABC
from itertools import takewhile
from math import inf

from .._http.close_reason import CloseReason
from .slots import DIAL, C, Group, K, Tables, Ticket


class Queue(Tables[K, C], ABC):
    """The tables, with the operations on what waits."""

    __slots__ = ("_max_connections",)

    def __init__(
        self,
        max_connections: int | None,
        max_per_key: int | None,
        max_shared_per_key: int | None,
    ) -> None:
        super().__init__(max_per_key, max_shared_per_key)
        self._max_connections = inf if max_connections is None else max_connections

    def _can_dial(self) -> bool:
        """Whether the pool has a free slot, or can free one."""
        return len(self._slots) + self._dials < self._max_connections or bool(self._idle)

    def _grant_dial(self, ticket: Ticket[K, C]) -> None:
        ticket.grant = DIAL
        # First, lest the group be dropped with the connection that is closed for the dial.
        group = ticket.group
        group.slots += 1
        group.connecting += 1
        if len(self._slots) + self._dials >= self._max_connections:
            self._close(next(iter(self._idle)), CloseReason.EVICTED)
        self._dials += 1

    def _unblock(self, group: Group[K, C]) -> None:
        while group.blocked and self._may_dial(group):
            ticket, _ = group.blocked.popitem(last=False)
            is_only = not group.exclusive_waiters
            group.add_exclusive(ticket)
            if is_only:
                self._enqueue_first_or_last(ticket, group)
            else:
                self._queue[ticket] = group
        if group.shared_waiters and group.dial is None and group not in self._queue:
            self._enqueue_group(group)

    def _is_preceded(self, group: Group[K, C]) -> bool:
        """Whether the first in the queue, for another key, came before all requests of `group`."""
        if self._max_per_key is None:
            return True
        waiting = group.exclusive_waiters or group.blocked or group.shared_waiters
        return not waiting or _arrival(next(iter(self._queue))) < next(iter(waiting)).number

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
        if not group.shared_waiters:
            return
        queue = self._queue
        if group.is_exclusive:
            # Even if another dial is under way: requests that arrive now would be served before them.
            queue.pop(group, None)
            for waiter in group.shared_waiters:
                self._enqueue(group, waiter)
            group.shared_waiters.clear()
        elif group.dial is None and group not in queue:
            self._enqueue_group(group)

    def _enqueue_group(self, group: Group[K, C]) -> None:
        """Put the group into the queue for its shared waiters, if its limit permits a dial for them."""
        if group in self._queue or self._may_dial(group, may_share=True):
            self._enqueue_first_or_last(group, group)

    def _enqueue_first_or_last(
        self, waiting: Ticket[K, C] | Group[K, C], group: Group[K, C]
    ) -> None:
        """Put a request, or a group, into the queue: in front, if it arrived before all others, else at the end."""
        queue = self._queue
        queue[waiting] = group
        if _arrival(waiting) < _arrival(next(iter(queue))):
            queue.move_to_end(waiting, last=False)

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
        if ticket.grant is DIAL:
            self._dials -= 1
            group.slots -= 1
            group.connecting -= 1
            if self._max_per_key is not None:
                self._unblock(group)
            self._drop_if_empty(group)
            self._end_dial(group, ticket)
            return
        if ticket in group.exclusive_waiters:
            del group.exclusive_waiters[ticket], self._queue[ticket]
        elif ticket in group.blocked:
            del group.blocked[ticket]
        else:
            del group.shared_waiters[ticket]
            if not group.shared_waiters:
                self._queue.pop(group, None)
        if self._max_per_key is not None:
            self._unblock(group)
        self._drop_if_empty(group)


def _arrival(waiting: Ticket[K, C] | Group[K, C]) -> float:
    ticket = waiting if isinstance(waiting, Ticket) else next(iter(waiting.shared_waiters))
    return ticket.number
