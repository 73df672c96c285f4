"""Connections of callers' own classes, for the pool.

A pool's `create_connection` may be overridden, and return whatever takes requests. What is not ours, or sends them in a
way of its own, gets them as the interface says: one at a time unless it multiplexes.
Rules: only what comes to its end while idle is used again.
Must not know: the ledger, HTTP's framing, sockets.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, TypeAlias

from .._api.async_connection import AsyncHTTPConnection
from .._exceptions import ConnectionNotAvailable
from .._http.bodies import ReceivedBody, iterate
from .._http.established import RequestLimit
from .._http.interfaces import AsyncConnectionInterface, ConnectionInterface, ConnectionStatus
from .._http.timeouts import Timeouts
from .._models import Origin, Request, Response
from .._net.adapters import CallerRuntime, adapt_stream

# What an HTTP/2 connection is taken to allow until its server has told (RFC 9113, section 6.5.2).
_SHARED = 100
_HANDLE_ASYNC_REQUEST = AsyncHTTPConnection.handle_async_request


class CallersConnection:
    """A connection of a caller's own class."""

    may_be_resent = False
    is_retired = False
    request_limit: RequestLimit | None = None

    def __init__(
        self,
        inner: ConnectionStatus,
        send: Callable[[Request], Awaitable[Response]],
        close: Callable[[], Awaitable[None]],
    ) -> None:
        """Take it, as the caller knows it, and how it sends a request and is closed without a cancellation."""
        self.inner = inner
        self._send = send
        self._close = close
        self._has_begun = False
        self._was_shared = False
        self.close_pending = False
        self.on_release: Callable[[bool, float | None], None] | None = None
        self.on_lost: Callable[[], None] | None = None
        self.on_change: Callable[[], None] | None = None

    async def connect(self, request: Request, timeouts: Timeouts) -> None:
        """Nothing: its first request does."""

    async def exchange(self, request: Request, timeouts: Timeouts) -> Response:
        self._has_begun = True
        try:
            response = await self._send(request)
        except ConnectionNotAvailable:
            if self.can_multiplex():
                await self.end()
            raise  # else the pool drops it
        except BaseException:
            await self.end()
            raise
        if self.can_multiplex() and not self._was_shared:
            assert self.on_change is not None, "the pool has set it"
            self._was_shared = True
            self.on_change()
        response.stream = _Body(response, self)
        return response

    async def end(self) -> None:
        """Give it back after a request, or close it."""
        assert self.on_release is not None and self.on_lost is not None, "the pool has set them"
        if not self.inner.is_closed() and (self.inner.is_idle() or self.can_multiplex()):
            self.on_release(True, None)
        else:
            self.on_lost()
            await self.wait_closed()

    @property
    def capacity(self) -> int:
        return _SHARED if self.can_multiplex() else 1

    def can_handle_request(self, origin: Origin) -> bool:
        return self.inner.can_handle_request(origin)

    def can_multiplex(self) -> bool:
        return self.inner.can_multiplex()

    def is_stale(self) -> bool:
        return self._has_begun and (self.inner.is_closed() or self.inner.has_expired())

    def is_closed(self) -> bool:
        return self.inner.is_closed()

    def is_connected(self) -> bool:
        return self.inner.is_connected()

    def abort(self) -> None:
        self.close_pending = True

    async def wait_closed(self) -> None:
        if self.close_pending:
            self.close_pending = False
            await self._close()


PooledConnection: TypeAlias = AsyncHTTPConnection | CallersConnection
"""What the pool can use."""


class _Body(ReceivedBody):
    """The body of a response of a caller's own connection."""

    __slots__ = ("_close", "_connection", "_iterator")

    def __init__(self, response: Response, connection: CallersConnection) -> None:
        stream: Any = response.stream
        self._iterator: AsyncIterator[bytes] = aiter(stream)
        self._close: Callable[[], Coroutine[Any, Any, None]] | None = getattr(
            stream, "aclose", None
        )
        self._connection = connection
        self.is_closed = False
        self.lease = None

    async def next_body_chunk(self) -> bytes:
        piece = b""
        try:
            while not piece:
                piece = await anext(self._iterator)
        except StopAsyncIteration:
            await self.aclose()
        except BaseException:
            await self.aclose()
            raise
        return piece

    async def aclose(self) -> None:
        if not self.is_closed:
            self.is_closed = True
            try:
                if self._close is not None:
                    await self._close()
            finally:
                await self._connection.end()
                self.lease = None


class _AsyncStream:
    """A response's body for threads, in the other colour."""

    def __init__(self, plain: Any) -> None:
        self._plain = plain

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(iterate(self._plain, is_blocking=True))

    async def aclose(self) -> None:
        close = getattr(self._plain, "close", None)
        if close is not None:
            close()


def pooled(connection: AsyncConnectionInterface) -> PooledConnection:
    """Return what lets the pool use `connection`: itself, if it is of ours."""
    if (
        isinstance(connection, AsyncHTTPConnection)
        # A derived class sends in a way of its own, and so does what a test kit patches into ours.
        and type(connection).handle_async_request is _HANDLE_ASYNC_REQUEST
    ):
        return connection
    return CallersConnection(
        connection,
        connection.handle_async_request,
        lambda: CallerRuntime().shielded(connection.aclose),
    )


def pooled_for_threads(connection: ConnectionInterface) -> PooledConnection:
    """Return what lets the pool for threads use a connection that is not of ours."""

    async def send(request: Request) -> Response:
        response = connection.handle_request(request)
        response.stream = _AsyncStream(response.stream)
        stream = response.extensions.get("network_stream")
        if stream is not None:
            response.extensions["network_stream"] = adapt_stream(stream)
        return response

    async def close() -> None:
        connection.close()

    return CallersConnection(connection, send, close)


def shown(connection: PooledConnection) -> Any:
    """Return what callers know `connection` as."""
    return connection.inner if isinstance(connection, CallersConnection) else connection
