"""The programs in `examples/` do what they say, each in a Python of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpcore2

from .support.scripted_servers import Peer, canned_responses, response, scripted_server

ROOT = Path(__file__).parent.parent


def run(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "examples" / name), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_page_is_downloaded_to_a_file(tmp_path: Path) -> None:
    with scripted_server(canned_responses([response(b"fine")])) as server:
        done = run("download.py", server.url, str(tmp_path / "page"))
    assert (done.returncode, done.stderr.strip()) == (0, "4 bytes")
    assert (tmp_path / "page").read_bytes() == b"fine"


def test_the_verbose_mode_prints_each_phase() -> None:
    with scripted_server(canned_responses([response(b"fine")])) as server:
        done = run("trace.py", server.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("connection.connect_tcp.started host='127.0.0.1'")
    assert done.stdout.endswith("<Response [200]> 4 bytes\n")


def test_the_example_against_forged_requests_refuses_internal_addresses() -> None:
    with scripted_server(canned_responses([response(b"internal")])) as server:
        done = run("public_addresses.py", server.url)
        assert done.returncode == 1
        assert done.stderr.startswith(
            "refused: 127.0.0.1 has the address 127.0.0.1, which is not public. (connecting to http://127.0.0.1:"
        )


def test_the_waterfall_draws_each_phase() -> None:
    with scripted_server(canned_responses([response(b"fine")])) as server:
        done = run("waterfall.py", server.url)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "<Response [200]> new connection"
    assert [line.split()[0] for line in lines[1:]] == [
        *("queued", "resolve", "connect", "tls", "send", "wait", "receive"),
        "total",
    ]


def test_the_live_view_ends_with_the_totals() -> None:
    def serve(peer: Peer) -> None:
        while peer.receive_request():
            peer.send(response(b"fine"))

    with scripted_server(serve) as server:
        done = run("live_pool.py", server.url, "40")
        assert (done.returncode, done.stderr) == (0, "")
        opened = server.accepted
    assert f"{opened} opened, {40 - opened} reused, 0 resent" in done.stdout


def test_the_statistics_are_served_to_prometheus() -> None:
    path = str(ROOT / "examples" / "prometheus.py")
    with (
        scripted_server(canned_responses([response(b"fine")])) as server,
        subprocess.Popen(
            [sys.executable, "-W", "error", path, server.url, "0"],
            stdout=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        try:
            url = process.stdout.readline().strip()
            metrics = httpcore2.request("GET", url).content.decode()
        finally:
            process.kill()
        state = f'{{origin="{server.origin}",state="idle"}} 1'
        assert f"http_pool_connections{state}" in metrics
        assert "\nhttp_pool_opened_total 1\n" in metrics
