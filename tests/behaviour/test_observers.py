"""Observers of pools: which events a request and a connection have, and that an observer disturbs nothing."""

from __future__ import annotations

import gc
import logging
import ssl
from pathlib import Path
from typing import Any

import pytest

import httpcore2

from ..support.custom_network import CustomBackend
from ..support.observers import Event, RecordingObserver
from ..support.resolvers import RecordingResolver
from ..support.runtimes import TestedRuntime
from ..support.scripted_servers import Peer, canned_responses, response, scripted_server

FINE = response(b"fine")
REQUEST_EVENTS = (
    "request_started",
    "request_queued",
    "connection_acquired",
    "request_resent",
    "request_head_sent",
    "first_byte_received",
    "response_received",
    "request_ended",
)
CONNECTION_EVENTS = (
    "connection_opened",
    "connection_active",
    "connection_idle",
    "connection_closed",
)


def test_a_request_and_its_connection_are_reported_from_start_to_end(
    runtime: TestedRuntime,
) -> None:
    observer = RecordingObserver()

    async def scenario() -> None:
        async with runtime.pool() as pool:
            pool.observe(observer)
            for _ in range(2):
                await pool.request("GET", server.url)

    with scripted_server(canned_responses([FINE] * 2)) as server:
        runtime.run(scenario)
    assert observer.names(*REQUEST_EVENTS, *CONNECTION_EVENTS) == [
        "request_started",
        "connection_opened",
        "connection_active",
        "connection_acquired",
        "request_head_sent",
        "first_byte_received",
        "response_received",
        "connection_idle",
        "request_ended",
        "request_started",
        "connection_active",
        "connection_acquired",
        "request_head_sent",
        "first_byte_received",
        "response_received",
        "connection_idle",
        "request_ended",
        "connection_closed",
    ]
    first, second = observer.all("connection_acquired")
    connection = first["connection"]
    assert second["connection"] is connection
    assert (first["reused"], second["reused"]) == (False, True)
    assert first["waited"] == second["waited"] == 0.0
    assert first["token"] == str(observer.all("request_started")[0]["request"])
    assert str(connection.origin) == server.origin
    assert connection.http_version == "HTTP/1.1"
    assert connection.peer_address == ("127.0.0.1", server.port)
    assert connection.requests == 2
    assert connection.started_at <= connection.opened_at <= connection.closed_at
    for ended in observer.all("request_ended"):
        assert (ended["status"], ended["error"], ended["received"]) == (200, None, 4)
    assert observer.one("connection_closed")["reason"] is httpcore2.CloseReason.POOL_CLOSED
    times = [event.arguments["time"] for event in observer.events]
    assert times == sorted(times)


def test_a_request_that_waits_is_reported_as_queued(runtime: TestedRuntime) -> None:
    observer = RecordingObserver()

    async def scenario() -> None:
        async with runtime.pool(max_connections=1) as pool:
            pool.observe(observer)
            async with pool.stream("GET", server.url) as held:

                async def follow() -> None:
                    await pool.request("GET", server.url)

                async def let_go() -> None:
                    await runtime.wait_until(lambda: "request_queued" in observer.names())
                    await held.aread()

                await runtime.gather(follow, let_go)

    with scripted_server(canned_responses([FINE] * 2)) as server:
        runtime.run(scenario)
    queued = observer.one("request_queued")["time"]
    first, second = observer.all("connection_acquired")
    assert first["waited"] == 0.0
    assert 0.0 <= second["waited"] <= second["time"] - queued
    assert second["reused"]


def test_a_request_that_finds_no_connection_ends_with_its_error(runtime: TestedRuntime) -> None:
    observer = RecordingObserver()

    async def scenario() -> None:
        async with runtime.pool(max_connections=0) as pool:
            pool.observe(observer)
            with pytest.raises(httpcore2.PoolTimeout) as caught:
                await pool.request("GET", "http://x/", extensions={"timeout": {"pool": 0.0}})
            ended = observer.one("request_ended")
            assert ended["error"] is caught.value
            assert ended["status"] is None

    runtime.run(scenario)
    assert observer.names() == ["request_started", "request_queued", "request_ended"]


