"""The object by which a request holds a connection.

A pool has weak references to the leases of its connections in use. A request that is interrupted between two
instructions, outside any `finally`, and a response that is garbage-collected without being closed, lose their lease.
So the pool notices that their connection is not in use any more. Requests that share a connection share its lease.

Must not know: connections, requests, how they are pooled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

C = TypeVar("C")


class Lease(Generic[C]):
    """Holds a connection, or at first the slot for one.

    Attributes:
        connection: the connection. The attribute is set when the dial begins.
        ticket: the ledger's ticket, if the request had to wait for a slot or to dial.
        on_failure: set by the pool: called if the body of a response fails.
        uses: how often the connection became idle. While the number is the same, the use of a connection that is not
            multiplexed has not ended.
    """

    __slots__ = ("__weakref__", "connection", "on_failure", "ticket", "uses")

    connection: C

    def __init__(self) -> None:
        self.ticket: Any = None
        self.on_failure: Callable[[], None] | None = None
        self.uses = 0

    def report_failure(self) -> None:
        """The body of a response on the connection has failed."""
        if self.on_failure is not None:
            self.on_failure()
