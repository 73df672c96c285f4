"""The hooks: the option and the marker `httpcore2_network`, and the policy in force while a test runs.

Rules: the policy covers the set-up and the tear-down of a test, with fixtures of all scopes. `_core` is imported when a
test with a policy begins.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest

from ._state import ALLOWED, FAILED

NAME = "httpcore2_network"
POLICIES = ("allow", "loopback", "forbid")
ADVICE = (
    "Use a fixture of pytest-httpcore2 such as httpcore2_pool, or mark the test with "
    '@pytest.mark.httpcore2_network("allow").'
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option to the command line and to the configuration file."""
    what = (
        "which connections the pools of httpcore2 may open in tests: all (allow), to this machine "
        "only (loopback), or none (forbid)"
    )
    group = parser.getgroup("httpcore2")
    group.addoption("--httpcore2-network", choices=POLICIES, help=f"{what}; default: allow")
    parser.addini(NAME, f"{what}. The command line comes first.", default="allow")


def pytest_configure(config: pytest.Config) -> None:
    """Check the configuration file, and register the marker."""
    _checked(config.getini(NAME), f"{NAME} in {config.inipath}")
    config.addinivalue_line(
        "markers",
        f"{NAME}(policy): which connections the pools of httpcore2 may open in this test: "
        '"allow", "loopback" or "forbid". It comes before the option of the same name.',
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Check the markers, before the first test runs."""
    for item in items:
        _policy(item)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Put the policy in force while a test runs."""
    policy = _policy(item)
    if policy == "allow":
        return (yield)
    from . import _core

    allowed: set[tuple[str, int]] = set()
    item.stash[ALLOWED] = allowed
    with _core.forbid_network(allow_loopback=policy == "loopback", allow=allowed, advice=ADVICE):
        return (yield)


# First, as pytest calls no further function when one has returned a report.
@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Remember whether the test has passed, for the fixtures that check it afterwards."""
    if call.when != "teardown":
        item.stash[FAILED] = call.excinfo is not None


def _policy(item: pytest.Item) -> str:
    """Return the policy of a test: that of its marker, or of the command line, or of the configuration file."""
    marker = item.get_closest_marker(NAME)
    if marker is None:
        option: str | None = item.config.getoption(NAME)
        return option or str(item.config.getini(NAME))
    if len(marker.args) != 1 or marker.kwargs:
        raise pytest.UsageError(
            f"The marker {NAME} of {item.nodeid} needs one argument: {_choices()}."
        )
    return _checked(marker.args[0], f"The marker {NAME} of {item.nodeid}")


def _checked(policy: object, place: str) -> str:
    if policy not in POLICIES:
        raise pytest.UsageError(f"{place} is {policy!r}. It must be {_choices()}.")
    return str(policy)


def _choices() -> str:
    return '"allow", "loopback" or "forbid"'
