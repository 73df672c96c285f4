"""The place of `AsyncConnectionPool` in 2.16.2."""

from .. import AsyncConnectionPool

__all__ = ["AsyncConnectionPool"]
