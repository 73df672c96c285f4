"""The fast lane's view of a message's head: strict patterns, and what the fields mean.

What these patterns match, h11 takes too, with the same meaning; whatever they don't match is for h11 to
rule on. They run in linear time: every repetition is possessive, so that 100 kB of blanks cost
microseconds.
Must not know: states, bodies, the network.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple

from .judge import HEAD_LIMIT

_TOKEN = rb"[-!#$%&'*+.^_`|~0-9A-Za-z]++"
_VISIBLE = rb"[\x21-\x7e\x80-\xff]++"
_VALUE = rb"(?:" + _VISIBLE + rb"(?:[ \t]++" + _VISIBLE + rb")*+)?+"
_FIELD_LINE = rb"[ \t]*+" + _VALUE + rb"[ \t]*+\r\n"

is_token = re.compile(_TOKEN).fullmatch
is_target = re.compile(rb"[\x21-\x7e]++").fullmatch
is_value = re.compile(_VALUE).fullmatch

match_head = re.compile(
    rb"HTTP/1\.1 ([2-5][0-9][0-9]) ([\t\x20-\x7e\x80-\xff]*+)\r\n"
    rb"((?:" + _TOKEN + rb":" + _FIELD_LINE + rb")*+)\r\n"
).match
_find_fields = re.compile(rb"(" + _TOKEN + rb"):[ \t]*+(" + _VALUE + rb")[ \t]*+\r\n").findall
is_length = re.compile(rb"[0-9]{1,19}").fullmatch
_find_keep_alive = re.compile(rb"(?:^|[,;\s])timeout\s*=\s*([0-9]{1,9})(?![0-9])", re.I).search


class ResponseHead(NamedTuple):
    """The head of a final response, or of an upgrade (101)."""

    version: bytes
    status: int
    reason: bytes
    headers: list[tuple[bytes, bytes]]


class _Kind(Enum):
    """What a header field means for the message's framing and the connection's life."""

    OTHER = 0
    HOST = 1
    CONTENT_LENGTH = 2
    TRANSFER_ENCODING = 3
    CONNECTION = 4
    INVALID = 5


_KINDS = {
    b"host": _Kind.HOST,
    b"content-length": _Kind.CONTENT_LENGTH,
    b"transfer-encoding": _Kind.TRANSFER_ENCODING,
    b"connection": _Kind.CONNECTION,
}
# Names seen in requests, so that each is checked once. Bounded: a caller may make names up.
_known_names: dict[bytes, _Kind] = {}
_KNOWN_NAMES_LIMIT = 1024
_KNOWN_NAME_SIZE = 64


def _kind(name: bytes) -> _Kind:
    kind = _known_names.get(name)
    if kind is None:
        if is_token(name) is None:
            return _Kind.INVALID
        kind = _KINDS.get(name.lower(), _Kind.OTHER)
        if len(_known_names) < _KNOWN_NAMES_LIMIT and len(name) <= _KNOWN_NAME_SIZE:
            _known_names[name] = kind
    return kind


def _elements(value: bytes) -> list[bytes]:
    """The elements of a comma-separated list (RFC 9110, section 5.6.1), in lower case."""
    return [element.strip() for element in value.lower().split(b",")]


def keep_alive_timeout_of(value: bytes) -> int | None:
    found = _find_keep_alive(value)
    return None if found is None else int(found[1])


class HeaderBlock:
    """A request's header fields as bytes, and what they mean; made once for equal fields."""

    __slots__ = ("chunked", "close", "headers", "is_plain", "length", "lines")

    def __init__(self, headers: list[tuple[bytes, bytes]]) -> None:
        self.headers = headers.copy()  # the caller may change its own
        self.length: bytes | None = None
        self.chunked = False
        self.close = False
        parts: list[bytes] = []
        is_plain = True
        hosts = 0
        for name, value in headers:
            if is_value(value) is None:
                is_plain = False
            kind = _kind(name)
            if kind is not _Kind.OTHER:
                if kind is _Kind.HOST:
                    hosts += 1
                    parts[:0] = (name, b": ", value, b"\r\n")  # first: RFC 9110, section 7.2
                    continue
                if kind is _Kind.CONTENT_LENGTH:
                    is_plain = is_plain and self.length is None and is_length(value) is not None
                    self.length = value
                elif kind is _Kind.TRANSFER_ENCODING:
                    is_plain = is_plain and not self.chunked and value == b"chunked"
                    self.chunked = True
                elif kind is _Kind.CONNECTION:
                    self.close = self.close or b"close" in _elements(value)
                else:
                    is_plain = False
            parts += (name, b": ", value, b"\r\n")
        parts.append(b"\r\n")
        self.lines = b"".join(parts)
        # If not, h11 rules on it.
        self.is_plain = is_plain and hosts == 1


class PlainHead:
    """A response's head in the strict form, and what it means; made once for equal heads."""

    __slots__ = (
        "chunked",
        "close",
        "data",
        "headers",
        "is_plain",
        "keep_alive_timeout",
        "length",
        "reason",
        "status",
    )

    def __init__(self, matched: re.Match[bytes]) -> None:
        self.data = matched[0]
        status, self.reason, block = matched.groups()
        self.status = int(status)
        self.headers: list[tuple[bytes, bytes]] = _find_fields(block)
        self.length: int | None = None
        self.chunked = False
        self.close = False
        self.keep_alive_timeout: int | None = None
        # If not, h11 rules on it.
        self.is_plain = len(self.data) <= HEAD_LIMIT
        for name, value in self.headers:
            size = len(name)  # spares most names the lower()
            if size == 14:
                if name.lower() == b"content-length":
                    if self.length is not None or is_length(value) is None:
                        self.is_plain = False
                    else:
                        self.length = int(value)
            elif size == 17:
                if name.lower() == b"transfer-encoding":
                    if self.chunked or value != b"chunked":
                        self.is_plain = False
                    self.chunked = True
            elif size == 10:
                lowered = name.lower()
                if lowered == b"connection":
                    if value != b"keep-alive" and b"close" in _elements(value):
                        self.close = True
                elif lowered == b"keep-alive":
                    self.keep_alive_timeout = keep_alive_timeout_of(value)
        if self.chunked and self.length is not None:
            self.is_plain = False


# The last ones of all connections: many to one origin send and receive the same, up to the second of the Date, and
# should neither read nor keep it each for itself. That is 2.5 KiB of a connection's 9.
_last_block: HeaderBlock | None = None
_last_head: PlainHead | None = None


def header_block(headers: list[tuple[bytes, bytes]]) -> HeaderBlock:
    """Return what `headers` come to, made anew if they aren't those of the last call."""
    global _last_block
    block = _last_block
    if block is None or block.headers != headers:
        block = _last_block = HeaderBlock(headers)
    return block


def recall_head(data: bytes) -> PlainHead | None:
    """Return the head that was remembered last, if `data` begins with it."""
    head = _last_head
    return head if head is not None and data.startswith(head.data) else None


def remember_head(head: PlainHead) -> None:
    """Let other connections have this one, too."""
    global _last_head
    _last_head = head
