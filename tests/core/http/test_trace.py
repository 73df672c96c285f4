"""Telling a request's progress to its callback and to the loggers."""

from __future__ import annotations

import logging
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from httpcore2_core._http import trace
from httpcore2_core._http.trace import Tracer, log
from httpcore2_core._models import Request
from httpcore2_core._net.coroutines import run_blocking

Events = list[tuple[str, dict[str, Any]]]


@pytest.fixture(autouse=True)
def _nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "_loggers", {})
    monkeypatch.setattr(logging.getLogger("httpcore2.http11"), "level", logging.WARNING)


@pytest.fixture
def records(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, "httpcore2.http11")
    return caplog


def tracer(trace: Any = None, is_blocking: bool = True) -> Tracer | None:
    extensions = {} if trace is None else {"trace": trace}
    request = Request("GET", "http://example.com/", extensions=extensions)
    return Tracer.of("http11", request, is_blocking)


def tracing(trace: Any = None, is_blocking: bool = True) -> Tracer:
    found = tracer(trace, is_blocking)
    assert found is not None
    return found


def remembering(events: Events) -> Callable[[str, dict[str, Any]], None]:
    return lambda name, info: events.append((name, info))


def remembering_later(events: Events) -> Callable[[str, dict[str, Any]], Awaitable[None]]:
    async def trace(name: str, info: dict[str, Any]) -> None:
        events.append((name, info))

    return trace


async def step(result: Any) -> Any:
    if isinstance(result, BaseException):
        raise result
    return result


def test_there_is_no_tracer_without_a_callback_and_an_enabled_logger() -> None:
    assert tracer() is None
    request = Request("GET", "http://example.com/", extensions={"trace": None})
    assert Tracer.of("http11", request, is_blocking=True) is None


def test_there_is_no_logger_before_logging_is_imported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "logging")
    assert tracer() is None
    log("http11", "a message")


def test_the_prefix_names_the_logger(records: pytest.LogCaptureFixture) -> None:
    run_blocking(tracing().event("a_step.started", {"request": 3, "name": "x"}))
    log("http11", "a message")
    assert records.record_tuples == [
        ("httpcore2.http11", logging.DEBUG, "a_step.started request=3 name='x'"),
        ("httpcore2.http11", logging.DEBUG, "a message"),
    ]


@pytest.mark.parametrize("info", [{}, {"return_value": None}])
def test_an_empty_payload_is_not_logged(
    records: pytest.LogCaptureFixture, info: dict[str, Any]
) -> None:
    run_blocking(tracing().event("a_step.complete", info))
    assert records.messages == ["a_step.complete"]


def test_a_disabled_logger_gets_no_records(caplog: pytest.LogCaptureFixture) -> None:
    events: Events = []
    run_blocking(tracing(remembering(events)).event("a_step.started", {}))
    assert events == [("http11.a_step.started", {})]
    assert caplog.records == []


@pytest.mark.parametrize("is_blocking", [True, False])
def test_a_step_is_reported_with_its_start_and_its_result(is_blocking: bool) -> None:
    events: Events = []
    trace = remembering(events) if is_blocking else remembering_later(events)
    assert run_blocking(tracing(trace, is_blocking).span("a_step", {"x": 1}, step(3))) == 3
    assert events == [
        ("http11.a_step.started", {"x": 1}),
        ("http11.a_step.complete", {"return_value": 3}),
    ]


def test_the_result_may_be_shown_otherwise() -> None:
    events: Events = []
    tracer = tracing(remembering(events))
    assert run_blocking(tracer.span("a_step", {}, step([3]), present=tuple)) == [3]
    assert events[-1] == ("http11.a_step.complete", {"return_value": (3,)})


@pytest.mark.parametrize("exception", [ValueError(), KeyboardInterrupt()])
def test_a_step_that_fails_is_reported_with_its_exception(exception: BaseException) -> None:
    events: Events = []
    with pytest.raises(type(exception)):
        run_blocking(tracing(remembering(events)).span("a_step", {}, step(exception)))
    assert events[-1] == ("http11.a_step.failed", {"exception": exception})


def test_a_callback_that_fails_at_the_start_stops_the_step() -> None:
    names = []

    def trace(name: str, info: dict[str, Any]) -> None:
        names.append(name)
        if name.endswith("started"):
            raise ValueError("mine")

    began: Coroutine[Any, Any, Any] = step(3)
    with pytest.raises(ValueError, match="mine"):
        run_blocking(tracing(trace).span("a_step", {}, began))
    assert names == ["http11.a_step.started", "http11.a_step.failed"]
    with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
        began.send(None)


@pytest.mark.parametrize(
    ("trace", "is_blocking", "message"),
    [
        (remembering_later([]), True, "should be a normal function instead of an asynchronous"),
        (remembering([]), False, "should be an asynchronous function rather than a normal"),
    ],
)
def test_a_callback_for_the_other_api_is_refused(
    trace: Any, is_blocking: bool, message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        run_blocking(tracing(trace, is_blocking).event("a_step.started", {}))
