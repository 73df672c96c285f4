"""Copies and pickles of responses and exceptions, which caches and process pools need."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

import httpcore2

from ..support.h2peer import H2Peer, speaking
from ..support.runtimes import TestedRuntime
from ..support.scripted_servers import canned_responses, response, scripted_server

FINE = response(b"fine", b"X: y")
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n0\r\nX: y\r\n\r\n"


def pickled(thing: Any) -> Any:
    return pickle.loads(pickle.dumps(thing))


COPIERS = pytest.mark.parametrize("copied", [copy.deepcopy, pickled])


@COPIERS
@pytest.mark.parametrize("data", [FINE, CHUNKED], ids=["content-length", "chunked"])
def test_a_response_whose_body_was_read_can_be_copied(
    runtime: TestedRuntime, copied: Callable[[Any], Any], data: bytes
) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool:
            received = await pool.request("GET", server.url)
            clone = copied(received)
        assert type(clone) is type(received)
        assert (clone.status, clone.headers) == (received.status, received.headers)
        assert clone.content == await clone.aread() == b"fine"
        # The network stream belongs to the connection, which can't be copied.
        assert clone.extensions == {
            name: value for name, value in received.extensions.items() if name != "network_stream"
        }
        assert "network_stream" in received.extensions
        clone.headers.clear()
        assert received.headers

    with scripted_server(canned_responses([data])) as server:
        runtime.run(scenario)


@COPIERS
def test_a_response_over_http2_can_be_copied(
    runtime: TestedRuntime, copied: Callable[[Any], Any]
) -> None:
    def script(peer: H2Peer) -> None:
        peer.respond(peer.request(), b"fine")
        peer.until_end()

    async def scenario() -> None:
        async with runtime.pool(http1=False, http2=True) as pool:
            clone = copied(await pool.request("GET", server.url))
        assert clone.content == b"fine"
        assert clone.extensions["peer_address"] == ("127.0.0.1", server.port)
        assert clone.extensions["stream_id"] == 1
        assert "network_stream" not in clone.extensions

    with scripted_server(speaking(script)) as server:
        runtime.run(scenario)


@COPIERS
def test_copying_a_response_whose_body_was_not_read_raises_type_error_with_the_reason(
    runtime: TestedRuntime, copied: Callable[[Any], Any]
) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool:
            async with pool.stream("GET", server.url) as received:
                with pytest.raises(TypeError, match=r"its body was not read.*read\(\)"):
                    copied(received)
                assert [chunk async for chunk in received.aiter_stream()] == [b"fine"]
                with pytest.raises(TypeError, match="its body was streamed"):
                    copied(received)
            async with pool.stream("GET", server.url) as received:
                await received.aread()
                assert copied(received).content == b"fine"

    with scripted_server(canned_responses([FINE, FINE])) as server:
        runtime.run(scenario)


@COPIERS
def test_an_error_can_be_copied(runtime: TestedRuntime, copied: Callable[[Any], Any]) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool:
            with pytest.raises(httpcore2.RemoteProtocolError) as caught:
                await pool.request("GET", server.url)
        clone = copied(caught.value)
        assert type(clone) is httpcore2.RemoteProtocolError
        assert str(clone) == str(caught.value)
        assert server.origin in str(clone)

    with scripted_server(canned_responses([b"nonsense\r\n\r\n"]), allow_disconnect=True) as server:
        runtime.run(scenario)
