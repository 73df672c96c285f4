"""Datagram streams over sockets, on all runtimes: which address is the peer's, errors of the system, closing."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

import httpcore2
from httpcore2_core._exceptions import ConnectError, ReadError, ReadTimeout
from httpcore2_core._net import datagram_socket
from httpcore2_core._net.datagram_socket import EAGER_BATCHES, SocketDatagramStream
from httpcore2_core._net.datagram_stream import MAX_BATCH
from httpcore2_core._net.network_adapters import (
    CallerBackend,
    adapt_async_backend,
    adapt_sync_backend,
)
from httpcore2_core._net.runtime_backend import RuntimeBackend
from httpcore2_core._net.socket_backend import SocketBackend
from httpcore2_core._net.sync_backend import THREADS
from httpcore2_core.testing import forbid_network, run_blocking

from ....support.runtimes import TestedAsyncRuntime, TestedRuntime
from ...conftest import in_child

pytestmark = pytest.mark.usefixtures("no_leaks")

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork()")


def socket_backend(runtime: TestedRuntime) -> SocketBackend[Any]:
    if not isinstance(runtime, TestedAsyncRuntime):
        return THREADS
    backend = runtime.backend()
    assert isinstance(backend, SocketBackend)
    return backend


def bound() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.settimeout(10)
    return sock


class Hosts:
    """Peers that a stream tries one after the other."""

    def __init__(self, count: int) -> None:
        self.sockets = [bound() for _ in range(count)]
        self.addresses = [sock.getsockname() for sock in self.sockets]

    def connected(self, number: int) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.connect(self.addresses[number])
        return sock

    def stream(self, runtime: TestedRuntime, count: int = 0) -> SocketDatagramStream:
        further = (self.connected(number) for number in range(1, count or len(self.sockets)))
        return socket_backend(runtime)._make_datagram_stream(self.connected(0), further)

    def answer(self, number: int, data: bytes) -> list[bytes]:
        """Receive what has come, and answer it."""
        sock = self.sockets[number]
        received, client = sock.recvfrom(100)
        sock.sendto(data, client)
        return [received]

    def close(self) -> None:
        for sock in self.sockets:
            sock.close()


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    hosts = Hosts(3)
    yield hosts
    hosts.close()


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datagram_socket, "ATTEMPT_DELAY", 0.01)
    monkeypatch.setattr(datagram_socket, "_POLL_INTERVAL", 0.002)


async def let_end(runtime: TestedRuntime, stream: SocketDatagramStream) -> None:
    stream.abort()
    if isinstance(runtime, TestedAsyncRuntime):
        await runtime.let_others_run()


# Which address is the peer's


def test_the_first_address_that_answers_is_the_peer(runtime: TestedRuntime, hosts: Hosts) -> None:
    async def main() -> None:
        stream = hosts.stream(runtime)
        assert stream.send([b"a"]) == 1
        hosts.answer(0, b"fine")
        assert await stream.receive(10) == [b"fine"]
        assert stream.get_extra_info("server_addr") == hosts.sockets[0].getsockname()
        assert stream.send([b"b"]) == 1
        assert hosts.sockets[0].recv(100) == b"b"
        await let_end(runtime, stream)

    runtime.run(main)


@pytest.mark.usefixtures("soon")
def test_a_silent_address_is_followed_by_the_next(runtime: TestedRuntime, hosts: Hosts) -> None:
    async def main() -> None:
        stream = hosts.stream(runtime)
        stream.send([b"a", b"b"])
        with pytest.raises(ReadTimeout):
            await stream.receive(0.1)
        # All have been tried, and the last one answers.
        assert [sock.recv(100) for sock in hosts.sockets[:2]] == [b"a", b"a"]
        hosts.answer(2, b"fine")
        assert await stream.receive(10) == [b"fine"]
        assert stream.get_extra_info("server_addr") == hosts.sockets[2].getsockname()
        await let_end(runtime, stream)

    runtime.run(main)


@pytest.mark.usefixtures("soon")
def test_an_earlier_address_may_still_answer(runtime: TestedRuntime, hosts: Hosts) -> None:
    async def main() -> None:
        stream = hosts.stream(runtime)
        stream.send([b"a"])
        with pytest.raises(ReadTimeout):
            await stream.receive(0.1)
        hosts.answer(0, b"late")
        assert await stream.receive(10) == [b"late"]
        assert stream.get_extra_info("server_addr") == hosts.sockets[0].getsockname()
        stream.send([b"b"])
        assert hosts.answer(0, b"fine") == [b"b"]
        assert await stream.receive(10) == [b"fine"]
        await let_end(runtime, stream)

    runtime.run(main)


def test_an_address_that_fails_is_followed_by_the_next_at_once(
    runtime: TestedRuntime, hosts: Hosts
) -> None:
    async def main() -> None:
        hosts.sockets[0].close()
        hosts.sockets[1].close()
        stream = hosts.stream(runtime)
        stream.send([b"a"])
        with pytest.raises(ReadTimeout):
            await stream.receive(0.05)
        hosts.answer(2, b"fine")
        assert await stream.receive(10) == [b"fine"]
        await let_end(runtime, stream)

    runtime.run(main)


def test_the_error_of_the_last_address_is_raised(runtime: TestedRuntime, hosts: Hosts) -> None:
    async def main() -> None:
        hosts.close()
        stream = hosts.stream(runtime)
        stream.send([b"a"])
        with pytest.raises(ReadError, match="refused"):
            await stream.receive(10)
        await let_end(runtime, stream)

    runtime.run(main)


@pytest.mark.usefixtures("soon")
def test_an_earlier_address_that_fails_leaves_the_others(
    runtime: TestedRuntime, hosts: Hosts
) -> None:
    async def main() -> None:
        stream = hosts.stream(runtime, 2)
        stream.send([b"a"])
        with pytest.raises(ReadTimeout):
            await stream.receive(0.1)
        # The system reports that nobody listens there when the next datagram is sent.
        hosts.sockets[0].close()
        stream._earlier[0].send(b"b")
        with pytest.raises(ReadTimeout):
            await stream.receive(0.05)
        assert stream._earlier == []
        hosts.answer(1, b"fine")
        assert await stream.receive(10) == [b"fine"]
        await let_end(runtime, stream)

    runtime.run(main)


@pytest.mark.usefixtures("soon")
def test_after_the_last_address_has_failed_an_earlier_one_may_answer(
    runtime: TestedRuntime, hosts: Hosts
) -> None:
    async def main() -> None:
        stream = hosts.stream(runtime, 2)
        stream.send([b"a"])
        with pytest.raises(ReadTimeout):
            await stream.receive(0.1)
        hosts.sockets[1].close()
        stream.send([b"b"])
        with pytest.raises(ReadTimeout):
            await stream.receive(0.05)
        hosts.answer(0, b"fine")
        assert await stream.receive(10) == [b"fine"]
        await let_end(runtime, stream)

    runtime.run(main)


def test_a_race_that_is_closed_closes_all_sockets(runtime: TestedRuntime, hosts: Hosts) -> None:
    async def main() -> None:
        stream = hosts.stream(runtime)
        stream.send([b"a"])
        assert stream._try_next()
        sockets = [*stream._earlier, stream._socket]
        await let_end(runtime, stream)
        assert [sock.fileno() for sock in sockets] == [-1, -1]
        with pytest.raises(ReadError, match="closed on this side"):
            stream.receive_nowait()
        assert stream.get_extra_info("server_addr") is None

    runtime.run(main)


def test_a_host_with_several_addresses_is_found(
    runtime: TestedRuntime, hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, port = hosts.sockets[0].getsockname()

    async def main() -> None:
        backend = socket_backend(runtime)

        async def resolve(*_: Any) -> Any:
            unreachable = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1%none", port, 0, 0))
            return [unreachable, (socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))]

        monkeypatch.setattr(backend, "_resolve", resolve)
        stream = await backend.connect_udp("www.example.com", port, 10)
        stream.send([b"a"])
        hosts.answer(0, b"fine")
        assert await stream.receive(10) == [b"fine"]
        assert isinstance(stream, SocketDatagramStream)
        await let_end(runtime, stream)

    runtime.run(main)


def test_a_host_without_a_route_is_an_error_of_connecting(
    runtime: TestedRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        backend = socket_backend(runtime)

        async def resolve(*_: Any) -> Any:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("255.255.255.255", 443))]

        monkeypatch.setattr(backend, "_resolve", resolve)
        with pytest.raises(ConnectError, match="ermission denied"):
            await backend.connect_udp("www.example.com", 443, 10)

    runtime.run(main)


# The system


class FailingSocket:
    """A socket whose `send` fails, once."""

    def __init__(self, sock: socket.socket, code: int) -> None:
        self.sock = sock
        self.code = code

    def send(self, data: bytes) -> int:
        code, self.code = self.code, 0
        if code:
            raise OSError(code, os.strerror(code))
        return self.sock.send(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sock, name)


@pytest.mark.parametrize(
    ("code", "accepted"), [(errno.EAGAIN, 0), (errno.ENOBUFS, 0), (errno.EMSGSIZE, 2)]
)
def test_what_the_system_has_no_room_for_is_left_and_what_is_too_large_is_lost(
    hosts: Hosts, code: int, accepted: int
) -> None:
    stream = THREADS._make_datagram_stream(hosts.connected(0), None)
    sock = stream._socket
    stream._socket = FailingSocket(sock, code)  # type: ignore[assignment]
    assert stream.send([b"a", b"b"]) == accepted
    stream._socket = sock
    assert stream.receive_nowait() == []
    stream.abort()


def test_an_error_of_sending_is_raised(runtime: TestedRuntime, hosts: Hosts) -> None:
    async def main() -> None:
        stream = socket_backend(runtime)._make_datagram_stream(hosts.connected(0), None)
        sock = stream._socket
        stream._socket = FailingSocket(sock, errno.ENETUNREACH)  # type: ignore[assignment]
        with pytest.raises(ReadError, match="unreachable"):
            stream.send([b"a"])
        stream._socket = sock
        await let_end(runtime, stream)

    runtime.run(main)


def test_an_error_of_sending_before_the_peer_is_known_is_kept_for_the_race(hosts: Hosts) -> None:
    stream = THREADS._make_datagram_stream(hosts.connected(0), iter(()))
    sock = stream._socket
    stream._socket = FailingSocket(sock, errno.ENETUNREACH)  # type: ignore[assignment]
    assert stream.send([b"a"]) == 1
    stream._socket = sock
    with pytest.raises(ReadError, match="unreachable"):
        stream.receive_nowait()
    stream.abort()


def test_a_derived_backend_sees_every_attempt_over_udp(hosts: Hosts) -> None:
    asked: list[Any] = []

    class Derived(type(THREADS)):  # type: ignore[misc]
        async def connect_udp(self, *args: Any) -> Any:
            asked.append(args[0])
            return await super().connect_udp(*args)

    stream = run_blocking(Derived().connect_udp_to("127.0.0.1", 9))
    stream.abort()
    assert asked == ["127.0.0.1"]


def test_an_error_is_raised_by_the_call_that_the_system_reports_it_to(hosts: Hosts) -> None:
    """A task that waited in `receive` never heard of it. On loopback it is there before the second datagram is sent."""
    stream = THREADS._make_datagram_stream(hosts.connected(0), None)
    hosts.close()
    with pytest.raises(ReadError, match="refused"):
        stream.send([b"a", b"b"])
    stream.abort()


def test_datagrams_before_an_error_are_received_first(hosts: Hosts) -> None:
    stream = THREADS._make_datagram_stream(hosts.connected(0), None)
    stream.send([b"a"])
    hosts.answer(0, b"fine")
    data = stream._socket.recv(100)
    received: Iterator[bytes | OSError] = iter([data, OSError(errno.ECONNREFUSED, "refused")])

    class Socket:
        def recv(self, count: int) -> bytes:
            result = next(received)
            if isinstance(result, OSError):
                raise result
            return result

    sock = stream._socket
    stream._socket = Socket()  # type: ignore[assignment]
    assert stream.receive_nowait() == [b"fine"]
    with pytest.raises(ReadError, match="refused"):
        stream.receive_nowait()
    stream._socket = sock
    stream.abort()


def test_a_peer_that_always_sends_leaves_other_tasks_their_turn(
    runtime: TestedRuntime, hosts: Hosts
) -> None:
    async def main() -> None:
        stream = socket_backend(runtime)._make_datagram_stream(hosts.connected(0), None)
        stream.send([b"a"])
        hosts.answer(0, b"fine")
        received = 0
        for _ in range(EAGER_BATCHES + 2):
            for _ in range(MAX_BATCH):
                hosts.sockets[0].sendto(b"x", stream.get_extra_info("client_addr"))
            received += len(await stream.receive(10))
        while received < (EAGER_BATCHES + 2) * MAX_BATCH + 1:
            received += len(await stream.receive(10))
        await let_end(runtime, stream)

    runtime.run(main)


# Closing


def test_two_receives_at_a_time_are_a_mistake_of_the_caller(
    async_runtime: TestedAsyncRuntime, hosts: Hosts
) -> None:
    async def main() -> None:
        stream = socket_backend(async_runtime)._make_datagram_stream(hosts.connected(0), None)
        stream.send([b"a"])

        async def receive() -> list[bytes]:
            return await stream.receive(10)

        async def close() -> list[bytes]:
            await async_runtime.let_others_run()
            stream.abort()
            return []

        outcomes = await async_runtime.outcomes(receive, receive, close)
        kinds = sorted(type(outcome).__name__ for outcome in outcomes)
        assert kinds == ["ReadError", "RuntimeError", "list"]
        await async_runtime.let_others_run()

    async_runtime.run(main)


@needs_fork
def test_a_child_closes_its_own_descriptor_only(runtime: TestedRuntime, hosts: Hosts) -> None:
    async def main() -> None:
        stream = socket_backend(runtime)._make_datagram_stream(hosts.connected(0), None)

        def close() -> bool:
            stream.abort()
            sock: socket.socket = stream.get_extra_info("socket")
            return sock.fileno() == -1

        assert in_child(close)
        stream.send([b"a"])
        hosts.answer(0, b"fine")
        assert await stream.receive(10) == [b"fine"]
        await let_end(runtime, stream)

    runtime.run(main)


def test_a_thread_that_receives_while_another_closes_fails(hosts: Hosts) -> None:
    stream = THREADS._make_datagram_stream(hosts.connected(0), None)
    sock = stream._socket

    class Socket:
        def recv(self, count: int) -> bytes:
            stream._is_aborted = True  # as the other thread does before it shuts the socket down
            raise BlockingIOError

    stream._socket = Socket()  # type: ignore[assignment]
    with pytest.raises(ReadError, match="closed on this side"):
        stream.receive_nowait()
    stream._socket = sock
    stream._is_aborted = False
    stream.abort()
    # It may have been about to wait.
    assert run_blocking(stream._wait(10))


def test_threads_wait_without_poll_as_well(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("select.poll")
    stream = THREADS._make_datagram_stream(hosts.connected(0), None)
    stream.send([b"a"])
    hosts.answer(0, b"fine")
    assert run_blocking(stream.receive(10)) == [b"fine"]
    with pytest.raises(ReadTimeout):
        run_blocking(stream.receive(0.01))
    assert stream.runtime is THREADS.runtime
    stream.abort()


def test_a_full_batch_is_followed_by_a_wait_if_nothing_is_left(hosts: Hosts) -> None:
    stream = THREADS._make_datagram_stream(hosts.connected(0), None)
    stream.send([b"a"])
    _, client = hosts.sockets[0].recvfrom(100)
    for _ in range(MAX_BATCH):
        hosts.sockets[0].sendto(b"x", client)
    assert run_blocking(stream.receive(10)) == [b"x"] * MAX_BATCH
    with pytest.raises(ReadTimeout):
        run_blocking(stream.receive(0.01))
    stream.abort()


# Backends without UDP


class OwnBackend(httpcore2.AsyncNetworkBackend):
    """A caller's backend, which has no UDP."""


