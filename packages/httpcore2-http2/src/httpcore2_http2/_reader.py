"""The reading end of a connection: one of those that wait for something reads on behalf of all. Layer: session.

There is no task in the background. The participant that has the reader role reads until it has received what it waits
for, is cancelled or runs out of time; then the role passes to another.
Rules: nothing is awaited under the lock, which is the session's; each participant checks under the lock whether it has
what it waits for. A participant that waits also writes what others have queued, if nobody else does.

Must not know: frames, requests.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock

from httpcore2_core._exceptions import NetworkError, ReadTimeout, TimeoutException
from httpcore2_core._net.backend_stream import BackendStream
from httpcore2_core._net.errors import rounded
from httpcore2_core._net.roles import Role, Turn
from httpcore2_core._net.runtime import Waiter

from ._keepalive import KeepAlive
from ._writer import POLL_INTERVAL, Writer

CHEAP_READ = 2 * 1024
"""Bytes whose processing takes less than `LONG`, whatever they are."""

LONG = 0.01
"""Seconds of processing received data after which other tasks get a turn: a server may have sent it for no other
purpose than to keep this one busy."""


class Reader:
    """The reading end of a connection.

    Attributes:
        lock: the session's.
        role: to read on behalf of all.
        is_resumable: whether the stream below can be read again after a read that was given up. A caller's own can't.
    """

    def __init__(
        self,
        stream: BackendStream,
        lock: RLock,
        writer: Writer,
        read_size: int,
        keepalive: KeepAlive,
        on_read: Callable[[bytes | Exception], None],
        on_silence: Callable[[], None],
        after_read: Callable[[], None],
    ) -> None:
        """Create the reading end of `stream`.

        Args:
            stream: where to read from.
            lock: held for every decision, never while waiting.
            writer: the writing end.
            read_size: bytes to read at a time.
            keepalive: says how long to wait in silence.
            on_read: called under the lock with received data, `b""` at the end, or the error that ended the stream.
            on_silence: called under the lock when nothing was received for as long as that.
            after_read: called afterwards, without the lock.
        """
        self.lock = lock
        self.role: Role = Role()
        self.is_resumable: bool = stream.is_resumable
        self._stream = stream
        self._runtime = stream.runtime
        self._writer = writer
        self._read_size = read_size
        self._keepalive = keepalive
        self._longest_wait = keepalive.longest_wait if self.is_resumable else None
        self._on_read = on_read
        self._on_silence = on_silence
        self._after_read = after_read
        self._is_closed = False

    @property
    def is_reading(self) -> bool:
        """Whether a participant reads on behalf of all."""
        return self.role.holder is not None

    def begin(self, turn: Turn) -> bool:
        """Let `turn` take the role if it is free and there is nothing to do but to read; under the lock.

        `wait` must follow, or the role be left. The response to a request is mostly read where the request was sent.
        """
        if self._writer.unsent or self._keepalive.due is not None:
            return False
        return self.role.take(turn)

    async def wait(
        self,
        turns: list[Turn],
        is_ready: Callable[[], bool],
        limit: float | None,
        timeout_error: type[TimeoutException] = ReadTimeout,
        turn: Turn | None = None,
    ) -> None:
        """Wait until `is_ready` returns true: read on behalf of all, or let another participant do so.

        Args:
            turns: gets the turn of this participant for as long as it waits; waking it makes it check `is_ready`.
            is_ready: called under the lock.
            limit: seconds; `None` for no limit.
            timeout_error: `ReadTimeout`, or `WriteTimeout` if it waits for the server to open a window.
            turn: has taken the role by `begin`, since when no other participant had a turn; `None` if it has not.

        Raises:
            TimeoutException: `timeout_error`, if it took longer.
        """
        runtime = self._runtime
        end = None if limit is None else runtime.now() + limit
        left = limit
        writer = self._writer
        role = self.role
        has_begun = turn is not None
        if turn is None:
            turn = Turn()
        is_over = False
        try:
            while True:
                waiter: Waiter | None = None
                must_write = False
                if has_begun:
                    has_begun = False
                    pause = self._longest_wait
                    if pause is None or (limit is not None and limit < pause):
                        pause = limit
                else:
                    with self.lock:
                        if is_ready():
                            self._leave(turn, turns)
                            is_over = True
                            return
                        if (writer.outgoing or writer.unsent) and not writer.is_flush_due:
                            writer.push()
                            must_write = bool(writer.unsent) and not writer.is_writing
                        if role.holder is not None and role.holder is not turn:
                            waiter = role.enqueue(turn, runtime.create_waiter())
                            if turn not in turns:
                                turns.append(turn)
                        elif must_write:
                            role.leave(turn)
                            writer.role.take(turn)
                        else:
                            role.take(turn)
                        pause = left
                        due = self._keepalive.due
                        longest = (
                            self._longest_wait if due is None else max(0.0, due - runtime.now())
                        )
                        if longest is not None and (pause is None or longest < pause):
                            pause = longest
                        if (
                            waiter is None
                            and writer.unsent
                            and (pause is None or pause > POLL_INTERVAL)
                        ):
                            pause = POLL_INTERVAL
                if waiter is not None:
                    if not await waiter.wait(pause):
                        self._watch_time()
                elif must_write:
                    await writer.write_once(turn, left)
                else:
                    received: bytes | Exception | None = None
                    try:
                        received = await self._stream.read(self._read_size, pause)
                    except ReadTimeout:
                        pass  # whether this participant's time is over is checked below
                    except NetworkError as exc:
                        received = exc
                    began: float | None = None
                    with self.lock:
                        if self._is_closed:
                            pass
                        elif received is None:
                            self._on_silence()
                        else:
                            if isinstance(received, bytes) and len(received) > CHEAP_READ:
                                began = runtime.now()
                            self._on_read(received)
                        if is_ready():
                            if turns:
                                self._leave(turn, turns)
                            else:
                                role.leave(turn)
                            is_over = True
                    self._after_read()
                    if began is not None and runtime.now() - began > LONG:
                        await runtime.sleep(0)
                    if is_over:
                        return  # most reads bring the response: the time does not matter
                if end is not None:
                    left = max(0.0, end - runtime.now())
                    if left == 0 and not is_ready():
                        raise timeout_error(
                            f"No data from the server within {rounded(limit)} seconds (read timeout)."
                            if timeout_error is ReadTimeout
                            else f"The server did not open its window for {rounded(limit)} seconds (write timeout)."
                        )
        finally:
            if not is_over:
                with self.lock:
                    self._leave(turn, turns)

    def _leave(self, turn: Turn, turns: list[Turn]) -> None:
        """End the part that `turn` takes; under the lock. A second call does nothing."""
        if turn in turns:
            turns.remove(turn)
        self.role.leave(turn)
        self._writer.role.leave(turn)

    def poll(self) -> bool:
        """Receive data that has arrived, if nobody reads; return whether there may be more; under the lock.

        It receives as much as one read: a server that always has more must not keep others waiting.

        Raises:
            NetworkError: the connection broke.
        """
        # From a caller's own stream nothing can be read without awaiting.
        if self.role.holder is not None or not self.is_resumable:
            return False
        left = self._read_size
        while left and not self._is_closed:
            data = self._stream.read_nowait(left)
            if data is None:
                return False
            left -= len(data)
            self._on_read(data)
        return not left

    def wake_all(self) -> None:
        """Let all participants that wait check whether they are ready; under the lock."""
        self.role.wake_all()

    def close(self) -> None:
        """Read nothing more, and let nobody wait; under the lock."""
        self._is_closed = True
        self.wake_all()

    def _watch_time(self) -> None:
        """Watch the time for the reader, which can't be woken, and may have begun to wait before a PING was sent."""
        with self.lock:
            self._on_silence()
        self._after_read()
