"""The bodies that are sent, and how one is known to have come whole.

Runs in every client's environment: the standard library is all it needs.
"""

from __future__ import annotations

from typing import Any


class Wrong(Exception):
    """An answer that isn't what was asked for."""


def page(size: int) -> bytes:
    """Return `size` bytes of which no 16 are like another 16, so that a piece that is lost or moved is seen."""
    lines = b"".join(b"%015d\n" % number for number in range(size // 16 + 1))
    return lines[:size]


class Expected:
    """Checks answers.

    Each is checked for status, length and its last bytes, which costs every client the same 0.2 µs; `whole()` looks at
    all of it, for the warm-up.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.body = page(size)
        self._tail = self.body[-16:]

    def check(self, status: int, body: Any) -> None:
        if status != 200 or len(body) != self.size or body[-16:] != self._tail:
            raise Wrong(f"status {status}, {len(body)} bytes, {bytes(body[-16:])!r} at the end")

    def download(self, status: int, received: Any) -> None:
        """Check a body of which there is but the length, and the last piece."""
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
            raise Wrong("the body is not the page")
