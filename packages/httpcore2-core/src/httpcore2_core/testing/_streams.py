"""What every stream does: the public interface, plain and encrypted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from .._exceptions import ReadError, ReadTimeout, WriteError, WriteTimeout
from ._peers import LIMIT, Peer
from ._subject import Checks, Subject, raises, read_exactly

Connect = Callable[[Callable[[Peer], object]], AbstractAsyncContextManager[Any]]

# More than any system takes before the peer has read something.
LARGE = bytes(range(256)) * 4 * 16 * 1024

checks = Checks()


def wait_for(event: threading.Event) -> None:
    assert event.wait(LIMIT), "the client never came so far"


# Reading


@checks.add_for_streams
async def a_read_returns_what_came(subject: Subject, connect: Connect) -> None:
    def script(peer: Peer) -> None:
        peer.send(b"hello")
        peer.receive_end()

    async with connect(script) as stream:
        assert await read_exactly(stream, 5) == b"hello"


@checks.add_for_streams
async def a_read_returns_max_bytes_at_most(subject: Subject, connect: Connect) -> None:
    def script(peer: Peer) -> None:
        peer.send(b"hello")
        peer.receive_end()

    async with connect(script) as stream:
        data = b""
        while len(data) < 5:
            more = await stream.read(2, LIMIT)
            assert len(more) in (1, 2)
            data += more
        assert data == b"hello"


@checks.add_for_streams
async def a_read_at_the_end_returns_nothing_however_often(
    subject: Subject, connect: Connect
) -> None:
    def script(peer: Peer) -> None:
        peer.send(b"hello")
        peer.end()
        peer.receive_end()

    async with connect(script) as stream:
        assert await read_exactly(stream, 5) == b"hello"
        for _ in range(3):
            assert await stream.read(100, LIMIT) == b""


@checks.add_for_streams
async def a_read_waits_no_longer_than_its_timeout(subject: Subject, connect: Connect) -> None:
    async with connect(Peer.receive_end) as stream:
        with raises(ReadTimeout):
            await stream.read(100, 0.01)


@checks.add_for_streams
async def a_read_that_timed_out_takes_nothing_from_the_next(
    subject: Subject, connect: Connect
) -> None:
    def script(peer: Peer) -> None:
        peer.receive_exactly(1)
        peer.send(b"hello")
        peer.receive_end()

    async with connect(script) as stream:
        with raises(ReadTimeout):
            await stream.read(100, 0.01)
        await stream.write(b"x", LIMIT)
        assert await read_exactly(stream, 5) == b"hello"


@checks.add_for_streams
async def a_read_from_a_connection_that_was_reset_fails(subject: Subject, connect: Connect) -> None:
    def script(peer: Peer) -> None:
        peer.receive_exactly(1)
        peer.reset()

    async with connect(script) as stream:
        await stream.write(b"x", LIMIT)
        with raises(ReadError):
            await stream.read(100, LIMIT)


# Writing


@checks.add_for_streams
async def a_large_write_to_a_slow_reader_arrives_whole(subject: Subject, connect: Connect) -> None:
    may_read = threading.Event()
    received = []

    def script(peer: Peer) -> None:
        wait_for(may_read)
        received.append(peer.receive_exactly(len(LARGE)))
        peer.send(b"thanks")
        peer.receive_end()

    async with connect(script) as stream:

        async def write() -> None:
            await stream.write(LARGE, LIMIT)

        async def release() -> None:
            await subject.pause()
            may_read.set()

        await subject.concurrently(write, release)
        assert await read_exactly(stream, 6) == b"thanks"
    assert received == [LARGE]


@checks.add_for_streams
async def a_write_of_nothing_sends_nothing(subject: Subject, connect: Connect) -> None:
    received = []

    def script(peer: Peer) -> None:
        received.append(peer.receive_end())

    async with connect(script) as stream:
        await stream.write(b"", LIMIT)
        await stream.write(b"hello", LIMIT)
    assert received == [b"hello"]


@checks.add_for_streams
async def a_write_waits_no_longer_than_its_timeout(subject: Subject, connect: Connect) -> None:
    is_over = threading.Event()

    def script(peer: Peer) -> None:
        wait_for(is_over)

    async with connect(script) as stream:
        try:
            with raises(WriteTimeout):
                await stream.write(LARGE, 0.05)
        finally:
            is_over.set()


@checks.add_for_streams
async def writes_fail_after_the_peer_has_closed(subject: Subject, connect: Connect) -> None:
    def script(peer: Peer) -> None:
        peer.receive_exactly(1)

    async with connect(script) as stream:
        await stream.write(b"x", LIMIT)
        assert await stream.read(100, LIMIT) == b""
        # What is sent first only makes the peer's system say that nobody listens any more.
        with raises(WriteError):
            await stream.write(LARGE, LIMIT)


@checks.add_for_streams
async def what_is_written_after_the_peers_end_arrives(subject: Subject, connect: Connect) -> None:
    received = []

    def script(peer: Peer) -> None:
        peer.end()
        received.append(peer.receive_end())

    async with connect(script) as stream:
        assert await stream.read(100, LIMIT) == b""
        await stream.write(b"hello", LIMIT)
    assert received == [b"hello"]


@checks.add_for_streams
async def bytes_go_both_ways_at_the_same_time(subject: Subject, connect: Connect) -> None:
    def echo(peer: Peer) -> None:
        while data := peer.receive():
            peer.send(data)

    received = []

    async with connect(echo) as stream:

        async def write() -> None:
            await stream.write(LARGE, LIMIT)

        async def read() -> None:
            received.append(await read_exactly(stream, len(LARGE)))

        await subject.concurrently(write, read)
    assert received == [LARGE]


# Closing


@checks.add_for_streams
async def closing_tells_the_peer_and_may_be_done_again(subject: Subject, connect: Connect) -> None:
    async with connect(Peer.receive_end) as stream:
        await stream.aclose()
        await stream.aclose()


@checks.add_for_streams
async def a_closed_stream_neither_reads_nor_writes(subject: Subject, connect: Connect) -> None:
    async with connect(Peer.receive_end) as stream:
        await stream.aclose()
        with raises(ReadError):
            await stream.read(100, LIMIT)
        with raises(WriteError):
            await stream.write(b"hello", LIMIT)


# What is known


@checks.add_for_streams
async def the_addresses_are_known(subject: Subject, connect: Connect) -> None:
    addresses = []

    def script(peer: Any) -> None:
        sock = getattr(peer, "below", peer).socket
        addresses.append((sock.getpeername(), sock.getsockname()))
        peer.send(b"x")
        peer.receive_end()

    async with connect(script) as stream:
        assert await read_exactly(stream, 1) == b"x"
        known = stream.get_extra_info("client_addr"), stream.get_extra_info("server_addr")
        assert stream.get_extra_info("socket") is not None
        assert stream.get_extra_info("no such thing") is None
    assert addresses == [known]


@checks.add_for_streams
async def a_stream_is_readable_when_bytes_came(subject: Subject, connect: Connect) -> None:
    def script(peer: Peer) -> None:
        peer.send(b"first")
        peer.receive_exactly(1)
        peer.send(b"hello")
        peer.receive_end()

    async with connect(script) as stream:
        assert await read_exactly(stream, 5) == b"first"
        assert not stream.get_extra_info("is_readable")
        await stream.write(b"x", LIMIT)
        await subject.until(lambda: stream.get_extra_info("is_readable"))
        assert stream.get_extra_info("is_readable")
        assert await read_exactly(stream, 5) == b"hello"


@checks.add_for_streams
async def a_stream_is_readable_at_its_end(subject: Subject, connect: Connect) -> None:
    def script(peer: Peer) -> None:
        peer.end()
        peer.receive_end()

    async with connect(script) as stream:
        await subject.until(lambda: stream.get_extra_info("is_readable"))
        assert stream.get_extra_info("is_readable")
        assert await stream.read(100, LIMIT) == b""
