"""The interfaces to the network: what an implementation must give, and what it may leave out."""

from __future__ import annotations

import asyncio
import inspect
import ssl
import time
from collections.abc import Callable
from typing import Any

import pytest

from httpcore2_core._net.backend_stream import BackendStream, TLSStream
from httpcore2_core._net.network_interfaces import (
    AsyncNetworkBackend,
    AsyncNetworkStream,
    NetworkBackend,
    NetworkStream,
)
from httpcore2_core._net.runtime_backend import RuntimeBackend

from ..fake_runtime import FakeRuntime, FakeStream

CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def call(function: Callable[..., Any], *args: Any) -> Any:
    result = function(*args)
    return asyncio.run(result) if inspect.iscoroutine(result) else result


@pytest.mark.parametrize(
    ("make", "method", "args"),
    [
        (NetworkStream, "read", [1]),
        (NetworkStream, "write", [b""]),
        (NetworkStream, "close", []),
        (NetworkStream, "start_tls", [CONTEXT]),
        (NetworkBackend, "connect_tcp", ["a", 80]),
        (NetworkBackend, "connect_unix_socket", ["/a"]),
        (AsyncNetworkStream, "read", [1]),
        (AsyncNetworkStream, "write", [b""]),
        (AsyncNetworkStream, "aclose", []),
        (AsyncNetworkStream, "start_tls", [CONTEXT]),
        (AsyncNetworkBackend, "connect_tcp", ["a", 80]),
        (AsyncNetworkBackend, "connect_unix_socket", ["/a"]),
        (AsyncNetworkBackend, "sleep", [0.0]),
        (BackendStream, "abort", []),
        (RuntimeBackend, "resolve_ipv4", ["a"]),
        (BackendStream, "read_nowait", [1]),
    ],
)
def test_an_implementation_must_give_it(make: type, method: str, args: list[Any]) -> None:
    with pytest.raises(NotImplementedError):
        call(getattr(make(), method), *args)


def test_a_stream_of_ours_must_have_a_runtime() -> None:
    with pytest.raises(NotImplementedError):
        _ = BackendStream().runtime


@pytest.mark.parametrize("make", [NetworkStream, AsyncNetworkStream])
def test_nothing_need_be_known_of_a_connection(make: type) -> None:
    assert make().get_extra_info("socket") is None


def test_a_thread_sleeps_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    NetworkBackend().sleep(1.5)
    assert slept == [1.5]


def test_a_stream_of_ours_closes_by_aborting_and_leaves_nothing_to_await() -> None:
    stream = FakeStream()
    asyncio.run(stream.aclose())
    assert stream.calls == [("abort",)]
    assert not stream.close_pending
    asyncio.run(stream.wait_closed())


def test_a_stream_that_does_not_see_the_network_by_itself_does_not_watch() -> None:
    BackendStream().watch(None)


def test_a_stream_of_ours_is_encrypted_by_the_core(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, encrypted = FakeStream(), FakeStream()

    async def handshake(*args: Any) -> FakeStream:
        assert args == (stream, CONTEXT, "example.com", 3.0)
        return encrypted

    monkeypatch.setattr(TLSStream, "handshake", handshake)
    assert asyncio.run(stream.start_tls(CONTEXT, "example.com", 3.0)) is encrypted


def test_a_backend_of_ours_sleeps_as_its_runtime_does() -> None:
    backend = RuntimeBackend()
    backend.runtime = runtime = FakeRuntime()
    asyncio.run(backend.sleep(1.5))
    assert runtime.slept == [1.5]
