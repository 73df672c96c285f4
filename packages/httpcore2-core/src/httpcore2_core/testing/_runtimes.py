"""What a backend of our own does on top: clean-up without awaiting, a clock, and waiting."""

from __future__ import annotations

import threading
from typing import Any

from .._exceptions import ReadError, WriteError
from .._network import BackendStream, RuntimeBackend
from .._runtime import Runtime
from ._peers import LIMIT, Peer
from ._streams import LARGE, Connect, wait_for
from ._subject import Checks, Subject, raises, read_exactly

checks = Checks()
watching_checks = Checks()


def runtime_of(subject: Subject) -> Runtime:
    assert isinstance(subject.backend, RuntimeBackend), "the backend brings no runtime"
    return subject.backend.runtime


async def read_soon(subject: Subject, stream: BackendStream, max_bytes: int) -> bytes:
    """Return what `read_nowait` gives once it gives anything."""
    data: list[bytes | None] = [None]

    def is_there() -> bool:
        data[0] = stream.read_nowait(max_bytes)
        return data[0] is not None

    await subject.until(is_there)
    assert data[0] is not None, "nothing came"
    return data[0]


# Streams


@checks.add_for_streams
async def a_stream_knows_its_runtime_and_leaves_nothing_to_await(
    subject: Subject, connect: Connect
) -> None:
    async with connect(Peer.receive_end) as stream:
        assert isinstance(stream, BackendStream)
        assert stream.runtime is runtime_of(subject)
        stream.abort()
        assert not stream.needs_settling
        await stream.settle()


@checks.add_for_streams
async def what_is_there_is_read_without_waiting(subject: Subject, connect: Connect) -> None:
    def script(peer: Peer) -> None:
        peer.send(b"first")
        peer.receive_exactly(1)
        peer.send(b"hello")
        peer.receive_exactly(1)
        peer.end()
        peer.receive_end()

    async with connect(script) as stream:
        assert await read_exactly(stream, 5) == b"first"
        assert stream.read_nowait(100) is None
        await stream.write(b"x", LIMIT)
        assert await read_soon(subject, stream, 2) == b"he"
        assert await read_exactly(stream, 3) == b"llo"
        await stream.write(b"x", LIMIT)
        assert await read_soon(subject, stream, 100) == b""
        assert stream.read_nowait(100) == b""


@checks.add_for_streams
async def a_broken_stream_looks_ended_when_read_without_waiting(
    subject: Subject, connect: Connect
) -> None:
    def script(peer: Peer) -> None:
        peer.receive_exactly(1)
        peer.reset()

    async with connect(script) as stream:
        await stream.write(b"x", LIMIT)
        assert await read_soon(subject, stream, 100) == b""
        stream.abort()
        assert stream.read_nowait(100) == b""


@checks.add_for_streams
async def aborting_ends_a_read_that_waits(subject: Subject, connect: Connect) -> None:
    async with connect(Peer.receive_end) as stream:

        async def read() -> None:
            with raises(ReadError):
                await stream.read(100)

        async def abort() -> None:
            await subject.pause()
            stream.abort()
            stream.abort()

        await subject.concurrently(read, abort)


@checks.add_for_streams
async def aborting_ends_a_write_that_waits(subject: Subject, connect: Connect) -> None:
    is_over = threading.Event()

    def script(peer: Peer) -> None:
        wait_for(is_over)

    async with connect(script) as stream:

        async def write() -> None:
            with raises(WriteError):
                await stream.write(LARGE)

        async def abort() -> None:
            await subject.pause()
            stream.abort()

        try:
            await subject.concurrently(write, abort)
        finally:
            is_over.set()


@checks.add_for_streams
async def watching_takes_nothing_and_calls_once_at_most(subject: Subject, connect: Connect) -> None:
    def script(peer: Peer) -> None:
        peer.receive_exactly(1)
        peer.send(b"hello")
        peer.receive_exactly(1)
        peer.send(b"hello")
        peer.receive_end()

    calls: list[None] = []
    async with connect(script) as stream:
        stream.watch(lambda: calls.append(None))
        await stream.write(b"x", LIMIT)
        await subject.backend.sleep(0.001)
        assert await read_exactly(stream, 5) == b"hello"
        stream.watch(lambda: calls.append(None))
        stream.watch(None)
        await stream.write(b"x", LIMIT)
        assert await read_exactly(stream, 5) == b"hello"
    assert len(calls) <= 1


