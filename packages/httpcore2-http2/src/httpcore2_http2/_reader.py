"""What comes to a connection: one of those who wait for something reads for all.

There is no task in the background. Who leads reads once and looks again; when it has what it needs, is cancelled or
runs out of time, another takes the lead.
Rules: nothing is awaited under the lock, which is the connection's; whoever waits looks again under the lock. Who
leads also sees to it that what others have queued is written.

Must not know: frames, what those who wait are waiting for.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock

from httpcore2_core._exceptions import NetworkError, ReadTimeout, TimeoutException
from httpcore2_core._net.backend_stream import BackendStream
from httpcore2_core._net.runtime import Deadline, Waiter

from ._keepalive import KeepAlive
from ._writer import PATIENCE, Writer

LONG = 0.01
"""Seconds that it takes to read in what a server may send for no other purpose: then others come first."""


class Reader:
    """The way into a connection.

    Attributes:
        lock: the connection's.
        has_reader: somebody reads.
        is_resumable: whether the stream can be read again after a read that was given up: not a caller's own.
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
        """Begin.

        Args:
            stream: where to read from.
            lock: held whenever anything is decided, not while waiting.
            writer: the way out.
            read_size: how many bytes to read at a time.
            keepalive: says how long to wait in silence.
            on_read: takes what was read, `b""` at the end, or why nothing could be; under the lock.
            on_silence: told that nothing came for as long as that; under the lock.
            after_read: told afterwards, without the lock.
        """
        self.lock = lock
        self._stream = stream
        self._runtime = stream.runtime
        self._writer = writer
        self._read_size = read_size
        self._keepalive = keepalive
        self.is_resumable: bool = stream.is_resumable
        self._longest = keepalive.longest if self.is_resumable else None
        self._on_read = on_read
        self._on_silence = on_silence
        self._after_read = after_read
        self._is_closed = False
        self.has_reader: bool = False
        self._waiting: dict[Waiter, None] = {}

    async def wait(
        self,
        waiters: list[Waiter],
        is_ready: Callable[[], bool],
        limit: float | None,
        timeout_error: type[TimeoutException] = ReadTimeout,
    ) -> None:
        """Wait until `is_ready` says so: read for all, or let another do so.

        Args:
            waiters: where to leave a waiter, which makes us look again when it is woken.
            is_ready: asked under the lock.
            limit: seconds.
            timeout_error: raised after that.
        """
        runtime = self._runtime
        deadline = Deadline(limit, runtime)
        left = limit
        writer = self._writer
        while True:
            waiter: Waiter | None = None
            with self.lock:
                if is_ready():
                    return
                writer.push()
                must_flush = bool(writer.unsent) and not writer.is_writing
                if self.has_reader:
                    waiter = runtime.create_waiter()
                    self._waiting[waiter] = None
                    waiters.append(waiter)
                elif must_flush:
                    writer.is_writing = True
                else:
                    self.has_reader = True
                pause = left
                due = self._keepalive.due
                most = self._longest if due is None else max(0.0, due - runtime.now())
                if most is not None and (pause is None or most < pause):
                    pause = most
                if waiter is None and writer.unsent and (pause is None or pause > PATIENCE):
                    pause = PATIENCE
            if waiter is not None:
                await self._wait_for_reader(waiters, waiter, pause)
            elif must_flush:
                await writer.write_once(left)
            else:
                await self._read_for_all(pause)
            left = deadline.left()
            if left == 0 and not is_ready():
                raise timeout_error(f"The server let {limit} seconds pass.")

    def poll(self) -> bool:
        """Take in what is there already, if nobody reads; return whether there may be more. Under the lock.

        As much as one read brings: a peer that always has more must not keep all others waiting.

        Raises:
            NetworkError: the connection broke.
        """
        left = self._read_size
        # Of a caller's own stream nothing can be read without awaiting.
        while left and not (self.has_reader or self._is_closed) and self.is_resumable:
            data = self._stream.read_nowait(left)
            if data is None:
                break
            left -= len(data)
            self._on_read(data)
        return not left

    def wake_all(self) -> None:
        """Let all who wait look again; under the lock."""
        for waiter in self._waiting:
            waiter.wake()

    def close(self) -> None:
        """Read nothing more, and let nobody wait; under the lock."""
        self._is_closed = True
        self.wake_all()

    async def _wait_for_reader(
        self, waiters: list[Waiter], waiter: Waiter, timeout: float | None
    ) -> None:
        """Wait until one is woken, or the lead is free; see to what is due then.

        Who leads can't be woken: it may have begun to wait before there was anything due.
        """
        was_woken = True
        try:
            was_woken = await waiter.wait(timeout)
        finally:
            with self.lock:
                del self._waiting[waiter]
                waiters.remove(waiter)
                if not (was_woken or self._is_closed):
                    self._on_silence()
                self._hand_on()
        if not was_woken:
            self._after_read()

    async def _read_for_all(self, timeout: float | None) -> None:
        """Read once, for all."""
        runtime = self._runtime
        read: bytes | Exception | None = None
        was_silent = False
        took = 0.0
        try:
            read = await self._stream.read(self._read_size, timeout)
        except ReadTimeout:
            was_silent = True  # whoever leads sees whether it was the last moment
        except NetworkError as exc:
            read = exc
        finally:
            with self.lock:
                self.has_reader = False
                if self._is_closed:
                    pass
                elif read is not None:
                    began = runtime.now()
                    self._on_read(read)
                    took = runtime.now() - began
                elif was_silent:
                    self._on_silence()
                self._hand_on()
            self._after_read()
        if took > LONG:
            await runtime.sleep(0)

    def _hand_on(self) -> None:
        """Let one who waits see that the lead is free."""
        if not self.has_reader:
            for waiter in self._waiting:
                waiter.wake()
                return
