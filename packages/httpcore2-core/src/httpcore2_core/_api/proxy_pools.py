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
from .._net.resolver_interfaces import AsyncResolver, Resolver
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
    """A connection pool whose requests pass through an HTTP proxy, for asyncio, trio and anyio.

    Requests to `http` origins are forwarded by the proxy; for others it opens a tunnel with CONNECT (RFC 9110, section
    9.3.6). `AsyncConnectionPool(proxy=Proxy(...))` does the same.

    Args:
        proxy_url: the URL of the proxy. Its scheme is `http`, or `https` for TLS to the proxy.
        proxy_auth: the user name and the password for the proxy (RFC 7617).
        proxy_headers: further header fields for the proxy, which are not sent to origins.
        ssl_context: the TLS context for origins, by default that of `default_ssl_context()`.
        proxy_ssl_context: the TLS context for an `https` proxy, by default that of `default_ssl_context()`.
        max_connections: how many connections may be open at the same time; `None` for no limit. Further requests wait,
            first come, first served.
        max_keepalive_connections: how many of them may be idle; `None` for all.
        keepalive_expiry: seconds after which an idle connection is closed; `None` for no limit, 0 to keep none.
        http1: whether HTTP/1.1 may be used.
        http2: whether HTTP/2 may be used. Over TLS the server chooses, by ALPN (RFC 7301). With `http1=False`, HTTP/2
            is used without asking, also over plain TCP.
        retries: how often to repeat a failed attempt to connect, after 0, 0.5, 1, 2, … seconds.
        local_address: the address to connect from; `"0.0.0.0"` and `"::"` select IPv4 and IPv6. By default the system
            chooses.
        uds: the path of a unix socket to connect to, instead of TCP, at which the proxy can be reached.
        network_backend: the `AsyncNetworkBackend` that opens connections, by default that of the running event loop.
        socket_options: arguments of `setsockopt()`, each a tuple, which are applied before connecting.
        resend: whether a request that the server did not process, or did not answer before it closed an idle
            connection, is sent again on another connection, if that does no harm. The extension `resend` has
            precedence.
        resolver: the `AsyncResolver` that finds the addresses of hosts, by default the operating system. With a proxy,
            it is asked for the host of the proxy alone.
        max_connections_per_origin: how many connections may be open to one origin at the same time; `None` for no limit
            but `max_connections`. Further requests to the origin wait, first come, first served, and delay no others.
        max_connection_age: seconds from its establishment after which a connection takes no further request, and is
            closed when those in progress have ended; `None` for no limit. It differs by up to 10 % for each connection.
        max_http2_connections_per_origin: how many HTTP/2 connections that take requests may be open to one origin;
            `None` for no limit of their own. Another one is opened when all streams of the others are in use.

    Raises:
        UnsupportedProtocol: the scheme of `proxy_url` is neither `http` nor `https`.
        RuntimeError: there is a `proxy_ssl_context`, and the scheme of `proxy_url` is `http`.
        ValueError: a number is out of its range, neither `http1` nor `http2` is true, or the proxy's host, credentials
            or header fields cannot be sent.
        ImportError: `http2` is true, and `httpcore2-http2` is not installed.
        TypeError: `resend` is not a bool, or `resolver` is not of the API of the pool.

    Example:
        All requests of this pool pass through the proxy.

        ```python
        import asyncio

        import httpcore2


        async def main():
            async with httpcore2.AsyncHTTPProxy("http://proxy.example.com:8080/") as http:
                await http.request("GET", "http://www.example.com/")


        asyncio.run(main())
        ```
    """

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
        *,
        resend: bool = True,
        resolver: AsyncResolver | None = None,
        max_connections_per_origin: int | None = None,
        max_connection_age: float | None = None,
        max_http2_connections_per_origin: int | None = None,
    ) -> None:
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
            resend=resend,
            resolver=resolver,
            max_connections_per_origin=max_connections_per_origin,
            max_connection_age=max_connection_age,
            max_http2_connections_per_origin=max_http2_connections_per_origin,
        )
        self._proxy_url = proxy.url
        self._proxy_headers = proxy.headers
        self._proxy_ssl_context = proxy_ssl_context


