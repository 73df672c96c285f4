"""`resend`: a request that the server did not process is sent again, unless the pool or the request forbids it."""

from __future__ import annotations

import select
import socket
from typing import Any

import pytest
from h2.errors import ErrorCodes

import httpcore2

from ..support.h2peer import H2Peer, speaking
from ..support.runtimes import TestedRuntime
from ..support.scripted_servers import (
    LIMIT,
    Peer,
    response,
    scripted_server,
)

FINE = response(b"fine")
NOTE = "The request was not sent again, since `resend` is False."
# The options of a pool and the extensions of a request, and whether the request is sent again.
SWITCHES: dict[str, tuple[dict[str, Any], dict[str, Any], bool]] = {
    "default": ({}, {}, True),
    "pool": ({"resend": False}, {}, False),
    "request": ({}, {"resend": False}, False),
    "request over pool": ({"resend": False}, {"resend": True}, True),
    "None": ({"resend": False}, {"resend": None}, False),
}
PRIOR_KNOWLEDGE = {"http1": False, "http2": True}


class Unanswering:
    """A server that closes its first connection upon the second request, which it doesn't answer."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []

    def __call__(self, peer: Peer) -> None:
        while (received := peer.receive_request()) is not None:
            self.requests.append(received[0].split()[1])
            if len(self.requests) == 2:
                return
            peer.send(FINE)


@pytest.mark.parametrize("switch", SWITCHES)
def test_a_request_that_crosses_the_end_of_an_idle_connection_is_sent_again_unless_forbidden(
    runtime: TestedRuntime, switch: str
) -> None:
    options, extensions, is_resent = SWITCHES[switch]

    async def scenario() -> None:
        async with runtime.pool(**options) as pool:
            await pool.request("GET", f"{server.url}1")
            if is_resent:
                await pool.request("GET", f"{server.url}2", extensions=extensions)
            else:
                with pytest.raises(httpcore2.RemoteProtocolError, match="disconnected"):
                    await pool.request("GET", f"{server.url}2", extensions=extensions)
                assert pool.connections == []
            await pool.request("GET", f"{server.url}3")

    script = Unanswering()
    with scripted_server(script) as server:
        runtime.run(scenario)
    assert script.requests == [b"/1", b"/2", *[b"/2"] * is_resent, b"/3"]


def test_a_request_whose_body_was_sent_whole_is_not_sent_again_if_it_came_from_an_iterator(
    runtime: TestedRuntime,
) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool:
            await pool.request("PUT", f"{server.url}1", content=b"whole")
            with pytest.raises(httpcore2.RemoteProtocolError, match="disconnected"):
                await pool.request("PUT", f"{server.url}2", content=runtime.body([b"wh", b"ole"]))
            await pool.request("PUT", f"{server.url}3", content=b"whole")

    script = Unanswering()
    with scripted_server(script) as server:
        runtime.run(scenario)
    assert script.requests == [b"/1", b"/2", b"/3"]


def test_a_connection_that_is_found_closed_before_a_byte_is_written_is_replaced_all_the_same(
    runtime: TestedRuntime,
) -> None:
    def serve(peer: Peer) -> None:
        assert peer.receive_request() is not None
        peer.send(FINE)

    async def scenario() -> None:
        async with runtime.pool(resend=False) as pool:
            for _ in range(3):
                reply = await pool.request("POST", server.url, content=b"x")
                sock: socket.socket = reply.extensions["network_stream"].get_extra_info("socket")
                if sock.fileno() >= 0:
                    poller = select.poll()
                    poller.register(sock, select.POLLIN)
                    assert poller.poll(LIMIT * 1000), "no end arrived"

    with scripted_server(serve) as server:
        runtime.run(scenario)
    assert server.accepted == 3


def reset_stream(peer: H2Peer, stream_id: int) -> None:
    peer.reset(stream_id, ErrorCodes.REFUSED_STREAM)


def go_away(peer: H2Peer, stream_id: int) -> None:
    peer.go_away(0)


REFUSALS = {
    "REFUSED_STREAM": (reset_stream, r"The server reset the stream: REFUSED_STREAM"),
    "GOAWAY": (go_away, r"is closing the connection, and did not process the request"),
}


@pytest.mark.parametrize("refusal", REFUSALS)
@pytest.mark.parametrize("switch", SWITCHES)
def test_a_request_that_the_server_did_not_process_is_sent_again_over_http2_unless_forbidden(
    runtime: TestedRuntime, switch: str, refusal: str
) -> None:
    options, extensions, is_resent = SWITCHES[switch]
    refuse, message = REFUSALS[refusal]

    async def scenario() -> None:
        async with runtime.pool(**PRIOR_KNOWLEDGE, **options) as pool:
            if is_resent:
                reply = await pool.request("POST", server.url, extensions=extensions)
                assert reply.content == b"fine"
            else:
                with pytest.raises(httpcore2.RemoteProtocolError, match=message) as caught:
                    await pool.request("POST", server.url, extensions=extensions)
                assert caught.value.__notes__ == [NOTE]
                assert caught.value.__context__ is None
                assert str(caught.value).endswith(", stream 1)")
                assert "[Requests: 0 active, 0 queued" in repr(pool)
            assert (await pool.request("GET", server.url)).content == b"fine"

    def script(peer: H2Peer) -> None:
        while stream_id := peer.whole_request():
            requests.append(peer.number)
            if len(requests) == 1:
                refuse(peer, stream_id)
            else:
                peer.respond(stream_id, b"fine")

    requests: list[int] = []
    with scripted_server(speaking(script), allow_disconnect=True) as server:
        runtime.run(scenario)
    # The one that was refused, the same once more if that is allowed, and the last one.
    assert len(requests) == 2 + is_resent


def test_a_request_for_which_a_connection_has_no_room_is_sent_on_another_all_the_same(
    runtime: TestedRuntime,
) -> None:
    def serve(peer: H2Peer) -> None:
        first = peer.request()
        peer.head(first)
        answered.set()
        while peer.next() is not None:
            pass

    async def scenario() -> None:
        async with runtime.pool(resend=False, **PRIOR_KNOWLEDGE) as pool:
            async with pool.stream("GET", server.url):
                await answered.wait()
                async with pool.stream("GET", server.url) as second:
                    assert second.status == 200
            assert len(pool.connections) == 2

    answered = runtime.event()
    with scripted_server(
        speaking(serve, max_concurrent_streams=1), allow_disconnect=True
    ) as server:
        runtime.run(scenario)


@pytest.mark.parametrize("value", [0, "no", b""])
def test_a_switch_that_is_neither_true_nor_false_is_refused(
    runtime: TestedRuntime, value: Any
) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool:
            with pytest.raises(TypeError) as caught:
                await pool.request("GET", "http://127.0.0.1:9/", extensions={"resend": value})
            assert (
                str(caught.value) == f"extensions['resend'] must be True or False, but got {name}."
            )
            assert pool.connections == []

    name = type(value).__name__
    with pytest.raises(TypeError, match=f"^resend must be True or False, but got {name}.$"):
        runtime.pool(resend=value)
    runtime.run(scenario)


@pytest.mark.parametrize(
    "make",
    [
        lambda: httpcore2.HTTPProxy("http://proxy:8080", resend=False),
        lambda: httpcore2.AsyncHTTPProxy("http://proxy:8080", resend=False),
        lambda: httpcore2.SOCKSProxy("socks4://proxy:1080", resend=False),
        lambda: httpcore2.AsyncSOCKSProxy("socks4://proxy:1080", resend=False),
    ],
)
def test_pools_with_a_proxy_take_the_switch(make: Any) -> None:
    assert make()._config.resend is False


@pytest.mark.parametrize("is_resent", [True, False])
def test_the_switch_applies_to_requests_that_a_proxy_forwards(
    runtime: TestedRuntime, is_resent: bool
) -> None:
    async def scenario() -> None:
        proxy = httpcore2.Proxy(server.url)
        async with runtime.pool(proxy=proxy, resend=is_resent) as pool:
            await pool.request("GET", "http://example.com/1")
            if is_resent:
                await pool.request("GET", "http://example.com/2")
            else:
                with pytest.raises(httpcore2.RemoteProtocolError):
                    await pool.request("GET", "http://example.com/2")

    script = Unanswering()
    with scripted_server(script) as server:
        runtime.run(scenario)
    assert len(script.requests) == 2 + is_resent
