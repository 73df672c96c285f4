"""Module path of 2.16.2: `AsyncHTTPConnection`."""

from .. import AsyncHTTPConnection

__all__ = ["AsyncHTTPConnection"]
