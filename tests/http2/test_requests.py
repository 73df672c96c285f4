"""Requests and responses over HTTP/2: how the protocol is chosen, and what is sent."""

from __future__ import annotations

import ssl
import sys
from typing import Any

import h2.events
import pytest
import trustme
from h2.errors import ErrorCodes
from h2.settings import SettingCodes

import httpcore2

from ..support.h2peer import H2Peer, answering, speaking
from ..support.runtimes import TestedRuntime
from ..support.scripted_servers import Peer, canned_responses, response, scripted_server
from .conftest import PoolMaker


def test_alpn_chooses_http2(
    runtime: TestedRuntime, h2_server_tls: ssl.SSLContext, h2_client_tls: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        async with runtime.pool(http2=True, ssl_context=h2_client_tls) as pool:
            for number in range(1, 4):
                reply = await pool.request("GET", server.url)
                assert (reply.status, reply.content) == (200, b"fine")
                assert reply.extensions["http_version"] == b"HTTP/2"
                assert reply.extensions["stream_id"] == 2 * number - 1
            (connection,) = pool.connections
            assert connection.can_multiplex()
            assert connection.info() == f"'{server.origin}', HTTP/2, IDLE, Request Count: 3"
            assert connection.is_idle() and connection.is_available()

    with scripted_server(speaking(answering()), tls=h2_server_tls) as server:
        runtime.run(scenario)
        assert server.accepted == 1


def test_alpn_may_choose_http11(
    runtime: TestedRuntime, server_tls: ssl.SSLContext, h2_client_tls: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        async with runtime.pool(http2=True, ssl_context=h2_client_tls, max_connections=4) as pool:

            async def fetch() -> None:
                reply = await pool.request("GET", server.url)
                assert reply.extensions["http_version"] == b"HTTP/1.1"

            await runtime.gather(*[fetch] * 8)
            assert 1 <= len(pool.connections) <= 4
            assert not pool.connections[0].can_multiplex()

    with scripted_server(canned_responses([response(b"fine")] * 20), tls=server_tls) as server:
        runtime.run(scenario)


class OffersHTTP2(ssl.SSLContext):
    """Offers HTTP/2 whatever the pool offers, as a caller's own backend may."""

    def set_alpn_protocols(self, alpn_protocols: Any) -> None:
        super().set_alpn_protocols(["h2"])


@pytest.fixture
def own_client_tls(certificate_authority: trustme.CA) -> ssl.SSLContext:
    context = OffersHTTP2(ssl.PROTOCOL_TLS_CLIENT)
    certificate_authority.configure_trust(context)
    return context


def test_http2_is_used_if_alpn_chose_it_though_the_pool_did_not_offer_it(
    runtime: TestedRuntime, h2_server_tls: ssl.SSLContext, own_client_tls: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        async with runtime.pool(ssl_context=own_client_tls, max_connections=1) as pool:

            async def fetch() -> None:
                reply = await pool.request("GET", server.url)
                assert (reply.status, reply.content) == (200, b"fine")
                assert reply.extensions["http_version"] == b"HTTP/2"

            # Those that wait for the only connection share it as soon as it is there.
            await runtime.gather(*[fetch] * 3)
            async with pool.stream("GET", server.url) as held:
                await fetch()
                assert await held.aread() == b"fine"
            (connection,) = pool.connections
            assert connection.info() == f"'{server.origin}', HTTP/2, IDLE, Request Count: 5"

    with scripted_server(speaking(answering()), tls=h2_server_tls) as server:
        runtime.run(scenario)
        assert server.accepted == 1


def test_an_error_says_what_to_install_if_alpn_chose_http2_and_it_is_missing(
    runtime: TestedRuntime,
    h2_server_tls: ssl.SSLContext,
    own_client_tls: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "httpcore2_http2", None)

    async def scenario() -> None:
        async with runtime.pool(ssl_context=own_client_tls) as pool:
            with pytest.raises(ImportError) as caught:
                await pool.request("GET", server.url)
            assert str(caught.value) == (
                f"HTTP/2, which ALPN agreed on with {server.origin}, needs a distribution that is not installed. "
                "Run: pip install 'httpcore2[http2]'"
            )
            assert pool.connections == []
            await closed.wait()

    def handler(peer: Peer) -> None:
        peer.receive_until_close()
        closed.set()

    closed = runtime.event()
    with scripted_server(handler, tls=h2_server_tls) as server:
        runtime.run(scenario)


@pytest.mark.parametrize("secured", [False, True], ids=["clear text", "tls"])
def test_prior_knowledge_needs_no_alpn(
    runtime: TestedRuntime, secured: bool, server_tls: ssl.SSLContext, h2_client_tls: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        async with runtime.pool(http1=False, http2=True, ssl_context=h2_client_tls) as pool:
            reply = await pool.request("GET", server.url)
            assert reply.extensions["http_version"] == b"HTTP/2"

    with scripted_server(speaking(answering()), tls=server_tls if secured else None) as server:
        runtime.run(scenario)


def test_clear_text_uses_http11_if_that_is_enabled(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with runtime.pool(http2=True) as pool:
            reply = await pool.request("GET", server.url)
            assert reply.extensions["http_version"] == b"HTTP/1.1"

    with scripted_server(canned_responses([response(b"fine")])) as server:
        runtime.run(scenario)


def test_a_hundred_requests_at_a_time_open_one_connection(
    runtime: TestedRuntime, h2_pool: PoolMaker
) -> None:
    def script(peer: H2Peer) -> None:
        streams = [peer.whole_request() for _ in range(100)]
        for stream_id in reversed(streams):
            assert stream_id is not None
            peer.respond(stream_id, peer.bodies[stream_id])
        peer.until_end()

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:

            async def post(number: int) -> None:
                content = b"%d" % number * 100
                reply = await pool.request("POST", server.url, content=content)
                assert reply.content == content

            await runtime.gather(*[lambda number=number: post(number) for number in range(100)])
            (connection,) = pool.connections
            assert connection.info().endswith("HTTP/2, IDLE, Request Count: 100")

    with scripted_server(speaking(script, max_concurrent_streams=100)) as server:
        runtime.run(scenario)
        assert server.accepted == 1


def test_connection_specific_fields_are_not_sent(
    runtime: TestedRuntime, h2_pool: PoolMaker
) -> None:
    seen: list[list[tuple[bytes, bytes]]] = []

    def script(peer: H2Peer) -> None:
        event = peer.wait_for(h2.events.RequestReceived)
        seen.append([(bytes(name), bytes(value)) for name, value in event.headers])
        assert event.stream_id is not None
        peer.respond(event.stream_id)
        peer.until_end()

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            headers: Any = {
                "Host": "www.example.com",
                "X-Kept": "yes",
                "Connection": "keep-alive, X-Named",
                "Keep-Alive": "timeout=5",
                "Proxy-Connection": "keep-alive",
                "Transfer-Encoding": "chunked",
                "Upgrade": "h2c",
                "X-Named": "no",
                "TE": "gzip",
                "Authorization": "secret",
                "Cookie": "short=1",
            }
            await pool.request("GET", server.url + "path?query", headers=headers)

    with scripted_server(speaking(script)) as server:
        runtime.run(scenario)
    assert seen == [
        [
            (b":method", b"GET"),
            (b":authority", b"www.example.com"),
            (b":scheme", b"http"),
            (b":path", b"/path?query"),
            (b"x-kept", b"yes"),
            (b"authorization", b"secret"),
            (b"cookie", b"short=1"),
        ]
    ]


@pytest.mark.parametrize(
    ("headers", "content", "match"),
    [
        ([("Host", "a"), ("Host", "b")], None, "multiple Host"),
        ([("Host", "a"), ("bad name", "x")], None, "Illegal header name"),
        ([("Host", "a"), ("x", "a\r\nb: c")], None, "Illegal header value"),
        ([("Host", "a"), ("Content-Length", "1x")], b"x", "bad Content-Length"),
        ([("Host", "a"), ("Content-Length", "2")], b"x", "Too little data"),
        ([("Host", "a"), ("Content-Length", "0")], b"x", "Too much data"),
        ([("Host", "a b")], None, "Illegal value b'a b' for :authority"),
    ],
)
def test_a_request_that_breaks_the_rules_is_not_sent(
    runtime: TestedRuntime, h2_pool: PoolMaker, headers: Any, content: bytes | None, match: str
) -> None:
    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            with pytest.raises(httpcore2.LocalProtocolError, match=match):
                await pool.request("GET", server.url, headers=headers, content=content)
            assert (await pool.request("GET", server.url)).content == b"fine"
            (connection,) = pool.connections
            assert connection.info().endswith("IDLE, Request Count: 1")

    with scripted_server(speaking(answering())) as server:
        runtime.run(scenario)
        assert server.accepted == 1


@pytest.mark.parametrize(
    ("declared", "chunks", "match"),
    [(5, [b"four"], "Too little"), (3, [b"fo", b"ur"], "Too much")],
)
def test_a_streamed_body_must_have_its_declared_length(
    runtime: TestedRuntime, h2_pool: PoolMaker, declared: int, chunks: list[bytes], match: str
) -> None:
    resets: list[int | None] = []

    def script(peer: H2Peer) -> None:
        stream_id = peer.request()
        resets.append(peer.wait_for(h2.events.StreamReset).stream_id)
        assert stream_id == resets[0]
        stream_id = peer.request()
        peer.respond(stream_id, b"fine")
        peer.until_end()

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            with pytest.raises(httpcore2.LocalProtocolError, match=match):
                await pool.request(
                    "POST",
                    server.url,
                    headers={"Content-Length": str(declared)},
                    content=runtime.body(chunks),
                )
            assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(speaking(script)) as server:
        runtime.run(scenario)


def test_a_body_must_consist_of_bytes(runtime: TestedRuntime, h2_pool: PoolMaker) -> None:
    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            body: Any = runtime.body(["text"])  # type: ignore[list-item]
            with pytest.raises(TypeError, match="must consist of bytes, but got str"):
                await pool.request("POST", server.url, content=body)
            assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(speaking(answering())) as server:
        runtime.run(scenario)


@pytest.mark.parametrize(
    "chunks", [[], [b""], [b"one"], [b"one", b"", b"two"], [bytearray(b"xy"), memoryview(b"z")]]
)
def test_a_streamed_body_arrives(
    runtime: TestedRuntime, h2_pool: PoolMaker, chunks: list[Any]
) -> None:
    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            reply = await pool.request("POST", server.url, content=runtime.body(chunks))
            assert reply.content == b"".join(chunks) or (b"fine" if not b"".join(chunks) else b"")

    with scripted_server(speaking(answering())) as server:
        runtime.run(scenario)


@pytest.mark.parametrize("streamed", [False, True], ids=["bytes", "streamed"])
def test_a_large_body_goes_up_and_down_at_the_same_time(
    runtime: TestedRuntime, h2_pool: PoolMaker, streamed: bool
) -> None:
    def script(peer: H2Peer) -> None:
        stream_id = peer.request()
        peer.head(stream_id)
        while not isinstance(event := peer.next(), h2.events.StreamEnded):
            if isinstance(event, h2.events.DataReceived):
                assert event.data is not None
                # An echo that holds nothing back: it sends no more than its windows allow, and waits for them.
                for start in range(0, len(event.data), 4096):
                    part = event.data[start : start + 4096]
                    while peer.h2.local_flow_control_window(stream_id) < len(part):
                        peer.pending += peer.h2.receive_data(peer.peer.receive_some())
                    peer.data(stream_id, part)
                peer.h2.acknowledge_received_data(event.flow_controlled_length, stream_id)
                peer.flush()
        peer.data(stream_id, b"", end=True)
        peer.until_end()

    content = bytes(range(256)) * 4 * 3000  # three times what a stream may hold

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            body: Any = content
            if streamed:
                body = runtime.body(
                    content[start : start + 50_000] for start in range(0, len(content), 50_000)
                )
            async with pool.stream("POST", server.url, content=body) as streamed_reply:
                assert await streamed_reply.aread() == content

    with scripted_server(speaking(script)) as server:
        runtime.run(scenario)


@pytest.mark.parametrize("reset", [False, True], ids=["", "reset"])
@pytest.mark.parametrize("streamed", [False, True], ids=["bytes", "streamed"])
def test_an_early_final_response_ends_the_upload(
    runtime: TestedRuntime, h2_pool: PoolMaker, streamed: bool, reset: bool
) -> None:
    def script(peer: H2Peer) -> None:
        stream_id = peer.request()
        peer.respond(stream_id, b"too large", status=413)
        if reset:
            peer.reset(stream_id, ErrorCodes.NO_ERROR)
        stream_id = peer.request()
        peer.respond(stream_id, b"fine")
        peer.until_end()

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            # More than the server's window, which it never opens.
            body: Any = bytes(1_000_000)
            if streamed:
                body = runtime.body(bytes(10_000) for _ in range(100))
            reply = await pool.request("POST", server.url, content=body)
            assert (reply.status, reply.content) == (413, b"too large")
            assert (await pool.request("GET", server.url)).content == b"fine"
            assert len(pool.connections) == 1

    with scripted_server(speaking(script)) as server:
        runtime.run(scenario)


def test_interim_responses_are_skipped_and_trailers_are_returned(
    runtime: TestedRuntime, h2_pool: PoolMaker
) -> None:
    def script(peer: H2Peer) -> None:
        stream_id = peer.request()
        peer.head(stream_id, status=100)
        peer.head(stream_id, (b"link", b"</style>"), status=103)
        peer.head(stream_id, (b"x-head", b"1"))
        peer.data(stream_id, b"fine")
        peer.h2.send_headers(stream_id, [(b"x-trailer", b"2")], end_stream=True)
        peer.flush()
        peer.until_end()

    async def scenario() -> None:
        async with h2_pool(runtime) as pool, pool.stream("GET", server.url) as reply:
            assert "trailing_headers" not in reply.extensions
            assert await reply.aread() == b"fine"
            assert reply.headers == [(b"x-head", b"1")]
            assert reply.extensions["trailing_headers"] == [(b"x-trailer", b"2")]

    with scripted_server(speaking(script)) as server:
        runtime.run(scenario)


@pytest.mark.parametrize(
    ("method", "status", "fields"),
    [
        ("HEAD", 200, [(b"content-length", b"10")]),
        ("GET", 304, [(b"content-length", b"10")]),
        ("GET", 204, []),
        ("GET", 200, [(b"content-length", b"0")]),
    ],
)
def test_a_response_may_have_no_body(
    runtime: TestedRuntime, h2_pool: PoolMaker, method: str, status: int, fields: Any
) -> None:
    def script(peer: H2Peer) -> None:
        peer.respond(peer.request(), b"", *fields, status=status)
        peer.until_end()

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            reply = await pool.request(method, server.url)
            assert (reply.status, reply.headers, reply.content) == (status, fields, b"")
            assert "0 active, 1 idle" in repr(pool)

    with scripted_server(speaking(script)) as server:
        runtime.run(scenario)


def test_the_connection_can_be_used_on_its_own(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        origin = httpcore2.Origin(b"http", b"127.0.0.1", server.port)
        stream = await runtime.backend().connect_tcp("127.0.0.1", server.port)
        async with runtime.http2_connection(origin, stream, keepalive_expiry=100.0) as connection:
            assert repr(connection).endswith(
                f"HTTP2Connection ['{server.origin}', IDLE, Request Count: 0]>"
            )
            for _ in range(2):
                reply = await connection.request("GET", server.url)
                assert reply.content == b"fine"
            assert connection.is_idle() and connection.is_connected() and connection.is_available()
            assert not connection.has_expired()
            with pytest.raises(RuntimeError, match="Attempted to send request to"):
                await connection.request("GET", "http://www.example.com/")
            request = httpcore2.Request("GET", server.url)
            with pytest.raises(httpcore2.LocalProtocolError, match="Missing mandatory Host"):
                await connection.handle_async_request(request)
        assert connection.is_closed() and not connection.is_available()
        assert not connection.is_connected() and not connection.has_expired()
        with pytest.raises(httpcore2.ConnectionNotAvailable):
            await connection.request("GET", server.url)

    with scripted_server(speaking(answering())) as server:
        runtime.run(scenario)


def test_a_request_traces_each_of_its_steps_and_the_first_one_the_settings(
    runtime: TestedRuntime, h2_pool: PoolMaker
) -> None:
    events: list[tuple[str, dict[str, Any]]] = []

    async def scenario() -> None:
        async with h2_pool(runtime) as pool:
            for _ in range(2):
                await pool.request("GET", server.url, extensions={"trace": runtime.trace(events)})

    with scripted_server(speaking(answering(), max_concurrent_streams=7)) as server:
        runtime.run(scenario)

    def spans(*names: str) -> list[str]:
        return [f"http2.{name}.{moment}" for name in names for moment in ("started", "complete")]

    sending = spans("send_request_headers", "send_request_body")
    receiving = spans("receive_response_body", "response_closed")
    assert [name for name, _ in events] == [
        "connection.connect_tcp.started",
        "connection.connect_tcp.complete",
        *spans("send_connection_init"),
        *sending,
        "http2.receive_response_headers.started",
        *spans("receive_remote_settings"),
        "http2.receive_response_headers.complete",
        *receiving,
        *sending,
        *spans("receive_response_headers"),
        *receiving,
    ]
    settings = dict(events)["http2.receive_remote_settings.complete"]["return_value"]
    assert settings.changed[SettingCodes.MAX_CONCURRENT_STREAMS] == 7
