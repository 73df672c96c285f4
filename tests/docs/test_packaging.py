"""The pages for packagers and users name what each distribution needs, as its metadata does."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest

from .examples import ROOT

NAME = re.compile(r"[A-Za-z0-9._-]+")


def _name(requirement: str) -> str:
    found = NAME.match(requirement)
    assert found, requirement
    return found[0]


PROJECTS: dict[str, dict[str, Any]] = {
    path.parent.name: tomllib.loads(path.read_text())["project"]
    for path in sorted(ROOT.glob("packages/*/pyproject.toml"))
}


def _rows(page: str) -> dict[str, list[str]]:
    """The rows of the table whose first cells are the distributions, without these cells."""
    found = {}
    for line in (ROOT / "docs" / "guide" / page).read_text().splitlines():
        if match := re.fullmatch(r"\| `([a-z0-9-]+)` \| (.*) \|", line):
            found[match[1]] = match[2].split(" | ")
    return found


def _needs(name: str) -> set[str]:
    """The names of a distribution's requirements, with those of its extras; of the front door without."""
    project = PROJECTS[name]
    found = {_name(each) for each in project["dependencies"]}
    if name != "httpcore2":
        for requirements in project.get("optional-dependencies", {}).values():
            found |= {_name(each) for each in requirements}
    return found


@pytest.mark.parametrize("name", PROJECTS)
def test_the_page_for_packagers_names_what_a_distribution_needs(name: str) -> None:
    import_package, needs = _rows("packaging.md")[name]
    extras = set(PROJECTS[name].get("optional-dependencies", {}))
    assert set(re.findall(r"`([^`]+)`", needs)) - extras == _needs(name) - extras
    assert import_package.startswith(f"`{name.replace('-', '_')}`")


@pytest.mark.parametrize("name", PROJECTS)
def test_the_page_for_users_names_what_a_distribution_needs(name: str) -> None:
    needs = set(NAME.findall(_rows("install.md")[name][1]))
    # "core" is short for the distribution, except in the row of the front door.
    assert {each.removeprefix("httpcore2-") for each in _needs(name)} <= {
        each.removeprefix("httpcore2-") for each in needs
    }


def test_the_recipes_have_the_requirements_of_the_core_and_of_http2() -> None:
    text = (ROOT / "docs" / "guide" / "packaging.md").read_text()
    conda = re.search(r'run: \[python >=3\.11, "h11 (\S+)", certifi\]', text)
    assert conda and f"h11{conda[1]}" in PROJECTS["httpcore2-core"]["dependencies"]
    for name, versions in re.findall(r"`(h2|hpack) (>=\S+)`", text):
        assert f"{name}{versions}" in PROJECTS["httpcore2-http2"]["dependencies"]
    debian = dict(re.findall(r"Source: python-(\S+)\nBuild-Depends:((?:.*\n)+?)\S", text))
    for name in ("httpcore2-core", "httpcore2-http2"):
        required = {f"python3-{_name(each)}" for each in PROJECTS[name]["dependencies"]}
        assert required <= set(re.split(r"[,\s]+", debian[name]))
