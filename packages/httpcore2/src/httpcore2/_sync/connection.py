"""Module path of 2.16.2: `HTTPConnection`."""

from .. import HTTPConnection

__all__ = ["HTTPConnection"]
