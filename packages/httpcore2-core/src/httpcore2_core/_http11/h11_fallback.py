"""The h11 fallback: h11 reads and writes the heads and trailer sections that are not of the fast path's strict form.

h11 is given complete heads and sections only, so it scans each of them once; bodies are not its task. What h11
refuses is refused, except for these forms, which some servers send. RFC 9112 says how to read them, so the end of the
message is certain. The connection is not used again after them.

- An empty line before the status line (section 2.2).
- Lines of blanks between the status line and the first field (section 2.2); they are skipped.
- Blanks between a field's name and the colon (section 5.1); they are removed, as a proxy must.
- Transfer-Encoding with `chunked` more than once: it is decoded once, since the outermost coding decides where the
  body ends (section 6.3), and nobody applies it twice (section 6.1).
- Transfer-Encoding with `identity`, which is no coding: before `chunked` it is removed. Alone, the body ends with
  the connection, whatever Content-Length says (section 6.3).

Must not know: the network, the states of an exchange.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from .._exceptions import LocalProtocolError, RemoteProtocolError
from .._http.fields import TOKEN, Headers, keep_alive_timeout, list_elements
from .heads import BODILESS, ReceivedHead, ResponseHead
from .lines import LINE_LIMIT, excerpt, status_line_start

if TYPE_CHECKING:
    import h11

_FRAMING = (b"content-length", b"transfer-encoding")
_CHUNKED_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
_LONGEST_REASON = 200

_find_illegal = re.compile(rb"[\0\v\f]|\r[^\n]").search
_match_blank_lines = re.compile(rb"([^\n]*\n)(?:[ \t]+\r?\n)+").match
_remove_blanks = re.compile(rb"^(" + TOKEN + rb")[ \t]+:", re.MULTILINE).sub
_find_transfer_encoding = re.compile(
    rb"^(transfer-encoding):([^\n]*(?:\n[ \t][^\n]*)*)\n", re.MULTILINE | re.IGNORECASE
)
_unfold = re.compile(rb"\r?\n[ \t]+").sub


def check_request(method: bytes, target: bytes, headers: Headers) -> bytes:
    """Return the request head as h11 writes it.

    Raises:
        LocalProtocolError: HTTP does not allow it (RFC 9112, sections 3 and 5).
    """
    import h11

    connection = h11.Connection(h11.CLIENT)
    try:
        head = connection.send(h11.Request(method=method, target=target, headers=headers))
    except h11.LocalProtocolError as exc:
        raise LocalProtocolError(str(exc)) from exc
    assert head is not None, "a request is always written as bytes"
    return head


class FallbackHead(NamedTuple):
    """A response's head as h11 reads it, and whether another protocol follows it."""

    head: ReceivedHead
    has_switched: bool


def read_head(request: tuple[bytes, bytes, Headers], block: bytes) -> FallbackHead:
    """Read the head of a response, which may be an interim one.

    Args:
        request: the method, the target and the fields of the request that it answers.
        block: all of the head, the blank line included.

    Raises:
        RemoteProtocolError: HTTP does not allow it (RFC 9112, sections 4 to 6).
    """
    import h11

    method, target, headers = request
    # How a response is read depends on the method and on `Upgrade`, never on the request's body: without it the
    # request is complete, and h11 can follow an upgrade to its end.
    connection = h11.Connection(h11.CLIENT)
    headers = [pair for pair in headers if pair[0].lower() not in _FRAMING]
    connection.send(h11.Request(method=method, target=target, headers=headers))
    connection.send(h11.EndOfMessage())
    normal, ends_with_connection = _normalised(block)
    event = _next_event(connection, normal)
    assert isinstance(event, h11.Response | h11.InformationalResponse), "a head is all that is due"

    fields = list(event.headers.raw_items())
    version, reason = b"HTTP/" + event.http_version, bytes(event.reason)
    head = ReceivedHead(block, ResponseHead(version, event.status_code, reason, fields))
    head.close = normal != block
    if isinstance(event, h11.InformationalResponse):
        return FallbackHead(head, connection.their_state is h11.SWITCHED_PROTOCOL)
    head.close = head.close or event.http_version < b"1.1"
    for name, value in event.headers:
        if name == b"content-length":
            head.length = int(value)
        elif name == b"transfer-encoding":
            head.chunked = True
        elif name == b"connection":
            head.close = head.close or b"close" in list_elements(value)
        elif name == b"keep-alive":
            head.keep_alive_timeout = keep_alive_timeout(value)
    if head.length is not None and (head.chunked or ends_with_connection):
        # RFC 9112, section 6.3: an intermediary may have framed it otherwise.
        head.length = None
        head.close = True
    if event.status_code in BODILESS:
        head.leave_out_body()
    return FallbackHead(head, connection.their_state is h11.SWITCHED_PROTOCOL)


def read_trailers(block: bytes) -> Headers:
    """Return the fields of a trailer section, which includes its blank line.

    Raises:
        RemoteProtocolError: HTTP does not allow it (RFC 9112, section 7.1.2).
    """
    import h11

    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "")]))
    connection.receive_data(_CHUNKED_HEAD)
    connection.next_event()
    event = _next_event(connection, b"0\r\n", block)
    assert isinstance(event, h11.EndOfMessage), "the trailer section is all that is due"
    return list(event.headers.raw_items())


def _next_event(connection: h11.Connection, *parts: bytes) -> object:
    import h11

    block = parts[-1]
    # h11 would refuse these, but needs 20 s for 100 kB of blanks and a NUL.
    if len(block) > LINE_LIMIT:
        illegal = _find_illegal(block)
        if illegal is not None:
            start = max(0, illegal.start() - 20)
            raise RemoteProtocolError(
                f"illegal header line: it has a control character, near {excerpt(block, start)}"
            )
    for part in parts:
        connection.receive_data(part)
    try:
        return connection.next_event()
    except h11.RemoteProtocolError as exc:
        text = str(exc)
        if len(text) > _LONGEST_REASON:
            text = f"{text[:_LONGEST_REASON]}…"
        raise RemoteProtocolError(text) from exc


def _normalised(block: bytes) -> tuple[bytes, bool]:
    """Return a head in a form that h11 accepts, if there is one, and whether its body ends with the connection."""
    block = block[status_line_start(block) :]
    blank_lines = _match_blank_lines(block)
    if blank_lines is not None:
        block = blank_lines[1] + block[blank_lines.end() :]
    block = _remove_blanks(rb"\1:", block)
    fields = list(_find_transfer_encoding.finditer(block))
    if not fields:
        return block, False
    values = [_unfold(b" ", field[2].removesuffix(b"\r")).strip(b" \t").lower() for field in fields]
    if values == [b"chunked"]:
        return block, False
    # RFC 9110, section 5.6.1.2: empty elements are ignored.
    codings = [coding.strip(b" \t") for value in values for coding in value.split(b",")]
    codings = [coding for coding in codings if coding]
    while codings and codings[0] == b"identity":
        del codings[0]
    if not codings:
        return _find_transfer_encoding.sub(b"", block), True
    if set(codings) != {b"chunked"}:
        return block, False  # for h11 to refuse
    first = fields[0]
    following = _find_transfer_encoding.sub(b"", block[first.end() :])
    return block[: first.start()] + first[1] + b": chunked\r\n" + following, False
