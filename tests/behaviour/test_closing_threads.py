"""Threads that close pools, connections and streams which other threads use: no thread hangs or gets foreign data."""

from __future__ import annotations

import re
import ssl
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

import httpcore2

from ..support.h2peer import H2Peer
from ..support.scripted_proxies import PROXY_KINDS, scripted_proxy
from ..support.scripted_servers import LIMIT, Peer, response, scripted_server

pytestmark = pytest.mark.usefixtures("no_leaks")

THREADS = 16
HALF_A_BODY = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"


def echo_path(peer: Peer) -> None:
    while (request := peer.receive_request()) is not None:
        peer.send(response(request[0].split()[1]))


def echo_path_over_http2(peer: Peer) -> None:
    server = H2Peer(peer)
    while (stream_id := server.whole_request()) is not None:
        server.respond(stream_id, server.requests[stream_id][b":path"])


@pytest.mark.parametrize(
    ("route", "closes"),
    [
        ("plain", 300),
        ("tls", 50),
        ("http2", 100),
        ("http2 tls", 50),
        ("http", 50),  # a tunnel through a proxy
        ("https", 20),
        ("socks5", 50),
    ],
)
def test_threads_do_not_hang_when_another_thread_closes_their_pool_repeatedly(
    route: str,
    closes: int,
    server_tls: ssl.SSLContext,
    h2_server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
) -> None:
    """There is no read timeout, so a thread that polls the reused descriptor of another connection hangs."""
    is_over = threading.Event()
    progress = threading.Event()
    wrong: list[object] = []

    def loop(pool: httpcore2.ConnectionPool, url: str, index: int) -> None:
        count = 0
        while not is_over.is_set():
            count += 1
            path = f"/{index}/{count}"
            try:
                found = pool.request("GET", url + path).content
            except (httpcore2.ReadError, httpcore2.WriteError, httpcore2.ConnectError) as exc:
                if not re.search("closed", str(exc)):
                    wrong.append(exc)
            except Exception as exc:
                wrong.append(exc)
            else:
                if found != path.encode():
                    wrong.append((path, found))
                progress.set()

    is_http2 = route.startswith("http2")
    tls = None
    if route == "http2 tls":
        tls = h2_server_tls
    elif route not in ("plain", "http2"):
        tls = server_tls
    options: dict[str, Any] = {"max_connections": THREADS, "ssl_context": client_tls}
    if is_http2:
        options |= {"http1": False, "http2": True}
    with ExitStack() as stack:
        handler = echo_path_over_http2 if is_http2 else echo_path
        server = stack.enter_context(scripted_server(handler, tls=tls, allow_disconnect=True))
        if route in PROXY_KINDS:
            proxy = scripted_proxy(PROXY_KINDS[route], server.port, server_tls, client_tls)
            options["proxy"] = stack.enter_context(proxy).proxy()
        pool = stack.enter_context(httpcore2.ConnectionPool(**options))
        threads = [
            threading.Thread(target=loop, args=(pool, server.origin, index), daemon=True)
            for index in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        for _ in range(closes):
            assert progress.wait(LIMIT), "no request completes"
            progress.clear()
            pool.close()
        is_over.set()
        for thread in threads:
            thread.join(LIMIT)
        assert not [thread for thread in threads if thread.is_alive()]
        assert wrong == []


@pytest.mark.parametrize("secured", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize(
    "close",
    [
        lambda pool, held: held.extensions["network_stream"].close(),
        lambda pool, held: pool.connections[0].close(),
        lambda pool, held: pool.close(),
    ],
    ids=["its stream", "its connection", "the pool"],
)
def test_reading_a_body_raises_read_error_when_another_thread_closes_it(
    close: Callable[[httpcore2.ConnectionPool, httpcore2.Response], None],
    secured: bool,
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
) -> None:
    def handler(peer: Peer) -> None:
        peer.receive_request()
        peer.send(HALF_A_BODY)
        assert peer.receive_until_close() == b""

    outcomes: list[object] = []
    with (
        scripted_server(handler, tls=server_tls if secured else None) as server,
        httpcore2.ConnectionPool(ssl_context=client_tls) as pool,
        pool.stream("GET", server.url) as held,
    ):
        chunks = held.iter_stream()
        assert next(chunks) == b"hello"

        def read() -> None:
            try:
                outcomes.append(next(chunks))
            except httpcore2.ReadError as exc:
                outcomes.append(str(exc))

        sock = held.extensions["network_stream"].get_extra_info("socket")
        thread = threading.Thread(target=read)
        thread.start()
        close(pool, held)
        thread.join(LIMIT)
        assert not thread.is_alive()
        assert sock.fileno() == -1
    assert outcomes == [f"The connection was closed on this side. ({server.origin})"]


@pytest.mark.parametrize("handshake", ["TLS", "http", "socks5", "socks4"])
def test_closing_the_pool_does_not_interrupt_a_handshake_in_another_thread(
    handshake: str, client_tls: ssl.SSLContext
) -> None:
    """Only the thread of the handshake has its descriptor, so the pool can't close it; the result is discarded."""
    has_begun = threading.Event()
    was_closed = threading.Event()

    def handler(peer: Peer) -> None:
        assert peer.receive_some()
        has_begun.set()
        assert was_closed.wait(LIMIT)

    outcomes: list[object] = []
    with scripted_server(handler, allow_disconnect=True) as server:
        options: dict[str, Any] = {}
        if handshake != "TLS":
            options["proxy"] = httpcore2.Proxy(f"{handshake}://127.0.0.1:{server.port}")
        pool = httpcore2.ConnectionPool(ssl_context=client_tls, **options)

        def request() -> None:
            try:
                outcomes.append(pool.request("GET", f"https://127.0.0.1:{server.port}/"))
            except Exception as exc:
                outcomes.append(type(exc))

        thread = threading.Thread(target=request)
        thread.start()
        assert has_begun.wait(LIMIT)
        pool.close()
        was_closed.set()
        thread.join(LIMIT)
        assert not thread.is_alive()
        assert pool.connections == []
    assert outcomes[0] in (
        httpcore2.ConnectError,
        httpcore2.ReadError,
        httpcore2.RemoteProtocolError,
        httpcore2.ProxyError,
    )
