"""Whatever a server sends, a request ends in a documented exception, soon, and neither the pool nor others suffer."""

from __future__ import annotations

import ssl
import struct
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import h2.events
import pytest
from hpack import Encoder

import httpcore2
import httpcore2_http2._client_codec
import httpcore2_http2._reader
import httpcore2_http2._writer
from httpcore2 import RemoteProtocolError

from ..support.h2peer import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    NARROW,
    PADDED,
    PING,
    PRIORITY,
    PUSH,
    RST_STREAM,
    SETTINGS,
    WINDOW,
    H2Peer,
    answering,
    block,
    frame,
    speaking,
)
from ..support.h2state import header_table
from ..support.runtimes import TestedRuntime
from ..support.scripted_servers import Peer, scripted_server
from .conftest import PoolMaker

PROMPT = 2.0
"""Seconds of this process's time within which a fault must be found: others may be keeping the machine busy."""

OK = block((b":status", b"200"))
HEAD = frame(HEADERS, END_HEADERS, 1, OK)


Beside = Callable[[httpcore2.AsyncConnectionPool], AbstractAsyncContextManager[None]]


@pytest.fixture
def beside(runtime: TestedRuntime) -> Iterator[Beside]:
    """Makes a request to another origin, whose response must arrive whole, and soon, whatever is done meanwhile."""
    over = runtime.event()

    def script(peer: H2Peer) -> None:
        stream_id = peer.request()
        peer.head(stream_id)
        over.wait_in_thread()
        peer.data(stream_id, b"untouched", end=True)
        peer.until_end()

    @asynccontextmanager
    async def request(pool: httpcore2.AsyncConnectionPool) -> AsyncIterator[None]:
        async with pool.stream("GET", server.url) as other:
            begin = time.process_time()
            try:
                yield
            finally:
                over.set()
            assert await other.aread() == b"untouched"
            assert time.process_time() - begin < PROMPT

    with scripted_server(speaking(script), allow_disconnect=True) as server:
        yield request


def setting(code: int, value: int) -> bytes:
    return struct.pack(">HL", code, value)


def bomb() -> bytes:
    """A header block of some kilobytes that stands for two megabytes."""
    encoder = Encoder()
    first = encoder.encode([(b":status", b"200"), (b"x", b"y" * 4000)])
    return first + encoder.encode([(b"x", b"y" * 4000)]) * 500


