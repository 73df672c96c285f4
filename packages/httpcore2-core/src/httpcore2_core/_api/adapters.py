"""Converts connections at the boundary of a pool: those of callers and of the sync API, and the engine's (`Poolable`).

A pool's `create_connection` may be overridden, and return any connection. `CallerConnection` adapts those that are not
instances of our class, and those that send requests by a method of their own: an override in a derived class, or what a
test kit has patched into ours.
Rules: a caller's connection is used by its public methods alone. It gets one request at a time unless it
multiplexes, and the next one only if it is idle when a request has ended.
Must not know: the ledger, HTTP's framing, sockets.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

from .._exceptions import ConnectionNotAvailable
from .._http.bodies import ReceivedBody, iterate
from .._http.close_reason import CloseReason
from .._http.connection_status import ConnectionStatus
from .._http.established import RequestLimit
from .._http.interfaces import AsyncConnectionInterface, ConnectionInterface
from .._http.memory import Memory
from .._http.observation import ConnectionObservation, RequestObservation
from .._http.timeouts import Timeouts
from .._http.traffic import Traffic
from .._models import Origin, Request, Response
from .._net.network_adapters import CallerRuntime, adapt_sync_stream
from .._pool.poolable import Poolable
from .async_connection import AsyncHTTPConnection
from .sync_base import SyncConnection
from .sync_connections import HTTPConnection

# The streams that a server is assumed to allow until it has sent SETTINGS (RFC 9113, section 6.5.2).
_MULTIPLEXED = 100
# As they were when nothing was patched.
_HANDLE_ASYNC_REQUEST = AsyncHTTPConnection.handle_async_request
_HANDLE_REQUEST = SyncConnection.handle_request


def adapt_async_connection(connection: AsyncConnectionInterface) -> Poolable:
    """Return a connection for the engine, adapted unless it is an `AsyncHTTPConnection`."""
    if (
        isinstance(connection, AsyncHTTPConnection)
        and type(connection).handle_async_request is _HANDLE_ASYNC_REQUEST
    ):
        return connection
    return CallerConnection(
        connection,
        connection.handle_async_request,
        lambda: CallerRuntime().shielded(connection.aclose),
    )


def adapt_sync_connection(connection: ConnectionInterface) -> Poolable:
    """Return a connection of the sync API for the engine: its async counterpart if it is one of ours, else adapted."""
    if (
        isinstance(connection, HTTPConnection)
        and type(connection).handle_request is _HANDLE_REQUEST
    ):
        return connection._counterpart

    async def send(request: Request) -> Response:
        response = connection.handle_request(request)
        response.stream = _SyncStreamAdapter(response.stream)
        stream = response.extensions.get("network_stream")
        if stream is not None:
            response.extensions["network_stream"] = adapt_sync_stream(stream)
        return response

    async def close() -> None:
        connection.close()

    return CallerConnection(connection, send, close)


def public_async_connection(poolable: Poolable) -> AsyncConnectionInterface:
    """Return what `adapt_async_connection` was given."""
    connection: Any = poolable.inner if isinstance(poolable, CallerConnection) else poolable
    assert isinstance(connection, AsyncConnectionInterface), "the pool was given it as one"
    return connection


def public_sync_connection(poolable: Poolable) -> ConnectionInterface:
    """Return what `adapt_sync_connection` was given, or another façade of it if that no longer exists."""
    if isinstance(poolable, CallerConnection):
        assert isinstance(poolable.inner, ConnectionInterface), "the pool was given it as one"
        return poolable.inner
    assert isinstance(poolable, AsyncHTTPConnection), "the pool holds no others"
    return HTTPConnection._of(poolable)


class CallerConnection:
    """Adapts a connection of a caller's own class to `Poolable`."""

    may_be_resent = False
    is_retired = False
    request_limit: RequestLimit | None = None
    close_reason: CloseReason | None = None
    http_version: str | None = None
    peer_address: Any = None

    def __init__(
        self,
        inner: ConnectionStatus,
        send: Callable[[Request], Awaitable[Response]],
        close: Callable[[], Awaitable[None]],
    ) -> None:
        """Adapt a connection.

        Args:
            inner: the caller's connection.
            send: sends a request on it.
            close: closes it, shielded from cancellation.
        """
        self.inner = inner
        self._send = send
        self._close = close
        self._has_begun = False
        self._has_ended = False
        self._was_multiplexed = False
        self.close_pending = False
        self.on_release: Callable[[bool, float | None], None] | None = None
        self.on_change: Callable[[], None] | None = None
        self.memory: Memory | None = None
        self.traffic: Traffic | None = None  # only the caller's stream knows the bytes
        self.observation: ConnectionObservation | None = None
        self.uses_alternative = False  # its class decides where it connects to

    async def connect(self, request: Request, timeouts: Timeouts) -> None:
        """Do nothing: a caller's connection connects when it is given its first request."""

    def become_idle(self) -> None:
        """Do nothing: it is used as before."""

    async def exchange(
        self, request: Request, timeouts: Timeouts, observation: RequestObservation | None
    ) -> Response:
        if self._has_begun and self.traffic is not None:
            self.traffic.reused += 1
        self._has_begun = True
        try:
            response = await self._send(request)
        except ConnectionNotAvailable:
            if self.can_multiplex():
                await self.end()
            raise  # else the pool closes it
        except BaseException:
            await self.end()
            raise
        if self.can_multiplex() and not self._was_multiplexed:
            assert self.on_change is not None, "the pool has set it"
            self._was_multiplexed = True
            self.on_change()
        response.stream = _CallerBody(response, self)
        return response

    async def end(self) -> None:
        """Release the connection after a request, or close it."""
        assert self.on_release is not None and self.on_change is not None, "the pool has set them"
        if not self.inner.is_closed() and (self.inner.is_idle() or self.can_multiplex()):
            self.on_release(True, None)
        else:
            self._has_ended = True
            self.on_change()
            await self.wait_closed()

    @property
    def established(self) -> CallerConnection:
        return self

    @property
    def capacity(self) -> int:
        return _MULTIPLEXED if self.can_multiplex() else 1

    def can_handle_request(self, origin: Origin) -> bool:
        return self.inner.can_handle_request(origin)

    def can_multiplex(self) -> bool:
        return self.inner.can_multiplex()

    def is_stale(self) -> bool:
        return self._has_begun and (self.inner.is_closed() or self.inner.has_expired())

    def is_closed(self) -> bool:
        return self._has_ended or self.inner.is_closed()

    def is_connected(self) -> bool:
        return self.inner.is_connected()

    def abort(self) -> None:
        self.close_pending = True

    async def wait_closed(self) -> None:
        if self.close_pending:
            self.close_pending = False
            await self._close()


