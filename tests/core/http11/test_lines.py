"""Lines as they are received: each is checked once, and refused as soon as it can't become part of a response."""

from __future__ import annotations

import pytest

from httpcore2_core._exceptions import RemoteProtocolError
from httpcore2_core._http11.lines import (
    LINE_LIMIT,
    check_beginning,
    check_lines,
    excerpt,
    match_chunk_line,
    status_line_start,
)


def test_an_excerpt_is_short_and_escaped() -> None:
    assert excerpt(b"a\r\n\0") == r"b'a\r\n\x00'"
    assert excerpt(bytearray(b"xxab"), 2) == "b'ab'"
    assert excerpt(b"a" * 60) == f"b'{'a' * 60}'"
    assert excerpt(b"a" * 61) == f"b'{'a' * 60}'…"


@pytest.mark.parametrize(
    ("data", "start"),
    [(b"", 0), (b"H", 0), (b"\n", 1), (b"\r\n", 2), (b"\r", 0), (b"\n\n", 1), (b"\rH", 0)],
)
def test_one_empty_line_may_precede_the_status_line(data: bytes, start: int) -> None:
    assert status_line_start(data) == start


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.0 999\r\n",
        b"HTTP/9.9 000\n",
        b"\r\nHTTP/1.1 200\r\n",
        b"\nHTTP/1.1 200\r\n",
    ],
)
def test_each_beginning_of_a_response_is_accepted(data: bytes) -> None:
    for size in range(len(data) + 1):
        check_beginning(data[:size])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x15\x03\x01\0\x02", r"b'\\x15\\x03\\x01\\x00\\x02'. This is TLS: the URL may have"),
        (b"\0\0\x12\x04\0\0\0\0\0\0", "This is HTTP/2: set http1=False, http2=True"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", r"but b'SSH-2.0-OpenSSH_9.6\\r\\n'. This is an SSH server"),
        (b"220 mail.example ESMTP\r\n", "This is a mail or FTP server"),
        (b"421-busy", "This is a mail or FTP server"),
        (b"<!DOCTYPE html>", "HTML or XML without a response head"),
        (b"\r\n\r\n<html>", "HTML or XML without a response head"),
        (b"GET / HTTP/1.1\r\n", "This is a request: the server may send back"),
        (b"HTTP/2 200 OK\r\n", "The status line is malformed"),
        (b"HTTP/1.1 2000 OK\r\n", "The status line is malformed"),
        (b"HTTP/1.1 200\tOK\r\n", "The status line is malformed"),
        (b"+OK POP3\r\n", "Check the host and the port of the URL"),
        (b"\rHTTP/1.1 200 OK\r\n", "Check the host and the port of the URL"),
    ],
)
def test_bytes_that_are_no_response_are_refused_with_the_likely_cause(
    data: bytes, message: str
) -> None:
    for received in (data, bytearray(data)):
        with pytest.raises(RemoteProtocolError, match=message):
            check_beginning(received)


LINES = [
    b"X: y\r\n",
    b"X:y\n",
    b"X:\r\n",
    b"X \t: y\r\n",
    b" folded\r\n",
    b"\tfolded\n",
    b" \r\n",
    b"X: \x01\x7f\xff\r\n",
    b"X: a:b\r\n",
    b"X" * 100 + b": y\r\n",
]


@pytest.mark.parametrize("line", LINES)
def test_each_beginning_of_a_field_line_is_accepted(line: bytes) -> None:
    before = b"HTTP/1.1 200 OK\r\nA: b\r\n"
    for scanned in range(len(line) + 1):
        for size in range(scanned, len(line) + 1):
            check_lines(line[:size], scanned, None)
            check_lines(before + line[:size], len(before) + scanned, 0)
            check_lines(b"\r\n" + before + line[:size], 0, 2)


