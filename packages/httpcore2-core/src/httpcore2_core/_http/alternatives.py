"""Alternative services of origins: where HTTP/3 is offered, as the Alt-Svc field says (RFC 7838).

A pool remembers them in its memory, at most `MAX_ORIGINS`. An alternative that could not be reached is left alone for
`FIRST_PAUSE` seconds, and after each further failure for twice as long. All entries are kept when the network changes,
which is not noticed, so `persist` makes no difference.

Rules: a malformed field is ignored, as if it were not there. The time is an argument.
Must not know: connections, the pool.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, TypeAlias, TypeVar

from .fields import is_length

MAX_ORIGINS = 1000
"""The most origins whose alternatives are remembered."""

FIRST_PAUSE = 300.0
"""Seconds for which an alternative is left alone after its first failure."""

LONGEST_PAUSE = 24 * 3600.0
"""Seconds above which the pause does not grow."""

# Seconds for which an alternative is used, if the field does not say so (RFC 7838, section 3.1).
_DEFAULT_AGE = 24 * 3600
_MAX_AGE = 30 * 24 * 3600


K = TypeVar("K")
V = TypeVar("V")
Site: TypeAlias = tuple[bytes, int]
"""The host and the port of an origin, whose scheme is https."""


class Alternative(NamedTuple):
    """Where an origin offers HTTP/3. Its certificate must hold for the origin, whatever its host is."""

    host: bytes
    port: int


class _Known(NamedTuple):
    alternative: Alternative
    expires_at: float


class _Failures(NamedTuple):
    failed: int
    until: float


class AlternativeServices:
    """The alternatives of a pool's origins."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Drop all."""
        self._known: dict[Site, _Known] = {}
        self._failures: dict[tuple[Site, Alternative], _Failures] = {}

    def learn(self, site: Site, headers: Iterable[tuple[bytes, bytes]], now: float) -> None:
        """Note what a response of an origin says. Without an Alt-Svc field nothing changes."""
        values = [value for name, value in headers if name.lower() == b"alt-svc"]
        if not values:
            return
        # The field replaces all that was said before (RFC 7838, section 3).
        self._known.pop(site, None)
        found = parse(b",".join(values), site[0])
        if found is not None:
            alternative, age = found
            self._known[site] = _Known(alternative, now + age)
            _bound(self._known)

    def find(self, site: Site, now: float) -> Alternative | None:
        """Return the alternative that is to be tried for a new connection to an origin."""
        known = self._known.get(site)
        if known is None:
            return None
        if now >= known.expires_at:
            self._known.pop(site, None)
            return None
        failures = self._failures.get((site, known.alternative))
        if failures is not None and now < failures.until:
            return None
        return known.alternative

    def failed(self, site: Site, alternative: Alternative, now: float) -> None:
        """Note that an alternative could not be reached, or only later than the origin."""
        before = self._failures.pop((site, alternative), None)
        count = 1 if before is None else before.failed + 1
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(count - 1, 20))
        self._failures[site, alternative] = _Failures(count, now + pause)
        _bound(self._failures)

    def succeeded(self, site: Site, alternative: Alternative) -> None:
        """Note that a connection to an alternative was established."""
        self._failures.pop((site, alternative), None)


def _bound(entries: dict[K, V]) -> None:
    while len(entries) > MAX_ORIGINS:
        # Another thread may do the same: of a copy, and only if it is still there.
        entries.pop(next(iter(entries.copy())), None)


def parse(value: bytes, host: bytes) -> tuple[Alternative, int] | None:
    """Return the first alternative of an Alt-Svc field that offers HTTP/3, and the seconds for which it holds.

    Args:
        value: the value of the field.
        host: the origin's host, which an alternative without a host has.
    """
    for element in value.split(b","):
        service, *parameters = element.split(b";")
        protocol, _, authority = service.strip().partition(b"=")
        if protocol != b"h3":
            continue
        other_host, _, port = authority.strip(b'"').rpartition(b":")
        if is_length(port) is None or not 0 < int(port) <= 65535:
            continue
        age = _DEFAULT_AGE
        for parameter in parameters:
            name, _, given = parameter.strip().partition(b"=")
            if name.lower() == b"ma" and is_length(given.strip(b'"')) is not None:
                age = min(_MAX_AGE, int(given.strip(b'"')))
        return Alternative(other_host or host, int(port)), age
    return None
