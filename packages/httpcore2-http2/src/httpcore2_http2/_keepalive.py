"""When to send a PING to a silent server, and when to give the connection up (RFC 9113, section 6.7). Layer: session.

Rules: any frame counts as the reply. There is no timer: the participants that read or wait check whether a PING is due.

Must not know: frames, the network, clocks (`now` is an argument, in seconds).
"""

from __future__ import annotations

SILENCE_BEFORE_PING = 1.0
"""Seconds of silence after which a request that is given up makes us doubt that the server is alive. After a shorter
silence, the caller was impatient."""

# Seconds in which to read a reply that arrived while nobody waited, or while the reader had no turn.
_GRACE = 0.05


class KeepAlive:
    """How long the server has been silent, and whether a PING was sent since.

    Attributes:
        is_ping_pending: a PING was sent, and nothing was received since.
        due: when something must be done while requests wait: send a PING, or give the connection up; `None` for never.
        longest_wait: seconds after which a reader checks `due` again, since a PING may have been sent after it began to
            wait; `None` if PING is never sent.
        timeout: seconds that the server has for the reply.
    """

    __slots__ = (
        "_before_reuse",
        "_had_grace",
        "_interval",
        "_last_received",
        "due",
        "is_ping_pending",
        "longest_wait",
        "timeout",
    )

    def __init__(
        self, interval: float | None, before_reuse: float | None, timeout: float, now: float
    ) -> None:
        """Start with a connection that is new.

        Args:
            interval: seconds of silence after which a PING is due while requests wait; `None` for never.
            before_reuse: seconds of silence after which a PING is due before the idle connection is used again;
                `None` for never.
            timeout: seconds that the server has for the reply.
            now: the time.
        """
        self.timeout: float = timeout
        self._interval = interval
        self._before_reuse = before_reuse
        self._last_received = now
        self.is_ping_pending: bool = False
        self._had_grace = False  # since the PING
        self.longest_wait: float | None = (
            None if interval is None and before_reuse is None else timeout
        )
        self.due: float | None = None
        self.resume(now)

    def data_received(self, now: float) -> None:
        """Note that the server is alive."""
        self._last_received = now
        if self.due is not None:
            self.is_ping_pending = False
            self.resume(now)

    def resume(self, now: float) -> None:
        """Count silence from `now` on: requests wait, and until now there was nothing to receive."""
        self._last_received = now
        if self.is_ping_pending and self.due is not None:
            self.due = max(self.due, now + _GRACE)
        elif self._interval is not None:
            self.due = now + self._interval
        else:
            self.due = None

    def must_ping_before_reuse(self, now: float) -> bool:
        """Whether to send a PING before the idle connection is used again."""
        return self._before_reuse is not None and now - self._last_received >= self._before_reuse

    def begin(self, now: float) -> bool:
        """Count silence from `now` on, since a request waits again.

        Return whether it was so long that a PING must be sent if the connection was used before.
        """
        must_ping = self.must_ping_before_reuse(now)
        if self.is_ping_pending or self._interval is not None:
            self.resume(now)
        else:
            self._last_received = now
            self.due = None
        return must_ping

    def ping_sent(self, now: float) -> None:
        """Expect a reply from now on."""
        self.is_ping_pending = True
        self._had_grace = False
        self.due = now + self.timeout

    def take_grace(self, now: float) -> bool:
        """Return whether an overdue reply may take a little longer, which is allowed once a PING.

        It may have arrived, although nobody has read it.
        """
        if self._had_grace:
            return False
        self._had_grace = True
        self.due = now + _GRACE
        return True

    def must_ping_after_abandoned_request(self, now: float) -> bool:
        """Whether to send a PING since a request without response is given up."""
        return self._before_reuse is not None and now - self._last_received >= SILENCE_BEFORE_PING
