"""The project uses the words of its field, and defines its own terms in the glossary."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = (
    "packages",
    "tests",
    "benchmarks",
    "scripts",
    "examples",
    "docs",
    "changelog.d",
    ".ci",
    "CONTRIBUTING.md",
    "README.md",
    "hatch.toml",
    "pyproject.toml",
    "zensical.toml",
)
TEXT = {".py", ".md", ".toml", ".txt", ".sh", ".js", ".mjs", ".css", ""}

# Metaphors that stood for terms of the field, as a whole word or as a part of an identifier.
AVOIDED = re.compile(
    r"worlds?|colou?rs?|judge|verdict|settle[sd]?|unsettled|farewell|twin|keeper|crowd|dressed",
    re.IGNORECASE,
)
# `BothColours`, `both_colours` and `HTTPColour` each have the word.
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")

ALLOWED = (
    ("tests/test_vocabulary.py", r".*", "the list of these words"),
    ("*", r"[Hh]ello, world", "the body of examples"),
    ("*", r"prefers-color-scheme|color-scheme|color_scheme", "the terms of CSS and of browsers"),
    ("*", r"NO_COLOR|no_color|color_system|force_color", "the terms of terminals, and of rich"),
    ("docs/assets/site.css", r"[\w-]*colou?rs?[\w-]*", "CSS"),
    ("scripts/check_site.py", r"\w*[cC]olou?r\w*", "CSS"),
)


def files() -> list[Path]:
    """Return the text files of the project that are under version control."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", *FOLDERS], cwd=ROOT, capture_output=True, check=True
    )
    names = listed.stdout.decode().split("\0")
    return [ROOT / name for name in names if name and Path(name).suffix in TEXT]


def avoided_words(path: Path) -> Iterator[str]:
    """Yield each line of a file that has an avoided word outside the allowed places."""
    name = str(path.relative_to(ROOT))
    patterns = [pattern for place, pattern, _ in ALLOWED if place in ("*", name)]
    for number, line in enumerate(path.read_text().splitlines(), 1):
        rest = re.sub("|".join(patterns), "", line)
        if any(AVOIDED.fullmatch(word) for word in WORD.findall(rest)):
            yield f"{name}:{number}: {line.strip()}"


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is not a checkout")
def test_no_file_has_an_avoided_word() -> None:
    found = [line for path in files() if path.exists() for line in avoided_words(path)]
    assert not found, "\n".join(found)


def glossary() -> list[str]:
    """Return the terms of the glossary, in their order."""
    text = (ROOT / "docs/glossary.md").read_text()
    return re.findall(r"^(\S.*)\n:   ", text, re.M)


def test_the_glossary_is_in_alphabetical_order() -> None:
    terms = glossary()
    assert terms == sorted(terms, key=str.lower)


def test_the_sources_use_each_term_of_the_glossary() -> None:
    paths = [*ROOT.glob("packages/*/src/**/*.py"), ROOT / "docs/architecture.md"]
    sources = " ".join(path.read_text() for path in paths).lower()
    flat = re.sub(r"[\s_-]+", " ", sources)
    missing = [each for term in glossary() for each in term.lower().split(", ") if each not in flat]
    assert not missing, f"neither the sources nor the architecture use {', '.join(missing)}"
