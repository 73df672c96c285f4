"""Blocks of other languages: commands name scripts, extras and distributions that exist, and TOML can be read."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .examples import ROOT, pages, read

LANGUAGES = {"console", "ini", "json", "mermaid", "shell", "text", "toml", "yaml"}

BLOCKS = [
    pytest.param(language, text, id=f"{path.relative_to(ROOT)}:{line}")
    for path in pages()
    for line, language, text in read(path).other
]


def _projects() -> dict[str, set[str]]:
    """The distributions and their extras."""
    found = {}
    for path in ROOT.glob("packages/*/pyproject.toml"):
        project: dict[str, Any] = tomllib.loads(path.read_text())["project"]
        found[project["name"]] = set(project.get("optional-dependencies", {}))
    return found


def _hatch_scripts() -> set[str]:
    """What `scripts/hatch run` can run."""
    environments: dict[str, Any] = tomllib.loads((ROOT / "hatch.toml").read_text())["envs"]
    return {
        f"{name}:{script}"
        for name, environment in environments.items()
        for script in environment.get("scripts", {})
    }


def faults(command: str) -> Iterator[str]:
    """Say what a shell command names that does not exist."""
    projects = _projects()
    for name, extras in re.findall(
        r"\b(httpcore2(?:-\w+)?)(?:\[([\w,]+)\])?(?==|['\"\s]|$)", command
    ):
        if name not in projects:
            yield f"there is no distribution {name}"
        elif unknown := set(filter(None, extras.split(","))) - projects[name]:
            yield f"{name} has no extras {unknown}"
    for script in re.findall(r"(?:^|\s)((?:scripts|\.ci|examples|packages)/[\w./-]+)", command):
        if not (ROOT / script).exists():
            yield f"there is no {script}"
    for script in re.findall(r"scripts/hatch run ([\w-]+:[\w-]+)", command):
        if script not in _hatch_scripts():
            yield f"hatch.toml has no {script}"


@pytest.mark.parametrize(("language", "text"), BLOCKS)
def test_a_block_has_a_known_language_and_names_what_exists(language: str, text: str) -> None:
    assert language in LANGUAGES, "a block has no language, or one that is not checked"
    if language in ("shell", "console"):
        assert not list(faults(text))
    elif language == "toml":
        tomllib.loads(text)


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        ("pip install 'httpcore2[http4]'", "httpcore2 has no extras {'http4'}"),
        ("pip install httpcore2-curio", "there is no distribution httpcore2-curio"),
        ("scripts/nonsense", "there is no scripts/nonsense"),
        ("scripts/hatch run docs:nonsense", "hatch.toml has no docs:nonsense"),
    ],
)
def test_what_does_not_exist_is_reported(command: str, fault: str) -> None:
    assert list(faults(command)) == [fault]


def test_every_page_of_the_documentation_is_read() -> None:
    found = {path.relative_to(ROOT) for path in pages()}
    assert Path("docs/index.md") in found
    assert Path("packages/httpcore2-http2/README.md") in found
