"""Plugins of all tests: that of this project, which has no entry point where it is not installed, and `pytester`."""

from __future__ import annotations

pytest_plugins = ["pytest_httpcore2", "pytester"]
