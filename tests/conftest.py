"""Fixtures for all tests: the runtimes, certificates, and the check for leaked sockets and threads."""

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

# The tests of the built packages run in an environment without these packages, by a command of their own.
collect_ignore = ["packaging"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print which programs are missing, in a few lines; `-ra` names each skipped test."""
    places = [report.longrepr for report in terminalreporter.getreports("skipped")]
    # Each is the file and line of a skipped test, and the reason.
    reasons = [place[2] for place in places if isinstance(place, tuple)]
    if lines := list(programs.summary(reasons)):
        terminalreporter.section("not installed")
        for line in lines:
            terminalreporter.line(line)


def _sockets() -> set[str]:
    """Return the sockets that this process holds open, by inode."""
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
    # trio keeps idle worker threads for a while.
    return {thread for thread in threading.enumerate() if not thread.name.startswith("Trio thread")}


def _collect() -> None:
    """Collect garbage, and exclude all objects that are left from later collections.

    A later collection then takes 1 ms. With all objects of a long session it took 50 ms.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _collect_imports() -> None:
    # hypothesis searches for referrers through the collector at import, and would miss frozen objects.
    importlib.import_module("hypothesis")
    _collect()


@pytest.fixture
def no_leaks() -> Iterator[None]:
    """Fail if the test leaves a socket or a thread, or if the collection of its objects causes a warning."""
    sockets, threads = _sockets(), _threads()
    yield
    left = _sockets() - sockets
    assert not left, f"sockets are left open: {left}"
    left_threads = _threads() - threads
    assert not left_threads, f"threads are left: {left_threads}"
    _collect()


@pytest.fixture(params=MAIN_RUNTIMES)
def runtime(request: pytest.FixtureRequest, no_leaks: None) -> TestedRuntime:
    """Run the test on each main runtime."""
    return RUNTIMES[request.param]


@pytest.fixture(
    params=[name for name, runtime in RUNTIMES.items() if isinstance(runtime, TestedAsyncRuntime)]
)
def async_runtime(request: pytest.FixtureRequest, no_leaks: None) -> TestedAsyncRuntime:
    """Run the test on each runtime with an event loop."""
    runtime = RUNTIMES[request.param]
    assert isinstance(runtime, TestedAsyncRuntime)
    return runtime


@pytest.fixture(scope="session")
def certificate_authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def server_tls(certificate_authority: trustme.CA) -> ssl.SSLContext:
    """Return the SSL context of servers on the loopback interface and for the documented examples."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate_authority.issue_cert(
        "127.0.0.1", "localhost", "www.example.com", "en.wikipedia.org"
    ).configure_cert(context)
    return context


@pytest.fixture(scope="session")
def h2_server_tls(certificate_authority: trustme.CA) -> ssl.SSLContext:
    """Return the SSL context of servers that speak HTTP/2 and HTTP/1.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate_authority.issue_cert("127.0.0.1").configure_cert(context)
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


@pytest.fixture(scope="session")
def client_tls(certificate_authority: trustme.CA) -> ssl.SSLContext:
    """Return the SSL context of clients that trust these servers."""
    context = ssl.create_default_context()
    certificate_authority.configure_trust(context)
    return context


@pytest.fixture(scope="session")
def ca_file(certificate_authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    certificate_authority.cert_pem.write_to_path(path)
    return path
