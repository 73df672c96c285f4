"""Module path of 2.16.2: `AsyncConnectionPool`."""

from .. import AsyncConnectionPool

__all__ = ["AsyncConnectionPool"]
