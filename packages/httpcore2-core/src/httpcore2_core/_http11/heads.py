"""The fast path for the heads of messages: strict patterns, and what the fields mean.

The fast path accepts only heads that h11 accepts with the same meaning, and leaves all others to h11. It takes linear
time: no two repetitions of a pattern can match the same byte, so that 100 kB of blanks cost microseconds.

Many requests to one origin send the same fields and receive the same head, up to the second of the Date. `HeadMemory`
keeps the last ones with what they mean. It belongs to a pool, whose connections share it (2.5 KiB of a connection's
9), or to a single connection, and forgets all of it when that is closed.

Must not know: states, bodies, the network.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from .._http.expectation import is_expectation
from .._http.fields import (
    BLANKS,
    Headers,
    is_length,
    is_target,
    is_token,
    keep_alive_timeout,
    list_elements,
)

# How long a response's head, or a trailer section, may be before its blank line.
HEAD_LIMIT = 100 * 1024

# From this length on a body is worth a read of its own: cut off behind its head it would be copied.
_LARGE_BODY = 32 * 1024
# All that may stand in a line.
_TEXT = b"\t" + bytes(code for code in range(0x20, 0x100) if code != 0x7F)

_match_status_line = re.compile(rb"HTTP/1\.1 ([2-5][0-9][0-9]) (.*)").fullmatch


class ResponseHead(NamedTuple):
    """The head of a final response, or of an upgrade (101); `headers` may be those of other responses, too."""

    version: bytes
    status: int
    reason: bytes
    headers: Headers


# The fields that state the target host, the end of the message, whether the connection persists, and whether the body
# waits.
_MEANINGFUL = frozenset(
    (b"host", b"content-length", b"transfer-encoding", b"connection", b"keep-alive", b"expect")
)
_OTHER = b"any other"
BODILESS = (204, 304)


class FieldNames(dict[bytes, bytes]):
    """What names of fields mean: the name in lower case if it is one of the meaningful, else `_OTHER`.

    Each name is checked once, and remembered; the result for an illegal name is `None`. Bounded: a peer may make
    names up.
    """

    LIMIT = 1024
    SIZE_LIMIT = 64

    def __missing__(self, name: bytes) -> bytes | None:
        if is_token(name) is None:
            return None
        field = name.lower()
        if field not in _MEANINGFUL:
            field = _OTHER
        if len(self) < self.LIMIT and len(name) <= self.SIZE_LIMIT:
            self[name] = field
        return field


class HeaderBlock:
    """A request's header fields as bytes, and what they mean; made once for equal fields."""

    __slots__ = ("chunked", "close", "expects_continue", "headers", "is_plain", "length", "lines")

    def __init__(self, headers: Headers, names: FieldNames) -> None:
        self.headers = headers.copy()  # the caller may change its own
        self.length: bytes | None = None
        self.chunked = False
        self.close = False
        self.expects_continue = False
        lines: list[bytes] = []
        is_plain = True
        hosts = 0
        for name, value in headers:
            field = names[name]
            line = b"%b: %b\r\n" % (name, value)
            if value.strip(BLANKS) != value:
                is_plain = False
            if field is _OTHER:
                lines.append(line)
            elif field == b"host":
                hosts += 1
                lines.insert(0, line)  # RFC 9110, section 7.2
            else:
                lines.append(line)
                if field == b"content-length":
                    is_plain = is_plain and self.length is None and is_length(value) is not None
                    self.length = value
                elif field == b"transfer-encoding":
                    is_plain = is_plain and not self.chunked and value == b"chunked"
                    self.chunked = True
                elif field == b"connection":
                    self.close = self.close or b"close" in list_elements(value)
                elif field == b"expect":
                    self.expects_continue = self.expects_continue or is_expectation(value)
                elif field is None:
                    is_plain = False
        block = b"".join(lines)
        self.lines = block + b"\r\n"
        # If not, h11 checks it. Besides text there are the ends of its lines, and no others.
        self.is_plain = (
            is_plain and hosts == 1 and block.translate(None, _TEXT) == b"\r\n" * len(headers)
        )


