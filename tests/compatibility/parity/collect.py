"""Prints all facts about the installed release as JSON: `python -m tests.compatibility.parity.collect`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from . import chosen_cases, generated_cases, surface
from .runner import RUNTIMES, Case, CaseRunner, Outcome

Facts = dict[str, dict[str, dict[str, str]]]
"""Texts by section, item and runtime; the runtime is `""` if the fact does not depend on one."""


def collect() -> Facts:
    facts: Facts = {
        section: {item: {"": text} for item, text in found.items()}
        for section, found in surface.collect().items()
    }
    runner = CaseRunner()
    with runner.open():
        for case in chosen_cases.every_case(runner.server_tls):
            _add_facts(facts, runner, case, RUNTIMES, is_chosen=True)
        for index, case in enumerate((*generated_cases.requests(), *generated_cases.responses())):
            # Few of these facts depend on the runtime, and threads are the fastest one.
            runtimes = RUNTIMES if index % 10 == 0 else RUNTIMES[:1]
            _add_facts(facts, runner, case, runtimes, is_chosen=False)
    return facts


def _add_facts(
    facts: Facts, runner: CaseRunner, case: Case, runtimes: tuple[str, ...], *, is_chosen: bool
) -> None:
    for runtime in runtimes:
        outcome = runner.run(case, runtime)
        found = list(_outcome_facts(case, outcome))
        if is_chosen:
            found += _trace_facts(case, outcome)
        for section, item, text in found:
            by_runtime = facts.setdefault(section, {}).setdefault(item, {})
            # The prefix of class names is not a difference between runtimes.
            by_runtime[runtime] = text.replace("<AsyncConnectionPool", "<ConnectionPool")


def _outcome_facts(case: Case, outcome: Outcome) -> Iterator[tuple[str, str, str]]:
    for number, result in enumerate(outcome.results, 1):
        item = f"{case.name}: call {number}"
        if "error" in result:
            yield "Results", item, result["error"]
            if "at a time" not in case.name:  # the message depends on how much has arrived
                yield "Messages of errors", item, f"{result['error']}: {result['message']}"
        else:
            yield "Results", item, ", ".join(f"{key} {value}" for key, value in result.items())
    if "HTTP/2" not in case.name:
        yield "Requests on the wire", case.name, " | ".join(outcome.sent)
    yield "Errors of the server", case.name, ", ".join(outcome.server_errors)
    yield "Pool after the calls", case.name, outcome.pool


def _trace_facts(case: Case, outcome: Outcome) -> Iterator[tuple[str, str, str]]:
    for number, events in enumerate(outcome.events, 1):
        names = [event.partition(" ")[0] for event in events]
        yield "Order of trace events", f"{case.name}: call {number}", " ".join(names)
        for event in events:
            name, _, payload = event.partition(" ")
            yield "Payloads of trace events", f"{name}, {case.name}: call {number}", payload
    yield "Log records", case.name, "; ".join(sorted(set(outcome.records)))


def main() -> None:
    facts: Any = collect()
    json.dump(facts, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
