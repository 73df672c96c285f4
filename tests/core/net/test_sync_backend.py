"""The synchronous interface to the network, in both directions."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest

import httpcore2
from httpcore2_core._exceptions import ReadError, WriteError
from httpcore2_core._net.coroutines import run_blocking
from httpcore2_core._net.network_adapters import (
    CallerSyncBackend,
    CallerSyncStream,
    adapt_sync_backend,
    adapt_sync_stream,
)
from httpcore2_core._net.network_interfaces import NetworkBackend, NetworkStream
from httpcore2_core._net.prefixed_stream import PrefixedStream
from httpcore2_core._net.sync_backend import SyncBackend, SyncStream, public_sync_stream
from httpcore2_core._net.thread_backend import ThreadStream

from ..fake_runtime import FakeStream

pytestmark = pytest.mark.usefixtures("no_leaks")

CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
OPTIONS: list[httpcore2.SOCKET_OPTION] = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]


class CustomStream(NetworkStream):
    """A caller's own stream, which notes what it is asked."""

    def __init__(self, calls: list[tuple[Any, ...]] | None = None) -> None:
        self.calls = [] if calls is None else calls
        self.is_readable: Any = None
        self.close_error: BaseException | None = None

    def read(self, max_bytes: int, **options: Any) -> bytes:  # type: ignore[override]
        self.calls.append(("read", max_bytes, options))
        return b"hello"

    def write(self, buffer: bytes, **options: Any) -> None:  # type: ignore[override]
        self.calls.append(("write", buffer, options))

    def close(self) -> None:
        self.calls.append(("close",))
        if self.close_error is not None:
            raise self.close_error

    def start_tls(  # type: ignore[override]
        self, ssl_context: ssl.SSLContext, **options: Any
    ) -> NetworkStream:
        self.calls.append(("start_tls", ssl_context, options))
        return self

    def get_extra_info(self, info: str) -> Any:
        return self.is_readable if info == "is_readable" else f"own {info}"


