"""The life of a pooled connection, as the ledger sees it: the states of its slot, and the events that change them.

`Slot.change` is the method that changes a state. The two operations of every request change it in place, since a call
would be a place for an exception between two facts that belong together (`tables.py`).
Must not know: the ledger's tables.
"""

from __future__ import annotations

from .._states import Label, Transitions


class SlotState(Label):
    """The state of a connection's slot."""

    DIALING = "DIALING"
    """It is being established."""
    BUSY = "BUSY"
    """It is established, and at least one request uses it."""
    IDLE = "IDLE"
    """No request uses it, and the next one may."""
    RETIRED = "RETIRED"
    """It takes no further request; those that use it may finish."""
    GONE = "GONE"
    """It has left the pool."""


class SlotEvent(Label):
    """What happens to a connection."""

    ESTABLISHED = "ESTABLISHED"
    """The dial has succeeded."""
    ACQUIRED = "ACQUIRED"
    """A request uses it, the first or one more."""
    RELEASED = "RELEASED"
    """A request ended, while others use it or another one gets it at once."""
    RESTED = "RESTED"
    """The last request ended, and nobody waits for it."""
    RETIRED = "RETIRED"
    """The peer takes no further request."""
    REMOVED = "REMOVED"
    """It was closed, or is to be."""


DIALING, BUSY, IDLE, RETIRED, GONE = SlotState

TRANSITIONS: Transitions[SlotState, SlotEvent] = {
    DIALING: {
        SlotEvent.ESTABLISHED: BUSY,
        SlotEvent.REMOVED: GONE,
    },
    BUSY: {
        SlotEvent.ACQUIRED: BUSY,
        SlotEvent.RELEASED: BUSY,
        SlotEvent.RESTED: IDLE,
        SlotEvent.RETIRED: RETIRED,
        SlotEvent.REMOVED: GONE,
    },
    IDLE: {
        SlotEvent.ACQUIRED: BUSY,
        SlotEvent.REMOVED: GONE,
    },
    RETIRED: {
        SlotEvent.RELEASED: RETIRED,
        SlotEvent.REMOVED: GONE,
    },
    GONE: {},
}
