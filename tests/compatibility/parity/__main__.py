"""Compares this checkout with the published 2.16.2, and writes `docs/compatibility.md` and
`docs/identical.md`.

With `--check` it writes nothing, and fails if a page is out of date.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from difflib import unified_diff
from pathlib import Path

from benchmarks.environments import OWN_PYTHON, python_of

from .compare import Facts, compare
from .document import pages
from .reasons import REASONS

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"


def collect(python: str | Path) -> Facts:
    done = subprocess.run(
        [str(python), "-m", "tests.compatibility.parity.collect"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    )
    facts: Facts = json.loads(done.stdout)
    return facts


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.compatibility.parity", description=__doc__
    )
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    with ThreadPoolExecutor() as pool:
        published, ours = pool.map(collect, (python_of("httpcore2", OWN_PYTHON), sys.executable))
    result = compare(published, ours, REASONS)
    for difference in result.unexplained:
        print(f"No reason for {difference.section}: {difference.item} {difference.runtimes}")
        print(f"    2.16.2 {difference.published}\n    ours   {difference.ours}\n")
    for reason in result.unused:
        print(f"No difference for the reason: {reason.title}")
    if result.unexplained or result.unused:
        raise SystemExit(
            f"{len(result.unexplained)} differences have no reason in tests/compatibility/parity/reasons.py, "
            f"and {len(result.unused)} reasons have no difference."
        )
    for name, page in pages(result, ours).items():
        path = DOCS / name
        if not arguments.check:
            path.write_text(page)
            continue
        lines = path.read_text().splitlines() if path.exists() else []
        changes = list(unified_diff(lines, page.splitlines(), "current", "expected"))
        if changes:
            print(*changes, sep="\n")
            raise SystemExit(
                f"{path.relative_to(ROOT)} is out of date: `scripts/hatch run parity:write`"
            )
    print(
        f"{sum(result.identical.values())} facts are identical, {len(result.different)} kinds of difference."
    )


if __name__ == "__main__":
    main()
