"""Every frame type of RFC 9113, section 6, on a stream in every state: which error it is, with which code, or none.

Each case runs whole, byte by byte, and with frames behind it, on the codec alone.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import pytest
from hpack import Encoder

from httpcore2 import RemoteProtocolError
from httpcore2_http2._codec import SettingsReceived
from httpcore2_http2._errors import ErrorCode

from ..support.h2codec import (
    DataReceived,
    Ended,
    Event,
    GoAway,
    HeadReceived,
    RecordedCodec,
    Reset,
    StreamFailed,
    WindowOpened,
)
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
    PRIORITY,
    PRIORITY_FLAG,
    PUSH,
    RST_STREAM,
    SETTINGS,
    WINDOW,
    block,
    frame,
)

PROTOCOL_ERROR = ErrorCode.PROTOCOL_ERROR
FLOW_CONTROL_ERROR = ErrorCode.FLOW_CONTROL_ERROR
STREAM_CLOSED = ErrorCode.STREAM_CLOSED
FRAME_SIZE_ERROR = ErrorCode.FRAME_SIZE_ERROR
COMPRESSION_ERROR = ErrorCode.COMPRESSION_ERROR
ENHANCE_YOUR_CALM = ErrorCode.ENHANCE_YOUR_CALM

REQUEST = [(b":method", b"GET"), (b":authority", b"a"), (b":scheme", b"http"), (b":path", b"/")]
OK = block((b":status", b"200"))
TRAILERS = block((b"x", b"y"))
PRIORITY_FIELDS = b"\x80\0\0\1\xff"

# The streams of a codec that `in_all_states` made, by their state (RFC 9113, section 5.1).
WAITING = 1
"""Half-closed (local): the request was sent, and nothing has come."""
OPEN = 3
"""Open: the request's body is being sent, and nothing has come."""
ANSWERED = 5
"""Half-closed (local): the response's head has come."""
REMOTE = 7
"""Half-closed (remote): the response is complete, the request is not."""
ENDED = 9
"""Closed: both are complete, and the response may not have been read."""
RELEASED = 11
"""Closed: both are complete, and the response was read."""
LEFT = 13
"""Closed: we have reset it, after the response's head."""
RESET = 15
"""Closed: the server has reset it."""
IDLE = 17

CLOSED_OR_OPEN = (WAITING, OPEN, ANSWERED, REMOTE, ENDED, RELEASED, LEFT, RESET)
NEVER_OPENED = (0, 2, IDLE, 2**31 - 1)


class Dies(NamedTuple):
    """A connection error."""

    code: ErrorCode


class Fails(NamedTuple):
    """A stream error: the listener is told, and the stream is reset, unless the frame has closed it."""

    code: ErrorCode | None


class Refused(NamedTuple):
    """A stream error on a stream whose exchange is over."""

    code: ErrorCode


Outcome = Dies | Fails | Refused | list[Event]


class Case(NamedTuple):
    stream_id: int
    data: bytes
    outcome: Outcome


def in_all_states() -> RecordedCodec:
    codec = RecordedCodec()
    for stream_id in CLOSED_OR_OPEN:
        is_whole = stream_id not in (OPEN, REMOTE)
        assert codec.open_stream(REQUEST, [], end_stream=is_whole) == stream_id
    codec.receive(
        frame(SETTINGS, 0, 0)
        + frame(HEADERS, END_HEADERS, ANSWERED, OK)
        + frame(HEADERS, END_HEADERS | END_STREAM, REMOTE, OK)
        + frame(HEADERS, END_HEADERS | END_STREAM, ENDED, OK)
        + frame(HEADERS, END_HEADERS | END_STREAM, RELEASED, OK)
        + frame(HEADERS, END_HEADERS, LEFT, OK)
        + frame(RST_STREAM, 0, RESET, bytes(4))
    )
    codec.release(RELEASED)
    codec.reset(LEFT)
    codec.take()
    return codec


PINGED = frame(PING, 0, 0, b"are you?")
PONG = frame(PING, ACK, 0, b"are you?")


