"""HTTP/1.1 with real servers, in clear text and over TLS."""

from __future__ import annotations

import gzip
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

import httpcore2

from ..support import real_servers
from ..support.runtimes import TestedRuntime

EACH = [
    (name, secured)
    for name in real_servers.HTTP1_SERVERS
    if name != "nginx"
    for secured in (False, True)
]


@pytest.fixture(scope="module")
def certificate(
    certificate_authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    path = tmp_path_factory.mktemp("certificate") / "server.pem"
    certificate_authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(path)
    return path


@contextmanager
def _running(
    server: tuple[str, bool],
    certificate: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    name, secured = server
    folder = tmp_path_factory.mktemp(name)
    with real_servers.running_server(name, folder, certificate if secured else None) as origin:
        yield origin


def _name(param: tuple[str, bool]) -> str:
    return f"{param[0]}-{'tls' if param[1] else 'plain'}"


@pytest.fixture(scope="module", params=EACH, ids=_name)
def origin(
    request: pytest.FixtureRequest, certificate: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Return the origin of each server that runs the ASGI application."""
    with _running(request.param, certificate, tmp_path_factory) as origin:
        yield origin


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "tls"])
def nginx(
    request: pytest.FixtureRequest, certificate: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    with _running(("nginx", request.param), certificate, tmp_path_factory) as origin:
        yield origin


def test_common_requests_share_one_connection(
    runtime: TestedRuntime, origin: str, client_tls: ssl.SSLContext
) -> None:
    content = bytes(range(256)) * 1024

    async def scenario() -> None:
        async with runtime.pool(ssl_context=client_tls) as pool:

            async def fetch(
                method: str, path: str, status: int, body: bytes, content: Any = None
            ) -> None:
                reply = await pool.request(method, origin + path, content=content)
                assert (reply.status, reply.content) == (status, body)
                assert reply.extensions["http_version"] == b"HTTP/1.1"

            await fetch("GET", "/bytes/0", 200, b"")
            await fetch("GET", "/bytes/1000", 200, bytes(1000))
            await fetch("GET", "/bytes/300000", 200, bytes(300_000))
            await fetch("GET", "/stream/0", 200, b"")
            await fetch("GET", "/stream/20000", 200, bytes(20_000))
            await fetch("HEAD", "/bytes/1000", 200, b"")
            await fetch("HEAD", "/stream/1000", 200, b"")
            await fetch("GET", "/status/204", 204, b"")
            await fetch("GET", "/status/304", 304, b"")
            await fetch("GET", "/nowhere", 404, b"no such path")
            await fetch("POST", "/echo", 200, b"", b"")
            await fetch("POST", "/echo", 200, b"hello", b"hello")
            await fetch("PUT", "/echo", 200, content, content)
            chunks = [content[:1000], content[1000:100_000], b"", content[100_000:]]
            await fetch("POST", "/echo", 200, content, runtime.body(chunks))
            await fetch("GET", "/headers", 200, b"host: " + origin.split("/")[2].encode())
            (connection,) = pool.connections
            assert connection.info().endswith("IDLE, Request Count: 15")

    runtime.run(scenario)


def test_a_streamed_download_arrives_in_chunks(
    runtime: TestedRuntime, origin: str, client_tls: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        async with (
            runtime.pool(ssl_context=client_tls) as pool,
            pool.stream("GET", f"{origin}/stream/100000") as streamed,
        ):
            sizes = [len(chunk) async for chunk in streamed.aiter_stream()]
            assert sum(sizes) == 100_000
            assert len(sizes) > 1
            assert 0 not in sizes

    runtime.run(scenario)


def test_many_requests_run_concurrently(
    runtime: TestedRuntime, origin: str, client_tls: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        async with runtime.pool(ssl_context=client_tls, max_connections=4) as pool:

            async def fetch(number: int) -> None:
                content = b"%d" % number * 1000
                reply = await pool.request("POST", f"{origin}/echo", content=content)
                assert reply.content == content

            await runtime.gather(*[lambda number=number: fetch(number) for number in range(20)])
            assert len(pool.connections) <= 4

    runtime.run(scenario)


def test_an_upload_waits_for_100_continue(
    runtime: TestedRuntime, origin: str, client_tls: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        async with runtime.pool(ssl_context=client_tls) as pool:
            for content in (b"hello", runtime.body([b"hel", b"lo"])):
                reply = await pool.request(
                    "PUT",
                    f"{origin}/echo",
                    headers={"Expect": "100-continue"},
                    content=content,
                    # The servers send 100: without it the request would fail.
                    extensions={"timeout": {"continue": None, "read": 30.0}},
                )
                assert (reply.status, reply.content) == (200, b"hello")
            assert len(pool.connections) == 1

    runtime.run(scenario)


def test_early_hints_that_caddy_passes_on_are_reported(
    runtime: TestedRuntime, servers: real_servers.Servers
) -> None:
    origin = servers.origin("caddy", False)

    async def scenario() -> None:
        async with runtime.pool() as pool:
            hints: list[tuple[int, list[tuple[bytes, bytes]]]] = []
            extensions = {"informational": lambda *hint: hints.append(hint)}
            reply = await pool.request("GET", f"{origin}/hints", extensions=extensions)
            assert (reply.status, reply.content) == (200, b"hinted")
            assert reply.extensions["http_version"] == b"HTTP/1.1"
            ((status, headers),) = hints
            assert (status, dict(headers)[b"Link"]) == (103, b"</style.css>")

    runtime.run(scenario)


def test_nginx_refuses_an_upload_of_which_nothing_is_sent(
    runtime: TestedRuntime, nginx: str, client_tls: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        async with runtime.pool(ssl_context=client_tls) as pool:

            def chunks() -> Iterator[bytes]:
                raise AssertionError("the body was begun")
                yield b""

            reply = await pool.request(
                "POST",
                f"{nginx}/small",
                headers={"Expect": "100-continue", "Content-Length": "4000000"},
                content=runtime.body(chunks()),
                extensions={"timeout": {"continue": None, "read": 30.0}},
            )
            assert reply.status == 413
            assert pool.connections == []
            assert (await pool.request("GET", f"{nginx}/1")).content == bytes(1)

    runtime.run(scenario)


# hypercorn sends no response before it has read the request's body.
@pytest.mark.parametrize(
    "origin", [each for each in EACH if each[0] != "hypercorn"], ids=_name, indirect=True
)
def test_an_early_refusal_of_a_large_upload_is_returned(
    runtime: TestedRuntime, origin: str, client_tls: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        async with runtime.pool(ssl_context=client_tls, max_connections=1) as pool:
            content = runtime.body(bytes(10_000) for _ in range(20))
            reply = await pool.request("POST", f"{origin}/early", content=content)
            assert (reply.status, reply.content) == (413, b"too large")
            assert (await pool.request("GET", f"{origin}/bytes/1")).content == b"\0"

    runtime.run(scenario)


def test_nginx_serves_files_and_compressed_text(
    runtime: TestedRuntime, nginx: str, client_tls: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        async with runtime.pool(ssl_context=client_tls) as pool:

            async def fetch(
                method: str, path: str, headers: dict[bytes | str, bytes | str] | None = None
            ) -> httpcore2.Response:
                return await pool.request(method, nginx + path, headers=headers)

            for size in (0, 1, 1000, 1_000_000):
                assert (await fetch("GET", f"/{size}")).content == bytes(size)
            head = await fetch("HEAD", "/1000")
            assert (b"Content-Length", b"1000") in head.headers
            assert head.content == b""
            etag = dict(head.headers)[b"ETag"].decode()
            assert (await fetch("GET", "/1000", {"If-None-Match": etag})).status == 304
            part = await fetch("GET", "/1000", {"Range": "bytes=10-19"})
            assert (part.status, part.content) == (206, bytes(10))
            assert (await fetch("GET", "/status/204")).status == 204
            assert (await fetch("GET", "/nowhere")).status == 404
            packed = await fetch("GET", "/text", {"Accept-Encoding": "gzip"})
            assert (b"Transfer-Encoding", b"chunked") in packed.headers
            assert gzip.decompress(packed.content) == b"a text to compress " * 50
            (connection,) = pool.connections
            assert connection.info().endswith("IDLE, Request Count: 10")
            last = await fetch("GET", "/1000", {"Connection": "close"})
            assert last.content == bytes(1000)
            assert pool.connections == []

    runtime.run(scenario)


def test_nginx_refuses_a_large_upload_early(
    runtime: TestedRuntime, nginx: str, client_tls: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        async with runtime.pool(ssl_context=client_tls, max_connections=1) as pool:
            for content in (bytes(4_000_000), runtime.body(bytes(100_000) for _ in range(40))):
                refused = await pool.request(
                    "POST",
                    f"{nginx}/small",
                    headers={"Content-Length": "4000000"},
                    content=content,
                )
                assert refused.status == 413
            assert (await pool.request("GET", f"{nginx}/1")).content == b"\0"

    runtime.run(scenario)
