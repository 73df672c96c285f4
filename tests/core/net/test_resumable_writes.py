"""Writes that can be gone on with: what was taken is sent, and what was not is the writer's to offer again."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from typing import Any

import pytest

import httpcore2
from httpcore2_asyncio import AsyncIOBackend
from httpcore2_core._net.backend_stream import BackendStream, TLSStream
from httpcore2_core._net.coroutines import run_blocking
from httpcore2_core._net.network_adapters import adapt_sync_stream
from httpcore2_core._net.roles import Turn
from httpcore2_core._net.thread_backend import ThreadBackend

from ...support.scripted_servers import Peer, scripted_server


def _closing(peer: Peer) -> None:
    peer.receive_until_close()


def test_a_stream_that_was_closed_takes_nothing(no_leaks: None) -> None:
    async def main() -> None:
        stream = await AsyncIOBackend().connect_tcp("127.0.0.1", server.port)
        assert isinstance(stream, BackendStream)
        assert stream.write_nowait(b"taken") == 5
        assert await stream.write_some(b"taken") == 5
        stream.abort()
        with pytest.raises(httpcore2.WriteError, match="closed on this side"):
            stream.write_nowait(b"not taken")

    with scripted_server(_closing, allow_disconnect=True) as server:
        asyncio.run(main())
        plain = run_blocking(ThreadBackend().connect_tcp("127.0.0.1", server.port))
        assert run_blocking(plain.write_some(b"taken")) == 5
        plain.abort()
        with pytest.raises(httpcore2.WriteError, match="closed on this side"):
            run_blocking(plain.write_some(b"not taken"))


@pytest.mark.parametrize("secured", [False, True], ids=["plain", "tls"])
def test_what_was_taken_arrives_in_order(
    secured: bool,
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    no_leaks: None,
) -> None:
    content = bytes(range(256)) * 40_000
    go_on = threading.Event()
    received: list[bytes] = []

    def handler(peer: Peer) -> None:
        assert go_on.wait(10)
        received.append(peer.receive_until_close())

    with scripted_server(handler, tls=server_tls if secured else None) as server:
        stream: BackendStream = run_blocking(ThreadBackend().connect_tcp("127.0.0.1", server.port))
        if secured:
            stream = run_blocking(stream.start_tls(client_tls, "127.0.0.1"))
        assert stream.is_resumable
        rest = memoryview(content)
        while rest:
            taken = stream.write_nowait(bytes(rest[:100_000]))
            if not taken and not go_on.is_set():
                # Nobody reads, but a server late with its handshake, which makes room once more.
                taken = run_blocking(stream.write_some(bytes(rest[:100_000]), 0.01))
                if not taken:
                    go_on.set()  # out of time, nothing more was taken
            elif not taken:
                taken = run_blocking(stream.write_some(bytes(rest[:100_000]), 10.0))
            rest = rest[taken:]
        # What was taken has left: nothing is lost with the stream.
        plain = stream._stream if isinstance(stream, TLSStream) else stream
        plain.get_extra_info("socket").shutdown(socket.SHUT_WR)
        while run_blocking(plain.read(65536, 10.0)):
            pass  # session tickets
        stream.abort()
    assert go_on.is_set()
    assert received == [content]


def test_a_tls_stream_lets_a_readers_answer_go_first(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, no_leaks: None
) -> None:
    with scripted_server(_closing, tls=server_tls, allow_disconnect=True) as server:
        plain = run_blocking(ThreadBackend().connect_tcp("127.0.0.1", server.port))
        stream: Any = run_blocking(plain.start_tls(client_tls, "127.0.0.1"))
        reply = Turn()
        assert stream._writing.take(reply)
        assert stream.write_nowait(b"x") == 0
        assert run_blocking(stream.write_some(b"x", 0.01)) == 0

        class Sending(threading.Thread):
            def run(self) -> None:
                while not stream._writing.waiting:
                    pass
                with stream._lock:
                    stream._writing.leave(reply)

        sender = Sending()
        sender.start()
        assert run_blocking(stream.write_some(b"x", 10.0)) == 1
        sender.join()
        assert stream._writing.holder is None
        stream.abort()


class _Slow(httpcore2.NetworkStream):
    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if timeout is not None:
            raise httpcore2.WriteTimeout("too slow")

    def close(self) -> None:
        pass


def test_a_callers_own_stream_is_closed_when_a_write_fails() -> None:
    stream = adapt_sync_stream(_Slow())
    assert not stream.is_resumable
    assert stream.write_nowait(b"x") == 0
    assert run_blocking(stream.write_some(b"x")) == 1
    with pytest.raises(httpcore2.WriteTimeout):
        run_blocking(stream.write_some(b"x", 1.0))
    with pytest.raises(httpcore2.WriteError, match="closed"):
        run_blocking(stream.write_some(b"x"))
