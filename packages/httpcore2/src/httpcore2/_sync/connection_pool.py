"""The place of `ConnectionPool` in 2.16.2."""

from .. import ConnectionPool

__all__ = ["ConnectionPool"]
