"""Requests and responses over HTTP/3, on every runtime."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from threading import Event
from typing import Any

import pytest

import httpcore2

from ..support.h3peer import H3Peer, answering
from ..support.h3state import session
from ..support.runtimes import TestedAsyncRuntime, TestedRuntime
from .conftest import HTTP3_ONLY, PoolMaker, Serve

MEBIBYTE = bytes(range(256)) * 4096


def test_requests_share_a_connection(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    with serve(answering()) as server:

        async def main() -> None:
            async with make_pool() as pool:
                for number in range(3):
                    response = await pool.request("GET", server.url)
                    assert (response.status, response.content) == (200, b"fine")
                    assert response.extensions["http_version"] == b"HTTP/3"
                    assert response.extensions["stream_id"] == 4 * number
                (connection,) = pool.connections
                assert "HTTP/3, IDLE, Request Count: 3" in connection.info()
                assert repr(connection).endswith("HTTP/3, IDLE, Request Count: 3]>")

        runtime.run(main)
        (peer,) = server.peers
        assert peer.requests[0] == {
            b":method": b"GET",
            b":authority": f"127.0.0.1:{server.port}".encode(),
            b":scheme": b"https",
            b":path": b"/",
        }


def test_concurrent_requests_share_a_connection(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    with serve(answering()) as server:

        async def main() -> None:
            async with make_pool() as pool:

                async def send(number: int) -> None:
                    body = b"%d" % number
                    response = await pool.request("POST", server.url, content=body)
                    assert response.content == body

                await runtime.gather(*[lambda n=n: send(n) for n in range(1, 41)])

        runtime.run(main)
        assert len(server.peers) == 1


def test_requests_of_several_tasks_are_sent_together(
    async_runtime: TestedAsyncRuntime,
    serve: Serve,
    client_tls: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runtime = async_runtime
    counts: list[int] = []
    with serve(answering()) as server:

        async def main() -> None:
            async with runtime.pool(ssl_context=client_tls, **HTTP3_ONLY) as pool:

                async def get() -> None:
                    assert (await pool.request("GET", server.url)).content == b"fine"

                await get()
                state = session(pool)
                send = state.endpoint.datagrams.send

                def record(datagrams: Sequence[bytes]) -> int:
                    counts.append(state.request_count)
                    return send(datagrams)

                monkeypatch.setattr(state.endpoint.datagrams, "send", record)
                await runtime.gather(*[get] * 20)

        runtime.run(main)
    # The first request waits for nobody, and the second sends for all others.
    assert 21 in counts and not any(2 < count < 21 for count in counts)


def test_the_end_of_a_body_may_come_after_all_of_it_was_read(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    has_read = Event()

    def script(peer: H3Peer) -> None:
        stream_id = peer.whole_request()
        peer.head(stream_id)
        peer.data(stream_id, b"fine", end=False)
        has_read.wait()
        peer.data(stream_id, b"", end=True)
        peer.until_end()

    with serve(script) as server:

        async def main() -> None:
            async with make_pool() as pool, pool.stream("GET", server.url) as response:
                async for chunk in response.aiter_stream():
                    assert chunk == b"fine"
                    has_read.set()

        runtime.run(main)
        assert has_read.is_set()


@pytest.mark.parametrize("in_chunks", [False, True])
def test_large_bodies_go_both_ways(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker, in_chunks: bool
) -> None:
    with serve(answering()) as server:

        async def main() -> None:
            async with make_pool() as pool:
                content: Any = MEBIBYTE * 2
                if in_chunks:
                    content = runtime.body([MEBIBYTE, b"", MEBIBYTE])
                response = await pool.request("POST", server.url, content=content)
                assert response.content == MEBIBYTE * 2

        runtime.run(main)


def test_a_response_is_read_while_the_request_is_sent(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    def echo(peer: H3Peer) -> None:
        stream_id = peer.request()
        peer.head(stream_id)
        seen = 0
        while seen < 3 * len(MEBIBYTE):
            event: Any = peer.next()
            data = getattr(event, "data", b"") if hasattr(event, "push_id") else b""
            seen += len(data)
            if data:
                peer.data(stream_id, data)
        peer.data(stream_id, b"", end=True)

    with serve(echo) as server:

        async def main() -> None:
            async with make_pool() as pool:
                body = runtime.body([MEBIBYTE] * 3)
                async with pool.stream("POST", server.url, content=body) as response:
                    received = 0
                    async for chunk in response.aiter_stream():
                        received += len(chunk)
                    assert received == 3 * len(MEBIBYTE)

        runtime.run(main)


def test_trailers_and_interim_responses(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    def script(peer: H3Peer) -> None:
        stream_id = peer.request()
        peer.head(stream_id, (b"link", b"</a>"), status=103)
        peer.head(stream_id, (b"content-length", b"4"))
        peer.data(stream_id, b"fine")
        assert peer.h3 is not None
        peer.h3.send_headers(stream_id, [(b"x-sum", b"1")], True)
        peer.flush()

    with serve(script) as server:

        async def main() -> None:
            async with make_pool() as pool:
                response = await pool.request("GET", server.url)
                assert (response.status, response.content) == (200, b"fine")
                assert response.extensions["trailing_headers"] == [(b"x-sum", b"1")]

        runtime.run(main)


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
def test_responses_without_a_body(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker, method: str, status: int
) -> None:
    def script(peer: H3Peer) -> None:
        for _ in range(2):
            peer.respond(peer.request(), b"", (b"content-length", b"100"), status=status)

    with serve(script) as server:

        async def main() -> None:
            async with make_pool() as pool:
                for _ in range(2):
                    response = await pool.request(method, server.url)
                    assert (response.status, response.content) == (status, b"")

        runtime.run(main)


def test_the_network_stream_has_addresses_certificate_and_cipher(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    with serve(answering()) as server:

        async def main() -> None:
            async with make_pool() as pool:
                response = await pool.request("GET", server.url)
                stream = response.extensions["network_stream"]
                assert stream.get_extra_info("server_addr") == ("127.0.0.1", server.port)
                tls = stream.get_extra_info("ssl_object")
                assert tls.version() == "TLSv1.3"
                assert tls.selected_alpn_protocol() == "h3"
                assert tls.cipher()[0].startswith("TLS_")
                der = tls.getpeercert(binary_form=True)
                assert ssl.DER_cert_to_PEM_cert(der).strip() in server.certificate.decode()
                certificate = tls.getpeercert()
                assert ("IP Address", "127.0.0.1") in certificate["subjectAltName"]
                assert ("DNS", "localhost") in certificate["subjectAltName"]
                for call in (stream.read(10), stream.write(b"x")):
                    with pytest.raises(
                        httpcore2.LocalProtocolError, match="can't be read or written"
                    ):
                        await call

        runtime.run(main)


def test_trace_events_have_the_shape_of_those_of_http2(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    with serve(answering()) as server:
        events: list[tuple[str, dict[str, Any]]] = []

        async def main() -> None:
            async with make_pool() as pool:
                extensions = {"trace": runtime.trace(events)}
                response = await pool.request("GET", server.url, extensions=extensions)
                assert response.content == b"fine"

        runtime.run(main)
        names = [name for name, _ in events]
        assert names == [
            f"{operation}.{part}"
            for operation in (
                "connection.connect_udp",
                "connection.quic_handshake",
                "http3.send_request_headers",
                "http3.send_request_body",
                "http3.receive_response_headers",
                "http3.receive_response_body",
                "http3.response_closed",
            )
            for part in ("started", "complete")
        ]
        assert dict(events)["http3.send_request_headers.started"]["stream_id"] == 0
        assert dict(events)["http3.receive_response_headers.complete"]["return_value"] == (200, [])


def test_a_body_that_is_too_short_or_too_long_is_the_callers_mistake(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    with serve(answering()) as server:

        async def main() -> None:
            async with make_pool() as pool:
                for length in (b"3", b"5"):
                    headers = [(b"Host", b"127.0.0.1"), (b"Content-Length", length)]
                    with pytest.raises(httpcore2.LocalProtocolError, match="Content-Length"):
                        await pool.request(
                            "POST", server.url, headers=headers, content=runtime.body([b"four"])
                        )
                assert (await pool.request("GET", server.url)).content == b"fine"

        runtime.run(main)
        assert len(server.peers) == 1


def test_an_early_response_ends_the_upload(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    def script(peer: H3Peer) -> None:
        stream_id = peer.request()
        peer.respond(stream_id, b"too large", status=413)
        peer.stop(stream_id, 0x100)
        answering()(peer)

    with serve(script) as server:

        async def main() -> None:
            async with make_pool() as pool:
                response = await pool.request(
                    "POST", server.url, content=runtime.body([MEBIBYTE] * 20)
                )
                assert (response.status, response.content) == (413, b"too large")
                assert (await pool.request("GET", server.url)).content == b"fine"

        runtime.run(main)
        assert len(server.peers) == 1


def test_connect_is_refused(runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker) -> None:
    with serve(answering()) as server:

        async def main() -> None:
            async with make_pool() as pool:
                with pytest.raises(httpcore2.LocalProtocolError, match="CONNECT is not supported"):
                    await pool.request("CONNECT", server.url)

        runtime.run(main)


def test_http3_needs_https(runtime: TestedRuntime, make_pool: PoolMaker) -> None:
    async def main() -> None:
        async with make_pool() as pool:
            with pytest.raises(httpcore2.UnsupportedProtocol, match="HTTP/3 needs https"):
                await pool.request("GET", "http://127.0.0.1/")

    runtime.run(main)


def test_a_server_that_is_not_there_is_an_error_of_connecting(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    with serve(answering()) as server:
        pass

    async def main() -> None:
        async with make_pool(retries=1) as pool:
            with pytest.raises(
                httpcore2.ConnectError, match=r"refused.*connecting to https://127.*over HTTP/3"
            ):
                await pool.request("GET", server.url)

    runtime.run(main)


def test_a_server_that_is_silent_is_a_timeout_of_connecting(
    runtime: TestedRuntime, make_pool: PoolMaker
) -> None:
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/"

        async def main() -> None:
            async with make_pool() as pool:
                with pytest.raises(httpcore2.ConnectTimeout, match=r"within 0\.05 seconds"):
                    await pool.request("GET", url, extensions={"timeout": {"connect": 0.05}})

        runtime.run(main)


def test_connections_without_a_pool(
    runtime: TestedRuntime, serve: Serve, client_tls: ssl.SSLContext
) -> None:
    with serve(answering()) as server:
        origin = httpcore2.Origin(b"https", b"127.0.0.1", server.port)

        async def main() -> None:
            async with runtime.connection(
                origin, ssl_context=client_tls, **HTTP3_ONLY
            ) as connection:
                assert connection.is_available()
                response = await connection.request("GET", server.url)
                assert response.extensions["http_version"] == b"HTTP/3"
                assert connection.can_multiplex() and connection.is_available()
                assert connection.is_idle() and not connection.has_expired()
            assert connection.is_closed()

        runtime.run(main)


def test_threads_use_the_public_connection(serve: Serve, client_tls: ssl.SSLContext) -> None:
    with serve(answering()) as server:
        origin = httpcore2.Origin(b"https", b"127.0.0.1", server.port)
        datagrams = httpcore2.SyncBackend().connect_udp("127.0.0.1", server.port)
        with httpcore2.HTTP3Connection(origin, datagrams, 5.0, client_tls) as connection:
            assert connection.request("GET", server.url).content == b"fine"
            with pytest.raises(RuntimeError, match="Attempted to send request"):
                connection.request("GET", "https://127.0.0.2/")
