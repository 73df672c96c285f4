"""Runs pytest with the plugin on tests that are given as text."""

from __future__ import annotations

import textwrap

import pytest

PREAMBLE = """
import pytest
import httpcore2
from httpcore2_core.testing import reply
"""


def run(
    pytester: pytest.Pytester, source: str, *arguments: str, configuration: str = ""
) -> pytest.RunResult:
    """Run the tests in `source` in this process; `configuration` has lines of the `[pytest]` section."""
    pytester.makeini(f"[pytest]\nfilterwarnings = error\n{configuration}\n")
    pytester.makepyfile(PREAMBLE + textwrap.dedent(source))
    # The plugin is imported already, so that its assertions can't be rewritten. It has none.
    ignored = ("-W", "ignore::pytest.PytestAssertRewriteWarning")
    return pytester.runpytest_inprocess(
        "-p", "pytest_httpcore2", "-p", "no:cacheprovider", *ignored, *arguments
    )
