"""The public surface of all distributions, and the sections of its docstrings.

A docstring is a summary, followed by `Args:`, `Returns:` (or `Yields:`), `Raises:` and `Example:` as the object needs
them.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from types import FunctionType
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
SOURCES = sorted(ROOT.glob("packages/*/src"))
MODULES = (
    "httpcore2",
    "httpcore2_core",
    "httpcore2_core.testing",
    "httpcore2_asyncio",
    "httpcore2_trio",
    "httpcore2_http2",
    "httpcore2_http3",
    "httpcore2_cli",
    "httpcore2_opentelemetry",
)

_SECTION = re.compile(r"(Args|Returns|Yields|Raises|Attributes|Example):\n?\Z")


class Documented(NamedTuple):
    """A public object with the docstring that its users read.

    Attributes:
        name: such as `ConnectionPool.request`.
        kind: `class`, `exception`, `function`, `method` or `property`.
        parameters: the names of its parameters.
        returns: whether it returns something other than `None`.
        docstring: cleaned; empty where there is none.
        path: the file of its docstring, relative to the root of the project.
    """

    name: str
    kind: str
    parameters: tuple[str, ...]
    returns: bool
    docstring: str
    path: str


@functools.cache
def _class_files() -> dict[str, str]:
    """Map each class of the sources to its file. The front door changes `__module__` of the public ones."""
    found: dict[str, str] = {}
    for source in SOURCES:
        for path in source.rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ClassDef):
                    found[node.name] = str(path.relative_to(ROOT))
    return found


def _parameters(function: Callable[..., Any], *, bound: bool) -> tuple[str, ...]:
    names = list(inspect.signature(function).parameters)
    return tuple(name for name in names[bound:] if not name.startswith("_"))


def _file_of(function: FunctionType) -> str:
    """Return the path of a function, or nothing for one of another project's base class."""
    path = Path(inspect.unwrap(function).__code__.co_filename)
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT / "packages") else ""


def _file_of_docstring(cls: type[Any], name: str) -> str:
    """Return the file of the method that has the docstring, in `cls` or a base class."""
    for base in cls.__mro__:
        found = vars(base).get(name)
        function = getattr(found, "__func__", found)
        if isinstance(function, FunctionType) and function.__doc__:
            return _file_of(function)
    return ""


def _returns(function: Callable[..., Any]) -> bool:
    return inspect.unwrap(function).__annotations__.get("return", "None") not in ("None", None)


def _of_class(name: str, cls: type[Any]) -> Iterator[Documented]:
    path = _class_files().get(cls.__name__, "")
    is_exception = issubclass(cls, BaseException)
    doc = inspect.cleandoc(cls.__doc__ or "")
    parameters: tuple[str, ...] = ()
    fields = getattr(cls, "_fields", None) or tuple(getattr(cls, "__dataclass_fields__", ()))
    init = cls.__init__
    # Nobody makes members of an enum.
    if isinstance(init, FunctionType) and not fields and not issubclass(cls, Enum):
        parameters = _parameters(init, bound=True)
        doc = f"{doc}\n\n{inspect.cleandoc(init.__doc__ or '')}".strip()
    elif fields:
        parameters = tuple(fields)
    yield Documented(name, "exception" if is_exception else "class", parameters, False, doc, path)
    for attribute in dir(cls):
        if attribute.startswith("_"):
            continue
        found = inspect.getattr_static(cls, attribute)
        function = found.__func__ if isinstance(found, (classmethod, staticmethod)) else found
        member = f"{name}.{attribute}"
        if isinstance(found, property):
            assert isinstance(found.fget, FunctionType)
            doc = inspect.getdoc(found) or ""
            if file := _file_of(found.fget):
                yield Documented(member, "property", (), False, doc, file)
        elif isinstance(function, FunctionType) and (file := _file_of(function)):
            bound = not isinstance(found, staticmethod)
            doc = inspect.getdoc(getattr(cls, attribute)) or ""
            yield Documented(
                member,
                "method",
                _parameters(function, bound=bound),
                _returns(function),
                doc,
                _file_of_docstring(cls, attribute) or file,
            )


def public_objects() -> Iterator[Documented]:
    """Yield every public class, exception and function, and their public methods and properties."""
    seen: set[int] = set()
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        for name in module.__all__:
            value = getattr(module, name)
            if id(value) in seen:
                continue
            seen.add(id(value))
            if isinstance(value, type):
                yield from _of_class(name, value)
            elif isinstance(value, FunctionType):
                yield Documented(
                    name,
                    "function",
                    _parameters(value, bound=False),
                    _returns(value),
                    inspect.getdoc(value) or "",
                    _file_of(value),
                )


def sections(docstring: str) -> dict[str, str]:
    """Return the text before all sections as `""`, and each section by its name, dedented."""
    found: dict[str, list[str]] = {"": []}
    current = ""
    for line in docstring.splitlines(keepends=True):
        if match := _SECTION.match(line):
            current = match[1]
            found.setdefault(current, [])
        elif line[0] not in " \n" and current:
            current = ""
            found[""].append(line)
        else:
            found[current].append(line)
    return {name: textwrap.dedent("".join(lines)).strip("\n") for name, lines in found.items()}


def entries(section: str) -> list[str]:
    """Return the names of the entries of `Args:` or `Raises:`."""
    return re.findall(r"^(\S[^:\n]*):(?:\s|$)", section, re.M)


def has_example(docstring: str) -> bool:
    """Return whether `Example:` has code, after `>>>` or in a fenced block."""
    return any(mark in sections(docstring).get("Example", "") for mark in (">>> ", "```python\n"))
