"""HTTP/2 with servers that others wrote: by prior knowledge in clear text, and negotiated over TLS."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import partial

import pytest

import httpcore2

from ..http2.conftest import PoolMaker
from ..support import real_servers, soak_workloads
from ..support.runtimes import TestedAsyncRuntime, TestedRuntime

ALL = [(name, secured) for name in real_servers.HTTP2_SERVERS for secured in (False, True)]
SECURED = [(name, True) for name in real_servers.HTTP2_SERVERS]
NGINX = [("nginx", False), ("nginx", True)]
# nginx and h2o speak HTTP/1.1 to the application, whose server sends no trailers then.
WITH_TRAILERS = ("hypercorn", "nghttpd", "nghttpx", "haproxy", "caddy")

# The others drop interim responses of the application, or speak HTTP/1.1 to it.
WITH_HINTS = ("hypercorn", "caddy")
# haproxy 2.6 loses the body of some responses that follow an interim one of the application, for curl as well.
BESIDE_HINTS = [(name, secured) for name, secured in ALL if name != "haproxy"]

SIZE = 1_000_000


def _name(param: tuple[str, bool]) -> str:
    return f"{param[0]}-{'tls' if param[1] else 'plain'}"


@pytest.fixture(scope="session", params=ALL, ids=_name)
def server(request: pytest.FixtureRequest, servers: real_servers.Servers) -> tuple[str, str]:
    """Each server's name, and its origin, in turn."""
    name, secured = request.param
    return name, servers.origin(name, secured)


@pytest.fixture
def open_pool(
    runtime: TestedRuntime, h2_pool: PoolMaker, h2_client_tls: ssl.SSLContext
) -> Callable[[str], httpcore2.AsyncConnectionPool]:
    """Makes the pool for an origin: over TLS, it may speak HTTP/1.1 as well."""

    def make(origin: str) -> httpcore2.AsyncConnectionPool:
        return h2_pool(runtime, ssl_context=h2_client_tls, http1=origin.startswith("https"))

    return make


Opener = Callable[[str], httpcore2.AsyncConnectionPool]


