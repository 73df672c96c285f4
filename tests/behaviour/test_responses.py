"""Responses of every framing have the same result, however their bytes are split."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

import httpcore2

from ..support.runtimes import TestedRuntime
from ..support.scripted_servers import Peer, canned_responses, response, scripted_server


@dataclass(frozen=True)
class Case:
    """A response on the wire, and its attributes as a client must return them."""

    name: str
    wire: bytes
    status: int = 200
    body: bytes = b""
    method: str = "GET"
    headers: list[tuple[bytes, bytes]] | None = None
    http_version: bytes = b"HTTP/1.1"
    reason_phrase: bytes = b"OK"
    keeps: bool = True
    """Whether the connection may take another request."""
    ends_by_closing: bool = False
    """Whether the server must close for the response to end."""
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)


CASES = [
    Case(
        "content-length",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhello",
        body=b"hello",
        headers=[(b"Content-Length", b"5"), (b"X", b"y")],
    ),
    Case("empty body", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    Case(
        "no reason phrase",
        b"HTTP/1.1 200 \r\nContent-Length: 1\r\n\r\nx",
        body=b"x",
        reason_phrase=b"",
    ),
    Case(
        "unknown status",
        b"HTTP/1.1 599 Whatever it is\r\nContent-Length: 1\r\n\r\nx",
        status=599,
        body=b"x",
        reason_phrase=b"Whatever it is",
    ),
    Case(
        "field values keep their order, case and repetition",
        b"HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nset-cookie: b\r\nContent-Length:  0 \r\nEmpty:\r\n\r\n",
        headers=[
            (b"Set-Cookie", b"a"),
            (b"set-cookie", b"b"),
            (b"Content-Length", b"0"),
            (b"Empty", b""),
        ],
    ),
    Case(
        "latin-1 bytes in a field value",
        b"HTTP/1.1 200 OK\r\nX: caf\xe9\r\nContent-Length: 0\r\n\r\n",
        headers=[(b"X", b"caf\xe9"), (b"Content-Length", b"0")],
    ),
    Case(
        "folded field line",
        b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
        headers=[(b"X", b"a b"), (b"Content-Length", b"0")],
    ),
    Case(
        "chunked",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n there\r\n0\r\n\r\n",
        body=b"hello there",
    ),
    Case("chunked and empty", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    Case(
        "chunk extensions",
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b;c="d"\r\nhello\r\n0;x\r\n\r\n',
        body=b"hello",
    ),
    Case(
        "chunk sizes in hex of either case, with leading zeroes",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n00A\r\n0123456789\r\na\r\nabcdefghij\r\n0\r\n\r\n",
        body=b"0123456789abcdefghij",
    ),
    Case(
        "trailers",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nDigest: abc\r\nX: y\r\n\r\n",
        body=b"hi",
        trailers=[(b"Digest", b"abc"), (b"X", b"y")],
    ),
    Case(
        "ended by closing",
        b"HTTP/1.1 200 OK\r\nX: y\r\n\r\nhello",
        body=b"hello",
        keeps=False,
        ends_by_closing=True,
    ),
    Case(
        "HTTP/1.0 ended by closing",
        b"HTTP/1.0 200 OK\r\n\r\nhello",
        body=b"hello",
        http_version=b"HTTP/1.0",
        keeps=False,
        ends_by_closing=True,
    ),
    Case(
        "HTTP/1.0 with a length",
        b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        body=b"hello",
        http_version=b"HTTP/1.0",
        keeps=False,
    ),
    Case(
        "connection: close",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
        body=b"hello",
        keeps=False,
    ),
    Case(
        "close among other connection options",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: foo, Close\r\n\r\nhello",
        body=b"hello",
        keeps=False,
    ),
    Case(
        "keep-alive timeout of zero",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nKeep-Alive: timeout=0\r\n\r\nhello",
        body=b"hello",
        keeps=False,
    ),
    Case(
        "keep-alive timeout",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nKeep-Alive: timeout=600, max=100\r\n\r\nhello",
        body=b"hello",
    ),
    Case(
        "connection: keep-alive",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello",
        body=b"hello",
    ),
    Case(
        "HEAD",
        b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n",
        method="HEAD",
        headers=[(b"Content-Length", b"500")],
    ),
    Case(
        "HEAD of a chunked resource",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        method="HEAD",
    ),
    Case("204", b"HTTP/1.1 204 No Content\r\n\r\n", status=204, reason_phrase=b"No Content"),
    Case(
        "304 with a length",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n",
        status=304,
        reason_phrase=b"Not Modified",
        keeps=False,
    ),
    Case(
        "204 with a length",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
        status=204,
        reason_phrase=b"No Content",
        keeps=False,
    ),
    Case(
        "204 with chunks",
        b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
        status=204,
        reason_phrase=b"No Content",
        keeps=False,
    ),
    Case(
        "204 with a length of 0",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
        status=204,
        reason_phrase=b"No Content",
    ),
    Case(
        "empty line first",
        b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        body=b"hello",
        keeps=False,
    ),
    Case(
        "blank line before the first field",
        b"HTTP/1.1 200 OK\r\n \r\nContent-Length: 5\r\n\r\nhello",
        body=b"hello",
        headers=[(b"Content-Length", b"5")],
        keeps=False,
    ),
    Case(
        "blank before the colon",
        b"HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello",
        body=b"hello",
        headers=[(b"Content-Length", b"5")],
        keeps=False,
    ),
    Case(
        "chunked twice",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5\r\nhello\r\n0\r\n\r\n",
        body=b"hello",
        headers=[(b"Transfer-Encoding", b"chunked")],
        keeps=False,
    ),
    Case(
        "chunked twice in one field",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        body=b"hello",
        headers=[(b"Transfer-Encoding", b"chunked")],
        keeps=False,
    ),
    Case(
        "identity and chunked",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        body=b"hello",
        headers=[(b"Transfer-Encoding", b"chunked")],
        keeps=False,
    ),
    Case(
        "identity",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nhello",
        body=b"hello",
        headers=[],
        keeps=False,
        ends_by_closing=True,
    ),
    Case(
        "identity with a length",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nhello",
        body=b"hello",
        headers=[(b"Content-Length", b"2")],
        keeps=False,
        ends_by_closing=True,
    ),
    Case(
        "100 first",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        body=b"hello",
        headers=[(b"Content-Length", b"5")],
    ),
    Case(
        "102 and 103 first",
        b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        body=b"hello",
        headers=[(b"Content-Length", b"5")],
    ),
    Case(
        "two equal lengths",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        body=b"hello",
    ),
    Case(
        "chunked with a length",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        body=b"hello",
        keeps=False,
    ),
]

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)

AFTER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nafter"


async def _fetch(pool: httpcore2.AsyncConnectionPool, url: str, case: Case) -> None:
    """Fetch the response of `case` and compare it, then fetch another one."""
    response = await pool.request(case.method, url)
    assert response.status == case.status
    assert response.content == case.body
    assert response.extensions["http_version"] == case.http_version
    assert response.extensions["reason_phrase"] == case.reason_phrase
    assert response.extensions.get("trailing_headers", []) == case.trailers
    if case.headers is not None:
        assert response.headers == case.headers
    second = await pool.request("GET", url)
    assert second.content == b"after"


@pytest.mark.parametrize("manner", ["whole", "byte by byte"])
@each_case
def test_a_response_is_parsed_and_its_connection_is_kept_if_allowed(
    runtime: TestedRuntime, case: Case, manner: str
) -> None:
    def handler(peer: Peer) -> None:
        peer.receive_head()
        if peer.number == 0:
            (peer.send if manner == "whole" else peer.send_bytewise)(case.wire)
            if case.ends_by_closing:
                return
            if not case.keeps:
                assert peer.receive_some() == b""
                return
            peer.receive_head()
        peer.send(AFTER)
        peer.receive_until_close()

    async def scenario() -> None:
        async with runtime.pool() as pool:
            await _fetch(pool, server.url, case)

    with scripted_server(handler) as server:
        runtime.run(scenario)
        assert server.accepted == (1 if case.keeps else 2)


@pytest.mark.parametrize(
    "case", [case for case in CASES if not case.ends_by_closing], ids=lambda case: case.name
)
def test_bytes_beyond_the_end_of_a_response_are_never_the_next_response(
    runtime: TestedRuntime, case: Case
) -> None:
    def handler(peer: Peer) -> None:
        peer.receive_head()
        if peer.number == 0:
            peer.send(case.wire + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged")
            assert peer.receive_some() == b""
        else:
            peer.send(AFTER)
            peer.receive_until_close()

    async def scenario() -> None:
        async with runtime.pool() as pool:
            await _fetch(pool, server.url, case)

    with scripted_server(handler) as server:
        runtime.run(scenario)
        assert server.accepted == 2


def test_equal_responses_do_not_share_their_list_of_header_fields(
    runtime: TestedRuntime,
) -> None:
    events: list[tuple[str, dict[str, Any]]] = []

    async def scenario() -> None:
        async with runtime.pool() as pool:
            for extensions in ({"trace": runtime.trace(events)}, {}, {}):
                reply = await pool.request("GET", server.url, extensions=extensions)
                assert reply.headers == fields
                reply.headers.clear()
                traced = dict(events)["http11.receive_response_headers.complete"]["return_value"]
                assert traced[:3] == (b"HTTP/1.1", 200, b"OK")
                traced[3].clear()

    fields = [(b"Content-Length", b"5")]
    with scripted_server(canned_responses([AFTER] * 3)) as server:
        runtime.run(scenario)


@pytest.mark.parametrize(
    "filling", [b"like", b"", b"longer than the first", bytes(1000).hex().encode()]
)
def test_a_response_after_a_large_one_may_have_a_head_of_another_length(
    runtime: TestedRuntime, filling: bytes
) -> None:
    large = response(bytes(40_000), b"X: like")

    async def scenario() -> None:
        async with runtime.pool() as pool:
            for body in (bytes(40_000), bytes(40_000), b"small", b"after"):
                assert (await pool.request("GET", server.url)).content == body

    responses = [large, response(bytes(40_000), b"X: " + filling), response(b"small"), AFTER]
    with scripted_server(canned_responses(responses)) as server:
        runtime.run(scenario)
        assert server.accepted == 1


def test_bytes_beyond_a_bodiless_response_after_a_large_one_are_never_the_next_response(
    runtime: TestedRuntime,
) -> None:
    large = response(bytes(40_000))
    head = large[: large.index(b"\r\n\r\n") + 4]

    def handler(peer: Peer) -> None:
        peer.receive_head()
        if peer.number == 0:
            peer.send(large)
            peer.receive_head()
            peer.send(head + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged")
            peer.receive_until_close()
        else:
            peer.send(AFTER)
            peer.receive_until_close()

    async def scenario() -> None:
        async with runtime.pool() as pool:
            assert len((await pool.request("GET", server.url)).content) == 40_000
            assert (await pool.request("HEAD", server.url)).content == b""
            assert (await pool.request("GET", server.url)).content == b"after"

    with scripted_server(handler) as server:
        runtime.run(scenario)
        assert server.accepted == 2


def test_a_body_can_be_read_only_once(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool, pool.stream("GET", server.url) as streamed:
            chunks = [chunk async for chunk in streamed.aiter_stream()]
            assert b"".join(chunks) == b"after"
            with pytest.raises(RuntimeError, match="more than once"):
                await streamed.aread()

    with scripted_server(canned_responses([AFTER])) as server:
        runtime.run(scenario)


def test_a_body_may_be_read_partly(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with runtime.pool(max_connections=1) as pool:
            async with pool.stream("GET", server.url) as streamed:
                chunks = streamed.aiter_stream()
                assert (await anext(chunks)).startswith(b"b")
            with pytest.raises(httpcore2.ReadError, match="closed"):
                await anext(chunks)
            assert (await pool.request("GET", server.url)).content == b"after"

    def handler(peer: Peer) -> None:
        peer.receive_head()
        if peer.number == 0:
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun")
        else:
            peer.send(AFTER)
        peer.receive_until_close()

    with scripted_server(handler) as server:
        runtime.run(scenario)
        assert server.accepted == 2


def test_the_end_of_an_unread_response_is_traced(runtime: TestedRuntime) -> None:
    events: list[tuple[str, dict[str, object]]] = []

    async def scenario() -> None:
        async with runtime.pool() as pool:
            extensions = {"trace": runtime.trace(events)}
            async with pool.stream("GET", server.url, extensions=extensions) as streamed:
                assert streamed.status == 200

    with scripted_server(canned_responses([AFTER])) as server:
        runtime.run(scenario)
    assert [name for name, _ in events][-3:] == [
        "http11.receive_response_headers.complete",
        "http11.response_closed.started",
        "http11.response_closed.complete",
    ]
