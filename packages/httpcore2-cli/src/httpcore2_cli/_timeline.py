"""The phases of one transfer, and when each began and ended.

Rules: times are seconds since the transfer began. A phase that did not take place has no entry: a reused connection has
no DNS, TCP and TLS. An attempt that is repeated replaces the earlier one.
Must not know: the clock, how events are reported, how they are shown.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class Phase(IntEnum):
    """The phases of a transfer, in their order."""

    QUEUED = 0
    DNS = 1
    TCP = 2
    PROXY = 3
    TLS = 4
    SEND = 5
    WAIT = 6
    DOWNLOAD = 7

    @property
    def label(self) -> str:
        """How it is called on the terminal."""
        return self.name if self in (Phase.DNS, Phase.TCP, Phase.TLS) else self.name.lower()


class Span(NamedTuple):
    """When a phase began and ended."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.start


class Timeline:
    """The phases of one transfer.

    Attributes:
        spans: the phases that have ended.
        current: the phase that is in progress, or in which the transfer failed.
        unfinished: the phase in progress when the transfer failed, or `None`.
        total: when the transfer ended.
    """

    def __init__(self) -> None:
        self.spans: dict[Phase, Span] = {}
        self.current = Phase.QUEUED
        self.unfinished: Span | None = None
        self.total = 0.0
        self._began = 0.0
        self._is_open = True

    def begin(self, phase: Phase, now: float) -> None:
        """Note that a phase has begun, or that it goes on with another step. The time in the queue ends with that."""
        self._is_open = True
        if self.current is phase:
            return
        if Phase.QUEUED not in self.spans:
            self.spans[Phase.QUEUED] = Span(0.0, now)
        # An attempt that failed and is repeated: what came after this phase belongs to the earlier one.
        for later in [each for each in self.spans if each >= phase]:
            del self.spans[later]
        self.current = phase
        self._began = now

    def end(self, now: float) -> None:
        """Note that the current phase, or a step of it, has ended."""
        self._is_open = False
        self.spans[self.current] = Span(self._began, now)

    def finish(self, now: float, *, is_failed: bool = False) -> None:
        """Note the end of the transfer.

        Args:
            now: the time.
            is_failed: whether it failed; so did its current phase, even if all steps of that have ended.
        """
        if self._is_open or is_failed:
            self.spans.pop(self.current, None)
            self.unfinished = Span(self._began, now)
        self.total = now

    @property
    def is_reused(self) -> bool:
        """Whether the request was sent on a connection that an earlier one had opened."""
        return Phase.SEND in self.spans and Phase.TCP not in self.spans

    def until(self, *phases: Phase) -> float:
        """Return when the last of these phases ended; 0 if none took place, as curl reports it."""
        return max((self.spans[phase].end for phase in phases if phase in self.spans), default=0.0)
