"""h11 as fallback: what it refuses is refused, and what servers are known to send is put into a form that it takes."""

from __future__ import annotations

import h11
import pytest

from httpcore2_core._exceptions import LocalProtocolError, RemoteProtocolError
from httpcore2_core._http11.h11_fallback import (
    FallbackHead,
    check_request,
    read_head,
    read_trailers,
)

Headers = list[tuple[bytes, bytes]]

HOST = (b"Host", b"example.com")
OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = [(b"Content-Length", b"3")]
CHUNKED = [(b"Transfer-Encoding", b"chunked")]


def reading(block: bytes, method: bytes = b"GET", *fields: tuple[bytes, bytes]) -> FallbackHead:
    return read_head((method, b"/", [HOST, *fields]), block)


# Requests


def test_a_request_is_written_with_host_first() -> None:
    head = check_request(b"GET", b"/", [(b"X", b"\x01"), HOST])
    assert head == b"GET / HTTP/1.1\r\nHost: example.com\r\nX: \x01\r\n\r\n"


def test_the_reason_for_a_refusal_is_kept() -> None:
    with pytest.raises(LocalProtocolError, match="Missing mandatory Host: header") as raised:
        check_request(b"GET", b"/", [])
    assert isinstance(raised.value.__cause__, h11.LocalProtocolError)


# Heads


def test_a_head_is_read_together_with_its_framing() -> None:
    block = b"HTTP/1.1 404\nX: a\n b\nConnection: x, Close\nKeep-Alive: timeout=5\nContent-Length: 3\n\n"
    head, has_switched = reading(block)
    assert not has_switched
    assert head.data == block
    assert head.head == (
        b"HTTP/1.1",
        404,
        b"",
        [
            (b"X", b"a b"),
            (b"Connection", b"x, Close"),
            (b"Keep-Alive", b"timeout=5"),
            (b"Content-Length", b"3"),
        ],
    )
    assert (head.length, head.chunked, head.close, head.keep_alive_timeout) == (3, False, True, 5)


@pytest.mark.parametrize(("version", "closes"), [(b"1.0", True), (b"1.1", False), (b"2.0", False)])
def test_a_connection_of_an_older_version_is_not_used_again(version: bytes, closes: bool) -> None:
    head, _ = reading(b"HTTP/" + version + b" 200\r\n\r\n")
    assert head.head.version == b"HTTP/" + version
    assert head.close == closes


