"""Asking the system, without waiting, whether a socket has something to be read.

To poll costs 0.4 µs where nothing came; to receive in vain, or to peek, raises an exception and
costs 1.3 µs; `select` takes 1 µs and no descriptor above 1023.
Must not know: streams, event loops.
"""

from __future__ import annotations

import select
import socket
from typing import Protocol


class Poller(Protocol):
    """As `select.poll()` returns it."""

    def poll(self, timeout: float | None = ..., /) -> list[tuple[int, int]]: ...


def make_poller(sock: socket.socket) -> Poller | None:
    """Return what polls `sock` for bytes, the end or an error; `None` on Windows, which has no `poll`.

    It knows the socket by its descriptor, whose number another socket may have once it is closed. It
    takes 290 bytes. To make one for each poll would cost 0.2 µs.
    """
    if not hasattr(select, "poll"):
        return None
    poller = select.poll()
    poller.register(sock, select.POLLIN)
    return poller
