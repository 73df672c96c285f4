"""The connections that a pool leases to one caller each.

Must not know: how a connection is acquired, how a request is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeAlias

from .._arguments import RequestMemory
from .._http.interfaces import (
    AsyncClosingContext,
    AsyncRequestInterface,
    ClosingContext,
    RequestInterface,
)
from .._models import Request, Response
from .._net.coroutines import run_blocking
from .._pool.connection_lease import ConnectionLease
from .sync_base import sync_response

_Acquire: TypeAlias = Callable[[], Coroutine[Any, Any, ConnectionLease]]


class LeaseBase:
    """The base class of `AsyncLeasedConnection` and `LeasedConnection`."""

    _pool: object
    _acquire: _Acquire | None
    _lease: ConnectionLease | None

    @classmethod
    def _of(cls, pool: object, memory: RequestMemory | None, acquire: _Acquire) -> Self:
        """Prepare a lease.

        Args:
            pool: the pool, which must not be finalised during the lease.
            memory: the pool's.
            acquire: acquires the connection; it is called once.
        """
        leased = cls.__new__(cls)
        leased._pool = pool
        leased._memory = memory
        leased._acquire = acquire
        leased._lease = None
        return leased

    _memory: RequestMemory | None

    def _begin(self) -> Coroutine[Any, Any, ConnectionLease]:
        acquire, self._acquire = self._acquire, None
        if acquire is None:
            raise RuntimeError(
                "A leased connection is used with one `with` block. Call lease() for each of them."
            )
        return acquire()

    def _current(self) -> ConnectionLease:
        if self._lease is None:
            raise RuntimeError(
                "A leased connection has to be acquired before its first request: use it with `with`, or `async with`."
            )
        return self._lease


class LeasedConnection(LeaseBase, ClosingContext, RequestInterface):
    """One HTTP/1.1 connection of a pool, for one caller alone, in the sync API. `ConnectionPool.lease()` returns it.

    The `with` block acquires the connection, and its end gives it back. In between `request()`, `stream()` and
    `handle_request()` send requests on this connection, one at a time. None of them is sent on another connection: if
    the connection breaks, the request fails, and so do the following ones.

    Example:
        ```python
        import httpcore2

        with httpcore2.ConnectionPool() as http:
            with http.lease("https://www.example.com/") as connection:
                connection.request("GET", "https://www.example.com/")
                response = connection.request("GET", "https://www.example.com/")
        assert response.status == 200
        ```
    """

    def __enter__(self) -> Self:
        acquiring = self._begin()
        try:
            self._lease = run_blocking(acquiring)
        except BaseException:
            acquiring.close()  # an exception may have come before it began
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.close()

    def handle_request(self, request: Request) -> Response:
        """Send a request on the connection, and return its response with the body unread.

        The caller reads the body, for example with `response.read()`, and then calls `response.close()`.

        Args:
            request: the request, to the origin of the lease. No header fields are added to it. Where its extensions
                have no `sni_hostname` or `ssl_context`, those of the lease apply. It is sent once: `resend` has no
                effect.

        Returns:
            The response.

        Raises:
            RuntimeError: the request is to another origin, or has another `sni_hostname` or `ssl_context` than the
                lease; or the `with` block has not begun.
            ConnectionNotAvailable: the response to the last request has not been read to its end, or the connection is
                closed, or was given back.
            TypeError: an argument has the wrong type.
            LocalProtocolError: the request violates HTTP.
            RemoteProtocolError: the server violated HTTP, or closed the connection.
            ReadError: the connection failed while the response was read.
            WriteError: the connection failed while the request was sent.
            ReadTimeout: no data arrived within the `read` timeout, or the response did not end within `total`.
            WriteTimeout: the server accepted no data within the `write` timeout.
        """
        handling = self._current().handle(request, self._pool)
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

    def close(self) -> None:
        """Give the connection back before the block ends. Further calls do nothing.

        The pool closes the connection, unless the lease has `reuse=True` and no response is unread.
        """
        if self._lease is not None:
            run_blocking(self._lease.aclose())


class AsyncLeasedConnection(LeaseBase, AsyncClosingContext, AsyncRequestInterface):
    """One HTTP/1.1 connection of a pool, for one caller alone, in the async API.

    `AsyncConnectionPool.lease()` returns it. The `async with` block acquires the connection, and its end gives it back.
    In between `request()`, `stream()` and `handle_async_request()` send requests on this connection, one at a time.
    None of them is sent on another connection: if the connection breaks, the request fails, and so do the following
    ones.

    Example:
        ```python
        import asyncio

        import httpcore2


        async def main():
            async with httpcore2.AsyncConnectionPool() as http:
                async with http.lease("https://www.example.com/") as connection:
                    await connection.request("GET", "https://www.example.com/")
                    response = await connection.request("GET", "https://www.example.com/")
            assert response.status == 200


        asyncio.run(main())
        ```
    """

    async def __aenter__(self) -> Self:
        self._lease = await self._begin()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()

    async def handle_async_request(self, request: Request) -> Response:
        """Send a request on the connection, and return its response with the body unread.

        The caller reads the body, for example with `response.aread()`, and then calls `response.aclose()`.

        Args:
            request: the request, to the origin of the lease. No header fields are added to it. Where its extensions
                have no `sni_hostname` or `ssl_context`, those of the lease apply. It is sent once: `resend` has no
                effect.

        Returns:
            The response.

        Raises:
            RuntimeError: the request is to another origin, or has another `sni_hostname` or `ssl_context` than the
                lease; or the `async with` block has not begun.
            ConnectionNotAvailable: the response to the last request has not been read to its end, or the connection is
                closed, or was given back.
            TypeError: an argument has the wrong type.
            LocalProtocolError: the request violates HTTP.
            RemoteProtocolError: the server violated HTTP, or closed the connection.
            ReadError: the connection failed while the response was read.
            WriteError: the connection failed while the request was sent.
            ReadTimeout: no data arrived within the `read` timeout, or the response did not end within `total`.
            WriteTimeout: the server accepted no data within the `write` timeout.
        """
        return await self._current().handle(request, self._pool)

    async def aclose(self) -> None:
        """Give the connection back before the block ends. Further calls do nothing.

        The pool closes the connection, unless the lease has `reuse=True` and no response is unread.
        """
        if self._lease is not None:
            await self._lease.aclose()
