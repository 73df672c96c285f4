"""Every public object has a docstring that stands for itself. `tests/docs` runs the examples."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .support.docstrings import Documented, entries, has_example, public_objects, sections

OBJECTS = list(public_objects())

# Sentences that send the reader to another docstring, or errors that are not in `Raises:`.
REFERENCES = re.compile(
    r"^As [`a-z]|\b[Aa]s (for|with|of) `|\b[Aa]s (for|in) the\b|\b[Ss]ee `(Async)?[A-Z]|\b[Rr]aises? (as|`)"
    r"|\b([Pp]arameters|[Ee]rrors|[Aa]rguments)[a-z ]* as\b"
)


def gaps(documented: Documented) -> Iterator[str]:
    """Yield what the docstring of a public object lacks."""
    if not documented.docstring:
        yield "has no docstring"
        return
    parts = sections(documented.docstring)
    summary = parts[""]
    if not summary.partition("\n")[0].endswith((".", ":")):
        yield "has a summary of more than one line"
    described = {*entries(parts.get("Args", "")), *entries(parts.get("Attributes", ""))}
    for name in set(documented.parameters) - described:
        yield f"does not describe its argument {name}"
    if documented.returns and not {"Returns", "Yields"} & set(parts):
        yield "does not say what it returns"
    for name in entries(parts.get("Raises", "")):
        if not re.fullmatch(r"[A-Za-z.]+", name):
            yield f"has an entry in Raises for {name!r}, not for one exception"
    if match := REFERENCES.search(summary):
        yield f"leans on another docstring, or lists an error outside Raises: {match[0]!r}"
    if documented.kind in ("class", "function") and not has_example(documented.docstring):
        yield "has no example"


def test_every_public_docstring_is_complete() -> None:
    found = sorted({f"{each.path}: {each.name} {gap}" for each in OBJECTS for gap in gaps(each)})
    assert not found, "\n".join(found)


def test_the_surface_has_classes_exceptions_functions_methods_and_properties() -> None:
    assert {each.kind for each in OBJECTS} == {
        "class",
        "exception",
        "function",
        "method",
        "property",
    }
