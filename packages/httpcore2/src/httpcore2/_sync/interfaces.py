"""The place of the interfaces for threads in 2.16.2."""

from httpcore2_core import ConnectionInterface, RequestInterface

__all__ = ["ConnectionInterface", "RequestInterface"]
