"""The attempts of one dial: which addresses were tried, and why each failed.

Rules: an attempt is recorded before its socket is made. Messages and public objects are only made of it if the dial
fails.
Must not know: sockets, how a connection is made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._exceptions import ConnectAttempt, ConnectError, ConnectTimeout


class Attempt:
    """One attempt.

    Attributes:
        address: the address, in the form of the backend.
        error: why it failed; `None` while it has not.
    """

    __slots__ = ("address", "error")

    def __init__(self, address: Any) -> None:
        self.address = address
        self.error: Exception | None = None


class AttemptLog:
    """The attempts of one dial, the first one first."""

    __slots__ = ("_attempts", "_host", "_sockaddr")

    def __init__(self, host: str, sockaddr: Callable[[Any], tuple[Any, ...]]) -> None:
        """Begin without attempts.

        Args:
            host: the name or the IP address that is dialled.
            sockaddr: makes of an address of the backend what `socket.getpeername` would return.
        """
        self._host = host
        self._sockaddr = sockaddr
        self._attempts: list[Attempt] = []

    def begin(self, address: Any) -> Attempt:
        """Record that `address` is tried."""
        attempt = Attempt(address)
        self._attempts.append(attempt)
        return attempt

    def add_to(self, error: ConnectError | ConnectTimeout) -> None:
        """Add the attempts to the error of the dial, and the addresses that its message lacks to the message."""
        attempts = tuple(
            ConnectAttempt(self._sockaddr(attempt.address), attempt.error)
            for attempt in self._attempts
        )
        error.attempts = attempts
        if isinstance(error, ConnectTimeout):
            self._complete_timeout(error, attempts)
        elif attempts and all(attempt.error is not None for attempt in attempts):
            error.args = (self._failures(attempts),)

    def _complete_timeout(
        self, error: ConnectTimeout, attempts: tuple[ConnectAttempt, ...]
    ) -> None:
        tried = [
            f"{attempt.address[0]}: {attempt.error or 'no answer'}"
            for attempt in attempts
            if attempt.error is not None or attempt.address[0] != self._host
        ]
        if tried:
            error.args = (f"{error} Tried {'; '.join(tried)}.",)

    def _failures(self, attempts: tuple[ConnectAttempt, ...]) -> str:
        """Return each reason once, with the addresses that it holds for, unless it names them."""
        reasons: dict[str, list[str]] = {}
        for attempt in attempts:
            addresses = reasons.setdefault(str(attempt.error), [])
            if attempt.address[0] not in (self._host, *addresses):
                addresses.append(attempt.address[0])
        return "; ".join(
            f"{reason} at {', '.join(addresses)}"
            if any(address not in reason for address in addresses)
            else reason
            for reason, addresses in reasons.items()
        )
