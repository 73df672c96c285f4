"""The environments of the clients, which Hatch makes from `hatch.toml`.

A client that cannot be installed is reported and skipped.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
OWN_PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"


class Missing(Exception):
    """The environment could not be made; the message says why."""


def python_of(environment: str | None, version: str) -> Path:
    """Return the interpreter of a client's environment, made on first use.

    Args:
        environment: its name in the matrix of `hatch.toml`, or `None` for the one with this httpcore2.
        version: the version of Python, such as "3.13".

    Raises:
        Missing: the environment could not be made.
    """
    if environment is None and version == OWN_PYTHON:
        return Path(sys.executable)
    name = f"bench-this.py{version}"
    if environment is not None:
        name = f"bench-client.py{version}-{environment}"
    # The interpreter may not be on PATH, or behind a shim that fails.
    variables = {**os.environ, "PATH": f"{_folder_of(version)}:{os.environ['PATH']}"}
    done = subprocess.run(
        [ROOT / "scripts" / "hatch", "run", f"{name}:python", "-c", _PRINT],
        env=variables,
        capture_output=True,
        check=False,
        text=True,
    )
    if done.returncode:
        raise Missing(_reason(done.stdout + done.stderr))
    return Path(done.stdout.split()[-1])


def _folder_of(version: str) -> Path:
    if version == OWN_PYTHON:
        return Path(sys.base_prefix) / "bin"
    command = f'. "{ROOT}/scripts/_python.sh" && find_python {version}'
    done = subprocess.run(["sh", "-c", command], capture_output=True, check=False, text=True)
    if done.returncode:
        raise Missing(f"there is no Python {version}")
    return Path(done.stdout.strip()).parent


_PRINT = "import sys; print(sys.executable)"


def _reason(output: str) -> str:
    """Return the line of the output that most likely has the reason."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return (errors or lines or ["no reason given"])[-1]
