"""TLS over any stream, TLS included: one layer for all backends.

Rules:

- OpenSSL works in memory; the stream below carries the bytes.
- A stream whose handshake fails or is cancelled is closed.
- A peer that closes without close_notify has ended the stream like one that sends it: HTTP's own
  framing tells whether a message is complete (RFC 9112, section 9.8).
- One task or thread may read while others write. OpenSSL takes one call at a time, so the calls (a
  few µs), never the waiting, are made under a lock; and what it has made is sent by one of them at a
  time, so that the order on the wire is OpenSSL's.

Must not know: sockets, HTTP, which contexts are used.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from threading import Lock
from typing import Any, Self

from ._exceptions import (
    ConnectError,
    ConnectTimeout,
    NetworkError,
    ReadError,
    ReadTimeout,
    TimeoutException,
    WriteError,
    WriteTimeout,
)
from ._network import BackendStream
from ._runtime import Runtime, Waiter

_RECEIVE = 64 * 1024
# What is encrypted at a time: the ciphertext of a large body is never there as a whole.
_SLICE = 256 * 1024

_CLOSED_HERE = "The connection was closed on this side."
_CUT_SHORT = "An earlier write to this TLS connection was cut short, so nothing can follow it."


class _Deadline:
    """How much of a timeout is left, for an operation that takes several steps."""

    __slots__ = ("_end", "_now")

    def __init__(self, timeout: float | None, runtime: Runtime) -> None:
        self._now = runtime.now
        self._end = None if timeout is None else runtime.now() + timeout

    def left(self) -> float | None:
        return None if self._end is None else max(0.0, self._end - self._now())


class TLSStream(BackendStream):
    """The encrypted stream over another one."""

    def __init__(
        self,
        stream: BackendStream,
        ssl_object: ssl.SSLObject,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
    ) -> None:
        self._stream = stream
        self._object = ssl_object
        self._incoming = incoming
        self._outgoing = outgoing
        self._lock = Lock()
        self._unread = b""  # decrypted and not yet read
        self._has_ended = False
        self._failure: str | None = None  # why nothing more can be read
        self._is_sending = False
        self._is_cut_short = False
        self._senders: list[Waiter] = []  # those who wait for their turn
        self._watcher: Callable[[], None] | None = None

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
            ssl_object = ssl_context.wrap_bio(
                incoming, outgoing, server_side=False, server_hostname=server_hostname
            )
            encrypted = cls(stream, ssl_object, incoming, outgoing)
            await encrypted._shake_hands(_Deadline(timeout, stream.runtime))
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

    async def _shake_hands(self, deadline: _Deadline) -> None:
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

    async def _send_alert(self, deadline: _Deadline) -> None:
        """Let the peer know why the handshake failed: OpenSSL has made an alert."""
        try:
            await self._stream.write(self._outgoing.read(), deadline.left())
        except (NetworkError, TimeoutException):
            pass  # the handshake's own error is the one that counts

    @property
    def runtime(self) -> Runtime:
        return self._stream.runtime

    # Reading

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._unread or self._has_ended or self._incoming.pending or self._object.pending():
            data = self._decrypt(max_bytes)
            if data is not None:
                return data
        # Without a look at the clock, which most reads don't need. What has come when it is asked
        # began the time anew, once: a peer can't keep a read waiting by sending bit by bit.
        deadline = None
        left = timeout
        while True:
            if self._outgoing.pending:
                await self._answer(left)
            received = await self._stream.read(_RECEIVE, left)
            data = self._decrypt(max_bytes, received)
            if data is not None:
                return data
            deadline = deadline or _Deadline(timeout, self._stream.runtime)
            left = deadline.left()

    def _decrypt(self, max_bytes: int, received: bytes | None = None) -> bytes | None:
        """Return what there is to read: `b""` at the end, `None` if more must be received.

        Args:
            max_bytes: the most bytes to return.
            received: what came meanwhile, if anything was asked for; `b""` is the end.
        """
        if self._unread:
            data, self._unread = self._unread[:max_bytes], self._unread[max_bytes:]
            return data
        pieces = []
        size = 0
        with self._lock:
            if received:
                self._incoming.write(received)
            elif received is not None:
                self._incoming.write_eof()
                self._has_ended = True
            if self._failure is not None:
                raise ReadError(self._failure)
            # OpenSSL returns one record, of at most 16 KiB, at a time. Asking it in vain costs an
            # exception.
            while size < max_bytes and (
                self._incoming.pending or self._has_ended or self._object.pending()
            ):
                try:
                    piece = self._object.read(max_bytes - size)
                except ssl.SSLWantReadError:
                    break  # part of a record, or what is for TLS alone, such as a session ticket
                except ssl.SSLEOFError:
                    piece = b""
                except ssl.SSLError as exc:
                    self._fail(str(exc))
                    if pieces:
                        break  # what came before is good; the next read tells
                    raise ReadError(self._failure) from exc
                if not piece:
                    # Remembered: after close_notify the stream below may stay open.
                    self._has_ended = True
                    break
                pieces.append(piece)
                size += len(piece)
        if not pieces:
            return b"" if self._has_ended else None
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _fail(self, reason: str) -> None:
        self._failure = reason
        self._has_ended = True

    async def _answer(self, timeout: float | None) -> None:
        """Send what OpenSSL has to say to what it received, such as a key update."""
        try:
            with self._lock:
                data = self._take()
            # Whoever has the turn looks for more before it ends. To wait for it could be for ever:
            # the peer may take in nothing before something is read from it.
            if data:
                await self._send(data, timeout)
        except WriteTimeout as exc:
            raise ReadTimeout(str(exc)) from exc
        except WriteError:
            pass  # there may still be something to read; if not, reading tells

    def read_nowait(self, max_bytes: int) -> bytes | None:
        try:
            data = self._decrypt(max_bytes)
            while data is None:
                received = self._stream.read_nowait(_RECEIVE)
                if received is None:
                    return None
                data = self._decrypt(max_bytes, received)
        except ReadError:
            return b""
        return data

    def watch(self, callback: Callable[[], None] | None) -> None:
        self._watcher = callback
        self._stream.watch(None if callback is None else self._look)

    def _look(self) -> None:
        """Something came: tell the watcher, unless it was for TLS alone."""
        data = self.read_nowait(1)
        if data is None:
            self._stream.watch(self._look)
            return
        self._unread = data + self._unread
        callback, self._watcher = self._watcher, None
        assert callback is not None, "watch(None) stops the stream below, too"
        callback()

    # Writing

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if len(buffer) <= _SLICE:
            with self._lock:
                if buffer:
                    self._encrypt(buffer)
                data = self._take()
            await self._send(data, timeout)
            return
        deadline = _Deadline(timeout, self._stream.runtime)
        for start in range(0, len(buffer), _SLICE):
            await self.write(buffer[start : start + _SLICE], deadline.left())

    async def _send(self, data: bytes | None, timeout: float | None) -> None:
        """Send what `_take` returned; if that is nothing, wait for the turn, and send what is left."""
        if data is None:
            deadline = _Deadline(timeout, self._stream.runtime)
            data = await self._wait_for_turn(deadline)
            timeout = deadline.left()
        while data:
            try:
                await self._stream.write(data, timeout)
            except BaseException:
                # Part of a record may be on its way: the peer would take what follows for the rest.
                self._is_cut_short = True
                self._end_turn()
                raise
            data = self._end_turn()

    def _end_turn(self) -> bytes | None:
        """Return what else is to be sent, if nobody waits to do so: a reader must get to read."""
        with self._lock:
            self._is_sending = False
            if not self._senders:
                return self._take() if self._outgoing.pending and not self._is_cut_short else None
            senders, self._senders = self._senders, []
        for waiter in senders:
            waiter.wake()
        return None

    def _encrypt(self, plaintext: bytes) -> None:
        try:
            count = self._object.write(plaintext)
        except ssl.SSLError as exc:
            raise WriteError(str(exc)) from exc
        assert count == len(plaintext), "memory is never full"

    def _take(self) -> bytes | None:
        """Return what is to be sent, and take the turn if it is anything; `None`: not our turn."""
        if self._is_cut_short:
            raise WriteError(_CUT_SHORT)
        if self._is_sending:
            return None
        data = self._outgoing.read()
        self._is_sending = bool(data)
        return data

    async def _wait_for_turn(self, deadline: _Deadline) -> bytes:
        while True:
            waiter = self._stream.runtime.create_waiter()
            with self._lock:
                data = self._take()
                if data is not None:
                    return data
                self._senders.append(waiter)
            if not await waiter.wait(deadline.left()):
                raise WriteTimeout("Other writes to this TLS connection took too long.")

    # The rest

    def abort(self) -> None:
        # No close_notify: it could have to wait, and HTTP doesn't need it.
        self._fail(_CLOSED_HERE)
        self._unread = b""
        self._watcher = None
        self._stream.abort()

    def get_extra_info(self, info: str) -> Any:
        if info == "ssl_object":
            return self._object
        if info == "is_readable" and (self._unread or self._has_ended or self._object.pending()):
            return True
        return self._stream.get_extra_info(info)
