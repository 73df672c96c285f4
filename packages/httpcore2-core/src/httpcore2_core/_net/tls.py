"""TLS over any stream, TLS included: one layer for all backends.

Rules:

- OpenSSL works in memory; the stream below carries the bytes.
- A stream whose handshake fails or is cancelled is closed.
- A peer that closes without close_notify has ended the stream like one that sends it, but for `ended_cleanly`. Most
  messages tell by their own framing whether they are complete; for the others that is asked (RFC 9112, section 9.8).
- One task or thread may read while others write. OpenSSL's calls (a few µs), never the waiting,
  are made under a lock. Who writes has the turn until all is sent: no write comes in the middle of
  another, and one that is given up before its turn has sent nothing.
- What `write_nowait` and `write_some` are offered is encrypted and kept, and counts as taken when
  the stream below has it all: who gives up waiting breaks nothing, the next writer goes on with it.

Must not know: sockets, HTTP, which contexts are used.
"""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Callable
from threading import RLock
from typing import Any, Self

from .._exceptions import (
    ConnectError,
    ConnectTimeout,
    NetworkError,
    ReadError,
    ReadTimeout,
    TimeoutException,
    WriteError,
    WriteTimeout,
)
from .backend_stream import BackendStream
from .errors import CLOSED_HERE
from .runtime import Deadline, Runtime, Waiter
from .ssl_context import wrap_memory

_RECEIVE = 64 * 1024
# What is encrypted at a time. OpenSSL's memory keeps its size: 70 kB a connection after a large body,
# with slices of 256 KiB 180 kB, and sending is no faster with these.
_SLICE = 64 * 1024

_CUT_SHORT = "An earlier write to this TLS connection was cut short, so nothing can follow it."


