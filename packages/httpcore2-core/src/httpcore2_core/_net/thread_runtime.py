"""Clock, waiting and readiness of sockets on threads: coroutines that block where others suspend.

Must not know: streams, HTTP, the pool, the sync interface.
"""

from __future__ import annotations

import math
import selectors
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import TypeVar

from .readiness import Address, Nursery, ReadinessRuntime
from .runtime import Waiter

T = TypeVar("T")


_TOKEN = object()


# Windows has no `poll`.
Selector = getattr(selectors, "PollSelector", selectors.SelectSelector)


# The longest timeout of `poll` is some weeks, and that of an event's `wait` some hundred years.
LONGEST_POLL = 1e6


class _DeadlinePassed(Exception):
    """Leaves a scope whose deadline has passed."""


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
    """A cancel scope on a thread: the thread's waits end at its deadline.

    Scopes are nested when a signal handler opens a connection of its own while the thread opens another.
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
        raise AssertionError("nobody can cancel a thread")


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
            return closed  # by another thread: the next call on the socket fails at once


class ThreadRuntime(ReadinessRuntime):
    """The runtime of threads."""

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
        """Do nothing: the system schedules threads."""

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
                timeout = min(max(0.0, end - time.monotonic()), LONGEST_POLL)
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
            pass  # the peer has closed it already

    def cancel_scope(self, deadline: float) -> _Scope:
        return _Scope(self._local, deadline)

    def open_nursery(self) -> AbstractAsyncContextManager[Nursery]:
        raise AssertionError("a thread runs one task; see ThreadBackend._connect_first")

    async def resolve(
        self, host: str, port: int, family: socket.AddressFamily
    ) -> Sequence[Address]:
        deadline = self._local.deadline
        if deadline == math.inf:
            return _resolve(host, port, family)
        try:
            return _resolve(host, port, family, socket.AI_NUMERICHOST)
        except socket.gaierror:
            pass  # a name: its look-up may take long, and can't be interrupted
        outcome: list[Sequence[Address] | Exception] = []
        is_done = threading.Event()

        def look_up() -> None:
            try:
                outcome.append(_resolve(host, port, family))
            except Exception as exc:  # noqa: BLE001 - the thread that waits raises it
                outcome.append(exc)
            finally:
                is_done.set()

        # A result that comes after the deadline is dropped with the thread.
        thread = threading.Thread(target=look_up, name=f"resolve {host}", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            # Python is shutting down, and can't start threads. Many programs send a last request then.
            return _resolve(host, port, family)
        if not is_done.wait(_bounded(max(0.0, deadline - time.monotonic()))):
            raise _DeadlinePassed
        found = outcome.pop()  # left in the list, an exception would keep itself alive
        if isinstance(found, Exception):
            raise found
        return found


def _resolve(
    host: str, port: int, family: socket.AddressFamily, flags: int = 0
) -> Sequence[Address]:
    return socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=flags)
