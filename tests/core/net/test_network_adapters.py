"""A caller's own asynchronous backend and stream, as the transport sees them."""

from __future__ import annotations

import asyncio
import ssl
import sys
import time
from collections.abc import Iterable
from typing import Any

import pytest
import trio

from httpcore2_core._exceptions import ReadError, WriteError
from httpcore2_core._net import detection
from httpcore2_core._net.coroutines import run_blocking
from httpcore2_core._net.network_adapters import (
    CallerBackend,
    CallerStream,
    adapt_async_backend,
    adapt_async_stream,
    adapt_sync_backend,
)
from httpcore2_core._net.network_interfaces import (
    SOCKET_OPTION,
    AsyncNetworkBackend,
    AsyncNetworkStream,
    NetworkBackend,
)
from httpcore2_core._net.runtime_backend import RuntimeBackend

from ..fake_runtime import FakeRuntime, FakeStream

CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class CustomStream(AsyncNetworkStream):
    def __init__(self, calls: list[tuple[Any, ...]]) -> None:
        self.calls = calls
        self.info: Any = None

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self.calls.append(("read", max_bytes, timeout))
        return b"read"

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.calls.append(("write", buffer, timeout))

    async def aclose(self) -> None:
        await asyncio.sleep(0)
        self.calls.append(("aclose",))

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> AsyncNetworkStream:
        self.calls.append(("start_tls", ssl_context, server_hostname, timeout))
        return self

    def get_extra_info(self, info: str) -> Any:
        self.calls.append(("get_extra_info", info))
        return self.info


class CustomBackend(AsyncNetworkBackend):
    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        self.calls.append(("connect_tcp", host, port, timeout, local_address, socket_options))
        return CustomStream(self.calls)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        self.calls.append(("connect_unix_socket", path, timeout, socket_options))
        return CustomStream(self.calls)

    async def sleep(self, seconds: float) -> None:
        self.calls.append(("sleep", seconds))


@pytest.fixture
def own() -> CustomStream:
    return CustomStream([])


@pytest.fixture
def stream(own: CustomStream) -> CallerStream:
    return CallerStream(own)


class OwnStreams(RuntimeBackend):
    """Has a runtime, and opens what it is given."""

    def __init__(self, stream: Any) -> None:
        self.runtime = FakeRuntime()
        self.stream = stream

    async def connect_tcp(self, *args: Any, **options: Any) -> Any:
        return self.stream

    async def connect_unix_socket(self, *args: Any, **options: Any) -> Any:
        return self.stream

    async def resolve_ipv4(self, host: str, timeout: float | None = None) -> str:
        return f"{host} within {timeout}"


def test_a_stream_of_ours_is_not_adapted() -> None:
    stream = FakeStream()
    assert adapt_async_stream(stream) is stream
    assert stream.unwrapped is stream


def test_streams_of_a_backend_with_a_runtime_are_adapted_if_need_be(own: CustomStream) -> None:
    async def main(stream: Any) -> None:
        given = OwnStreams(stream)
        backend = adapt_async_backend(given)
        assert backend is not None
        assert backend.runtime is given.runtime
        assert await backend.resolve_ipv4("a", 1.5) == "a within 1.5"
        for opened in (await backend.connect_tcp("a", 80), await backend.connect_unix_socket("/a")):
            assert opened.unwrapped is stream
            assert isinstance(opened, CallerStream) is isinstance(stream, CustomStream)

    asyncio.run(main(own))
    asyncio.run(main(FakeStream()))


def test_a_backend_is_adapted_once() -> None:
    backend = adapt_async_backend(CustomBackend())
    assert adapt_async_backend(backend) is backend
    with pytest.raises(NotImplementedError):
        asyncio.run(RuntimeBackend().connect_tcp("a", 80))
    with pytest.raises(NotImplementedError):
        asyncio.run(RuntimeBackend().connect_unix_socket("/a"))


def test_the_caller_gets_its_own_stream(own: CustomStream) -> None:
    assert adapt_async_stream(own).unwrapped is own


