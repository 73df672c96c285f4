"""What is special to the asyncio stream: the shared buffer, kept bytes, the moved timer."""

from __future__ import annotations

import asyncio
import errno
import select
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from httpcore2_asyncio._backend import AsyncIOBackend
from httpcore2_asyncio._runtime import RUNTIME
from httpcore2_asyncio._stream import BUFFER_SIZE, HIGH_WATER, AsyncIOStream, shared_buffer
from httpcore2_asyncio._stream_states import PAUSED
from httpcore2_core._exceptions import ReadError, ReadTimeout, WriteError, WriteTimeout

from .conftest import Connect, Peer, Run, arrival, run_on

MORE_THAN_THE_SYSTEM_TAKES = bytes(16 * 1024 * 1024)


class ClockedLoop(asyncio.SelectorEventLoop):
    """A loop whose clock can be put forward, and that remembers its timers."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self.timers: list[asyncio.TimerHandle] = []
        super().__init__()

    def time(self) -> float:
        return super().time() + self.ahead

    def call_at(  # type: ignore[override]
        self, when: float, callback: Any, *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        timer = super().call_at(when, callback, *args, context=context)
        if isinstance(getattr(callback, "__self__", None), AsyncIOStream):
            self.timers.append(timer)
        return timer

    @property
    def armed(self) -> list[asyncio.TimerHandle]:
        return [
            timer for timer in self.timers if not timer.cancelled() and timer.when() > self.time()
        ]


async def turn(times: int = 1) -> None:
    """Let the loop run all that is ready."""
    for _ in range(times):
        await asyncio.sleep(0)


def read_soon(stream: AsyncIOStream, *args: Any) -> asyncio.Task[bytes]:
    return asyncio.create_task(stream.read(*args))


# The buffer


def test_all_connections_of_a_loop_receive_into_one_buffer(run: Run, connect: Connect) -> None:
    async def main() -> None:
        first, first_peer = await connect()
        second, second_peer = await connect()
        first_peer.send(b"to the first")
        second_peer.send(b"to the second")
        await arrival(first)
        if not second.get_extra_info("is_readable"):
            await arrival(second)
        assert first.get_buffer(-1) is second.get_buffer(-1)
        assert first.get_buffer(-1) is shared_buffer(asyncio.get_running_loop())
        assert await first.read(100) == b"to the first"
        assert await second.read(100) == b"to the second"
        first.abort()
        second.abort()

    run(main)


def test_two_loops_have_two_buffers(run: Run) -> None:
    async def main() -> memoryview:
        return shared_buffer(asyncio.get_running_loop())

    assert run(main) is not run(main)


def test_a_waiting_read_receives_no_more_than_it_asks_for(run: Run, connect: Connect) -> None:
    async def main() -> None:
        stream, peer = await connect()
        for size in (3, 3, 4):
            reading = read_soon(stream, size)
            await turn()
            peer.send(b"0123456789"[:size] + b"...")
            assert await reading == b"0123456789"[:size]
            assert await stream.read(3) == b"..."
        stream.abort()

    run(main)


def test_what_a_read_has_no_room_for_is_received_along_and_not_copied_again(
    run: Run, connect: Connect
) -> None:
    async def main() -> None:
        stream, peer = await connect()
        reading = read_soon(stream, 3)
        await turn()
        peer.send(b"012" + bytes(1000))
        assert await reading == b"012"
        kept = stream._received
        assert await stream.read(2000) is kept
        assert kept == bytes(1000)
        stream.abort()

    run(main)


def test_kept_bytes_are_given_out_piece_by_piece(run: Run, connect: Connect) -> None:
    async def main() -> None:
        stream, peer = await connect()
        peer.send(b"0123456789")
        await arrival(stream)
        assert stream.read_nowait(4) == b"0123"
        assert await stream.read(4) == b"4567"
        assert await stream.read(4) == b"89"
        assert stream.read_nowait(4) is None
        stream.abort()

    run(main)


def test_receiving_pauses_at_the_high_water_mark_and_goes_on_when_bytes_are_taken(
    run: Run, connect: Connect
) -> None:
    async def main() -> None:
        stream, peer = await connect()
        total = 4 * BUFFER_SIZE
        sending = asyncio.create_task(asyncio.to_thread(peer.send, bytes(total)))
        await arrival(stream)
        # What is not received now stays with the system and the peer.
        while stream._receiving is not PAUSED:
            await turn()
        kept = len(stream._received)
        assert HIGH_WATER <= kept < HIGH_WATER + BUFFER_SIZE
        await turn(10)
        assert len(stream._received) == kept
        received = 0
        while received < total:
            received += len(await stream.read(50_000))
        assert received == total
        await sending
        stream.abort()

    run(main)


# What the loop has not received


def block_until_something_came(stream: AsyncIOStream) -> None:
    """Wait for the system, without giving the loop a turn."""
    poller = select.poll()
    poller.register(stream.get_extra_info("socket"), select.POLLIN)
    assert poller.poll(10_000)


def test_what_the_loop_has_not_received_is_read_without_waiting(run: Run, connect: Connect) -> None:
    async def main() -> None:
        stream, peer = await connect()
        assert stream.read_nowait(100) is None
        for _ in range(3):
            peer.send(b"0123456789")
            block_until_something_came(stream)
            assert stream.get_extra_info("is_readable") is True
            assert stream.read_nowait(4) == b"0123"
            assert stream.read_nowait(100) == b"456789"
            assert stream.read_nowait(100) is None
            assert stream.get_extra_info("is_readable") is False
            # The loop was told that there is something, finds nothing, and goes on.
            await turn(3)
            assert stream.read_nowait(100) is None
            peer.send(b"by the loop")
            assert await stream.read(100) == b"by the loop"
        stream.abort()

    run(main)


def test_what_the_loop_has_received_comes_before_what_it_has_not(
    run: Run, connect: Connect
) -> None:
    async def main() -> None:
        stream, peer = await connect()
        peer.send(b"first ")
        await arrival(stream)
        peer.send(b"second ")
        block_until_something_came(stream)
        assert stream.read_nowait(4) == b"firs"
        assert stream.read_nowait(4) == b"t "
        assert stream.read_nowait(4) == b"seco"
        assert await stream.read(100) == b"nd "
        stream.abort()

    run(main)


def test_the_order_holds_where_receiving_is_paused(run: Run, connect: Connect) -> None:
    async def main() -> None:
        stream, peer = await connect()
        sent = bytes(range(256)) * 16 * 256
        sending = asyncio.create_task(asyncio.to_thread(peer.send, sent))
        received = b""
        while len(received) < len(sent):
            while stream._receiving is not PAUSED and len(received) < len(sent) - HIGH_WATER:
                await turn()
            # Without a turn of the loop: first what it has kept, and then what it has left.
            block_until_something_came(stream)
            while data := stream.read_nowait(10_000):
                received += data
            await turn()
        assert received == sent
        await sending
        stream.abort()

    run(main)


def test_an_end_that_the_loop_has_not_received_is_the_end(run: Run, connect: Connect) -> None:
    async def main() -> None:
        stream, peer = await connect()
        peer.socket.shutdown(socket.SHUT_WR)
        block_until_something_came(stream)
        assert stream.get_extra_info("is_readable") is True
        assert stream.read_nowait(100) == b""
        assert stream.read_nowait(100) == b""
        await turn(3)
        assert await stream.read(100) == b""
        await stream.write(b"still heard")
        assert peer.receive(11) == b"still heard"
        stream.abort()

    run(main)


def test_a_reset_that_the_loop_has_not_received_stays_one(run: Run, connect: Connect) -> None:
    async def main() -> None:
        stream, peer = await connect()
        peer.reset()
        block_until_something_came(stream)
        assert stream.get_extra_info("is_readable") is True
        for _ in range(2):
            with pytest.raises(ReadError, match="reset by peer"):
                stream.read_nowait(100)
        # The system has reported it: to the loop it looks like an end.
        await turn(3)
        with pytest.raises(ReadError, match="reset by peer"):
            await stream.read(100)
        with pytest.raises(WriteError, match="reset by peer"):
            await stream.write(b"too late")
        stream.abort()

    run(main)


def test_a_socket_that_only_seemed_ready_has_nothing(run: Run, connect: Connect) -> None:
    class Mistaken:
        def poll(self, timeout: float | None = None, /) -> list[tuple[int, int]]:
            return [(0, select.POLLIN)]

    async def main() -> None:
        stream, _ = await connect()
        stream._poller = Mistaken()
        assert stream.read_nowait(100) is None
        stream.abort()

    run(main)


def test_where_the_system_has_no_poll_only_the_loop_receives(
    run: Run, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        with monkeypatch.context() as patch:
            patch.delattr(select, "poll")
            stream, peer = await connect()
        peer.send(b"hello")
        block_until_something_came(stream)
        assert stream.read_nowait(100) is None
        assert stream.get_extra_info("is_readable") is False
        await arrival(stream)
        assert stream.read_nowait(100) == b"hello"
        stream.abort()

    run(main)


def test_a_read_of_nothing_is_refused(run: Run, connect: Connect) -> None:
    async def main() -> None:
        stream, _ = await connect()
        with pytest.raises(AssertionError):
            await stream.read(0)
        stream.abort()

    run(main)


# One at a time


def test_a_second_reader_is_refused(run: Run, connect: Connect) -> None:
    async def main() -> None:
        stream, peer = await connect()
        reading = read_soon(stream, 100)
        await turn()
        with pytest.raises(RuntimeError, match="already reading"):
            await stream.read(100)
        peer.send(b"data")
        assert await reading == b"data"
        stream.abort()

    run(main)


def test_a_second_writer_is_refused(run: Run, connect: Connect) -> None:
    async def main() -> None:
        stream, _ = await connect()
        writing = asyncio.create_task(stream.write(MORE_THAN_THE_SYSTEM_TAKES))
        await turn()
        with pytest.raises(RuntimeError, match="already writing"):
            await stream.write(b"more")
        stream.abort()
        with pytest.raises(WriteError):
            await writing

    run(main)


# Cancellation


def test_a_cancelled_read_leaves_the_stream_as_it_was(run: Run, connect: Connect) -> None:
    async def main() -> None:
        stream, peer = await connect()
        reading = read_soon(stream, 100)
        await turn()
        reading.cancel()
        peer.send(b"data")
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert await stream.read(100) == b"data"
        stream.abort()

    run(main)


def test_bytes_that_come_between_the_cancellation_and_the_end_of_a_read_are_kept(
    run: Run, connect: Connect
) -> None:
    async def main() -> None:
        stream, _ = await connect()
        reading = read_soon(stream, 100)
        await turn()
        reading.cancel()
        feed(stream, b"data")
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert await stream.read(100) == b"data"
        stream.abort()

    run(main)


def test_bytes_that_a_cancelled_read_had_already_been_given_are_put_back_in_front(
    run: Run, connect: Connect
) -> None:
    async def main() -> None:
        stream, _ = await connect()
        reading = read_soon(stream, 100)
        await turn()
        feed(stream, b"first ")
        feed(stream, b"second")
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert await stream.read(100) == b"first second"
        stream.abort()

    run(main)


def test_what_came_along_with_the_bytes_of_a_cancelled_read_stays_behind_them(
    run: Run, connect: Connect
) -> None:
    async def main() -> None:
        stream, _ = await connect()
        reading = read_soon(stream, 3)
        await turn()
        feed(stream, b"0123456789")
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert await stream.read(100) == b"0123456789"
        stream.abort()

    run(main)


def test_a_read_that_is_cancelled_as_the_stream_ends_leaves_the_end_to_the_next(
    run: Run, connect: Connect
) -> None:
    async def main() -> None:
        stream, _ = await connect()
        reading = read_soon(stream, 100)
        await turn()
        stream.eof_received()
        reading.cancel()
        stream.eof_received()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert await stream.read(100) == b""
        stream.abort()

    run(main)


def test_a_second_reader_is_refused_until_the_first_has_its_bytes(
    run: Run, connect: Connect
) -> None:
    async def main() -> None:
        stream, _ = await connect()
        reading = read_soon(stream, 100)
        await turn()
        feed(stream, b"first")
        feed(stream, b"second")
        with pytest.raises(RuntimeError, match="already reading"):
            await stream.read(100)
        assert await reading == b"first"
        assert await stream.read(100) == b"second"
        stream.abort()

    run(main)


def test_a_cancelled_write_leaves_no_timer_and_its_bytes_in_the_transport(
    run: Run, connect: Connect
) -> None:
    async def main() -> None:
        stream, _ = await connect()
        writing = asyncio.create_task(stream.write(MORE_THAN_THE_SYSTEM_TAKES, 30.0))
        await turn()
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        assert stream._transport.get_write_buffer_size() > 0
        stream.abort()

    run(main)


def feed(stream: AsyncIOStream, data: bytes) -> None:
    """Do what the transport does when `data` comes in, at a moment of the test's choice."""
    stream.get_buffer(-1)[: len(data)] = data
    stream.buffer_updated(len(data))