class HTTPProxy(ConnectionPool):
    """A connection pool whose requests pass through an HTTP proxy, for threads.

    Requests to `http` origins are forwarded by the proxy; for others it opens a tunnel with CONNECT (RFC 9110, section
    9.3.6). `ConnectionPool(proxy=Proxy(...))` does the same.

    Args:
        proxy_url: the URL of the proxy. Its scheme is `http`, or `https` for TLS to the proxy.
        proxy_auth: the user name and the password for the proxy (RFC 7617).
        proxy_headers: further header fields for the proxy, which are not sent to origins.
        ssl_context: the TLS context for origins, by default that of `default_ssl_context()`.
        proxy_ssl_context: the TLS context for an `https` proxy, by default that of `default_ssl_context()`.
        max_connections: how many connections may be open at the same time; `None` for no limit. Further requests wait,
            first come, first served.
        max_keepalive_connections: how many of them may be idle; `None` for all.
        keepalive_expiry: seconds after which an idle connection is closed; `None` for no limit, 0 to keep none.
        http1: whether HTTP/1.1 may be used.
        http2: whether HTTP/2 may be used. Over TLS the server chooses, by ALPN (RFC 7301). With `http1=False`, HTTP/2
            is used without asking, also over plain TCP.
        retries: how often to repeat a failed attempt to connect, after 0, 0.5, 1, 2, … seconds.
        local_address: the address to connect from; `"0.0.0.0"` and `"::"` select IPv4 and IPv6. By default the system
            chooses.
        uds: the path of a unix socket to connect to, instead of TCP, at which the proxy can be reached.
        network_backend: the `NetworkBackend` that opens connections, by default the one for threads.
        socket_options: arguments of `setsockopt()`, each a tuple, which are applied before connecting.
        resend: whether a request that the server did not process, or did not answer before it closed an idle
            connection, is sent again on another connection, if that does no harm. The extension `resend` has
            precedence.
        resolver: the `Resolver` that finds the addresses of hosts, by default the operating system. With a proxy,
            it is asked for the host of the proxy alone.
        max_connections_per_origin: how many connections may be open to one origin at the same time; `None` for no limit
            but `max_connections`. Further requests to the origin wait, first come, first served, and delay no others.
        max_connection_age: seconds from its establishment after which a connection takes no further request, and is
            closed when those in progress have ended; `None` for no limit. It differs by up to 10 % for each connection.
        max_http2_connections_per_origin: how many HTTP/2 connections that take requests may be open to one origin;
            `None` for no limit of their own. Another one is opened when all streams of the others are in use.

    Raises:
        UnsupportedProtocol: the scheme of `proxy_url` is neither `http` nor `https`.
        RuntimeError: there is a `proxy_ssl_context`, and the scheme of `proxy_url` is `http`.
        ValueError: a number is out of its range, neither `http1` nor `http2` is true, or the proxy's host, credentials
            or header fields cannot be sent.
        ImportError: `http2` is true, and `httpcore2-http2` is not installed.
        TypeError: `resend` is not a bool, or `resolver` is not of the API of the pool.

    Example:
        All requests of this pool pass through the proxy.

        ```python
        import httpcore2

        with httpcore2.HTTPProxy("http://proxy.example.com:8080/") as http:
            http.request("GET", "http://www.example.com/")
        ```
    """

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
        *,
        resend: bool = True,
        resolver: Resolver | None = None,
        max_connections_per_origin: int | None = None,
        max_connection_age: float | None = None,
        max_http2_connections_per_origin: int | None = None,
    ) -> None:
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
            resend=resend,
            resolver=resolver,
            max_connections_per_origin=max_connections_per_origin,
            max_connection_age=max_connection_age,
            max_http2_connections_per_origin=max_http2_connections_per_origin,
        )
        self._proxy_url = proxy.url
        self._proxy_headers = proxy.headers
        self._proxy_ssl_context = proxy_ssl_context


class AsyncSOCKSProxy(AsyncConnectionPool):
    """A connection pool whose requests pass through a SOCKS proxy, for asyncio, trio and anyio.

    SOCKS5 (RFC 1928) needs the extra `socks`. `AsyncConnectionPool(proxy=Proxy(...))` does the same.

    Args:
        proxy_url: the URL of the proxy. Its scheme is `socks5`, `socks5h`, `socks4` or `socks4a`.
        proxy_auth: the user name and the password for a SOCKS5 proxy (RFC 1929), or the user id and an empty password
            for a SOCKS4 proxy.
        ssl_context: the TLS context for origins, by default that of `default_ssl_context()`.
        max_connections: how many connections may be open at the same time; `None` for no limit. Further requests wait,
            first come, first served.
        max_keepalive_connections: how many of them may be idle; `None` for all.
        keepalive_expiry: seconds after which an idle connection is closed; `None` for no limit, 0 to keep none.
        http1: whether HTTP/1.1 may be used.
        http2: whether HTTP/2 may be used. Over TLS the server chooses, by ALPN (RFC 7301). With `http1=False`, HTTP/2
            is used without asking, also over plain TCP.
        retries: how often to repeat a failed attempt to connect, after 0, 0.5, 1, 2, … seconds.
        network_backend: the `AsyncNetworkBackend` that opens connections, by default that of the running event loop.
        resend: whether a request that the server did not process, or did not answer before it closed an idle
            connection, is sent again on another connection, if that does no harm. The extension `resend` has
            precedence.
        resolver: the `AsyncResolver` that finds the addresses of hosts, by default the operating system. With a proxy,
            it is asked for the host of the proxy alone.
        max_connections_per_origin: how many connections may be open to one origin at the same time; `None` for no limit
            but `max_connections`. Further requests to the origin wait, first come, first served, and delay no others.
        max_connection_age: seconds from its establishment after which a connection takes no further request, and is
            closed when those in progress have ended; `None` for no limit. It differs by up to 10 % for each connection.
        max_http2_connections_per_origin: how many HTTP/2 connections that take requests may be open to one origin;
            `None` for no limit of their own. Another one is opened when all streams of the others are in use.

    Raises:
        UnsupportedProtocol: the scheme of `proxy_url` is not one of SOCKS.
        ValueError: a number is out of its range, neither `http1` nor `http2` is true, or the proxy's host or
            credentials cannot be sent.
        ImportError: a package for HTTP/2 or for SOCKS5 proxies is not installed.
        TypeError: `resend` is not a bool, or `resolver` is not of the API of the pool.

    Example:
        All requests of this pool pass through the proxy.

        ```python
        import asyncio

        import httpcore2


        async def main():
            async with httpcore2.AsyncSOCKSProxy("socks5://proxy.example.com:1080/") as http:
                await http.request("GET", "http://www.example.com/")


        asyncio.run(main())
        ```
    """

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
        *,
        resend: bool = True,
        resolver: AsyncResolver | None = None,
        max_connections_per_origin: int | None = None,
        max_connection_age: float | None = None,
        max_http2_connections_per_origin: int | None = None,
    ) -> None:
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
            resend=resend,
            resolver=resolver,
            max_connections_per_origin=max_connections_per_origin,
            max_connection_age=max_connection_age,
            max_http2_connections_per_origin=max_http2_connections_per_origin,
        )
        self._proxy_url = proxy.url
        self._proxy_auth = proxy.auth


