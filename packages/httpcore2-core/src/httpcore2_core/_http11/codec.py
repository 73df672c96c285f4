"""HTTP/1.1 as an object without I/O: what is to be sent -> bytes; bytes -> what was received.

There is a fast path, and h11 as fallback and reference. Heads that match strict forms (`heads.py`) are
read and written here, in a few microseconds, as are bodies; other heads, and trailer sections, are
given to h11 when they are complete. The fast path is never laxer than h11: whatever it accepts, h11
accepts, with the same status, headers, body and reuse of the connection; a differential test holds that.
How the bytes were cut makes no difference: all limits count bytes, and what is incomplete is neither
copied nor scanned again when more of it comes.

One `HTTP11Codec` serves one connection, one exchange after the other:

    data = codec.start_request(...)     then send_data(...), end_request()
    codec.receive(data)                 whatever was read, b"" at the end of the stream
    codec.head()                        None: read more
    codec.data()                        None: read more; b"": the body has ended
    codec.is_reusable                   whether another exchange may follow

Must not know: the network, clocks, connections, pools.
"""

from __future__ import annotations

import re
from enum import Enum

from .._exceptions import LocalProtocolError, RemoteProtocolError
from .._http.bodies import check_size, enforce_chunk
from . import h11_fallback
from .heads import (
    HEAD_LIMIT,
    HeaderBlock,
    ReceivedHead,
    ResponseHead,
    header_block,
    read_head,
    recall_head,
    request_line,
)
from .lines import (
    check_beginning,
    check_lines,
    excerpt,
    find_blank_line,
    match_chunk_line,
    status_line_start,
)

INTERIM_LIMIT = 100
# Chunk extensions and trailers may outweigh the data only so far, as in Go's net/http (CVE-2023-39326).
OVERHEAD_LIMIT = 16 * 1024
OVERHEAD_PER_CHUNK = 16

_match_first_chunk = re.compile(rb"([0-9A-Fa-f]{1,16})\r\n").match
_match_next_chunk = re.compile(rb"\r\n([0-9A-Fa-f]{1,16})\r\n").match


def _broken_off(missing: str) -> RemoteProtocolError:
    return RemoteProtocolError(
        f"peer closed connection without sending complete message body ({missing})"
    )


class RequestState(Enum):
    """How much of the request has been made into bytes."""

    IDLE = "no exchange yet"
    LENGTH = "a body of known length"
    CHUNKED = "a chunked body"
    DONE = "complete"


class ResponseState(Enum):
    """What the next received bytes are."""

    IDLE = "no exchange yet"
    HEAD = "the response's head"
    LENGTH = "a body of known length"
    CHUNKED = "a chunked body"
    TRAILERS = "the fields after a chunked body"
    UNTIL_CLOSE = "a body that ends with the connection"
    DONE = "complete: nothing may follow"
    SWITCHED = "no HTTP any more"


# Enum's own way to its members is slow; see those of `_http.established.State`.
_UNSENT, _SENDING_LENGTH, _SENDING_CHUNKS, SENT = RequestState
_IDLE, _HEAD, _LENGTH, _CHUNKED, _TRAILERS, _UNTIL_CLOSE, DONE, SWITCHED = ResponseState
NO_BODY_LEFT = (DONE, SWITCHED)
# What can be incomplete, and then grows by what is received.
_IN_LINES = (_HEAD, _CHUNKED, _TRAILERS)


