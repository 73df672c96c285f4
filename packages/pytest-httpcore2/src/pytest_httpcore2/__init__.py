"""A pytest plugin for tests of what is built on httpcore2: fixtures, and a policy for the network.

pytest finds it by its entry point. `-p no:pytest_httpcore2` switches it off.
"""

from __future__ import annotations

from ._fixtures import (
    httpcore2_async_backend,
    httpcore2_async_pool,
    httpcore2_async_recording_backend,
    httpcore2_backend,
    httpcore2_pool,
    httpcore2_recording_backend,
    httpcore2_script,
    httpcore2_server,
)
from ._hooks import (
    pytest_addoption,
    pytest_collection_modifyitems,
    pytest_configure,
    pytest_runtest_makereport,
    pytest_runtest_protocol,
)

__all__ = [
    "httpcore2_async_backend",
    "httpcore2_async_pool",
    "httpcore2_async_recording_backend",
    "httpcore2_backend",
    "httpcore2_pool",
    "httpcore2_recording_backend",
    "httpcore2_script",
    "httpcore2_server",
    "pytest_addoption",
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_runtest_makereport",
    "pytest_runtest_protocol",
]
