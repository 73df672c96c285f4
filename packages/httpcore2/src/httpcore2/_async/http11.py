"""The place of `AsyncHTTP11Connection` in 2.16.2."""

from .. import AsyncHTTP11Connection

__all__ = ["AsyncHTTP11Connection"]
