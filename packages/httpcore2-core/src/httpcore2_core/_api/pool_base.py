"""What the pools of both APIs have in common: the engine, the settings, and the connections that are made of these.

Must not know: which request gets which connection (the ledger decides), how a request is sent.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from .._arguments import RequestMemory
from .._http.observation import Observation, install
from .._http.observer import Observer
from .._models import URL, Origin, Request, RequestExtensionTypes
from .._net.network_adapters import default_backend
from .._net.runtime_backend import RuntimeBackend
from .._pool.config import PoolConfig
from .._pool.connection_lease import ConnectionLease
from .._pool.engine import Engine
from .._pool.poolable import Poolable
from .._pool.statistics import PoolStats
from .async_connection import AsyncHTTPConnection
from .proxy_connections import make_connection

if TYPE_CHECKING:
    import ssl


def connect_request(
    url: URL | bytes | str, count: int, extensions: RequestExtensionTypes
) -> Request:
    """Return the request on whose behalf `connect()` of a pool opens connections; it is not sent.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: `count` is out of its range, or the URL is malformed.
    """
    if not isinstance(count, int):
        raise TypeError(f"count must be an int, but got {type(count).__name__}.")
    if count < 1:
        raise ValueError(f"count must be 1 or more, but got {count}.")
    return Request("GET", url, extensions=extensions)


class PoolBase:
    """The base class of `AsyncConnectionPool` and `ConnectionPool`."""

    def _set_up(self, config: PoolConfig) -> None:
        config.check()
        config = config.without_unusable_http3()
        self._config = config
        self._engine = Engine(config, default_backend)
        self._memory: RequestMemory | None = self._engine.memory.of(RequestMemory)

    @property
    def _ssl_context(self) -> ssl.SSLContext | None:
        """The context for origins, under the name that it has in 2.16.2."""
        return self._config.connection.ssl_context

    def _use_backend(self, backend: RuntimeBackend | None) -> None:
        """Open the connections that are made from now on with `backend`."""
        connection = self._config.connection._replace(network_backend=backend)
        self._config = self._config._replace(connection=connection)
        self._engine.use_backend(backend)

    def observe(self, observer: Observer) -> Observation:
        """Install an observer, which is told what the pool does from now on.

        Args:
            observer: the observer. Any number may be installed, and one may observe several pools.

        Returns:
            The installed observer: `remove()`, or the end of a `with` block, removes it.

        Raises:
            TypeError: `observer` is not an `Observer`.
        """
        return install(self._engine.observers.own, observer)

    def stats(self) -> PoolStats:
        """Return how many connections and requests the pool has, and what it has done so far.

        All numbers are those of one moment. The call takes some microseconds for each origin and each connection.

        Returns:
            The statistics, which do not change afterwards.
        """
        return self._engine.stats()

    def close_expired(self) -> int:
        """Close the idle connections whose `keepalive_expiry`, server's keep-alive timeout or age has come.

        On asyncio a timer does the same. On threads and trio they are closed at the next use of the pool, or by this
        method, which a program may call from time to time. It does not block.

        Returns:
            How many were closed.

        Example:
            ```python
            import httpcore2

            with httpcore2.ConnectionPool(keepalive_expiry=60.0) as http:
                http.request("GET", "https://www.example.com/")
                assert http.close_expired() == 0  # its 60 seconds are not over
            ```
        """
        return self._engine.close_expired()

    def _try_http3(self, origin: Origin) -> None:
        """Try HTTP/3 for the next connection to an https origin, as if the origin had offered it.

        The command line calls it: curl tries HTTP/3 before a response has offered it.
        """
        alternatives = self._engine.alternatives
        if alternatives is not None:
            offer = [(b"alt-svc", b'h3=":%d"' % origin.port)]
            alternatives.learn((origin.host, origin.port), offer, math.inf)

    async def _acquire_lease(
        self,
        url: URL | bytes | str,
        is_reusable: bool,
        extensions: RequestExtensionTypes,
        create: Callable[[Origin], Poolable],
    ) -> ConnectionLease:
        """Acquire a connection for one caller.

        Args:
            url: a URL of the origin.
            is_reusable: whether the connection may be one that was given back, and may be used again.
            extensions: those of the lease.
            create: makes a connection that offers no HTTP/2, where there is none to use.
        """
        request = Request("GET", url, extensions=extensions)
        return await ConnectionLease.acquire(self._engine, request, create, is_reusable)

    def _check_lease(self, reuse: bool) -> None:
        if not isinstance(reuse, bool):
            raise TypeError(f"reuse must be a bool, but got {type(reuse).__name__}.")
        if not self._config.connection.http1:
            raise RuntimeError(
                "A leased connection uses HTTP/1.1, which this pool does not allow (http1=False). "
                "Lease it from another pool."
            )

    def _make_http11_connection(self, origin: Origin) -> AsyncHTTPConnection:
        """Make a connection that offers no HTTP/2 by ALPN."""
        config = self._config.connection._replace(http2=False)
        return make_connection(self._config.proxy, origin, config)

    def _make_connection(self, origin: Origin) -> AsyncHTTPConnection:
        return make_connection(self._config.proxy, origin, self._config.connection)

    def __repr__(self) -> str:
        counts = self._engine.counts
        return (
            f"<{type(self).__name__} [Requests: {counts.active_requests} active, {counts.queued_requests} queued | "
            f"Connections: {counts.active_connections} active, {counts.idle_connections} idle]>"
        )
