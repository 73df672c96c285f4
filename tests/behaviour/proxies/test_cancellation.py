"""A request through a proxy that is cancelled, wherever it waits, leaves no socket and no slot behind."""

from __future__ import annotations

import ssl
from functools import partial

import pytest

import httpcore2

from ...support.cancellation import cancel_at_every_wait
from ...support.runtimes import CancellationOutcome, TestedAsyncRuntime
from ...support.scripted_proxies import PROXY_KINDS, ProxyKind
from ...support.scripted_servers import Peer
from .conftest import Setting

# The others wait where these do.
NAMES = ["http", "https", "socks5h with credentials", "socks4"]


def _serve(peer: Peer) -> None:
    while peer.receive_request():
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nfi\r\n")
        peer.send(b"2\r\nne\r\n0\r\n\r\n")


async def _get(pool: httpcore2.AsyncConnectionPool, url: str, content: bytes) -> None:
    assert (await pool.request("GET", url)).content == content


@pytest.mark.parametrize("late", [False, True], ids=["while waiting", "as it comes"])
@pytest.mark.parametrize("kind", [PROXY_KINDS[name] for name in NAMES], ids=NAMES)
@pytest.mark.parametrize("secured", [False, True], ids=["plain", "tls"])
def test_a_request_can_be_cancelled_at_every_wait(
    async_runtime: TestedAsyncRuntime,
    kind: ProxyKind,
    secured: bool,
    late: bool,
    behind: Setting,
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
) -> None:
    runtime = async_runtime
    host = "localhost" if kind.scheme == "socks4" else "www.example.com"
    url = f"http{'s' if secured else ''}://{host}/"
    content = b"forwarded" if kind.is_http and not secured else b"fine"

    async def attempt(step: int) -> CancellationOutcome:
        async with runtime.pool(
            max_connections=1, ssl_context=client_tls, proxy=proxy.proxy()
        ) as pool:
            get = partial(_get, pool, url, content)
            outcome = await runtime.cancel_at_wait(step, get, late)
            assert "Requests: 0 active, 0 queued | Connections: 0 active" in repr(pool)
            await get()
            assert "Connections: 0 active, 1 idle" in repr(pool)
        return outcome

    async def scenario() -> None:
        assert CancellationOutcome.CANCELLED in await cancel_at_every_wait(attempt)

    with behind(kind, _serve, tls=server_tls if secured else None) as (proxy, _):
        runtime.run(scenario)
