"""Module path of 2.16.2: `AsyncHTTPProxy`."""

from .. import AsyncHTTPProxy

__all__ = ["AsyncHTTPProxy"]
