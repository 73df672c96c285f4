"""The events of a request, as its `trace` extension and the loggers receive them."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path
from typing import Any

import pytest

import httpcore2

from ..support.fake_network import FakeNetworkBackend, FakeNetworkStream
from ..support.runtimes import TestedRuntime
from ..support.scripted_servers import (
    Peer,
    canned_responses,
    refusing_port,
    response,
    scripted_server,
)

FINE = response(b"fine")
Events = list[tuple[str, dict[str, Any]]]


def _spans(*names: str) -> list[str]:
    return [f"{name}.{moment}" for name in names for moment in ("started", "complete")]


EXCHANGE = _spans(
    "http11.send_request_headers",
    "http11.send_request_body",
    "http11.receive_response_headers",
    "http11.receive_response_body",
    "http11.response_closed",
)


def _names(events: Events) -> list[str]:
    return [name for name, _ in events]


def test_each_phase_of_a_request_is_traced(runtime: TestedRuntime) -> None:
    events: Events = []

    async def scenario() -> None:
        timeout = {"connect": 4.0, "read": 5.0}
        async with runtime.pool() as pool:
            for _ in range(2):
                await pool.request(
                    "POST",
                    server.url,
                    content=b"x",
                    extensions={"trace": runtime.trace(events), "timeout": timeout},
                )

    with scripted_server(canned_responses([FINE] * 2)) as server:
        runtime.run(scenario)
    assert _names(events) == _spans("connection.connect_tcp") + EXCHANGE + EXCHANGE
    info = dict(events)
    assert info["connection.connect_tcp.started"] == {
        "host": "127.0.0.1",
        "port": server.port,
        "local_address": None,
        "timeout": 4.0,
        "socket_options": None,
    }
    assert hasattr(info["connection.connect_tcp.complete"]["return_value"], "get_extra_info")
    for phase in (
        "send_request_headers",
        "send_request_body",
        "receive_response_headers",
        "receive_response_body",
    ):
        assert repr(info[f"http11.{phase}.started"]) == "{'request': <Request [b'POST']>}"
    assert info["http11.send_request_headers.complete"] == {"return_value": None}
    assert info["http11.send_request_body.complete"] == {"return_value": None}
    assert info["http11.receive_response_headers.complete"] == {
        "return_value": (b"HTTP/1.1", 200, b"OK", [(b"Content-Length", b"4")])
    }
    assert info["http11.receive_response_body.complete"] == {"return_value": None}
    assert info["http11.response_closed.started"] == {}
    assert info["http11.response_closed.complete"] == {"return_value": None}


def test_the_tls_handshake_is_traced(
    runtime: TestedRuntime, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    events: Events = []

    async def scenario() -> None:
        async with runtime.pool(ssl_context=client_tls) as pool:
            extensions = {
                "trace": runtime.trace(events),
                "sni_hostname": "localhost",
                "timeout": {"connect": 3.0},
            }
            await pool.request("GET", server.url, extensions=extensions)

    with scripted_server(canned_responses([FINE]), tls=server_tls) as server:
        runtime.run(scenario)
    assert _names(events) == _spans("connection.connect_tcp", "connection.start_tls") + EXCHANGE
    assert dict(events)["connection.start_tls.started"] == {
        "ssl_context": client_tls,
        "server_hostname": "localhost",
        "timeout": 3.0,
    }


def test_connecting_to_a_unix_socket_has_its_own_event_name(
    runtime: TestedRuntime, tmp_path: Path
) -> None:
    events: Events = []
    path = tmp_path / "socket"

    async def scenario() -> None:
        async with runtime.pool(uds=str(path)) as pool:
            await pool.request("GET", "http://h/", extensions={"trace": runtime.trace(events)})

    with scripted_server(canned_responses([FINE]), uds=path):
        runtime.run(scenario)
    assert _names(events) == _spans("connection.connect_unix_socket") + EXCHANGE
    assert events[0][1] == {"path": str(path), "timeout": None, "socket_options": None}


def test_retries_are_traced(runtime: TestedRuntime) -> None:
    events: Events = []
    error = httpcore2.ConnectError("no")

    async def scenario() -> None:
        backend = FakeNetworkBackend(error, FakeNetworkStream([FINE]))
        async with runtime.pool(network_backend=backend, retries=1) as pool:
            await pool.request("GET", "http://h/", extensions={"trace": runtime.trace(events)})

    runtime.run(scenario)
    assert _names(events) == [
        "connection.connect_tcp.started",
        "connection.connect_tcp.failed",
        "connection.retry.started",
        "connection.retry.complete",
        *_spans("connection.connect_tcp"),
        *EXCHANGE,
    ]
    assert events[1][1] == {"exception": error}
    assert events[2][1] == events[0][1]
    assert events[3][1] == {"return_value": None}


def test_a_failed_phase_is_traced_with_its_exception(runtime: TestedRuntime) -> None:
    events: Events = []

    async def scenario() -> None:
        async with runtime.pool() as pool:
            with pytest.raises(httpcore2.ConnectError) as caught:
                await pool.request(
                    "GET",
                    f"http://127.0.0.1:{port}/",
                    extensions={"trace": runtime.trace(events)},
                )
            assert events[-1] == ("connection.connect_tcp.failed", {"exception": caught.value})

    with refusing_port() as port:
        runtime.run(scenario)
    assert _names(events) == ["connection.connect_tcp.started", "connection.connect_tcp.failed"]


def test_a_missing_response_is_traced_as_a_failure_to_receive_the_head(
    runtime: TestedRuntime,
) -> None:
    events: Events = []

    def handler(peer: Peer) -> None:
        peer.receive_head()

    async def scenario() -> None:
        async with runtime.pool() as pool:
            with pytest.raises(httpcore2.RemoteProtocolError):
                await pool.request("GET", server.url, extensions={"trace": runtime.trace(events)})

    with scripted_server(handler) as server:
        runtime.run(scenario)
    assert _names(events) == [
        *_spans(
            "connection.connect_tcp", "http11.send_request_headers", "http11.send_request_body"
        ),
        "http11.receive_response_headers.started",
        "http11.receive_response_headers.failed",
        *_spans("http11.response_closed"),
    ]
    assert isinstance(events[-3][1]["exception"], httpcore2.RemoteProtocolError)


def test_a_truncated_body_is_traced_as_a_failure_to_receive_the_body(
    runtime: TestedRuntime,
) -> None:
    events: Events = []

    def handler(peer: Peer) -> None:
        peer.receive_head()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhi")

    async def scenario() -> None:
        async with runtime.pool() as pool:
            with pytest.raises(httpcore2.RemoteProtocolError):
                await pool.request("GET", server.url, extensions={"trace": runtime.trace(events)})

    with scripted_server(handler) as server:
        runtime.run(scenario)
    assert _names(events)[-4:] == [
        "http11.receive_response_body.started",
        "http11.receive_response_body.failed",
        *_spans("http11.response_closed"),
    ]


def test_a_sync_callback_in_the_async_api_and_vice_versa_raises_type_error(
    runtime: TestedRuntime,
) -> None:
    async def scenario() -> None:
        async with runtime.pool(max_connections=1) as pool:
            with pytest.raises(TypeError, match="`trace` extension should be"):
                await pool.request(
                    "GET", server.url, extensions={"trace": runtime.mismatched_trace()}
                )
            assert "0 active, 0 queued | Connections: 0 active, 0 idle" in repr(pool)

    with scripted_server(canned_responses([FINE])) as server:
        runtime.run(scenario)


@pytest.mark.parametrize("at", range(12))
def test_an_exception_of_the_callback_reaches_the_caller_and_leaks_no_connection(
    runtime: TestedRuntime, at: int
) -> None:
    seen: Events = []

    async def scenario() -> None:
        record = runtime.trace(seen)

        def fail(name: str, info: dict[str, Any]) -> Any:
            if len(seen) == at:
                raise ZeroDivisionError
            return record(name, info)

        async with runtime.pool(max_connections=1) as pool:
            with pytest.raises(ZeroDivisionError):
                await pool.request("GET", server.url, extensions={"trace": fail})
            assert "0 active, 0 queued | Connections: 0 active" in repr(pool)
            assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(canned_responses([FINE] * 2), allow_disconnect=True) as server:
        runtime.run(scenario)


def test_the_loggers_record_the_same_events(
    runtime: TestedRuntime, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="httpcore2")

    async def scenario() -> None:
        async with runtime.pool() as pool:
            await pool.request("GET", server.url)

    with scripted_server(canned_responses([FINE])) as server:
        runtime.run(scenario)
    records = [
        (record.name, record.levelname, record.getMessage())
        for record in caplog.records
        if record.name.startswith("httpcore2")
    ]
    connected = records.pop(1)
    assert connected[:2] == ("httpcore2.connection", "DEBUG")
    assert connected[2].startswith("connect_tcp.complete return_value=<")
    address = f"host='127.0.0.1' port={server.port} local_address=None"
    request = "request=<Request [b'GET']>"
    head = "(b'HTTP/1.1', 200, b'OK', [(b'Content-Length', b'4')])"
    connection = [f"connect_tcp.started {address} timeout=None socket_options=None"]
    http11 = [
        f"send_request_headers.started {request}",
        "send_request_headers.complete",
        f"send_request_body.started {request}",
        "send_request_body.complete",
        f"receive_response_headers.started {request}",
        f"receive_response_headers.complete return_value={head}",
        f"receive_response_body.started {request}",
        "receive_response_body.complete",
        "response_closed.started",
        "response_closed.complete",
    ]
    closing = ["close.started", "close.complete"]
    assert records == [
        *[("httpcore2.connection", "DEBUG", message) for message in connection],
        *[("httpcore2.http11", "DEBUG", message) for message in http11],
        *[("httpcore2.connection", "DEBUG", message) for message in closing],
    ]


def test_the_loggers_record_no_close_of_a_connection_that_was_never_open(
    runtime: TestedRuntime, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="httpcore2")

    async def scenario() -> None:
        async with runtime.pool() as pool:
            with pytest.raises(httpcore2.ConnectError):
                await pool.request("GET", f"http://127.0.0.1:{port}/")

    with refusing_port() as port:
        runtime.run(scenario)
    messages = [record.getMessage().partition(" ")[0] for record in caplog.records]
    assert messages == ["connect_tcp.started", "connect_tcp.failed"]