class _CallerBody(ReceivedBody):
    """The body of a response of a caller's own connection."""

    __slots__ = ("_close", "_connection", "_iterator")

    def __init__(self, response: Response, connection: CallerConnection) -> None:
        stream: Any = response.stream
        self._iterator: AsyncIterator[bytes] = aiter(stream)
        self._close: Callable[[], Coroutine[Any, Any, None]] | None = getattr(
            stream, "aclose", None
        )
        self._connection = connection
        self.is_closed = self.is_expectation_refused = self.is_too_early = False
        self.lease = None

    async def next_body_chunk(self) -> bytes:
        chunk = b""
        try:
            while not chunk:
                chunk = await anext(self._iterator)
        except StopAsyncIteration:
            await self.aclose()
        except BaseException:
            await self.aclose()
            raise
        return chunk

    async def aclose(self) -> None:
        if not self.is_closed:
            self.is_closed = True
            try:
                if self._close is not None:
                    await self._close()
            finally:
                await self._connection.end()
                self.lease = None


class _SyncStreamAdapter:
    """Adapts the body of a response of the sync API, for a coroutine that runs on a thread."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(iterate(self._stream, is_blocking=True))

    async def aclose(self) -> None:
        close = getattr(self._stream, "close", None)
        if close is not None:
            close()
