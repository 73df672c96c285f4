"""The place of `AsyncHTTPProxy` in 2.16.2."""

from .. import AsyncHTTPProxy

__all__ = ["AsyncHTTPProxy"]