def sent_by(codec: RecordedCodec) -> list[bytes]:
    """The frames that a codec has to send, but for its windows."""
    data = codec.take()
    frames = []
    while data:
        end = 9 + int.from_bytes(data[:3], "big")
        if data[3] != WINDOW:
            frames.append(data[:end])
        data = data[end:]
    return frames


def reset_frame(stream_id: int, code: int) -> bytes:
    return frame(RST_STREAM, 0, stream_id, code.to_bytes(4, "big"))


def check(case: Case, size: int, behind: bytes = b"") -> None:
    codec = in_all_states()
    data = case.data + behind
    if behind and not isinstance(case.outcome, Dies):
        data += PINGED
    events = codec.events = []
    error: RemoteProtocolError | None = None
    try:
        for start in range(0, len(data), size):
            codec.receive(data[start : start + size])
    except RemoteProtocolError as exc:
        error = exc
    sent = sent_by(codec)
    if isinstance(case.outcome, Dies):
        assert error is not None, "it was no connection error"
        assert all(isinstance(event, WindowOpened) for event in events)
        assert len(sent) == 1
        assert sent[0][:9] == frame(GOAWAY, 0, 0, bytes(8))[:9]
        assert sent[0][13:] == case.outcome.code.to_bytes(4, "big"), str(error)
        return
    assert error is None
    answers = [PONG] if behind else []
    if isinstance(case.outcome, Fails):
        (failure,) = events
        assert isinstance(failure, StreamFailed)
        assert failure.stream_id == case.stream_id
        if case.outcome.code is not None:
            answers.insert(0, reset_frame(case.stream_id, case.outcome.code))
        assert sent == answers
    elif isinstance(case.outcome, Refused):
        assert not events
        assert sorted(sent) == sorted([reset_frame(case.stream_id, case.outcome.code), *answers])
    else:
        assert events == case.outcome
        if case.data[3] in (SETTINGS, PING) and not case.data[4] & ACK:
            sent = sent[1:]  # it was acknowledged
        assert sent == answers


STATES: dict[str, Case] = {}
"""Each frame type, as it should be, on each stream."""


def on_each(name: str, data: bytes, outcomes: dict[tuple[int, ...], Outcome]) -> None:
    """Add the cases of one frame, which is given as one of stream 0."""
    for stream_ids, outcome in outcomes.items():
        for stream_id in stream_ids:
            moved = data[:5] + stream_id.to_bytes(4, "big") + data[9:]
            STATES[f"{name} on {stream_id}"] = Case(stream_id, moved, outcome)


ALL = (*CLOSED_OR_OPEN, *NEVER_OPENED)
ON_A_STREAM = tuple(stream_id for stream_id in ALL if stream_id)
OVER: dict[tuple[int, ...], Outcome] = {
    (REMOTE,): Fails(STREAM_CLOSED),
    (ENDED, RELEASED): Dies(STREAM_CLOSED),
    (LEFT,): [],
    (RESET,): Refused(STREAM_CLOSED),
    NEVER_OPENED: Dies(PROTOCOL_ERROR),
}

for flags in (0, END_STREAM):
    on_each(
        f"DATA {flags}",
        frame(DATA, flags, 0, b"x"),
        {
            (WAITING, OPEN): Fails(PROTOCOL_ERROR),
            (ANSWERED,): [DataReceived(ANSWERED, b"x"), *[Ended(ANSWERED, [])] * flags],
            **OVER,
        },
    )
