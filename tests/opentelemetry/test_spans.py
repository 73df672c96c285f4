"""Spans of requests: their attributes, their errors, and the context that the server receives."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.instrumentation.utils import (
    suppress_http_instrumentation,
    suppress_instrumentation,
)
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

import httpcore2

from ..support.h2peer import answering, speaking
from ..support.runtimes import TestedAsyncRuntime, TestedRuntime
from ..support.scripted_servers import Peer, canned_responses, response, scripted_server
from .conftest import Telemetry

FINE = response(b"fine")


def attributes_of(span: ReadableSpan) -> dict[str, Any]:
    assert span.attributes is not None
    return dict(span.attributes)


def echoing_headers(peer: Peer) -> None:
    """Respond to each request with its head."""
    while (request := peer.receive_request()) is not None:
        peer.send(response(request[0]))


def test_a_request_has_a_span_of_the_stable_conventions(
    runtime: TestedRuntime, telemetry: Telemetry
) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool:
            pool.observe(telemetry.observer())
            await pool.request("GET", server.url + "path?q=1")

    with scripted_server(canned_responses([FINE])) as server:
        runtime.run(scenario)
    span = telemetry.span()
    assert (span.name, span.kind) == ("GET", SpanKind.CLIENT)
    assert span.status.status_code is StatusCode.UNSET
    assert attributes_of(span) == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "network.peer.address": "127.0.0.1",
        "network.peer.port": server.port,
        "network.protocol.version": "1.1",
        "server.address": "127.0.0.1",
        "server.port": server.port,
        "url.full": server.url + "path?q=1",
    }
    assert span.instrumentation_scope is not None
    assert span.instrumentation_scope.name == "httpcore2"


def test_the_version_of_http2_is_recorded(runtime: TestedRuntime, telemetry: Telemetry) -> None:
    async def scenario() -> None:
        async with runtime.pool(http1=False, http2=True) as pool:
            pool.observe(telemetry.observer())
            await pool.request("GET", server.url)

    with scripted_server(speaking(answering())) as server:
        runtime.run(scenario)
    assert attributes_of(telemetry.span())["network.protocol.version"] == "2"


@pytest.mark.parametrize(
    ("variable", "method", "name", "recorded", "original"),
    [
        (None, "QUERY", "QUERY", "QUERY", None),
        (None, "PURGE", "HTTP", "_OTHER", "PURGE"),
        (None, "get", "HTTP", "_OTHER", "get"),
        ("PURGE, GET", "PURGE", "PURGE", "PURGE", None),
        ("PURGE, GET", "QUERY", "HTTP", "_OTHER", "QUERY"),
    ],
)
def test_an_unknown_method_is_recorded_as_other(
    telemetry: Telemetry,
    monkeypatch: pytest.MonkeyPatch,
    variable: str | None,
    method: str,
    name: str,
    recorded: str,
    original: str | None,
) -> None:
    if variable is not None:
        monkeypatch.setenv("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS", variable)
    with (
        scripted_server(canned_responses([FINE])) as server,
        httpcore2.ConnectionPool() as pool,
    ):
        pool.observe(telemetry.observer())
        pool.request(method, server.url)
    span = telemetry.span()
    assert span.name == name
    assert attributes_of(span)["http.request.method"] == recorded
    assert attributes_of(span).get("http.request.method_original") == original


def test_credentials_and_signatures_are_not_recorded(telemetry: Telemetry) -> None:
    query = (
        "?a=1&sig=secret&Signature=secret&AWSAccessKeyId=secret&X-Goog-Signature=secret&signal=2"
    )
    with (
        scripted_server(canned_responses([FINE])) as server,
        httpcore2.ConnectionPool() as pool,
    ):
        pool.observe(telemetry.observer())
        pool.request("GET", f"http://user:secret@127.0.0.1:{server.port}/{query}")
    assert attributes_of(telemetry.span())["url.full"] == (
        f"http://127.0.0.1:{server.port}/?a=1&sig=REDACTED&Signature=REDACTED&AWSAccessKeyId=REDACTED"
        "&X-Goog-Signature=REDACTED&signal=2"
    )


@pytest.mark.parametrize("status", [b"404 Not Found", b"503 Service Unavailable"])
def test_a_status_of_400_or_more_is_an_error(telemetry: Telemetry, status: bytes) -> None:
    with (
        scripted_server(canned_responses([response(status=status)])) as server,
        httpcore2.ConnectionPool() as pool,
    ):
        pool.observe(telemetry.observer())
        pool.request("GET", server.url)
    span = telemetry.span()
    assert span.status.status_code is StatusCode.ERROR
    assert attributes_of(span)["error.type"] == status[:3].decode()
    assert not span.events


def test_an_exception_is_an_error_with_its_traceback(
    runtime: TestedRuntime, telemetry: Telemetry
) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool:
            pool.observe(telemetry.observer())
            with pytest.raises(httpcore2.ReadTimeout):
                await pool.request("GET", server.url, extensions={"timeout": {"read": 0.001}})

    with scripted_server(canned_responses([])) as server:
        runtime.run(scenario)
    span = telemetry.span()
    assert span.status.status_code is StatusCode.ERROR
    assert attributes_of(span)["error.type"] == "httpcore2.ReadTimeout"
    assert "http.response.status_code" not in attributes_of(span)
    (event,) = span.events
    assert event.name == "exception"


class BodyError(Exception):
    """An exception of the caller."""


class CoreError(Exception):
    """Without the front door, the exceptions of the core have the name of a private module."""

    __module__ = "httpcore2_core._exceptions"


@pytest.mark.parametrize(
    ("error", "recorded"),
    [
        (KeyError("a"), "KeyError"),
        (BodyError("a"), f"{__name__}.BodyError"),
        (CoreError("a"), "httpcore2.CoreError"),
    ],
)
def test_an_error_of_the_caller_is_recorded_by_its_full_name(
    telemetry: Telemetry, error: Exception, recorded: str
) -> None:
    def body() -> Iterator[bytes]:
        yield b"a"
        raise error

    with (
        scripted_server(canned_responses([])) as server,
        httpcore2.ConnectionPool() as pool,
    ):
        pool.observe(telemetry.observer())
        with pytest.raises(type(error)):
            pool.request("POST", server.url, content=body())
    assert attributes_of(telemetry.span())["error.type"] == recorded


def test_a_cancellation_of_the_caller_is_no_error(
    async_runtime: TestedAsyncRuntime, telemetry: Telemetry
) -> None:
    runtime = async_runtime
    received = runtime.event()

    def handler(peer: Peer) -> None:
        peer.receive_request()
        received.set()
        peer.receive_until_close()

    async def scenario() -> None:
        async with runtime.pool() as pool:
            pool.observe(telemetry.observer())

            async def get() -> None:
                await pool.request("GET", server.url)

            assert await runtime.cancel_on_event(received, get)

    with scripted_server(handler) as server:
        runtime.run(scenario)
    span = telemetry.span()
    assert span.status.status_code is StatusCode.UNSET
    assert "error.type" not in attributes_of(span)


def test_a_response_that_is_closed_early_is_no_error(
    runtime: TestedRuntime, telemetry: Telemetry
) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool:
            pool.observe(telemetry.observer())
            async with pool.stream("GET", server.url):
                assert not telemetry.spans(), "the span ends with the body"

    with scripted_server(canned_responses([FINE])) as server:
        runtime.run(scenario)
    assert telemetry.span().status.status_code is StatusCode.UNSET


def test_a_request_that_is_sent_again_is_counted(
    runtime: TestedRuntime, telemetry: Telemetry
) -> None:
    def handler(peer: Peer) -> None:
        if peer.number == 0:
            peer.receive_request()
            peer.send(FINE)
            peer.receive_request()  # and the connection ends without a response
        else:
            canned_responses([FINE])(peer)

    async def scenario() -> None:
        async with runtime.pool() as pool:
            await pool.request("GET", server.url)
            pool.observe(telemetry.observer())
            await pool.request("GET", server.url)

    with scripted_server(handler) as server:
        runtime.run(scenario)
    assert attributes_of(telemetry.span())["http.request.resend_count"] == 1


def test_the_context_is_sent_in_a_copy_of_the_header_fields(
    runtime: TestedRuntime, telemetry: Telemetry
) -> None:
    async def scenario() -> list[bytes]:
        async with runtime.pool() as pool:
            pool.observe(telemetry.observer())
            request = httpcore2.Request("GET", server.url, headers=given)
            found = []
            for _ in range(2):
                reply = await pool.handle_async_request(request)
                found.append(await reply.aread())
                await reply.aclose()
            assert request.headers == [(b"Host", b"h"), (b"A", b"b")]
            return found

    given = [("Host", "h"), ("A", "b")]
    token = context.attach(baggage.set_baggage("tenant", "seven"))
    try:
        with scripted_server(echoing_headers) as server:
            heads = runtime.run(scenario)
    finally:
        context.detach(token)
    for head, span in zip(heads, telemetry.spans(), strict=True):
        sent = re.findall(rb"traceparent: 00-(\w+)-(\w+)-\w\w\r\n", head)
        assert span.context is not None
        assert sent == [(b"%032x" % span.context.trace_id, b"%016x" % span.context.span_id)]
        assert head.count(b"baggage: tenant=seven\r\n") == 1


def test_a_span_of_the_caller_is_the_parent(telemetry: Telemetry) -> None:
    tracer = telemetry.tracer_provider.get_tracer("caller")
    with (
        scripted_server(canned_responses([FINE])) as server,
        httpcore2.ConnectionPool() as pool,
        tracer.start_as_current_span("job") as job,
    ):
        pool.observe(telemetry.observer())
        pool.request("GET", server.url)
        assert trace.get_current_span() is job
    span = telemetry.spans()[0]
    assert span.parent == job.get_span_context()


@pytest.mark.parametrize("suppress", [suppress_http_instrumentation, suppress_instrumentation])
def test_where_instrumentation_is_suppressed_connections_alone_are_counted(
    runtime: TestedRuntime,
    telemetry: Telemetry,
    suppress: Callable[[], AbstractContextManager[None]],
) -> None:
    def handler(peer: Peer) -> None:
        if peer.number == 0:
            peer.receive_request()
            peer.send(FINE)
            peer.receive_request()  # and the connection ends without a response
        else:
            echoing_headers(peer)

    async def scenario() -> None:
        url = f"http://localhost:{server.port}/"
        async with runtime.pool() as pool:
            pool.observe(telemetry.observer(optional_metrics="all", connection_spans=True))
            with suppress():
                await pool.request("GET", url)
                twice_sent = await pool.request("GET", url)
                assert b"traceparent" not in twice_sent.content

    with scripted_server(handler) as server:
        runtime.run(scenario)
    assert telemetry.spans() == ()
    assert telemetry.points().keys() == {
        "http.client.connection.duration",
        "http.client.open_connections",
    }


def test_without_a_tracer_provider_nothing_is_sent() -> None:
    from httpcore2_opentelemetry import OpenTelemetryObserver

    with (
        scripted_server(echoing_headers) as server,
        httpcore2.ConnectionPool() as pool,
    ):
        pool.observe(OpenTelemetryObserver())
        assert b"traceparent" not in pool.request("GET", server.url).content


def test_a_request_that_no_server_can_answer_has_a_span_with_its_error(
    telemetry: Telemetry,
) -> None:
    with httpcore2.ConnectionPool() as pool:
        pool.observe(telemetry.observer())
        with pytest.raises(httpcore2.UnsupportedProtocol):
            pool.request("GET", "ftp://files.example/a")
    assert attributes_of(telemetry.span()) == {
        "error.type": "httpcore2.UnsupportedProtocol",
        "http.request.method": "GET",
        "server.address": "files.example",
        "url.full": "ftp://files.example/a",
    }


def test_a_backend_that_reports_no_address_has_no_peer(telemetry: Telemetry) -> None:
    with httpcore2.ConnectionPool(network_backend=httpcore2.MockBackend([FINE])) as pool:
        pool.observe(telemetry.observer())
        pool.request("GET", "http://www.example.com/")
    assert "network.peer.address" not in attributes_of(telemetry.span())


def test_a_response_without_a_version_is_recorded_without_it(telemetry: Telemetry) -> None:
    observer = telemetry.observer()
    token = observer.request_started(httpcore2.Request("GET", "http://www.example.com/"), 0.0)
    observer.response_received(token, httpcore2.Response(200), 1.0)
    observer.request_ended(token, 200, None, 0, 0, 2.0)
    assert "network.protocol.version" not in attributes_of(telemetry.span())
