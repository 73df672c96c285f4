"""One connection on an asyncio event loop.

Rules:

- A receive goes into one buffer that all connections of a loop share, and what came is copied out
  at once. Bytes that no read waits for, or that it has no room for, are kept; from `HIGH_WATER` of
  them on the loop stops receiving until a read has taken some away. What is kept is not copied
  again for the read that takes all of it.
- Bytes handed to a read that is cancelled before it could return them go back to the front: none
  are ever lost.
- A connection has at most one timer for its reads. It is moved, not made and cancelled per read:
  while it runs, a new deadline is only noted, and the timer looks at the note when it fires. On an
  idle connection it fires once more and is gone.
- A transport is told to hold nothing back (`set_write_buffer_limits(0)`), so a write returns when
  the system has taken all. A write that is cancelled or timed out leaves the rest of its bytes in
  the transport: the caller condemns the connection. `write_some` waits before it gives the transport
  anything, and so leaves nothing there.
- Fairness needs no checkpoint: a read that returns without suspending takes from what is kept,
  which only the loop refills.
- The loop receives while the program awaits. What came while it worked is still with the system, so
  `read_nowait` and `is_readable` ask the socket itself, 0.4 µs each time: a connection that the pool
  takes up again may hold a response that nobody asked for, or its end. To receive behind the
  transport's back keeps the order, since transports on Unix hand on at once what they receive, and a
  receive in vain is nothing to them. On Windows the loop has a receive under way ahead of time, and
  only what it has handed on is known.
- The system reports a reset once; the transport's next receive looks like the peer's end. Whatever
  was first stands.
- A forked child touches neither the parent's loop (an epoll set is shared by both) nor the
  connection (a shutdown would be the parent's too): it closes its own descriptor and nothing else.
- Only the thread of a running loop touches its transports, and with them their descriptors: closed
  from another one, where the garbage collector may run a pool's finaliser, a stream asks the loop.

Must not know: name resolution and connecting, TLS, HTTP, the pool.
"""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, Self
from weakref import WeakKeyDictionary

from httpcore2_core._exceptions import ReadError, ReadTimeout, WriteError, WriteTimeout
from httpcore2_core._net.backend_stream import BackendStream
from httpcore2_core._net.forks import generation
from httpcore2_core._net.polling import make_poller

from ._runtime import CLOCK_TICK, RUNTIME, finish

if TYPE_CHECKING:
    from httpcore2_core._net.runtime import Runtime

BUFFER_SIZE = 256 * 1024
HIGH_WATER = 64 * 1024

_CLOSED_HERE = "The connection was closed on this side."
# The transport says why in the loop's next iteration.
_BROKEN = "The connection broke."

_shared_buffers: WeakKeyDictionary[asyncio.AbstractEventLoop, memoryview] = WeakKeyDictionary()

# uvloop's transports take themselves off the parent's epoll set even when garbage collected. In a
# forked child they are therefore kept for good.
_graveyard: list[asyncio.BaseTransport] = []


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def shared_buffer(loop: asyncio.AbstractEventLoop) -> memoryview:
    """Return the one buffer into which all connections of `loop` receive, one after the other."""
    buffer = _shared_buffers.get(loop)
    if buffer is None:
        buffer = _shared_buffers[loop] = memoryview(bytearray(BUFFER_SIZE))
    return buffer


