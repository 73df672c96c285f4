"""The instrumentor: installed, found by its entry point, configured by the environment, and removed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import httpcore2
from httpcore2_opentelemetry import HTTPCore2Instrumentor

from ..support.scripted_servers import canned_responses, response, scripted_server
from .conftest import Telemetry

FINE = response(b"fine")


@pytest.fixture
def instrumentor() -> Iterator[HTTPCore2Instrumentor]:
    made = HTTPCore2Instrumentor()
    yield made
    if made.is_instrumented_by_opentelemetry:
        made.uninstrument()


def instrument(
    instrumentor: HTTPCore2Instrumentor, telemetry: Telemetry, **options: object
) -> None:
    instrumentor.instrument(
        tracer_provider=telemetry.tracer_provider,
        meter_provider=telemetry.meter_provider,
        **options,
    )


def test_all_pools_are_observed_until_the_instrumentation_is_removed(
    instrumentor: HTTPCore2Instrumentor, telemetry: Telemetry
) -> None:
    with (
        scripted_server(canned_responses([FINE] * 2)) as server,
        httpcore2.ConnectionPool() as pool,
    ):
        instrument(instrumentor, telemetry)
        pool.request("GET", server.url)
        httpcore2.request("GET", server.url)
        assert len(telemetry.spans()) == 2
        instrumentor.uninstrument()
        pool.request("GET", server.url)
    assert len(telemetry.spans()) == 2


def test_optional_metrics_are_read_from_the_environment(
    instrumentor: HTTPCore2Instrumentor, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "OTEL_PYTHON_HTTPCORE2_OPTIONAL_METRICS",
        "http.client.active_requests, http.client.response.body.size",
    )
    with scripted_server(canned_responses([FINE])) as server:
        instrument(instrumentor, telemetry)
        httpcore2.request("GET", server.url)
    assert telemetry.points().keys() == {
        "http.client.active_requests",
        "http.client.request.duration",
        "http.client.response.body.size",
    }


def test_arguments_take_precedence_over_the_environment(
    instrumentor: HTTPCore2Instrumentor, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_PYTHON_HTTPCORE2_OPTIONAL_METRICS", "all")
    with scripted_server(canned_responses([FINE])) as server:
        instrument(instrumentor, telemetry, optional_metrics=())
        httpcore2.request("GET", server.url)
    assert telemetry.points().keys() == {"http.client.request.duration"}
