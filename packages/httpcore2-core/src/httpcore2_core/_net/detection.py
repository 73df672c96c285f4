"""Detects which event loop runs the caller, and finds the backend for it.

Rules: a library that has not been imported can't be running, so none is imported here. Test kits keep requests from the
network by replacing the methods with which 2.16.2 connects, those of `SyncBackend`, `AutoBackend` and `AnyIOBackend`.
The replacements are called, although nothing else here connects with these classes.
"""

from __future__ import annotations

import sys

from .._distributions import PREFIX, load
from .network_interfaces import AsyncNetworkBackend, AsyncNetworkStream
from .runtime_backend import DelegatingBackend, RuntimeBackend

_backends: dict[str, RuntimeBackend] = {}


def running_loop() -> tuple[str, object] | None:
    """Return the name of the library that runs the caller, and its event loop."""
    trio = sys.modules.get("trio")
    # trio comes first: in its guest mode it runs on top of asyncio.
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
        RuntimeError: no event loop runs the caller.
        ImportError: the backend of the event loop is not installed; the text names the command that installs it.
    """
    found = running_loop()
    if found is None:
        raise RuntimeError(
            "An async request needs a running event loop of asyncio or trio, and none is "
            "running. Run the coroutine with asyncio.run() or trio.run() (pip install "
            "'httpcore2[asyncio]' or 'httpcore2[trio]'), or use the sync ConnectionPool."
        )
    library = found[0]
    if library == "asyncio":
        anyio = sys.modules.get(f"{PREFIX}httpcore2_asyncio._anyio")
        if anyio is not None and is_patched(anyio.AnyIOBackend):
            replaced: RuntimeBackend = anyio.AnyIOBackend()
            return replaced
    backend = _backends.get(library)
    if backend is None:
        name = {"asyncio": "AsyncIOBackend", "trio": "TrioBackend"}[library]
        backend = load(f"httpcore2_{library}", name, library, f"Running under {library}")()
        assert isinstance(backend, RuntimeBackend), "siblings are of our own version"
        _backends[library] = backend
    return backend


def is_patched(backend: type) -> bool:
    """Whether the methods that connect, which `backend` inherits, were replaced on the class."""
    return (
        backend.connect_tcp is not backend.__base__.connect_tcp  # type: ignore[attr-defined, union-attr]
        or backend.connect_unix_socket is not backend.__base__.connect_unix_socket  # type: ignore[attr-defined, union-attr]
    )


class AutoBackend(DelegatingBackend[AsyncNetworkStream]):
    """Opens connections with the native backend of the event loop that runs the caller.

    A pool that is given no backend connects natively by itself. This class is for backends of your own that do
    something before they connect, on every event loop: derive from it, or call its methods.

    Example:
        import httpcore2

        class LoggingBackend(httpcore2.AutoBackend):
            async def connect_tcp(self, host, port, **options):
                print(f"connecting to {host}:{port}")
                return await super().connect_tcp(host, port, **options)
    """

    def _delegate(self) -> AsyncNetworkBackend:
        return detect_backend()
