"""`Expect: 100-continue`: a request waits for the server before it sends its body (RFC 9110, section 10.1.1)."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from threading import Event
from typing import Any

import h2.events
import pytest
from h2.errors import ErrorCodes

import httpcore2

from ..support.observers import RecordingObserver
from ..support.runtimes import TestedAsyncRuntime, TestedRuntime
from ..support.scripted_protocols import HTTP1, HTTP2, PROTOCOLS, Protocol, ServerConnection
from ..support.scripted_servers import Handler, Peer, response, scripted_server

EXPECT: dict[bytes | str, bytes | str] = {"Expect": "100-continue"}
PATIENT: dict[str, Any] = {"timeout": {"continue": 30.0}}
BODY = b"content"
each_protocol = pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
each_version = pytest.mark.parametrize("protocol", [HTTP1, HTTP2], ids=str)


def send_interim(connection: ServerConnection, status: int) -> None:
    if connection.http2 is None:
        connection.peer.send(b"HTTP/1.1 %d Interim\r\n\r\n" % status)
    else:
        connection.http2.head(connection.stream_id, status=status)


def receive_body(connection: ServerConnection) -> bytes:
    """Receive the body of the request whose head was received: chunked on HTTP/1.1."""
    if connection.http2 is None:
        return connection.peer.receive_until(b"0\r\n\r\n")
    connection.http2.wait_for(h2.events.StreamEnded, connection.stream_id)
    return connection.http2.bodies[connection.stream_id]


class Body:
    """A body that notes whether it was begun, and that the server had answered before."""

    def __init__(self, runtime: TestedRuntime, has_answered: Event | None = None) -> None:
        self.is_begun = False
        self._runtime = runtime
        self._has_answered = has_answered

    def _chunks(self) -> Any:
        self.is_begun = True
        assert self._has_answered is None or self._has_answered.is_set()
        yield BODY

    @property
    def content(self) -> AsyncIterator[bytes]:
        return self._runtime.body(self._chunks())


def serving(protocol: Protocol, script: Callable[[ServerConnection], None]) -> Handler:
    return lambda peer: script(ServerConnection(peer, protocol))


@each_protocol
@pytest.mark.parametrize("interim", [(100,), (103, 102, 100)], ids=str)
def test_the_body_is_sent_after_100_continue(
    runtime: TestedRuntime,
    protocol: Protocol,
    protocol_tls: ssl.SSLContext | None,
    client_tls: ssl.SSLContext,
    interim: tuple[int, ...],
) -> None:
    def script(connection: ServerConnection) -> None:
        for number in range(2):
            assert connection.receive_head() == b"PUT"
            assert connection.peer.buffer == b""
            answers[number].set()
            for status in interim:
                send_interim(connection, status)
            assert BODY in receive_body(connection)
            connection.respond()
        connection.receive_until_close()

    async def scenario() -> None:
        options = {"ssl_context": client_tls, **protocol.options}
        async with runtime.pool(**options) as pool:
            for answered in answers:
                body = Body(runtime, answered)
                reply = await pool.request(
                    "PUT", server.url, headers=EXPECT, content=body.content, extensions=PATIENT
                )
                assert reply.content == b"fine"
                assert body.is_begun
            assert len(pool.connections) == 1

    answers = [Event(), Event()]
    with scripted_server(serving(protocol, script), tls=protocol_tls) as server:
        runtime.run(scenario)
    assert server.accepted == 1


@each_protocol
@pytest.mark.parametrize("expect", ["100-continue", "100-Continue", "other, 100-CONTINUE"])
def test_bytes_wait_for_100_continue_as_well(
    runtime: TestedRuntime,
    protocol: Protocol,
    protocol_tls: ssl.SSLContext | None,
    client_tls: ssl.SSLContext,
    expect: str,
) -> None:
    def script(connection: ServerConnection) -> None:
        connection.receive_head()
        if connection.http2 is None:
            assert connection.peer.buffer == b""
        else:
            # Whatever the client has sent with the head has arrived before its answer to a PING.
            connection.http2.h2.ping(b"question")
            connection.http2.flush()
            connection.http2.wait_for(h2.events.PingAckReceived)
            assert connection.http2.bodies[connection.stream_id] == b""
        send_interim(connection, 100)
        if connection.http2 is None:
            assert connection.peer.receive_exactly(len(BODY)) == BODY
        else:
            assert receive_body(connection) == BODY
        connection.respond()
        connection.receive_until_close()

    async def scenario() -> None:
        options = {"ssl_context": client_tls, **protocol.options}
        async with runtime.pool(**options) as pool:
            headers: dict[bytes | str, bytes | str] = {"Expect": expect}
            reply = await pool.request(
                "POST", server.url, headers=headers, content=BODY, extensions=PATIENT
            )
            assert reply.content == b"fine"

    with scripted_server(serving(protocol, script), tls=protocol_tls) as server:
        runtime.run(scenario)


@pytest.mark.parametrize("manner", ["whole", "bytewise"])
def test_100_continue_is_found_however_it_is_cut(runtime: TestedRuntime, manner: str) -> None:
    def serve(peer: Peer) -> None:
        peer.receive_head()
        reply = (
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\nA: b\r\n\r\n"
        )
        if manner == "bytewise":
            peer.send_bytewise(reply)
        else:
            peer.send(reply)
        peer.receive_exactly(len(BODY))
        peer.send(response(b"fine"))
        peer.receive_until_close()

    async def scenario() -> None:
        async with runtime.pool() as pool:
            reply = await pool.request(
                "PUT", server.url, headers=EXPECT, content=BODY, extensions=PATIENT
            )
            assert reply.content == b"fine"
            assert len(pool.connections) == 1

    with scripted_server(serve) as server:
        runtime.run(scenario)


@each_protocol
@pytest.mark.parametrize("status", [302, 401, 413, 500])
@pytest.mark.parametrize("is_iterable", [False, True])
def test_a_final_response_takes_the_place_of_the_body(
    runtime: TestedRuntime,
    protocol: Protocol,
    protocol_tls: ssl.SSLContext | None,
    client_tls: ssl.SSLContext,
    status: int,
    is_iterable: bool,
) -> None:
    def script(connection: ServerConnection) -> None:
        while connection.receive_head() == b"PUT":
            connection.respond(status=status)
            if connection.http2 is None:
                # The server can't tell where the next request would begin.
                assert connection.peer.receive_until_close() == b""
                return
            reset = connection.http2.wait_for(h2.events.StreamReset)
            assert reset.error_code == ErrorCodes.NO_ERROR
            assert connection.http2.bodies[connection.stream_id] == b""

    async def scenario() -> None:
        options = {"ssl_context": client_tls, **protocol.options}
        async with runtime.pool(**options) as pool:
            for _ in range(2):
                body = Body(runtime)
                reply = await pool.request(
                    "PUT",
                    server.url,
                    headers=EXPECT,
                    content=body.content if is_iterable else BODY,
                    extensions=PATIENT,
                )
                assert (reply.status, reply.content) == (status, b"fine")
                assert not body.is_begun
            assert len(pool.connections) == protocol.is_http2

    with scripted_server(
        serving(protocol, script), tls=protocol_tls, allow_disconnect=True
    ) as server:
        runtime.run(scenario)
    assert server.accepted == (1 if protocol.is_http2 else 2)


@each_version
def test_the_body_is_sent_after_a_success_since_the_server_may_read_it(
    runtime: TestedRuntime, protocol: Protocol
) -> None:
    def script(connection: ServerConnection) -> None:
        while connection.receive_head() == b"PUT":
            if connection.http2 is None:
                connection.peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
                assert BODY in receive_body(connection)
                connection.peer.send(b"fine")
            else:
                connection.http2.head(connection.stream_id)
                assert receive_body(connection) == BODY
                connection.http2.data(connection.stream_id, b"fine", end=True)

    async def scenario() -> None:
        async with runtime.pool(**protocol.options) as pool:
            for _ in range(2):
                reply = await pool.request(
                    "PUT",
                    server.url,
                    headers=EXPECT,
                    content=Body(runtime).content,
                    extensions=PATIENT,
                )
                assert reply.content == b"fine"
            assert len(pool.connections) == 1

    with scripted_server(serving(protocol, script)) as server:
        runtime.run(scenario)
    assert server.accepted == 1


@each_version
@pytest.mark.parametrize("limit", [0, 0.01])
def test_the_body_is_sent_if_the_server_does_not_answer_in_time(
    runtime: TestedRuntime, protocol: Protocol, limit: float
) -> None:
    def script(connection: ServerConnection) -> None:
        for late in (False, True):
            assert connection.receive_head() == b"PUT"
            assert BODY in receive_body(connection)
            if late:
                send_interim(connection, 100)
            connection.respond()
        connection.receive_until_close()

    async def scenario() -> None:
        async with runtime.pool(**protocol.options) as pool:
            for _ in range(2):
                reply = await pool.request(
                    "PUT",
                    server.url,
                    headers=EXPECT,
                    content=Body(runtime).content,
                    extensions={"timeout": {"continue": limit, "read": 10.0, "total": 20.0}},
                )
                assert reply.content == b"fine"
            assert len(pool.connections) == 1

    with scripted_server(serving(protocol, script)) as server:
        runtime.run(scenario)


@each_version
@pytest.mark.parametrize(
    ("timeout", "exception"),
    [
        ({"continue": None, "read": 0.01}, httpcore2.ReadTimeout),
        # On a busy machine the total may end in an earlier phase.
        ({"continue": None, "total": 0.1}, httpcore2.TimeoutException),
        ({"total": 0.1}, httpcore2.TimeoutException),
    ],
    ids=["read", "total of a read", "total"],
)
def test_the_wait_ends_with_the_limits_of_the_request(
    runtime: TestedRuntime,
    protocol: Protocol,
    timeout: dict[str, float | None],
    exception: type[Exception],
) -> None:
    def script(connection: ServerConnection) -> None:
        connection.receive_head()
        connection.receive_until_close()

    async def scenario() -> None:
        async with runtime.pool(**protocol.options) as pool:
            body = Body(runtime)
            with pytest.raises(exception):
                await pool.request(
                    "PUT",
                    server.url,
                    headers=EXPECT,
                    content=body.content,
                    extensions={"timeout": timeout},
                )
            assert not body.is_begun
            assert "[Requests: 0 active, 0 queued" in repr(pool)

    with scripted_server(serving(protocol, script), allow_disconnect=True) as server:
        runtime.run(scenario)


@each_protocol
@pytest.mark.parametrize("is_iterable", [False, True])
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_request_whose_expectation_failed_is_sent_again_without_it(
    runtime: TestedRuntime,
    protocol: Protocol,
    protocol_tls: ssl.SSLContext | None,
    client_tls: ssl.SSLContext,
    is_iterable: bool,
    method: str,
) -> None:
    def script(connection: ServerConnection) -> None:
        while connection.receive_head() is not None:
            received.append(has_expectation(connection))
            if len(received) == 1:
                connection.respond(status=417)
                if connection.http2 is None:
                    connection.peer.receive_until_close()
                    return
            else:
                receive_chunked_or_sized(connection, is_iterable)
                connection.respond()

    async def scenario() -> None:
        options = {"ssl_context": client_tls, **protocol.options}
        async with runtime.pool(max_connections=1, **options) as pool:
            reply = await pool.request(
                method,
                server.url,
                headers=EXPECT,
                content=Body(runtime).content if is_iterable else BODY,
                extensions=PATIENT,
            )
            assert (reply.status, reply.content) == (200, b"fine")
            assert "[Requests: 0 active, 0 queued" in repr(pool)

    received: list[bool] = []
    with scripted_server(
        serving(protocol, script), tls=protocol_tls, allow_disconnect=True
    ) as server:
        runtime.run(scenario)
    assert received == [True, False]


@each_protocol
def test_a_request_without_content_is_sent_again_after_417_as_well(
    runtime: TestedRuntime,
    protocol: Protocol,
    protocol_tls: ssl.SSLContext | None,
    client_tls: ssl.SSLContext,
) -> None:
    def script(connection: ServerConnection) -> None:
        while connection.receive_head() is not None:
            received.append(has_expectation(connection))
            connection.respond(status=417 if len(received) == 1 else 200)

    async def scenario() -> None:
        options = {"ssl_context": client_tls, **protocol.options}
        async with runtime.pool(**options) as pool:
            reply = await pool.request("GET", server.url, headers=EXPECT, extensions=PATIENT)
            assert (reply.status, reply.content) == (200, b"fine")

    received: list[bool] = []
    with scripted_server(
        serving(protocol, script), tls=protocol_tls, allow_disconnect=True
    ) as server:
        runtime.run(scenario)
    assert received == [True, False]
    assert server.accepted == 1


def has_expectation(connection: ServerConnection) -> bool:
    if connection.http2 is None:
        return b"100-continue" in connection.head
    return b"expect" in connection.http2.requests[connection.stream_id]


def receive_chunked_or_sized(connection: ServerConnection, is_chunked: bool) -> None:
    if connection.http2 is None and not is_chunked:
        assert connection.peer.receive_exactly(len(BODY)) == BODY
    else:
        assert BODY in receive_body(connection)


@each_version
def test_417_is_returned_if_the_request_must_not_be_sent_again(
    runtime: TestedRuntime, protocol: Protocol
) -> None:
    def script(connection: ServerConnection) -> None:
        assert connection.receive_head() == b"PUT"
        connection.respond(status=417)
        connection.receive_until_close()

    async def scenario() -> None:
        async with runtime.pool(resend=False, **protocol.options) as pool:
            reply = await pool.request(
                "PUT", server.url, headers=EXPECT, content=BODY, extensions=PATIENT
            )
            assert (reply.status, reply.content) == (417, b"fine")

    with scripted_server(serving(protocol, script), allow_disconnect=True) as server:
        runtime.run(scenario)
    assert server.accepted == 1


@each_version
def test_417_is_returned_if_the_body_was_begun(runtime: TestedRuntime, protocol: Protocol) -> None:
    def script(connection: ServerConnection) -> None:
        assert connection.receive_head() == b"PUT"
        assert BODY in receive_body(connection)
        connection.respond(status=417)
        connection.receive_until_close()

    async def scenario() -> None:
        async with runtime.pool(**protocol.options) as pool:
            reply = await pool.request(
                "PUT",
                server.url,
                headers=EXPECT,
                content=Body(runtime).content,
                extensions={"timeout": {"continue": 0}},
            )
            assert (reply.status, reply.content) == (417, b"fine")

    with scripted_server(serving(protocol, script)) as server:
        runtime.run(scenario)
    assert server.accepted == 1


@each_version
def test_417_to_a_request_without_the_field_is_returned(
    runtime: TestedRuntime, protocol: Protocol
) -> None:
    def script(connection: ServerConnection) -> None:
        assert connection.receive_request()
        connection.respond(status=417)
        connection.receive_until_close()

    async def scenario() -> None:
        async with runtime.pool(**protocol.options) as pool:
            assert (await pool.request("PUT", server.url, content=BODY)).status == 417

    with scripted_server(serving(protocol, script)) as server:
        runtime.run(scenario)
    assert server.accepted == 1


@each_version
def test_a_connection_without_a_pool_returns_417(
    runtime: TestedRuntime, protocol: Protocol
) -> None:
    def script(connection: ServerConnection) -> None:
        connection.receive_head()
        connection.respond(status=417)
        connection.receive_until_close()

    async def scenario() -> None:
        url = httpcore2.URL(server.url)
        connection = runtime.connection(url.origin, **protocol.options)
        reply = await connection.request(
            "PUT", url, headers=EXPECT, content=BODY, extensions=PATIENT
        )
        assert (reply.status, reply.content) == (417, b"fine")
        await connection.aclose()

    with scripted_server(serving(protocol, script), allow_disconnect=True) as server:
        runtime.run(scenario)


@each_version
def test_a_request_without_a_body_does_not_wait(runtime: TestedRuntime, protocol: Protocol) -> None:
    def script(connection: ServerConnection) -> None:
        while connection.receive_request():
            connection.respond()

    async def scenario() -> None:
        async with runtime.pool(**protocol.options) as pool:
            for content in (None, b""):
                timeout = {"continue": None, "read": 5.0}
                reply = await pool.request(
                    "PUT",
                    server.url,
                    headers=EXPECT,
                    content=content,
                    extensions={"timeout": timeout},
                )
                assert reply.content == b"fine"

    with scripted_server(serving(protocol, script)) as server:
        runtime.run(scenario)


@each_version
def test_an_end_of_the_connection_during_the_wait_is_an_error_that_takes_no_slot(
    runtime: TestedRuntime, protocol: Protocol
) -> None:
    def script(connection: ServerConnection) -> None:
        connection.receive_head()

    async def scenario() -> None:
        async with runtime.pool(max_connections=1, **protocol.options) as pool:
            for _ in range(2):
                body = Body(runtime)
                with pytest.raises((httpcore2.RemoteProtocolError, httpcore2.ReadError)):
                    await pool.request(
                        "PUT",
                        server.url,
                        headers=EXPECT,
                        content=body.content,
                        extensions=PATIENT,
                    )
                assert not body.is_begun
                assert pool.connections == []

    with scripted_server(serving(protocol, script), allow_disconnect=True) as server:
        runtime.run(scenario)
    assert server.accepted == 2


@each_version
def test_a_request_whose_idle_connection_ended_during_the_wait_is_sent_again(
    runtime: TestedRuntime, protocol: Protocol
) -> None:
    def script(connection: ServerConnection) -> None:
        while connection.receive_head() is not None:
            requests.append(connection.stream_id)
            if len(requests) == 2:
                return
            if len(requests) == 3:
                send_interim(connection, 100)
            receive_body(connection)
            connection.respond()

    async def scenario() -> None:
        async with runtime.pool(**protocol.options) as pool:
            first = Body(runtime).content
            await pool.request("PUT", server.url, content=first)
            reply = await pool.request(
                "PUT",
                server.url,
                headers=EXPECT,
                content=Body(runtime).content,
                extensions=PATIENT,
            )
            assert reply.content == b"fine"

    requests: list[int] = []
    with scripted_server(serving(protocol, script)) as server:
        runtime.run(scenario)
    assert len(requests) == 3


def test_a_flood_of_interim_responses_ends_the_wait(runtime: TestedRuntime) -> None:
    def serve(peer: Peer) -> None:
        peer.receive_head()
        peer.send_endlessly(b"HTTP/1.1 102 Processing\r\n\r\n", 16 * 1024 * 1024)

    async def scenario() -> None:
        async with runtime.pool() as pool:
            with pytest.raises(httpcore2.RemoteProtocolError, match="more than 100 interim"):
                await pool.request(
                    "PUT", server.url, headers=EXPECT, content=BODY, extensions=PATIENT
                )
            assert pool.connections == []

    with scripted_server(serve, allow_disconnect=True) as server:
        runtime.run(scenario)


def test_the_wait_is_part_of_the_trace_of_the_body(runtime: TestedRuntime) -> None:
    def serve(peer: Peer) -> None:
        peer.receive_head()
        assert "http11.send_request_body.complete" not in [name for name, _ in events]
        peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        peer.receive_exactly(len(BODY))
        peer.send(response(b"fine"))
        peer.receive_until_close()

    async def scenario() -> None:
        async with runtime.pool() as pool:
            trace = runtime.trace(events)
            await pool.request(
                "PUT",
                server.url,
                headers=EXPECT,
                content=BODY,
                extensions={"trace": trace, **PATIENT},
            )

    events: list[tuple[str, dict[str, Any]]] = []
    with scripted_server(serve) as server:
        runtime.run(scenario)
    assert "http11.send_request_body.complete" in [name for name, _ in events]


@each_version
def test_a_request_that_is_cancelled_during_the_wait_takes_no_slot(
    async_runtime: TestedAsyncRuntime, protocol: Protocol
) -> None:
    def script(connection: ServerConnection) -> None:
        while connection.receive_head() is not None:
            if connection.stream_id > 1 or connection.peer.number:
                connection.respond()
            else:
                received.set()
                connection.receive_until_aborted()

    async def scenario() -> None:
        async with async_runtime.pool(max_connections=1, **protocol.options) as pool:
            body = Body(async_runtime)

            async def upload() -> None:
                await pool.request(
                    "PUT", server.url, headers=EXPECT, content=body.content, extensions=PATIENT
                )

            assert await async_runtime.cancel_on_event(received, upload)
            assert not body.is_begun
            assert "[Requests: 0 active, 0 queued" in repr(pool)
            assert (await pool.request("GET", server.url)).content == b"fine"

    received = async_runtime.event()
    with scripted_server(serving(protocol, script), allow_disconnect=True) as server:
        async_runtime.run(scenario)


@each_version
def test_an_observer_is_told_of_the_first_byte_where_100_is_awaited(
    runtime: TestedRuntime, protocol: Protocol
) -> None:
    observer = RecordingObserver()

    def script(connection: ServerConnection) -> None:
        assert connection.receive_head() == b"PUT"
        send_interim(connection, 100)
        receive_chunked_or_sized(connection, False)
        connection.respond()

    async def scenario() -> None:
        async with runtime.pool(**protocol.options) as pool:
            pool.observe(observer)
            await pool.request("PUT", server.url, headers=EXPECT, content=BODY, extensions=PATIENT)

    with scripted_server(serving(protocol, script), allow_disconnect=True) as server:
        runtime.run(scenario)
    assert len(observer.all("first_byte_received")) == 1
