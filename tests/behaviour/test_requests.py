"""Requests are written as RFC 9112 specifies; invalid ones are refused before anything is sent."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from typing import Any

import pytest

import httpcore2

from ..support.fake_network import FakeNetworkBackend, FakeNetworkStream
from ..support.runtimes import TestedAsyncRuntime, TestedRuntime
from ..support.scripted_servers import Peer, canned_responses, response, scripted_server

OK = response()
Headers = dict[bytes | str, bytes | str]


def test_head_and_small_body_are_sent_in_one_segment(runtime: TestedRuntime) -> None:
    segments: list[bytes] = []

    def handler(peer: Peer) -> None:
        segments.append(peer.socket.recv(65536))
        peer.send(OK)
        peer.receive_until_close()

    async def scenario() -> None:
        async with runtime.pool() as pool:
            await pool.request("POST", server.url + "x?y", content=b"hello")

    with scripted_server(handler) as server:
        runtime.run(scenario)
    host = b"127.0.0.1:%d" % server.port
    assert segments == [
        b"POST /x?y HTTP/1.1\r\nHost: " + host + b"\r\nContent-Length: 5\r\n\r\nhello"
    ]


WIRE: list[tuple[str, str, Headers, bytes | list[bytes] | None, bytes]] = [
    ("GET", "http://h/", {}, None, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("GET", "http://h:80/", {}, None, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("GET", "ws://h:80/", {}, None, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("GET", "http://h:81/", {}, None, b"GET / HTTP/1.1\r\nHost: h:81\r\n\r\n"),
    ("GET", "http://[::1]:81/", {}, None, b"GET / HTTP/1.1\r\nHost: [::1]:81\r\n\r\n"),
    ("get", "http://h/", {"host": "z"}, None, b"get / HTTP/1.1\r\nhost: z\r\n\r\n"),
    (
        "GET",
        "http://h/?a=b%20c#d",
        {"X": "", "Y": "a\tb"},
        None,
        b"GET /?a=b%20c HTTP/1.1\r\nHost: h\r\nX: \r\nY: a\tb\r\n\r\n",
    ),
    ("POST", "http://h/", {}, None, b"POST / HTTP/1.1\r\nHost: h\r\n\r\n"),
    ("POST", "http://h/", {}, b"", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"),
    ("POST", "http://h/", {}, b"a", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\na"),
    (
        "POST",
        "http://h/",
        {},
        [b"a", b"", b"bc"],
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n",
    ),
    (
        "POST",
        "http://h/",
        {},
        [],
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "POST",
        "http://h/",
        {"Content-Length": "3"},
        [b"a", b"bc"],
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
    ),
    (
        "POST",
        "http://h/",
        {"transfer-encoding": "chunked"},
        b"abc",
        b"POST / HTTP/1.1\r\nHost: h\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    ),
]


@pytest.mark.parametrize(("method", "url", "headers", "content", "wire"), WIRE)
def test_a_request_is_written_to_the_wire_as_specified(
    runtime: TestedRuntime,
    method: str,
    url: str,
    headers: Headers,
    content: bytes | list[bytes] | None,
    wire: bytes,
) -> None:
    stream = FakeNetworkStream([OK])

    async def scenario() -> None:
        body = runtime.body(content) if isinstance(content, list) else content
        async with runtime.pool(network_backend=FakeNetworkBackend(stream)) as pool:
            await pool.request(method, url, headers=headers, content=body)

    runtime.run(scenario)
    assert b"".join(stream.written) == wire
    assert stream.closed


def test_the_target_extension_replaces_the_path(runtime: TestedRuntime) -> None:
    stream = FakeNetworkStream([OK])

    async def scenario() -> None:
        async with runtime.pool(network_backend=FakeNetworkBackend(stream)) as pool:
            await pool.request("OPTIONS", "http://h/x", extensions={"target": b"*"})

    runtime.run(scenario)
    assert stream.written == [b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"]


def test_a_large_body_arrives_whole(runtime: TestedRuntime) -> None:
    content = bytes(range(256)) * 8192
    seen: list[bytes] = []

    def handler(peer: Peer) -> None:
        for _ in range(2):
            request = peer.receive_request()
            assert request is not None
            seen.append(request[1])
            peer.send(OK)
        peer.receive_until_close()

    async def scenario() -> None:
        chunks = [content[start : start + 100_000] for start in range(0, len(content), 100_000)]
        async with runtime.pool() as pool:
            await pool.request("POST", server.url, content=content)
            await pool.request(
                "POST",
                server.url,
                headers={"Content-Length": str(len(content))},
                content=runtime.body(chunks),
            )

    with scripted_server(handler) as server:
        runtime.run(scenario)
        assert server.accepted == 1
    assert seen == [content, content]


INVALID: list[tuple[str, dict[str, Any]]] = [
    ("method with a space", {"method": "GE T"}),
    ("empty method", {"method": ""}),
    ("method with CR LF", {"method": "GET / HTTP/1.1\r\nX: y\r\n\r\nGET"}),
    ("target with a space", {"target": b"/a b"}),
    ("target with CR LF", {"target": b"/ HTTP/1.1\r\nX: y\r\n\r\n"}),
    ("target with LF", {"target": b"/\n"}),
    ("target with NUL", {"target": b"/\0"}),
    ("empty target", {"target": b""}),
    ("field name with a space", {"headers": {"a b": "c"}}),
    ("field name with a colon", {"headers": {"a:b": "c"}}),
    ("empty field name", {"headers": {"": "c"}}),
    ("field name with LF", {"headers": {"a\n": "c"}}),
    ("field value with CR", {"headers": {"a": "c\rd"}}),
    ("field value with LF", {"headers": {"a": "c\nd"}}),
    ("field value with CR LF", {"headers": {"a": "c\r\nd: e"}}),
    ("field value with NUL", {"headers": {"a": "c\0d"}}),
    ("content length that is not a number", {"headers": {"Content-Length": "x"}, "content": b"a"}),
    (
        "two content lengths",
        {"headers": [("Content-Length", "1"), ("Content-Length", "2")], "content": b"a"},
    ),
    ("unknown transfer coding", {"headers": {"Transfer-Encoding": "gzip"}, "content": b"a"}),
    ("two hosts", {"headers": [("Host", "a"), ("Host", "b")]}),
]


@pytest.mark.parametrize("arguments", [case for _, case in INVALID], ids=[n for n, _ in INVALID])
def test_an_invalid_request_is_refused_and_keeps_the_connection(
    runtime: TestedRuntime, arguments: dict[str, Any]
) -> None:
    seen: list[bytes] = []

    def handler(peer: Peer) -> None:
        while request := peer.receive_request():
            seen.append(request[0].split(b"\r\n")[0])
            peer.send(OK)

    async def scenario() -> None:
        options = dict(arguments)
        method = options.pop("method", "POST")
        if "target" in options:
            options["extensions"] = {"target": options.pop("target")}
        async with runtime.pool(max_connections=1) as pool:
            await pool.request("GET", server.url)
            with pytest.raises(httpcore2.LocalProtocolError):
                await pool.request(method, server.url, **options)
            await pool.request("GET", server.url)
            assert "0 active, 0 queued | Connections: 0 active, 1 idle" in repr(pool)

    with scripted_server(handler) as server:
        runtime.run(scenario)
        assert server.accepted == 1
    assert seen == [b"GET / HTTP/1.1", b"GET / HTTP/1.1"]


@pytest.mark.parametrize("chunks", [[b"abcd"], [b"ab", b"cd"], [b"ab"], []], ids=repr)
@pytest.mark.parametrize("streamed", [False, True], ids=["bytes", "iterable"])
def test_a_body_that_differs_from_its_content_length_is_refused_and_never_completed(
    runtime: TestedRuntime, chunks: list[bytes], streamed: bool
) -> None:
    completed: list[bytes] = []

    def handler(peer: Peer) -> None:
        while request := peer.receive_request():
            completed.append(request[0].split(b" ")[0])
            peer.send(OK)

    async def scenario() -> None:
        content = runtime.body(chunks) if streamed else b"".join(chunks)
        async with runtime.pool(max_connections=1) as pool:
            with pytest.raises(httpcore2.LocalProtocolError, match=r"(?i)too (much|little) data"):
                await pool.request(
                    "POST", server.url, headers={"Content-Length": "3"}, content=content
                )
            await pool.request("GET", server.url)

    # The head with the declared length may be sent already: then the connection is closed.
    with scripted_server(handler, allow_disconnect=True) as server:
        runtime.run(scenario)
    assert completed == [b"GET"]


@pytest.mark.parametrize("content", ["text", 5, object()], ids=["str", "int", "object"])
def test_content_of_a_wrong_type_raises_type_error_before_the_request_is_sent(
    runtime: TestedRuntime, content: Any
) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool:
            with pytest.raises(TypeError, match=rf"content.*\b{type(content).__name__}\b"):
                await pool.request("POST", server.url, content=content)
            assert "0 active, 0 queued | Connections: 0 active, 0 idle" in repr(pool)

    with scripted_server(canned_responses([])) as server:
        runtime.run(scenario)
        assert server.accepted == 0


def test_sync_content_in_the_async_api_and_vice_versa_raises_type_error_before_the_request_is_sent(
    runtime: TestedRuntime,
) -> None:
    content = runtime.mismatched_body([b"x"])

    async def scenario() -> None:
        async with runtime.pool() as pool:
            with pytest.raises(TypeError, match=type(content).__name__):
                await pool.request("POST", server.url, content=content)
            assert "0 active, 0 queued | Connections: 0 active, 0 idle" in repr(pool)

    with scripted_server(canned_responses([])) as server:
        runtime.run(scenario)
        assert server.accepted == 0


def test_an_exception_of_the_body_reaches_the_caller_and_releases_the_connection(
    runtime: TestedRuntime,
) -> None:
    def chunks() -> Iterable[bytes]:
        yield b"one"
        raise ZeroDivisionError

    completed: list[bytes] = []

    def handler(peer: Peer) -> None:
        while request := peer.receive_request():
            completed.append(request[0].split(b" ")[0])
            peer.send(OK)

    async def scenario() -> None:
        async with runtime.pool(max_connections=1) as pool:
            with pytest.raises(ZeroDivisionError):
                await pool.request("POST", server.url, content=runtime.body(chunks()))
            await pool.request("GET", server.url)

    with scripted_server(handler, allow_disconnect=True) as server:
        runtime.run(scenario)
    assert completed == [b"GET"]


@pytest.mark.parametrize("http2", [False, True], ids=["http11", "http2"])
@pytest.mark.parametrize("owner", ["caller", "request"])
def test_an_async_generator_that_is_not_exhausted_is_closed(
    async_runtime: TestedAsyncRuntime, http2: bool, owner: str
) -> None:
    closed: list[str] = []

    class Body:
        async def __aiter__(self) -> AsyncGenerator[bytes, None]:
            try:
                yield b"one"
                yield b"two"
            finally:
                closed.append(owner)

    # The iterator is the caller's content itself, or was made from it for this request only.
    content: Any = aiter(Body()) if owner == "caller" else Body()

    async def scenario() -> None:
        async with async_runtime.pool(http1=not http2, http2=http2) as pool:
            headers: Headers = {"Content-Length": "4"}
            with pytest.raises(httpcore2.LocalProtocolError, match="Too much data"):
                await pool.request("POST", server.url, content=content, headers=headers)
            assert closed == [owner]

    def handler(peer: Peer) -> None:
        peer.receive_until_close()

    with scripted_server(handler) as server:
        async_runtime.run(scenario)


@pytest.mark.parametrize("text", ["é", "日本"])
def test_text_that_is_not_ascii_is_refused(runtime: TestedRuntime, text: str) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool:
            with pytest.raises(TypeError):
                await pool.request(text, "http://h/")
            with pytest.raises(TypeError):
                await pool.request("GET", f"http://h/{text}")
            with pytest.raises(TypeError):
                await pool.request("GET", "http://h/", headers={"a": text})

    runtime.run(scenario)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://h/", "Request URL has an unsupported protocol 'ftp://'."),
        ("/path", "Request URL is missing an 'http://' or 'https://' protocol."),
    ],
)
def test_a_url_with_an_unsupported_scheme_is_refused(
    runtime: TestedRuntime, url: str, message: str
) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool:
            with pytest.raises(httpcore2.UnsupportedProtocol) as caught:
                await pool.request("GET", url)
            assert str(caught.value) == message

    runtime.run(scenario)
