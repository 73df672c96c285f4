"""Scripts, and the backends and the server that reply from them."""

from __future__ import annotations

import ssl
from contextlib import suppress
from typing import Any

import pytest

import httpcore2
from httpcore2_core.testing import (
    AsyncScriptedBackend,
    ReceivedRequest,
    Script,
    ScriptedBackend,
    ScriptedServer,
    reply,
)

from ...support.runtimes import TestedAsyncRuntime, TestedRuntime
from ...support.sync_adapters import AsyncAdapterBackend

URL = "http://www.example.com/"


def scripted(runtime: TestedRuntime, script: Script) -> Any:
    if isinstance(runtime, TestedAsyncRuntime):
        return AsyncScriptedBackend(script)
    return AsyncAdapterBackend(ScriptedBackend(script))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ((404, b"no"), b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno"),
        ((204,), b"HTTP/1.1 204 No Content\r\n\r\n"),
        ((103,), b"HTTP/1.1 103 Early Hints\r\n\r\n"),
        ((299, b"", {"A": "b"}), b"HTTP/1.1 299 \r\nA: b\r\nContent-Length: 0\r\n\r\n"),
        (
            (200, b"", [("A", "b"), ("A", "c")]),
            b"HTTP/1.1 200 OK\r\nA: b\r\nA: c\r\nContent-Length: 0\r\n\r\n",
        ),
    ],
)
def test_a_reply_is_written_as_it_goes_over_the_wire(arguments: Any, expected: bytes) -> None:
    assert reply(*arguments) == expected


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_requests_are_recorded_and_replied_to_in_order(runtime: TestedRuntime, scheme: str) -> None:
    script = Script(reply(200, b"one"), reply(201, b"two"))

    async def scenario() -> None:
        async with runtime.pool(network_backend=scripted(runtime, script)) as pool:
            first = await pool.request("GET", f"{scheme}://example.com/a?b", headers={"X-A": "b"})
            second = await pool.request("POST", f"{scheme}://example.com/", content=b"abc")
            assert (first.status, first.content) == (200, b"one")
            assert (second.status, second.content) == (201, b"two")
            assert len(pool.connections) == 1

    runtime.run(scenario)
    first, second = script.requests
    assert first == ReceivedRequest(
        b"GET", b"/a?b", [(b"host", b"example.com"), (b"x-a", b"b")], b""
    )
    assert (second.method, second.body) == (b"POST", b"abc")
    assert (first.header("X-A"), first.header("X-B")) == ("b", None)


def test_bodies_of_all_lengths_go_both_ways(runtime: TestedRuntime) -> None:
    script = Script(lambda request: reply(200, request.body))

    async def scenario() -> None:
        async with runtime.pool(network_backend=scripted(runtime, script)) as pool:
            for size in (0, 1, 1_000_000):
                content = runtime.body([bytes(size), b"", bytes(1)])
                answer = await pool.request("POST", URL, content=content)
                assert len(answer.content) == size + 1

    runtime.run(scenario)


def test_a_function_replies_to_one_request_or_as_the_last_reply_to_all_further_ones(
    runtime: TestedRuntime,
) -> None:
    def once(request: ReceivedRequest) -> bytes:
        return reply(200, b"once " + request.target)

    def always(request: ReceivedRequest) -> bytes | Exception:
        return httpcore2.ReadError("mine") if request.target == b"/3" else reply(200, b"always")

    script = Script(once, always)

    async def scenario() -> None:
        async with runtime.pool(network_backend=scripted(runtime, script)) as pool:
            bodies = [(await pool.request("GET", f"{URL}{number}")).content for number in range(3)]
            assert bodies == [b"once /0", b"always", b"always"]
            with pytest.raises(httpcore2.ReadError, match="mine"):
                await pool.request("POST", f"{URL}3")

    runtime.run(scenario)


@pytest.mark.parametrize(
    "last",
    [
        reply(200, b"bye", {"Connection": "close"}),
        b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nbye",
    ],
)
def test_a_reply_with_connection_close_closes_the_connection(
    runtime: TestedRuntime, last: bytes
) -> None:
    script = Script(last, reply(200, b"again"))

    async def scenario() -> None:
        async with runtime.pool(network_backend=scripted(runtime, script)) as pool:
            assert (await pool.request("GET", URL)).content == b"bye"
            assert (await pool.request("GET", URL)).content == b"again"

    runtime.run(scenario)


