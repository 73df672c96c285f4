"""Closing connections whose loop is closed, stands still, or belongs to the parent process."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import subprocess
import sys
import textwrap
import warnings

import pytest
import uvloop

from httpcore2_asyncio._stream import AsyncIOStream
from httpcore2_core._exceptions import ReadError

from .conftest import Connect, LoopFactory

MORE_THAN_THE_SYSTEM_TAKES = bytes(16 * 1024 * 1024)


def close(loop: asyncio.AbstractEventLoop) -> None:
    with warnings.catch_warnings():
        # uvloop closes the connections that are left by itself, and complains.
        warnings.simplefilter("ignore" if isinstance(loop, uvloop.Loop) else "error")
        loop.close()


def is_open(sock: socket.socket) -> bool:
    return sock.fileno() != -1


def test_aborting_after_the_loop_was_closed_closes_the_socket(
    loop_factory: LoopFactory, connect: Connect
) -> None:
    loop = loop_factory()
    stream, peer = loop.run_until_complete(connect())
    sock = stream.get_extra_info("socket")
    # Leaves a timer.
    loop.run_until_complete(read_until_cancelled(stream))
    close(loop)
    stream.abort()
    stream.abort()
    assert not is_open(sock)
    assert peer.receive(1) == b""
    assert stream.get_extra_info("is_readable") is True
    with pytest.raises(ReadError, match="closed on this side"):
        stream.read_nowait(100)
    del stream
    gc.collect()


async def read_until_cancelled(stream: AsyncIOStream) -> None:
    reading = asyncio.ensure_future(stream.read(100, 30.0))
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.wait([reading])


def test_aborting_after_the_end_came_and_the_loop_was_closed_does_nothing(
    loop_factory: LoopFactory, connect: Connect
) -> None:
    async def main() -> AsyncIOStream:
        stream, peer = await connect()
        peer.reset()
        reading = asyncio.ensure_future(stream.read(100))
        await asyncio.wait([reading])
        assert reading.exception() is not None
        return stream

    loop = loop_factory()
    stream = loop.run_until_complete(main())
    close(loop)
    stream.abort()
    assert not is_open(stream.get_extra_info("socket"))


class ClosedInThisMoment:
    """A loop that another thread closes while a stream asks it to close the connection."""

    def is_closed(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def call_soon_threadsafe(self, callback: object) -> None:
        raise RuntimeError("Event loop is closed")


def test_aborting_while_another_thread_closes_the_loop_closes_the_socket(
    loop_factory: LoopFactory, connect: Connect
) -> None:
    loop = loop_factory()
    stream, peer = loop.run_until_complete(connect())
    close(loop)
    stream._loop = ClosedInThisMoment()  # type: ignore[assignment]
    stream.abort()
    assert not is_open(stream.get_extra_info("socket"))
    assert peer.receive(1) == b""
    del stream
    gc.collect()


@pytest.mark.parametrize("unsent", [False, True])
@pytest.mark.parametrize("runs_again", [False, True])
def test_aborting_while_the_loop_stands_still_closes_the_socket(
    loop_factory: LoopFactory,
    connect: Connect,
    caplog: pytest.LogCaptureFixture,
    runs_again: bool,
    unsent: bool,
) -> None:
    loop = loop_factory()
    stream, peer = loop.run_until_complete(connect())
    sock = stream.get_extra_info("socket")
    if unsent:
        loop.run_until_complete(write_until_cancelled(stream))
    stream.abort()
    # A uvloop's descriptors are its own: it closes them when it runs, or is closed.
    assert is_open(sock) is isinstance(loop, uvloop.Loop)
    if runs_again:
        for _ in range(3):
            loop.run_until_complete(asyncio.sleep(0))
        assert not is_open(sock)
        assert stream._transport.is_closing()
    close(loop)
    assert not is_open(sock)
    if not unsent:
        assert peer.receive(1) == b""
    del stream
    gc.collect()
    assert not [record for record in caplog.records if record.levelname != "DEBUG"]


async def write_until_cancelled(stream: AsyncIOStream) -> None:
    writing = asyncio.ensure_future(stream.write(MORE_THAN_THE_SYSTEM_TAKES))
    await asyncio.sleep(0)
    writing.cancel()
    await asyncio.wait([writing])


def test_a_child_closes_nothing_twice_of_a_loop_that_its_parent_had_closed(
    loop_factory: LoopFactory, connect: Connect
) -> None:
    loop = loop_factory()
    stream, peer = loop.run_until_complete(connect())
    close(loop)
    stream._generation -= 1  # as in a child
    stream.abort()
    assert not is_open(stream.get_extra_info("socket"))
    assert peer.receive(1) == b""
    del stream
    gc.collect()


FORK = """
    import asyncio, gc, os, socket, sys, traceback
    import {module}
    from httpcore2_asyncio._backend import AsyncIOBackend

    def in_child(stream):
        sock = stream.get_extra_info("socket")
        descriptor = sock.fileno()
        stream.abort()
        stream.abort()
        assert sock.fileno() == -1
        try:
            os.fstat(descriptor)
        except OSError:
            pass
        else:
            raise AssertionError("the descriptor is still open")
        del stream
        gc.collect()

    def fork(stream):
        child = os.fork()
        if child == 0:
            try:
                in_child(stream)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    async def ping(stream, peer):
        await stream.write(b"ping")
        assert peer.recv(4) == b"ping"
        reading = asyncio.create_task(stream.read(4, 10.0))
        await asyncio.sleep(0)
        peer.sendall(b"pong")
        assert await reading == b"pong"

    async def connect():
        stream = await AsyncIOBackend().connect_tcp(*listener.getsockname())
        peer, _ = listener.accept()
        await ping(stream, peer)
        return stream, peer

    async def end(stream, peer):
        await ping(stream, peer)
        await stream.aclose()
        await asyncio.sleep(0)
        assert peer.recv(1) == b""
        peer.close()

    async def all_in_the_loop():
        stream, peer = await connect()
        assert fork(stream) == 0
        await end(stream, peer)

    warned = []
    sys.unraisablehook = warned.append
    loop = {factory}()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stream, peer = loop.run_until_complete(connect())
        assert fork(stream) == 0
        loop.run_until_complete(end(stream, peer))
        loop.run_until_complete(all_in_the_loop())
    loop.close()
    del stream
    gc.collect()
    assert warned == [], warned
"""


@pytest.mark.parametrize(
    ("module", "factory"),
    [("asyncio", "asyncio.new_event_loop"), ("uvloop", "uvloop.new_event_loop")],
)
def test_a_forked_child_closes_its_copy_and_leaves_the_parent_s_connection_alone(
    module: str, factory: str
) -> None:
    script = textwrap.dedent(FORK.format(module=module, factory=factory))
    # A process of its own: one with threads, as pytest's may be, should not fork.
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
