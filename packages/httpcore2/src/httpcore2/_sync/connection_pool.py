"""Module path of 2.16.2: `ConnectionPool`."""

from .. import ConnectionPool

__all__ = ["ConnectionPool"]
