"""The writing end of a connection: one of those that wait to write does so for all. Layer: session.

Rules: bytes leave the queue only when the stream below has taken them, so that no frame is torn. A participant that
stops waiting leaves the bytes that it queued to the next write by anyone. Nothing is awaited under the lock, which is
the session's.

Must not know: frames, requests, received data.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock

from httpcore2_core._exceptions import WriteError, WriteTimeout
from httpcore2_core._http.stream_upload import SLICE
from httpcore2_core._http.traffic import Traffic
from httpcore2_core._net.backend_stream import BackendStream
from httpcore2_core._net.roles import Role, Turn
from httpcore2_core._net.runtime import Deadline, Waiter

MAX_REPLIES = 128 * 1024
"""The most bytes of replies to received frames that may be queued: a server that sends, but does not read, must not
fill our memory."""

POLL_INTERVAL = 0.05
"""Seconds after which a participant that waits to write polls for received data, and one that waits to read checks for
data to write: the server may read nothing before its own data was read."""


class Writer:
    """The writing end of a connection.

    Attributes:
        lock: the session's.
        role: to wait until the stream below takes more bytes.
        outgoing: bytes that were not queued yet, in their order.
        unsent: queued bytes that the stream below did not take without waiting.
        is_flush_due: a task will write in the next iteration of its event loop, for all that queue bytes until then.
        error: why nothing more can be written.
        traffic: counts what is sent, and, by the session, the rest; connections of a pool share one.
    """

    def __init__(
        self,
        stream: BackendStream,
        lock: RLock,
        outgoing: list[bytes | memoryview],
        poll: Callable[[], object],
        on_error: Callable[[], None],
    ) -> None:
        """Create the writing end of `stream`.

        Args:
            stream: where to write to.
            lock: held for every decision, never while waiting.
            outgoing: as the attribute; emptied under the lock.
            poll: receives data that has arrived.
            on_error: called under the lock when nothing more can be written.
        """
        self.lock = lock
        self.role: Role = Role()
        self.unsent: bytes = b""
        self.error: WriteError | None = None
        self.traffic: Traffic = Traffic()
        self.is_flush_due: bool = False
        self._stream = stream
        self._runtime = stream.runtime
        self.outgoing = outgoing
        self._poll = poll
        self._on_error = on_error
        self._is_closed = False
        self._queued = 0  # bytes that were ever queued
        self._sent = 0  # of these, bytes that were sent
        self._replies = 0  # of the others, at most, bytes of replies to received frames

    @property
    def is_writing(self) -> bool:
        """Whether a participant waits for the stream below to take more bytes."""
        return self.role.holder is not None

    def push(self) -> None:
        """Write what can be written without waiting; under the lock."""
        self.is_flush_due = False
        data = self.unsent
        outgoing = self.outgoing
        if outgoing:
            queued = b"".join(outgoing)
            outgoing.clear()
            if self._is_closed or self.error is not None:
                return
            self._queued += len(queued)
            self.unsent = data = data + queued if data else queued
        while data and self.role.holder is None:
            try:
                taken = self._stream.write_nowait(data)
            except WriteError as exc:
                self._fail(exc)
                return
            if not taken:
                return
            self.traffic.bytes_sent += taken
            if taken == len(data) and not self._replies:
                self.unsent = b""
                self._sent += taken
                return
            self._mark_sent(taken)
            data = self.unsent

    def push_replies(self) -> bool:
        """Write replies to received frames as `push` does; return whether few enough are queued; under the lock."""
        queued = self._queued
        self.push()
        if not self.unsent:
            self._replies = 0
            return True
        self._replies = min(self._replies + self._queued - queued, len(self.unsent))
        return self._replies <= MAX_REPLIES

    async def flush(
        self, limit: float | None, is_pointless: Callable[[], bool] = lambda: False
    ) -> None:
        """Wait until all bytes that are queued now are written.

        Args:
            limit: seconds; `None` for no limit.
            is_pointless: called under the lock; whether not to wait any longer. The bytes stay queued.

        Raises:
            WriteTimeout: it took longer.
        """
        with self.lock:
            self.push()
            mark = self._queued
            if self._sent >= mark:
                return
        runtime = self._runtime
        deadline = Deadline(limit, runtime)
        left = limit
        turn = Turn()
        try:
            while True:
                waiter: Waiter | None = None
                with self.lock:
                    self.push()
                    # Bytes that nobody waits for are left to whoever writes: there may be no other before long.
                    if self._sent >= mark and (self.role.waiting or not self.unsent):
                        return
                    if is_pointless():
                        return
                    if not self.role.take(turn):
                        waiter = self.role.enqueue(turn, runtime.create_waiter())
                if waiter is not None:
                    await waiter.wait(left)
                else:
                    await self.write_once(turn, left)
                left = deadline.left()
                if left == 0 and self._sent < mark:
                    raise WriteTimeout(
                        f"The server did not accept data for {limit} seconds (write timeout)."
                    )
        finally:
            with self.lock:
                self.role.leave(turn)

    async def write_once(self, turn: Turn, timeout: float | None) -> None:
        """Write for all, as `turn`, which has the role and gives it up. Waits `POLL_INTERVAL` at most, if it can."""
        stream = self._stream
        if stream.is_resumable and (timeout is None or timeout > POLL_INTERVAL):
            timeout = POLL_INTERVAL
        taken = 0
        error: WriteError | None = None
        try:
            taken = await stream.write_some(self.unsent[:SLICE], timeout)
        except WriteError as exc:
            error = exc
        finally:
            with self.lock:
                self._mark_sent(taken)
                self.traffic.bytes_sent += taken
                if error is not None:
                    self._fail(error)
                # Each of the others checks whether its own bytes are sent.
                self.role.wake_all()
                self.role.leave(turn)
            if not taken:
                self._poll()

    def close(self) -> None:
        """Write nothing more, and let nobody wait; under the lock."""
        self._is_closed = True
        self.unsent = b""
        self._sent = self._queued
        self.role.wake_all()

    def _mark_sent(self, count: int) -> None:
        self.unsent = self.unsent[count:]
        self._sent += count
        if self._replies:
            self._replies = max(0, self._replies - count)

    def _fail(self, error: WriteError) -> None:
        """Stop writing. Responses may still be readable; the end of the stream fails the other requests."""
        self.error = error
        self._mark_sent(len(self.unsent))
        self._on_error()
