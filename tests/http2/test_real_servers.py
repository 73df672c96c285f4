"""HTTP/2 with servers that others wrote, in clear text and over TLS."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from ..support import real
from ..support.worlds import World
from .conftest import PoolMaker


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "tls"])
def secured(request: pytest.FixtureRequest) -> bool:
    assert isinstance(request.param, bool)
    return request.param


@pytest.fixture(scope="module")
def certificate(
    secured: bool, certificate_authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory
) -> Path | None:
    path = tmp_path_factory.mktemp("certificate") / "server.pem"
    certificate_authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(path)
    return path if secured else None


@pytest.fixture(scope="module")
def nginx(certificate: Path | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("nginx")
    with real.running("nginx", folder, certificate, http2=True) as origin:
        yield origin


@pytest.fixture(scope="module")
def hypercorn(certificate: Path | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with real.running("hypercorn", tmp_path_factory.mktemp("hypercorn"), certificate) as origin:
        yield origin


def test_nginx_may_say_farewell_every_thousand_requests(
    world: World, h2_pool: PoolMaker, nginx: str, h2_client_tls: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        async with h2_pool(world, ssl_context=h2_client_tls) as pool:

            async def fetch() -> None:
                for _ in range(55):
                    reply = await pool.request("GET", f"{nginx}/1000")
                    assert reply.content == bytes(1000)
                    assert reply.extensions["http_version"] == b"HTTP/2"

            await world.gather(*[fetch] * 20)
            assert "0 active, 0 queued | Connections: 0 active, 1 idle" in repr(pool)

    world.run(scenario)


def test_nginx_and_its_files(
    world: World, h2_pool: PoolMaker, nginx: str, h2_client_tls: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        async with h2_pool(world, ssl_context=h2_client_tls) as pool:
            for size in (0, 1, 1000, 1_000_000):
                assert (await pool.request("GET", f"{nginx}/{size}")).content == bytes(size)
            head = await pool.request("HEAD", f"{nginx}/1000")
            assert (b"content-length", b"1000") in head.headers
            assert head.content == b""
            etag = dict(head.headers)[b"etag"].decode()
            unchanged = await pool.request("GET", f"{nginx}/1000", headers={"If-None-Match": etag})
            assert unchanged.status == 304
            assert (await pool.request("GET", f"{nginx}/status/204")).status == 204
            for content in (bytes(4_000_000), world.body(bytes(100_000) for _ in range(40))):
                refused = await pool.request(
                    "POST",
                    f"{nginx}/small",
                    headers={"Content-Length": "4000000"},
                    content=content,
                )
                assert refused.status == 413
            async with pool.stream("GET", f"{nginx}/1000000") as closed:
                assert closed.status == 200
            assert (await pool.request("GET", f"{nginx}/1")).content == b"\0"
            assert "0 active, 0 queued | Connections: 0 active, 1 idle" in repr(pool)

    world.run(scenario)


def test_hypercorn_and_its_application(
    world: World, h2_pool: PoolMaker, hypercorn: str, h2_client_tls: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        async with h2_pool(world, ssl_context=h2_client_tls) as pool:

            async def echo(number: int) -> None:
                content = b"%d;" % number * 20_000
                reply = await pool.request("POST", f"{hypercorn}/echo", content=content)
                assert reply.content == content
                body = world.body([content, content])
                reply = await pool.request("POST", f"{hypercorn}/echo", content=body)
                assert reply.content == content * 2

            await world.gather(*[lambda number=number: echo(number) for number in range(5)])
            assert len((await pool.request("GET", f"{hypercorn}/stream/100000")).content) == 100_000
            assert (await pool.request("GET", f"{hypercorn}/status/204")).status == 204
            headers = (
                await pool.request("GET", f"{hypercorn}/headers", headers={"X-A": "b"})
            ).content
            assert b"x-a: b" in headers
            assert len(pool.connections) == 1

    world.run(scenario)
