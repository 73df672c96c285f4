"""The names that the plugin uses of the core.

Rules: the plugin imports this module in a test that needs it, and not before: pytest loads plugins before coverage
measures, and in sessions that do not use httpcore2.
"""

from __future__ import annotations

from httpcore2_core._distributions import check_version

check_version("pytest_httpcore2", "3.0.0")

from httpcore2_core import AsyncConnectionPool, ConnectionPool, SyncBackend
from httpcore2_core._net.detection import AutoBackend
from httpcore2_core.testing import (
    AsyncRecordingBackend,
    AsyncScriptedBackend,
    RecordingBackend,
    Script,
    ScriptedBackend,
    ScriptedServer,
    forbid_network,
    run_blocking,
)

__all__ = [
    "AsyncConnectionPool",
    "AsyncRecordingBackend",
    "AsyncScriptedBackend",
    "AutoBackend",
    "ConnectionPool",
    "RecordingBackend",
    "Script",
    "ScriptedBackend",
    "ScriptedServer",
    "SyncBackend",
    "forbid_network",
    "run_blocking",
]
