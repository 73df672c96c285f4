"""The synchronous face of the connection; it decides nothing."""

from __future__ import annotations

from httpcore2_core._api.sync_connections import SyncConnection
from httpcore2_core._models import Origin
from httpcore2_core._net.adapters import adapt_stream
from httpcore2_core._net.network_interfaces import NetworkStream

from ._connection import AsyncHTTP2Connection


class HTTP2Connection(SyncConnection):
    """An HTTP/2 connection over a stream that is already established; see `AsyncHTTP2Connection`.

    It may be shared by any number of threads.
    """

    READ_NUM_BYTES = AsyncHTTP2Connection.READ_NUM_BYTES
    CONFIG = AsyncHTTP2Connection.CONFIG

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


AsyncHTTP2Connection.sync_counterpart = HTTP2Connection
