"""The memory of a pool: the last arguments, timeouts and heads of its requests, with their conversions.

Most requests of a program have the same header fields and timeouts, and most responses of a server the same head. A
memory has data of callers, with their credentials. So it never belongs to a module, but to a pool (or to a connection
without a pool), which empties it when it is closed.

Must not know: the kinds of data.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar


class Forgetful(Protocol):
    """One kind of memory."""

    def forget(self) -> None:
        """Drop all data."""


M = TypeVar("M", bound=Forgetful)


class Memory:
    """The memory of one pool: one object of each kind."""

    __slots__ = ("_kinds",)

    def __init__(self) -> None:
        self._kinds: dict[Callable[[], Any], Any] = {}

    def of(self, kind: Callable[[], M]) -> M:
        """Return the object of a `kind`, which is a class that takes no arguments. The first call creates it."""
        # One operation, so that two threads get the same object.
        remembered: M = self._kinds.setdefault(kind, kind())
        return remembered

    def forget(self) -> None:
        """Drop the data of all kinds."""
        for remembered in list(self._kinds.values()):
            remembered.forget()
