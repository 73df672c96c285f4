"""When to ask a silent peer whether it is still there, with a PING, and when to give it up (RFC 9113, section 6.7).

Any frame is an answer. There is no timer: whoever reads or waits asks what is due.
Must not know: frames, the network, clocks (`now` is an argument, in seconds).
"""

from __future__ import annotations

DOUBT_AFTER = 1.0
"""Seconds of silence after which a request that is given up casts doubt on the peer, and not on its own patience."""


# Seconds to take in an answer that has come while nobody waited, or whoever reads had no turn.
_GRACE = 0.05


class KeepAlive:
    """What is known of a peer's silence.

    Attributes:
        is_asked: there was a PING, and nothing came since.
        due: when there is something to be done while requests wait; `None` for never.
        longest: seconds after which whoever waits looks at `due` again, lest a PING that was sent meanwhile go
            unanswered for long; `None` where none is ever sent.
    """

    __slots__ = (
        "_before_reuse",
        "_had_grace",
        "_interval",
        "_since",
        "due",
        "is_asked",
        "longest",
        "timeout",
    )

    def __init__(
        self, interval: float | None, before_reuse: float | None, timeout: float, now: float
    ) -> None:
        """Begin to listen.

        Args:
            interval: seconds of silence after which to ask while requests wait; `None` for never.
            before_reuse: the same, before the idle connection is used again.
            timeout: seconds that an answer may take.
            now: the time.
        """
        self.timeout: float = timeout
        self._interval = interval
        self._before_reuse = before_reuse
        self._since = now
        self.is_asked: bool = False
        self._had_grace = False  # since the PING
        self.longest: float | None = None if interval is None and before_reuse is None else timeout
        self.due: float | None = None
        self.resume(now)

    def heard(self, now: float) -> None:
        """Something came."""
        self.is_asked = False
        self.resume(now)

    def resume(self, now: float) -> None:
        """Requests wait from now on: there was nothing to be heard before."""
        self._since = now
        if self.is_asked and self.due is not None:
            self.due = max(self.due, now + _GRACE)
        elif self._interval is not None:
            self.due = now + self._interval
        else:
            self.due = None

    def asked(self, now: float) -> None:
        """A PING was sent."""
        self.is_asked = True
        self._had_grace = False
        self.due = now + self.timeout

    def has_grace(self, now: float) -> bool:
        """Whether an answer that is overdue gets a little longer, once: it may be there, though nobody has looked."""
        if self._had_grace:
            return False
        self._had_grace = True
        self.due = now + _GRACE
        return True

    def is_doubtful(self, now: float) -> bool:
        """Whether to ask before the idle connection is used again."""
        return self._before_reuse is not None and now - self._since >= self._before_reuse

    def casts_doubt(self, now: float) -> bool:
        """Whether to ask since a request that was not answered is given up."""
        return self._before_reuse is not None and now - self._since >= DOUBT_AFTER
