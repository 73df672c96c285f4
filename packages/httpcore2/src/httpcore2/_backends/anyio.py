"""Module path of 2.16.2: `AnyIOBackend`."""

from .. import AnyIOBackend

__all__ = ["AnyIOBackend"]
