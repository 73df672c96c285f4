"""HTTP/3 with servers that others wrote: hypercorn, on aioquic, and caddy, on quic-go, with hypercorn behind it.

Neither sends trailers: this quic-go can't, and hypercorn does not end the stream after them.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trustme

import httpcore2

from ..support import h3state, real_servers, soak_workloads
from ..support.lossy_relay import LossyRelay
from ..support.runtimes import TestedAsyncRuntime, TestedRuntime

HTTP3_ONLY: dict[str, Any] = {"http1": False, "http2": False, "http3": True}
SIZE = 10 * 1024 * 1024
PATTERN = bytes(range(251)) * (SIZE // 251 + 1)


@pytest.fixture(scope="session", params=real_servers.HTTP3_SERVERS)
def server(request: pytest.FixtureRequest, servers: real_servers.Servers) -> tuple[str, str]:
    """Each server's name, and its origin, in turn."""
    return request.param, servers.origin(request.param, True)


@pytest.fixture
def caddy(servers: real_servers.Servers) -> str:
    """The origin of caddy."""
    return servers.origin("caddy", True)


@pytest.fixture
def make_pool(
    runtime: TestedRuntime, client_tls: ssl.SSLContext
) -> Callable[..., httpcore2.AsyncConnectionPool]:
    return lambda **options: runtime.pool(ssl_context=client_tls, **{**HTTP3_ONLY, **options})


Make = Callable[..., httpcore2.AsyncConnectionPool]


def test_everyday_requests_over_one_connection(
    runtime: TestedRuntime, make_pool: Make, server: tuple[str, str]
) -> None:
    _, origin = server

    async def main() -> None:
        async with make_pool() as pool:
            for number, size in enumerate((0, 1, 1000, 100_000)):
                reply = await pool.request("GET", f"{origin}/bytes/{size}")
                assert (reply.status, reply.content) == (200, bytes(size))
                assert reply.extensions["http_version"] == b"HTTP/3"
                assert reply.extensions["stream_id"] == 4 * number
            head = await pool.request("HEAD", f"{origin}/bytes/1000")
            assert (b"content-length", b"1000") in head.headers
            assert head.content == b""
            assert (await pool.request("GET", f"{origin}/status/204")).status == 204
            assert (await pool.request("GET", f"{origin}/nowhere")).status == 404
            for body in (b"", b"hello"):
                reply = await pool.request("POST", f"{origin}/echo", content=body)
                assert (reply.status, reply.content) == (200, body)
            reply = await pool.request("GET", f"{origin}/headers", headers={"X-Name": "value"})
            assert b"x-name: value" in reply.content
            h3state.check_idle(pool)
            (connection,) = pool.connections
            assert connection.info().endswith("HTTP/3, IDLE, Request Count: 10")

    runtime.run(main)


def test_early_hints_are_reported(
    runtime: TestedRuntime, make_pool: Make, server: tuple[str, str]
) -> None:
    _, origin = server

    async def main() -> None:
        async with make_pool() as pool:
            hints: list[tuple[int, list[tuple[bytes, bytes]]]] = []
            extensions = {"informational": lambda *hint: hints.append(hint)}
            reply = await pool.request("GET", f"{origin}/hints", extensions=extensions)
            assert (reply.status, reply.content) == (200, b"hinted")
            ((status, headers),) = hints
            assert (status, dict(headers)[b"link"]) == (103, b"</style.css>")

    runtime.run(main)


def test_uploads_and_downloads_of_ten_mebibytes(
    runtime: TestedRuntime, make_pool: Make, server: tuple[str, str]
) -> None:
    _, origin = server
    content = PATTERN[:SIZE]

    async def main() -> None:
        async with make_pool() as pool:
            reply = await pool.request("POST", f"{origin}/echo", content=content)
            assert (reply.status, reply.content) == (200, content)
            chunks = [content[start : start + 70_000] for start in range(0, SIZE, 70_000)]
            # caddy drops a body of unknown length.
            async with pool.stream(
                "POST",
                f"{origin}/echo",
                headers={"Content-Length": str(SIZE)},
                content=runtime.body(chunks),
            ) as echo:
                assert echo.status == 200
                received = [chunk async for chunk in echo.aiter_stream()]
            assert len(received) > 1
            assert b"".join(received) == content
            h3state.check_idle(pool)

    runtime.run(main)


