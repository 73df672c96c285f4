"""The example of a library needs the core only; its tests and its type checks pass with the built packages."""

from __future__ import annotations

import sys
from pathlib import Path

from .environments import OWN_PYTHON, ROOT, Environment, run, version

SDK = ROOT / "examples" / "acme-sdk"
PYRIGHT = str(Path(sys.executable).parent / "pyright")
CALL = """
from acme_sdk import Acme
from httpcore2_core import ConnectionPool
from httpcore2_core.testing import Script, ScriptedServer, reply

with ScriptedServer(Script(reply(200, b'{"id": 3, "text": "x"}'))) as server, ConnectionPool() as http:
    print(Acme(http, "token", url=server.url).note(3).text)
"""


def test_a_library_may_depend_on_the_core_only(tmp_path: Path) -> None:
    made = Environment(tmp_path / "environment", OWN_PYTHON)
    made.install(str(SDK))
    assert set(made.distributions()) == {"acme-sdk", "certifi", "h11", "httpcore2-core"}
    assert made.run("-c", CALL) == "x\n"


def test_the_tests_and_types_of_a_library_pass_with_the_built_packages(tmp_path: Path) -> None:
    made = Environment(tmp_path / "environment", OWN_PYTHON)
    made.install(
        *(f"httpcore2[all]=={version()}", f"pytest-httpcore2=={version()}"),
        *(str(SDK), "mypy", "uvloop"),
    )
    made.run("-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(SDK), f"{SDK}/tests")
    run([PYRIGHT, "--pythonpath", str(made.python)], folder=SDK)
    made.run(
        *("-m", "mypy", "--strict", f"--cache-dir={tmp_path}", "src", "tests"),
        folder=SDK,
        environment={"MYPYPATH": "tests"},
    )
