"""What this project adds to qh3's classes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from qh3._hazmat import QpackEncoder
from qh3.h3.connection import FrameType, encode_frame
from qh3.h3.events import DataReceived
from qh3.quic.events import StreamDataReceived

from httpcore2_http3._quic import ClientH3


class RecordedQuic:
    """The part of a QUIC connection that the frames of HTTP/3 need."""

    configuration = SimpleNamespace(is_client=True)
    _quic_logger = None

    def __init__(self) -> None:
        self.closed: list[int] = []
        self._next_id = 2

    def get_next_available_stream_id(self, is_unidirectional: bool) -> int:
        assert is_unidirectional
        self._next_id += 4
        return self._next_id

    def send_stream_data(self, stream_id: int, data: bytes, end_stream: bool = False) -> None:
        assert not end_stream

    def close(self, *, error_code: int, reason_phrase: str) -> None:
        self.closed.append(error_code)


HEAD = encode_frame(FrameType.HEADERS, QpackEncoder().encode(0, [(b":status", b"200")])[1])
RESPONSE = b"".join(
    (
        HEAD,
        encode_frame(FrameType.DATA, b"first"),
        encode_frame(0x21, b"of an extension"),
        encode_frame(FrameType.DATA, b""),
        encode_frame(FrameType.DATA, b"second"),
    )
)


def received(parts: list[bytes]) -> tuple[bytes, bool, int]:
    """Return the body, whether its end was received, and how many parts were bytes of a DATA frame and nothing else."""
    quic: Any = RecordedQuic()
    h3 = ClientH3(quic)
    body, has_ended, inside = b"", False, 0
    for number, part in enumerate(parts):
        event = StreamDataReceived(part, number == len(parts) - 1, 0)
        if h3.is_inside_data(event):
            body += part
            inside += 1
            continue
        for h3_event in h3.handle_event(event):
            if isinstance(h3_event, DataReceived):
                body += h3_event.data
                has_ended |= h3_event.stream_ended
    assert not quic.closed
    return body, has_ended, inside


@pytest.mark.parametrize("size", range(1, 8))
def test_a_body_is_the_same_however_its_frames_are_split(size: int) -> None:
    parts = [RESPONSE[start : start + size] for start in range(0, len(RESPONSE), size)]
    body, has_ended, inside = received(parts)
    assert body == b"firstsecond" and has_ended
    assert inside or size > 3


def test_the_end_of_a_stream_inside_a_frame_is_an_error_of_the_connection() -> None:
    quic: Any = RecordedQuic()
    h3 = ClientH3(quic)
    assert h3.handle_event(StreamDataReceived(HEAD + encode_frame(0, bytes(10))[:5], False, 0))
    event = StreamDataReceived(b"x", True, 0)
    assert not h3.is_inside_data(event)
    assert h3.handle_event(event) == []
    assert quic.closed == [0x106]
