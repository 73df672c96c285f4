"""The backend for threads: coroutines that block where others suspend.

Rules:

- Sockets don't block, and `poll` waits for them: threads and event loops share one stream class.
- When one thread closes a connection, the others that wait for it are woken, and fail: the end that the shutdown makes
  must never be taken for the peer's.
- A descriptor is closed only when no thread can be using its number, which the next socket that is opened gets. So
  `abort()` shuts the socket down, and the last user closes the descriptor. Otherwise a thread polls, and may even read
  from, another one's connection: 29 of 30 threads once hung.

Must not know: HTTP, the pool, the sync interface.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Sequence
from typing import Any

from .._exceptions import ReadError, WriteError
from .attempts import Attempt, AttemptLog
from .descriptors import Descriptor
from .dial_listener import dial_listener
from .errors import CLOSED_HERE, read_timeout
from .forks import generation
from .happy_eyeballs import Race, close_all
from .network_interfaces import SOCKET_OPTION
from .readiness import Address, ReadinessRuntime
from .socket_backend import (
    ReadinessBackend,
    begin_to_connect,
    check_connected,
    make_socket,
    peer_of,
)
from .socket_stream import SocketStream
from .thread_datagrams import ThreadDatagramStream
from .thread_runtime import LONGEST_POLL, ThreadRuntime


class ThreadStream(SocketStream):
    """A connection that one thread may close while others use it.

    Each method holds the descriptor while it runs, and deletes its reference in `finally`: the traceback of an
    exception keeps the variables of the frames that it has left.
    """

    def __init__(self, sock: socket.socket, runtime: ReadinessRuntime) -> None:
        super().__init__(sock, runtime)
        self._is_aborted = False
        self._descriptor: Descriptor | None = Descriptor(sock, self._poller)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        descriptor = self._descriptor
        try:
            if descriptor is None:
                raise ReadError(CLOSED_HERE)
            # A response has rarely arrived yet, and a receive that fails takes 2 µs more than a poll.
            poller = descriptor.poller
            if poller is not None and (timeout is None or timeout <= LONGEST_POLL):
                if not poller.poll(None if timeout is None else timeout * 1000):
                    raise read_timeout(timeout)
                data = self._receive(max_bytes)
                if data is not None:
                    return data
            return await super().read(max_bytes, timeout)
        finally:
            del descriptor

    def read_nowait(self, max_bytes: int) -> bytes | None:
        descriptor = self._descriptor
        try:
            if descriptor is None:
                raise ReadError(CLOSED_HERE)
            return super().read_nowait(max_bytes)
        finally:
            del descriptor

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        descriptor = self._descriptor
        try:
            if descriptor is None:
                raise WriteError(CLOSED_HERE)
            sent = self._send(buffer)
            if sent < len(buffer):
                await self._send_remaining(memoryview(buffer)[sent:], timeout)
        finally:
            del descriptor

    def write_nowait(self, buffer: bytes) -> int:
        descriptor = self._descriptor
        try:
            if descriptor is None:
                raise WriteError(CLOSED_HERE)
            return self._send(buffer)
        finally:
            del descriptor

    async def write_some(self, buffer: bytes, timeout: float | None = None) -> int:
        descriptor = self._descriptor
        try:
            if descriptor is None:
                raise WriteError(CLOSED_HERE)
            return await super().write_some(buffer, timeout)
        finally:
            del descriptor

    def get_extra_info(self, info: str) -> Any:
        descriptor = self._descriptor
        try:
            if descriptor is None:
                return {"socket": self._socket, "is_readable": True}.get(info)
            return super().get_extra_info(info)
        finally:
            del descriptor

    def abort(self) -> None:
        descriptor = self._descriptor
        try:
            if descriptor is None:
                return
            # First: a thread that the shutdown wakes must not take it for the peer's end.
            self._is_aborted = True
            if self._generation == generation():
                descriptor.release()
                self._runtime.notify_closing(self._socket)
            else:
                # The threads that may have used it run in the parent. Here their frames stay as they are, and with
                # them their references.
                self._socket.close()
            # Last: after an interruption before this line the stream can be closed again.
            self._descriptor = None
        finally:
            del descriptor

    def _end(self) -> bytes:
        if self._is_aborted:
            raise ReadError(CLOSED_HERE)
        return super()._end()

    def _reason(self, error: OSError) -> str:
        return CLOSED_HERE if self._is_aborted else str(error)


class ThreadBackend(ReadinessBackend):
    """Opens connections for threads."""

    stream_class = ThreadStream
    datagram_class = ThreadDatagramStream

    def __init__(self) -> None:
        self.runtime: ThreadRuntime = ThreadRuntime()

    async def _connect_first(
        self,
        addresses: Sequence[Address],
        source: tuple[Any, ...] | None,
        options: Sequence[SOCKET_OPTION],
        log: AttemptLog,
    ) -> socket.socket:
        # One thread waits for all sockets, where an event loop has a task for each attempt.
        race = Race(addresses)
        connecting: dict[socket.socket, Attempt] = {}
        attempts = _Attempts()
        try:
            while race.has_next or connecting:
                if race.has_next:
                    attempt = log.begin(race.next())
                    attempts.started(attempt.address)
                    try:
                        sock = begin_attempt(attempt.address, source, options)
                    except OSError as exc:
                        attempts.ended(attempt.address, exc)
                        attempt.error = exc
                        race.fail(exc)
                        continue
                    connecting[sock] = attempt
                deadline = self.runtime.deadline(race.delay)
                sockets = list(connecting)
                for sock in self.runtime.wait_any(sockets, for_writing=True, deadline=deadline):
                    attempt = connecting.pop(sock)
                    try:
                        check_connected(sock)
                    except OSError as exc:
                        sock.close()
                        attempts.ended(attempt.address, exc)
                        attempt.error = exc
                        race.fail(exc)
                    else:
                        attempts.ended(attempt.address, None)
                        return sock
            raise race.error()
        finally:
            close_all(connecting)
            for attempt in connecting.values():
                attempts.ended(attempt.address, attempt_given_up())


class _Attempts:
    """Reports the attempts of a race, whose sockets are waited for together."""

    def __init__(self) -> None:
        self._listener = dial_listener.get()

    def started(self, address: Address) -> None:
        if self._listener is not None:
            self._listener.attempt_started(peer_of(address))

    def ended(self, address: Address, error: OSError | None) -> None:
        if self._listener is not None:
            self._listener.attempt_ended(peer_of(address), error)


def attempt_given_up() -> OSError:
    """Return the error of an attempt that has not ended when another one has succeeded, or the time is over."""
    return OSError(errno.ECANCELED, os.strerror(errno.ECANCELED))


def begin_attempt(
    address: Address, source: tuple[Any, ...] | None, options: Sequence[SOCKET_OPTION]
) -> socket.socket:
    """Return a socket that is writable when it is connected, or has failed to connect."""
    sock = make_socket(address, source, options)
    try:
        begin_to_connect(sock, address[4])
    except BaseException:
        sock.close()
        raise
    return sock
