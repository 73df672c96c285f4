"""Generated cases: requests of all kinds with a valid response, and responses of all kinds to a GET or HEAD.

A random generator with a fixed seed combines the parts, so that both releases run the same cases. The second request of
each case tests the state of the connection.
Must not know: which outcome is right.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from random import Random
from typing import Any

from ...support.scripted_servers import Peer, response
from .runner import Call, Case, Chunks

REQUESTS = 250
RESPONSES = 500

# Most parts are valid, so that an invalid part is the only one of its case.
METHODS: list[Any] = (
    ["GET"] * 3 + ["POST"] * 3 + ["PUT", "DELETE", "OPTIONS", "PATCH", "HEAD", b"GET", "get", "X-1"]
)
INVALID_METHODS: list[Any] = ["", "G T", "GET\r\n", "GÉT", "(", None]
TARGETS = [
    "/",
    "",
    "/path",
    "/a;b?c;d",
    "?query",
    "/%20",
    "/a//b/../c",
    "/?",
    "/#fragment",
    "/a?b#c",
    "/[",
    "/'\"<>|^`{}",
]
INVALID_TARGETS = ["/a b", "/é", "/\x7f", "/\t", "/a\r\nb: c"]
FIELDS: list[tuple[Any, Any]] = [
    ("Accept", "*/*"),
    ("accept", "*/*"),
    (b"X-Bytes", b"\xe9\xff"),
    ("X-Empty", ""),
    ("X-Blanks", "a b\tc"),
    ("Host", "example.com"),
    ("Connection", "close"),
    ("Connection", "keep-alive"),
    ("Expect", "100-continue"),
    ("Transfer-Encoding", "chunked"),
    ("Content-Length", "3"),
    ("Content-Length", "0"),
    ("TE", "trailers"),
    ("Cookie", "a=b"),
    ("Cookie", "c=d"),
]
INVALID_FIELDS: list[tuple[Any, Any]] = [
    ("X Y", "a"),
    ("", "a"),
    ("X:", "a"),
    ("X", "a\r\nb"),
    ("X", "a\nb"),
    ("X", "a\x00b"),
    ("X", " a"),
    ("X", "a "),
    ("X", "é"),
    ("é", "a"),
    ("X", 1),
    ("Content-Length", "x"),
    ("Content-Length", "-1"),
    ("Content-Length", "1, 1"),
    ("Transfer-Encoding", "gzip"),
    ("Transfer-Encoding", "gzip, chunked"),
    ("Host", "second.example"),
]
CONTENTS: list[Any] = [
    None,
    None,
    None,
    b"",
    b"abc",
    b"abc",
    Chunks([b"abc"]),
    Chunks([]),
    Chunks([b"a", b"", b"bc"]),
    b"x" * 70_000,
]
INVALID_CONTENTS: list[Any] = ["abc", 1, Chunks(["a"]), Chunks([1]), Chunks([None])]

STATUS_LINES = [b"HTTP/1.1 200 OK"] * 8 + [
    b"HTTP/1.1 200",
    b"HTTP/1.1 200 ",
    b"HTTP/1.1 404 Not  Found",
    b"HTTP/1.1 204 No Content",
    b"HTTP/1.1 304 Not Modified",
    b"HTTP/1.1 500 \xe9\xff",
    b"HTTP/1.1 999 ?",
    b"HTTP/1.0 200 OK",
]
INVALID_STATUS_LINES = [
    b"HTTP/1.1 099 Low",
    b"HTTP/1.1 1000 High",
    b"HTTP/1.1 20x OK",
    b"HTTP/1.1  200 OK",
    b"HTTP/1.1\t200 OK",
    b"HTTP/1.1 200 O\x00K",
    b"HTTP/2 200 OK",
    b"HTTP/1.2 200 OK",
    b"http/1.1 200 OK",
    b"ICY 200 OK",
    b" HTTP/1.1 200 OK",
    b"",
    b"\r\nHTTP/1.1 200 OK",
]
HEADERS = [
    b"Content-Type: text/plain",
    b"content-type:text/plain",
    b"X: \t a \t ",
    b"X:",
    b"X: \xe9\xff",
    b"Set-Cookie: a=b",
    b"Set-Cookie: c=d",
    b"Connection: close",
    b"Connection: keep-alive",
    b"Connection: x, Close",
    b"Keep-Alive: timeout=5",
    b"Trailer: X",
    b"X: a\r\n  folded",
]
INVALID_HEADERS = [
    b"no colon",
    b": no name",
    b"X : a",
    b" X: a",
    b"X\x00: a",
    b"X: a\x00",
    b"X: a\rb",
    b"X(: a",
    b"Upgrade: x",
]
FRAMINGS = [
    (b"Content-Length: 4", b"fine"),
    (b"Content-Length: 4", b"fine"),
    (b"Content-Length: 0", b""),
    (b"Transfer-Encoding: chunked", b"4\r\nfine\r\n0\r\n\r\n"),
    (b"Transfer-Encoding: chunked", b"2;a=b\r\nfi\r\n2\r\nne\r\n0\r\nX: 1\r\n\r\n"),
    (b"transfer-encoding: Chunked", b"0A\r\n0123456789\r\n000\r\n\r\n"),
    (None, b"fine"),
    (None, b""),
]
INVALID_FRAMINGS = [
    (b"Content-Length: 4\r\nContent-Length: 4", b"fine"),
    (b"Content-Length: 4, 4", b"fine"),
    (b"Content-Length: 4\r\nContent-Length: 5", b"fine"),
    (b"Content-Length: +4", b"fine"),
    (b"Content-Length: 4 ", b"fine"),
    (b"Content-Length: 04", b"fine"),
    (b"Content-Length: ", b"fine"),
    (b"Content-Length: 99999999999999999999", b"fine"),
    (b"Content-Length: 5", b"fine"),
    (b"Content-Length: 3", b"fine"),
    (b"Content-Length: 4\r\nTransfer-Encoding: chunked", b"4\r\nfine\r\n0\r\n\r\n"),
    (b"Transfer-Encoding: gzip", b"fine"),
    (b"Transfer-Encoding: gzip, chunked", b"4\r\nfine\r\n0\r\n\r\n"),
    (b"Transfer-Encoding: chunked, identity", b"fine"),
    (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", b"4\r\nfine\r\n0\r\n\r\n"),
    (b"Transfer-Encoding: chunked", b"x\r\nfine\r\n0\r\n\r\n"),
    (b"Transfer-Encoding: chunked", b"4\nfine\n0\n\n"),
    (b"Transfer-Encoding: chunked", b"4 \r\nfine\r\n0\r\n\r\n"),
    (b"Transfer-Encoding: chunked", b"-4\r\nfine\r\n0\r\n\r\n"),
    (b"Transfer-Encoding: chunked", b"4\r\nfine0\r\n\r\n"),
    (b"Transfer-Encoding: chunked", b"4\r\nfine\r\n0\r\nX : 1\r\n\r\n"),
    (b"Transfer-Encoding: chunked", b"4\r\nfine\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"),
    (b"Transfer-Encoding: chunked", b"fffffffffffffffffffff\r\n"),
]
_WHOLE = {body for _, body in FRAMINGS}
INTERIM = [b""] * 9 + [
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" * 2,
    b"HTTP/1.1 102 x\r\nContent-Length: 4\r\n\r\n",
]


def requests() -> Iterator[Case]:
    """Yield requests of all kinds; the server sends a valid response to each."""
    fine = partial(_respond, response(b"fine"), False, 0)
    for number in range(REQUESTS):
        random = Random(f"request {number}")
        invalid = random.choice(["method", "target", "field", "content", "", "", "", ""])
        method = random.choice(INVALID_METHODS if invalid == "method" else METHODS)
        target = random.choice(INVALID_TARGETS if invalid == "target" else TARGETS)
        content = random.choice(INVALID_CONTENTS if invalid == "content" else CONTENTS)
        fields = random.sample(FIELDS, random.choice([0, 0, 1, 2]))
        if invalid == "field":
            fields.insert(random.randrange(len(fields) + 1), random.choice(INVALID_FIELDS))
        headers = fields if random.random() < 0.8 else dict(fields)
        parts = [repr(method), repr(target)]
        if headers:
            parts.append(f"headers={headers!r}")
        if content is not None:
            is_long = isinstance(content, bytes) and len(content) > 100
            text = f"{len(content)} bytes" if is_long else repr(content)
            parts.append(f"content={text}")
        name = f"request({', '.join(parts)})"
        yield Case(name, fine, [Call(method, target, headers, content), Call()])


def responses() -> Iterator[Case]:
    """Yield responses of all kinds, whole or split, to a GET or a HEAD."""
    for number in range(RESPONSES):
        random = Random(f"response {number}")
        invalid = random.choice(["line", "header", "framing", "framing", "", "", ""])
        line = random.choice(INVALID_STATUS_LINES if invalid == "line" else STATUS_LINES)
        framing, body = random.choice(INVALID_FRAMINGS if invalid == "framing" else FRAMINGS)
        headers = random.sample(HEADERS, random.choice([0, 0, 1, 2]))
        if invalid == "header":
            headers.append(random.choice(INVALID_HEADERS))
        if framing is not None:
            headers.insert(random.randrange(len(headers) + 1), framing)
        end = b"\n" if random.random() < 0.05 else b"\r\n"
        data = random.choice(INTERIM) + end.join([line, *headers, b"", body])
        must_end = framing is None or invalid == "framing"
        ends = must_end or random.random() < 0.1
        step = random.choice([0, 0, 1, 7])
        method = random.choice(["GET"] * 7 + ["HEAD"])
        if method == "HEAD" or b" 204 " in line or b" 304 " in line or body not in _WHOLE:
            step = 0  # the outcome would depend on when the remaining bytes arrive
        how = f"{method} {data!r}"
        if step:
            how += f", {step} bytes at a time"
        if ends:
            how += ", then closed"
        yield Case(how, partial(_respond, data, ends, step), [Call(method), Call()])


def _respond(data: bytes, ends: bool, step: int, peer: Peer) -> None:
    """Respond to the first request on the first connection with `data`, and to all others with a valid response."""
    is_first = peer.number == 0
    while peer.receive_request() is not None:
        if not is_first:
            peer.send(response(b"fine"))
            continue
        is_first = False
        for start in range(0, len(data), step or len(data) or 1):
            peer.send(data[start : start + (step or len(data))])
        if ends:
            peer.half_close()
            return
