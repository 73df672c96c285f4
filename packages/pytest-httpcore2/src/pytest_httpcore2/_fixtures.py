"""The fixtures: one script, and the backends, pools and server that reply from it.

Rules: `_core` is imported when a fixture is first used. No fixture is a coroutine, so that each works with every plugin
that runs async tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from ._state import ALLOWED, FAILED

if TYPE_CHECKING:
    from ._core import (
        AsyncConnectionPool,
        AsyncRecordingBackend,
        ConnectionPool,
        RecordingBackend,
        Script,
        ScriptedServer,
    )


@pytest.fixture
def httpcore2_script(request: pytest.FixtureRequest) -> Iterator[Script]:
    """The replies of the server, a `Script` that the test adds to: `httpcore2_script.add(reply(200, b"fine"))`.

    When the test has passed, a reply that was not used is an error, and so is a request that got none. A function in
    the last place replies to any number of requests.
    """
    from . import _core

    script = _core.Script()
    yield script
    if not request.node.stash.get(FAILED, False):
        script.verify()


@pytest.fixture
def httpcore2_backend(httpcore2_script: Script) -> RecordingBackend:
    """A backend for threads without a network. It replies from `httpcore2_script`, and keeps `recordings`."""
    from . import _core

    return _core.RecordingBackend(_core.ScriptedBackend(httpcore2_script))


@pytest.fixture
def httpcore2_async_backend(httpcore2_script: Script) -> AsyncRecordingBackend:
    """A backend for event loops without a network. It replies from `httpcore2_script`, and keeps `recordings`."""
    from . import _core

    return _core.AsyncRecordingBackend(_core.AsyncScriptedBackend(httpcore2_script))


@pytest.fixture
def httpcore2_pool(httpcore2_backend: RecordingBackend) -> Iterator[ConnectionPool]:
    """A `ConnectionPool` on `httpcore2_backend`, closed after the test."""
    from . import _core

    with _core.ConnectionPool(network_backend=httpcore2_backend) as pool:
        yield pool


@pytest.fixture
def httpcore2_async_pool(
    httpcore2_async_backend: AsyncRecordingBackend,
) -> Iterator[AsyncConnectionPool]:
    """An `AsyncConnectionPool` on `httpcore2_async_backend`, closed after the test."""
    from . import _core

    pool = _core.AsyncConnectionPool(network_backend=httpcore2_async_backend)
    yield pool
    # The backend never waits, so that no event loop has to run.
    _core.run_blocking(pool.aclose())


@pytest.fixture
def httpcore2_server(
    request: pytest.FixtureRequest, httpcore2_script: Script
) -> Iterator[ScriptedServer]:
    """A server on a free port of 127.0.0.1, at `httpcore2_server.url`. It replies from `httpcore2_script`.

    Tests may connect to it even where `httpcore2_network` is "forbid".
    """
    from . import _core

    try:
        with _core.ScriptedServer(httpcore2_script) as server:
            if ALLOWED in request.node.stash:
                request.node.stash[ALLOWED].add(server.address)
            yield server
    except BaseException:
        # The script would report the same request again.
        request.node.stash[FAILED] = True
        raise


@pytest.fixture
def httpcore2_recording_backend() -> RecordingBackend:
    """A backend for threads that opens connections, and keeps `recordings` of the bytes that pass through them."""
    from . import _core

    return _core.RecordingBackend(_core.SyncBackend())


@pytest.fixture
def httpcore2_async_recording_backend() -> AsyncRecordingBackend:
    """A backend for event loops that opens connections, and keeps `recordings` of the bytes that pass through them."""
    from . import _core

    return _core.AsyncRecordingBackend(_core.AutoBackend())
