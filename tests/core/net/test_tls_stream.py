"""TLS over any stream. The one below is in memory, with a TLS server at its other end."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Generic, TypeVar

import pytest
import trustme

from httpcore2_core._exceptions import (
    ConnectError,
    ConnectTimeout,
    ReadError,
    ReadTimeout,
    WriteError,
    WriteTimeout,
)
from httpcore2_core._net.backend_stream import BackendStream, TLSStream
from httpcore2_core._net.coroutines import run_blocking
from httpcore2_core._net.runtime import Runtime, Waiter
from httpcore2_core._net.thread_backend import ThreadBackend, ThreadStream

from ..fake_runtime import FakeRuntime

T = TypeVar("T")

RECORD = 16 * 1024
# More than is encrypted at a time.
LARGE = bytes(range(256)) * 1024


class Cancelled(BaseException):
    """What an event loop throws into a task."""


class Suspension:
    def __await__(self) -> Generator[None, None, None]:
        yield


class Task(Generic[T]):
    """A coroutine that is run by hand, from one suspension to the next."""

    result: T

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self.coroutine = coroutine
        self.is_done = False
        self.step()

    def step(self) -> None:
        try:
            self.coroutine.send(None)
        except StopIteration as stop:
            self.is_done = True
            self.result = stop.value

    def cancel(self) -> None:
        with pytest.raises(Cancelled):
            self.coroutine.throw(Cancelled())


class HandWaiter(Waiter):
    """Waits until it is woken or the clock says that it is over; asked anew at each step."""

    def __init__(self, runtime: FakeRuntime) -> None:
        self.runtime = runtime
        self.is_woken = False

    def wake(self) -> None:
        self.is_woken = True

    async def wait(self, timeout: float | None) -> bool:
        end = None if timeout is None else self.runtime.time + timeout
        while not self.is_woken:
            if end is not None and self.runtime.time >= end:
                return False
            await Suspension()
        return True


class HandRuntime(FakeRuntime):
    def create_waiter(self) -> Waiter:
        return HandWaiter(self)


class Server:
    """The other end: decrypts what it receives, and keeps what it has to send."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.object = context.wrap_bio(self.incoming, self.outgoing, server_side=True)
        self.is_established = False
        self.received = bytearray()
        self.error: ssl.SSLError | None = None

    def receive(self, data: bytes) -> None:
        self.incoming.write(data)
        try:
            if not self.is_established:
                self.object.do_handshake()
                self.is_established = True
            while data := self.object.read(RECORD):
                self.received += data
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as exc:
            self.error = exc

    def end(self) -> None:
        """Send a close_notify."""
        with pytest.raises(ssl.SSLWantReadError):
            self.object.unwrap()

    def ask_for_certificate(self) -> None:
        """Send what is for TLS alone, and what it must answer."""
        self.object.verify_client_post_handshake()
        self.object.do_handshake()

    def take(self) -> bytes:
        return self.outgoing.read()


class InnerServer(Server):
    """A server behind another one."""

    def __init__(self, context: ssl.SSLContext, outer: Server) -> None:
        super().__init__(context)
        self.outer = outer

    def receive(self, data: bytes) -> None:
        self.outer.receive(data)
        plain = bytes(self.outer.received)
        self.outer.received.clear()
        super().receive(plain)

    def take(self) -> bytes:
        data = super().take()
        if data:
            self.outer.object.write(data)
        return self.outer.take()


