"""The pools that go by way of a proxy, under the names of 2.x; `ConnectionPool(proxy=…)` does the same.

Rules: they turn their arguments into a `Proxy`, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .._connect.http_proxy import HTTP_SCHEMES
from .._exceptions import UnsupportedProtocol
from .._models import URL, HeadersAsMapping, HeadersAsSequence, Proxy
from .._net.network_interfaces import SOCKET_OPTION, AsyncNetworkBackend, NetworkBackend
from .async_pool import AsyncConnectionPool
from .sync_pool import ConnectionPool

if TYPE_CHECKING:
    import ssl

Auth = tuple[bytes | str, bytes | str] | None


def _http_proxy(
    url: URL | bytes | str,
    auth: Auth,
    headers: HeadersAsMapping | HeadersAsSequence | None,
    ssl_context: ssl.SSLContext | None,
) -> Proxy:
    proxy = Proxy(url, auth, headers, ssl_context)
    if proxy.url.scheme not in HTTP_SCHEMES:
        raise UnsupportedProtocol("An HTTP proxy's URL begins with http:// or https://.")
    if proxy.url.scheme == b"http" and ssl_context is not None:
        raise RuntimeError("The `proxy_ssl_context` argument is not allowed for the http scheme")
    return proxy


def _socks_proxy(url: URL | bytes | str, auth: Auth) -> Proxy:
    proxy = Proxy(url, auth)
    if proxy.url.scheme in HTTP_SCHEMES:
        raise UnsupportedProtocol(
            "A SOCKS proxy's URL begins with socks5://, socks5h://, socks4:// or socks4a://."
        )
    return proxy


class AsyncHTTPProxy(AsyncConnectionPool):
    """A connection pool that sends requests via an HTTP proxy; see `AsyncConnectionPool`."""

    def __init__(
        self,
        proxy_url: URL | bytes | str,
        proxy_auth: Auth = None,
        proxy_headers: HeadersAsMapping | HeadersAsSequence | None = None,
        ssl_context: ssl.SSLContext | None = None,
        proxy_ssl_context: ssl.SSLContext | None = None,
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
        """Prepare a pool; parameters and errors as for `Proxy` and `AsyncConnectionPool`.

        Raises:
            RuntimeError: there is an SSL context for a proxy without TLS.
        """
        proxy = _http_proxy(proxy_url, proxy_auth, proxy_headers, proxy_ssl_context)
        super().__init__(
            ssl_context,
            proxy,
            max_connections,
            max_keepalive_connections,
            keepalive_expiry,
            http1,
            http2,
            retries,
            local_address,
            uds,
            network_backend,
            socket_options,
        )
        self._proxy_url = proxy.url
        self._proxy_headers = proxy.headers
        self._proxy_ssl_context = proxy_ssl_context


class HTTPProxy(ConnectionPool):
    """A connection pool that sends requests via an HTTP proxy; see `ConnectionPool`."""

    def __init__(
        self,
        proxy_url: URL | bytes | str,
        proxy_auth: Auth = None,
        proxy_headers: HeadersAsMapping | HeadersAsSequence | None = None,
        ssl_context: ssl.SSLContext | None = None,
        proxy_ssl_context: ssl.SSLContext | None = None,
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
        """Prepare a pool; parameters and errors as for `AsyncHTTPProxy`."""
        proxy = _http_proxy(proxy_url, proxy_auth, proxy_headers, proxy_ssl_context)
        super().__init__(
            ssl_context,
            proxy,
            max_connections,
            max_keepalive_connections,
            keepalive_expiry,
            http1,
            http2,
            retries,
            local_address,
            uds,
            network_backend,
            socket_options,
        )
        self._proxy_url = proxy.url
        self._proxy_headers = proxy.headers
        self._proxy_ssl_context = proxy_ssl_context


class AsyncSOCKSProxy(AsyncConnectionPool):
    """A connection pool that sends requests via a SOCKS proxy; see `AsyncConnectionPool`."""

    def __init__(
        self,
        proxy_url: URL | bytes | str,
        proxy_auth: Auth = None,
        ssl_context: ssl.SSLContext | None = None,
        max_connections: int | None = 10,
        max_keepalive_connections: int | None = None,
        keepalive_expiry: float | None = None,
        http1: bool = True,
        http2: bool = False,
        retries: int = 0,
        network_backend: AsyncNetworkBackend | None = None,
    ) -> None:
        """Prepare a pool; parameters and errors as for `Proxy` and `AsyncConnectionPool`."""
        proxy = _socks_proxy(proxy_url, proxy_auth)
        super().__init__(
            ssl_context,
            proxy,
            max_connections,
            max_keepalive_connections,
            keepalive_expiry,
            http1,
            http2,
            retries,
            network_backend=network_backend,
        )
        self._proxy_url = proxy.url
        self._proxy_auth = proxy.auth


class SOCKSProxy(ConnectionPool):
    """A connection pool that sends requests via a SOCKS proxy; see `ConnectionPool`."""

    def __init__(
        self,
        proxy_url: URL | bytes | str,
        proxy_auth: Auth = None,
        ssl_context: ssl.SSLContext | None = None,
        max_connections: int | None = 10,
        max_keepalive_connections: int | None = None,
        keepalive_expiry: float | None = None,
        http1: bool = True,
        http2: bool = False,
        retries: int = 0,
        network_backend: NetworkBackend | None = None,
    ) -> None:
        """Prepare a pool; parameters and errors as for `AsyncSOCKSProxy`."""
        proxy = _socks_proxy(proxy_url, proxy_auth)
        super().__init__(
            ssl_context,
            proxy,
            max_connections,
            max_keepalive_connections,
            keepalive_expiry,
            http1,
            http2,
            retries,
            network_backend=network_backend,
        )
        self._proxy_url = proxy.url
        self._proxy_auth = proxy.auth
