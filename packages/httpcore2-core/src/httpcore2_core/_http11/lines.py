"""Checks lines as they are received: whether they may be part of a response, and the error if they can't.

A head or trailer section is parsed when its blank line was received. Until then each line is checked once, when it is
complete, and of an incomplete line only the beginning. So bytes that can never become a response are refused at once,
and a peer that sends byte by byte causes no more work than one that sends all at once. Must not know: states, h11,
the network.
"""

from __future__ import annotations

import re

from .._exceptions import RemoteProtocolError
from .._http.fields import TOKEN

# As in Go's net/http; line end included.
LINE_LIMIT = 4 * 1024

SETTING_HINT = " To allow more, raise MAX_INCOMPLETE_EVENT_SIZE of (Async)HTTP11Connection."

_EXCERPT_SIZE = 60
# How much of an incomplete line is checked each time that more of it is received.
_BEGINNING = 64

# Patterns for lines that h11 may accept. Of the control characters it refuses these, and so do we.
_LINE_END = rb"[^\0\v\f\r\n]*\r?\n"

_find_blank_line = re.compile(rb"\n\r?\n").search
_match_status_line = re.compile(rb"HTTP/[0-9]\.[0-9] [0-9]{3}(?: " + _LINE_END + rb"|\r?\n)").match
# Blanks before the colon, and a line of blanks after the status line: see `h11_fallback`.
_match_field_line = re.compile(rb"(?:" + TOKEN + rb"[ \t]*:|[ \t])" + _LINE_END).match
_may_be_field_line = re.compile(rb"[ \t]|\r?\Z|" + TOKEN + rb"[ \t]*(?::|\Z)").match
_match_chunk_line = re.compile(rb"([0-9A-Fa-f]{1,20})[ \t]*(?:;[^\n]*)?\r\n").match
_may_be_chunk_line = re.compile(rb"[0-9A-Fa-f]{0,20}\Z|[0-9A-Fa-f]{1,20}[ \t]*(?:;|\r?\Z)").match

_STATUS_LINE = b"HTTP/1.1 200 "
_begins_status_line = re.compile(rb"HTTP/[0-9]\.[0-9] [0-9]{3}[ \r\n]").fullmatch

_CAUSES = (
    (rb"[\x14-\x17]\x03[\0-\x04]", "This is TLS: the URL may have to begin with https."),
    (rb"\0.{2}\x04\0\0{4}", "This is HTTP/2: set http1=False, http2=True."),
    (rb"SSH-", "This is an SSH server."),
    (rb"(?:220|421|554)[ -]", "This is a mail or FTP server."),
    (rb"\s*<", "This is HTML or XML without a response head: HTTP/0.9 is not supported."),
    (rb"[A-Z]+ [^ ]+ HTTP/", "This is a request: the server may send back what it receives."),
    (rb"HTTP/", "The status line is malformed (RFC 9112, section 4)."),
)


def excerpt(data: bytes | bytearray, start: int = 0) -> str:
    """Return `data` from `start` on for a message: escaped, and cut off after 60 bytes."""
    beginning = bytes(data[start : start + _EXCERPT_SIZE])
    return repr(beginning) if len(data) - start <= _EXCERPT_SIZE else f"{beginning!r}…"


# Heads and trailer sections


def status_line_start(data: bytes | bytearray) -> int:
    """Return where the status line begins: an empty line may precede it (RFC 9112, section 2.2)."""
    if data[:1] == b"\n":
        return 1
    return 2 if data[:2] == b"\r\n" else 0


def check_beginning(data: bytes | bytearray) -> None:
    """Check that `data` begins as a response does, as far as it was received.

    Raises:
        RemoteProtocolError: it does not.
    """
    if data == b"\r":
        return
    start = status_line_start(data)
    beginning = bytes(data[start : start + len(_STATUS_LINE)])
    if _begins_status_line(beginning + _STATUS_LINE[len(beginning) :]):
        return
    # Compiled where they are needed: at import that takes time.
    causes = (cause for form, cause in _CAUSES if re.compile(form, re.DOTALL).match(data, start))
    raise RemoteProtocolError(
        f"The server did not send an HTTP/1.1 response, but {excerpt(data)}. "
        + next(causes, "Check the host and the port of the URL.")
    )


def find_section_end(
    data: bytes | bytearray, scanned: int, limit: int, section: str, hint: str
) -> int | None:
    """Return where the head or trailer section ends with which `data` begins; `None` if more bytes are needed.

    Args:
        data: what was received.
        scanned: up to where there is no blank line.
        limit: how many bytes the section may have before its blank line.
        section: its name, for the error.
        hint: what to do if it is too long.

    Raises:
        RemoteProtocolError: it is too long, whether all of it was received or not.
    """
    found = _find_blank_line(data, max(0, scanned - 2))
    # A blank line that is still to come begins with the last byte at the earliest.
    size = len(data) - 1 if found is None else found.start() + 1
    if size > limit:
        raise RemoteProtocolError(f"The response's {section} is longer than {limit} bytes.{hint}")
    return None if found is None else found.end()


def check_lines(data: bytes | bytearray, scanned: int, status_line_at: int | None) -> None:
    """Check the lines of an incomplete head or trailer section as far as they were received.

    Args:
        data: its beginning.
        scanned: how much of it was checked before.
        status_line_at: where its status line begins; `None` for a trailer section.

    Raises:
        RemoteProtocolError: a line is neither the status line nor a field line.
    """
    end = data.rfind(b"\n", scanned) + 1
    if end:
        start = data.rfind(b"\n", 0, scanned) + 1
        if status_line_at is not None:
            start = max(start, status_line_at)
        while start < end:
            match = _match_status_line if start == status_line_at else _match_field_line
            matched = match(data, start)
            if matched is None:
                raise RemoteProtocolError(f"illegal header line: {excerpt(data, start)}")
            start = matched.end()
    # The beginning of the line that is not complete, if that is where the new bytes are.
    start = data.rfind(b"\n", max(0, scanned - _BEGINNING)) + 1
    if start == 0 and (scanned > _BEGINNING or status_line_at is not None):
        return
    if start != status_line_at and not _may_be_field_line(data, start, start + _BEGINNING):
        raise RemoteProtocolError(f"illegal header line: {excerpt(data, start)}")


# Chunks


def match_chunk_line(data: bytes | bytearray, start: int, scanned: int) -> re.Match[bytes] | None:
    """Match a chunk's size line (RFC 9112, section 7.1).

    Args:
        data: what was received.
        start: where the line begins.
        scanned: up to where there is no line feed.

    Returns:
        The line, of which the size is the first group; `None` if more bytes are needed.

    Raises:
        RemoteProtocolError: it is not a size line, or too long.
    """
    end = data.find(b"\n", max(start, scanned), start + LINE_LIMIT)
    if end >= 0:
        matched = _match_chunk_line(data, start)
        if matched is not None:
            return matched
        if data[end - 1 : end] != b"\r":
            raise RemoteProtocolError(
                f"illegal chunk header: {excerpt(data[: end + 1], start)} ends in LF; "
                "CRLF is required (RFC 9112, section 7.1)"
            )
    elif len(data) - start >= LINE_LIMIT:
        raise RemoteProtocolError(f"A chunk's size line is longer than {LINE_LIMIT} bytes.")
    elif _may_be_chunk_line(data, start, start + _BEGINNING):
        return None
    raise RemoteProtocolError(
        f"illegal chunk header: {excerpt(data, start)}; "
        "a size in hexadecimal digits is required (RFC 9112, section 7.1)"
    )
