"""The codec against h2: the same requests and the same frames of a server have the same outcome in both.

Intended differences, which the comparison leaves out:

- field blocks may be encoded differently (RFC 7541 leaves the choice to the encoder), so their fields are compared;
- the order of a reply and of a RST_STREAM that the same bytes cause, which is of no consequence.
"""

from __future__ import annotations

from typing import Any

from hpack import Decoder
from hypothesis import event, given, settings
from hypothesis import strategies as st

from httpcore2 import RemoteProtocolError
from httpcore2_http2._client_codec import ClientCodec

from ..support.h2_reference_codec import H2Codec
from ..support.h2codec import RecordedCodec, StreamFailed
from ..support.h2peer import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    PRIORITY_FLAG,
    RST_STREAM,
    SETTINGS,
    WINDOW,
    block,
    frame,
)

METHODS = [b"GET", b"HEAD", b"POST", b"CONNECT"]
BLOCKS = [
    block((b":status", b"200")),
    block((b":status", b"204"), (b"x", b"y")),
    block((b":status", b"200"), (b"content-length", b"3")),
    block((b":status", b"200"), (b"content-length", b"0")),
    block((b":status", b"103")),
    block((b":status", b"101")),
    block((b":status", b"2OO")),
    block((b"x", b"y")),
    block((b"X", b"y")),
    b"",
    b"\x88\x40\x01x\x01y",  # adds `x: y` to the dynamic table
    b"\x88\xbe",  # refers to it
    b"\x3f\x00\x88",  # changes the size of the table
    b"\xff\xff\xff",
]
STREAMS = st.sampled_from([1, 1, 3, 3, 5, 7, 0, 2])


def setting(code: int, value: int) -> bytes:
    return code.to_bytes(2, "big") + value.to_bytes(4, "big")


PAYLOADS: dict[int, st.SearchStrategy[bytes]] = {
    DATA: st.sampled_from([b"", b"x", b"abc", b"\0", b"\1a\0", b"\xffa", bytes(20_000)]),
    HEADERS: st.sampled_from([*BLOCKS, *(b"\0" + each for each in BLOCKS[:3])]),
    CONTINUATION: st.sampled_from(BLOCKS),
    RST_STREAM: st.sampled_from([bytes(4), b"\0\0\0\7", b""]),
    SETTINGS: st.lists(
        st.builds(
            setting,
            st.sampled_from([1, 2, 3, 4, 5, 6, 8, 99]),
            st.sampled_from([0, 1, 3, 100, 65535, 70_000, 2**31 - 1, 2**31]),
        ),
        max_size=3,
    ).map(b"".join),
    PING: st.sampled_from([bytes(8), b"x"]),
    GOAWAY: st.sampled_from([b"\0\0\0\1" + bytes(4) + b"bye", bytes(8), b""]),
    WINDOW: st.sampled_from(
        [b"\0\0\0\1", bytes(4), b"\0\1\0\0", b"\x7f\xff\xff\xff", b"\x80\0\0\2"]
    ),
    2: st.just(b"\0\0\0\1\0"),
    5: st.just(b"\0\0\0\2" + BLOCKS[0]),
    0xFF: st.just(b"?"),
}
FLAGS = {
    DATA: st.sampled_from([0, 0, END_STREAM, END_STREAM, PADDED, PADDED | END_STREAM]),
    HEADERS: st.sampled_from(
        [END_HEADERS] * 4
        + [END_HEADERS | END_STREAM] * 3
        + [0, END_STREAM, END_HEADERS | PADDED, END_HEADERS | PRIORITY_FLAG]
    ),
    CONTINUATION: st.sampled_from([0, END_HEADERS]),
    SETTINGS: st.sampled_from([0, 0, 0, ACK]),
    PING: st.sampled_from([0, ACK]),
}
ON_CONNECTION = st.sampled_from([0] * 9 + [1])
KINDS = [DATA] * 4 + [HEADERS] * 5 + [WINDOW] * 2 + list(PAYLOADS)


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    kind = draw(st.sampled_from(KINDS))
    streams = ON_CONNECTION if kind in (SETTINGS, PING, GOAWAY) else STREAMS
    flags = draw(FLAGS.get(kind, st.just(0)))
    return frame(kind, flags, draw(streams), draw(PAYLOADS[kind]))


