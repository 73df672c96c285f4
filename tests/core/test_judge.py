"""h11 as the judge: its verdicts stand, and what it leaves open is limited."""

from __future__ import annotations

import h11
import pytest

from httpcore2_core._exceptions import LocalProtocolError, RemoteProtocolError
from httpcore2_core._http11.judge import (
    HEAD_LIMIT,
    INTERIM_LIMIT,
    LINE_LIMIT,
    OVERHEAD_LIMIT,
    OVERHEAD_PER_CHUNK,
    Judge,
    check_request,
)

Headers = list[tuple[bytes, bytes]]

HOST = (b"Host", b"example.com")
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def judging(data: bytes, method: bytes = b"GET", *fields: tuple[bytes, bytes]) -> Judge:
    judge = Judge(method, b"/", [HOST, *fields])
    judge.receive(data)
    return judge


def in_body(data: bytes = b"") -> Judge:
    """A judge that has read the head of a chunked response."""
    judge = judging(CHUNKED + data)
    assert judge.head() is not None
    return judge


def fed(judge: Judge, data: bytes, size: int = 1000) -> tuple[bytes, bool]:
    """What is read of a body that comes in pieces."""
    body = b""
    for at in range(0, len(data), size):
        judge.receive(data[at : at + size])
        piece, ended = judge.body()
        body += piece
        if ended:
            return body, True
    return body, False


# Requests


def test_a_request_is_written_with_host_first() -> None:
    head = check_request(b"GET", b"/", [(b"X", b"\x01"), HOST])
    assert head == b"GET / HTTP/1.1\r\nHost: example.com\r\nX: \x01\r\n\r\n"


def test_the_reason_for_a_refusal_is_kept() -> None:
    with pytest.raises(LocalProtocolError, match="Missing mandatory Host: header") as raised:
        check_request(b"GET", b"/", [])
    assert isinstance(raised.value.__cause__, h11.LocalProtocolError)


# Responses


