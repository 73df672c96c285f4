"""The programs that tests start, Python packages apart: where they are, and which Debian packages have them.

Rules: a helper looks here before it makes anything, so that a skipped test leaves nothing behind. A missing program is
a failure in CI, and skips the test elsewhere. The table is `programs.txt`, one program and its package a line, since
`.ci/run` reads it, too.
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


def missing(what: str) -> NoReturn:
    """Fail in CI, or skip the test, as something is not installed."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is not installed")
    pytest.skip(f"{what} is not installed")


def summary(reasons: Iterable[str]) -> Iterator[str]:
    """Say how many tests were skipped for want of what, and how to install all that is missing.

    Args:
        reasons: why tests were skipped, one for each test; those that are not `missing()` are left out.
    """
    found = (re.fullmatch(r"(?:Skipped: )?(\S+) is not installed", each) for each in reasons)
    counts = Counter(match[1] for match in found if match)
    for what, count in sorted(counts.items()):
        yield f"{what} is not installed: {count} {'test' if count == 1 else 'tests'} skipped"
    if counts.keys() & PACKAGES.keys():
        packages = sorted(PACKAGES[program] for program in PACKAGES if find(program) is None)
        yield f"On Debian: apt-get install --no-install-recommends {' '.join(packages)}"
