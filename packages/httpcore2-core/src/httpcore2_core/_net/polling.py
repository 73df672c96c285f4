"""Polling a socket: whether bytes, the end or an error have arrived, without waiting.

A poll that finds nothing costs 0.4 µs. A receive or a peek that finds nothing raises an exception, and costs 1.3 µs;
`select` costs 1 µs and can't have a descriptor above 1023.
Must not know: streams, event loops.
"""

from __future__ import annotations

import select
import socket
from typing import Protocol


class Poller(Protocol):
    """The object that `select.poll()` returns."""

    def poll(self, timeout: float | None = ..., /) -> list[tuple[int, int]]: ...


def make_poller(sock: socket.socket) -> Poller | None:
    """Return a poller of `sock` for bytes, the end or an error; `None` on Windows, which has no `poll`.

    It knows the socket by the number of its descriptor, which another socket may get once this one is closed. It takes
    290 bytes. To make one for each poll would cost 0.2 µs.
    """
    if not hasattr(select, "poll"):
        return None
    poller = select.poll()
    poller.register(sock, select.POLLIN)
    return poller
