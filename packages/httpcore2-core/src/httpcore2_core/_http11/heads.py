"""What the fast path knows of a message's head: strict patterns, and what the fields mean.

What is read here, h11 takes too, with the same meaning; all else is for h11. It takes linear time: no two
repetitions of a pattern can share a byte out in two ways, so that 100 kB of blanks cost microseconds.
Must not know: states, bodies, the network.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

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


# The fields that tell whom a message is for, where it ends, and whether its connection stays.
_MEANINGFUL = frozenset(
    (b"host", b"content-length", b"transfer-encoding", b"connection", b"keep-alive")
)
_OTHER = b"any other"
BODILESS = (204, 304)
# What the names that were seen mean, so that each is checked once. Bounded: a peer may make names up.
_known_names: dict[bytes, bytes] = {}
_KNOWN_NAMES_LIMIT = 1024
_KNOWN_NAME_SIZE = 64


def _learn(name: bytes) -> bytes | None:
    """Find out which field has a name that is not remembered, and remember it; `None` if it is no name."""
    if is_token(name) is None:
        return None
    field = name.lower()
    if field not in _MEANINGFUL:
        field = _OTHER
    if len(_known_names) < _KNOWN_NAMES_LIMIT and len(name) <= _KNOWN_NAME_SIZE:
        _known_names[name] = field
    return field


@lru_cache(maxsize=256)
def request_line(method: bytes, target: bytes) -> bytes | None:
    """Return the line with which a request begins (RFC 9112, section 3); `None` if h11 has to check it."""
    if is_target(target) is None or is_token(method) is None:
        return None
    return b"%b %b HTTP/1.1\r\n" % (method, target)


class HeaderBlock:
    """A request's header fields as bytes, and what they mean; made once for equal fields."""

    __slots__ = ("chunked", "close", "headers", "is_plain", "length", "lines")

    def __init__(self, headers: Headers) -> None:
        self.headers = headers.copy()  # the caller may change its own
        self.length: bytes | None = None
        self.chunked = False
        self.close = False
        lines: list[bytes] = []
        is_plain = True
        hosts = 0
        for name, value in headers:
            field = _known_names.get(name) or _learn(name)
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


def read_head(data: bytes, limit: int = HEAD_LIMIT) -> ReceivedHead | None:
    """Return the head with which `data` begins; `None` if it is not complete, too long, or for h11 to read."""
    global _last_head
    size = data.find(b"\r\n\r\n") + 4
    if size < 4 or size - 2 > limit:
        return None
    data = data[:size]
    lines = data[:-4].split(b"\r\n")
    # Whatever is no text is the end of a line.
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
        field = _known_names.get(name) or _learn(name)
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
    _last_head = head
    return head


# The last ones of all connections: many to one origin send and receive the same, up to the second of the Date, and
# should neither read nor keep it each for itself. That is 2.5 KiB of a connection's 9.
_last_block: HeaderBlock | None = None
_last_head: ReceivedHead | None = None


def header_block(headers: Headers) -> HeaderBlock:
    """Return what `headers` come to, made anew if they aren't those of the last call."""
    global _last_block
    block = _last_block
    if block is None or block.headers != headers:
        block = _last_block = HeaderBlock(headers)
    return block


def recall_head(data: bytes, limit: int = HEAD_LIMIT) -> ReceivedHead | None:
    """Return the head that was remembered last, if `data` begins with it and it is not too long."""
    head = _last_head
    if head is None or not data.startswith(head.data) or len(head.data) - 2 > limit:
        return None
    return head
