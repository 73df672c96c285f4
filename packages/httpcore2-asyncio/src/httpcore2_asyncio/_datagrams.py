"""Datagrams on an asyncio event loop, the stdlib's or uvloop's.

Rules:

- The loop only reports that the socket is readable. The stream receives all that has arrived at once: the stdlib's own
  transport receives one datagram in each iteration of the loop.
- The callback stays registered from one wait to the next, since registering costs a system call. It is taken out when
  the loop calls it though nobody waits or watches: it would be called in each iteration.
- There is one timer, which is moved, not made and cancelled for each wait: QUIC's waits are short.
- Only the thread of a running loop touches the loop. A stream that is closed from another thread schedules the closing.
- A forked child does not touch the parent's loop: both share an epoll set.

Must not know: how datagrams are sent, QUIC, HTTP, the pool.
"""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import Callable, Iterator

from httpcore2_core._exceptions import ConnectError, ReadError
from httpcore2_core._net.datagram_socket import SocketDatagramStream

from ._runtime import CLOCK_TICK, RUNTIME, finish


class AsyncIODatagramStream(SocketDatagramStream):
    """Datagrams on the running event loop."""

    def __init__(self, sock: socket.socket, further: Iterator[socket.socket] | None = None) -> None:
        """Take over connected sockets.

        Raises:
            ConnectError: the event loop can't wait for sockets.
        """
        super().__init__(RUNTIME, sock, further)
        self._loop = asyncio.get_running_loop()
        self._reader: asyncio.Future[None] | None = None
        self._watcher: Callable[[], None] | None = None
        self._registered: socket.socket | None = None
        self._is_stopped = False  # the loop may report nothing more
        self._is_readable = False
        self._deadline = math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = math.inf
        try:
            self._register()
        except NotImplementedError:
            sock.close()
            raise ConnectError(
                f"{type(self._loop).__name__} can't wait for sockets, which HTTP/3 needs. On Windows, run "
                "asyncio.SelectorEventLoop, or trio."
            ) from None

    def _register(self) -> None:
        """Let the loop report when the current socket is readable."""
        if self._registered is not self._socket or self._is_stopped:
            self._unregister()
            self._is_stopped = False
            self._loop.add_reader(self._socket, self._on_readable)
            self._registered = self._socket

    def _unregister(self) -> None:
        if self._registered is not None:
            self._loop.remove_reader(self._registered)
            self._registered = None

    def _on_readable(self) -> None:
        reader = self._reader
        if reader is not None:
            # Called once more before the task runs that is woken here.
            self._is_readable = True
            finish(reader)
            return
        callback, self._watcher = self._watcher, None
        if callback is None:
            self._unregister()
        else:
            callback()

    def receive_nowait(self) -> list[bytes]:
        try:
            return super().receive_nowait()
        except ReadError:
            # uvloop stops to watch a socket that has an error, without being told to.
            self._is_stopped = True
            raise

    async def _wait(self, timeout: float | None) -> bool:
        if self._reader is not None:
            # A bug in the caller, and so no `ReadError`, after which the request would be sent again.
            raise RuntimeError("Another task is already receiving from this stream.")
        loop = self._loop
        self._register()
        self._is_readable = False
        if timeout is None:
            self._deadline = math.inf
        else:
            self._deadline = deadline = loop.time() + timeout
            if deadline < self._timer_due:
                self._set_timer(deadline)
        self._reader = loop.create_future()
        try:
            await self._reader
        finally:
            self._reader = None
        return self._is_readable

    def _set_timer(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = when
        self._timer = self._loop.call_at(when, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._timer_due = math.inf
        if self._reader is None or self._deadline == math.inf:
            return
        if self._deadline > self._loop.time() + CLOCK_TICK:
            self._set_timer(self._deadline)
        else:
            finish(self._reader)

    def watch(self, callback: Callable[[], None] | None) -> None:
        self._watcher = callback
        if callback is not None and not self._is_aborted:
            self._register()

    def _close(self, sock: socket.socket) -> None:
        if self._is_own_loop():
            self._close_on_loop(sock)
        elif self._loop.is_closed():
            sock.close()
        else:
            try:
                self._loop.call_soon_threadsafe(self._close_on_loop, sock)
            except RuntimeError:
                sock.close()  # it was closed in this moment

    def _is_own_loop(self) -> bool:
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            # No loop runs in this thread: it may be this one, stopped, and then nobody else uses it.
            return not self._loop.is_running() and not self._loop.is_closed()

    def _close_on_loop(self, sock: socket.socket) -> None:
        if self._registered is sock and not self._loop.is_closed():
            self._unregister()
        sock.close()
        if self._is_aborted:
            self._watcher = None
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if self._reader is not None:
                self._is_readable = True
                finish(self._reader)
