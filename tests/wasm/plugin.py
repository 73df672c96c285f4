"""Runs pytest inside Pyodide, without the tests that WebAssembly can't run.

It has no sockets, threads, forks or TLS, and so no event loop that waits for a socket. trio and trustme depend on
modules that are compiled for each platform.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import pytest

T = TypeVar("T")

# Paths below `tests/core` of tests that need sockets, threads or processes, or import trio, trustme or hpack.
IGNORED = {
    "net/sockets",
    "net/test_network_adapters.py",
    "net/test_detection.py",
    "net/test_forks.py",
    "net/test_interruptible.py",
    "net/test_resolvers.py",
    "net/test_ssl_context.py",
    "net/test_sync_backend.py",
    "net/test_thread_backend.py",
    "net/test_tls_stream.py",
    "api/test_interrupted_ends.py",
    "connect/test_socks.py",
    "http11/test_upload.py",
    "pool/test_ledger_interruptions.py",
    "pool/test_locked_ledger.py",
    "test_patterns.py",
    "testing/test_network.py",
    "testing/test_recording.py",
    "testing/test_script.py",
}


class _Timers:
    """Replaces the selector of an event loop, and waits for timers only."""

    def select(self, timeout: float | None) -> list[Any]:
        assert timeout is not None, "the program waits without a timer, so it hangs"
        time.sleep(timeout)
        return []


class _Loop(asyncio.BaseEventLoop):
    """An event loop without sockets."""

    _selector = _Timers()

    def _process_events(self, event_list: list[Any]) -> None:
        assert not event_list, "there are no sockets"

    def _write_to_self(self) -> None:
        """Do nothing: no other thread can schedule a call."""


def _run(main: Coroutine[Any, Any, T], *, debug: bool | None = None) -> T:
    with asyncio.Runner(debug=debug, loop_factory=_Loop) as runner:
        return runner.run(main)


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    name = collection_path.as_posix().partition("/tests/core/")[2]
    return True if name in IGNORED else None


@pytest.fixture
def no_leaks() -> None:
    pytest.skip("needs sockets or threads")


@pytest.fixture
def server_tls() -> None:
    pytest.skip("needs TLS")


def _skip_tls(*args: object, **options: object) -> NoReturn:
    pytest.skip("needs TLS")


def main(arguments: list[str]) -> int:
    """Run pytest and return its status."""
    os.chdir("/work")
    missing = [name for name in IGNORED if not Path("tests/core", name).exists()]
    assert not missing, f"IGNORED names files that do not exist: {missing}"
    sys.path[:0] = [str(path) for path in Path("packages").glob("*/src")]
    # In Pyodide JavaScript's event loop is always running, and Python code can't wait on it for a coroutine.
    asyncio._set_running_loop(None)
    asyncio.run = _run
    ssl.SSLContext.wrap_bio = _skip_tls  # type: ignore[method-assign]
    options = [
        *("-p", "no:cacheprovider", "--quiet", "--override-ini", "faulthandler_timeout=0"),
        *("--override-ini", "addopts=--strict-config --strict-markers --import-mode=importlib"),
        # The conftest above it imports socket.
        *("--confcutdir", "tests/core"),
    ]
    status = pytest.main(
        [*options, *(arguments or ["tests/core"])], plugins=[sys.modules[__name__]]
    )
    return int(status)
