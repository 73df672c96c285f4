"""What the tests of HTTP/2 have in common."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import trustme

import httpcore2

from ..support import real_servers
from ..support.runtimes import TestedRuntime

PoolMaker = Callable[..., httpcore2.AsyncConnectionPool]


@pytest.fixture(scope="session")
def servers(
    certificate_authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[real_servers.Servers]:
    path = tmp_path_factory.mktemp("certificate") / "server.pem"
    certificate_authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(path)
    with real_servers.Servers(tmp_path_factory.mktemp, path) as servers:
        yield servers


@pytest.fixture
def h2_client_tls(certificate_authority: trustme.CA) -> ssl.SSLContext:
    """Its ALPN protocols are the pool's to set, so each test has its own."""
    context = ssl.create_default_context()
    certificate_authority.configure_trust(context)
    return context


@pytest.fixture
def h2_pool() -> Callable[..., httpcore2.AsyncConnectionPool]:
    """Makes a pool that speaks HTTP/2 in clear text, too."""

    def make(runtime: TestedRuntime, **options: Any) -> httpcore2.AsyncConnectionPool:
        return runtime.pool(**{"http1": False, "http2": True, **options})

    return make
