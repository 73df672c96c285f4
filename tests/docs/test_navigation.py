"""Each page is in the navigation once, and in the list of pages for assistants."""

from __future__ import annotations

import fnmatch
import re
import tomllib
from collections.abc import Iterator
from typing import Any

from .examples import ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "zensical.toml").read_text())["project"]
PAGES = sorted(str(path.relative_to(ROOT / "docs")) for path in ROOT.glob("docs/**/*.md"))


def _entries(items: list[Any]) -> Iterator[str]:
    for item in items:
        if isinstance(item, str):
            yield item
            continue
        for value in item.values():
            if isinstance(value, str):
                yield value
            else:
                yield from _entries(value)


def test_each_page_is_in_the_navigation_once() -> None:
    assert sorted(_entries(PROJECT["nav"])) == PAGES


def test_each_page_is_in_the_list_for_assistants_once() -> None:
    sections = PROJECT["plugins"]["llmstxt"]["sections"].values()
    patterns = [
        item if isinstance(item, str) else next(iter(item)) for items in sections for item in items
    ]
    for page in PAGES:
        matching = [pattern for pattern in patterns if fnmatch.fnmatch(page, pattern)]
        assert len(matching) == 1, page


def test_absolute_links_to_the_site_lead_to_pages() -> None:
    files = [
        *ROOT.glob("*.md"),
        *ROOT.glob("changelog.d/*.md"),
        *ROOT.glob("packages/*/*.md"),
        *ROOT.glob("packages/*/src/**/*.py"),
        *ROOT.glob(".github/**/*.yml"),
    ]
    for file in files:
        for path in re.findall(re.escape(PROJECT["site_url"]) + r"([\w/-]*)", file.read_text()):
            names = {f"{path.strip('/')}.md", f"{path.strip('/')}/index.md".lstrip("/")}
            assert names & set(PAGES), f"{file.name}: {path}"
