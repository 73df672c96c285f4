"""Tables of the results: medians, spread, ratios, and the goals.

Must not know: how they were measured.
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
    """Return the label of an entrant."""
    return KINDS[name].label if name in KINDS else name


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        head: its heading, with the unit.
        value: a function that computes the figure from a round.
        form: the format of the figure.
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
    """Return the columns of a case's table. The first is the main figure."""
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
    """Return the ratio of this httpcore2 to `other` in the main figure, or in another column.

    It is greater than 1 where this one is better, and `None` if one of them was not measured.
    """
    column = column or columns_of(case)[0]
    both = [outcome.get(name, {}).get("rounds") for name in (THIS, other)]
    if not all(both):
        return None
    mine, theirs = (median(rounds, column) for rounds in both)
    above, below = (mine, theirs) if column is RATE else (theirs, mine)
    return above / below if below else None


@dataclass(frozen=True)
class GoalResult:
    """The result of a goal.

    Attributes:
        case: the case of the goal.
        against: the client or variant that is compared with; this client itself for an upper limit.
        found: the measured value, or `None`.
        wanted: the value of the goal.
        unit: the unit of both values.
        is_least: whether the goal is a lower limit; otherwise it is an upper one.
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


def goal_results(case: Case, outcome: Outcome) -> Iterator[GoalResult]:
    """Return the result of each goal of a case."""
    for other, wanted in case.goals.items():
        yield GoalResult(case, other, ratio(case, outcome, other), wanted, "x", True)
    for other, wanted in case.costs.items():
        times = ratio(case, outcome, other, CPU)
        yield GoalResult(case, other, 1 / times if times else None, wanted, "x", False)
    if case.most is not None:
        column = columns_of(case)[-1]
        rounds = outcome.get(THIS, {}).get("rounds")
        wanted = column.value({"bytes": case.most, "import": case.most, "peak": case.most})
        unit = column.head.replace("each", "").split()[-1]
        yield GoalResult(
            case, THIS, median(rounds, column) if rounds else None, wanted, unit, False
        )


def goals(cases: Mapping[str, Outcome]) -> Iterator[str]:
    """Yield the lines of the table of all goals of a run."""
    found = [
        result
        for case in CASES
        if case.name in cases
        for result in goal_results(case, cases[case.name])
    ]
    if not found:
        return
    yield f"{'Goals':44} {'against':20} {'measured':>10} {'goal':>12}"
    for result in found:
        against = "" if result.against == THIS else label_of(result.against)
        measured = "" if result.found is None else result.figure(result.found)
        yield f"{result.case.title:44} {against:20} {measured:>10} {result.goal:>12}  {result.word}"
    words = Counter(result.word for result in found)
    yield ", ".join(f"{count} {word}" for word, count in words.most_common())


def table(case: Case, outcome: Outcome) -> Iterator[str]:
    """Yield the lines of a case's table."""
    columns = columns_of(case)
    heads = [f"{column.head:>11}" for column in columns]
    yield f"{case.title}  [{case.name}]"
    cost = "" if case.is_less_better else f" {'of CPU':>7}"
    yield f"  {'':22} {heads[0]} {'spread':>7}{''.join(heads[1:])}{cost} {'ratio':>7}  goal"
    met = {result.against: result for result in goal_results(case, outcome)}
    for name, measured in outcome.items():
        label = f"  {label_of(name):22}"
        rounds = measured.get("rounds")
        if not rounds:
            yield f"{label} {measured.get('error', 'not measured')}"
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
            result = met[name]
            own = (
                f"cost {result.figure(result.found)}, "
                if name in case.costs and result.found
                else ""
            )
            line += f"  {own}{result.goal} {result.word}"
        if "error" in measured:
            line += f"  then: {measured['error']}"
        yield line.rstrip()


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of the table of changes of this httpcore2 between two runs.

    The other clients have not changed, so that their change is that of the machine.
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
