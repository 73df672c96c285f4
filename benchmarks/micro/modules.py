"""The bytecode instructions that each module executes for an operation: where the instructions of `count` go.

A bytecode instruction takes 25 instructions of the processor on average, and a call some 300 more. Those of functions
in C are not counted.
"""

from __future__ import annotations

import argparse
import gc
import sys
from collections import Counter
from pathlib import Path
from types import CodeType

from .workloads import WORKLOADS

_TIMES = 100


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench:modules", description=__doc__)
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("--functions", action="store_true", help="count each function by itself")
    arguments = parser.parse_args()
    counts, calls = _count(arguments.workload)
    totals: Counter[str] = Counter()
    total_calls: Counter[str] = Counter()
    for code, count in counts.items():
        path = Path(code.co_filename)
        name = f"{path.parent.name}/{path.name}"
        if arguments.functions:
            name += f" {code.co_qualname}"
        totals[name] += count
        total_calls[name] += calls[code]
    print(f"{'instructions':>12} {'calls':>8}")
    for name, count in totals.most_common():
        print(f"{count / _TIMES:12,.1f} {total_calls[name] / _TIMES:8,.1f}  {name}")
    print(f"{totals.total() / _TIMES:12,.1f} {total_calls.total() / _TIMES:8,.1f}  in total")


if sys.version_info >= (3, 12):

    def _count(workload: str) -> tuple[Counter[CodeType], Counter[CodeType]]:
        """Return the bytecode instructions of each function, and how often it is called, in `_TIMES` operations."""
        counts: Counter[CodeType] = Counter()
        calls: Counter[CodeType] = Counter()

        def on_instruction(code: CodeType, _: int) -> None:
            counts[code] += 1

        def on_start(code: CodeType, _: int) -> None:
            calls[code] += 1

        monitoring = sys.monitoring
        tool = monitoring.PROFILER_ID
        events = monitoring.events
        with WORKLOADS[workload]() as run:
            run(_TIMES)  # caches have their size
            gc.disable()
            monitoring.use_tool_id(tool, "modules")
            monitoring.register_callback(tool, events.INSTRUCTION, on_instruction)
            monitoring.register_callback(tool, events.PY_START, on_start)
            monitoring.set_events(tool, events.INSTRUCTION | events.PY_START)
            run(_TIMES)
            monitoring.set_events(tool, 0)
            monitoring.free_tool_id(tool)
            gc.enable()
        return counts, calls

else:

    def _count(workload: str) -> tuple[Counter[CodeType], Counter[CodeType]]:
        raise SystemExit("sys.monitoring needs Python 3.12 or later")


if __name__ == "__main__":
    main()
