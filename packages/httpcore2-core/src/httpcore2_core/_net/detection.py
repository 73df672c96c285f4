"""Finds out which event loop runs the caller, and the backend for it.

Rules: a library that has not been imported can't be running; none is imported here. Test kits keep requests from the
network by replacing the methods by which 2.16.2 connects, those of `SyncBackend`, `AutoBackend` and `AnyIOBackend`:
what they put there is called, though nothing else here would go that way.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from .._distributions import PREFIX, load
from .network_interfaces import SOCKET_OPTION, AsyncNetworkBackend, AsyncNetworkStream
from .runtime_backend import RuntimeBackend

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
    """Whether the methods that connect, which the class inherits, were replaced on it."""
    return (
        backend.connect_tcp is not backend.__base__.connect_tcp  # type: ignore[attr-defined, union-attr]
        or backend.connect_unix_socket is not backend.__base__.connect_unix_socket  # type: ignore[attr-defined, union-attr]
    )


class DetectingBackend(AsyncNetworkBackend):
    """What `AutoBackend` inherits."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        return await detect_backend().connect_tcp(
            host, port, timeout, local_address, socket_options
        )

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        return await detect_backend().connect_unix_socket(path, timeout, socket_options)

    async def sleep(self, seconds: float) -> None:
        await detect_backend().sleep(seconds)


class AutoBackend(DetectingBackend):
    """Opens connections with the native backend of whichever event loop runs the caller.

    Pools without a backend of their own do the same without it. It is for backends that do something before they
    connect, on every event loop: derive from it, or call its methods.
    """
