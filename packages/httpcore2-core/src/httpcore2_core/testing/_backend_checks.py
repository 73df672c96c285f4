"""Checks of backends: connecting, TLS handshakes, and the runtime of a `RuntimeBackend`.

Must not know: any backend, HTTP.
"""

from __future__ import annotations

import socket  # noqa: TID251 - the checks are not part of the transport
import ssl  # noqa: TID253 - the transport does not load this module
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from .._exceptions import ConnectError, ConnectTimeout, ReadError, ReadTimeout
from .._net.network_interfaces import AsyncNetworkStream
from ._checks import BackendUnderTest, Checks, raises, read_exactly
from ._peers import (
    LIMIT,
    Peer,
    PeerScript,
    TLSPeer,
    echo,
    refusing_address,
    script_of,
    silent_address,
    wait_for_byte,
)
from ._stream_checks import check_both_directions, runtime_of

checks = Checks()
resolver_checks = Checks()
runtime_checks = Checks()


async def check_echo(stream: AsyncNetworkStream) -> None:
    """Check that `stream` leads to an echo, and close it."""
    await stream.write(b"hello", LIMIT)
    assert await read_exactly(stream, 5) == b"hello"
    await stream.aclose()


# TCP


@checks.add
async def a_name_is_resolved(under_test: BackendUnderTest) -> None:
    async with under_test.serving(echo) as (_, port):
        stream = await under_test.backend.connect_tcp("localhost", port, timeout=LIMIT)
        await check_echo(stream)


@checks.add
async def no_timeout_is_no_limit(under_test: BackendUnderTest) -> None:
    async with under_test.serving(echo) as (host, port):
        stream = await under_test.backend.connect_tcp(host, port)
        await stream.write(b"x")
        assert await stream.read(100) == b"x"
        await stream.aclose()


@checks.add
async def a_refused_connection_is_an_error_of_connecting(under_test: BackendUnderTest) -> None:
    with refusing_address() as (host, port), raises(ConnectError):
        await under_test.backend.connect_tcp(host, port, timeout=LIMIT)


@checks.add
async def a_name_that_is_unknown_is_an_error_of_connecting(under_test: BackendUnderTest) -> None:
    # RFC 6761, section 6.4: the name never resolves. Without a network the resolver may take longer than the timeout.
    with raises(ConnectError, ConnectTimeout):
        await under_test.backend.connect_tcp("unknown.invalid", 80, timeout=LIMIT)


@checks.add
async def connecting_takes_no_longer_than_its_timeout(under_test: BackendUnderTest) -> None:
    with silent_address() as (host, port), raises(ConnectTimeout):
        await under_test.backend.connect_tcp(host, port, timeout=0.01)


@checks.add
async def a_connection_comes_from_the_local_address(under_test: BackendUnderTest) -> None:
    # 127.0.0.1 is the address that the system chooses by itself. Only Linux has the others of 127.0.0.0/8.
    address = "127.0.0.2" if sys.platform == "linux" else "127.0.0.1"
    seen = []

    script = script_of(lambda peer: seen.append(peer.socket.getpeername()[0]))
    async with under_test.serving(script) as (host, port):
        stream = await under_test.backend.connect_tcp(
            host, port, timeout=LIMIT, local_address=address
        )
        await stream.aclose()
    assert seen == [address]


@checks.add
async def a_local_address_that_is_not_ours_is_an_error_of_connecting(
    under_test: BackendUnderTest,
) -> None:
    # There is a listener, so that a backend which ignores the local address connects.
    with socket.create_server(("127.0.0.1", 0)) as server, raises(ConnectError):
        host, port = server.getsockname()
        # RFC 5737: no host has this address.
        await under_test.backend.connect_tcp(host, port, timeout=LIMIT, local_address="192.0.2.1")


@checks.add
async def socket_options_are_set(under_test: BackendUnderTest) -> None:
    async with under_test.serving(script_of()) as (host, port):
        stream = await under_test.backend.connect_tcp(
            host,
            port,
            timeout=LIMIT,
            socket_options=[(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)],
        )
        sock = stream.get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        await stream.aclose()


# Unix sockets


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@checks.add
async def a_unix_socket_is_connected(under_test: BackendUnderTest) -> None:
    with _folder() as folder:
        async with under_test.serving(echo, path=str(folder / "server")) as path:
            stream = await under_test.backend.connect_unix_socket(path, timeout=LIMIT)
            await check_echo(stream)


@checks.add
async def a_unix_socket_that_is_not_there_is_an_error_of_connecting(
    under_test: BackendUnderTest,
) -> None:
    with _folder() as folder, raises(ConnectError):
        await under_test.backend.connect_unix_socket(str(folder / "none"), timeout=LIMIT)


# TLS