def test_an_empty_reply_closes_the_connection(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with runtime.pool(network_backend=scripted(runtime, Script(b""))) as pool:
            with pytest.raises(httpcore2.RemoteProtocolError, match="without sending a response"):
                await pool.request("GET", URL)

    runtime.run(scenario)


def test_a_request_without_a_reply_fails_the_test(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with runtime.pool(network_backend=scripted(runtime, Script())) as pool:
            with pytest.raises(AssertionError, match=r"no reply left for GET / \(request 1\)\."):
                await pool.request("GET", URL)
            assert pool.connections == []

    runtime.run(scenario)


def test_replies_can_be_added_while_the_script_is_in_use() -> None:
    script = Script(lambda request: reply(200, b"first"))
    with httpcore2.ConnectionPool(network_backend=ScriptedBackend(script)) as pool:
        assert pool.request("GET", URL).content == b"first"
        script.add(reply(200, b"second"), reply(200, b"third"))
        assert [pool.request("GET", URL).content for _ in range(3)] == [
            b"first",
            b"second",
            b"third",
        ]
    script.verify()


def test_a_script_with_unused_replies_names_them() -> None:
    def unused(request: ReceivedRequest) -> bytes:
        return reply(500)

    script = Script(reply(200), reply(503), httpcore2.ReadTimeout("slow"), unused, b"")
    with httpcore2.ConnectionPool(network_backend=ScriptedBackend(script)) as pool:
        pool.request("GET", URL)
    with pytest.raises(AssertionError) as caught:
        script.verify()
    assert str(caught.value) == (
        "Requests received: 1. These replies of the script were not used: "
        "b'HTTP/1.1 503 Service Unavailable', ReadTimeout('slow'), unused, b''"
    )


def test_a_function_in_the_last_place_may_be_left() -> None:
    Script(lambda request: reply(200)).verify()
    with pytest.raises(AssertionError, match=r"not used: b'HTTP/1\.1 204 No Content'$"):
        Script(reply(204), lambda request: reply(200)).verify()


def test_a_request_without_a_reply_is_reported_even_if_the_program_caught_the_error() -> None:
    script = Script()
    with (
        httpcore2.ConnectionPool(network_backend=ScriptedBackend(script)) as pool,
        suppress(AssertionError),
    ):
        pool.request("GET", f"{URL}notes")
    with pytest.raises(AssertionError, match=r"no reply left for GET /notes \(request 1\)\."):
        script.verify()


def test_reading_more_than_the_script_sends_fails_the_test(runtime: TestedRuntime) -> None:
    unfinished = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome"

    async def scenario() -> None:
        async with runtime.pool(network_backend=scripted(runtime, Script(unfinished))) as pool:
            with pytest.raises(AssertionError, match="reads more bytes than the script sends"):
                await pool.request("GET", URL)

    runtime.run(scenario)


def test_a_malformed_request_fails_the_test(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        stream = await scripted(runtime, Script()).connect_tcp("example.com", 80)
        with pytest.raises(AssertionError, match=r"malformed HTTP/1\.1 request"):
            await stream.write(b"nonsense\r\n\r\n")
        await stream.aclose()
        with pytest.raises(httpcore2.ReadError):
            await stream.read(1)
        with pytest.raises(httpcore2.WriteError):
            await stream.write(b"GET")

    runtime.run(scenario)


def test_nothing_sleeps_without_a_network(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        await scripted(runtime, Script()).sleep(1_000_000)

    runtime.run(scenario)


def test_pipelined_requests_are_replied_to_in_order(runtime: TestedRuntime) -> None:
    script = Script(lambda request: reply(200, request.target))

    async def scenario() -> None:
        stream = await scripted(runtime, script).connect_unix_socket("/path")
        head = b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n"
        await stream.write(b"")
        await stream.write(head % b"/1" + head % b"/2")
        assert stream.get_extra_info("is_readable")
        assert (await stream.read(1000)).endswith(b"/1")
        assert await stream.read(10) + await stream.read(1000) == reply(200, b"/2")
        assert not stream.get_extra_info("is_readable")
        assert stream.get_extra_info("socket") is None

    runtime.run(scenario)


# The server


@pytest.mark.parametrize("secured", [False, True], ids=["http", "https"])
def test_a_server_replies_from_its_script(
    runtime: TestedRuntime, secured: bool, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    script = Script(
        reply(200, b"one"), reply(200, b"two", {"Connection": "close"}), reply(503), reply()
    )

    async def scenario() -> None:
        async with runtime.pool(ssl_context=client_tls) as pool:
            answers = [await pool.request("GET", server.url) for _ in range(3)]
            assert [answer.status for answer in answers] == [200, 200, 503]
            assert (await pool.request("GET", f"{server.url}more")).status == 200

    with ScriptedServer(script, ssl_context=server_tls if secured else None) as server:
        runtime.run(scenario)
    assert [request.target for request in script.requests] == [b"/", b"/", b"/", b"/more"]


def test_a_server_resets_the_connection_where_the_script_has_an_exception(
    runtime: TestedRuntime,
) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool:
            with pytest.raises(httpcore2.ReadError):
                await pool.request("POST", server.url, content=b"x")

    with ScriptedServer(Script(ConnectionResetError())) as server:
        runtime.run(scenario)


def test_a_server_raises_its_error_at_the_end_of_its_block() -> None:
    with (
        pytest.raises(AssertionError, match="no reply left for GET /"),
        ScriptedServer(Script()) as server,
        httpcore2.ConnectionPool() as pool,
        pytest.raises(httpcore2.RemoteProtocolError),
    ):
        pool.request("GET", server.url)


def test_a_server_adds_its_error_as_a_note_to_the_error_of_its_block() -> None:
    with (
        pytest.raises(httpcore2.RemoteProtocolError) as caught,
        ScriptedServer(Script()) as server,
        httpcore2.ConnectionPool() as pool,
    ):
        pool.request("GET", server.url)
    assert "no reply left" in caught.value.__notes__[-1]


def _connect(server: ScriptedServer) -> httpcore2.NetworkStream:
    port = int(server.url.rpartition(":")[2].strip("/"))
    return httpcore2.SyncBackend().connect_tcp("127.0.0.1", port, timeout=5)


def test_a_server_ignores_a_client_that_does_not_speak_tls(server_tls: ssl.SSLContext) -> None:
    with ScriptedServer(Script(), ssl_context=server_tls) as server:
        stream = _connect(server)
        stream.write(b"nonsense")
        with suppress(httpcore2.ReadError):
            while stream.read(1000, timeout=5):
                pass
        stream.close()


def test_a_server_ends_with_its_block_whatever_its_clients_do() -> None:
    with ScriptedServer(Script()) as server:
        closed, open_ = _connect(server), _connect(server)
        closed.close()
    open_.close()
