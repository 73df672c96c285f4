"""The models of the API: Request, Response and Proxy. URL and Origin come from `_urls`.

Rules: text is ASCII, held as bytes; header fields are lists of pairs in the order given, names in the case given.
Must not know: connections, pools, the network.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Self, cast

from ._arguments import (
    EMPTY_BODY,
    ByteStream,
    Extensions,
    Fields,
    HeadersAsMapping,
    HeadersAsSequence,
    HeaderTypes,
    RequestExtensionTypes,
    ResponseExtensionTypes,
    enforce_headers,
    enforce_stream,
    enforce_url,
    include_request_headers,
    new,
)
from ._urls import DEFAULT_PORTS, URL, ByteOrStr, Origin, bracketed, enforce_bytes, host_header

if TYPE_CHECKING:
    import ssl

__all__ = [
    "DEFAULT_PORTS",
    "IDEMPOTENT_METHODS",
    "URL",
    "ByteOrStr",
    "ByteStream",
    "Extensions",
    "HeaderTypes",
    "HeadersAsMapping",
    "HeadersAsSequence",
    "Origin",
    "Proxy",
    "Request",
    "RequestExtensionTypes",
    "Response",
    "ResponseExtensionTypes",
    "bracketed",
    "converted_request",
    "enforce_bytes",
    "enforce_headers",
    "enforce_stream",
    "enforce_url",
    "host_header",
    "include_request_headers",
    "received_response",
]

# RFC 9110, section 9.2.2: the effect of several such requests is that of one.
IDEMPOTENT_METHODS = frozenset((b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"))


class _Message:
    """Base class that copies requests and responses.

    A shallow copy shares the body with the original. A deep copy and a pickle have their own body.
    """

    __slots__ = ()

    def __copy__(self) -> Self:
        clone = object.__new__(type(self))
        derived, slots = self._attributes()
        for name, value in {**(derived or {}), **slots}.items():
            setattr(clone, name, value)
        return clone

    def _attributes(self) -> tuple[dict[str, Any] | None, dict[str, Any]]:
        """Return the attributes of a derived class and those in slots, in the form that `copy` and `pickle` expect."""
        attributes: Any = object.__getstate__(self)
        derived, slots = attributes
        return derived, slots

    def _refuse_to_copy(self, reason: str) -> TypeError:
        return TypeError(f"{self!r} can't be pickled or deep-copied: {reason}.")


def _is_iterator(body: Iterable[bytes] | AsyncIterable[bytes]) -> bool:
    """Return whether `body` can be iterated over only once."""
    return hasattr(body, "__next__") or hasattr(body, "__anext__")


class Request(_Message):
    """An HTTP request.

    A request can be copied and pickled, unless its content can be iterated over only once, such as a generator's.

    Args:
        method: the method, such as `"GET"`. It is sent in the case given.
        url: an absolute URL.
        headers: the header fields, a mapping or a sequence of pairs. They are sent as they are: no field is added.
        content: the body: bytes, or an iterable of bytes. Async connections and pools also take an async iterable.
        extensions: options for the transport. `timeout` is a dict of limits in seconds with the keys `pool`, `connect`,
            `read`, `write`, `total` and `continue`; `trace` is a function that is called with each event;
            `sni_hostname` is the server name for TLS, and `ssl_context` the TLS context; `resend` is `False` to send
            the request at most once; `informational` is called with each interim response (1xx); `target` replaces the
            target of the URL; `protocol` is the protocol of an extended CONNECT (RFC 8441).

    Attributes:
        method: the method as bytes.
        url: the `URL`, with the target of the `target` extension if that was given.
        headers: the header fields, a list of pairs of bytes.
        stream: the body, an iterable or async iterable of bytes.
        extensions: the options for the transport.

    Raises:
        TypeError: an argument has the wrong type, or text that is not ASCII.
        ValueError: the URL is malformed, or an entry of `headers` is not a pair.

    Example:
        A request is sent by a pool or a connection.

        ```python
        import httpcore2

        request = httpcore2.Request(
            "GET",
            "https://www.example.com/",
            headers={"Host": "www.example.com"},
            extensions={"timeout": {"connect": 5.0, "read": 10.0}},
        )
        with httpcore2.ConnectionPool() as http:
            response = http.handle_request(request)
            body = response.read()
            response.close()
        ```
    """

    __slots__ = ("extensions", "headers", "method", "stream", "url")

    def __init__(
        self,
        method: ByteOrStr,
        url: URL | ByteOrStr,
        *,
        headers: HeaderTypes = None,
        content: bytes | Iterable[bytes] | AsyncIterable[bytes] | None = None,
        extensions: RequestExtensionTypes = None,
    ) -> None:
        self._fill(
            method if type(method) is bytes else enforce_bytes(method, name="method"),
            URL(url) if type(url) is str else enforce_url(url, name="url"),
            enforce_headers(headers, name="headers"),
            content,
            extensions,
        )

    def _fill(
        self,
        method: bytes,
        url: URL,
        headers: Fields,
        content: bytes | Iterable[bytes] | AsyncIterable[bytes] | None,
        extensions: RequestExtensionTypes,
    ) -> None:
        self.method: bytes = method
        self.headers: Fields = headers
        self.stream: Iterable[bytes] | AsyncIterable[bytes] = (
            EMPTY_BODY if content is None else enforce_stream(content, name="content")
        )
        # What is given as a TypedDict is a dictionary, too.
        given: Extensions = {} if extensions is None else extensions  # type: ignore[assignment]
        self.extensions: Extensions = given
        if "target" in given:
            url = URL(scheme=url.scheme, host=url.host, port=url.port, target=given["target"])
        self.url: URL = url

    def __getstate__(self) -> object:
        if _is_iterator(self.stream):
            kind = type(self.stream).__name__
            raise self._refuse_to_copy(
                f"its content is a {kind}, which can be iterated over only once. Pass bytes or a list"
            )
        return self._attributes()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} [{self.method!r}]>"


class Response(_Message):
    """An HTTP response.

    A response can be copied and pickled after its body has been read. The copy has no `network_stream`.

    Args:
        status: the status code, such as 200.
        headers: the header fields, a mapping or a sequence of pairs.
        content: the body: bytes, or an iterable or async iterable of bytes.
        extensions: information from the transport. A received response has `http_version` (bytes), `reason_phrase`
            (bytes, HTTP/1.1 only), `network_stream` (the stream of the connection), `stream_id` (HTTP/2 only), and
            after a chunked body with a trailer section `trailing_headers` (a list of pairs of bytes).

    Attributes:
        status: the status code.
        headers: the header fields as received, a list of pairs of bytes.
        stream: the body, an iterable (threads) or async iterable of bytes.
        extensions: information from the transport.

    Raises:
        TypeError: an argument has the wrong type, or text that is not ASCII.
        ValueError: an entry of `headers` is not a pair.

    Example:
        Pools return responses. Tests may construct them.

        ```python
        import httpcore2

        response = httpcore2.Response(200, headers={"Content-Type": "text/plain"}, content=b"Hello")
        assert response.read() == b"Hello"
        assert response.content == b"Hello"
        ```
    """

    __slots__ = ("_content", "_stream_consumed", "extensions", "headers", "status", "stream")

    def __init__(
        self,
        status: int,
        *,
        headers: HeaderTypes = None,
        content: bytes | Iterable[bytes] | AsyncIterable[bytes] | None = None,
        extensions: ResponseExtensionTypes = None,
    ) -> None:
        self.status: int = status
        self.headers: Fields = enforce_headers(headers, name="headers")
        self.stream: Iterable[bytes] | AsyncIterable[bytes] = enforce_stream(
            content, name="content"
        )
        # What is given as a TypedDict is a dictionary, too.
        self.extensions: Extensions = {} if extensions is None else extensions  # type: ignore[assignment]
        self._stream_consumed = False
        self._content: bytes | None = None

    @property
    def content(self) -> bytes:
        """The whole body, after `read()` or `aread()`.

        Raises:
            RuntimeError: the body has not been read.
        """
        if self._content is None:
            call, acall = _CALLS["read"]
            raise RuntimeError(
                "Attempted to access 'response.content' on a streaming response. "
                f"Call '{call if hasattr(self.stream, '__iter__') else acall}' first."
            )
        return self._content

    def __getstate__(self) -> object:
        body = self.stream
        if self._content is not None:
            body = ByteStream(self._content)
        elif _is_iterator(body) or hasattr(body, "read_all"):
            raise self._refuse_to_copy(
                "its body was streamed, and not kept"
                if self._stream_consumed
                else "its body was not read. Call response.read() or await response.aread() first"
            )
        extensions = {
            name: value for name, value in self.extensions.items() if name != "network_stream"
        }
        derived, slots = self._attributes()
        return derived, {**slots, "stream": body, "extensions": extensions}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} [{self.status}]>"

    def read(self) -> bytes:
        """Read the whole body. Further calls return the same bytes.

        Returns:
            The body.

        Raises:
            RuntimeError: the body belongs to an async connection, or was streamed before.
            ReadTimeout: no data arrived within the `read` timeout, or the body did not end within the `total` timeout.
            ReadError: the connection failed.
            RemoteProtocolError: the peer closed the connection within the body, or framed it wrongly.
        """
        if self._content is None:
            read_all = getattr(self.stream, "read_all", None)
            if read_all is None:
                self._sync_stream("read")
                self._content = b"".join(self.iter_stream())
            else:
                self._consume("for ... in response.iter_stream()")
                self._content = read_all()
        return self._content

    def iter_stream(self) -> Iterator[bytes]:
        """Iterate over the body in chunks, as they arrive. A body can be streamed once.

        Returns:
            An iterator over the chunks. Its errors are those of `Raises`.

        Raises:
            RuntimeError: the body belongs to an async connection, or was streamed before.
            ReadTimeout: no data arrived within the `read` timeout, or the body did not end within the `total` timeout.
            ReadError: the connection failed.
            RemoteProtocolError: the peer closed the connection within the body, or framed it wrongly.
        """
        stream = self._sync_stream("stream")
        self._consume("for ... in response.iter_stream()")
        return iter(stream)

    def close(self) -> None:
        """Close the response. If its body was not read to the end, the connection is closed, too.

        Raises:
            RuntimeError: the body belongs to an async connection.
        """
        close = getattr(self._sync_stream("close"), "close", None)
        if close is not None:
            close()

    async def aread(self) -> bytes:
        """Read the whole body. Further calls return the same bytes.

        Returns:
            The body.

        Raises:
            RuntimeError: the body belongs to a sync connection, or was streamed before.
            ReadTimeout: no data arrived within the `read` timeout, or the body did not end within the `total` timeout.
            ReadError: the connection failed.
            RemoteProtocolError: the peer closed the connection within the body, or framed it wrongly.
        """
        if self._content is None:
            aread_all = getattr(self.stream, "aread_all", None)
            if aread_all is None:
                self._async_stream("read")
                self._content = b"".join([part async for part in self.aiter_stream()])
            else:
                self._consume("async for ... in response.aiter_stream()")
                self._content = await aread_all()
        return self._content

    def aiter_stream(self) -> AsyncIterator[bytes]:
        """Iterate over the body in chunks, as they arrive. A body can be streamed once.

        Returns:
            An async iterator over the chunks. Its errors are those of `Raises`.

        Raises:
            RuntimeError: the body belongs to a sync connection, or was streamed before.
            ReadTimeout: no data arrived within the `read` timeout, or the body did not end within the `total` timeout.
            ReadError: the connection failed.
            RemoteProtocolError: the peer closed the connection within the body, or framed it wrongly.
        """
        # Not an async generator, which the event loop has to finalise when the caller leaves it early.
        stream = self._async_stream("stream")
        self._consume("async for ... in response.aiter_stream()")
        return aiter(stream)

    async def aclose(self) -> None:
        """Close the response. If its body was not read to the end, the connection is closed, too.

        Raises:
            RuntimeError: the body belongs to a sync connection.
        """
        aclose = getattr(self._async_stream("close"), "aclose", None)
        if aclose is not None:
            await aclose()

    def _consume(self, how: str) -> None:
        if self._stream_consumed:
            raise RuntimeError(f"Attempted to call '{how}' more than once.")
        self._stream_consumed = True

    def _sync_stream(self, attempt: str) -> Iterable[bytes]:
        if not hasattr(self.stream, "__iter__"):
            call, instead = _CALLS[attempt]
            raise RuntimeError(_WRONG_API.format(attempt, "an asynchronous", call, instead))
        return cast("Iterable[bytes]", self.stream)

    def _async_stream(self, attempt: str) -> AsyncIterable[bytes]:
        if not hasattr(self.stream, "__aiter__"):
            instead, call = _CALLS[attempt]
            # The words of the published package, which callers may match.
            article = "a" if attempt == "close" else "an"
            raise RuntimeError(_WRONG_API.format(attempt, f"{article} synchronous", call, instead))
        return cast("AsyncIterable[bytes]", self.stream)


_CALLS = {
    "read": ("response.read()", "await response.aread()"),
    "stream": ("for ... in response.iter_stream()", "async for ... in response.aiter_stream()"),
    "close": ("response.close()", "await response.aclose()"),
}
_WRONG_API = "Attempted to {} {} response using '{}'. You should use '{}' instead."


def converted_request(
    method: bytes,
    url: URL,
    headers: Fields,
    content: bytes | Iterable[bytes] | AsyncIterable[bytes] | None,
    extensions: RequestExtensionTypes,
) -> Request:
    """Make a request from arguments that were converted, apart from the last two."""
    request = new(Request)
    request._fill(method, url, headers, content, extensions)
    return request


def received_response(
    status: int,
    headers: Fields,
    stream: AsyncIterable[bytes],
    extensions: Extensions,
) -> Response:
    """Make a response from the parts that a codec has decoded. They need no checks."""
    response = new(Response)
    response.status = status
    response.headers = headers
    response.stream = stream
    response.extensions = extensions
    response._stream_consumed = False
    response._content = None
    return response


class Proxy:
    """A proxy and its credentials.

    Args:
        url: the URL of the proxy. Its scheme is `http`, `https` (TLS to the proxy), `socks5`, `socks5h`, `socks4a` or
            `socks4`. With `socks4`, which has no room for names, this side resolves the origin's name.
        auth: the user name and the password. SOCKS4 takes a user id and an empty password.
        headers: further header fields for an HTTP proxy, which are not sent to the origin.
        ssl_context: the TLS context for an `https` proxy, by default that of `default_ssl_context()`. It is separate
            from the context for the origins.

    Attributes:
        url: the `URL` of the proxy.
        auth: the user name and the password as bytes, or `None`.
        headers: the header fields for the proxy, a list of pairs of bytes. With `auth`, `Proxy-Authorization`
            (RFC 9110, section 11.7.2) comes first.
        ssl_context: the TLS context, or `None` for the default.

    Raises:
        TypeError: an argument has the wrong type, or text that is not ASCII.
        ValueError: the URL is malformed, or an entry of `headers` is not a pair.

    Example:
        All requests of this pool pass through the proxy.

        ```python
        import httpcore2

        proxy = httpcore2.Proxy("http://proxy.example.com:8080/", auth=("user", "password"))
        with httpcore2.ConnectionPool(proxy=proxy) as http:
            http.request("GET", "http://www.example.com/")
        ```
    """

    def __init__(
        self,
        url: URL | ByteOrStr,
        auth: tuple[ByteOrStr, ByteOrStr] | None = None,
        headers: HeadersAsMapping | HeadersAsSequence | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self.url: URL = enforce_url(url, name="url")
        self.headers: Fields = enforce_headers(headers, name="headers")
        self.ssl_context: ssl.SSLContext | None = ssl_context
        self.auth: tuple[bytes, bytes] | None = None
        if auth is not None:
            user, password = (enforce_bytes(part, name="auth") for part in auth)
            self.auth = (user, password)
            from base64 import b64encode

            basic = b"Basic " + b64encode(user + b":" + password)
            self.headers = [(b"Proxy-Authorization", basic), *self.headers]
