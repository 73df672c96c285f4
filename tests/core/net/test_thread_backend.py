"""Threads: deadlines, closing from another thread, and no socket left on any way out."""

from __future__ import annotations

import gc
import math
import os
import select
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from httpcore2_core._exceptions import (
    ConnectError,
    ConnectTimeout,
    ReadError,
    ReadTimeout,
    WriteError,
    WriteTimeout,
)
from httpcore2_core._net import happy_eyeballs, socket_backend, thread_backend, thread_runtime
from httpcore2_core._net.coroutines import run_blocking
from httpcore2_core._net.errors import CLOSED_HERE
from httpcore2_core._net.readiness import Address
from httpcore2_core._net.thread_backend import ThreadBackend, ThreadStream
from httpcore2_core._net.thread_runtime import wait_for

from ..conftest import in_child

pytestmark = pytest.mark.usefixtures("no_leaks")

BACKEND = ThreadBackend()
RUNTIME = BACKEND.runtime

# More than the system takes before the peer reads.
LARGE = bytes(16 << 20)


@pytest.fixture(params=["poll", "select"])
def waiting(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Each way to wait for sockets in turn; set when a thread is about to."""
    event = threading.Event()

    class Poller:
        def __init__(self) -> None:
            self.inner = poller()
            self.register = self.inner.register

        def poll(self, milliseconds: float | None) -> list[tuple[int, int]]:
            event.set()
            return self.inner.poll(milliseconds)

    def wait_and_tell(*args: Any, **options: Any) -> list[socket.socket]:
        event.set()
        return wait_for(*args, **options)

    poller = select.poll
    monkeypatch.setattr(select, "poll", Poller)
    monkeypatch.setattr(thread_runtime, "wait_for", wait_and_tell)
    if request.param == "select":
        monkeypatch.delattr(select, "poll")
        monkeypatch.setattr(thread_runtime, "Selector", selectors.SelectSelector)
    return event


class Pair:
    """A stream, and the socket at its other end."""

    def __init__(self, make: Callable[..., socket.socket] = socket.socket) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            ours = socket.create_connection(server.getsockname())
            self.peer, _ = server.accept()
        self.socket = make(fileno=ours.detach())
        self.socket.setblocking(False)
        self.peer.settimeout(10)
        self.stream = ThreadStream(self.socket, RUNTIME)

    def read(self, max_bytes: int = 100, timeout: float | None = 10) -> bytes:
        return run_blocking(self.stream.read(max_bytes, timeout))

    def write(self, data: bytes, timeout: float | None = 10) -> None:
        run_blocking(self.stream.write(data, timeout))

    def close(self) -> None:
        self.stream.abort()
        self.peer.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    pair = Pair()
    yield pair
    pair.close()


def after(event: threading.Event, function: Callable[[], object]) -> threading.Thread:
    """Call `function` in another thread once `event` is set."""

    def run() -> None:
        assert event.wait(10)
        function()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


# Streams


@pytest.mark.parametrize("timeout", [None, 10, 1e7, 1e12, math.inf])
def test_a_read_waits_for_what_comes(
    waiting: threading.Event, pair: Pair, timeout: float | None
) -> None:
    thread = after(waiting, lambda: pair.peer.send(b"hello"))
    assert pair.read(timeout=timeout) == b"hello"
    thread.join()


def test_a_read_waits_no_longer_than_its_timeout(waiting: threading.Event, pair: Pair) -> None:
    before = time.monotonic()
    with pytest.raises(ReadTimeout):
        pair.read(timeout=0.0101)
    assert time.monotonic() >= before + 0.0101


def test_a_wait_that_ends_early_goes_on(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    def wait(*args: Any, timeout: float, **options: Any) -> list[socket.socket]:
        waits.append(timeout)
        if len(waits) == 2:
            pair.peer.send(b"hello")
        return wait_for(*args, timeout=0, **options)

    monkeypatch.setattr(thread_runtime, "wait_for", wait)
    assert pair.read(timeout=1e7) == b"hello"
    # `poll` could not count so many milliseconds.
    assert waits == [1e6, 1e6]


def test_a_socket_that_only_seemed_ready_is_waited_for(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Mistaken:
        def poll(self, _: float | None) -> list[tuple[int, int]]:
            return [(pair.socket.fileno(), select.POLLIN)]

    def wait(*args: Any, **options: Any) -> list[socket.socket]:
        pair.peer.send(b"hello")
        return wait_for(*args, **options)

    monkeypatch.setattr(pair.stream._descriptor, "poller", Mistaken())
    monkeypatch.setattr(thread_runtime, "wait_for", wait)
    assert pair.read() == b"hello"


def test_a_write_waits_until_all_is_taken(waiting: threading.Event, pair: Pair) -> None:
    received = bytearray()

    def receive() -> None:
        while len(received) < len(LARGE):
            received.extend(pair.peer.recv(1 << 20))

    thread = after(waiting, receive)
    pair.write(LARGE)
    thread.join()
    assert received == LARGE


def test_a_write_waits_no_longer_than_its_timeout(waiting: threading.Event, pair: Pair) -> None:
    with pytest.raises(WriteTimeout):
        pair.write(LARGE, timeout=0.01)


def test_reading_goes_on_when_there_is_always_more(pair: Pair) -> None:
    pair.peer.send(bytes(40))
    for _ in range(40):
        assert pair.read(1) == b"\0"


def test_what_is_there_is_read_without_waiting(waiting: threading.Event, pair: Pair) -> None:
    assert pair.stream.read_nowait(100) is None
    thread = after(waiting, lambda: pair.peer.send(b"hello"))
    waiting.set()
    thread.join()
    assert pair.stream.read_nowait(3) == b"hel"
    assert pair.stream.read_nowait(3) == b"lo"
    assert pair.stream.read_nowait(3) is None


def test_the_peers_end_is_the_end(waiting: threading.Event, pair: Pair) -> None:
    thread = after(waiting, pair.peer.close)
    assert pair.read() == b""
    thread.join()
    assert pair.stream.read_nowait(1) == b""


# Closing


def test_a_thread_that_waits_to_read_fails_when_another_closes(
    waiting: threading.Event, pair: Pair
) -> None:
    thread = after(waiting, pair.stream.abort)
    with pytest.raises(ReadError, match="closed on this side"):
        pair.read(timeout=None)
    thread.join()


def test_a_thread_that_waits_to_write_fails_when_another_closes(
    waiting: threading.Event, pair: Pair
) -> None:
    thread = after(waiting, pair.stream.abort)
    with pytest.raises(WriteError, match="closed on this side"):
        pair.write(LARGE, timeout=None)
    thread.join()


class Halting(socket.socket):
    """A socket whose calls wait at their beginning, as they do for the interpreter's lock."""

    entered: threading.Event
    may_go_on: threading.Event

    def halt(self) -> None:
        self.entered.set()
        assert self.may_go_on.wait(10)

    def recv(self, *args: Any) -> bytes:
        self.halt()
        return super().recv(*args)

    def send(self, *args: Any) -> int:
        self.halt()
        return super().send(*args)

    def getsockname(self) -> Any:
        self.halt()
        return super().getsockname()

    def getpeername(self) -> Any:
        self.halt()
        return super().getpeername()


@pytest.fixture(params=["poll", "select"])
def halting_pair(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    """A stream whose every use of its descriptor halts at its beginning; with each way to wait."""

    class Poller:
        def __init__(self) -> None:
            self.inner = poller()
            self.register = self.inner.register

        def poll(self, milliseconds: float | None) -> list[tuple[int, int]]:
            halting.halt()
            return self.inner.poll(milliseconds)

    def halt_and_wait(*args: Any, **options: Any) -> list[socket.socket]:
        halting.halt()
        return wait_for(*args, **options)

    poller = select.poll
    monkeypatch.setattr(select, "poll", Poller)
    monkeypatch.setattr(thread_runtime, "wait_for", halt_and_wait)
    if request.param == "select":
        monkeypatch.delattr(select, "poll")
        monkeypatch.setattr(thread_runtime, "Selector", selectors.SelectSelector)
    pair = Pair(Halting)
    assert isinstance(pair.socket, Halting)
    halting = pair.socket
    halting.entered, halting.may_go_on = threading.Event(), threading.Event()
    yield pair
    pair.close()


USES: dict[str, Callable[[ThreadStream], object]] = {
    "read": lambda stream: run_blocking(stream.read(100)),
    "read with a timeout": lambda stream: run_blocking(stream.read(100, 10)),
    "read for weeks": lambda stream: run_blocking(stream.read(100, 1e7)),
    "read_nowait": lambda stream: stream.read_nowait(100),
    "write": lambda stream: run_blocking(stream.write(b"hello")),
    "write_nowait": lambda stream: stream.write_nowait(b"hello"),
    "write_some": lambda stream: run_blocking(stream.write_some(b"hello")),
    "client_addr": lambda stream: stream.get_extra_info("client_addr"),
    "server_addr": lambda stream: stream.get_extra_info("server_addr"),
    "is_readable": lambda stream: stream.get_extra_info("is_readable"),
}


@pytest.mark.parametrize("use", USES)
def test_a_descriptor_is_closed_only_when_nobody_can_be_using_its_number(
    halting_pair: Pair, use: str
) -> None:
    pair = halting_pair
    assert isinstance(pair.socket, Halting)
    number = pair.socket.fileno()
    outcomes: list[object] = []

    def run() -> None:
        try:
            outcomes.append(USES[use](pair.stream))
        except (ReadError, WriteError) as exc:
            outcomes.append(exc)

    thread = threading.Thread(target=run)
    thread.start()
    assert pair.socket.entered.wait(10)
    pair.stream.abort()
    ours, peer = socket.socketpair()
    with ours, peer:
        assert number not in (ours.fileno(), peer.fileno()), "the thread would use this connection"
        peer.send(b"for another connection")
        pair.socket.may_go_on.set()
        thread.join(10)
        assert not thread.is_alive(), "the thread hangs"
        # Whoever used it last has closed it, though the exception is still there.
        assert pair.socket.fileno() == -1
        assert ours.recv(100) == b"for another connection"
    (outcome,) = outcomes
    if use.startswith(("read", "write")):
        assert isinstance(outcome, (ReadError, WriteError))
        assert str(outcome) == CLOSED_HERE


def test_a_thread_that_was_interrupted_uses_its_descriptor_no_more(pair: Pair) -> None:
    class Interrupted:
        def poll(self, timeout: float | None = None, /) -> list[tuple[int, int]]:
            raise KeyboardInterrupt

    assert pair.stream._descriptor is not None
    pair.stream._descriptor.poller = Interrupted()
    with pytest.raises(KeyboardInterrupt) as caught:
        pair.read()
    pair.stream.abort()
    assert pair.socket.fileno() == -1
    assert caught.tb is not None, "it has the frame in which the descriptor was used"


@pytest.mark.parametrize("again", [True, False], ids=["closed again", "forgotten"])
def test_a_thread_that_is_interrupted_while_it_closes_leaks_no_descriptor(
    monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    pair = Pair()

    def interrupt(_: object, sock: socket.socket) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(thread_runtime.ThreadRuntime, "notify_closing", interrupt)
        with pytest.raises(KeyboardInterrupt):
            pair.stream.abort()
    assert pair.socket.fileno() != -1
    if again:
        pair.stream.abort()
    else:
        del pair.stream
        gc.collect()
    assert pair.socket.fileno() == -1
    pair.peer.close()


def test_a_stream_that_nobody_closed_complains_when_it_is_collected() -> None:
    streams = [ThreadStream(socket.socket(), RUNTIME)]
    with pytest.warns(ResourceWarning, match="unclosed"):
        streams.clear()


def test_a_closed_stream_neither_reads_nor_writes(waiting: threading.Event, pair: Pair) -> None:
    pair.stream.abort()
    pair.stream.abort()
    for read in (pair.read, partial(pair.stream.read_nowait, 1)):
        with pytest.raises(ReadError, match="closed on this side"):
            read()
    write_some = lambda data: run_blocking(pair.stream.write_some(data))  # noqa: E731
    for write in (pair.write, pair.stream.write_nowait, write_some):
        with pytest.raises(WriteError, match="closed on this side"):
            write(b"hello")
    assert pair.stream.get_extra_info("is_readable")
    assert pair.stream.get_extra_info("client_addr") is None
    assert pair.stream.get_extra_info("socket") is pair.socket


def test_a_mistake_in_waiting_is_not_taken_for_a_closed_socket(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thread_runtime, "Selector", selectors.SelectSelector)
    number = os.dup(pair.socket.fileno())
    other = socket.socket(fileno=number)
    os.close(number)
    try:
        with pytest.raises(OSError, match="Bad file descriptor"):
            wait_for([other], for_writing=False, timeout=1)
    finally:
        other.detach()


def test_a_closed_stream_knows_nothing_of_its_descriptors_next_owner(pair: Pair) -> None:
    number = pair.socket.fileno()
    other, peer = socket.socketpair()
    with other, peer:
        pair.stream.abort()
        os.dup2(other.fileno(), number)
        try:
            with pytest.raises(ReadError, match="closed on this side"):
                pair.stream.read_nowait(1)
            with pytest.raises(ReadError, match="closed on this side"):
                pair.read(timeout=0.01)
        finally:
            os.close(number)


@pytest.mark.parametrize("for_writing", [False, True])
def test_nobody_waits_for_a_closed_socket(
    waiting: threading.Event, pair: Pair, for_writing: bool
) -> None:
    pair.socket.close()
    wait = RUNTIME.wait_writable if for_writing else RUNTIME.wait_readable
    assert run_blocking(wait(pair.socket, None))


def test_a_connection_that_the_peer_has_reset_can_be_closed(listener: socket.socket) -> None:
    stream = run_blocking(BACKEND.connect_tcp(*listener.getsockname()))
    peer, _ = listener.accept()
    # To close without a goodbye.
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    peer.close()
    with pytest.raises(ReadError):
        run_blocking(stream.read(1, 10))
    stream.abort()
    assert stream.get_extra_info("socket").fileno() == -1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork()")
def test_a_child_closes_its_own_descriptor_only(pair: Pair) -> None:
    def close() -> bool:
        pair.stream.abort()
        return pair.socket.fileno() == -1

    assert in_child(close)
    pair.peer.send(b"hello")
    assert pair.read() == b"hello"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork()")
def test_a_child_closes_a_descriptor_that_its_parents_thread_was_using(
    waiting: threading.Event, pair: Pair
) -> None:
    def close() -> bool:
        pair.stream.abort()
        return pair.socket.fileno() == -1

    received: list[bytes] = []
    thread = threading.Thread(target=lambda: received.append(pair.read()))
    thread.start()
    assert waiting.wait(10)
    assert in_child(close)
    pair.peer.send(b"hello")
    thread.join()
    assert received == [b"hello"]


# The runtime


def test_all_threads_share_one_runtime() -> None:
    assert RUNTIME.is_blocking
    assert RUNTIME.token() is ThreadBackend().runtime.token()
    assert RUNTIME.is_running(RUNTIME.token())
    before = time.monotonic()
    assert before <= RUNTIME.now() <= time.monotonic()


@pytest.mark.parametrize("timeout", [None, 10, math.inf])
def test_a_waiter_is_woken_before_or_while_it_waits(timeout: float | None) -> None:
    waiter = RUNTIME.create_waiter()
    started = threading.Event()
    thread = after(started, waiter.wake)
    started.set()
    assert run_blocking(waiter.wait(timeout))
    thread.join()
    assert run_blocking(waiter.wait(timeout))


def test_a_waiter_that_is_not_woken_gives_up() -> None:
    assert not run_blocking(RUNTIME.create_waiter().wait(0.001))


def test_sleeping_takes_its_time() -> None:
    before = time.monotonic()
    run_blocking(BACKEND.sleep(0.01))
    assert time.monotonic() >= before + 0.01


def test_a_deadline_ends_sleeping_and_waiting(pair: Pair) -> None:
    for function in (
        lambda: RUNTIME.sleep(1000),
        lambda: RUNTIME.wait_readable(pair.socket, None),
        lambda: RUNTIME.wait_readable(pair.socket, RUNTIME.now() + 1000),
    ):
        has_ended = False
        with RUNTIME.cancel_scope(RUNTIME.now() + 0.01):
            run_blocking(function())
            has_ended = True
        assert not has_ended


def test_a_deadline_that_is_far_ends_nothing(pair: Pair) -> None:
    with RUNTIME.cancel_scope(RUNTIME.now() + 1000):
        run_blocking(RUNTIME.sleep(0))
        assert not run_blocking(RUNTIME.wait_readable(pair.socket, RUNTIME.now()))


def test_other_exceptions_leave_a_scope_as_they_are() -> None:
    with pytest.raises(ValueError, match="other"), RUNTIME.cancel_scope(math.inf):
        raise ValueError("other")


def test_a_deadline_inside_another_leaves_that_one_in_place() -> None:
    has_ended = False
    with RUNTIME.cancel_scope(RUNTIME.now() + 0.01):
        with RUNTIME.cancel_scope(math.inf):
            pass
        run_blocking(RUNTIME.sleep(1000))
        has_ended = True
    assert not has_ended
    run_blocking(RUNTIME.sleep(0))


def test_a_thread_has_nobody_to_shield_it_from() -> None:
    async def answer() -> int:
        return 42

    assert run_blocking(RUNTIME.shielded(answer)) == 42
    with pytest.raises(AssertionError):
        RUNTIME.open_nursery()
    with pytest.raises(AssertionError):
        RUNTIME.cancel_scope(0).cancel()


# Names


def resolve(
    name: str, deadline: float = math.inf, family: socket.AddressFamily = socket.AF_UNSPEC
) -> Sequence[Address]:
    with RUNTIME.cancel_scope(deadline):
        return run_blocking(RUNTIME.resolve(name, 80, family))
    raise ConnectTimeout


@pytest.mark.parametrize("has_deadline", [False, True])
@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_a_name_has_addresses(name: str, has_deadline: bool) -> None:
    deadline = RUNTIME.now() + 10 if has_deadline else math.inf
    found = resolve(name, deadline, socket.AF_INET)
    assert [address[4] for address in found] == [("127.0.0.1", 80)]


@pytest.mark.parametrize("timeout", [None, 10, 1e12])
def test_a_name_without_an_address_is_a_connect_error(
    monkeypatch: pytest.MonkeyPatch, timeout: float | None
) -> None:
    def fail(*args: Any, **options: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(ConnectError, match="no such name"):
        run_blocking(BACKEND.connect_tcp("nowhere.invalid", 80, timeout))


@pytest.mark.parametrize("timeout", [None, 10])
def test_a_name_that_can_not_be_one_is_a_connect_error(timeout: float | None) -> None:
    with pytest.raises(ConnectError):
        run_blocking(BACKEND.connect_tcp("a" * 64, 80, timeout))


def test_an_answer_that_comes_too_late_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    may_answer = threading.Event()
    lookups = []

    def answer_late(*args: Any, flags: int = 0, **options: Any) -> Any:
        if flags & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "a name")
        lookups.append(threading.current_thread())
        assert may_answer.wait(10)
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 1))]

    monkeypatch.setattr(socket, "getaddrinfo", answer_late)
    with pytest.raises(ConnectTimeout):
        run_blocking(BACKEND.connect_tcp("slow.example", 80, 0.01))
    may_answer.set()
    assert lookups[0].daemon
    lookups[0].join()


