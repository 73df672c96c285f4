"""The reference has every public name once, and its tables say what the code does."""

from __future__ import annotations

import importlib
import inspect
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import httpcore2
import pytest_httpcore2
from httpcore2_core._http.trace_events import TRACED_OPERATIONS

from .examples import ROOT

REFERENCE = ROOT / "docs" / "reference"
MODULES = [
    "httpcore2",
    "httpcore2_asyncio",
    "httpcore2_cli",
    "httpcore2_opentelemetry",
    "httpcore2_core",
    "httpcore2_core.testing",
    "httpcore2_http2",
    "httpcore2_http3",
    "httpcore2_trio",
]


def _resolve(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def _documented() -> list[str]:
    """The names that a page of the reference takes from a docstring."""
    return [
        name
        for page in sorted(REFERENCE.glob("*.md"))
        for name in re.findall(r"^::: (\S+)$", page.read_text(), re.M)
    ]


def _rows(page: str) -> list[list[str]]:
    """The rows of all tables of a page whose first cell is code."""
    lines = (REFERENCE / page).read_text().splitlines()
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in lines
        if line.startswith("| `")
    ]


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_is_in_the_reference(module: str) -> None:
    documented = [_resolve(path) for path in _documented()]
    names = importlib.import_module(module).__all__
    missing = [
        name
        for name in names
        if not any(_resolve(f"{module}.{name}") is value for value in documented)
    ]
    assert not missing


def test_no_name_is_in_the_reference_twice() -> None:
    documented = _documented()
    objects = Counter(
        id(value) if inspect.isclass(value) or inspect.isfunction(value) else path
        for path, value in ((path, _resolve(path)) for path in documented)
    )
    assert len(objects) == len(documented)


@pytest.mark.parametrize("path", _documented())
def test_a_name_of_the_front_door_is_documented_under_that(path: str) -> None:
    module, _, name = path.rpartition(".")
    assert module == "httpcore2" or name not in httpcore2.__all__
    assert module in MODULES


def test_the_tree_of_exceptions_is_that_of_the_classes() -> None:
    text = (REFERENCE / "exceptions.md").read_text()
    edges = set(re.findall(r"^ +(\w+) --> (\w+)$", text, re.M))
    classes = [
        value
        for value in (getattr(httpcore2, name) for name in httpcore2.__all__)
        if inspect.isclass(value) and issubclass(value, Exception)
    ]
    assert edges == {(cls.__base__.__name__, cls.__name__) for cls in classes if cls.__base__}


@pytest.mark.parametrize("owner", ["ConnectionPool", "AsyncConnectionPool", "Proxy"])
def test_the_options_have_their_defaults(owner: str) -> None:
    rows = {row[0].strip("`"): row[1].strip("`") for row in _rows("options.md")}
    parameters = inspect.signature(getattr(httpcore2, owner)).parameters
    for name, parameter in parameters.items():
        default = "required" if parameter.default is parameter.empty else repr(parameter.default)
        assert rows.get(name) == default, name


def test_the_settings_of_classes_have_their_defaults() -> None:
    rows = [row for row in _rows("options.md") if "Connection." in row[0]]
    assert len(rows) == 7
    for name, default, _ in rows:
        owner, _, attribute = name.strip("`").partition(".")
        owners = [owner] if owner.startswith("Async") else [owner, f"Async{owner}"]
        for each in owners:
            assert repr(getattr(getattr(httpcore2, each), attribute)) == default.strip("`")


def test_the_trace_events_are_those_of_the_code() -> None:
    rows = {row[0].strip("`"): row[1] for row in _rows("trace-events.md")}
    assert set(rows) == {operation.name for operation in TRACED_OPERATIONS}
    for operation in TRACED_OPERATIONS:
        if operation.over_unix_socket is not None:
            assert rows[operation.name] == "those of the dial that failed"
        else:
            entries = set(re.findall(r"`(\w+)`", rows[operation.name]))
            assert entries == set(operation.started), operation.name


def test_the_fixtures_of_the_pytest_plugin_have_a_row_each() -> None:
    rows = [row[0].strip("`") for row in _rows("testing.md")]
    names = [name for name in pytest_httpcore2.__all__ if not name.startswith("pytest_")]
    assert sorted(rows) == names


def test_every_page_of_the_reference_is_in_its_table() -> None:
    text = (REFERENCE / "index.md").read_text()
    pages = {path.name for path in REFERENCE.glob("*.md")} - {"index.md"}
    assert pages <= set(re.findall(r"\(([\w-]+\.md)\)", text))
    assert Path(REFERENCE / "index.md").exists()


def test_the_events_of_observers_have_a_row_each() -> None:
    text = (ROOT / "docs" / "guide" / "observe.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \|", text, re.M)
    events = [name for name in vars(httpcore2.Observer) if not name.startswith("_")]
    assert sorted(rows) == sorted(events)
