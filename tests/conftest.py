"""Fixtures for all tests: the runtimes, certificates, and the check that nothing is left open."""

from __future__ import annotations

import gc
import importlib
import os
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from .support import programs
from .support.runtimes import MAIN_RUNTIMES, RUNTIMES, TestedAsyncRuntime, TestedRuntime

# They run in an environment without our packages, by a command of their own.
collect_ignore = ["packaging"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which programs are missing, in few lines; `-ra` names each skipped test."""
    places = [report.longrepr for report in terminalreporter.getreports("skipped")]
    # Of a skipped test this is its file, its line and the reason.
    reasons = [place[2] for place in places if isinstance(place, tuple)]
    if lines := list(programs.summary(reasons)):
        terminalreporter.section("not installed")
        for line in lines:
            terminalreporter.line(line)


def _sockets() -> set[str]:
    """The sockets that this process holds, by inode."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = os.readlink(entry)
        except FileNotFoundError:
            continue  # the descriptor of the listing itself
        if target.startswith("socket:"):
            found.add(target)
    return found


def _threads() -> set[threading.Thread]:
    # trio keeps its worker threads for a while, for the next use.
    return {thread for thread in threading.enumerate() if not thread.name.startswith("Trio thread")}


def _collect() -> None:
    """Have what is garbage finalised now, and leave out of later collections what is not.

    Those then take a millisecond. With all that a long session keeps, each took fifty.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _collect_imports() -> None:
    # Its start-up looks for referrers with the collector, which would not see what is frozen.
    importlib.import_module("hypothesis")
    _collect()


@pytest.fixture
def no_leaks() -> Iterator[None]:
    """Fail if the test leaves a socket or a thread, or if something complains when it is collected."""
    sockets, threads = _sockets(), _threads()
    yield
    left = _sockets() - sockets
    assert not left, f"sockets are left open: {left}"
    left_threads = _threads() - threads
    assert not left_threads, f"threads are left: {left_threads}"
    _collect()


@pytest.fixture(params=MAIN_RUNTIMES)
def runtime(request: pytest.FixtureRequest, no_leaks: None) -> TestedRuntime:
    """Each main runtime in turn."""
    return RUNTIMES[request.param]


@pytest.fixture(
    params=[name for name, runtime in RUNTIMES.items() if isinstance(runtime, TestedAsyncRuntime)]
)
def async_runtime(request: pytest.FixtureRequest, no_leaks: None) -> TestedAsyncRuntime:
    """Each runtime with an event loop, in turn."""
    runtime = RUNTIMES[request.param]
    assert isinstance(runtime, TestedAsyncRuntime)
    return runtime


@pytest.fixture(scope="session")
def certificate_authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def server_tls(certificate_authority: trustme.CA) -> ssl.SSLContext:
    """For servers on the loopback interface, and for the names of the documentation's examples."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate_authority.issue_cert(
        "127.0.0.1", "localhost", "www.example.com", "en.wikipedia.org"
    ).configure_cert(context)
    return context


@pytest.fixture(scope="session")
def h2_server_tls(certificate_authority: trustme.CA) -> ssl.SSLContext:
    """For servers that speak HTTP/2, and HTTP/1.1 to those who don't."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate_authority.issue_cert("127.0.0.1").configure_cert(context)
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


@pytest.fixture(scope="session")
def client_tls(certificate_authority: trustme.CA) -> ssl.SSLContext:
    """For clients that trust those servers."""
    context = ssl.create_default_context()
    certificate_authority.configure_trust(context)
    return context


@pytest.fixture(scope="session")
def ca_file(certificate_authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    certificate_authority.cert_pem.write_to_path(path)
    return path
