"""A codec of HTTP/2 with its streams, whose every call to the listener is an event in a list.

Must not know: sessions, the network.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from httpcore2 import URL, Request
from httpcore2_core._http.fields import Headers
from httpcore2_core._http.stream_upload import StreamUpload
from httpcore2_http2._client_codec import ClientCodec
from httpcore2_http2._codec import CodecListener, HTTP2Codec, SettingsReceived
from httpcore2_http2._errors import ErrorCode
from httpcore2_http2._stream import Stream


class InterimReceived(NamedTuple):
    stream_id: int
    status: int
    headers: Headers


class HeadReceived(NamedTuple):
    stream_id: int
    status: int
    headers: Headers


class DataReceived(NamedTuple):
    stream_id: int
    data: bytes


class Ended(NamedTuple):
    stream_id: int
    trailers: Headers


class Reset(NamedTuple):
    stream_id: int
    code: int


class StreamFailed(NamedTuple):
    stream_id: int
    reason: str


class WindowOpened(NamedTuple):
    """Of the connection, if the stream is 0."""

    stream_id: int


class GoAway(NamedTuple):
    last_stream_id: int
    code: int
    debug_data: bytes


Event = (
    InterimReceived
    | HeadReceived
    | DataReceived
    | Ended
    | Reset
    | StreamFailed
    | WindowOpened
    | SettingsReceived
    | GoAway
)


class RecordedCodec:
    """A codec with its streams, and the events that it has told so far.

    Attributes:
        codec: the codec itself.
        streams: all that were opened, by their identifiers.
        events: what it has told.
    """

    def __init__(
        self,
        stream_window: int = 65535,
        connection_window: int = 65535,
        create: Callable[[CodecListener, int, int], HTTP2Codec] = ClientCodec,
    ) -> None:
        self.events: list[Event] = []
        self.streams: dict[int, Stream] = {}
        self.codec = create(self, stream_window, connection_window)

    def open_stream(self, pseudo: Headers, headers: Headers, end_stream: bool) -> int | None:
        """Send a request's head and return its stream; `None` if there are no identifiers left."""
        upload = None if pseudo[0][1] == b"CONNECT" else StreamUpload(b"", None, None)
        stream = Stream(Request(pseudo[0][1], URL("http://a/")), upload, 0)
        if not self.codec.open_stream(stream, pseudo, headers, end_stream):
            return None
        self.streams[stream.stream_id] = stream
        return stream.stream_id

    def receive(self, data: bytes) -> list[Event]:
        """Process data and return the events that it causes."""
        before = len(self.events)
        self.codec.receive(data)
        return self.events[before:]

    def window(self, stream_id: int) -> int:
        return self.codec.window(self.streams[stream_id])

    def send_data(self, stream_id: int, data: bytes, end_stream: bool) -> None:
        self.codec.send_data(self.streams[stream_id], data, end_stream)

    def reset(self, stream_id: int, code: ErrorCode = ErrorCode.CANCEL) -> None:
        self.codec.reset(self.streams[stream_id], code)

    def release(self, stream_id: int) -> None:
        self.codec.release(self.streams[stream_id])

    def consumed(self, stream_id: int, count: int) -> None:
        self.codec.consumed(self.streams[stream_id], count)

    def take(self) -> bytes:
        return self.codec.take()

    # The listener

    def on_interim(self, stream: Stream, status: int, headers: Headers) -> None:
        self.events.append(InterimReceived(stream.stream_id, status, headers))

    def on_head(self, stream: Stream) -> None:
        assert stream.head is not None
        self.events.append(HeadReceived(stream.stream_id, *stream.head))

    def on_data(self, stream: Stream) -> None:
        self.events.append(DataReceived(stream.stream_id, stream.take_data()))

    def on_end(self, stream: Stream) -> None:
        assert stream.has_ended
        self.events.append(Ended(stream.stream_id, stream.trailers))

    def on_reset(self, stream: Stream, code: int) -> None:
        self.events.append(Reset(stream.stream_id, code))

    def on_stream_error(self, stream: Stream, reason: str) -> None:
        self.events.append(StreamFailed(stream.stream_id, reason))

    def on_window(self, stream: Stream | None) -> None:
        self.events.append(WindowOpened(0 if stream is None else stream.stream_id))

    def on_settings(self, settings: SettingsReceived) -> None:
        self.events.append(settings)

    def on_goaway(self, last_stream_id: int, code: int, debug_data: bytes) -> None:
        self.events.append(GoAway(last_stream_id, code, debug_data))
