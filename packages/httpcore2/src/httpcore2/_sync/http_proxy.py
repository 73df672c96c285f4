"""The place of `HTTPProxy` in 2.16.2."""

from .. import HTTPProxy

__all__ = ["HTTPProxy"]