# Deadlines


def test_reads_share_one_timer(connect: Connect) -> None:
    async def main() -> None:
        stream, peer = await connect()
        for _ in range(100):
            reading = read_soon(stream, 100, 5.0)
            await turn()
            peer.send(b"data")
            assert await reading == b"data"
        assert len(loop.timers) == 1
        stream.abort()
        assert loop.armed == []

    loop = ClockedLoop()
    run_on(lambda: loop, main)


def test_the_timer_moves_to_a_later_deadline_only_when_it_fires(connect: Connect) -> None:
    async def main() -> None:
        stream, _ = await connect()
        first = read_soon(stream, 100, 5.0)
        await turn()
        first.cancel()
        await turn(2)
        loop.ahead += 3
        second = read_soon(stream, 100, 5.0)
        await turn()
        assert len(loop.timers) == 1
        loop.ahead += 3
        while len(loop.timers) == 1:
            await turn()
        assert not second.done()
        loop.ahead += 3
        with pytest.raises(ReadTimeout):
            await second
        assert len(loop.timers) == 2
        stream.abort()

    loop = ClockedLoop()
    run_on(lambda: loop, main)


def test_a_nearer_deadline_moves_the_timer_at_once(connect: Connect) -> None:
    async def main() -> None:
        stream, _ = await connect()
        reading = read_soon(stream, 100, 50.0)
        await turn()
        reading.cancel()
        await turn(2)
        with pytest.raises(ReadTimeout, match=r"No data within 0\.0 seconds"):
            await stream.read(100, 0.0)
        assert [timer.cancelled() for timer in loop.timers] == [True, False]
        stream.abort()

    loop = ClockedLoop()
    run_on(lambda: loop, main)


