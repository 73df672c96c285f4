"""The place of `TrioBackend` in 2.16.2."""

from .. import TrioBackend

__all__ = ["TrioBackend"]
