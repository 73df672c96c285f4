"""Connections whose request was given up before it was sent: they are checked and reported like all idle ones."""

from __future__ import annotations

import ssl
import threading
from typing import Any

import pytest
import trustme

import httpcore2

from ..support.observers import Event, RecordingObserver
from ..support.runtimes import TestedRuntime
from ..support.scripted_protocols import HTTP1, HTTP2, PROTOCOLS, Protocol, ServerConnection
from ..support.scripted_servers import Peer, response, scripted_server
from ..support.tls_origins import ROUTES, tls_origin

FINE = response(b"fine")


class Interruption(BaseException):
    """What a signal handler raises."""


class InterruptingObserver(RecordingObserver):
    """Raises an exception at the first event of a name."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._awaited = name
        self._is_done = False

    def on_event(self, event: Event) -> Any:
        if event.name == self._awaited and not self._is_done:
            self._is_done = True
            raise Interruption
        return super().on_event(event)


class ClosingServer:
    """A server that closes its first connection when it is told to, and answers on the others."""

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol
        self._close = threading.Event()
        self._is_closed = threading.Event()

    def handle(self, peer: Peer) -> None:
        if peer.number == 0:
            assert self._close.wait(60)
            peer.socket.close()
            self._is_closed.set()
            return
        connection = ServerConnection(peer, self._protocol)
        while connection.receive_request():
            connection.respond()

    async def close_first(self, runtime: TestedRuntime) -> None:
        self._close.set()
        await runtime.wait_until(self._is_closed.is_set)


def serve(peer: Peer) -> None:
    while peer.receive_request():
        peer.send(FINE)


async def leave_unused(pool: httpcore2.AsyncConnectionPool, url: str, how: str) -> None:
    """Open a connection that no request uses: ahead, or for a request that is interrupted at an event."""
    if how == "ahead":
        assert await pool.connect(url) == 1
        return
    with pool.observe(InterruptingObserver(how)), pytest.raises(Interruption):
        await pool.request("GET", url)


@pytest.mark.parametrize("how", ["ahead", "connection_opened", "connection_acquired"])
@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
def test_an_unused_connection_that_the_server_has_closed_gets_no_request(
    runtime: TestedRuntime,
    protocol: Protocol,
    protocol_tls: ssl.SSLContext | None,
    client_tls: ssl.SSLContext,
    how: str,
) -> None:
    async def scenario() -> None:
        async with runtime.pool(ssl_context=client_tls, **protocol.options) as pool:
            await leave_unused(pool, server.url, how)
            assert "Requests: 0 active, 0 queued | Connections: 0 active" in repr(pool)
            await closing.close_first(runtime)
            # A POST is not sent again where the server may have processed it.
            assert (await pool.request("POST", server.url, content=b"x")).content == b"fine"
            assert pool.stats().resent == 0

    closing = ClosingServer(protocol)
    with scripted_server(closing.handle, tls=protocol_tls, allow_disconnect=True) as server:
        runtime.run(scenario)
    assert server.accepted == 2


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("protocol", ["HTTP/1.1", "HTTP/2"])
def test_the_next_request_uses_the_connection_on_each_route(
    runtime: TestedRuntime, certificate_authority: trustme.CA, protocol: str, route: str
) -> None:
    observer = InterruptingObserver("connection_opened")

    async def scenario() -> None:
        async with runtime.pool(**origin.options) as pool:
            with pool.observe(observer):
                with pytest.raises(Interruption):
                    await pool.request("GET", origin.url)
                assert observer.names("connection_opened", "connection_idle") == [
                    "connection_opened",
                    "connection_idle",
                ]
                assert all(each.is_idle() and each.is_available() for each in pool.connections)
                assert (await pool.request("GET", origin.url)).content == b"fine"
            assert len(pool.connections) == 1

    with tls_origin(certificate_authority, ["127.0.0.1"], protocol, route) as origin:
        runtime.run(scenario)
    assert len(origin.names) == 1


def test_an_unused_connection_expires(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with runtime.pool(keepalive_expiry=0.05) as pool:
            await leave_unused(pool, server.url, "connection_opened")
            if runtime.name in ("threads", "trio"):
                await runtime.wait_until(lambda: pool.close_expired() == 1)
            await runtime.wait_until(lambda: not pool.connections)

    with scripted_server(serve, allow_disconnect=True) as server:
        runtime.run(scenario)


@pytest.mark.parametrize("how", ["ahead", "connection_opened"])
def test_a_request_is_sent_again_if_the_server_closes_an_unused_connection_meanwhile(
    runtime: TestedRuntime, how: str
) -> None:
    def handler(peer: Peer) -> None:
        if peer.number == 0:
            assert peer.receive_request()
            return  # without a response, as if it had closed before the request came
        serve(peer)

    async def scenario() -> None:
        async with runtime.pool() as pool:
            await leave_unused(pool, server.url, how)
            assert (await pool.request("GET", server.url)).content == b"fine"
            assert pool.stats().resent == 1

    with scripted_server(handler) as server:
        runtime.run(scenario)
    assert server.accepted == 2


def test_an_http2_connection_whose_first_request_was_refused_is_checked(
    runtime: TestedRuntime,
) -> None:
    refused: dict[str, Any] = {"headers": {"Content-Length": "7"}, "content": b"longer than that"}

    async def scenario() -> None:
        async with runtime.pool(**HTTP2.options) as pool:
            with pytest.raises(httpcore2.LocalProtocolError):
                await pool.request("POST", server.url, **refused)
            await closing.close_first(runtime)
            assert (await pool.request("POST", server.url, content=b"x")).content == b"fine"

    closing = ClosingServer(HTTP2)
    with scripted_server(closing.handle, allow_disconnect=True) as server:
        runtime.run(scenario)
    assert server.accepted == 2


def test_a_leased_connection_without_a_request_is_checked_before_the_next_lease(
    runtime: TestedRuntime,
) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool:
            async with pool.lease(server.url, reuse=True):
                pass
            await closing.close_first(runtime)
            async with pool.lease(server.url, reuse=True) as connection:
                reply = await connection.request("POST", server.url, content=b"x")
                assert reply.content == b"fine"

    closing = ClosingServer(HTTP1)
    with scripted_server(closing.handle, allow_disconnect=True) as server:
        runtime.run(scenario)
    assert server.accepted == 2


def test_a_leased_connection_that_is_closed_before_its_first_request_is_named_in_the_error(
    runtime: TestedRuntime,
) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool, pool.lease(server.url) as connection:
            await closing.close_first(runtime)
            with pytest.raises(httpcore2.RemoteProtocolError, match="before the request was sent"):
                await connection.request("POST", server.url, content=b"x")

    closing = ClosingServer(HTTP1)
    with scripted_server(closing.handle, allow_disconnect=True) as server:
        runtime.run(scenario)
    assert server.accepted == 1


@pytest.mark.parametrize("protocol", [HTTP1, HTTP2], ids=str)
def test_a_connection_that_was_closed_meanwhile_does_not_become_idle(
    runtime: TestedRuntime, protocol: Protocol
) -> None:
    async def scenario() -> None:
        async with runtime.pool(**protocol.options) as pool:
            await pool.connect(server.url)
            (connection,) = pool._engine.connections
            established = connection.established
            assert established is not None
            connection.abort()
            established.become_idle()
            assert connection.is_closed()

    with scripted_server(serve, allow_disconnect=True) as server:
        runtime.run(scenario)
