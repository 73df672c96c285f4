"""Test kits that mock requests: on this checkout, a mocked request is not sent to the network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import SHIM
from .install import KITS, ROOT, folder_of

FOLDER = Path(__file__).parent / "kits"


def test_each_kit_has_its_tests() -> None:
    scripts = {path.stem.removeprefix("with_") for path in FOLDER.glob("with_*.py")}
    assert scripts == {kit.replace("-", "_") for kit in KITS}


@pytest.mark.parametrize("kit", KITS)
def test_a_mocked_request_is_not_sent(kit: str) -> None:
    done = subprocess.run(
        [
            *(
                sys.executable,
                "-m",
                "pytest",
                f"tests/compatibility/dropin/kits/with_{kit.replace('-', '_')}.py",
            ),
            # The libraries' own warnings are not errors.
            *("-q", "-p", "no:cacheprovider", "-W", "default"),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (folder_of(kit), SHIM)))},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) >= 9
