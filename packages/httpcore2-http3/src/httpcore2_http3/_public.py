"""The public HTTP/3 connections: they adapt the datagram stream that a caller gives. Layer: connection.

Must not know: how a request is sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from httpcore2_core._api.sync_base import SyncConnection
from httpcore2_core._models import Origin, Request
from httpcore2_core._net.datagram_stream import DatagramStream, SyncDatagramStream

from ._connection import EstablishedHTTP3Connection
from ._tls import QuicMemory, problem_of

if TYPE_CHECKING:
    import ssl


class AsyncHTTP3Connection(EstablishedHTTP3Connection):
    """An HTTP/3 connection over a datagram stream, for asyncio, trio and anyio (RFC 9114).

    Pools create one where a server offers HTTP/3. Used on its own it needs a datagram stream to a server that speaks
    HTTP/3; the first request does the handshake. Any number of tasks may send requests at the same time.

    Attributes:
        PING_INTERVAL: seconds of silence after which a PING keeps the connection open while requests wait (10); `None`
            for never (RFC 9114, section 5.1).

    Example:
        ```python
        import asyncio

        import httpcore2


        async def main() -> None:
            origin = httpcore2.Origin(b"https", b"h3.example.com", 443)
            datagrams = await httpcore2.AsyncIOBackend().connect_udp("h3.example.com", 443)
            async with httpcore2.AsyncHTTP3Connection(origin, datagrams) as connection:
                response = await connection.request("GET", "https://h3.example.com/")
                print(response.status)


        asyncio.run(main())
        ```
    """

    def __init__(
        self,
        origin: Origin,
        datagrams: DatagramStream,
        keepalive_expiry: float | None = None,
        ssl_context: ssl.SSLContext | None = None,
        *,
        _server_name: str | None = None,
        _memory: QuicMemory | None = None,
        _early_request: Request | None = None,
    ) -> None:
        """Create a connection over `datagrams`, without sending anything.

        Args:
            origin: the server at the other end; requests to another origin are refused.
            datagrams: the datagram stream to the server, which the connection closes in the end.
            keepalive_expiry: seconds after which the idle connection counts as expired; `None`, the default, for never.
            ssl_context: has the trust anchors, and says whether the certificate and the name are verified; by default
                that of `default_ssl_context()`.

        Raises:
            ValueError: the context does what HTTP/3 can't do, such as verification of a kind of its own.
        """
        super().__init__(
            origin,
            datagrams,
            keepalive_expiry,
            ssl_context,
            _server_name,
            _memory,
            _early_request,
        )

    @staticmethod
    def problem_of(ssl_context: ssl.SSLContext) -> str | None:
        """Return why HTTP/3 can't do what a TLS context is for.

        Args:
            ssl_context: the context.

        Returns:
            The reason, as the end of a sentence; `None` if there is none.
        """
        return problem_of(ssl_context)


class HTTP3Connection(SyncConnection):
    """An HTTP/3 connection over a datagram stream, for threads (RFC 9114).

    Pools create one where a server offers HTTP/3. Used on its own it needs a datagram stream to a server that speaks
    HTTP/3; the first request does the handshake. Any number of threads may send requests at the same time.

    Example:
        ```python
        import httpcore2

        origin = httpcore2.Origin(b"https", b"h3.example.com", 443)
        datagrams = httpcore2.SyncBackend().connect_udp("h3.example.com", 443)
        with httpcore2.HTTP3Connection(origin, datagrams) as connection:
            response = connection.request("GET", "https://h3.example.com/")
            print(response.status)
        ```
    """

    def __init__(
        self,
        origin: Origin,
        datagrams: SyncDatagramStream,
        keepalive_expiry: float | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        """Create a connection over `datagrams`, without sending anything.

        Args:
            origin: the server at the other end; requests to another origin are refused.
            datagrams: the datagram stream to the server, which the connection closes in the end.
            keepalive_expiry: seconds after which the idle connection counts as expired; `None`, the default, for never.
            ssl_context: has the trust anchors, and says whether the certificate and the name are verified; by default
                that of `default_ssl_context()`.

        Raises:
            ValueError: the context does what HTTP/3 can't do, such as verification of a kind of its own.
        """
        super().__init__(
            AsyncHTTP3Connection(origin, datagrams.inner, keepalive_expiry, ssl_context)
        )
