"""The interfaces of connections and pools, for the sync and the async API.

Rules: an implementation sends a request in `handle_request` or `handle_async_request`; `request` and `stream` are here.
Must not know: how a request is sent.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import TracebackType
from typing import Self

from .._arguments import RequestMemory
from .._models import (
    URL,
    HeaderTypes,
    Request,
    RequestExtensionTypes,
    Response,
    converted_request,
    enforce_bytes,
    enforce_url,
    include_request_headers,
)
from .bodies import read_at_once
from .connection_status import ConnectionStatus


def build_request(
    memory: RequestMemory | None,
    method: bytes | str,
    url: URL | bytes | str,
    headers: HeaderTypes,
    content: bytes | Iterator[bytes] | AsyncIterator[bytes] | None,
    extensions: RequestExtensionTypes,
) -> Request:
    """Return the request that `request()` and `stream()` send, with the header fields that HTTP requires."""
    if memory is None:
        request = Request(method, url, headers=headers, content=content, extensions=extensions)
        request.headers = include_request_headers(request.headers, url=request.url, content=content)
        return request
    # Without `Request()`, since a call of a class with keywords takes 1,500 instructions.
    method = enforce_bytes(method, name="method")
    url = memory.url(url) if type(url) is str and url else enforce_url(url, name="url")
    return converted_request(
        method, url, memory.headers(headers, url, content), content, extensions
    )


class RequestInterface:
    """Base class of everything that sends requests in the sync API: pools and connections.

    A derived class implements `handle_request()`; `request()` and `stream()` are built on it.

    Example:
        This class adds a header field to each request before a pool sends it.

        ```python
        import httpcore2
        import httpcore2_core


        class Tagging(httpcore2_core.RequestInterface):
            def __init__(self, pool):
                self.pool = pool

            def handle_request(self, request):
                request.headers.append((b"X-Tag", b"docs"))
                return self.pool.handle_request(request)

        with httpcore2.ConnectionPool() as pool:
            response = Tagging(pool).request("GET", "https://www.example.com/")
        ```
    """

    _memory: RequestMemory | None = None  # pools have one

    def request(
        self,
        method: bytes | str,
        url: URL | bytes | str,
        *,
        headers: HeaderTypes = None,
        content: bytes | Iterator[bytes] | None = None,
        extensions: RequestExtensionTypes = None,
    ) -> Response:
        """Send a request, read the body of its response, and return it.

        Args:
            method: the method, such as `"GET"`.
            url: an absolute URL.
            headers: the header fields, a mapping or a sequence of pairs. `Host`, and `Content-Length` or
                `Transfer-Encoding` for a body, are added unless they are given.
            content: the body: bytes, or an iterable of bytes.
            extensions: options for this request. `timeout` is a dict of limits in seconds with the keys `pool`,
                `connect`, `read`, `write` and `total`, by default none, and `continue`, by default 1.0; `trace` is a
                function that is called with each event; `sni_hostname` is the server name for TLS, and `ssl_context`
                the TLS context, of this request; `resend` is `False` to send the request at most once; `informational`
                is called with each interim response (1xx); `target` replaces the target of the URL; `protocol` is the
                protocol of an extended CONNECT, such as `"websocket"` (RFC 8441).

        Returns:
            The response. `response.content` is its body.

        Raises:
            TypeError: an argument has the wrong type.
            ValueError: the URL is malformed.
            UnsupportedProtocol: the scheme of the URL is not `http`, `https`, `ws` or `wss`.
            LocalProtocolError: the request violates HTTP, or the host of the URL is malformed.
            RemoteProtocolError: the server violated HTTP, or closed the connection before the end of the response.
            ProxyError: the proxy refused to connect to the origin, or failed to.
            ConnectError: the connection could not be established.
            ReadError: the connection failed while the response was read.
            WriteError: the connection failed while the request was sent.
            PoolTimeout: no connection of the pool became available within the `pool` timeout.
            ConnectTimeout: the connection was not established within the `connect` timeout.
            ReadTimeout: no data arrived within the `read` timeout, or the response did not end within `total`.
            WriteTimeout: the server accepted no data within the `write` timeout.

        Example:
            A request with a limit of 10 seconds for each read.

            ```python
            import httpcore2

            with httpcore2.ConnectionPool() as http:
                response = http.request(
                    "GET",
                    "https://www.example.com/",
                    headers={"Accept": "text/html"},
                    extensions={"timeout": {"read": 10.0}},
                )
            assert response.status == 200
            ```
        """
        response = self.handle_request(
            build_request(self._memory, method, url, headers, content, extensions)
        )
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
        extensions: RequestExtensionTypes = None,
    ) -> Generator[Response, None, None]:
        """Send a request, and give the response as a context manager with the body unread.

        The end of the block closes the response. If the body was not read to its end, the connection is closed, too.

        Args:
            method: the method, such as `"GET"`.
            url: an absolute URL.
            headers: the header fields, a mapping or a sequence of pairs. `Host`, and `Content-Length` or
                `Transfer-Encoding` for a body, are added unless they are given.
            content: the body: bytes, or an iterable of bytes.
            extensions: options for this request. `timeout` is a dict of limits in seconds with the keys `pool`,
                `connect`, `read`, `write` and `total`, by default none, and `continue`, by default 1.0; `trace` is a
                function that is called with each event; `sni_hostname` is the server name for TLS, and `ssl_context`
                the TLS context, of this request; `resend` is `False` to send the request at most once; `informational`
                is called with each interim response (1xx); `target` replaces the target of the URL; `protocol` is the
                protocol of an extended CONNECT, such as `"websocket"` (RFC 8441).

        Returns:
            A context manager that gives the response.

        Raises:
            TypeError: an argument has the wrong type.
            ValueError: the URL is malformed.
            UnsupportedProtocol: the scheme of the URL is not `http`, `https`, `ws` or `wss`.
            LocalProtocolError: the request violates HTTP, or the host of the URL is malformed.
            RemoteProtocolError: the server violated HTTP, or closed the connection before the end of the response.
            ProxyError: the proxy refused to connect to the origin, or failed to.
            ConnectError: the connection could not be established.
            ReadError: the connection failed while the response was read.
            WriteError: the connection failed while the request was sent.
            PoolTimeout: no connection of the pool became available within the `pool` timeout.
            ConnectTimeout: the connection was not established within the `connect` timeout.
            ReadTimeout: no data arrived within the `read` timeout, or the response did not end within `total`.
            WriteTimeout: the server accepted no data within the `write` timeout.

        Example:
            The body is read in chunks as they arrive.

            ```python
            import httpcore2

            with httpcore2.ConnectionPool() as http:
                with http.stream("GET", "https://www.example.com/") as response:
                    for chunk in response.iter_stream():
                        print(len(chunk))
            ```
        """
        response = self.handle_request(
            build_request(self._memory, method, url, headers, content, extensions)
        )
        try:
            yield response
        finally:
            response.close()

    def handle_request(self, request: Request) -> Response:
        """Send a request, and return its response with the body unread.

        The caller reads the body, for example with `response.read()`, and then calls `response.close()`.

        Args:
            request: the request. No header fields are added to it. Its body is bytes or an iterable of bytes.

        Returns:
            The response.

        Raises:
            TypeError: an argument has the wrong type.
            ValueError: the URL is malformed.
            UnsupportedProtocol: the scheme of the URL is not `http`, `https`, `ws` or `wss`.
            LocalProtocolError: the request violates HTTP, or the host of the URL is malformed.
            RemoteProtocolError: the server violated HTTP, or closed the connection before the end of the response.
            ProxyError: the proxy refused to connect to the origin, or failed to.
            ConnectError: the connection could not be established.
            ReadError: the connection failed while the response was read.
            WriteError: the connection failed while the request was sent.
            PoolTimeout: no connection of the pool became available within the `pool` timeout.
            ConnectTimeout: the connection was not established within the `connect` timeout.
            ReadTimeout: no data arrived within the `read` timeout, or the response did not end within `total`.
            WriteTimeout: the server accepted no data within the `write` timeout.
        """
        raise NotImplementedError


class ConnectionInterface(RequestInterface, ConnectionStatus):
    """Base class of connections to one origin in the sync API.

    A pool can be given connections of such a class by overriding `create_connection()`.

    Example:
        The connections of a pool have this interface.

        ```python
        import httpcore2

        with httpcore2.ConnectionPool() as http:
            http.request("GET", "https://www.example.com/")
            connection = http.connections[0]
            assert isinstance(connection, httpcore2.ConnectionInterface)
            assert connection.is_idle()
        ```
    """

    def close(self) -> None:
        """Close the connection. Requests in progress fail."""
        raise NotImplementedError


class AsyncRequestInterface:
    """Base class of everything that sends requests in the async API: pools and connections.

    A derived class implements `handle_async_request()`; `request()` and `stream()` are built on it.

    Example:
        This class adds a header field to each request before a pool sends it.

        ```python
        import asyncio

        import httpcore2
        import httpcore2_core


        class Tagging(httpcore2_core.AsyncRequestInterface):
            def __init__(self, pool):
                self.pool = pool

            async def handle_async_request(self, request):
                request.headers.append((b"X-Tag", b"docs"))
                return await self.pool.handle_async_request(request)


        async def main():
            async with httpcore2.AsyncConnectionPool() as pool:
                response = await Tagging(pool).request("GET", "https://www.example.com/")


        asyncio.run(main())
        ```
    """

    _memory: RequestMemory | None = None  # pools have one

    async def request(
        self,
        method: bytes | str,
        url: URL | bytes | str,
        *,
        headers: HeaderTypes = None,
        content: bytes | AsyncIterator[bytes] | None = None,
        extensions: RequestExtensionTypes = None,
    ) -> Response:
        """Send a request, read the body of its response, and return it.

        Args:
            method: the method, such as `"GET"`.
            url: an absolute URL.
            headers: the header fields, a mapping or a sequence of pairs. `Host`, and `Content-Length` or
                `Transfer-Encoding` for a body, are added unless they are given.
            content: the body: bytes, or an async iterable of bytes.
            extensions: options for this request. `timeout` is a dict of limits in seconds with the keys `pool`,
                `connect`, `read`, `write` and `total`, by default none, and `continue`, by default 1.0; `trace` is a
                function that is called with each event; `sni_hostname` is the server name for TLS, and `ssl_context`
                the TLS context, of this request; `resend` is `False` to send the request at most once; `informational`
                is called with each interim response (1xx); `target` replaces the target of the URL; `protocol` is the
                protocol of an extended CONNECT, such as `"websocket"` (RFC 8441).

        Returns:
            The response. `response.content` is its body.

        Raises:
            TypeError: an argument has the wrong type.
            ValueError: the URL is malformed.
            UnsupportedProtocol: the scheme of the URL is not `http`, `https`, `ws` or `wss`.
            LocalProtocolError: the request violates HTTP, or the host of the URL is malformed.
            RemoteProtocolError: the server violated HTTP, or closed the connection before the end of the response.
            ProxyError: the proxy refused to connect to the origin, or failed to.
            ConnectError: the connection could not be established.
            ReadError: the connection failed while the response was read.
            WriteError: the connection failed while the request was sent.
            PoolTimeout: no connection of the pool became available within the `pool` timeout.
            ConnectTimeout: the connection was not established within the `connect` timeout.
            ReadTimeout: no data arrived within the `read` timeout, or the response did not end within `total`.
            WriteTimeout: the server accepted no data within the `write` timeout.

        Example:
            A request with a limit of 10 seconds for each read.

            ```python
            import asyncio

            import httpcore2


            async def main():
                async with httpcore2.AsyncConnectionPool() as http:
                    response = await http.request(
                        "GET",
                        "https://www.example.com/",
                        headers={"Accept": "text/html"},
                        extensions={"timeout": {"read": 10.0}},
                    )
                assert response.status == 200


            asyncio.run(main())
            ```
        """
        response = await self.handle_async_request(
            build_request(self._memory, method, url, headers, content, extensions)
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
        extensions: RequestExtensionTypes = None,
    ) -> AsyncGenerator[Response, None]:
        """Send a request, and give the response as an async context manager with the body unread.

        The end of the block closes the response. If the body was not read to its end, the connection is closed, too.

        Args:
            method: the method, such as `"GET"`.
            url: an absolute URL.
            headers: the header fields, a mapping or a sequence of pairs. `Host`, and `Content-Length` or
                `Transfer-Encoding` for a body, are added unless they are given.
            content: the body: bytes, or an async iterable of bytes.
            extensions: options for this request. `timeout` is a dict of limits in seconds with the keys `pool`,
                `connect`, `read`, `write` and `total`, by default none, and `continue`, by default 1.0; `trace` is a
                function that is called with each event; `sni_hostname` is the server name for TLS, and `ssl_context`
                the TLS context, of this request; `resend` is `False` to send the request at most once; `informational`
                is called with each interim response (1xx); `target` replaces the target of the URL; `protocol` is the
                protocol of an extended CONNECT, such as `"websocket"` (RFC 8441).

        Returns:
            An async context manager that gives the response.

        Raises:
            TypeError: an argument has the wrong type.
            ValueError: the URL is malformed.
            UnsupportedProtocol: the scheme of the URL is not `http`, `https`, `ws` or `wss`.
            LocalProtocolError: the request violates HTTP, or the host of the URL is malformed.
            RemoteProtocolError: the server violated HTTP, or closed the connection before the end of the response.
            ProxyError: the proxy refused to connect to the origin, or failed to.
            ConnectError: the connection could not be established.
            ReadError: the connection failed while the response was read.
            WriteError: the connection failed while the request was sent.
            PoolTimeout: no connection of the pool became available within the `pool` timeout.
            ConnectTimeout: the connection was not established within the `connect` timeout.
            ReadTimeout: no data arrived within the `read` timeout, or the response did not end within `total`.
            WriteTimeout: the server accepted no data within the `write` timeout.

        Example:
            The body is read in chunks as they arrive.

            ```python
            import asyncio

            import httpcore2


            async def main():
                async with httpcore2.AsyncConnectionPool() as http:
                    async with http.stream("GET", "https://www.example.com/") as response:
                        async for chunk in response.aiter_stream():
                            print(len(chunk))


            asyncio.run(main())
            ```
        """
        response = await self.handle_async_request(
            build_request(self._memory, method, url, headers, content, extensions)
        )
        try:
            yield response
        finally:
            await response.aclose()

    async def handle_async_request(self, request: Request) -> Response:
        """Send a request, and return its response with the body unread.

        The caller reads the body, for example with `response.aread()`, and then calls `response.aclose()`.

        Args:
            request: the request. No header fields are added to it. Its body is bytes or an async iterable of bytes.

        Returns:
            The response.

        Raises:
            TypeError: an argument has the wrong type.
            ValueError: the URL is malformed.
            UnsupportedProtocol: the scheme of the URL is not `http`, `https`, `ws` or `wss`.
            LocalProtocolError: the request violates HTTP, or the host of the URL is malformed.
            RemoteProtocolError: the server violated HTTP, or closed the connection before the end of the response.
            ProxyError: the proxy refused to connect to the origin, or failed to.
            ConnectError: the connection could not be established.
            ReadError: the connection failed while the response was read.
            WriteError: the connection failed while the request was sent.
            PoolTimeout: no connection of the pool became available within the `pool` timeout.
            ConnectTimeout: the connection was not established within the `connect` timeout.
            ReadTimeout: no data arrived within the `read` timeout, or the response did not end within `total`.
            WriteTimeout: the server accepted no data within the `write` timeout.
        """
        raise NotImplementedError


class AsyncConnectionInterface(AsyncRequestInterface, ConnectionStatus):
    """Base class of connections to one origin in the async API.

    A pool can be given connections of such a class by overriding `create_connection()`.

    Example:
        The connections of a pool have this interface.

        ```python
        import asyncio

        import httpcore2


        async def main():
            async with httpcore2.AsyncConnectionPool() as http:
                await http.request("GET", "https://www.example.com/")
                connection = http.connections[0]
                assert isinstance(connection, httpcore2.AsyncConnectionInterface)
                assert connection.is_idle()


        asyncio.run(main())
        ```
    """

    async def aclose(self) -> None:
        """Close the connection. Requests in progress fail."""
        raise NotImplementedError


class ClosingContext:
    """Base class that closes at the end of a `with` block."""

    def close(self) -> None:
        """Close this object. Further calls do nothing."""
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
    """Base class that closes at the end of an `async with` block."""

    async def aclose(self) -> None:
        """Close this object. Further calls do nothing."""
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
