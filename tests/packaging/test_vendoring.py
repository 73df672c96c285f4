"""Vendored copies of the import packages, made by the instructions in `docs/vendoring.md`."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme

from ..support.scripted_servers import canned_responses, response, scripted_server
from .environments import (
    IN_ALL,
    OWN_PYTHON,
    PYTHONS,
    ROOT,
    Environment,
    files_of,
    version,
    wheel_of,
)

# The copies are made once for all tests.
pytestmark = pytest.mark.xdist_group("vendoring")

THIRD_PARTIES = ("certifi", "h11", "h2", "hpack", "hyperframe", "socksio")
PUBLISHED = "2.16.2"
# The command line is a program, not a part of another one; the instrumentation is one of installed packages.
VENDORED = tuple(
    name for name in IN_ALL if name not in ("httpcore2-cli", "httpcore2-opentelemetry")
)

# Every host name of an example resolves to the server on the loopback interface.
EXAMPLE = """
import socket, sys

port, example = int(sys.argv[1]), sys.argv[2]
genuine = socket.getaddrinfo
socket.getaddrinfo = lambda host, number, *args, **kwargs: genuine("127.0.0.1", port, *args, **kwargs)
exec(compile(example, "example", "exec"), {"__name__": "__main__"})
"""


class Block(NamedTuple):
    """Return a block of code of the page."""

    section: str
    language: str
    title: str
    text: str


def blocks() -> Iterator[Block]:
    text = (ROOT / "docs" / "vendoring.md").read_text()
    for section in re.split(r"^## ", text, flags=re.M)[1:]:
        found = re.findall(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', section, re.M | re.S)
        for language, title, code in found:
            yield Block(section.partition("\n")[0], language, title, code)


def started(folder: Path) -> Path:
    """Return an empty project."""
    vendor = folder / "acme" / "_vendor"
    vendor.mkdir(parents=True)
    for package in (vendor, vendor.parent):
        (package / "__init__.py").touch()
    return folder


def followed(made: Environment, project: Path, section: str) -> Path:
    """Follow the instructions in a section of the page."""
    for block in blocks():
        if block.section == section and block.title:
            (project / block.title).write_text(block.text)
        elif block.section == section:
            assert block.language == "shell"
            made.shell(block.text, project)
    return project


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Return an environment with the dependencies of `acme`, and pip."""
    made = Environment(tmp_path_factory.mktemp("vendoring") / "environment", OWN_PYTHON)
    made.install("pip", "trio", "certifi", "h11")
    return made


@pytest.mark.parametrize("section", ["With the `vendoring` tool", "By hand"])
def test_the_instructions_for_vendoring_work(
    section: str, environment: Environment, tmp_path: Path
) -> None:
    project = followed(environment, started(tmp_path), section)
    packages = {path.name for path in (project / "acme" / "_vendor").iterdir()}
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("www.example.com").configure_cert(tls)
    ran = []
    with scripted_server(canned_responses([response(b"fine")]), tls=tls) as server:
        for block in blocks():
            needed = set(re.findall(r"acme\._vendor\.(httpcore2_\w+) import", block.text))
            if block.language == "python" and needed <= packages:
                environment.run(
                    *("-c", EXAMPLE, str(server.port), block.text),
                    folder=project,
                    environment={"SSL_CERT_FILE": str(tmp_path / "authority.pem")},
                )
                ran.append(needed)
    assert len(ran) == 3
    assert server.accepted == 2


@pytest.fixture(scope="module")
def projects(environment: Environment, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a project with copies of all vendorable packages: made by the tool, or by hand without dependencies."""
    tool = started(tmp_path_factory.mktemp("tool"))
    for block in blocks():
        if block.title.endswith(".txt"):
            ours = [f"{name}=={version()}" for name in VENDORED]
            (tool / block.title).write_text("\n".join([*ours, *THIRD_PARTIES]))
        elif block.title:
            (tool / block.title).write_text(block.text)
    environment.shell("pip install vendoring && vendoring sync", tool)

    hand = started(tmp_path_factory.mktemp("hand"))
    for distribution in VENDORED:
        for name, content in files_of(wheel_of(distribution)).items():
            if ".dist-info/" not in name:
                path = hand / "acme" / "_vendor" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
                if not name.startswith("httpcore2_core/"):
                    text = content.decode()
                    path.write_text(re.sub(r"from (httpcore2_\w+)", r"from acme._vendor.\1", text))
    return {"tool": tool, "hand": hand}


@pytest.mark.parametrize(
    ("way", "python"), [*(("tool", python) for python in PYTHONS), ("hand", OWN_PYTHON)]
)
def test_every_vendored_copy_works_and_shares_no_state(
    way: str, python: str, projects: dict[str, Path], servers: str, tmp_path: Path
) -> None:
    made = Environment(tmp_path / "environment", python)
    # QUIC is an extension module, which is not copied.
    made.install("anyio", "trio", "qh3", *(THIRD_PARTIES if way == "hand" else ()))
    script = (Path(__file__).parent / "vendored.py").read_text()

    def beside() -> str:
        return made.run("-c", script, servers, folder=projects[way])

    assert beside() == "nothing"
    made.install(f"httpcore2=={PUBLISHED}")
    assert beside() == PUBLISHED
    made.install(f"httpcore2[all]=={version()}")
    assert beside() == version()
