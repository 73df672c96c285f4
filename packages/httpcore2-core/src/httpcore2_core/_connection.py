"""The way to an origin: dial, TLS, ALPN, retries; and then the connection that speaks HTTP.

Rules: a stream belongs to exactly one owner from the moment that it is opened; whatever fails closes it.
Must not know: pools, how HTTP is framed.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

from ._backends.caller import adapt_async_backend, adapt_async_stream, public_stream
from ._backends.detect import detect_backend
from ._bodies import check_colour
from ._exceptions import ConnectError, ConnectionNotAvailable, ConnectTimeout
from ._http11.connection import AsyncHTTP11Connection
from ._interfaces import AsyncClosingContext, AsyncConnectionInterface
from ._models import Origin, Request, Response
from ._network import (
    SOCKET_OPTION,
    AsyncNetworkBackend,
    AsyncNetworkStream,
    BackendStream,
    RuntimeBackend,
)
from ._siblings import load
from ._ssl import shared_ssl_context
from ._timeouts import Timeouts
from ._trace import Tracer

if TYPE_CHECKING:
    import ssl

    from httpcore2_http2 import AsyncHTTP2Connection

    _Connection: TypeAlias = AsyncHTTP11Connection | AsyncHTTP2Connection

_HTTP2 = ("httpcore2_http2", "AsyncHTTP2Connection", "http2", "http2=True")
_FIRST_DELAY = 0.5


def backoff_delays() -> Iterator[float]:
    """Seconds to wait before each further attempt: 0, 0.5, 1, 2, 4, …"""
    yield 0
    delay = _FIRST_DELAY
    while True:
        yield delay
        delay *= 2


def check_protocols(http1: bool, http2: bool) -> None:
    """Refuse a choice of protocols that can't be served.

    Raises:
        ValueError: neither is wanted.
        ImportError: HTTP/2 is wanted, and its distribution is not installed.
    """
    if not (http1 or http2):
        raise ValueError("http1=False, http2=False leaves no protocol: let at least one be True.")
    if http2:
        load(*_HTTP2)


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
            ssl_context: for TLS; by default one that trusts certifi's authorities.
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
        check_protocols(http1, http2)
        self._origin = origin
        self._ssl_context = ssl_context
        self._keepalive_expiry = keepalive_expiry
        self._http1 = http1
        self._http2 = http2
        self._retries = retries
        self._local_address = local_address
        self._uds = uds
        self._backend: RuntimeBackend | None = (
            None if network_backend is None else adapt_async_backend(network_backend)
        )
        self._socket_options = None if socket_options is None else list(socket_options)
        self._connection: _Connection | None = None
        self._has_begun = False
        self._has_failed = False
        self.on_release: Callable[[bool], None] | None = None
        self.on_lost: Callable[[], None] | None = None
        self.on_change: Callable[[], None] | None = None

    # Requests

    async def handle_async_request(self, request: Request) -> Response:
        """Connect if need be, send `request` and return its response, the body still to be read.

        Raises:
            RuntimeError: the request is for another origin.
            ConnectionNotAvailable: another request is under way, or the connection is closed.
        """
        if not self.can_handle_request(request.url.origin):
            raise RuntimeError(
                f"Attempted to send request to {request.url.origin} on connection to {self._origin}"
            )
        runtime = self._use_backend().runtime
        check_colour(request.stream, runtime.is_blocking)
        timeouts = Timeouts.of(request.extensions, runtime)
        if self._connection is None:
            await self.connect(request, timeouts)
        return await self.exchange(request, timeouts)

    def exchange(self, request: Request, timeouts: Timeouts) -> Coroutine[Any, Any, Response]:
        """Send `request` on the connection, which is established, and return its response."""
        assert self._connection is not None, "connect() comes first"
        return self._connection.exchange(request, timeouts)

    async def connect(self, request: Request, timeouts: Timeouts) -> None:
        """Establish the connection; `request` tells what it is needed for, and who listens.

        Raises:
            ConnectError, ConnectTimeout: it could not be established.
            ConnectionNotAvailable: that is being tried already, or was in vain.
        """
        if self._has_begun:
            raise ConnectionNotAvailable
        self._has_begun = True
        try:
            stream = await self._open_with_retries(request, timeouts)
            connection = self._speak(stream)
            connection.on_release = self.on_release
            if self._has_failed:  # closed while it was being opened
                connection.abort()
                await connection.settle()
                raise ConnectError("The connection was closed while it was being established.")
            self._connection = connection
        except BaseException:
            self._has_failed = True
            raise

    def _speak(self, stream: AsyncNetworkStream) -> _Connection:
        """Make the connection for the protocol that was agreed on, or is known to be spoken."""
        if self._http2:
            ssl_object = stream.get_extra_info("ssl_object")
            if not self._http1 or (
                ssl_object is not None and ssl_object.selected_alpn_protocol() == "h2"
            ):
                connection_class: type[AsyncHTTP2Connection] = load(*_HTTP2)
                shared = connection_class(self._origin, stream, self._keepalive_expiry)
                shared.on_change = self.on_change
                return shared
        connection = AsyncHTTP11Connection(self._origin, stream, self._keepalive_expiry)
        connection.on_lost = self.on_lost
        return connection

    def _use_backend(self) -> RuntimeBackend:
        if self._backend is None:
            self._backend = detect_backend()
        return self._backend

    async def _open_with_retries(self, request: Request, timeouts: Timeouts) -> AsyncNetworkStream:
        backend = self._use_backend()
        tracer = Tracer.of("connection", request, backend.runtime.is_blocking)
        delays = backoff_delays()
        left = self._retries
        while True:
            try:
                return await self._open(backend, request, timeouts, tracer)
            except (ConnectError, ConnectTimeout) as exc:
                if not left:
                    exc.add_note(f"While connecting to {self._origin}.")
                    raise
            left -= 1
            pause = backend.sleep(timeouts.for_pause(next(delays)))
            if tracer is None:
                await pause
            else:
                await tracer.span("retry", self._dial_info(timeouts), pause)

    def _dial_info(self, timeouts: Timeouts) -> dict[str, Any]:
        """What the listeners are told of a dial: the arguments of the backend's method."""
        timeout = timeouts.for_connect()
        if self._uds is not None:
            return {"path": self._uds, "timeout": timeout, "socket_options": self._socket_options}
        return {
            "host": self._origin.host.decode("ascii"),
            "port": self._origin.port,
            "local_address": self._local_address,
            "timeout": timeout,
            "socket_options": self._socket_options,
        }

    async def _open(
        self,
        backend: RuntimeBackend,
        request: Request,
        timeouts: Timeouts,
        tracer: Tracer | None,
    ) -> AsyncNetworkStream:
        """Open a stream to the origin, with TLS if its scheme says so."""
        stream: BackendStream | None = None

        async def dial() -> BackendStream:
            nonlocal stream
            if self._uds is None:
                opened = await backend.connect_tcp(**info)
            else:
                opened = await backend.connect_unix_socket(**info)
            stream = adapt_async_stream(opened)
            return stream

        async def shake_hands() -> AsyncNetworkStream:
            assert stream is not None, "there was a dial"
            return await stream.start_tls(**info)

        try:
            info = self._dial_info(timeouts)
            if tracer is None:
                await dial()
            else:
                name = "connect_tcp" if self._uds is None else "connect_unix_socket"
                await tracer.span(name, info, dial(), public_stream)
            assert stream is not None, "there was a dial"
            if self._origin.scheme not in (b"https", b"wss"):
                return stream
            info = self._tls_info(request, timeouts)
            if tracer is None:
                return await shake_hands()
            return await tracer.span("start_tls", info, shake_hands(), public_stream)
        except BaseException:
            if stream is not None:
                stream.abort()
                await stream.settle()
            raise

    def _tls_info(self, request: Request, timeouts: Timeouts) -> dict[str, Any]:
        """The arguments of the stream's `start_tls`."""
        protocols: tuple[str, ...] = ("http/1.1",)  # what is offered by ALPN (RFC 7301)
        if self._http2:
            protocols = ("h2", "http/1.1") if self._http1 else ("h2",)
        if self._ssl_context is None:
            context = shared_ssl_context(protocols)
        else:
            context = self._ssl_context
            context.set_alpn_protocols(list(protocols))
        name = request.extensions.get("sni_hostname") or self._origin.host.decode("ascii")
        return {
            "ssl_context": context,
            "server_hostname": name,
            "timeout": timeouts.for_connect(),
        }

    # Life

    @property
    def may_be_resent(self) -> bool:
        """Whether the last exchange failed as it does when the server closes an idle connection."""
        return self._connection is not None and self._connection.may_be_resent

    @property
    def capacity(self) -> int:
        """How many requests the connection takes at a time."""
        assert self._connection is not None, "only an established connection takes any"
        return self._connection.capacity

    @property
    def is_retired(self) -> bool:
        """Whether the connection takes no new request, though some may be under way."""
        return self._connection is not None and self._connection.is_retired

    @property
    def expires_at(self) -> float | None:
        """When the idle connection expires, on the runtime's clock."""
        return None if self._connection is None else self._connection.expires_at

    def is_stale(self) -> bool:
        """Whether a connection that was used before must not be used again."""
        assert self._connection is not None, "it was established before it was used"
        return self._connection.is_stale()

    def abort(self) -> None:
        """Close the connection without awaiting."""
        self._has_failed = True
        if self._connection is not None:
            self._connection.abort()

    @property
    def needs_settling(self) -> bool:
        """Whether `abort()` has left something to await."""
        return self._connection is not None and self._connection.needs_settling

    async def settle(self) -> None:
        """After `abort()`, await what could not be done at once."""
        if self._connection is not None:
            await self._connection.settle()

    async def aclose(self) -> None:
        self.abort()
        await self.settle()

    def can_handle_request(self, origin: Origin) -> bool:
        return origin == self._origin

    def can_multiplex(self) -> bool:
        return self._connection is not None and self._connection.can_multiplex()

    def is_available(self) -> bool:
        if self._connection is None:
            # It may yet turn out to be HTTP/2, and take several requests.
            return (
                self._http2
                and (self._origin.scheme == b"https" or not self._http1)
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
