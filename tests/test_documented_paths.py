"""Every path that the documentation names exists.

A path is a code span, or a word of a fenced block without a language, that begins with a folder of the project, or that
names a Python module below a package, such as `_pool/ledger.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path.relative_to(ROOT)
    for pattern in (
        "README.md",
        "CONTRIBUTING.md",
        "docs/**/*.md",
        "packages/*/README.md",
        "changelog.d/*.md",
        "examples/*/README.md",
    )
    for path in ROOT.glob(pattern)
)
FOLDERS = (
    "benchmarks",
    "changelog.d",
    "docs",
    "examples",
    "packages",
    "scripts",
    "tests",
    r"\.ci",
    r"\.github",
)
IN_PROJECT = re.compile(rf"(?:{'|'.join(FOLDERS)})(?:/[\w.-]+)*/?")
MODULE = re.compile(r"(?:[a-z0-9_]+/)*_?[a-z0-9_]+\.py")
# Modules below these are found without the name of the package.
PACKAGES = [path.parent for path in ROOT.glob("packages/*/src/*/__init__.py")]
BASES = [
    *PACKAGES,
    *(path.parent for package in PACKAGES for path in package.glob("*/__init__.py")),
]


def words(text: str) -> Iterator[str]:
    """Yield the code spans of a page, and the words of its fenced blocks of text."""
    blocks = re.findall(r"^```(\w*)[^\n]*\n(.*?)^```", text, re.M | re.S)
    for language, block in blocks:
        if language in ("", "text", "shell"):
            yield from re.findall(r"[^\s,]+", block)
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    for span in re.findall(r"`([^`\n]+)`", prose):
        yield from re.findall(r"[^\s,]+", span)


def paths(page: Path) -> Iterator[str]:
    """Yield the paths that a page names."""
    for word in words((ROOT / page).read_text()):
        if IN_PROJECT.fullmatch(word) or (MODULE.fullmatch(word) and word.startswith("_")):
            yield word


def exists(path: str, page: Path) -> bool:
    if IN_PROJECT.fullmatch(path):
        return (ROOT / path).exists()
    # The page of an example names the modules of that example.
    bases = [*(ROOT / page).parent.glob("src/*"), *BASES]
    return any((base / path).exists() for base in bases)


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_the_paths_that_a_page_names_exist(page: Path) -> None:
    missing = sorted({path for path in paths(page) if not exists(path, page)})
    assert not missing, f"{page} names paths that do not exist: {', '.join(missing)}"


def test_paths_are_found() -> None:
    page = Path("CONTRIBUTING.md")
    found = set(paths(page))
    assert {"_pool/ledger.py", "tests/behaviour/proxies", "scripts/test"} <= found
    assert not exists("_pool/unknown.py", page)