class UnrelatedBackend:
    """Looks like a backend, and derives from none."""


class GuardingBackend(httpcore2.SyncBackend):
    """Guards what is connected to, and knows of TCP only."""

    def connect_tcp(self, *args: Any, **options: Any) -> httpcore2.NetworkStream:
        raise ConnectError("not allowed")


def test_a_backend_without_udp_says_what_it_lacks() -> None:
    for backend in (
        adapt_async_backend(OwnBackend()),
        adapt_sync_backend(GuardingBackend()),
        RuntimeBackend(),
        CallerBackend(UnrelatedBackend()),  # type: ignore[arg-type]
    ):
        assert backend is not None
        assert not backend.has_udp
        with pytest.raises(ConnectError, match=r"Backend has no connect_udp method, which HTTP/3"):
            run_blocking(backend.connect_udp("127.0.0.1", 443))


def test_a_backend_whose_connect_tcp_is_replaced_opens_no_datagrams(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert adapt_sync_backend(None).has_udp
    replaced = httpcore2.AsyncIOBackend()
    assert replaced.has_udp
    replaced.connect_tcp = replaced.connect_tcp  # type: ignore[method-assign]
    assert not replaced.has_udp
    monkeypatch.setattr(httpcore2.SyncBackend, "connect_tcp", GuardingBackend.connect_tcp)
    assert not adapt_sync_backend(None).has_udp


def test_a_callers_backend_for_threads_may_open_datagram_streams(hosts: Hosts) -> None:
    class OwnSyncBackend(httpcore2.NetworkBackend):
        def connect_udp(self, **options: Any) -> httpcore2.SyncDatagramStream:
            return httpcore2.SyncBackend().connect_udp(**options)

    host, port = hosts.sockets[0].getsockname()
    stream = run_blocking(CallerBackend(OwnSyncBackend()).connect_udp(host, port))
    stream.send([b"a"])
    hosts.answer(0, b"fine")
    assert run_blocking(stream.receive(10)) == [b"fine"]
    stream.abort()


def test_datagrams_pass_no_guard_of_the_network(runtime: TestedRuntime) -> None:
    async def main() -> None:
        with (
            forbid_network(),
            pytest.raises(AssertionError, match=r"no connection to www\.example\.com:443"),
        ):
            await socket_backend(runtime).connect_udp("www.example.com", 443)

    runtime.run(main)


def test_threads_use_datagram_streams_by_blocking_calls(hosts: Hosts) -> None:
    host, port = hosts.sockets[0].getsockname()
    stream = httpcore2.SyncBackend().connect_udp(host, port)
    assert stream.send([b"a"]) == 1
    hosts.answer(0, b"fine")
    assert stream.receive(10) == [b"fine"]
    assert stream.get_extra_info("server_addr") == (host, port)
    stream.abort()
    stream.abort()
