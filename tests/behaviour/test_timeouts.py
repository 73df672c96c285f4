"""The timeouts of each phase and of the whole request; one that expires leaks nothing."""

from __future__ import annotations

import socket
import ssl
from contextlib import ExitStack
from typing import Any

import pytest

import httpcore2

from ..support.runtimes import TestedRuntime
from ..support.scripted_servers import Peer, canned_responses, response, scripted_server

FINE = response(b"fine")
SOON = 0.02


@pytest.mark.parametrize("limits", [{"read": SOON}, {"total": SOON}], ids=["read", "total"])
@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
    ],
    ids=["no response", "half a head", "half a body", "one chunk"],
)
def test_a_silent_server_raises_read_timeout(
    runtime: TestedRuntime, start: bytes, limits: dict[str, float]
) -> None:
    def handler(peer: Peer) -> None:
        peer.receive_head()
        peer.send(FINE)
        if peer.number == 0:
            peer.receive_head()
            peer.send(start)
        assert peer.receive_until_close() == b""

    async def scenario() -> None:
        async with runtime.pool(max_connections=1) as pool:
            # Connect first, so that the timeout does not limit it.
            await pool.request("GET", server.url)
            with pytest.raises(httpcore2.ReadTimeout):
                await pool.request("GET", server.url, extensions={"timeout": limits})
            assert "0 active, 0 queued | Connections: 0 active, 0 idle" in repr(pool)
            assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(handler) as server:
        runtime.run(scenario)
        assert server.accepted == 2


@pytest.mark.parametrize("limits", [{"write": SOON}, {"total": SOON}], ids=["write", "total"])
def test_a_server_that_does_not_read_raises_write_timeout(
    runtime: TestedRuntime, limits: dict[str, float]
) -> None:
    done = runtime.event()

    def handler(peer: Peer) -> None:
        peer.receive_head()
        peer.send(FINE)
        if peer.number == 0:
            done.wait_in_thread()
        else:
            peer.receive_until_close()

    async def scenario() -> None:
        async with runtime.pool(max_connections=1) as pool:
            await pool.request("GET", server.url)
            with pytest.raises(httpcore2.WriteTimeout):
                await pool.request(
                    "POST",
                    server.url,
                    content=runtime.body(bytes(1 << 20) for _ in range(100)),
                    extensions={"timeout": limits},
                )
            done.set()
            assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(handler) as server:
        runtime.run(scenario)


@pytest.mark.parametrize("limits", [{"connect": SOON}, {"total": SOON}], ids=["connect", "total"])
def test_an_unanswered_tls_handshake_raises_connect_timeout(
    runtime: TestedRuntime, client_tls: ssl.SSLContext, limits: dict[str, float]
) -> None:
    def handler(peer: Peer) -> None:
        peer.receive_until_close()

    async def scenario() -> None:
        async with runtime.pool(ssl_context=client_tls, max_connections=1) as pool:
            with pytest.raises(httpcore2.ConnectTimeout):
                await pool.request(
                    "GET",
                    f"https://127.0.0.1:{server.port}/",
                    extensions={"timeout": limits},
                )
            assert "0 active, 0 queued | Connections: 0 active, 0 idle" in repr(pool)

    with scripted_server(handler) as server:
        runtime.run(scenario)


@pytest.mark.parametrize("limits", [{"connect": SOON}, {"total": SOON}], ids=["connect", "total"])
def test_an_unaccepted_connection_raises_connect_timeout(
    runtime: TestedRuntime, limits: dict[str, float]
) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool:
            with pytest.raises(httpcore2.ConnectTimeout):
                await pool.request(
                    "GET", f"http://127.0.0.1:{port}/", extensions={"timeout": limits}
                )
            assert "0 active, 0 queued | Connections: 0 active, 0 idle" in repr(pool)

    with ExitStack() as stack:
        # The queue of the listening socket is full, so the system ignores every further SYN.
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        port = listener.getsockname()[1]
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        runtime.run(scenario)


def test_the_total_timeout_limits_an_endless_body(runtime: TestedRuntime) -> None:
    def handler(peer: Peer) -> None:
        peer.receive_head()
        peer.send(FINE)
        peer.receive_head()
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        # Too much to read in time, but finite, so that a client without the limit ends, too.
        for _ in range(100_000):
            peer.send(b"2\r\nhi\r\n" * 100)

    async def scenario() -> None:
        async with runtime.pool() as pool:
            await pool.request("GET", server.url)
            with pytest.raises(httpcore2.ReadTimeout):
                await pool.request("GET", server.url, extensions={"timeout": {"total": SOON}})
            assert "0 active, 0 queued | Connections: 0 active, 0 idle" in repr(pool)

    with scripted_server(handler, allow_disconnect=True) as server:
        runtime.run(scenario)


def test_the_total_timeout_limits_the_wait_for_a_connection(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with runtime.pool(max_connections=1) as pool, pool.stream("GET", server.url) as held:
            with pytest.raises(httpcore2.PoolTimeout):
                await pool.request("GET", server.url, extensions={"timeout": {"total": SOON}})
            await held.aread()

    with scripted_server(canned_responses([FINE])) as server:
        runtime.run(scenario)


def test_timeouts_that_do_not_expire_have_no_effect(runtime: TestedRuntime) -> None:
    limits = {"pool": 5, "connect": 5.0, "read": 5, "write": None, "total": 10}

    async def scenario() -> None:
        async with runtime.pool() as pool:
            for _ in range(3):
                reply = await pool.request("GET", server.url, extensions={"timeout": limits})
                assert reply.content == b"fine"

    with scripted_server(canned_responses([FINE] * 3)) as server:
        runtime.run(scenario)
        assert server.accepted == 1


@pytest.mark.parametrize(
    ("timeout", "error", "message"),
    [
        (5, TypeError, "mapping"),
        ({"read": "soon"}, TypeError, "'read'"),
        ({"total": "soon"}, TypeError, "'total'"),
        ({"connect": -1}, ValueError, "'connect'"),
        ({"pool": float("nan")}, ValueError, "'pool'"),
    ],
    ids=str,
)
def test_an_invalid_timeout_is_refused_by_its_name(
    runtime: TestedRuntime, timeout: Any, error: type[Exception], message: str
) -> None:
    async def scenario() -> None:
        async with runtime.pool(max_connections=1) as pool:
            with pytest.raises(error, match=message):
                await pool.request("GET", server.url, extensions={"timeout": timeout})
            assert "0 active, 0 queued | Connections: 0 active, 0 idle" in repr(pool)
            assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(canned_responses([FINE])) as server:
        runtime.run(scenario)
        assert server.accepted == 1
