"""One connection on an asyncio event loop.

Rules:

- The loop receives into one buffer that all its connections share, and the bytes are copied out at once. Bytes that no
  read waits for, or that do not fit into the read, are kept. From `HIGH_WATER` kept bytes on the loop stops receiving
  until a read has taken some of them. Kept bytes are not copied again for a read that takes all of them.
- Bytes that were given to a read whose task is cancelled before it could return them go back to the front. No byte is
  ever lost.
- A connection has at most one timer for its reads. It is moved, not made and cancelled for each read: while it runs, a
  new deadline is only noted, and the timer checks the note when it fires. On an idle connection it fires once more and
  is gone.
- A transport holds nothing back (`set_write_buffer_limits(0)`), so a write returns when the system has accepted all
  bytes. A write that is cancelled or times out leaves its remaining bytes in the transport, and the caller has to drop
  the connection. `write_some` waits before it gives the transport anything, and so leaves nothing there.
- Fairness needs no checkpoint: a read that returns without suspending takes kept bytes, which only the loop refills.
- The loop receives while the program awaits. Bytes that arrived while the program computed are still with the system,
  so `read_nowait` and `is_readable` poll the socket itself, for 0.4 µs each: a connection that the pool uses again may
  hold a response that nobody requested, or its end. To receive without the transport keeps the order, since transports
  on Unix deliver at once what they receive, and a receive that finds nothing does not disturb them. On Windows the
  loop has a receive under way ahead of time, and only what it has delivered is known.
- A forked child touches neither the parent's loop (both share an epoll set) nor the connection (a shutdown would be the
  parent's too): it closes its own descriptor and nothing else.
- Only the thread of a running loop touches the loop's transports, and with them their descriptors. A stream that is
  closed from another thread, where the garbage collector may run a pool's finaliser, schedules the closing on the loop.
- The state changes in `_change`, through the table in `_stream_states.py`.

Must not know: name resolution and connecting, TLS, HTTP, the pool.
"""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakKeyDictionary

from httpcore2_core._exceptions import ReadError, WriteError, WriteTimeout
from httpcore2_core._net.backend_stream import BackendStream
from httpcore2_core._net.errors import CLOSED_HERE, read_timeout, write_timeout
from httpcore2_core._net.forks import generation
from httpcore2_core._net.polling import make_poller

from ._runtime import CLOCK_TICK, RUNTIME, finish
from ._stream_states import (
    CANNOT_WRITE,
    CLOSE,
    CLOSED,
    DETACH,
    DETACHED,
    DRAINED,
    FLOW_TRANSITIONS,
    FLOWING,
    FULL,
    LOST,
    LOST_AT_END,
    LOST_BY_ERROR,
    OPEN,
    PAUSED,
    PEER_ENDED,
    RECEIVE_ERROR,
    RECEIVE_FAILED,
    TRANSITIONS,
    FlowEvent,
    StreamEvent,
    StreamState,
)

if TYPE_CHECKING:
    from httpcore2_core._net.runtime import Runtime

BUFFER_SIZE = 256 * 1024
HIGH_WATER = 64 * 1024

# The transport reports the reason in the loop's next iteration.
_BROKEN = "The connection broke."

_shared_buffers: WeakKeyDictionary[asyncio.AbstractEventLoop, memoryview] = WeakKeyDictionary()

# uvloop's transports remove themselves from the parent's epoll set even when garbage collected. A forked child
# therefore keeps them until it exits.
_never_collected: list[asyncio.BaseTransport] = []


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def shared_buffer(loop: asyncio.AbstractEventLoop) -> memoryview:
    """Return the buffer into which all connections of `loop` receive, one after the other."""
    buffer = _shared_buffers.get(loop)
    if buffer is None:
        buffer = _shared_buffers[loop] = memoryview(bytearray(BUFFER_SIZE))
    return buffer