class HTTP11Codec:
    """The HTTP/1.1 of one connection, as a client (RFC 9112).

    Attributes:
        request_state: how much of the request has been made into bytes.
        response_state: what the next received bytes are.
        head_limit: how many bytes a response's head, or a trailer section, may have before its blank line.
        head_size: how long the next head is if it is like the last, and a large body followed; else 0.
        keep_alive_timeout: seconds for which the server will keep the connection, if it said so.
        trailers: the fields after a chunked body, once it has ended.
    """

    __slots__ = (
        "_block",
        "_data",
        "_ended",
        "_head",
        "_interim",
        "_keeps_alive",
        "_left_to_receive",
        "_left_to_send",
        "_overhead",
        "_received",
        "_request",
        "_scanned",
        "head_limit",
        "head_size",
        "keep_alive_timeout",
        "request_state",
        "response_state",
        "trailers",
    )

    def __init__(self, head_limit: int = HEAD_LIMIT) -> None:
        self.head_limit = head_limit
        self.request_state = _UNSENT
        self.response_state = _IDLE
        self.head_size = 0
        self.keep_alive_timeout: int | None = None
        self.trailers: list[tuple[bytes, bytes]] = []
        self._request: tuple[bytes, bytes, list[tuple[bytes, bytes]]] = (b"", b"", [])
        self._block: HeaderBlock | None = None
        self._left_to_send = 0
        self._keeps_alive = True
        self._data = b""  # received and not yet handed out; see `receive`
        self._ended = False  # the peer closed its side
        self._scanned = 0  # of an incomplete head, chunk line or trailer section
        self._interim = 0  # responses
        self._left_to_receive = 0
        self._received = 0  # of the data of a chunked body
        self._overhead = 0  # of chunk extensions, beyond what each chunk may have
        self._head: ReceivedHead | None = None

    # The request

    def start_request(
        self,
        method: bytes,
        target: bytes,
        headers: list[tuple[bytes, bytes]],
        size: int | None,
    ) -> bytes:
        """Begin an exchange, and return the request's head.

        Args:
            method: the method.
            target: the request target.
            headers: the header fields, as they are to be sent.
            size: how many bytes the body has, if that is known; it must be what `headers` declare.

        Raises:
            LocalProtocolError: HTTP does not allow it. The codec is as before.
        """
        block = self._block
        if block is None or block.headers != headers:
            block = self._block = header_block(headers)
        line = request_line(method, target)
        if line is None or not block.is_plain:
            head = h11_fallback.check_request(method, target, headers)
        else:
            head = line + block.lines
        chunked = block.chunked
        declared = 0
        if block.length is not None:
            if chunked:
                raise LocalProtocolError(
                    "A request must not have both Content-Length and Transfer-Encoding "
                    "(RFC 9112, section 6.2)."
                )
            # What h11 has passed may still be a list of equal lengths.
            declared = int(block.length.split(b",")[0])
        if size is not None and size != declared and not chunked:
            check_size(size - declared)

        self._request = (method, target, block.headers)
        self._left_to_send = declared
        if chunked:
            self.request_state = _SENDING_CHUNKS
        elif declared:
            self.request_state = _SENDING_LENGTH
        else:
            self.request_state = SENT
        self.response_state = _HEAD
        self._keeps_alive = not block.close
        if self.trailers:
            self.trailers = []
        return head

    def send_data(self, data: bytes) -> bytes:
        """Return `data` framed as part of the request's body.

        Raises:
            LocalProtocolError: the body is longer than its Content-Length.
            TypeError: `data` is not bytes.
        """
        data = enforce_chunk(data)
        if not data:
            return b""  # as a chunk it would end the body
        if self.request_state is _SENDING_CHUNKS:
            return b"%x\r\n%b\r\n" % (len(data), data)
        self._left_to_send -= len(data)
        check_size(-min(0, self._left_to_send))
        if not self._left_to_send:
            self.request_state = SENT
        return data

    def end_request(self) -> bytes:
        """Return what ends the request's body.

        Raises:
            LocalProtocolError: the body is shorter than its Content-Length.
        """
        if self.request_state is _SENDING_CHUNKS:
            self.request_state = SENT
            return b"0\r\n\r\n"
        check_size(-self._left_to_send)
        return b""

    def abandon_request(self) -> None:
        """Send no more of the request: the server can't tell where the next one would begin."""
        self._keeps_alive = False

    # The response

    def receive(self, data: bytes) -> None:
        """Take in what was read; `b""` for the end of the stream."""
        if not data:
            self._ended = True
            self._keeps_alive = False
        elif not self._data:
            self._data = data
        elif self.response_state in _IN_LINES:
            # More can be added to a bytearray without a copy of what is there.
            if type(self._data) is bytes:
                self._data = bytearray(self._data)  # type: ignore[assignment]
            self._data += data
        else:
            self._data += data

    def head(self) -> ResponseHead | None:
        """Return the response's head; `None` if more bytes are needed.

        Raises:
            RemoteProtocolError: it is no response, is too long, or was broken off.
        """
        assert self.response_state is _HEAD, "a response is due"
        data = self._data
        if type(data) is bytes and self._request[0] != b"CONNECT":  # it came in one piece
            head = self._head
            if head is None or not data.startswith(head.data):
                head = recall_head(data, self.head_limit) or read_head(data, self.head_limit)
            if head is not None:
                return self._begin_body(head)
        return self._next_head()

    def _next_head(self) -> ResponseHead | None:
        """Read a head that is not complete yet, or not in the strict form, or follows an interim response."""
        while True:
            data = self._data
            check_beginning(data)
            end = self._find_section_end(self.head_limit, "head")
            if end is None:
                if self._ended:
                    raise RemoteProtocolError("Server disconnected without sending a response.")
                check_lines(data, self._scanned, status_line_start(data))
                self._scanned = len(data)
                return None
            block = bytes(data[:end])
            # The answer to CONNECT may leave HTTP: for h11.
            head = None if self._request[0] == b"CONNECT" else read_head(block, self.head_limit)
            has_switched = False
            if head is None:
                head, has_switched = h11_fallback.read_head(self._request, block)
            if has_switched:
                self._drop(end)
                self.response_state = SWITCHED
                self.keep_alive_timeout = None
                return head.head
            if head.head.status >= 200:
                self._data = bytes(data)
                return self._begin_body(head)
            self._drop(end)
            if head.close:
                self._keeps_alive = False
            self._interim += 1
            if self._interim > INTERIM_LIMIT:
                raise RemoteProtocolError(
                    f"The server sent more than {INTERIM_LIMIT} interim responses "
                    "before its response."
                )

    def _find_section_end(self, limit: int, section: str) -> int | None:
        """Return where the head or trailer section ends that is due; `None` if more bytes are needed.

        Raises:
            RemoteProtocolError: it is too long, however much of it has come.
        """
        data = self._data
        found = find_blank_line(data, max(0, self._scanned - 2))
        # A blank line that is still to come begins with the last byte at the earliest.
        size = len(data) - 1 if found is None else found.start() + 1
        if size > limit:
            text = f"The response's {section} is longer than {limit} bytes."
            if limit == self.head_limit:
                text += " MAX_INCOMPLETE_EVENT_SIZE of (Async)HTTP11Connection allows more."
            raise RemoteProtocolError(text)
        return None if found is None else found.end()

    def _drop(self, end: int) -> None:
        """Go on with what was received behind `end`."""
        self._data = bytes(self._data[end:])
        self._scanned = 0

    def _begin_body(self, head: ReceivedHead) -> ResponseHead:
        """Go on to the body that follows `head`, with which the received data begin."""
        self._head = head
        self._data = self._data[len(head.data) :]
        self.head_size = head.size_apart
        self._scanned = self._interim = 0
        self.keep_alive_timeout = head.keep_alive_timeout
        if head.close:
            self._keeps_alive = False
        # RFC 9112, section 6.3: how the end of the body is found.
        length = head.length
        if length == 0 or self._request[0] == b"HEAD":
            self.response_state = DONE
        elif length is not None:
            self._left_to_receive = length
            self.response_state = _LENGTH
        elif head.chunked:
            self._left_to_receive = -1
            self._received = self._overhead = 0
            self.response_state = _CHUNKED
        else:
            self.response_state = _UNTIL_CLOSE
            self._keeps_alive = False
        return head.head

    def rest(self) -> bytes | None:
        """Return the rest of a body of known length, if just that is here and the connection is reusable."""
        data = self._data
        if self.response_state is _LENGTH:
            is_all = len(data) == self._left_to_receive
        else:
            is_all = self.response_state is DONE and not data
        if not is_all or not self._keeps_alive or self.request_state is not SENT:
            return None
        self.response_state = DONE
        self._data = b""
        return data

    def data(self) -> bytes | None:
        """Return what is there of the body: `b""` at its end, `None` if more bytes are needed.

        Raises:
            RemoteProtocolError: the framing is wrong, or the stream ended before the body did.
        """
        state = self.response_state
        if state is _LENGTH:
            data = self._data
            left = self._left_to_receive - len(data)
            if left > 0:
                if not data:
                    if self._ended:
                        assert self._head is not None and self._head.length is not None
                        size = self._head.length
                        received = size - self._left_to_receive
                        raise _broken_off(f"received {received} bytes, expected {size}")
                    return None
                self._left_to_receive = left
                self._data = b""
                return data
            self.response_state = DONE
            if left:
                self._data = data[left:]  # surplus: it condemns the connection
                return data[:left]
            self._data = b""
            return data
        if state is _CHUNKED:
            return self._chunked_data()
        if state is _UNTIL_CLOSE:
            data = self._data
            self._data = b""
            if data or not self._ended:
                return data or None
            self.response_state = DONE
        elif state is _TRAILERS:
            return self._read_trailers([])
        else:
            assert state in NO_BODY_LEFT, "the head comes first"
        return b""

    @property
    def is_reusable(self) -> bool:
        """Whether another exchange may follow.

        Both messages are complete, nobody closes, and nothing came besides.
        """
        return (
            self.response_state is DONE
            and self.request_state is SENT
            and self._keeps_alive
            and not self._data
        )

    @property
    def is_unanswered(self) -> bool:
        """Whether a response is due of which not a byte has come."""
        return self.response_state is _HEAD and not self._interim and not self._data

    @property
    def leading_data(self) -> bytes:
        """After an upgrade, what was received with it: the first bytes of the new protocol."""
        return self._data

    def _chunked_data(self) -> bytes | None:
        """Read chunks; what came together is handed out as one piece."""
        data = self._data
        position = 0
        left = self._left_to_receive  # of the current chunk; -1 before the first
        pieces: list[bytes] = []
        received = self._received  # of this body, with those of `pieces` that were counted
        counted = 0
        while True:
            if left > 0:
                piece = data[position : position + left]
                if not piece:
                    break
                pieces.append(piece)
                position += len(piece)
                left -= len(piece)
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
                received += sum(map(len, pieces[counted:]))
                counted = len(pieces)
                self._count_overhead(matched, received)
            left = int(matched[1], 16)
            position = matched.end()
            if left == 0:
                if data[position : position + 2] == b"\r\n":
                    self.response_state = DONE
                    self._drop(position + 2)
                    return b"".join(pieces)
                self._received += sum(map(len, pieces))
                self._drop(position)
                self.response_state = _TRAILERS
                return self._read_trailers(pieces)
        if position:
            self._data = data[position:]
        self._scanned = len(self._data)
        self._left_to_receive = left
        if self._ended and not pieces:
            raise _broken_off("incomplete chunked read")
        body = b"".join(pieces)
        self._received += len(body)
        return body or None

    def _count_overhead(self, line: re.Match[bytes], received: int) -> None:
        """Count a size line that is not plain; `received` is how much data came before it."""
        self._overhead += line.end() - line.start() - OVERHEAD_PER_CHUNK
        if self._overhead > OVERHEAD_LIMIT + 2 * (received + int(line[1], 16)):
            raise RemoteProtocolError(
                f"The body's chunk extensions are longer than {OVERHEAD_LIMIT} bytes, "
                f"{OVERHEAD_PER_CHUNK} bytes a chunk and twice the data."
            )

    def _read_trailers(self, pieces: list[bytes]) -> bytes | None:
        """Read what follows the last chunk; `pieces` are those of the body that came with it."""
        data = self._data
        if data[:2] == b"\r\n":
            end: int | None = 2
        elif data[:1] == b"\n":
            end = 1
        else:
            allowed = OVERHEAD_LIMIT + 2 * self._received - self._overhead
            end = self._find_section_end(min(allowed, self.head_limit), "trailer section")
            if end is not None:
                self.trailers = h11_fallback.read_trailers(bytes(data[:end]))
        if end is None:
            check_lines(data, self._scanned, None)
            self._scanned = len(data)
            if self._ended and not pieces:
                raise _broken_off("incomplete chunked read")
            return b"".join(pieces) or None
        self._drop(end)
        self.response_state = DONE
        return b"".join(pieces)
