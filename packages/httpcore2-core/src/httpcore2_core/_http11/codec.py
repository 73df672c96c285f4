"""HTTP/1.1 as an object without I/O: what is to be sent -> bytes; bytes -> what was received.

There is a fast lane, and h11 is the judge. What matches strict forms (`heads.py`) is read and written
here, in a few microseconds. Anything else is given to h11, whose verdict stands. The lane is never
laxer than h11: whatever it accepts, h11 accepts, with the same status, headers, body and fate of
the connection; a differential test holds that.

One `Codec` serves one connection, one exchange after the other:

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

from .._bodies import check_size, enforce_chunk
from .._exceptions import LocalProtocolError, RemoteProtocolError
from .heads import (
    HeaderBlock,
    PlainHead,
    ResponseHead,
    header_block,
    keep_alive_timeout_of,
    read_head,
    recall_head,
    request_line,
)
from .judge import HEAD_LIMIT, Judge, check_request

_find_blank_line = re.compile(rb"\n\r?\n").search
_match_first_chunk = re.compile(rb"([0-9A-Fa-f]{1,16})\r\n").match
_match_next_chunk = re.compile(rb"\r\n([0-9A-Fa-f]{1,16})\r\n").match
_NO_START = frozenset(bytes([code]) for code in range(0x21))
_CHUNK_LINE_SIZE = 20  # the longest that these match


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
    UNTIL_CLOSE = "a body that ends with the connection"
    JUDGED = "a message that h11 reads"
    DONE = "complete: nothing may follow"
    SWITCHED = "no HTTP any more"


# Enum's own way to its members is slow; see those of `_established.State`.
_UNSENT, _SENDING_LENGTH, _SENDING_CHUNKS, SENT = RequestState
_IDLE, _HEAD, _LENGTH, _CHUNKED, _UNTIL_CLOSE, _JUDGED, DONE, SWITCHED = ResponseState
NO_BODY_LEFT = (DONE, SWITCHED)


class Codec:
    """The HTTP/1.1 of one connection, as a client (RFC 9112).

    Attributes:
        request_state: how much of the request has been made into bytes.
        response_state: what the next received bytes are.
        head_size: how long the next head is if it is like the last, and a large body followed; else 0.
        keep_alive_timeout: seconds for which the server will keep the connection, if it said so.
        trailers: the fields after a chunked body, once it has ended.
    """

    __slots__ = (
        "_block",
        "_data",
        "_ended",
        "_judge",
        "_keeps_alive",
        "_left_to_receive",
        "_left_to_send",
        "_plain_head",
        "_request",
        "_scanned",
        "head_size",
        "keep_alive_timeout",
        "request_state",
        "response_state",
        "trailers",
    )

    def __init__(self) -> None:
        self.request_state = _UNSENT
        self.response_state = _IDLE
        self.head_size = 0
        self.keep_alive_timeout: int | None = None
        self.trailers: list[tuple[bytes, bytes]] = []
        self._request: tuple[bytes, bytes, list[tuple[bytes, bytes]]] = (b"", b"", [])
        self._block: HeaderBlock | None = None
        self._left_to_send = 0
        self._keeps_alive = True
        self._data = b""  # received and not yet handed out
        self._ended = False  # the peer closed its side
        self._scanned = 0  # of an incomplete head, how much holds no blank line
        self._left_to_receive = 0
        self._judge: Judge | None = None
        self._plain_head: PlainHead | None = None

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
            head = check_request(method, target, headers)
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

    # The response

    def receive(self, data: bytes) -> None:
        """Take in what was read; `b""` for the end of the stream."""
        if not data:
            self._ended = True
            self._keeps_alive = False
        if self._judge is not None:
            self._judge.receive(data)
        elif self._data:
            self._data += data
        else:
            self._data = data

    def head(self) -> ResponseHead | None:
        """Return the response's head; `None` if more bytes are needed.

        Raises:
            RemoteProtocolError: it is no response, is too long, or was broken off.
        """
        assert self.response_state is _HEAD, "a response is due"
        if self._ended:
            raise RemoteProtocolError("Server disconnected without sending a response.")
        if self._judge is None:
            data = self._data
            is_connect = self._request[0] == b"CONNECT"  # the answer may leave HTTP: for h11
            if not is_connect:
                plain = self._plain_head
                if plain is None or not data.startswith(plain.data):
                    plain = recall_head(data)
                # A head that comes in many pieces is not read from its start each time.
                if plain is None and (
                    not self._scanned or _find_blank_line(data, self._scanned) is not None
                ):
                    plain = read_head(data)
                if plain is not None:
                    return self._begin_body(plain)
            # What begins with a blank or a control character can't become a head: TLS, say.
            may_come = len(data) <= HEAD_LIMIT and data[:1] not in _NO_START
            if may_come and _find_blank_line(data, self._scanned) is None:
                self._scanned = max(0, len(data) - 3)
                return None
            self._call_judge(data)
        return self._judged_head()

    def _begin_body(self, head: PlainHead) -> ResponseHead:
        """Go on to the body that follows `head`, with which the received data begin."""
        self._plain_head = head
        self._data = self._data[len(head.data) :]
        self.head_size = head.size_apart
        self._scanned = 0
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
                        assert self._plain_head is not None and self._plain_head.length is not None
                        size = self._plain_head.length
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
        elif state is _JUDGED:
            return self._judged_data([])
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
        return self.response_state is _HEAD and self._judge is None and not self._data

    @property
    def leading_data(self) -> bytes:
        """After an upgrade, what was received with it: the first bytes of the new protocol."""
        return self._data

    def _chunked_data(self) -> bytes | None:
        """Read chunks while they are plain; what came together is handed out as one piece."""
        data = self._data
        size = len(data)
        position = 0
        left = self._left_to_receive  # of the current chunk; -1 before the first
        pieces = []
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
                rest = data[position:]
                if left == 0:
                    if rest[:2] != b"\r\n"[: len(rest)]:
                        raise RemoteProtocolError(
                            "A chunk of the body is longer than its size says."
                        )
                    if len(rest) < _CHUNK_LINE_SIZE and b"\n" not in rest[2:]:
                        break
                    rest = rest[2:]
                elif len(rest) < _CHUNK_LINE_SIZE and b"\n" not in rest:
                    break
                return self._chunks_to_judge(rest, pieces)
            left_now = int(matched[1], 16)
            if left_now == 0:
                end = matched.end()
                if data[end : end + 2] == b"\r\n":
                    self.response_state = DONE
                    self._data = data[end + 2 :]
                    return b"".join(pieces)
                if size - end < 2 and data[end:] in (b"", b"\r"):
                    break
                return self._chunks_to_judge(data[matched.start(1) :], pieces)
            left = left_now
            position = matched.end()
        self._data = data[position:]
        self._left_to_receive = left
        if self._ended and not pieces:
            raise _broken_off("incomplete chunked read")
        return b"".join(pieces) or None

    # The judge

    def _call_judge(self, data: bytes) -> Judge:
        """Let h11 read the response from its first byte on."""
        self._judge = judge = Judge(*self._request)
        self._data = b""
        self._scanned = 0
        self.keep_alive_timeout = None
        judge.receive(data)
        return judge

    def _dismiss_judge(self, judge: Judge) -> None:
        """Take back what h11 has not read: whatever it is, it is not part of the response."""
        self._data = judge.unread
        self._judge = None

    def _chunks_to_judge(self, rest: bytes, pieces: list[bytes]) -> bytes | None:
        """Let h11 read on at a chunk: it is shown the head, and then that chunk as the first."""
        assert self._plain_head is not None, "there were chunks"
        judge = self._call_judge(self._plain_head.data + rest)
        head = judge.head()
        assert head is not None, "h11 takes what the lane takes"
        if self._ended:
            judge.receive(b"")
        self.response_state = _JUDGED
        return self._judged_data(pieces)

    def _judged_head(self) -> ResponseHead | None:
        assert self._judge is not None, "the judge has been called"
        event = self._judge.head()
        if event is None:
            return None
        headers = list(event.headers.raw_items())
        names = {name.lower() for name, _ in headers}
        if b"content-length" in names and b"transfer-encoding" in names:
            # RFC 9112, section 6.3: somebody on the way may have framed it otherwise.
            self._keeps_alive = False
        for name, value in headers:
            if name.lower() == b"keep-alive":
                self.keep_alive_timeout = keep_alive_timeout_of(value)
        if self._judge.has_switched:
            self.response_state = SWITCHED
            self._dismiss_judge(self._judge)
        else:
            self.response_state = _JUDGED
        return ResponseHead(
            b"HTTP/" + event.http_version, event.status_code, bytes(event.reason), headers
        )

    def _judged_data(self, pieces: list[bytes]) -> bytes | None:
        assert self._judge is not None, "the judge has been called"
        data, ended = self._judge.body()
        if ended:
            self.response_state = DONE
            self.trailers = self._judge.trailers
            self._keeps_alive = self._keeps_alive and self._judge.keeps_alive
            self._dismiss_judge(self._judge)
        data = b"".join([*pieces, data])
        return data if data or ended else None