def test_a_hundred_requests_share_a_connection_and_abandoned_ones_affect_no_other(
    runtime: TestedRuntime, make_pool: Make, server: tuple[str, str]
) -> None:
    _, origin = server

    async def main() -> None:
        async with make_pool() as pool:

            async def fetch() -> None:
                assert (await pool.request("GET", f"{origin}/bytes/1000")).content == bytes(1000)

            async def post(number: int) -> None:
                content = b"%d" % number * 1000
                reply = await pool.request("POST", f"{origin}/echo", content=content)
                assert reply.content == content

            async def close() -> None:
                async with pool.stream("GET", f"{origin}/bytes/2000000") as reply:
                    async for _ in reply.aiter_stream():
                        break

            async def time_out() -> None:
                with pytest.raises(httpcore2.ReadTimeout):
                    await pool.request(
                        "GET", f"{origin}/silent", extensions={"timeout": {"read": 0.02}}
                    )

            async def cancel() -> None:
                begun = runtime.event()

                async def stall() -> None:
                    async with pool.stream("GET", f"{origin}/stall") as reply:
                        begun.set()
                        await reply.aread()

                assert isinstance(runtime, TestedAsyncRuntime)
                assert await runtime.cancel_on_event(begun, stall)

            given_up = [close, time_out]
            if isinstance(runtime, TestedAsyncRuntime):
                given_up.append(cancel)
            posts = [partial(post, number) for number in range(20)]
            good = [fetch] * (100 - len(given_up) - len(posts))
            await runtime.gather(*posts, *given_up, *good)
            await fetch()
            h3state.check_idle(pool)
            (connection,) = pool.connections
            assert connection.info().endswith("HTTP/3, IDLE, Request Count: 101")

    runtime.run(main)


def test_more_requests_than_the_first_limit_of_streams(
    runtime: TestedRuntime, make_pool: Make, server: tuple[str, str]
) -> None:
    _, origin = server

    async def main() -> None:
        async with make_pool() as pool:
            for _ in range(300):
                assert (await pool.request("GET", f"{origin}/bytes/1")).content == b"\0"
            (connection,) = pool.connections
            assert "Request Count: 300" in connection.info()
            h3state.check_idle(pool)

    runtime.run(main)


def test_an_upload_that_the_server_refuses_early_harms_no_other(
    runtime: TestedRuntime, make_pool: Make, caddy: str
) -> None:
    # hypercorn stops reading from all if an application does not read its request.
    async def main() -> None:
        async with make_pool() as pool:
            for content in (bytes(SIZE), runtime.body(bytes(100_000) for _ in range(100))):
                reply = await pool.request("POST", f"{caddy}/refused", content=content)
                assert reply.status == 413
                assert (await pool.request("GET", f"{caddy}/bytes/1")).content == b"\0"
            h3state.check_idle(pool)

    runtime.run(main)


def test_the_server_advertises_http3(
    runtime: TestedRuntime, make_pool: Make, server: tuple[str, str]
) -> None:
    _, origin = server

    async def main() -> None:
        async with make_pool(http1=True, http2=True) as pool:
            versions = []
            for _ in range(3):
                response = await pool.request("GET", f"{origin}/bytes/1")
                versions.append(response.extensions["http_version"])
            assert versions == [b"HTTP/2", b"HTTP/3", b"HTTP/3"]

    runtime.run(main)


@pytest.fixture
def restartable(
    certificate_authority: trustme.CA, tmp_path: Path
) -> Iterator[real_servers.RestartableCaddy]:
    certificate = tmp_path / "server.pem"
    certificate_authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
        certificate
    )
    folder = tmp_path / "caddy"
    folder.mkdir()
    with real_servers.RestartableCaddy(folder, certificate) as caddy:
        yield caddy


@contextmanager
def in_thread(job: Callable[[], object]) -> Iterator[threading.Event]:
    """Do a job in a thread; the event is set when it is done."""
    done = threading.Event()
    errors: list[Exception] = []

    def run() -> None:
        try:
            job()
        except Exception as exc:
            errors.append(exc)
        done.set()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield done
    finally:
        thread.join()
    if errors:
        raise errors[0]


PROTOCOLS: dict[str, dict[str, bool]] = {"http3": {}, "all": {"http1": True, "http2": True}}


