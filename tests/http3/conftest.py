"""What the tests of HTTP/3 have in common."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
import trustme

import httpcore2

from ..support.h3peer import LIMIT, H3Server, Script
from ..support.runtimes import TestedRuntime

Serve = Callable[..., AbstractContextManager[H3Server]]
PoolMaker = Callable[..., httpcore2.AsyncConnectionPool]

HTTP3_ONLY: dict[str, Any] = {"http1": False, "http2": False, "http3": True}


@pytest.fixture(scope="session")
def certificate(certificate_authority: trustme.CA) -> bytes:
    """Return key and chain of the servers, in PEM."""
    return certificate_authority.issue_cert(
        "127.0.0.1", "localhost", "other.example.com"
    ).private_key_and_cert_chain_pem.bytes()


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server on a machine under load may be silent for longer than the second after which a connection is left."""
    monkeypatch.setattr("httpcore2_http3._session._SILENCE", LIMIT)


@pytest.fixture
def serve(certificate: bytes, no_leaks: None) -> Serve:
    def serving(script: Script, **options: Any) -> AbstractContextManager[H3Server]:
        return H3Server(script, certificate, **options).running()

    return serving


@pytest.fixture
def make_pool(runtime: TestedRuntime, client_tls: ssl.SSLContext) -> PoolMaker:
    """Return a function that makes a pool of the runtime, for HTTP/3 alone."""

    def make(**options: Any) -> httpcore2.AsyncConnectionPool:
        return runtime.pool(**{"ssl_context": client_tls, **HTTP3_ONLY, **options})

    return make
