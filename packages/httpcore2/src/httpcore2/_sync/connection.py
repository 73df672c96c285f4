"""The place of `HTTPConnection` in 2.16.2."""

from .. import HTTPConnection

__all__ = ["HTTPConnection"]
