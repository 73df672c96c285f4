"""An exception that comes to a thread in the middle of an HTTP/3 exchange, where it may be receiving for all.

What comes from outside ends the connection, so that no other thread waits for what never comes. What the caller's own
code raises ends one stream.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from qh3.h3.connection import ProtocolError

import httpcore2

from ..support.h3peer import H3Peer
from ..support.h3state import session
from .conftest import HTTP3_ONLY, Serve

Send = Callable[[httpcore2.ConnectionPool, str, BaseException], object]


def answering_all_but_one(peer: H3Peer) -> None:
    """Answer every request but one, which waits for its response for certain."""
    while True:
        stream_id = peer.whole_request()
        if peer.requests[stream_id][b":path"] != b"/unanswered":
            with suppress(ProtocolError, ValueError):  # it was reset meanwhile
                peer.respond(stream_id, b"fine")


def by_a_listener(pool: httpcore2.ConnectionPool, url: str, exc: BaseException) -> None:
    def listen(name: str, info: dict[str, Any]) -> None:
        if name == "http3.send_request_body.started":
            raise exc

    pool.request("GET", url, extensions={"trace": listen})


def by_the_body(pool: httpcore2.ConnectionPool, url: str, exc: BaseException) -> None:
    def body() -> Iterator[bytes]:
        yield b"first"
        raise exc

    pool.request("POST", url, content=body())


def before_it_begins(pool: httpcore2.ConnectionPool, url: str, exc: BaseException) -> None:
    state: Any = session(pool)

    def begin() -> None:
        del state.begin_exchange
        raise exc

    state.begin_exchange = begin
    pool.request("GET", url)


def while_it_waits(pool: httpcore2.ConnectionPool, url: str, exc: BaseException) -> None:
    """As a signal handler does it while the thread receives for all."""
    endpoint: Any = session(pool).endpoint

    def wait(*_: object) -> None:
        del endpoint.wait
        raise exc

    endpoint.wait = wait
    pool.request("GET", f"{url}unanswered")


@pytest.mark.usefixtures("no_leaks")
@pytest.mark.parametrize(
    ("send", "exc", "ends_connection"),
    [
        (by_a_listener, KeyboardInterrupt(), True),
        (by_a_listener, ValueError(), False),
        (by_the_body, KeyboardInterrupt(), True),
        (by_the_body, ValueError(), False),
        (before_it_begins, KeyboardInterrupt(), True),
        (while_it_waits, KeyboardInterrupt(), True),
        (while_it_waits, OSError(), True),
        (while_it_waits, httpcore2.ReadTimeout(), False),
    ],
)
def test_an_interruption_closes_the_connection_and_an_error_of_the_caller_resets_one_stream(
    serve: Serve, client_tls: ssl.SSLContext, send: Send, exc: BaseException, ends_connection: bool
) -> None:
    with (
        serve(answering_all_but_one) as server,
        httpcore2.ConnectionPool(ssl_context=client_tls, **HTTP3_ONLY) as pool,
    ):
        assert pool.request("GET", server.url).content == b"fine"
        with pytest.raises(type(exc)):
            send(pool, server.url, exc)
        assert pool.request("GET", server.url).content == b"fine"
        assert len(server.peers) == (2 if ends_connection else 1)
        assert "0 active, 0 queued | Connections: 0 active, 1 idle" in repr(pool)


def test_an_exchange_that_is_finished_twice_ends_once(
    serve: Serve, client_tls: ssl.SSLContext
) -> None:
    with (
        serve(answering_all_but_one) as server,
        httpcore2.ConnectionPool(ssl_context=client_tls, **HTTP3_ONLY) as pool,
        pool.stream("GET", server.url) as response,
    ):
        body: Any = response.stream
        exchange = body.body._exchange
        exchange.finish(has_failed=False)
        exchange.finish(has_failed=False)
        assert "0 active, 0 queued | Connections: 0 active, 1 idle" in repr(pool)
