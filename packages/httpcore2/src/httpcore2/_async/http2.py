"""The place of `AsyncHTTP2Connection` in 2.16.2."""

from .. import AsyncHTTP2Connection

__all__ = ["AsyncHTTP2Connection"]