class AsyncIOStream(BackendStream, asyncio.BufferedProtocol):
    """A connected stream, which is also the protocol that its transport reports to."""

    is_resumable = True
    # The shared buffer is there already. A body of 100 KiB arrives in one read, not in two or three: 10 % of the time.
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
        self._max_bytes = 0  # of the read that waits
        self._received = b""  # bytes that no read has had room for
        self._taken = 0  # how many of these were read already
        self._receiving = FLOWING
        self._reader: asyncio.Future[bytes | None] | None = None
        self._watcher: Callable[[], None] | None = None

        self._deadline = math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = math.inf

        self._sending = FLOWING
        self._writer: asyncio.Future[None] | None = None

        self._state: StreamState = OPEN
        self._error: Exception | None = None  # the first one that the system reported

    @classmethod
    async def adopt(cls, sock: socket.socket) -> Self:
        """Make a stream of a connected socket on the running loop; close the socket if that fails."""
        loop = asyncio.get_running_loop()
        stream = cls(loop, sock)
        try:
            await loop.create_connection(lambda: stream, sock=sock)
        except BaseException:
            if stream._transport is None or stream._transport_holds_socket():
                sock.close()
            else:
                # uvloop has closed the descriptor. Before 0.22 it left the socket object as if it were open: closing
                # that fails, or closes a descriptor that another thread has opened since.
                sock.detach()
            raise
        return stream

    @property
    def runtime(self) -> Runtime:
        return RUNTIME

    def _change(self, event: StreamEvent) -> None:
        """Change the state, as the table says."""
        self._state = TRANSITIONS[self._state][event]

    def _change_receiving(self, event: FlowEvent) -> None:
        self._receiving = FLOW_TRANSITIONS[self._receiving][event]

    def _change_sending(self, event: FlowEvent) -> None:
        self._sending = FLOW_TRANSITIONS[self._sending][event]

    # Reading

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._reader is not None:
            # A bug in the caller, and so no `ReadError`, after which the request would be sent again.
            raise RuntimeError("Another task is already reading from this connection.")
        if not self._received and self._state is OPEN:
            assert max_bytes > 0, "a read of 0 bytes is the same as the end"
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
            if not self._received and self._state is OPEN:
                raise read_timeout(timeout)
        if self._received:
            return self._take(max_bytes)
        return self._end()

    def read_nowait(self, max_bytes: int) -> bytes | None:
        if self._received:
            return self._take(max_bytes)
        if self._state is not OPEN:
            return self._end()
        if self._transport.is_closing():
            raise ReadError(_BROKEN)
        # The descriptor is open: the transport, which shares it with our socket, has not closed it.
        poller = self._poller
        if poller is None or not poller.poll(0):
            return None
        return self._receive(max_bytes)

    async def wait_readable(self) -> None:
        if self._received or self._state is not OPEN or self._transport.is_closing():
            return
        # A read that has no room: all bytes that arrive are kept.
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
        """Receive without the transport; return `None` if nothing has arrived."""
        try:
            nbytes = self._socket.recv_into(self._shared, min(max_bytes, BUFFER_SIZE))
        except BlockingIOError:
            return None
        except OSError as exc:
            # Its traceback would refer to this stream, and so to itself.
            self._error = exc.with_traceback(None)
            self._change(RECEIVE_ERROR)
            return self._end()
        if not nbytes:
            self._change(PEER_ENDED)
        return self._shared[:nbytes].tobytes()

    def _take(self, max_bytes: int) -> bytes:
        start = self._taken
        end = start + max_bytes
        data = self._received[start:end]
        if end < len(self._received):
            self._taken = end
        else:
            self._keep(b"")
        if self._receiving is PAUSED and len(self._received) - self._taken < HIGH_WATER:
            self._change_receiving(DRAINED)
            self._transport.resume_reading()
        return data

    def _keep(self, received: bytes) -> None:
        self._received = received
        self._taken = 0

    def _put_back(self, reader: asyncio.Future[bytes | None]) -> None:
        """Keep the bytes that `reader` was given before its task was cancelled."""
        if reader.done() and not reader.cancelled():
            self._keep((reader.result() or b"") + self._received[self._taken :])

    def _is_readable(self) -> bool:
        # The stdlib's transport reports a reset one iteration after it has noticed it.
        if self._received or self._state is not OPEN or self._transport.is_closing():
            return True
        return self._poller is not None and bool(self._poller.poll(0))

    def _end(self) -> bytes:
        """Return the peer's end, or raise the error that ended reading before."""
        state = self._state
        if state is CLOSED or state is DETACHED:
            raise ReadError(CLOSED_HERE)
        if state is RECEIVE_FAILED or state is LOST:
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
        if self._state is not OPEN and self._state in CANNOT_WRITE:
            raise self._write_error()
        transport = self._transport
        transport.write(buffer)
        # The stdlib's transport closes after an error, and reports the error in the loop's next iteration.
        if self._sending is PAUSED or transport.is_closing():
            await self._flush(timeout)

    def write_nowait(self, buffer: bytes) -> int:
        if self._state is not OPEN and self._state in CANNOT_WRITE:
            raise self._write_error()
        # A transport that is closing reports the error in the loop's next iteration, which `write_some` waits for.
        if self._sending is PAUSED or self._transport.is_closing():
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
        if self._state is not OPEN and self._state in CANNOT_WRITE:
            raise self._write_error()
        if self._sending is PAUSED:
            raise write_timeout(timeout)

    def _write_error(self) -> WriteError:
        """Make the error of a write to a connection that was lost or closed."""
        if self._error is None or self._state is CLOSED or self._state is DETACHED:
            return WriteError(CLOSED_HERE)
        error = WriteError(str(self._error))
        error.__cause__ = self._error
        return error

    # Closing

    def abort(self) -> None:
        state = self._state
        if state is CLOSED or state is DETACHED:
            return
        self._change(CLOSE)
        self._keep(b"")
        self._watcher = None
        if state in CANNOT_WRITE:
            return  # the transport has closed already
        if self._generation != generation() or self._loop.is_closed():
            self._close_descriptor()
        elif not self._loop.is_running():
            self._drop_timer()
            self._transport.abort()
            # The loop may never run again to close the descriptor.
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
        """Close the transport, in the thread of the running loop."""
        self._drop_timer()
        self._wake_waiters()
        transport = self._transport
        transport.close()
        if transport.get_write_buffer_size():
            # uvloop sends the bytes of an iteration at its end: they get that much time, and no more.
            self._loop.call_soon(self._drop_unsent)

    def _drop_unsent(self) -> None:
        # A transport that has sent all of them has closed, and the stdlib's can't be aborted after that.
        if self._transport.get_write_buffer_size():
            self._transport.abort()

    def _close_descriptor(self) -> None:
        """Close the descriptor without the transport, whose loop is dead or belongs to the parent process.

        The stdlib's transport holds our socket object, and warns about it when it is collected, so the socket is taken
        away from it. Others (uvloop's) hold the bare descriptor. If their loop is closed, they have closed the
        descriptor and detached our socket, for a child that was forked later, too. If their loop only stands still,
        they would later close a descriptor that is another connection's by then, so it is left to them.
        """
        if self._transport_holds_socket():
            self._transport._sock = None
            self._change(DETACH)
        elif self._generation != generation() and not self._loop.is_closed():
            _never_collected.append(self._transport)
        else:
            return
        socket.close(self._socket.detach())

    def _transport_holds_socket(self) -> bool:
        return getattr(self._transport, "_sock", None) is self._socket

    def _wake_reader(self) -> None:
        """Wake the read that waits, or else notify the watcher."""
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

    # Called by the transport (`asyncio.BufferedProtocol`)

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
            self._change_receiving(FULL)
            self._transport.pause_reading()
        self._wake_reader()

    def eof_received(self) -> bool:
        self._change(PEER_ENDED)
        self._wake_reader()
        # Keep the transport open: the peer may still read what we send.
        return True

    def pause_writing(self) -> None:
        self._change_sending(FULL)

    def resume_writing(self) -> None:
        self._change_sending(DRAINED)
        self._wake_writer()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._state is DETACHED:
            # The stdlib's transport closes its socket next.
            self._transport._sock = self._socket
        self._drop_timer()
        if exc is not None and self._state is OPEN:
            self._receive_remaining()
        self._error = self._error or exc
        # A broken pipe (EPIPE) is a reset, for what we went on to send, that came after the peer's end.
        is_end = exc is None or isinstance(exc, BrokenPipeError)
        self._change(LOST_AT_END if is_end else LOST_BY_ERROR)
        self._wake_waiters()

    def _receive_remaining(self) -> None:
        """Receive the bytes that the system still holds after a write failed.

        A server that refuses a request's body may respond early and reset the connection: this finds its response.
        """
        try:
            while nbytes := self._socket.recv_into(self._shared):
                self._keep(self._received[self._taken :] + self._shared[:nbytes])
        except OSError:
            pass  # nothing is left; the error that counts is that of `connection_lost`

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
