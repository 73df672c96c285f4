"""Environments made from the built wheels, each for one Python.

Rules: our own distributions come from `dist/` alone, all else from the package index, which pip's settings name for
uv, too. Nothing that this process imports is visible inside.
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
DISTRIBUTIONS = (
    "httpcore2",
    "httpcore2-asyncio",
    "httpcore2-core",
    "httpcore2-http2",
    "httpcore2-trio",
)
LIMIT = 120.0
"""Seconds for one command; installing may download."""

each_python = pytest.mark.parametrize("python", PYTHONS)


@cache
def version() -> str:
    """The version of the working tree, which must be that of the wheels."""
    return run([sys.executable, str(ROOT / "scripts" / "version.py")]).stdout.strip()


@cache
def wheel_of(distribution: str) -> Path:
    path = DIST / f"{distribution.replace('-', '_')}-{version()}-py3-none-any.whl"
    assert path.exists(), "run scripts/hatch run build:all first"
    return path


@cache
def files_of(path: Path) -> dict[str, bytes]:
    """What a wheel or an sdist holds; an sdist's names without its folder."""
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
    """Run a command that knows of nothing but what it is given; show what it said if it fails."""
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
    """The interpreter of a version. One that is missing is skipped, as `scripts/test` does."""
    script = f'. "{ROOT}/scripts/_python.sh" && find_python {python}'
    found = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    if found.returncode != 0:
        pytest.skip(f"there is no Python {python}")
    return found.stdout.strip()


@cache
def _index() -> dict[str, str]:
    """Where pip looks for packages, told to uv."""
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
    """A virtual environment, empty at first. It takes the place of an earlier one in the same folder."""

    def __init__(self, folder: Path, python: str) -> None:
        self.folder = folder
        self.python = folder / "bin" / "python"
        run_uv("venv", "--quiet", "--clear", "--python", interpreter(python), str(folder))
        (self.packages,) = folder.glob("lib/python*/site-packages")

    def install(self, *requirements: str, links: Path = DIST) -> None:
        """Install, with our own distributions from the folder `links`."""
        run_uv(
            *("pip", "install", "--quiet", "--python", str(self.python)),
            *("--find-links", str(links), *requirements),
        )

    def uninstall(self, *names: str) -> None:
        run_uv("pip", "uninstall", "--quiet", "--python", str(self.python), *names)

    def shell(self, command: str, folder: Path | None = None) -> None:
        """Run a command as a user would who has activated the environment; pip must be in it."""
        links = f"{os.environ.get('PIP_FIND_LINKS', '')} {DIST}"
        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        run(
            ["sh", "-ec", command],
            folder=folder or self.folder,
            # Some tools have one folder there for all that run.
            environment={"PATH": path, "PIP_FIND_LINKS": links.strip(), "TMPDIR": str(self.folder)},
        )

    def run(
        self,
        *arguments: str,
        folder: Path | None = None,
        environment: dict[str, str] | None = None,
    ) -> str:
        """Run its Python, where a warning is an error, and return what that printed."""
        # Bytecode outlives the environment, for the next one in its place: compiling it takes longer than all else.
        bytecode = {"PYTHONPYCACHEPREFIX": f"{self.folder}-bytecode"}
        return run(
            [str(self.python), "-W", "error", *arguments],
            folder=folder or self.folder,
            environment={**bytecode, **(environment or {})},
        ).stdout

    def check(self) -> None:
        """Every requirement of what is installed is met."""
        run_uv("pip", "check", "--quiet", "--python", str(self.python))

    def distributions(self) -> dict[str, PathDistribution]:
        """What is installed, by name as the index spells it."""
        found = (PathDistribution(path) for path in self.packages.glob("*.dist-info"))
        return {re.sub(r"[-_.]+", "-", each.name).lower(): each for each in found}

    def ours(self) -> set[str]:
        """Which of our distributions are installed, each of them as it was built, to the byte."""
        names = set(DISTRIBUTIONS) & set(self.distributions())
        for name in names:
            for file, content in files_of(wheel_of(name)).items():
                # An installer adds its own lines to that one.
                assert file.endswith("/RECORD") or (self.packages / file).read_bytes() == content
        return names
