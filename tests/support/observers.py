"""An observer for tests, which records what it is told."""

from __future__ import annotations

from typing import Any, NamedTuple

import httpcore2

EVENTS = [name for name in vars(httpcore2.Observer) if not name.startswith("_")]


class Event(NamedTuple):
    """One call of a method of an observer."""

    name: str
    arguments: dict[str, Any]


class RecordingObserver(httpcore2.Observer):
    """Records all calls in their order; the token of a request is its URL.

    Attributes:
        events: the calls.
    """

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __getattribute__(self, name: str) -> Any:
        if name not in EVENTS:
            return super().__getattribute__(name)
        code = vars(httpcore2.Observer)[name].__code__
        names = code.co_varnames[1 : code.co_argcount]

        def record(*arguments: Any) -> Any:
            event = Event(name, dict(zip(names, arguments, strict=True)))
            assert isinstance(event.arguments["time"], float)
            self.events.append(event)
            return self.on_event(event)

        return record

    def on_event(self, event: Event) -> Any:
        """Return the result of the method: a token for `request_started`."""
        return str(event.arguments.get("request"))

    def names(self, *wanted: str) -> list[str]:
        """Return the names of the events in their order; only those of `wanted`, if it is given."""
        return [event.name for event in self.events if not wanted or event.name in wanted]

    def one(self, name: str) -> dict[str, Any]:
        """Return the arguments of the only event of a name."""
        (arguments,) = self.all(name)
        return arguments

    def all(self, name: str) -> list[dict[str, Any]]:
        """Return the arguments of all events of a name."""
        return [event.arguments for event in self.events if event.name == name]
