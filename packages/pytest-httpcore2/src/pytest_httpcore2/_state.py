"""What hooks and fixtures know of the test that is running, under keys of its stash.

Must not know: the core.
"""

from __future__ import annotations

import pytest

FAILED = pytest.StashKey[bool]()
"""Whether the test has failed, or was skipped: its script need not have been played to the end."""

ALLOWED = pytest.StashKey[set[tuple[str, int]]]()
"""The addresses that the test may connect to although the network is forbidden."""
