"""The trio backend of httpcore2."""

from __future__ import annotations

from ._backend import TrioBackend

__all__ = ["TrioBackend"]
