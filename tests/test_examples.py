"""The examples do what they say, each in a Python of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from .support.server import canned, response, scripted

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
    with scripted(canned([response(b"fine")])) as server:
        done = run("download.py", server.url, str(tmp_path / "page"))
    assert (done.returncode, done.stderr.strip()) == (0, "4 bytes")
    assert (tmp_path / "page").read_bytes() == b"fine"


def test_each_step_is_shown() -> None:
    with scripted(canned([response(b"fine")])) as server:
        done = run("trace.py", server.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("connection.connect_tcp.started host='127.0.0.1'")
    assert done.stdout.endswith("<Response [200]> 4 bytes\n")


def test_the_examples_of_the_introduction_that_need_no_network_run() -> None:
    text = (ROOT / "docs" / "index.md").read_text()
    examples = [code for code in re.findall(r"```python\n(.*?)```", text, re.S) if "Mock" in code]
    assert len(examples) == 1
    done = subprocess.run([sys.executable, "-W", "error", "-c", examples[0]], check=False)
    assert done.returncode == 0