def test_a_name_is_found_even_while_python_shuts_down(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert resolve("localhost", RUNTIME.now() + 10)


def test_a_request_can_be_made_at_exit() -> None:
    code = """
import atexit
from httpcore2_core._net.sync_backend import SyncBackend
from httpcore2_core import ConnectError

def last_words():
    try:
        SyncBackend().connect_tcp("localhost", 1, timeout=10).close()
    except ConnectError:
        print("refused")

atexit.register(last_words)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("refused", "")


def test_a_callers_own_lookup_may_connect_by_itself(
    monkeypatch: pytest.MonkeyPatch, listener: socket.socket
) -> None:
    """One that asks by HTTPS does; the deadline around it stays in force."""
    address = (socket.AF_INET, socket.SOCK_STREAM, 0, "", listener.getsockname())
    depth = 0

    def look_up(host: str, *args: Any, **options: Any) -> list[Address]:
        nonlocal depth
        depth += 1
        if depth == 1:
            run_blocking(BACKEND.connect_tcp("inner", 80, 10)).abort()
        return [address]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    stream = run_blocking(BACKEND.connect_tcp("outer", 80, 10))
    stream.abort()
    assert depth == 2
    for _ in range(2):
        listener.accept()[0].close()


# Connecting


def address_of(place: tuple[str, int]) -> Address:
    return (socket.AF_INET, socket.SOCK_STREAM, 0, "", place)


@pytest.fixture
def addresses(monkeypatch: pytest.MonkeyPatch) -> list[Address]:
    """What each name's addresses are."""
    addresses: list[Address] = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: list(addresses))
    return addresses


