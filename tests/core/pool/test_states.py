"""The states of slots: each cell of the table, and its diagram in the architecture."""

from __future__ import annotations

from weakref import ref

import pytest

from httpcore2_core._http.lease import Lease
from httpcore2_core._pool.ledger import Ledger
from httpcore2_core._pool.slots import Group, Slot, Ticket
from httpcore2_core._pool.states import TRANSITIONS, SlotEvent, SlotState

from ...support.tables import arrows, cells, documented


@pytest.mark.parametrize(
    ("state", "event", "following"),
    [
        pytest.param(*cell, id=f"{cell[1].name} in {cell[0].name}")
        for cell in cells(TRANSITIONS, SlotState, SlotEvent)
    ],
)
def test_an_event_changes_the_state_as_the_table_says(
    state: SlotState, event: SlotEvent, following: SlotState | None
) -> None:
    holder = ref(Lease[int]())
    slot: Slot[str, int] = Slot(1, Ticket(Group("a"), 1, False, holder), holder)
    slot.state = state
    if following is None:
        with pytest.raises(AssertionError, match=f"{event.name} in the state {state.name}"):
            slot.change(event)
        assert slot.state is state
    else:
        slot.change(event)
        assert slot.state is following


def test_the_two_operations_that_change_a_state_in_place_follow_the_table() -> None:
    ledger: Ledger[str, int] = Ledger(None, None, None)
    lease: Lease[int] = Lease()
    ledger.add(ledger.reserve("a", False, lease), 1)
    ledger.established(1, 1)
    slot = ledger._slots[1]
    before = slot.state
    ledger.checkin(1, now=0.0)
    assert slot.state is TRANSITIONS[before][SlotEvent.RESTED]
    before = slot.state
    assert ledger.checkout("a", now=0.0) is lease
    assert slot.state is TRANSITIONS[before][SlotEvent.ACQUIRED]


def test_the_diagram_of_slots_is_that_of_the_table() -> None:
    assert documented("States of a slot") == arrows(TRANSITIONS)
