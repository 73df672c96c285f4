"""The place of `AnyIOBackend` in 2.16.2."""

from .. import AnyIOBackend

__all__ = ["AnyIOBackend"]
