"""The place of `AsyncHTTPConnection` in 2.16.2."""

from .. import AsyncHTTPConnection

__all__ = ["AsyncHTTPConnection"]
