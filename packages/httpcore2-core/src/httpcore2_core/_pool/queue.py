"""The queue of requests that wait for a slot: first come, first served, for whichever key.

Requests of one key that may share a connection wait for one dial together (shared waiters), and have one place in the
queue, that of the first of them. Each other request has a place of its own (exclusive waiters).

With a limit on the slots of each origin there are two queues, one behind the other: a request first waits until its
origin may take one more slot (blocked), then until the pool may. The keys of one origin have the first queue together
(`quota.py`). So no request in the pool's queue waits for a slot of its origin, and those of a busy origin delay no
other. A request that leaves the first queue goes to the end of the second one; or to its front, if it arrived before
the first one there, and no request of its key is ahead.

Must not know: clocks, locks, who uses a connection.
"""

from __future__ import annotations

from abc import ABC
from collections import OrderedDict
from collections.abc import Callable, Hashable
from itertools import takewhile
from math import inf
from typing import Any

from .._http.close_reason import CloseReason
from .quota import Quota
from .slots import DIAL, C, Group, K, LimitedGroup, Ticket
from .tables import Tables


class Queue(Tables[K, C], ABC):
    """The tables, with the operations on what waits."""

    __slots__ = ("_max_connections",)

    def __init__(
        self,
        max_connections: int | None,
        max_per_origin: int | None,
        max_shared_per_key: int | None,
        origin_of: Callable[[K], Hashable] | None,
    ) -> None:
        super().__init__(max_per_origin, max_shared_per_key, origin_of)
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

    # The limits of origins and keys

    def _limited_group(self, key: K) -> LimitedGroup[K, C]:
        """Return a new group, which shares its slots with those of the same origin."""
        origin = key if self._origin_of is None else self._origin_of(key)
        quota = self._quotas.get(origin)
        if quota is None:
            quota = self._quotas[origin] = Quota(origin)
        quota.groups += 1
        return LimitedGroup(key, quota)

    def _recount(self, group: Group[K, C]) -> None:
        assert isinstance(group, LimitedGroup), "there is a limit"
        places = group.slots + len(group.exclusive_waiters) + (group in self._queue)
        group.quota.taken += places - group.places
        group.places = places

    def _has_all_shared(self, group: Group[K, C]) -> bool:
        """Whether the key has all connections that it may share. Retired ones don't count: they take no request."""
        taken = group.slots + len(group.exclusive_waiters) + (group in self._queue)
        return taken - group.retired >= self._max_shared_per_key

    def _may_dial(self, group: Group[K, C], *, may_share: bool = False) -> bool:
        """Whether the limits permit one slot more than the origin has and waits for in the queue.

        Args:
            group: that of the key.
            may_share: whether it is for a connection that is probably shared.
        """
        if self._max_per_origin is None:
            return True
        assert group.quota is not None, "there is a limit"
        return group.quota.taken < self._max_per_origin and not (
            may_share and self._has_all_shared(group)
        )

    def _take_place(self, group: Group[K, C], *, may_share: bool = False) -> bool:
        """Take a slot of the origin, or a place in the queue, if the limits permit it.

        An idle connection to the origin, which is of another key, is closed for that. The arguments are those of
        `_may_dial`.
        """
        if self._max_per_origin is None:
            return True
        assert isinstance(group, LimitedGroup), "there is a limit"
        if may_share and self._has_all_shared(group):
            return False
        quota = group.quota
        while quota.taken >= self._max_per_origin:
            idle = quota.least_recently_used()
            if idle is None:
                return False
            self._close(idle, CloseReason.EVICTED)
        quota.taken += 1
        group.places += 1
        return True

    def _enqueue(self, group: Group[K, C], ticket: Ticket[K, C]) -> None:
        if self._take_place(group):
            group.add_exclusive(ticket)
            self._queue[ticket] = group
        else:
            assert group.quota is not None, "there is a limit"
            group.add_blocked(ticket)
            group.quota.blocked[ticket] = group

    def _unblock(self, group: Group[K, C]) -> None:
        quota = group.quota
        assert quota is not None and self._max_per_origin is not None, "there is a limit"
        self._recount(group)
        if not group.shared_waiters:
            quota.blocked.pop(group, None)
        while quota.blocked and quota.taken < self._max_per_origin:
            waiting, its = quota.blocked.popitem(last=False)
            is_only = True
            if isinstance(waiting, Ticket):
                del its.blocked[waiting]
                is_only = not its.exclusive_waiters
                its.add_exclusive(waiting)
            elif self._has_all_shared(its):
                continue
            its.places += 1
            quota.taken += 1
            if is_only:
                _insert(self._queue, waiting, its)
            else:
                self._queue[waiting] = its
        if (
            group.shared_waiters
            and group.dial is None
            and group not in self._queue
            and group not in quota.blocked
        ):
            self._enqueue_group(group)

    def _is_preceded(self, group: Group[K, C]) -> bool:
        """Whether a request for another key, the first in a queue, came before all requests of `group`."""
        quota = group.quota
        assert quota is not None, "there is a limit"
        waiting = group.exclusive_waiters or group.blocked or group.shared_waiters
        arrival = next(iter(waiting)).number if waiting else inf
        for queue in (self._queue, quota.blocked):
            if queue:
                first, its = next(iter(queue.items()))
                if its is not group and _arrival(first) < arrival:
                    return True
        return False

    # Slots

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
            waiters = list(group.shared_waiters)
            group.shared_waiters.clear()
            if group.quota is not None:
                self._unblock(group)
            for waiter in waiters:
                self._enqueue(group, waiter)
        elif group.dial is None and group not in queue:
            self._enqueue_group(group)

    def _enqueue_group(self, group: Group[K, C]) -> None:
        if group in self._queue or self._take_place(group, may_share=True):
            _insert(self._queue, group, group)
        elif not self._has_all_shared(group):
            assert group.quota is not None, "there is a limit"
            _insert(group.quota.blocked, group, group)

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
            _insert(self._queue, group, group)
        elif group.quota is not None and group in group.quota.blocked:
            _insert(group.quota.blocked, group, group)

    def _withdraw(self, ticket: Ticket[K, C]) -> None:
        """Take back the place in the queue, or the dial, of a request that is over."""
        group = ticket.group
        del self._tickets[ticket]
        ticket.holder = None
        if ticket.grant is DIAL:
            self._dials -= 1
            group.slots -= 1
            group.connecting -= 1
            if self._max_per_origin is not None:
                self._unblock(group)
            self._drop_if_empty(group)
            self._end_dial(group, ticket)
            return
        if ticket in group.exclusive_waiters:
            del group.exclusive_waiters[ticket], self._queue[ticket]
        elif ticket in group.blocked:
            assert group.quota is not None, "there is a limit"
            del group.blocked[ticket], group.quota.blocked[ticket]
        else:
            del group.shared_waiters[ticket]
            if not group.shared_waiters:
                self._queue.pop(group, None)
        if self._max_per_origin is not None:
            self._unblock(group)
        self._drop_if_empty(group)


def _insert(
    queue: OrderedDict[Any, Group[K, C]], waiting: Ticket[K, C] | Group[K, C], group: Group[K, C]
) -> None:
    """Put a request, or a group, into a queue: in front, if it arrived before all others, else at the end."""
    queue[waiting] = group
    if _arrival(waiting) < _arrival(next(iter(queue))):
        queue.move_to_end(waiting, last=False)


def _arrival(waiting: Ticket[K, C] | Group[K, C]) -> float:
    ticket = waiting if isinstance(waiting, Ticket) else next(iter(waiting.shared_waiters))
    return ticket.number
