"""The pool for event loops, and what both faces of the pool have in common.

Must not know: how connections are shared out (the ledger does), how a request is sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .._models import Origin, Proxy
from .._net.network_interfaces import SOCKET_OPTION, AsyncNetworkBackend
from .._pool.engine import Engine
from .async_connection import AsyncHTTPConnection, check_protocols
from .proxy_connections import Settings, check_proxy, make_connection

if TYPE_CHECKING:
    import ssl


class PoolBase:
    """What both faces of the pool hold: the engine, and what connections are made with."""

    def _set_up(
        self,
        ssl_context: ssl.SSLContext | None,
        proxy: Proxy | None,
        max_connections: int | None,
        max_keepalive_connections: int | None,
        keepalive_expiry: float | None,
        http1: bool,
        http2: bool,
        retries: int,
        local_address: str | None,
        uds: str | None,
        network_backend: AsyncNetworkBackend | None,
        socket_options: Iterable[SOCKET_OPTION] | None,
    ) -> None:
        check_protocols(http1, http2)
        for name, value in (
            ("max_connections", max_connections),
            ("max_keepalive_connections", max_keepalive_connections),
            ("retries", retries),
        ):
            if value is not None and value < 0:
                raise ValueError(f"{name} must be 0 or more, but got {value}.")
        if proxy is not None:
            check_proxy(proxy)
        self._proxy = proxy
        self._ssl_context = ssl_context
        self._keepalive_expiry = keepalive_expiry
        self._http1 = http1
        self._http2 = http2
        self._retries = retries
        self._local_address = local_address
        self._uds = uds
        self._socket_options = None if socket_options is None else list(socket_options)
        self._engine = Engine(
            network_backend,
            max_connections=max_connections,
            max_keepalive_connections=max_keepalive_connections,
            keepalive_expiry=keepalive_expiry,
            http1=http1,
            http2=http2,
        )

    def _make_connection(self, origin: Origin) -> AsyncHTTPConnection:
        settings = Settings(
            self._ssl_context,
            self._keepalive_expiry,
            self._http1,
            self._http2,
            self._retries,
            self._local_address,
            self._uds,
            self._engine.backend,
            self._socket_options,
        )
        return make_connection(self._proxy, origin, settings)

    def __repr__(self) -> str:
        counts = self._engine.counts
        return (
            f"<{type(self).__name__} [Requests: {counts.active_requests} active, {counts.queued_requests} queued | "
            f"Connections: {counts.active_connections} active, {counts.idle_connections} idle]>"
        )
