"""The interface between a session and its codec, which keeps the HTTP/2 protocol without I/O. Layer: stream.

    codec.open_stream(stream, ...)          then window(stream), send_data(stream, ...); or reset(stream)
    codec.receive(data)                     received bytes; the listener is notified
    codec.consumed(stream, ...)             the caller has taken so many bytes of a stream's data
    codec.take()                            the bytes to write, after any of these

A session knows nothing else of a codec, so another implementation can take its place.
Rules: an error of the connection raises `RemoteProtocolError`, an error of one stream is reported to the listener
(RFC 9113, section 5.4). Everything before an error is reported before it is raised. Frames that cost the server
little and us time or memory are counted.  Must not know: how a codec does it, the network.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from httpcore2_core._http.fields import Headers

from ._errors import ErrorCode
from ._stream import Stream

MAX_STREAMS = 100
"""Concurrent requests, if the server allows as many. Until its settings have come, it is assumed to."""

MAX_HEADER_LIST = 100 * 1024
"""The most bytes of a response's field section, counted as in RFC 9113, section 6.5.2."""

MAX_IDLE_FRAMES = 10_000
"""The most frames in a row that bring no response any further, such as PING, SETTINGS and empty DATA."""

IDLE_FRAMES_PER_DATA = 10
"""How many of these a frame with data makes up for. If it were all, a byte now and then would excuse any flood."""

MAX_TABLE = 4096
"""The most bytes of our encoder's dynamic table, even if the server allows more."""

MAX_INTERIM = 100
"""The most interim responses before a final one, as for HTTP/1.1."""


class SettingsReceived(NamedTuple):
    """Settings that the server has changed, by their identifiers (RFC 9113, section 6.5.2)."""

    changed: dict[int, int]


class CodecListener(Protocol):
    """Is notified of received frames, in their order. No method may raise."""

    def on_interim(self, stream: Stream, status: int, headers: Headers) -> None:
        """An interim response (1xx) has come."""

    def on_head(self, stream: Stream) -> None:
        """The head of a final response has come: `stream.head`."""

    def on_data(self, stream: Stream) -> None:
        """Data of a response or of a tunnel has come, and `stream.chunks` is not empty any more."""

    def on_end(self, stream: Stream) -> None:
        """The response is complete, or the server has closed its half of a tunnel: `stream.has_ended`."""

    def on_reset(self, stream: Stream, code: int) -> None:
        """The server has reset the stream, possibly after `on_end`, if our half is open."""

    def on_stream_error(self, stream: Stream, reason: str) -> None:
        """The server broke a rule on the stream, which was reset therefore."""

    def on_window(self, stream: Stream | None) -> None:
        """The server has opened the window of a stream, or of the connection if that is `None`."""

    def on_settings(self, settings: SettingsReceived) -> None:
        """The server has changed its settings; the codec's `limit` is up to date."""

    def on_goaway(self, last_stream_id: int, code: int, debug_data: bytes) -> None:
        """The server accepts no new streams, and has not processed those above `last_stream_id`."""


class HTTP2Codec(Protocol):
    """The client's side of the HTTP/2 protocol on one connection. The first `take()` returns the connection preface.

    Attributes:
        limit: how many streams may be open at a time.
        allows_protocols: whether the server supports extended CONNECT (RFC 8441); `None` until its settings have come.
        outgoing: the bytes to write, in their order. Whoever writes them empties it, or calls `take()`.
    """

    limit: int
    outgoing: list[bytes | memoryview]
    allows_protocols: bool | None

    # Sending

    def open_stream(
        self, stream: Stream, pseudo: Headers, headers: Headers, end_stream: bool
    ) -> bool:
        """Send the head of a request, and give its stream an identifier; return false if there are none left.

        Args:
            stream: the request's.
            pseudo: pseudo-header fields, `:method` first.
            headers: the other fields, in the form of HTTP/2.
            end_stream: whether no body follows.
        """

    def window(self, stream: Stream) -> int:
        """Return how many bytes can be sent on the stream now; if it is less than 1, wait for `on_window`."""

    def send_data(self, stream: Stream, data: bytes | memoryview, end_stream: bool) -> None:
        """Send part of a request's body, no longer than the window."""

    def reset(self, stream: Stream, code: ErrorCode = ErrorCode.CANCEL) -> None:
        """Send RST_STREAM, unless the stream is closed already; the listener is not notified of it any more."""

    def release(self, stream: Stream) -> None:
        """Let the server end the stream, of which the listener is not notified any more.

        If it sends data instead, or its place is needed for another request, the stream is reset.
        """

    def ping(self) -> None:
        """Send PING. The reply is not reported: any received data shows that the server is alive."""

    def take(self) -> bytes:
        """Return the bytes to write."""

    # Receiving

    def consumed(self, stream: Stream, count: int) -> bool:
        """Note that the caller has taken `count` bytes of the stream's data: the server may send as many again.

        Return whether there are bytes to write.
        """

    def receive(self, data: bytes) -> None:
        """Process received bytes, and notify the listener.

        Raises:
            RemoteProtocolError: the connection can't be used any more; `take()` returns a GOAWAY with the
                error code.
        """
