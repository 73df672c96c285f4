"""The programs in `examples/` do what they say, each in a Python of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from .support.scripted_servers import canned_responses, response, scripted_server

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
