"""Connecting on event loops with nurseries: deadlines, options, Happy Eyeballs, no socket left behind."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import anyio
import pytest

from httpcore2_core._exceptions import ConnectError, ConnectTimeout
from httpcore2_core._net import happy_eyeballs, socket_backend
from httpcore2_core._net.readiness import Address, foremost
from httpcore2_core._net.socket_backend import ReadinessBackend

from ....support.scripted_servers import refusing_port
from .conftest import Loop, host_and_port


def address_of(sock: socket.socket) -> Address:
    return (socket.AF_INET, socket.SOCK_STREAM, 0, "", sock.getsockname())


@pytest.fixture
def silent() -> Iterator[Address]:
    """The address of a server that doesn't answer: its backlog is full."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        while True:
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(server.getsockname())
            if not select.select([], [client], [], 0.05)[1]:
                break
        yield address_of(server)


@pytest.fixture
def refusing() -> Iterator[Address]:
    """An address where nobody listens."""
    with refusing_port() as port:
        yield (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port))


def resolve_to(monkeypatch: pytest.MonkeyPatch, loop: Loop, *addresses: Address) -> None:
    async def resolve(*_: Any) -> Sequence[Address]:
        return addresses

    monkeypatch.setattr(type(loop.backend.runtime), "resolve", resolve)


# One address


def test_a_connection_sends_small_writes_at_once(loop: Loop, listener: socket.socket) -> None:
    async def main() -> None:
        stream = await loop.backend.connect_tcp(*listener.getsockname())
        sock = stream.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        stream.abort()

    loop.run(main)