@pytest.mark.parametrize("reads", [False, True])
def test_an_idle_connection_and_a_read_without_deadline_lose_the_timer_when_it_fires(
    connect: Connect, reads: bool
) -> None:
    async def main() -> None:
        stream, peer = await connect()
        reading = read_soon(stream, 100, 5.0)
        await turn()
        peer.send(b"data")
        assert await reading == b"data"
        if reads:
            reading = read_soon(stream, 100)
        await turn()
        loop.ahead += 6
        while stream._timer is not None:
            await turn()
        assert loop.armed == []
        if reads:
            assert not reading.done()
            peer.send(b"data")
            assert await reading == b"data"
        stream.abort()

    loop = ClockedLoop()
    run_on(lambda: loop, main)


def test_a_timed_out_read_loses_no_byte(run: Run, connect: Connect) -> None:
    async def main() -> None:
        stream, peer = await connect()
        with pytest.raises(ReadTimeout):
            await stream.read(100, 0.001)
        peer.send(b"data")
        assert await stream.read(100, 5.0) == b"data"
        stream.abort()

    run(main)


def test_bytes_that_come_together_with_the_timeout_are_returned(connect: Connect) -> None:
    async def main() -> None:
        stream, _ = await connect()
        reading = read_soon(stream, 100, 5.0)
        await turn()
        loop.ahead += 6
        stream._on_timer()
        feed(stream, b"data")
        stream._on_timer()
        assert await reading == b"data"
        stream.abort()

    loop = ClockedLoop()
    run_on(lambda: loop, main)


