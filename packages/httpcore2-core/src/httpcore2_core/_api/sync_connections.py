"""The connection to an origin, for threads.

Must not know: how a request is sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING
from weakref import ref

from .._models import Origin
from .._net.network_adapters import adapt_sync_backend
from .._net.network_interfaces import SOCKET_OPTION, NetworkBackend
from .._net.resolver_interfaces import Resolver, adapt_sync_resolver
from .async_connection import AsyncHTTPConnection
from .sync_base import SyncConnection

if TYPE_CHECKING:
    import ssl


class HTTPConnection(SyncConnection):
    """A connection to one origin, for threads.

    It is established when the first request needs it. Over HTTP/1.1 it takes one request at a time, over HTTP/2
    several. A pool makes such connections itself.

    Args:
        origin: the origin to connect to.
        ssl_context: the TLS context, by default that of `default_ssl_context()`. Its ALPN protocols are set for each
            connection.
        keepalive_expiry: seconds after which an idle connection has expired (`has_expired()`); `None` for no limit.
        http1: whether HTTP/1.1 may be used.
        http2: whether HTTP/2 may be used. Over TLS the server chooses, by ALPN (RFC 7301). With `http1=False`, HTTP/2
            is used without asking, also over plain TCP.
        retries: how often to repeat a failed attempt to connect, after 0, 0.5, 1, 2, … seconds.
        local_address: the address to connect from; `"0.0.0.0"` and `"::"` select IPv4 and IPv6. By default the system
            chooses.
        uds: the path of a unix socket to connect to, instead of TCP.
        network_backend: the `NetworkBackend` that opens connections, by default the one for threads.
        socket_options: arguments of `setsockopt()`, each a tuple, which are applied before connecting.
        resolver: the `Resolver` that finds the addresses of the host, by default the operating system.
        http3: whether HTTP/3 may be used. With `http1=False` and `http2=False`, nothing else is used. Else a pool uses
            it where an origin offers it (Alt-Svc, RFC 7838), but not through a proxy.

    Raises:
        ValueError: no protocol is allowed.
        ImportError: `http2` is true, and `httpcore2-http2` is not installed.
        TypeError: `resolver` is not of the API of the connection.

    Example:
        Two requests on one connection.

        ```python
        import httpcore2

        origin = httpcore2.Origin(b"https", b"www.example.com", 443)
        with httpcore2.HTTPConnection(origin) as connection:
            connection.request("GET", "https://www.example.com/")
            connection.request("GET", "https://www.example.com/")
        ```
    """

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
        *,
        resolver: Resolver | None = None,
        http3: bool = False,
    ) -> None:
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
                adapt_sync_backend(network_backend),
                socket_options,
                resolver=adapt_sync_resolver(resolver),
                http3=http3,
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
