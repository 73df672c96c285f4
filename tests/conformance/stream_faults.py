"""Faults of streams: reading, writing, closing, extra information and watching."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from httpcore2_core import (
    NetworkError,
    ReadError,
    ReadTimeout,
    WriteError,
    WriteTimeout,
)
from httpcore2_core._net.backend_stream import BackendStream
from httpcore2_core._net.runtime import Runtime

from .faults import DelegatingRuntime, DelegatingStream, detected_by

# Reading


@detected_by(
    "a_read_returns_what_came",
    "an_encrypted_read_puts_together_what_comes_in_pieces",
    "no_timeout_is_no_limit",
)
class ReturnsOtherBytes(DelegatingStream):
    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return (await super().read(max_bytes, timeout)).upper()


@detected_by("a_read_returns_max_bytes_at_most")
class ReturnsTooMuch(DelegatingStream):
    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await super().read(max_bytes + 1, timeout)


@detected_by("a_read_at_the_end_returns_nothing_however_often")
class EndsOnlyOnce(DelegatingStream):
    has_ended = False

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self.has_ended:
            raise ReadError("The stream has ended.")
        data = await super().read(max_bytes, timeout)
        self.has_ended = not data
        return data


@detected_by("an_end_below_tls_is_the_end")
class RaisesAtTheEnd(DelegatingStream):
    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data = await super().read(max_bytes, timeout)
        if not data:
            raise ReadError("The stream has ended.")
        return data


@detected_by(
    "a_read_waits_no_longer_than_its_timeout",
    "an_encrypted_read_of_a_part_waits_no_longer_than_its_timeout",
)
class ReturnsTheEndAtATimeout(DelegatingStream):
    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            return await super().read(max_bytes, timeout)
        except ReadTimeout:
            return b""


@detected_by("a_read_that_timed_out_takes_nothing_from_the_next")
class ClosesAtATimeout(DelegatingStream):
    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            return await super().read(max_bytes, timeout)
        except ReadTimeout:
            self.abort()
            raise


@detected_by(
    "a_read_from_a_connection_that_was_reset_fails",
    "a_closed_stream_neither_reads_nor_writes",
    "aborting_ends_a_read_that_waits",
    "an_encrypted_read_of_what_is_no_tls_fails",
)
class ReturnsTheEndAtAnError(DelegatingStream):
    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            return await super().read(max_bytes, timeout)
        except ReadError:
            return b""


# Writing


@detected_by("a_large_write_to_a_slow_reader_arrives_whole", "bytes_go_both_ways_at_the_same_time")
class WritesInAnotherOrder(DelegatingStream):
    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        half = len(buffer) // 2 + 1
        await super().write(buffer[half:] + buffer[:half], timeout)


@detected_by("bytes_go_both_ways_at_the_same_time", "tls_goes_through_tls")
class RefusesConcurrentReadsAndWrites(DelegatingStream):
    def __init__(self, inner: BackendStream) -> None:
        super().__init__(inner)
        self.busy = threading.Lock()

    def begin(self) -> None:
        if not self.busy.acquire(blocking=False):
            self.abort()
            raise ReadError("The stream is in use.")

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


@detected_by("a_write_of_nothing_sends_nothing")
class SendsAByteForAnEmptyWrite(DelegatingStream):
    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await super().write(buffer or b"0", timeout)


@detected_by("a_write_waits_no_longer_than_its_timeout")
class SuppressesWriteTimeouts(DelegatingStream):
    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        try:
            await super().write(buffer, timeout)
        except WriteTimeout:
            pass


@detected_by(
    "writes_fail_after_the_peer_has_closed",
    "a_closed_stream_neither_reads_nor_writes",
    "aborting_ends_a_write_that_waits",
)
class SuppressesWriteErrors(DelegatingStream):
    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        try:
            await super().write(buffer, timeout)
        except WriteError:
            pass


@detected_by("what_is_written_after_the_peers_end_arrives")
class ClosesAtThePeersEnd(DelegatingStream):
    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data = await super().read(max_bytes, timeout)
        if not data:
            self.abort()
        return data


# Closing


@detected_by("closing_tells_the_peer_and_may_be_done_again")
class RaisesAtTheSecondClose(DelegatingStream):
    async def aclose(self) -> None:
        if self.is_closed:
            raise NetworkError("The stream is closed already.")
        await super().aclose()


@detected_by("closing_tells_the_peer_and_may_be_done_again", hangs=True)
class NeverClosesTheSocket(DelegatingStream):
    def abort(self) -> None:
        self.is_closed = True


@detected_by("a_stream_knows_its_runtime_and_leaves_nothing_to_await")
class HasAPendingClose(DelegatingStream):
    close_pending = True


@detected_by("a_stream_knows_its_runtime_and_leaves_nothing_to_await")
class BelongsToAnotherRuntime(DelegatingStream):
    @property
    def runtime(self) -> Runtime:
        return DelegatingRuntime(self.inner.runtime)


# Extra information, reads without waiting and watching


@detected_by("the_addresses_are_known")
class SwapsTheAddresses(DelegatingStream):
    def get_extra_info(self, info: str) -> Any:
        swapped = {"client_addr": "server_addr", "server_addr": "client_addr"}
        return super().get_extra_info(swapped.get(info, info))


@detected_by("a_stream_is_readable_when_bytes_came")
class IsAlwaysReadable(DelegatingStream):
    def get_extra_info(self, info: str) -> Any:
        return True if info == "is_readable" else super().get_extra_info(info)


@detected_by("a_stream_is_readable_at_its_end", hangs=True)
class IsNeverReadable(DelegatingStream):
    def get_extra_info(self, info: str) -> Any:
        return False if info == "is_readable" else super().get_extra_info(info)


@detected_by("a_plain_stream_has_no_ssl_object")
class IsAlwaysEncrypted(DelegatingStream):
    def get_extra_info(self, info: str) -> Any:
        return super().get_extra_info(info) or (object() if info == "ssl_object" else None)


@detected_by("what_is_there_is_read_without_waiting")
class ReturnsTheEndForNoData(DelegatingStream):
    def read_nowait(self, max_bytes: int) -> bytes | None:
        return super().read_nowait(max_bytes) or b""


@detected_by("a_broken_stream_says_so_when_read_without_waiting")
class ReturnsTheEndAtAnErrorWithoutWaiting(DelegatingStream):
    def read_nowait(self, max_bytes: int) -> bytes | None:
        try:
            return super().read_nowait(max_bytes)
        except ReadError:
            return b""


@detected_by("watching_takes_nothing_and_calls_once_at_most")
class CallsTheWatcherAtOnce(DelegatingStream):
    def watch(self, callback: Callable[[], None] | None) -> None:
        if callback is not None:
            callback()


@detected_by(
    "bytes_that_come_call_the_watcher",
    "the_end_calls_the_watcher",
    "an_error_calls_the_watcher",
    watches=True,
)
class CallsTheWatcherTwice(DelegatingStream):
    def watch(self, callback: Callable[[], None] | None) -> None:
        def call() -> None:
            assert callback is not None
            callback()
            callback()

        super().watch(callback and call)


@detected_by(
    "bytes_that_come_call_the_watcher",
    "the_end_calls_the_watcher",
    "an_error_calls_the_watcher",
    hangs=True,
    watches=True,
)
class NeverCallsTheWatcher(DelegatingStream):
    def watch(self, callback: Callable[[], None] | None) -> None:
        pass


@detected_by("what_is_for_tls_alone_does_not_call_the_watcher", watches=True)
class CallsTheWatcherForTLSRecordsWithoutData(DelegatingStream):
    def watch(self, callback: Callable[[], None] | None) -> None:
        if callback is not None:
            callback()