def test_a_write_that_the_system_does_not_take_times_out(run: Run, connect: Connect) -> None:
    async def main() -> None:
        stream, _ = await connect()
        with pytest.raises(WriteTimeout, match=r"0\.001 seconds"):
            await stream.write(MORE_THAN_THE_SYSTEM_TAKES, 0.001)
        stream.abort()

    run(main)


@pytest.mark.parametrize("timeout", [None, 10.0])
def test_a_write_returns_when_the_system_has_taken_all(
    run: Run, connect: Connect, timeout: float | None
) -> None:
    async def main() -> None:
        stream, peer = await connect()
        size = len(MORE_THAN_THE_SYSTEM_TAKES)
        receiving = asyncio.create_task(asyncio.to_thread(peer.receive, size))
        await stream.write(MORE_THAN_THE_SYSTEM_TAKES, timeout)
        assert stream._transport.get_write_buffer_size() == 0
        assert len(await receiving) == size
        stream.abort()

    run(main)


def test_a_write_that_the_peer_takes_while_bytes_arrive_goes_on(run: Run, connect: Connect) -> None:
    async def main() -> None:
        stream, peer = await connect()
        writing = asyncio.create_task(stream.write(MORE_THAN_THE_SYSTEM_TAKES, 10.0))
        await turn()
        peer.send(b"early")
        assert await stream.read(100) == b"early"
        assert not writing.done()
        await asyncio.to_thread(peer.receive, len(MORE_THAN_THE_SYSTEM_TAKES))
        await writing
        stream.abort()

    run(main)


