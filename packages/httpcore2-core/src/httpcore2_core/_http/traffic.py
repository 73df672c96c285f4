"""What the connections of a pool have carried, for its statistics.

Must not know: connections, pools.
"""

from __future__ import annotations


class Traffic:
    """The counts of all connections that share it: those of one pool, or one connection without a pool.

    Threads add to it without a lock, by statements such as `traffic.bytes_sent += size`: with the GIL no other thread
    comes between reading the count and writing it, as long as nothing is called in the statement.

    Attributes:
        reused: how many requests were sent on a connection that had been sent one before.
        bytes_sent: the bytes that were written, heads and framing included, before TLS.
        bytes_received: the bytes that were read, heads and framing included, after TLS.
    """

    __slots__ = ("bytes_received", "bytes_sent", "reused")

    def __init__(self) -> None:
        self.reused: int = 0
        self.bytes_sent: int = 0
        self.bytes_received: int = 0
