"""What the tests of the clients have in common."""

from __future__ import annotations

import importlib
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from ...support.runtimes import RUNTIMES, TestedAsyncRuntime, TestedRuntime
from .clients import DressedClient

SHIM = Path(__file__).parent / "shim"
sys.path.insert(0, str(SHIM))

Connect = Callable[..., Any]


@pytest.fixture(params=["httpx2", "httpx"])
def library(request: pytest.FixtureRequest) -> Any:
    """Each client library in turn."""
    return importlib.import_module(request.param)


@pytest.fixture(params=["threads", "asyncio", "trio"])
def runtime(request: pytest.FixtureRequest, no_leaks: None) -> TestedRuntime:
    """Each runtime that the clients know, in turn."""
    return RUNTIMES[request.param]


@pytest.fixture
def connect(library: Any, runtime: TestedRuntime) -> Connect:
    """Makes a client of the library for the runtime, with the asynchronous interface."""

    def make(**options: Any) -> Any:
        options = {"trust_env": False, **options}
        if isinstance(runtime, TestedAsyncRuntime):
            return library.AsyncClient(**options)
        return DressedClient(library.Client(**options))

    return make


@pytest.fixture
def transport(library: Any, runtime: TestedRuntime) -> Connect:
    """Makes a transport of the library for the runtime."""

    def make(**options: Any) -> Any:
        kind = "AsyncHTTPTransport" if isinstance(runtime, TestedAsyncRuntime) else "HTTPTransport"
        return getattr(library, kind)(**options)

    return make


@pytest.fixture(scope="session")
def h2_server_tls(certificate_authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate_authority.issue_cert("127.0.0.1").configure_cert(context)
    context.set_alpn_protocols(["h2"])
    return context
