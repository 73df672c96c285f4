"""A connection to an origin: its route, opened when the first request needs it, and then a connection that speaks HTTP.

Must not know: pools, how a stream is opened, how HTTP is framed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any
from weakref import ref

from .._connect.connection_config import ConnectionConfig
from .._connect.http3_dial import RACE_DELAY, HTTP3Dial, HTTP3Target, dial_http3
from .._connect.route import Route, direct_route
from .._connect.tls_handshake import TLSOverrides, tls_overrides
from .._distributions import load_http2
from .._exceptions import ConnectError, ConnectionNotAvailable, ConnectTimeout
from .._http.alternatives import Alternative, AlternativeServices
from .._http.bodies import check_body_api
from .._http.established import EstablishedConnection
from .._http.interfaces import AsyncClosingContext, AsyncConnectionInterface
from .._http.memory import Memory
from .._http.observation import ConnectionObservation
from .._http.timeouts import Timeouts
from .._http.traffic import Traffic
from .._models import Origin, Request, Response
from .._net.backend_stream import BackendStream
from .._net.network_adapters import adapt_async_backend, default_backend
from .._net.network_interfaces import SOCKET_OPTION, AsyncNetworkBackend
from .._net.resolver_interfaces import AsyncResolver, adapt_async_resolver
from .._net.runtime_backend import RuntimeBackend
from .._urls import check_origin
from .http11_connections import AsyncHTTP11Connection

if TYPE_CHECKING:
    import ssl


class AsyncHTTPConnection(AsyncClosingContext, AsyncConnectionInterface):
    """A connection to one origin, for asyncio, trio and anyio.

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
        network_backend: the `AsyncNetworkBackend` that opens connections, by default that of the running event loop.
        socket_options: arguments of `setsockopt()`, each a tuple, which are applied before connecting.
        resolver: the `AsyncResolver` that finds the addresses of the host, by default the operating system.
        http3: whether HTTP/3 may be used. With `http1=False` and `http2=False`, nothing else is used. Else a pool uses
            it where an origin offers it (Alt-Svc, RFC 7838), but not through a proxy.

    Raises:
        ValueError: no protocol is allowed.
        ImportError: `http2` is true, and `httpcore2-http2` is not installed.
        TypeError: `resolver` is not of the API of the connection.

    Example:
        Two requests on one connection.

        ```python
        import asyncio

        import httpcore2


        async def main():
            origin = httpcore2.Origin(b"https", b"www.example.com", 443)
            async with httpcore2.AsyncHTTPConnection(origin) as connection:
                await connection.request("GET", "https://www.example.com/")
                await connection.request("GET", "https://www.example.com/")


        asyncio.run(main())
        ```
    """

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
        *,
        resolver: AsyncResolver | None = None,
        http3: bool = False,
    ) -> None:
        config = ConnectionConfig(
            ssl_context,
            keepalive_expiry,
            http1,
            http2,
            retries,
            local_address,
            uds,
            adapt_async_backend(network_backend),
            None if socket_options is None else list(socket_options),
            adapt_async_resolver(resolver),
            http3,
        )
        config.check()
        config = config.without_unusable_http3()
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
        # The connection over the stream, once there is one. An attribute that is first set later would take 1 KiB.
        self.established: EstablishedConnection | None = None
        # What the request that it was made for said about TLS.
        self._tls: TLSOverrides | None = None
        self._has_begun = False
        self._has_failed = False
        self.on_release: Callable[[bool, float | None], None] | None = None
        self.on_change: Callable[[], None] | None = None
        self.memory: Memory | None = None
        self.traffic: Traffic | None = None
        self.observation: ConnectionObservation | None = None
        self.uses_alternative = False
        # Its façade for the sync API, if there is one.
        self.sync_facade: ref[Any] | None = None

    # Requests

    async def handle_async_request(self, request: Request) -> Response:
        """Send a request, and return its response with the body unread. The first request establishes the connection.

        Args:
            request: the request. Its body is bytes or an async iterable of bytes.

        Returns:
            The response. The caller reads its body, and then calls `aclose()` on it.

        Raises:
            RuntimeError: the request is for another origin, or has another `sni_hostname` or `ssl_context` than the
                first.
            ConnectionNotAvailable: the connection is closed, or has no room for another request.
            TypeError: the body is a sync iterable.
            LocalProtocolError: the request violates HTTP, or the origin's host is malformed.
            RemoteProtocolError: the server violated HTTP, or closed the connection before the end of the response.
            ProxyError: the proxy refused to connect to the origin, or failed to.
            ConnectError: the connection could not be established.
            ReadError: the connection failed while the response was read.
            WriteError: the connection failed while the request was sent.
            ConnectTimeout: the connection was not established within the `connect` timeout.
            ReadTimeout: no data arrived within the `read` timeout, or the response did not end within `total`.
            WriteTimeout: the server accepted no data within the `write` timeout.
        """
        if not self.can_handle_request(request.url.origin):
            raise RuntimeError(
                f"Attempted to send request to {request.url.origin} on connection to {self._origin}"
            )
        if self._has_begun:
            self._check_tls(request)
        runtime = self._use_backend().runtime
        check_body_api(request.stream, runtime.is_blocking)
        timeouts = Timeouts.of(request.extensions, runtime)
        if self.established is None:
            await self.connect(request, timeouts)
        assert self.established is not None, "connect() has returned"
        return await self.established.exchange(request, timeouts)

    def _check_tls(self, request: Request) -> None:
        """Refuse a request for which the origin was not verified."""
        tls = tls_overrides(request, self._config.ssl_context)
        if tls == self._tls:
            return
        name, made_name = ((each or TLSOverrides()).server_name for each in (tls, self._tls))
        if name != made_name:
            raise RuntimeError(
                f"Attempted to send a request with the sni_hostname {name!r} on a connection to {self._origin} "
                f"that was made with {made_name!r}: its certificate was checked for no other name. "
                "Use another connection, or a pool."
            )
        raise RuntimeError(
            f"Attempted to send a request with another ssl_context than that with which the connection to "
            f"{self._origin} was made: its certificate was checked by that one alone. "
            "Use another connection, or a pool."
        )

    async def connect(self, request: Request, timeouts: Timeouts) -> None:
        """Establish the connection. Pools call it once, before they use `established`.

        Args:
            request: the request that the connection is established for: its `trace` is called, its `sni_hostname` is
                the server name, and its `ssl_context` the TLS context.
            timeouts: the limits of that request.

        Raises:
            LocalProtocolError: the origin's host is malformed.
            ConnectError: the connection could not be established.
            ConnectTimeout: it was not established within the `connect` timeout.
            ProxyError: the proxy refused to connect to the origin, or failed to.
            RemoteProtocolError: the proxy violated its protocol.
            ReadTimeout: the proxy sent nothing within the `read` timeout.
            WriteTimeout: the proxy accepted no data within the `write` timeout.
            ConnectionNotAvailable: `connect()` was called before.
            ImportError: the server chose HTTP/2, which the `ssl_context` offered though `http2` is false, and
                `httpcore2-http2` is not installed.
        """
        if self._has_begun:
            raise ConnectionNotAvailable
        self._tls = tls_overrides(request, self._config.ssl_context)
        self._has_begun = True
        try:
            check_origin(self._origin)
            connection = await self._establish(request, timeouts)
            connection.on_release, connection.on_change = self.on_release, self.on_change
            connection.observation = self.observation
            if self.memory is not None:
                connection.use_memory(self.memory)
            if self.traffic is not None:
                connection.count_in(self.traffic)
            # In this order: a thread that closes this one sees the connection, or is seen here.
            self.established = connection
            if self._has_failed:
                self.established = None
                connection.abort()
                await connection.wait_closed()
                raise ConnectError(
                    f"The connection was closed while it was being established. ({self._route})"
                )
        except BaseException:
            self._has_failed = True
            raise

    async def _establish(self, request: Request, timeouts: Timeouts) -> EstablishedConnection:
        """Establish a connection over TCP, over HTTP/3, or over whichever is ready first."""
        alternative = self._alternative()
        if alternative is None:
            return await self._establish_over_tcp(request, timeouts)
        backend = self._use_backend()
        memory = self.memory or Memory()
        target = HTTP3Target(self._origin, alternative, self._config, memory)
        if self._config.is_http3_only:
            connection: EstablishedConnection = await dial_http3(
                target, backend, request, timeouts, self.observation
            )
        else:
            site = (self._origin.host, self._origin.port)
            alternatives = memory.of(AlternativeServices)
            dial = HTTP3Dial(target, backend, request, self.observation)
            try:
                found = await self._race(dial, request, timeouts)
            except BaseException:
                dial.abort()
                raise
            if found is not None:
                dial.abort()
                alternatives.failed(site, alternative, backend.runtime.now())
                return found
            alternatives.succeeded(site, alternative)
            connection = dial.connection
        connection.peer.name = target
        return connection

    async def _race(
        self, dial: HTTP3Dial, request: Request, timeouts: Timeouts
    ) -> EstablishedConnection | None:
        """Return a connection over TCP, or `None` if that over HTTP/3 is ready first.

        One task does both: a QUIC handshake needs one round trip, so what its server sends while TCP is tried waits in
        the socket, and is all that is missing.
        """
        try:
            await dial.run(timeouts, RACE_DELAY)
            return None
        except (ConnectError, ConnectTimeout):
            pass  # requests do not fail because of HTTP/3
        try:
            found = await self._establish_over_tcp(request, timeouts)
        except (ConnectError, ConnectTimeout):
            if dial.is_ready():
                return None
            raise
        if dial.is_ready():
            found.abort()
            await found.wait_closed()
            return None
        return found

    def _alternative(self) -> Alternative | None:
        """Return where to dial over HTTP/3; `None` if it is not to be used."""
        config = self._config
        origin = self._origin
        if not config.http3:
            return None
        if config.is_http3_only:
            return Alternative(origin.host, origin.port)
        if not self.uses_alternative or self.memory is None:
            return None
        now = self._use_backend().runtime.now()
        return self.memory.of(AlternativeServices).find((origin.host, origin.port), now)

    async def _establish_over_tcp(
        self, request: Request, timeouts: Timeouts
    ) -> EstablishedConnection:
        stream = await self._route.open(self._use_backend(), request, timeouts, self.observation)
        try:
            connection = self._make_established(stream)
        except BaseException:
            stream.abort()
            await stream.wait_closed()
            raise
        connection.peer.name = self._route
        return connection

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

    def abort(self) -> None:
        """Close the connection without awaiting. Requests in progress fail.

        `wait_closed()` then awaits what could not be done at once. It may be called more than once.
        """
        self._has_failed = True
        if self.established is not None:
            self.established.abort()

    @property
    def close_pending(self) -> bool:
        """Whether `abort()` has left something for `wait_closed()`.

        Returns:
            True only for streams of a caller's own backend, whose `aclose()` has to be awaited.
        """
        return self.established is not None and self.established.close_pending

    async def wait_closed(self) -> None:
        """After `abort()`, await what could not be done at once."""
        if self.established is not None:
            await self.established.wait_closed()

    async def aclose(self) -> None:
        """Close the connection. Requests in progress fail."""
        self.abort()
        await self.wait_closed()

    def can_handle_request(self, origin: Origin) -> bool:
        return origin == self._origin

    def can_multiplex(self) -> bool:
        return self.established is not None and self.established.can_multiplex()

    def is_available(self) -> bool:
        if self.established is None:
            # It may yet turn out to be HTTP/2, and take several requests.
            return not self._has_failed and (
                self._config.is_http3_only
                or (
                    self._config.http2
                    and (self._origin.scheme == b"https" or not self._config.http1)
                )
            )
        return self.established.is_available()

    def has_expired(self) -> bool:
        if self.established is None:
            return self._has_failed
        return self.established.has_expired()

    def is_idle(self) -> bool:
        if self.established is None:
            return self._has_failed
        return self.established.is_idle()

    def is_closed(self) -> bool:
        if self.established is None:
            return self._has_failed
        return self.established.is_closed()

    def is_connected(self) -> bool:
        return self.established is not None and self.established.is_connected()

    def info(self) -> str:
        if self.established is None:
            return "CONNECTION FAILED" if self._has_failed else "CONNECTING"
        return self.established.info()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} [{self.info()}]>"
