"""pytest finds the plugin by its entry point, beside the plugins that tests of HTTP clients use."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Make
from .environments import OWN_PYTHON, each_python, version

TESTS = """
import sys

import pytest


def test_the_core_is_not_imported_before_a_fixture_is_used():
    assert "httpcore2_core" not in sys.modules


def test_a_pool(httpcore2_pool, httpcore2_script):
    from httpcore2_core.testing import reply

    httpcore2_script.add(reply(200, b"fine"))
    assert httpcore2_pool.request("GET", "https://api.example/").content == b"fine"


@pytest.mark.httpcore2_network("forbid")
def test_the_network_is_forbidden():
    import httpcore2_core

    with httpcore2_core.ConnectionPool() as pool, pytest.raises(AssertionError, match="forbidden"):
        pool.request("GET", "http://127.0.0.1:1/")
"""
ASYNC_TEST = """
import pytest
from httpcore2_core.testing import reply


@pytest.mark.{plugin}
async def test_an_async_pool(httpcore2_async_pool, httpcore2_script):
    httpcore2_script.add(reply(200, b"fine"))
    response = await httpcore2_async_pool.request("GET", "https://api.example/")
    assert response.content == b"fine"
"""


@each_python
def test_pytest_finds_the_plugin(python: str, environment: Make, tmp_path: Path) -> None:
    made = environment(python, f"pytest-httpcore2=={version()}")
    (tmp_path / "test_it.py").write_text(TESTS)
    output = made.run("-m", "pytest", "--strict-markers", folder=tmp_path)
    assert "3 passed" in output
    assert f"httpcore2-{version()}" in output  # in the list of plugins


@pytest.mark.parametrize(
    ("requirements", "options"),
    [
        (("pytest==8.1.1",), ()),
        # Without a value the plugin warns.
        ((), ("-o", "asyncio_default_fixture_loop_scope=function")),
    ],
    ids=["oldest pytest", "newest pytest"],
)
def test_the_plugin_works_beside_others(
    requirements: tuple[str, ...], options: tuple[str, ...], environment: Make, tmp_path: Path
) -> None:
    made = environment(
        OWN_PYTHON,
        f"pytest-httpcore2=={version()}",
        f"httpcore2-asyncio=={version()}",
        *("anyio", "pytest-asyncio", "pytest-cov", "pytest-httpx", "pytest-xdist"),
        *requirements,
    )
    (tmp_path / "test_it.py").write_text(TESTS)
    for plugin in ("anyio", "asyncio"):
        source = ASYNC_TEST.format(plugin=plugin)
        (tmp_path / f"test_with_{plugin}.py").write_text(source)
    # The test of the first import runs alone, before the others import the core themselves.
    for names, outcome in (
        (("test_it.py",), "3 passed"),
        (("test_with_anyio.py", "test_with_asyncio.py"), "2 passed"),
    ):
        for plugins in ((), ("-n", "2", "--cov=httpcore2_core")):
            output = made.run("-m", "pytest", "-q", *options, *plugins, *names, folder=tmp_path)
            assert outcome in output
