"""The slots that several keys of the ledger share: those of one origin, if their number is limited.

Must not know: what waits, what a connection is, who counts.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

from .states import IDLE


class Quota:
    """The slots of the keys that share a limit, and what waits for one; dropped with the last of the keys.

    Attributes:
        origin: what the keys have in common.
        groups: the number of the keys.
        taken: the slots of the keys, and the places that their requests have in the pool's queue.
        blocked: what waits until `taken` is below the limit, each with its group: requests, and groups on behalf of
            shared waiters. While there are any, no connection of the keys is idle.
        idle: slots, the least recently used first; those that are in use again are only removed when they are found.
    """

    __slots__ = ("blocked", "groups", "idle", "origin", "taken")

    def __init__(self, origin: Hashable) -> None:
        self.origin = origin
        self.reset()

    def reset(self) -> None:
        """Forget everything: it is derived from slots and tickets."""
        self.groups = self.taken = 0
        self.blocked: OrderedDict[Any, Any] = OrderedDict()
        self.idle: OrderedDict[Any, None] = OrderedDict()

    def note_idle(self, slot: Any) -> None:
        """The connection of `slot` became idle."""
        self.idle[slot] = None
        self.idle.move_to_end(slot)

    def least_recently_used(self) -> Any:
        """Return the slot of the idle connection that was not used for the longest time; `None` if there is none."""
        while self.idle:
            slot = next(iter(self.idle))
            if slot.state is IDLE:
                return slot
            del self.idle[slot]
        return None
