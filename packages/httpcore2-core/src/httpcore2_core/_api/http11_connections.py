"""The public HTTP/1.1 connections: they adapt the stream that a caller gives.

Must not know: how a request is sent.
"""

from __future__ import annotations

from typing import ClassVar

from .._http11.connection import EstablishedHTTP11Connection, HTTP11Settings
from .._models import Origin
from .._net.network_adapters import adapt_async_stream, adapt_sync_stream
from .._net.network_interfaces import AsyncNetworkStream, NetworkStream
from .sync_base import SyncConnection


class AsyncHTTP11Connection(EstablishedHTTP11Connection):
    r"""An HTTP/1.1 connection over an established stream (RFC 9112), for asyncio, trio and anyio.

    It takes one request at a time.

    Args:
        origin: the server at the other end of the stream. The scheme and the port are not used to connect.
        stream: the established `AsyncNetworkStream`. The connection owns it from now on, and closes it.
        keepalive_expiry: seconds after which the idle connection has expired (`has_expired()`); `None` for no limit.

    Attributes:
        READ_NUM_BYTES: how many bytes to read at a time.
        MAX_INCOMPLETE_EVENT_SIZE: how many bytes the head of a response may have.

    Example:
        The stream is mocked: it gives a fixed response.

        ```python
        import asyncio

        import httpcore2

        REPLY = [b"HTTP/1.1 200 OK\r\n", b"Content-Length: 5\r\n\r\n", b"Hello"]


        async def main():
            origin = httpcore2.Origin(b"http", b"www.example.com", 80)
            stream = httpcore2.AsyncMockStream(REPLY)
            async with httpcore2.AsyncHTTP11Connection(origin, stream) as connection:
                response = await connection.request("GET", "http://www.example.com/")
                assert response.content == b"Hello"


        asyncio.run(main())
        ```
    """

    def __init__(
        self,
        origin: Origin,
        stream: AsyncNetworkStream,
        keepalive_expiry: float | None = None,
        *,
        _settings: HTTP11Settings | type[HTTP11Settings] | None = None,
    ) -> None:
        adapted = adapt_async_stream(stream)
        if _settings is None and adapted.runtime.is_blocking:
            _settings = HTTP11Connection  # the class whose settings users of the sync API know
        super().__init__(origin, adapted, keepalive_expiry, _settings)


class HTTP11Connection(SyncConnection):
    r"""An HTTP/1.1 connection over an established stream (RFC 9112), for threads.

    It takes one request at a time.

    Args:
        origin: the server at the other end of the stream. The scheme and the port are not used to connect.
        stream: the established `NetworkStream`. The connection owns it from now on, and closes it.
        keepalive_expiry: seconds after which the idle connection has expired (`has_expired()`); `None` for no limit.

    Attributes:
        READ_NUM_BYTES: how many bytes to read at a time.
        MAX_INCOMPLETE_EVENT_SIZE: how many bytes the head of a response may have.

    Example:
        The stream is mocked: it gives a fixed response.

        ```python
        import httpcore2

        REPLY = [b"HTTP/1.1 200 OK\r\n", b"Content-Length: 5\r\n\r\n", b"Hello"]

        origin = httpcore2.Origin(b"http", b"www.example.com", 80)
        with httpcore2.HTTP11Connection(origin, httpcore2.MockStream(REPLY)) as connection:
            response = connection.request("GET", "http://www.example.com/")
            assert response.content == b"Hello"
        ```
    """

    READ_NUM_BYTES: ClassVar[int] = AsyncHTTP11Connection.READ_NUM_BYTES
    MAX_INCOMPLETE_EVENT_SIZE: ClassVar[int] = AsyncHTTP11Connection.MAX_INCOMPLETE_EVENT_SIZE

    def __init__(
        self,
        origin: Origin,
        stream: NetworkStream,
        keepalive_expiry: float | None = None,
    ) -> None:
        super().__init__(
            AsyncHTTP11Connection(
                origin, adapt_sync_stream(stream), keepalive_expiry, _settings=self
            )
        )