@pytest.mark.parametrize("protocols", PROTOCOLS)
@pytest.mark.parametrize("kind", ["reload", "restart"])
def test_no_request_fails_when_the_server_restarts_under_load(
    runtime: TestedRuntime,
    make_pool: Make,
    restartable: real_servers.RestartableCaddy,
    kind: str,
    protocols: str,
) -> None:
    url = f"{restartable.origin}/files/1000"
    version = b"HTTP/3" if protocols == "http3" else b""
    firsts: list[int] = []

    async def main() -> None:
        # The port is closed for a moment.
        async with make_pool(retries=5, **PROTOCOLS[protocols]) as pool:

            async def fetch() -> None:
                reply = await pool.request("GET", url)
                assert (reply.status, reply.content) == (200, bytes(1000))
                assert reply.extensions["http_version"].startswith(version)
                if reply.extensions.get("stream_id") == 0:
                    firsts.append(1)

            async def fetch_until_done() -> None:
                while not done.is_set():
                    await fetch()

            await fetch()
            with in_thread(getattr(restartable, kind)) as done:
                await runtime.gather(*[fetch_until_done] * 10)
            await fetch()

    runtime.run(main)
    assert protocols == "all" or len(firsts) == (2 if kind == "restart" else 1)


@pytest.mark.parametrize("name", ["loss-5", "loss-10", "rebinding"])
def test_bodies_are_right_whatever_the_network_does(
    runtime: TestedRuntime, make_pool: Make, caddy: str, name: str
) -> None:
    network = soak_workloads.NETWORKS[name]
    port = int(caddy.rpartition(":")[2])
    with LossyRelay(port, seed=3, loss=network.loss).running() as relay:

        async def main() -> None:
            async with make_pool() as pool:
                await soak_workloads.echo_through(runtime, pool, relay, network, 100, 10)
                assert "Requests: 0 active, 0 queued" in repr(pool)

        runtime.run(main)


def test_an_address_that_changes(runtime: TestedRuntime, make_pool: Make, caddy: str) -> None:
    with LossyRelay(int(caddy.rpartition(":")[2]), seed=3, loss=0.0).running() as relay:

        async def main() -> None:
            async with make_pool() as pool:
                for _ in range(3):
                    response = await pool.request("GET", f"https://127.0.0.1:{relay.port}/bytes/1")
                    assert response.status == 200
                    relay.rebind()
                assert len(pool.connections) == 1

        runtime.run(main)


async def end_session(
    runtime: TestedRuntime, pool: httpcore2.AsyncConnectionPool, url: str
) -> None:
    """Close the only connection when the ticket of its session is here, which may come after the first response."""
    await pool.request("GET", url)
    await runtime.close(pool.connections[0])


def test_a_session_is_resumed_and_its_early_data_accepted(
    runtime: TestedRuntime, make_pool: Make, caddy: str
) -> None:
    # hypercorn gives no tickets.
    async def main() -> None:
        async with make_pool() as pool:
            accepted = []
            certificates = set()
            for number in range(4):
                content = b"%d" % number * 1000
                extensions = {"early_data": number != 2}
                reply = await pool.request(
                    "PUT", f"{caddy}/echo", content=content, extensions=extensions
                )
                assert (reply.status, reply.content) == (200, content)
                accepted.append(reply.extensions.get("early_data"))
                tls = reply.extensions["network_stream"].get_extra_info("ssl_object")
                certificates.add(tls.getpeercert(binary_form=True))
                h3state.check_idle(pool)
                await end_session(runtime, pool, f"{caddy}/bytes/1")
            assert accepted == [None, True, None, True]
            assert len(certificates) == 1

    runtime.run(main)


def test_early_data_is_sent_whatever_the_network_loses(
    runtime: TestedRuntime, make_pool: Make, caddy: str
) -> None:
    with LossyRelay(int(caddy.rpartition(":")[2]), seed=3, loss=0.0).running() as relay:
        url = f"https://127.0.0.1:{relay.port}/echo"

        async def main() -> None:
            async with make_pool() as pool:
                for _ in range(8):
                    relay.loss = 0.0
                    await pool.request("GET", url)
                    await end_session(runtime, pool, url)
                    relay.loss = 0.15
                    content = PATTERN[:5000]
                    reply = await pool.request(
                        "PUT", url, content=content, extensions={"early_data": True}
                    )
                    assert (reply.status, reply.content) == (200, content)
                    await runtime.close(pool.connections[0])

        runtime.run(main)


def test_a_server_that_has_restarted_rejects_early_data_and_gets_the_request_again(
    runtime: TestedRuntime, make_pool: Make, restartable: real_servers.RestartableCaddy
) -> None:
    url = f"{restartable.origin}/files/1000"

    async def main() -> None:
        async with make_pool() as pool:
            await pool.request("GET", url)
            await end_session(runtime, pool, url)
            # It has other keys for its tickets then.
            restartable.restart()
            reply = await pool.request("GET", url, extensions={"early_data": True})
            assert (reply.status, reply.content) == (200, bytes(1000))
            assert reply.extensions["early_data"] is False
            h3state.check_idle(pool)

    runtime.run(main)
