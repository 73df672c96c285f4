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

from ..support.worlds import WORLDS, AsyncWorld, World
from .clients import DressedClient

SHIM = Path(__file__).parent / "shim"
sys.path.insert(0, str(SHIM))

Connect = Callable[..., Any]


@pytest.fixture(params=["httpx2", "httpx"])
def library(request: pytest.FixtureRequest) -> Any:
    """Each client library in turn."""
    return importlib.import_module(request.param)


@pytest.fixture(params=["threads", "asyncio", "trio"])
def world(request: pytest.FixtureRequest, nothing_left: None) -> World:
    """Each world that the clients know, in turn."""
    return WORLDS[request.param]


@pytest.fixture
def connect(library: Any, world: World) -> Connect:
    """Makes a client of the library for the world, with the asynchronous interface."""

    def make(**options: Any) -> Any:
        options = {"trust_env": False, **options}
        if isinstance(world, AsyncWorld):
            return library.AsyncClient(**options)
        return DressedClient(library.Client(**options))

    return make


@pytest.fixture
def transport(library: Any, world: World) -> Connect:
    """Makes a transport of the library for the world."""

    def make(**options: Any) -> Any:
        kind = "AsyncHTTPTransport" if isinstance(world, AsyncWorld) else "HTTPTransport"
        return getattr(library, kind)(**options)

    return make


@pytest.fixture(scope="session")
def h2_server_tls(certificate_authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate_authority.issue_cert("127.0.0.1").configure_cert(context)
    context.set_alpn_protocols(["h2"])
    return context
