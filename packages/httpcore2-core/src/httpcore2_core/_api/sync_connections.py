"""The connection to an origin, for threads.

Must not know: how a request is sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING
from weakref import ref

from .._models import Origin
from .._net.network_adapters import adapt_backend
from .._net.network_interfaces import SOCKET_OPTION, NetworkBackend
from .async_connection import AsyncHTTPConnection
from .sync_base import SyncConnection

if TYPE_CHECKING:
    import ssl


class HTTPConnection(SyncConnection):
    """A connection to an origin, made when the first request needs it; see `AsyncHTTPConnection`."""

    _counterpart: AsyncHTTPConnection

    def __init__(
        self,
        origin: Origin,
        ssl_context: ssl.SSLContext | None = None,
        keepalive_expiry: float | None = None,
        http1: bool = True,
        http2: bool = False,
        retries: int = 0,
        local_address: str | None = None,
        uds: str | None = None,
        network_backend: NetworkBackend | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> None:
        """Prepare a connection; parameters and errors as for `AsyncHTTPConnection`."""
        super().__init__(
            AsyncHTTPConnection(
                origin,
                ssl_context,
                keepalive_expiry,
                http1,
                http2,
                retries,
                local_address,
                uds,
                adapt_backend(network_backend),
                socket_options,
            )
        )
        self._counterpart.sync_facade = ref(self)

    @classmethod
    def _of(cls, counterpart: AsyncHTTPConnection) -> HTTPConnection:
        """Return the façade of `counterpart`: the one that somebody still holds, if there is one."""
        facade: HTTPConnection | None = (
            None if counterpart.sync_facade is None else counterpart.sync_facade()
        )
        if facade is None:
            facade = cls.__new__(cls)
            facade._counterpart = counterpart
            counterpart.sync_facade = ref(facade)
        return facade
