"""Module path of 2.16.2: the interfaces for threads."""

from httpcore2_core import ConnectionInterface, RequestInterface

__all__ = ["ConnectionInterface", "RequestInterface"]
