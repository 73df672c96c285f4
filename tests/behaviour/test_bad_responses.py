"""Errors of the server: each raises the right exception, and the pool can connect again."""

from __future__ import annotations

import pytest

import httpcore2

from ..support.runtimes import TestedRuntime
from ..support.scripted_servers import Peer, response, scripted_server

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"

INVALID: list[tuple[str, bytes, str | None]] = [
    ("garbage", b"garbage\r\n\r\n", r"not send an HTTP/1.1 response, but b'g.*'\. Check the host"),
    ("banner of SSH", b"SSH-2.0-OpenSSH_9.6\r\n", "not send an HTTP/1.1 response, but b'S"),
    ("banner of SMTP", b"220 mail.example ESMTP\r\n", "not send an HTTP/1.1 response, but b'2"),
    ("alert of TLS", b"\x15\x03\x01\0\2\2\x16", "not send an HTTP/1.1 response, but b'.x15"),
    ("HTML without a head", b"<html>hi</html>", "not send an HTTP/1.1 response, but b'<"),
    ("HTML in a head", HEAD + b"<html>hi</html>", "illegal header line: b'<"),
    ("status of two digits", b"HTTP/1.1 20 OK\r\n\r\n", "status line is malformed"),
    ("field line without a colon", HEAD + b"nonsense\r\n", "illegal header line"),
    ("continuation line before the first field", HEAD + b" a: b\r\n\r\n", "continuation line"),
    ("field name with a space", HEAD + b"a b: c\r\n\r\n", "illegal header line"),
    ("field value with NUL", HEAD + b"a: b\0c\r\nContent-Length: 0\r\n\r\n", None),
    ("two lengths", HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx", None),
    ("negative length", HEAD + b"Content-Length: -1\r\n\r\n", None),
    ("length that is not a number", HEAD + b"Content-Length: x\r\n\r\n", None),
    ("unknown transfer coding", HEAD + b"Transfer-Encoding: gzip\r\n\r\n", None),
    ("identity after chunked", HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n", None),
    ("chunk size that is not a number", CHUNKED + b"xyz", "illegal chunk header"),
    ("chunk size that ends in LF", CHUNKED + b"2\nhi\n0\n\n", "ends in LF; CRLF is required"),
    ("chunk longer than its size", CHUNKED + b"2\r\nabcd\r\n0\r\n\r\n", None),
    ("trailer without a colon", CHUNKED + b"0\r\nnonsense\r\n", "illegal header line"),
    ("unrequested switch of protocols", b"HTTP/1.1 101 S\r\nUpgrade: x\r\n\r\n", "_SWITCH_UPGRADE"),
]


@pytest.mark.parametrize("manner", ["whole", "byte by byte"])
@pytest.mark.parametrize(
    ("wire", "message"), [case[1:] for case in INVALID], ids=[case[0] for case in INVALID]
)
def test_an_invalid_response_raises_remote_protocol_error(
    runtime: TestedRuntime, wire: bytes, message: str | None, manner: str
) -> None:
    def handler(peer: Peer) -> None:
        peer.receive_head()
        if peer.number == 0:
            (peer.send if manner == "whole" else peer.send_bytewise)(wire)
        else:
            peer.send(response(b"fine"))
        peer.receive_until_close()

    async def scenario() -> None:
        async with runtime.pool(max_connections=1) as pool:
            with pytest.raises(httpcore2.RemoteProtocolError, match=message):
                await pool.request("GET", server.url)
            assert (await pool.request("GET", server.url)).content == b"fine"

    # The client closes as soon as it detects the error.
    with scripted_server(handler, allow_disconnect=True) as server:
        runtime.run(scenario)
        assert server.accepted == 2


TRUNCATED: list[tuple[str, bytes, str]] = [
    ("before the head", b"", "Server disconnected without sending a response."),
    ("in the status line", b"HTTP/1.1 2", "Server disconnected"),
    ("in the head", HEAD + b"Content-Length: 1\r\n", "Server disconnected"),
    ("before the body", HEAD + b"Content-Length: 20\r\n\r\n", "received 0 bytes, expected 20"),
    ("in the body", HEAD + b"Content-Length: 20\r\n\r\nhi", "received 2 bytes, expected 20"),
    ("in a chunk", CHUNKED + b"20\r\nhi", "incomplete chunked read"),
    ("before a chunk", CHUNKED + b"2\r\nhi\r\n", "incomplete chunked read"),
    (
        "before the last chunk's blank line",
        CHUNKED + b"2\r\nhi\r\n0\r\n",
        "incomplete chunked read",
    ),
    ("after an interim response", b"HTTP/1.1 100 Continue\r\n\r\n", "Server disconnected"),
]


@pytest.mark.parametrize(
    ("wire", "message"), [case[1:] for case in TRUNCATED], ids=[case[0] for case in TRUNCATED]
)
def test_a_truncated_response_raises_remote_protocol_error(
    runtime: TestedRuntime, wire: bytes, message: str
) -> None:
    def handler(peer: Peer) -> None:
        peer.receive_head()
        if peer.number == 0:
            peer.send(wire)
        else:
            peer.send(response(b"fine"))
            peer.receive_until_close()

    async def scenario() -> None:
        async with runtime.pool(max_connections=1) as pool:
            with pytest.raises(httpcore2.RemoteProtocolError, match=message):
                await pool.request("GET", server.url)
            assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(handler) as server:
        runtime.run(scenario)
        assert server.accepted == 2


@pytest.mark.parametrize(
    "wire", [b"", HEAD, HEAD + b"Content-Length: 20\r\n\r\nhi"], ids=["nothing", "head", "body"]
)
def test_a_reset_raises_read_error(runtime: TestedRuntime, wire: bytes) -> None:
    def handler(peer: Peer) -> None:
        peer.receive_head()
        if peer.number == 0:
            peer.send(wire)
            peer.reset()
        else:
            peer.send(response(b"fine"))
            peer.receive_until_close()

    async def scenario() -> None:
        async with runtime.pool(max_connections=1) as pool:
            with pytest.raises(httpcore2.ReadError):
                await pool.request("GET", server.url)
            assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(handler) as server:
        runtime.run(scenario)
        assert server.accepted == 2


ENDLESS: list[tuple[str, bytes, bytes]] = [
    ("reason phrase", b"HTTP/1.1 200 ", b"a"),
    ("field line", HEAD + b"X: ", b"a"),
    ("spaces in a field line", HEAD + b"X: ", b" "),
    ("field lines", HEAD, b"X: y\r\n"),
    ("blank lines before the response", b"", b"\r\n"),
    ("interim responses", b"", b"HTTP/1.1 102 Processing\r\n\r\n"),
    ("chunk extension", CHUNKED + b"1", b";a=b"),
    ("zeroes of a chunk size", CHUNKED, b"0"),
    ("trailers", CHUNKED + b"0\r\n", b"X: y\r\n"),
    ("trailer line", CHUNKED + b"0\r\nX: ", b"a"),
]


@pytest.mark.parametrize(
    ("start", "more"), [case[1:] for case in ENDLESS], ids=[case[0] for case in ENDLESS]
)
def test_endless_input_outside_a_body_raises_remote_protocol_error(
    runtime: TestedRuntime, start: bytes, more: bytes
) -> None:
    def handler(peer: Peer) -> None:
        peer.receive_head()
        peer.send(start)
        peer.send_endlessly(more, bound=8 << 20)

    async def scenario() -> None:
        async with runtime.pool() as pool:
            with pytest.raises(httpcore2.RemoteProtocolError):
                await pool.request("GET", server.url)
            assert "0 active, 0 queued | Connections: 0 active, 0 idle" in repr(pool)

    with scripted_server(handler) as server:
        runtime.run(scenario)


def test_a_head_of_exactly_the_limit_is_accepted_and_one_byte_more_is_refused(
    runtime: TestedRuntime,
) -> None:
    filling = 102_400 - len(HEAD + b"X: \r\nContent-Length: 0\r\n")

    def handler(peer: Peer) -> None:
        for extra in (0, 1):
            peer.receive_head()
            peer.send(HEAD + b"X: " + b"a" * (filling + extra) + b"\r\nContent-Length: 0\r\n\r\n")
        peer.receive_until_close()

    async def scenario() -> None:
        async with runtime.pool() as pool:
            response = await pool.request("GET", server.url)
            assert response.headers[0] == (b"X", b"a" * filling)
            with pytest.raises(httpcore2.RemoteProtocolError, match="longer than 102400 bytes"):
                await pool.request("GET", server.url)

    with scripted_server(handler, allow_disconnect=True) as server:
        runtime.run(scenario)


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_an_early_response_is_returned_though_the_upload_fails(
    runtime: TestedRuntime, framing: str
) -> None:
    early = response(b"too large", b"Connection: close", status=b"413 Content Too Large")
    chunk = b"x" * 262_144
    answered = runtime.event()

    def handler(peer: Peer) -> None:
        peer.receive_head()
        if peer.number == 0:
            peer.send(early)
            peer.socket.recv(1)
            # Closing with unread bytes resets the connection: the client's next writes fail.
            peer.close()
            answered.set()
        else:
            peer.send(response(b"fine"))
            peer.receive_until_close()

    async def scenario() -> None:
        headers: dict[bytes | str, bytes | str] = (
            {"Content-Length": str(100 * len(chunk))} if framing == "length" else {}
        )
        async with runtime.pool(max_connections=1) as pool:
            refused = await pool.request(
                "POST",
                server.url,
                headers=headers,
                content=runtime.body(chunk for _ in range(100)),
            )
            assert (refused.status, refused.content) == (413, b"too large")
            assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(handler) as server:
        runtime.run(scenario)
        assert server.accepted == 2


def test_a_reset_of_an_upload_without_a_response_raises_read_error(
    runtime: TestedRuntime,
) -> None:
    chunk = b"x" * 262_144

    def handler(peer: Peer) -> None:
        peer.receive_head()
        if peer.number == 0:
            peer.reset()
        else:
            peer.send(response(b"fine"))
            peer.receive_until_close()

    async def scenario() -> None:
        async with runtime.pool(max_connections=1) as pool:
            with pytest.raises(httpcore2.ReadError):
                await pool.request(
                    "POST", server.url, content=runtime.body(chunk for _ in range(100))
                )
            assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(handler) as server:
        runtime.run(scenario)
