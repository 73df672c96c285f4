"""The fields of requests and responses in HTTP/2 and HTTP/3 (RFC 9113, section 8; RFC 9114, section 4).

Must not know: streams, frames, how fields are compressed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from .._exceptions import LocalProtocolError
from .._models import Request, enforce_bytes
from .fields import Headers, is_length, is_target, is_token, is_value

METHODS_WITHOUT_CONTENT = frozenset((b"HEAD", b"CONNECT"))
"""The head of a response to these does not describe its content."""

MakeField = Callable[[bytes, bytes], tuple[bytes, bytes]]

_is_authority = re.compile(
    rb"(?:\[[0-9A-Fa-f:.]+\]|[-._~!$&'()*+,;=%0-9A-Za-z]+):[0-9]{1,5}"
).fullmatch
_is_received_name = re.compile(rb"[\x21-\x39\x3b-\x40\x5b-\x7e]+").fullmatch
_finds_illegal = re.compile(rb"[\0\r\n]").search
_is_status = re.compile(rb"[1-9][0-9][0-9]").fullmatch

# RFC 9113, section 8.2.2: these are HTTP/1.1's own.
_CONNECTION_FIELDS = frozenset(
    (b"connection", b"host", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade")
)
_SECRETS = frozenset((b"authorization", b"proxy-authorization"))
# Shorter ones could be guessed byte by byte from the size of compressed headers (RFC 7541, section 7.1.3).
_SHORT_COOKIE = 20

_SCHEMES = {b"ws": b"http", b"wss": b"https"}


class MalformedResponse(Exception):
    """A response breaks the rules of HTTP, which is an error of its stream (RFC 9113, section 8.1.1)."""


# Requests


class RequestFields(NamedTuple):
    """A request's fields in the form of HTTP/2 and HTTP/3.

    Attributes:
        authority: the value of Host, which becomes `:authority`; `None` if there is none.
        length: the value of Content-Length in bytes; `None` if there is none.
        headers: the other fields, with names in lower case.
    """

    authority: bytes | None
    length: int | None
    headers: Headers


def prepare_headers(headers: Headers, make_secret: MakeField) -> RequestFields:
    """Convert a request's fields to HTTP/2 or HTTP/3: names in lower case, connection-specific fields removed.

    Args:
        headers: the request's.
        make_secret: makes a field that must not be found out from the size of compressed fields.

    Raises:
        LocalProtocolError: a field has an illegal name or value, or Host or Content-Length stands twice.
    """
    authority: bytes | None = None
    length: int | None = None
    prepared: Headers = []
    dropped = _CONNECTION_FIELDS
    for name, value in headers:
        lowered = name.lower()
        if lowered == b"connection":
            named = (element.strip() for element in value.lower().split(b","))
            # A Connection field must not name Content-Length, and a request can't do without it.
            dropped = dropped.union(named) - {b"content-length"}
    for name, value in headers:
        if is_token(name) is None:
            raise LocalProtocolError(f"Illegal header name {name!r}")
        if is_value(value) is None:
            raise LocalProtocolError(f"Illegal header value {value!r}")
        lowered = name.lower()
        if lowered == b"host":
            if authority is not None:
                raise LocalProtocolError("Found multiple Host: headers")
            authority = value
        elif lowered in dropped or (lowered == b"te" and value.lower() != b"trailers"):
            continue
        elif lowered in _SECRETS or (lowered == b"cookie" and len(value) < _SHORT_COOKIE):
            prepared.append(make_secret(lowered, value))
        else:
            if lowered == b"content-length":
                if is_length(value) is None or length is not None:
                    raise LocalProtocolError("bad Content-Length")
                length = int(value)
            prepared.append((lowered, value))
    return RequestFields(authority, length, prepared)


class RequestFieldsCache:
    """The fields of one connection's requests, each of which mostly has the same as the one before."""

    __slots__ = ("_constant", "_fields", "_headers", "_make_secret", "_pseudo", "_target")

    def __init__(self, make_secret: MakeField) -> None:
        """Begin with no fields; the argument is that of `prepare_headers`."""
        self._make_secret = make_secret
        self._headers: Headers | None = None
        self._fields: RequestFields | None = None
        self._constant: tuple[bytes, bytes, bytes | None] | None = None
        self._target = b""
        self._pseudo: Headers = []

    def of(self, request: Request) -> tuple[int | None, Headers, Headers]:
        """Return the length of a request's body, if it is declared, its pseudo-header fields, and its other fields.

        The lists are those of the request before, if the fields are the same.

        Raises:
            LocalProtocolError: as `prepare_headers` and `pseudo_headers` do.
        """
        fields = self._fields
        if fields is None or self._headers != request.headers:
            fields = prepare_headers(request.headers, self._make_secret)
            given = request.headers.copy()
            self._fields, self._headers = fields, given
        authority, length, headers = fields
        url = request.url
        constant = self._constant
        if (
            constant is None
            or url.target != self._target
            or request.method != constant[0]
            or url.scheme != constant[1]
            or authority != constant[2]
        ):
            return length, self._changed_pseudo(request, authority), headers
        return length, self._pseudo, headers

    def _changed_pseudo(self, request: Request, authority: bytes | None) -> Headers:
        """Return `pseudo_headers(request, authority)`, which are not those of the request before."""
        url = request.url
        method = request.method
        if method == b"CONNECT":
            return pseudo_headers(request, authority)
        constant = (method, url.scheme, authority)
        target = url.target
        if constant != self._constant:
            self._pseudo = pseudo_headers(request, authority)
            self._constant = constant
        else:
            self._pseudo = [*self._pseudo[:-1], _checked(b":path", target)]
        self._target = target
        return self._pseudo


