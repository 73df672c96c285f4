"""The same command lines through curl and through httpcore2: equal bodies, files and exit codes, or a listed reason."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ..support import programs
from ..support.h2peer import answering, speaking
from ..support.scripted_proxies import PROXY_KINDS, scripted_proxy
from ..support.scripted_servers import refusing_port, scripted_server
from .conftest import Outcome, invoke
from .curl_cases import BODY, CASES, FILE, CurlCase, origin


@pytest.fixture(scope="module")
def values(
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    ca_file: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, object]]:
    """Run the servers, and return what the cases name."""
    programs.require("curl")
    folder = tmp_path_factory.mktemp("curl")
    with ExitStack() as stack:
        http = stack.enter_context(scripted_server(origin, allow_disconnect=True))
        tls = stack.enter_context(scripted_server(origin, tls=server_tls, allow_disconnect=True))
        h2 = stack.enter_context(scripted_server(speaking(answering()), allow_disconnect=True))
        stack.enter_context(scripted_server(origin, uds=folder / "socket", allow_disconnect=True))
        closed = stack.enter_context(refusing_port())
        found: dict[str, object] = {
            "origin": http.origin,
            "port": http.port,
            "tls": tls.origin,
            "h2": h2.origin,
            "socket": folder / "socket",
            "closed": closed,
            "ca": ca_file,
        }
        for name, kind, target in (("proxy", "http", tls), ("socks", "socks5", http)):
            proxy = scripted_proxy(PROXY_KINDS[kind], target.port, server_tls, client_tls)
            found[name] = stack.enter_context(proxy).origin
        yield found


def by_curl(arguments: list[str], folder: Path) -> Outcome:
    # -q: without the user's own settings.
    done = subprocess.run(
        [programs.require("curl"), "-q", "-s", *arguments],
        cwd=folder,
        env={"PATH": "/usr/bin"},
        capture_output=True,
        timeout=30,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr.decode())


def prepare(folder: Path) -> Path:
    folder.mkdir()
    (folder / "data").write_bytes(FILE)
    (folder / "part").write_bytes(BODY[:300])
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.arguments)
def test_curl_and_the_command_do_the_same(
    case: CurlCase,
    values: dict[str, object],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arguments = case.arguments.format(**values).split()
    theirs, ours = prepare(tmp_path / "curl"), prepare(tmp_path / "httpcore2")
    expected = by_curl(arguments, theirs)
    monkeypatch.chdir(ours)
    outcome = invoke("-s", *arguments)
    same = (outcome.code, outcome.output, files(ours)) == (
        expected.code,
        expected.output,
        files(theirs),
    )
    assert same is (case.difference is None), (expected, outcome)


def test_there_are_enough_cases() -> None:
    assert len([case for case in CASES if case.difference is None]) >= 30
    assert len({case.arguments for case in CASES}) == len(CASES)
