"""Loads: which servers may be loaded, what is counted, and what is shown."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from httpcore2_cli._bench import BenchResult, is_loopback
from httpcore2_cli._bench_report import bench_facts, bench_lines, histogram, percentile
from httpcore2_cli._options import BenchOptions

from ..support.h2peer import answering, speaking
from ..support.scripted_servers import Peer, refusing_port, response, scripted_server
from .conftest import BACKENDS, Recording, Run, serve
from .terminal import terminal


@pytest.mark.parametrize("backend", BACKENDS)
def test_each_request_is_sent_and_counted(run: Run, recording: Recording, backend: str) -> None:
    arguments = ("--backend", backend, "--bench", "-n", "50", "-c", "3", "-m", "2")
    known = run(*arguments, "--json", recording.url).json
    assert len(recording.recorder.requests) == 50
    assert known["schema"] == 1
    assert (known["responses"], known["statuses"], known["errors"]) == (50, {"200": 50}, {})
    assert known["size_download"] == 250
    assert 1 <= known["num_connects"] == recording.server.accepted <= 3
    assert known["num_connects"] + known["reused"] == 50
    latency = [known["latency"][name] for name in ("p50", "p90", "p99", "max")]
    assert latency == sorted(latency)
    assert 0 < latency[0] <= known["time_total"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_streams_share_a_connection(run: Run, backend: str) -> None:
    with scripted_server(speaking(answering())) as server:
        arguments = ("--http2-prior-knowledge", "--bench", "-n", "20", "-m", "4", "--json")
        known = run("--backend", backend, *arguments, server.url).json
        assert server.accepted == 1
    assert (known["responses"], known["num_connects"], known["reused"]) == (20, 1, 19)


def test_a_load_ends_after_its_time(run: Run, recording: Recording) -> None:
    known = run("--bench", "-D", "0.05", "--json", recording.url).json
    assert 0 < known["responses"] < 1_000_000
    assert known["responses"] == len(recording.recorder.requests)


def test_a_body_is_sent_with_each_request(run: Run, recording: Recording, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"content")
    assert run("--bench", "-n", "3", "-T", file, recording.url).code == 0
    assert [body for _, body in recording.recorder.requests] == [b"content"] * 3


def test_errors_are_counted_by_kind(run: Run) -> None:
    with refusing_port() as port:
        outcome = run("--bench", "-n", "5", "--json", f"http://127.0.0.1:{port}/")
    assert outcome.code == 7
    assert outcome.json["errors"] == {"ConnectError": 5}
    assert outcome.json["responses"] == 0
    busy = response(b"", status=b"503 Busy")
    with scripted_server(serve(busy)) as server:
        assert run("--bench", "-n", "5", server.url).code == 0
        outcome = run("--bench", "-n", "5", "-f", "--json", server.url)
    assert outcome.code == 22
    assert outcome.json["errors"] == {"status 503": 5}


def test_the_result_is_shown_as_text(run: Run, recording: Recording) -> None:
    outcome = run("--bench", "-n", "20", recording.url)
    lines = outcome.output.decode().splitlines()
    assert lines[0] == f"{recording.url} on threads"
    assert lines[1] == "load         1 connection, 1 request at a time on each"
    assert lines[2].startswith("responses    20 in 0.")
    assert lines[3:6] == [
        "statuses     200: 20",
        "errors       none",
        "connections  1 opened, 19 requests reused one",
    ]
    assert lines[6].startswith("latency      p50 ")
    assert sum(int(line.split()[4].replace(",", "")) for line in lines[7:]) == 20
    assert any(line.endswith("#") for line in lines[7:])
    assert outcome.error == ""


@pytest.mark.parametrize("host", ["192.0.2.1", "[2001:db8::1]", "www.example.com"])
def test_a_remote_server_is_refused(run: Run, host: str) -> None:
    outcome = run("--bench", f"http://{host}/")
    assert outcome.code == 2
    assert f"{host.strip('[]')} is not a loopback address." in outcome.error
    assert "add --yes." in outcome.error


def test_the_host_that_is_connected_to_counts(run: Run, recording: Recording) -> None:
    port = recording.server.port
    for route in (
        ("--connect-to", f"a.example:80:127.0.0.1:{port}"),
        (
            "--connect-to",
            f"a.example:80:b.example:{port}",
            "--resolve",
            f"b.example:{port}:127.0.0.1",
        ),
    ):
        assert run("--bench", "-n", "1", *route, "http://a.example/").code == 0
    assert run("--bench", "--resolve", "localhost:80:192.0.2.1", "http://localhost/").code == 2
    assert run("--bench", "-x", "http://192.0.2.1:80", recording.url).code == 2


def test_a_load_may_be_allowed(run: Run, recording: Recording, tmp_path: Path) -> None:
    with refusing_port() as port:
        outcome = run(
            "--bench", "-n", "1", "--yes", "--connect-timeout", "1", f"http://0.0.0.0:{port}/"
        )
    assert outcome.code == 7
    path = tmp_path / "socket"
    with scripted_server(serve(response(b"fine")), uds=path):
        assert run("--bench", "-n", "2", "--unix-socket", path, "http://a.example/").code == 0


def test_loopback_is_an_address_or_localhost() -> None:
    for host in (
        "127.0.0.1",
        "127.1.2.3",
        "[::1]",
        "::1",
        "LOCALHOST",
        "localhost.",
        "a.localhost",
    ):
        assert is_loopback(host)
    for host in ("128.0.0.1", "::2", "localhost.example", "127.0.0.1.example", "0.0.0.0"):
        assert not is_loopback(host)


@pytest.mark.parametrize("backend", BACKENDS)
def test_ctrl_c_ends_a_load_and_shows_what_came_of_it(run: Run, backend: str) -> None:
    fine = response(b"fine")

    def handler(peer: Peer) -> None:
        for _ in range(10):
            peer.receive_request()
            peer.send(fine)
        peer.receive_request()  # now the client has all the responses
        if peer.number == 0:
            os.kill(os.getpid(), signal.SIGINT)
        peer.receive_until_close()

    with scripted_server(handler, allow_disconnect=True) as server:
        outcome = run(
            "--backend", backend, "--bench", "-n", "1000", "-c", "2", "--json", server.url
        )
    assert outcome.code == 130
    assert outcome.error == "httpcore2: Interrupted.\n"
    assert 10 <= outcome.json["responses"] <= 20
    assert outcome.json["errors"] == {}


def test_a_terminal_gets_bars(recording: Recording, no_leaks: None) -> None:
    with terminal("--bench", "-n", "20", recording.url) as screen:
        assert screen.finish() == 0
    assert "█" in screen.text
    with terminal("--bench", "-n", "20", recording.url, columns=40) as screen:
        assert screen.finish() == 0
    assert max(map(len, screen.plain.splitlines())) <= 40


def test_a_group_without_an_interruption_is_raised(
    run: Run, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: object, latency: float, status: int, received: int) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("httpcore2_cli._bench.Bench._succeed", fail)
    with pytest.raises(BaseExceptionGroup):
        run("--backend", "asyncio", "--bench", recording.url)


def test_percentiles_are_values_of_the_sample() -> None:
    assert percentile([], 0.5) == 0
    assert percentile([1.0], 0.5) == 1
    ordered = [float(value) for value in range(1, 101)]
    assert [percentile(ordered, share) for share in (0, 0.5, 0.9, 0.99, 1)] == [1, 50, 90, 99, 100]


def test_a_histogram_has_each_latency_once() -> None:
    lines = histogram([0.001, 0.002, 0.004, 0.004, 0.1], "#", 60)
    assert len(lines) == 12
    assert sum(int(line.split()[4]) for line in lines) == 5
    assert lines[0].split()[0] == "1.00"
    assert lines[-1].split()[2] == "100.00"
    (same,) = histogram([0.002, 0.002], "#", 60)
    assert same.split() == ["2.00", "-", "2.00", "ms", "2", "#" * 22]
    assert len(histogram([0.0, 0.5], "#", 60)) == 1


def test_a_load_without_an_end_has_no_rate() -> None:
    limits = BenchOptions(requests=1, connections=1, streams=1, seconds=None, is_allowed=False)
    facts = bench_facts(BenchResult(), "http://a/", limits, "trio")
    assert (facts["rate"], facts["latency"]["max"]) == (0.0, 0.0)
    assert bench_lines(facts, [], "#", 80)[-1] == "connections  0 opened, 0 requests reused one"
