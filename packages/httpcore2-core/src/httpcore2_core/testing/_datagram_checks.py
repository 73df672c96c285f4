"""Checks of datagram streams: of every backend that has `connect_udp`, and of those whose streams call a watcher.

Must not know: any backend, HTTP.
"""

from __future__ import annotations

import socket  # noqa: TID251 - the checks are not part of the transport
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing

from .._exceptions import ConnectError, ConnectTimeout, ReadError, ReadTimeout, WriteError
from .._net.datagram_stream import MAX_BATCH, DatagramStream
from .._net.runtime_backend import RuntimeBackend
from ._checks import BackendUnderTest, Checks, raises
from ._peers import LIMIT

# Other systems than Linux report the errors of ICMP late, or not at all.
_PORT_ERRORS = (ReadError,) if sys.platform == "linux" else (ReadError, ReadTimeout)

checks = Checks()
watching_checks = Checks()


class DatagramPeer:
    """A UDP socket on the loopback interface that sends to the address from which it has last received."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(LIMIT)
        self.client: tuple[str, int] = ("", 0)

    def receive(self) -> bytes:
        """Return the next datagram."""
        data, self.client = self.socket.recvfrom(65535)
        return data

    def send(self, data: bytes) -> None:
        self.socket.sendto(data, self.client)


@asynccontextmanager
async def connected(
    under_test: BackendUnderTest,
) -> AsyncIterator[tuple[DatagramStream, DatagramPeer]]:
    """Open a stream to a peer, to which it has sent a datagram."""
    peer = DatagramPeer()
    with closing(peer.socket):
        stream = await connect(under_test, peer.socket.getsockname())
        try:
            assert stream.send([b"hello"]) == 1, "the system has room for one datagram"
            assert peer.receive() == b"hello"
            yield stream, peer
        finally:
            stream.abort()
            await stream.wait_closed()
            await under_test.pause()  # an event loop closes a socket in one of its later iterations


async def connect(
    under_test: BackendUnderTest, address: tuple[str, int], local_address: str | None = None
) -> DatagramStream:
    backend = under_test.backend
    assert isinstance(backend, RuntimeBackend), "the backend is no RuntimeBackend"
    return await backend.connect_udp(*address, LIMIT, local_address)


async def receive_all(stream: DatagramStream, count: int) -> list[bytes]:
    """Receive `count` datagrams."""
    datagrams: list[bytes] = []
    while len(datagrams) < count:
        datagrams += await stream.receive(LIMIT)
    return datagrams


@checks.add
async def datagrams_arrive_whole_and_in_order(under_test: BackendUnderTest) -> None:
    async with connected(under_test) as (stream, peer):
        for data in (b"a", b"b" * 1400, b"c"):
            peer.send(data)
        assert await receive_all(stream, 3) == [b"a", b"b" * 1400, b"c"]


@checks.add
async def several_datagrams_are_sent_at_once(under_test: BackendUnderTest) -> None:
    async with connected(under_test) as (stream, peer):
        assert stream.send([b"a", b"b", b"c"]) == 3
        assert [peer.receive() for _ in range(3)] == [b"a", b"b", b"c"]


@checks.add
async def a_receive_returns_a_bounded_batch(under_test: BackendUnderTest) -> None:
    async with connected(under_test) as (stream, peer):
        sent = [b"%d" % number for number in range(2 * MAX_BATCH + 1)]
        for data in sent:
            peer.send(data)
        received: list[bytes] = []
        while len(received) < len(sent):
            batch = await stream.receive(LIMIT)
            assert 1 <= len(batch) <= MAX_BATCH, f"one call returned {len(batch)} datagrams"
            received += batch
        assert received == sent


@checks.add
async def a_receive_waits_for_a_datagram(under_test: BackendUnderTest) -> None:
    async with connected(under_test) as (stream, peer):

        async def receive() -> None:
            assert await stream.receive(LIMIT) == [b"late"]

        async def send() -> None:
            await under_test.pause()
            peer.send(b"late")

        await under_test.concurrently(receive, send)


@checks.add
async def a_receive_waits_no_longer_than_its_timeout(under_test: BackendUnderTest) -> None:
    async with connected(under_test) as (stream, peer):
        for timeout in (0.02, 0.01):
            with raises(ReadTimeout):
                await stream.receive(timeout)
        peer.send(b"late")
        assert await stream.receive(LIMIT) == [b"late"]


@checks.add
async def a_receive_without_waiting_returns_what_is_there(under_test: BackendUnderTest) -> None:
    async with connected(under_test) as (stream, peer):
        assert stream.receive_nowait() == []
        peer.send(b"here")
        assert stream.receive_nowait() == [b"here"]


@checks.add
async def datagrams_of_other_hosts_are_dropped(under_test: BackendUnderTest) -> None:
    async with connected(under_test) as (stream, peer):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.sendto(b"forged", stream.get_extra_info("client_addr"))
        peer.send(b"genuine")
        assert await stream.receive(LIMIT) == [b"genuine"]


@checks.add
async def a_port_without_a_listener_is_an_error_of_reading(under_test: BackendUnderTest) -> None:
    async with connected(under_test) as (stream, peer):
        peer.socket.close()
        # Sending goes on, and the next error is reported again.
        for _ in range(2):
            assert stream.send([b"lost"]) == 1
            with raises(*_PORT_ERRORS):
                await stream.receive(LIMIT)


@checks.add
async def a_closed_stream_neither_sends_nor_receives(under_test: BackendUnderTest) -> None:
    async with connected(under_test) as (stream, _):
        stream.abort()
        with raises(WriteError):
            stream.send([b"late"])
        with raises(ReadError):
            await stream.receive(LIMIT)
        with raises(ReadError):
            stream.receive_nowait()


@checks.add
async def closing_ends_a_receive(under_test: BackendUnderTest) -> None:
    async with connected(under_test) as (stream, _):

        async def receive() -> None:
            with raises(ReadError):
                await stream.receive(LIMIT)

        async def close() -> None:
            await under_test.pause()
            stream.abort()
            stream.abort()

        await under_test.concurrently(receive, close)


@checks.add
async def a_datagram_stream_says_its_addresses(under_test: BackendUnderTest) -> None:
    async with connected(under_test) as (stream, peer):
        assert stream.get_extra_info("client_addr") == peer.client
        assert stream.get_extra_info("server_addr") == peer.socket.getsockname()
        assert stream.get_extra_info("socket").getsockname() == peer.client
        assert stream.get_extra_info("anything") is None


@checks.add
async def datagrams_come_from_the_local_address(under_test: BackendUnderTest) -> None:
    address = "127.0.0.2" if sys.platform == "linux" else "127.0.0.1"
    peer = DatagramPeer()
    with closing(peer.socket):
        stream = await connect(under_test, peer.socket.getsockname(), address)
        stream.send([b"hello"])
        peer.receive()
        stream.abort()
        await under_test.pause()
    assert peer.client[0] == address


@checks.add
async def the_host_of_datagrams_must_have_an_address(under_test: BackendUnderTest) -> None:
    # RFC 6761, section 6.4: the name never resolves. Without a network the resolver may take longer than the timeout.
    with raises(ConnectError, ConnectTimeout):
        await connect(under_test, ("unknown.invalid", 443))


@watching_checks.add
async def a_datagram_that_comes_calls_the_watcher_once(under_test: BackendUnderTest) -> None:
    async with connected(under_test) as (stream, peer):
        calls: list[None] = []
        stream.watch(lambda: calls.append(None))
        peer.send(b"a")
        await under_test.until(lambda: calls)
        await under_test.pause()
        peer.send(b"b")
        await under_test.pause()
        assert len(calls) == 1, f"the watcher was called {len(calls)} times"
        assert await receive_all(stream, 2) == [b"a", b"b"]
        stream.watch(lambda: calls.append(None))
        stream.watch(None)
        peer.send(b"c")
        assert await stream.receive(LIMIT) == [b"c"]
        assert len(calls) == 1
