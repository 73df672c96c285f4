"""Makes tables of what was measured: medians, spread, ratios, and whether the goals are reached.

Must not know: how it was measured.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.cases import CASES, MIB, THIS, Case
from benchmarks.clients import KINDS

Outcome = Mapping[str, Any]

CASES_BY_NAME = {case.name: case for case in CASES}


def label_of(name: str) -> str:
    """Return what people call an entrant."""
    return KINDS[name].label if name in KINDS else name


@dataclass(frozen=True)
class Column:
    """One figure of a table.

    Attributes:
        head: its name, with the unit.
        value: how to get it from a round.
        form: how to write it.
    """

    head: str
    value: Callable[[Mapping[str, float]], float]
    form: str


RATE = Column("requests/s", lambda round_: round_["requests"] / round_["seconds"], ",.0f")
_BYTES = Column("bytes each", lambda round_: round_["bytes"], ",.0f")
_IMPORT = Column("ms", lambda round_: round_["import"] * 1e3, ",.1f")
CPU = Column("CPU µs", lambda round_: round_["cpu"] / round_["requests"] * 1e6, ",.0f")
P50 = Column("p50 ms", lambda round_: round_["p50"] * 1e3, ",.2f")
P99 = Column("p99 ms", lambda round_: round_["p99"] * 1e3, ",.2f")
PEAK = Column("peak KiB", lambda round_: round_["peak"] / 1024, ",.0f")


def columns_of(case: Case) -> list[Column]:
    """Return the columns of a case's table; the first is what counts."""
    if case.operation == "idle":
        return [_BYTES]
    if case.operation == "import":
        return [_IMPORT]
    columns = [RATE, CPU, P50, P99]
    if case.operation in ("upload", "download"):
        mebibytes = case.size / MIB
        columns.append(Column("MiB/s", lambda round_: RATE.value(round_) * mebibytes, ",.0f"))
        columns.append(PEAK)
    return columns


def median(rounds: Sequence[Mapping[str, float]], column: Column) -> float:
    """Return the median of a figure over the rounds."""
    return statistics.median(column.value(round_) for round_ in rounds)


def ratio(case: Case, outcome: Outcome, other: str, column: Column | None = None) -> float | None:
    """Return how many times better this httpcore2 is than `other` in what counts, or in another
    column; `None` if they weren't both measured.
    """
    column = column or columns_of(case)[0]
    both = [outcome.get(name, {}).get("rounds") for name in (THIS, other)]
    if not all(both):
        return None
    mine, theirs = (median(rounds, column) for rounds in both)
    above, below = (mine, theirs) if column is RATE else (theirs, mine)
    return above / below if below else None


@dataclass(frozen=True)
class Verdict:
    """How a goal was met.

    Attributes:
        case: where it holds.
        against: whom it is measured by: another client, a variant, or this one itself, for what is allowed at most.
        found: what was measured, or `None`.
        wanted: the goal.
        unit: of both.
        is_least: whether it is the least that is wanted; else the most.
    """

    case: Case
    against: str
    found: float | None
    wanted: float
    unit: str
    is_least: bool

    @property
    def is_reached(self) -> bool:
        return self.found is not None and (
            self.found >= self.wanted if self.is_least else self.found <= self.wanted
        )

    @property
    def word(self) -> str:
        if self.found is None:
            return "not measured"
        return "reached" if self.is_reached else "missed"

    def figure(self, value: float) -> str:
        return f"{value:.2f}x" if self.unit == "x" else f"{value:,.0f} {self.unit}"

    @property
    def goal(self) -> str:
        return f"{'≥' if self.is_least else '≤'} {self.figure(self.wanted)}"


def verdicts(case: Case, outcome: Outcome) -> Iterator[Verdict]:
    """Return how each of a case's goals was met."""
    for other, wanted in case.goals.items():
        yield Verdict(case, other, ratio(case, outcome, other), wanted, "x", True)
    for other, wanted in case.costs.items():
        times = ratio(case, outcome, other, CPU)
        yield Verdict(case, other, 1 / times if times else None, wanted, "x", False)
    if case.most is not None:
        column = columns_of(case)[-1]
        rounds = outcome.get(THIS, {}).get("rounds")
        wanted = column.value({"bytes": case.most, "import": case.most, "peak": case.most})
        unit = column.head.replace("each", "").split()[-1]
        yield Verdict(case, THIS, median(rounds, column) if rounds else None, wanted, unit, False)