ONCE = {
    "an HTTP/1 answer": (b"", "HTTP/1"),
    "a frame before the settings": (b"", "first frame is .*, not SETTINGS"),
    "settings that acknowledge nothing, first": (b"", "first frame is .*, not SETTINGS"),
    "an oversize frame": (frame(DATA, 0, 1, bytes(20_000)), "20000 bytes"),
    "the promise of an oversize frame": (b"\xff\xff\xff\0\0\0\0\0\1", "16777215 bytes"),
    "a pushed response": (frame(PUSH, END_HEADERS, 1, b"\0\0\0\2" + OK), "."),
    "data on stream 0": (frame(DATA, 0, 0, b"x"), "."),
    "headers on stream 0": (frame(HEADERS, END_HEADERS, 0, OK), "."),
    "headers on an even stream": (frame(HEADERS, END_HEADERS, 2, OK), "never opened"),
    "headers on an idle stream": (frame(HEADERS, END_HEADERS, 99, OK), "never opened"),
    "data on an idle stream": (frame(DATA, 0, 99, b"x"), "never opened"),
    "a reset of an idle stream": (frame(RST_STREAM, 0, 99, bytes(4)), "never opened"),
    "a window update on an idle stream": (frame(WINDOW, 0, 99, b"\0\0\0\1"), "never opened"),
    "a reset without a code": (frame(RST_STREAM, 0, 1, b""), "."),
    "data before the head": (frame(DATA, 0, 1, b"x"), "data before the response's head"),
    "the end before the head": (frame(DATA, END_STREAM, 1), "data before the response's head"),
    "an interim response that is the end": (
        frame(HEADERS, END_HEADERS | END_STREAM, 1, block((b":status", b"103"))),
        ".",
    ),
    "a response without a status": (
        frame(HEADERS, END_HEADERS, 1, block((b"x", b"y"))),
        "no status",
    ),
    "an empty head": (frame(HEADERS, END_HEADERS, 1), "no status"),
    "a status that is none": (
        frame(HEADERS, END_HEADERS, 1, block((b":status", b"2OO"))),
        "no status",
    ),
    "a protocol switch": (
        frame(HEADERS, END_HEADERS, 1, block((b":status", b"101"))),
        "status 101",
    ),
    "an upper-case name": (
        frame(HEADERS, END_HEADERS, 1, block((b":status", b"200"), (b"X", b"y"))),
        "Illegal header field",
    ),
    "a newline in a value": (
        frame(HEADERS, END_HEADERS, 1, block((b":status", b"200"), (b"x", b"y\r\nz: 1"))),
        "Illegal header field",
    ),
    "a pseudo-header among the trailers": (
        HEAD + frame(HEADERS, END_HEADERS | END_STREAM, 1, block((b":status", b"200"))),
        ".",
    ),
    "trailers that are not the end": (
        HEAD + frame(HEADERS, END_HEADERS, 1, block((b"x", b"y"))),
        ".",
    ),
    "too little data": (
        frame(HEADERS, END_HEADERS, 1, block((b":status", b"200"), (b"content-length", b"5")))
        + frame(DATA, END_STREAM, 1, b"four"),
        "Too little data",
    ),
    "too much data": (
        frame(HEADERS, END_HEADERS, 1, block((b":status", b"200"), (b"content-length", b"3")))
        + frame(DATA, 0, 1, b"four"),
        "Too much data",
    ),
    "two lengths": (
        frame(
            HEADERS,
            END_HEADERS,
            1,
            block((b":status", b"200"), (b"content-length", b"3"), (b"content-length", b"4")),
        ),
        "Content-Length is invalid: b'4'",
    ),
    "a length that is none": (
        frame(HEADERS, END_HEADERS, 1, block((b":status", b"200"), (b"content-length", b"-1"))),
        "Content-Length is invalid: b'-1'",
    ),
    "a header block that can't be decoded": (frame(HEADERS, END_HEADERS, 1, b"\xff" * 20), "."),
    "an HPACK bomb": (frame(HEADERS, END_HEADERS, 1, bomb()[:16_000]), "."),
    "a header list that is too long": (
        frame(HEADERS, 0, 1, block((b":status", b"200"), *[(b"x", b"y" * 10_000)]))
        + b"".join(
            frame(CONTINUATION, END_HEADERS * (n == 11), 1, block((b"x%d" % n, b"\0" * 9000)))
            for n in range(12)
        ),
        ".",
    ),
    "a continuation of nothing": (frame(CONTINUATION, END_HEADERS, 1, OK), "out of order"),
    "a header block that is interrupted": (
        frame(HEADERS, 0, 1, OK) + frame(PING, 0, 0, bytes(8)),
        "out of order",
    ),
    "a header block that another stream goes on with": (
        frame(HEADERS, 0, 1, OK) + frame(CONTINUATION, END_HEADERS, 3, OK),
        ".",
    ),
    "data after the end": (
        frame(HEADERS, END_HEADERS | END_STREAM, 1, OK) + frame(DATA, 0, 1, b"x"),
        None,
    ),
    "a window that overflows": (frame(WINDOW, 0, 0, b"\x7f\xff\xff\xff"), "."),
    "a stream's window that overflows": (frame(WINDOW, 0, 1, b"\x7f\xff\xff\xff"), "beyond"),
    "a window update by nothing": (frame(WINDOW, 0, 0, bytes(4)), "."),
    "an initial window that overflows": (
        frame(SETTINGS, 0, 0, setting(4, 2**31)),
        ".",
    ),
    "a frame size that is none": (frame(SETTINGS, 0, 0, setting(5, 1)), "."),
    "half a setting": (frame(SETTINGS, 0, 0, b"\0\1\0"), "."),
    "settings on a stream": (frame(SETTINGS, 0, 1, setting(4, 100)), "."),
    "a short ping": (frame(PING, 0, 0, b"x"), "."),
    "a ping on a stream": (frame(PING, 0, 1, bytes(8)), "."),
    "a short GOAWAY": (frame(GOAWAY, 0, 0, b"\0\0\0\1"), "Malformed GOAWAY frame: 4 bytes"),
    "a GOAWAY on a stream": (frame(GOAWAY, 0, 1, bytes(8)), "GOAWAY frame for stream 1"),
    "more padding than frame": (HEAD + frame(DATA, PADDED, 1, b"\xff"), "."),
}

BEGINNINGS = {
    "an HTTP/1 answer": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "a frame before the settings": frame(PING, 0, 0, bytes(8)),
    "settings that acknowledge nothing, first": frame(SETTINGS, ACK, 0),
}


