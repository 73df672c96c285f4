"""Module path of 2.16.2: `TrioBackend`."""

from .. import TrioBackend

__all__ = ["TrioBackend"]