def test_everyday_requests_over_one_connection(
    runtime: TestedRuntime, open_pool: Opener, server: tuple[str, str]
) -> None:
    name, origin = server
    content = bytes(range(250)) * (SIZE // 250)

    async def scenario() -> None:
        async with open_pool(origin) as pool:
            for number, size in enumerate((0, 1, 1000)):
                reply = await pool.request("GET", f"{origin}/bytes/{size}")
                assert (reply.status, reply.content) == (200, bytes(size))
                assert reply.extensions["http_version"] == b"HTTP/2"
                assert reply.extensions["stream_id"] == 2 * number + 1
            head = await pool.request("HEAD", f"{origin}/bytes/1000")
            assert (b"content-length", b"1000") in head.headers
            assert head.content == b""
            assert (await pool.request("GET", f"{origin}/nowhere")).status == 404
            for body in (b"", b"hello"):
                reply = await pool.request("POST", f"{origin}/echo", content=body)
                assert (reply.status, reply.content) == (200, body)
            chunks = [content[start : start + 70_000] for start in range(0, SIZE, 70_000)]
            async with pool.stream("POST", f"{origin}/echo", content=runtime.body(chunks)) as echo:
                assert await echo.aread() == content
            async with pool.stream("GET", f"{origin}/bytes/2000000") as download:
                sizes = [len(chunk) async for chunk in download.aiter_stream()]
            assert sum(sizes) == 2_000_000
            assert len(sizes) > 1
            if name in WITH_TRAILERS:
                method, path = ("POST", "echo") if name == "nghttpd" else ("GET", "trailers")
                reply = await pool.request(
                    method, f"{origin}/{path}", headers={"TE": "trailers"}, content=b"any"
                )
                assert (b"x-sum", b"1") in reply.extensions["trailing_headers"]
            (connection,) = pool.connections
            count = 10 if name in WITH_TRAILERS else 9
            assert connection.info().endswith(f"HTTP/2, IDLE, Request Count: {count}")

    runtime.run(scenario)


@pytest.mark.parametrize("server", SECURED, ids=_name, indirect=True)
def test_an_upload_waits_for_100_continue_or_a_while(
    runtime: TestedRuntime, open_pool: Opener, server: tuple[str, str]
) -> None:
    name, origin = server

    async def scenario() -> None:
        async with open_pool(origin) as pool:
            for content in (b"hello", runtime.body([b"hel", b"lo"])):
                reply = await pool.request(
                    "PUT",
                    f"{origin}/echo",
                    headers={"Expect": "100-continue"},
                    content=content,
                    extensions={"timeout": {"continue": 0.1}},
                )
                assert reply.status == 200
                assert name == "nghttpd" or reply.content == b"hello"
            assert len(pool.connections) == 1

    runtime.run(scenario)


@pytest.mark.parametrize("server", BESIDE_HINTS, ids=_name, indirect=True)
def test_early_hints_are_reported_if_the_server_passes_them_on(
    runtime: TestedRuntime, open_pool: Opener, server: tuple[str, str]
) -> None:
    name, origin = server

    async def scenario() -> None:
        async with open_pool(origin) as pool:
            hints: list[tuple[int, list[tuple[bytes, bytes]]]] = []
            extensions = {"informational": lambda *hint: hints.append(hint)}
            reply = await pool.request("GET", f"{origin}/hints", extensions=extensions)
            # These two serve files at this path, of which there is none.
            assert name in ("nginx", "nghttpd") or (reply.status, reply.content) == (200, b"hinted")
            if name in WITH_HINTS:
                ((status, headers),) = hints
                assert (status, dict(headers)[b"link"]) == (103, b"</style.css>")

    runtime.run(scenario)


def test_a_hundred_requests_share_a_connection_and_abandoned_ones_affect_no_other(
    runtime: TestedRuntime, open_pool: Opener, server: tuple[str, str]
) -> None:
    name, origin = server

    async def scenario() -> None:
        async with open_pool(origin) as pool:

            async def fetch() -> None:
                assert (await pool.request("GET", f"{origin}/bytes/1000")).content == bytes(1000)

            async def post(number: int) -> None:
                content = b"%d" % number * 1000
                reply = await pool.request("POST", f"{origin}/echo", content=content)
                assert reply.content == content

            async def close() -> None:
                # More than the window of a stream lets the server send.
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

            given_up = [close]
            if name != "nghttpd":
                given_up += (
                    [time_out, cancel] if isinstance(runtime, TestedAsyncRuntime) else [time_out]
                )
            posts = [partial(post, number) for number in range(20)]
            good = [fetch] * (100 - len(given_up) - len(posts))
            await runtime.gather(*posts, *given_up, *good)
            await fetch()
            (connection,) = pool.connections
            assert connection.info().endswith("HTTP/2, IDLE, Request Count: 101")

    runtime.run(scenario)


@pytest.mark.parametrize("server", NGINX, ids=_name, indirect=True)
def test_nginx_may_send_goaway_again_and_again(
    runtime: TestedRuntime, open_pool: Opener, server: tuple[str, str]
) -> None:
    _, origin = server

    async def scenario() -> None:
        async with open_pool(origin) as pool:
            url = f"{origin}/1000"
            assert await soak_workloads.fetch_until_idle(runtime, pool, url, 1000, 500, 20) == 4

    runtime.run(scenario)


@pytest.mark.parametrize("tasks", [12, 100])
@pytest.mark.parametrize("secured", [False, True], ids=["plain", "tls"])
def test_nginx_may_process_ten_requests_on_each_connection(
    runtime: TestedRuntime,
    open_pool: Opener,
    servers: real_servers.Servers,
    secured: bool,
    tasks: int,
) -> None:
    origin = servers.origin("nginx", secured, requests=10)

    async def scenario() -> None:
        async with open_pool(origin) as pool:
            opened = await soak_workloads.fetch_all(
                runtime, pool, f"{origin}/1000", 1000, 300, tasks
            )
            assert opened < 60  # thirty at least, and none fails

    runtime.run(scenario)


@pytest.mark.parametrize("server", [("nghttpd", False)], ids=_name, indirect=True)
def test_the_bodies_of_many_requests_at_a_time_are_not_mixed_up(
    runtime: TestedRuntime, open_pool: Opener, server: tuple[str, str]
) -> None:
    _, origin = server

    async def scenario() -> None:
        async with open_pool(origin) as pool:
            await soak_workloads.echo_bodies(runtime, pool, f"{origin}/1", 320, 32)

    runtime.run(scenario)


@pytest.mark.parametrize("server", [("nghttpd", False)], ids=_name, indirect=True)
def test_downloads_that_are_abandoned_affect_no_others(
    runtime: TestedRuntime, open_pool: Opener, server: tuple[str, str]
) -> None:
    """nghttp2 ends a connection after 1,000 resets in a burst."""
    _, origin = server

    async def scenario() -> None:
        async with open_pool(origin) as pool:

            async def leave() -> None:
                async with pool.stream("GET", f"{origin}/bytes/2000000") as reply:
                    async for _ in reply.aiter_stream():
                        break

            async def fetch() -> None:
                assert (await pool.request("GET", f"{origin}/1000")).content == bytes(1000)

            for _ in range(2):
                await runtime.gather(*[fetch, *[leave] * 9] * 10)
            await fetch()
            (connection,) = pool.connections
            assert connection.info().endswith("IDLE, Request Count: 201")

    runtime.run(scenario)


@pytest.mark.parametrize("server", NGINX, ids=_name, indirect=True)
def test_nginx_serves_files_and_compressed_text(
    runtime: TestedRuntime, open_pool: Opener, server: tuple[str, str]
) -> None:
    _, origin = server

    async def scenario() -> None:
        async with open_pool(origin) as pool:
            etag = dict((await pool.request("HEAD", f"{origin}/1000")).headers)[b"etag"].decode()
            unchanged = await pool.request("GET", f"{origin}/1000", headers={"If-None-Match": etag})
            assert unchanged.status == 304
            assert (await pool.request("GET", f"{origin}/status/204")).status == 204
            for content in (bytes(4_000_000), runtime.body(bytes(100_000) for _ in range(40))):
                refused = await pool.request(
                    "POST",
                    f"{origin}/small",
                    headers={"Content-Length": "4000000"},
                    content=content,
                )
                assert refused.status == 413
            assert (await pool.request("GET", f"{origin}/1")).content == b"\0"
            assert "0 active, 0 queued | Connections: 0 active, 1 idle" in repr(pool)

    runtime.run(scenario)
