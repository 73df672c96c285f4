"""Fixtures: the client libraries, and factories of their clients and transports."""

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
from .client_adapters import AsyncAdapterClient

SHIM = Path(__file__).parent / "shim"
sys.path.insert(0, str(SHIM))

Connect = Callable[..., Any]


@pytest.fixture(params=["httpx2", "httpx"])
def library(request: pytest.FixtureRequest) -> Any:
    """Run the test with each client library."""
    return importlib.import_module(request.param)


@pytest.fixture(params=["threads", "asyncio", "trio"])
def runtime(request: pytest.FixtureRequest, no_leaks: None) -> TestedRuntime:
    """Run the test on each runtime that the clients support."""
    return RUNTIMES[request.param]


@pytest.fixture
def connect(library: Any, runtime: TestedRuntime) -> Connect:
    """Return a function that creates a client of the library for the runtime, with the async interface."""

    def make(**options: Any) -> Any:
        options = {"trust_env": False, **options}
        if isinstance(runtime, TestedAsyncRuntime):
            return library.AsyncClient(**options)
        return AsyncAdapterClient(library.Client(**options))

    return make


@pytest.fixture
def transport(library: Any, runtime: TestedRuntime) -> Connect:
    """Return a function that creates a transport of the library for the runtime."""

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
