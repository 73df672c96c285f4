"""The nouns of the API: Request, Response, Proxy, and from `_urls` URL and Origin.

Rules: text is ASCII, held as bytes; headers are lists of pairs in the order given, names in the
case given.
Must not know: connections, pools, the network.
"""

from __future__ import annotations

from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Iterable,
    Iterator,
    Mapping,
    MutableMapping,
    Sequence,
)
from typing import TYPE_CHECKING, Any, Self, TypeAlias, cast

from ._urls import (
    DEFAULT_PORTS,
    URL,
    ByteOrStr,
    Origin,
    bracketed,
    enforce_bytes,
    host_header,
)

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
    "Response",
    "bracketed",
    "enforce_bytes",
    "enforce_headers",
    "enforce_stream",
    "enforce_url",
    "host_header",
    "include_request_headers",
    "received_response",
]

HeadersAsSequence: TypeAlias = Sequence[tuple[ByteOrStr, ByteOrStr]]
HeadersAsMapping: TypeAlias = Mapping[ByteOrStr, ByteOrStr]
HeaderTypes: TypeAlias = HeadersAsSequence | HeadersAsMapping | None
Extensions: TypeAlias = MutableMapping[str, Any]

_Fields: TypeAlias = list[tuple[bytes, bytes]]


def enforce_url(value: URL | ByteOrStr, *, name: str) -> URL:
    """Return `value` as a `URL`, or raise `TypeError`."""
    if isinstance(value, URL):
        return value
    if isinstance(value, (bytes, str)):
        return URL(value)
    raise TypeError(f"{name} must be a URL, bytes, or str, but got {type(value).__name__}.")


def enforce_headers(value: HeaderTypes, *, name: str) -> _Fields:
    """Return `value` as a list of pairs of bytes, or raise `TypeError` or, for what is no pair, `ValueError`."""
    global _last_fields
    if value is None:
        return []
    if type(value) is not list:  # spares the usual case the costly checks
        if isinstance(value, Mapping):
            value = list(value.items())
        elif not isinstance(value, Sequence) or isinstance(value, (str, bytes)):
            raise TypeError(
                f"{name} must be a mapping or sequence of two-tuples, "
                f"but got {type(value).__name__}."
            )
    given, fields = _last_fields
    try:
        is_known = value == given
    except BytesWarning:  # of a Python that is told not to compare bytes with text
        is_known = False
    if is_known:
        for key, item in value:
            if (type(key) is not str and type(key) is not bytes) or (
                type(item) is not str and type(item) is not bytes
            ):
                break  # it only equals bytes or text, as a bytearray does
        else:
            return fields.copy()
    fields = [
        (enforce_bytes(key, name="header name"), enforce_bytes(item, name="header value"))
        for key, item in value
    ]
    _last_fields = (list(map(tuple, value)), fields)
    return fields.copy()


# Clients give the same fields with every request: they are enforced once.
_last_fields: tuple[list[Any], _Fields] = ([], [])


def enforce_stream(
    value: bytes | Iterable[bytes] | AsyncIterable[bytes] | None, *, name: str
) -> Iterable[bytes] | AsyncIterable[bytes]:
    """Return `value` as a body that can be iterated, sync or async, or raise `TypeError`."""
    if value is None:
        return _EMPTY
    if isinstance(value, bytes):
        return ByteStream(value)
    if isinstance(value, (bytearray, memoryview)):
        return ByteStream(bytes(value))  # iterating it would give integers
    if isinstance(value, str):
        raise TypeError(
            f"{name} must be bytes or an iterable of bytes, but got str. "
            f"Encode it first: {name}.encode('utf-8')."
        )
    if hasattr(value, "__aiter__") or hasattr(value, "__iter__"):
        return value
    raise TypeError(
        f"{name} must be bytes or an (async) iterable of bytes, but got {type(value).__name__}."
    )


def _has_one_of(headers: _Fields, *names: bytes) -> bool:
    return any(name.lower() in names for name, _ in headers)


def include_request_headers(
    headers: _Fields,
    *,
    url: URL,
    content: bytes | Iterable[bytes] | AsyncIterable[bytes] | None,
) -> _Fields:
    """Add the Host field, and the one that frames the body, where the caller gave none."""
    global _last_given
    given, has_host, is_framed = _last_given
    if headers != given:
        has_host = _has_one_of(headers, b"host")
        is_framed = _has_one_of(headers, b"content-length", b"transfer-encoding")
        _last_given = (headers.copy(), has_host, is_framed)
    head = headers
    if not has_host:
        head = [(b"Host", host_header(url.scheme, url.host, url.port)), *headers]
    if content is None or is_framed:
        return head
    if isinstance(content, (bytes, bytearray, memoryview)):
        return [*head, (b"Content-Length", b"%d" % memoryview(content).nbytes)]
    return [*head, (b"Transfer-Encoding", b"chunked")]


