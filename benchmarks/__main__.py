"""The command line of the benchmarks.

run       measure clients in turns, print tables, write JSON and plots
plot      draw the plots of a run again
publish   update the documentation from a run
compare   print the changes between two runs
profile   write a flame graph of one case
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import machine, plot, profile, publish, report
from benchmarks.cases import CASES, THIS, Case
from benchmarks.clients import KINDS
from benchmarks.environments import OWN_PYTHON, ROOT, Missing, python_of
from benchmarks.rounds import Entrant, Environment, Plan, entrants, run_case
from benchmarks.server import running

SHORT = Plan(rounds=3, seconds=0.4, patience=15)
LONG = Plan(rounds=7, seconds=0.8, patience=60)
OUTPUT = ROOT / ".tools" / "bench"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)

    command = commands.add_parser("run", help="measure clients in turns")
    command.add_argument("--long", action="store_true", help="all cases, all clients, more rounds")
    command.add_argument(
        "--case", action="append", choices=report.CASES_BY_NAME, help="the cases to measure"
    )
    command.add_argument(
        "--client", action="append", choices=KINDS, help="the clients to compare with"
    )
    command.add_argument(
        "--python", action="append", help=f"the Pythons to measure on ({OWN_PYTHON})"
    )
    command.add_argument("--rounds", type=int)
    command.add_argument("--seconds", type=float, help="the length of each round")
    command.add_argument("--output", type=Path, default=OUTPUT, help="folder for JSON and plots")
    command.add_argument(
        "--into",
        type=Path,
        metavar="JSON",
        help="a run to resume: of its cases only those that --case names are measured again",
    )
    command.set_defaults(do=run)

    command = commands.add_parser("plot", help="draw the plots of a run again")
    command.add_argument("results", type=Path, help="the JSON of a run")
    command.add_argument("folder", type=Path, help="the folder for the plots")
    command.set_defaults(do=draw)

    command = commands.add_parser("publish", help="update the documentation from a run")
    command.add_argument("results", type=Path, help="the JSON of a long run")
    command.set_defaults(do=lambda arguments: publish.publish(arguments.results))

    command = commands.add_parser("compare", help="print the changes between two runs")
    command.add_argument("before", type=Path)
    command.add_argument("after", type=Path)
    command.set_defaults(do=compare)

    command = commands.add_parser("profile", help="write a flame graph of one case")
    command.add_argument("case", choices=report.CASES_BY_NAME)
    command.add_argument("--client", default=THIS, choices=KINDS)
    command.add_argument("--seconds", type=float, default=5)
    command.add_argument(
        "--format", default="flamegraph", choices=("flamegraph", "speedscope", "raw")
    )
    command.add_argument(
        "--native",
        action="store_true",
        help="include the frames of C code, as far as they are known",
    )
    command.add_argument("--output", type=Path, default=OUTPUT)
    command.set_defaults(do=profile.run)

    arguments = parser.parse_args()
    # SIGTERM ends the server, too.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    arguments.do(arguments)


def run(arguments: argparse.Namespace) -> None:
    plan = LONG if arguments.long else SHORT
    plan = Plan(arguments.rounds or plan.rounds, arguments.seconds or plan.seconds, plan.patience)
    names = arguments.case
    cases = [
        case for case in CASES if (case.name in names if names else arguments.long or case.is_daily)
    ]
    earlier: dict[str, Any] | None = None
    if arguments.into is not None:
        earlier = json.loads(arguments.into.read_text())
        if (arguments.python or [earlier["python"]]) != [earlier["python"]]:
            raise SystemExit(f"{arguments.into} was measured on Python {earlier['python']}.")
        if not names:
            cases = [case for case in cases if case.name not in earlier["cases"]]
        arguments.python = [earlier["python"]]
        if not cases:
            raise SystemExit(f"{arguments.into} has all of these cases.")
    for version in arguments.python or [OWN_PYTHON]:
        _run_on(version, cases, plan, arguments, earlier)


def _clients_for(case: Case, arguments: argparse.Namespace) -> list[str]:
    if arguments.client:
        return list(arguments.client)
    # A case that is not daily was named on the command line, or the run is long.
    wide = arguments.long or not case.is_daily
    return [name for name in KINDS if name in case.clients or (wide and name in case.others)]


def _run_on(
    version: str,
    cases: list[Case],
    plan: Plan,
    arguments: argparse.Namespace,
    earlier: dict[str, Any] | None,
) -> None:
    began = time.monotonic()
    planned = [(case, entrants(case, _clients_for(case, arguments), version)) for case in cases]
    pythons, missing = _prepare([entrant for _, found in planned for entrant in found])
    if (None, version) not in pythons:
        return
    now = datetime.now(UTC).isoformat(timespec="seconds")
    written: Path = arguments.into or (
        arguments.output / f"{now.replace(':', '').partition('+')[0]}-py{version}.json"
    )
    written.parent.mkdir(parents=True, exist_ok=True)
    _, core = machine.cores()
    with running(cases, core) as server:
        results: dict[str, Any] = earlier or {"python": version, "runs": [], "cases": {}}
        results["runs"].append(
            {
                "when": now,
                "commit": _commit(),
                "server": server.name,
                "machine": machine.describe(),
                "versions": {
                    f"{environment or THIS} on {python}": _versions(path)
                    for (environment, python), path in pythons.items()
                },
                "missing": missing,
                "rounds": plan.rounds,
                "seconds": plan.seconds,
                "cases": [case.name for case in cases],
            }
        )
        print(
            f"Python {version}, {server.name}, medians of {plan.rounds} rounds of {plan.seconds} s. "
            "ratio: how many times faster this\nhttpcore2 is, or smaller; of CPU: the same by CPU time, "
            "which counts where other work shares the machine.\n"
        )
        for case, found in planned:
            able = [entrant for entrant in found if entrant.needs in pythons]
            outcome = run_case(case, able, pythons, server, plan)
            results["cases"][case.name] = {
                entrant.label: outcome[entrant.label] for entrant in able
            }
            # Written after each case, so that an interrupted run can be resumed.
            _save(results, written)
            print("\n".join(report.table(case, results["cases"][case.name])) + "\n", flush=True)
    for line in report.goals(results["cases"]):
        print(line)
    plots = plot.draw(results, written.parent)
    print(f"\n{time.monotonic() - began:.0f} s. Results: {written}; {len(plots)} plots beside it.")


def _prepare(
    taking_part: Sequence[Entrant],
) -> tuple[dict[Environment, Path], dict[str, str]]:
    """Return the interpreter of each client, and the reasons for missing ones."""
    pythons: dict[Environment, Path] = {}
    missing: dict[str, str] = {}
    for environment, kind in {entrant.needs: entrant.kind for entrant in taking_part}.items():
        try:
            pythons[environment] = python_of(*environment)
        except Missing as exc:
            label = f"{kind.label} on Python {environment[1]}"
            missing[label] = str(exc)
            print(f"{label} is skipped: {exc}")
    return pythons, missing


def _save(results: dict[str, Any], path: Path) -> None:
    """Write the file atomically, so that an interruption leaves the former one."""
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(results, indent=1) + "\n")
    draft.replace(path)


def _commit() -> str:
    done = subprocess.run(
        ["git", "-C", str(ROOT), "describe", "--always", "--dirty"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip()


def _versions(python: Path) -> dict[str, str]:
    """Return the versions of the installed packages."""
    statement = (
        "import json; from importlib.metadata import distributions;"
        "print(json.dumps({d.name: d.version for d in distributions()}))"
    )
    done = subprocess.run(
        [python, "-c", statement], capture_output=True, text=True, check=True, cwd=ROOT
    )
    versions: dict[str, str] = json.loads(done.stdout)
    return versions


def draw(arguments: argparse.Namespace) -> None:
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for path in plot.draw(json.loads(arguments.results.read_text()), arguments.folder):
        print(path)


def compare(arguments: argparse.Namespace) -> None:
    before, after = (json.loads(path.read_text()) for path in (arguments.before, arguments.after))
    for line in report.compare(before, after):
        print(line)


if __name__ == "__main__":
    main()
