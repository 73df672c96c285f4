"""Finds the other distributions by name, when one is first needed.

Rules: core imports no sibling; a sibling's package lies beside core's own, in a vendored copy too.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

VERSION = "3.0.0"

_PARENT, _, _NAME = __name__.rpartition(".")[0].rpartition(".")

PREFIX = f"{_PARENT}." if _PARENT else ""
"""What the names of siblings begin with here, and those of loggers: a copy's records are its own."""


def load(package: str, attribute: str, extra: str, purpose: str) -> Any:
    """Return `attribute` of the sibling `package`, which `extra` of `httpcore2` brings; `purpose` begins the error.

    Raises:
        ImportError: it is not there; the text names the command that installs it, or, in a vendored
            copy, where it has to be.
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


def load_http2(purpose: str) -> Any:
    """Return the class of HTTP/2 connections; `purpose` and errors as for `load`."""
    return load("httpcore2_http2", "AsyncHTTP2Connection", "http2", purpose)


def missing(package: str, extra: str, purpose: str) -> str:
    """The text of the error where `package`, which `extra` brings, is not there."""
    if _PARENT:
        return f"{purpose} needs {package}, which {_PARENT} does not have: copy it there, beside {_NAME}."
    return (
        f"{purpose} needs a distribution that is not installed. "
        f"Run: pip install 'httpcore2[{extra}]'"
    )


def check_version(package: str, version: str) -> None:
    """Refuse a sibling of another version: it uses private parts of the core.

    Siblings of any version call it before they import anything else, so it stays as it is.

    Raises:
        ImportError: the text names the command that mends it.
    """
    if version != VERSION:
        mend = f"Run: pip install '{package.replace('_', '-')}=={VERSION}'"
        if _PARENT:
            mend = "Copy both from one version."
        raise ImportError(f"{package} {version} does not work with {_NAME} {VERSION}. {mend}")
