"""The phases of one transfer, and when each began and ended.

Rules: times are seconds since the transfer began. A phase that did not take place has no entry: a reused connection has
no DNS, TCP and TLS. An attempt that is repeated replaces the earlier one; only the time of QUIC is kept, when TCP is
tried after it.
Must not know: the clock, how events are reported, how they are shown.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class Phase(IntEnum):
    """The phases of a transfer, in their order."""

    QUEUED = 0
    DNS = 1
    QUIC = 2
    TCP = 3
    PROXY = 4
    TLS = 5
    SEND = 6
    WAIT = 7
    DOWNLOAD = 8

    @property
    def label(self) -> str:
        """How it is called on the terminal."""
        return self.name if self in _ABBREVIATIONS else self.name.lower()


_ABBREVIATIONS = (Phase.DNS, Phase.QUIC, Phase.TCP, Phase.TLS)


_DIALS = (Phase.QUIC, Phase.TCP)


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
        dial: the phase that opens the connection: QUIC or TCP.
        unfinished: the phase in progress when the transfer failed, or `None`.
        total: when the transfer ended.
    """

    def __init__(self) -> None:
        self.spans: dict[Phase, Span] = {}
        self.current = Phase.QUEUED
        self.dial = Phase.TCP
        self.unfinished: Span | None = None
        self.total = 0.0
        self._began = 0.0
        self._is_open = True

    def begin(self, phase: Phase, now: float) -> None:
        """Note that a phase has begun, or that it goes on with another step. The time in the queue ends with that."""
        self._is_open = True
        if phase in _DIALS:
            self.dial = phase
        if self.current is phase:
            return
        if Phase.QUEUED not in self.spans:
            self.spans[Phase.QUEUED] = Span(0.0, now)
        # An attempt that failed and is repeated: what came after this phase belongs to the earlier one.
        kept = Phase.QUIC if self.dial is Phase.TCP else None
        for later in [each for each in self.spans if each >= phase and each is not kept]:
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
        return Phase.SEND in self.spans and not self.has_dialled

    @property
    def has_dialled(self) -> bool:
        """Whether a connection was opened."""
        return any(phase in self.spans for phase in _DIALS)

    def until(self, *phases: Phase) -> float:
        """Return when the last of these phases ended; 0 if none took place, as curl reports it."""
        return max((self.spans[phase].end for phase in phases if phase in self.spans), default=0.0)
