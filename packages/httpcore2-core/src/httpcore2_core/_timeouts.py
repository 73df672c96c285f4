"""The `timeout` extension: limits for each phase of a request, and one for the whole.

Must not know: what is being timed; the clock is the runtime's.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from ._runtime import Runtime

_PHASES = ("pool", "connect", "read", "write", "total")


class Timeouts:
    """Seconds that each phase may take; `None` for no limit.

    With `total` every phase is cut at the deadline, so that none outlives the whole.
    """

    __slots__ = ("_deadline", "_runtime", "connect", "pool", "read", "write")

    def __init__(
        self,
        pool: float | None = None,
        connect: float | None = None,
        read: float | None = None,
        write: float | None = None,
        total: float | None = None,
        runtime: Runtime | None = None,
    ) -> None:
        self.pool = pool
        self.connect = connect
        self.read = read
        self.write = write
        self._runtime = runtime
        self._deadline: float | None = None
        if total is not None:
            assert runtime is not None, "a deadline needs a clock"
            self._deadline = runtime.now() + total

    def within(self, limit: float | None) -> float | None:
        """Return how long a step may take whose own limit is `limit`."""
        if self._deadline is None:
            return limit
        assert self._runtime is not None, "a deadline needs a clock"
        left = max(0.0, self._deadline - self._runtime.now())
        return left if limit is None or left < limit else limit

    @classmethod
    def of(cls, extensions: Mapping[str, Any], runtime: Runtime) -> Timeouts:
        """Read the limits from a request's extensions.

        Raises:
            TypeError: `timeout` is not a mapping, or a limit not a number.
            ValueError: a limit is negative or not a number of seconds.
        """
        given = extensions.get("timeout")
        if not given:
            return _NONE
        try:
            limits = tuple(map(given.get, _PHASES))
        except AttributeError:
            raise TypeError(
                "extensions['timeout'] must be a mapping of 'pool', 'connect', 'read', 'write' and 'total' to seconds, "
                f"but got {type(given).__name__}."
            ) from None
        if limits[4] is None:
            return _checked(*limits)
        for phase, limit in zip(_PHASES, limits, strict=True):
            _check(phase, limit)
        return cls(*limits, runtime=runtime)


def _check(phase: str, limit: object) -> None:
    if limit is None:
        return
    if isinstance(limit, bool) or not isinstance(limit, (int, float)):
        raise TypeError(
            f"extensions['timeout']['{phase}'] must be a number of seconds or None, "
            f"but got {type(limit).__name__}."
        )
    if not limit >= 0:  # false for NaN too
        raise ValueError(
            f"extensions['timeout']['{phase}'] must be 0 or more seconds, but got {limit}."
        )


# Clients send the same limits with every request: they are checked once.
@lru_cache(maxsize=64, typed=True)
def _checked(
    pool: float | None, connect: float | None, read: float | None, write: float | None, _: None
) -> Timeouts:
    for phase, limit in zip(_PHASES, (pool, connect, read, write), strict=False):
        _check(phase, limit)
    return Timeouts(pool, connect, read, write)


_NONE = Timeouts()