on_each("empty DATA", frame(DATA, 0, 0), {(WAITING, OPEN): Fails(PROTOCOL_ERROR), **OVER})
on_each(
    "HEADERS",
    frame(HEADERS, END_HEADERS, 0, OK),
    {
        (WAITING,): [HeadReceived(WAITING, 200, [])],
        (OPEN,): [HeadReceived(OPEN, 200, [])],
        **OVER,
    },
)
on_each(
    "trailers",
    frame(HEADERS, END_HEADERS | END_STREAM, 0, TRAILERS),
    {(ANSWERED,): [Ended(ANSWERED, [(b"x", b"y")])], **OVER},
)
on_each(
    "PRIORITY",
    frame(PRIORITY, 0, 0, PRIORITY_FIELDS),
    {ON_A_STREAM: [], (0,): Dies(PROTOCOL_ERROR)},
)
on_each(
    "RST_STREAM",
    frame(RST_STREAM, 0, 0, (5).to_bytes(4, "big")),
    {
        **{(number,): [Reset(number, 5)] for number in (WAITING, OPEN, ANSWERED, REMOTE)},
        (ENDED, RELEASED, LEFT, RESET): [],
        NEVER_OPENED: Dies(PROTOCOL_ERROR),
    },
)
for name, data in {
    "SETTINGS": frame(SETTINGS, 0, 0, b"\0\3\0\0\0\5"),
    "acknowledged SETTINGS": frame(SETTINGS, ACK, 0),
    "PING": frame(PING, 0, 0, bytes(8)),
    "acknowledged PING": frame(PING, ACK, 0, bytes(8)),
    "GOAWAY": frame(GOAWAY, 0, 0, b"\x80\0\0\1\0\0\0\0bye"),
}.items():
    connection_events: list[Event] = []
    if name == "SETTINGS":
        connection_events = [SettingsReceived({3: 5})]
    elif name == "GOAWAY":
        connection_events = [GoAway(1, 0, b"bye")]
    on_each(name, data, {(0,): connection_events, ON_A_STREAM: Dies(PROTOCOL_ERROR)})
on_each(
    "PUSH_PROMISE",
    frame(PUSH, END_HEADERS, 0, b"\0\0\0\2" + OK),
    {ALL: Dies(PROTOCOL_ERROR)},
)
for bit in (b"\0", b"\x80"):
    on_each(
        f"WINDOW_UPDATE {bit!r}",
        frame(WINDOW, 0, 0, bit + b"\0\0\1"),
        {
            **{(n,): [WindowOpened(n)] for n in (0, WAITING, OPEN, ANSWERED, REMOTE)},
            (ENDED, RELEASED, LEFT, RESET): [],
            (2, IDLE, 2**31 - 1): Dies(PROTOCOL_ERROR),
        },
    )
on_each(
    "WINDOW_UPDATE by 0",
    frame(WINDOW, 0, 0, b"\x80\0\0\0"),
    {
        (0, 2, IDLE, 2**31 - 1): Dies(PROTOCOL_ERROR),
        (WAITING, OPEN, ANSWERED, REMOTE): Fails(PROTOCOL_ERROR),
        (ENDED, RELEASED, LEFT, RESET): [],
    },
)
on_each(
    "WINDOW_UPDATE beyond the largest window",
    frame(WINDOW, 0, 0, b"\x7f\xff\xff\xff"),
    {
        (0,): Dies(FLOW_CONTROL_ERROR),
        (WAITING, OPEN, ANSWERED, REMOTE): Fails(FLOW_CONTROL_ERROR),
        (ENDED, RELEASED, LEFT, RESET): [],
    },
)
on_each("CONTINUATION", frame(CONTINUATION, END_HEADERS, 0, OK), {ALL: Dies(PROTOCOL_ERROR)})
for kind in (0x0A, 0x0C, 0x10, 0xFF):
    on_each(f"unknown frame {kind:#x}", frame(kind, 0xFF, 0, b"\0" * 9), {ALL: []})


def setting(code: int, value: int) -> bytes:
    return struct.pack(">HL", code, value)


def settings_frame(*settings: bytes) -> bytes:
    return frame(SETTINGS, 0, 0, b"".join(settings))


HEAD = HeadReceived(WAITING, 200, [])