@pytest.fixture
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(happy_eyeballs, "ATTEMPT_DELAY", 0.01)


# An address that no socket can be connected to: that is known without waiting.
IMPOSSIBLE: Address = (socket.AF_UNIX, socket.SOCK_STREAM, 0, "", "/nowhere/socket")


def connect(timeout: float | None = 10) -> tuple[str, int]:
    stream = run_blocking(BACKEND.connect_tcp("example.com", 80, timeout))
    assert isinstance(stream, ThreadStream)
    server: tuple[str, int] = stream.get_extra_info("server_addr")
    stream.abort()
    return server


@pytest.fixture
def _no_delay_for_unix(monkeypatch: pytest.MonkeyPatch) -> None:
    """Impossible addresses know no options of TCP."""

    def make_socket(address: Address, source: Any, options: Any) -> socket.socket:
        return original(address, source, () if address[0] == socket.AF_UNIX else options)

    original = socket_backend.make_socket
    monkeypatch.setattr(thread_backend, "make_socket", make_socket)


@pytest.mark.parametrize("timeout", [None, 10])
def test_one_address_is_connected_to(
    waiting: threading.Event, listener: socket.socket, timeout: float | None
) -> None:
    host, port = listener.getsockname()
    stream = run_blocking(BACKEND.connect_tcp(host, port, timeout))
    peer, _ = listener.accept()
    peer.send(b"hello")
    assert run_blocking(stream.read(100, 10)) == b"hello"
    stream.abort()
    peer.close()


