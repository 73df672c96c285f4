"""Which Python runs a client: Hatch makes the environments (`hatch.toml`), here they are asked for.

A client that can't be installed is told, and left out.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
OWN_PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"


class Missing(Exception):
    """The environment could not be made; says why."""


def python_of(environment: str | None, version: str) -> Path:
    """Return the interpreter of a client's environment, made when it is first asked for.

    Args:
        environment: as in the matrix of `hatch.toml`, or `None` for the one that has this httpcore2.
        version: of Python, such as "3.13".

    Raises:
        Missing: it could not be made.
    """
    if environment is None and version == OWN_PYTHON:
        return Path(sys.executable)
    name = f"bench-this.py{version}"
    if environment is not None:
        name = f"bench-client.py{version}-{environment}"
    # The interpreter may be on no path, or behind a shim that fails.
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
    """Return the line that most likely says what went wrong."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return (errors or lines or ["no reason given"])[-1]