FORMS: dict[str, Case] = {
    # Frames of all types (sections 4.1, 4.2)
    "the largest frame": Case(0, frame(0xFF, 0, 0, bytes(16_384)), []),
    "a frame that is too large": Case(0, frame(0xFF, 0, 0, bytes(16_385)), Dies(FRAME_SIZE_ERROR)),
    "the reserved bit of the stream": Case(
        WAITING, frame(HEADERS, END_HEADERS, WAITING | 1 << 31, OK), [HEAD]
    ),
    "flags that mean nothing": Case(
        WAITING, frame(HEADERS, 0xD2 | END_HEADERS, WAITING, OK), [HEAD]
    ),
    # DATA (6.1)
    "DATA with padding": Case(
        ANSWERED, frame(DATA, PADDED, ANSWERED, b"\2x\0\0"), [DataReceived(ANSWERED, b"x")]
    ),
    "DATA of padding alone": Case(ANSWERED, frame(DATA, PADDED, ANSWERED, b"\2\0\0"), []),
    "DATA with as much padding as payload": Case(
        ANSWERED, frame(DATA, PADDED, ANSWERED, b"\3\0\0"), Dies(PROTOCOL_ERROR)
    ),
    "padded DATA of no bytes": Case(
        ANSWERED, frame(DATA, PADDED, ANSWERED), Dies(FRAME_SIZE_ERROR)
    ),
    "DATA with too much padding on a stream that we have reset": Case(
        LEFT, frame(DATA, PADDED, LEFT, b"\3\0\0"), Dies(PROTOCOL_ERROR)
    ),
    # HEADERS (6.2)
    "HEADERS with padding": Case(
        WAITING, frame(HEADERS, END_HEADERS | PADDED, WAITING, b"\3" + OK + bytes(3)), [HEAD]
    ),
    "HEADERS with no padding": Case(
        WAITING, frame(HEADERS, END_HEADERS | PADDED, WAITING, b"\0" + OK), [HEAD]
    ),
    "HEADERS with more padding than payload": Case(
        WAITING,
        frame(HEADERS, END_HEADERS | PADDED, WAITING, bytes([len(OK) + 1]) + OK),
        Dies(PROTOCOL_ERROR),
    ),
    "padded HEADERS of no bytes": Case(
        WAITING, frame(HEADERS, END_HEADERS | PADDED, WAITING), Dies(FRAME_SIZE_ERROR)
    ),
    "HEADERS with a priority": Case(
        WAITING,
        frame(HEADERS, END_HEADERS | PRIORITY_FLAG, WAITING, PRIORITY_FIELDS + OK),
        [HEAD],
    ),
    "HEADERS that depend on themselves": Case(
        WAITING,
        frame(HEADERS, END_HEADERS | PRIORITY_FLAG, WAITING, b"\0\0\0\1\0" + OK),
        [HEAD],
    ),
    "HEADERS with a priority and padding": Case(
        WAITING,
        frame(
            HEADERS,
            END_HEADERS | PRIORITY_FLAG | PADDED,
            WAITING,
            b"\2" + PRIORITY_FIELDS + OK + bytes(2),
        ),
        [HEAD],
    ),
    "HEADERS with half a priority": Case(
        WAITING,
        frame(HEADERS, END_HEADERS | PRIORITY_FLAG, WAITING, b"\0\0"),
        Dies(FRAME_SIZE_ERROR),
    ),
    "HEADERS with padding where the priority should be": Case(
        WAITING,
        frame(HEADERS, END_HEADERS | PRIORITY_FLAG | PADDED, WAITING, b"\4" + PRIORITY_FIELDS),
        Dies(PROTOCOL_ERROR),
    ),
    "trailers with a priority": Case(
        ANSWERED,
        frame(
            HEADERS,
            END_HEADERS | END_STREAM | PRIORITY_FLAG,
            ANSWERED,
            PRIORITY_FIELDS + TRAILERS,
        ),
        [Ended(ANSWERED, [(b"x", b"y")])],
    ),
    "a head in three frames, with a priority and padding": Case(
        WAITING,
        frame(
            HEADERS,
            END_STREAM | PRIORITY_FLAG | PADDED,
            WAITING,
            b"\1" + PRIORITY_FIELDS + OK[:1] + b"\0",
        )
        + frame(CONTINUATION, 0, WAITING, OK[1:2])
        + frame(CONTINUATION, 0, WAITING)
        + frame(CONTINUATION, END_HEADERS, WAITING, OK[2:]),
        [HEAD, Ended(WAITING, [])],
    ),
    "a head in a thousand frames": Case(
        WAITING,
        frame(HEADERS, 0, WAITING)
        + frame(CONTINUATION, 0, WAITING) * 1000
        + frame(CONTINUATION, END_HEADERS, WAITING, OK),
        [HEAD],
    ),
    "a head in two frames for a stream that we have reset": Case(
        LEFT, frame(HEADERS, 0, LEFT, OK[:1]) + frame(CONTINUATION, END_HEADERS, LEFT, OK[1:]), []
    ),
    # Field blocks (4.3)
    "a field block with an index that is in no table": Case(
        WAITING, frame(HEADERS, END_HEADERS, WAITING, b"\xff" * 20), Dies(COMPRESSION_ERROR)
    ),
    "a field block that ends too soon": Case(
        WAITING, frame(HEADERS, END_HEADERS, WAITING, OK + b"\0\5abc"), Dies(COMPRESSION_ERROR)
    ),
    "a field block with broken Huffman code": Case(
        WAITING, frame(HEADERS, END_HEADERS, WAITING, b"\0\x82\xff\xff\1a"), Dies(COMPRESSION_ERROR)
    ),
    "a field block with a table larger than ours": Case(
        WAITING,
        frame(HEADERS, END_HEADERS, WAITING, b"\x3f\xff\xff\3" + OK),
        Dies(COMPRESSION_ERROR),
    ),
    "a broken field block for a stream that we have reset": Case(
        LEFT, frame(HEADERS, END_HEADERS, LEFT, b"\xff" * 20), Dies(COMPRESSION_ERROR)
    ),
    "a broken field block of trailers": Case(
        ANSWERED,
        frame(HEADERS, END_HEADERS | END_STREAM, ANSWERED, b"\xff" * 20),
        Dies(COMPRESSION_ERROR),
    ),
    "a field block that was interrupted": Case(
        WAITING, frame(HEADERS, 0, WAITING, OK) + PINGED, Dies(PROTOCOL_ERROR)
    ),
    "a field block that a frame of unknown type interrupts": Case(
        WAITING, frame(HEADERS, 0, WAITING, OK) + frame(0xFF, 0, WAITING), Dies(PROTOCOL_ERROR)
    ),
    "a field block that goes on for another stream": Case(
        WAITING,
        frame(HEADERS, 0, WAITING, OK) + frame(CONTINUATION, END_HEADERS, OPEN, OK),
        Dies(PROTOCOL_ERROR),
    ),
    "a field block within another": Case(
        WAITING,
        frame(HEADERS, 0, WAITING, OK) + frame(HEADERS, END_HEADERS, WAITING, OK),
        Dies(PROTOCOL_ERROR),
    ),
    "the CONTINUATION of a field block that was whole": Case(
        RELEASED,
        frame(HEADERS, END_HEADERS, LEFT, OK) + frame(CONTINUATION, END_HEADERS, LEFT, OK),
        Dies(PROTOCOL_ERROR),
    ),
    "trailers that are not the end": Case(
        ANSWERED, frame(HEADERS, END_HEADERS, ANSWERED, TRAILERS), Dies(PROTOCOL_ERROR)
    ),
    # PRIORITY (6.3)
    "PRIORITY that is too short": Case(
        WAITING, frame(PRIORITY, 0, WAITING, bytes(4)), Dies(FRAME_SIZE_ERROR)
    ),
    "PRIORITY that is too long": Case(
        WAITING, frame(PRIORITY, 0, WAITING, bytes(6)), Dies(FRAME_SIZE_ERROR)
    ),
    "PRIORITY of a stream that depends on itself": Case(
        WAITING, frame(PRIORITY, 0, WAITING, b"\0\0\0\1\0"), []
    ),
    # RST_STREAM (6.4)
    "RST_STREAM that is too short": Case(
        WAITING, frame(RST_STREAM, 0, WAITING, bytes(3)), Dies(FRAME_SIZE_ERROR)
    ),
    "RST_STREAM that is too long": Case(
        WAITING, frame(RST_STREAM, 0, WAITING, bytes(5)), Dies(FRAME_SIZE_ERROR)
    ),
    "RST_STREAM with an unknown code": Case(
        WAITING, frame(RST_STREAM, 0, WAITING, b"\xff" * 4), [Reset(WAITING, 2**32 - 1)]
    ),
    # SETTINGS (6.5)
    "SETTINGS that acknowledge, with a payload": Case(
        0, frame(SETTINGS, ACK, 0, setting(4, 100)), Dies(FRAME_SIZE_ERROR)
    ),
    "half a setting": Case(0, frame(SETTINGS, 0, 0, bytes(5)), Dies(FRAME_SIZE_ERROR)),
    "a setting and a half": Case(
        0, frame(SETTINGS, 0, 0, setting(4, 100) + b"\0"), Dies(FRAME_SIZE_ERROR)
    ),
    "a setting that nobody knows": Case(
        0, settings_frame(setting(0xF0, 2**32 - 1)), [SettingsReceived({0xF0: 2**32 - 1})]
    ),
    "SETTINGS_ENABLE_PUSH of 0": Case(0, settings_frame(setting(2, 0)), [SettingsReceived({2: 0})]),
    "SETTINGS_ENABLE_PUSH of 1": Case(0, settings_frame(setting(2, 1)), Dies(PROTOCOL_ERROR)),
    "SETTINGS_ENABLE_PUSH of 2": Case(0, settings_frame(setting(2, 2)), Dies(PROTOCOL_ERROR)),
    "the largest SETTINGS_INITIAL_WINDOW_SIZE": Case(
        0, settings_frame(setting(4, 2**31 - 1)), [SettingsReceived({4: 2**31 - 1})]
    ),
    "SETTINGS_INITIAL_WINDOW_SIZE that is too large": Case(
        0, settings_frame(setting(4, 2**31)), Dies(FLOW_CONTROL_ERROR)
    ),
    "SETTINGS_INITIAL_WINDOW_SIZE that makes a window too large": Case(
        0,
        frame(WINDOW, 0, WAITING, b"\x7f\0\0\0") + settings_frame(setting(4, 2**31 - 1)),
        Dies(FLOW_CONTROL_ERROR),
    ),
    "the smallest SETTINGS_MAX_FRAME_SIZE": Case(
        0, settings_frame(setting(5, 2**14)), [SettingsReceived({5: 2**14})]
    ),
    "the largest SETTINGS_MAX_FRAME_SIZE": Case(
        0, settings_frame(setting(5, 2**24 - 1)), [SettingsReceived({5: 2**24 - 1})]
    ),
    "SETTINGS_MAX_FRAME_SIZE that is too small": Case(
        0, settings_frame(setting(5, 2**14 - 1)), Dies(PROTOCOL_ERROR)
    ),
    "SETTINGS_MAX_FRAME_SIZE that is too large": Case(
        0, settings_frame(setting(5, 2**24)), Dies(PROTOCOL_ERROR)
    ),
    "SETTINGS_ENABLE_CONNECT_PROTOCOL of 2 (RFC 8441)": Case(
        0, settings_frame(setting(8, 2)), Dies(PROTOCOL_ERROR)
    ),
    "a bad setting that a good one follows": Case(
        0, settings_frame(setting(5, 1), setting(5, 2**14)), Dies(PROTOCOL_ERROR)
    ),
    # PUSH_PROMISE (6.6)
    "the beginning of a PUSH_PROMISE": Case(
        WAITING, frame(PUSH, 0, WAITING, b"\0\0\0\2"), Dies(PROTOCOL_ERROR)
    ),
    # PING (6.7)
    "a PING that is too short": Case(0, frame(PING, 0, 0, bytes(7)), Dies(FRAME_SIZE_ERROR)),
    "a PING that is too long": Case(0, frame(PING, 0, 0, bytes(9)), Dies(FRAME_SIZE_ERROR)),
    "an acknowledged PING that is too short": Case(
        0, frame(PING, ACK, 0, bytes(7)), Dies(FRAME_SIZE_ERROR)
    ),
    # GOAWAY (6.8)
    "GOAWAY that is too short": Case(0, frame(GOAWAY, 0, 0, bytes(7)), Dies(FRAME_SIZE_ERROR)),
    "GOAWAY with an unknown code": Case(
        0, frame(GOAWAY, 0, 0, bytes(4) + b"\xff" * 4), [GoAway(0, 2**32 - 1, b"")]
    ),
    # WINDOW_UPDATE (6.9)
    "WINDOW_UPDATE that is too short": Case(
        WAITING, frame(WINDOW, 0, WAITING, bytes(3)), Dies(FRAME_SIZE_ERROR)
    ),
    "WINDOW_UPDATE that is too long": Case(
        0, frame(WINDOW, 0, 0, bytes(5)), Dies(FRAME_SIZE_ERROR)
    ),
    # Header blocks that are no response's (8.1)
    "an interim response that is the end": Case(
        WAITING,
        frame(HEADERS, END_HEADERS | END_STREAM, WAITING, block((b":status", b"103"))),
        Dies(PROTOCOL_ERROR),
    ),
    "an interim response after the final one": Case(
        ANSWERED,
        frame(HEADERS, END_HEADERS, ANSWERED, block((b":status", b"103"))),
        Dies(PROTOCOL_ERROR),
    ),
    "a status among the trailers": Case(
        ANSWERED, frame(HEADERS, END_HEADERS | END_STREAM, ANSWERED, OK), Fails(None)
    ),
    "an empty field block": Case(
        WAITING, frame(HEADERS, END_HEADERS, WAITING), Fails(PROTOCOL_ERROR)
    ),
}


