"""Checks of streams: of every backend, over TCP and over TLS, and of those that are `BackendStream`s.

Must not know: any backend, HTTP.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from .._exceptions import ReadError, ReadTimeout, WriteError, WriteTimeout
from .._net.backend_stream import BackendStream
from .._net.network_interfaces import AsyncNetworkStream
from .._net.runtime import Runtime
from .._net.runtime_backend import RuntimeBackend
from ._checks import BackendUnderTest, Checks, raises, read_exactly
from ._peers import LIMIT, Peer, PeerScript, echo, script_of, send_end, wait_for_byte

Connect = Callable[[PeerScript], AbstractAsyncContextManager[Any]]

# More than the buffers of any system hold before the peer reads.
LARGE = bytes(range(256)) * 4 * 16 * 1024

checks = Checks()
runtime_checks = Checks()
watching_checks = Checks()


def runtime_of(under_test: BackendUnderTest) -> Runtime:
    assert isinstance(under_test.backend, RuntimeBackend), "the backend is no RuntimeBackend"
    return under_test.backend.runtime


def wait_for(event: threading.Event) -> None:
    assert event.wait(LIMIT), (
        f"the client did not get to this part of the check within {LIMIT:g} seconds"
    )


def reset_after_byte(peer: Peer) -> None:
    wait_for_byte(peer)
    peer.reset()


@asynccontextmanager
async def connected_to_a_peer_that_never_reads(connect: Connect) -> AsyncIterator[Any]:
    is_over = threading.Event()
    async with connect(lambda _: wait_for(is_over)) as stream:
        try:
            yield stream
        finally:
            is_over.set()


async def check_both_directions(under_test: BackendUnderTest, stream: AsyncNetworkStream) -> None:
    """Check that a large write to an echo and the read of it run at the same time."""
    received = []

    async def write() -> None:
        await stream.write(LARGE, LIMIT)

    async def read() -> None:
        received.append(await read_exactly(stream, len(LARGE)))

    await under_test.concurrently(write, read)
    assert received == [LARGE]


# Reading


@checks.add_for_streams
async def a_read_returns_what_came(under_test: BackendUnderTest, connect: Connect) -> None:
    async with connect(script_of(b"hello")) as stream:
        assert await read_exactly(stream, 5) == b"hello"


@checks.add_for_streams
async def a_read_returns_max_bytes_at_most(under_test: BackendUnderTest, connect: Connect) -> None:
    async with connect(script_of(b"hello")) as stream:
        data = b""
        while len(data) < 5:
            more = await stream.read(2, LIMIT)
            assert len(more) in (1, 2)
            data += more
        assert data == b"hello"


@checks.add_for_streams
async def a_read_at_the_end_returns_nothing_however_often(
    under_test: BackendUnderTest, connect: Connect
) -> None:
    async with connect(script_of(b"hello", send_end)) as stream:
        assert await read_exactly(stream, 5) == b"hello"
        for _ in range(3):
            assert await stream.read(100, LIMIT) == b""


@checks.add_for_streams
async def a_read_waits_no_longer_than_its_timeout(
    under_test: BackendUnderTest, connect: Connect
) -> None:
    async with connect(script_of()) as stream:
        with raises(ReadTimeout):
            await stream.read(100, 0.01)


@checks.add_for_streams
async def a_read_that_timed_out_takes_nothing_from_the_next(
    under_test: BackendUnderTest, connect: Connect
) -> None:
    async with connect(script_of(wait_for_byte, b"hello")) as stream:
        with raises(ReadTimeout):
            await stream.read(100, 0.01)
        await stream.write(b"x", LIMIT)
        assert await read_exactly(stream, 5) == b"hello"


@checks.add_for_streams
async def a_read_from_a_connection_that_was_reset_fails(
    under_test: BackendUnderTest, connect: Connect
) -> None:
    async with connect(reset_after_byte) as stream:
        await stream.write(b"x", LIMIT)
        with raises(ReadError):
            await stream.read(100, LIMIT)


# Writing


@checks.add_for_streams
async def a_large_write_to_a_slow_reader_arrives_whole(
    under_test: BackendUnderTest, connect: Connect
) -> None:
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
            await under_test.pause()
            may_read.set()

        await under_test.concurrently(write, release)
        assert await read_exactly(stream, 6) == b"thanks"
    assert received == [LARGE]


@checks.add_for_streams
async def a_write_of_nothing_sends_nothing(under_test: BackendUnderTest, connect: Connect) -> None:
    received = []
    async with connect(lambda peer: received.append(peer.receive_end())) as stream:
        await stream.write(b"", LIMIT)
        await stream.write(b"hello", LIMIT)
    assert received == [b"hello"]


@checks.add_for_streams
async def a_write_waits_no_longer_than_its_timeout(
    under_test: BackendUnderTest, connect: Connect
) -> None:
    async with connected_to_a_peer_that_never_reads(connect) as stream:
        with raises(WriteTimeout):
            await stream.write(LARGE, 0.05)


@checks.add_for_streams
async def writes_fail_after_the_peer_has_closed(
    under_test: BackendUnderTest, connect: Connect
) -> None:
    async with connect(wait_for_byte) as stream:
        await stream.write(b"x", LIMIT)
        assert await stream.read(100, LIMIT) == b""
        # The first bytes make the peer's system reply with a reset.
        with raises(WriteError):
            await stream.write(LARGE, LIMIT)


@checks.add_for_streams
async def what_is_written_after_the_peers_end_arrives(
    under_test: BackendUnderTest, connect: Connect
) -> None:
    received = []
    script = script_of(send_end, lambda peer: received.append(peer.receive_end()))
    async with connect(script) as stream:
        assert await stream.read(100, LIMIT) == b""
        await stream.write(b"hello", LIMIT)
    assert received == [b"hello"]


@checks.add_for_streams
async def bytes_go_both_ways_at_the_same_time(
    under_test: BackendUnderTest, connect: Connect
) -> None:
    async with connect(echo) as stream:
        await check_both_directions(under_test, stream)


# Closing


@checks.add_for_streams
async def closing_tells_the_peer_and_may_be_done_again(
    under_test: BackendUnderTest, connect: Connect
) -> None:
    async with connect(script_of()) as stream:
        await stream.aclose()
        await stream.aclose()


@checks.add_for_streams
async def a_closed_stream_neither_reads_nor_writes(
    under_test: BackendUnderTest, connect: Connect
) -> None:
    async with connect(script_of()) as stream:
        await stream.aclose()
        with raises(ReadError):
            await stream.read(100, LIMIT)
        with raises(WriteError):
            await stream.write(b"hello", LIMIT)


# Extra information


@checks.add_for_streams
async def the_addresses_are_known(under_test: BackendUnderTest, connect: Connect) -> None:
    addresses = []

    def note(peer: Peer) -> None:
        addresses.append((peer.socket.getpeername(), peer.socket.getsockname()))

    async with connect(script_of(note, b"x")) as stream:
        assert await read_exactly(stream, 1) == b"x"
        known = stream.get_extra_info("client_addr"), stream.get_extra_info("server_addr")
        assert stream.get_extra_info("socket") is not None
        assert stream.get_extra_info("no such thing") is None
    assert addresses == [known]


@checks.add_for_streams
async def a_stream_is_readable_when_bytes_came(
    under_test: BackendUnderTest, connect: Connect
) -> None:
    async with connect(script_of(b"first", wait_for_byte, b"hello")) as stream:
        assert await read_exactly(stream, 5) == b"first"
        assert not stream.get_extra_info("is_readable")
        await stream.write(b"x", LIMIT)
        await under_test.until(lambda: stream.get_extra_info("is_readable"))
        assert stream.get_extra_info("is_readable")
        assert await read_exactly(stream, 5) == b"hello"


@checks.add_for_streams
async def a_stream_is_readable_at_its_end(under_test: BackendUnderTest, connect: Connect) -> None:
    async with connect(script_of(send_end)) as stream:
        await under_test.until(lambda: stream.get_extra_info("is_readable"))
        assert stream.get_extra_info("is_readable")
        assert await stream.read(100, LIMIT) == b""


# Reading and closing without awaiting


async def read_until_available(
    under_test: BackendUnderTest, stream: BackendStream, max_bytes: int
) -> bytes:
    """Return the first bytes, or the end, that `read_nowait` returns."""
    data: list[bytes | None] = [None]

    def has_read() -> bool:
        data[0] = stream.read_nowait(max_bytes)
        return data[0] is not None

    await under_test.until(has_read)
    assert data[0] is not None, f"read_nowait() returned None for {LIMIT:g} seconds"
    return data[0]


@runtime_checks.add_for_streams
async def a_stream_knows_its_runtime_and_leaves_nothing_to_await(
    under_test: BackendUnderTest, connect: Connect
) -> None:
    async with connect(script_of()) as stream:
        assert isinstance(stream, BackendStream)
        assert stream.runtime is runtime_of(under_test)
        stream.abort()
        assert not stream.close_pending
        await stream.wait_closed()


@runtime_checks.add_for_streams
async def what_is_there_is_read_without_waiting(
    under_test: BackendUnderTest, connect: Connect
) -> None:
    async with connect(
        script_of(b"first", wait_for_byte, b"hello", wait_for_byte, send_end)
    ) as stream:
        assert await read_exactly(stream, 5) == b"first"
        assert stream.read_nowait(100) is None
        await stream.write(b"x", LIMIT)
        assert await read_until_available(under_test, stream, 2) == b"he"
        assert await read_exactly(stream, 3) == b"llo"
        await stream.write(b"x", LIMIT)
        assert await read_until_available(under_test, stream, 100) == b""
        assert stream.read_nowait(100) == b""


@runtime_checks.add_for_streams
async def a_broken_stream_says_so_when_read_without_waiting(
    under_test: BackendUnderTest, connect: Connect
) -> None:
    async with connect(reset_after_byte) as stream:
        await stream.write(b"x", LIMIT)
        with raises(ReadError):
            await read_until_available(under_test, stream, 100)
        with raises(ReadError):
            stream.read_nowait(100)
        stream.abort()
        with raises(ReadError):
            stream.read_nowait(100)


@runtime_checks.add_for_streams
async def aborting_ends_a_read_that_waits(under_test: BackendUnderTest, connect: Connect) -> None:
    async with connect(script_of()) as stream:

        async def read() -> None:
            with raises(ReadError):
                await stream.read(100)

        async def abort() -> None:
            await under_test.pause()
            stream.abort()
            stream.abort()

        await under_test.concurrently(read, abort)


@runtime_checks.add_for_streams
async def aborting_ends_a_write_that_waits(under_test: BackendUnderTest, connect: Connect) -> None:
    async with connected_to_a_peer_that_never_reads(connect) as stream:

        async def write() -> None:
            with raises(WriteError):
                await stream.write(LARGE)

        async def abort() -> None:
            await under_test.pause()
            stream.abort()

        await under_test.concurrently(write, abort)


# Watching


def watched(stream: BackendStream) -> list[None]:
    """Watch `stream`, and return a list that grows by one with each call of the watcher."""
    calls: list[None] = []
    stream.watch(lambda: calls.append(None))
    return calls


async def is_called(under_test: BackendUnderTest, stream: BackendStream, calls: list[None]) -> None:
    """Start the next part of the peer's script, and check that it calls the watcher once."""
    await stream.write(b"x", LIMIT)
    await under_test.until(lambda: calls)
    assert len(calls) == 1, f"the watcher was called {len(calls)} times"


