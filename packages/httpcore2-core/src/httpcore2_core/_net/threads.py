"""The backend for threads: coroutines that block where others suspend.

Rules:

- Sockets don't block, `poll` waits for them: one stream serves threads and event loops.
- A connection that one thread closes wakes the others that wait for it, and they fail: the end that
  closing makes must never be taken for the peer's.
- A descriptor is closed only when no thread can be using its number, which the next socket that is
  opened gets: to close shuts the socket down, and who uses it last closes the descriptor. Otherwise
  a thread polls, and may even read from, another one's connection: 29 of 30 threads once hung.

Must not know: HTTP, the pool, the synchronous interface.
"""

from __future__ import annotations

import math
import os
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, TypeVar

from .._exceptions import ReadError, ReadTimeout, WriteError
from .happy_eyeballs import ATTEMPT_DELAY, connect_error
from .interfaces import SOCKET_OPTION
from .polling import Poller
from .runtime import Waiter, generation
from .sockets import (
    CLOSED_HERE,
    Address,
    Nursery,
    ReadinessBackend,
    ReadinessRuntime,
    SocketStream,
    close_all,
    make_socket,
)

T = TypeVar("T")

_TOKEN = object()

# Windows has no `poll`.
Selector = getattr(selectors, "PollSelector", selectors.SelectSelector)

# `poll` takes no more than some weeks, and an event's `wait` some hundred years.
_LONGEST_POLL = 1e6


class _DeadlinePassed(Exception):
    """Leaves a scope whose deadline has come."""


class _Local(threading.local):
    """The deadline of the scope that a thread is in."""

    deadline = math.inf


class ThreadWaiter(Waiter):
    """One thread that waits.

    Not a `threading.Event`, which is written in Python: an exception from a signal handler would leave its lock held.
    """

    __slots__ = ("_is_woken", "_lock")

    def __init__(self) -> None:
        self._is_woken = False
        self._lock = threading.Lock()
        self._lock.acquire()

    def wake(self) -> None:
        self._is_woken = True
        try:
            self._lock.release()
        except RuntimeError:
            pass  # it was woken before

    async def wait(self, timeout: float | None) -> bool:
        if not self._is_woken:
            self._lock.acquire(
                timeout=-1 if timeout is None else min(timeout, threading.TIMEOUT_MAX)
            )
        return self._is_woken


def _bounded(timeout: float | None) -> float | None:
    return None if timeout is None else min(timeout, threading.TIMEOUT_MAX)


class _Scope:
    """What a cancel scope is on a thread: the thread's waits end at its deadline.

    In the middle of one, a signal handler may open another connection, with a deadline of its own.
    """

    def __init__(self, local: _Local, deadline: float) -> None:
        self._local = local
        self._deadline = deadline
        self._outer = math.inf

    def __enter__(self) -> _Scope:
        self._outer = self._local.deadline
        self._local.deadline = self._deadline
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        self._local.deadline = self._outer
        return exc_type is _DeadlinePassed

    def cancel(self) -> None:
        raise AssertionError("a thread has nobody to cancel it")


def wait_for(
    sockets: Sequence[socket.socket], *, for_writing: bool, timeout: float | None
) -> list[socket.socket]:
    """Wait until some of `sockets` are ready, and return them; none after `timeout` seconds."""
    with Selector() as selector:
        try:
            for sock in sockets:
                event = selectors.EVENT_WRITE if for_writing else selectors.EVENT_READ
                selector.register(sock, event, sock)
            return [key.data for key, _ in selector.select(timeout)]
        except (OSError, ValueError):
            closed = [sock for sock in sockets if sock.fileno() == -1]
            if not closed:
                raise
            return closed  # by another thread: whatever is tried with it fails at once


