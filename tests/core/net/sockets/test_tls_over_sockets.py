"""TLS over a stream of each event loop."""

from __future__ import annotations

import socket
import ssl
import threading

import anyio
import pytest

from httpcore2_core._exceptions import ConnectError, ConnectTimeout

from .conftest import Loop, host_and_port


def echo(listener: socket.socket, context: ssl.SSLContext) -> None:
    """Serve one connection: send back what comes, until its end."""
    peer, _ = listener.accept()
    peer.settimeout(10)
    with context.wrap_socket(peer, server_side=True) as encrypted:
        while data := encrypted.recv(1 << 16):
            encrypted.sendall(data)


@pytest.mark.parametrize("timeout", [None, 10])
def test_bytes_go_both_ways_through_tls(
    loop: Loop,
    listener: socket.socket,
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    timeout: float | None,
) -> None:
    sent = bytes(range(256)) * 1024
    received = bytearray()

    async def main() -> None:
        plain = await loop.backend.connect_tcp(*host_and_port(listener), timeout=timeout)
        stream = await plain.start_tls(client_tls, "localhost", timeout)
        assert stream.get_extra_info("ssl_object").version() == "TLSv1.3"
        assert stream.get_extra_info("server_addr") == listener.getsockname()
        async with anyio.create_task_group() as both:
            both.start_soon(stream.write, sent, timeout)
            while len(received) < len(sent):
                received.extend(await stream.read(1 << 16, timeout))
        await stream.aclose()

    server = threading.Thread(target=echo, args=(listener, server_tls))
    server.start()
    loop.run(main)
    server.join()
    assert received == sent


def test_a_failed_handshake_leaves_no_socket(
    loop: Loop, listener: socket.socket, client_tls: ssl.SSLContext
) -> None:
    async def main() -> None:
        stream = await loop.backend.connect_tcp(*listener.getsockname())
        peer, _ = listener.accept()
        with peer:
            peer.send(b"this is no TLS")
            with pytest.raises(ConnectError):
                await stream.start_tls(client_tls, "localhost")

    loop.run(main)


def test_a_handshake_that_is_not_answered_in_time_leaves_no_socket(
    loop: Loop, listener: socket.socket, client_tls: ssl.SSLContext
) -> None:
    async def main() -> None:
        stream = await loop.backend.connect_tcp(*listener.getsockname())
        with pytest.raises(ConnectTimeout):
            await stream.start_tls(client_tls, "localhost", timeout=0.01)

    loop.run(main)


def test_a_cancelled_handshake_leaves_no_socket(
    loop: Loop, listener: socket.socket, client_tls: ssl.SSLContext
) -> None:
    async def main() -> None:
        stream = await loop.backend.connect_tcp(*listener.getsockname())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stream.start_tls, client_tls, "localhost")
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        assert stream.get_extra_info("socket").fileno() == -1

    loop.run(main)