def test_a_request_that_is_sent_again_is_reported_with_the_cause(runtime: TestedRuntime) -> None:
    observer = RecordingObserver()

    def handler(peer: Peer) -> None:
        request = peer.receive_request()
        assert request is not None
        if request[0].startswith(b"GET /first"):
            peer.send(FINE)
            peer.receive_request()  # and the connection ends without a response
        else:
            peer.send(FINE)

    async def scenario() -> None:
        async with runtime.pool() as pool:
            await pool.request("GET", server.url + "first")
            pool.observe(observer)
            assert (await pool.request("GET", server.url + "second")).content == b"fine"

    with scripted_server(handler) as server:
        runtime.run(scenario)
    resent = observer.one("request_resent")
    assert resent["count"] == 1
    assert isinstance(resent["cause"], httpcore2.RemoteProtocolError)
    first, second = observer.all("connection_acquired")
    assert (first["reused"], second["reused"]) == (True, False)
    assert first["connection"].id != second["connection"].id
    reasons = [(each["connection"], each["reason"]) for each in observer.all("connection_closed")]
    assert reasons == [
        (first["connection"], httpcore2.CloseReason.EXCHANGE_FAILED),
        (second["connection"], httpcore2.CloseReason.POOL_CLOSED),
    ]


@pytest.mark.parametrize(
    ("sent", "options", "reason"),
    [
        (response(b"fine", b"Connection: close"), {}, "NOT_PERSISTENT"),
        (response(b"fine")[:-1], {}, "EXCHANGE_FAILED"),
        (FINE, {"keepalive_expiry": 0.0}, "EXPIRED"),
        (FINE, {"max_keepalive_connections": 0}, "EXPIRED"),
        (FINE + b"surplus", {}, "NOT_PERSISTENT"),
    ],
)
def test_the_end_of_a_connection_has_a_reason(
    runtime: TestedRuntime, sent: bytes, options: dict[str, Any], reason: str
) -> None:
    observer = RecordingObserver()

    def handler(peer: Peer) -> None:
        peer.receive_request()
        peer.send(sent)

    async def scenario() -> None:
        async with runtime.pool(**options) as pool:
            pool.observe(observer)
            outcomes = await runtime.outcomes(lambda: pool.request("GET", server.url))
            error = outcomes[0] if isinstance(outcomes[0], Exception) else None
            assert observer.one("request_ended")["error"] is error
            assert (error is not None) == (reason == "EXCHANGE_FAILED")
            assert observer.one("connection_closed")["reason"].name == reason
            assert "connection_idle" not in observer.names()

    with scripted_server(handler) as server:
        runtime.run(scenario)


def test_a_dial_that_fails_ends_its_connection(runtime: TestedRuntime) -> None:
    observer = RecordingObserver()

    async def scenario() -> None:
        async with runtime.pool() as pool:
            pool.observe(observer)
            with pytest.raises(httpcore2.ConnectError):
                await pool.request("GET", url)

    with scripted_server(canned_responses([])) as server:
        url = server.url
    runtime.run(scenario)
    closed = observer.one("connection_closed")
    assert closed["reason"] is httpcore2.CloseReason.DIAL_FAILED
    assert closed["connection"].opened_at is None
    assert repr(closed["connection"]).endswith("not established]>")
    assert "connection_opened" not in observer.names()


def test_an_idle_connection_of_another_origin_is_evicted(runtime: TestedRuntime) -> None:
    observer = RecordingObserver()

    async def scenario() -> None:
        async with runtime.pool(max_connections=1) as pool:
            pool.observe(observer)
            await pool.request("GET", first.url)
            await pool.request("GET", second.url)
            assert observer.one("connection_closed")["reason"] is httpcore2.CloseReason.EVICTED

    with (
        scripted_server(canned_responses([FINE])) as first,
        scripted_server(canned_responses([FINE])) as second,
    ):
        runtime.run(scenario)


def test_a_response_that_is_closed_early_ends_the_request_and_its_connection(
    runtime: TestedRuntime,
) -> None:
    observer = RecordingObserver()

    async def scenario() -> None:
        async with runtime.pool() as pool:
            pool.observe(observer)
            async with pool.stream("GET", server.url) as reply:
                assert observer.names(*REQUEST_EVENTS)[-1] == "response_received"
                assert observer.one("response_received")["response"].status == reply.status
            ended = observer.one("request_ended")
            assert (ended["status"], ended["error"], ended["received"]) == (200, None, 0)
            reason = observer.one("connection_closed")["reason"]
            assert reason is httpcore2.CloseReason.EXCHANGE_FAILED

    with scripted_server(canned_responses([response(b"x" * 9)[:-5]])) as server:
        runtime.run(scenario)


