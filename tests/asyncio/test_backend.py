"""How the asyncio backend opens connections, and that it leaves nothing behind when it doesn't."""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from httpcore2_asyncio._backend import AsyncIOBackend
from httpcore2_asyncio._stream import AsyncIOStream
from httpcore2_core._exceptions import ConnectError, ConnectTimeout
from httpcore2_core._net import happy_eyeballs, socket_backend
from httpcore2_core._net.readiness import Address

from ..support.scripted_servers import refusing_port
from .conftest import Connect, Run, run_on

backend = AsyncIOBackend()

Resolve = Callable[..., None]
Call = Callable[[], Awaitable[AsyncIOStream]]


@pytest.fixture
def resolves_to(monkeypatch: pytest.MonkeyPatch) -> Resolve:
    """Make every name resolve to the given ports of the loopback interface."""

    def resolves_to(*ports: int) -> None:
        async def resolve(*_: Any) -> list[Address]:
            return [
                (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port)) for port in ports
            ]

        monkeypatch.setattr(AsyncIOBackend, "_resolve", resolve)

    return resolves_to


@pytest.fixture
def port(listener: socket.socket) -> int:
    port: int = listener.getsockname()[1]
    return port


@pytest.fixture
def refusing() -> Iterator[int]:
    """A port on which nobody listens."""
    with refusing_port() as port:
        yield port


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that leaves connections unanswered: its backlog is full."""
    with socket.socket() as listener, socket.socket() as filler:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        filler.connect(listener.getsockname())
        yield listener.getsockname()[1]


@pytest.fixture
def unix_listener(tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(0)
        listener.settimeout(10)
        yield listener, path


async def close(stream: AsyncIOStream) -> None:
    await stream.aclose()
    await asyncio.sleep(0)
    await asyncio.sleep(0)


# One address


def test_an_ip_address_needs_neither_a_thread_nor_a_task(run: Run, connect: Connect) -> None:
    async def main() -> None:
        threads = threading.active_count()
        tasks: list[object] = []
        loop = asyncio.get_running_loop()
        factory = loop.get_task_factory()
        loop.set_task_factory(lambda *args, **_: tasks.append(args))  # type: ignore[arg-type]
        stream, _ = await connect(timeout=10.0)
        loop.set_task_factory(factory)
        assert threading.active_count() == threads
        assert tasks == []
        await close(stream)

    run(main)


def test_a_name_is_resolved(run: Run, connect: Connect, port: int) -> None:
    async def main() -> None:
        await close(await backend.connect_tcp("localhost", port, timeout=10.0))

    run(main)


@pytest.mark.parametrize(
    ("host", "error"),
    [("not found", socket.gaierror(socket.EAI_NONAME, "no such name")), ("a" * 64, UnicodeError())],
)
def test_a_name_that_does_not_resolve_is_a_connect_error(
    run: Run, monkeypatch: pytest.MonkeyPatch, host: str, error: Exception
) -> None:
    def getaddrinfo(*_: Any, **__: Any) -> None:
        raise error

    async def main() -> None:
        with pytest.raises(ConnectError) as raised:
            await backend.connect_tcp(host, 80)
        assert isinstance(raised.value.__cause__, (socket.gaierror, UnicodeError))
        assert str(raised.value) == str(raised.value.__cause__)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", fails_with(error))
    run(main)


def fails_with(error: BaseException) -> Callable[..., Awaitable[Any]]:
    async def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


def test_a_refused_connection_is_a_connect_error_with_the_system_s_words(
    run: Run, refusing: int
) -> None:
    async def main() -> None:
        with pytest.raises(ConnectError) as raised:
            await backend.connect_tcp("127.0.0.1", refusing)
        assert isinstance(raised.value.__cause__, ConnectionRefusedError)
        assert str(raised.value) == str(raised.value.__cause__)

    run(main)


def test_no_answer_is_a_connect_timeout(run: Run, silent: int) -> None:
    async def main() -> None:
        with pytest.raises(ConnectTimeout, match=rf"127\.0\.0\.1:{silent} within 0\.01 seconds"):
            await backend.connect_tcp("127.0.0.1", silent, timeout=0.01)

    run(main)


def test_a_timeout_of_the_network_is_a_connect_error(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        with pytest.raises(ConnectError, match="timed out"):
            await backend.connect_tcp("127.0.0.1", 80, timeout=10.0)

    error = TimeoutError(errno.ETIMEDOUT, "Connection timed out")
    monkeypatch.setattr(AsyncIOBackend, "_connect_address", fails_with(error))
    run(main)


def test_a_loop_that_does_not_take_the_socket_leaves_it_closed(port: int) -> None:
    class Unwilling(asyncio.SelectorEventLoop):
        async def create_connection(self, *_: Any, **__: Any) -> Any:
            raise OSError(errno.ENOBUFS, "no room")

    async def main() -> None:
        with pytest.raises(ConnectError, match="no room"):
            await backend.connect_tcp("127.0.0.1", port)

    run_on(Unwilling, main)


def test_a_request_is_not_held_back_to_be_sent_with_more(run: Run, connect: Connect) -> None:
    async def main() -> None:
        stream, _ = await connect()
        sock = stream.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        await close(stream)

    run(main)


def test_socket_options_are_set(run: Run, connect: Connect) -> None:
    async def main() -> None:
        options = iter([(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)])
        stream, _ = await connect(socket_options=options)
        sock = stream.get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        await close(stream)

    run(main)


def test_a_socket_option_that_the_system_refuses_is_a_connect_error(run: Run, port: int) -> None:
    async def main() -> None:
        with pytest.raises(ConnectError):
            await backend.connect_tcp("127.0.0.1", port, socket_options=[(-1, -1, 1)])

    run(main)


def test_the_local_address_is_connected_from(run: Run, connect: Connect) -> None:
    async def main() -> None:
        stream, peer = await connect(local_address="127.0.0.2")
        assert peer.socket.getpeername()[0] == "127.0.0.2"
        await close(stream)

    run(main)


def test_the_local_address_selects_the_family(run: Run, port: int) -> None:
    async def main() -> None:
        with pytest.raises(ConnectError):
            await backend.connect_tcp("127.0.0.1", port, local_address="::1")

    run(main)


# Several addresses


def test_the_next_address_is_tried_as_soon_as_one_fails(
    run: Run, resolves_to: Resolve, monkeypatch: pytest.MonkeyPatch, refusing: int, port: int
) -> None:
    async def main() -> None:
        resolves_to(refusing, refusing, port)
        stream = await backend.connect_tcp("example.com", 80, timeout=10.0)
        assert stream.get_extra_info("server_addr")[1] == port
        await close(stream)

    monkeypatch.setattr(happy_eyeballs, "ATTEMPT_DELAY", 60.0)
    run(main)


def test_the_next_address_is_tried_when_one_gives_no_answer(
    run: Run, resolves_to: Resolve, monkeypatch: pytest.MonkeyPatch, silent: int, port: int
) -> None:
    async def main() -> None:
        resolves_to(silent, silent, port)
        stream = await backend.connect_tcp("example.com", 80, timeout=10.0)
        assert stream.get_extra_info("server_addr")[1] == port
        await close(stream)

    monkeypatch.setattr(happy_eyeballs, "ATTEMPT_DELAY", 0.0)
    run(main)


def test_when_all_addresses_fail_the_error_tells_of_all(
    run: Run, resolves_to: Resolve, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = iter([OSError(1, "first"), OSError(2, "second")])

    async def fail(*_: Any) -> None:
        raise next(errors)

    async def main() -> None:
        resolves_to(1, 2)
        with pytest.raises(ConnectError, match=r"first.*second") as raised:
            await backend.connect_tcp("example.com", 80)
        assert isinstance(raised.value.__cause__, OSError)

    monkeypatch.setattr(AsyncIOBackend, "_connect_address", fail)
    run(main)


def test_what_is_no_network_error_is_raised_as_it_is(
    run: Run, resolves_to: Resolve, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        resolves_to(1, 2)
        with pytest.raises(TypeError, match="a bug"):
            await backend.connect_tcp("example.com", 80)

    monkeypatch.setattr(AsyncIOBackend, "_connect_address", fails_with(TypeError("a bug")))
    run(main)


def test_no_answer_from_any_address_is_a_connect_timeout(
    run: Run, resolves_to: Resolve, monkeypatch: pytest.MonkeyPatch, silent: int, refusing: int
) -> None:
    async def main() -> None:
        resolves_to(silent, silent, refusing)
        with pytest.raises(ConnectTimeout):
            await backend.connect_tcp("example.com", 80, timeout=0.01)

    monkeypatch.setattr(happy_eyeballs, "ATTEMPT_DELAY", 0.0)
    run(main)


@pytest.mark.parametrize("cancellations", [0, 1, 3])
def test_of_two_that_answer_in_the_same_instant_one_is_closed(
    run: Run,
    resolves_to: Resolve,
    monkeypatch: pytest.MonkeyPatch,
    port: int,
    cancellations: int,
) -> None:
    sockets: list[socket.socket] = []

    async def main() -> None:
        both = asyncio.Event()

        async def open_at_once(*_: Any) -> socket.socket:
            sock = socket.create_connection(("127.0.0.1", port))
            sockets.append(sock)
            if len(sockets) == 2:
                both.set()
            try:
                await both.wait()
                if cancellations:
                    await asyncio.Event().wait()
            except asyncio.CancelledError:
                # Connected all the same, and late: the caller is cancelled again meanwhile.
                for _turn in range(10):
                    await asyncio.sleep(0)
            return sock

        monkeypatch.setattr(AsyncIOBackend, "_connect_address", open_at_once)
        resolves_to(1, 2)
        opening = asyncio.create_task(backend.connect_tcp("example.com", 80))
        if cancellations:
            await both.wait()
            for _ in range(cancellations):
                await asyncio.sleep(0)
                opening.cancel()
            with pytest.raises(asyncio.CancelledError):
                await opening
        else:
            await close(await opening)
        assert [sock.fileno() for sock in sockets] == [-1, -1]

    monkeypatch.setattr(happy_eyeballs, "ATTEMPT_DELAY", 0.0)
    run(main)


# Cancellation


def connecting_to_one_address(port: int, silent: int, resolves_to: Resolve, path: str) -> Call:
    return lambda: backend.connect_tcp("127.0.0.1", port, timeout=10.0)


def connecting_to_several(port: int, silent: int, resolves_to: Resolve, path: str) -> Call:
    resolves_to(silent, port)
    return lambda: backend.connect_tcp("example.com", 80, timeout=10.0)


def connecting_to_a_unix_socket(port: int, silent: int, resolves_to: Resolve, path: str) -> Call:
    return lambda: backend.connect_unix_socket(path, timeout=10.0)


@pytest.mark.parametrize("repeated", [False, True])
@pytest.mark.parametrize(
    "call", [connecting_to_one_address, connecting_to_several, connecting_to_a_unix_socket]
)
def test_a_cancellation_at_any_moment_leaves_no_socket_and_no_task(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    call: Callable[..., Call],
    repeated: bool,
    port: int,
    silent: int,
    resolves_to: Resolve,
    unix_listener: tuple[socket.socket, str],
) -> None:
    listener, path = unix_listener
    connect = call(port, silent, resolves_to, path)

    async def cancelled_after(turns: int) -> bool:
        task = asyncio.ensure_future(connect())
        for _ in range(turns):
            await asyncio.sleep(0)
        while not task.done():
            task.cancel()
            await asyncio.sleep(0)
            if not repeated:
                break
        try:
            stream = await task
        except asyncio.CancelledError:
            return True
        await close(stream)
        return False

    async def main() -> None:
        turns = 0
        while await cancelled_after(turns):
            turns += 1
            if call is connecting_to_a_unix_socket:
                accept_all(listener)
        assert turns > 1

    monkeypatch.setattr(happy_eyeballs, "ATTEMPT_DELAY", 0.0)
    run(main)


def accept_all(listener: socket.socket) -> None:
    listener.setblocking(False)
    while True:
        try:
            listener.accept()[0].close()
        except BlockingIOError:
            break


# Unix domain sockets


def test_a_unix_socket_is_connected_to(run: Run, unix_listener: tuple[socket.socket, str]) -> None:
    listener, path = unix_listener

    async def main() -> None:
        options = [(socket.SOL_SOCKET, socket.SO_SNDBUF, 40_000)]
        stream = await backend.connect_unix_socket(path, 10.0, options)
        peer, _ = listener.accept()
        with peer:
            await stream.write(b"ping")
            assert peer.recv(4) == b"ping"
            peer.sendall(b"pong")
            assert await stream.read(4) == b"pong"
        assert stream.get_extra_info("server_addr") == path
        sock = stream.get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 80_000
        await close(stream)

    run(main)


def test_a_full_unix_socket_is_waited_for(
    run: Run, unix_listener: tuple[socket.socket, str]
) -> None:
    listener, path = unix_listener

    async def main() -> None:
        first = await backend.connect_unix_socket(path)
        with pytest.raises(ConnectTimeout, match=r"socket within 0\.0 seconds"):
            await backend.connect_unix_socket(path, 0.0)
        second = asyncio.create_task(backend.connect_unix_socket(path, 10.0))
        await asyncio.sleep(0)
        assert not second.done()
        listener.accept()[0].close()
        await close(await second)
        await close(first)

    run(main)


def test_a_missing_unix_socket_is_a_connect_error(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        with pytest.raises(ConnectError, match="No such file") as raised:
            await backend.connect_unix_socket(str(tmp_path / "missing"))
        assert isinstance(raised.value.__cause__, FileNotFoundError)

    run(main)


def test_a_platform_without_unix_sockets_is_a_connect_error(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        with pytest.raises(ConnectError, match="no unix domain sockets"):
            await backend.connect_unix_socket("socket")

    monkeypatch.setattr(socket_backend, "socket", object())
    run(main)
