"""What streams do: those of every backend, plain and encrypted, and what those of our own do on top."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from .._exceptions import ReadError, ReadTimeout, WriteError, WriteTimeout
from .._net.interfaces import AsyncNetworkStream, BackendStream, RuntimeBackend
from .._net.runtime import Runtime
from ._subject import (
    LIMIT,
    Checks,
    Part,
    Peer,
    Subject,
    asked,
    echo,
    ends,
    plays,
    raises,
    read_exactly,
)

Connect = Callable[[Part], AbstractAsyncContextManager[Any]]

# More than any system takes before the peer has read something.
LARGE = bytes(range(256)) * 4 * 16 * 1024

checks = Checks()
own_checks = Checks()
watching_checks = Checks()


def runtime_of(subject: Subject) -> Runtime:
    assert isinstance(subject.backend, RuntimeBackend), "the backend brings no runtime"
    return subject.backend.runtime


def wait_for(event: threading.Event) -> None:
    assert event.wait(LIMIT), "the client never came so far"


def resets(peer: Peer) -> None:
    asked(peer)
    peer.reset()


@asynccontextmanager
async def to_a_peer_that_reads_nothing(connect: Connect) -> AsyncIterator[Any]:
    is_over = threading.Event()
    async with connect(lambda _: wait_for(is_over)) as stream:
        try:
            yield stream
        finally:
            is_over.set()


async def holds_both_ways(subject: Subject, stream: AsyncNetworkStream) -> None:
    """Hold that what is written to an echo can be read meanwhile."""
    received = []

    async def write() -> None:
        await stream.write(LARGE, LIMIT)

    async def read() -> None:
        received.append(await read_exactly(stream, len(LARGE)))

    await subject.concurrently(write, read)
    assert received == [LARGE]


# Reading


@checks.add_for_streams
async def a_read_returns_what_came(subject: Subject, connect: Connect) -> None:
    async with connect(plays(b"hello")) as stream:
        assert await read_exactly(stream, 5) == b"hello"


@checks.add_for_streams
async def a_read_returns_max_bytes_at_most(subject: Subject, connect: Connect) -> None:
    async with connect(plays(b"hello")) as stream:
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
    async with connect(plays(b"hello", ends)) as stream:
        assert await read_exactly(stream, 5) == b"hello"
        for _ in range(3):
            assert await stream.read(100, LIMIT) == b""


@checks.add_for_streams
async def a_read_waits_no_longer_than_its_timeout(subject: Subject, connect: Connect) -> None:
    async with connect(plays()) as stream:
        with raises(ReadTimeout):
            await stream.read(100, 0.01)


@checks.add_for_streams
async def a_read_that_timed_out_takes_nothing_from_the_next(
    subject: Subject, connect: Connect
) -> None:
    async with connect(plays(asked, b"hello")) as stream:
        with raises(ReadTimeout):
            await stream.read(100, 0.01)
        await stream.write(b"x", LIMIT)
        assert await read_exactly(stream, 5) == b"hello"


@checks.add_for_streams
async def a_read_from_a_connection_that_was_reset_fails(subject: Subject, connect: Connect) -> None:
    async with connect(resets) as stream:
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
    async with connect(lambda peer: received.append(peer.receive_end())) as stream:
        await stream.write(b"", LIMIT)
        await stream.write(b"hello", LIMIT)
    assert received == [b"hello"]


@checks.add_for_streams
async def a_write_waits_no_longer_than_its_timeout(subject: Subject, connect: Connect) -> None:
    async with to_a_peer_that_reads_nothing(connect) as stream:
        with raises(WriteTimeout):
            await stream.write(LARGE, 0.05)


@checks.add_for_streams
async def writes_fail_after_the_peer_has_closed(subject: Subject, connect: Connect) -> None:
    async with connect(asked) as stream:
        await stream.write(b"x", LIMIT)
        assert await stream.read(100, LIMIT) == b""
        # What is sent first only makes the peer's system say that nobody listens any more.
        with raises(WriteError):
            await stream.write(LARGE, LIMIT)


@checks.add_for_streams
async def what_is_written_after_the_peers_end_arrives(subject: Subject, connect: Connect) -> None:
    received = []
    script = plays(ends, lambda peer: received.append(peer.receive_end()))
    async with connect(script) as stream:
        assert await stream.read(100, LIMIT) == b""
        await stream.write(b"hello", LIMIT)
    assert received == [b"hello"]


@checks.add_for_streams
async def bytes_go_both_ways_at_the_same_time(subject: Subject, connect: Connect) -> None:
    async with connect(echo) as stream:
        await holds_both_ways(subject, stream)


# Closing


@checks.add_for_streams
async def closing_tells_the_peer_and_may_be_done_again(subject: Subject, connect: Connect) -> None:
    async with connect(plays()) as stream:
        await stream.aclose()
        await stream.aclose()


@checks.add_for_streams
async def a_closed_stream_neither_reads_nor_writes(subject: Subject, connect: Connect) -> None:
    async with connect(plays()) as stream:
        await stream.aclose()
        with raises(ReadError):
            await stream.read(100, LIMIT)
        with raises(WriteError):
            await stream.write(b"hello", LIMIT)


# What is known


@checks.add_for_streams
async def the_addresses_are_known(subject: Subject, connect: Connect) -> None:
    addresses = []

    def note(peer: Peer) -> None:
        addresses.append((peer.socket.getpeername(), peer.socket.getsockname()))

    async with connect(plays(note, b"x")) as stream:
        assert await read_exactly(stream, 1) == b"x"
        known = stream.get_extra_info("client_addr"), stream.get_extra_info("server_addr")
        assert stream.get_extra_info("socket") is not None
        assert stream.get_extra_info("no such thing") is None
    assert addresses == [known]


@checks.add_for_streams
async def a_stream_is_readable_when_bytes_came(subject: Subject, connect: Connect) -> None:
    async with connect(plays(b"first", asked, b"hello")) as stream:
        assert await read_exactly(stream, 5) == b"first"
        assert not stream.get_extra_info("is_readable")
        await stream.write(b"x", LIMIT)
        await subject.until(lambda: stream.get_extra_info("is_readable"))
        assert stream.get_extra_info("is_readable")
        assert await read_exactly(stream, 5) == b"hello"


@checks.add_for_streams
async def a_stream_is_readable_at_its_end(subject: Subject, connect: Connect) -> None:
    async with connect(plays(ends)) as stream:
        await subject.until(lambda: stream.get_extra_info("is_readable"))
        assert stream.get_extra_info("is_readable")
        assert await stream.read(100, LIMIT) == b""


# Without awaiting


async def read_soon(subject: Subject, stream: BackendStream, max_bytes: int) -> bytes:
    """Return what `read_nowait` gives once it gives anything."""
    data: list[bytes | None] = [None]

    def is_there() -> bool:
        data[0] = stream.read_nowait(max_bytes)
        return data[0] is not None

    await subject.until(is_there)
    assert data[0] is not None, "nothing came"
    return data[0]


@own_checks.add_for_streams
async def a_stream_knows_its_runtime_and_leaves_nothing_to_await(
    subject: Subject, connect: Connect
) -> None:
    async with connect(plays()) as stream:
        assert isinstance(stream, BackendStream)
        assert stream.runtime is runtime_of(subject)
        stream.abort()
        assert not stream.close_pending
        await stream.wait_closed()


@own_checks.add_for_streams
async def what_is_there_is_read_without_waiting(subject: Subject, connect: Connect) -> None:
    async with connect(plays(b"first", asked, b"hello", asked, ends)) as stream:
        assert await read_exactly(stream, 5) == b"first"
        assert stream.read_nowait(100) is None
        await stream.write(b"x", LIMIT)
        assert await read_soon(subject, stream, 2) == b"he"
        assert await read_exactly(stream, 3) == b"llo"
        await stream.write(b"x", LIMIT)
        assert await read_soon(subject, stream, 100) == b""
        assert stream.read_nowait(100) == b""


@own_checks.add_for_streams
async def a_broken_stream_says_so_when_read_without_waiting(
    subject: Subject, connect: Connect
) -> None:
    async with connect(resets) as stream:
        await stream.write(b"x", LIMIT)
        with raises(ReadError):
            await read_soon(subject, stream, 100)
        with raises(ReadError):
            stream.read_nowait(100)
        stream.abort()
        with raises(ReadError):
            stream.read_nowait(100)


@own_checks.add_for_streams
async def aborting_ends_a_read_that_waits(subject: Subject, connect: Connect) -> None:
    async with connect(plays()) as stream:

        async def read() -> None:
            with raises(ReadError):
                await stream.read(100)

        async def abort() -> None:
            await subject.pause()
            stream.abort()
            stream.abort()

        await subject.concurrently(read, abort)


@own_checks.add_for_streams
async def aborting_ends_a_write_that_waits(subject: Subject, connect: Connect) -> None:
    async with to_a_peer_that_reads_nothing(connect) as stream:

        async def write() -> None:
            with raises(WriteError):
                await stream.write(LARGE)

        async def abort() -> None:
            await subject.pause()
            stream.abort()

        await subject.concurrently(write, abort)


# Watching


def watched(stream: BackendStream) -> list[None]:
    """Return what grows by one with each call of the watcher."""
    calls: list[None] = []
    stream.watch(lambda: calls.append(None))
    return calls


async def is_called(subject: Subject, stream: BackendStream, calls: list[None]) -> None:
    """Give the peer the word, and hold that what it does calls the watcher, once."""
    await stream.write(b"x", LIMIT)
    await subject.until(lambda: calls)
    assert len(calls) == 1, f"the watcher was called {len(calls)} times"


@own_checks.add_for_streams
async def watching_takes_nothing_and_calls_once_at_most(subject: Subject, connect: Connect) -> None:
    async with connect(plays(asked, b"hello", asked, b"hello")) as stream:
        calls = watched(stream)
        await stream.write(b"x", LIMIT)
        await subject.backend.sleep(0.001)
        assert await read_exactly(stream, 5) == b"hello"
        stopped = watched(stream)
        stream.watch(None)
        await stream.write(b"x", LIMIT)
        assert await read_exactly(stream, 5) == b"hello"
    assert len(calls) <= 1
    assert not stopped


@watching_checks.add_for_streams
async def bytes_that_come_call_the_watcher(subject: Subject, connect: Connect) -> None:
    async with connect(plays(b"first", asked, b"hello")) as stream:
        assert await read_exactly(stream, 5) == b"first"
        await is_called(subject, stream, watched(stream))
        assert await read_exactly(stream, 5) == b"hello"


@watching_checks.add_for_streams
async def the_end_calls_the_watcher(subject: Subject, connect: Connect) -> None:
    async with connect(plays(asked, ends)) as stream:
        await is_called(subject, stream, watched(stream))
        assert await stream.read(100, LIMIT) == b""


@watching_checks.add_for_streams
async def an_error_calls_the_watcher(subject: Subject, connect: Connect) -> None:
    async with connect(resets) as stream:
        await is_called(subject, stream, watched(stream))
        with raises(ReadError):
            await stream.read(100, LIMIT)


@watching_checks.add
async def what_is_for_tls_alone_does_not_call_the_watcher(subject: Subject) -> None:
    # The server sends session tickets right after the handshake.
    async with subject.connected(plays(asked, b"hello"), tls=True) as stream:
        calls = watched(stream)
        await subject.backend.sleep(0.01)
        assert not calls
        await is_called(subject, stream, calls)
        assert await read_exactly(stream, 5) == b"hello"
