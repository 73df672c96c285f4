"""Module path of 2.16.2: `HTTPProxy`."""

from .. import HTTPProxy

__all__ = ["HTTPProxy"]
