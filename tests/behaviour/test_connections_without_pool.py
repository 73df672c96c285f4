"""Connections that are used without a pool."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from h2.config import H2Configuration

import httpcore2

from ..support.fake_network import FakeNetworkBackend, FakeNetworkStream
from ..support.runtimes import RUNTIMES, TestedRuntime
from ..support.scripted_servers import Peer, canned_responses, response, scripted_server

FINE = response(b"fine")
ORIGIN = httpcore2.Origin(b"http", b"h", 80)


def test_a_connection_connects_at_its_first_request(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        origin = httpcore2.URL(server.url).origin
        connection = runtime.connection(origin)
        assert connection.info() == "CONNECTING"
        assert repr(connection) == f"<{runtime.class_prefix}HTTPConnection [CONNECTING]>"
        assert not connection.is_idle()
        assert not connection.is_available()
        assert not connection.is_connected()
        assert not connection.is_closed()
        assert not connection.has_expired()
        for count in (1, 2):
            assert (await connection.request("GET", server.url)).content == b"fine"
            assert connection.info() == f"'{origin}', HTTP/1.1, IDLE, Request Count: {count}"
        assert connection.is_available()
        assert connection.is_connected()
        await connection.aclose()
        assert connection.is_closed()
        assert not connection.is_connected()
        with pytest.raises(httpcore2.ConnectionNotAvailable):
            await connection.request("GET", server.url)

    with scripted_server(canned_responses([FINE] * 2)) as server:
        runtime.run(scenario)
        assert server.accepted == 1


def test_a_connection_gains_no_attribute_after_its_construction(runtime: TestedRuntime) -> None:
    """A later attribute gives the instance a dict of its own, of 1 KiB, instead of one that shares its keys."""

    async def scenario() -> None:
        connection = runtime.connection(httpcore2.URL(server.url).origin)
        counterpart = getattr(connection, "_counterpart", connection)
        names = set(vars(counterpart))
        assert (await connection.request("GET", server.url)).content == b"fine"
        assert set(vars(counterpart)) == names
        await connection.aclose()

    with scripted_server(canned_responses([FINE])) as server:
        runtime.run(scenario)


def test_a_connection_that_another_thread_closes_while_it_is_established_stays_closed() -> None:
    class ClosedMeanwhile(httpcore2.AsyncHTTPConnection):
        """A connection that is closed just before its HTTP layer is set."""

        def __setattr__(self, name: str, value: Any) -> None:
            if name == "established" and value is not None:
                self.abort()
            super().__setattr__(name, value)

    stream = FakeNetworkStream([FINE])

    async def scenario() -> None:
        connection = ClosedMeanwhile(ORIGIN, network_backend=FakeNetworkBackend(stream))
        with pytest.raises(httpcore2.ConnectError, match="closed while it was being established"):
            await connection.request("GET", "http://h/")
        assert connection.info() == "CONNECTION FAILED"
        assert stream.closed == 1

    RUNTIMES["asyncio"].run(scenario)


def test_a_connection_that_fails_to_connect_is_closed(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        backend = FakeNetworkBackend(httpcore2.ConnectError("no"))
        connection = runtime.connection(ORIGIN, network_backend=backend)
        with pytest.raises(httpcore2.ConnectError, match="no"):
            await connection.request("GET", "http://h/")
        assert connection.info() == "CONNECTION FAILED"
        assert connection.is_closed()
        assert not connection.is_available()

    runtime.run(scenario)


def test_a_connection_refuses_other_origins_and_concurrent_requests(
    runtime: TestedRuntime,
) -> None:
    async def scenario() -> None:
        backend = FakeNetworkBackend(FakeNetworkStream([FINE]))
        connection = runtime.connection(ORIGIN, network_backend=backend)
        with pytest.raises(RuntimeError, match="http://other:80 on connection to http://h:80"):
            await connection.request("GET", "http://other/")
        async with connection.stream("GET", "http://h/") as held:
            with pytest.raises(httpcore2.ConnectionNotAvailable):
                await connection.request("GET", "http://h/")
            assert await held.aread() == b"fine"
        await connection.aclose()

    runtime.run(scenario)


def test_an_http11_connection_works_over_any_stream(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        name = f"{runtime.class_prefix}HTTP11Connection"
        stream = FakeNetworkStream([FINE, FINE])
        async with runtime.http11_connection(ORIGIN, stream, keepalive_expiry=60.0) as connection:
            assert repr(connection) == f"<{name} ['http://h:80', NEW, Request Count: 0]>"
            assert connection.info() == "'http://h:80', HTTP/1.1, NEW, Request Count: 0"
            assert connection.is_connected()
            async with connection.stream("GET", "http://h/") as held:
                assert repr(connection) == f"<{name} ['http://h:80', ACTIVE, Request Count: 1]>"
                assert not connection.is_available()
                await held.aread()
            assert repr(connection) == f"<{name} ['http://h:80', IDLE, Request Count: 1]>"
            assert connection.is_idle()
            assert not connection.has_expired()
        assert repr(connection) == f"<{name} ['http://h:80', CLOSED, Request Count: 1]>"
        assert connection.is_closed()
        assert stream.closed

    runtime.run(scenario)


def _head(size: int) -> bytes:
    """Return a response whose head has `size` bytes before its blank line."""
    start = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: "
    return start + b"a" * (size - len(start) - 2) + b"\r\n\r\n"


class SizeRecorder(FakeNetworkStream):
    """A fake stream that records the size of each read."""

    def __init__(self, *replies: bytes) -> None:
        super().__init__(replies)
        self.sizes: list[int] = []

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self.sizes.append(max_bytes)
        return await super().read(max_bytes, timeout)


@pytest.mark.parametrize("limit", [300, 150_000])
def test_max_incomplete_event_size_limits_a_response_head(
    runtime: TestedRuntime, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    public = getattr(httpcore2, f"{runtime.class_prefix}HTTP11Connection")
    monkeypatch.setattr(public, "MAX_INCOMPLETE_EVENT_SIZE", limit)

    async def scenario() -> None:
        async with runtime.pool() as pool:
            assert (await pool.request("GET", server.url)).status == 200
            with pytest.raises(httpcore2.RemoteProtocolError, match=f"longer than {limit} bytes"):
                await pool.request("GET", server.url)

    with scripted_server(
        canned_responses([_head(limit), _head(limit + 1)]), allow_disconnect=True
    ) as server:
        runtime.run(scenario)


def test_a_derived_connection_class_has_its_own_sizes(
    runtime: TestedRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"{runtime.class_prefix}HTTP11Connection"
    public = getattr(httpcore2, name)
    sizes = {"MAX_INCOMPLETE_EVENT_SIZE": 300, "READ_NUM_BYTES": 7}

    async def scenario() -> None:
        others = SizeRecorder(_head(301))
        async with runtime.http11_connection(ORIGIN, others) as connection:
            assert (await connection.request("GET", "http://h/")).status == 200
        assert min(others.sizes) >= 65_536
        monkeypatch.setattr(httpcore2, name, type(name, (public,), sizes))
        stream = SizeRecorder(_head(300), _head(301))
        async with runtime.http11_connection(ORIGIN, stream) as connection:
            assert (await connection.request("GET", "http://h/")).status == 200
            with pytest.raises(httpcore2.RemoteProtocolError, match="longer than 300 bytes"):
                await connection.request("GET", "http://h/")
        assert set(stream.sizes) == {7}

    runtime.run(scenario)


def test_read_num_bytes_sets_the_size_of_reads(
    runtime: TestedRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    public = getattr(httpcore2, f"{runtime.class_prefix}HTTP11Connection")

    async def scenario() -> None:
        for size in (5, 1_000_000):
            monkeypatch.setattr(public, "READ_NUM_BYTES", size)
            stream = SizeRecorder(FINE)
            async with runtime.pool(network_backend=FakeNetworkBackend(stream)) as pool:
                assert (await pool.request("GET", "http://h/")).content == b"fine"
            assert set(stream.sizes) == {size}

    runtime.run(scenario)


def test_an_http2_connection_uses_the_read_size_and_configuration_of_its_class(
    runtime: TestedRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    public = getattr(httpcore2, f"{runtime.class_prefix}HTTP2Connection")
    used: list[bool] = []

    class Config(H2Configuration):
        @property
        def client_side(self) -> bool:
            used.append(True)
            return True

        @client_side.setter
        def client_side(self, value: bool) -> None:
            pass

    async def scenario(make: Callable[[SizeRecorder], Any]) -> None:
        stream = SizeRecorder()
        used.clear()
        async with make(stream) as client:
            with pytest.raises(httpcore2.RemoteProtocolError, match="Server disconnected"):
                await client.request("GET", "http://h/")
        assert set(stream.sizes) == {77}
        assert used

    def of_pool(stream: SizeRecorder) -> Any:
        return runtime.pool(http1=False, http2=True, network_backend=FakeNetworkBackend(stream))

    def of_subclass(stream: SizeRecorder) -> Any:
        settings = {"READ_NUM_BYTES": 77, "CONFIG": Config(header_encoding=None)}
        monkeypatch.setattr(httpcore2, public.__name__, type("Derived", (public,), settings))
        return runtime.http2_connection(ORIGIN, stream)

    with monkeypatch.context() as patch:
        patch.setattr(public, "READ_NUM_BYTES", 77)
        patch.setattr(public, "CONFIG", Config(header_encoding=None))
        runtime.run(lambda: scenario(of_pool))
    runtime.run(lambda: scenario(of_subclass))


def test_a_connection_works_over_a_mock_stream(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        stream = runtime.mock_stream([FINE])
        async with runtime.http11_connection(ORIGIN, stream) as connection:
            assert (await connection.request("GET", "http://h/")).content == b"fine"

    runtime.run(scenario)


def test_a_connecting_connection_refuses_other_requests_and_can_be_closed(
    runtime: TestedRuntime,
) -> None:
    async def scenario() -> None:
        begun, proceed = runtime.event(), runtime.event()
        stream = FakeNetworkStream([FINE])

        class Backend(FakeNetworkBackend):
            async def connect_tcp(self, *args: Any, **options: Any) -> httpcore2.AsyncNetworkStream:
                begun.set()
                await proceed.wait()
                return await super().connect_tcp(*args, **options)

        connection = runtime.connection(ORIGIN, network_backend=Backend(stream))

        async def first() -> None:
            with pytest.raises(httpcore2.ConnectError, match="closed while"):
                await connection.request("GET", "http://h/")

        async def second() -> None:
            await begun.wait()
            try:
                with pytest.raises(httpcore2.ConnectionNotAvailable):
                    await connection.request("GET", "http://h/")
                await connection.aclose()
                assert connection.is_closed()
            finally:
                proceed.set()

        await runtime.gather(first, second)
        assert stream.closed
        assert stream.written == []

    runtime.run(scenario)


def test_an_idle_connection_expires(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        stream = FakeNetworkStream([FINE])
        async with runtime.http11_connection(ORIGIN, stream, keepalive_expiry=0.0) as connection:
            assert not connection.has_expired()
            await connection.request("GET", "http://h/")
            assert connection.has_expired()

    runtime.run(scenario)


def test_an_http11_connection_refuses_other_origins_and_concurrent_requests(
    runtime: TestedRuntime,
) -> None:
    async def scenario() -> None:
        async with runtime.http11_connection(ORIGIN, FakeNetworkStream([FINE])) as connection:
            with pytest.raises(RuntimeError, match="http://other:80 on connection to http://h:80"):
                await connection.request("GET", "http://other/")
            async with connection.stream("GET", "http://h/") as held:
                with pytest.raises(httpcore2.ConnectionNotAvailable):
                    await connection.request("GET", "http://h/")
                assert await held.aread() == b"fine"

    runtime.run(scenario)


def test_a_connection_without_a_pool_detects_that_the_server_closed(runtime: TestedRuntime) -> None:
    closed = runtime.event()

    def handler(peer: Peer) -> None:
        peer.receive_head()
        peer.send(FINE)
        peer.half_close()
        closed.set()
        peer.receive_until_close()

    async def scenario() -> None:
        connection = runtime.connection(httpcore2.URL(server.url).origin)
        await connection.request("GET", server.url)
        await closed.wait()
        await runtime.wait_until(lambda: connection.has_expired() or connection.is_closed())
        await connection.aclose()

    with scripted_server(handler) as server:
        runtime.run(scenario)


def test_the_pool_does_not_use_a_connection_that_the_caller_closed(
    runtime: TestedRuntime,
) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool:
            await pool.request("GET", server.url)
            (connection,) = pool.connections
            await runtime.close(connection)
            assert (await pool.request("GET", server.url)).content == b"fine"
            assert len(pool.connections) == 1

    with scripted_server(canned_responses([FINE])) as server:
        runtime.run(scenario)
        assert server.accepted == 2


@pytest.mark.parametrize("kind", ["pool", "connection"])
def test_at_least_one_protocol_must_be_enabled(runtime: TestedRuntime, kind: str) -> None:
    make = runtime.pool if kind == "pool" else partial(runtime.connection, ORIGIN)
    with pytest.raises(ValueError, match="http1=False, http2=False"):
        make(http1=False)