class ThreadRuntime(ReadinessRuntime):
    """The world of threads."""

    __slots__ = ("_local",)

    is_blocking = True

    def __init__(self) -> None:
        self._local = _Local()

    def now(self) -> float:
        return time.monotonic()

    def token(self) -> object:
        return _TOKEN

    def is_running(self, token: object) -> bool:
        return True

    def create_waiter(self) -> Waiter:
        return ThreadWaiter()

    async def sleep(self, seconds: float) -> None:
        deadline = self._local.deadline
        pause = max(0.0, min(seconds, deadline - time.monotonic()))
        time.sleep(pause)  # noqa: ASYNC251 - blocking is how a thread waits
        if time.monotonic() >= deadline:
            raise _DeadlinePassed

    async def shielded(self, call: Callable[[], Awaitable[T]]) -> T:
        return await call()

    async def checkpoint(self) -> None:
        """The system shares out the time between threads."""

    async def wait_readable(self, sock: socket.socket, deadline: float | None) -> bool:
        return bool(self.wait_any((sock,), for_writing=False, deadline=deadline))

    async def wait_writable(self, sock: socket.socket, deadline: float | None) -> bool:
        return bool(self.wait_any((sock,), for_writing=True, deadline=deadline))

    def wait_any(
        self, sockets: Sequence[socket.socket], *, for_writing: bool, deadline: float | None
    ) -> list[socket.socket]:
        """Wait until some of `sockets` are ready, and return them; none at the deadline."""
        scope = self._local.deadline
        end = scope if deadline is None or scope < deadline else deadline
        while True:
            timeout = None
            if end != math.inf:
                timeout = min(max(0.0, end - time.monotonic()), _LONGEST_POLL)
            ready = wait_for(sockets, for_writing=for_writing, timeout=timeout)
            if ready:
                return ready
            if time.monotonic() >= end:
                if end == scope:
                    raise _DeadlinePassed
                return []

    def notify_closing(self, sock: socket.socket) -> None:
        try:
            # Closing alone does not wake a thread that waits for the socket.
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the peer was first

    def cancel_scope(self, deadline: float) -> _Scope:
        return _Scope(self._local, deadline)

    def open_nursery(self) -> AbstractAsyncContextManager[Nursery]:
        raise AssertionError("a thread does one thing at a time; see ThreadBackend._open_first")

    async def resolve(
        self, host: str, port: int, family: socket.AddressFamily
    ) -> Sequence[Address]:
        deadline = self._local.deadline
        if deadline == math.inf:
            return _resolve(host, port, family)
        try:
            return _resolve(host, port, family, socket.AI_NUMERICHOST)
        except socket.gaierror:
            pass  # a name: looking it up may take long, and can't be interrupted
        outcome: list[Sequence[Address] | Exception] = []
        is_done = threading.Event()

        def look_up() -> None:
            try:
                outcome.append(_resolve(host, port, family))
            except Exception as exc:  # noqa: BLE001 - the thread that waits raises it
                outcome.append(exc)
            finally:
                is_done.set()

        # What it still finds after the deadline is dropped with it.
        thread = threading.Thread(target=look_up, name=f"resolve {host}", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            # Python shuts down, when many a program sends its last request.
            return _resolve(host, port, family)
        if not is_done.wait(_bounded(max(0.0, deadline - time.monotonic()))):
            raise _DeadlinePassed
        found = outcome.pop()  # left in there, an exception would keep itself alive
        if isinstance(found, Exception):
            raise found
        return found


def _resolve(
    host: str, port: int, family: socket.AddressFamily, flags: int = 0
) -> Sequence[Address]:
    return socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=flags)


class Descriptor:
    """The right to use a socket's descriptor: it is closed when nobody has it any more.

    The count of references is the count of users. It costs a local variable, holds without the GIL, and is right
    after any exception: what a signal handler raises between two bytecodes can't keep a count from going down.
    """

    __slots__ = ("_is_released", "_socket", "poller")

    def __init__(self, sock: socket.socket, poller: Poller | None) -> None:
        self._socket = sock
        self.poller = poller
        self._is_released = False

    def release(self) -> None:
        """Let the last one who has this close the socket; else it says, when collected, that nobody did."""
        self._is_released = True

    def __del__(self) -> None:
        if self._is_released:
            self._socket.close()


class ThreadStream(SocketStream):
    """A connection that one thread may close while others use it.

    Each method holds the descriptor for as long as it runs, and lets go of it in `finally`: an exception's traceback
    keeps the variables of the frames that it has left.
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
            # A response is hardly ever there already: to receive in vain costs 2 µs more than to ask.
            poller = descriptor.poller
            if poller is not None and (timeout is None or timeout <= _LONGEST_POLL):
                if not poller.poll(None if timeout is None else timeout * 1000):
                    raise ReadTimeout(f"The peer sent nothing for {timeout} seconds.")
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
                await self._send_rest(memoryview(buffer)[sent:], timeout)
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
            # First of all: who is woken by the shutdown must not take it for the peer's end.
            self._is_aborted = True
            if self._generation == generation():
                descriptor.release()
                self._runtime.notify_closing(self._socket)
            else:
                # The threads that may have used it are the parent's. Here their frames stay as they are, and with them
                # their references.
                self._socket.close()
            # Last of all: who was interrupted on the way here can close it again.
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

    def __init__(self) -> None:
        self.runtime: ThreadRuntime = ThreadRuntime()

    async def _open_first(
        self,
        addresses: Sequence[Address],
        source: tuple[Any, ...] | None,
        options: Sequence[SOCKET_OPTION],
    ) -> socket.socket:
        left = deque(addresses)
        connecting: list[socket.socket] = []
        errors: list[OSError] = []
        try:
            while left or connecting:
                if left:
                    address = left.popleft()
                    try:
                        connecting.append(begin_to_connect(address, source, options))
                    except OSError as exc:
                        errors.append(exc)
                        continue
                patience = self.runtime.now() + ATTEMPT_DELAY if left else None
                ready = self.runtime.wait_any(connecting, for_writing=True, deadline=patience)
                for sock in ready:
                    connecting.remove(sock)
                    code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    if not code:
                        return sock
                    sock.close()
                    errors.append(OSError(code, os.strerror(code)))
            raise connect_error(errors) from errors[-1]
        finally:
            close_all(connecting)


def begin_to_connect(
    address: Address, source: tuple[Any, ...] | None, options: Sequence[SOCKET_OPTION]
) -> socket.socket:
    """Return a socket that is writable when it is connected, or has failed to."""
    sock = make_socket(address, source, options)
    try:
        sock.connect(address[4])
    except BlockingIOError:
        pass  # which is what it does when all is well
    except BaseException:
        sock.close()
        raise
    return sock
