"""The place of the mocks in 2.16.2."""

from httpcore2_core._backends.mock import MockSSLObject

from .. import AsyncMockBackend, AsyncMockStream, MockBackend, MockStream

__all__ = ["AsyncMockBackend", "AsyncMockStream", "MockBackend", "MockSSLObject", "MockStream"]
