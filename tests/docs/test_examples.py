"""Every example of the documentation runs, and prints what the page shows."""

from __future__ import annotations

import doctest
import json
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

import pytest

from ..support import programs as programs_installed
from .examples import ROOT, Program, pages, programs, read
from .hosts import Hosts

PAGES = {str(path.relative_to(ROOT)): read(path) for path in pages()}
BLOCKS = [block for page in PAGES.values() for block in page.blocks]
PROGRAMS = [program for page in PAGES.values() for program in programs(page)]


class Runs:
    """What the programs of each page did; a page is run when one of its programs is first needed."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts.as_json()
        self._pages: dict[str, list[list[dict[str, Any]]]] = {}

    def results(self, program: Program) -> list[dict[str, Any]]:
        page = program.page
        if page not in self._pages:
            command = [sys.executable, "-W", "error", "-m", "tests.docs.runner", page, self._hosts]
            done = subprocess.run(
                command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
            )
            assert done.returncode == 0, done.stderr
            self._pages[page] = [json.loads(line) for line in done.stdout.splitlines()]
        return self._pages[page][[str(each) for each in programs(PAGES[page])].index(str(program))]


@pytest.fixture(scope="session")
def runs(hosts: Hosts) -> Runs:
    return Runs(hosts)


@pytest.mark.parametrize("program", PROGRAMS, ids=str)
def test_an_example_runs_and_prints_what_the_page_shows(program: Program, runs: Runs) -> None:
    for block in program.blocks:
        if block.needs and find_spec(block.needs) is None:
            programs_installed.missing(block.needs)
    for block, result in zip(program.blocks, runs.results(program), strict=False):
        where = f"{block.page}:{block.line}"
        assert result["error"] is None, f"{where}\n{result['error']}\n{result['output']}"
        if block.output is not None:
            checker, flags = doctest.OutputChecker(), doctest.ELLIPSIS
            matches = checker.check_output(block.output, result["output"], flags)
            assert matches, f"{where} printed\n{result['output']}"


def test_a_block_that_is_not_run_says_why() -> None:
    for block in BLOCKS:
        if block.not_run is not None:
            where = f"{block.page}:{block.line}"
            assert len(block.not_run.split()) >= 3, f"the comment before {where} gives no reason"


def test_no_statement_is_skipped() -> None:
    for block in BLOCKS:
        for example in block.examples:
            options = getattr(example.parsed, "options", {})
            assert doctest.SKIP not in options, f"{block.page}:{block.line} has doctest: +SKIP"