@checks.add
async def a_handshake_names_the_server_and_agrees_on_a_protocol(
    under_test: BackendUnderTest,
) -> None:
    names = []
    under_test.server_tls.sni_callback = lambda _, name, __: names.append(name)
    under_test.server_tls.set_alpn_protocols(["h2"])
    under_test.client_tls.set_alpn_protocols(["http/1.1", "h2"])
    try:
        async with under_test.connected(echo, tls=True) as stream:
            ssl_object = stream.get_extra_info("ssl_object")
            assert ssl_object.selected_alpn_protocol() == "h2"
            assert ssl_object.version() == "TLSv1.3"
            await check_echo(stream)
    finally:
        under_test.server_tls.sni_callback = None
        under_test.server_tls.set_alpn_protocols([])
        under_test.client_tls.set_alpn_protocols([])
    assert names == ["localhost"]


@checks.add
async def a_plain_stream_has_no_ssl_object(under_test: BackendUnderTest) -> None:
    async with under_test.connected(echo) as stream:
        assert stream.get_extra_info("ssl_object") is None


async def _check_handshake_fails(
    under_test: BackendUnderTest,
    script: PeerScript,
    error: type[Exception] = ConnectError,
    context: ssl.SSLContext | None = None,
    name: str = "localhost",
    timeout: float = LIMIT,
) -> None:
    """Check that a handshake fails, and that the backend closes the stream."""
    async with under_test.serving(script) as (host, port):
        stream = await under_test.backend.connect_tcp(host, port, timeout=LIMIT)
        with raises(error):
            await stream.start_tls(context or under_test.client_tls, name, timeout)
    # Closing a closed stream does nothing.
    await stream.aclose()


def _rejected(under_test: BackendUnderTest) -> PeerScript:
    def script(peer: Peer) -> None:
        try:
            TLSPeer(peer, under_test.server_tls).receive_end()
        except OSError:
            peer.receive_end()

    return script


@checks.add
async def a_server_that_is_not_trusted_is_an_error_of_connecting(
    under_test: BackendUnderTest,
) -> None:
    without_trust_anchors = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    await _check_handshake_fails(under_test, _rejected(under_test), context=without_trust_anchors)


@checks.add
async def a_server_of_another_name_is_an_error_of_connecting(under_test: BackendUnderTest) -> None:
    await _check_handshake_fails(under_test, _rejected(under_test), name="another.example")


@checks.add
async def a_handshake_takes_no_longer_than_its_timeout(under_test: BackendUnderTest) -> None:
    await _check_handshake_fails(under_test, script_of(), ConnectTimeout, timeout=0.01)


@checks.add
async def a_handshake_with_a_peer_that_closes_is_an_error_of_connecting(
    under_test: BackendUnderTest,
) -> None:
    await _check_handshake_fails(under_test, Peer.receive)


@checks.add
async def a_handshake_with_a_peer_that_resets_is_an_error_of_connecting(
    under_test: BackendUnderTest,
) -> None:
    def script(peer: Peer) -> None:
        peer.receive()
        peer.reset()

    await _check_handshake_fails(under_test, script)


@checks.add
async def a_handshake_with_a_peer_that_speaks_no_tls_is_an_error_of_connecting(
    under_test: BackendUnderTest,
) -> None:
    await _check_handshake_fails(
        under_test, script_of(Peer.receive, b"HTTP/1.1 400 Bad Request\r\n\r\n")
    )


@checks.add
async def tls_goes_through_tls(under_test: BackendUnderTest) -> None:
    async with under_test.connected(
        lambda peer: echo(TLSPeer(peer, under_test.server_tls)), tls=True
    ) as outer:
        stream = await outer.start_tls(under_test.client_tls, "localhost", LIMIT)
        inner = stream.get_extra_info("ssl_object")
        assert inner is not None and inner is not outer.get_extra_info("ssl_object")
        await check_both_directions(under_test, stream)
        await stream.aclose()


@checks.add
async def an_end_below_tls_is_the_end(under_test: BackendUnderTest) -> None:
    async with under_test.connected(
        script_of(b"hello", lambda peer: peer.below.end()), tls=True
    ) as stream:
        assert await read_exactly(stream, 5) == b"hello"
        for _ in range(2):
            assert await stream.read(100, LIMIT) == b""


@checks.add
async def an_encrypted_read_puts_together_what_comes_in_pieces(
    under_test: BackendUnderTest,
) -> None:
    def send(peer: Any) -> None:
        for byte in peer.encrypt(b"hello"):
            peer.below.send(bytes([byte]))

    async with under_test.connected(script_of(wait_for_byte, send), tls=True) as stream:
        await stream.write(b"x", LIMIT)
        assert await read_exactly(stream, 5) == b"hello"