def goals(cases: Mapping[str, Outcome]) -> Iterator[str]:
    """Return, line by line, how all goals of the cases of a run were met."""
    found = [
        verdict
        for case in CASES
        if case.name in cases
        for verdict in verdicts(case, cases[case.name])
    ]
    if not found:
        return
    yield f"{'Goals':44} {'against':20} {'measured':>10} {'goal':>12}"
    for verdict in found:
        against = "" if verdict.against == THIS else label_of(verdict.against)
        measured = "" if verdict.found is None else verdict.figure(verdict.found)
        yield f"{verdict.case.title:44} {against:20} {measured:>10} {verdict.goal:>12}  {verdict.word}"
    words = Counter(verdict.word for verdict in found)
    yield ", ".join(f"{count} {word}" for word, count in words.most_common())


def table(case: Case, outcome: Outcome) -> Iterator[str]:
    """Return the lines of a case's table."""
    columns = columns_of(case)
    heads = [f"{column.head:>11}" for column in columns]
    yield f"{case.title}  [{case.name}]"
    cost = "" if case.is_less_better else f" {'of CPU':>7}"
    yield f"  {'':22} {heads[0]} {'spread':>7}{''.join(heads[1:])}{cost} {'ratio':>7}  goal"
    met = {verdict.against: verdict for verdict in verdicts(case, outcome)}
    for name, measured in outcome.items():
        label = f"  {label_of(name):22}"
        rounds = measured.get("rounds")
        if not rounds:
            yield f"{label} {measured.get('error', 'nothing was measured')}"
            continue
        values = [columns[0].value(round_) for round_ in rounds]
        middle = statistics.median(values)
        spread = (max(values) - min(values)) / middle if middle else 0.0
        line = f"{label} {middle:11{columns[0].form}} {spread:7.0%}"
        line += "".join(f"{median(rounds, column):11{column.form}}" for column in columns[1:])
        times = None if name == THIS else ratio(case, outcome, name)
        if cost:
            cpu = None if name == THIS else ratio(case, outcome, name, CPU)
            line += f" {'':7}" if cpu is None else f" {cpu:6.2f}x"
        line += f" {'':7}" if times is None else f" {times:6.2f}x"
        if name in met:
            verdict = met[name]
            own = (
                f"cost {verdict.figure(verdict.found)}, "
                if name in case.costs and verdict.found
                else ""
            )
            line += f"  {own}{verdict.goal} {verdict.word}"
        if "error" in measured:
            line += f"  then: {measured['error']}"
        yield line.rstrip()


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """Return, line by line, how this httpcore2 has changed from one run to another.

    The other clients, which have not changed, tell how the machine has.
    """
    yield f"{'':18} {'before':>12} {'after':>12} {'change':>8} {'others':>8}"
    for name, outcome in new["cases"].items():
        case = CASES_BY_NAME.get(name)
        before = old["cases"].get(name, {})
        if case is None or not outcome.get(THIS, {}).get("rounds"):
            continue
        column = columns_of(case)[0]
        changes = {
            other: median(measured["rounds"], column) / median(before[other]["rounds"], column) - 1
            for other, measured in outcome.items()
            if measured.get("rounds") and before.get(other, {}).get("rounds")
        }
        mine = changes.pop(THIS, None)
        if mine is None:
            continue
        figures = [median(run[THIS]["rounds"], column) for run in (before, outcome)]
        line = f"{name:18} " + " ".join(f"{figure:12{column.form}}" for figure in figures)
        others = [change for other, change in changes.items() if other in KINDS]
        line += f" {mine:+8.1%}"
        if others:
            line += f" {statistics.median(others):+8.1%}"
        yield line
