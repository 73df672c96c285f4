"""Virtual environments with the built wheels, each for one Python.

Rules: this project's distributions come from `dist/` only, all others from the package index of pip's settings, which
uv uses, too. No package of the current process is visible inside.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from functools import cache
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DIST = ROOT / "dist"
PYTHONS = ("3.11", "3.12", "3.13", "3.14", "3.15")
OWN_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
IN_ALL = (
    "httpcore2",
    "httpcore2-asyncio",
    "httpcore2-cli",
    "httpcore2-core",
    "httpcore2-http2",
    "httpcore2-http3",
    "httpcore2-opentelemetry",
    "httpcore2-trio",
)
"""The distributions that `httpcore2[all]` installs."""

DISTRIBUTIONS = (*IN_ALL, "pytest-httpcore2")
LIMIT = 120.0
"""Seconds for one command, which may download packages."""

each_python = pytest.mark.parametrize("python", PYTHONS)


@cache
def version() -> str:
    """Return the version of the working tree, which the wheels must have."""
    return run([sys.executable, str(ROOT / "scripts" / "version.py")]).stdout.strip()


@cache
def wheel_of(distribution: str) -> Path:
    path = DIST / f"{distribution.replace('-', '_')}-{version()}-py3-none-any.whl"
    assert path.exists(), "run scripts/hatch run build:all first"
    return path


@cache
def files_of(path: Path) -> dict[str, bytes]:
    """Return the files of a wheel or an sdist; the names in an sdist are relative to its folder."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            return {name: wheel.read(name) for name in wheel.namelist()}
    found = {}
    with tarfile.open(path) as sdist:
        for member in sdist:
            file = sdist.extractfile(member)
            assert file, f"{member.name} is not a file"
            found[member.name.partition("/")[2]] = file.read()
    return found


def run(
    command: list[str],
    *,
    folder: Path = ROOT,
    succeeds: bool = True,
    environment: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command in a minimal process environment; if it fails, print its output."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    inherited.pop("VIRTUAL_ENV", None)
    done = subprocess.run(
        command,
        cwd=folder,
        env={**inherited, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert (done.returncode == 0) is succeeds, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


@cache
def interpreter(python: str) -> str:
    """Return the interpreter of a version; if it is missing, skip the test, as `scripts/test` does."""
    script = f'. "{ROOT}/scripts/_python.sh" && find_python {python}'
    found = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    if found.returncode != 0:
        pytest.skip(f"there is no Python {python}")
    return found.stdout.strip()


@cache
def _index() -> dict[str, str]:
    """Return pip's settings of the package index, as environment variables of uv."""
    url = os.environ.get("PIP_INDEX_URL") or _setting("index-url")
    return {"UV_DEFAULT_INDEX": url} if url else {}


def _setting(name: str) -> str:
    command = [sys.executable, "-m", "pip", "config", "get", f"global.{name}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def run_uv(*arguments: str, succeeds: bool = True) -> subprocess.CompletedProcess[str]:
    return run(
        [str(Path(sys.executable).parent / "uv"), *arguments],
        succeeds=succeeds,
        environment={**_index(), "UV_PYTHON_DOWNLOADS": "never"},
    )


class Environment:
    """A virtual environment, empty at first. It replaces an earlier one in the same folder."""

    def __init__(self, folder: Path, python: str) -> None:
        self.folder = folder
        self.python = folder / "bin" / "python"
        run_uv("venv", "--quiet", "--clear", "--python", interpreter(python), str(folder))
        (self.packages,) = folder.glob("lib/python*/site-packages")

    def install(self, *requirements: str, links: Path = DIST) -> None:
        """Install requirements, with this project's distributions from the folder `links`."""
        run_uv(
            *("pip", "install", "--quiet", "--python", str(self.python)),
            *("--find-links", str(links), *requirements),
        )

    def uninstall(self, *names: str) -> None:
        run_uv("pip", "uninstall", "--quiet", "--python", str(self.python), *names)

    def shell(self, command: str, folder: Path | None = None) -> None:
        """Run a command as in the activated environment; pip must be installed in it."""
        links = f"{os.environ.get('PIP_FIND_LINKS', '')} {DIST}"
        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        run(
            ["sh", "-ec", command],
            folder=folder or self.folder,
            # Some tools share one folder there between all processes.
            environment={"PATH": path, "PIP_FIND_LINKS": links.strip(), "TMPDIR": str(self.folder)},
        )

    def run(
        self,
        *arguments: str,
        folder: Path | None = None,
        environment: dict[str, str] | None = None,
    ) -> str:
        """Run its Python, with warnings as errors, and return the output."""
        # The next environment in the same folder uses this bytecode; compiling it is the slowest part of these tests.
        bytecode = {"PYTHONPYCACHEPREFIX": f"{self.folder}-bytecode"}
        return run(
            [str(self.python), "-W", "error", *arguments],
            folder=folder or self.folder,
            environment={**bytecode, **(environment or {})},
        ).stdout

    def check(self) -> None:
        """Check that the requirements of all installed distributions are met."""
        run_uv("pip", "check", "--quiet", "--python", str(self.python))

    def distributions(self) -> dict[str, PathDistribution]:
        """Return the versions of the installed distributions by their normalised names."""
        found = (PathDistribution(path) for path in self.packages.glob("*.dist-info"))
        return {re.sub(r"[-_.]+", "-", each.name).lower(): each for each in found}

    def ours(self) -> set[str]:
        """Return which of this project's distributions are installed; check that each is identical to its wheel."""
        names = set(DISTRIBUTIONS) & set(self.distributions())
        for name in names:
            for file, content in files_of(wheel_of(name)).items():
                # An installer adds its own lines to RECORD.
                assert file.endswith("/RECORD") or (self.packages / file).read_bytes() == content
        return names