# The end


def test_bytes_before_the_end_come_first_and_then_the_end_for_ever(
    run: Run, connect: Connect
) -> None:
    async def main() -> None:
        stream, peer = await connect()
        peer.send(b"last words")
        peer.socket.shutdown(socket.SHUT_WR)
        assert await stream.read(100) == b"last words"
        assert await stream.read(100) == b""
        assert await stream.read(100) == b""
        assert stream.read_nowait(100) == b""
        await stream.write(b"still heard")
        assert peer.receive(11) == b"still heard"
        stream.abort()

    run(main)


def test_a_reset_is_a_read_error_and_a_write_error_with_its_cause(
    run: Run, connect: Connect
) -> None:
    async def main() -> None:
        stream, peer = await connect()
        reading = read_soon(stream, 100)
        await turn()
        peer.reset()
        with pytest.raises(ReadError, match="reset by peer") as read_error:
            await reading
        assert isinstance(read_error.value.__cause__, ConnectionResetError)
        with pytest.raises(ReadError, match="reset by peer"):
            await stream.read(100)
        with pytest.raises(ReadError, match="reset by peer"):
            stream.read_nowait(100)
        with pytest.raises(WriteError, match="reset by peer") as write_error:
            await stream.write(b"too late")
        assert isinstance(write_error.value.__cause__, ConnectionResetError)
        stream.abort()

    run(main)


def test_writing_again_and_again_to_a_lost_connection_logs_nothing(
    run: Run, connect: Connect
) -> None:
    async def main() -> None:
        stream, peer = await connect()
        peer.reset()
        for _ in range(10):
            with pytest.raises(WriteError) as error:
                await stream.write(b"too late")
            assert isinstance(error.value.__cause__, OSError)
        stream.abort()

    run(main)


def test_an_answer_that_came_before_the_write_failed_can_still_be_read(
    run: Run, connect: Connect
) -> None:
    async def main() -> None:
        stream, peer = await connect()
        await stream.write(b"never received, so that closing resets")
        peer.send(b"too large")
        peer.close()
        with pytest.raises(WriteError):
            await stream.write(b"more")
        assert await stream.read(100) == b"too large"
        with pytest.raises(ReadError):
            await stream.read(100)
        stream.abort()

    run(main)