class TLSStream(BackendStream):
    """The encrypted stream over another one."""

    def __init__(
        self,
        stream: BackendStream,
        ssl_object: ssl.SSLObject,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
    ) -> None:
        self.is_resumable = stream.is_resumable
        self._stream = stream
        self._object = ssl_object
        self._incoming = incoming
        self._outgoing = outgoing
        self._lock = RLock()
        self._unread = b""  # decrypted and not yet read
        self._is_drained = False  # OpenSSL needs more to tell more
        self._is_reading = False  # a read is under way, which must miss nothing
        self._has_ended = False
        self._ended_cleanly = True
        self._read_failure: str | None = None  # why nothing more can be read
        self._watcher: Callable[[], None] | None = None
        self._is_sending = False  # somebody has the turn
        self._senders: deque[Waiter] = deque()  # those who wait for it
        self._write_failure: str | None = None  # why nothing more can be written
        self._unsent = b""  # records that `write_nowait` has made, and the stream below not taken
        self._pledged = 0  # of how many bytes they are: these are taken when the records have gone

    @classmethod
    async def handshake(
        cls,
        stream: BackendStream,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None,
        timeout: float | None,
    ) -> Self:
        """Make the encrypted stream; `timeout`, in seconds, covers the whole handshake.

        Raises:
            ConnectTimeout: it took longer.
            ConnectError: it failed; the text is OpenSSL's or the network's.
        """
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        try:
            ssl_object = wrap_memory(ssl_context, incoming, outgoing, server_hostname)
            encrypted = cls(stream, ssl_object, incoming, outgoing)
            await encrypted._shake_hands(Deadline(timeout, stream.runtime))
        except TimeoutException as exc:
            stream.abort()
            raise ConnectTimeout(f"The TLS handshake took longer than {timeout} seconds.") from exc
        except (NetworkError, ssl.SSLError, ValueError) as exc:
            stream.abort()
            # A name that can't be one, such as one that begins with a dot, is a `ValueError`.
            raise ConnectError(str(exc)) from exc
        except BaseException:
            stream.abort()
            raise
        return encrypted

    async def _shake_hands(self, deadline: Deadline) -> None:
        while True:
            try:
                self._object.do_handshake()
            except ssl.SSLWantReadError:
                is_done = False
            except ssl.SSLError:
                await self._send_alert(deadline)
                raise
            else:
                is_done = True
            if self._outgoing.pending:
                await self._stream.write(self._outgoing.read(), deadline.left())
            if is_done:
                return
            data = await self._stream.read(_RECEIVE, deadline.left())
            if not data:
                raise ReadError("The server closed the connection during the TLS handshake.")
            self._incoming.write(data)

    async def _send_alert(self, deadline: Deadline) -> None:
        """Let the peer know why the handshake failed: OpenSSL has made an alert."""
        try:
            await self._stream.write(self._outgoing.read(), deadline.left())
        except (NetworkError, TimeoutException):
            pass  # the handshake's own error is the one that counts

    @property
    def runtime(self) -> Runtime:
        return self._stream.runtime

    @property
    def ended_cleanly(self) -> bool:
        return self._ended_cleanly

    # Reading

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with self._lock:
            self._is_reading = True
            is_drained = self._is_drained
        try:
            data = None if is_drained else self._decrypt(max_bytes)
            # Most reads need no clock. What has come before it is asked began the time anew, once: a
            # peer can't keep a read waiting by sending bit by bit.
            deadline = None
            left = timeout
            while data is None:
                if self._outgoing.pending:
                    await self._answer(left)
                data = self._decrypt(max_bytes, await self._stream.read(_RECEIVE, left))
                if data is None:
                    deadline = deadline or Deadline(timeout, self._stream.runtime)
                    left = deadline.left()
            return data
        finally:
            self._is_reading = False

    def _decrypt(self, max_bytes: int, received: bytes | None = None) -> bytes | None:
        """Return what there is to read: `b""` at the end, `None` if more must be received.

        Args:
            max_bytes: the most bytes to return.
            received: what came meanwhile, if anything was asked for; `b""` is the end.
        """
        pieces: list[bytes] = []
        size = 0
        incoming = self._incoming
        with self._lock:
            if received:
                incoming.write(received)
            elif received is not None:
                incoming.write_eof()
            if self._read_failure is not None:
                raise ReadError(self._read_failure)
            if self._unread:
                data, self._unread = self._unread[:max_bytes], self._unread[max_bytes:]
                return data
            # OpenSSL returns one record, of at most 16 KiB, at a time, and keeps of it only what
            # there was no room for. Asking it in vain costs an exception.
            holds_more = bool(received) or self._holds_more()
            while holds_more and size < max_bytes and not self._has_ended:
                try:
                    piece = self._object.read(max_bytes - size)
                except ssl.SSLWantReadError:
                    holds_more = False
                    break  # part of a record, or what is for TLS alone, such as a session ticket
                except ssl.SSLEOFError:
                    piece = b""
                    self._ended_cleanly = False
                except ssl.SSLError as exc:
                    self._read_failure = str(exc)
                    if pieces:
                        break  # what came before is good; the next read tells
                    raise ReadError(self._read_failure) from exc
                if piece:
                    pieces.append(piece)
                    size += len(piece)
                    holds_more = size == max_bytes or bool(incoming.pending or incoming.eof)
                else:
                    # Remembered: after close_notify the stream below may stay open.
                    self._has_ended = True
            self._is_drained = not holds_more
        if len(pieces) == 1:
            return pieces[0]
        return b"".join(pieces) or (b"" if self._has_ended else None)

    def _holds_more(self) -> bool:
        """Whether there is something that OpenSSL was not asked for yet, or the end."""
        incoming = self._incoming
        return bool(incoming.pending or self._has_ended or self._object.pending() or incoming.eof)

    async def _answer(self, timeout: float | None) -> None:
        """Send what OpenSSL has to say to what it received, such as a key update."""
        with self._lock:
            # Whoever has the turn looks for more at its end. To wait for it could be for ever: the
            # peer may take in nothing before something is read from it.
            if self._is_sending or self._unsent or self._write_failure is not None:
                return
            data = self._outgoing.read()
            if not data:
                return  # another thread has sent it along with its own
            self._is_sending = True
        try:
            await self.write(b"", timeout, answer=data)
        except WriteTimeout as exc:
            raise ReadTimeout(str(exc)) from exc
        except WriteError:
            pass  # there may still be something to read; if not, reading tells

    def read_nowait(self, max_bytes: int) -> bytes | None:
        data = None if self._is_drained else self._decrypt(max_bytes)
        while data is None:
            received = self._stream.read_nowait(_RECEIVE)
            if not received:
                # Of a caller's own stream `b""` says that there is something, which only a read takes.
                return received
            data = self._decrypt(max_bytes, received)
        return data

    def watch(self, callback: Callable[[], None] | None) -> None:
        self._watcher = callback
        self._stream.watch(None if callback is None else self._look)

    async def wait_readable(self) -> None:
        while not self._take_in():
            await self._stream.wait_readable()

    def _look(self) -> None:
        """Something came: tell the watcher, unless it was for TLS alone."""
        if not self._take_in():
            self._stream.watch(self._look)
            return
        callback, self._watcher = self._watcher, None
        assert callback is not None, "watch(None) stops the stream below, too"
        callback()

    def _take_in(self) -> bool:
        """Receive and decrypt what is there; return whether a read would return at once.

        Not what is for TLS alone, such as a session ticket. To ask the stream below would not do.
        """
        with self._lock:
            try:
                data = self.read_nowait(_RECEIVE)
            except ReadError:
                return True
            if data is None:
                return False
            self._unread = data + self._unread
            self._is_drained = False
            return True

    # Writing

    async def write(
        self, buffer: bytes, timeout: float | None = None, *, answer: bytes = b""
    ) -> None:
        # `answer` is a reader's, which has the turn for it already.
        data, waiter = answer, None
        if not data:
            if not buffer:
                return
            with self._lock:
                if self._is_sending:
                    waiter = self._queue_up()
                else:
                    data = self._encrypt(buffer[:_SLICE])
                    self._is_sending = True
        if waiter is not None:
            timeout = await self._wait_for_turn(waiter, timeout)
        try:
            if waiter is not None:
                with self._lock:
                    data = self._encrypt(buffer[:_SLICE])
            if len(buffer) > _SLICE:
                deadline = Deadline(timeout, self._stream.runtime)
                for start in range(_SLICE, len(buffer), _SLICE):
                    await self._stream.write(data, deadline.left())
                    with self._lock:
                        data = self._encrypt(buffer[start : start + _SLICE])
                timeout = deadline.left()
            while data:
                await self._stream.write(data, timeout)
                with self._lock:
                    data = self._outgoing.read()  # what a reader has left to be sent
                    if not data:
                        self._hand_on()
        except BaseException:
            with self._lock:
                # Part of a record may be on its way: the peer would take what follows for the rest.
                self._write_failure = self._write_failure or _CUT_SHORT
                self._hand_on()
            raise

    def write_nowait(self, buffer: bytes) -> int:
        with self._lock:
            if self._is_sending:
                return 0
            if not self._pledged:
                plaintext = buffer[:_SLICE]
                self._unsent = self._encrypt(plaintext)
                self._pledged = len(plaintext)
            self._unsent = self._unsent[self._stream.write_nowait(self._unsent) :]
            if self._unsent:
                return 0
            taken, self._pledged = self._pledged, 0
            return taken

    async def write_some(self, buffer: bytes, timeout: float | None = None) -> int:
        deadline = Deadline(timeout, self._stream.runtime)
        while True:
            waiter = None
            with self._lock:
                taken = self.write_nowait(buffer)
                if taken:
                    return taken
                unsent = self._unsent
                if not unsent:
                    assert self._is_sending, "a reader's answer is on its way"
                    waiter = self._queue_up()
            if waiter is not None:
                try:
                    await self._wait_for_turn(waiter, deadline.left())
                except WriteTimeout:
                    return 0
                with self._lock:
                    self._hand_on()
            else:
                sent = await self._stream.write_some(unsent, deadline.left())
                if not sent:
                    return 0
                with self._lock:
                    self._unsent = self._unsent[sent:]

    async def _wait_for_turn(self, waiter: Waiter, timeout: float | None) -> float | None:
        """Return how much of `timeout` is left when the turn has come."""
        deadline = Deadline(timeout, self._stream.runtime)
        has_turn = False
        try:
            has_turn = await waiter.wait(timeout)
        finally:
            if not has_turn:
                self._give_up(waiter)
        if not has_turn:
            raise WriteTimeout(f"Other writes to this connection took more than {timeout} seconds.")
        return deadline.left()

    def _give_up(self, waiter: Waiter) -> None:
        with self._lock:
            if waiter in self._senders:
                self._senders.remove(waiter)
            else:
                self._hand_on()  # it was given the turn in this very moment

    def _encrypt(self, plaintext: bytes) -> bytes:
        """Make records of `plaintext`; for whoever holds the lock."""
        if self._write_failure is not None:
            raise WriteError(self._write_failure)
        try:
            count = self._object.write(plaintext)
        except ssl.SSLError as exc:
            raise WriteError(str(exc)) from exc
        assert count == len(plaintext), "memory is never full"
        return self._outgoing.read()

    def _queue_up(self) -> Waiter:
        waiter = self._stream.runtime.create_waiter()
        self._senders.append(waiter)
        return waiter

    def _hand_on(self) -> None:
        if self._senders:
            self._senders.popleft().wake()
        else:
            self._is_sending = False

    # The rest

    def abort(self) -> None:
        # Without close_notify, which could have to wait.
        self._read_failure = self._write_failure = CLOSED_HERE
        self._unread = b""
        self._watcher = None
        self._stream.abort()

    @property
    def close_pending(self) -> bool:
        return self._stream.close_pending

    async def wait_closed(self) -> None:
        await self._stream.wait_closed()

    def get_extra_info(self, info: str) -> Any:
        if info == "ssl_object":
            return self._object
        if info == "is_readable":
            with self._lock:
                # What a read under way waits for must not be taken away from it.
                if not self._is_reading:
                    return self._take_in()
        return self._stream.get_extra_info(info)
