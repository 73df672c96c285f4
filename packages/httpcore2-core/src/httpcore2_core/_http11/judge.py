"""h11, in the two roles that it has here: to rule on what the fast lane does not recognise.

`check_request` rules on a request head; `Judge` reads one response. Their verdicts, texts included,
stand.
Must not know: the network, the fast lane.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .._exceptions import LocalProtocolError, RemoteProtocolError

if TYPE_CHECKING:
    import h11

HEAD_LIMIT = 100 * 1024
INTERIM_LIMIT = 100
# Chunk framing (extensions, trailers) may outweigh the data only so far, as in Go's net/http
# (CVE-2023-39326).
OVERHEAD_LIMIT = 16 * 1024
OVERHEAD_PER_CHUNK = 16
# As in Go's net/http. Besides, h11 refuses some lines in quadratic time: this bounds it to 40 ms.
LINE_LIMIT = 4 * 1024

_FRAMING = (b"content-length", b"transfer-encoding")
_find_blank_line = re.compile(rb"\n\r?\n").search
_find_illegal = re.compile(rb"[\0\v\f]|\r[^\n]").search
_is_last_chunk = re.compile(rb"[\r\n]*0+[;\s]").match


def _check_fields(lines: bytes) -> None:
    """Refuse long header fields that h11 would refuse: 100 kB of blanks and a NUL take it 20 s."""
    end = _find_blank_line(lines)
    if end is not None and end.end() > LINE_LIMIT and _find_illegal(lines, 0, end.end()):
        raise RemoteProtocolError("illegal header line: it has a control character")


def check_request(method: bytes, target: bytes, headers: list[tuple[bytes, bytes]]) -> bytes:
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


class Judge:
    """Reads one response, from its first byte to its last.

    Attributes:
        trailers: the fields after a chunked body, once it has ended.
    """

    __slots__ = (
        "_chunks",
        "_connection",
        "_data_size",
        "_has_lines",
        "_in_trailers",
        "_interim",
        "_received",
        "trailers",
    )

    def __init__(self, method: bytes, target: bytes, headers: list[tuple[bytes, bytes]]) -> None:
        import h11

        self._connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_LIMIT)
        # How a response is read depends on the method, on `Connection` and on `Upgrade`, never on
        # the request's body: without it the request is complete, and h11 can follow an upgrade to
        # its end.
        self._connection.send(
            h11.Request(
                method=method,
                target=target,
                headers=[pair for pair in headers if pair[0].lower() not in _FRAMING],
            )
        )
        self._connection.send(h11.EndOfMessage())
        self._interim = 0
        self._received = 0
        self._data_size = 0
        self._chunks = 0
        self._has_lines = False  # what follows is a chunk's size
        self._in_trailers = False
        self.trailers: list[tuple[bytes, bytes]] = []

    def receive(self, data: bytes) -> None:
        """Take in what was read; `b""` for the end of the stream."""
        self._received += len(data)
        self._connection.receive_data(data)

    def head(self) -> h11.Response | h11.InformationalResponse | None:
        """Return the head of the final response, or of an upgrade; `None` if more bytes are needed.

        Raises:
            RemoteProtocolError: it is no response, is too long, or follows too many interim ones.
        """
        import h11

        while True:
            _check_fields(self.unread)
            event = self._next()
            if not isinstance(event, h11.Response | h11.InformationalResponse):
                return None
            # h11 limits only what comes in pieces.
            unread = len(self.unread)
            if self._received - unread > HEAD_LIMIT:
                raise RemoteProtocolError(f"The response's head is longer than {HEAD_LIMIT} bytes.")
            self._received = unread
            if isinstance(event, h11.Response) or event.status_code == 101:
                self._has_lines = any(name == b"transfer-encoding" for name, _ in event.headers)
                return event
            self._interim += 1
            if self._interim > INTERIM_LIMIT:
                raise RemoteProtocolError(
                    f"The server sent more than {INTERIM_LIMIT} interim responses "
                    "before its response."
                )

    def body(self) -> tuple[bytes, bool]:
        """Return what is there of the body, and whether it has ended.

        Raises:
            RemoteProtocolError: the framing is wrong, was broken off, or outweighs the data.
        """
        import h11

        pieces = []
        while True:
            if self._has_lines:
                self._check_lines()
            event = self._next()
            if isinstance(event, h11.Data):
                self._has_lines = event.chunk_end
                pieces.append(bytes(event.data))
                self._data_size += len(event.data)
                self._chunks += event.chunk_start
                continue
            if isinstance(event, h11.EndOfMessage):
                self.trailers = list(event.headers.raw_items())
                return b"".join(pieces), True
            framing = self._received - len(self.unread) - self._data_size
            allowed = OVERHEAD_LIMIT + OVERHEAD_PER_CHUNK * self._chunks + 2 * self._data_size
            if framing > allowed:
                raise RemoteProtocolError("The framing of the chunked body outweighs its data.")
            return b"".join(pieces), False

    @property
    def unread(self) -> bytes:
        """What was received and not yet read as part of the response."""
        unread: bytes = self._connection.trailing_data[0]
        return unread

    @property
    def has_switched(self) -> bool:
        """Whether the connection has left HTTP, by an upgrade or CONNECT."""
        import h11

        return self._connection.their_state is h11.SWITCHED_PROTOCOL

    @property
    def keeps_alive(self) -> bool:
        """Whether, the response having ended, another may follow it."""
        import h11

        return self._connection.their_state is h11.DONE

    def _check_lines(self) -> None:
        unread = self.unread
        self._in_trailers = self._in_trailers or _is_last_chunk(unread) is not None
        if self._in_trailers:
            _check_fields(unread)
        elif len(unread) > LINE_LIMIT and unread.find(b"\r\n", 2, LINE_LIMIT) < 0:
            raise RemoteProtocolError(f"A chunk's size line is longer than {LINE_LIMIT} bytes.")

    def _next(self) -> object:
        import h11

        try:
            return self._connection.next_event()
        except h11.RemoteProtocolError as exc:
            raise RemoteProtocolError(str(exc)) from exc
