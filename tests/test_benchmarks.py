"""The benchmarks run, name the clients that fail, and publish the stored results."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from benchmarks import plot, publish, report
from benchmarks.cases import CASES, THIS, Case
from benchmarks.clients import KINDS
from benchmarks.environments import OWN_PYTHON, ROOT
from benchmarks.rounds import Entrant, Plan, entrants, run_case
from benchmarks.server import Server

STORED = json.loads(publish.RESULTS.read_text())


def run(*arguments: str) -> str:
    command = [sys.executable, "-m", "benchmarks", "run", "--rounds=1", "--seconds=0.01"]
    done = subprocess.run(
        [*command, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_run_is_printed_stored_and_resumed(tmp_path: Path) -> None:
    told = run("--case=get-1k-16", "--client=floor", f"--output={tmp_path}")
    assert "floor: sockets alone" in told
    (stored,) = tmp_path.glob("*.json")
    cases = json.loads(stored.read_text())["cases"]
    assert {name for name, measured in cases["get-1k-16"].items() if measured["rounds"]} == {
        THIS,
        "floor",
    }
    run("--case=thread", "--client=standard", f"--into={stored}")
    assert json.loads(stored.read_text())["cases"] == cases | {
        "thread": json.loads(stored.read_text())["cases"]["thread"]
    }


def test_a_client_that_fails_is_named_and_the_others_are_measured() -> None:
    case = next(case for case in CASES if case.name == "get-1k-16")
    nobody = Server("none", "http://127.0.0.1:1", "", {}, None, Path(), ())
    missing = Entrant("aiohttp", KINDS["aiohttp"], case, OWN_PYTHON)
    outcome = run_case(
        case,
        [Entrant(THIS, KINDS[THIS], case, OWN_PYTHON), missing],
        {(None, OWN_PYTHON): Path(sys.executable), missing.needs: Path("/nowhere/python")},
        nobody,
        Plan(rounds=1, seconds=0.01, patience=10),
    )
    table = "\n".join(report.table(case, outcome))
    assert "ConnectError" in table
    assert "No such file" in table
    assert {result.word for result in report.goal_results(case, outcome)} == {"not measured"}


def rounds(rate: float, cpu: float = 1.0, **more: float) -> dict[str, list[dict[str, float]]]:
    return {"rounds": [{"requests": rate, "seconds": 1, "cpu": cpu, "p50": 1, "p99": 1, **more}]}


def test_each_goal_is_printed_with_its_result() -> None:
    case = Case(
        "download",
        "it",
        operation="download",
        goals={"aiohttp": 2, "pyreqwest": 2},
        costs={"a variant": 1.5},
        most=2048,
    )
    outcome = {
        THIS: rounds(20, peak=4096),
        "aiohttp": rounds(10),
        "pyreqwest": rounds(20),
        "a variant": rounds(20, cpu=0.5),
    }
    found = [(each.against, each.found, each.word) for each in report.goal_results(case, outcome)]
    assert found == [
        ("aiohttp", 2, "reached"),
        ("pyreqwest", 1, "missed"),
        ("a variant", 2, "missed"),
        (THIS, 4, "missed"),
    ]


def test_the_goals_of_a_run_are_listed_together_at_its_end() -> None:
    lines = list(report.goals(STORED["cases"]))
    wanted = sum(
        len(case.goals) + len(case.costs) + (case.most is not None)
        for case in CASES
        if case.name in STORED["cases"]
    )
    assert len(lines) == wanted + 2
    assert sum(int(part.split()[0]) for part in lines[-1].split(", ")) == wanted


def test_the_tables_of_the_pages_are_those_of_the_stored_results() -> None:
    for page, text in publish.pages(STORED).items():
        assert page.read_text() == text, "run bench:publish"


def test_the_plots_are_those_of_the_stored_results() -> None:
    drawings = plot.drawings(STORED)
    assert set(plot.PUBLISHED) <= set(drawings)
    for name, drawing in drawings.items():
        ElementTree.fromstring(drawing)
        if name in plot.PUBLISHED:
            path = publish.FOLDER / f"{name}.svg"
            assert path.read_text() == drawing, "run bench:publish"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_is_only_compared_with_clients_that_support_it(case: Case) -> None:
    variants = {label for label, _ in case.variants}
    assert set(case.goals) <= {*case.clients, *variants}
    assert set(case.costs) <= variants
    over_http1 = case.variant({"http2": False})
    assert all(KINDS[name].can(case if KINDS[name].http2 else over_http1) for name in case.clients)


def test_a_client_without_http2_that_a_case_names_is_measured_over_http1() -> None:
    case = next(case for case in CASES if case.name == "http2-download")
    found = {
        each.label: each.case.http2 for each in entrants(case, ["aiohttp", "pyreqwest"], OWN_PYTHON)
    }
    assert found == {THIS: True, "aiohttp": False, "pyreqwest": True}


def test_the_pages_say_which_cases_another_run_measured() -> None:
    machine = {"processor": "A", "cores": "2", "system": "Linux"}
    run = {"server": "nginx", "machine": machine, "rounds": 7, "seconds": 0.8}
    runs = [
        {**run, "when": "2026-01-01T", "cases": ["get-1k-1", "get-1k-16", "trio", "thread"]},
        {**run, "when": "2026-01-02T", "cases": ["http2-1", "trio"]},
    ]
    names = ["get-1k-1", "get-1k-16", "thread", "trio", "http2-1", "new"]
    assert publish._circumstances({"python": "3.13", "runs": runs}, names) == (
        "CPython 3.13, nginx, two cores (A), Linux, medians of 7 rounds of 0.8 s, 2026-01-01. "
        "The cases `trio`, `http2-1`: nginx, two cores (A), Linux, medians of 7 rounds of 0.8 s, 2026-01-02."
    )
