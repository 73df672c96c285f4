"""Makes tables of what was measured: medians, spread, ratios, and whether the goals are reached.

Must not know: how it was measured.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.cases import CASES, THIS, Case
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


_RATE = Column("requests/s", lambda round_: round_["requests"] / round_["seconds"], ",.0f")
_BYTES = Column("bytes each", lambda round_: round_["bytes"], ",.0f")
_IMPORT = Column("ms", lambda round_: round_["import"] * 1e3, ",.1f")
_CPU = Column("CPU µs", lambda round_: round_["cpu"] / round_["requests"] * 1e6, ",.0f")
_P50 = Column("p50 ms", lambda round_: round_["p50"] * 1e3, ",.2f")
_P99 = Column("p99 ms", lambda round_: round_["p99"] * 1e3, ",.2f")
_PEAK = Column("peak KiB", lambda round_: round_["peak"] / 1024, ",.0f")


def columns_of(case: Case) -> list[Column]:
    """Return the columns of a case's table; the first is what counts."""
    if case.operation == "idle":
        return [_BYTES]
    if case.operation == "import":
        return [_IMPORT]
    columns = [_RATE, _CPU, _P50, _P99]
    if case.operation in ("upload", "download"):
        columns.append(_PEAK)
    return columns


def median(rounds: Sequence[Mapping[str, float]], column: Column) -> float:
    """Return the median of a figure over the rounds."""
    return statistics.median(column.value(round_) for round_ in rounds)


def is_less_better(case: Case) -> bool:
    return case.operation in ("idle", "import")


def ratio(case: Case, outcome: Outcome, other: str, column: Column | None = None) -> float | None:
    """Return how many times better this httpcore2 is than `other` in what counts, or in another
    column; `None` if they weren't both measured.
    """
    column = column or columns_of(case)[0]
    both = [outcome.get(name, {}).get("rounds") for name in (THIS, other)]
    if not all(both):
        return None
    mine, theirs = (median(rounds, column) for rounds in both)
    return mine / theirs if column is _RATE else theirs / mine


def table(case: Case, outcome: Outcome) -> Iterator[str]:
    """Return the lines of a case's table."""
    columns = columns_of(case)
    heads = [f"{column.head:>11}" for column in columns]
    yield f"{case.title}  [{case.name}]"
    cost = "" if is_less_better(case) else f" {'of CPU':>7}"
    yield f"  {'':22} {heads[0]} {'spread':>7}{''.join(heads[1:])}{cost} {'ratio':>7} {'goal':>7}"
    for name, measured in outcome.items():
        label = f"  {label_of(name):22}"
        rounds = measured.get("rounds")
        if not rounds:
            yield f"{label} {measured.get('error', 'nothing was measured')}"
            continue
        values = [columns[0].value(round_) for round_ in rounds]
        middle = statistics.median(values)
        line = f"{label} {middle:11{columns[0].form}} {(max(values) - min(values)) / middle:7.0%}"
        line += "".join(f"{median(rounds, column):11{column.form}}" for column in columns[1:])
        if cost:
            cpu = None if name == THIS else ratio(case, outcome, name, _CPU)
            line += f" {'':8}" if cpu is None else f" {cpu:6.2f}x"
        if name == THIS:
            line += f" {'':7} {_absolute(case, rounds)}"
        else:
            times = ratio(case, outcome, name)
            goal = case.goals.get(name)
            line += f" {times or 0:6.2f}x"
            if goal is not None:
                mark = "" if times is not None and times >= goal else "  missed"
                line += f" {goal:6.2f}x{mark}"
        if "error" in measured:
            line += f"  then: {measured['error']}"
        yield line.rstrip()


def _absolute(case: Case, rounds: Sequence[Mapping[str, float]]) -> str:
    """Return the goal that stands for itself, if there is one."""
    if case.most is None:
        return ""
    column = columns_of(case)[-1]
    goal = column.value({"bytes": case.most, "import": case.most, "peak": case.most})
    mark = "" if median(rounds, column) <= goal else "  missed"
    return f"≤{goal:,.0f} {column.head.split()[-1]}{mark}"


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
