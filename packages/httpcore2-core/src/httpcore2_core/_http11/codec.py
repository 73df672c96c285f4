"""HTTP/1.1 without I/O: a request becomes bytes, and received bytes become a response.

There is a fast path, and h11 as fallback and reference. Heads that match strict forms (`heads.py`) are read and
written here, in a few microseconds, as are bodies; h11 reads other heads, and trailer sections, when they are
complete. The fast path is never laxer than h11: h11 accepts each head that it accepts, with the same status, header
fields, body and reuse of the connection. A differential test holds that. However the bytes were cut, the result is
the same: all limits count bytes, and incomplete data is neither copied nor scanned again when more of it comes.

One `HTTP11Codec` serves one connection, one exchange after the other:

    data = codec.start_request(...)     then send_data(...), end_request()
    codec.receive(data)                 the bytes that were read, b"" at the end of the stream
    codec.take_head()                   None: read more
    codec.take_chunk()                  None: read more; b"": the body has ended
    codec.is_reusable                   whether another exchange may follow

The states of both sides, and the events that change them, are in `states.py`.
Must not know: the network, clocks, connections, pools.
"""

from __future__ import annotations

from collections.abc import Mapping

from .._exceptions import LocalProtocolError, RemoteProtocolError
from .._http.bodies import check_size, enforce_chunk
from .._http.expectation import CONTINUE
from .._http.fields import Headers
from .._states import columns
from . import h11_fallback
from .chunked import ChunkedBody, incomplete_body
from .h11_fallback import FallbackHead
from .heads import HEAD_LIMIT, HeaderBlock, HeadMemory, ReceivedHead, ResponseHead
from .lines import SETTING_HINT, check_beginning, check_lines, find_section_end, status_line_start
from .states import (
    REQUEST_TRANSITIONS,
    RESPONSE_TRANSITIONS,
    RequestEvent,
    RequestState,
    ResponseEvent,
    ResponseState,
)

INTERIM_LIMIT = 100

# Enum's own way to its members is slow; see those of `_http.states`.
_SENDING_CHUNKS, SENT = RequestState.SENDING_CHUNKS, RequestState.SENT
HEAD_DUE, _LENGTH, _CHUNKED = ResponseState.HEAD, ResponseState.LENGTH, ResponseState.CHUNKED
_TRAILERS, _UNTIL_CLOSE = ResponseState.TRAILERS, ResponseState.UNTIL_CLOSE
DONE, SWITCHED = ResponseState.DONE, ResponseState.SWITCHED
NO_BODY_LEFT = (DONE, SWITCHED)
# States in which received data may be incomplete, and then grows.
_IN_LINES = (HEAD_DUE, _CHUNKED, _TRAILERS)

# What each event makes of each state.
_requests, _responses = columns(REQUEST_TRANSITIONS), columns(RESPONSE_TRANSITIONS)
_REQUEST_WITHOUT_BODY = _requests[RequestEvent.HEAD_WITHOUT_BODY]
_REQUEST_WITH_LENGTH = _requests[RequestEvent.HEAD_WITH_LENGTH]
_REQUEST_WITH_CHUNKS = _requests[RequestEvent.HEAD_WITH_CHUNKS]
_REQUEST_DATA = _requests[RequestEvent.DATA]
_REQUEST_END = _requests[RequestEvent.END]
_REQUEST_ABANDONED = _requests[RequestEvent.ABANDON]
_RESPONSE_DUE = _responses[ResponseEvent.REQUEST]
_INTERIM_RESPONSE = _responses[ResponseEvent.INTERIM_HEAD]
_RESPONSE_WITHOUT_BODY = _responses[ResponseEvent.HEAD_WITHOUT_BODY]
_RESPONSE_WITH_LENGTH = _responses[ResponseEvent.HEAD_WITH_LENGTH]
_RESPONSE_WITH_CHUNKS = _responses[ResponseEvent.HEAD_WITH_CHUNKS]
_RESPONSE_UNTIL_CLOSE = _responses[ResponseEvent.HEAD_UNTIL_CLOSE]
_LAST_CHUNK = _responses[ResponseEvent.LAST_CHUNK]
_RESPONSE_END = _responses[ResponseEvent.END]
_SWITCH = _responses[ResponseEvent.SWITCH]


