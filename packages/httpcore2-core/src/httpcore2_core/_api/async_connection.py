"""A connection to an origin: its route, opened when the first request needs it, and then a connection that speaks HTTP.

Must not know: pools, how a stream is opened, how HTTP is framed.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any
from weakref import ref

from .._connect.config import ConnectionConfig
from .._connect.routes import Route, direct_route, own_server_name
from .._distributions import load_http2
from .._exceptions import ConnectError, ConnectionNotAvailable
from .._http.bodies import check_body_api
from .._http.established import EstablishedConnection, RequestLimit
from .._http.interfaces import AsyncClosingContext, AsyncConnectionInterface
from .._http.timeouts import Timeouts
from .._models import Origin, Request, Response
from .._net.backend_stream import BackendStream
from .._net.network_adapters import adapt_given_backend, default_backend
from .._net.network_interfaces import SOCKET_OPTION, AsyncNetworkBackend
from .._net.runtime_backend import RuntimeBackend
from .._urls import check_origin
from .http11_connections import AsyncHTTP11Connection

if TYPE_CHECKING:
    import ssl


class AsyncHTTPConnection(AsyncClosingContext, AsyncConnectionInterface):
    """A connection to an origin, made when the first request needs it."""

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
        network_backend: AsyncNetworkBackend | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> None:
        """Prepare a connection; nothing is opened yet.

        Args:
            origin: whom to connect to.
            ssl_context: for TLS; by default that of `default_ssl_context()`.
            keepalive_expiry: seconds after which the idle connection counts as expired; `None` for never.
            http1: whether HTTP/1.1 may be spoken.
            http2: whether HTTP/2 may be spoken.
            retries: how often to try again to connect, after 0, 0.5, 1, 2, … seconds.
            local_address: the address to connect from.
            uds: the path of a unix socket to connect to, in place of TCP.
            network_backend: what opens the connection; by default the one of the running event loop.
            socket_options: arguments of `setsockopt`, applied before connecting.

        Raises:
            ValueError: neither protocol is allowed.
            ImportError: HTTP/2 is wanted, and its distribution is not installed.
        """
        config = ConnectionConfig(
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
        config.check()
        self._set_up(origin, config, direct_route(origin, config))

    @classmethod
    def _of(cls, origin: Origin, config: ConnectionConfig) -> AsyncHTTPConnection:
        """Make a connection of settings that are checked."""
        connection = cls.__new__(cls)
        connection._set_up(origin, config, direct_route(origin, config))
        return connection

    def _set_up(self, origin: Origin, config: ConnectionConfig, route: Route) -> None:
        self._origin = origin
        self._config = config
        self._route = route
        self._backend: RuntimeBackend | None = config.network_backend
        # What an object gets only later takes 1 KiB.
        self._connection: EstablishedConnection | None = None
        # The name that its certificate was checked for, where that is not the origin's host.
        self._server_name: bytes | None = None
        self._has_begun = False
        self._has_failed = False
        self.on_release: Callable[[bool, float | None], None] | None = None
        self.on_change: Callable[[], None] | None = None
        # Its façade for the sync API, if anybody holds that.
        self.sync_facade: ref[Any] | None = None

    # Requests

    async def handle_async_request(self, request: Request) -> Response:
        """Connect if need be, send `request` and return its response, the body still to be read.

        Raises:
            RuntimeError: the request is for another origin, or has another `sni_hostname` than the first.
            ConnectionNotAvailable: another request is under way, or the connection is closed.
        """
        if not self.can_handle_request(request.url.origin):
            raise RuntimeError(
                f"Attempted to send request to {request.url.origin} on connection to {self._origin}"
            )
        if self._has_begun:
            self._check_server_name(request)
        runtime = self._use_backend().runtime
        check_body_api(request.stream, runtime.is_blocking)
        timeouts = Timeouts.of(request.extensions, runtime)
        if self._connection is None:
            await self.connect(request, timeouts)
        return await self.exchange(request, timeouts)

    def _check_server_name(self, request: Request) -> None:
        name = own_server_name(request)
        if name != self._server_name:
            asked, made = (
                None if each is None else each.decode() for each in (name, self._server_name)
            )
            raise RuntimeError(
                f"Attempted to send a request with the sni_hostname {asked!r} on a connection to {self._origin} "
                f"that was made with {made!r}: its certificate was checked for no other name. "
                "Use another connection, or a pool."
            )

    async def connect(self, request: Request, timeouts: Timeouts) -> None:
        """Establish the connection; `request` tells what it is needed for, and who listens.

        Raises:
            LocalProtocolError: the origin's host is none.
            ConnectError, ConnectTimeout: it could not be established.
            ProxyError, RemoteProtocolError, ReadTimeout, WriteTimeout: a proxy on the way was at fault.
            ConnectionNotAvailable: that is being tried already, or was in vain.
            ImportError: HTTP/2 was agreed on though it was not asked for, and its distribution is not installed.
        """
        if self._has_begun:
            raise ConnectionNotAvailable
        self._server_name = own_server_name(request)
        self._has_begun = True
        try:
            check_origin(self._origin)
            stream = await self._route.open(self._use_backend(), request, timeouts)
            try:
                connection = self._make_established(stream)
            except BaseException:
                stream.abort()
                await stream.wait_closed()
                raise
            connection.on_release, connection.on_change = self.on_release, self.on_change
            connection.peer = self._route
            # In this order: a thread that closes this one sees the connection, or is seen here.
            self._connection = connection
            if self._has_failed:
                self._connection = None
                connection.abort()
                await connection.wait_closed()
                raise ConnectError(
                    f"The connection was closed while it was being established. ({self._route})"
                )
        except BaseException:
            self._has_failed = True
            raise

    def exchange(self, request: Request, timeouts: Timeouts) -> Coroutine[Any, Any, Response]:
        """Send `request` on the established connection; see `Poolable`."""
        assert self._connection is not None, "only an established connection takes requests"
        return self._connection.exchange(request, timeouts)

    def _make_established(self, stream: BackendStream) -> EstablishedConnection:
        """Make the connection for the protocol that was agreed on, or is the only one allowed."""
        ssl_object = stream.get_extra_info("ssl_object")
        # A backend or an SSL context of the caller's may have offered more than this connection did.
        is_agreed = ssl_object is not None and ssl_object.selected_alpn_protocol() == "h2"
        connection_class: type[EstablishedConnection] = AsyncHTTP11Connection
        if is_agreed or not self._config.http1:
            connection_class = load_http2(f"HTTP/2, which ALPN agreed on with {self._origin},")
        return connection_class(self._origin, stream, self._config.keepalive_expiry)

    def _use_backend(self) -> RuntimeBackend:
        if self._backend is None:
            self._backend = default_backend()
        return self._backend

    # Life: that of the connection that speaks HTTP, once there is one

    @property
    def may_be_resent(self) -> bool:
        return self._connection is not None and self._connection.may_be_resent

    @property
    def capacity(self) -> int:
        assert self._connection is not None, "only an established connection takes any"
        return self._connection.capacity

    @property
    def is_retired(self) -> bool:
        return self._connection is not None and self._connection.is_retired

    @property
    def request_limit(self) -> RequestLimit | None:
        return None if self._connection is None else self._connection.request_limit

    @request_limit.setter
    def request_limit(self, limit: RequestLimit | None) -> None:
        assert self._connection is not None, "only an established connection takes any"
        self._connection.request_limit = limit

    def abort(self) -> None:
        self._has_failed = True
        if self._connection is not None:
            self._connection.abort()

    @property
    def close_pending(self) -> bool:
        return self._connection is not None and self._connection.close_pending

    async def wait_closed(self) -> None:
        if self._connection is not None:
            await self._connection.wait_closed()

    async def aclose(self) -> None:
        self.abort()
        await self.wait_closed()

    def can_handle_request(self, origin: Origin) -> bool:
        return origin == self._origin

    def is_stale(self) -> bool:
        assert self._connection is not None, "only an established connection was used"
        return self._connection.is_stale()

    def can_multiplex(self) -> bool:
        return self._connection is not None and self._connection.can_multiplex()

    def is_available(self) -> bool:
        if self._connection is None:
            # It may yet turn out to be HTTP/2, and take several requests.
            return (
                self._config.http2
                and (self._origin.scheme == b"https" or not self._config.http1)
                and not self._has_failed
            )
        return self._connection.is_available()

    def has_expired(self) -> bool:
        if self._connection is None:
            return self._has_failed
        return self._connection.has_expired()

    def is_idle(self) -> bool:
        if self._connection is None:
            return self._has_failed
        return self._connection.is_idle()

    def is_closed(self) -> bool:
        if self._connection is None:
            return self._has_failed
        return self._connection.is_closed()

    def is_connected(self) -> bool:
        return self._connection is not None and self._connection.is_connected()

    def info(self) -> str:
        if self._connection is None:
            return "CONNECTION FAILED" if self._has_failed else "CONNECTING"
        return self._connection.info()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} [{self.info()}]>"