@pytest.mark.parametrize("name", ONCE)
def test_a_fault_of_the_server_fails_the_request_and_no_request_to_another_origin(
    runtime: TestedRuntime, h2_pool: PoolMaker, beside: Beside, name: str
) -> None:
    data, match = ONCE[name]

    def handler(peer: Peer) -> None:
        if peer.number == 0 and name in BEGINNINGS:
            peer.send(BEGINNINGS[name])
            peer.receive_until_close()
            return
        speaker = H2Peer(peer)
        if peer.number == 0:
            speaker.request()
            speaker.send(data)
            while request := speaker.next():
                # Where it was the stream's fault alone, the connection goes on.
                if isinstance(request, h2.events.RequestReceived):
                    assert request.stream_id is not None
                    speaker.peer.send(
                        frame(HEADERS, END_HEADERS, request.stream_id, OK)
                        + frame(DATA, END_STREAM, request.stream_id, b"fine")
                    )
        else:
            answering()(speaker)

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            async with beside(pool):
                if match is None:
                    await pool.request("POST", server.url, content=b"x")
                else:
                    with pytest.raises(RemoteProtocolError, match=match):
                        await pool.request("POST", server.url, content=b"x")
            reply = await pool.request("GET", server.url)
            assert reply.content == b"fine"
            assert "0 active, 0 queued | Connections: 0 active, 2 idle" in repr(pool)

    with scripted_server(handler, allow_disconnect=True) as server:
        runtime.run(scenario)


TOO_MANY = "too many frames that belong to no response"
FLOODS = {
    "pings": (frame(PING, 0, 0, bytes(8)), TOO_MANY),
    "pings and a byte now and then": (
        frame(PING, 0, 0, bytes(8)) * 50 + frame(DATA, 0, 1, b"x"),
        TOO_MANY,
    ),
    "answers to no ping": (frame(PING, ACK, 0, bytes(8)), TOO_MANY),
    "settings": (frame(SETTINGS, 0, 0, setting(4, 65535)), TOO_MANY),
    "empty settings": (frame(SETTINGS, 0, 0), TOO_MANY),
    "acknowledgements": (frame(SETTINGS, ACK, 0), TOO_MANY),
    "window updates": (frame(WINDOW, 0, 0, b"\0\0\0\1"), TOO_MANY),
    "a stream's window updates": (frame(WINDOW, 0, 1, b"\0\0\0\1"), TOO_MANY),
    "priorities": (frame(PRIORITY, 0, 3, b"\0\0\0\1\0"), TOO_MANY),
    "unknown frames": (frame(0x77, 0, 0, bytes(100)), TOO_MANY),
    "empty data": (frame(DATA, 0, 1), TOO_MANY),
    "padding": (frame(DATA, PADDED, 1, b"\x10" + bytes(16)), TOO_MANY),
    "interim responses": (
        frame(HEADERS, END_HEADERS, 1, block((b":status", b"103"))),
        "too many interim responses",
    ),
    "farewells": (frame(GOAWAY, 0, 0, b"\0\0\0\1" + bytes(4)), TOO_MANY),
    "continuations": (frame(CONTINUATION, 0, 1, b""), "."),
    "large continuations": (
        frame(CONTINUATION, 0, 1, b"\0" * 16_000),
        "field block of .* or more; at most",
    ),
}
IN_A_BODY = ("pings and a byte now and then", "empty data", "padding")