@checks.add
async def an_encrypted_read_of_a_part_waits_no_longer_than_its_timeout(
    under_test: BackendUnderTest,
) -> None:
    timed_out = threading.Event()

    def send(peer: Any) -> None:
        encrypted = peer.encrypt(b"hello")
        peer.below.send(encrypted[:-1])
        assert timed_out.wait(LIMIT)
        peer.below.send(encrypted[-1:])

    async with under_test.connected(script_of(send), tls=True) as stream:
        try:
            with raises(ReadTimeout):
                await stream.read(100, 0.05)
        finally:
            timed_out.set()
        assert await read_exactly(stream, 5) == b"hello"


@checks.add
async def an_encrypted_read_of_what_is_no_tls_fails(under_test: BackendUnderTest) -> None:
    def send(peer: Any) -> None:
        peer.below.send(peer.encrypt(b"hello") + b"this is no record of TLS")

    async with under_test.connected(script_of(send), tls=True) as stream:
        assert await read_exactly(stream, 5) == b"hello"
        for _ in range(2):
            with raises(ReadError):
                await stream.read(100, LIMIT)


# Names with several addresses


@contextmanager
def _resolving_to(*addresses: tuple[str, int]) -> Iterator[None]:
    """Resolve every name to `addresses`."""

    def resolve(*_: Any, flags: int = 0, **__: Any) -> Any:
        if flags & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]

    with mock.patch.object(socket, "getaddrinfo", resolve):
        yield


@resolver_checks.add
async def the_next_address_is_tried_when_one_refuses(under_test: BackendUnderTest) -> None:
    async with under_test.serving(echo) as address:
        with refusing_address() as refusing, _resolving_to(refusing, address):
            stream = await under_test.backend.connect_tcp("www.example.com", 80, timeout=LIMIT)
        await check_echo(stream)


@resolver_checks.add
async def the_next_address_is_tried_when_one_is_slow(under_test: BackendUnderTest) -> None:
    async with under_test.serving(echo) as address:
        with silent_address() as silent, _resolving_to(silent, address):
            stream = await under_test.backend.connect_tcp("www.example.com", 80, timeout=LIMIT)
        await check_echo(stream)


@resolver_checks.add
async def when_all_addresses_refuse_connecting_fails(under_test: BackendUnderTest) -> None:
    with (
        refusing_address() as one,
        refusing_address() as two,
        _resolving_to(one, two),
        raises(ConnectError),
    ):
        await under_test.backend.connect_tcp("www.example.com", 80, timeout=LIMIT)


@resolver_checks.add
async def connecting_to_several_addresses_takes_no_longer_than_its_timeout(
    under_test: BackendUnderTest,
) -> None:
    with silent_address() as silent, _resolving_to(silent, silent), raises(ConnectTimeout):
        await under_test.backend.connect_tcp("www.example.com", 80, timeout=0.01)


# The runtime


@runtime_checks.add
async def the_clock_never_goes_back(under_test: BackendUnderTest) -> None:
    runtime = runtime_of(under_test)
    times = [runtime.now() for _ in range(100)]
    assert times == sorted(times)
    await runtime.sleep(0.01)
    await runtime.sleep(0)
    # The clock of an event loop may advance in steps, and a timer may end one step early.
    assert runtime.now() >= times[-1] + 0.009


@runtime_checks.add
async def the_token_is_that_of_the_running_runtime(under_test: BackendUnderTest) -> None:
    runtime = runtime_of(under_test)
    token = runtime.token()
    assert runtime.token() is token
    assert runtime.is_running(token)


@runtime_checks.add
async def a_waiter_that_was_woken_before_does_not_wait(under_test: BackendUnderTest) -> None:
    waiter = runtime_of(under_test).create_waiter()
    waiter.wake()
    waiter.wake()
    # With a limit, so that a waiter which loses an early wake-up fails the check and does not hang.
    assert await waiter.wait(LIMIT)
    assert await waiter.wait(0)


@runtime_checks.add
async def a_waiter_that_waits_is_woken(under_test: BackendUnderTest) -> None:
    for timeout in (None, LIMIT):
        await _wakes(under_test, timeout)


async def _wakes(under_test: BackendUnderTest, timeout: float | None) -> None:
    waiter = runtime_of(under_test).create_waiter()

    async def wait() -> None:
        assert await waiter.wait(timeout)

    async def wake() -> None:
        await under_test.pause()
        waiter.wake()

    await under_test.concurrently(wait, wake)


@runtime_checks.add
async def a_waiter_waits_no_longer_than_its_timeout(under_test: BackendUnderTest) -> None:
    waiter = runtime_of(under_test).create_waiter()
    assert not await waiter.wait(0.01)
    assert not await waiter.wait(0)
    waiter.wake()
    assert await waiter.wait(LIMIT)


@runtime_checks.add
async def a_shielded_call_returns_and_raises_what_it_does(under_test: BackendUnderTest) -> None:
    runtime = runtime_of(under_test)

    async def succeed() -> str:
        await runtime.sleep(0)
        return "done"

    async def fail() -> None:
        raise ReadError("failed")

    assert await runtime.shielded(succeed) == "done"
    with raises(ReadError):
        await runtime.shielded(fail)