class ReceivedHead:
    """A response's head, and what it means; made once for equal heads."""

    __slots__ = (
        "chunked",
        "close",
        "data",
        "head",
        "keep_alive_timeout",
        "length",
        "size_apart",
    )

    def __init__(self, data: bytes, head: ResponseHead) -> None:
        self.data = data
        self.head = head
        self.length: int | None = None
        self.chunked = False
        self.close = False
        self.keep_alive_timeout: int | None = None
        self.size_apart = 0  # its own, if it is better read apart from its body

    def leave_out_body(self) -> None:
        """Expect no body, whatever the head declares (RFC 9112, section 6.3).

        The server may send one all the same, and later: if it is declared, nothing may follow it.
        """
        self.close = self.close or self.chunked or bool(self.length)
        self.length = 0


def read_head(data: bytes, limit: int, names: FieldNames) -> ReceivedHead | None:
    """Return the head with which `data` begins; `None` if it is not complete, too long, or for h11 to read."""
    size = data.find(b"\r\n\r\n") + 4
    if size < 4 or size - 2 > limit:
        return None
    data = data[:size]
    lines = data[:-4].split(b"\r\n")
    # Besides text there are the ends of its lines, and nothing else.
    if data.translate(None, _TEXT) != b"\r\n" * (len(lines) + 1):
        return None
    status_line = _match_status_line(lines[0])
    if status_line is None:
        return None
    headers: Headers = []
    head = ReceivedHead(
        data, ResponseHead(b"HTTP/1.1", int(status_line[1]), status_line[2], headers)
    )
    del lines[0]
    for line in lines:
        name, colon, value = line.partition(b":")
        field = names[name]
        value = value.strip(BLANKS)
        headers.append((name, value))
        if field is _OTHER and colon:
            continue
        if field is None or not colon:
            return None
        if field == b"content-length":
            if head.length is not None or is_length(value) is None:
                return None
            head.length = int(value)
            if head.length >= _LARGE_BODY:
                head.size_apart = size
        elif field == b"transfer-encoding":
            if head.chunked or value != b"chunked":
                return None
            head.chunked = True
        elif field == b"connection":
            head.close = head.close or (value != b"keep-alive" and b"close" in list_elements(value))
        elif field == b"keep-alive":
            head.keep_alive_timeout = keep_alive_timeout(value)
    if head.chunked and head.length is not None:
        return None
    if head.head.status in BODILESS:
        head.leave_out_body()
    return head


def _request_line(method: bytes, target: bytes) -> bytes | None:
    """Return the line with which a request begins (RFC 9112, section 3); `None` if h11 has to check it."""
    if is_target(target) is None or is_token(method) is None:
        return None
    return b"%b %b HTTP/1.1\r\n" % (method, target)


class HeadMemory:
    """The heads that were sent and received last, with what they mean.

    Several threads may use it: what one of them replaces, another one may still use.

    Attributes:
        request_line: `_request_line`, of which the last 256 results are remembered.
    """

    __slots__ = ("_block", "_head", "_names", "request_line")

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Drop all of it."""
        self._names = FieldNames()
        self._block: HeaderBlock | None = None
        self._head: ReceivedHead | None = None
        self.request_line: Callable[[bytes, bytes], bytes | None] = lru_cache(256)(_request_line)

    def header_block(self, headers: Headers) -> HeaderBlock:
        """Return what `headers` come to, made anew if they aren't those of the last call."""
        block = self._block
        if block is None or block.headers != headers:
            block = self._block = HeaderBlock(headers, self._names)
        return block

    def read_head(self, data: bytes, limit: int = HEAD_LIMIT) -> ReceivedHead | None:
        """Return the head with which `data` begins, read anew if it is not that of the last call.

        `None` means that it is not complete, has more than `limit` bytes before its blank line, or is for h11 to read.
        """
        head = self._head
        if head is None or not data.startswith(head.data) or len(head.data) - 2 > limit:
            head = read_head(data, limit, self._names)
            if head is not None:
                self._head = head
        return head
