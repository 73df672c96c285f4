"""The classes of connections through proxies: the route differs, and what a forwarding proxy is sent.

Must not know: pools, the handshakes with proxies.
"""

from __future__ import annotations

from .._connect.connection_config import ConnectionConfig
from .._connect.http_proxy import HTTP_SCHEMES, Headers, forwarded
from .._connect.proxies import check_host, check_proxy, proxy_route
from .._connect.socks import SOCKS4_SCHEMES
from .._http.established import EstablishedConnection
from .._models import Origin, Proxy, Request
from .._net.backend_stream import BackendStream
from .async_connection import AsyncHTTPConnection
from .http11_connections import AsyncHTTP11Connection


class ProxiedConnection(AsyncHTTPConnection):
    """A connection to an origin through a proxy, established when the first request needs it."""

    def __init__(self, proxy: Proxy, origin: Origin, config: ConnectionConfig) -> None:
        """Prepare a connection; nothing is opened yet.

        Args:
            proxy: the proxy to connect through.
            origin: the origin to connect to.
            config: what concerns TLS is for the origin, and what concerns the dial is for the proxy.

        Raises:
            UnsupportedProtocol: the scheme of the proxy's URL is unknown.
            ValueError: the proxy's host, credentials or header fields can't be sent.
            ImportError: the proxy is a SOCKS5 proxy, and `socksio` is not installed.
            LocalProtocolError: the proxy can't be sent the origin's host.
            ConnectError: the origin's port is not a port.
        """
        check_proxy(proxy)
        check_host(origin)
        self._proxy = proxy
        self._set_up(origin, config, proxy_route(proxy, origin, config))

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} [{self.info()}] "
            f"to '{self._origin}' via '{self._proxy.url.origin}'>"
        )


class AsyncForwardHTTPConnection(ProxiedConnection):
    """A connection to an HTTP proxy that forwards requests to one origin (RFC 9112, section 3.2.2)."""

    def __init__(self, proxy: Proxy, origin: Origin, config: ConnectionConfig) -> None:
        # Proxies are sent HTTP/1.1, whatever the origins support.
        super().__init__(proxy, origin, config._replace(http1=True, http2=False))
        self._headers = proxy.headers.copy()  # as they were checked

    def _make_established(self, stream: BackendStream) -> EstablishedConnection:
        connection = AsyncHTTP11Connection(
            self._proxy.url.origin, stream, self._config.keepalive_expiry
        )
        connection.rewrite = self._rewrite
        return connection

    def _rewrite(self, request: Request) -> tuple[bytes, Headers]:
        return forwarded(request, self._headers)


class AsyncTunnelHTTPConnection(ProxiedConnection):
    """A connection to an origin through an HTTP proxy's tunnel (RFC 9110, section 9.3.6)."""


class AsyncSocks5Connection(ProxiedConnection):
    """A connection to an origin through a SOCKS5 proxy (RFC 1928)."""


class AsyncSocks4Connection(ProxiedConnection):
    """A connection to an origin through a SOCKS4 or SOCKS4a proxy."""


def make_connection(
    proxy: Proxy | None, origin: Origin, config: ConnectionConfig
) -> AsyncHTTPConnection:
    """Make a connection of the class for `proxy` and the scheme of `origin`."""
    if proxy is None:
        return AsyncHTTPConnection._of(origin, config)
    kind: type[ProxiedConnection]
    if proxy.url.scheme in SOCKS4_SCHEMES:
        kind = AsyncSocks4Connection
    elif proxy.url.scheme not in HTTP_SCHEMES:
        kind = AsyncSocks5Connection
    elif origin.scheme == b"http":
        kind = AsyncForwardHTTPConnection
    else:
        kind = AsyncTunnelHTTPConnection
    return kind(proxy, origin, config)