def test_a_body_that_is_streamed_is_counted(runtime: TestedRuntime) -> None:
    observer = RecordingObserver()

    async def scenario() -> None:
        async with runtime.pool() as pool:
            pool.observe(observer)
            async with pool.stream("GET", server.url) as reply:
                chunks = [chunk async for chunk in reply.aiter_stream()]
            assert b"".join(chunks) == b"x" * 200_000
        assert observer.one("request_ended")["received"] == 200_000

    with scripted_server(canned_responses([response(b"x" * 200_000)])) as server:
        runtime.run(scenario)


@pytest.mark.parametrize("size", [0, 10, 100_000])
@pytest.mark.parametrize("is_traced", [False, True])
def test_the_bytes_of_a_request_body_are_counted(
    runtime: TestedRuntime, size: int, is_traced: bool
) -> None:
    observer = RecordingObserver()

    def handler(peer: Peer) -> None:
        while request := peer.receive_request():
            assert len(request[1]) == size
            peer.send(FINE)

    async def scenario() -> None:
        extensions = {"trace": runtime.trace([])} if is_traced else {}
        async with runtime.pool() as pool:
            pool.observe(observer)
            content = b"x" * size
            await pool.request("POST", server.url, content=content, extensions=extensions)
            headers = [("Content-Length", str(size))]
            await pool.request(
                "POST",
                server.url,
                headers=headers,
                content=runtime.body([content[:4], content[4:]]),
                extensions=extensions,
            )
        for ended in observer.all("request_ended"):
            assert ended["sent"] == size
        assert (
            observer.names("request_head_sent", "first_byte_received", "response_received")
            == [
                "request_head_sent",
                "first_byte_received",
                "response_received",
            ]
            * 2
        )

    with scripted_server(handler) as server:
        runtime.run(scenario)


def test_an_interim_response_is_reported(runtime: TestedRuntime) -> None:
    observer = RecordingObserver()
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"

    async def scenario() -> None:
        async with runtime.pool() as pool:
            pool.observe(observer)
            assert (await pool.request("GET", server.url)).status == 200

    with scripted_server(canned_responses([hints + FINE])) as server:
        runtime.run(scenario)
    interim = observer.one("interim_received")
    assert (interim["status"], interim["headers"]) == (103, [(b"Link", b"</a>")])
    names = observer.names("first_byte_received", "interim_received", "response_received")
    assert names == ["first_byte_received", "interim_received", "response_received"]


def test_a_response_that_comes_during_the_upload_has_a_first_byte(runtime: TestedRuntime) -> None:
    observer = RecordingObserver()

    def handler(peer: Peer) -> None:
        peer.receive_until(b"\r\n\r\n")
        peer.send(response(b"no", status=b"413 Content Too Large"))

    async def scenario() -> None:
        async with runtime.pool() as pool:
            pool.observe(observer)
            content = b"x" * 50_000_000
            assert (await pool.request("POST", server.url, content=content)).status == 413
        assert observer.one("request_ended")["sent"] < 50_000_000
        observer.one("first_byte_received")

    with scripted_server(handler) as server:
        runtime.run(scenario)


def test_the_resolution_and_the_attempts_of_a_dial_are_reported(runtime: TestedRuntime) -> None:
    observer = RecordingObserver()

    async def scenario() -> None:
        async with runtime.pool() as pool:
            pool.observe(observer)
            await pool.request("GET", f"http://localhost:{server.port}/")

    with scripted_server(canned_responses([FINE])) as server:
        runtime.run(scenario)
    connection = observer.one("connection_opened")["connection"]
    assert observer.one("resolution_started")["host"] == "localhost"
    resolved = observer.one("resolution_ended")
    assert "127.0.0.1" in resolved["addresses"]
    assert resolved["error"] is None
    ended = {each["address"]: each["error"] for each in observer.all("attempt_ended")}
    started = [each["address"] for each in observer.all("attempt_started")]
    assert sorted(started) == sorted(ended)
    assert {address for address, error in ended.items() if error is None} == {
        ("127.0.0.1", server.port)
    }
    names = ("resolution_started", "resolution_ended", "attempt_started", "attempt_ended")
    for name in names:
        assert all(each["connection"] is connection for each in observer.all(name))