class HTTP11Codec:
    """The HTTP/1.1 of one connection, as a client (RFC 9112).

    Attributes:
        request_state: how much of the request has been made into bytes.
        response_state: what the next received bytes are.
        head_limit: how many bytes a response's head, or a trailer section, may have before its blank line.
        interim_heads: takes status and fields of interim responses; `None` drops them.
        was_continued: whether the server has sent 100 (Continue) in answer to the request.
        head_size: how long the next head is if it is like the last, and a large body followed; else 0.
        keep_alive_timeout: seconds for which the server will keep the connection, if it said so.
        trailers: the fields after a chunked body, once it has ended.
        memory: what heads mean; connections of a pool share one.
    """

    __slots__ = (
        "_block",
        "_chunks",
        "_data",
        "_declared",
        "_ended",
        "_head",
        "_interim",
        "_keeps_alive",
        "_left_to_receive",
        "_left_to_send",
        "_method",
        "_scanned",
        "_sent_head",
        "_target",
        "head_limit",
        "head_size",
        "interim_heads",
        "keep_alive_timeout",
        "memory",
        "request_state",
        "response_state",
        "trailers",
        "was_continued",
    )

    def __init__(self, head_limit: int = HEAD_LIMIT) -> None:
        self.head_limit = head_limit
        self.memory = HeadMemory()
        self.request_state = RequestState.IDLE
        self.response_state = ResponseState.IDLE
        self.interim_heads: list[tuple[int, Headers]] | None = None
        self.was_continued = False
        self.head_size = 0
        self.keep_alive_timeout: int | None = None
        self.trailers: Headers = []
        self._method = self._target = b""
        self._block: HeaderBlock | None = None
        self._sent_head = b""  # the bytes of these three
        self._declared = 0  # the length of the body that they declare
        self._left_to_send = 0
        self._keeps_alive = True
        self._data = b""  # received and not taken yet; see `receive`
        self._ended = False  # the peer closed its side
        self._scanned = 0  # of an incomplete head
        self._interim = 0  # responses
        self._left_to_receive = 0
        self._head: ReceivedHead | None = None
        self._chunks: ChunkedBody | None = None

    # States

    def _change_request(self, event: Mapping[RequestState, RequestState]) -> None:
        """Change the request side, by an event's column of its table."""
        self.request_state = event[self.request_state]

    def _change_response(self, event: Mapping[ResponseState, ResponseState]) -> None:
        """Change the response side, by an event's column of its table."""
        self.response_state = event[self.response_state]

    # The request

    def start_request(
        self,
        method: bytes,
        target: bytes,
        headers: Headers,
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
        if (
            block is None
            or block.headers != headers
            or target != self._target
            or method != self._method
        ):
            block = self._write_head(method, target, headers)
        declared = self._declared
        chunked = block.chunked
        if size is not None and size != declared and not chunked:
            check_size(size - declared)

        self._left_to_send = declared
        if chunked:
            self._change_request(_REQUEST_WITH_CHUNKS)
        elif declared:
            self._change_request(_REQUEST_WITH_LENGTH)
        else:
            self._change_request(_REQUEST_WITHOUT_BODY)
        self._change_response(_RESPONSE_DUE)
        self._keeps_alive = not block.close
        if self.trailers:
            self.trailers = []
        return self._sent_head

    def _write_head(self, method: bytes, target: bytes, headers: Headers) -> HeaderBlock:
        """Make the bytes of another head than the last one."""
        block = self.memory.header_block(headers)
        line = self.memory.request_line(method, target)
        if line is None or not block.is_plain:
            head = h11_fallback.check_request(method, target, headers)
        else:
            head = line + block.lines
        declared = 0
        if block.length is not None:
            if block.chunked:
                raise LocalProtocolError(
                    "A request must not have both Content-Length and Transfer-Encoding "
                    "(RFC 9112, section 6.2)."
                )
            # What h11 has passed may still be a list of equal lengths.
            declared = int(block.length.split(b",")[0])
        self._method, self._target = method, target
        self._block, self._sent_head, self._declared = block, head, declared
        return block

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
            self._change_request(_REQUEST_DATA)
            return b"%x\r\n%b\r\n" % (len(data), data)
        self._left_to_send -= len(data)
        check_size(-min(0, self._left_to_send))
        self._change_request(_REQUEST_DATA if self._left_to_send else _REQUEST_END)
        return data

    def end_request(self) -> bytes:
        """Return what ends the request's body.

        Raises:
            LocalProtocolError: the body is shorter than its Content-Length.
        """
        if self.request_state is _SENDING_CHUNKS:
            self._change_request(_REQUEST_END)
            return b"0\r\n\r\n"
        check_size(-self._left_to_send)
        return b""

    @property
    def expects_continue(self) -> bool:
        """Whether the request has asked the server to answer with 100 (Continue) before its body is sent."""
        assert self._block is not None, "a request was started"
        return self._block.expects_continue

    def abandon_request(self) -> None:
        """Send no more of the request: the server can't tell where the next one would begin."""
        self._change_request(_REQUEST_ABANDONED)

    # The response

    def receive(self, data: bytes) -> None:
        """Add `data` to what was received; `b""` for the end of the stream."""
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

    def take_head(self) -> ResponseHead | None:
        """Return the response's head; `None` if more bytes are needed.

        Raises:
            RemoteProtocolError: it is not a response, is too long, or the stream ended within it.
        """
        assert self.response_state is HEAD_DUE, "a response is due"
        data = self._data
        head: ReceivedHead | None = None
        if type(data) is bytes and self._method != b"CONNECT":  # it was received whole
            head = self._head
            if head is None or not data.startswith(head.data):
                head = self.memory.read_head(data, self.head_limit)
        if head is None:
            head = self._next_head()
            if head is None:
                return None
            if self.response_state is SWITCHED:
                return head.head
        self._head = head
        self._data = self._data[len(head.data) :]
        self.head_size = head.size_apart
        self._scanned = self._interim = 0
        self.keep_alive_timeout = head.keep_alive_timeout
        if head.close:
            self._keeps_alive = False
        # RFC 9112, section 6.3: how the end of the body is found.
        length = head.length
        if length == 0 or self._method == b"HEAD":
            self._change_response(_RESPONSE_WITHOUT_BODY)
        elif length is not None:
            self._left_to_receive = length
            self._change_response(_RESPONSE_WITH_LENGTH)
        elif head.chunked:
            self._chunks = ChunkedBody(self.head_limit)
            self._change_response(_RESPONSE_WITH_CHUNKS)
        else:
            self._change_response(_RESPONSE_UNTIL_CLOSE)
            self._keeps_alive = False
        return head.head

    def _next_head(self) -> ReceivedHead | None:
        """Read a head that is not complete, or not in the strict form, or follows an interim response."""
        while True:
            data = self._data
            check_beginning(data)
            end = find_section_end(data, self._scanned, self.head_limit, "head", SETTING_HINT)
            if end is None:
                if self._ended:
                    raise RemoteProtocolError("Server disconnected without sending a response.")
                check_lines(data, self._scanned, status_line_start(data))
                self._scanned = len(data)
                return None
            block = bytes(data[:end])
            head = None
            has_switched = False
            if (
                self._method != b"CONNECT"
            ):  # after which another protocol may follow: h11 decides that
                head = self.memory.read_head(block, self.head_limit)
            if head is None:
                head, has_switched = self._read_by_h11(block)
            if has_switched:
                self._drop(end)
                self._change_response(_SWITCH)
                self.keep_alive_timeout = None
                return head
            if head.head.status >= 200:
                self._data = bytes(data)
                return head
            self._drop(end)
            self._change_response(_INTERIM_RESPONSE)
            if head.close:
                self._keeps_alive = False
            self.was_continued = self.was_continued or head.head.status == CONTINUE
            self._interim += 1
            if self._interim > INTERIM_LIMIT:
                raise RemoteProtocolError(
                    f"The server sent more than {INTERIM_LIMIT} interim responses (1xx) "
                    "before its response."
                )
            if self.interim_heads is not None:
                self.interim_heads.append((head.head.status, head.head.headers))

    def _read_by_h11(self, head: bytes) -> FallbackHead:
        assert self._block is not None, "a request was started"
        return h11_fallback.read_head((self._method, self._target, self._block.headers), head)

    def _drop(self, end: int) -> None:
        """Forget the received data before `end`."""
        self._data = bytes(self._data[end:])
        self._scanned = 0

    def take_remaining(self) -> bytes | None:
        """Return the remaining body, if its length is known, all of it was received, and the connection is reusable."""
        data = self._data
        state = self.response_state
        if not self._keeps_alive or self.request_state is not SENT:
            return None
        if state is _LENGTH:
            if len(data) != self._left_to_receive:
                return None
            self._change_response(_RESPONSE_END)
        elif state is not DONE or data:
            return None
        self._data = b""
        return data

    def take_chunk(self) -> bytes | None:
        """Return the part of the body that was received: `b""` at its end, `None` if more bytes are needed.

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
                        raise incomplete_body(f"received {received} bytes, expected {size}")
                    return None
                self._left_to_receive = left
                self._data = b""
                return data
            self._change_response(_RESPONSE_END)
            if left:
                self._data = data[left:]  # surplus: the connection is not used again
                return data[:left]
            self._data = b""
            return data
        if state is DONE or state is SWITCHED:
            return b""
        if state is _CHUNKED or state is _TRAILERS:
            return self._take_chunked()
        assert state is _UNTIL_CLOSE, "the head comes first"
        data = self._data
        self._data = b""
        if data or not self._ended:
            return data or None
        self._change_response(_RESPONSE_END)
        return b""

    def _take_chunked(self) -> bytes | None:
        chunks = self._chunks
        assert chunks is not None, "the head made it"
        data = chunks.read(self._data, self._ended)
        self._data = chunks.unread
        if chunks.in_trailers and self.response_state is _CHUNKED:
            self._change_response(_LAST_CHUNK)
        if chunks.is_complete:
            self.trailers = chunks.trailers
            self._chunks = None
            self._change_response(_RESPONSE_END)
        return data

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
        return self.response_state is HEAD_DUE and not self._interim and not self._data

    @property
    def leading_data(self) -> bytes:
        """After an upgrade, what was received with it: the first bytes of the new protocol."""
        return self._data
