"""What can take a request: connections and pools, in both colours.

Rules: an implementation gives `handle_request` or `handle_async_request`; the rest is here.
Must not know: how a request is sent.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import TracebackType
from typing import Self

from .._models import (
    URL,
    Extensions,
    HeaderTypes,
    Origin,
    Request,
    Response,
    include_request_headers,
)
from .bodies import read_at_once


def build_request(
    method: bytes | str,
    url: URL | bytes | str,
    headers: HeaderTypes,
    content: bytes | Iterator[bytes] | AsyncIterator[bytes] | None,
    extensions: Extensions | None,
) -> Request:
    """Build what `request()` and `stream()` send, with the header fields that it must have."""
    request = Request(method, url, headers=headers, content=content, extensions=extensions)
    request.headers = include_request_headers(request.headers, url=request.url, content=content)
    return request


class ConnectionStatus:
    """What can be asked of a connection, in either colour."""

    def info(self) -> str:
        """Describe origin, protocol, state and request count."""
        raise NotImplementedError

    def can_handle_request(self, origin: Origin) -> bool:
        """Whether it takes requests to `origin`."""
        raise NotImplementedError

    def can_multiplex(self) -> bool:
        """Whether it takes several requests at a time."""
        return False

    def is_available(self) -> bool:
        """Whether it can take a request now, or may once it is established, since it may multiplex."""
        raise NotImplementedError

    def has_expired(self) -> bool:
        """Whether it is idle and past its keep-alive, or closed by the peer."""
        raise NotImplementedError

    def is_idle(self) -> bool:
        """Whether it is established and has no request under way."""
        raise NotImplementedError

    def is_closed(self) -> bool:
        """Whether it was closed on this side, or could not be established."""
        raise NotImplementedError

    def is_connected(self) -> bool:
        """Whether it is established."""
        raise NotImplementedError


class RequestInterface:
    """Takes requests."""

    def request(
        self,
        method: bytes | str,
        url: URL | bytes | str,
        *,
        headers: HeaderTypes = None,
        content: bytes | Iterator[bytes] | None = None,
        extensions: Extensions | None = None,
    ) -> Response:
        """Send a request and return its response with the body read.

        Args:
            method: such as `"GET"`.
            url: an absolute URL.
            headers: a mapping, or a sequence of pairs. `Host` and the framing of the body are added
                where missing.
            content: the body: bytes, or an iterable of bytes.
            extensions: `timeout` (a dict of `pool`, `connect`, `read`, `write` and `total`, in
                seconds), `trace`, `sni_hostname`, `target`, `protocol` (with CONNECT over HTTP/2:
                what is to be spoken, such as `"websocket"`; RFC 8441).

        Raises:
            TypeError, ValueError: an argument can't be used.
            UnsupportedProtocol: the URL's scheme is not one of http, https, ws, wss.
            LocalProtocolError: the request would break HTTP's rules, or the URL's host is none.
            RemoteProtocolError: the peer broke them.
            NetworkError: `ConnectError`, `ReadError` or `WriteError`.
            TimeoutException: `PoolTimeout`, `ConnectTimeout`, `ReadTimeout` or `WriteTimeout`.
        """
        response = self.handle_request(build_request(method, url, headers, content, extensions))
        is_done = False
        try:
            is_done = read_at_once(response)
            if not is_done:
                response.read()
        finally:
            if not is_done:
                response.close()
        return response

    @contextmanager
    def stream(
        self,
        method: bytes | str,
        url: URL | bytes | str,
        *,
        headers: HeaderTypes = None,
        content: bytes | Iterator[bytes] | None = None,
        extensions: Extensions | None = None,
    ) -> Generator[Response, None, None]:
        """As `request`, but give the response as a context manager, its body still to be read."""
        response = self.handle_request(build_request(method, url, headers, content, extensions))
        try:
            yield response
        finally:
            response.close()

    def handle_request(self, request: Request) -> Response:
        """Send `request` and return its response, the body still to be read; errors as for `request()`."""
        raise NotImplementedError


class ConnectionInterface(RequestInterface, ConnectionStatus):
    """A connection to one origin."""

    def close(self) -> None:
        """Close it, whatever it is doing."""
        raise NotImplementedError


class AsyncRequestInterface:
    """Takes requests asynchronously."""

    async def request(
        self,
        method: bytes | str,
        url: URL | bytes | str,
        *,
        headers: HeaderTypes = None,
        content: bytes | AsyncIterator[bytes] | None = None,
        extensions: Extensions | None = None,
    ) -> Response:
        """Send a request and return its response with the body read.

        Parameters and errors as for `RequestInterface.request`; an iterable as `content` is asynchronous.
        """
        response = await self.handle_async_request(
            build_request(method, url, headers, content, extensions)
        )
        is_done = False
        try:
            is_done = read_at_once(response)
            if not is_done:
                await response.aread()
        finally:
            if not is_done:
                await response.aclose()
        return response

    @asynccontextmanager
    async def stream(
        self,
        method: bytes | str,
        url: URL | bytes | str,
        *,
        headers: HeaderTypes = None,
        content: bytes | AsyncIterator[bytes] | None = None,
        extensions: Extensions | None = None,
    ) -> AsyncGenerator[Response, None]:
        """As `request`, but give the response as a context manager, its body still to be read."""
        response = await self.handle_async_request(
            build_request(method, url, headers, content, extensions)
        )
        try:
            yield response
        finally:
            await response.aclose()

    async def handle_async_request(self, request: Request) -> Response:
        """Send `request` and return its response, the body still to be read; errors as for `request()`."""
        raise NotImplementedError


class AsyncConnectionInterface(AsyncRequestInterface, ConnectionStatus):
    """A connection to one origin."""

    async def aclose(self) -> None:
        """Close it, whatever it is doing."""
        raise NotImplementedError


class ClosingContext:
    """Closes at the end of a `with` block."""

    def close(self) -> None:
        """Close it. May be called more than once."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.close()


class AsyncClosingContext:
    """Closes at the end of an `async with` block."""

    async def aclose(self) -> None:
        """Close it. May be called more than once."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()