def test_a_name_without_address_is_reported_with_its_error(runtime: TestedRuntime) -> None:
    observer = RecordingObserver()

    async def scenario() -> None:
        async with runtime.pool() as pool:
            pool.observe(observer)
            with pytest.raises(httpcore2.ConnectError):
                await pool.request("GET", "http://name.invalid/")
            ended = observer.one("resolution_ended")
            assert ended["addresses"] == []
            assert isinstance(ended["error"], OSError)
            assert "attempt_started" not in observer.names()

    runtime.run(scenario)


@pytest.mark.parametrize("has_own_backend", [False, True])
def test_each_address_of_a_name_is_an_attempt(
    runtime: TestedRuntime, has_own_backend: bool
) -> None:
    observer = RecordingObserver()

    async def scenario() -> None:
        options: dict[str, Any] = {
            "resolver": RecordingResolver({"name.example": ["127.0.0.2", "127.0.0.1"]})
        }
        if has_own_backend:
            options["network_backend"] = CustomBackend(runtime.backend())
        async with runtime.pool(**options) as pool:
            pool.observe(observer)
            await pool.request("GET", f"http://name.example:{server.port}/")

    with scripted_server(canned_responses([FINE])) as server:
        runtime.run(scenario)
    resolved = observer.all("resolution_ended")[0]
    assert (resolved["host"], resolved["addresses"]) == (
        "name.example",
        ["127.0.0.2", "127.0.0.1"],
    )
    first, second = observer.all("attempt_ended")
    assert first["address"] == ("127.0.0.2", server.port)
    assert isinstance(first["error"], ConnectionRefusedError)
    assert (second["address"], second["error"]) == (("127.0.0.1", server.port), None)


def test_an_attempt_to_a_unix_socket_is_reported(runtime: TestedRuntime, tmp_path: Path) -> None:
    observer = RecordingObserver()

    async def scenario() -> None:
        async with runtime.pool(uds=str(tmp_path / "none")) as pool:
            pool.observe(observer)
            with pytest.raises(httpcore2.ConnectError):
                await pool.request("GET", "http://x/")
            ended = observer.one("attempt_ended")
            assert ended["address"] == str(tmp_path / "none")
            assert isinstance(ended["error"], FileNotFoundError)

    runtime.run(scenario)


