"""Reads the body of a chunked response, and the trailer section behind it (RFC 9112, section 7.1).

All limits count bytes, however these were cut, and what is incomplete is searched from where the last search ended.
Must not know: heads, the states of the exchange, the network.
"""

from __future__ import annotations

import re

from .._exceptions import RemoteProtocolError
from .._http.fields import Headers
from . import h11_fallback
from .lines import SETTING_HINT, check_lines, excerpt, find_section_end, match_chunk_line

# Chunk extensions and trailers may outweigh the data only so far, as in Go's net/http (CVE-2023-39326).
OVERHEAD_LIMIT = 16 * 1024
OVERHEAD_PER_CHUNK = 16

_match_first_chunk = re.compile(rb"([0-9A-Fa-f]{1,16})\r\n").match
_match_next_chunk = re.compile(rb"\r\n([0-9A-Fa-f]{1,16})\r\n").match


def incomplete_body(missing: str) -> RemoteProtocolError:
    """Return the error for a body that the end of the connection has cut off; `missing` says what of it."""
    return RemoteProtocolError(
        f"peer closed connection without sending complete message body ({missing})"
    )


class ChunkedBody:
    """What is known of one chunked body so far.

    Attributes:
        unread: what was received, and not read yet.
        in_trailers: the last chunk was read, and fields follow.
        is_complete: the body and its trailer section were read; `unread` does not belong to them.
        trailers: the fields after the body, once it is complete.
    """

    __slots__ = (
        "_left",
        "_overhead",
        "_received",
        "_scanned",
        "_section_limit",
        "in_trailers",
        "is_complete",
        "trailers",
        "unread",
    )

    def __init__(self, section_limit: int) -> None:
        """Begin; the trailer section may have `section_limit` bytes before its blank line."""
        self._section_limit = section_limit
        self._left = -1  # of the current chunk; -1 before the first
        self._received = 0  # of the data
        self._overhead = 0  # of chunk extensions, beyond what each chunk may have
        self._scanned = 0  # of an incomplete line or section, with which `unread` begins
        self.in_trailers = False
        self.is_complete = False
        self.trailers: Headers = []
        self.unread: bytes = b""

    def read(self, data: bytes, has_ended: bool) -> bytes | None:
        """Read chunks, and return their data joined: `b""` at the end of the body, `None` if more bytes are needed.

        Args:
            data: what was received: `unread`, and what came after it.
            has_ended: whether nothing more comes.

        Raises:
            RemoteProtocolError: the framing is wrong or too large, or the connection ended before the body did.
        """
        if self.in_trailers:
            return self._read_trailers(data, [], has_ended)
        position = 0
        left = self._left
        chunks: list[bytes] = []
        received = self._received  # with those of `chunks` that were counted
        counted = 0
        while True:
            if left > 0:
                chunk = data[position : position + left]
                if not chunk:
                    break
                chunks.append(chunk)
                position += len(chunk)
                left -= len(chunk)
                continue
            matched = (_match_first_chunk if left < 0 else _match_next_chunk)(data, position)
            if matched is None:
                start = position
                if left == 0:
                    if data[start : start + 2] != b"\r\n"[: len(data) - start]:
                        raise RemoteProtocolError(
                            "A chunk of the body is longer than its size says: "
                            f"{excerpt(data, start)} follows it, and not CRLF."
                        )
                    start += 2
                matched = match_chunk_line(data, start, self._scanned)
                if matched is None:
                    break
                received += sum(map(len, chunks[counted:]))
                counted = len(chunks)
                self._count_overhead(matched, received)
            left = int(matched[1], 16)
            position = matched.end()
            if left == 0:
                if data[position : position + 2] == b"\r\n":
                    self._complete(data, position + 2)
                    return b"".join(chunks)
                self._received += sum(map(len, chunks))
                self.in_trailers = True
                self._scanned = 0
                return self._read_trailers(bytes(data[position:]), chunks, has_ended)
        self.unread = data[position:] if position else data
        self._scanned = len(self.unread)
        self._left = left
        if has_ended and not chunks:
            raise incomplete_body("incomplete chunked read")
        body = b"".join(chunks)
        self._received += len(body)
        return body or None

    def _count_overhead(self, line: re.Match[bytes], received: int) -> None:
        """Count a size line with an extension; `received` is how much data came before it."""
        self._overhead += line.end() - line.start() - OVERHEAD_PER_CHUNK
        if self._overhead > OVERHEAD_LIMIT + 2 * (received + int(line[1], 16)):
            raise RemoteProtocolError(
                f"The body's chunk extensions are longer than {OVERHEAD_LIMIT} bytes, "
                f"{OVERHEAD_PER_CHUNK} bytes a chunk and twice the data."
            )

    def _read_trailers(self, data: bytes, chunks: list[bytes], has_ended: bool) -> bytes | None:
        """Read the section after the last chunk; `chunks` are those of the body that came with it."""
        if data[:2] == b"\r\n":
            end: int | None = 2
        elif data[:1] == b"\n":
            end = 1
        else:
            allowed = OVERHEAD_LIMIT + 2 * self._received - self._overhead
            limit = min(allowed, self._section_limit)
            hint = SETTING_HINT if limit == self._section_limit else ""
            end = find_section_end(data, self._scanned, limit, "trailer section", hint)
            if end is not None:
                self.trailers = h11_fallback.read_trailers(bytes(data[:end]))
        if end is None:
            check_lines(data, self._scanned, None)
            self.unread = data
            self._scanned = len(data)
            if has_ended and not chunks:
                raise incomplete_body("incomplete chunked read")
            return b"".join(chunks) or None
        self._complete(data, end)
        return b"".join(chunks)

    def _complete(self, data: bytes, end: int) -> None:
        self.unread = bytes(data[end:])
        self.is_complete = True
