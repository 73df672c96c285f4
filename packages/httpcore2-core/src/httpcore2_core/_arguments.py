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
from typing import Any, TypeAlias

from ._urls import URL, ByteOrStr, enforce_bytes, host_header

HeadersAsSequence: TypeAlias = Sequence[tuple[ByteOrStr, ByteOrStr]]
HeadersAsMapping: TypeAlias = Mapping[ByteOrStr, ByteOrStr]
HeaderTypes: TypeAlias = HeadersAsSequence | HeadersAsMapping | None
Extensions: TypeAlias = MutableMapping[str, Any]

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
    global _last_fields
    if value is None:
        return []
    if type(value) is not list:  # the checks of abstract base classes cost more than all the rest
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
    except BytesWarning:  # Python runs with -bb, and bytes were compared with text
        is_known = False
    if is_known:
        for key, item in value:
            if (type(key) is not str and type(key) is not bytes) or (
                type(item) is not str and type(item) is not bytes
            ):
                break  # it equals bytes but has another type, such as bytearray
        else:
            return fields.copy()
    fields = [
        (enforce_bytes(key, name="header name"), enforce_bytes(item, name="header value"))
        for key, item in value
    ]
    _last_fields = (list(map(tuple, value)), fields)
    return fields.copy()


# The last fields given, and their conversion: most clients send the same fields with every request.
_last_fields: tuple[list[Any], Fields] = ([], [])


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


def include_request_headers(
    headers: Fields,
    *,
    url: URL,
    content: bytes | Iterable[bytes] | AsyncIterable[bytes] | None,
) -> Fields:
    """Add the Host field, and Content-Length or Transfer-Encoding for a body, unless the caller gave them."""
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


# The last fields given, whether they have a Host field, and whether they frame a body.
_last_given: tuple[Fields, bool, bool] = ([], False, False)


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
