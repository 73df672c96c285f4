"""The place of the interfaces for event loops in 2.16.2."""

from httpcore2_core import AsyncConnectionInterface, AsyncRequestInterface

__all__ = ["AsyncConnectionInterface", "AsyncRequestInterface"]
