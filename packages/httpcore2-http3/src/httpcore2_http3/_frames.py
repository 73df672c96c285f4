"""The frames of HTTP/3 and QPACK, by qh3, with a fast path for those that most servers send. Layer: QUIC.

qh3 parses, decodes and checks each response anew, in Python. The fast path reads a HEADERS frame that is followed by
one DATA frame at most, and remembers decoded fields. All else is left to qh3, the errors of frames included.

Rules: fields are remembered only if their encoding does not refer to the dynamic table of QPACK (RFC 9204, section
4.5.1), whose entries change. Then the same bytes always mean the same, and the peer expects no acknowledgement.
Must not know: requests, streams of requests, the network, clocks.
"""

from __future__ import annotations

from qh3.h3.connection import (
    FrameType,
    H3Connection,
    H3Stream,
    HeadersState,
    Setting,
    encode_frame,
)
from qh3.h3.events import DataReceived, H3Event, HeadersReceived
from qh3.quic.connection import QuicConnection
from qh3.quic.events import StreamDataReceived

from httpcore2_core._http.fields import Headers
from httpcore2_core._http.stream_fields import FieldSection

# Comparing integers is faster.
_DATA = int(FrameType.DATA)
_HEADERS = int(FrameType.HEADERS)
# Encoded fields that are remembered. Servers in Go send the same ones in any order.
_MAX_REMEMBERED = 32
# The largest number that a variable-length integer of one byte and of two bytes has (RFC 9000, section 16).
_ONE_BYTE = 0x3F
_TWO_BYTES = 0x3FFF


class ClientH3(H3Connection):
    """The client's end of the HTTP/3 protocol."""

    def __init__(self, quic: QuicConnection) -> None:
        super().__init__(quic)
        self._heads: dict[bytes, FieldSection] = {}
        self._last_request: tuple[Headers, Headers] | None = None
        self._last_frame = b""

    # Requests

    def send_request(
        self, stream_id: int, pseudo: Headers, headers: Headers, end_stream: bool
    ) -> None:
        """Queue the head of a request.

        Args:
            stream_id: a stream that nothing was sent on.
            pseudo: the pseudo-header fields. A list that was passed before must not have changed.
            headers: the other fields; likewise.
            end_stream: whether the request has no body.
        """
        last = self._last_request
        if last is None or pseudo is not last[0] or headers is not last[1]:
            encoded = self._encode_headers(stream_id, [*pseudo, *headers])
            self._last_frame = encode_frame(FrameType.HEADERS, encoded)
            # A server that allows no dynamic table gets the same bytes for the same fields.
            settings = self._received_settings
            if settings is not None and not settings.get(Setting.QPACK_MAX_TABLE_CAPACITY):
                self._last_request = pseudo, headers
        stream = self._get_or_create_stream(stream_id)
        stream.headers_send_state = HeadersState.AFTER_HEADERS
        stream.sending_ended = end_stream
        self._quic.send_stream_data(stream_id, self._last_frame, end_stream)

    # Responses

    def is_inside_data(self, event: StreamDataReceived) -> bool:
        """Return whether `event` has bytes of a DATA frame, and nothing else: neither its start nor its end.

        Then they are counted, and must not be passed to `handle_event`. A server that sends frames of 32 KiB has 25
        datagrams in each, and qh3's parser takes 3 µs for each of these.
        """
        stream = self._stream.get(event.stream_id)
        if (
            stream is None
            or stream.frame_type != _DATA
            or stream.frame_size is None
            or stream.buffer
            or event.end_stream
            or self._is_done
        ):
            return False
        left = stream.frame_size - len(event.data)
        if left <= 0:
            return False
        stream.frame_size = left
        return True

    def _receive_request_or_push_data(
        self, stream: H3Stream, data: bytes, stream_ended: bool
    ) -> list[H3Event]:
        """Process received bytes of a request's stream, or of a push."""
        start = end = 0
        if (
            stream.headers_recv_state is HeadersState.INITIAL
            and stream.frame_type is None
            and not stream.buffer
            and not stream.blocked
        ):
            start, end = _frame_at(data, 0, _HEADERS)
        block = data[start:end]
        if not block or block[0] != 0:
            # No whole HEADERS frame is next, or its fields refer to the dynamic table.
            return super()._receive_request_or_push_data(stream, data, stream_ended)
        fields = self._heads.get(block)
        if fields is None:
            events = super()._receive_request_or_push_data(stream, data, stream_ended)
            head = events[0] if events else None
            # At the end of a stream, qh3 takes an interim response for a final one.
            if isinstance(head, HeadersReceived) and not head.stream_ended:
                if len(self._heads) >= _MAX_REMEMBERED:
                    self._heads.clear()
                self._heads[block] = head.headers = FieldSection(head.headers)
            return events
        stream.headers_recv_state = HeadersState.AFTER_HEADERS
        stream.receiving_ended = stream_ended
        has_ended = stream_ended and end == len(data)
        head = HeadersReceived(fields, stream.stream_id, has_ended, stream.push_id)
        if end == len(data):
            return [head]
        start, body_end = _frame_at(data, end, _DATA)
        if start and body_end == len(data):
            body = DataReceived(data[start:], stream.stream_id, stream_ended, stream.push_id)
            return [head, body]
        return [head, *super()._receive_request_or_push_data(stream, data[end:], stream_ended)]

    def forget(self, stream_id: int) -> None:
        """Note that nothing more is sent on a stream, which was reset.

        Without this the stream would be kept as long as the connection.
        """
        stream = self._stream.get(stream_id)
        if stream is not None:
            stream.sending_ended = True
            self._maybe_cleanup_stream(stream)


def _frame_at(data: bytes, position: int, frame_type: int) -> tuple[int, int]:
    """Return where the payload of a frame begins and ends; zeros if it is of another type, not whole, or over 16 KiB.

    Args:
        data: received bytes.
        position: where the frame begins.
        frame_type: its type, of one byte.
    """
    if len(data) < position + 3 or data[position] != frame_type:
        return 0, 0
    start = position + 2
    size = data[position + 1]
    if size > _ONE_BYTE:
        start += 1
        size = (size << 8 | data[position + 2]) - 0x4000
        if size > _TWO_BYTES:
            return 0, 0
    end = start + size
    return (start, end) if end <= len(data) else (0, 0)
