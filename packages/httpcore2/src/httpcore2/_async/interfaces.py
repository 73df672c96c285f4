"""Module path of 2.16.2: the interfaces for event loops."""

from httpcore2_core import AsyncConnectionInterface, AsyncRequestInterface

__all__ = ["AsyncConnectionInterface", "AsyncRequestInterface"]
