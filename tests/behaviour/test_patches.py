"""Test kits and guards that patch what 2.16.2 sends requests by: no request of ours bypasses them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pkgutil import resolve_name
from typing import Any
from unittest import mock

import pytest

import httpcore2
from httpcore2._backends.auto import AutoBackend

from ..support.runtimes import RUNTIMES, TestedAsyncRuntime, TestedRuntime
from ..support.scripted_proxies import PROXY_KINDS, scripted_proxy
from ..support.scripted_servers import canned_responses, refusing_port, response, scripted_server
from ..support.sync_adapters import AsyncAdapter

FINE = response(b"fine")


class Refused(Exception):
    """The patch was called."""


@contextmanager
def patched_method(
    runtime: TestedRuntime, place: str, name: str, answer: Callable[[], Any]
) -> Iterator[None]:
    """Replace how a class sends: in the module `place` of 2.16.2, the class `name` without its prefix."""
    if isinstance(runtime, TestedAsyncRuntime):
        target = f"httpcore2._async.{place}.Async{name}.handle_async_request"

        async def asynchronous(self: object, request: httpcore2.Request) -> httpcore2.Response:
            result: httpcore2.Response = answer()
            return result

        replacement: Any = asynchronous
    else:
        target = f"httpcore2._sync.{place}.{name}.handle_request"

        def synchronous(self: object, request: httpcore2.Request) -> httpcore2.Response:
            result: httpcore2.Response = answer()
            return result

        replacement = synchronous
    with mock.patch(target, replacement):
        yield


def _answer() -> httpcore2.Response:
    return httpcore2.Response(299, content=b"patched")


def _refuse() -> httpcore2.Response:
    raise Refused


PLACES = [("connection_pool", "ConnectionPool"), ("connection", "HTTPConnection")]


@pytest.mark.parametrize(("place", "name"), PLACES)
def test_a_patched_class_answers_each_request_of_a_pool(
    runtime: TestedRuntime, place: str, name: str
) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool:
            with patched_method(runtime, place, name, _answer):
                reply = await pool.request("GET", server.url)
                assert (reply.status, reply.content) == (299, b"patched")
                async with pool.stream("GET", server.url) as reply:
                    assert await reply.aread() == b"patched"
            assert server.accepted == 0
            assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(canned_responses([FINE])) as server:
        runtime.run(scenario)


@pytest.mark.parametrize(("place", "name"), PLACES)
def test_the_exception_of_a_patch_propagates_and_frees_the_slot(
    runtime: TestedRuntime, place: str, name: str
) -> None:
    async def scenario() -> None:
        async with runtime.pool(max_connections=1) as pool:
            with patched_method(runtime, place, name, _refuse):
                for _ in range(2):
                    with pytest.raises(Refused):
                        await pool.request("GET", server.url)
            assert server.accepted == 0
            assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(canned_responses([FINE])) as server:
        runtime.run(scenario)


@pytest.mark.parametrize(("place", "name"), PLACES)
def test_a_patch_may_pass_a_request_on(runtime: TestedRuntime, place: str, name: str) -> None:
    prefix = "Async" if isinstance(runtime, TestedAsyncRuntime) else ""
    cls: Any = getattr(httpcore2, prefix + name)
    method = "handle_async_request" if isinstance(runtime, TestedAsyncRuntime) else "handle_request"
    original = getattr(cls, method)
    called = []

    def passing(self: Any, request: httpcore2.Request) -> Any:
        called.append(request.url.target)
        return original(self, request)

    async def asynchronously(self: Any, request: httpcore2.Request) -> Any:
        return await passing(self, request)

    async def scenario() -> None:
        replacement = asynchronously if isinstance(runtime, TestedAsyncRuntime) else passing
        async with runtime.pool() as pool:
            with mock.patch.object(cls, method, replacement):
                for _ in range(2):
                    assert (await pool.request("GET", f"{server.url}a")).content == b"fine"

    with scripted_server(canned_responses([FINE] * 2)) as server:
        runtime.run(scenario)
        assert server.accepted == 1
    assert called == [b"/a", b"/a"]


@pytest.mark.parametrize(("place", "name"), [("http_proxy", "HTTPProxy"), *PLACES])
def test_a_patched_class_answers_each_request_through_a_proxy(
    runtime: TestedRuntime, place: str, name: str
) -> None:
    async def scenario() -> None:
        with patched_method(runtime, place, name, _answer):
            for url in ("http://www.example.com/", "https://www.example.com/"):
                assert (await pool.request("GET", url)).content == b"patched"
        await pool.aclose()

    prefix = "Async" if isinstance(runtime, TestedAsyncRuntime) else ""
    with refusing_port() as port:
        pool: Any = getattr(httpcore2, f"{prefix}HTTPProxy")(f"http://127.0.0.1:{port}")
        if not isinstance(runtime, TestedAsyncRuntime):
            pool = AsyncAdapter(pool)
        runtime.run(scenario)


@pytest.mark.parametrize(("place", "name"), PLACES)
def test_a_patched_class_answers_the_functions_at_the_top(place: str, name: str) -> None:
    with (
        scripted_server(canned_responses([FINE])) as server,
        patched_method(RUNTIMES["threads"], place, name, _answer),
    ):
        assert httpcore2.request("GET", server.url).content == b"patched"
        with httpcore2.stream("GET", server.url) as reply:
            assert reply.read() == b"patched"
        assert server.accepted == 0


# What connects

CONNECTING = {
    "threads": ("sync.SyncBackend",),
    "asyncio": ("auto.AutoBackend", "anyio.AnyIOBackend"),
    "uvloop": ("auto.AutoBackend", "anyio.AnyIOBackend"),
    "trio": ("auto.AutoBackend", "trio.TrioBackend"),
}


@pytest.fixture(params=[(name, backend) for name in CONNECTING for backend in CONNECTING[name]])
def connecting(request: pytest.FixtureRequest, no_leaks: None) -> tuple[TestedRuntime, str]:
    """Each runtime, and by turns the backends by which 2.16.2 connects there."""
    name, backend = request.param
    return RUNTIMES[name], f"httpcore2._backends.{backend}"


@pytest.mark.parametrize("uds", [None, "/nowhere"])
def test_a_patched_backend_keeps_requests_from_the_network(
    connecting: tuple[TestedRuntime, str], uds: str | None
) -> None:
    runtime, backend = connecting
    method = "connect_tcp" if uds is None else "connect_unix_socket"

    def refuse(*args: object, **options: object) -> None:
        raise Refused

    async def scenario() -> None:
        async with runtime.pool() as used:
            await used.request("GET", server.url)
            assert server.accepted == 1
            with mock.patch(f"{backend}.connect_tcp", refuse), pytest.raises(Refused):
                await used.request("GET", f"http://localhost:{server.port}/")
        with mock.patch(f"{backend}.{method}", refuse):
            async with runtime.pool(uds=uds) as pool:
                with pytest.raises(Refused):
                    await pool.request("GET", server.url)
            connection = runtime.connection(httpcore2.URL(server.url).origin, uds=uds)
            with pytest.raises(Refused):
                await connection.request("GET", server.url)
        assert server.accepted == 1
        async with runtime.pool() as pool:
            assert (await pool.request("GET", server.url)).content == b"fine"

    with scripted_server(canned_responses([FINE])) as server:
        runtime.run(scenario)


def test_a_patched_backend_may_call_the_original(connecting: tuple[TestedRuntime, str]) -> None:
    runtime, backend = connecting
    called = []

    def wrap(connect: Any) -> Any:
        def connecting(self: Any, host: str, *args: Any, **options: Any) -> Any:
            called.append(host)
            return connect(self, "127.0.0.1", *args, **options)

        return connecting

    async def scenario() -> None:
        original = resolve_name(f"{backend}.connect_tcp")
        with mock.patch(f"{backend}.connect_tcp", wrap(original)):
            async with runtime.pool() as pool:
                url = f"http://www.example.com:{server.port}/"
                assert (await pool.request("GET", url)).content == b"fine"

    with scripted_server(canned_responses([FINE])) as server:
        runtime.run(scenario)
    assert called == ["www.example.com"]


def test_a_method_that_was_restored_is_not_a_patch(connecting: tuple[TestedRuntime, str]) -> None:
    runtime, backend = connecting
    cls = resolve_name(backend)

    async def scenario() -> None:
        async with runtime.pool() as pool:
            assert (await pool.request("GET", server.url)).content == b"fine"

    try:
        # Kits of one's own put it back so; the class has then what its base has.
        cls.connect_tcp = cls.connect_tcp
        with scripted_server(canned_responses([FINE])) as server:
            runtime.run(scenario)
    finally:
        del cls.connect_tcp


# What guards put in the place of a pool's backend


class AsyncGuard(AutoBackend):
    """Allows connections to one port, on the running event loop."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def connect_tcp(self, host: str, port: int, *args: Any, **options: Any) -> Any:
        if port != self.port:
            raise Refused
        return await super().connect_tcp("127.0.0.1", port, *args, **options)