@pytest.mark.usefixtures("no_patience", "_no_delay_for_unix")
@pytest.mark.parametrize("before", ["impossible", "refusing", "silent", "all"])
def test_an_address_that_does_not_answer_is_passed_over(
    waiting: threading.Event,
    addresses: list[Address],
    listener: socket.socket,
    refusing: tuple[str, int],
    silent: tuple[str, int],
    before: str,
) -> None:
    useless = {
        "impossible": IMPOSSIBLE,
        "refusing": address_of(refusing),
        "silent": address_of(silent),
    }
    addresses += useless.values() if before == "all" else [useless[before]]
    addresses += [address_of(listener.getsockname()), address_of(refusing)]
    assert connect() == listener.getsockname()


def test_the_next_address_is_not_tried_while_the_first_may_answer_soon(
    addresses: list[Address], listener: socket.socket, silent: tuple[str, int]
) -> None:
    addresses += [address_of(listener.getsockname()), address_of(silent)]
    assert connect() == listener.getsockname()


@pytest.mark.usefixtures("no_patience", "_no_delay_for_unix")
def test_the_failures_of_all_addresses_are_told(
    waiting: threading.Event, addresses: list[Address], refusing: tuple[str, int]
) -> None:
    addresses += [address_of(refusing), IMPOSSIBLE, address_of(refusing)]
    with pytest.raises(ConnectError) as caught:
        connect()
    refused, missing = os.strerror(111), os.strerror(2)
    message = str(caught.value)
    assert message.startswith(f"[Errno 111] {refused} at 127.0.0.1; [Errno 2] {missing}")
    assert [str(error) for _, error in caught.value.attempts] == [
        f"[Errno 111] {refused}",
        f"[Errno 2] {missing}",
        f"[Errno 111] {refused}",
    ]
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)