def test_a_write_under_way_fails_when_the_connection_is_reset(run: Run, connect: Connect) -> None:
    async def main() -> None:
        stream, peer = await connect()
        writing = asyncio.create_task(stream.write(MORE_THAN_THE_SYSTEM_TAKES))
        await turn()
        peer.reset()
        with pytest.raises(WriteError) as error:
            await writing
        assert isinstance(error.value.__cause__, OSError)
        stream.abort()

    run(main)


def test_a_transport_that_closes_without_a_word_is_an_end(run: Run, connect: Connect) -> None:
    async def main() -> None:
        stream, _ = await connect()
        stream._transport.abort()
        assert await stream.read(100) == b""
        with pytest.raises(WriteError, match="closed"):
            await stream.write(b"data")
        stream.abort()

    run(main)


def test_a_write_that_finds_the_peers_end_and_a_reset_leaves_the_end_to_be_read(
    run: Run, connect: Connect
) -> None:
    async def main() -> None:
        stream, peer = await connect()
        await stream.write(b"never received")
        peer.socket.shutdown(socket.SHUT_WR)
        block_until_something_came(stream)
        peer.reset()
        with pytest.raises(WriteError):
            await stream.write(b"more")
        assert await stream.read(100) == b""
        stream.abort()

    run(main)


def test_a_peer_that_resets_after_its_end_is_still_a_clean_end(run: Run, connect: Connect) -> None:
    async def main() -> None:
        stream, _ = await connect()
        stream.eof_received()
        stream._transport.abort()
        stream.connection_lost(ConnectionResetError(errno.ECONNRESET, "reset"))
        assert await stream.read(100) == b""
        stream.abort()

    run(main)


def test_a_broken_connection_is_seen_before_the_transport_tells_of_it(
    run: Run, connect: Connect
) -> None:
    async def main() -> None:
        stream, _ = await connect()
        assert stream.read_nowait(100) is None
        stream._transport.abort()
        with pytest.raises(ReadError, match="connection broke"):
            stream.read_nowait(100)
        assert stream.get_extra_info("is_readable") is True
        stream.abort()

    run(main)


def test_a_connection_that_breaks_with_nothing_left_to_read_is_an_error(
    run: Run, connect: Connect
) -> None:
    async def main() -> None:
        stream, _ = await connect()
        stream.connection_lost(TimeoutError(errno.ETIMEDOUT, "Connection timed out"))
        with pytest.raises(ReadError, match="timed out"):
            await stream.read(100)
        # The transport has reported its loss, and may not do so again.
        stream._transport.set_protocol(asyncio.Protocol())
        stream._transport.abort()

    run(main)


# Aborting


def test_aborting_fails_a_read_and_a_write_under_way(run: Run, connect: Connect) -> None:
    async def main() -> None:
        stream, _ = await connect()
        reading = read_soon(stream, 100, 30.0)
        writing = asyncio.create_task(stream.write(MORE_THAN_THE_SYSTEM_TAKES, 30.0))
        await turn()
        stream.abort()
        stream.abort()
        with pytest.raises(ReadError, match="closed on this side"):
            await reading
        with pytest.raises(WriteError, match="closed on this side"):
            await writing
        with pytest.raises(ReadError, match="closed on this side"):
            await stream.read(100)
        with pytest.raises(WriteError, match="closed on this side"):
            await stream.write(b"data")

    run(main)


def test_a_stream_that_is_forgotten_is_closed_in_its_loop_whatever_thread_finds_it(
    run: Run, connect: Connect
) -> None:
    async def main() -> None:
        stream, peer = await connect()
        sock = stream.get_extra_info("socket")
        closers: list[threading.Thread] = []
        close_transport = stream._close_transport

        def close() -> None:
            closers.append(threading.current_thread())
            close_transport()

        stream._close_transport = close  # type: ignore[method-assign]
        thread = threading.Thread(target=stream.abort)
        thread.start()
        thread.join()
        with pytest.raises(ReadError, match="closed on this side"):
            await stream.read(100)
        while not closers:
            await turn()
        await turn(3)
        assert closers == [threading.current_thread()]
        assert sock.fileno() == -1
        assert peer.receive(1) == b""

    run(main)