class AsyncWrapper(httpcore2.AsyncNetworkBackend):
    """The same, around a backend."""

    def __init__(self, port: int, inner: httpcore2.AsyncNetworkBackend) -> None:
        self.port = port
        self.inner = inner

    async def connect_tcp(self, host: str, port: int, *args: Any, **options: Any) -> Any:
        if port != self.port:
            raise Refused
        return await self.inner.connect_tcp("127.0.0.1", port, *args, **options)

    async def sleep(self, seconds: float) -> None:
        await self.inner.sleep(seconds)


class Guard(httpcore2.SyncBackend):
    """The same for threads."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.port = port

    def connect_tcp(self, host: str, port: int, *args: Any, **options: Any) -> Any:
        if port != self.port:
            raise Refused
        return super().connect_tcp("127.0.0.1", port, *args, **options)


class Wrapper(httpcore2.NetworkBackend):
    def __init__(self, port: int, inner: httpcore2.NetworkBackend) -> None:
        self.port = port
        self.inner = inner

    def connect_tcp(self, host: str, port: int, *args: Any, **options: Any) -> Any:
        if port != self.port:
            raise Refused
        return self.inner.connect_tcp("127.0.0.1", port, *args, **options)


def _guard(runtime: TestedRuntime, way: str, port: int, inner: Any) -> Any:
    if isinstance(runtime, TestedAsyncRuntime):
        return AsyncGuard(port) if way == "derived" else AsyncWrapper(port, inner)
    return Guard(port) if way == "derived" else Wrapper(port, inner)


def _plain(pool: Any) -> Any:
    return getattr(pool, "wrapped", pool)


@pytest.mark.parametrize("way", ["derived", "wrapped"])
@pytest.mark.parametrize("is_used", [False, True], ids=["new", "used"])
def test_a_guard_that_replaces_the_backend_of_a_pool_opens_each_connection(
    runtime: TestedRuntime, way: str, is_used: bool
) -> None:
    async def scenario() -> None:
        async with runtime.pool(keepalive_expiry=60) as pool:
            if is_used:
                await pool.request("GET", server.url)
            inside = _plain(pool)
            guard = _guard(runtime, way, server.port, inside._network_backend)
            inside._network_backend = guard
            assert inside._network_backend is guard
            for _ in range(2):
                reply = await pool.request("GET", f"http://www.example.com:{server.port}/")
                assert reply.content == b"fine"
            with refusing_port() as port, pytest.raises(Refused):
                await pool.request("GET", f"http://127.0.0.1:{port}/")
            # Of those before it, connections are left.
            assert len(pool.connections) == 1 + is_used

    with scripted_server(canned_responses([FINE] * 2)) as server:
        runtime.run(scenario)
        assert server.accepted == 1 + is_used


def test_the_backend_of_a_pool_is_the_one_that_was_given(runtime: TestedRuntime) -> None:
    with scripted_server(canned_responses([FINE])) as server:
        guard = _guard(runtime, "derived", server.port, None)

        async def scenario() -> None:
            prefix = "Async" if isinstance(runtime, TestedAsyncRuntime) else ""
            pool = getattr(httpcore2, f"{prefix}ConnectionPool")(network_backend=guard)
            assert pool._network_backend is guard
            if isinstance(runtime, TestedAsyncRuntime):
                await pool.aclose()
            else:
                pool.close()

        runtime.run(scenario)


def test_a_backend_that_detects_the_event_loop_connects_there(
    async_runtime: TestedAsyncRuntime,
) -> None:
    async def scenario() -> None:
        async with async_runtime.pool(network_backend=AutoBackend()) as pool:
            assert (await pool.request("GET", server.url)).content == b"fine"
            stream = await AutoBackend().connect_tcp("127.0.0.1", server.port)
            await AutoBackend().sleep(0)
            await stream.aclose()
        with pytest.raises(httpcore2.ConnectError):
            await AutoBackend().connect_unix_socket("/nowhere")
        connection = async_runtime.connection(
            httpcore2.URL(server.url).origin, network_backend=AutoBackend()
        )
        async with connection:
            assert (await connection.request("GET", server.url)).content == b"fine"

    with scripted_server(canned_responses([FINE])) as server:
        async_runtime.run(scenario)


def test_a_proxy_is_connected_to_by_the_guard(
    runtime: TestedRuntime, server_tls: Any, client_tls: Any
) -> None:
    async def scenario() -> None:
        async with runtime.pool(proxy=httpcore2.Proxy(proxy.origin)) as pool:
            inside = _plain(pool)
            inside._network_backend = _guard(runtime, "derived", 1, None)
            with pytest.raises(Refused):
                await pool.request("GET", "http://www.example.com/")

    with scripted_proxy(PROXY_KINDS["http"], 1, server_tls, client_tls) as proxy:
        runtime.run(scenario)