class SOCKSProxy(ConnectionPool):
    """A connection pool whose requests pass through a SOCKS proxy, for threads.

    SOCKS5 (RFC 1928) needs the extra `socks`. `ConnectionPool(proxy=Proxy(...))` does the same.

    Args:
        proxy_url: the URL of the proxy. Its scheme is `socks5`, `socks5h`, `socks4` or `socks4a`.
        proxy_auth: the user name and the password for a SOCKS5 proxy (RFC 1929), or the user id and an empty password
            for a SOCKS4 proxy.
        ssl_context: the TLS context for origins, by default that of `default_ssl_context()`.
        max_connections: how many connections may be open at the same time; `None` for no limit. Further requests wait,
            first come, first served.
        max_keepalive_connections: how many of them may be idle; `None` for all.
        keepalive_expiry: seconds after which an idle connection is closed; `None` for no limit, 0 to keep none.
        http1: whether HTTP/1.1 may be used.
        http2: whether HTTP/2 may be used. Over TLS the server chooses, by ALPN (RFC 7301). With `http1=False`, HTTP/2
            is used without asking, also over plain TCP.
        retries: how often to repeat a failed attempt to connect, after 0, 0.5, 1, 2, … seconds.
        network_backend: the `NetworkBackend` that opens connections, by default the one for threads.
        resend: whether a request that the server did not process, or did not answer before it closed an idle
            connection, is sent again on another connection, if that does no harm. The extension `resend` has
            precedence.
        resolver: the `Resolver` that finds the addresses of hosts, by default the operating system. With a proxy,
            it is asked for the host of the proxy alone.
        max_connections_per_origin: how many connections may be open to one origin at the same time; `None` for no limit
            but `max_connections`. Further requests to the origin wait, first come, first served, and delay no others.
        max_connection_age: seconds from its establishment after which a connection takes no further request, and is
            closed when those in progress have ended; `None` for no limit. It differs by up to 10 % for each connection.
        max_http2_connections_per_origin: how many HTTP/2 connections that take requests may be open to one origin;
            `None` for no limit of their own. Another one is opened when all streams of the others are in use.

    Raises:
        UnsupportedProtocol: the scheme of `proxy_url` is not one of SOCKS.
        ValueError: a number is out of its range, neither `http1` nor `http2` is true, or the proxy's host or
            credentials cannot be sent.
        ImportError: a package for HTTP/2 or for SOCKS5 proxies is not installed.
        TypeError: `resend` is not a bool, or `resolver` is not of the API of the pool.

    Example:
        All requests of this pool pass through the proxy.

        ```python
        import httpcore2

        with httpcore2.SOCKSProxy("socks5://proxy.example.com:1080/") as http:
            http.request("GET", "http://www.example.com/")
        ```
    """

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
        *,
        resend: bool = True,
        resolver: Resolver | None = None,
        max_connections_per_origin: int | None = None,
        max_connection_age: float | None = None,
        max_http2_connections_per_origin: int | None = None,
    ) -> None:
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
            resend=resend,
            resolver=resolver,
            max_connections_per_origin=max_connections_per_origin,
            max_connection_age=max_connection_age,
            max_http2_connections_per_origin=max_http2_connections_per_origin,
        )
        self._proxy_url = proxy.url
        self._proxy_auth = proxy.auth
