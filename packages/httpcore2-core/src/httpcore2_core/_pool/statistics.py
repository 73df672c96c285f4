"""The statistics of a pool: how many connections and requests it has now, and what it has done so far.

Must not know: how the ledger counts, connections, HTTP's framing.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, NamedTuple, TypeVar

from .._http.close_reason import CloseReason

K = TypeVar("K", bound=Hashable)


class OriginStats(NamedTuple):
    """The connections and requests of one origin, as `pool.stats()` returns them.

    Attributes:
        active_connections: the connections that requests use.
        idle_connections: those that no request uses, and the next one may.
        connecting_connections: those that are being established, or are going to be.
        active_requests: the requests that use a connection, or make one.
        queued_requests: those that wait for a connection.

    Example:
        ```python
        import httpcore2

        with httpcore2.ConnectionPool() as http:
            http.request("GET", "https://www.example.com/")
            stats = http.stats().origins["https://www.example.com:443"]
        assert stats == httpcore2.OriginStats(0, 1, 0, 0, 0)
        ```
    """

    active_connections: int = 0
    idle_connections: int = 0
    connecting_connections: int = 0
    active_requests: int = 0
    queued_requests: int = 0


class PoolStats(NamedTuple):
    """The connections and requests of a pool at one moment, its limits, and totals since the pool was made.

    Attributes:
        active_connections: the connections that requests use.
        idle_connections: those that no request uses, and the next one may.
        connecting_connections: those that are being established, or are going to be.
        active_requests: the requests that use a connection, or make one.
        queued_requests: those that wait for a connection.
        origins: the same for each origin, such as `https://www.example.com:443`, that has any.
        max_connections: the limit on all connections; `None` for no limit.
        max_keepalive_connections: the limit on idle ones; `None` for no limit.
        max_connections_per_origin: the limit on those to one origin; `None` for no limit.
        opened: how many connections were established.
        reused: how many requests were sent on a connection that had been sent one before.
        closed: how many connections were closed, by reason; a dial that failed is `CloseReason.DIAL_FAILED`.
        failed: how many requests failed, by phase: `"pool"` (the wait for a connection), `"connect"` (its dial),
            `"exchange"` (until the head of the response), `"body"` (after it). Cancelled ones are not counted.
        resent: how often a request was sent again.
        pool_timeouts: how many requests failed with `PoolTimeout`.
        seconds_waited: how long requests have waited for connections, in seconds.
        bytes_sent: the bytes that were written to connections, heads and framing included, before TLS.
        bytes_received: the bytes that were read from connections, heads and framing included, after TLS.

    Example:
        ```python
        import httpcore2

        with httpcore2.ConnectionPool() as http:
            for _ in range(3):
                http.request("GET", "https://www.example.com/")
            stats = http.stats()
        print(stats.opened, "opened,", stats.reused, "reused,", stats.idle_connections, "idle")
        ```

        ```text
        1 opened, 2 reused, 1 idle
        ```
    """

    active_connections: int
    idle_connections: int
    connecting_connections: int
    active_requests: int
    queued_requests: int
    origins: dict[str, OriginStats]
    max_connections: int | None
    max_keepalive_connections: int | None
    max_connections_per_origin: int | None
    opened: int
    reused: int
    closed: dict[CloseReason, int]
    failed: dict[str, int]
    resent: int
    pool_timeouts: int
    seconds_waited: float
    bytes_sent: int
    bytes_received: int


class Totals:
    """What a ledger counts since its pool was made; the names are those of `PoolStats`."""

    __slots__ = ("closed", "failed", "opened", "pool_timeouts", "resent", "seconds_waited")

    def __init__(self) -> None:
        self.opened = 0
        self.closed: dict[CloseReason, int] = dict.fromkeys(CloseReason, 0)
        self.failed: dict[str, int] = {}
        self.resent = 0
        self.pool_timeouts = 0
        self.seconds_waited = 0.0

    def copy(self) -> Totals:
        """Return a copy that does not change, without the counts that are 0."""
        copied = Totals()
        for name in Totals.__slots__:
            value = getattr(self, name)
            if isinstance(value, dict):
                value = {key: count for key, count in value.items() if count}
            setattr(copied, name, value)
        return copied

    def add_failed(self, phase: str) -> None:
        """A request failed in `phase`."""
        self.failed[phase] = self.failed.get(phase, 0) + 1
        if phase == "pool":
            self.pool_timeouts += 1

    def add_waited(self, seconds: float) -> None:
        """A request has waited for a connection."""
        self.seconds_waited += seconds

    def add_resent(self) -> None:
        """A request was sent again."""
        self.resent += 1


class LedgerStats(NamedTuple, Generic[K]):
    """What a ledger knows at one moment.

    Attributes:
        keys: the connections and requests of each key.
        totals: what it has counted.
    """

    keys: dict[K, OriginStats]
    totals: Totals


def summed(stats: list[OriginStats]) -> OriginStats:
    """Return the sums of several statistics."""
    return OriginStats(*map(sum, zip(*stats, strict=True))) if stats else OriginStats()
