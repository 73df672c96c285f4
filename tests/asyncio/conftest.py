"""Event loops for the tests of the asyncio backend: each test runs on all of them."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Protocol, TypeVar

import pytest
import uvloop

from httpcore2_asyncio._backend import AsyncIOBackend
from httpcore2_asyncio._stream import AsyncIOStream

T = TypeVar("T")

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def eager_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    if sys.version_info >= (3, 12):
        loop.set_task_factory(asyncio.eager_task_factory)
    return loop


LOOPS: dict[str, LoopFactory] = {
    "asyncio": asyncio.SelectorEventLoop,
    "uvloop": uvloop.new_event_loop,
}
if sys.version_info >= (3, 12):
    LOOPS["eager"] = eager_loop


class Run(Protocol):
    def __call__(self, main: Callable[[], Awaitable[T]], /) -> T: ...


class Peer:
    """The other end of a connection: a blocking socket that never has to wait, or fails."""

    def __init__(self, listener: socket.socket) -> None:
        self.socket, _ = listener.accept()
        self.socket.settimeout(10)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def receive(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size and (chunk := self.socket.recv(size - len(data))):
            data += chunk
        return bytes(data)

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()


class Connect(Protocol):
    async def __call__(self, **options: Any) -> tuple[AsyncIOStream, Peer]: ...


@pytest.fixture(params=[*LOOPS, "debug"])
def loop_factory(request: pytest.FixtureRequest, no_leaks: None) -> LoopFactory:
    if request.param != "debug":
        return LOOPS[request.param]

    def debugging_loop() -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop()
        loop.set_debug(True)
        loop.slow_callback_duration = 60.0  # a busy machine is no fault
        return loop

    return debugging_loop


def run_on(loop_factory: LoopFactory, main: Callable[[], Awaitable[T]]) -> T:
    """Run `main` to its end and make sure that it leaves no task behind."""

    async def checked() -> T:
        result = await asyncio.wait_for(main(), 20)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return result

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(checked())


@pytest.fixture
def run(loop_factory: LoopFactory, caplog: pytest.LogCaptureFixture) -> Iterator[Run]:
    """Run a coroutine function on an event loop: it may leave no task, no socket and no log."""
    yield lambda main: run_on(loop_factory, main)
    gc.collect()
    # `caplog.records` would be those of this phase, the test's end.
    records = caplog.get_records("call")
    assert not [record for record in records if record.levelno >= logging.WARNING]


@pytest.fixture
def listener(no_leaks: None) -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        yield listener


@pytest.fixture
def connect(listener: socket.socket) -> Iterator[Connect]:
    """Connect a stream to a peer; both are closed after the test."""
    peers: list[Peer] = []

    async def connect(**options: Any) -> tuple[AsyncIOStream, Peer]:
        host, port = listener.getsockname()
        stream = await AsyncIOBackend().connect_tcp(host, port, **options)
        peers.append(Peer(listener))
        return stream, peers[-1]

    yield connect
    for peer in peers:
        peer.close()


async def arrival(stream: AsyncIOStream) -> None:
    """Wait until the loop has received something, or the end, for an idle `stream`."""
    event = asyncio.Event()
    stream.watch(event.set)
    await event.wait()