class Wire(BackendStream):
    """The stream below: nothing waits, but what the test holds up."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.hand_runtime = HandRuntime()
        self.coming = bytearray()
        self.is_ended = False
        self.is_aborted = False
        self.is_held = False  # reads and writes suspend
        self.largest = 1 << 20  # what a read gives at most
        self.asked: list[tuple[str, float | None]] = []
        self.sent: list[bytes] = []
        self.watcher: Callable[[], None] | None = None
        self.read_error: Exception | None = None
        self.write_error: Exception | None = None
        self.on_read: Callable[[], object] = bool

    @property
    def runtime(self) -> Runtime:
        return self.hand_runtime

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.asked.append(("write", timeout))
        if self.is_aborted:
            raise WriteError("closed below")
        while self.is_held:
            await Suspension()
        if self.write_error is not None:
            raise self.write_error
        self.sent.append(buffer)
        self.server.receive(buffer)

    def pull(self) -> None:
        self.coming += self.server.take()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self.asked.append(("read", timeout))
        self.on_read()
        while self.is_held:
            await Suspension()
        self.pull()
        if self.is_aborted:
            raise ReadError("closed below")
        if self.read_error is not None:
            raise self.read_error
        assert self.coming or self.is_ended, "this read would never end"
        data = self.read_nowait(max_bytes)
        assert data is not None
        return data

    def read_nowait(self, max_bytes: int) -> bytes | None:
        if self.is_aborted:
            raise ReadError("closed below")
        self.pull()
        size = min(max_bytes, self.largest)
        data = bytes(self.coming[:size])
        del self.coming[:size]
        if not data and not self.is_ended:
            return None
        return data

    def abort(self) -> None:
        self.is_aborted = True

    def watch(self, callback: Callable[[], None] | None) -> None:
        self.watcher = callback

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":
            self.pull()
            return bool(self.coming) or self.is_ended
        return f"the wire's {info}"

    def arrive(self) -> None:
        """Tell whoever watches."""
        watcher, self.watcher = self.watcher, None
        assert watcher is not None
        watcher()


class Pair:
    """An established connection, from which everything of the handshake is gone."""

    def __init__(self, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
        self.server = Server(server_tls)
        self.wire = Wire(self.server)
        self.stream = shake_hands(self.wire, client_tls)
        assert self.stream.read_nowait(1) is None
        self.wire.asked.clear()
        self.wire.sent.clear()

    def send(self, data: bytes) -> None:
        self.server.object.write(data)

    def read(self, max_bytes: int = 1 << 20, timeout: float | None = None) -> bytes:
        return run_blocking(self.stream.read(max_bytes, timeout))

    def write(self, data: bytes, timeout: float | None = None) -> None:
        run_blocking(self.stream.write(data, timeout))

    @property
    def received(self) -> bytes:
        return bytes(self.server.received)


def shake_hands(
    below: BackendStream,
    context: ssl.SSLContext,
    name: str = "localhost",
    timeout: float | None = None,
) -> TLSStream:
    return run_blocking(TLSStream.handshake(below, context, name, timeout))


@pytest.fixture
def wire(server_tls: ssl.SSLContext) -> Wire:
    return Wire(Server(server_tls))


@pytest.fixture
def pair(server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> Pair:
    return Pair(server_tls, client_tls)


@pytest.fixture
def asking_pair(certificate_authority: trustme.CA) -> Pair:
    """A connection whose server may ask for a certificate at any time (RFC 8446, section 4.6.2)."""
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate_authority.issue_cert("localhost").configure_cert(server_tls)
    server_tls.verify_mode = ssl.CERT_OPTIONAL
    client_tls = ssl.create_default_context()
    certificate_authority.configure_trust(client_tls)
    client_tls.post_handshake_auth = True
    return Pair(server_tls, client_tls)


# The handshake


def test_a_handshake_makes_an_encrypted_stream_over_the_other(
    wire: Wire, client_tls: ssl.SSLContext
) -> None:
    stream = shake_hands(wire, client_tls)
    assert isinstance(stream, TLSStream)
    assert stream.runtime is wire.runtime
    assert stream.get_extra_info("ssl_object").version() == "TLSv1.3"
    assert stream.get_extra_info("server_addr") == "the wire's server_addr"
    run_blocking(stream.write(b"hello"))
    assert wire.server.received == b"hello"
    assert not any(b"hello" in data for data in wire.sent)


def test_a_handshake_may_come_byte_by_byte(wire: Wire, client_tls: ssl.SSLContext) -> None:
    wire.largest = 1
    shake_hands(wire, client_tls)
    assert wire.server.is_established


def test_a_handshake_has_one_deadline_for_all_its_steps(
    wire: Wire, client_tls: ssl.SSLContext
) -> None:
    def pass_time() -> None:
        wire.hand_runtime.time += 1

    wire.largest = 100
    wire.on_read = pass_time
    shake_hands(wire, client_tls, timeout=100)
    reads = [timeout for kind, timeout in wire.asked if kind == "read"]
    assert len(reads) > 1
    assert reads == [100 - step for step in range(len(reads))]


@pytest.mark.parametrize("kind", ["read_error", "write_error"])
@pytest.mark.parametrize("error", [ReadTimeout, WriteTimeout])
def test_a_handshake_that_takes_too_long_is_a_connect_timeout(
    wire: Wire, client_tls: ssl.SSLContext, kind: str, error: type[Exception]
) -> None:
    setattr(wire, kind, error("too long"))
    with pytest.raises(ConnectTimeout, match=r"not complete within 2\.5 seconds"):
        shake_hands(wire, client_tls, timeout=2.5)
    assert wire.is_aborted


@pytest.mark.parametrize("kind", ["read_error", "write_error"])
@pytest.mark.parametrize("error", [ReadError, WriteError])
def test_a_handshake_fails_with_the_connection(
    wire: Wire, client_tls: ssl.SSLContext, kind: str, error: type[Exception]
) -> None:
    setattr(wire, kind, error("was reset"))
    with pytest.raises(ConnectError, match="was reset"):
        shake_hands(wire, client_tls)
    assert wire.is_aborted


def test_a_handshake_fails_if_the_server_closes(wire: Wire, client_tls: ssl.SSLContext) -> None:
    wire.is_ended = True
    wire.on_read = wire.server.take
    with pytest.raises(ConnectError, match="closed the connection during the TLS handshake"):
        shake_hands(wire, client_tls)
    assert wire.is_aborted


def test_a_handshake_fails_if_the_server_speaks_no_tls(
    wire: Wire, client_tls: ssl.SSLContext
) -> None:
    wire.coming += b"HTTP/1.1 400 Bad Request\r\n\r\n"
    with pytest.raises(ConnectError, match="SSL"):
        shake_hands(wire, client_tls)
    assert wire.is_aborted


@pytest.mark.parametrize("name", ["", ".example.com", "a" * 64 + ".com"])
def test_a_name_that_can_not_be_one_is_a_connect_error(
    wire: Wire, client_tls: ssl.SSLContext, name: str
) -> None:
    with pytest.raises(ConnectError):
        shake_hands(wire, client_tls, name)
    assert wire.is_aborted
    assert wire.asked == []


def test_a_server_that_is_not_trusted_is_refused_and_told_so(wire: Wire) -> None:
    with pytest.raises(ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        shake_hands(wire, ssl.create_default_context())
    assert wire.is_aborted
    assert wire.server.error is not None
    assert wire.server.error.reason == "TLSV1_ALERT_UNKNOWN_CA"


@pytest.mark.parametrize("error", [WriteError, WriteTimeout])
def test_an_alert_that_can_not_be_sent_hides_nothing(wire: Wire, error: type[Exception]) -> None:
    def fail_from_now_on() -> None:
        wire.write_error = error("nobody listens")

    wire.on_read = fail_from_now_on
    with pytest.raises(ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        shake_hands(wire, ssl.create_default_context())
    assert wire.is_aborted


def test_a_cancelled_handshake_closes_the_stream(wire: Wire, client_tls: ssl.SSLContext) -> None:
    wire.is_held = True
    task = Task(wire.start_tls(client_tls, "localhost"))
    task.cancel()
    assert wire.is_aborted


def test_tls_goes_through_tls(server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    outer = Server(server_tls)
    wire = Wire(outer)
    tunnel = shake_hands(wire, client_tls)
    inner = wire.server = InnerServer(server_tls, outer)
    stream = shake_hands(tunnel, client_tls)
    run_blocking(stream.write(LARGE))
    assert inner.received == LARGE
    inner.object.write(b"hello")
    assert run_blocking(stream.read(10)) == b"hello"
    assert stream.get_extra_info("ssl_object") is not tunnel.get_extra_info("ssl_object")


# Reading


@pytest.mark.parametrize("largest", [1, 3, 100, 1 << 20])
@pytest.mark.parametrize("max_bytes", [1, 7, RECORD, 1 << 20])
def test_a_read_returns_what_came_and_max_bytes_at_most(
    pair: Pair, largest: int, max_bytes: int
) -> None:
    sent = bytes(range(250))
    pair.wire.largest = largest
    pair.send(sent[:100])
    pair.send(sent[100:])
    received = b""
    while len(received) < len(sent):
        data = pair.read(max_bytes)
        assert 1 <= len(data) <= max_bytes
        received += data
    assert received == sent


def test_a_read_returns_all_records_that_have_come(pair: Pair) -> None:
    pair.send(bytes(3 * RECORD))
    assert pair.read() == bytes(3 * RECORD)


def test_a_read_asks_below_only_when_nothing_is_left(pair: Pair) -> None:
    pair.send(b"hello")
    pair.send(b"again")
    assert pair.read(5) == b"hello"
    assert pair.read(3) == b"aga"
    assert pair.read(3) == b"in"
    assert pair.wire.asked == [("read", None)]


def test_a_read_takes_all_its_time_to_wait_for_something(pair: Pair) -> None:
    pair.send(b"hello")
    assert pair.read(timeout=5) == b"hello"
    assert pair.wire.asked == [("read", 5)]


def test_a_peer_that_sends_bit_by_bit_can_not_keep_a_read_waiting(pair: Pair) -> None:
    def pass_time() -> None:
        pair.wire.hand_runtime.time += 1
        if pair.wire.asked[-1][1] == 0:
            raise ReadTimeout("too long")

    pair.wire.on_read = pass_time
    pair.wire.largest = 1
    pair.send(bytes(100))
    with pytest.raises(ReadTimeout):
        pair.read(timeout=3)
    assert pair.wire.asked == [("read", timeout) for timeout in (3, 3, 2, 1, 0)]


def test_a_read_that_may_wait_for_ever_does_so_for_every_bit(pair: Pair) -> None:
    pair.wire.largest = 1
    pair.send(b"hello")
    assert pair.read() == b"hello"
    assert {timeout for _, timeout in pair.wire.asked} == {None}


def test_a_cancelled_read_loses_nothing(pair: Pair) -> None:
    pair.send(b"hello")
    pair.wire.largest = 10

    def hold_second() -> None:
        pair.wire.is_held = len(pair.wire.asked) == 2

    pair.wire.on_read = hold_second
    Task(pair.stream.read(100)).cancel()
    pair.wire.is_held = False
    assert pair.read() == b"hello"


def test_a_close_notify_is_the_end_whatever_the_stream_below_does(pair: Pair) -> None:
    pair.send(b"hello")
    pair.server.end()
    assert pair.read(5) == b"hello"
    for _ in range(3):
        assert pair.read() == b""
        assert pair.stream.read_nowait(1) == b""
    assert pair.wire.asked == [("read", None)]
    assert pair.stream.ended_cleanly


@pytest.mark.parametrize("is_cut", [False, True])
def test_the_end_of_the_stream_below_is_the_end(pair: Pair, is_cut: bool) -> None:
    pair.send(b"hello")
    pair.send(b"again")
    pair.wire.pull()
    if is_cut:
        del pair.wire.coming[-1]
    pair.wire.is_ended = True
    assert pair.read() == (b"hello" if is_cut else b"helloagain")
    for _ in range(3):
        assert pair.read() == b""
    assert pair.wire.asked == [("read", None)] * 2
    # Debian's CPython 3.11.2 ignores it unless told otherwise, and so nothing can be told apart there.
    is_ignored = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).options & ssl.OP_IGNORE_UNEXPECTED_EOF
    assert pair.stream.ended_cleanly is bool(is_ignored)


def test_what_can_be_written_after_a_close_notify_arrives(pair: Pair) -> None:
    pair.server.end()
    assert pair.read() == b""
    pair.write(b"hello")
    assert pair.wire.sent
    assert not pair.wire.is_aborted


def corrupt_second_of_two(pair: Pair) -> None:
    pair.send(b"hello")
    pair.send(b"again")
    pair.wire.pull()
    pair.wire.coming[-1] ^= 1


def test_what_came_before_a_broken_record_is_good(pair: Pair) -> None:
    corrupt_second_of_two(pair)
    assert pair.read() == b"hello"
    for _ in range(2):
        with pytest.raises(ReadError, match="SSL"):
            pair.read()
        with pytest.raises(ReadError, match="SSL"):
            pair.stream.read_nowait(1)
        assert pair.stream.get_extra_info("is_readable")
    assert pair.wire.asked == [("read", None)]


def test_a_broken_record_is_a_read_error(pair: Pair) -> None:
    corrupt_second_of_two(pair)
    assert pair.read(5) == b"hello"
    with pytest.raises(ReadError, match="SSL"):
        pair.read()
    with pytest.raises(WriteError):
        pair.write(b"hello")


def test_a_reset_is_a_read_error(pair: Pair) -> None:
    pair.wire.read_error = ReadError("was reset")
    with pytest.raises(ReadError, match="was reset"):
        pair.read()


def test_what_is_for_tls_alone_is_no_data(asking_pair: Pair) -> None:
    pair = asking_pair
    pair.wire.largest = 100
    pair.server.ask_for_certificate()
    pair.send(b"hello")
    assert pair.read() == b"hello"


def test_a_read_sends_the_answer_that_tls_owes(asking_pair: Pair) -> None:
    pair = asking_pair
    pair.server.ask_for_certificate()

    def send_when_answered() -> None:
        if pair.wire.sent:
            pair.send(b"hello")

    pair.wire.on_read = send_when_answered
    assert pair.read(timeout=5) == b"hello"
    assert [kind for kind, _ in pair.wire.asked] == ["read", "write", "read"]
    assert {timeout for _, timeout in pair.wire.asked} == {5}


def test_an_answer_that_can_not_be_sent_does_not_keep_from_reading(asking_pair: Pair) -> None:
    pair = asking_pair
    pair.server.ask_for_certificate()
    assert pair.stream.read_nowait(1) is None
    pair.wire.write_error = WriteError("was reset")
    pair.send(b"hello")
    assert pair.read() == b"hello"
    assert [kind for kind, _ in pair.wire.asked] == ["write", "read"]


def test_no_answer_follows_a_write_that_was_cut_short(asking_pair: Pair) -> None:
    pair = asking_pair
    pair.wire.is_held = True
    Task(pair.stream.write(b"hello")).cancel()
    pair.wire.is_held = False
    pair.server.ask_for_certificate()
    assert pair.stream.read_nowait(1) is None
    pair.send(b"hello")
    assert pair.read() == b"hello"
    assert pair.wire.sent == []


def test_an_answer_that_takes_too_long_is_a_read_timeout(asking_pair: Pair) -> None:
    pair = asking_pair
    pair.server.ask_for_certificate()
    pair.wire.write_error = WriteTimeout("took too long")
    with pytest.raises(ReadTimeout, match="took too long"):
        pair.read(timeout=5)


def test_an_answer_that_another_thread_has_sent_meanwhile_is_not_sent_again(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Emptied:
        pending = 1

        def read(self) -> bytes:
            return b""

    monkeypatch.setattr(pair.stream._session, "outgoing", Emptied())
    pair.send(b"hello")
    assert pair.read() == b"hello"
    assert [kind for kind, _ in pair.wire.asked] == ["read"]


def test_an_answer_is_left_to_a_write_under_way(asking_pair: Pair) -> None:
    pair = asking_pair
    pair.wire.is_held = True
    writing = Task(pair.stream.write(b"hello"))
    pair.server.ask_for_certificate()
    assert pair.stream.read_nowait(1) is None
    reading = Task(pair.stream.read(100))
    assert [kind for kind, _ in pair.wire.asked] == ["write", "read"]
    pair.wire.is_held = False
    writing.step()
    assert writing.is_done
    assert len(pair.wire.sent) == 2
    assert pair.received == b"hello"
    pair.send(b"again")
    reading.step()
    assert reading.result == b"again"


# Without waiting


def test_what_is_there_is_read_without_waiting(pair: Pair) -> None:
    assert pair.stream.read_nowait(10) is None
    pair.send(b"hello")
    assert pair.stream.read_nowait(3) == b"hel"
    assert pair.stream.read_nowait(3) == b"lo"
    assert pair.stream.read_nowait(3) is None
    pair.server.end()
    assert pair.stream.read_nowait(3) == b""


def test_tickets_are_nothing_to_read(wire: Wire, client_tls: ssl.SSLContext) -> None:
    stream = shake_hands(wire, client_tls)
    assert wire.get_extra_info("is_readable"), "the server has sent tickets"
    assert stream.read_nowait(1) is None


def test_tickets_do_not_make_a_stream_readable(wire: Wire, client_tls: ssl.SSLContext) -> None:
    stream = shake_hands(wire, client_tls)
    assert wire.get_extra_info("is_readable"), "the server has sent tickets"
    assert not stream.get_extra_info("is_readable")


def test_asking_whether_a_stream_is_readable_takes_nothing_from_a_read(pair: Pair) -> None:
    pair.send(b"hello")
    pair.wire.is_held = True
    reading = Task(pair.stream.read(100))
    assert pair.stream.get_extra_info("is_readable")
    assert pair.wire.coming, "the read would wait for what was taken"
    pair.wire.is_held = False
    reading.step()
    assert reading.result == b"hello"
    pair.send(b"again")
    assert pair.stream.get_extra_info("is_readable")
    assert pair.read() == b"again"


def test_a_read_that_was_cancelled_waits_for_nothing(pair: Pair) -> None:
    pair.wire.is_held = True
    Task(pair.stream.read(100)).cancel()
    pair.send(b"hello")
    assert pair.stream.get_extra_info("is_readable")
    assert not pair.wire.coming


def test_parts_of_a_record_are_nothing_to_read(pair: Pair) -> None:
    pair.wire.largest = 1
    pair.send(b"hello")
    assert pair.stream.read_nowait(10) == b"hello"
    pair.send(b"again")
    pair.wire.pull()
    last = pair.wire.coming.pop()
    assert pair.stream.read_nowait(10) is None
    pair.wire.coming.append(last)
    assert pair.stream.read_nowait(10) == b"again"


def test_only_a_read_tells_how_the_stream_below_has_ended(pair: Pair) -> None:
    pair.wire.is_ended = True
    assert pair.stream.read_nowait(1) == b""
    pair.wire.read_error = ReadError("was reset")
    with pytest.raises(ReadError, match="was reset"):
        pair.read()


@pytest.mark.parametrize("size", [1, RECORD])
def test_a_stream_is_readable_while_something_is_left(pair: Pair, size: int) -> None:
    pair.send(bytes(RECORD))
    pair.send(b"x")
    assert pair.read(size) == bytes(size)
    assert pair.stream.get_extra_info("is_readable")
    assert pair.read() == bytes(RECORD - size) + b"x"
    assert not pair.stream.get_extra_info("is_readable")


def test_a_stream_is_readable_at_its_end(pair: Pair) -> None:
    pair.server.end()
    assert pair.read() == b""
    assert pair.stream.get_extra_info("is_readable")


# Watching


@pytest.fixture
def told(pair: Pair) -> list[str]:
    told: list[str] = []
    pair.stream.watch(lambda: told.append("came"))
    return told


def test_a_watcher_is_told_once_and_takes_nothing_away(pair: Pair, told: list[str]) -> None:
    pair.send(b"hello")
    pair.wire.arrive()
    assert told == ["came"]
    assert pair.wire.watcher is None
    assert pair.stream.get_extra_info("is_readable")
    assert pair.read(3) == b"hel"
    assert pair.read() == b"lo"


def test_a_watcher_is_told_of_what_another_has_left(pair: Pair, told: list[str]) -> None:
    pair.send(b"hello")
    pair.wire.arrive()
    pair.stream.watch(lambda: told.append("again"))
    pair.wire.arrive()
    assert told == ["came", "again"]
    assert pair.read(100) == b"hello"


def test_a_watcher_is_told_of_the_end(pair: Pair, told: list[str]) -> None:
    pair.server.end()
    pair.wire.arrive()
    assert told == ["came"]
    assert pair.read() == b""


def test_a_watcher_is_not_told_of_what_is_for_tls_alone(
    wire: Wire, client_tls: ssl.SSLContext
) -> None:
    told: list[str] = []
    stream = shake_hands(wire, client_tls)
    stream.watch(lambda: told.append("came"))
    wire.arrive()
    assert told == []
    wire.server.object.write(b"hello")
    wire.arrive()
    assert told == ["came"]


def test_watching_ends_when_it_is_told_to_or_the_stream_is_closed(
    pair: Pair, told: list[str]
) -> None:
    pair.stream.watch(None)
    assert pair.wire.watcher is None
    assert told == []


# Writing


@pytest.mark.parametrize("size", [0, 1, RECORD, len(LARGE)])
@pytest.mark.parametrize("timeout", [None, 5])
def test_a_write_arrives_whole(pair: Pair, size: int, timeout: float | None) -> None:
    pair.write(LARGE[:size], timeout)
    assert pair.received == LARGE[:size]
    assert bool(pair.wire.asked) == (size > 0)


def test_a_large_write_has_one_deadline_for_all_its_parts(pair: Pair) -> None:
    runtime = pair.wire.hand_runtime
    receive = pair.server.receive

    def receive_slowly(data: bytes) -> None:
        runtime.time += 1
        receive(data)

    pair.server.receive = receive_slowly  # type: ignore[method-assign]
    pair.write(LARGE, 10)
    assert pair.received == LARGE
    assert pair.wire.asked == [("write", 10 - step) for step in range(4)]


def test_writes_at_the_same_time_arrive_one_after_the_other(pair: Pair) -> None:
    pair.wire.is_held = True
    first = Task(pair.stream.write(LARGE))
    second = Task(pair.stream.write(b"second"))
    third = Task(pair.stream.write(b"third", 5))
    assert len(pair.wire.asked) == 1
    pair.wire.is_held = False
    for task in (third, second, first, third, second, third):
        if not task.is_done:
            task.step()
    assert first.is_done and second.is_done and third.is_done
    assert pair.received == LARGE + b"second" + b"third"
    pair.write(b"!")
    assert pair.received.endswith(b"third!")


def test_a_write_that_is_cancelled_before_its_turn_harms_nobody(pair: Pair) -> None:
    pair.wire.is_held = True
    first = Task(pair.stream.write(b"first"))
    second = Task(pair.stream.write(b"second"))
    second.cancel()
    pair.wire.is_held = False
    first.step()
    pair.write(b"third")
    assert pair.received == b"firstthird"


def test_a_turn_that_comes_too_late_goes_to_the_next(pair: Pair) -> None:
    pair.wire.is_held = True
    first = Task(pair.stream.write(b"first"))
    second = Task(pair.stream.write(b"second"))
    third = Task(pair.stream.write(b"third"))
    pair.wire.is_held = False
    first.step()
    second.cancel()
    third.step()
    assert third.is_done
    assert pair.received == b"firstthird"


def test_a_write_waits_for_its_turn_no_longer_than_its_timeout(pair: Pair) -> None:
    pair.wire.is_held = True
    first = Task(pair.stream.write(b"first"))
    second = Task(pair.stream.write(b"second", 5))
    pair.wire.hand_runtime.time += 5
    with pytest.raises(WriteTimeout, match="more than 5 seconds"):
        second.step()
    pair.wire.is_held = False
    first.step()
    assert pair.received == b"first"


def test_what_is_left_of_the_timeout_after_waiting_is_for_writing(pair: Pair) -> None:
    pair.wire.is_held = True
    first = Task(pair.stream.write(b"first"))
    second = Task(pair.stream.write(b"second", 5))
    pair.wire.hand_runtime.time += 3
    pair.wire.is_held = False
    first.step()
    second.step()
    assert pair.wire.asked == [("write", None), ("write", 2)]


def test_nothing_follows_a_write_that_was_cut_short(pair: Pair) -> None:
    pair.wire.is_held = True
    first = Task(pair.stream.write(b"first"))
    second = Task(pair.stream.write(b"second"))
    first.cancel()
    pair.wire.is_held = False
    with pytest.raises(WriteError, match="was interrupted"):
        second.step()
    with pytest.raises(WriteError, match="was interrupted"):
        pair.write(b"third")
    assert pair.wire.sent == []
    pair.send(b"hello")
    assert pair.read() == b"hello"


@pytest.mark.parametrize("error", [WriteError, WriteTimeout])
def test_a_failed_write_below_is_a_failed_write(pair: Pair, error: type[Exception]) -> None:
    pair.wire.write_error = error("was reset")
    with pytest.raises(error, match="was reset"):
        pair.write(b"hello")


# Closing


def test_a_closed_stream_neither_reads_nor_writes(pair: Pair) -> None:
    pair.send(b"hello")
    assert pair.read(1) == b"h"
    pair.stream.abort()
    pair.stream.abort()
    assert pair.wire.is_aborted
    with pytest.raises(ReadError, match="closed"):
        pair.stream.read_nowait(1)
    assert pair.stream.get_extra_info("is_readable")
    with pytest.raises(ReadError, match="closed on this side"):
        pair.read()
    for _ in range(2):
        with pytest.raises(WriteError, match="closed on this side"):
            pair.write(b"hello")


def test_a_read_under_way_fails_when_the_stream_is_closed(pair: Pair) -> None:
    pair.wire.is_held = True
    reading = Task(pair.stream.read(1))
    pair.stream.abort()
    pair.wire.is_held = False
    with pytest.raises(ReadError, match="closed below"):
        reading.step()


# Threads


def test_threads_read_and_write_at_the_same_time(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, no_leaks: None
) -> None:
    """Two write, one reads; the server sends back what comes."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.settimeout(10)
    messages = [bytes([number]) * 100_000 for number in (1, 2)]
    rounds = 10

    def echo() -> None:
        with server_tls.wrap_socket(theirs, server_side=True) as peer:
            while data := peer.recv(RECORD):
                peer.sendall(data)

    server = threading.Thread(target=echo)
    server.start()
    below = ThreadStream(ours, ThreadBackend().runtime)
    stream = shake_hands(below, client_tls)

    def write(message: bytes) -> None:
        for _ in range(rounds):
            run_blocking(stream.write(message, 10))

    writers = [threading.Thread(target=write, args=(message,)) for message in messages]
    for writer in writers:
        writer.start()
    received = bytearray()
    while len(received) < 2 * rounds * 100_000:
        received += run_blocking(stream.read(RECORD, 10))
    for writer in writers:
        writer.join()
    stream.abort()
    server.join()
    # No message came in the middle of another.
    pieces = [bytes(received[at : at + 100_000]) for at in range(0, len(received), 100_000)]
    assert sorted(pieces) == sorted(messages * rounds)
