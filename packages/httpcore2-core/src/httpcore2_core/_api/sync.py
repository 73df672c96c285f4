"""The synchronous interface: façades over the transport, which is written once, as coroutines.

Rules: a façade decides nothing: it runs, on the calling thread, the coroutines of the asynchronous object
of the same name over a backend that blocks.
Must not know: how a request is sent.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from weakref import ref

from .._http.bodies import BlockingBody, ReceivedBody
from .._http.interfaces import (
    AsyncConnectionInterface,
    ClosingContext,
    ConnectionInterface,
    RequestInterface,
)
from .._http11.connection import AsyncHTTP11Connection
from .._models import URL, Extensions, HeaderTypes, Origin, Proxy, Request, Response
from .._net.interfaces import SOCKET_OPTION, AsyncNetworkStream, NetworkBackend, NetworkStream
from .._net.runtime import run_blocking
from .._net.sync import SyncBackend, adapt_backend, adapt_stream, public_sync_stream
from .._pool.pooled import PooledConnection, pooled_for_threads, shown
from .connection import AsyncHTTPConnection
from .pools import PoolBase

if TYPE_CHECKING:
    import ssl


def _for_threads(response: Response) -> Response:
    extensions = response.extensions
    stream = extensions.get("network_stream")
    if isinstance(stream, AsyncNetworkStream):
        extensions["network_stream"] = public_sync_stream(stream)
    assert isinstance(response.stream, ReceivedBody), "connections make no other"
    response.stream = BlockingBody(response.stream)
    return response


class SyncConnection(ClosingContext, ConnectionInterface):
    """What all kinds of connection have in common: each asks its asynchronous counterpart."""

    def __init__(self, counterpart: AsyncConnectionInterface) -> None:
        self._counterpart = counterpart

    def handle_request(self, request: Request) -> Response:
        return _for_threads(run_blocking(self._counterpart.handle_async_request(request)))

    def close(self) -> None:
        run_blocking(self._counterpart.aclose())

    def info(self) -> str:
        return self._counterpart.info()

    def can_handle_request(self, origin: Origin) -> bool:
        return self._counterpart.can_handle_request(origin)

    def can_multiplex(self) -> bool:
        return self._counterpart.can_multiplex()

    def is_available(self) -> bool:
        return self._counterpart.is_available()

    def has_expired(self) -> bool:
        return self._counterpart.has_expired()

    def is_idle(self) -> bool:
        return self._counterpart.is_idle()

    def is_closed(self) -> bool:
        return self._counterpart.is_closed()

    def is_connected(self) -> bool:
        return self._counterpart.is_connected()

    def __repr__(self) -> str:
        return repr(self._counterpart).replace("<Async", "<", 1)


class HTTP11Connection(SyncConnection):
    """An HTTP/1.1 connection over a stream that is already established; see `AsyncHTTP11Connection`."""

    READ_NUM_BYTES = AsyncHTTP11Connection.READ_NUM_BYTES
    MAX_INCOMPLETE_EVENT_SIZE = AsyncHTTP11Connection.MAX_INCOMPLETE_EVENT_SIZE

    def __init__(
        self,
        origin: Origin,
        stream: NetworkStream,
        keepalive_expiry: float | None = None,
    ) -> None:
        """Take over a stream; parameters as for `AsyncHTTP11Connection`."""
        super().__init__(
            AsyncHTTP11Connection(origin, adapt_stream(stream), keepalive_expiry, _settings=self)
        )


AsyncHTTP11Connection.sync_counterpart = HTTP11Connection


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

    @classmethod
    def _of(cls, counterpart: AsyncHTTPConnection) -> HTTPConnection:
        facade = cls.__new__(cls)
        facade._counterpart = counterpart
        return facade


class ConnectionPool(PoolBase, ClosingContext, RequestInterface):
    """A connection pool for making HTTP requests, for threads; see `AsyncConnectionPool`.

    It may be shared by any number of threads. One that is not closed is cleaned up when it is collected.

        with httpcore2.ConnectionPool() as http:
            response = http.request("GET", "https://www.example.com/")
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
    ) -> None:
        """Prepare a pool; parameters and errors as for `AsyncConnectionPool`."""
        self._set_up(
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
            adapt_backend(network_backend),
            socket_options,
        )
        self._given_network_backend = network_backend

    @property
    def _network_backend(self) -> NetworkBackend:
        """What opens connections, where 2.16.2 has it: guards against forged requests wrap it in their own."""
        return self._given_network_backend or SyncBackend()

    @_network_backend.setter
    def _network_backend(self, backend: NetworkBackend) -> None:
        self._given_network_backend = backend
        self._engine.use_backend(adapt_backend(backend))

    def create_connection(self, origin: Origin) -> ConnectionInterface:
        """Make the connection for requests to `origin`; as `AsyncConnectionPool.create_connection`."""
        return HTTPConnection._of(self._make_connection(origin))

    def _create_counterpart(self, origin: Origin) -> PooledConnection:
        facade = self.create_connection(origin)
        if (
            not isinstance(facade, HTTPConnection)
            # A derived class sends in a way of its own, and so does what a test kit patches into ours.
            or type(facade).handle_request is not SyncConnection.handle_request
        ):
            return pooled_for_threads(facade)
        facade._counterpart.facade = ref(facade)
        return facade._counterpart

    @property
    def connections(self) -> list[ConnectionInterface]:
        """The connections in the pool now, in the order in which they were made."""
        return [self._facade(shown(counterpart)) for counterpart in self._engine.connections]

    def _facade(
        self, counterpart: AsyncHTTPConnection | ConnectionInterface
    ) -> ConnectionInterface:
        if isinstance(counterpart, ConnectionInterface):
            return counterpart  # the caller's own
        # The one that somebody still holds, if anybody does.
        facade: HTTPConnection | None = None if counterpart.facade is None else counterpart.facade()
        if facade is None:
            facade = HTTPConnection._of(counterpart)
            counterpart.facade = ref(facade)
        return facade

    def handle_request(self, request: Request) -> Response:
        handling = self._engine.handle(request, self._create_counterpart, self)
        try:
            response = run_blocking(handling)
        except BaseException:
            handling.close()  # an exception may have come before it began
            raise
        body: Any = response.stream
        try:
            return _for_threads(response)
        except BaseException:
            run_blocking(body.aclose())  # nobody else can
            raise

    def close(self) -> None:
        """Close all connections, whatever they are doing. The pool may be used again."""
        run_blocking(self._engine.aclose())

    def __del__(self) -> None:
        engine = getattr(self, "_engine", None)  # absent if __init__ refused its arguments
        if engine is not None:
            engine.abandon()


def request(
    method: bytes | str,
    url: URL | bytes | str,
    *,
    headers: HeaderTypes = None,
    content: bytes | Iterator[bytes] | None = None,
    extensions: Extensions | None = None,
) -> Response:
    """Send one request on a connection of its own, and return its response with the body read.

    Parameters and errors as for `ConnectionPool.request`. For more than one request a `ConnectionPool` is faster.

        response = httpcore2.request("GET", "https://www.example.com/")
    """
    with ConnectionPool() as pool:
        return pool.request(method, url, headers=headers, content=content, extensions=extensions)


@contextmanager
def stream(
    method: bytes | str,
    url: URL | bytes | str,
    *,
    headers: HeaderTypes = None,
    content: bytes | Iterator[bytes] | None = None,
    extensions: Extensions | None = None,
) -> Generator[Response, None, None]:
    """Send one request on a connection of its own, and give its response as a context manager.

    The body is still to be read. Parameters and errors as for `ConnectionPool.stream`.

        with httpcore2.stream("GET", "https://www.example.com/") as response:
            for chunk in response.iter_stream():
                ...
    """
    with (
        ConnectionPool() as pool,
        pool.stream(
            method, url, headers=headers, content=content, extensions=extensions
        ) as response,
    ):
        yield response