def flood(name: str) -> Callable[[H2Peer], None]:
    """The script of a server that drowns its first client."""
    data, _ = FLOODS[name]

    def script(peer: H2Peer) -> None:
        if peer.number:
            answering()(peer)
            return
        stream_id = peer.request()
        if name in IN_A_BODY:
            peer.head(stream_id)
        if "continuations" in name:
            peer.send(frame(HEADERS, 0, 1, OK))
        peer.flush()
        peer.peer.send_endlessly(data, 100_000_000)

    return script


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_ends_the_connection(
    runtime: TestedRuntime,
    h2_pool: PoolMaker,
    beside: Beside,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(httpcore2_http2._client_codec, "MAX_IDLE_FRAMES", 300)

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            async with beside(pool):
                with pytest.raises(RemoteProtocolError, match=FLOODS[name][1]):
                    await pool.request("POST", server.url)
            if name == "interim responses":
                await pool.aclose()  # it was the stream's fault alone; the flood goes on
            assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(speaking(flood(name)), allow_disconnect=True) as server:
        runtime.run(scenario)


def test_resets_of_closed_streams_are_counted(
    runtime: TestedRuntime, h2_pool: PoolMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(httpcore2_http2._client_codec, "MAX_IDLE_FRAMES", 300)

    def script(peer: H2Peer) -> None:
        peer.respond(peer.request())
        peer.request()
        peer.peer.send_endlessly(frame(RST_STREAM, 0, 1, bytes(4)), 100_000_000)

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            await pool.request("GET", server.url)
            with pytest.raises(RemoteProtocolError, match="too many frames"):
                await pool.request("POST", server.url)

    with scripted_server(speaking(script), allow_disconnect=True) as server:
        runtime.run(scenario)


def test_settings_that_the_server_never_acknowledges_are_harmless(
    runtime: TestedRuntime, h2_pool: PoolMaker
) -> None:
    def handler(peer: Peer) -> None:
        peer.send(frame(SETTINGS, 0, 0))
        peer.receive_until(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        peer.receive_some()
        peer.send(HEAD + frame(DATA, END_STREAM, 1, b"fine"))
        peer.receive_until_close()

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(handler) as server:
        runtime.run(scenario)


@pytest.mark.parametrize("when", ["before the head", "in the body"])
def test_a_server_that_disconnects_fails_all_its_requests(
    runtime: TestedRuntime, h2_pool: PoolMaker, when: str
) -> None:
    def script(peer: H2Peer) -> None:
        first, second = peer.request(), peer.request()
        if when == "in the body":
            for stream_id in (first, second):
                peer.head(stream_id)
                peer.data(stream_id, b"some")

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:

            async def fetch() -> None:
                with pytest.raises((RemoteProtocolError, httpcore2.ReadError)):
                    await pool.request("POST", server.url)

            await runtime.gather(fetch, fetch)
            assert pool.connections == []

    with scripted_server(speaking(script)) as server:
        runtime.run(scenario)


@pytest.mark.parametrize("runtime", ["threads"], indirect=True)
@pytest.mark.parametrize("name", ["pings", "settings", "empty data", "farewells", "an HPACK bomb"])
def test_an_attack_takes_little_memory(
    runtime: TestedRuntime, h2_pool: PoolMaker, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Measuring takes its time.
    monkeypatch.setattr(httpcore2_http2._client_codec, "MAX_IDLE_FRAMES", 2000)

    def script(peer: H2Peer) -> None:
        if name == "an HPACK bomb":
            peer.send(frame(HEADERS, END_HEADERS, peer.request(), bomb()))
            peer.until_end()
        else:
            flood(name)(peer)

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            await pool.request("GET", harmless.url)  # what is loaded by the first is not its cost
            tracemalloc.start()
            try:
                with pytest.raises(RemoteProtocolError):
                    await pool.request("GET", server.url)
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            assert peak < 1024 * 1024

    with (
        scripted_server(speaking(answering())) as harmless,
        scripted_server(speaking(script), allow_disconnect=True) as server,
    ):
        runtime.run(scenario)


def test_replies_that_the_server_does_not_read_are_bounded(
    runtime: TestedRuntime, h2_pool: PoolMaker, beside: Beside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(httpcore2_http2._writer, "MAX_REPLIES", 16 * 1024)

    def script(peer: H2Peer) -> None:
        peer.narrow()
        stream_id = peer.request()
        peer.head(stream_id)
        pings = frame(PING, 0, 0, bytes(8)) * 5 + frame(DATA, 0, stream_id, b"x")
        peer.peer.send_endlessly(pings, 10_000_000)

    async def scenario() -> None:
        async with h2_pool(runtime, socket_options=NARROW) as pool, beside(pool):
            with pytest.raises(RemoteProtocolError, match="does not read"):
                await pool.request("GET", server.url)

    with scripted_server(speaking(script), allow_disconnect=True) as server:
        runtime.run(scenario)


def test_a_server_that_reads_nothing_gets_no_new_requests_before_much_is_queued(
    runtime: TestedRuntime, h2_pool: PoolMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("httpcore2_http2._connection._MAX_UNSENT", 200_000)
    over = runtime.event()

    def script(peer: H2Peer) -> None:
        if peer.number:
            answering()(peer)
            return
        peer.narrow()
        peer.h2.increment_flow_control_window(2**30)
        peer.respond(peer.request())
        over.wait_in_thread()

    async def scenario() -> None:
        async with h2_pool(runtime, socket_options=NARROW) as pool:
            await pool.request("GET", server.url)
            for _ in range(20):
                with suppress(httpcore2.ReadTimeout, httpcore2.WriteTimeout):
                    reply = await pool.request(
                        "POST",
                        server.url,
                        content=bytes(60_000),
                        extensions={"timeout": {"read": 0.1, "write": 0.005}},
                    )
                    assert len(reply.content) == 60_000
                    break
            else:
                pytest.fail("it still goes to the stuck connection")
            over.set()
            assert "0 active, 0 queued | Connections: 0 active, 1 idle" in repr(pool)

    with scripted_server(speaking(script), allow_disconnect=True) as server:
        runtime.run(scenario)


def test_a_server_that_always_has_more_data_does_not_starve_other_tasks(
    runtime: TestedRuntime, h2_pool: PoolMaker, beside: Beside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(httpcore2_http2._reader, "LONG", 0.001)

    def script(peer: H2Peer) -> None:
        stream_id = peer.request()
        peer.head(stream_id)
        flooded.set()
        more = frame(SETTINGS, ACK, 0) * 2 + frame(DATA, 0, stream_id, bytes(300))
        peer.peer.send_endlessly(more, 10_000_000_000)

    flooded = runtime.event()

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:

            async def listen() -> None:
                async with pool.stream("POST", server.url, content=body) as reply:
                    async for _ in reply.aiter_stream():
                        if done.is_set():
                            break

            async def others() -> None:
                async with beside(pool):
                    await flooded.wait()
                    await runtime.let_others_run()
                done.set()

            body = runtime.body(bytes(1000) for _ in range(1000))
            done = runtime.event()
            await runtime.gather(listen, others)

    with scripted_server(speaking(script), allow_disconnect=True) as server:
        runtime.run(scenario)


def test_our_dynamic_table_is_bounded_even_if_the_server_allows_more(
    runtime: TestedRuntime, h2_pool: PoolMaker
) -> None:
    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            for number in range(20):
                reply = await pool.request("GET", f"{server.url}{number}" + 500 * "x")
                assert reply.content == b"fine"
            assert header_table(pool) == 4096

    table = {"header_table_size": 2**31 - 1}
    with scripted_server(speaking(answering(), **table)) as server:
        runtime.run(scenario)


def test_a_server_that_ignores_the_windows_fails_all_its_requests(
    runtime: TestedRuntime, h2_pool: PoolMaker, beside: Beside
) -> None:
    def script(peer: H2Peer) -> None:
        stream_id = peer.request()
        peer.head(stream_id)
        peer.request()
        for _ in range(65):  # 1 MiB, and a frame
            peer.send(frame(DATA, 0, stream_id, bytes(16_384)))
        peer.until_end()

    async def scenario() -> None:
        async with h2_pool(runtime) as pool, beside(pool), pool.stream("GET", server.url) as unread:
            with pytest.raises(RemoteProtocolError, match="more data than it was allowed to"):
                await pool.request("GET", server.url)
            with pytest.raises(RemoteProtocolError, match="more data than it was allowed to"):
                await unread.aread()

    with scripted_server(speaking(script), allow_disconnect=True) as server:
        runtime.run(scenario)


def test_http1_over_tls_where_alpn_chose_http2_fails(
    runtime: TestedRuntime,
    h2_pool: PoolMaker,
    h2_server_tls: ssl.SSLContext,
    h2_client_tls: ssl.SSLContext,
) -> None:
    def handler(peer: Peer) -> None:
        peer.send(BEGINNINGS["an HTTP/1 answer"])
        peer.receive_until_close()

    async def scenario() -> None:
        async with h2_pool(runtime, http1=True, ssl_context=h2_client_tls) as pool:
            with pytest.raises(RemoteProtocolError, match="HTTP/1, where HTTP/2 was agreed on"):
                await pool.request("GET", server.url)
            assert pool.connections == []

    with scripted_server(handler, tls=h2_server_tls, allow_disconnect=True) as server:
        runtime.run(scenario)


@pytest.mark.parametrize("code", [8, 0x99], ids=["known", "unknown"])
def test_a_reset_by_the_server_fails_one_request_alone(
    runtime: TestedRuntime, h2_pool: PoolMaker, code: int
) -> None:
    names: dict[int, str] = {8: "CANCEL", 0x99: "error 0x99"}

    def script(peer: H2Peer) -> None:
        stream_id = peer.request()
        peer.send(frame(RST_STREAM, 0, stream_id, code.to_bytes(4, "big")))
        answering()(peer)

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            with pytest.raises(RemoteProtocolError, match=f"reset the stream: {names[code]}"):
                await pool.request("GET", server.url)
            assert (await pool.request("GET", server.url)).content == b"fine"
            assert len(pool.connections) == 1

    with scripted_server(speaking(script), allow_disconnect=True) as server:
        runtime.run(scenario)
