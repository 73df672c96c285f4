"""The bodies of responses, and their checks.

This module runs in every client's environment, with the standard library only.
"""

from __future__ import annotations

from typing import Any


class Wrong(Exception):
    """A response differs from the expected one."""


def page(size: int) -> bytes:
    """Return `size` bytes in which each run of 16 is unique, so that lost or moved bytes are found."""
    lines = b"".join(b"%015d\n" % number for number in range(size // 16 + 1))
    return lines[:size]


class Expected:
    """Checks responses.

    Each is checked for its status, its length and its last bytes, which takes 0.2 µs for every client. `whole()` checks
    the whole body, in the warm-up.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.body = page(size)
        self._tail = self.body[-16:]

    def check(self, status: int, body: Any) -> None:
        if status != 200 or len(body) != self.size or body[-16:] != self._tail:
            raise Wrong(f"status {status}, {len(body)} bytes, {bytes(body[-16:])!r} at the end")

    def download(self, status: int, received: Any) -> None:
        """Check a body by its length and its last chunk."""
        end = bytes(received.last[-16:])
        if (
            status != 200
            or received.length != self.size
            or not end
            or self._tail[-len(end) :] != end
        ):
            raise Wrong(f"status {status}, {received.length} bytes, {end!r} at the end")

    def whole(self, status: int, body: Any) -> None:
        self.check(status, body)
        if bytes(body) != self.body:
            raise Wrong("the body differs from the page")
