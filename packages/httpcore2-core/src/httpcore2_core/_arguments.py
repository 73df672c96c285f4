"""Converts arguments of the API to the types that requests and responses hold.

Rules: text becomes ASCII bytes; header fields become a list of pairs in the order given, names in the case given; a
wrong type is a `TypeError` that names the argument.
Must not know: requests and responses, connections, the network.
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
from functools import lru_cache
from operator import is_
from typing import Any, TypeAlias

from ._extensions import RequestExtensions, ResponseExtensions
from ._urls import URL, ByteOrStr, enforce_bytes, host_header, parse_url

HeadersAsSequence: TypeAlias = Sequence[tuple[ByteOrStr, ByteOrStr]]
HeadersAsMapping: TypeAlias = Mapping[ByteOrStr, ByteOrStr]
HeaderTypes: TypeAlias = HeadersAsSequence | HeadersAsMapping | None
Extensions: TypeAlias = MutableMapping[str, Any]
RequestExtensionTypes: TypeAlias = RequestExtensions | Extensions | None
ResponseExtensionTypes: TypeAlias = ResponseExtensions | Extensions | None

Fields: TypeAlias = list[tuple[bytes, bytes]]


def enforce_url(value: URL | ByteOrStr, *, name: str) -> URL:
    """Return `value` as a `URL`; raise `TypeError` for another type."""
    if isinstance(value, URL):
        return value
    if isinstance(value, (bytes, str)):
        return URL(value)
    raise TypeError(f"{name} must be a URL, bytes, or str, but got {type(value).__name__}.")


def enforce_headers(value: HeaderTypes, *, name: str) -> Fields:
    """Return `value` as a new list of pairs of bytes.

    Raises:
        TypeError: `value`, a name or a value has the wrong type, or text that is not ASCII.
        ValueError: an entry is not a pair.
    """
    if value is None:
        return []
    return [
        (
            key if type(key) is bytes else enforce_bytes(key, name="header name"),
            item if type(item) is bytes else enforce_bytes(item, name="header value"),
        )
        for key, item in _pairs(value, name)
    ]


def _pairs(value: HeadersAsSequence | HeadersAsMapping, name: str) -> HeadersAsSequence:
    """Return header fields as a sequence; raise `TypeError` if they are neither a mapping nor a sequence."""
    if type(value) is list:  # checks of abstract base classes are slow
        return value
    if isinstance(value, Mapping):
        return list(value.items())
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return value
    raise TypeError(
        f"{name} must be a mapping or sequence of two-tuples, but got {type(value).__name__}."
    )


def enforce_stream(
    value: bytes | Iterable[bytes] | AsyncIterable[bytes] | None, *, name: str
) -> Iterable[bytes] | AsyncIterable[bytes]:
    """Return `value` as a body, an iterable or async iterable of bytes; raise `TypeError` for another type."""
    if value is None:
        return EMPTY_BODY
    if isinstance(value, bytes):
        return ByteStream(value)
    if isinstance(value, (bytearray, memoryview)):
        return ByteStream(bytes(value))  # iterating over it gives integers
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


def _has_one_of(headers: Fields, *names: bytes) -> bool:
    """Return whether the fields have one of `names`, in lower case."""
    return any(name.lower() in names for name, _ in headers)


# Makes an object without a call of its class. CPython 3.13 takes 300 instructions to find it in another class.
new = object.__new__

_Content: TypeAlias = bytes | Iterable[bytes] | AsyncIterable[bytes]


def include_request_headers(headers: Fields, *, url: URL, content: _Content | None) -> Fields:
    """Add the Host field, and Content-Length or Transfer-Encoding for a body, unless the caller gave them."""
    head = headers.copy()
    if not _has_one_of(headers, b"host"):
        head.insert(0, (b"Host", host_header(url.scheme, url.host, url.port)))
    if content is not None and not _has_one_of(headers, b"content-length", b"transfer-encoding"):
        head.append(_framing(content))
    return head


def _framing(content: _Content) -> tuple[bytes, bytes]:
    """Return the field that frames a body (RFC 9112, section 6)."""
    if isinstance(content, (bytes, bytearray, memoryview)):
        return b"Content-Length", b"%d" % memoryview(content).nbytes
    return b"Transfer-Encoding", b"chunked"


class RequestMemory:
    """The last arguments of a pool's requests with their conversions, since most requests have the same.

    Arguments are compared whole, never by identity, so that a caller may change its lists. Threads may share a memory.
    It belongs to one pool, which empties it when it is closed, since arguments may have credentials.
    """

    __slots__ = ("_fields", "_host_header", "_parse_url")

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Drop all arguments."""
        # The fields as given, as converted, whether they have a Host field, and whether they frame a body.
        self._fields: tuple[list[Any], Fields, bool, bool] = ([], [], False, False)
        self._parse_url = lru_cache(maxsize=256)(parse_url)
        self._host_header = lru_cache(maxsize=256)(host_header)

    def url(self, text: str) -> URL:
        """Return the URL that `text` is parsed to."""
        url = new(URL)
        url.scheme, url.host, url.port, url.target = self._parse_url(text)
        return url

    def headers(self, value: HeaderTypes, url: URL, content: _Content | None) -> Fields:
        """Return header fields as `enforce_headers` and `include_request_headers` make them, as a new list."""
        pairs = [] if value is None else _pairs(value, "headers")
        given, fields, has_host, is_framed = self._fields
        try:
            # Most are the very tuples of the last request, whose types were checked then.
            is_same = pairs == given and (all(map(is_, pairs, given)) or _are_bytes_or_str(pairs))
        except BytesWarning:  # Python runs with -bb, and bytes were compared with text
            is_same = False
        if not is_same:
            fields = enforce_headers(pairs, name="headers")
            has_host = _has_one_of(fields, b"host")
            is_framed = _has_one_of(fields, b"content-length", b"transfer-encoding")
            if _are_bytes_or_str(pairs):
                self._fields = (list(map(tuple, pairs)), fields, has_host, is_framed)
        if has_host:
            head = fields.copy()
        else:
            head = [(b"Host", self._host_header(url.scheme, url.host, url.port)), *fields]
        if content is not None and not is_framed:
            head.append(_framing(content))
        return head


def _are_bytes_or_str(pairs: HeadersAsSequence) -> bool:
    """Return whether fields that equal bytes and text have these types: a bytearray equals bytes, too."""
    for key, item in pairs:
        if (type(key) is not str and type(key) is not bytes) or (
            type(item) is not str and type(item) is not bytes
        ):
            return False
    return True


class ByteStream:
    """A body that is held as bytes, so that the request can be sent again."""

    __slots__ = ("content",)

    def __init__(self, content: bytes) -> None:
        self.content = content

    def __iter__(self) -> Iterator[bytes]:
        yield self.content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.content

    def __repr__(self) -> str:
        return f"<ByteStream [{len(self.content)} bytes]>"


EMPTY_BODY = ByteStream(b"")
