"""The WebSockets of `httpx2`, which use the network stream of an upgraded connection."""

from __future__ import annotations

import ssl
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import httpx2.websockets
import pytest
from wsproto import ConnectionType, WSConnection
from wsproto import events as ws_events
from wsproto.connection import ConnectionState

from ...support.runtime_base import LIMIT
from ...support.runtimes import TestedAsyncRuntime, TestedRuntime
from ...support.scripted_proxies import PROXY_KINDS, scripted_proxy
from ...support.scripted_servers import Peer, canned_responses, response, scripted_server


def _echo_messages(peer: Peer) -> None:
    """Accept a WebSocket and echo its messages; close it at the message `close`."""
    connection = WSConnection(ConnectionType.SERVER)
    while True:
        connection.receive_data(peer.receive_some() or None)
        for event in connection.events():
            if isinstance(event, ws_events.Request):
                chosen = event.subprotocols[0] if event.subprotocols else None
                reply: ws_events.Event = ws_events.AcceptConnection(subprotocol=chosen)
            elif isinstance(event, ws_events.Ping):
                reply = event.response()
            elif isinstance(event, ws_events.CloseConnection):
                if connection.state is ConnectionState.REMOTE_CLOSING:
                    peer.send(connection.send(event.response()))
                return
            elif isinstance(event, ws_events.TextMessage) and event.data == "close":
                reply = ws_events.CloseConnection(code=1001, reason="enough")
            elif isinstance(event, ws_events.Message):
                reply = type(event)(
                    data=event.data,
                    frame_finished=event.frame_finished,
                    message_finished=event.message_finished,
                )
            else:
                raise AssertionError(f"unexpected {event!r}")
            peer.send(connection.send(reply))


class AsyncAdapterSession:
    """A sync session behind the async interface."""

    def __init__(self, wrapped: Any) -> None:
        self._wrapped = wrapped

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._wrapped, name)
        if not callable(method):
            return method

        async def call(*args: Any, **options: Any) -> Any:
            return method(*args, **options)

        return call


@asynccontextmanager
async def _opened(
    runtime: TestedRuntime, url: str, *, client: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[Any]:
    settings = {"trust_env": False, **(client or {})}
    if isinstance(runtime, TestedAsyncRuntime):
        async with (
            httpx2.AsyncClient(**settings) as async_client,
            httpx2.websockets.AsyncWebSocketClient(async_client).connect(url, **options) as session,
        ):
            yield session
    else:
        with (
            httpx2.Client(**settings) as sync_client,
            httpx2.websockets.WebSocketClient(sync_client).connect(url, **options) as sync_session,
        ):
            yield AsyncAdapterSession(sync_session)
        # The session stops its threads without waiting for them.
        for thread in threading.enumerate():
            if thread.name.startswith("ThreadPoolExecutor"):
                thread.join(LIMIT)


@pytest.mark.parametrize("secured", [False, True], ids=["ws", "wss"])
def test_messages_of_all_kinds_are_echoed(
    runtime: TestedRuntime, secured: bool, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        url = server.url.replace("http", "ws", 1)
        async with _opened(runtime, url, client={"verify": client_tls}) as session:
            await session.send_text("one")
            assert await session.receive_text() == "one"
            # Larger than one read and one frame.
            await session.send_bytes(bytes(60_000))
            assert await session.receive_bytes() == bytes(60_000)
            await session.send_json({"a": 1})
            assert await session.receive_json() == {"a": 1}
            await session.ping()

    with scripted_server(
        _echo_messages, tls=server_tls if secured else None, allow_disconnect=True
    ) as server:
        runtime.run(scenario)


def test_a_subprotocol_is_negotiated(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with _opened(runtime, server.url, subprotocols=["chat"]) as session:
            assert session.subprotocol == "chat"

    with scripted_server(_echo_messages, allow_disconnect=True) as server:
        runtime.run(scenario)


def test_a_close_by_the_server_raises_the_exception_of_the_client(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with _opened(runtime, server.url) as session:
            await session.send_text("close")
            with pytest.raises(httpx2.websockets.WebSocketDisconnect) as caught:
                await session.receive_text()
            assert (caught.value.code, caught.value.reason) == (1001, "enough")

    with scripted_server(_echo_messages, allow_disconnect=True) as server:
        runtime.run(scenario)


def test_a_lost_connection_raises_a_network_error(runtime: TestedRuntime) -> None:
    def handler(peer: Peer) -> None:
        connection = WSConnection(ConnectionType.SERVER)
        connection.receive_data(peer.receive_head())
        peer.send(connection.send(ws_events.AcceptConnection()))
        peer.half_close()

    async def scenario() -> None:
        async with _opened(runtime, server.url) as session:
            with pytest.raises(httpx2.websockets.WebSocketNetworkError):
                await session.receive_text()

    with scripted_server(handler, allow_disconnect=True) as server:
        runtime.run(scenario)


def test_a_refused_upgrade_raises_an_error_with_the_response(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        with pytest.raises(httpx2.websockets.WebSocketUpgradeError) as caught:
            async with _opened(runtime, server.url):
                pass
        assert caught.value.response.status_code == 403

    with scripted_server(
        canned_responses([response(status=b"403 Forbidden")]), allow_disconnect=True
    ) as server:
        runtime.run(scenario)


def test_a_receive_timeout_loses_no_message(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with _opened(runtime, server.url) as session:
            with pytest.raises(TimeoutError):
                await session.receive_text(timeout=0.02)
            await session.send_text("after all")
            assert await session.receive_text() == "after all"

    with scripted_server(_echo_messages, allow_disconnect=True) as server:
        runtime.run(scenario)


@pytest.mark.parametrize("kind", ["http", "socks5"])
def test_a_websocket_goes_through_a_proxy(
    runtime: TestedRuntime, kind: str, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        settings = {"proxy": proxy.origin, "verify": client_tls}
        async with _opened(runtime, "wss://www.example.com/", client=settings) as session:
            await session.send_text("one")
            assert await session.receive_text() == "one"

    with (
        scripted_server(_echo_messages, tls=server_tls, allow_disconnect=True) as origin,
        scripted_proxy(PROXY_KINDS[kind], origin.port, server_tls, client_tls) as proxy,
    ):
        runtime.run(scenario)