STEPS = st.one_of(
    st.tuples(st.just("open"), st.sampled_from(METHODS), st.booleans()),
    st.tuples(st.just("send"), st.integers(0, 3), st.sampled_from([0, 1, 20_000]), st.booleans()),
    st.tuples(st.just("reset"), st.integers(0, 3)),
    st.tuples(st.just("release"), st.integers(0, 3)),
    st.tuples(st.just("consume"), st.integers(0, 3), st.sampled_from([1, 40_000])),
    *[st.tuples(st.just("receive"), st.lists(frames(), min_size=1, max_size=3).map(b"".join))] * 4,
)
HISTORIES = st.lists(STEPS, min_size=3, max_size=15)


class Run:
    """A codec in the course of a history, and all that can be observed of it."""

    def __init__(self, create: Any, size: int) -> None:
        self.codec = RecordedCodec(65535, 100_000, create)
        self._size = size
        self._decoder = Decoder()
        self._decoder.max_allowed_table_size = 2**31  # the server may have said any number
        self._released: set[int] = set()
        self.sent = self._take()
        self.has_failed = False
        for _ in range(2):
            self.do(("open", b"POST", False))
        self.do(("receive", frame(SETTINGS, 0, 0)))

    def do(self, step: Any) -> None:
        """Do a step, unless the rules of `HTTP2Codec` forbid it."""
        if self.has_failed:
            return
        codec = self.codec
        name, *arguments = step
        if name == "receive":
            (data,) = arguments
            try:
                for start in range(0, len(data), self._size):
                    codec.receive(data[start : start + self._size])
            except RemoteProtocolError:
                self.has_failed = True
        elif name == "open":
            method, end_stream = arguments
            pseudo = [(b":method", method), (b":authority", b"a")]
            if method != b"CONNECT":
                pseudo += [(b":scheme", b"http"), (b":path", b"/%d" % len(codec.streams))]
            busy = [n for n in codec.streams if n not in self._released]
            if len(busy) < codec.codec.limit:
                codec.open_stream(pseudo, [(b"x", b"y")], end_stream and method != b"CONNECT")
        else:
            stream_id = 2 * arguments[0] + 1
            stream = codec.streams.get(stream_id)
            if stream is None or stream_id in self._released:
                return
            if name == "send" and stream.may_send:
                size = max(0, min(arguments[1], codec.window(stream_id)))
                codec.send_data(stream_id, bytes(size), arguments[2])
            elif name == "reset":
                codec.reset(stream_id)
                self._released.add(stream_id)
            elif name == "release":
                codec.release(stream_id)
                self._released.add(stream_id)
            elif name == "consume":
                codec.consumed(stream_id, arguments[1])
        self.sent += self._take()

    def _take(self) -> list[tuple[Any, ...]]:
        """Return the frames to be sent, with the fields of HEADERS in place of the block."""
        data = self.codec.take().removeprefix(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        found: list[tuple[Any, ...]] = []
        while data:
            end = 9 + int.from_bytes(data[:3], "big")
            kind, flags, stream_id = data[3], data[4], int.from_bytes(data[5:9], "big")
            payload: Any = data[9:end]
            if kind == HEADERS:
                payload = self._decoder.decode(payload, raw=True)
            found.append((kind, flags, stream_id, payload))
            data = data[end:]
        return sorted(found, key=lambda each: each[0] in (RST_STREAM, WINDOW))

    def outcome(self) -> dict[str, Any]:
        codec = self.codec
        streams = codec.streams.items()
        return {
            "failed": self.has_failed,
            "events": [
                each._replace(reason="") if isinstance(each, StreamFailed) else each
                for each in codec.events
            ],
            "sent": self.sent,
            "limit": codec.codec.limit,
            "protocols": codec.codec.allows_protocols,
            "states": [
                (n, stream.state, stream.receive_window)
                for n, stream in streams
                if not self.has_failed
            ],
            "windows": [
                codec.window(n)
                for n, stream in streams
                if stream.may_send and n not in self._released and not self.has_failed
            ],
        }


@settings(max_examples=500, deadline=None)
@given(HISTORIES, st.sampled_from([1, 7, 100_000]))
def test_a_history_has_the_same_outcome_as_with_h2(history: list[Any], size: int) -> None:
    ours, reference = Run(ClientCodec, size), Run(H2Codec, size)
    for step in history:
        ours.do(step)
        reference.do(step)
        assert ours.outcome() == reference.outcome()
    event("connection error" if ours.has_failed else "no connection error")
