"""Tells a forked child from its parent.

A child shares its parent's sockets and event loops: it must forget them, and close no more than its own descriptors.
"""

from __future__ import annotations

import os

_generation = 0


def generation() -> int:
    """A number that is another one in each forked child."""
    return _generation


def _count() -> None:
    global _generation
    _generation += 1


# Windows has no such function, and can't fork.
getattr(os, "register_at_fork", lambda **_: None)(after_in_child=_count)
