"""Datagrams on asyncio: the loop's callback, its timer, and closing where the loop is gone."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
from collections.abc import Iterator

import pytest

from httpcore2_asyncio._datagrams import AsyncIODatagramStream
from httpcore2_core._exceptions import ConnectError, ReadError, ReadTimeout

from .conftest import LoopFactory

pytestmark = pytest.mark.usefixtures("no_leaks")


class Peer:
    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.client.setblocking(False)
        self.client.connect(self.socket.getsockname())
        self.client.send(b"hello")
        self.address = self.socket.recvfrom(100)[1]

    def send(self, data: bytes) -> None:
        self.socket.sendto(data, self.address)


@pytest.fixture
def peer() -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.socket.close()
    peer.client.close()
    gc.collect()


async def turns(count: int = 4) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_a_datagram_for_nobody_does_not_keep_the_loop_busy(
    loop_factory: LoopFactory, peer: Peer
) -> None:
    async def main() -> None:
        stream = AsyncIODatagramStream(peer.client)
        peer.send(b"a")
        while stream._registered is not None:
            await asyncio.sleep(0)
        assert await stream.receive(10) == [b"a"]
        assert stream._registered is peer.client
        stream.abort()
        await turns()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())


def test_one_timer_serves_waits_of_any_length(loop_factory: LoopFactory, peer: Peer) -> None:
    async def main() -> None:
        stream = AsyncIODatagramStream(peer.client)
        peer.send(b"a")
        assert await stream.receive(30) == [b"a"]
        timer = stream._timer
        # A shorter wait moves the timer, and a longer one leaves it.
        with pytest.raises(ReadTimeout):
            await stream.receive(0.01)
        assert stream._timer is None
        peer.send(b"b")
        assert await stream.receive(0.02) == [b"b"]
        with pytest.raises(ReadTimeout):
            await stream.receive(0.05)
        assert timer is not None
        # A wait without limit ends by a datagram only.
        peer.send(b"c")
        assert await stream.receive(0.02) == [b"c"]
        receiving = asyncio.ensure_future(stream.receive())
        while stream._timer is not None:
            await asyncio.sleep(0.005)
        peer.send(b"d")
        assert await receiving == [b"d"]
        stream.abort()
        await turns()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())


def test_a_timer_that_is_left_after_a_wait_does_nothing(
    loop_factory: LoopFactory, peer: Peer
) -> None:
    async def main() -> None:
        stream = AsyncIODatagramStream(peer.client)
        peer.send(b"a")
        assert await stream.receive(0.02) == [b"a"]
        while stream._timer is not None:
            await asyncio.sleep(0.005)
        peer.send(b"b")
        assert await stream.receive(10) == [b"b"]
        stream.abort()
        stream.watch(lambda: None)
        await turns()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())


def test_a_receive_that_is_cancelled_takes_nothing(loop_factory: LoopFactory, peer: Peer) -> None:
    async def main() -> None:
        stream = AsyncIODatagramStream(peer.client)
        receiving = asyncio.ensure_future(stream.receive(10))
        await turns()
        receiving.cancel()
        await asyncio.wait([receiving])
        peer.send(b"a")
        assert await stream.receive(10) == [b"a"]
        stream.abort()
        await turns()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())


def test_another_thread_may_close_the_stream(loop_factory: LoopFactory, peer: Peer) -> None:
    async def main() -> None:
        stream = AsyncIODatagramStream(peer.client)
        receiving = asyncio.ensure_future(stream.receive(10))
        await turns()
        thread = threading.Thread(target=stream.abort)
        thread.start()
        with pytest.raises(ReadError, match="closed on this side"):
            await receiving
        thread.join()
        await turns()
        assert peer.client.fileno() == -1

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())


@pytest.mark.parametrize("is_closed", [False, True])
def test_a_stream_is_closed_where_its_loop_does_not_run(
    loop_factory: LoopFactory, peer: Peer, is_closed: bool
) -> None:
    async def main() -> AsyncIODatagramStream:
        return AsyncIODatagramStream(peer.client)

    loop = loop_factory()
    stream = loop.run_until_complete(main())
    if is_closed:
        stream._unregister()
        loop.close()
    stream.abort()
    assert peer.client.fileno() == -1
    loop.close()


def test_a_loop_that_closes_meanwhile_is_no_obstacle(peer: Peer) -> None:
    async def main() -> AsyncIODatagramStream:
        return AsyncIODatagramStream(peer.client)

    class ClosingLoop(asyncio.SelectorEventLoop):
        is_about_to_close = False

        def is_running(self) -> bool:
            return self.is_about_to_close or super().is_running()

        def call_soon_threadsafe(self, *args: object, **options: object) -> asyncio.Handle:
            if self.is_about_to_close:
                raise RuntimeError("Event loop is closed")
            return super().call_soon_threadsafe(*args, **options)  # type: ignore[arg-type]

    loop = ClosingLoop()
    stream = loop.run_until_complete(main())
    stream._unregister()
    loop.is_about_to_close = True
    stream.abort()
    assert peer.client.fileno() == -1
    loop.is_about_to_close = False
    loop.close()


def test_a_loop_that_can_not_wait_for_sockets_is_an_error_of_connecting(peer: Peer) -> None:
    async def main() -> None:
        with pytest.raises(ConnectError, match="ProactorLike can't wait for sockets"):
            AsyncIODatagramStream(peer.client)

    class ProactorLike(asyncio.SelectorEventLoop):
        def add_reader(self, *args: object) -> None:
            raise NotImplementedError

    with asyncio.Runner(loop_factory=ProactorLike) as runner:
        runner.run(main())
