"""What leaves a connection: one of those who wait to write does so for all.

Rules: bytes leave the queue only when the stream has taken them, so that no frame is torn. Who gives up waiting leaves
what it queued to the next write by anyone. Nothing is awaited under the lock, which is the connection's.

Must not know: frames, requests, what is received.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock

from httpcore2_core._exceptions import WriteError, WriteTimeout
from httpcore2_core._net.backend_stream import BackendStream
from httpcore2_core._net.runtime import Deadline, Waiter

SLICE = 64 * 1024
"""Bytes that are written at a time."""

MAX_ANSWERS = 128 * 1024
"""Bytes that answer what was received, and wait: who sends, and takes nothing in, may be filling our memory."""

EAGER_PARTS = 16
"""Slices of one body that leave without waiting, before others get their turn."""

PATIENCE = 0.05
"""Seconds after which one who waits to write has a look at what came, and one who reads at what could be written:
the peer may take nothing in before something was read from it."""


class Writer:
    """The way out of a connection.

    Attributes:
        lock: the connection's.
        is_writing: somebody waits for the stream to take more.
        unsent: what is queued, and was not taken without waiting.
        error: why nothing more can be written.
    """

    def __init__(
        self,
        stream: BackendStream,
        lock: RLock,
        take: Callable[[], bytes],
        look: Callable[[], object],
        on_error: Callable[[], None],
    ) -> None:
        """Begin.

        Args:
            stream: where to write to.
            lock: held whenever anything is decided, not while waiting.
            take: gives what there is to be written, under the lock.
            look: has a look at what came.
            on_error: told, under the lock, that nothing more can be written.
        """
        self.lock = lock
        self.is_writing: bool = False
        self.unsent: bytes = b""
        self.error: WriteError | None = None
        self._stream = stream
        self._runtime = stream.runtime
        self._take = take
        self._look = look
        self._on_error = on_error
        self._is_closed = False
        self._waiting: dict[Waiter, None] = {}
        self._queued = 0  # how many bytes there were to be sent, ever
        self._sent = 0  # how many of them were
        self._answers = 0  # how many of the others, at most, answer what was received

    def push(self) -> None:
        """Write what can be written without waiting; under the lock."""
        data = self._take()
        if self._is_closed or self.error is not None:
            return
        if data:
            self._queued += len(data)
            self.unsent = self.unsent + data if self.unsent else data
        while self.unsent and not self.is_writing:
            try:
                taken = self._stream.write_nowait(self.unsent)
            except WriteError as exc:
                self._fail(exc)
                return
            if not taken:
                return
            self._took(taken)

    def answer(self) -> bool:
        """Write as `push` does what answers that which was received, and return whether the peer takes it in."""
        queued = self._queued
        self.push()
        self._answers = min(self._answers + self._queued - queued, len(self.unsent))
        return self._answers <= MAX_ANSWERS

    async def flush(
        self, limit: float | None, is_pointless: Callable[[], bool] = lambda: False
    ) -> None:
        """Wait until all that was queued so far is written.

        Args:
            limit: seconds.
            is_pointless: whether there is something better to do than to wait; asked under the lock. What was queued
                stays so.

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
        while True:
            waiter: Waiter | None = None
            with self.lock:
                self.push()
                # What nobody waits for is left to whoever writes: there may be no other before long.
                if self._sent >= mark and (self._waiting or not self.unsent):
                    return
                if is_pointless():
                    return
                if self.is_writing:
                    waiter = runtime.create_waiter()
                    self._waiting[waiter] = None
                else:
                    self.is_writing = True
            if waiter is not None:
                try:
                    await waiter.wait(left)
                finally:
                    with self.lock:
                        del self._waiting[waiter]
                        self._hand_on()
            else:
                await self.write_once(left)
            left = deadline.left()
            if left == 0 and self._sent < mark:
                raise WriteTimeout(f"The server took in too little for {limit} seconds.")

    async def write_once(self, timeout: float | None) -> None:
        """Write for all, waiting for `PATIENCE` at most, where that is possible; `is_writing` was set for it."""
        stream = self._stream
        if stream.is_resumable and (timeout is None or timeout > PATIENCE):
            timeout = PATIENCE
        taken = 0
        error: WriteError | None = None
        try:
            taken = await stream.write_some(self.unsent[:SLICE], timeout)
        except WriteError as exc:
            error = exc
        finally:
            with self.lock:
                self.is_writing = False
                self._took(taken)
                if error is not None:
                    self._fail(error)
                self._hand_on()
            if not taken:
                self._look()

    def close(self) -> None:
        """Write nothing more, and let nobody wait; under the lock."""
        self._is_closed = True
        self.unsent = b""
        self._sent = self._queued
        self._hand_on()

    def _took(self, count: int) -> None:
        self.unsent = self.unsent[count:]
        self._sent += count
        self._answers = max(0, self._answers - count)

    def _fail(self, error: WriteError) -> None:
        """What was received may still hold answers; the end of the stream tells those who wait in vain."""
        self.error = error
        self._took(len(self.unsent))
        self._on_error()

    def _hand_on(self) -> None:
        """Let those who wait see that the turn is free."""
        if not self.is_writing:
            for waiter in self._waiting:
                waiter.wake()
