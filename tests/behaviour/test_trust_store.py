"""TLS with the trust store of the operating system, which truststore gives to OpenSSL here."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

import httpcore2

from ..support.runtimes import TestedRuntime
from ..support.scripted_servers import canned_responses, response, scripted_server

FINE = response(b"fine")


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)


def test_an_authority_that_is_not_in_the_store_is_not_trusted(
    runtime: TestedRuntime, server_tls: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        context = httpcore2.default_ssl_context(system_store=True)
        async with runtime.pool(ssl_context=context) as pool:
            with pytest.raises(httpcore2.ConnectError, match="certificate verify failed") as caught:
                await pool.request("GET", server.url)
            assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)

    with scripted_server(canned_responses([FINE]), tls=server_tls, allow_disconnect=True) as server:
        runtime.run(scenario)


@pytest.mark.parametrize("http2", [False, True])
def test_an_authority_that_is_added_is_trusted(
    runtime: TestedRuntime, server_tls: ssl.SSLContext, ca_file: Path, http2: bool
) -> None:
    async def scenario() -> None:
        context = httpcore2.default_ssl_context(system_store=True)
        context.load_verify_locations(ca_file)
        async with runtime.pool(ssl_context=context, http2=http2) as pool:
            for _ in range(2):
                found = await pool.request("GET", server.url, headers=[("Connection", "close")])
                assert found.content == b"fine"
            extensions = {"sni_hostname": "refused.example"}
            with pytest.raises(httpcore2.ConnectError, match=r"refused.example") as caught:
                await pool.request("GET", server.url, extensions=extensions)
            assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)

    with scripted_server(
        canned_responses([response(b"fine", b"Connection: close")]),
        tls=server_tls,
        allow_disconnect=True,
    ) as server:
        runtime.run(scenario)
