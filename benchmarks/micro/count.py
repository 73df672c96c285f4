"""The number of instructions of an operation, counted by valgrind. It is the same on a busy machine.

Each workload runs in two processes, with few and with many operations. The difference of the counts is that of the
operations alone. It does not include the kernel.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .workloads import WORKLOADS

_FEW, _MANY = 50, 250
_find_count = re.compile(r"I +refs: +([0-9,]+)").search


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench:count", description=__doc__)
    parser.add_argument(
        "workloads", nargs="*", help=f"the workloads to count, of {', '.join(WORKLOADS)}"
    )
    parser.add_argument("--save", type=Path, help="a file to write the counts to")
    parser.add_argument("--against", type=Path, help="saved counts to compare with")
    parser.add_argument("--once", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    names: list[str] = arguments.workloads or list(WORKLOADS)
    if unknown := set(names) - set(WORKLOADS):
        parser.error(f"unknown workloads: {', '.join(sorted(unknown))}")
    if arguments.once is not None:
        _run(names[0], arguments.once)
        return
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise SystemExit("valgrind is not installed (Debian: apt-get install valgrind)")
    before: dict[str, float] = {}
    if arguments.against is not None:
        before = json.loads(arguments.against.read_text())
    counts: dict[str, float] = {}
    print(f"{'':29} {'instructions':>12}" + f" {'before':>12} {'change':>8}" * bool(before))
    with ThreadPoolExecutor(os.cpu_count()) as executor:
        futures = {
            (name, times): executor.submit(_count, valgrind, name, times)
            for name in names
            for times in (_FEW, _MANY)
        }
        for name in names:
            difference = futures[name, _MANY].result() - futures[name, _FEW].result()
            counts[name] = difference / (_MANY - _FEW)
            line = f"{name:29} {counts[name]:12,.0f}"
            if name in before:
                line += f" {before[name]:12,.0f} {counts[name] / before[name] - 1:+8.1%}"
            print(line, flush=True)
    if arguments.save is not None:
        arguments.save.write_text(json.dumps(counts, indent=1) + "\n")


def _count(valgrind: str, name: str, times: int) -> int:
    command = [valgrind, "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
    command += [sys.executable, "-m", __spec__.name, name, "--once", str(times)]
    # Without randomised hashes, so that sets have the same order in each process.
    variables = {**os.environ, "PYTHONHASHSEED": "0"}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    found = _find_count(done.stderr)
    if done.returncode or found is None:
        raise SystemExit(f"{name}: {done.stderr.strip().splitlines()[-1]}")
    return int(found[1].replace(",", ""))


def _run(name: str, times: int) -> None:
    with WORKLOADS[name]() as run:
        run(100)  # the interpreter has specialised the code, and caches have their size
        gc.disable()
        run(times)


if __name__ == "__main__":
    main()
