"""Observations of requests: what is reported once, and how a body that fails ends its request."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from httpcore2_core import CloseReason, Observer, Origin, Request
from httpcore2_core._http.bodies import ReceivedBody
from httpcore2_core._http.lease import Lease
from httpcore2_core._http.observation import (
    ConnectionObservation,
    ObservedBody,
    Observers,
    RequestObservation,
    install,
)
from httpcore2_core._net.coroutines import run_blocking
from httpcore2_core._pool.pooled_connections import _report_closed


class Recorder(Observer):
    """Records the names of the events of requests, and the errors with which they ended."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.errors: list[BaseException | None] = []

    def first_byte_received(self, token: object, time: float) -> None:
        self.names.append("first byte")

    def request_resent(self, token: object, count: int, cause: Exception, time: float) -> None:
        self.names.append("resent")

    def request_ended(
        self,
        token: object,
        status: int | None,
        error: BaseException | None,
        sent: int,
        received: int,
        time: float,
    ) -> None:
        self.names.append("ended")
        self.errors.append(error)


def observation(recorder: Recorder) -> RequestObservation:
    observers = Observers()
    install(observers.own, recorder)
    return RequestObservation(observers, Request("GET", "http://www.example.com/"), lambda: 1.0)


def test_only_the_first_data_of_an_attempt_is_reported() -> None:
    recorder = Recorder()
    observed = observation(recorder)
    observed.data_received()
    observed.data_received()
    assert recorder.names == ["first byte"]


def test_a_request_of_which_nothing_was_sent_is_not_reported_as_resent() -> None:
    recorder = Recorder()
    observed = observation(recorder)
    observed.repeated(None)
    assert recorder.names == []
    observed.repeated(ValueError("refused"))
    assert recorder.names == ["resent"]


class FailingBody(ReceivedBody):
    """A body each of whose operations fails."""

    __slots__ = ()

    def __init__(self) -> None:
        self.is_closed = False

    def take_remaining(self) -> bytes | None:
        raise ValueError("take")

    async def next_body_chunk(self) -> bytes:
        raise ValueError("next")

    async def aclose(self) -> None:
        raise ValueError("close")


OPERATIONS: dict[str, Callable[[ReceivedBody], object]] = {
    "take": lambda body: body.take_remaining(),
    "next": lambda body: run_blocking(body.next_body_chunk()),
    "close": lambda body: run_blocking(body.aclose()),
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_body_that_fails_ends_its_request_with_the_error(operation: str) -> None:
    recorder = Recorder()
    body = ObservedBody(FailingBody(), observation(recorder))
    with pytest.raises(ValueError, match=operation) as caught:
        OPERATIONS[operation](body)
    assert recorder.names == ["ended"]
    assert recorder.errors == [caught.value]


def test_a_failure_on_a_connection_without_a_pool_is_reported_to_nobody() -> None:
    lease: Lease[str] = Lease()
    lease.report_failure()
    failures: list[str] = []
    lease.on_failure = lambda: failures.append("failed")
    lease.report_failure()
    assert failures == ["failed"]


def test_a_connection_is_described_once() -> None:
    observed = ConnectionObservation(Observers(), Origin(b"http", b"a", 80), lambda: 1.0)
    observed.describe("HTTP/1.1", ("192.0.2.1", 80))
    connection = observed.describe("HTTP/2", None)
    assert (connection.http_version, connection.peer_address) == ("HTTP/1.1", ("192.0.2.1", 80))


def test_the_end_of_a_connection_without_an_observation_is_reported_to_nobody() -> None:
    connection: Any = SimpleNamespace(observation=None)
    _report_closed(connection, CloseReason.PEER)
