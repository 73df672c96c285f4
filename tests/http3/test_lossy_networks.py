"""Networks that lose, double and reorder datagrams, or fall silent: bodies are right, and nothing hangs."""

from __future__ import annotations

import math
import ssl
from typing import Any

import pytest

import httpcore2

from ..support import h3state
from ..support.h3peer import H3Peer, answering
from ..support.lossy_relay import LossyRelay
from ..support.runtimes import TestedAsyncRuntime, TestedRuntime
from .conftest import HTTP3_ONLY, PoolMaker, Serve


@pytest.mark.parametrize("loss", [0.0, 0.05])
def test_bodies_are_right_whatever_the_network_does(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker, loss: float
) -> None:
    with (
        serve(answering()) as server,
        LossyRelay(server.port, seed=7, loss=loss).running() as relay,
    ):
        url = f"https://127.0.0.1:{relay.port}/"

        async def main() -> None:
            async with make_pool() as pool:

                async def send(number: int) -> None:
                    body = b"%d," % number * (1 + number * 50)
                    response = await pool.request("POST", url, content=body)
                    assert response.content == body

                for _ in range(2):
                    await runtime.gather(*[lambda n=n: send(n) for n in range(10)])

        runtime.run(main)


def test_a_network_that_falls_silent_ends_in_a_timeout_and_a_new_connection(
    runtime: TestedRuntime,
    serve: Serve,
    make_pool: PoolMaker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("httpcore2_http3._session._SILENCE", 0.05)
    with (
        serve(answering()) as server,
        LossyRelay(server.port, seed=1, loss=0.0).running() as relay,
    ):
        url = f"https://127.0.0.1:{relay.port}/"

        async def main() -> None:
            async with make_pool() as pool:
                assert (await pool.request("GET", url)).content == b"fine"
                relay.is_silent = True
                with pytest.raises(httpcore2.ReadTimeout):
                    await pool.request("GET", url, extensions={"timeout": {"read": 0.2}})
                relay.is_silent = False
                assert (await pool.request("GET", url)).content == b"fine"

        runtime.run(main)
        # The relay has one address for each socket of the client.
        assert len(server.peers) == 2


@pytest.mark.parametrize("is_reachable", [True, False])
def test_a_connection_is_used_after_a_timeout_if_the_server_answers_a_ping(
    runtime: TestedRuntime,
    serve: Serve,
    make_pool: PoolMaker,
    monkeypatch: pytest.MonkeyPatch,
    is_reachable: bool,
) -> None:
    monkeypatch.setattr("httpcore2_http3._session._SILENCE", 0.05)

    def script(peer: H3Peer) -> None:
        if len(server.peers) == 1:
            peer.head(peer.whole_request())
        answering()(peer)

    with (
        serve(script) as server,
        LossyRelay(server.port, seed=1, loss=0.0).running() as relay,
    ):
        url = f"https://127.0.0.1:{relay.port}/"

        async def main() -> None:
            async with make_pool(max_connections=1) as pool:
                extensions = {"timeout": {"read": 0.2}}
                async with pool.stream("GET", url, extensions=extensions) as response:
                    relay.is_silent = not is_reachable
                    with pytest.raises(httpcore2.ReadTimeout):
                        await response.aread()
                    endpoint = h3state.session(pool).endpoint
                if is_reachable:

                    def is_answered() -> bool:
                        endpoint.poll()
                        return bool(endpoint.received_at > endpoint.doubted_at)

                    await runtime.wait_until(is_answered)
                relay.is_silent = False
                assert (await pool.request("POST", url, content=b"fine")).content == b"fine"

        runtime.run(main)
        assert len(server.peers) == (1 if is_reachable else 2)


def test_a_connection_that_may_be_lost_goes_on_for_the_requests_it_has(
    async_runtime: TestedAsyncRuntime,
    serve: Serve,
    client_tls: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runtime = async_runtime
    monkeypatch.setattr("httpcore2_http3._session._SILENCE", 0.05)

    def script(peer: H3Peer) -> None:
        if len(server.peers) == 1:
            first = peer.whole_request()
            peer.head(first)
            peer.wait_for_reset(peer.whole_request())
            peer.data(first, b"late", end=True)
        answering()(peer)

    async def main() -> None:
        async with (
            runtime.pool(ssl_context=client_tls, **HTTP3_ONLY) as pool,
            pool.stream("GET", server.url) as response,
        ):
            with pytest.raises(httpcore2.ReadTimeout):
                await pool.request("GET", server.url, extensions={"timeout": {"read": 0.2}})
            h3state.session(pool).endpoint.doubted_at = math.inf
            assert (await pool.request("GET", server.url)).content == b"fine"
            assert await response.aread() == b"late"

    with serve(script) as server:
        runtime.run(main)
        assert len(server.peers) == 2


class FailingCore:
    """The core of qh3's connection, which raises errors when it is asked for the first datagrams of a request."""

    def __init__(self, core: Any, *messages: str) -> None:
        self._core = core
        self._messages = list(messages)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._core, name)

    def poll_transmit(self, now: float) -> Any:
        if self._messages and self._core.get_send_buffer_size(None):
            raise ValueError(self._messages.pop(0))
        return self._core.poll_transmit(now)


def test_a_connection_on_which_qh3_drops_a_packet_completes_its_requests_and_takes_no_further_one(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    with serve(answering()) as server:

        async def main() -> None:
            async with make_pool() as pool:
                await pool.request("GET", server.url)
                quic: Any = h3state.session(pool).quic
                quic._core = FailingCore(
                    quic._core,
                    "reserved stream is missing",
                    "another stream reservation is already active",
                )
                response = await pool.request("POST", server.url, content=b"whole")
                assert response.content == b"whole"
                assert response.extensions["stream_id"] == 4
                response = await pool.request("GET", server.url)
                assert response.extensions["stream_id"] == 0
                assert len(pool.connections) == 1

        runtime.run(main)


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_a_request_that_is_not_answered_after_qh3_has_dropped_a_packet_is_sent_again_if_it_may_be(
    runtime: TestedRuntime,
    serve: Serve,
    make_pool: PoolMaker,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
) -> None:
    monkeypatch.setattr("httpcore2_http3._endpoint._DOUBTFUL_SILENCE", 0.05)

    def answer_one(peer: H3Peer) -> None:
        peer.respond(peer.whole_request(), b"fine")

    scripts = [answer_one]
    with serve(lambda peer: (scripts.pop() if scripts else answering())(peer)) as server:

        async def main() -> None:
            async with make_pool() as pool:
                await pool.request("GET", server.url)
                quic: Any = h3state.session(pool).quic
                quic._core = FailingCore(quic._core, "reserved stream is missing")
                if method == "POST":
                    with pytest.raises(httpcore2.ReadError, match="dropped a packet"):
                        await pool.request(method, server.url, content=b"whole")
                else:
                    response = await pool.request(method, server.url, content=b"whole")
                    assert response.content == b"whole"
                assert (await pool.request("GET", server.url)).content == b"fine"

        runtime.run(main)


def test_another_error_of_qh3_ends_the_connection(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    with serve(answering()) as server:

        async def main() -> None:
            async with make_pool() as pool:
                await pool.request("GET", server.url)
                quic: Any = h3state.session(pool).quic
                quic._core = FailingCore(quic._core, "something else")
                with pytest.raises(httpcore2.ReadError, match="QUIC failed: something else"):
                    await pool.request("POST", server.url, content=b"whole")
                assert (await pool.request("GET", server.url)).content == b"fine"

        runtime.run(main)
