"""Module paths of 2.16.2: the network backends. Each is loaded on first use."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

_MODULES = ("anyio", "auto", "base", "mock", "sync", "trio")


def __getattr__(name: str) -> ModuleType:
    if name in _MODULES:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
