"""What is special to trio: its clock, resolver and tasks, and code that runs where no trio does."""

from __future__ import annotations

import socket
import threading
from collections.abc import AsyncGenerator
from typing import Any

import pytest
import trio
import trio.testing

from httpcore2_core._exceptions import ConnectTimeout, ReadTimeout, WriteTimeout
from httpcore2_core._net.socket_stream import SocketStream
from httpcore2_trio import TrioBackend

RUNTIME = TrioBackend.runtime


def run(main: Any) -> Any:
    """Run `main` on a clock that jumps to the next deadline as soon as all tasks wait."""
    return trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


class Pair:
    def __init__(self) -> None:
        ours, self.peer = socket.socketpair()
        ours.setblocking(False)
        self.stream = SocketStream(ours, RUNTIME)

    def __enter__(self) -> Pair:
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.abort()
        self.peer.close()


def test_a_wait_without_a_timeout_enters_no_cancel_scope(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a cancel scope was made")

    async def main() -> None:
        with Pair() as pair:

            async def read() -> None:
                assert await pair.stream.read(10) == b"hello"

            async with trio.open_nursery() as nursery:
                nursery.start_soon(read)
                monkeypatch.setattr(trio, "CancelScope", refuse)
                await trio.testing.wait_all_tasks_blocked()
                pair.peer.send(b"hello")

    run(main)


def test_a_read_times_out_at_its_deadline() -> None:
    async def main() -> None:
        with Pair() as pair:
            start = trio.current_time()
            with pytest.raises(ReadTimeout):
                await pair.stream.read(10, timeout=30)
            assert trio.current_time() - start == 30

    run(main)


def test_a_write_times_out_at_its_deadline_though_part_of_it_was_taken() -> None:
    async def main() -> None:
        with Pair() as pair:
            start = trio.current_time()

            async def take_some() -> None:
                await trio.sleep(20)
                pair.peer.recv(1 << 20)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(take_some)
                with pytest.raises(WriteTimeout):
                    await pair.stream.write(bytes(1 << 24), timeout=30)
            assert trio.current_time() - start == 30

    run(main)


class Staggered(TrioBackend):
    """Notes when each address is tried; none ever answers."""

    def __init__(self) -> None:
        self.tried: list[float] = []

    async def _connect_address(self, *_: Any) -> socket.socket:
        self.tried.append(trio.current_time())
        await trio.sleep_forever()
        raise AssertionError


class Resolver(trio.abc.HostnameResolver):
    def __init__(self, *addresses: tuple[Any, ...]) -> None:
        self.addresses = addresses

    async def getaddrinfo(self, *_: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", address) for address in self.addresses]

    async def getnameinfo(self, *_: Any) -> Any:
        raise NotImplementedError


def test_addresses_are_tried_a_quarter_of_a_second_apart_until_the_deadline() -> None:
    async def main() -> None:
        trio.socket.set_custom_hostname_resolver(
            Resolver(("127.0.0.1", 1), ("127.0.0.1", 2), ("127.0.0.1", 3))
        )
        backend = Staggered()
        start = trio.current_time()
        with pytest.raises(ConnectTimeout):
            await backend.connect_tcp("www.example.com", 80, timeout=5)
        assert [time - start for time in backend.tried] == [0, 0.25, 0.5]
        assert trio.current_time() - start == 5

    run(main)


def test_names_are_resolved_by_the_resolver_of_the_run() -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            trio.socket.set_custom_hostname_resolver(Resolver(listener.getsockname()))
            stream = await TrioBackend().connect_tcp("www.example.com", 80)
            assert stream.get_extra_info("server_addr") == listener.getsockname()
            stream.abort()

    trio.run(main)


def wake_from_a_thread(waiter: Any) -> None:
    thread = threading.Thread(target=waiter.wake)
    thread.start()
    thread.join()


def test_a_waiter_is_woken_from_where_no_trio_runs() -> None:
    async def main() -> None:
        waiter = RUNTIME.create_waiter()
        async with trio.open_nursery() as nursery:

            async def wait() -> None:
                assert await waiter.wait(None)

            nursery.start_soon(wait)
            await trio.testing.wait_all_tasks_blocked()
            wake_from_a_thread(waiter)

    trio.run(main)


def test_such_a_wake_up_may_come_too_late() -> None:
    async def main() -> None:
        waiter = RUNTIME.create_waiter()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(waiter.wait, None)
            await trio.testing.wait_all_tasks_blocked()
            wake_from_a_thread(waiter)
            nursery.cancel_scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
        assert await waiter.wait(None)

    trio.run(main)


def test_waits_end_at_their_timeouts_in_any_order() -> None:
    async def main() -> None:
        ended: list[float] = []

        async def wait(timeout: float) -> None:
            began = trio.current_time()
            assert not await RUNTIME.create_waiter().wait(timeout)
            assert trio.current_time() - began == timeout
            ended.append(timeout)

        for timeouts in [(3.0, 1.0, 2.0), (1.0, 1.0, 5.0)]:
            async with trio.open_nursery() as nursery:
                for timeout in timeouts:
                    nursery.start_soon(wait, timeout)
        assert sorted(ended[:3]) == ended[:3] and sorted(ended[3:]) == ended[3:]

    run(main)


def test_waits_that_end_early_leave_no_task_once_their_timeout_has_passed() -> None:
    async def main() -> None:
        tasks = trio.lowlevel.current_statistics().tasks_living
        async with trio.open_nursery() as nursery:
            for _ in range(10):
                waiter = RUNTIME.create_waiter()
                nursery.start_soon(waiter.wait, 5.0)
                await trio.testing.wait_all_tasks_blocked()
                waiter.wake()
        assert trio.lowlevel.current_statistics().tasks_living == tasks + 1
        await trio.sleep(5.0)
        await trio.testing.wait_all_tasks_blocked()
        assert trio.lowlevel.current_statistics().tasks_living == tasks
        assert not await RUNTIME.create_waiter().wait(1.0)

    run(main)


def test_a_shielded_system_task_waits_until_its_timeout_after_the_end_of_the_main_task() -> None:
    outcomes: list[tuple[bool, float]] = []

    async def wait(timeout: float) -> None:
        woken = await RUNTIME.create_waiter().wait(timeout)
        outcomes.append((woken, trio.current_time()))

    async def linger() -> None:
        with trio.CancelScope(shield=True):
            await wait(2.0)
            await wait(3.0)

    async def main() -> None:
        trio.lowlevel.spawn_system_task(linger)
        await trio.testing.wait_all_tasks_blocked()

    run(main)  # its clock begins at 0
    assert outcomes == [(False, 2.0), (False, 5.0)]


def test_a_wait_that_begins_when_no_task_can_be_started_ends_at_its_timeout() -> None:
    outcomes: list[bool] = []

    async def generate() -> AsyncGenerator[None]:
        try:
            yield
        finally:
            with trio.CancelScope(shield=True):
                outcomes.append(await RUNTIME.create_waiter().wait(2.0))

    async def main() -> None:
        generator = generate()
        await anext(generator)
        kept.append(generator)  # the run finalises it, after the end of its system tasks

    kept: list[AsyncGenerator[None]] = []
    run(main)
    assert outcomes == [False]
