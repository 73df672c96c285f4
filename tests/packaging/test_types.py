"""The types of the public interface, checked by pyright where the wheels are installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from .environments import DISTRIBUTIONS, OWN_PYTHON, Environment, run, version

pytestmark = pytest.mark.xdist_group("types")

PYRIGHT = str(Path(sys.executable).parent / "pyright")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    made = Environment(tmp_path_factory.mktemp("types") / "environment", OWN_PYTHON)
    made.install(f"httpcore2[all]=={version()}", f"pytest-httpcore2=={version()}")
    return made


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_every_public_type_is_complete(distribution: str, installed: Environment) -> None:
    name = distribution.replace("-", "_")
    done = run(
        [PYRIGHT, "--verifytypes", name, "--ignoreexternal"],
        folder=installed.folder,
        # pyright runs the first Python on the PATH.
        environment={"PATH": str(installed.folder / "bin")},
    )
    assert "Type completeness score: 100%" in done.stdout
