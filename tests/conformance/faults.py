"""Backends that are broken, each in one way, and the checks that have to notice.

Rules: a fault is a layer over a sound backend, and changes one thing. The checks that it names must
fail, without TLS and with it wherever there are both.
"""

from __future__ import annotations

import itertools
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar, cast
from unittest import mock

from httpcore2_core import (
    SOCKET_OPTION,
    ConnectError,
    ConnectTimeout,
    NetworkError,
    ReadError,
    ReadTimeout,
    TimeoutException,
    WriteError,
    WriteTimeout,
)
from httpcore2_core._net.backend_stream import BackendStream
from httpcore2_core._net.runtime import Runtime, Waiter
from httpcore2_core._net.runtime_backend import RuntimeBackend

T = TypeVar("T")


class Stream(BackendStream):
    """A stream that passes everything on."""

    def __init__(self, inner: BackendStream) -> None:
        self.inner = inner
        self.is_closed = False

    @property
    def runtime(self) -> Runtime:
        return self.inner.runtime

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await self.inner.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self.inner.write(buffer, timeout)

    def abort(self) -> None:
        self.is_closed = True
        self.inner.abort()

    def read_nowait(self, max_bytes: int) -> bytes | None:
        return self.inner.read_nowait(max_bytes)

    def watch(self, callback: Callable[[], None] | None) -> None:
        self.inner.watch(callback)

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> BackendStream:
        return type(self)(await self.inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self.inner.get_extra_info(info)


class Backend(RuntimeBackend):
    """A backend that passes everything on, and keeps what it opened."""

    stream_class: type[Stream] = Stream

    def __init__(self, inner: RuntimeBackend) -> None:
        self.inner = inner
        self.runtime = inner.runtime
        self.opened: list[BackendStream] = []

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> BackendStream:
        return self._opened(
            await self.inner.connect_tcp(host, port, timeout, local_address, socket_options)
        )

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> BackendStream:
        return self._opened(await self.inner.connect_unix_socket(path, timeout, socket_options))

    def _opened(self, stream: Any) -> BackendStream:
        self.opened.append(stream)
        return self.stream_class(stream)


class TestedRuntime(Runtime):
    """A runtime that passes everything on."""

    def __init__(self, inner: Runtime) -> None:
        self.inner = inner

    def now(self) -> float:
        return self.inner.now()

    def token(self) -> object:
        return self.inner.token()

    def is_running(self, token: object) -> bool:
        return self.inner.is_running(token)

    def create_waiter(self) -> Waiter:
        return self.inner.create_waiter()

    async def sleep(self, seconds: float) -> None:
        await self.inner.sleep(seconds)

    async def shielded(self, call: Callable[[], Awaitable[T]]) -> T:
        return await self.inner.shielded(call)


@dataclass(frozen=True)
class Fault:
    """One way to be broken.

    Attributes:
        name: what is wrong.
        checks: the names of those that have to notice.
        make: puts the fault over a sound backend.
        hangs: whether the checks notice by waiting in vain.
        watches: whether it takes a backend that calls watchers.
    """

    name: str
    checks: tuple[str, ...]
    make: Callable[[RuntimeBackend], Backend]
    hangs: bool
    watches: bool

    def __str__(self) -> str:
        return self.name


FAULTS: list[Fault] = []

C = TypeVar("C", bound=type)


def noticed_by(*checks: str, hangs: bool = False, watches: bool = False) -> Callable[[C], C]:
    """Make a fault of a stream's, a backend's or a runtime's class."""

    def register(broken: C) -> C:
        def make(inner: RuntimeBackend) -> Backend:
            if issubclass(broken, Backend):
                return broken(inner)
            backend = Backend(inner)
            if issubclass(broken, Stream):
                backend.stream_class = broken
            else:
                assert issubclass(broken, TestedRuntime)
                backend.runtime = broken(inner.runtime)
            return backend

        FAULTS.append(Fault(broken.__name__, checks, make, hangs, watches))
        return broken

    return register


# Reading


@noticed_by(
    "a_read_returns_what_came",
    "an_encrypted_read_puts_together_what_comes_in_pieces",
    "no_timeout_is_no_limit",
)
class ReturnsOtherBytes(Stream):
    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return (await super().read(max_bytes, timeout)).upper()


@noticed_by("a_read_returns_max_bytes_at_most")
class ReturnsTooMuch(Stream):
    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await super().read(max_bytes + 1, timeout)


@noticed_by("a_read_at_the_end_returns_nothing_however_often")
class EndsOnlyOnce(Stream):
    has_ended = False

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self.has_ended:
            raise ReadError("The stream has ended.")
        data = await super().read(max_bytes, timeout)
        self.has_ended = not data
        return data


@noticed_by("an_end_below_tls_is_the_end")
class TakesTheEndForAnError(Stream):
    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data = await super().read(max_bytes, timeout)
        if not data:
            raise ReadError("The stream has ended.")
        return data


@noticed_by(
    "a_read_waits_no_longer_than_its_timeout",
    "an_encrypted_read_of_a_part_waits_no_longer_than_its_timeout",
)
class TakesAReadTimeoutForTheEnd(Stream):
    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            return await super().read(max_bytes, timeout)
        except ReadTimeout:
            return b""


@noticed_by("a_read_that_timed_out_takes_nothing_from_the_next")
class ClosesWhenAReadTimesOut(Stream):
    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            return await super().read(max_bytes, timeout)
        except ReadTimeout:
            self.abort()
            raise


@noticed_by(
    "a_read_from_a_connection_that_was_reset_fails",
    "a_closed_stream_neither_reads_nor_writes",
    "aborting_ends_a_read_that_waits",
    "an_encrypted_read_of_what_is_no_tls_fails",
)
class TakesAReadErrorForTheEnd(Stream):
    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            return await super().read(max_bytes, timeout)
        except ReadError:
            return b""


# Writing


@noticed_by("a_large_write_to_a_slow_reader_arrives_whole", "bytes_go_both_ways_at_the_same_time")
class MixesUpWhatItWrites(Stream):
    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        half = len(buffer) // 2 + 1
        await super().write(buffer[half:] + buffer[:half], timeout)


@noticed_by("bytes_go_both_ways_at_the_same_time", "tls_goes_through_tls")
class BreaksWhenItReadsWhileItWrites(Stream):
    def __init__(self, inner: BackendStream) -> None:
        super().__init__(inner)
        self.busy = threading.Lock()

    def begin(self) -> None:
        if not self.busy.acquire(blocking=False):
            self.abort()
            raise ReadError("It is busy.")

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self.begin()
        try:
            return await super().read(max_bytes, timeout)
        finally:
            self.busy.release()

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.begin()
        try:
            await super().write(buffer, timeout)
        finally:
            self.busy.release()


@noticed_by("a_write_of_nothing_sends_nothing")
class SendsSomethingForNothing(Stream):
    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await super().write(buffer or b"0", timeout)


@noticed_by("a_write_waits_no_longer_than_its_timeout")
class SwallowsAWriteTimeout(Stream):
    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        try:
            await super().write(buffer, timeout)
        except WriteTimeout:
            pass


@noticed_by(
    "writes_fail_after_the_peer_has_closed",
    "a_closed_stream_neither_reads_nor_writes",
    "aborting_ends_a_write_that_waits",
)
class SwallowsAWriteError(Stream):
    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        try:
            await super().write(buffer, timeout)
        except WriteError:
            pass


@noticed_by("what_is_written_after_the_peers_end_arrives")
class ClosesAtThePeersEnd(Stream):
    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data = await super().read(max_bytes, timeout)
        if not data:
            self.abort()
        return data


# Closing


@noticed_by("closing_tells_the_peer_and_may_be_done_again")
class ClosesOnlyOnce(Stream):
    async def aclose(self) -> None:
        if self.is_closed:
            raise NetworkError("It was closed before.")
        await super().aclose()


@noticed_by("closing_tells_the_peer_and_may_be_done_again", hangs=True)
class NeverTellsThePeer(Stream):
    def abort(self) -> None:
        self.is_closed = True


@noticed_by("a_stream_knows_its_runtime_and_leaves_nothing_to_await")
class LeavesSomethingToAwait(Stream):
    close_pending = True


@noticed_by("a_stream_knows_its_runtime_and_leaves_nothing_to_await")
class BelongsToAnotherRuntime(Stream):
    @property
    def runtime(self) -> Runtime:
        return TestedRuntime(self.inner.runtime)


# What is known, and what is there


@noticed_by("the_addresses_are_known")
class SwapsTheAddresses(Stream):
    def get_extra_info(self, info: str) -> Any:
        swapped = {"client_addr": "server_addr", "server_addr": "client_addr"}
        return super().get_extra_info(swapped.get(info, info))


@noticed_by("a_stream_is_readable_when_bytes_came")
class IsAlwaysReadable(Stream):
    def get_extra_info(self, info: str) -> Any:
        return True if info == "is_readable" else super().get_extra_info(info)


@noticed_by("a_stream_is_readable_at_its_end", hangs=True)
class IsNeverReadable(Stream):
    def get_extra_info(self, info: str) -> Any:
        return False if info == "is_readable" else super().get_extra_info(info)


@noticed_by("a_plain_stream_has_no_ssl_object")
class IsAlwaysEncrypted(Stream):
    def get_extra_info(self, info: str) -> Any:
        return super().get_extra_info(info) or (object() if info == "ssl_object" else None)


@noticed_by("what_is_there_is_read_without_waiting")
class TakesNothingForTheEnd(Stream):
    def read_nowait(self, max_bytes: int) -> bytes | None:
        return super().read_nowait(max_bytes) or b""


@noticed_by("a_broken_stream_says_so_when_read_without_waiting")
class EndsInsteadOfBreaking(Stream):
    def read_nowait(self, max_bytes: int) -> bytes | None:
        try:
            return super().read_nowait(max_bytes)
        except ReadError:
            return b""


@noticed_by("watching_takes_nothing_and_calls_once_at_most")
class CallsTheWatcherAtOnce(Stream):
    def watch(self, callback: Callable[[], None] | None) -> None:
        if callback is not None:
            callback()


@noticed_by(
    "bytes_that_come_call_the_watcher",
    "the_end_calls_the_watcher",
    "an_error_calls_the_watcher",
    watches=True,
)
class CallsTheWatcherTwice(Stream):
    def watch(self, callback: Callable[[], None] | None) -> None:
        def call() -> None:
            assert callback is not None
            callback()
            callback()

        super().watch(callback and call)


@noticed_by(
    "bytes_that_come_call_the_watcher",
    "the_end_calls_the_watcher",
    "an_error_calls_the_watcher",
    hangs=True,
    watches=True,
)
class NeverCallsTheWatcher(Stream):
    def watch(self, callback: Callable[[], None] | None) -> None:
        pass


@noticed_by("what_is_for_tls_alone_does_not_call_the_watcher", watches=True)
class CallsTheWatcherForWhatIsNotForIt(Stream):
    def watch(self, callback: Callable[[], None] | None) -> None:
        if callback is not None:
            callback()


# Connecting


class Translated(Backend):
    """Turns the errors of a sound backend into others."""

    translation: dict[type[Exception], type[Exception]]

    async def connect_tcp(self, *args: Any, **options: Any) -> BackendStream:
        try:
            return await super().connect_tcp(*args, **options)
        except tuple(self.translation) as exc:
            raise self.translation[type(exc)](str(exc)) from exc

    async def connect_unix_socket(self, *args: Any, **options: Any) -> BackendStream:
        try:
            return await super().connect_unix_socket(*args, **options)
        except tuple(self.translation) as exc:
            raise self.translation[type(exc)](str(exc)) from exc


@noticed_by(
    "a_refused_connection_is_an_error_of_connecting",
    "a_name_that_is_unknown_is_an_error_of_connecting",
    "a_local_address_that_is_not_ours_is_an_error_of_connecting",
    "a_unix_socket_that_is_not_there_is_an_error_of_connecting",
    "when_all_addresses_refuse_connecting_fails",
)
class RaisesTheSystemsErrors(Translated):
    translation = {ConnectError: OSError}  # noqa: RUF012


class Silent(ConnectError):
    def __init__(self, text: str) -> None:
        super().__init__()


@noticed_by("a_refused_connection_is_an_error_of_connecting")
class DoesNotSayWhatHappened(Translated):
    translation = {ConnectError: Silent}  # noqa: RUF012


@noticed_by(
    "connecting_takes_no_longer_than_its_timeout",
    "connecting_to_several_addresses_takes_no_longer_than_its_timeout",
)
class TakesATimeoutForARefusal(Translated):
    translation = {ConnectTimeout: ConnectError}  # noqa: RUF012


@noticed_by("a_name_is_resolved")
class ResolvesNoNames(Backend):
    async def connect_tcp(self, host: str, *args: Any, **options: Any) -> BackendStream:
        try:
            socket.inet_aton(host)
        except OSError as exc:
            raise ConnectError("That is no address.") from exc
        return await super().connect_tcp(host, *args, **options)


@noticed_by("no_timeout_is_no_limit", hangs=True)
class TakesNoTimeoutForZero(Stream):
    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if timeout is None:
            raise ReadTimeout("Nothing came within 0 seconds.")
        return await super().read(max_bytes, timeout)


@noticed_by("a_connection_comes_from_the_local_address")
class ConnectsFromNoAddress(Backend):
    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> BackendStream:
        if local_address is not None:
            raise ConnectError("It has no choice.")
        return await super().connect_tcp(host, port, timeout, None, socket_options)


@noticed_by("socket_options_are_set")
class SetsNoOptions(Backend):
    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> BackendStream:
        return await super().connect_tcp(host, port, timeout, local_address)


@noticed_by("a_unix_socket_is_connected", hangs=True)
class HasNoUnixSockets(Backend):
    async def connect_unix_socket(self, *args: Any, **options: Any) -> BackendStream:
        raise ConnectError("There are none.")


class OnlyTheFirst(Backend):
    """Tries no more than one of a name's addresses."""

    async def connect_tcp(self, *args: Any, **options: Any) -> BackendStream:
        resolve = socket.getaddrinfo

        def resolve_to_one(*args: Any, **options: Any) -> Any:
            return resolve(*args, **options)[:1]

        with mock.patch.object(socket, "getaddrinfo", resolve_to_one):
            return await super().connect_tcp(*args, **options)


@noticed_by("the_next_address_is_tried_when_one_refuses")
class TriesOneAddress(OnlyTheFirst):
    pass


@noticed_by("the_next_address_is_tried_when_one_is_slow", hangs=True)
class WaitsForOneAddress(OnlyTheFirst):
    pass


# TLS


@noticed_by(
    "a_server_that_is_not_trusted_is_an_error_of_connecting",
    "a_server_of_another_name_is_an_error_of_connecting",
)
class TrustsEverybody(Stream):
    async def start_tls(self, *args: Any, **options: Any) -> BackendStream:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return await super().start_tls(context, *args[1:], **options)


@noticed_by("a_handshake_names_the_server_and_agrees_on_a_protocol")
class NamesAnotherServer(Stream):
    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> BackendStream:
        return await super().start_tls(ssl_context, "127.0.0.1", timeout)


@noticed_by("a_handshake_names_the_server_and_agrees_on_a_protocol")
class HidesTheEncryption(Stream):
    def get_extra_info(self, info: str) -> Any:
        return None if info == "ssl_object" else super().get_extra_info(info)


@noticed_by(
    "a_handshake_takes_no_longer_than_its_timeout",
    "a_handshake_with_a_peer_that_closes_is_an_error_of_connecting",
    "a_handshake_with_a_peer_that_resets_is_an_error_of_connecting",
    "a_handshake_with_a_peer_that_speaks_no_tls_is_an_error_of_connecting",
)
class TakesAHandshakeForARead(Stream):
    async def start_tls(self, *args: Any, **options: Any) -> BackendStream:
        try:
            return await super().start_tls(*args, **options)
        except TimeoutException as exc:
            raise ReadTimeout(str(exc)) from exc
        except NetworkError as exc:
            raise ReadError(str(exc)) from exc


@noticed_by("a_handshake_takes_no_longer_than_its_timeout", hangs=True)
class StaysOpenAfterAFailedHandshake(Stream):
    async def start_tls(self, *args: Any, **options: Any) -> BackendStream:
        raise ConnectTimeout("It failed, and nobody closed the connection.")

    def abort(self) -> None:
        pass


@noticed_by("tls_goes_through_tls")
class EncryptsOnlyOnce(Stream):
    async def start_tls(self, *args: Any, **options: Any) -> BackendStream:
        if self.get_extra_info("ssl_object") is not None:
            raise ConnectError("It is encrypted.")
        return await super().start_tls(*args, **options)


# The runtime


@noticed_by("the_clock_never_goes_back")
class GoesBack(TestedRuntime):
    def __init__(self, inner: Runtime) -> None:
        super().__init__(inner)
        self.times = itertools.count(0, -1)

    def now(self) -> float:
        return next(self.times)


@noticed_by("the_clock_never_goes_back")
class NeverSleeps(TestedRuntime):
    async def sleep(self, seconds: float) -> None:
        pass


@noticed_by("the_token_is_that_of_the_running_runtime")
class ChangesItsToken(TestedRuntime):
    def token(self) -> object:
        return object()


@noticed_by("the_token_is_that_of_the_running_runtime")
class SeemsToHaveEnded(TestedRuntime):
    def is_running(self, token: object) -> bool:
        return False


class SaysTheOpposite(Waiter):
    def __init__(self, inner: Waiter) -> None:
        self.inner = inner

    def wake(self) -> None:
        self.inner.wake()

    async def wait(self, timeout: float | None) -> bool:
        return not await self.inner.wait(timeout)


@noticed_by(
    "a_waiter_that_was_woken_before_does_not_wait",
    "a_waiter_that_waits_is_woken",
    "a_waiter_waits_no_longer_than_its_timeout",
)
class WaitersSayTheOpposite(TestedRuntime):
    def create_waiter(self) -> Waiter:
        return SaysTheOpposite(super().create_waiter())


@noticed_by("a_shielded_call_returns_and_raises_what_it_does")
class ForgetsTheResult(TestedRuntime):
    async def shielded(self, call: Callable[[], Awaitable[T]]) -> T:
        await super().shielded(call)
        return cast(T, None)


@noticed_by(
    "a_connection_comes_from_the_local_address",
    "a_local_address_that_is_not_ours_is_an_error_of_connecting",
)
class IgnoresTheLocalAddress(Backend):
    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> BackendStream:
        return await super().connect_tcp(host, port, timeout, None, socket_options)


class LosesAnEarlyWake(Waiter):
    def __init__(self, inner: Waiter) -> None:
        self.inner = inner
        self.is_waiting = False

    def wake(self) -> None:
        if self.is_waiting:
            self.inner.wake()

    async def wait(self, timeout: float | None) -> bool:
        self.is_waiting = True
        return await self.inner.wait(timeout)


@noticed_by("a_waiter_that_was_woken_before_does_not_wait", hangs=True)
class WaitersLoseAnEarlyWake(TestedRuntime):
    def create_waiter(self) -> Waiter:
        return LosesAnEarlyWake(super().create_waiter())