def protocol_of(request: Request) -> bytes | None:
    """Return the `:protocol` of an extended CONNECT (RFC 8441); `None` for any other request."""
    if request.method != b"CONNECT":
        return None
    protocol = request.extensions.get("protocol")
    return None if protocol is None else enforce_bytes(protocol, name="extensions['protocol']")


def pseudo_headers(request: Request, authority: bytes | None) -> Headers:
    """Return a request's pseudo-header fields, `:method` first (RFC 9113, section 8.3.1).

    Raises:
        LocalProtocolError: the method, the target or the Host is illegal, or there is no Host.
    """
    method = request.method
    target = request.url.target
    protocol = protocol_of(request) if method == b"CONNECT" else None
    if method == b"CONNECT" and protocol is None:
        # RFC 9113, section 8.5. The Host is that of the proxy.
        if _is_authority(target) is None:
            raise LocalProtocolError(
                f"CONNECT needs a host and a port to connect to, but got {target!r}: "
                "give them as extensions={'target': b'host:port'}."
            )
        return [(b":method", method), (b":authority", target)]
    if authority is None:
        raise LocalProtocolError("Missing mandatory Host: header")
    scheme = request.url.scheme
    pseudo = [
        (b":method", method),
        (b":authority", authority),
        (b":scheme", _SCHEMES.get(scheme, scheme)),
        (b":path", target),
    ]
    if protocol is not None:
        pseudo.append((b":protocol", protocol))
    return [_checked(name, value) for name, value in pseudo]


def _checked(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    """Return a pseudo-header field.

    Raises:
        LocalProtocolError: its value is illegal.
    """
    check = is_token if name == b":method" or name == b":protocol" else is_target
    if check(value) is None:
        raise LocalProtocolError(f"Illegal value {value!r} for {name.decode()}")
    return name, value


# Responses


def check_fields(received: Sequence[tuple[bytes, bytes]]) -> Headers:
    """Return a response's header or trailer fields, without blanks around their values.

    Raises:
        MalformedResponse: a name or value is illegal.
    """
    fields: Headers = []
    for name, value in received:
        if _is_received_name(name) is None or _finds_illegal(value) is not None:
            raise MalformedResponse(f"Illegal header field {name!r}: {value!r}")
        fields.append((name, value.strip(b" \t")))
    return fields


def check_head(received: Sequence[tuple[bytes, bytes]]) -> tuple[int, Headers]:
    """Return a response's status and its fields.

    Raises:
        MalformedResponse: the status is missing or illegal, or a field is illegal.
    """
    name, value = received[0] if received else (b"", b"")
    if name != b":status" or _is_status(value) is None:
        raise MalformedResponse(
            "The response has no status: its first field is not a valid :status (RFC 9113, section 8.3.2)."
        )
    return int(value), check_fields(received[1:])


def is_granted(status: int) -> bool:
    """Whether a response to CONNECT with this status opens a tunnel."""
    return 200 <= status < 300


def body_length(status: int, headers: Headers, method: bytes) -> int | None:
    """Return the length of a response's body in bytes; `None` if it is unknown, or a tunnel follows.

    Raises:
        MalformedResponse: the Content-Length is not a number, or there are two different ones.
    """
    if method == b"HEAD" or status == 204 or status == 304:
        return 0
    if method == b"CONNECT" and is_granted(status):
        return None  # RFC 9110, section 9.3.6: its Content-Length means nothing
    length: int | None = None
    for name, value in headers:
        if name == b"content-length":
            if is_length(value) is None or (length is not None and length != int(value)):
                raise MalformedResponse(f"The response's Content-Length is invalid: {value!r}.")
            length = int(value)
    return length


class FieldSection(list[tuple[bytes, bytes]]):
    """The fields of a decoded block.

    Attributes:
        checked: the final head of a response that `check_response` has found in them. It is that of every request
            whose method is not one of `METHODS_WITHOUT_CONTENT`.
    """

    __slots__ = ("checked",)

    def __init__(self, fields: Iterable[tuple[bytes, bytes]] = ()) -> None:
        super().__init__(fields)
        self.checked: ResponseHead | None = None


class ResponseHead(NamedTuple):
    """What the fields of a response's head say.

    Attributes:
        status: the status code.
        headers: the fields, which are not to be changed.
        length: `body_length`.
    """

    status: int
    headers: Headers
    length: int | None


def check_response(received: FieldSection, method: bytes) -> ResponseHead:
    """Return what the head of a response to a request with `method` says. Equal field blocks are checked once.

    Raises:
        MalformedResponse: the fields are not those of a response.
    """
    is_usual = method not in METHODS_WITHOUT_CONTENT
    if is_usual and received.checked is not None:
        return received.checked
    status, headers = check_head(received)
    head = ResponseHead(status, headers, body_length(status, headers, method))
    if is_usual and status >= 200:
        received.checked = head
    return head
