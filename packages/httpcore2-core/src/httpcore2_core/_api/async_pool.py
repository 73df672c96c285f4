"""The pool for event loops."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING

from .._arguments import RequestMemory
from .._connect.config import ConnectionConfig
from .._http.interfaces import AsyncClosingContext, AsyncConnectionInterface, AsyncRequestInterface
from .._models import Origin, Proxy, Request, Response
from .._net.detection import AutoBackend
from .._net.network_adapters import adapt_given_backend
from .._net.network_interfaces import SOCKET_OPTION, AsyncNetworkBackend
from .._pool.config import PoolConfig
from .._pool.poolable import Poolable
from .adapters import adapt_async_connection, public_async_connection
from .pool_base import PoolBase

if TYPE_CHECKING:
    import ssl


class AsyncConnectionPool(PoolBase, AsyncClosingContext, AsyncRequestInterface):
    """A connection pool for making HTTP requests, for asyncio, trio and anyio.

    It may be shared by any number of tasks of one event loop. Open it with `async with`, or close it with `aclose()`.

        async with httpcore2.AsyncConnectionPool() as http:
            response = await http.request("GET", "https://www.example.com/")
    """

    def __init__(
        self,
        ssl_context: ssl.SSLContext | None = None,
        proxy: Proxy | None = None,
        max_connections: int | None = 10,
        max_keepalive_connections: int | None = None,
        keepalive_expiry: float | None = None,
        http1: bool = True,
        http2: bool = False,
        retries: int = 0,
        local_address: str | None = None,
        uds: str | None = None,
        network_backend: AsyncNetworkBackend | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> None:
        """Prepare a pool; nothing is opened yet.

        Args:
            ssl_context: for TLS; by default that of `default_ssl_context()`.
            proxy: the proxy to go through.
            max_connections: how many connections may be open at a time, `None` for any number. A
                request beyond that waits for its turn, first come, first served.
            max_keepalive_connections: how many of them may be idle, `None` for all.
            keepalive_expiry: seconds after which an idle connection is closed, `None` for never.
            http1: whether HTTP/1.1 may be spoken.
            http2: whether HTTP/2 may be spoken.
            retries: how often to try again to connect, after 0, 0.5, 1, 2, … seconds.
            local_address: the address to connect from; `"0.0.0.0"` and `"::"` select IPv4 and IPv6.
            uds: the path of a unix socket in place of TCP: the origin's, or the proxy's.
            network_backend: what opens connections; by default the one of the running event loop.
            socket_options: arguments of `setsockopt`, applied before connecting.

        Raises:
            ValueError: a number is negative, neither protocol is allowed, or the proxy holds what
                can't be sent.
            UnsupportedProtocol: the scheme of the proxy's URL is unknown.
            ImportError: what HTTP/2 or SOCKS5 needs is not installed.
        """
        connection = ConnectionConfig(
            ssl_context,
            keepalive_expiry,
            http1,
            http2,
            retries,
            local_address,
            uds,
            adapt_given_backend(network_backend),
            None if socket_options is None else list(socket_options),
        )
        self._set_up(PoolConfig(connection, proxy, max_connections, max_keepalive_connections))
        self._given_network_backend = network_backend

    @property
    def _network_backend(self) -> AsyncNetworkBackend:
        """What opens connections, where 2.16.2 has it: guards against forged requests wrap it in their own."""
        return self._given_network_backend or AutoBackend()

    @_network_backend.setter
    def _network_backend(self, backend: AsyncNetworkBackend) -> None:
        self._given_network_backend = backend
        self._use_backend(adapt_given_backend(backend))

    def create_connection(self, origin: Origin) -> AsyncConnectionInterface:
        """Make the connection for requests to `origin`; nothing is opened yet.

        A pool of one's own may return connections of its own.
        """
        return self._make_connection(origin)

    @property
    def connections(self) -> list[AsyncConnectionInterface]:
        """The connections in the pool now, in the order in which they were made.

        Example:
            >>> import asyncio
            >>> import httpcore2
            >>> async def main() -> None:
            ...     async with httpcore2.AsyncConnectionPool() as http:
            ...         await http.request("GET", "https://example.com/")
            ...         print(http.connections)
            >>> asyncio.run(main())
            [<AsyncHTTPConnection ['https://example.com:443', HTTP/1.1, IDLE, Request Count: 1]>]
        """
        return [public_async_connection(poolable) for poolable in self._engine.connections]

    async def handle_async_request(self, request: Request) -> Response:
        return await self._engine.handle(request, self._create_poolable, self)

    def _create_poolable(self, origin: Origin) -> Poolable:
        return adapt_async_connection(self.create_connection(origin))

    async def aclose(self) -> None:
        """Close all connections, whatever they are doing. The pool may be used again."""
        self._memory = RequestMemory()
        await self._engine.aclose()

    def __del__(self) -> None:
        engine = getattr(self, "_engine", None)  # absent if __init__ refused its arguments
        if engine is not None and engine.connections:
            warnings.warn(
                f"{self!r} was not closed. Use 'async with', or 'await pool.aclose()'.",
                ResourceWarning,
                source=self,
                stacklevel=1,
            )
            engine.finalise()
