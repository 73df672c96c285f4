"""The pool for threads: a façade over the transport, which is written once, as coroutines."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .._arguments import RequestMemory
from .._connect.config import ConnectionConfig
from .._http.interfaces import ClosingContext, ConnectionInterface, RequestInterface
from .._models import Origin, Proxy, Request, Response
from .._net.coroutines import run_blocking
from .._net.network_adapters import adapt_backend
from .._net.network_interfaces import SOCKET_OPTION, NetworkBackend
from .._net.sync_backend import SyncBackend
from .._pool.config import PoolConfig
from .._pool.poolable import Poolable
from .adapters import adapt_sync_connection, public_sync_connection
from .pool_base import PoolBase
from .sync_base import sync_response
from .sync_connections import HTTPConnection

if TYPE_CHECKING:
    import ssl


class ConnectionPool(PoolBase, ClosingContext, RequestInterface):
    """A connection pool for making HTTP requests, for threads; see `AsyncConnectionPool`.

    It may be shared by any number of threads. One that is not closed is cleaned up when it is collected.

        with httpcore2.ConnectionPool() as http:
            response = http.request("GET", "https://www.example.com/")
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
        network_backend: NetworkBackend | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> None:
        """Prepare a pool; parameters and errors as for `AsyncConnectionPool`."""
        connection = ConnectionConfig(
            ssl_context,
            keepalive_expiry,
            http1,
            http2,
            retries,
            local_address,
            uds,
            adapt_backend(network_backend),
            None if socket_options is None else list(socket_options),
        )
        self._set_up(PoolConfig(connection, proxy, max_connections, max_keepalive_connections))
        self._given_network_backend = network_backend

    @property
    def _network_backend(self) -> NetworkBackend:
        """What opens connections, where 2.16.2 has it: guards against forged requests wrap it in their own."""
        return self._given_network_backend or SyncBackend()

    @_network_backend.setter
    def _network_backend(self, backend: NetworkBackend) -> None:
        self._given_network_backend = backend
        self._use_backend(adapt_backend(backend))

    def create_connection(self, origin: Origin) -> ConnectionInterface:
        """Make the connection for requests to `origin`; as `AsyncConnectionPool.create_connection`."""
        return HTTPConnection._of(self._make_connection(origin))

    def _create_poolable(self, origin: Origin) -> Poolable:
        return adapt_sync_connection(self.create_connection(origin))

    @property
    def connections(self) -> list[ConnectionInterface]:
        """The connections in the pool now, in the order in which they were made."""
        return [public_sync_connection(poolable) for poolable in self._engine.connections]

    def handle_request(self, request: Request) -> Response:
        handling = self._engine.handle(request, self._create_poolable, self)
        try:
            response = run_blocking(handling)
        except BaseException:
            handling.close()  # an exception may have come before it began
            raise
        body: Any = response.stream
        try:
            return sync_response(response)
        except BaseException:
            run_blocking(body.aclose())  # nobody else can
            raise

    def close(self) -> None:
        """Close all connections, whatever they are doing. The pool may be used again."""
        self._memory = RequestMemory()
        run_blocking(self._engine.aclose())

    def __del__(self) -> None:
        engine = getattr(self, "_engine", None)  # absent if __init__ refused its arguments
        if engine is not None:
            engine.finalise()