def test_connections_are_made_by_the_callers_backend() -> None:
    own = CustomBackend()
    backend = CallerBackend(own)
    options: list[SOCKET_OPTION] = [(1, 2, 3)]

    async def main() -> None:
        for stream in (
            await backend.connect_tcp("a", 80, 1.0, "b", options),
            await backend.connect_unix_socket("/a", 1.0, options),
        ):
            assert isinstance(stream, CallerStream)
            assert isinstance(stream.inner, CustomStream)
            assert stream.runtime is backend.runtime
        await backend.sleep(1.5)

    asyncio.run(main())
    assert own.calls == [
        ("connect_tcp", "a", 80, 1.0, "b", options),
        ("connect_unix_socket", "/a", 1.0, options),
        ("sleep", 1.5),
    ]


def test_reading_and_writing_are_the_callers_own(own: CustomStream, stream: CallerStream) -> None:
    async def main() -> None:
        assert await stream.read(10, 1.0) == b"read"
        await stream.write(b"x", 2.0)
        encrypted = await stream.start_tls(CONTEXT, "a", 3.0)
        assert isinstance(encrypted, CallerStream)
        assert encrypted.inner is own

    asyncio.run(main())
    assert own.calls == [
        ("read", 10, 1.0),
        ("write", b"x", 2.0),
        ("start_tls", CONTEXT, "a", 3.0),
    ]


@pytest.mark.parametrize(("info", "read"), [(True, b""), (False, None), (None, None)])
def test_a_callers_stream_tells_only_that_something_came(
    own: CustomStream, stream: CallerStream, info: bool | None, read: bytes | None
) -> None:
    own.info = info
    assert stream.read_nowait(1) == read
    assert stream.get_extra_info("socket") is info
    assert own.calls == [("get_extra_info", "is_readable"), ("get_extra_info", "socket")]


def test_a_dropped_stream_is_closed_once_when_there_is_time_to_await(
    own: CustomStream, stream: CallerStream
) -> None:
    async def main() -> None:
        assert not stream.close_pending
        await stream.wait_closed()
        stream.abort()
        stream.abort()
        assert stream.close_pending
        assert own.calls == []
        await stream.wait_closed()
        stream.abort()
        await stream.wait_closed()
        await stream.aclose()

    asyncio.run(main())
    assert own.calls == [("aclose",)]


def test_a_dropped_stream_is_not_used_any_more(own: CustomStream, stream: CallerStream) -> None:
    async def main() -> None:
        stream.abort()
        with pytest.raises(ReadError, match="The connection was closed"):
            await stream.read(10)
        with pytest.raises(WriteError, match="The connection was closed"):
            await stream.write(b"x")

    asyncio.run(main())
    assert own.calls == []


def test_closing_is_shielded_from_cancellation(own: CustomStream, stream: CallerStream) -> None:
    async def main() -> None:
        closing = asyncio.create_task(stream.aclose())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing

    asyncio.run(main())
    assert own.calls == [("aclose",)]


class Forwarded(CustomStream):
    """A stream that closes without an event loop."""

    async def aclose(self) -> None:
        self.calls.append(("aclose",))


def test_a_loop_that_we_do_not_know_has_no_shield() -> None:
    own = Forwarded([])
    closing = CallerStream(own).aclose()
    with pytest.raises(StopIteration):
        closing.send(None)
    assert own.calls == [("aclose",)]


def test_a_loop_that_we_have_no_backend_for_has_no_shield(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detection, "_backends", {})
    monkeypatch.setitem(sys.modules, "httpcore2_trio", None)
    own = Forwarded([])
    trio.run(CallerStream(own).aclose)
    assert own.calls == [("aclose",)]


def test_the_runtime_is_that_of_the_running_loop() -> None:
    runtime = CallerBackend(CustomBackend()).runtime
    assert runtime.token() is None
    before = time.monotonic()
    assert before <= runtime.now() <= time.monotonic()

    async def main() -> None:
        assert runtime.token() is asyncio.get_running_loop()
        assert not runtime.is_running(runtime.token())
        waiter = runtime.create_waiter()
        waiter.wake()
        assert await waiter.wait(None)
        await runtime.sleep(0)

    asyncio.run(main())


def test_names_are_resolved_by_the_runtime_beneath_a_callers_own_backend() -> None:
    async def resolve(backend: RuntimeBackend) -> None:
        assert list(await backend.resolve("127.0.0.1", 80)) == ["127.0.0.1"]
        assert await backend.resolve_ipv4("127.0.0.1", 5.0) == "127.0.0.1"

    asyncio.run(resolve(CallerBackend(CustomBackend())))
    trio.run(resolve, CallerBackend(CustomBackend()))
    run_blocking(resolve(adapt_sync_backend(NetworkBackend())))
