"""Repeated and retried requests, and what a run does when its output is closed."""

from __future__ import annotations

import io
from typing import Any

import pytest

from httpcore2_cli._options import Options
from httpcore2_cli._runtimes import RUNTIMES
from httpcore2_cli._screen import Screen
from httpcore2_cli._session import Session
from httpcore2_cli._timeline import Phase, Span, Timeline

from ..support.scripted_servers import Peer, response, scripted_server
from .conftest import BACKENDS, Recording, Run

BUSY = response(b"busy", status=b"503 Service Unavailable")


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Replace the pauses of all runtimes, and record them."""
    found: list[float] = []

    async def sleep(self: object, seconds: float) -> None:
        found.append(seconds)

    for runtime in RUNTIMES.values():
        monkeypatch.setattr(runtime, "sleep", sleep)
    return found


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_busy_server_is_asked_again_after_growing_pauses(
    run: Run, recording: Recording, pauses: list[float], backend: str
) -> None:
    asked = response(b"busy", b"Retry-After: 7", status=b"429 Too Many")
    recording.recorder.responses[:] = [BUSY, asked, BUSY, response(b"fine")]
    outcome = run("--backend", backend, "--retry", "3", "-w", "%{num_retries}", recording.url)
    assert (outcome.code, outcome.output) == (0, b"fine3")
    assert pauses == [1.0, 7.0, 4.0]
    assert outcome.error.splitlines()[0] == "Warning: transient problem, next attempt in 1 s."


def test_the_last_answer_counts(run: Run, recording: Recording, pauses: list[float]) -> None:
    recording.recorder.responses[:] = [BUSY]
    assert run("--retry", "2", recording.url).output == b"busy"
    assert run("--retry", "1", "-f", recording.url).code == 22
    assert len(recording.recorder.requests) == 5
    assert pauses == [1.0, 2.0, 1.0]


def test_a_timeout_is_transient_and_other_failures_are_not(run: Run, pauses: list[float]) -> None:
    def handler(peer: Peer) -> None:
        peer.receive_request()
        if peer.number == 0:
            peer.receive_until_close()
        peer.send(response(b"fine"))

    with scripted_server(handler, allow_disconnect=True) as server:
        assert run("--retry", "1", "-m", "1", server.url).output == b"fine"
    with scripted_server(lambda peer: None) as server:
        assert run("--retry", "1", server.url).code != 0
    assert pauses == [1.0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_each_runtime_waits(backend: str) -> None:
    runtime = RUNTIMES[backend]()

    async def main() -> str:
        await runtime.sleep(0.001)
        return "done"

    assert runtime.run(main) == "done"


class Closed(io.BytesIO):
    """A standard output whose reader has closed it."""

    isatty = lambda self: False  # noqa: E731

    def write(self, data: Any) -> int:
        raise BrokenPipeError


@pytest.mark.parametrize("options", [{}, {"write_out": "x"}, {"json": True}])
def test_a_closed_output_is_silent(recording: Recording, options: dict[str, Any]) -> None:
    error = io.StringIO()
    output = io.TextIOWrapper(Closed())
    session = Session(
        Options(urls=(recording.url,), **options),
        output,
        Screen(error, is_silent=False, shows_errors=False),
    )
    assert session.run() == 23
    assert error.getvalue() == ""
    output.detach()


def test_a_closed_standard_error_ends_the_run(recording: Recording) -> None:
    class ClosedText(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    screen = Screen(ClosedText(), is_silent=False, shows_errors=False)
    output = io.TextIOWrapper(io.BytesIO())
    assert Session(Options(urls=(recording.url,), verbose=True), output, screen).run() == 23


def test_a_phase_goes_on_until_the_next_one() -> None:
    timeline = Timeline()
    timeline.begin(Phase.TCP, 1.0)
    timeline.end(2.0)
    timeline.begin(Phase.PROXY, 2.0)
    timeline.end(3.0)
    timeline.begin(Phase.PROXY, 3.5)
    timeline.end(4.0)
    timeline.finish(5.0)
    assert timeline.unfinished is None
    assert timeline.spans == {
        Phase.QUEUED: Span(0.0, 1.0),
        Phase.TCP: Span(1.0, 2.0),
        Phase.PROXY: Span(2.0, 4.0),
    }


def test_a_repeated_attempt_replaces_the_earlier_one() -> None:
    timeline = Timeline()
    for time, phase in enumerate((Phase.SEND, Phase.WAIT, Phase.TCP, Phase.SEND), 1):
        timeline.begin(phase, time)
        timeline.end(time + 0.5)
    timeline.begin(Phase.WAIT, 6.0)
    timeline.finish(7.0)
    assert timeline.spans == {
        Phase.QUEUED: Span(0.0, 1.0),
        Phase.TCP: Span(3.0, 3.5),
        Phase.SEND: Span(4.0, 4.5),
    }
    assert timeline.unfinished == Span(6.0, 7.0)
    assert not timeline.is_reused


def test_a_phase_whose_last_step_failed_is_unfinished() -> None:
    timeline = Timeline()
    timeline.begin(Phase.PROXY, 1.0)
    timeline.end(2.0)
    timeline.begin(Phase.PROXY, 2.5)
    timeline.finish(3.0)
    assert timeline.unfinished == Span(1.0, 3.0)
    assert Phase.PROXY not in timeline.spans
