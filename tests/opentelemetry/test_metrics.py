"""Metrics of requests and connections: names, units, boundaries, values and attributes."""

from __future__ import annotations

from typing import Any

import pytest

import httpcore2

from ..support.runtimes import TestedRuntime
from ..support.scripted_servers import canned_responses, response, scripted_server
from .conftest import Telemetry

FINE = response(b"fine")
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)


def test_the_duration_of_requests_is_recorded_by_the_stable_conventions(
    runtime: TestedRuntime, telemetry: Telemetry
) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool:
            pool.observe(telemetry.observer())
            for _ in range(3):
                await pool.request("GET", server.url)

    with scripted_server(canned_responses([FINE] * 3)) as server:
        runtime.run(scenario)
    assert telemetry.points().keys() == {"http.client.request.duration"}
    point = telemetry.point("http.client.request.duration")
    assert point.count == 3
    assert point.explicit_bounds == SECONDS
    assert 0 < point.sum < 60
    assert dict(point.attributes) == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "network.protocol.version": "1.1",
        "server.address": "127.0.0.1",
        "server.port": server.port,
    }


def test_failed_requests_are_recorded_with_the_type_of_the_error(telemetry: Telemetry) -> None:
    with (
        scripted_server(canned_responses([response(status=b"500 No"), b""])) as server,
        httpcore2.ConnectionPool() as pool,
    ):
        pool.observe(telemetry.observer())
        pool.request("POST", server.url)
        with pytest.raises(httpcore2.ReadTimeout):
            pool.request("POST", server.url, extensions={"timeout": {"read": 0.001}})
    points = telemetry.points()["http.client.request.duration"]
    assert {
        (point.attributes["error.type"], point.attributes.get("http.response.status_code"))
        for point in points
    } == {("500", 500), ("httpcore2.ReadTimeout", None)}


def test_chosen_metrics_count_requests_connections_and_bytes(
    runtime: TestedRuntime, telemetry: Telemetry
) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool:
            pool.observe(telemetry.observer(optional_metrics="all"))
            async with pool.stream("POST", server.url, content=b"abc") as reply:
                assert telemetry.point("http.client.active_requests").value == 1
                assert states() == {"active": 1}
                await reply.aread()
            assert telemetry.point("http.client.active_requests").value == 0
            assert states() == {"active": 0, "idle": 1}
            assert "http.client.connection.duration" not in telemetry.points()
        assert states() == {"active": 0, "idle": 0}

    def states() -> dict[Any, Any]:
        points = telemetry.points()["http.client.open_connections"]
        return {point.attributes["http.connection.state"]: point.value for point in points}

    with scripted_server(canned_responses([FINE])) as server:
        runtime.run(scenario)
    assert telemetry.point("http.client.request.body.size").sum == 3
    assert telemetry.point("http.client.response.body.size").sum == 4
    life = telemetry.point("http.client.connection.duration")
    assert life.count == 1
    assert life.explicit_bounds[0] == 0.01
    assert dict(life.attributes) == {
        "network.protocol.version": "1.1",
        "server.address": "127.0.0.1",
        "server.port": server.port,
    }


def test_an_unknown_metric_is_refused_with_the_known_names(telemetry: Telemetry) -> None:
    with pytest.raises(ValueError, match=r"unknown name 'http.nonsense'.*'dns.lookup.duration'"):
        telemetry.observer(optional_metrics=["http.nonsense"])


def test_the_duration_has_an_exemplar_with_the_span(telemetry: Telemetry) -> None:
    with (
        scripted_server(canned_responses([FINE])) as server,
        httpcore2.ConnectionPool() as pool,
    ):
        pool.observe(telemetry.observer())
        pool.request("GET", server.url)
    (exemplar,) = telemetry.point("http.client.request.duration").exemplars
    span = telemetry.span()
    assert span.context is not None
    assert (exemplar.trace_id, exemplar.span_id) == (span.context.trace_id, span.context.span_id)