@pytest.mark.parametrize("name", STATES)
def test_a_frame_on_a_stream_in_any_state_has_one_outcome(name: str) -> None:
    check(STATES[name], 1000)
    check(STATES[name], 1)
    check(STATES[name], 1000, behind=frame(0xFF, 0, 0, b"unknown"))
    check(STATES[name], 1, behind=frame(0xFF, 0, 0, b"unknown"))


@pytest.mark.parametrize("name", FORMS)
def test_a_frame_of_any_form_has_one_outcome(name: str) -> None:
    check(FORMS[name], 100_000)
    check(FORMS[name], 1)
    check(FORMS[name], 100_000, behind=frame(0xFF, 0, 0, b"unknown"))
    check(FORMS[name], 1, behind=frame(0xFF, 0, 0, b"unknown"))


def test_a_stream_is_reset_once_whatever_arrives_on_it() -> None:
    codec = in_all_states()
    for stream_id in (WAITING, REMOTE, LEFT, RESET):
        data = frame(DATA, 0, stream_id, b"x") + frame(HEADERS, END_HEADERS, stream_id, OK)
        codec.receive(data * 5)
        sent = sent_by(codec)
        assert len(sent) == (stream_id != LEFT), sent
        codec.reset(stream_id)
        assert codec.take() == b""


