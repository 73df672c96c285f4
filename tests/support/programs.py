"""Finds the programs that tests start, and names the Debian packages that contain them. Python packages are apart.

Rules: a helper calls `require` before it creates anything, so that a skipped test leaves nothing behind. A missing
program fails the test in CI, and skips it elsewhere. The table is `programs.txt`, a program and its package on each
line, since `.ci/run` reads it, too.
Must not know: how a program is started.
"""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

PACKAGES = dict(
    line.split() for line in Path(__file__).with_suffix(".txt").read_text().splitlines()
)
"""The Debian package of each program."""


def find(program: str) -> str | None:
    """Return the path of a program, or `None` if it is not installed."""
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    # Debian keeps servers in /usr/sbin, which only root has on the PATH.
    folders += [f"{folder[:-3]}sbin" for folder in folders if folder.endswith("/bin")]
    return shutil.which(program, path=os.pathsep.join(folders))


def require(program: str) -> str:
    """Return the path of a program; without it, skip the test, or fail in CI."""
    return find(program) or missing(program)


def missing(name: str) -> NoReturn:
    """Fail in CI, or skip the test, because a program or package is not installed."""
    if os.environ.get("CI"):
        pytest.fail(f"{name} is not installed")
    pytest.skip(f"{name} is not installed")


def summary(reasons: Iterable[str]) -> Iterator[str]:
    """Say how many tests were skipped for each missing program, and how to install all of them.

    Args:
        reasons: the reason of each skipped test; those that `missing()` did not write are ignored.
    """
    found = (re.fullmatch(r"(?:Skipped: )?(\S+) is not installed", each) for each in reasons)
    counts = Counter(match[1] for match in found if match)
    for name, count in sorted(counts.items()):
        yield f"{name} is not installed: {count} {'test' if count == 1 else 'tests'} skipped"
    if counts.keys() & PACKAGES.keys():
        packages = sorted(PACKAGES[program] for program in PACKAGES if find(program) is None)
        yield f"On Debian: apt-get install --no-install-recommends {' '.join(packages)}"
