"""Module path of 2.16.2: `AsyncHTTP11Connection`."""

from .. import AsyncHTTP11Connection

__all__ = ["AsyncHTTP11Connection"]
