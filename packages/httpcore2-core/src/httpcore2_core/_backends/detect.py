"""Finds out which event loop runs the caller, and the backend for it.

Rules: a library that has not been imported can't be running; none is imported here.
"""

from __future__ import annotations

import sys

from .._network import RuntimeBackend
from .._siblings import load

_backends: dict[str, RuntimeBackend] = {}


def running_loop() -> tuple[str, object] | None:
    """Return the name of the library that runs the caller, and its event loop."""
    trio = sys.modules.get("trio")
    # First trio: in its guest mode it runs on top of asyncio.
    if trio is not None and trio.lowlevel.in_trio_task():
        return "trio", trio.lowlevel.current_trio_token()
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None:
        loop = asyncio._get_running_loop()
        if loop is not None:
            return "asyncio", loop
    return None


def detect_backend() -> RuntimeBackend:
    """Return the native backend of the event loop that runs the caller.

    Raises:
        RuntimeError: none runs.
        ImportError: its backend is not installed; the text names the command that installs it.
    """
    found = running_loop()
    if found is None:
        raise RuntimeError(
            "An asynchronous request needs a running event loop of asyncio or trio, and there is "
            "none. Run the coroutine with asyncio.run() or trio.run() (pip install "
            "'httpcore2[asyncio]' or 'httpcore2[trio]'), or use the synchronous ConnectionPool."
        )
    library = found[0]
    backend = _backends.get(library)
    if backend is None:
        name = {"asyncio": "AsyncIOBackend", "trio": "TrioBackend"}[library]
        backend = load(f"httpcore2_{library}", name, library, f"Running under {library}")()
        assert isinstance(backend, RuntimeBackend), "siblings are of our own version"
        _backends[library] = backend
    return backend
