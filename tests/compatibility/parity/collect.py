"""All facts about the installed release, as JSON: `python -m tests.compatibility.parity.collect`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from . import cases, scenarios, surface
from .stage import RUNTIMES, Case, Outcome, Stage

Facts = dict[str, dict[str, dict[str, str]]]
"""What is so, by section, item and runtime. Where no runtime is concerned, it is called `""`."""


def collect() -> Facts:
    facts: Facts = {
        section: {item: {"": text} for item, text in found.items()}
        for section, found in surface.collect().items()
    }
    stage = Stage()
    with stage.open():
        for case in scenarios.every_case(stage.server_tls):
            _note(facts, stage, case, RUNTIMES, is_chosen=True)
        for index, case in enumerate((*cases.requests(), *cases.responses())):
            # Few differ by runtime, and threads are the fastest.
            runtimes = RUNTIMES if index % 10 == 0 else RUNTIMES[:1]
            _note(facts, stage, case, runtimes, is_chosen=False)
    return facts


def _note(
    facts: Facts, stage: Stage, case: Case, runtimes: tuple[str, ...], *, is_chosen: bool
) -> None:
    for runtime in runtimes:
        outcome = stage.play(case, runtime)
        found = list(_behaviour(case, outcome))
        if is_chosen:
            found += _progress(case, outcome)
        for section, item, text in found:
            by_runtime = facts.setdefault(section, {}).setdefault(item, {})
            # The names of the classes are no difference between runtimes.
            by_runtime[runtime] = text.replace("<AsyncConnectionPool", "<ConnectionPool")


def _behaviour(case: Case, outcome: Outcome) -> Iterator[tuple[str, str, str]]:
    for number, result in enumerate(outcome.results, 1):
        item = f"{case.name}: call {number}"
        if "error" in result:
            yield "Results", item, result["error"]
            if "at a time" not in case.name:  # else it depends on how much has come
                yield "Messages of errors", item, f"{result['error']}: {result['message']}"
        else:
            yield "Results", item, ", ".join(f"{key} {value}" for key, value in result.items())
    if "HTTP/2" not in case.name:
        yield "Requests on the wire", case.name, " | ".join(outcome.sent)
    yield "Complaints of the server", case.name, ", ".join(outcome.complaints)
    yield "The pool afterwards", case.name, outcome.left


def _progress(case: Case, outcome: Outcome) -> Iterator[tuple[str, str, str]]:
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
