"""The output of `scripts/test`, with a script in place of Hatch that the test controls."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
COMMANDS = [
    "awk",
    "cat",
    "dirname",
    "grep",
    "kill",
    "mkdir",
    "printf",
    "rm",
    "sh",
    "tail",
    "touch",
    "tr",
    "xargs",
]

# It writes to `started` when the first tests have ended, and waits for `end`.
HATCH = """\
#!/bin/sh
if [ "$1" != run ]; then exit; fi
if [ "$3" = test:cov ]; then echo "coverage $4"; exit; fi
printf 'collected 8 items\\n\\ntests/test_a.py ..F. [4/8]\\n'
echo >started
read -r _ <end
printf 'tests/test_b.py .... [8/8]\\n'
cat result
exit "$(cat status)"
"""
# It waits for the first tests instead of ten seconds.
SLEEP = "#!/bin/sh\nread -r _ <started\n"


class Script(NamedTuple):
    """A copy of `scripts/test` that runs, with one Python."""

    process: subprocess.Popen[str]
    folder: Path

    def lines(self) -> Iterator[str]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            yield line.rstrip("\n")

    def end(self) -> None:
        (self.folder / "end").write_text("\n")


@pytest.fixture
def script(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Script]:
    result, status = request.param
    (tmp_path / "scripts").mkdir()
    (tmp_path / "bin").mkdir()
    for name in ("test", "_python.sh"):
        shutil.copy(ROOT / "scripts" / name, tmp_path / "scripts")
    for path, text in (("scripts/hatch", HATCH), ("bin/sleep", SLEEP)):
        (tmp_path / path).write_text(text)
        (tmp_path / path).chmod(0o755)
    for command in COMMANDS:
        (tmp_path / "bin" / command).symlink_to(shutil.which(command) or pytest.fail(command))
    (tmp_path / "bin" / f"python{VERSION}").symlink_to(sys.executable)
    (tmp_path / "result").write_text(result)
    (tmp_path / "status").write_text(str(status))
    for name in ("started", "end"):
        os.mkfifo(tmp_path / name)
    environment = {key: value for key, value in os.environ.items() if "COV" not in key}
    with subprocess.Popen(
        [tmp_path / "scripts" / "test"],
        env={**environment, "PATH": str(tmp_path / "bin")},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        yield Script(process, tmp_path)
        # End the replacement of `sleep` if it still waits.
        os.close(os.open(tmp_path / "started", os.O_RDWR))


PASSED = "=== 8 passed, 1 skipped in 1.20s ==="
FAILED = "=== 1 failed, 7 passed in 61.00s (0:01:01) ==="
NOT_INSTALLED = "=== not installed ===\nnginx is not installed: 1 test skipped\n"


@pytest.mark.parametrize("script", [(f"{PASSED}\n", 0)], indirect=True)
def test_progress_and_the_end_of_each_run_are_printed(script: Script) -> None:
    lines = script.lines()
    assert next(lines) == f"Python {VERSION}: 4 of 8 tests, 50 %, 1 failed"
    script.end()
    assert next(lines) == f"Python {VERSION} has ended: {PASSED}"
    assert list(lines)[-1] == f"Python {VERSION}: {PASSED}"
    assert script.process.wait() == 0


@pytest.mark.parametrize("script", [(f"E  AssertionError\n{FAILED}\n", 1)], indirect=True)
def test_the_output_of_a_failed_run_is_printed(script: Script) -> None:
    script.end()
    lines = list(script.lines())
    assert "E  AssertionError" in lines
    assert lines[-1] == f"Python {VERSION}: {FAILED}"
    assert script.process.wait() == 1


@pytest.mark.parametrize("script", [(f"{NOT_INSTALLED}{PASSED}\n", 0)], indirect=True)
def test_missing_programs_and_pythons_are_listed_and_coverage_is_not_required(
    script: Script,
) -> None:
    script.end()
    text = "\n".join(script.lines())
    assert "coverage --fail-under=0" in text
    skipped = (
        r"Python \S+ is not installed: all its tests skipped\. For example: pyenv install \S+\n"
    )
    assert re.search(f"{NOT_INSTALLED}({skipped})+Python {VERSION}: ", text)
    assert script.process.wait() == 0
