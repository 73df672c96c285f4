"""Mock backends and streams, in the sync and the async API."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

import httpcore2

from ...support.sync_adapters import AsyncAdapterBackend, AsyncAdapterStream, drive

CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

Backend = httpcore2.AsyncNetworkBackend
Stream = httpcore2.AsyncNetworkStream


@pytest.fixture(params=["sync", "async"])
def api(request: pytest.FixtureRequest) -> str:
    assert isinstance(request.param, str)
    return request.param


def make_stream(api: str, *args: Any) -> Stream:
    if api == "sync":
        return AsyncAdapterStream(httpcore2.MockStream(*args))
    return httpcore2.AsyncMockStream(*args)


def make_backend(api: str, *args: Any) -> Backend:
    if api == "sync":
        return AsyncAdapterBackend(httpcore2.MockBackend(*args))
    return httpcore2.AsyncMockBackend(*args)


def test_a_stream_reads_its_buffer_in_order_and_then_the_end(api: str) -> None:
    stream = make_stream(api, [b"hello", b"again"])
    for expected in (b"hello", b"again", b"", b""):
        assert drive(stream.read(1, timeout=1.0)) == expected


def test_a_stream_ignores_the_bytes_that_are_written(api: str) -> None:
    stream = make_stream(api, [b"hello"])
    drive(stream.write(b"anything", timeout=1.0))
    assert drive(stream.read(100)) == b"hello"


def test_a_closed_stream_does_not_read(api: str) -> None:
    stream = make_stream(api, [b"hello"])
    drive(stream.aclose())
    drive(stream.aclose())
    with pytest.raises(httpcore2.ReadError, match="closed"):
        drive(stream.read(100))


@pytest.mark.parametrize(
    ("options", "protocol"), [([], "http/1.1"), ([False], "http/1.1"), ([True], "h2")]
)
def test_a_tls_handshake_selects_the_given_protocol(
    api: str, options: list[bool], protocol: str
) -> None:
    backend = make_backend(api, [b"hello"], *options)
    stream = drive(backend.connect_tcp("example.com", 443))
    encrypted = drive(stream.start_tls(CONTEXT, server_hostname="example.com", timeout=1.0))
    assert encrypted.get_extra_info("ssl_object").selected_alpn_protocol() == protocol
    assert encrypted.get_extra_info("socket") is None
    assert drive(encrypted.read(100)) == b"hello"


def test_each_connection_reads_the_whole_buffer(api: str) -> None:
    backend = make_backend(api, [b"hello"])
    options: list[httpcore2.SOCKET_OPTION] = [(1, 2, 3)]
    for stream in (
        drive(backend.connect_tcp("example.com", 80, 1.0, "127.0.0.1", options)),
        drive(backend.connect_unix_socket("/nowhere", 1.0, options)),
    ):
        assert drive(stream.read(100)) == b"hello"
        assert drive(stream.read(100)) == b""


def test_sleep_does_not_wait(api: str) -> None:
    drive(make_backend(api, []).sleep(1e9))


def test_a_stream_has_a_repr() -> None:
    assert repr(httpcore2.MockStream([])) == "<httpcore2.MockStream>"
    assert repr(httpcore2.AsyncMockStream([])) == "<httpcore2.AsyncMockStream>"
