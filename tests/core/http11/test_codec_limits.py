"""Every limit counts bytes: what is read and what is refused does not depend on how the bytes were cut."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from httpcore2_core._exceptions import RemoteProtocolError
from httpcore2_core._http11.chunked import OVERHEAD_LIMIT, OVERHEAD_PER_CHUNK
from httpcore2_core._http11.codec import (
    INTERIM_LIMIT,
    HTTP11Codec,
)
from httpcore2_core._http11.heads import HEAD_LIMIT, HeadMemory
from httpcore2_core._http11.lines import LINE_LIMIT
from httpcore2_core._http11.states import ResponseState

HOST = (b"Host", b"example.com")
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
EMPTY = OK + b"Content-Length: 0\r\n\r\n"


def result(segments: Iterable[bytes], head_limit: int, method: bytes = b"GET") -> object:
    """What a codec makes of a response that comes in segments: `None` if it is refused."""
    codec = HTTP11Codec(head_limit)
    codec.start_request(method, b"/", [HOST], None)
    head = None
    body = b""
    for segment in segments:
        codec.receive(segment)
        try:
            head = head or codec.take_head()
            if head is None:
                continue
            while data := codec.take_chunk():
                body += data
        except RemoteProtocolError:
            return None
    assert codec.response_state in (ResponseState.DONE, ResponseState.SWITCHED)
    return head, body, codec.trailers, codec.is_reusable, codec.leading_data


def positions(data: bytes, marks: Iterable[int]) -> Iterator[int]:
    """All of them if there are few; else those around `marks` and both ends, and some between."""
    if len(data) < 600:
        yield from range(1, len(data))
        return
    for mark in (0, len(data), *marks):
        yield from range(max(1, mark - 12), min(len(data), mark + 12))
    yield from range(1, len(data), len(data) // 40)


def cuttings(data: bytes, marks: Iterable[int] = ()) -> Iterator[list[bytes]]:
    yield [data]
    for at in sorted(set(positions(data, marks))):
        yield [data[:at], data[at:]]
        yield [data[:at], data[at : at + 1], data[at + 1 : at + 2], data[at + 2 :]]
    for size in (1, 7, 997, 4096):
        yield [data[at : at + size] for at in range(0, len(data), size)]


def results(
    data: bytes, marks: Iterable[int] = (), head_limit: int = HEAD_LIMIT, method: bytes = b"GET"
) -> object:
    """What a codec makes of `data`, which is the same however they are cut."""
    whole = result([data], head_limit, method)
    for segments in cuttings(data, marks):
        segments = [segment for segment in segments if segment]
        assert result(segments, head_limit, method) == whole, [len(segment) for segment in segments]
    return whole


def head_of(size: int, start: bytes = OK + b"Content-Length: 0\r\n", end: bytes = b"\r\n") -> bytes:
    """A head of `size` bytes before its blank line."""
    start += b"X: "
    return start + b"y" * (size - len(start) - len(end)) + end + end


# The cases with which it was found


def test_extensions_that_outweigh_the_data_are_refused_however_they_are_cut() -> None:
    chunk = b"1;" + b"a" * 2800 + b"\r\nx\r\n"
    assert results(CHUNKED + chunk * 6 + b"0\r\n\r\n") is None
    assert results(CHUNKED + chunk * 5 + b"0\r\n\r\n") is not None


def test_a_long_size_line_is_read_wherever_it_begins() -> None:
    body = b"5;a\r\nhello\r\n5;" + b"a" * 4091 + b"\r\nhello\r\n0\r\n\r\n"
    assert results(CHUNKED + body, [60]) == (
        (b"HTTP/1.1", 200, b"OK", [(b"Transfer-Encoding", b"chunked")]),
        b"hellohello",
        [],
        True,
        b"",
    )


def test_trailers_count_towards_the_overhead_limit() -> None:
    assert results(CHUNKED + b"0\r\nX: " + b"y" * 110_000 + b"\r\n\r\n") is None
    assert results(CHUNKED + b"0\r\nX: " + b"y" * 17_000 + b"\r\n\r\n") is None


# Each limit, and one byte more


@pytest.mark.parametrize("end", [b"\r\n", b"\n"], ids=["CRLF", "LF"])
@pytest.mark.parametrize("method", [b"GET", b"CONNECT"])
@pytest.mark.parametrize(
    "start", [OK + b"Content-Length: 0\r\n", b"HTTP/1.1 200\nA: b\n c\nContent-Length: 0\n"]
)
@pytest.mark.parametrize("before", [b"", CONTINUE, b"\r\n"], ids=["", "interim", "empty line"])
def test_a_head_may_have_its_limit_before_the_blank_line(
    before: bytes, start: bytes, method: bytes, end: bytes
) -> None:
    empty = len(before) if before == b"\r\n" else 0
    fits = before + head_of(200 - empty, start, end)
    assert results(fits, head_limit=200, method=method) is not None
    assert results(fits, head_limit=199, method=method) is None
    longer = before + head_of(201 - empty, start, end)
    assert results(longer, head_limit=200, method=method) is None


@pytest.mark.parametrize("status_line", [OK, b"HTTP/1.1 200\nA: b\n c\n"])
def test_a_head_may_have_a_hundred_kibibytes_before_the_blank_line(status_line: bytes) -> None:
    start = status_line + b"Content-Length: 0\r\n"
    assert results(head_of(HEAD_LIMIT, start), [HEAD_LIMIT]) is not None
    assert results(head_of(HEAD_LIMIT + 1, start), [HEAD_LIMIT]) is None


def test_an_interim_head_has_the_same_limit() -> None:
    start = b"HTTP/1.1 103 Early\r\n"
    assert results(head_of(200, start) * 3 + EMPTY, [200], 200) is not None
    assert results(head_of(200, start) + head_of(201, start) + EMPTY, [200], 200) is None


def test_a_head_that_was_read_with_a_higher_limit_is_not_remembered_for_a_lower_one() -> None:
    memory = HeadMemory()
    data = head_of(300)
    assert memory.read_head(data, 300) is memory.read_head(data, 300) is not None
    assert memory.read_head(data, 299) is None


def test_a_hundred_interim_responses_may_come_first() -> None:
    marks = [len(CONTINUE) * INTERIM_LIMIT]
    assert results(CONTINUE * INTERIM_LIMIT + EMPTY, marks) is not None
    assert results(CONTINUE * (INTERIM_LIMIT + 1) + EMPTY, marks) is None


@pytest.mark.parametrize("before", [b"", b"1\r\na\r\n", b"1;x\r\na\r\n"])
@pytest.mark.parametrize("fill", [b"a", b" ", b"\0"])
def test_a_size_line_may_have_four_kibibytes(before: bytes, fill: bytes) -> None:
    line = b"1;" + fill * (LINE_LIMIT - 4) + b"\r\n"
    after = b"b\r\n0\r\n\r\n"
    start = CHUNKED + before
    assert results(start + line + after, [len(start), len(start) + LINE_LIMIT]) is not None
    longer = line.replace(b";", b";" + fill)
    assert results(start + longer + after, [len(start), len(start) + LINE_LIMIT]) is None


@pytest.mark.parametrize("plain", [0, 1, 100])
def test_extensions_may_outweigh_the_data_by_so_much(plain: int) -> None:
    start = CHUNKED + (b"%x\r\n%b\r\n" % (plain, b"a" * plain) if plain else b"")
    allowed = OVERHEAD_LIMIT + 2 * (plain + 5)
    lines = [4000, 4000, 4000, 4000]
    lines.append(allowed + 5 * OVERHEAD_PER_CHUNK - sum(lines))
    for surplus in (0, 1):
        body = b"".join(
            b"1;%b\r\nb\r\n" % (b"x" * (size - 4)) for size in (*lines[:-1], lines[-1] + surplus)
        )
        data = start + body + b"0\r\n\r\n"
        assert (results(data, [len(start + body)]) is None) == bool(surplus)


@pytest.mark.parametrize("before", [b"", b"5\r\nhello\r\n", b"5;x\r\nhello\r\n"])
@pytest.mark.parametrize("end", [b"\r\n", b"\n"], ids=["CRLF", "LF"])
def test_trailers_may_outweigh_the_data_by_so_much(before: bytes, end: bytes) -> None:
    allowed = OVERHEAD_LIMIT + (10 if before else 0)
    if b"x" in before:
        allowed -= len(b"5;x\r\n") - OVERHEAD_PER_CHUNK
    start = CHUNKED + before + b"0\r\n"
    trailers = b"X: " + b"y" * (allowed - 3 - len(end)) + end + end
    marks = [len(start), len(start) + allowed]
    assert results(start + trailers, marks) is not None
    assert results(start + trailers.replace(b"y", b"yy", 1), marks) is None


def test_trailers_have_the_limit_of_a_head_where_the_data_would_allow_more() -> None:
    size = 100_000
    body = b"%x\r\n%b\r\n0\r\n" % (size, bytes(size))
    trailers = b"X: " + b"y" * (HEAD_LIMIT - 5) + b"\r\n\r\n"
    assert results(CHUNKED + body + trailers) is not None
    assert results(CHUNKED + body + b"X" + trailers) is None


def test_framing_may_be_large_if_the_data_are() -> None:
    chunk = b"ff;" + b"x" * 400 + b"\r\n" + b"a" * 255 + b"\r\n"
    assert results(CHUNKED + chunk * 100 + b"0\r\n\r\n") is not None


def test_chunks_of_one_byte_may_go_on_without_end() -> None:
    data = CHUNKED + b"1\r\na\r\n" * 10_000 + b"1;x=y\r\na\r\n" * 10_000 + b"0\r\n\r\n"
    for size in (len(data), 997, 1):
        read = result([data[at : at + size] for at in range(0, len(data), size)], HEAD_LIMIT)
        assert read is not None


def test_data_are_no_lines() -> None:
    data = b"\0 \r\v\n" * 1000
    body = b"1388\r\n" + data + b"\r\n1388;\r\n" + data + b"\r\n0\r\n\r\n"
    assert results(CHUNKED + body) is not None
