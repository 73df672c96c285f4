"""The public HTTP/2 connections: they adapt the stream that a caller gives.

Must not know: how a request is sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from httpcore2_core._api.sync_base import SyncConnection
from httpcore2_core._models import Origin
from httpcore2_core._net.network_adapters import adapt_async_stream, adapt_stream
from httpcore2_core._net.network_interfaces import AsyncNetworkStream, NetworkStream

from ._connection import EstablishedHTTP2Connection, HTTP2Settings

if TYPE_CHECKING:
    from h2.config import H2Configuration


class AsyncHTTP2Connection(EstablishedHTTP2Connection):
    """An HTTP/2 connection over a stream that is already established (RFC 9113).

    Attributes:
        STREAM_WINDOW: how many bytes of a response wait for their reader before the server has to.
        CONNECTION_WINDOW: how many bytes may be on their way at a time.
        READ_NUM_BYTES: how many bytes to read at a time.
        CONFIG: what h2 is told, which the codec makes use of.
        PING_INTERVAL: seconds without a frame after which the server is asked, by a PING, whether it is still there
            while requests wait for it; `None` for never.
        PING_BEFORE_REUSE: the same, before a connection that was idle is used again; `None` for never.
        PING_TIMEOUT: seconds for an answer, after which the connection is given up. A request that was to reuse it then
            moves to another one; those under way fail with `ReadTimeout`.
    """

    def __init__(
        self,
        origin: Origin,
        stream: AsyncNetworkStream,
        keepalive_expiry: float | None = None,
        *,
        _settings: HTTP2Settings | type[HTTP2Settings] | None = None,
    ) -> None:
        """Take over a stream.

        Args:
            origin: the server at the other end of the stream.
            stream: an established connection.
            keepalive_expiry: seconds after which the idle connection counts as expired; `None` for never.
        """
        adapted = adapt_async_stream(stream)
        if _settings is None and adapted.runtime.is_blocking:
            _settings = HTTP2Connection  # the class whose settings users of the sync API know
        super().__init__(origin, adapted, keepalive_expiry, _settings)


class HTTP2Connection(SyncConnection):
    """An HTTP/2 connection over a stream that is already established; see `AsyncHTTP2Connection`.

    It may be shared by any number of threads.
    """

    READ_NUM_BYTES: ClassVar[int] = AsyncHTTP2Connection.READ_NUM_BYTES
    CONFIG: ClassVar[H2Configuration] = AsyncHTTP2Connection.CONFIG

    def __init__(
        self,
        origin: Origin,
        stream: NetworkStream,
        keepalive_expiry: float | None = None,
    ) -> None:
        """Take over a stream; parameters as for `AsyncHTTP2Connection`."""
        super().__init__(
            AsyncHTTP2Connection(origin, adapt_stream(stream), keepalive_expiry, _settings=self)
        )