class CustomBackend(NetworkBackend):
    """A caller's own backend, which takes what it has no use for as `**options`."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def connect_tcp(  # type: ignore[override]
        self, host: str, port: int, **options: Any
    ) -> NetworkStream:
        self.calls.append(("connect_tcp", host, port, options))
        return CustomStream(self.calls)

    def connect_unix_socket(  # type: ignore[override]
        self, path: str, **options: Any
    ) -> NetworkStream:
        self.calls.append(("connect_unix_socket", path, options))
        return CustomStream(self.calls)

    def sleep(self, seconds: float) -> None:
        self.calls.append(("sleep", seconds))


@pytest.fixture
def own() -> CustomStream:
    return CustomStream()


@pytest.fixture
def stream(own: CustomStream) -> CallerSyncStream:
    return CallerSyncStream(own)


# Ours, for callers


def test_a_connection_is_made_read_written_and_closed(listener: socket.socket) -> None:
    host, port = listener.getsockname()
    stream = SyncBackend().connect_tcp(host, port, 10, "127.0.0.1", OPTIONS)
    peer, address = listener.accept()
    with peer:
        assert stream.get_extra_info("client_addr") == address
        sock = stream.get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        stream.write(b"hello", 10)
        assert peer.recv(100) == b"hello"
        peer.send(b"again")
        assert stream.read(3, 10) == b"aga"
        assert stream.read(3, timeout=10) == b"in"
        stream.close()
        stream.close()
        with pytest.raises(ReadError):
            stream.read(1)


def test_a_unix_socket_is_connected_to(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        stream = SyncBackend().connect_unix_socket(path, 10, OPTIONS)
        peer, _ = server.accept()
        with peer:
            peer.send(b"hello")
            assert stream.read(100) == b"hello"
        stream.close()


def test_tls_is_started_on_a_stream(
    listener: socket.socket, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    def greet() -> None:
        sock, _ = listener.accept()
        sock.settimeout(10)
        with server_tls.wrap_socket(sock, server_side=True) as peer:
            peer.sendall(b"hello")
            assert peer.recv(100) == b""

    server = threading.Thread(target=greet)
    server.start()
    plain = SyncBackend().connect_tcp(*listener.getsockname())
    stream = plain.start_tls(client_tls, "localhost", 10)
    assert isinstance(stream, SyncStream)
    assert stream.get_extra_info("ssl_object").version() == "TLSv1.3"
    assert stream.read(100, 10) == b"hello"
    stream.close()
    server.join()


def test_sleeping_blocks_the_thread() -> None:
    SyncBackend().sleep(0)


# Which backend and which stream


def test_our_own_backend_is_the_one_of_pools_that_were_given_none(
    listener: socket.socket,
) -> None:
    backend = adapt_sync_backend(None)
    assert adapt_sync_backend(SyncBackend()) is backend
    stream = run_blocking(backend.connect_tcp(*listener.getsockname()))
    # Nothing stands between the transport and the socket.
    assert isinstance(stream, ThreadStream)
    stream.abort()


def test_a_backend_derived_from_ours_is_the_callers_own(listener: socket.socket) -> None:
    hosts = []

    class Rerouting(SyncBackend):
        def connect_tcp(  # type: ignore[override]
            self, host: str, port: int, **options: Any
        ) -> NetworkStream:
            hosts.append(host)
            return super().connect_tcp(*listener.getsockname(), **options)

    stream = run_blocking(adapt_sync_backend(Rerouting()).connect_tcp("example.com", 80, 10))
    assert hosts == ["example.com"]
    # Nothing stands between the transport and the socket.
    assert isinstance(stream, ThreadStream)
    stream.abort()


def test_a_stream_of_ours_is_itself_behind_its_facade() -> None:
    inner = FakeStream()
    stream = public_sync_stream(inner)
    assert isinstance(stream, SyncStream)
    assert adapt_sync_stream(stream) is inner


def test_a_callers_stream_is_given_back_to_the_caller(own: CustomStream) -> None:
    adapted = adapt_sync_stream(own)
    assert isinstance(adapted, CallerSyncStream)
    assert public_sync_stream(adapted) is own


def test_a_facade_over_what_can_not_be_dropped_at_once_is_a_callers_stream() -> None:
    stream = SyncStream(httpcore2.AsyncMockStream([b"hello"]))
    assert isinstance(adapt_sync_stream(stream), CallerSyncStream)
    assert stream.read(100) == b"hello"
    assert stream.start_tls(CONTEXT).read(100) == b""


def test_tls_on_a_callers_stream_gives_the_callers_own(own: CustomStream) -> None:
    assert SyncStream(CallerSyncStream(own)).start_tls(CONTEXT) is own


# A caller's own, for the transport


def test_connections_are_made_by_the_callers_backend() -> None:
    own = CustomBackend()
    backend = adapt_sync_backend(own)
    assert isinstance(backend, CallerSyncBackend)
    for stream in (
        run_blocking(backend.connect_tcp("a", 80, 1.0, "b", OPTIONS)),
        run_blocking(backend.connect_unix_socket("/a", 1.0, OPTIONS)),
    ):
        assert isinstance(stream, CallerSyncStream)
        assert stream.runtime is backend.runtime
    run_blocking(backend.sleep(1.5))
    assert own.calls == [
        ("connect_tcp", "a", 80, {"timeout": 1.0, "local_address": "b", "socket_options": OPTIONS}),
        ("connect_unix_socket", "/a", {"timeout": 1.0, "socket_options": OPTIONS}),
        ("sleep", 1.5),
    ]


def test_reading_and_writing_are_the_callers_own(
    own: CustomStream, stream: CallerSyncStream
) -> None:
    assert run_blocking(stream.read(10, 1.0)) == b"hello"
    run_blocking(stream.write(b"x", 2.0))
    encrypted = run_blocking(stream.start_tls(CONTEXT, "a", 3.0))
    assert public_sync_stream(encrypted) is own
    assert own.calls == [
        ("read", 10, {"timeout": 1.0}),
        ("write", b"x", {"timeout": 2.0}),
        ("start_tls", CONTEXT, {"server_hostname": "a", "timeout": 3.0}),
    ]


@pytest.mark.parametrize(("info", "read"), [(True, b""), (False, None), (None, None)])
def test_a_callers_stream_tells_only_that_something_came(
    own: CustomStream, stream: CallerSyncStream, info: bool | None, read: bytes | None
) -> None:
    own.is_readable = info
    assert stream.read_nowait(1) == read
    assert stream.get_extra_info("socket") == "own socket"
    assert own.calls == []


def test_a_dropped_stream_is_closed_once_and_used_no_more(
    own: CustomStream, stream: CallerSyncStream
) -> None:
    stream.abort()
    stream.abort()
    assert not stream.close_pending
    assert stream.read_nowait(1) == b""
    with pytest.raises(ReadError, match="was closed"):
        run_blocking(stream.read(10))
    with pytest.raises(WriteError, match="was closed"):
        run_blocking(stream.write(b"x"))
    assert own.calls == [("close",)]


def test_a_stream_that_can_not_be_closed_is_logged(
    own: CustomStream, stream: CallerSyncStream, caplog: pytest.LogCaptureFixture
) -> None:
    own.close_error = ValueError("it is stuck")
    stream.abort()
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("httpcore2.connection", logging.WARNING)
    assert "could not be closed" in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[1] is own.close_error


def test_an_interrupt_while_closing_is_no_failure_to_close(
    own: CustomStream, stream: CallerSyncStream
) -> None:
    own.close_error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        stream.abort()
    assert stream.read_nowait(1) == b""


def test_leading_data_of_an_upgrade_comes_before_a_callers_stream(own: CustomStream) -> None:
    stream = SyncStream(PrefixedStream(CallerSyncStream(own), b"first"))
    assert stream.read(100) == b"first"
    assert stream.read(100) == b"hello"
