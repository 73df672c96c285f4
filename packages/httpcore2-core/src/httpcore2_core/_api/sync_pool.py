"""The pool for threads: a façade over the transport, which is written once, as coroutines."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from .._connect.connection_config import ConnectionConfig
from .._http.interfaces import ClosingContext, ConnectionInterface, RequestInterface
from .._models import URL, Origin, Proxy, Request, RequestExtensionTypes, Response
from .._net.coroutines import run_blocking
from .._net.network_adapters import adapt_sync_backend
from .._net.network_interfaces import SOCKET_OPTION, NetworkBackend
from .._net.resolver_interfaces import Resolver, adapt_sync_resolver
from .._net.sync_backend import SyncBackend
from .._pool.config import PoolConfig
from .._pool.poolable import Poolable
from .adapters import adapt_sync_connection, public_sync_connection
from .leases import LeasedConnection
from .pool_base import PoolBase, connect_request
from .sync_base import sync_response
from .sync_connections import HTTPConnection

if TYPE_CHECKING:
    import ssl


class ConnectionPool(PoolBase, ClosingContext, RequestInterface):
    """A connection pool, for threads.

    Any number of threads may share a pool. It is used with `with`, or closed with `close()`; when it is
    garbage-collected, its connections are closed.

    Args:
        ssl_context: the TLS context for origins, by default that of `default_ssl_context()`. Its ALPN protocols are set
            for each connection.
        proxy: the proxy for all requests.
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
        uds: the path of a unix socket to connect to, instead of TCP, at which the origins, or the proxy, can be
            reached.
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
        http3: whether HTTP/3 may be used. With `http1=False` and `http2=False`, nothing else is used. Else a pool uses
            it where an origin offers it (Alt-Svc, RFC 7838), but not through a proxy.

    Raises:
        ValueError: a number is out of its range, no protocol is allowed, or the proxy's host, credentials or
            header fields cannot be sent.
        UnsupportedProtocol: the scheme of the proxy's URL is unknown.
        ImportError: a package for HTTP/2 or for SOCKS5 proxies is not installed.
        TypeError: `resend` is not a bool, or `resolver` is not of the API of the pool.

    Example:
        The second request is sent on the connection of the first.

        ```python
        import httpcore2

        with httpcore2.ConnectionPool() as http:
            http.request("GET", "https://www.example.com/")
            response = http.request("GET", "https://www.example.com/")
        assert response.status == 200
        ```
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
        *,
        resend: bool = True,
        resolver: Resolver | None = None,
        max_connections_per_origin: int | None = None,
        max_connection_age: float | None = None,
        max_http2_connections_per_origin: int | None = None,
        http3: bool = False,
    ) -> None:
        connection = ConnectionConfig(
            ssl_context,
            keepalive_expiry,
            http1,
            http2,
            retries,
            local_address,
            uds,
            adapt_sync_backend(network_backend),
            None if socket_options is None else list(socket_options),
            adapt_sync_resolver(resolver),
            http3,
        )
        self._set_up(
            PoolConfig(
                connection,
                proxy,
                max_connections,
                max_keepalive_connections,
                resend,
                max_connections_per_origin=max_connections_per_origin,
                max_http2_connections_per_origin=max_http2_connections_per_origin,
                max_connection_age=max_connection_age,
            )
        )
        self._given_network_backend = network_backend

    @property
    def _network_backend(self) -> NetworkBackend:
        """What opens connections, where 2.16.2 has it: guards against forged requests wrap it in their own."""
        return self._given_network_backend or SyncBackend()

    @_network_backend.setter
    def _network_backend(self, backend: NetworkBackend) -> None:
        self._given_network_backend = backend
        self._use_backend(adapt_sync_backend(backend))

    def create_connection(self, origin: Origin) -> ConnectionInterface:
        """Return a new connection, which is not established yet. Pools call this when a request needs a connection.

        A derived class may override it, and return connections of any class with the interface of
        `ConnectionInterface`.

        Args:
            origin: the origin of the request.

        Returns:
            The connection.

        Raises:
            LocalProtocolError: there is a proxy, and it cannot be sent the origin's host.
            ConnectError: there is a proxy, and the origin's port is not a port.
        """
        return HTTPConnection._of(self._make_connection(origin))

    def _create_poolable(self, origin: Origin) -> Poolable:
        return adapt_sync_connection(self.create_connection(origin))

    def lease(
        self,
        url: URL | bytes | str,
        *,
        reuse: bool = False,
        extensions: RequestExtensionTypes = None,
    ) -> LeasedConnection:
        """Return one HTTP/1.1 connection for this caller alone. The `with` block acquires it, and gives it back.

        That is for NTLM and Negotiate, which authenticate the connection instead of the request, for channel bindings,
        and for requests that must arrive in order. The connection counts as active, waits its turn among the requests
        if the pool is full, and serves nobody else meanwhile. A request on it is never sent again on another
        connection. If the origin chooses by ALPN (RFC 7301), it is offered HTTP/1.1 alone.

        Args:
            url: a URL of the origin, with `http`, `https`, `ws` or `wss`.
            reuse: whether the next lease with `reuse=True`, of anyone, may have the connection after the end of this
                one, and this one may be given such a connection. By default each lease has a new connection, which is
                closed at its end, since the server may take the next request on it for this caller's.
            extensions: options for the acquisition: the limits `pool`, `connect` and `total` in `timeout`, in seconds,
                `sni_hostname`, `ssl_context` and `trace`. `sni_hostname` and `ssl_context` also apply to the requests.

        Returns:
            The connection, to be used in a `with` block. Entering it raises the errors in connecting
            that a request raises: `PoolTimeout`, `ConnectTimeout`, `ConnectError`, `ProxyError`, `UnsupportedProtocol`;
            and `LocalProtocolError` if a connection of the caller's own class uses HTTP/2.

        Raises:
            TypeError: `reuse` is not a bool.
            RuntimeError: the pool has `http1=False`.

        Example:
            ```python
            import httpcore2

            with httpcore2.ConnectionPool() as http:
                with http.lease("https://www.example.com/") as connection:
                    response = connection.request("GET", "https://www.example.com/")
                    stream = response.extensions["network_stream"]
                    certificate = stream.get_extra_info("ssl_object").getpeercert(binary_form=True)
            ```
        """
        self._check_lease(reuse)
        acquire = partial(self._acquire_lease, url, reuse, extensions, self._create_leased)
        return LeasedConnection._of(self, self._memory, acquire)

    def _create_leased(self, origin: Origin) -> Poolable:
        if type(self).create_connection is not _CREATE_CONNECTION:
            return self._create_poolable(origin)
        return adapt_sync_connection(HTTPConnection._of(self._make_http11_connection(origin)))

    @property
    def connections(self) -> list[ConnectionInterface]:
        """The connections of the pool, in the order in which they were made.

        Returns:
            A new list. It includes the connections that are being established, and changes with no later request.
        """
        return [public_sync_connection(poolable) for poolable in self._engine.connections]

    def handle_request(self, request: Request) -> Response:
        handling = self._engine.handle(request, self._create_poolable, self, None)
        try:
            response = run_blocking(handling)
        except BaseException:
            handling.close()  # an exception may have come before it began
            raise
        body: Any = response.stream
        try:
            return sync_response(response)
        except BaseException:
            run_blocking(body.aclose())  # the caller has not got it
            raise

    def connect(
        self, url: URL | bytes | str, count: int = 1, *, extensions: RequestExtensionTypes = None
    ) -> int:
        """Open connections ahead, so that the requests that follow need not wait for them.

        It opens as many as are missing until `count` connections to the origin of `url` take requests, whether these
        are idle, in use or being opened; one after another, without sending a request. It never waits for a free
        connection, and closes no other one: where a limit of the pool permits no further connection, it ends early. A
        connection that is opened is idle, and expires like one that was used.

        Args:
            url: an absolute URL. Its origin counts, with the scheme; the path does not.
            count: how many connections to have, 1 or more. One HTTP/2 connection takes many requests.
            extensions: options, as those of the requests that follow. `timeout` is a dict of limits in seconds:
                `connect` for each step of each connection, `read` and `write` for those with a proxy, and `total` for
                all connections together; `trace` is a function that is called with each event; `sni_hostname` is the
                server name for TLS, and `ssl_context` the TLS context. A connection serves only requests with the same
                `sni_hostname` and `ssl_context`.

        Returns:
            How many connections to the origin take requests now, including those that requests are opening. It is less
            than `count` if a limit of the pool permits no more, 0 also if the pool keeps no idle connection; and more
            if there were more. A connection that its server has closed may be included until the next request.

        Raises:
            TypeError: an argument has the wrong type.
            ValueError: `count` is less than 1, or the URL is malformed.
            UnsupportedProtocol: the scheme of the URL is not `http`, `https`, `ws` or `wss`.
            LocalProtocolError: the host of the URL is malformed.
            RemoteProtocolError: a proxy violated its protocol.
            ProxyError: a proxy refused.
            ConnectError: a connection could not be opened. Those that were opened before it stay open.
            ConnectTimeout: a connection was not opened within the `connect` or the `total` timeout.
            ReadTimeout: a proxy did not respond within the `read` timeout.
            WriteTimeout: a proxy accepted no data within the `write` timeout.

        Example:
            The request is sent at once, on a connection that is open.

            ```python
            import httpcore2

            with httpcore2.ConnectionPool() as http:
                assert http.connect("https://www.example.com") == 1
                response = http.request("GET", "https://www.example.com/")
            assert response.status == 200
            ```
        """
        connecting = self._engine.connect(
            connect_request(url, count, extensions), count, self._create_poolable
        )
        try:
            return run_blocking(connecting)
        except BaseException:
            connecting.close()  # an exception may have come before it began
            raise

    def close(self) -> None:
        """Close all connections. Requests in progress and waiting requests fail; the pool may be used again."""
        run_blocking(self._engine.aclose())

    def __del__(self) -> None:
        engine = getattr(self, "_engine", None)  # absent if __init__ refused its arguments
        if engine is not None:
            engine.finalise()


# As it was when nothing was patched.
_CREATE_CONNECTION = ConnectionPool.create_connection
