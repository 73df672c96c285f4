"""The extension `informational`: interim responses (1xx) are reported before the response is returned."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from threading import Event
from typing import Any

import h2.events
import pytest

import httpcore2

from ..support.runtimes import TestedAsyncRuntime, TestedRuntime
from ..support.scripted_protocols import HTTP1, HTTP2, PROTOCOLS, Protocol, ServerConnection
from ..support.scripted_servers import Peer, response, scripted_server

Interim = list[tuple[int, list[tuple[bytes, bytes]]]]

LINKS = [(b"link", b"</style.css>; rel=preload"), (b"link", b"</a.js>; rel=preload")]
each_protocol = pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
each_version = pytest.mark.parametrize("protocol", [HTTP1, HTTP2], ids=str)


def send_interim(
    connection: ServerConnection, status: int, fields: list[tuple[bytes, bytes]]
) -> None:
    if connection.http2 is None:
        lines = b"".join(b"%b: %b\r\n" % field for field in fields)
        connection.peer.send(b"HTTP/1.1 %d Interim\r\n%b\r\n" % (status, lines))
    else:
        connection.http2.head(connection.stream_id, *fields, status=status)


class Callback:
    """Notes the interim responses: a function, or an async one on event loops."""

    def __init__(self, runtime: TestedRuntime, is_async: bool) -> None:
        self.received: Interim = []
        self.first = Event()
        self._runtime = runtime
        self._is_async = is_async and isinstance(runtime, TestedAsyncRuntime)

    @property
    def function(self) -> Callable[[int, Any], Any]:
        def note(status: int, headers: list[tuple[bytes, bytes]]) -> None:
            self.received.append((status, headers))
            self.first.set()

        async def note_async(status: int, headers: list[tuple[bytes, bytes]]) -> None:
            await self._runtime.let_others_run()
            note(status, headers)

        return note_async if self._is_async else note


@each_protocol
@pytest.mark.parametrize("is_async", [False, True])
def test_each_interim_response_is_reported_as_it_comes(
    runtime: TestedRuntime,
    protocol: Protocol,
    protocol_tls: ssl.SSLContext | None,
    client_tls: ssl.SSLContext,
    is_async: bool,
) -> None:
    def script(peer: Peer) -> None:
        connection = ServerConnection(peer, protocol)
        assert connection.receive_request()
        send_interim(connection, 103, LINKS)
        # The response follows when the callback has been called.
        assert callback.first.wait(10)
        send_interim(connection, 102, [])
        send_interim(connection, 103, LINKS[:1])
        connection.respond()
        assert connection.receive_request()
        send_interim(connection, 103, LINKS)
        connection.respond()
        connection.receive_until_close()

    async def scenario() -> None:
        options = {"ssl_context": client_tls, **protocol.options}
        async with runtime.pool(**options) as pool:
            extensions = {"informational": callback.function}
            reply = await pool.request("GET", server.url, extensions=extensions)
            assert (reply.status, reply.content) == (200, b"fine")
            assert callback.received == [(103, LINKS), (102, []), (103, LINKS[:1])]
            # The next request on the connection has no callback.
            assert (await pool.request("GET", server.url)).content == b"fine"
            assert len(callback.received) == 3
            assert len(pool.connections) == 1

    callback = Callback(runtime, is_async)
    with scripted_server(script, tls=protocol_tls) as server:
        runtime.run(scenario)


@pytest.mark.parametrize("manner", ["whole", "bytewise"])
@pytest.mark.parametrize("surplus", [b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"])
def test_interim_responses_are_found_however_they_are_cut(
    runtime: TestedRuntime, manner: str, surplus: bytes
) -> None:
    def serve(peer: Peer) -> None:
        peer.receive_request()
        data = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nA:  b \r\n\r\n"
        data += response(b"fine") + surplus
        if manner == "whole":
            peer.send(data)
        else:
            peer.send_bytewise(data)
        peer.receive_until_close()

    async def scenario() -> None:
        async with runtime.pool() as pool:
            extensions = {"informational": callback.function}
            reply = await pool.request("GET", server.url, extensions=extensions)
            assert reply.content == b"fine"
            assert callback.received == [(100, []), (103, [(b"A", b"b")])]

    callback = Callback(runtime, True)
    with scripted_server(serve, allow_disconnect=True) as server:
        runtime.run(scenario)


@each_protocol
@pytest.mark.parametrize("is_expected", [False, True])
@pytest.mark.parametrize("is_async", [False, True])
def test_interim_responses_to_an_upload_are_reported(
    runtime: TestedRuntime,
    protocol: Protocol,
    protocol_tls: ssl.SSLContext | None,
    client_tls: ssl.SSLContext,
    is_expected: bool,
    is_async: bool,
) -> None:
    def script(peer: Peer) -> None:
        connection = ServerConnection(peer, protocol)
        connection.receive_head()
        send_interim(connection, 103, LINKS)
        send_interim(connection, 100, [])
        if connection.http2 is None:
            connection.peer.receive_until(b"0\r\n\r\n")
        else:
            connection.http2.wait_for(h2.events.StreamEnded, connection.stream_id)
        send_interim(connection, 102, [])
        connection.respond()
        connection.receive_until_close()

    async def scenario() -> None:
        options = {"ssl_context": client_tls, **protocol.options}
        async with runtime.pool(**options) as pool:
            reply = await pool.request(
                "PUT",
                server.url,
                headers={"Expect": "100-continue"} if is_expected else {},
                content=runtime.body([b"some", b"content"] * 20),
                extensions={
                    "informational": callback.function,
                    "timeout": {"continue": None, "read": 30.0},
                },
            )
            assert reply.content == b"fine"
            assert [status for status, _ in callback.received] == [103, 100, 102]
            assert len(pool.connections) == 1

    callback = Callback(runtime, is_async)
    with scripted_server(script, tls=protocol_tls) as server:
        runtime.run(scenario)


@each_version
def test_interim_responses_are_reported_while_bytes_are_sent(
    runtime: TestedRuntime, protocol: Protocol
) -> None:
    def script(peer: Peer) -> None:
        connection = ServerConnection(peer, protocol)
        connection.receive_head()
        send_interim(connection, 103, LINKS)
        if connection.http2 is None:
            connection.peer.receive_exactly(len(content))
        else:
            stream_id = connection.http2.whole_request()
            assert stream_id is not None
            assert len(connection.http2.bodies[stream_id]) == len(content)
        connection.respond()
        connection.receive_until_close()

    async def scenario() -> None:
        async with runtime.pool(**protocol.options) as pool:
            reply = await pool.request(
                "PUT",
                server.url,
                content=content,
                extensions={"informational": callback.function},
            )
            assert reply.content == b"fine"
            assert callback.received == [(103, LINKS)]

    content = bytes(4 * 1024 * 1024)  # it fits into no buffer
    callback = Callback(runtime, True)
    with scripted_server(script) as server:
        runtime.run(scenario)


class Failure(Exception):
    """Raised by a callback."""


@each_version
@pytest.mark.parametrize("is_upload", [False, True])
@pytest.mark.parametrize(
    "exception", [Failure, httpcore2.ReadTimeout, httpcore2.RemoteProtocolError]
)
def test_an_exception_of_the_callback_ends_the_request_alone(
    runtime: TestedRuntime, protocol: Protocol, is_upload: bool, exception: type[Exception]
) -> None:
    def script(peer: Peer) -> None:
        connection = ServerConnection(peer, protocol)
        while connection.receive_head() is not None:
            requests.append(connection.stream_id)
            if len(requests) == 1:
                send_interim(connection, 103, [])
                connection.receive_until_aborted()
            else:
                connection.respond()

    def fail(status: int, headers: object) -> None:
        raise exception("no hints, please")

    async def scenario() -> None:
        async with runtime.pool(max_connections=1, **protocol.options) as pool:
            extensions: dict[str, Any] = {
                "informational": fail,
                "timeout": {"continue": 30.0},
            }
            content = runtime.body([b"content"]) if is_upload else None
            with pytest.raises(exception, match="no hints, please"):
                await pool.request(
                    "PUT",
                    server.url,
                    headers={"Expect": "100-continue"},
                    content=content,
                    extensions=extensions,
                )
            assert len(pool.connections) == protocol.is_http2
            assert "[Requests: 0 active, 0 queued" in repr(pool)
            assert (await pool.request("GET", server.url)).content == b"fine"

    requests: list[int] = []
    with scripted_server(script, allow_disconnect=True) as server:
        runtime.run(scenario)
    assert server.accepted == (1 if protocol.is_http2 else 2)


@each_version
def test_the_exception_of_one_callback_does_not_harm_other_requests_of_the_connection(
    async_runtime: TestedAsyncRuntime, protocol: Protocol
) -> None:
    def script(peer: Peer) -> None:
        connection = ServerConnection(peer, protocol)
        while connection.receive_request():
            for _ in range(3):
                send_interim(connection, 103, LINKS)
            connection.respond()

    async def scenario() -> None:
        async with async_runtime.pool(**protocol.options) as pool:

            async def fetch(number: int) -> bytes:
                async def inform(status: int, headers: object) -> None:
                    counts[number] += 1
                    await async_runtime.let_others_run()
                    if number % 2:
                        raise Failure

                extensions = {"informational": inform}
                reply = await pool.request("GET", server.url, extensions=extensions)
                return reply.content

            outcomes = await async_runtime.outcomes(
                *[lambda number=number: fetch(number) for number in range(6)]
            )
            assert [type(outcome) for outcome in outcomes] == [bytes, Failure] * 3
            assert counts == [3, 1] * 3

    counts = [0] * 6
    with scripted_server(script, allow_disconnect=True) as server:
        async_runtime.run(scenario)


def test_a_switch_of_protocols_is_returned_and_not_reported(runtime: TestedRuntime) -> None:
    def serve(peer: Peer) -> None:
        peer.receive_request()
        peer.send(
            b"HTTP/1.1 103 Early Hints\r\n\r\n"
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n"
        )
        peer.receive_until_close()

    async def scenario() -> None:
        async with (
            runtime.pool() as pool,
            pool.stream(
                "GET",
                server.url,
                headers={"Connection": "Upgrade", "Upgrade": "chat"},
                extensions={"informational": callback.function},
            ) as reply,
        ):
            assert reply.status == 101
            assert [status for status, _ in callback.received] == [103]

    callback = Callback(runtime, True)
    with scripted_server(serve, allow_disconnect=True) as server:
        runtime.run(scenario)


def test_the_callback_is_not_told_of_the_responses_of_a_proxy_to_connect(
    runtime: TestedRuntime,
) -> None:
    def serve(peer: Peer) -> None:
        peer.receive_head()
        peer.send(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 403 Forbidden\r\n\r\n")
        peer.receive_until_close()

    async def scenario() -> None:
        proxy = httpcore2.Proxy(server.url)
        async with runtime.pool(proxy=proxy) as pool:
            extensions = {"informational": callback.function}
            with pytest.raises(httpcore2.ProxyError, match="403"):
                await pool.request("GET", "https://example.com/", extensions=extensions)
        assert callback.received == []

    callback = Callback(runtime, False)
    with scripted_server(serve, allow_disconnect=True) as server:
        runtime.run(scenario)


@each_version
def test_a_flood_of_interim_responses_is_bounded(
    runtime: TestedRuntime, protocol: Protocol
) -> None:
    def script(peer: Peer) -> None:
        connection = ServerConnection(peer, protocol)
        connection.receive_request()
        try:
            for _ in range(10_000):
                send_interim(connection, 103, LINKS)
        except OSError:
            pass  # the client has closed

    async def scenario() -> None:
        async with runtime.pool(http1=not protocol.is_http2, http2=protocol.is_http2) as pool:
            extensions = {"informational": callback.function}
            with pytest.raises(httpcore2.RemoteProtocolError, match="more than 100"):
                await pool.request("GET", server.url, extensions=extensions)
            assert len(callback.received) <= 100

    callback = Callback(runtime, False)
    with scripted_server(script, allow_disconnect=True) as server:
        runtime.run(scenario)


@pytest.mark.parametrize("protocol", [HTTP1, HTTP2], ids=str)
@pytest.mark.parametrize("value", ["no", 1, []])
def test_what_is_not_a_function_is_refused(
    runtime: TestedRuntime, protocol: Protocol, value: Any
) -> None:
    async def scenario() -> None:
        message = f"extensions['informational'] must be a function, but got {type(value).__name__}."
        extensions: dict[str, Any] = {"informational": value}
        async with runtime.pool(**protocol.options) as pool:
            with pytest.raises(TypeError) as caught:
                await pool.request("GET", "http://127.0.0.1:9/", extensions=extensions)
            assert str(caught.value) == message
            assert pool.connections == []

        url = httpcore2.URL(server.url)
        connection = runtime.connection(url.origin, **protocol.options)
        with pytest.raises(TypeError) as caught:
            await connection.request("GET", url, extensions=extensions)
        assert str(caught.value) == message
        reply = await connection.request("GET", url, extensions={"informational": None})
        assert reply.content == b"fine"
        await connection.aclose()

    def serve(peer: Peer) -> None:
        connection = ServerConnection(peer, protocol)
        while connection.receive_request():
            connection.respond()

    with scripted_server(serve, allow_disconnect=True) as server:
        runtime.run(scenario)


def serve_hints(peer: Peer) -> None:
    peer.receive_request()
    peer.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" + response(b"fine"))
    peer.receive_until_close()


def test_an_async_function_is_refused_by_the_sync_api() -> None:
    async def inform(status: int, headers: object) -> None:
        raise AssertionError("it is not called")

    with httpcore2.ConnectionPool() as pool:
        with pytest.raises(TypeError, match="is an async function, which the sync API can't call"):
            pool.request("GET", "http://127.0.0.1:9/", extensions={"informational": inform})
        assert pool.connections == []

        # What is only found to be async when it is called ends the request.
        with scripted_server(serve_hints, allow_disconnect=True) as server:
            extensions = {"informational": lambda *args: inform(*args)}
            with pytest.raises(TypeError, match="is an async function, which the sync API can't"):
                pool.request("GET", server.url, extensions=extensions)
            assert pool.connections == []
