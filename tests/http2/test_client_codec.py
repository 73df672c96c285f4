"""The codec by itself: the events that bytes cause; and it raises documented exceptions alone."""

from __future__ import annotations

import pytest
from hpack import Decoder, Encoder
from hypothesis import example, given, settings
from hypothesis import strategies as st

from httpcore2 import AsyncHTTP2Connection, HTTP2Connection, RemoteProtocolError
from httpcore2_http2._client_codec import ClientCodec
from httpcore2_http2._codec import MAX_IDLE_FRAMES, SettingsReceived
from httpcore2_http2._hpack import CachingEncoder

from ..support.h2codec import (
    DataReceived,
    Ended,
    Event,
    GoAway,
    HeadReceived,
    RecordedCodec,
    WindowOpened,
)
from ..support.h2peer import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    RST_STREAM,
    SETTINGS,
    WINDOW,
    block,
    frame,
)

PREFACE = frame(SETTINGS, 0, 0)
HEAD = frame(HEADERS, END_HEADERS, 1, block((b":status", b"200"), (b"x", b" y\t")))
REQUEST = [(b":method", b"GET"), (b":authority", b"a"), (b":scheme", b"http"), (b":path", b"/")]


def make(stream_window: int = 65535, connection_window: int = 65535) -> RecordedCodec:
    codec = RecordedCodec(stream_window, connection_window)
    assert codec.open_stream(REQUEST, [], end_stream=True) == 1
    assert codec.take().startswith(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    return codec


def inside(codec: RecordedCodec) -> ClientCodec:
    assert isinstance(codec.codec, ClientCodec)
    return codec.codec


def feed(codec: RecordedCodec, data: bytes) -> list[Event]:
    return codec.receive(data)


WHOLE = (
    PREFACE
    + frame(SETTINGS, 0, 0, b"\0\3\0\0\0\5")
    + HEAD
    + frame(DATA, PADDED, 1, b"\2fi\0\0")
    + frame(0x99, 0, 0, b"?")
    + frame(DATA, 0, 1, b"ne")
    + frame(WINDOW, 0, 0, b"\0\0\0\1")
    + frame(DATA, END_STREAM, 1, b"!")
    + frame(GOAWAY, 0, 0, b"\0\0\0\1\0\0\0\0bye")
)
EVENTS = [
    SettingsReceived({}),
    SettingsReceived({3: 5}),
    HeadReceived(1, 200, [(b"x", b"y")]),
    DataReceived(1, b"fi"),
    DataReceived(1, b"ne"),
    WindowOpened(0),
    DataReceived(1, b"!"),
    Ended(1, []),
    GoAway(1, 0, b"bye"),
]


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_events_do_not_depend_on_how_the_bytes_are_split(size: int) -> None:
    codec = make()
    events = []
    for start in range(0, len(WHOLE), size):
        events += feed(codec, WHOLE[start : start + size])
    assert events == EVENTS
    assert codec.codec.limit == 5


def test_everything_before_a_fault_is_told() -> None:
    codec = make()
    with pytest.raises(RemoteProtocolError, match="frame for stream 9"):
        codec.receive(WHOLE + frame(DATA, 0, 9))
    assert codec.events == EVENTS
    assert codec.take()[-17:-8] == frame(GOAWAY, 0, 0, bytes(8))[:9]


def test_windows_are_bounds_and_open_as_data_is_consumed() -> None:
    codec = make(20_000, 65535)
    feed(codec, PREFACE + HEAD)
    codec.take()
    (data,) = feed(codec, frame(DATA, 0, 1, bytes(15_000)))
    assert data == DataReceived(1, bytes(15_000))
    assert codec.take() == b""
    codec.consumed(1, 15_000)
    assert codec.take() == frame(WINDOW, 0, 1, (15_000).to_bytes(4, "big"))
    feed(codec, frame(DATA, 0, 1, bytes(15_000)))
    # The connection's is opened without waiting for the consumer.
    assert codec.take() == frame(WINDOW, 0, 0, (30_000).to_bytes(4, "big"))
    with pytest.raises(RemoteProtocolError, match="more data than it was allowed to"):
        feed(codec, frame(DATA, 0, 1, bytes(15_000)))


def test_a_stream_whose_response_is_complete_ends_when_it_is_released() -> None:
    codec = RecordedCodec()
    codec.open_stream([(b":method", b"POST"), *REQUEST[1:]], [], end_stream=False)
    feed(codec, PREFACE + frame(HEADERS, END_HEADERS | END_STREAM, 1, block((b":status", b"200"))))
    codec.take()
    codec.release(1)
    assert codec.take() == b""
    with pytest.raises(RemoteProtocolError, match="after the response's end"):
        feed(codec, frame(DATA, 0, 1, b"x"))


def test_data_of_a_reset_stream_is_returned_to_the_connection_window() -> None:
    codec = make()
    feed(codec, PREFACE + HEAD)
    codec.reset(1)
    codec.take()
    for _ in range(100):
        assert feed(codec, frame(DATA, 0, 1, bytes(16_000))) == []
    assert frame(WINDOW, 0, 0, (32_000).to_bytes(4, "big")) in codec.take()


def test_a_released_stream_is_reset_when_its_place_is_needed() -> None:
    codec = make()
    codec.open_stream(REQUEST, [], end_stream=True)
    feed(codec, frame(SETTINGS, 0, 0, b"\0\3\0\0\0\2") + HEAD)
    codec.release(1)
    codec.take()
    assert codec.open_stream(REQUEST, [], end_stream=True) == 5
    assert codec.take().startswith(frame(RST_STREAM, 0, 1, b"\0\0\0\x08"))


@pytest.mark.parametrize(
    "end", [frame(DATA, END_STREAM, 1, b"x"), frame(RST_STREAM, 0, 1, bytes(4))]
)
def test_a_released_stream_may_be_ended_by_the_server(end: bytes) -> None:
    codec = make()
    feed(codec, PREFACE + HEAD)
    codec.release(1)
    codec.take()
    assert feed(codec, end) == []
    assert codec.take() == b""


def test_the_response_of_a_released_stream_is_dropped_up_to_its_trailers() -> None:
    codec = make()
    feed(codec, PREFACE)
    codec.release(1)
    codec.take()
    trailers = frame(HEADERS, END_HEADERS | END_STREAM, 1, block((b"x", b"y")))
    interim = frame(HEADERS, END_HEADERS, 1, block((b":status", b"103")))
    assert feed(codec, interim + HEAD + trailers) == []
    assert codec.take() == b""
    # Its state is that of any stream that has ended.
    with pytest.raises(RemoteProtocolError, match="after the response's end"):
        feed(codec, HEAD)


def test_a_released_stream_that_ends_without_a_head_is_a_connection_error() -> None:
    codec = make()
    feed(codec, PREFACE)
    codec.release(1)
    with pytest.raises(RemoteProtocolError, match="data before the response's head"):
        feed(codec, frame(DATA, END_STREAM, 1))


def test_field_blocks_are_cached_as_long_as_their_table_is_the_same() -> None:
    encoder = Encoder()
    codec = RecordedCodec()
    feed(codec, PREFACE)
    for number in range(12):
        if number == 8:
            encoder.header_table_size = 0
        stream_id = codec.open_stream(REQUEST, [], end_stream=True)
        assert stream_id is not None
        fields = [(b":status", b"200"), (b"n", b"%d" % (number // 4))]
        data = frame(HEADERS, END_HEADERS | END_STREAM, stream_id, encoder.encode(fields))
        head = HeadReceived(stream_id, 200, [(b"n", b"%d" % (number // 4))])
        assert feed(codec, data) == [head, Ended(stream_id, [])]


FIELDS = st.lists(
    st.tuples(st.sampled_from([b":path", b"a", b"cookie"]), st.sampled_from([b"/", b"1", b"2"])),
    max_size=3,
)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.sampled_from([b"GET", b"POST", b"CONNECT"]), FIELDS),
            st.sampled_from([0, 40, 100, 4096, 9999]),
        ),
        max_size=20,
    )
)
@example([0, (b"GET", []), 40, 40, (b"GET", [(b"a", b"/"), (b"a", b"/")])])
@settings(deadline=None)
def test_a_block_decodes_to_the_encoded_fields_whether_it_is_cached_or_not(
    steps: list[tuple[bytes, list[tuple[bytes, bytes]]] | int],
) -> None:
    encoder, decoder = CachingEncoder(4096), Decoder()
    for step in steps:
        if isinstance(step, int):
            encoder.header_table_size = step
        else:
            method, headers = step
            pseudo = [(b":method", method), (b":authority", b"a")]
            if method != b"CONNECT":
                pseudo.append((b":path", b"/"))
            block = encoder.encode_request(pseudo, headers)
            assert decoder.decode(block, raw=True) == pseudo + headers


def test_a_request_that_equals_the_one_before_is_compressed_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encoder = CachingEncoder(4096)
    headers = [(b"x", b"y")]
    first, second, third = (encoder.encode_request(REQUEST, headers) for _ in range(3))
    assert len(first) > len(second)
    assert third == second
    monkeypatch.setattr(encoder, "encode", None)
    other = [*REQUEST[:-1], (b":path", b"/other")]
    assert encoder.encode_request(other, headers.copy()).endswith(second[-1:])


@pytest.mark.parametrize("size", [0, 1, 126, 127, 128, 254, 255, 256, 16_384, 50_000])
def test_a_path_of_any_length_is_encoded(size: int) -> None:
    encoder, decoder = CachingEncoder(4096), Decoder()
    pseudo = [*REQUEST[:-1], (b":path", b"/" * size)]
    assert decoder.decode(encoder.encode_request(pseudo, []), raw=True) == pseudo


def test_a_head_that_is_larger_than_a_frame_is_continued() -> None:
    codec = make()
    codec.take()
    pseudo = [*REQUEST[:-1], (b":path", b"/" * 40_000)]
    assert codec.open_stream(pseudo, [(b"x", b"y")], end_stream=True) == 3
    block, kinds, data = b"", [], codec.take()
    while data:
        end = 9 + int.from_bytes(data[:3], "big")
        kinds.append((data[3], data[4]))
        block += data[9:end]
        data = data[end:]
    assert kinds == [(HEADERS, END_STREAM), (CONTINUATION, 0), (CONTINUATION, END_HEADERS)]
    decoder = Decoder()
    decoder.decode(Encoder().encode(REQUEST), raw=True)  # as `make` sent it, but for `:path`
    assert decoder.decode(block, raw=True) == [*pseudo, (b"x", b"y")]


def test_a_server_that_allows_no_table_is_sent_a_table_size_of_0() -> None:
    codec = make()
    codec.take()
    feed(codec, frame(SETTINGS, 0, 0, b"\0\1\0\0\0\0"))
    codec.take()
    codec.open_stream(REQUEST, [(b"x", b"y")], end_stream=True)
    head = codec.take()
    assert head[9] == 0x20  # RFC 7541, section 6.3: its size is 0 now


def test_idle_frames_are_counted_until_a_response_arrives() -> None:
    codec = make()
    feed(codec, PREFACE)
    pings = frame(PING, 1, 0, bytes(8)) * (MAX_IDLE_FRAMES - 10)
    feed(codec, pings)
    feed(codec, HEAD)
    feed(codec, pings)
    with pytest.raises(RemoteProtocolError, match="too many frames"):
        feed(codec, pings)


def test_open_stream_fails_when_identifiers_run_out() -> None:
    codec = make()
    inside(codec)._last_id = 2**31 - 3
    assert codec.open_stream(REQUEST, [], end_stream=True) == 2**31 - 1
    assert codec.open_stream(REQUEST, [], end_stream=True) is None


FRAMES = st.builds(
    frame,
    st.one_of(st.integers(0, 11), st.integers(0, 255)),
    st.one_of(
        st.sampled_from([0, 1, 4, 5, 8, 9, 12, 13, 0x20, 0x24, 0x25, 0x2D]), st.integers(0, 255)
    ),
    st.sampled_from([0, 1, 2, 3, 5, 7, 1 | 1 << 31]),
    st.one_of(
        st.binary(max_size=20),
        st.builds(
            bytes.__add__,
            st.sampled_from([b"", b"\0\0\0\1\0", b"\x80\0\0\0\xff", b"\1", b"\1\0\0\0\0\0"]),
            st.sampled_from(
                [
                    block((b":status", b"200")),
                    block((b":status", b"103")),
                    block((b"a", b"b")),
                    bytes(4),
                    bytes(8),
                ]
            ),
        ),
    ),
)


def resets_in(data: bytes) -> list[int]:
    """The streams that are reset by what a codec sends."""
    found = []
    while data:
        length, kind = int.from_bytes(data[:3], "big"), data[3]
        if kind == RST_STREAM:
            found.append(int.from_bytes(data[5:9], "big"))
        data = data[9 + length :]
    return found


@settings(max_examples=500, deadline=None)
@given(st.lists(FRAMES, max_size=12), st.integers(1, 50))
def test_a_fault_of_the_peer_is_never_another_exception(frames: list[bytes], size: int) -> None:
    codec = make()
    for stream_id in (3, 5, 7):
        assert codec.open_stream(REQUEST, [], end_stream=stream_id == 5) == stream_id
    codec.reset(5)
    codec.release(7)
    sent = codec.take()
    data = PREFACE + b"".join(frames)
    try:
        for start in range(0, len(data), size):
            codec.receive(data[start : start + size])
            sent += codec.take()
    except RemoteProtocolError:
        pass  # and nothing else
    ended: set[int] = set()
    for event in codec.events:
        if isinstance(event, (HeadReceived, DataReceived, Ended)):
            assert event.stream_id not in ended
        if isinstance(event, Ended):
            ended.add(event.stream_id)
    resets = resets_in(sent)
    assert len(resets) == len(set(resets))


@pytest.mark.parametrize("kind", ["DATA", "HEADERS", "CONTINUATION"])
def test_a_frame_that_arrives_in_small_parts_is_joined_once(kind: str) -> None:
    """A frame of 16 KiB that comes byte by byte was copied, all that there was of it, for each byte."""
    codec = make()
    feed(codec, PREFACE)
    fields = [(b":status", b"200"), (b"x", b"y" * 16_000), *[(b"n", b"%d" % n) for n in range(9)]]
    whole = Encoder().encode(fields, huffman=False)
    expected: Event = HeadReceived(1, 200, fields[1:])
    if kind == "DATA":
        feed(codec, HEAD)
        data = frame(DATA, 0, 1, bytes(16_384))
        expected = DataReceived(1, bytes(16_384))
    elif kind == "HEADERS":
        data = frame(HEADERS, END_HEADERS, 1, whole)
    else:
        # A third of it in frames of a byte each.
        data = frame(HEADERS, 0, 1, whole[:5000])
        data += b"".join(frame(CONTINUATION, 0, 1, whole[n : n + 1]) for n in range(5000, 10_000))
        data += frame(CONTINUATION, END_HEADERS, 1, whole[10_000:])
    copied = 0

    class Part(bytes):
        """A byte that counts the bytes that it is added to."""

        def __radd__(self, other: bytes) -> bytes:
            nonlocal copied
            copied += len(other)
            return other + bytes(self)

    events = []
    for index in range(len(data)):
        events += feed(codec, Part(data[index : index + 1]))
    assert events == [expected]
    # No more than the header of each frame.
    assert copied < 100_000


def test_the_configuration_of_h2_is_a_class_attribute_as_in_2_16_2() -> None:
    assert AsyncHTTP2Connection.CONFIG is HTTP2Connection.CONFIG
    assert inside(make())._control._h2.config is HTTP2Connection.CONFIG


def test_a_stream_that_has_ended_both_ways_is_not_reset() -> None:
    codec = make()
    feed(codec, PREFACE + HEAD + frame(DATA, END_STREAM, 1, b"x"))
    codec.take()
    codec.reset(1)
    assert codec.take() == b""
    # What still comes for it is a fault.
    with pytest.raises(RemoteProtocolError, match="stream 1"):
        feed(codec, frame(DATA, 0, 1, b"x"))
