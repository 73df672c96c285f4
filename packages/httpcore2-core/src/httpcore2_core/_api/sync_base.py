"""What the connections of the sync API share: they run the coroutines of an asynchronous connection that blocks.

Rules: a class of the sync API decides nothing. It runs, on the calling thread, the coroutines of its asynchronous
counterpart over a backend that blocks.
Must not know: how a request is sent.
"""

from __future__ import annotations

from .._http.bodies import BlockingBody, ReceivedBody
from .._http.interfaces import AsyncConnectionInterface, ClosingContext, ConnectionInterface
from .._models import Origin, Request, Response
from .._net.coroutines import run_blocking
from .._net.network_interfaces import AsyncNetworkStream
from .._net.sync_backend import public_sync_stream


def sync_response(response: Response) -> Response:
    extensions = response.extensions
    stream = extensions.get("network_stream")
    if isinstance(stream, AsyncNetworkStream):
        extensions["network_stream"] = public_sync_stream(stream)
    assert isinstance(response.stream, ReceivedBody), "connections make no other"
    response.stream = BlockingBody(response.stream)
    return response


class SyncConnection(ClosingContext, ConnectionInterface):
    """A connection for threads: it calls its asynchronous counterpart."""

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