# As with `_last_fields`: the fields, whether a Host is among them, and whether they frame a body.
_last_given: tuple[_Fields, bool, bool] = ([], False, False)


class ByteStream:
    """A body that is known as a whole, and so can be replayed."""

    __slots__ = ("content",)

    def __init__(self, content: bytes) -> None:
        self.content = content

    def __iter__(self) -> Iterator[bytes]:
        yield self.content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.content

    def __repr__(self) -> str:
        return f"<ByteStream [{len(self.content)} bytes]>"


_EMPTY = ByteStream(b"")


# RFC 9110, section 9.2.2: repeating them has the effect of sending them once.
IDEMPOTENT_METHODS = frozenset((b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"))


class _Message:
    """What requests and responses have in common where they are copied.

    A shallow copy shares the body with the original. A deep copy and a pickle have a body of their own.
    """

    __slots__ = ()

    def __copy__(self) -> Self:
        clone = object.__new__(type(self))
        derived, slots = self._attributes()
        for name, value in {**(derived or {}), **slots}.items():
            setattr(clone, name, value)
        return clone

    def _attributes(self) -> tuple[dict[str, Any] | None, dict[str, Any]]:
        """Return those of a derived class, and those in slots, as `copy` and `pickle` take them."""
        attributes: Any = object.__getstate__(self)
        derived, slots = attributes
        return derived, slots

    def _refuse_to_copy(self, reason: str) -> TypeError:
        return TypeError(f"{self!r} can't be pickled or deep-copied: {reason}.")


def _is_iterator(body: Iterable[bytes] | AsyncIterable[bytes]) -> bool:
    """Whether it can be iterated over only once."""
    return hasattr(body, "__next__") or hasattr(body, "__anext__")


class Request(_Message):
    """An HTTP request.

    It can be copied and pickled, unless its content can be iterated over only once, as that of a generator.

    Attributes:
        method: such as `b"GET"`.
        url: where it goes; the `target` extension, if given, replaces `url.target`.
        headers: pairs of names and values.
        stream: the body, an iterable or async iterable of bytes.
        extensions: `timeout`, `trace`, `sni_hostname`, `target`, `protocol`.
    """

    __slots__ = ("extensions", "headers", "method", "stream", "url")

    def __init__(
        self,
        method: ByteOrStr,
        url: URL | ByteOrStr,
        *,
        headers: HeaderTypes = None,
        content: bytes | Iterable[bytes] | AsyncIterable[bytes] | None = None,
        extensions: Extensions | None = None,
    ) -> None:
        """Take the parts as they are: no header is added.

        Args:
            method: in the case in which it is to be sent.
            url: an absolute one.
            headers: a mapping, or a sequence of pairs.
            content: the body: bytes, or an iterable of bytes, for async connections an async one.
            extensions: options of the transport for this request.

        Raises:
            TypeError: a part has the wrong type, or text that is not ASCII.
        """
        self.method: bytes = (
            method if type(method) is bytes else enforce_bytes(method, name="method")
        )
        self.url: URL = URL(url) if type(url) is str else enforce_url(url, name="url")
        self.headers: _Fields = enforce_headers(headers, name="headers")
        self.stream: Iterable[bytes] | AsyncIterable[bytes] = (
            _EMPTY if content is None else enforce_stream(content, name="content")
        )
        self.extensions: Extensions = {} if extensions is None else extensions

        if "target" in self.extensions:
            self.url = URL(
                scheme=self.url.scheme,
                host=self.url.host,
                port=self.url.port,
                target=self.extensions["target"],
            )

    def __getstate__(self) -> object:
        if _is_iterator(self.stream):
            kind = type(self.stream).__name__
            raise self._refuse_to_copy(
                f"its content is of the type {kind}, and can be iterated over only once. Give bytes or a list"
            )
        return self._attributes()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} [{self.method!r}]>"


class Response(_Message):
    """An HTTP response.

    Once its body was read, it can be copied and pickled. The copy has no `network_stream`, which is of the connection.

    Attributes:
        status: the status code.
        headers: pairs of names and values, as received.
        stream: the body, an iterable (threads) or async iterable of bytes.
        extensions: `http_version` (bytes), `reason_phrase` (bytes), `network_stream`, and after a
            chunked body that had them `trailing_headers`.
    """

    __slots__ = ("_content", "_stream_consumed", "extensions", "headers", "status", "stream")

    def __init__(
        self,
        status: int,
        *,
        headers: HeaderTypes = None,
        content: bytes | Iterable[bytes] | AsyncIterable[bytes] | None = None,
        extensions: Extensions | None = None,
    ) -> None:
        """Take the parts as they are; parameters and errors as for `Request`."""
        self.status: int = status
        self.headers: _Fields = enforce_headers(headers, name="headers")
        self.stream: Iterable[bytes] | AsyncIterable[bytes] = enforce_stream(
            content, name="content"
        )
        self.extensions: Extensions = {} if extensions is None else extensions
        self._stream_consumed = False
        self._content: bytes | None = None

    @property
    def content(self) -> bytes:
        """The whole body, once `read()` or `aread()` has been called.

        Raises:
            RuntimeError: it has not been read yet.
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
                "its body was streamed, and is kept nowhere"
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
        """Read the whole body and return it; the same bytes when called again.

        Raises:
            RuntimeError: the body belongs to an async connection, or was streamed already.
            ReadTimeout, ReadError: the network failed.
            RemoteProtocolError: the peer broke the body off, or framed it wrongly.
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
        """Iterate over the body in pieces as they come. Raises as `read()` does."""
        stream = self._sync_stream("stream")
        self._consume("for ... in response.iter_stream()")
        return iter(stream)

    def close(self) -> None:
        """Close the response: a connection whose body was not read to its end is dropped.

        Raises:
            RuntimeError: the body belongs to an async connection.
        """
        close = getattr(self._sync_stream("close"), "close", None)
        if close is not None:
            close()

    async def aread(self) -> bytes:
        """As `read()`."""
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
        """As `iter_stream()`."""
        # No generator: one that is left in the middle would have to be finalised by the event loop.
        stream = self._async_stream("stream")
        self._consume("async for ... in response.aiter_stream()")
        return aiter(stream)

    async def aclose(self) -> None:
        """As `close()`."""
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
            raise RuntimeError(_WRONG_COLOUR.format(attempt, "an asynchronous", call, instead))
        return cast("Iterable[bytes]", self.stream)

    def _async_stream(self, attempt: str) -> AsyncIterable[bytes]:
        if not hasattr(self.stream, "__aiter__"):
            instead, call = _CALLS[attempt]
            # Callers match on the words of the published package.
            article = "a" if attempt == "close" else "an"
            raise RuntimeError(
                _WRONG_COLOUR.format(attempt, f"{article} synchronous", call, instead)
            )
        return cast("AsyncIterable[bytes]", self.stream)


_CALLS = {
    "read": ("response.read()", "await response.aread()"),
    "stream": ("for ... in response.iter_stream()", "async for ... in response.aiter_stream()"),
    "close": ("response.close()", "await response.aclose()"),
}
_WRONG_COLOUR = "Attempted to {} {} response using '{}'. You should use '{}' instead."


def received_response(
    status: int,
    headers: _Fields,
    stream: AsyncIterable[bytes],
    extensions: Extensions,
) -> Response:
    """Make a response from parts that need no check, since a codec has made them."""
    response = Response.__new__(Response)
    response.status = status
    response.headers = headers
    response.stream = stream
    response.extensions = extensions
    response._stream_consumed = False
    response._content = None
    return response


class Proxy:
    """A proxy, and what it takes to use it.

    Attributes:
        url: where the proxy is.
        auth: user name and password, or `None`.
        headers: sent to the proxy alone; with `auth`, `Proxy-Authorization` comes
            first.
        ssl_context: for TLS to the proxy itself, or `None` for the default.
    """

    def __init__(
        self,
        url: URL | ByteOrStr,
        auth: tuple[ByteOrStr, ByteOrStr] | None = None,
        headers: HeadersAsMapping | HeadersAsSequence | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        """Take the parts.

        Args:
            url: its scheme is `http`, `https` (TLS to the proxy itself), `socks5`, `socks5h`, `socks4a`
                or `socks4`, which alone resolves names on this side.
            auth: user name and password; for SOCKS4 the user id and an empty password.
            headers: further headers for an HTTP proxy.
            ssl_context: for TLS to an `https` proxy; one of its own, not that of the origins.

        Raises:
            TypeError: a part has the wrong type, or text that is not ASCII.
        """
        self.url: URL = enforce_url(url, name="url")
        self.headers: _Fields = enforce_headers(headers, name="headers")
        self.ssl_context: ssl.SSLContext | None = ssl_context
        self.auth: tuple[bytes, bytes] | None = None
        if auth is not None:
            user, password = (enforce_bytes(part, name="auth") for part in auth)
            self.auth = (user, password)
            from base64 import b64encode

            basic = b"Basic " + b64encode(user + b":" + password)
            self.headers = [(b"Proxy-Authorization", basic), *self.headers]