class AsyncIOStream(BackendStream, asyncio.BufferedProtocol):
    """A connected stream; at the same time the protocol that its transport reports to."""

    is_resumable = True
    # The room is there already, and shared. A body of 100 KiB comes in one read, not in two or three: 10 % of the time.
    read_size = BUFFER_SIZE

    # The loop's transport; `Any` for the private `_sock` of the stdlib's.
    _transport: Any = None

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
        self._loop = loop
        self._create_future = loop.create_future
        self._time = loop.time
        self._socket = sock
        self._poller = make_poller(sock)
        self._generation = generation()

        self._shared = shared_buffer(loop)
        self._max_bytes = 0
        self._received = b""
        self._taken = 0  # how many of these were read already
        self._receiving_paused = False
        self._reader: asyncio.Future[bytes | None] | None = None
        self._watcher: Callable[[], None] | None = None

        self._deadline = math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = math.inf

        self._sending_paused = False
        self._writer: asyncio.Future[None] | None = None

        self._eof = False
        self._aborted = False
        self._lost = False
        self._error: Exception | None = None
        # Whether nothing more will be received: any of the four above.
        self._ended = False
        self._socket_taken = False

    @classmethod
    async def adopt(cls, sock: socket.socket) -> Self:
        """Make a stream of a connected socket on the running loop; if that fails, close it."""
        loop = asyncio.get_running_loop()
        stream = cls(loop, sock)
        try:
            await loop.create_connection(lambda: stream, sock=sock)
        except BaseException:
            if stream._transport is None or stream._transport_holds_socket():
                sock.close()
            else:
                # uvloop has closed the descriptor. Before 0.22 it left the socket as if it were
                # open: to close that fails, or closes what another thread has opened since.
                sock.detach()
            raise
        return stream

    @property
    def runtime(self) -> Runtime:
        return RUNTIME

    # Reading

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._reader is not None:
            # A bug of the caller, and no `ReadError`: that would be taken for the network's fault,
            # and tried again.
            raise RuntimeError("Another task is already reading from this connection.")
        if not self._received and not self._ended:
            assert max_bytes > 0, "a read of nothing could not be told from the end"
            self._max_bytes = max_bytes
            if timeout is None:
                self._deadline = math.inf
            else:
                self._deadline = deadline = self._time() + timeout
                if deadline < self._timer_due:
                    self._set_timer(deadline)
            reader: asyncio.Future[bytes | None] = self._create_future()
            self._reader = reader
            try:
                data = await reader
            except BaseException:
                self._put_back(reader)
                raise
            finally:
                self._reader = None
            if data is not None:
                return data
            if not self._received and not self._ended:
                raise ReadTimeout(f"The peer sent nothing for {timeout} seconds.")
        if self._received:
            return self._take(max_bytes)
        return self._end()

    def read_nowait(self, max_bytes: int) -> bytes | None:
        if self._received:
            return self._take(max_bytes)
        if self._ended:
            return self._end()
        if self._transport.is_closing():
            raise ReadError(_BROKEN)
        # Until then the descriptor is open: the transport, which shares it with our socket, has not closed it.
        poller = self._poller
        if poller is None or not poller.poll(0):
            return None
        return self._receive(max_bytes)

    async def wait_readable(self) -> None:
        if self._received or self._ended or self._transport.is_closing():
            return
        # A read with room for nothing: all that comes is kept.
        self._max_bytes = 0
        self._deadline = math.inf
        self._reader = self._create_future()
        try:
            await self._reader
        finally:
            self._reader = None

    def watch(self, callback: Callable[[], None] | None) -> None:
        self._watcher = callback

    def _receive(self, max_bytes: int) -> bytes | None:
        """Receive in the loop's place; return `None` if there is nothing."""
        try:
            nbytes = self._socket.recv_into(self._shared, min(max_bytes, BUFFER_SIZE))
        except BlockingIOError:
            return None
        except OSError as exc:
            # Its traceback would hold this stream, and so itself.
            self._error = exc.with_traceback(None)
            self._ended = True
            return self._end()
        if not nbytes:
            self._eof = self._ended = True
        return self._shared[:nbytes].tobytes()

    def _take(self, max_bytes: int) -> bytes:
        start = self._taken
        end = start + max_bytes
        data = self._received[start:end]
        if end < len(self._received):
            self._taken = end
        else:
            self._keep(b"")
        if self._receiving_paused and len(self._received) - self._taken < HIGH_WATER:
            self._receiving_paused = False
            self._transport.resume_reading()
        return data

    def _keep(self, received: bytes) -> None:
        self._received = received
        self._taken = 0

    def _put_back(self, reader: asyncio.Future[bytes | None]) -> None:
        """Keep the bytes that `reader` had been given when its task was cancelled."""
        if reader.done() and not reader.cancelled():
            self._keep((reader.result() or b"") + self._received[self._taken :])

    def _is_readable(self) -> bool:
        # The stdlib's transport tells of a reset in the iteration after the one that saw it.
        if self._received or self._ended or self._transport.is_closing():
            return True
        return self._poller is not None and bool(self._poller.poll(0))

    def _end(self) -> bytes:
        if self._aborted:
            raise ReadError(_CLOSED_HERE)
        if self._error is not None and not self._eof:
            raise ReadError(str(self._error)) from self._error
        return b""

    # The timer of reads

    def _set_timer(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = when
        self._timer = self._loop.call_at(when, self._on_timer)

    def _drop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_timer(self) -> None:
        self._timer = None
        self._timer_due = math.inf
        if self._reader is None or self._deadline == math.inf:
            return
        if self._deadline - self._time() > CLOCK_TICK:
            self._set_timer(self._deadline)
        elif not self._reader.done():
            self._reader.set_result(None)

    # Writing

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if self._writer is not None:
            raise RuntimeError("Another task is already writing to this connection.")
        # Never write to a transport that is lost: it would log a warning of its own after a while.
        if self._lost:
            self._raise_write_error()
        transport = self._transport
        transport.write(buffer)
        # The stdlib's transport tells of an error by closing, and says which in the loop's next
        # iteration.
        if self._sending_paused or transport.is_closing():
            await self._flush(timeout)

    def write_nowait(self, buffer: bytes) -> int:
        if self._lost:
            self._raise_write_error()
        # A transport that is closing says why in the loop's next iteration: `write_some` waits for it.
        if self._sending_paused or self._transport.is_closing():
            return 0
        self._transport.write(buffer)
        return len(buffer)

    async def write_some(self, buffer: bytes, timeout: float | None = None) -> int:
        taken = self.write_nowait(buffer)
        if not taken:
            try:
                await self._flush(timeout)
            except WriteTimeout:
                return 0
            taken = self.write_nowait(buffer)
        return taken

    async def _flush(self, timeout: float | None) -> None:
        self._writer = writer = self._create_future()
        timer = None if timeout is None else self._loop.call_later(timeout, finish, writer)
        try:
            await writer
        finally:
            self._writer = None
            if timer is not None:
                timer.cancel()
        if self._lost:
            self._raise_write_error()
        if self._sending_paused:
            raise WriteTimeout(f"The peer took in too little for {timeout} seconds.")

    def _raise_write_error(self) -> NoReturn:
        if self._aborted or self._error is None:
            raise WriteError(_CLOSED_HERE)
        raise WriteError(str(self._error)) from self._error

    # Closing

    def abort(self) -> None:
        if self._aborted:
            return
        self._aborted = self._ended = True
        self._keep(b"")
        self._watcher = None
        if self._lost:
            return
        self._lost = True
        if self._generation != generation() or self._loop.is_closed():
            self._close_descriptor()
        elif not self._loop.is_running():
            self._drop_timer()
            self._transport.abort()
            # The loop may never run again to do what it was just asked.
            self._close_descriptor()
            self._wake_waiters()
        elif _running_loop() is self._loop:
            self._close_transport()
        else:
            try:
                self._loop.call_soon_threadsafe(self._close_transport)
            except RuntimeError:
                self._close_descriptor()  # the loop was closed in this moment

    def _close_transport(self) -> None:
        """Close as the running loop does it, in its thread."""
        self._drop_timer()
        self._wake_waiters()
        transport = self._transport
        transport.close()
        if transport.get_write_buffer_size():
            # Bytes of the same iteration may only be waiting for its end (uvloop): they get that
            # much. More would be to wait.
            self._loop.call_soon(self._drop_unsent)

    def _drop_unsent(self) -> None:
        # Sent meanwhile, they have closed the transport, and the stdlib's can't be aborted after that.
        if self._transport.get_write_buffer_size():
            self._transport.abort()

    def _close_descriptor(self) -> None:
        """Close the descriptor behind the transport's back: its loop is dead, or another process's.

        The stdlib's transport holds our very socket, and complains of it when collected: take it
        away. Others (uvloop) hold the bare descriptor. They have closed it, and emptied our socket,
        if their loop is closed; if it just stands still, closing it would have them close a
        stranger's later. What such a loop closed before the process forked, it closed for the child as well.
        """
        if self._transport_holds_socket():
            self._transport._sock = None
            self._socket_taken = True
        elif self._generation != generation() and not self._loop.is_closed():
            _graveyard.append(self._transport)
        else:
            return
        socket.close(self._socket.detach())

    def _transport_holds_socket(self) -> bool:
        return getattr(self._transport, "_sock", None) is self._socket

    def _wake_reader(self) -> None:
        """Let the read that waits, or else the watcher, see what is there now."""
        if self._reader is not None:
            if not self._reader.done():
                self._reader.set_result(None)
        elif self._watcher is not None:
            watcher, self._watcher = self._watcher, None
            watcher()

    def _wake_writer(self) -> None:
        if self._writer is not None:
            finish(self._writer)

    def _wake_waiters(self) -> None:
        self._wake_reader()
        self._wake_writer()

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._transport.set_write_buffer_limits(0)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._shared

    def buffer_updated(self, nbytes: int) -> None:
        reader = self._reader
        if reader is not None and not reader.done():
            room = self._max_bytes
            if nbytes > room:
                self._keep(self._shared[room:nbytes].tobytes())
                nbytes = room
            reader.set_result(self._shared[:nbytes].tobytes())
            return
        self._keep(self._received[self._taken :] + self._shared[:nbytes])
        if len(self._received) >= HIGH_WATER:
            self._receiving_paused = True
            self._transport.pause_reading()
        self._wake_reader()

    def eof_received(self) -> bool:
        if not self._ended:
            self._eof = self._ended = True
        self._wake_reader()
        # Keep the transport: the peer may still take in what we send.
        return True

    def pause_writing(self) -> None:
        self._sending_paused = True

    def resume_writing(self) -> None:
        self._sending_paused = False
        self._wake_writer()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._socket_taken:
            # What the stdlib's transport does next is to close it.
            self._transport._sock = self._socket
        self._drop_timer()
        if self._aborted:
            return
        if exc is not None and not self._ended:
            self._receive_rest()
            # A broken pipe (EPIPE): the peer's end came first, and then a reset for what we went on to send.
            self._eof = isinstance(exc, BrokenPipeError)
        self._error = self._error or exc
        self._lost = self._ended = True
        self._wake_waiters()

    def _receive_rest(self) -> None:
        """Receive what the system still holds after a write failed.

        A server that has no use for a request's body may answer early and reset the connection: the
        answer is in there.
        """
        try:
            while nbytes := self._socket.recv_into(self._shared):
                self._keep(self._received[self._taken :] + self._shared[:nbytes])
        except OSError:
            # Nothing is left, or nothing can be had: `connection_lost` knows the error that counts.
            pass

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":
            return self._is_readable()
        if info == "socket":
            return self._socket
        try:
            if info == "client_addr":
                return self._socket.getsockname()
            if info == "server_addr":
                return self._socket.getpeername()
        except OSError:
            # The connection is closed.
            pass
        return None