def test_aborting_closes_the_socket(run: Run, connect: Connect) -> None:
    async def main() -> None:
        stream, peer = await connect()
        stream.abort()
        await turn(3)
        assert peer.receive(1) == b""
        assert stream.get_extra_info("socket").fileno() == -1

    run(main)


def test_bytes_written_just_before_aborting_are_sent(run: Run, connect: Connect) -> None:
    async def main() -> None:
        stream, peer = await connect()
        await stream.write(b"close_notify")
        stream.abort()
        await turn(3)
        assert peer.receive(100) == b"close_notify"

    run(main)


def test_bytes_that_leave_while_aborting_are_sent(run: Run, connect: Connect) -> None:
    async def main() -> None:
        stream, peer = await connect()
        size = 0
        while taken := stream.write_nowait(bytes(65536)):
            size += taken
        kept = stream._transport.get_write_buffer_size()
        # Now there is room; the loop finds out in the same iteration in which the stream is aborted, right after it.
        peer.receive(size - kept)
        asyncio.get_running_loop().call_soon(stream.abort)
        await turn(3)
        assert len(peer.receive(kept)) == kept

    run(main)


def test_bytes_that_were_kept_are_gone_after_aborting(run: Run, connect: Connect) -> None:
    async def main() -> None:
        stream, peer = await connect()
        peer.send(b"data")
        await arrival(stream)
        stream.abort()
        with pytest.raises(ReadError):
            stream.read_nowait(100)
        with pytest.raises(ReadError):
            await stream.read(100)

    run(main)


def test_a_reset_connection_can_be_aborted(run: Run, connect: Connect) -> None:
    async def main() -> None:
        stream, peer = await connect()
        peer.reset()
        await arrival(stream)
        stream.abort()
        with pytest.raises(WriteError, match="closed on this side"):
            await stream.write(b"data")

    run(main)


# Watching


def send_data(peer: Peer) -> None:
    peer.send(b"data")


@pytest.mark.parametrize("event", [send_data, Peer.close, Peer.reset])
def test_the_watcher_is_called_once_for_bytes_an_end_or_an_error(
    run: Run, connect: Connect, event: Callable[[Peer], None]
) -> None:
    async def main() -> None:
        calls: list[bool] = []
        stream, peer = await connect()
        assert stream.get_extra_info("is_readable") is False
        seen = asyncio.Event()

        def watcher() -> None:
            calls.append(stream.get_extra_info("is_readable"))
            seen.set()

        stream.watch(watcher)
        event(peer)
        await seen.wait()
        await turn(5)
        stream.abort()
        await turn(5)
        assert calls == [True]

    run(main)


def test_a_watcher_is_not_called_for_a_waiting_read_nor_after_it_was_removed(
    run: Run, connect: Connect
) -> None:
    async def main() -> None:
        calls: list[str] = []
        stream, peer = await connect()
        stream.watch(lambda: calls.append("called"))
        reading = read_soon(stream, 100)
        await turn()
        peer.send(b"data")
        assert await reading == b"data"
        stream.watch(None)
        peer.send(b"data")
        assert await stream.read(100) == b"data"
        stream.watch(lambda: calls.append("called"))
        stream.abort()
        await turn(3)
        assert calls == []

    run(main)


# What is known


def test_a_stream_knows_its_addresses_while_it_is_open(
    run: Run, connect: Connect, listener: socket.socket
) -> None:
    async def main() -> None:
        stream, peer = await connect()
        assert stream.get_extra_info("server_addr") == listener.getsockname()
        assert stream.get_extra_info("client_addr") == peer.socket.getpeername()
        assert stream.get_extra_info("ssl_object") is None
        assert stream.get_extra_info("no such thing") is None
        assert isinstance(stream.get_extra_info("socket"), socket.socket)
        assert stream.runtime is RUNTIME
        assert stream.runtime is AsyncIOBackend().runtime
        stream.abort()
        await turn(3)
        assert stream.get_extra_info("server_addr") is None
        assert stream.get_extra_info("client_addr") is None

    run(main)