def test_a_tls_handshake_is_reported_with_its_parameters(
    runtime: TestedRuntime, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    observer = RecordingObserver()

    async def scenario() -> None:
        async with runtime.pool(ssl_context=client_tls) as pool:
            pool.observe(observer)
            await pool.request("GET", server.url)

    with scripted_server(canned_responses([FINE]), tls=server_tls) as server:
        runtime.run(scenario)
    started, ended = observer.one("tls_started"), observer.one("tls_ended")
    assert started["server_name"] == "127.0.0.1"
    assert (ended["version"], ended["error"]) == ("TLSv1.3", None)
    assert ended["cipher"].startswith("TLS_")
    assert started["connection"] is ended["connection"]
    assert started["connection"].opened_at >= ended["time"] >= started["time"]


def test_a_tls_handshake_that_fails_is_reported_with_its_error(
    runtime: TestedRuntime, server_tls: ssl.SSLContext
) -> None:
    observer = RecordingObserver()

    async def scenario() -> None:
        async with runtime.pool(ssl_context=ssl.create_default_context()) as pool:
            pool.observe(observer)
            with pytest.raises(httpcore2.ConnectError) as caught:
                await pool.request("GET", server.url)
            ended = observer.one("tls_ended")
            assert ended["error"] is caught.value
            assert ended["version"] is ended["cipher"] is ended["alpn"] is None

    with scripted_server(canned_responses([FINE]), tls=server_tls, allow_disconnect=True) as server:
        runtime.run(scenario)


def test_a_tls_stream_that_reports_nothing_is_reported_all_the_same() -> None:
    observer = RecordingObserver()
    backend = httpcore2.MockBackend([FINE], http2=False)
    with httpcore2.ConnectionPool(network_backend=backend) as pool:
        pool.observe(observer)
        pool.request("GET", "https://x/")
    ended = observer.one("tls_ended")
    assert ended["version"] is ended["cipher"] is None


def test_an_exception_of_an_observer_is_logged_and_the_request_goes_on(
    runtime: TestedRuntime, caplog: pytest.LogCaptureFixture
) -> None:
    class Faulty(RecordingObserver):
        def on_event(self, event: Event) -> Any:
            raise ValueError(event.name)

    observer = Faulty()

    async def scenario() -> None:
        async with runtime.pool() as pool:
            pool.observe(observer)
            assert (await pool.request("GET", server.url)).content == b"fine"

    with (
        caplog.at_level(logging.ERROR, "httpcore2.observer"),
        scripted_server(canned_responses([FINE])) as server,
    ):
        runtime.run(scenario)
    assert observer.names(*REQUEST_EVENTS)[-1] == "request_ended"
    assert observer.all("request_ended")[0]["token"] is None
    assert len(caplog.records) == len(observer.events)
    assert caplog.records[0].getMessage() == "Faulty raised ValueError."
    assert "request_started" in caplog.text


@pytest.mark.parametrize(
    "name", [*REQUEST_EVENTS[:1], *REQUEST_EVENTS[2:3], *REQUEST_EVENTS[4:], *CONNECTION_EVENTS]
)
def test_an_exception_that_ends_a_program_leaves_the_pool_usable(
    runtime: TestedRuntime, name: str
) -> None:
    class Ending(RecordingObserver):
        def on_event(self, event: Event) -> Any:
            if event.name == name and len(self.all(name)) == 1:
                raise GeneratorExit(name)

    observer = Ending()

    async def scenario() -> None:
        async with runtime.pool(max_connections=1) as pool:
            installed = pool.observe(observer)
            if name != "connection_closed":
                with pytest.raises(GeneratorExit):
                    await pool.request("GET", server.url)
            else:
                await pool.request("GET", server.url)
                with pytest.raises(GeneratorExit):
                    await pool.aclose()
            installed.remove()
            extensions = {"timeout": {"pool": 5.0}}
            assert (await pool.request("GET", server.url, extensions=extensions)).content == b"fine"
            assert "Requests: 0 active, 0 queued" in repr(pool)

    with scripted_server(canned_responses([FINE] * 3), allow_disconnect=True) as server:
        runtime.run(scenario)


def test_observers_of_all_pools_come_first_and_can_be_removed(runtime: TestedRuntime) -> None:
    order: list[str] = []

    class Named(httpcore2.Observer):
        def __init__(self, name: str) -> None:
            self.name = name

        def request_ended(self, *_: Any) -> None:
            order.append(self.name)

    async def scenario() -> None:
        async with runtime.pool() as pool:
            installed = pool.observe(Named("pool"))
            with httpcore2.observe(Named("everywhere")):
                await pool.request("GET", server.url)
                assert order == ["everywhere", "pool"]
                order.clear()
                installed.remove()
                installed.remove()
                await pool.request("GET", server.url)
                assert order == ["everywhere"]
                order.clear()
            await pool.request("GET", server.url)
            assert order == []

    with scripted_server(canned_responses([FINE] * 3)) as server:
        runtime.run(scenario)


def test_an_observer_of_another_class_is_refused() -> None:
    refused: Any = print
    with (
        httpcore2.ConnectionPool() as pool,
        pytest.raises(TypeError, match=r"httpcore2\.Observer, but got builtin_function_or_method"),
    ):
        pool.observe(refused)
    with pytest.raises(TypeError, match=r"must be an instance of httpcore2\.Observer"):
        httpcore2.observe(refused)


def test_the_connections_of_a_pool_that_is_dropped_are_reported() -> None:
    observer = RecordingObserver()
    with scripted_server(canned_responses([FINE])) as server:
        pool = httpcore2.ConnectionPool()
        pool.observe(observer)
        pool.request("GET", server.url)
        del pool
        gc.collect()
    assert observer.one("connection_closed")["reason"] is httpcore2.CloseReason.LOST
