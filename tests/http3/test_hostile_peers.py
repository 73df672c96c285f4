"""Servers that violate HTTP/3 or QUIC, or go away: each is a documented error, and other connections are unharmed."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

import pytest
from qh3.h3.connection import ErrorCode, H3Connection
from qh3.h3.events import StopSending, StreamReset

import httpcore2

from ..support.h3peer import ClientClosed, H3Peer, Script, answering, frame, varint
from ..support.runtimes import TestedRuntime
from .conftest import PoolMaker, Serve

pytestmark = pytest.mark.usefixtures("no_leaks")

DATA, HEADERS, CANCEL_PUSH, SETTINGS, PUSH_PROMISE, GOAWAY, MAX_PUSH_ID = 0, 1, 3, 4, 5, 7, 0xD


def once(action: Callable[[H3Peer, int], object]) -> Script:
    """Return a script that calls `action` for the first request."""

    def script(peer: H3Peer) -> None:
        action(peer, peer.request())

    return script


def connection_error(
    runtime: TestedRuntime,
    serve: Serve,
    make_pool: PoolMaker,
    script: Script,
    error: type[Exception],
    message: str,
) -> list[Any]:
    """Check that a request fails, and that the next one is served on another connection. Return the peers."""
    is_first = True

    def first_is_hostile(peer: H3Peer) -> None:
        nonlocal is_first
        if is_first:
            is_first = False
            script(peer)
        else:
            answering()(peer)

    with serve(first_is_hostile) as server:

        async def main() -> None:
            async with make_pool() as pool:
                with pytest.raises(error, match=message):
                    await pool.request("POST", server.url)
                assert (await pool.request("GET", server.url)).content == b"fine"
                assert len(pool.connections) == 1

        runtime.run(main)
        return server.peers


CONNECTION_ERRORS: dict[str, tuple[Script, str]] = {
    "data-before-the-head": (
        once(lambda peer, stream: peer.raw(stream, frame(DATA, b"x"))),
        "H3_FRAME_UNEXPECTED",
    ),
    "settings-on-a-request-stream": (
        once(lambda peer, stream: peer.raw(stream, frame(SETTINGS, b""))),
        "H3_FRAME_UNEXPECTED",
    ),
    "second-settings": (
        once(lambda peer, _: peer.control(frame(SETTINGS, b""))),
        "H3_FRAME_UNEXPECTED",
    ),
    "headers-on-the-control-stream": (
        once(lambda peer, _: peer.control(frame(HEADERS, b"\0\0"))),
        "H3_FRAME_UNEXPECTED",
    ),
    "max-push-id-of-a-server": (
        once(lambda peer, _: peer.control(frame(MAX_PUSH_ID, varint(1)))),
        "H3_FRAME_UNEXPECTED",
    ),
    "a-field-section-that-is-no-qpack": (
        once(lambda peer, stream: peer.raw(stream, frame(HEADERS, b"\xff" * 20))),
        "QPACK_DECOMPRESSION_FAILED",
    ),
    "a-field-name-in-upper-case": (
        once(lambda peer, stream: peer.head(stream, (b"X-Upper", b"1"))),
        "H3_MESSAGE_ERROR",
    ),
    "a-huge-field-section": (
        once(lambda peer, stream: peer.raw(stream, varint(HEADERS) + varint(1 << 40))),
        "H3_EXCESSIVE_LOAD",
    ),
    "a-goaway-that-is-cut-off": (
        once(lambda peer, _: peer.control(frame(GOAWAY, b""))),
        "Malformed data from the server",
    ),
    "a-goaway-for-a-push": (once(lambda peer, _: peer.go_away(3)), "H3_ID_ERROR"),
    "a-stream-of-the-server": (
        once(lambda peer, _: peer.raw(1, frame(HEADERS, b"\0\0\xd9"))),
        "H3_STREAM_CREATION_ERROR",
    ),
    "the-end-of-the-control-stream": (
        once(
            lambda peer, _: peer.raw(peer.h3._local_control_stream_id, b"", end=True)  # type: ignore[union-attr, arg-type]
        ),
        "H3_CLOSED_CRITICAL_STREAM",
    ),
}


@pytest.mark.parametrize("case", CONNECTION_ERRORS)
def test_a_violation_of_http3_ends_the_connection(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker, case: str
) -> None:
    script, message = CONNECTION_ERRORS[case]
    first, second = connection_error(
        runtime, serve, make_pool, script, httpcore2.RemoteProtocolError, message
    )
    assert first.end is not None and first.end.error_code != ErrorCode.H3_NO_ERROR
    assert second.end is not None and second.end.error_code == ErrorCode.H3_NO_ERROR


def test_settings_that_are_reserved_are_an_error(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = H3Connection._get_local_settings

    def settings(h3: H3Connection) -> dict[int, int]:
        return real(h3) if h3._is_client else {0x2: 1}

    monkeypatch.setattr(H3Connection, "_get_local_settings", settings)
    with serve(H3Peer.until_end) as server:

        async def main() -> None:
            async with make_pool() as pool:
                with pytest.raises(
                    (httpcore2.RemoteProtocolError, httpcore2.ConnectError),
                    match="H3_SETTINGS_ERROR",
                ):
                    await pool.request("GET", server.url)

        runtime.run(main)


STREAM_ERRORS: dict[str, tuple[Callable[[H3Peer, int], object], str]] = {
    "no-status": (
        lambda peer, stream: peer.raw(stream, frame(DATA, b""), end=True),
        "",
    ),
    "more-than-content-length": (
        lambda peer, stream: peer.respond(stream, b"four", (b"content-length", b"3")),
        "body is longer than its Content-Length",
    ),
    "less-than-content-length": (
        lambda peer, stream: peer.respond(stream, b"four", (b"content-length", b"5")),
        "ended 1 bytes before its Content-Length",
    ),
    "content-length-that-is-no-number": (
        lambda peer, stream: peer.respond(stream, b"four", (b"content-length", b"x")),
        "Content-Length is invalid",
    ),
    "a-status-that-is-no-number": (
        lambda peer, stream: peer.respond(stream, b"four", status=1000),
        "not a valid :status",
    ),
    "a-value-with-a-line-break": (
        lambda peer, stream: peer.respond(stream, b"four", (b"x", b"a\r\nb: c")),
        "Illegal header field",
    ),
    "an-end-after-an-interim-response": (
        lambda peer, stream: peer.head(stream, status=100, end=True),
        "ended after an interim response",
    ),
    "endless-interim-responses": (
        lambda peer, stream: peer.interim(stream, 101),
        "more than 100 interim responses",
    ),
    "a-reset": (
        lambda peer, stream: peer.reset(stream, ErrorCode.H3_INTERNAL_ERROR),
        "reset the stream: H3_INTERNAL_ERROR",
    ),
    "a-reset-with-an-unknown-code": (
        lambda peer, stream: peer.reset(stream, 0x4242),
        "reset the stream: error 0x4242",
    ),
}
del STREAM_ERRORS["no-status"]


@pytest.mark.parametrize("case", STREAM_ERRORS)
def test_an_error_of_one_stream_leaves_the_others(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker, case: str
) -> None:
    action, message = STREAM_ERRORS[case]

    def script(peer: H3Peer) -> None:
        streams = [peer.request(), peer.request()]
        bad = next(number for number in streams if peer.requests[number][b":path"] == b"/bad")
        streams.remove(bad)
        action(peer, bad)
        peer.head(streams[0])
        answering()(peer)

    with serve(script) as server:

        async def main() -> None:
            async with make_pool() as pool:

                async def bad() -> None:
                    with pytest.raises(httpcore2.RemoteProtocolError, match=message) as caught:
                        await pool.request("POST", server.url + "bad")
                    assert re.search(r"stream \d+\)$", str(caught.value))

                async def good() -> None:
                    async with pool.stream("GET", server.url) as response:
                        assert response.status == 200
                        await pool.request("GET", server.url + "next")

                await runtime.gather(bad, good)
                (connection,) = pool.connections
                assert connection.is_idle()

        runtime.run(main)
        assert len(server.peers) == 1


def test_unknown_frames_streams_and_pushes_are_ignored(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    def script(peer: H3Peer) -> None:
        stream_id = peer.request()
        assert peer.quic is not None and peer.h3 is not None
        peer.control(frame(0x21, b"grease"))
        peer.raw(peer.quic.get_next_available_stream_id(True), varint(0x21) + b"grease")
        push = peer.h3.send_push_promise(
            stream_id,
            [
                (b":method", b"GET"),
                (b":scheme", b"https"),
                (b":authority", b"127.0.0.1"),
                (b":path", b"/pushed"),
            ],
        )
        peer.head(push)
        peer.data(push, bytes(100_000))
        peer.raw(stream_id, frame(0x21, b"grease"))
        peer.respond(stream_id, b"fine")
        answering()(peer)

    with serve(script) as server:

        async def main() -> None:
            async with make_pool() as pool:
                for _ in range(2):
                    assert (await pool.request("GET", server.url)).content == b"fine"

        runtime.run(main)
        assert len(server.peers) == 1


def test_a_request_that_the_server_rejected_is_sent_again(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    def script(peer: H3Peer) -> None:
        peer.reset(peer.whole_request(), ErrorCode.H3_REQUEST_REJECTED)
        answering()(peer)

    with serve(script) as server:

        async def main() -> None:
            async with make_pool() as pool:
                response = await pool.request("POST", server.url, content=b"body")
                assert response.content == b"body"

        runtime.run(main)
        assert len(server.peers) == 1


def test_a_body_that_was_begun_is_not_sent_again(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    def script(peer: H3Peer) -> None:
        peer.reset(peer.whole_request(), ErrorCode.H3_REQUEST_REJECTED)
        answering()(peer)

    with serve(script) as server:

        async def main() -> None:
            async with make_pool() as pool:
                with pytest.raises(httpcore2.RemoteProtocolError, match="REQUEST_REJECTED") as got:
                    await pool.request("POST", server.url, content=runtime.body([b"a", b"b"]))
                assert "can't be sent again" in got.value.__notes__[0]
                assert (await pool.request("GET", server.url)).content == b"fine"

        runtime.run(main)


def test_goaway_moves_what_was_not_processed_to_another_connection(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    def script(peer: H3Peer) -> None:
        first, second = peer.request(), peer.request()
        # A graceful shutdown begins with the largest identifier (RFC 9114, section 5.2).
        peer.go_away((1 << 62) - 4)
        peer.go_away(second)
        peer.respond(first, b"old")
        with pytest.raises(ClientClosed):
            peer.whole_request()

    scripts = [script]

    def serving(peer: H3Peer) -> None:
        (scripts.pop() if scripts else answering(b"new"))(peer)

    with serve(serving) as server:

        async def main() -> None:
            async with make_pool() as pool:

                async def send() -> bytes:
                    return (await pool.request("POST", server.url)).content

                assert sorted(await runtime.gather(send, send)) == [b"new", b"old"]
                assert len(pool.connections) == 1

        runtime.run(main)
        assert len(server.peers) == 2


def test_a_goaway_that_grows_is_an_error(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    def script(peer: H3Peer) -> None:
        peer.request()
        peer.go_away(8)
        peer.go_away(12)

    connection_error(
        runtime, serve, make_pool, script, httpcore2.RemoteProtocolError, "H3_ID_ERROR: GOAWAY"
    )


def test_an_idle_connection_that_the_server_closes_is_replaced(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    def script(peer: H3Peer) -> None:
        peer.respond(peer.whole_request(), b"fine")
        peer.close()

    with serve(script) as server:

        async def main() -> None:
            async with make_pool() as pool:
                for _ in range(3):
                    response = await pool.request("GET", server.url)
                    assert response.content == b"fine"
                    await runtime.wait_until(
                        lambda: all(connection.has_expired() for connection in pool.connections)
                    )

        runtime.run(main)
        assert len(server.peers) == 3


def test_a_request_without_an_answer_is_sent_again_if_it_is_idempotent(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    def script(peer: H3Peer) -> None:
        peer.respond(peer.whole_request(), b"fine")
        peer.whole_request()
        peer.close(ErrorCode.H3_INTERNAL_ERROR, "restart")

    with serve(script) as server:

        async def main() -> None:
            async with make_pool() as pool:
                for _ in range(2):
                    assert (await pool.request("GET", server.url)).content == b"fine"
                with pytest.raises(
                    httpcore2.RemoteProtocolError,
                    match=r"closed the connection \(H3_INTERNAL_ERROR: restart\)",
                ):
                    await pool.request("POST", server.url)

        runtime.run(main)


def test_a_server_that_ends_the_connection_in_a_response_is_an_error(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    def script(peer: H3Peer) -> None:
        stream_id = peer.whole_request()
        peer.head(stream_id)
        peer.data(stream_id, b"part")
        peer.quic.close(0x3, 0x1C, "flow")  # type: ignore[union-attr]
        peer.flush()

    with serve(script) as server:

        async def main() -> None:
            async with make_pool() as pool:
                with pytest.raises(
                    httpcore2.RemoteProtocolError, match=r"FLOW_CONTROL_ERROR: flow"
                ):
                    await pool.request("GET", server.url)

        runtime.run(main)


def test_a_timeout_resets_its_stream_alone(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    resets = []

    def script(peer: H3Peer) -> None:
        peer.respond(peer.whole_request(), b"fine")
        silent = peer.whole_request()
        resets.append((silent, peer.wait_for(StopSending)))
        answering()(peer)

    with serve(script) as server:

        async def main() -> None:
            async with make_pool() as pool:
                await pool.request("GET", server.url)
                with pytest.raises(httpcore2.ReadTimeout, match=r"within 0\.05 seconds \(read"):
                    await pool.request("GET", server.url, extensions={"timeout": {"read": 0.05}})
                assert (await pool.request("GET", server.url)).content == b"fine"

        runtime.run(main)
        assert len(server.peers) == 1
    ((silent, stop),) = resets
    assert stop.stream_id == silent
    assert stop.error_code == ErrorCode.H3_REQUEST_CANCELLED


def test_an_early_close_resets_both_directions(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    seen: list[Any] = []

    def script(peer: H3Peer) -> None:
        stream_id = peer.request()
        peer.head(stream_id)
        seen.append(peer.wait_for(StreamReset))
        answering()(peer)

    with serve(script) as server:

        async def main() -> None:
            async with make_pool() as pool:
                body = runtime.body([bytes(1024 * 1024)] * 10)
                async with pool.stream("POST", server.url, content=body) as response:
                    assert response.status == 200
                assert (await pool.request("GET", server.url)).content == b"fine"

        runtime.run(main)
        assert len(server.peers) == 1
    assert seen[0].error_code == ErrorCode.H3_REQUEST_CANCELLED


def test_a_server_that_reads_nothing_is_a_timeout_of_writing(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    is_over = threading.Event()

    def script(peer: H3Peer) -> None:
        peer.request()
        is_over.wait(10)

    with serve(script) as server:

        async def main() -> None:
            async with make_pool() as pool:
                with pytest.raises(httpcore2.WriteTimeout, match=r"accepted no data for 0\.1"):
                    await pool.request(
                        "POST",
                        server.url,
                        content=bytes(8 * 1024 * 1024),
                        extensions={"timeout": {"write": 0.1}},
                    )

        try:
            runtime.run(main)
        finally:
            is_over.set()


def test_a_server_that_falls_silent_ends_the_connection(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    is_over = threading.Event()

    def script(peer: H3Peer) -> None:
        peer.request()
        is_over.wait(10)

    with serve(script, idle_timeout=0.3) as server:

        async def main() -> None:
            async with make_pool() as pool:
                with pytest.raises(httpcore2.ReadTimeout, match="idle timeout of QUIC"):
                    await pool.request("GET", server.url)
                assert pool.connections == []

        try:
            runtime.run(main)
        finally:
            is_over.set()
