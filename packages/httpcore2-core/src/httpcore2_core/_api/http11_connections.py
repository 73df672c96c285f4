"""The public HTTP/1.1 connections: they adapt the stream that a caller gives.

Must not know: how a request is sent.
"""

from __future__ import annotations

from typing import ClassVar

from .._http11.connection import EstablishedHTTP11Connection, HTTP11Settings
from .._models import Origin
from .._net.network_adapters import adapt_async_stream, adapt_stream
from .._net.network_interfaces import AsyncNetworkStream, NetworkStream
from .sync_base import SyncConnection


class AsyncHTTP11Connection(EstablishedHTTP11Connection):
    """An HTTP/1.1 connection over a stream that is already established (RFC 9112).

    Attributes:
        READ_NUM_BYTES: how many bytes to read at a time.
        MAX_INCOMPLETE_EVENT_SIZE: how many bytes the head of a response may have.
    """

    def __init__(
        self,
        origin: Origin,
        stream: AsyncNetworkStream,
        keepalive_expiry: float | None = None,
        *,
        _settings: HTTP11Settings | type[HTTP11Settings] | None = None,
    ) -> None:
        """Take over a stream.

        Args:
            origin: the server at the other end of the stream.
            stream: an established connection.
            keepalive_expiry: seconds after which the idle connection counts as expired; `None` for never.
        """
        adapted = adapt_async_stream(stream)
        if _settings is None and adapted.runtime.is_blocking:
            _settings = HTTP11Connection  # the class whose settings users of the sync API know
        super().__init__(origin, adapted, keepalive_expiry, _settings)


class HTTP11Connection(SyncConnection):
    """An HTTP/1.1 connection over a stream that is already established; see `AsyncHTTP11Connection`."""

    READ_NUM_BYTES: ClassVar[int] = AsyncHTTP11Connection.READ_NUM_BYTES
    MAX_INCOMPLETE_EVENT_SIZE: ClassVar[int] = AsyncHTTP11Connection.MAX_INCOMPLETE_EVENT_SIZE

    def __init__(
        self,
        origin: Origin,
        stream: NetworkStream,
        keepalive_expiry: float | None = None,
    ) -> None:
        """Take over a stream; parameters as for `AsyncHTTP11Connection`."""
        super().__init__(
            AsyncHTTP11Connection(origin, adapt_stream(stream), keepalive_expiry, _settings=self)
        )
