"""Requests a second of this checkout and of the published httpcore2 2.16.2, against nginx, in one run.

The two take turns, each in a process and an environment of its own, on one core; nginx has another.
Machines are noisy: the ratio of the medians is what counts, not the figures.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks.published import PUBLISHED, published_python
from benchmarks.server import nginx

CASES = {
    "asyncio": ("asyncio", 16),
    "uvloop": ("uvloop", 16),
    "trio": ("trio", 16),
    "anyio": ("anyio", 16),
    "one thread": ("threads", 1),
    "16 threads": ("threads", 16),
}
ROOT = Path(__file__).parent.parent


def measure(python: str | Path, case: str, url: str, size: int, seconds: float) -> dict[str, float]:
    runtime, concurrency = CASES[case]
    command = [python, ROOT / "benchmarks" / "client.py", runtime, url]
    command += ["--size", str(size), "--concurrency", str(concurrency)]
    command += ["--seconds", str(seconds), "--core", "0"]
    done = subprocess.run(
        [str(part) for part in command], check=True, stdout=subprocess.PIPE, text=True
    )
    result: dict[str, float] = json.loads(done.stdout)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--case", action="append", choices=CASES, help="which; all by default")
    parser.add_argument("--size", type=int, default=1024, help="bytes of a body (default: 1024)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each round")
    arguments = parser.parse_args()

    clients: dict[str, str | Path] = {"this": sys.executable, PUBLISHED: published_python()}
    python = sys.version.split()[0]
    print(f"GET {arguments.size} bytes, Python {python}, medians of {arguments.rounds} rounds\n")
    columns = f" {'spread':>7} {'CPU µs':>7}  "
    print(f"{'':12} {'requests/s':>12}{columns} {PUBLISHED:>12}{columns} ratio")
    with nginx(arguments.size) as url:
        for case in arguments.case or CASES:
            results: dict[str, list[dict[str, float]]] = {name: [] for name in clients}
            for _ in range(arguments.rounds):
                for name, interpreter in clients.items():
                    results[name].append(
                        measure(interpreter, case, url, arguments.size, arguments.seconds)
                    )
            line = f"{case:12}"
            medians = []
            for rounds in results.values():
                rates = [result["rps"] for result in rounds]
                median = statistics.median(rates)
                medians.append(median)
                spread = (max(rates) - min(rates)) / median
                cpu = statistics.median(result["cpu_us"] for result in rounds)
                line += f" {median:12,.0f} {spread:6.0%} {cpu:7.0f}  "
            print(f"{line} {medians[0] / medians[1]:5.2f}x", flush=True)


if __name__ == "__main__":
    main()
