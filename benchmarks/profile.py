"""A flame graph of one case: py-spy samples a client during a round."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from benchmarks import machine
from benchmarks.clients import KINDS
from benchmarks.environments import OWN_PYTHON, Missing, python_of
from benchmarks.report import CASES_BY_NAME, label_of
from benchmarks.rounds import Entrant, Failed, Worker, job_for
from benchmarks.server import running
from benchmarks.worker import Order


def run(arguments: argparse.Namespace) -> None:
    """Profile a case. `bench:profile --help` lists the arguments."""
    case = CASES_BY_NAME[arguments.case]
    kind = KINDS[arguments.client]
    if not kind.can(case) or case.operation == "import":
        raise SystemExit(f"{kind.label} does not support the case {case.name}.")
    spy = shutil.which("py-spy", path=str(Path(sys.executable).parent))
    if spy is None:
        raise SystemExit(
            "py-spy is not installed: run this through `scripts/hatch run bench:profile`."
        )
    arguments.output.mkdir(parents=True, exist_ok=True)
    suffix = {"flamegraph": "svg", "speedscope": "json", "raw": "txt"}[arguments.format]
    written = arguments.output / f"profile-{case.name}-{arguments.client}.{suffix}"
    core, server_core = machine.cores()
    wrap = [spy, "record", "--rate", "500", "--format", arguments.format]
    wrap += ["--native"] if arguments.native else []
    wrap += ["--output", str(written), "--"]
    try:
        python = python_of(kind.environment, OWN_PYTHON)
        with (
            running([case], server_core) as server,
            Worker(
                python, job_for(Entrant("", kind, case, OWN_PYTHON), server, core), 30, wrap
            ) as worker,
        ):
            worker.wait_until_ready()
            least = max(case.tasks, case.origins)
            worker.do(Order(0.1, least=least, is_warm_up=True))
            result = worker.do(Order(arguments.seconds))
            worker.finish()
    except (Failed, Missing) as exc:
        raise SystemExit(f"{label_of(arguments.client)}: {exc}") from exc
    if not written.exists():
        raise SystemExit("py-spy wrote nothing. It may need more permissions on this system.")
    print(f"{case.title}: {result.get('requests', 0):,.0f} requests were profiled: {written}")