def test_the_callers_options_are_set_over_ours(loop: Loop, listener: socket.socket) -> None:
    async def main() -> None:
        options = [
            (socket.IPPROTO_TCP, socket.TCP_NODELAY, 0),
            (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        ]
        stream = await loop.backend.connect_tcp(*host_and_port(listener), socket_options=options)
        sock = stream.get_extra_info("socket")
        assert not sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        stream.abort()

    loop.run(main)


def test_an_option_that_the_system_refuses_prevents_the_connection(
    loop: Loop, listener: socket.socket
) -> None:
    async def main() -> None:
        with pytest.raises(ConnectError, match="Protocol not available"):
            await loop.backend.connect_tcp(
                *host_and_port(listener), socket_options=[(socket.IPPROTO_TCP, 9999, 1)]
            )

    loop.run(main)
    listener.setblocking(False)
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_a_connection_comes_from_the_local_address(loop: Loop, listener: socket.socket) -> None:
    async def main() -> None:
        stream = await loop.backend.connect_tcp(*host_and_port(listener), local_address="127.0.0.2")
        assert stream.get_extra_info("client_addr")[0] == "127.0.0.2"
        stream.abort()

    loop.run(main)


def test_a_local_address_selects_the_family(loop: Loop, listener: socket.socket) -> None:
    async def main() -> None:
        with pytest.raises(ConnectError):
            await loop.backend.connect_tcp(*host_and_port(listener), local_address="::1")

    loop.run(main)


def test_a_name_is_resolved(loop: Loop, listener: socket.socket) -> None:
    async def main() -> None:
        _, port = listener.getsockname()
        stream = await loop.backend.connect_tcp("localhost", port, timeout=10)
        assert stream.get_extra_info("server_addr") == ("127.0.0.1", port)
        stream.abort()

    loop.run(main)


def test_what_can_not_be_a_name_is_an_error_of_connecting(loop: Loop) -> None:
    async def main() -> None:
        with pytest.raises(ConnectError) as caught:
            await loop.backend.connect_tcp("a" * 64 + "ü.example", 80)
        assert isinstance(caught.value.__cause__, UnicodeError)

    loop.run(main)


def test_a_refused_connection_says_so(loop: Loop, refusing: Address) -> None:
    async def main() -> None:
        with pytest.raises(ConnectError, match="Connection refused") as caught:
            await loop.backend.connect_tcp(*refusing[4])
        assert isinstance(caught.value.__cause__, ConnectionRefusedError)

    loop.run(main)


def test_a_connection_that_is_not_answered_in_time_says_so(loop: Loop, silent: Address) -> None:
    async def main() -> None:
        with pytest.raises(
            ConnectTimeout,
            match=r"^No connection to 127.0.0.1:\d+ within 0.01 seconds \(connect timeout\)\.$",
        ):
            await loop.backend.connect_tcp(silent[4][0], silent[4][1], timeout=0.01)

    loop.run(main)


def test_a_name_that_is_not_resolved_in_time_is_a_timeout_of_connecting(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def resolve(*_: Any) -> Sequence[Address]:
        await anyio.sleep_forever()
        raise AssertionError

    monkeypatch.setattr(type(loop.backend.runtime), "resolve", resolve)

    async def main() -> None:
        with pytest.raises(ConnectTimeout):
            await loop.backend.connect_tcp("www.example.com", 80, timeout=0.01)

    loop.run(main)


def test_a_cancelled_connection_leaves_no_socket(loop: Loop, silent: Address) -> None:
    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(loop.backend.connect_tcp, *silent[4])
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()

    loop.run(main)


def test_an_error_that_shows_only_after_waiting_is_told(
    loop: Loop, silent: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The system's own time for a connection is two minutes; this is what it would leave behind.
    class Timed(socket.socket):
        def getsockopt(self, *_: Any) -> Any:
            return 110

    async def wait_writable(*_: Any) -> bool:
        return True

    monkeypatch.setattr(socket, "socket", Timed)
    monkeypatch.setattr(type(loop.backend.runtime), "wait_writable", wait_writable)

    async def main() -> None:
        with pytest.raises(ConnectError, match="Connection timed out"):
            await loop.backend.connect_tcp(*silent[4])

    loop.run(main)


# Unix sockets


@pytest.fixture
def unix_listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "server"))
        listener.listen(0)
        listener.settimeout(10)
        yield listener


def test_a_unix_socket_is_connected(loop: Loop, unix_listener: socket.socket) -> None:
    async def main() -> None:
        stream = await loop.backend.connect_unix_socket(
            unix_listener.getsockname(),
            timeout=10,
            socket_options=[(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)],
        )
        peer, _ = unix_listener.accept()
        await stream.write(b"hello")
        assert peer.recv(10) == b"hello"
        peer.close()
        assert await stream.read(10) == b""
        stream.abort()

    loop.run(main)


def test_a_socket_that_connects_at_once_is_not_waited_for(
    loop: Loop, unix_listener: socket.socket
) -> None:
    # TCP over the loopback interface may do so, and a unix socket always does.
    path = unix_listener.getsockname()
    address = (socket.AF_UNIX, socket.SOCK_STREAM, 0, "", path)

    async def main() -> None:
        sock = await loop.backend._connect_address(address, None, ())
        assert sock.getpeername() == path
        sock.close()

    loop.run(main)


def test_a_unix_socket_that_is_not_there_is_an_error_of_connecting(
    loop: Loop, tmp_path: Path
) -> None:
    async def main() -> None:
        with pytest.raises(ConnectError, match="No such file or directory"):
            await loop.backend.connect_unix_socket(str(tmp_path / "none"))

    loop.run(main)


def test_a_full_backlog_of_a_unix_socket_is_waited_out(
    loop: Loop, unix_listener: socket.socket
) -> None:
    path = unix_listener.getsockname()

    async def main() -> None:
        first = await loop.backend.connect_unix_socket(path)
        with pytest.raises(ConnectTimeout, match=r"No connection to .*/server within 0.02 seconds"):
            await loop.backend.connect_unix_socket(path, timeout=0.02)
        second = []

        async def connect() -> None:
            second.append(await loop.backend.connect_unix_socket(path))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(connect)
            await anyio.wait_all_tasks_blocked()
            unix_listener.accept()[0].close()
        peer, _ = unix_listener.accept()
        await second[0].write(b"hello")
        assert peer.recv(10) == b"hello"
        peer.close()
        first.abort()
        second[0].abort()

    loop.run(main)


def test_a_platform_without_unix_sockets_says_so(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        with monkeypatch.context() as patch:
            patch.delattr(socket, "AF_UNIX")
            with pytest.raises(ConnectError, match="no unix domain sockets"):
                await loop.backend.connect_unix_socket("/server")

    loop.run(main)


# Happy Eyeballs


def test_the_next_address_is_tried_at_once_when_one_fails(
    loop: Loop, refusing: Address, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch, loop, refusing, address_of(listener))
    monkeypatch.setattr(happy_eyeballs, "ATTEMPT_DELAY", 1000)

    async def main() -> None:
        stream = await loop.backend.connect_tcp("www.example.com", 80, timeout=10)
        assert stream.get_extra_info("server_addr") == listener.getsockname()
        stream.abort()

    loop.run(main)


def test_the_next_address_is_tried_when_one_is_slow_and_the_loser_is_closed(
    loop: Loop, silent: Address, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch, loop, silent, address_of(listener))
    monkeypatch.setattr(happy_eyeballs, "ATTEMPT_DELAY", 0.01)

    async def main() -> None:
        stream = await loop.backend.connect_tcp("www.example.com", 80)
        assert stream.get_extra_info("server_addr") == listener.getsockname()
        stream.abort()

    loop.run(main)


def test_the_error_is_one_when_no_address_takes_the_connection(
    loop: Loop, refusing: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch, loop, refusing, refusing)

    async def main() -> None:
        with pytest.raises(ConnectError, match="Connection refused") as caught:
            await loop.backend.connect_tcp("www.example.com", 80)
        assert isinstance(caught.value.__cause__, ConnectionRefusedError)

    loop.run(main)


def test_the_deadline_is_that_of_all_addresses_together(
    loop: Loop, silent: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch, loop, silent, silent, silent)
    monkeypatch.setattr(happy_eyeballs, "ATTEMPT_DELAY", 0.01)

    async def main() -> None:
        with pytest.raises(ConnectTimeout):
            await loop.backend.connect_tcp("www.example.com", 80, timeout=0.05)

    loop.run(main)


def test_a_cancelled_race_leaves_no_socket(
    loop: Loop, silent: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch, loop, silent, silent)
    monkeypatch.setattr(happy_eyeballs, "ATTEMPT_DELAY", 0)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(loop.backend.connect_tcp, "www.example.com", 80)
            await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()

    loop.run(main)


def test_a_mistake_of_the_caller_comes_out_as_it_is(
    loop: Loop, refusing: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch, loop, refusing, refusing)

    async def main() -> None:
        options: Any = [("not", "an", "option")]
        with pytest.raises(TypeError):
            await loop.backend.connect_tcp("www.example.com", 80, socket_options=options)

    loop.run(main)


class Scripted:
    """Stands in for opening one socket: the addresses are numbers, and `release` opens all that wait."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, loop: Loop, count: int) -> None:
        addresses: Any = [(number,) for number in range(count)]
        resolve_to(monkeypatch, loop, *addresses)
        monkeypatch.setattr(socket_backend, "interleave", list)
        monkeypatch.setattr(happy_eyeballs, "ATTEMPT_DELAY", 0)
        monkeypatch.setattr(ReadinessBackend, "_connect_address", self.open)
        self.sockets: list[socket.socket] = []
        self.waiting = 0
        self.release = anyio.Event()

    async def open(self, address: tuple[int], *_: Any) -> socket.socket:
        self.waiting += 1
        # An attempt that has succeeded is not undone by a cancellation that comes too late.
        with anyio.CancelScope(shield=True):
            await self.release.wait()
        sock = socket.socket()
        self.sockets.append(sock)
        return sock


def test_of_two_that_answer_in_the_same_instant_one_is_closed(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        scripted = Scripted(monkeypatch, loop, 2)
        async with anyio.create_task_group() as tasks:

            async def connect() -> None:
                stream = await loop.backend.connect_tcp("www.example.com", 80)
                assert sum(sock.fileno() != -1 for sock in scripted.sockets) == 1
                stream.abort()

            tasks.start_soon(connect)
            while scripted.waiting < 2:
                await anyio.sleep(0)
            scripted.release.set()
        assert len(scripted.sockets) == 2

    loop.run(main)


def test_a_winner_of_a_cancelled_race_is_returned_or_closed(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        scripted = Scripted(monkeypatch, loop, 2)
        async with anyio.create_task_group() as tasks:

            async def connect() -> None:
                # Trio comes back with the connection, and delivers the cancellation later.
                stream = await loop.backend.connect_tcp("www.example.com", 80)
                stream.abort()

            tasks.start_soon(connect)
            while scripted.waiting < 2:
                await anyio.sleep(0)
            tasks.cancel_scope.cancel()
            scripted.release.set()
        assert [sock.fileno() for sock in scripted.sockets] == [-1, -1]

    loop.run(main)


def test_what_happened_goes_before_a_cancellation() -> None:
    class Cancelled(BaseException):
        pass

    error, cancelled, interrupt = OSError(), Cancelled(), KeyboardInterrupt()
    assert foremost([cancelled, error]) is error
    assert foremost([cancelled, interrupt, error]) is interrupt
    assert foremost([cancelled]) is cancelled