def test_field_blocks_of_dropped_responses_keep_the_decoder_table_in_step() -> None:
    codec = in_all_states()
    encoder = Encoder()
    fields = [(b":status", b"200"), (b"x", b"remembered")]
    first, second, third = (encoder.encode(fields) for _ in range(3))
    assert len(second) < len(first)
    data = (
        frame(HEADERS, END_HEADERS, LEFT, first)
        + frame(HEADERS, END_HEADERS, LEFT, second)
        + frame(HEADERS, END_HEADERS, WAITING, third)
    )
    assert codec.receive(data) == [HeadReceived(WAITING, 200, fields[1:])]


def test_a_connection_that_has_failed_resets_no_stream() -> None:
    codec = in_all_states()
    with pytest.raises(RemoteProtocolError):
        codec.receive(frame(PING, 0, 1, bytes(8)))
    codec.take()
    codec.reset(WAITING)
    assert codec.take() == b""


def test_a_bounded_number_of_reset_streams_is_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("httpcore2_http2._closed_streams.MAX_RESETS", 1)
    codec = in_all_states()
    codec.reset(ANSWERED)
    codec.take()
    late = frame(DATA, 0, LEFT, b"x") + frame(DATA, 0, ANSWERED, b"x")
    assert codec.receive(late) == []
    # The one that was forgotten for the other is now remembered in its place.
    assert sent_by(codec) == [reset_frame(n, STREAM_CLOSED) for n in (LEFT, ANSWERED)]


def test_an_error_on_a_released_stream_is_not_reported() -> None:
    for data, code in (
        (frame(WINDOW, 0, OPEN, bytes(4)), PROTOCOL_ERROR),
        (frame(WINDOW, 0, OPEN, b"\x7f\xff\xff\xff"), FLOW_CONTROL_ERROR),
        (frame(DATA, 0, OPEN, b"x"), ErrorCode.CANCEL),
    ):
        codec = in_all_states()
        codec.release(OPEN)
        assert codec.receive(data) == []
        assert sent_by(codec) == [reset_frame(OPEN, code)]
