"""Updates the documentation from a run: the plots, and the parts of pages between marks.

Must not know: how the results were measured.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks import plot
from benchmarks.cases import CASES, THIS
from benchmarks.environments import ROOT
from benchmarks.report import CPU, P50, P99, PEAK, RATE, Column, columns_of, label_of, median, ratio

FOLDER = ROOT / "docs" / "benchmarks"
RESULTS = FOLDER / "results.json"

_RIVALS = ("published", "aiohttp", "pyreqwest", "niquests", "urllib3", "pycurl", "floor")
_RUNTIMES = ("get-1k-16", "trio", "thread")


def publish(path: Path) -> None:
    """Store the results of a run, and write the plots and pages."""
    results = json.loads(path.read_text())
    FOLDER.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, separators=(",", ":")).replace('},"', '},\n"') + "\n")
    for page, text in pages(results).items():
        page.write_text(text)
    for name, drawing in plot.drawings(results).items():
        if name in plot.PUBLISHED:
            (FOLDER / f"{name}.svg").write_text(drawing)


def pages(results: Mapping[str, Any]) -> dict[Path, str]:
    """Return the pages with the stored results."""
    parts = {
        ROOT / "README.md": _runtimes(results),
        ROOT / "docs" / "performance.md": _cases(results),
    }
    return {page: _replace(page.read_text(), "\n".join(lines)) for page, lines in parts.items()}


def _replace(text: str, part: str) -> str:
    """Replace the text between the marks by `part`."""
    begin, end = "<!-- Written by bench:publish -->", "<!-- until here -->"
    written, count = re.subn(
        f"{begin}.*?{end}", lambda _: f"{begin}\n\n{part}\n\n{end}", text, flags=re.S
    )
    assert count == 1, "the page has the marks, once"
    return written


def _circumstances(results: Mapping[str, Any], names: Iterable[str]) -> str:
    """Return how the cases were measured, each by the last run that had it: first what holds for most of them."""
    runs = {name: _describe(run) for run in results["runs"] for name in run["cases"]}
    measured: dict[str, list[str]] = {}
    for name in names:
        if name in runs:
            measured.setdefault(runs[name], []).append(name)
    most, *others = sorted(measured.items(), key=lambda item: -len(item[1]))
    sentences = [f"CPython {results['python']}, {most[0]}."]
    for description, cases in others:
        listed = ", ".join(f"`{name}`" for name in cases)
        sentences.append(f"The cases {listed}: {description}.")
    return " ".join(sentences)


def _describe(run: Mapping[str, Any]) -> str:
    machine = run["machine"]
    cores = {"1": "one core", "2": "two cores"}.get(machine["cores"], f"{machine['cores']} cores")
    return (
        f"{run['server']}, {cores} ({machine['processor']}), {machine['system']}, "
        f"medians of {run['rounds']} rounds of {run['seconds']:g} s, {run['when'][:10]}"
    )


def _runtimes(results: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of the table of the README."""
    yield "| GET of 1 KiB | requests/s | 2.16.2 | times as many |"
    yield "|---|---:|---:|---:|"
    for case in CASES:
        outcome = results["cases"].get(case.name, {})
        times = ratio(case, outcome, "published")
        if case.name not in _RUNTIMES or times is None:
            continue
        mine, theirs = (median(outcome[name]["rounds"], RATE) for name in (THIS, "published"))
        yield f"| {case.title} | {mine:,.0f} | {theirs:,.0f} | {times:.1f} |"
    yield ""
    yield _circumstances(results, _RUNTIMES)


def _cases(results: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of the table of all cases and clients."""
    rivals = [
        name
        for name in _RIVALS
        if any(outcome.get(name, {}).get("rounds") for outcome in results["cases"].values())
    ]
    yield _circumstances(results, [case.name for case in CASES])
    yield ""
    heads = ["", "requests/s", "CPU µs", "p50 ms", "p99 ms", *map(label_of, rivals)]
    yield f"| {' | '.join(heads)} |"
    yield f"|---{'|---:' * (len(heads) - 1)}|"
    plain = []
    for case in CASES:
        outcome = results["cases"].get(case.name, {})
        rounds = outcome.get(THIS, {}).get("rounds")
        if not rounds:
            continue
        times = [ratio(case, outcome, name) for name in rivals]
        cells = ["" if factor is None else f"{factor:.1f}" for factor in times]
        if case.is_less_better or case.pythons:
            plain.append(_plain(case.title, outcome, columns_of(case)[0]))
            continue
        if case.operation == "download":
            plain.append(_plain(f"Peak of memory over idle, {case.title}", outcome, PEAK))
        figures = [f"{median(rounds, column):{column.form}}" for column in (RATE, CPU, P50, P99)]
        yield f"| {' | '.join([case.title, *figures, *cells])} |"
    for text in plain:
        yield ""
        yield text


def _plain(title: str, outcome: Mapping[str, Any], column: Column) -> str:
    """Return the results of a case that has no rate of requests, as a sentence."""
    unit = column.head.removesuffix(" each").split()[-1]
    figures = [
        f"{label_of(name)} {median(measured['rounds'], column):{column.form}} {unit}"
        for name, measured in outcome.items()
        if measured.get("rounds")
    ]
    return f"{title[0].upper()}{title[1:]}: {', '.join(figures)}."
