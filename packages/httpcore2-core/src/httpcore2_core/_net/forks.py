"""Which process this is: a forked child shares sockets and event loops with its parent.

Rules: a child forgets its parent's sockets and event loops, and closes no more than its own descriptors.
Must not know: sockets, HTTP.
"""

from __future__ import annotations

import os
from collections.abc import Callable

_generation = 0


def generation() -> int:
    """Return a number that is another one in each forked child."""
    return _generation


def call_in_children(function: Callable[[], None]) -> None:
    """Call `function` in each child that is forked from now on, before anything else runs there."""
    # Windows has no such function, and can't fork.
    getattr(os, "register_at_fork", lambda **_: None)(after_in_child=function)


def _count() -> None:
    global _generation
    _generation += 1


call_in_children(_count)
