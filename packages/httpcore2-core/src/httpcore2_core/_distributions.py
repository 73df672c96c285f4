"""Loads the sibling distributions by name, when one is first needed.

Rules: core imports no sibling; the package of a sibling lies beside core's own, in a vendored copy too.
Must not know: what a sibling contains.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

VERSION = "3.0.0"

_PARENT, _, _NAME = __name__.rpartition(".")[0].rpartition(".")

PREFIX = f"{_PARENT}." if _PARENT else ""
"""The prefix of the names of siblings and of loggers, so that a vendored copy has its own loggers."""


def load(package: str, attribute: str, extra: str, purpose: str) -> Any:
    """Return an attribute of a sibling's package.

    Args:
        package: the name of the package, such as `httpcore2_http2`.
        attribute: the name of the attribute.
        extra: the extra of `httpcore2` that installs the package.
        purpose: the feature that needs the package: the start of the error message.

    Raises:
        ImportError: the package is not installed. The message has the command that installs it, or for a vendored
            copy the place where it has to be.
    """
    name = PREFIX + package
    try:
        return getattr(import_module(name), attribute)
    except ModuleNotFoundError as exc:
        if exc.name != name:  # the sibling is installed, but one of its dependencies is not
            raise
        raise ImportError(missing(package, extra, purpose)) from None
    except AttributeError:
        raise ImportError(missing(package, extra, purpose)) from None


def load_http2(purpose: str) -> Any:
    """Return the class of HTTP/2 connections; `purpose` and errors as for `load`."""
    return load("httpcore2_http2", "AsyncHTTP2Connection", "http2", purpose)


def load_http3(purpose: str) -> Any:
    """Return the class of HTTP/3 connections; `purpose` and errors as for `load`."""
    return load("httpcore2_http3", "AsyncHTTP3Connection", "http3", purpose)


def missing(package: str, extra: str, purpose: str) -> str:
    """Return the error message for a sibling's package that is not installed."""
    if _PARENT:
        return (
            f"{purpose} needs {package}, which is not in {_PARENT}. Copy it there, beside {_NAME}."
        )
    return (
        f"{purpose} needs a distribution that is not installed. "
        f"Run: pip install 'httpcore2[{extra}]'"
    )


def check_version(package: str, version: str) -> None:
    """Check that a sibling has the version of the core, whose private modules it uses.

    Siblings of all versions call this function before any other import: its signature must not change.

    Raises:
        ImportError: the versions differ. The message has the command that installs the right one.
    """
    if version != VERSION:
        remedy = f"Run: pip install '{package.replace('_', '-')}=={VERSION}'"
        if _PARENT:
            remedy = "Copy both from one version."
        raise ImportError(f"{package} {version} does not work with {_NAME} {VERSION}. {remedy}")
