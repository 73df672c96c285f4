"""The fast path for frames of HTTP/3 gives the same as qh3, whatever is received."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qh3._hazmat import QpackDecoder, QpackEncoder
from qh3.h3.connection import FrameType, H3Connection, encode_frame
from qh3.h3.events import DataReceived, HeadersReceived
from qh3.quic.events import StreamDataReceived

from httpcore2_http3._frames import ClientH3

Fields = list[tuple[bytes, bytes]]


class RecordedQuic:
    """The part of a QUIC connection that the frames of HTTP/3 need."""

    configuration = SimpleNamespace(is_client=True)
    _quic_logger = None
    _remote_max_datagram_frame_size = 65536

    def __init__(self) -> None:
        self.sent: dict[int, bytes] = {}
        self.closed: list[int] = []
        self._next_id = 2

    def get_next_available_stream_id(self, is_unidirectional: bool) -> int:
        assert is_unidirectional
        self._next_id += 4
        return self._next_id

    def send_stream_data(self, stream_id: int, data: bytes, end_stream: bool = False) -> None:
        self.sent[stream_id] = self.sent.get(stream_id, b"") + data

    def close(self, *, error_code: int, reason_phrase: str) -> None:
        self.closed.append(error_code)


def head(*fields: tuple[bytes, bytes], status: bytes = b"200") -> bytes:
    """A HEADERS frame that does not refer to the dynamic table."""
    block = QpackEncoder().encode(0, [(b":status", status), *fields])[1]
    return encode_frame(FrameType.HEADERS, block)


def data(size: int) -> bytes:
    return encode_frame(FrameType.DATA, b"x" * size)


TRAILERS = encode_frame(FrameType.HEADERS, QpackEncoder().encode(0, [(b"checked", b"yes")])[1])
# Each may come at any place of a stream, where most of them are errors.
FRAMES = {
    "head": head((b"server", b"a")),
    "another head": head((b"server", b"b"), (b"age", b"0")),
    "long head": head((b"server", b"x" * 200)),
    "interim": head(status=b"103"),
    "malformed": head((b"Server", b"a")),
    "of an extension": encode_frame(0x21, b"\x01\x02\x03\x04"),
    "refers to the dynamic table": encode_frame(FrameType.HEADERS, b"\x02\x00\x80"),
    "data": data(5),
    "more data": data(100),
    "data with a long length": b"\0\x80\0\0\x05" + b"x" * 5,
    "no data": data(0),
    "no fields": encode_frame(FrameType.HEADERS, b""),
    "trailers": TRAILERS,
    "settings": encode_frame(FrameType.SETTINGS, b""),
}


def outcome(h3: H3Connection, stream_id: int, parts: list[bytes], ends: bool) -> list[Any]:
    """Return what a stream was received as: heads, data without the borders of its parts, ends, and errors."""
    found: list[Any] = []
    for number, part in enumerate(parts):
        event = StreamDataReceived(part, ends and number == len(parts) - 1, stream_id)
        if isinstance(h3, ClientH3) and h3.is_inside_data(event):
            found.append(part)
            continue
        for h3_event in h3.handle_event(event):
            if isinstance(h3_event, DataReceived):
                found.append(h3_event.data)
            else:
                found.append((type(h3_event), list(getattr(h3_event, "headers", []))))
            if getattr(h3_event, "stream_ended", False):
                found.append("end")
    joined: list[Any] = [b""]
    for entry in found:
        if isinstance(entry, bytes) and isinstance(joined[-1], bytes):
            joined[-1] += entry
        else:
            joined.append(entry)
    quic: Any = h3._quic
    return [*[entry for entry in joined if entry], *quic.closed]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from(sorted(FRAMES)), max_size=5),
            st.sampled_from([1, 2, 3, 7, 50, 1200, 50_000]),
            st.booleans(),
        ),
        max_size=4,
    )
)
def test_streams_are_received_as_by_qh3(streams: list[tuple[list[str], int, bool]]) -> None:
    quics: list[Any] = [RecordedQuic(), RecordedQuic()]
    fast, reference = ClientH3(quics[0]), H3Connection(quics[1])
    for number, (names, size, ends) in enumerate(streams):
        received = b"".join(FRAMES[name] for name in names)
        parts = [received[at : at + size] for at in range(0, len(received), size)] or [b""]
        stream_id = 4 * number
        for h3 in (fast, reference):
            h3._get_or_create_stream(stream_id).sending_ended = True
        expected = outcome(reference, stream_id, parts, ends)
        assert outcome(fast, stream_id, parts, ends) == expected
        assert set(fast._stream) == set(reference._stream)


def test_the_fields_of_a_head_are_decoded_once() -> None:
    quic: Any = RecordedQuic()
    h3 = ClientH3(quic)
    received = head((b"server", b"a")) + data(1)
    first, *_ = h3.handle_event(StreamDataReceived(received, True, 0))
    second, *_ = h3.handle_event(StreamDataReceived(received, True, 4))
    assert isinstance(first, HeadersReceived) and isinstance(second, HeadersReceived)
    assert first.headers is second.headers == [(b":status", b"200"), (b"server", b"a")]


def test_few_heads_are_remembered() -> None:
    quic: Any = RecordedQuic()
    h3 = ClientH3(quic)
    for number in range(100):
        received = head((b"age", b"%d" % number)) + data(1)
        (event, _) = h3.handle_event(StreamDataReceived(received, True, 4 * number))
        assert isinstance(event, HeadersReceived)
        assert event.headers[1] == (b"age", b"%d" % number)
    assert 0 < len(h3._heads) <= 32


@pytest.mark.parametrize("has_table", [False, True], ids=["static", "dynamic"])
def test_the_fields_of_a_request_are_encoded_once_if_the_server_has_no_dynamic_table(
    has_table: bool,
) -> None:
    quic: Any = RecordedQuic()
    h3 = ClientH3(quic)
    pseudo, headers = [(b":method", b"GET")], [(b"accept", b"*/*")]
    given_settings = b"\x01\x40\x64" if has_table else b""
    h3.send_request(0, pseudo, headers, True)
    control = b"\0" + encode_frame(FrameType.SETTINGS, given_settings)
    h3.handle_event(StreamDataReceived(control, False, 3))
    encoded = h3._encoder.encode
    encodings: list[Fields] = []

    class Encoder:
        def encode(self, stream_id: int, fields: Fields) -> tuple[bytes, bytes]:
            encodings.append(fields)
            return encoded(stream_id, fields)

    h3._encoder = Encoder()  # type: ignore[assignment]
    for stream_id in (4, 8, 12):
        h3.send_request(stream_id, pseudo, headers, True)
    h3.send_request(16, pseudo, [*headers], True)
    assert len(encodings) == (4 if has_table else 2)
    if not has_table:
        assert len({quic.sent[stream_id] for stream_id in (0, 4, 8, 12, 16)}) == 1
        assert QpackDecoder(0, 0).feed_header(0, quic.sent[4][2:])[1] == [*pseudo, *headers]
