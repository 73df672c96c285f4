"""What is special to a stream over a non-blocking socket: trying first, fairness, closing at once, forks."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from httpcore2_core._exceptions import ReadError, ReadTimeout, WriteError, WriteTimeout
from httpcore2_core._net.readiness import ReadinessRuntime
from httpcore2_core._net.socket_stream import EAGER_CALLS

from .conftest import Loop, Pair

MORE_THAN_THE_SYSTEM_TAKES = bytes(16 * 1024 * 1024)
CLOSED_HERE = "The connection was closed on this side."


async def drain(peer: socket.socket, count: int) -> None:
    """Receive `count` bytes while other tasks run."""
    while count:
        await anyio.wait_readable(peer)
        count -= len(peer.recv(1 << 20))


@contextmanager
def no_waiting(monkeypatch: pytest.MonkeyPatch, loop: Loop) -> Iterator[None]:
    """Fail if the runtime is asked for anything: to wait, for the time, or for a checkpoint."""

    def refuse(*_: Any) -> None:
        raise AssertionError("the fast path asked for something")

    with monkeypatch.context() as patch:
        for name in ("now", "wait_readable", "wait_writable", "checkpoint", "cancel_scope"):
            patch.setattr(type(loop.backend.runtime), name, refuse)
        yield


# Reading


def test_bytes_that_are_there_are_read_without_clock_wait_or_scope(
    loop: Loop, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> bytes:
        pair.peer.send(b"hello")
        with no_waiting(monkeypatch, loop):
            return await pair.stream.read(100, timeout=5)

    assert loop.run(main) == b"hello"


@pytest.mark.parametrize("timeout", [None, 10])
def test_a_read_waits_for_bytes(loop: Loop, pair: Pair, timeout: float | None) -> None:
    async def main() -> bytes:
        received = []
        async with anyio.create_task_group() as tasks:

            async def read() -> None:
                received.append(await pair.stream.read(3, timeout))

            tasks.start_soon(read)
            await anyio.wait_all_tasks_blocked()
            pair.peer.send(b"hello")
        return received[0]

    assert loop.run(main) == b"hel"


def test_a_read_at_the_end_returns_nothing(loop: Loop, pair: Pair) -> None:
    pair.peer.shutdown(socket.SHUT_WR)
    assert loop.run(lambda: pair.stream.read(10)) == b""


def test_a_read_that_gets_nothing_in_time_says_so(loop: Loop, pair: Pair) -> None:
    with pytest.raises(ReadTimeout, match=r"^No data within 0\.001 seconds \(read timeout\)\.$"):
        loop.run(lambda: pair.stream.read(10, timeout=0.001))


def test_a_read_without_time_takes_what_is_there_and_no_more(loop: Loop, pair: Pair) -> None:
    async def main() -> bytes:
        pair.peer.send(b"hello")
        data = await pair.stream.read(10, timeout=0)
        with pytest.raises(ReadTimeout):
            await pair.stream.read(10, timeout=0)
        return data

    assert loop.run(main) == b"hello"


def test_a_read_from_a_broken_connection_says_why(loop: Loop, listener: socket.socket) -> None:
    async def main() -> None:
        stream = await loop.backend.connect_tcp(*listener.getsockname())
        peer, _ = listener.accept()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        peer.close()
        try:
            with pytest.raises(ReadError, match="Connection reset by peer") as caught:
                await stream.read(10)
            assert isinstance(caught.value.__cause__, ConnectionResetError)
        finally:
            stream.abort()

    loop.run(main)


def test_a_cancelled_read_takes_nothing(loop: Loop, pair: Pair) -> None:
    async def main() -> bytes:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(pair.stream.read, 10)
                await anyio.wait_all_tasks_blocked()
                pair.peer.send(b"kept")
                scope.cancel()
        return await pair.stream.read(10)

    assert loop.run(main) == b"kept"


def test_a_second_reader_is_told_that_there_is_one(loop: Loop, pair: Pair) -> None:
    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(pair.stream.read, 10)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(RuntimeError, match="Another task is already waiting"):
                await pair.stream.read(10)
            pair.peer.send(b"x")

    loop.run(main)


@pytest.mark.parametrize(
    ("arrange", "expected"),
    [
        (lambda pair: None, None),
        (lambda pair: pair.peer.send(b"hello"), b"hel"),
        (lambda pair: pair.peer.close(), b""),
    ],
    ids=["nothing", "bytes", "end"],
)
def test_what_is_there_can_be_read_without_waiting(
    loop: Loop, pair: Pair, arrange: Any, expected: bytes | None
) -> None:
    async def main() -> None:
        arrange(pair)
        assert pair.stream.get_extra_info("is_readable") is (expected is not None)
        assert pair.stream.read_nowait(3) == expected

    loop.run(main)


# Writing


def test_bytes_that_the_system_takes_are_written_without_clock_wait_or_scope(
    loop: Loop, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        with no_waiting(monkeypatch, loop):
            await pair.stream.write(b"hello", timeout=5)
            await pair.stream.write(b"", timeout=5)

    loop.run(main)
    assert pair.peer.recv(10) == b"hello"


@pytest.mark.parametrize("timeout", [None, 10])
def test_a_write_returns_when_all_was_taken(loop: Loop, pair: Pair, timeout: float | None) -> None:
    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(drain, pair.peer, len(MORE_THAN_THE_SYSTEM_TAKES))
            await pair.stream.write(MORE_THAN_THE_SYSTEM_TAKES, timeout)

    loop.run(main)


def test_a_write_that_is_not_taken_in_time_says_so(loop: Loop, pair: Pair) -> None:
    async def main() -> None:
        with pytest.raises(
            WriteTimeout, match=r"^The peer did not accept all data within 0\.01 seconds"
        ):
            await pair.stream.write(MORE_THAN_THE_SYSTEM_TAKES, timeout=0.01)
        with pytest.raises(WriteTimeout):
            await pair.stream.write(b"x", timeout=0)

    loop.run(main)


def test_the_time_for_a_write_is_that_of_the_whole_buffer(
    loop: Loop, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    deadlines = []
    runtime_type = type(loop.backend.runtime)
    wait_writable = runtime_type.wait_writable

    async def record(
        runtime: ReadinessRuntime, sock: socket.socket, deadline: float | None
    ) -> bool:
        deadlines.append(deadline)
        return await wait_writable(runtime, sock, deadline)

    monkeypatch.setattr(runtime_type, "wait_writable", record)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(drain, pair.peer, len(MORE_THAN_THE_SYSTEM_TAKES))
            await pair.stream.write(MORE_THAN_THE_SYSTEM_TAKES, timeout=10)

    loop.run(main)
    assert len(deadlines) > 1
    assert len(set(deadlines)) == 1


def test_a_write_to_a_broken_connection_says_why(loop: Loop, pair: Pair) -> None:
    async def main() -> None:
        pair.peer.close()
        with pytest.raises(WriteError, match="Broken pipe") as caught:
            await pair.stream.write(b"hello")
        assert isinstance(caught.value.__cause__, BrokenPipeError)

    loop.run(main)


# Breaking


def reset(pair: Pair) -> None:
    """Reset a connection of which the peer has read nothing."""
    pair.stream.write_nowait(b"unread")
    pair.peer.close()


def test_a_reset_is_reported_for_good_though_the_system_reports_it_once(
    loop: Loop, pair: Pair
) -> None:
    async def main() -> None:
        reset(pair)
        for _ in range(2):
            with pytest.raises(ReadError, match="reset by peer"):
                pair.stream.read_nowait(10)
            with pytest.raises(ReadError, match="reset by peer"):
                await pair.stream.read(10)

    loop.run(main)


@pytest.mark.parametrize("has_poll", [True, False], ids=["poll", "no poll"])
def test_asking_whether_a_stream_is_readable_leaves_a_reset_to_be_read(
    loop: Loop, pair: Pair, monkeypatch: pytest.MonkeyPatch, has_poll: bool
) -> None:
    if not has_poll:
        monkeypatch.setattr(pair.stream, "_poller", None)

    async def main() -> None:
        reset(pair)
        assert pair.stream.get_extra_info("is_readable")
        with pytest.raises(ReadError, match="reset by peer"):
            await pair.stream.read(10)

    loop.run(main)


@pytest.mark.parametrize("has_poll", [True, False], ids=["poll", "no poll"])
def test_a_stream_is_readable_when_something_came(
    loop: Loop, pair: Pair, monkeypatch: pytest.MonkeyPatch, has_poll: bool
) -> None:
    if not has_poll:
        monkeypatch.setattr(pair.stream, "_poller", None)

    async def main() -> None:
        assert not pair.stream.get_extra_info("is_readable")
        pair.peer.send(b"hello")
        assert pair.stream.get_extra_info("is_readable")
        assert await pair.stream.read(10) == b"hello"

    loop.run(main)


def test_a_write_that_meets_the_peers_end_leaves_the_end_to_be_read(loop: Loop, pair: Pair) -> None:
    async def main() -> None:
        pair.peer.close()
        with pytest.raises(WriteError, match="Broken pipe"):
            await pair.stream.write(b"x")
        assert await pair.stream.read(10) == b""
        assert pair.stream.read_nowait(10) == b""

    loop.run(main)


# Fairness


@pytest.mark.parametrize("call", ["read", "write"])
def test_other_tasks_run_after_some_calls_that_needed_no_waiting(
    loop: Loop, pair: Pair, call: str
) -> None:
    async def main() -> list[int]:
        turns = [0]
        pair.peer.send(bytes(100))

        async def other() -> None:
            turns[0] += 1

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(other)
            calls = []
            for _ in range(2 * EAGER_CALLS + 1):
                await (pair.stream.read(1) if call == "read" else pair.stream.write(b"x"))
                calls.append(turns[0])
        return calls

    calls = loop.run(main)
    assert calls[EAGER_CALLS - 1] == 0
    # Trio shuffles the tasks of one turn, so the first checkpoint may come back before the other ran.
    assert calls[-1] == 1


@pytest.mark.parametrize("call", ["read", "write"])
def test_a_cancellation_is_seen_by_calls_that_need_no_waiting_and_loses_nothing(
    loop: Loop, pair: Pair, call: str
) -> None:
    async def main() -> int:
        done = 0
        pair.peer.send(bytes(100))
        with anyio.CancelScope() as scope:
            scope.cancel()
            while True:
                await (pair.stream.read(1) if call == "read" else pair.stream.write(b"x"))
                done += 1
        return done

    done = loop.run(main)
    assert done == EAGER_CALLS
    if call == "read":
        assert len(pair.stream.read_nowait(1000) or b"") == 100 - done
    else:
        assert len(pair.peer.recv(1000)) == done


@pytest.fixture
def checkpoints(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> list[ReadinessRuntime]:
    """One entry for each checkpoint that a stream has made."""
    made: list[ReadinessRuntime] = []

    async def record(runtime: ReadinessRuntime) -> None:
        made.append(runtime)

    monkeypatch.setattr(type(loop.backend.runtime), "checkpoint", record)
    return made


def test_a_call_that_waited_counts_as_fair(
    loop: Loop, pair: Pair, checkpoints: list[ReadinessRuntime]
) -> None:
    async def main() -> None:
        for _ in range(3):
            pair.peer.send(bytes(EAGER_CALLS - 1))
            for _ in range(EAGER_CALLS - 1):
                await pair.stream.read(1)
            with pytest.raises(ReadTimeout):
                await pair.stream.read(1, timeout=0)

    loop.run(main)
    assert checkpoints == []


# Answers


def test_an_answer_that_has_come_when_others_had_their_turn_needs_no_wait(
    loop: Loop, pair: Pair, checkpoints: list[ReadinessRuntime]
) -> None:
    async def main() -> None:
        for count in range(1, 2 * EAGER_CALLS):
            await pair.stream.write(b"?")
            pair.peer.send(b"!!")
            assert await pair.stream.read(1) == b"!"
            assert len(checkpoints) == count
            assert await pair.stream.read(1) == b"!", "the rest of the answer"
            assert len(checkpoints) == count

    loop.run(main)


def test_where_an_answer_was_late_the_next_are_waited_for_at_once(
    loop: Loop, pair: Pair, checkpoints: list[ReadinessRuntime]
) -> None:
    async def main() -> list[int]:
        counts = []
        for _ in range(EAGER_CALLS + 2):
            await pair.stream.write(b"?")
            with pytest.raises(ReadTimeout):
                await pair.stream.read(1, timeout=0)
            counts.append(len(checkpoints))
        return counts

    assert loop.run(main) == [1] * (EAGER_CALLS + 1) + [2]


# Closing


@pytest.mark.parametrize("timeout", [None, 10])
def test_closing_ends_a_read_and_a_write_that_wait(
    loop: Loop, pair: Pair, timeout: float | None
) -> None:
    async def main() -> None:
        async def read() -> None:
            with pytest.raises(ReadError, match=CLOSED_HERE):
                await pair.stream.read(10, timeout)

        async def write() -> None:
            with pytest.raises(WriteError, match=CLOSED_HERE):
                await pair.stream.write(MORE_THAN_THE_SYSTEM_TAKES, timeout)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            tasks.start_soon(write)
            await anyio.wait_all_tasks_blocked()
            pair.stream.abort()

    loop.run(main)


def test_closing_frees_the_descriptor_at_once_and_may_be_done_again(loop: Loop, pair: Pair) -> None:
    async def main() -> None:
        await pair.stream.aclose()
        assert pair.stream.get_extra_info("socket").fileno() == -1
        pair.stream.abort()

    loop.run(main)
    assert pair.peer.recv(1) == b""


def test_a_closed_stream_neither_reads_nor_writes(loop: Loop, pair: Pair) -> None:
    async def main() -> None:
        pair.stream.abort()
        assert pair.stream.get_extra_info("is_readable")
        with pytest.raises(ReadError, match=CLOSED_HERE):
            await pair.stream.read(10)
        with pytest.raises(ReadError, match=CLOSED_HERE):
            pair.stream.read_nowait(10)
        with pytest.raises(WriteError, match=CLOSED_HERE):
            await pair.stream.write(b"x")

    loop.run(main)


def test_a_stream_is_closed_where_no_event_loop_runs(loop: Loop, pair: Pair) -> None:
    async def main() -> None:
        with pytest.raises(ReadTimeout):
            await pair.stream.read(1, timeout=0)

    loop.run(main)
    pair.stream.abort()
    assert pair.peer.recv(1) == b""


def test_a_stream_of_an_ended_run_is_closed_in_the_next(loop: Loop, pair: Pair) -> None:
    async def first() -> None:
        with pytest.raises(ReadTimeout):
            await pair.stream.read(1, timeout=0)

    async def second() -> None:
        pair.stream.abort()

    loop.run(first)
    loop.run(second)
    assert pair.peer.recv(1) == b""


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_closes_its_descriptor_and_leaves_the_parents_wait_alone(
    loop: Loop, pair: Pair
) -> None:
    async def main() -> bytes:
        received = []

        async def read() -> None:
            received.append(await pair.stream.read(10))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await anyio.wait_all_tasks_blocked()
            child = os.fork()
            if child == 0:
                pair.stream.abort()
                os._exit(pair.stream.get_extra_info("socket").fileno() != -1)
            assert os.waitpid(child, 0)[1] == 0
            pair.peer.send(b"hello")
        return received[0]

    assert loop.run(main) == b"hello"


# What is known


def test_a_stream_knows_its_addresses_until_it_is_closed(
    loop: Loop, listener: socket.socket
) -> None:
    async def main() -> None:
        stream = await loop.backend.connect_tcp(*listener.getsockname())
        peer, address = listener.accept()
        peer.close()
        sock = stream.get_extra_info("socket")
        assert isinstance(sock, socket.socket)
        assert stream.get_extra_info("client_addr") == address == sock.getsockname()
        assert stream.get_extra_info("server_addr") == listener.getsockname()
        assert stream.get_extra_info("ssl_object") is None
        assert stream.runtime is loop.backend.runtime
        stream.abort()
        assert stream.get_extra_info("client_addr") is None
        assert stream.get_extra_info("server_addr") is None

    loop.run(main)