async def _is_called(subject: Subject, stream: Any) -> None:
    calls: list[None] = []
    stream.watch(lambda: calls.append(None))
    await stream.write(b"x", LIMIT)
    await subject.until(lambda: calls)
    assert len(calls) == 1, f"the watcher was called {len(calls)} times"


@watching_checks.add_for_streams
async def bytes_that_come_call_the_watcher(subject: Subject, connect: Connect) -> None:
    def script(peer: Peer) -> None:
        peer.send(b"first")
        peer.receive_exactly(1)
        peer.send(b"hello")
        peer.receive_end()

    async with connect(script) as stream:
        assert await read_exactly(stream, 5) == b"first"
        await _is_called(subject, stream)
        assert await read_exactly(stream, 5) == b"hello"


@watching_checks.add_for_streams
async def the_end_calls_the_watcher(subject: Subject, connect: Connect) -> None:
    def script(peer: Peer) -> None:
        peer.receive_exactly(1)
        peer.end()
        peer.receive_end()

    async with connect(script) as stream:
        await _is_called(subject, stream)
        assert await stream.read(100, LIMIT) == b""


@watching_checks.add_for_streams
async def an_error_calls_the_watcher(subject: Subject, connect: Connect) -> None:
    def script(peer: Peer) -> None:
        peer.receive_exactly(1)
        peer.reset()

    async with connect(script) as stream:
        await _is_called(subject, stream)
        with raises(ReadError):
            await stream.read(100, LIMIT)


@watching_checks.add
async def what_is_for_tls_alone_does_not_call_the_watcher(subject: Subject) -> None:
    def script(peer: Peer) -> None:
        peer.receive_exactly(1)
        peer.send(b"hello")
        peer.receive_end()

    # The server sends session tickets right after the handshake.
    async with subject.connected(script, tls=True) as stream:
        calls: list[None] = []
        stream.watch(lambda: calls.append(None))
        await subject.backend.sleep(0.01)
        assert not calls
        await stream.write(b"x", LIMIT)
        await subject.until(lambda: calls)
        assert len(calls) == 1
        assert await read_exactly(stream, 5) == b"hello"


# The runtime


@checks.add
async def the_clock_never_goes_back(subject: Subject) -> None:
    runtime = runtime_of(subject)
    times = [runtime.now() for _ in range(100)]
    assert times == sorted(times)
    await runtime.sleep(0.01)
    await runtime.sleep(0)
    # Clocks of event loops tick; some stand still within a tick.
    assert runtime.now() >= times[-1] + 0.009


@checks.add
async def the_token_is_that_of_the_world_that_runs(subject: Subject) -> None:
    runtime = runtime_of(subject)
    token = runtime.token()
    assert runtime.token() is token
    assert runtime.is_running(token)


@checks.add
async def a_waiter_that_was_woken_before_does_not_wait(subject: Subject) -> None:
    waiter = runtime_of(subject).create_waiter()
    waiter.wake()
    waiter.wake()
    # Not `None`: a waiter that loses an early wake-up would wait for ever.
    assert await waiter.wait(LIMIT)
    assert await waiter.wait(0)


@checks.add
async def a_waiter_that_waits_is_woken(subject: Subject) -> None:
    for timeout in (None, LIMIT):
        await _wakes(subject, timeout)


async def _wakes(subject: Subject, timeout: float | None) -> None:
    waiter = runtime_of(subject).create_waiter()

    async def wait() -> None:
        assert await waiter.wait(timeout)

    async def wake() -> None:
        await subject.pause()
        waiter.wake()

    await subject.concurrently(wait, wake)


@checks.add
async def a_waiter_waits_no_longer_than_its_timeout(subject: Subject) -> None:
    waiter = runtime_of(subject).create_waiter()
    assert not await waiter.wait(0.01)
    assert not await waiter.wait(0)
    waiter.wake()
    assert await waiter.wait(LIMIT)


@checks.add
async def a_shielded_call_returns_and_raises_what_it_does(subject: Subject) -> None:
    runtime = runtime_of(subject)

    async def succeed() -> str:
        await runtime.sleep(0)
        return "done"

    async def fail() -> None:
        raise ReadError("failed")

    assert await runtime.shielded(succeed) == "done"
    with raises(ReadError):
        await runtime.shielded(fail)
