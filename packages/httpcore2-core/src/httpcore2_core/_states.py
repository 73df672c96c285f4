"""States as data: enums, and tables of what may follow what.

A protocol has one module that declares its states, its events and a table (`Transitions`): for each state, each event
that is allowed in it and the state that follows. The object that has the state changes it in one method, through that
table. An event that the table does not have for a state is a bug in the caller of that method.

The model is h11's `_state.py`. Must not know: any protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import TypeAlias, TypeVar


class Label(Enum):
    """Base class of the enums of states and of events.

    Tables are looked up on the path of every request, and `Enum.__hash__` is a Python function: identity is as good,
    since each member exists once, and takes a twentieth of the time.
    """

    __hash__: Callable[[Label], int] = object.__hash__  # type: ignore[assignment]


S = TypeVar("S", bound=Label)
E = TypeVar("E", bound=Label)
Transitions: TypeAlias = Mapping[S, Mapping[E, S]]


def columns(table: Transitions[S, E]) -> dict[E, dict[S, S]]:
    """Return the table by events: for each, the state that follows each state in which it is allowed.

    Where an event is known when the code is written, its column saves one of two look-ups.
    """
    found: dict[E, dict[S, S]] = {}
    for state, row in table.items():
        for event, following in row.items():
            found.setdefault(event, {})[state] = following
    return found