def test_a_response_is_read_to_its_end() -> None:
    judge = judging(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab")
    head = judge.head()
    assert head is not None
    assert head.status_code == 200
    assert judge.body() == (b"ab", False)
    judge.receive(b"cde")
    assert judge.body() == (b"c", True)
    assert judge.unread == b"de"
    assert judge.keeps_alive
    assert not judge.has_switched


def test_a_head_may_need_more_bytes() -> None:
    judge = judging(EMPTY[:-1])
    assert judge.head() is None
    judge.receive(EMPTY[-1:])
    assert judge.head() is not None


@pytest.mark.parametrize(
    "fields",
    [
        [(b"Content-Length", b"3")],
        [(b"transfer-encoding", b"chunked")],
        [(b"Content-Length", b"3"), (b"content-length", b"3")],
    ],
)
def test_the_body_of_the_request_does_not_matter(fields: Headers) -> None:
    judge = judging(EMPTY, b"POST", *fields)
    assert judge.head() is not None
    assert judge.body() == (b"", True)
    assert judge.keeps_alive


def test_a_side_that_closes_ends_the_connection() -> None:
    judge = judging(EMPTY, b"GET", (b"Connection", b"close"))
    assert judge.head() is not None
    assert judge.body() == (b"", True)
    assert not judge.keeps_alive


def test_trailers_are_kept() -> None:
    judge = in_body(b"1\r\na\r\n0\r\nX: y\r\n\r\n")
    assert judge.body() == (b"a", True)
    assert judge.trailers == [(b"X", b"y")]


def test_a_tunnel_is_told_from_a_response() -> None:
    judge = judging(b"HTTP/1.1 200 OK\r\n\r\nrest", b"CONNECT")
    assert judge.head() is not None
    assert judge.has_switched
    assert judge.unread == b"rest"


def test_an_upgrade_is_the_response() -> None:
    judge = judging(b"HTTP/1.1 101 \r\n\r\nrest", b"GET", (b"Upgrade", b"websocket"))
    head = judge.head()
    assert head is not None
    assert head.status_code == 101
    assert judge.has_switched
    assert judge.unread == b"rest"


def test_a_body_that_breaks_off_is_refused() -> None:
    judge = in_body(b"5\r\nab")
    judge.receive(b"")
    with pytest.raises(RemoteProtocolError, match="incomplete chunked read") as raised:
        judge.body()
    assert isinstance(raised.value.__cause__, h11.RemoteProtocolError)


# Limits


def test_a_hundred_interim_responses_are_skipped() -> None:
    judge = judging(CONTINUE * INTERIM_LIMIT + EMPTY)
    head = judge.head()
    assert head is not None
    assert head.status_code == 200


def test_more_interim_responses_are_refused() -> None:
    judge = judging(CONTINUE * (INTERIM_LIMIT + 1))
    with pytest.raises(RemoteProtocolError, match="more than 100 interim responses"):
        judge.head()


@pytest.mark.parametrize("status", [b"100", b"200"])
def test_a_head_is_limited_even_if_it_comes_at_once(status: bytes) -> None:
    start = b"HTTP/1.1 " + status + b" \r\nX: "
    fits = start + b"x" * (HEAD_LIMIT - len(start) - 4) + b"\r\n\r\n"
    assert (judging(fits).head() is None) == (status == b"100")
    with pytest.raises(RemoteProtocolError, match="head is longer than 102400 bytes"):
        judging(start + b"x" + fits[len(start) :]).head()


def test_what_follows_a_head_is_not_counted_with_it() -> None:
    judge = judging(EMPTY + b"x" * HEAD_LIMIT)
    assert judge.head() is not None
    assert len(judge.unread) == HEAD_LIMIT


def test_a_size_line_may_have_four_kibibytes() -> None:
    extension = b"x" * (LINE_LIMIT - 6)
    judge = in_body(b"2;" + extension + b"\r\nab\r\n2;" + extension + b"\r\nab\r\n0\r\n\r\n")
    assert judge.body() == (b"abab", True)


@pytest.mark.parametrize("before", [b"", b"1\r\na\r\n"])
@pytest.mark.parametrize("extension", [b"x" * LINE_LIMIT, b" " * 50_000 + b"\n"])
def test_a_longer_size_line_is_refused(before: bytes, extension: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="size line is longer than 4096 bytes"):
        in_body(before + b"1;" + extension + b"\r\na\r\n").body()
    with pytest.raises(RemoteProtocolError, match="size line is longer than 4096 bytes"):
        fed(in_body(), before + b"1;" + extension)


@pytest.mark.parametrize("size", [100_000, 1000, 1])
def test_data_are_no_lines(size: int) -> None:
    data = b"\0 \r\v\n" * 1000
    body = b"1388\r\n" + data + b"\r\n1388;\r\n" + data + b"\r\n0\r\n\r\n"
    assert fed(in_body(), body, size) == (data * 2, True)


@pytest.mark.parametrize("size", [100_000, 1000])
@pytest.mark.parametrize("last", [b"0\r\n", b"000;x\r\n"])
def test_long_trailers_are_read(last: bytes, size: int) -> None:
    judge = in_body()
    body = b"1\r\na\r\n" + last + b"X:" + b" " * 10_000 + b"y\r\n\r\n"
    assert fed(judge, body, size) == (b"a", True)
    assert judge.trailers == [(b"X", b"y")]


@pytest.mark.parametrize("size", [200_000, 1000])
@pytest.mark.parametrize("illegal", [b"\0", b"\v", b"\f", b"\r", b"a\r\n \0"])
def test_long_trailers_made_to_take_long_are_refused(illegal: bytes, size: int) -> None:
    body = b"1\r\na\r\n0\r\nX:" + b" " * 50_000 + illegal + b"\r\n\r\n"
    with pytest.raises(RemoteProtocolError, match=r"illegal header line|outweighs its data"):
        fed(in_body(), body, size)


@pytest.mark.parametrize("illegal", [b"\0", b"\v", b"\f", b"\r", b"a\r\n \0"])
def test_a_long_head_made_to_take_long_is_refused(illegal: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="illegal header line: it has a control char"):
        judging(b"HTTP/1.1 200 \r\nX:" + b" " * 100_000 + illegal + b"\r\n\r\n").head()


def test_framing_may_not_outweigh_the_data() -> None:
    judge = in_body()
    chunk = b"1;" + b"x" * 1000 + b"\r\na\r\n"
    framing = len(chunk) - 1
    allowed = OVERHEAD_LIMIT // (framing - OVERHEAD_PER_CHUNK - 2)
    assert fed(judge, chunk * allowed, len(chunk)) == (b"a" * allowed, False)
    with pytest.raises(RemoteProtocolError, match="framing of the chunked body outweighs its data"):
        fed(judge, chunk, len(chunk))


def test_framing_may_be_large_if_the_data_are() -> None:
    chunk = b"ff;" + b"x" * 400 + b"\r\n" + b"a" * 255 + b"\r\n"
    assert fed(in_body(), chunk * 1000, 5000) == (b"a" * 255_000, False)


def test_chunks_of_one_byte_may_go_on_for_ever() -> None:
    assert fed(in_body(), b"1\r\na\r\n" * 10_000, 60) == (b"a" * 10_000, False)
