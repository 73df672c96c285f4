"""The public HTTP/2 connections: they adapt the network stream that a caller gives. Layer: connection.

Must not know: how a request is sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from httpcore2_core._api.sync_base import SyncConnection
from httpcore2_core._models import Origin
from httpcore2_core._net.network_adapters import adapt_async_stream, adapt_sync_stream
from httpcore2_core._net.network_interfaces import AsyncNetworkStream, NetworkStream

from ._connection import EstablishedHTTP2Connection, HTTP2Settings

if TYPE_CHECKING:
    from h2.config import H2Configuration


class AsyncHTTP2Connection(EstablishedHTTP2Connection):
    """An HTTP/2 connection over a network stream that is already established, for asyncio and trio (RFC 9113).

    Pools create one where a server chooses HTTP/2. Used on its own it needs a stream on which both sides speak HTTP/2,
    by ALPN or by prior knowledge. Any number of tasks may send requests at the same time.

    Attributes:
        READ_NUM_BYTES: bytes to read at a time (64 KiB).
        STREAM_WINDOW: bytes of one response that the server may send before the caller reads them (1 MiB).
        CONNECTION_WINDOW: bytes that the server may send on all streams together before they are received (16 MiB).
        CONFIG: the `h2.config.H2Configuration` of the connection.
        PING_INTERVAL: seconds of silence after which a PING is sent while requests wait (RFC 9113, section 6.7);
            `None`, the default, for never.
        PING_BEFORE_REUSE: seconds of silence after which a PING is sent, and the reply awaited, before the idle
            connection is used again (60); `None` for never.
        PING_TIMEOUT: seconds that the server has for the reply (15). After that the connection is closed: the pool
            sends the request that was to reuse it on another one, and requests under way fail with `ReadTimeout`.

    Example:
        ```python
        import asyncio

        import httpcore2


        async def main() -> None:
            origin = httpcore2.Origin(b"http", b"www.example.com", 80)
            stream = await httpcore2.AsyncIOBackend().connect_tcp("www.example.com", 80)
            async with httpcore2.AsyncHTTP2Connection(origin, stream) as connection:
                response = await connection.request("GET", "http://www.example.com/")
                print(response.status)


        asyncio.run(main())
        ```
    """

    def __init__(
        self,
        origin: Origin,
        stream: AsyncNetworkStream,
        keepalive_expiry: float | None = None,
        *,
        _settings: HTTP2Settings | type[HTTP2Settings] | None = None,
    ) -> None:
        """Create a connection over `stream`, without sending anything.

        Args:
            origin: the server at the other end of the stream; requests to another origin are refused.
            stream: an established network stream, which the connection closes in the end.
            keepalive_expiry: seconds after which the idle connection counts as expired; `None`, the default, for never.
        """
        adapted = adapt_async_stream(stream)
        if _settings is None and adapted.runtime.is_blocking:
            _settings = HTTP2Connection  # the class whose settings users of the sync API know
        super().__init__(origin, adapted, keepalive_expiry, _settings)


class HTTP2Connection(SyncConnection):
    """An HTTP/2 connection over a network stream that is already established, for threads (RFC 9113).

    Pools create one where a server chooses HTTP/2. Used on its own it needs a stream on which both sides speak HTTP/2,
    by ALPN or by prior knowledge. Any number of threads may send requests at the same time.

    Attributes:
        READ_NUM_BYTES: bytes to read at a time (64 KiB).
        CONFIG: the `h2.config.H2Configuration` of the connection.

    Example:
        ```python
        import httpcore2

        origin = httpcore2.Origin(b"http", b"www.example.com", 80)
        stream = httpcore2.SyncBackend().connect_tcp("www.example.com", 80)
        with httpcore2.HTTP2Connection(origin, stream) as connection:
            response = connection.request("GET", "http://www.example.com/")
            print(response.status)
        ```
    """

    READ_NUM_BYTES: ClassVar[int] = AsyncHTTP2Connection.READ_NUM_BYTES
    CONFIG: ClassVar[H2Configuration] = AsyncHTTP2Connection.CONFIG

    def __init__(
        self,
        origin: Origin,
        stream: NetworkStream,
        keepalive_expiry: float | None = None,
    ) -> None:
        """Create a connection over `stream`, without sending anything.

        Args:
            origin: the server at the other end of the stream; requests to another origin are refused.
            stream: an established network stream, which the connection closes in the end.
            keepalive_expiry: seconds after which the idle connection counts as expired; `None`, the default, for never.
        """
        super().__init__(
            AsyncHTTP2Connection(
                origin, adapt_sync_stream(stream), keepalive_expiry, _settings=self
            )
        )
