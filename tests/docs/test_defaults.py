"""The page that compares defaults has every option of pools, with the default of its signature, and the reason."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

import httpcore2
from httpcore2_core._http.timeouts import Timeouts

from ..core.fake_runtime import FakeRuntime

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "defaults.md"


def _tables() -> list[dict[str, list[str]]]:
    """Return the tables of the page: the cells of each row, by its first one without its backquotes."""
    tables: list[dict[str, list[str]]] = []
    rows: dict[str, list[str]] | None = None
    for line in PAGE.read_text().splitlines():
        if not line.startswith("|"):
            rows = None
        elif rows is None:
            rows = {}
            tables.append(rows)
        elif not line.startswith("|---"):
            first, *cells = [cell.strip() for cell in line.strip("|").split("|")]
            rows[first.strip("`")] = cells
    return tables


POOLS, POOL_REASONS, TIMEOUTS, TIMEOUT_REASONS, CALLS, CALL_REASONS, OTHERS = _tables()


def _signature(function: Any) -> dict[str, str]:
    parameters = inspect.signature(function).parameters.values()
    return {each.name: repr(each.default) for each in parameters if each.name != "self"}


def _documented(table: dict[str, list[str]]) -> dict[str, str]:
    return {name: cells[0].strip("`") for name, cells in table.items()}


@pytest.mark.parametrize("pool", [httpcore2.ConnectionPool, httpcore2.AsyncConnectionPool])
def test_every_option_of_pools_is_compared_with_its_default(pool: Any) -> None:
    assert _documented(POOLS) == _signature(pool.__init__)


def test_every_timeout_is_compared_with_its_default() -> None:
    keys = httpcore2.TimeoutExtension.__optional_keys__
    assert set(TIMEOUTS) == keys
    timeouts = Timeouts.of({}, FakeRuntime())
    limits = {
        "pool": timeouts.for_pool(),
        "connect": timeouts.for_connect(),
        "read": timeouts.for_read(),
        "write": timeouts.for_write(),
        "total": timeouts.for_body(),
        "continue": timeouts.for_continue(),
    }
    assert _documented(TIMEOUTS) == {name: repr(limit) for name, limit in limits.items()}


@pytest.mark.parametrize("name", CALLS)
def test_a_default_of_another_call_is_as_documented(name: str) -> None:
    documented = _documented(CALLS)[name]
    call = re.fullmatch(r"(\w+)\((\w+)\)", name)
    if call is not None:
        assert documented == _signature(getattr(httpcore2, call[1]))[call[2]]
    else:
        owner, _, attribute = name.partition(".")
        assert documented == repr(getattr(getattr(httpcore2, owner), attribute))


@pytest.mark.parametrize(
    ("table", "reasons"),
    [(POOLS, POOL_REASONS), (TIMEOUTS, TIMEOUT_REASONS), (CALLS, CALL_REASONS)],
)
def test_every_default_has_its_reason(
    table: dict[str, list[str]], reasons: dict[str, list[str]]
) -> None:
    assert list(reasons) == list(table)
    assert all(cells[0].endswith(".") for cells in reasons.values())


def test_every_row_has_a_cell_for_each_of_the_others() -> None:
    for table, count in ((POOLS, 6), (TIMEOUTS, 6), (CALLS, 6), (OTHERS, 5)):
        assert {len(cells) for cells in table.values()} == {count}
