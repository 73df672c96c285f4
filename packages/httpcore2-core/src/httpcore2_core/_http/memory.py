"""What a pool remembers from one request to the next, so that it need not be checked and made again.

A program's requests mostly have the same header fields and timeouts, and its servers' responses the same heads. What
is remembered holds callers' data, credentials included. So nothing is remembered by a module: a memory belongs to a
pool (or to a connection without one), which forgets all of it when it is closed.

Must not know: what is remembered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar


class Forgetful(Protocol):
    """Something that remembers."""

    def forget(self) -> None:
        """Drop all that is remembered."""


M = TypeVar("M", bound=Forgetful)


class Memory:
    """All that one pool remembers: one object of each kind."""

    __slots__ = ("_kinds",)

    def __init__(self) -> None:
        self._kinds: dict[Callable[[], Any], Any] = {}

    def of(self, kind: Callable[[], M]) -> M:
        """Return what is remembered of a `kind`, which is a class without arguments; it begins with nothing."""
        # One step, so that two threads get the same object.
        remembered: M = self._kinds.setdefault(kind, kind())
        return remembered

    def forget(self) -> None:
        """Drop all that is remembered, of all kinds."""
        for remembered in list(self._kinds.values()):
            remembered.forget()
