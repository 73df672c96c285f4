"""Every public object has a docstring that stands for itself, and every example in it runs."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import httpcore2
import httpcore2_core.testing
from httpcore2_core._net.detection import AutoBackend
from httpcore2_core.testing import (
    AsyncScriptedBackend,
    Script,
    ScriptedBackend,
    reply,
)

from .support.docstrings import Documented, entries, examples, public_objects, sections

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
    for name in set(documented.parameters) - set(entries(parts.get("Args", ""))):
        yield f"does not describe its argument {name}"
    if documented.returns and not {"Returns", "Yields"} & set(parts):
        yield "does not say what it returns"
    for name in entries(parts.get("Raises", "")):
        if not re.fullmatch(r"[A-Za-z.]+", name):
            yield f"has an entry in Raises for {name!r}, not for one exception"
    if match := REFERENCES.search(summary):
        yield f"leans on another docstring, or lists an error outside Raises: {match[0]!r}"
    if documented.kind in ("class", "function") and not examples(documented.docstring):
        yield "has no example"
    if ">>>" in documented.docstring:
        yield "has an example with prompts"


# Files whose docstrings are still to be written.
UNFINISHED: tuple[str, ...] = (
    "packages/httpcore2-core/src/httpcore2_core/_api/",
    "packages/httpcore2-core/src/httpcore2_core/_http11/",
    "packages/httpcore2-core/src/httpcore2_core/_http/established.py",
    "packages/httpcore2-core/src/httpcore2_core/_net/",
    "packages/httpcore2-asyncio/",
    "packages/httpcore2-trio/",
    "packages/httpcore2-http2/",
)


def test_every_public_docstring_is_complete() -> None:
    found = sorted(
        {
            f"{each.path}: {each.name} {gap}"
            for each in OBJECTS
            for gap in gaps(each)
            if not each.path.startswith(UNFINISHED)
        }
    )
    assert not found, "\n".join(found)


def test_the_surface_has_classes_exceptions_functions_methods_and_properties() -> None:
    assert {each.kind for each in OBJECTS} == {
        "class",
        "exception",
        "function",
        "method",
        "property",
    }


EXAMPLES = {
    example.code: each
    for each in OBJECTS
    for example in examples(each.docstring)
    if example.not_run is None and not each.path.startswith(UNFINISHED)
}


@pytest.fixture
def scripted_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every connection to another host lead to a server that replies to all requests."""
    script = Script(lambda _: reply(200, b"Hello", {"Content-Type": "text/plain"}))
    backends = (
        (httpcore2.SyncBackend, ScriptedBackend(script)),
        (AutoBackend, AsyncScriptedBackend(script)),
        (httpcore2.AsyncIOBackend, AsyncScriptedBackend(script)),
        (httpcore2.AnyIOBackend, AsyncScriptedBackend(script)),
        (httpcore2.TrioBackend, AsyncScriptedBackend(script)),
    )
    for patched, scripted in backends:
        for name in ("connect_tcp", "connect_unix_socket"):
            replacement = _replacement(getattr(patched, name), getattr(scripted, name))
            monkeypatch.setattr(patched, name, replacement)


def _replacement(original: Callable[..., Any], scripted: Callable[..., Any]) -> Callable[..., Any]:
    def connect(self: Any, *args: Any, **options: Any) -> Any:
        if {"127.0.0.1", "localhost"} & {*args, options.get("host")}:
            return original(self, *args, **options)
        return scripted(*args, **options)

    return connect


@pytest.mark.usefixtures("scripted_network", "no_leaks")
@pytest.mark.parametrize(
    ("code", "documented"),
    [pytest.param(code, each, id=each.name) for code, each in EXAMPLES.items()],
)
def test_an_example_runs(code: str, documented: Documented) -> None:
    imports = "import asyncio, contextlib, ssl, time\nimport trio, trustme\nimport httpcore2, httpcore2_core\n"
    names: dict[str, Any] = {
        name: getattr(httpcore2_core.testing, name) for name in httpcore2_core.testing.__all__
    }
    exec(imports, names)
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    compiled = compile(code, f"<example of {documented.name}>", "exec", flags, dont_inherit=True)
    result = eval(compiled, names)
    if inspect.iscoroutine(result):
        asyncio.run(_await(result))


async def _await(coroutine: Any) -> None:
    await coroutine