@pytest.mark.parametrize("fields", [LENGTH, CHUNKED, [*LENGTH, (b"content-length", b"3")]])
def test_the_body_of_the_request_does_not_matter(fields: Headers) -> None:
    head, _ = reading(b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", b"POST", *fields)
    assert (head.length, head.close) == (0, False)


def test_an_interim_response_is_read() -> None:
    head, has_switched = reading(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert head.head.status == 100
    assert not has_switched


@pytest.mark.parametrize("status", [b"200", b"299"])
def test_a_tunnel_leaves_http(status: bytes) -> None:
    assert reading(b"HTTP/1.1 " + status + b" \r\n\r\n", b"CONNECT").has_switched


def test_a_refused_tunnel_does_not() -> None:
    head, has_switched = reading(OK.replace(b"200", b"407") + b"\r\n", b"CONNECT")
    assert head.head.status == 407
    assert not has_switched


def test_an_upgrade_leaves_http() -> None:
    head, has_switched = reading(b"HTTP/1.1 101 \r\n\r\n", b"GET", (b"Upgrade", b"websocket"))
    assert head.head.status == 101
    assert has_switched


def test_a_refusal_keeps_its_cause_and_is_short() -> None:
    with pytest.raises(RemoteProtocolError, match="illegal header line") as raised:
        reading(OK + b"X" * 1000 + b"\r\n\r\n")
    assert isinstance(raised.value.__cause__, h11.RemoteProtocolError)
    assert len(str(raised.value)) < 250


@pytest.mark.parametrize("illegal", [b"\0", b"\v", b"\f", b"\r", b"a\r\n \0"])
def test_a_long_head_made_to_take_long_is_refused(illegal: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="it has a control character, near b' "):
        reading(OK + b"X:" + b" " * 100_000 + illegal + b"\r\n\r\n")
    with pytest.raises(RemoteProtocolError, match="it has a control character, near b' "):
        read_trailers(b"X:" + b" " * 50_000 + illegal + b"\r\n\r\n")


# Forms that h11 doesn't take

ODD: list[tuple[bytes, Headers, int | None, bool]] = [
    (b"\r\n" + OK + b"Content-Length: 3\r\n\r\n", LENGTH, 3, False),
    (b"\n" + OK + b"Content-Length: 3\r\n\r\n", LENGTH, 3, False),
    (OK + b" \r\nContent-Length: 3\r\n\r\n", LENGTH, 3, False),
    (OK + b"\t \n \r\nContent-Length: 3\r\n\r\n", LENGTH, 3, False),
    (OK + b"Content-Length : 3\r\n\r\n", LENGTH, 3, False),
    (OK + b"X: y\r\nContent-Length \t:3\r\n\r\n", [(b"X", b"y"), *LENGTH], 3, False),
    (OK + b"Transfer-Encoding : chunked\r\n\r\n", CHUNKED, None, True),
    (OK + b"Transfer-Encoding: chunked, chunked\r\n\r\n", CHUNKED, None, True),
    (OK + b"Transfer-Encoding: chunked\r\n ,chunked\r\n\r\n", CHUNKED, None, True),
    (OK + b"Transfer-Encoding: ,Chunked\r\n\r\n", CHUNKED, None, True),
    (OK + b"Transfer-Encoding: identity, chunked\r\n\r\n", CHUNKED, None, True),
    (
        OK + b"Transfer-Encoding: Identity\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n",
        [*CHUNKED, (b"X", b"y")],
        None,
        True,
    ),
    (
        OK + b"X: y\r\nTransfer-Encoding: chunked\r\ntransfer-encoding: CHUNKED\r\nZ: \r\n\r\n",
        [(b"X", b"y"), *CHUNKED, (b"Z", b"")],
        None,
        True,
    ),
    (OK + b"Transfer-Encoding: identity\r\n\r\n", [], None, False),
    (OK + b"Transfer-Encoding:\r\n\r\n", [], None, False),
    (OK + b"Transfer-Encoding: identity\r\nContent-Length: 3\r\n\r\n", LENGTH, None, False),
    (
        OK + b"Content-Length: 3\r\nTransfer-Encoding : chunked\r\n\r\n",
        LENGTH + CHUNKED,
        None,
        True,
    ),
]


@pytest.mark.parametrize(("block", "headers", "length", "is_chunked"), ODD)
def test_an_odd_head_is_read_and_the_connection_not_used_again(
    block: bytes, headers: Headers, length: int | None, is_chunked: bool
) -> None:
    head, has_switched = reading(block)
    assert head.data == block
    assert head.head == (b"HTTP/1.1", 200, b"OK", headers)
    assert (head.length, head.chunked, head.close) == (length, is_chunked, True)
    assert not has_switched


@pytest.mark.parametrize("coding", [b"chunked", b"Chunked ", b"\r\n chunked"])
def test_a_head_that_is_not_odd_leaves_the_connection_in_use(coding: bytes) -> None:
    head, _ = reading(OK + b"Transfer-Encoding:" + coding + b"\r\n\r\n")
    assert (head.chunked, head.close) == (True, False)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (b"Transfer-Encoding: chunked, identity\r\n", "Only Transfer-Encoding: chunked"),
        (b"Transfer-Encoding: gzip, chunked\r\n", "Only Transfer-Encoding: chunked"),
        (b"Transfer-Encoding: gzip\r\n", "Only Transfer-Encoding: chunked"),
        (b"Transfer-Encoding: chunked;q=1\r\n", "Only Transfer-Encoding: chunked"),
        (b"Transfer-Encoding: xchunked, chunked\r\n", "Only Transfer-Encoding: chunked"),
        (b"Transfer-Encoding: chunked, chunked\v\r\n", "illegal header line"),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n", "Transfer-Encoding"),
        (b"Content-Length : 5\r\nContent-Length: 6\r\n", "conflicting Content-Length"),
        (b"Content-Length : x\r\n", "bad Content-Length"),
        (b"Content Length : 5\r\n", "illegal header line"),
        (b" Content-Length: 5\r\n", "continuation line at start of headers"),
        (b" \r\n Content-Length: 5\r\n", "continuation line at start of headers"),
        (b"Transfer-Encoding: identity\r\nContent-Length: x\r\n", "bad Content-Length"),
    ],
)
def test_an_ambiguous_head_is_refused(fields: bytes, message: str) -> None:
    with pytest.raises(RemoteProtocolError, match=message):
        reading(OK + fields + b"\r\n")


# Trailers


def test_trailers_are_read() -> None:
    assert read_trailers(b"X: y\r\nx:  z\n a\r\n\r\n") == [(b"X", b"y"), (b"x", b"z a")]


def test_long_trailers_are_read() -> None:
    assert read_trailers(b"X:" + b" " * 50_000 + b"y\r\n\r\n") == [(b"X", b"y")]


@pytest.mark.parametrize("block", [b"nonsense\r\n\r\n", b"X : y\r\n\r\n", b" X: y\r\n\r\n"])
def test_trailers_that_break_the_rules_are_refused(block: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match=r"illegal header line|continuation line"):
        read_trailers(block)