@runtime_checks.add_for_streams
async def watching_takes_nothing_and_calls_once_at_most(
    under_test: BackendUnderTest, connect: Connect
) -> None:
    async with connect(script_of(wait_for_byte, b"hello", wait_for_byte, b"hello")) as stream:
        calls = watched(stream)
        await stream.write(b"x", LIMIT)
        await under_test.backend.sleep(0.001)
        assert await read_exactly(stream, 5) == b"hello"
        stopped = watched(stream)
        stream.watch(None)
        await stream.write(b"x", LIMIT)
        assert await read_exactly(stream, 5) == b"hello"
    assert len(calls) <= 1
    assert not stopped


@watching_checks.add_for_streams
async def bytes_that_come_call_the_watcher(under_test: BackendUnderTest, connect: Connect) -> None:
    async with connect(script_of(b"first", wait_for_byte, b"hello")) as stream:
        assert await read_exactly(stream, 5) == b"first"
        await is_called(under_test, stream, watched(stream))
        assert await read_exactly(stream, 5) == b"hello"


@watching_checks.add_for_streams
async def the_end_calls_the_watcher(under_test: BackendUnderTest, connect: Connect) -> None:
    async with connect(script_of(wait_for_byte, send_end)) as stream:
        await is_called(under_test, stream, watched(stream))
        assert await stream.read(100, LIMIT) == b""


@watching_checks.add_for_streams
async def an_error_calls_the_watcher(under_test: BackendUnderTest, connect: Connect) -> None:
    async with connect(reset_after_byte) as stream:
        await is_called(under_test, stream, watched(stream))
        with raises(ReadError):
            await stream.read(100, LIMIT)


@watching_checks.add
async def what_is_for_tls_alone_does_not_call_the_watcher(under_test: BackendUnderTest) -> None:
    # The server sends session tickets right after the handshake.
    async with under_test.connected(script_of(wait_for_byte, b"hello"), tls=True) as stream:
        calls = watched(stream)
        await under_test.backend.sleep(0.01)
        assert not calls
        await is_called(under_test, stream, calls)
        assert await read_exactly(stream, 5) == b"hello"
