"""Module path of 2.16.2: the mocks."""

from httpcore2_core._net.mock import MockSSLObject

from .. import AsyncMockBackend, AsyncMockStream, MockBackend, MockStream

__all__ = ["AsyncMockBackend", "AsyncMockStream", "MockBackend", "MockSSLObject", "MockStream"]
