"""Runs cases: starts a process for each client, and measures them in turns.

Other load on the machine then affects all clients alike. A client that fails or hangs is reported and skipped.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Timer
from types import TracebackType
from typing import Any, Self

from benchmarks import machine
from benchmarks.cases import THIS, Case
from benchmarks.clients import KINDS, Kind
from benchmarks.environments import ROOT
from benchmarks.server import Server
from benchmarks.worker import Job, Order

Result = dict[str, float]


Environment = tuple[str | None, str]
"""The environment of a client, and the version of Python."""

Pythons = Mapping[Environment, Path]
"""The interpreter of each environment."""


class Failed(Exception):
    """A client failed; the message says why."""


@dataclass(frozen=True)
class Entrant:
    """A client with the parameters by which it takes part in a case."""

    label: str
    kind: Kind
    case: Case
    python: str

    @property
    def needs(self) -> Environment:
        return self.kind.environment, self.python


def entrants(case: Case, clients: Sequence[str], python: str) -> list[Entrant]:
    """Return this httpcore2, its variants, and those of `clients` that support the case."""
    this = KINDS[THIS]
    found = [Entrant(THIS, this, case, python)]
    found += [
        Entrant(f"this on {other}", this, case, other) for other in case.pythons if other != python
    ]
    found += [
        Entrant(label, this, case.variant(changes), python) for label, changes in case.variants
    ]
    for name in clients:
        kind = KINDS[name]
        falls_back = name in case.clients and not kind.http2
        own = case.variant({"http2": False}) if falls_back else case
        if name != THIS and kind.can(own):
            found.append(Entrant(name, kind, own, python))
    return found


@dataclass(frozen=True)
class Plan:
    """The length of a run.

    Attributes:
        rounds: the number of rounds of each client.
        seconds: the length of each round.
        patience: the seconds that a client may take beyond the length of a round.
    """

    rounds: int
    seconds: float
    patience: float


class Worker:
    """The process of a client."""

    def __init__(self, python: Path, job: Job, patience: float, wrap: Sequence[str] = ()) -> None:
        """Start the process.

        Args:
            python: the interpreter of the client's environment.
            job: the client and the case.
            patience: the seconds until it must be ready.
            wrap: the command that runs the interpreter, such as a profiler.
        """
        self._process = subprocess.Popen(
            [*wrap, str(python), "-m", "benchmarks.worker", json.dumps(asdict(job))],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._patience = patience

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert pipe is not None, "all three are pipes"
            try:
                pipe.close()
            except OSError:
                pass  # an order that it did not read

    def wait_until_ready(self) -> None:
        self._answer(self._patience)

    def do(self, order: Order) -> Result:
        """Run a round.

        Raises:
            Failed: the client failed, or took too long.
        """
        assert self._process.stdin is not None, "it is a pipe"
        try:
            self._process.stdin.write(json.dumps(asdict(order)) + "\n")
            self._process.stdin.flush()
        except OSError as exc:
            raise Failed(f"the process has ended: {exc}") from exc
        return self._answer(order.seconds + self._patience)

    def finish(self) -> None:
        """Wait for the end of the process."""
        assert self._process.stdin is not None, "it is a pipe"
        self._process.stdin.close()
        self._process.wait()

    def _answer(self, limit: float) -> dict[str, Any]:
        assert self._process.stdout is not None, "it is a pipe"
        timer = Timer(limit, self._process.kill)
        timer.start()
        try:
            line = self._process.stdout.readline()
            while line and not line.startswith("{"):  # output of the profiler
                line = self._process.stdout.readline()
        finally:
            timer.cancel()
        if not line:
            if timer.finished.is_set() and self._process.wait() < 0:
                raise Failed(f"no result within {limit:.0f} seconds")
            errors = self._process.stderr.read().strip() if self._process.stderr else ""
            raise Failed(errors.splitlines()[-1] if errors else "the process ended without output")
        try:
            answer: dict[str, Any] = json.loads(line)
        except ValueError:
            raise Failed(f"unexpected output: {line.strip()!r}") from None
        if "error" in answer:
            raise Failed(answer["error"])
        return answer


def job_for(entrant: Entrant, server: Server, core: int | None) -> Job:
    """Return the job of a worker.

    Raises:
        Failed: the server does not support the case.
    """
    case = entrant.case
    origins = [server.tls if case.tls else server.plain]
    if case.http2:
        origin = server.http2.get((case.server, case.tls))
        if origin is None:
            raise Failed(f"{case.server} is not installed")
        origins = [origin]
    elif case.origins > 1:
        if len(server.origins) < case.origins:
            raise Failed("so many loopback addresses need Linux and nginx")
        origins = list(server.origins[: case.origins])
    proxy = {"forward": server.plain, "tunnel": server.tunnel}[case.proxy] if case.proxy else None
    if case.proxy and proxy is None:
        raise Failed("squid is not installed")
    return Job(
        module=entrant.kind.module,
        package=entrant.kind.package,
        case=asdict(case.variant({})),
        origins=origins,
        proxy=proxy,
        authority=str(server.authority) if case.tls else None,
        core=core,
    )


def run_case(
    case: Case,
    taking_part: Sequence[Entrant],
    pythons: Pythons,
    server: Server,
    plan: Plan,
) -> dict[str, Any]:
    """Return the results of the rounds of each entrant, or the reason why there are none."""
    outcome: dict[str, Any] = {}
    if case.operation == "import":
        return _import_times(taking_part, pythons, plan)
    if case.operation == "idle" and len(taking_part) > 1:
        # In sequence: together they open more connections than the server accepts.
        for entrant in taking_part:
            outcome |= run_case(case, [entrant], pythons, server, plan)
        return outcome
    core, _ = machine.cores()
    with ExitStack() as stack:
        workers: dict[str, Worker] = {}
        for entrant in taking_part:
            patience = max(plan.patience, case.patience)
            try:
                worker = Worker(pythons[entrant.needs], job_for(entrant, server, core), patience)
            except (Failed, OSError) as exc:
                outcome[entrant.label] = {"error": str(exc)}
            else:
                workers[entrant.label] = stack.enter_context(worker)

        def attempt(label: str, do: Callable[[Worker], Any]) -> Any:
            try:
                return do(workers[label])
            except Failed as exc:
                outcome[label] = {"error": str(exc)}
                del workers[label]

        for label in list(workers):
            attempt(label, Worker.wait_until_ready)
        cases = {entrant.label: entrant.case for entrant in taking_part}
        for label in list(workers):
            most = max(cases[label].tasks, cases[label].origins)
            order = Order(plan.seconds / 4, least=most, is_warm_up=True)
            attempt(label, lambda worker, order=order: worker.do(order))  # type: ignore[misc]
            outcome.setdefault(label, {"rounds": []})
        used = dict.fromkeys(workers, 0.0)
        for turn in range(plan.rounds):
            labels = list(workers)
            first = turn % max(len(labels), 1)
            for label in labels[first:] + labels[:first]:
                # Each task runs at least once, however long that takes: the first requests differ from the others.
                order = Order(plan.seconds, least=cases[label].tasks, limit=case.limit)
                result = attempt(label, lambda worker, order=order: worker.do(order))  # type: ignore[misc]
                if result is None:
                    continue
                outcome[label]["rounds"].append(result)
                used[label] += result.get("seconds", 0)
                if used[label] > 3 * plan.rounds * plan.seconds:
                    del workers[label]  # too slow for further rounds
    return outcome


def _import_times(taking_part: Sequence[Entrant], pythons: Pythons, plan: Plan) -> dict[str, Any]:
    """Measure the CPU time of `import`, beyond that of an interpreter that imports nothing."""
    core, _ = machine.cores()
    # Compile the sources first: users do not compile them at each start.
    variables = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}

    def once(python: Path, statement: str) -> float:
        # Child processes inherit the affinity.
        command = [str(python), "-c", statement]
        if core is not None:
            prelude = f"import os; os.sched_setaffinity(0, {{{core}}});"
            command = [str(python), "-c", f"{prelude} {statement}"]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, cwd=ROOT, stderr=subprocess.DEVNULL, env=variables)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    bare = pythons[None, taking_part[0].python]
    outcome: dict[str, Any] = {}
    able = []
    for entrant in taking_part:
        try:
            once(pythons[entrant.needs], f"import {entrant.kind.package}")
        except (subprocess.CalledProcessError, OSError):
            outcome[entrant.label] = {"error": "the import failed"}
        else:
            outcome[entrant.label] = {"rounds": []}
            able.append(entrant)
    for _ in range(5 * plan.rounds):
        nothing = once(bare, "pass")
        for entrant in able:
            python = pythons[entrant.needs]
            took = once(python, f"import {entrant.kind.package}") - nothing
            outcome[entrant.label]["rounds"].append({"import": took})
    return outcome
