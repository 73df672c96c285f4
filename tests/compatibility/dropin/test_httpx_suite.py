"""The tests that `httpx` ships with its source. (`httpx2` ships no tests.)

Deselected are tests that need the internet, and two that expect the log of an older pytest or uvicorn.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

from ...support.scripted_servers import unused_port
from .conftest import SHIM
from .install import SOURCE


def test_the_tests_of_httpx_pass(tmp_path: Path) -> None:
    with tarfile.open(SOURCE) as archive:
        archive.extractall(tmp_path, filter="data")
    folder = tmp_path / SOURCE.name.removesuffix(".tar.gz")
    # Otherwise the tests would import the module beside them, not the installed one.
    (folder / "httpx").rename(folder / "not-installed")
    _move_to_a_free_port(folder / "tests")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "tests", "-q", "-m", "not network"),
            *("-p", "no:cacheprovider", "-W", "ignore:'isolated_filesystem':DeprecationWarning"),
            *("--deselect", "tests/test_utils.py::test_logging_request"),
            *("--deselect", "tests/test_utils.py::test_logging_redirect_chain"),
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(SHIM)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) > 1400


def _move_to_a_free_port(tests: Path) -> None:
    """Replace port 8000, which the tests' server uses, and which may be in use."""
    port = str(unused_port())
    for path in tests.rglob("*.py"):
        text = path.read_text()
        moved = text.replace("8000", port).replace(
            "Config(app=app,", f"Config(app=app, port={port},"
        )
        if moved != text:
            path.write_text(moved)
