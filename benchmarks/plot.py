"""Draws the results as SVG, for light and dark pages.

Must not know: how they were measured.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from benchmarks.cases import THIS
from benchmarks.report import CASES_BY_NAME, Column, columns_of, label_of, median

_STYLE = """<style>
text { font: 13px system-ui, sans-serif; fill: #24292f; }
.title { font-size: 15px; font-weight: 600; }
.note { font-size: 12px; fill: #57606a; }
.this { fill: #2563eb; }
.other { fill: #9aa4b2; }
rect.floor { fill: none; stroke: #9aa4b2; stroke-dasharray: 4 3; }
line { stroke: #d0d7de; }
polyline { fill: none; stroke: #9aa4b2; stroke-width: 2; }
polyline.this { fill: none; stroke: #2563eb; stroke-width: 3; }
text.this { font-weight: 600; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; } .note { fill: #9198a1; } line { stroke: #3d444d; }
  .this { fill: #60a5fa; } polyline.this { stroke: #60a5fa; }
}
</style>"""

_WIDTH = 720
_LABELS = 180
_FIGURES = 130
_BAR = 24

# The plots of several cases: the cases, and the caption.
_TOGETHER = {
    "main": ("get-1k-16", "1000-on-1000", "http2-16", "thread"),
    "overview": (
        "get-1k-16",
        "get-100k-64",
        "1000-on-1000",
        "tls",
        "http2-16",
        "uvloop",
        "trio",
        "thread",
        "threads-16",
    ),
}
PUBLISHED = ("main", "overview", "growth")
"""The plots on the pages of the documentation."""


def draw(results: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write the plots of a run into a folder, and return their paths."""
    written = []
    for name, drawing in drawings(results).items():
        written.append(folder / f"{name}.svg")
        written[-1].write_text(drawing)
    return written


def drawings(results: Mapping[str, Any]) -> dict[str, str]:
    """Return the plots of a run, by name."""
    cases = results["cases"]
    bars = {name: _bars(name, outcome) for name, outcome in cases.items() if _measured(outcome)}
    panels = {
        together: [bars[name] for name in names if name in bars]
        for together, names in _TOGETHER.items()
    }
    panels |= {name: [panel] for name, panel in bars.items()}
    panels["growth"] = _growth(cases)
    return {name: _svg(found) for name, found in panels.items() if found}


def _measured(outcome: Mapping[str, Any]) -> dict[str, list[Mapping[str, float]]]:
    return {name: found["rounds"] for name, found in outcome.items() if found.get("rounds")}


def _bars(name: str, outcome: Mapping[str, Any]) -> tuple[int, str]:
    """Return the height and the SVG of a case."""
    case = CASES_BY_NAME[name]
    column = columns_of(case)[0]
    values = {label: median(rounds, column) for label, rounds in _measured(outcome).items()}
    order = sorted(values, key=lambda label: values[label], reverse=not case.is_less_better)
    longest = max(values.values())
    room = _WIDTH - _LABELS - _FIGURES
    unit = column.head.replace("each", "a connection")
    parts = [_text(0, 18, case.title, "title"), _text(_WIDTH, 18, unit, "note", "end")]
    top = 32
    for label in order:
        kind = label if label in (THIS, "floor") else "other"
        width = max(1.0, max(values[label], 0) / longest * room)
        parts.append(_text(_LABELS - 10, top + 15, label_of(label), kind, "end"))
        parts.append(
            f'<rect class="{kind}" x="{_LABELS}" y="{top + 2}" width="{width:.1f}" height="{_BAR - 8}" rx="2"/>'
        )
        figure = f"{values[label]:{column.form}}"
        parts.append(_text(_LABELS + width + 8, top + 15, figure, kind))
        top += _BAR
    return top + 16, "\n".join(parts)


def _growth(cases: Mapping[str, Any]) -> list[tuple[int, str]]:
    """Return the plot of the CPU time of a request over the number of connections."""
    found = [
        (CASES_BY_NAME[name].connections, _measured(cases[name]))
        for name in ("get-1k-1", "get-1k-16", "get-1k-64", "1000-on-1000")
        if name in cases
    ]
    column = next(
        column for column in columns_of(CASES_BY_NAME["get-1k-1"]) if "CPU" in column.head
    )
    lines = {
        label: _points(label, found, column)
        for label in dict.fromkeys(label for _, measured in found for label in measured)
        if label in (THIS, "published", "httpx2", "aiohttp", "pyreqwest")
    }
    lines = {label: points for label, points in lines.items() if len(points) > 1}
    if THIS not in lines:
        return []
    everything = [value for points in lines.values() for _, value in points]
    low, high = math.log10(min(everything) * 0.8), math.log10(max(everything) * 1.25)
    last = math.log10(max(count for points in lines.values() for count, _ in points))
    left, right, top, bottom = 60, _WIDTH - 140, 40, 300

    def place(count: int, value: float) -> tuple[float, float]:
        x = left + math.log10(count) / last * (right - left)
        return x, bottom - (math.log10(value) - low) / (high - low) * (bottom - top)

    parts = [
        _text(0, 18, "CPU time of a request, 1 KiB, asyncio", "title"),
        _text(_WIDTH, 18, "µs over connections, both logarithmic", "note", "end"),
    ]
    for value in (10, 20, 50, 100, 200, 500, 1000, 2000, 5000):
        if low < math.log10(value) < high:
            y = place(1, value)[1]
            parts.append(f'<line x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
            parts.append(_text(left - 8, y + 4, f"{value:,}", "note", "end"))
    for count, _ in found:
        parts.append(_text(place(count, 1)[0], bottom + 20, f"{count:,}", "note", "middle"))
    taken: list[float] = []
    for label, points in sorted(lines.items(), key=lambda item: -item[1][-1][1]):
        kind = THIS if label == THIS else "other"
        places = [place(count, value) for count, value in points]
        drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline class="{kind}" points="{drawn}"/>')
        y = max(places[-1][1] + 4, taken[-1] + 16 if taken else 0)
        taken.append(y)
        parts.append(_text(places[-1][0] + 8, y, label_of(label), kind if kind == THIS else ""))
    return [(bottom + 36, "\n".join(parts))]


def _points(
    label: str, found: Sequence[tuple[int, Mapping[str, Any]]], column: Column
) -> list[tuple[int, float]]:
    return [
        (count, median(measured[label], column)) for count, measured in found if label in measured
    ]


def _text(x: float, y: float, content: str, kind: str = "", anchor: str = "start") -> str:
    return (
        f'<text class="{kind if kind != "other" else ""}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
        f"{escape(content)}</text>"
    )


def _svg(panels: Sequence[tuple[int, str]]) -> str:
    top = 8
    drawn = []
    for height, content in panels:
        drawn.append(f'<g transform="translate(12 {top})">\n{content}\n</g>')
        top += height + 12
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH + 24}" height="{top}" '
        f'viewBox="0 0 {_WIDTH + 24} {top}" role="img">\n{_STYLE}\n'
        + "\n".join(drawn)
        + "\n</svg>\n"
    )
