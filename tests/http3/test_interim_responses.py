"""Interim responses over HTTP/3: the extension `informational`, and `Expect: 100-continue` (RFC 9110, section 15.2)."""

from __future__ import annotations

from typing import Any

import pytest

import httpcore2

from ..support.h3peer import H3Peer
from ..support.observers import RecordingObserver
from ..support.runtimes import TestedRuntime
from .conftest import PoolMaker, Serve

EXPECT: dict[bytes | str, bytes | str] = {"Expect": "100-continue"}
PATIENT: dict[str, Any] = {"timeout": {"continue": 30.0}}
LINK = (b"link", b"</style.css>; rel=preload")


@pytest.mark.parametrize("is_traced", [False, True])
def test_each_interim_response_is_reported_before_the_response(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker, is_traced: bool
) -> None:
    observer = RecordingObserver()
    received: list[Any] = []

    def script(peer: H3Peer) -> None:
        stream_id = peer.whole_request()
        peer.head(stream_id, status=102)
        peer.head(stream_id, LINK, status=103)
        while len(received) < 2:
            peer.pump()
        peer.respond(stream_id, b"fine")
        peer.until_end()

    def note(status: int, headers: Any) -> None:
        received.append((status, headers))

    async def scenario() -> None:
        extensions: dict[str, Any] = {"informational": note}
        if is_traced:
            extensions["trace"] = runtime.trace([])
        async with make_pool() as pool:
            pool.observe(observer)
            response = await pool.request("GET", server.url, extensions=extensions)
            assert response.content == b"fine"

    with serve(script) as server:
        runtime.run(scenario)
    assert received == [(102, []), (103, [LINK])]
    assert [each["status"] for each in observer.all("interim_received")] == [102, 103]


def test_an_exception_of_the_callback_ends_the_request_alone(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    def script(peer: H3Peer) -> None:
        requests = (peer.request(), peer.request())
        first, second = sorted(requests, key=lambda each: peer.requests[each][b":path"])
        peer.head(first, status=103)
        peer.wait_for_reset(first)
        peer.respond(second, b"fine")
        peer.until_end()

    def refuse(status: int, headers: Any) -> None:
        raise ValueError("refused")

    async def scenario() -> None:
        async with make_pool() as pool:

            async def first() -> None:
                with pytest.raises(ValueError, match="refused"):
                    await pool.request(
                        "GET", server.url + "1", extensions={"informational": refuse}
                    )

            async def second() -> None:
                assert (await pool.request("GET", server.url + "2")).content == b"fine"

            await runtime.gather(first, second)
            assert len(pool.connections) == 1

    with serve(script) as server:
        runtime.run(scenario)


@pytest.mark.parametrize("in_chunks", [False, True])
def test_the_body_is_sent_after_100_continue(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker, in_chunks: bool
) -> None:
    def script(peer: H3Peer) -> None:
        stream_id = peer.request()
        peer.head(stream_id, status=102)
        peer.head(stream_id, status=100)
        assert peer.bodies[stream_id] == b""
        peer.whole_request()
        peer.respond(stream_id, peer.bodies[stream_id])
        peer.until_end()

    async def scenario() -> None:
        async with make_pool() as pool:
            content: Any = runtime.body([b"con", b"tent"]) if in_chunks else b"content"
            response = await pool.request(
                "PUT", server.url, headers=EXPECT, content=content, extensions=PATIENT
            )
            assert response.content == b"content"

    with serve(script) as server:
        runtime.run(scenario)


@pytest.mark.parametrize("status", [200, 403])
def test_a_final_response_ends_the_wait(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker, status: int
) -> None:
    def script(peer: H3Peer) -> None:
        stream_id = peer.request()
        peer.head(stream_id, status=status)
        if status == 200:
            peer.whole_request()
        peer.data(stream_id, peer.bodies[stream_id] or b"refused", end=True)
        peer.until_end()
        assert peer.bodies[stream_id] == (b"content" if status == 200 else b"")

    async def scenario() -> None:
        async with make_pool() as pool:
            response = await pool.request(
                "PUT", server.url, headers=EXPECT, content=b"content", extensions=PATIENT
            )
            assert response.status == status
            assert response.content == (b"content" if status == 200 else b"refused")

    with serve(script) as server:
        runtime.run(scenario)


def test_the_body_is_sent_if_the_server_does_not_answer_in_time(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    def script(peer: H3Peer) -> None:
        stream_id = peer.whole_request()
        peer.respond(stream_id, peer.bodies[stream_id])
        peer.until_end()

    async def scenario() -> None:
        async with make_pool() as pool:
            response = await pool.request(
                "PUT",
                server.url,
                headers=EXPECT,
                content=b"content",
                extensions={"timeout": {"continue": 0.01}},
            )
            assert response.content == b"content"

    with serve(script) as server:
        runtime.run(scenario)


@pytest.mark.parametrize(
    ("limits", "error"),
    [
        ({"read": 0.05, "continue": None}, httpcore2.ReadTimeout),
        ({"total": 2.0, "continue": 30.0}, httpcore2.WriteTimeout),
    ],
)
def test_the_wait_ends_with_the_limits_of_the_request(
    runtime: TestedRuntime,
    serve: Serve,
    make_pool: PoolMaker,
    limits: dict[str, Any],
    error: type[Exception],
) -> None:
    async def scenario() -> None:
        async with make_pool() as pool:
            with pytest.raises(error):
                await pool.request(
                    "PUT",
                    server.url,
                    headers=EXPECT,
                    content=b"content",
                    extensions={"timeout": limits},
                )
            assert not pool.stats().active_connections

    with serve(H3Peer.until_end) as server:
        runtime.run(scenario)


@pytest.mark.parametrize("content", [b"content", b""])
def test_a_request_whose_expectation_failed_is_sent_again_without_it(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker, content: bytes
) -> None:
    def script(peer: H3Peer) -> None:
        while True:
            stream_id = peer.request()
            if b"expect" in peer.requests[stream_id]:
                peer.respond(stream_id, b"", status=417)
            else:
                peer.respond(stream_id, b"fine")

    async def scenario() -> None:
        async with make_pool() as pool:
            response = await pool.request(
                "PUT", server.url, headers=EXPECT, content=content, extensions=PATIENT
            )
            assert (response.status, response.content) == (200, b"fine")

    with serve(script) as server:
        runtime.run(scenario)
