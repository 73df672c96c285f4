"""An exception that comes to a thread in the middle of an HTTP/2 exchange, where it may be reading or writing for all.

What comes from outside ends the connection, so that no other thread waits for what never comes. What the caller's own
code raises ends one stream.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from h2.exceptions import ProtocolError

import httpcore2
from httpcore2_core._net.roles import Turn
from httpcore2_http2._states import BODY_DUE, HALF_CLOSED_LOCAL

from ..support.h2peer import H2Peer, answering, speaking
from ..support.scripted_servers import scripted_server

Send = Callable[[httpcore2.ConnectionPool, str, BaseException], object]


def answering_all_but_one(peer: H2Peer) -> None:
    """Answer every request but one, which waits for its response for certain."""
    while stream_id := peer.whole_request():
        if peer.requests[stream_id][b":path"] != b"/unanswered":
            with suppress(ProtocolError):  # it was reset meanwhile
                peer.respond(stream_id, b"fine")


def by_a_listener(pool: httpcore2.ConnectionPool, url: str, exc: BaseException) -> None:
    def listen(name: str, info: dict[str, Any]) -> None:
        if name == "http2.send_request_body.started":
            raise exc

    pool.request("GET", url, extensions={"trace": listen})


def by_the_body(pool: httpcore2.ConnectionPool, url: str, exc: BaseException) -> None:
    def body() -> Iterator[bytes]:
        yield b"first"
        raise exc

    pool.request("POST", url, content=body())


def by_nobody(pool: httpcore2.ConnectionPool, url: str, exc: BaseException) -> None:
    """As a signal handler does it while the thread sends."""
    counterpart: Any = pool.connections[0]
    writer = counterpart._counterpart.established._session.writer

    def push(*_: object) -> None:
        del writer.push
        raise exc

    writer.push = push
    pool.request("GET", url)


def by_nobody_before_it_begins(
    pool: httpcore2.ConnectionPool, url: str, exc: BaseException
) -> None:
    counterpart: Any = pool.connections[0]
    session = counterpart._counterpart.established._session

    def begin() -> None:
        del session.begin_exchange
        raise exc

    session.begin_exchange = begin
    pool.request("GET", url)


def by_nobody_while_traced(pool: httpcore2.ConnectionPool, url: str, exc: BaseException) -> None:
    """As a signal handler does it while the thread reads, although code of the caller runs in the request, too."""
    connection: Any = pool.connections[0]
    reader = connection._counterpart.established._session.reader

    def wait(*_: object) -> None:
        del reader.wait
        reader.role.take(Turn())
        raise exc

    def body() -> Iterator[bytes]:
        yield b"all"
        reader.wait = wait

    pool.request(
        "POST",
        f"{url}unanswered",
        content=body(),
        extensions={"trace": lambda *_: None},
    )


def while_it_reads(pool: httpcore2.ConnectionPool, url: str, exc: BaseException) -> None:
    with pool.stream("GET", url) as response:
        body: Any = response.stream
        exchange = body.body._exchange
        exchange.stream.chunks.clear()
        exchange.stream.response, exchange.stream.state = BODY_DUE, HALF_CLOSED_LOCAL

        def wait(*_: object) -> None:
            del exchange._session.reader.wait
            raise exc

        exchange._session.reader.wait = wait
        response.read()


@pytest.mark.usefixtures("no_leaks")
@pytest.mark.parametrize(
    ("send", "exc", "ends_connection"),
    [
        (by_a_listener, KeyboardInterrupt(), True),
        (by_a_listener, ValueError(), False),
        (by_the_body, KeyboardInterrupt(), True),
        (by_the_body, ValueError(), False),
        (by_nobody, KeyboardInterrupt(), True),
        (by_nobody, OSError(), True),
        (by_nobody, httpcore2.WriteTimeout(), False),
        (by_nobody_before_it_begins, KeyboardInterrupt(), True),
        (by_nobody_while_traced, ValueError(), True),
        (while_it_reads, KeyboardInterrupt(), True),
        (while_it_reads, OSError(), True),
        (while_it_reads, httpcore2.ReadTimeout(), False),
    ],
)
def test_an_interruption_closes_the_connection_and_an_error_of_the_caller_resets_one_stream(
    send: Send, exc: BaseException, ends_connection: bool
) -> None:
    with (
        scripted_server(speaking(answering_all_but_one), allow_disconnect=True) as server,
        httpcore2.ConnectionPool(http1=False, http2=True) as pool,
    ):
        assert pool.request("GET", server.url).content == b"fine"
        with pytest.raises(type(exc)):
            send(pool, server.url, exc)
        assert pool.request("GET", server.url).content == b"fine"
        assert server.accepted == (2 if ends_connection else 1)
        assert "0 active, 0 queued | Connections: 0 active, 1 idle" in repr(pool)


def test_an_exchange_that_is_finished_twice_ends_once() -> None:
    with (
        scripted_server(speaking(answering())) as server,
        httpcore2.ConnectionPool(http1=False, http2=True) as pool,
        pool.stream("GET", server.url) as response,
    ):
        body: Any = response.stream
        exchange = body.body._exchange
        exchange.finish(has_failed=False)
        exchange.finish(has_failed=False)
        assert "0 active, 0 queued | Connections: 0 active, 1 idle" in repr(pool)
