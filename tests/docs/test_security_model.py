"""The bounds that the page on security names are those of the code."""

from __future__ import annotations

import pytest

from httpcore2_asyncio import _stream
from httpcore2_core._connect import http_proxy
from httpcore2_core._http11 import chunked, codec, heads, lines
from httpcore2_core._pool import engine
from httpcore2_http2 import (
    AsyncHTTP2Connection,
    _closed_streams,
    _codec,
    _connection,
    _frames,
    _writer,
)

from .examples import ROOT

PAGE = " ".join((ROOT / "docs" / "guide" / "security-model.md").read_text().split())
KIB = 1024
MIB = 1024 * 1024

BOUNDS = [
    ("| a head, before its blank line | 100 KiB |", heads.HEAD_LIMIT, 100 * KIB),
    ("| interim responses (1xx) before a response | 100 |", codec.INTERIM_LIMIT, 100),
    ("| the size line of a chunk | 4 KiB |", lines.LINE_LIMIT, 4 * KIB),
    ("| 16 KiB, and 16 bytes for each chunk", chunked.OVERHEAD_LIMIT, 16 * KIB),
    ("| 16 KiB, and 16 bytes for each chunk", chunked.OVERHEAD_PER_CHUNK, 16),
    ("on asyncio 64 KiB and one read of 256 KiB more", _stream.HIGH_WATER, 64 * KIB),
    ("on asyncio 64 KiB and one read of 256 KiB more", _stream.BUFFER_SIZE, 256 * KIB),
    ("| a frame | 16 KiB |", _frames.MAX_FRAME, 16 * KIB),
    ("(32 bytes are added for each field:", _codec.MAX_HEADER_LIST, 100 * KIB),
    ("in any number of CONTINUATION frames | 256 KiB |", _frames.MAX_FIELD_BLOCK, 256 * KIB),
    ("before a response, each stream | 100 |", _codec.MAX_INTERIM, 100),
    ("| 1 MiB (`STREAM_WINDOW`) |", AsyncHTTP2Connection.STREAM_WINDOW, MIB),
    ("| 16 MiB (`CONNECTION_WINDOW`) |", AsyncHTTP2Connection.CONNECTION_WINDOW, 16 * MIB),
    ("| streams at a time | 100,", _codec.MAX_STREAMS, 100),
    ("| 10,000; a frame with data subtracts 10 |", _codec.MAX_IDLE_FRAMES, 10_000),
    ("| 10,000; a frame with data subtracts 10 |", _codec.IDLE_FRAMES_PER_DATA, 10),
    ("| 128 KiB of replies |", _writer.MAX_REPLIES, 128 * KIB),
    (
        "the last 1000 that the client has reset, and the last 100 that have ended",
        _closed_streams.MAX_RESETS,
        1000,
    ),
    ("at most 8 MiB of unsent requests are queued", _connection._MAX_UNSENT, 8 * MIB),
    ("is sent at most 10 times", engine._MAX_ATTEMPTS_WITHOUT_PROGRESS, 10),
    ("or 1000 times if the server processes other", engine._MAX_ATTEMPTS, 1000),
    ("| 200 characters of ASCII |", http_proxy._LONGEST_REASON, 200),
    ("At most 1024 header names of up to 64 bytes", heads.FieldNames.LIMIT, 1024),
    ("At most 1024 header names of up to 64 bytes", heads.FieldNames.SIZE_LIMIT, 64),
]


@pytest.mark.parametrize(("words", "constant", "value"), BOUNDS, ids=[each[0] for each in BOUNDS])
def test_a_bound_on_the_page_is_that_of_the_code(words: str, constant: int, value: int) -> None:
    assert words in PAGE
    assert constant == value
