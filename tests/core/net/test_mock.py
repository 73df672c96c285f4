"""Backends that read from a script."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

import httpcore2

from ...support.sync_adapters import AsyncAdapterBackend, AsyncAdapterStream, drive

CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

Backend = httpcore2.AsyncNetworkBackend
Stream = httpcore2.AsyncNetworkStream


@pytest.fixture(params=["threads", "event loops"])
def colour(request: pytest.FixtureRequest) -> str:
    assert isinstance(request.param, str)
    return request.param


def make_stream(colour: str, *args: Any) -> Stream:
    if colour == "threads":
        return AsyncAdapterStream(httpcore2.MockStream(*args))
    return httpcore2.AsyncMockStream(*args)


def make_backend(colour: str, *args: Any) -> Backend:
    if colour == "threads":
        return AsyncAdapterBackend(httpcore2.MockBackend(*args))
    return httpcore2.AsyncMockBackend(*args)


def test_a_stream_reads_one_piece_after_the_other_and_then_the_end(colour: str) -> None:
    stream = make_stream(colour, [b"hello", b"world"])
    for expected in (b"hello", b"world", b"", b""):
        assert drive(stream.read(1, timeout=1.0)) == expected


def test_a_stream_takes_whatever_is_written(colour: str) -> None:
    stream = make_stream(colour, [b"hello"])
    drive(stream.write(b"anything", timeout=1.0))
    assert drive(stream.read(100)) == b"hello"


def test_a_closed_stream_does_not_read(colour: str) -> None:
    stream = make_stream(colour, [b"hello"])
    drive(stream.aclose())
    drive(stream.aclose())
    with pytest.raises(httpcore2.ReadError, match="closed"):
        drive(stream.read(100))


@pytest.mark.parametrize(
    ("options", "protocol"), [([], "http/1.1"), ([False], "http/1.1"), ([True], "h2")]
)
def test_tls_is_a_matter_of_form(colour: str, options: list[bool], protocol: str) -> None:
    backend = make_backend(colour, [b"hello"], *options)
    stream = drive(backend.connect_tcp("example.com", 443))
    encrypted = drive(stream.start_tls(CONTEXT, server_hostname="example.com", timeout=1.0))
    assert encrypted.get_extra_info("ssl_object").selected_alpn_protocol() == protocol
    assert encrypted.get_extra_info("socket") is None
    assert drive(encrypted.read(100)) == b"hello"


def test_each_connection_reads_the_whole_script(colour: str) -> None:
    backend = make_backend(colour, [b"hello"])
    options: list[httpcore2.SOCKET_OPTION] = [(1, 2, 3)]
    for stream in (
        drive(backend.connect_tcp("example.com", 80, 1.0, "127.0.0.1", options)),
        drive(backend.connect_unix_socket("/nowhere", 1.0, options)),
    ):
        assert drive(stream.read(100)) == b"hello"
        assert drive(stream.read(100)) == b""


def test_nothing_is_waited_for(colour: str) -> None:
    drive(make_backend(colour, []).sleep(1e9))


def test_a_stream_says_what_it_is() -> None:
    assert repr(httpcore2.MockStream([])) == "<httpcore2.MockStream>"
    assert repr(httpcore2.AsyncMockStream([])) == "<httpcore2.AsyncMockStream>"