@pytest.mark.usefixtures("no_patience")
@pytest.mark.parametrize("second", ["silent", "refusing"])
def test_no_address_answers_in_time(
    waiting: threading.Event,
    addresses: list[Address],
    silent: tuple[str, int],
    refusing: tuple[str, int],
    second: str,
) -> None:
    addresses += [address_of(silent), address_of(silent if second == "silent" else refusing)]
    with pytest.raises(ConnectTimeout, match=r"No connection to example\.com:80 within 0\.05"):
        connect(0.05)


@pytest.mark.usefixtures("no_patience")
@pytest.mark.parametrize("count", [1, 2])
def test_an_interrupt_leaves_no_socket(
    addresses: list[Address],
    silent: tuple[str, int],
    monkeypatch: pytest.MonkeyPatch,
    count: int,
) -> None:
    waits = 0

    def interrupt(sockets: Sequence[socket.socket], **options: Any) -> list[socket.socket]:
        nonlocal waits
        waits += 1
        if len(sockets) == count:
            signal.raise_signal(signal.SIGINT)
        return wait_for(sockets, **options)

    monkeypatch.setattr(thread_runtime, "wait_for", interrupt)
    addresses += [address_of(silent)] * count
    with pytest.raises(KeyboardInterrupt):
        connect()
    assert waits == count


def test_a_unix_socket_is_connected_to(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        server.listen()
        stream = run_blocking(BACKEND.connect_unix_socket(str(tmp_path / "socket"), 10))
        peer, _ = server.accept()
        peer.send(b"hello")
        assert run_blocking(stream.read(100, 10)) == b"hello"
        stream.abort()
        peer.close()
