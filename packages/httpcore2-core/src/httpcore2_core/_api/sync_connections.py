"""The synchronous interface: façades over the transport, which is written once, as coroutines.

Rules: a façade decides nothing: it runs, on the calling thread, the coroutines of the asynchronous object
of the same name over a backend that blocks.
Must not know: how a request is sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING
from weakref import ref

from .._http.bodies import BlockingBody, ReceivedBody
from .._http.interfaces import (
    AsyncConnectionInterface,
    ClosingContext,
    ConnectionInterface,
)
from .._http11.connection import AsyncHTTP11Connection
from .._models import Origin, Request, Response
from .._net.adapters import adapt_backend, adapt_stream
from .._net.coroutines import run_blocking
from .._net.network_interfaces import (
    SOCKET_OPTION,
    AsyncNetworkStream,
    NetworkBackend,
    NetworkStream,
)
from .._net.sync_backend import public_sync_stream
from .async_connection import AsyncHTTPConnection

if TYPE_CHECKING:
    import ssl


def sync_response(response: Response) -> Response:
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
        return sync_response(run_blocking(self._counterpart.handle_async_request(request)))

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
