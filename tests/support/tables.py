"""Transition tables in tests: every cell of one, and its diagram in the architecture."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from httpcore2_core._states import Label, Transitions

S = TypeVar("S", bound=Label)
E = TypeVar("E", bound=Label)

ARCHITECTURE = Path(__file__).parents[2] / "docs/architecture.md"


def cells(
    table: Transitions[S, E], states: type[S], events: type[E]
) -> Iterator[tuple[S, E, S | None]]:
    """Give each state with each event, and the state that follows; `None` where the event is forbidden."""
    for state in states:
        for event in events:
            yield state, event, table.get(state, {}).get(event)


def arrows(table: Transitions[S, E]) -> set[tuple[str, str, str]]:
    """Return `(state, event, next state)`, by name, for each change that the table allows."""
    return {
        (state.name, event.name, following.name)
        for state, row in table.items()
        for event, following in row.items()
        if following is not state
    }


def documented(title: str) -> set[tuple[str, str, str]]:
    """Return the arrows of the Mermaid diagram under the heading `title` in the architecture.

    Its lines have the form `IDLE --> ACTIVE: REQUEST`; several events are separated by commas.
    """
    text = ARCHITECTURE.read_text()
    found = re.search(
        rf"^#+ {re.escape(title)}\n.*?```mermaid\nstateDiagram-v2\n(.*?)```", text, re.M | re.S
    )
    assert found, f"{ARCHITECTURE.name} has no state diagram under '{title}'"
    return {
        (state, event.strip(), following)
        for state, following, events in re.findall(r"^\s*(\w+) --> (\w+): (.+)$", found[1], re.M)
        for event in events.split(",")
    }
