"""What a request holds a connection by, for as long as it uses it.

A pool knows the leases of connections in use weakly. A request that is interrupted between two instructions, where no
`finally` covers it, or whose response is dropped without being closed, lets go of its lease all the same: that is how
the pool finds out that a connection belongs to nobody. The requests that share a connection share its lease.

Must not know: connections, requests, how they are pooled.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

C = TypeVar("C")


class Lease(Generic[C]):
    """A claim to a connection, or first to a slot for one.

    Attributes:
        connection: what is held; there is none until the dial begins.
        ticket: what it waits or dials by, if it had to ask for a slot; the ledger's own.
        uses: how often the connection came to rest. While that stays the same, the use of a connection that serves one
            request at a time is not over.
    """

    __slots__ = ("__weakref__", "connection", "ticket", "uses")

    connection: C

    def __init__(self) -> None:
        self.ticket: Any = None
        self.uses = 0
