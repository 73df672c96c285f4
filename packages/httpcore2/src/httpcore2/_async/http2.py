"""Module path of 2.16.2: `AsyncHTTP2Connection`."""

from .. import AsyncHTTP2Connection

__all__ = ["AsyncHTTP2Connection"]