@pytest.mark.parametrize(
    ("line", "size"),
    [
        (b"nonsense\r\n", 9),
        (b"<html>", 1),
        (b"a b: c", 3),
        (b"a\r", 2),
        (b": x", 1),
        (b"\x80", 1),
        (b"\rX", 2),
        (b"X: \0\r\n", 6),
        (b"X: a\rb\r\n", 8),
        (b" \v\r\n", 4),
        (b"X" * 100 + b"\r\n", 102),
    ],
)
def test_a_line_that_is_no_field_is_refused_when_that_is_certain(line: bytes, size: int) -> None:
    before = b"HTTP/1.1 200 OK\r\nA: b\r\n"
    for number in range(1, size):
        check_lines(before + line[:number], len(before) + number - 1, 0)
    with pytest.raises(RemoteProtocolError, match="illegal header line: b'"):
        check_lines(before + line[:size], len(before) + size - 1, 0)
    with pytest.raises(RemoteProtocolError, match="illegal header line: b'"):
        check_lines(before + line, 0, 0)
    with pytest.raises(RemoteProtocolError, match="illegal header line: b'"):
        check_lines(line, 0, None)


@pytest.mark.parametrize("line", [b"HTTP/1.1 200 \0\r\n", b"HTTP/1.1 200 a\rb\n", b"X: y\r\n"])
def test_a_malformed_status_line_is_refused(line: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="illegal header line: b'"):
        check_lines(line, 0, 0)


def test_a_status_line_is_none_but_the_first() -> None:
    with pytest.raises(RemoteProtocolError, match="illegal header line: b'HTTP"):
        check_lines(b"HTTP/1.1 200 OK\r\n" * 2, 0, 0)


# Chunks


@pytest.mark.parametrize(
    ("line", "size"),
    [
        (b"0\r\n", 0),
        (b"a\r\n", 10),
        (b"00Ff\r\n", 255),
        (b"f" * 20 + b"\r\n", 16**20 - 1),
        (b"5 \t\r\n", 5),
        (b"5;\r\n", 5),
        (b"5;a=b;c\r\n", 5),
        (b'5;a="\xe9\0\r" \r\n', 5),
        (b"5 \t;a\r\n", 5),
        (b"5;" + b"a" * (LINE_LIMIT - 4) + b"\r\n", 5),
    ],
)
def test_a_chunk_line_is_read_when_it_is_complete(line: bytes, size: int) -> None:
    for before in (b"", b"x" * 10):
        data = before + line
        for end in range(len(before), len(data)):
            assert match_chunk_line(data[:end], len(before), 0) is None
        for scanned in (0, len(data) - 1):
            matched = match_chunk_line(data + b"\nmore", len(before), scanned)
            assert matched is not None
            assert (int(matched[1], 16), matched.end()) == (size, len(data))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"x", "a size in hexadecimal digits is required"),
        (b"\r", "a size in hexadecimal digits"),
        (b" 5", "a size in hexadecimal digits"),
        (b";", "a size in hexadecimal digits"),
        (b"-5", "a size in hexadecimal digits"),
        (b"0x5", "a size in hexadecimal digits"),
        (b"5 5", "a size in hexadecimal digits"),
        (b"5\rx", "a size in hexadecimal digits"),
        (b"5x", "a size in hexadecimal digits"),
        (b"f" * 21, "a size in hexadecimal digits"),
        (b"5" + b" " * 100 + b"x\r\n", "a size in hexadecimal digits"),
        (b"\n", r"b'\\n' ends in LF; CRLF is required"),
        (b"5\n", r"b'5\\n' ends in LF; CRLF is required"),
        (b"5 \n", "ends in LF"),
        (b"5;a\n", r"b'5;a\\n' ends in LF"),
        (b"5;" + b"a" * (LINE_LIMIT - 2), "size line is longer than 4096 bytes"),
        (b"5;" + b"a" * (LINE_LIMIT - 3) + b"\r\n", "size line is longer than 4096 bytes"),
    ],
)
def test_a_malformed_chunk_line_is_refused_at_once(line: bytes, message: str) -> None:
    for more in (b"", b"\r\nmore\r\n"):
        for before in (b"", b"x" * 10):
            with pytest.raises(RemoteProtocolError, match=message):
                match_chunk_line(before + line + more, len(before), 0)
