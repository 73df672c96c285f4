"""The `timeout` extension: a limit for each phase of a request, and one for the whole request.

The clock is the runtime's. Must not know: the operations that are limited.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._exceptions import (
    ConnectTimeout,
    PoolTimeout,
    ReadTimeout,
    TimeoutException,
    WriteTimeout,
)
from .._net.runtime import Runtime

_PHASES = ("pool", "connect", "read", "write", "total", "continue")
# Go and curl wait as long.
_CONTINUE = 1.0


class Timeouts:
    """The limits of a request in seconds; `None` is no limit.

    With `total`, each limit is at most the time until the deadline.

    Attributes:
        is_cut: whether the last limit returned was the time until the deadline.
    """

    __slots__ = (
        "_continue",
        "_deadline",
        "_runtime",
        "_total",
        "connect",
        "is_cut",
        "pool",
        "read",
        "write",
    )

    def __init__(
        self,
        pool: float | None = None,
        connect: float | None = None,
        read: float | None = None,
        write: float | None = None,
        total: float | None = None,
        runtime: Runtime | None = None,
        continue_: float | None = _CONTINUE,
    ) -> None:
        self._continue = continue_
        self.pool: float | None = pool
        self.connect: float | None = connect
        self.read: float | None = read
        self.write: float | None = write
        self._total = total
        self._runtime = runtime
        self.is_cut: bool = False
        self._deadline: float | None = None
        if total is not None:
            assert runtime is not None, "a deadline needs a clock"
            self._deadline = runtime.now() + total

    def for_pool(self) -> float | None:
        """Return the limit on the wait for a connection.

        Raises:
            PoolTimeout: the total has passed. The other methods raise the timeout of their phase.
        """
        return self.pool if self._deadline is None else self._left(self.pool, PoolTimeout)

    def for_connect(self) -> float | None:
        """Return the limit on the next operation of connecting."""
        return self.connect if self._deadline is None else self._left(self.connect, ConnectTimeout)

    def for_read(self) -> float | None:
        """Return the limit on the next read."""
        return self.read if self._deadline is None else self._left(self.read, ReadTimeout)

    def for_write(self) -> float | None:
        """Return the limit on the next write."""
        return self.write if self._deadline is None else self._left(self.write, WriteTimeout)

    def for_continue(self) -> float | None:
        """Return the limit on the wait for 100 (Continue), after which the body is sent; `None` for that of a read."""
        limit = self._continue
        return limit if limit is None or self._deadline is None else self._left(limit, WriteTimeout)

    def for_body(self) -> float | None:
        """Return the limit on the upload as a whole: the time until the deadline."""
        return None if self._deadline is None else self._left(None, WriteTimeout)

    def for_pause(self, delay: float) -> float:
        """Return the length of a pause between attempts to connect, cut at the deadline."""
        left = delay if self._deadline is None else self._left(delay, ConnectTimeout)
        assert left is not None, "a delay is a limit"
        return left

    def _left(self, limit: float | None, exception: type[TimeoutException]) -> float | None:
        assert self._runtime is not None and self._deadline is not None, "there is a deadline"
        left = self._deadline - self._runtime.now()
        self.is_cut = limit is None or left <= limit
        if left <= 0:
            raise self.exceeded(exception)
        return left if self.is_cut else limit

    def exceeded(self, exception: type[TimeoutException]) -> TimeoutException:
        """Return the exception for a request that took longer than its total."""
        return exception(f"The request took longer than its total of {self._total} seconds.")

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
            get = given.get
        except AttributeError:
            raise TypeError(
                "extensions['timeout'] must be a mapping of 'pool', 'connect', 'read', 'write', 'total' and "
                f"'continue' to seconds, but got {type(given).__name__}."
            ) from None
        pool, connect, read, write = get("pool"), get("connect"), get("read"), get("write")
        total, continue_ = get("total"), get("continue", _CONTINUE)
        limits = (pool, connect, read, write, total, continue_)
        for phase, limit in zip(_PHASES, limits, strict=True):
            _check(phase, limit)
        return cls(pool, connect, read, write, total, runtime, continue_)


class TimeoutMemory:
    """The limits of a pool's last request: most clients give the same with every request, and they are checked once."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Drop them."""
        self._last: tuple[dict[Any, Any], Timeouts] = ({}, _NONE)

    def of(self, extensions: Mapping[str, Any], runtime: Runtime) -> Timeouts:
        """Return what `Timeouts.of` returns for a request's extensions. Threads may share a memory."""
        given = extensions.get("timeout")
        if not given:
            return _NONE
        checked, timeouts = self._last
        if given == checked and type(given) is dict:
            for limit in given.values():
                if type(limit) is not float and limit is not None and type(limit) is not int:
                    break  # it equals a number but has another type, such as bool
            else:
                return timeouts
        timeouts = Timeouts.of(extensions, runtime)
        # With a total the deadline differs each time.
        if type(given) is dict and given.get("total") is None:
            self._last = (given.copy(), timeouts)
        return timeouts


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


_NONE = Timeouts()
