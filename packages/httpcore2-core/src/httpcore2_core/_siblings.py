"""Finds the other distributions by name, when one is first needed.

Rules: core imports no sibling; a sibling's package lies beside core's own, under the same parent.
Installed, that is the top level; in a vendored copy, whatever folder it was copied to.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PARENT, _, _NAME = __name__.rpartition(".")[0].rpartition(".")

PREFIX = f"{_PARENT}." if _PARENT else ""
"""What the names of siblings begin with here. Loggers' names do, too: a copy's records are its own."""


def load(package: str, attribute: str, extra: str, purpose: str) -> Any:
    """Return `attribute` of a sibling package.

    Args:
        package: its import name, such as `"httpcore2_trio"`.
        attribute: what to take from it.
        extra: the extra of `httpcore2` that brings it.
        purpose: what it is needed for, to begin the error with.

    Raises:
        ImportError: it is not installed; the text names the command that installs it. In a vendored
            copy, where no command would help: where it has to be.
    """
    name = PREFIX + package
    try:
        return getattr(import_module(name), attribute)
    except ModuleNotFoundError as exc:
        if exc.name != name:  # it is there, but something that it needs is not
            raise
        raise ImportError(missing(package, extra, purpose)) from None
    except AttributeError:
        raise ImportError(missing(package, extra, purpose)) from None


def missing(package: str, extra: str, purpose: str) -> str:
    """The text of the error where `package`, which `extra` brings, is not there."""
    if _PARENT:
        return f"{purpose} needs {package}, which {_PARENT} does not have: copy it there, beside {_NAME}."
    return (
        f"{purpose} needs a distribution that is not installed. "
        f"Run: pip install 'httpcore2[{extra}]'"
    )
