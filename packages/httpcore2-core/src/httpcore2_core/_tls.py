"""TLS over any stream, TLS included: one layer for all backends.

Rules: OpenSSL works in memory, the bytes go through the stream below. A stream that fails in the handshake is closed. A
peer that closes without close_notify has ended the stream like one that sends it: HTTP's own framing tells whether a
message is complete (RFC 9112, section 9.8).
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
    TimeoutException,
    WriteError,
)
from ._network import BackendStream
from ._runtime import Runtime

_RECEIVE = 64 * 1024
# What is encrypted at a time: the ciphertext of a large body is never there as a whole.
_SLICE = 256 * 1024


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
        # One thread may read while another writes; OpenSSL takes one of them at a time.
        self._lock = Lock()
        self._is_flushing = False
        self._has_ended = False
        self._unread = b""  # decrypted and not yet read
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
        except BaseException as exc:
            stream.abort()
            if isinstance(exc, TimeoutException):
                raise ConnectTimeout(f"The TLS handshake took longer than {timeout} seconds.") from exc
            # OpenSSL refuses some names, such as one that begins with a dot, by a ValueError.
            if isinstance(exc, (ssl.SSLError, ssl.CertificateError, NetworkError, ValueError)):
                raise ConnectError(str(exc)) from exc
            raise
        return encrypted

    async def _shake_hands(self, deadline: _Deadline) -> None:
        is_done = False
        while not is_done:
            try:
                self._object.do_handshake()
                is_done = True
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError:
                # The server is to learn why: OpenSSL has made an alert.
                await self._stream.write(self._outgoing.read(), deadline.left())
                raise
            if self._outgoing.pending:
                await self._stream.write(self._outgoing.read(), deadline.left())
            if not is_done:
                data = await self._stream.read(_RECEIVE, deadline.left())
                if not data:
                    raise ConnectError("The server closed the connection during the TLS handshake.")
                self._incoming.write(data)

    @property
    def runtime(self) -> Runtime:
        return self._stream.runtime

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        deadline = None
        while True:
            data = self._decrypted(max_bytes)
            if self._outgoing.pending:  # an answer to a key update
                await self._flush(_Deadline(timeout, self.runtime))
            if data is not None:
                return data
            if deadline is None:
                deadline = _Deadline(timeout, self.runtime)
                data = await self._stream.read(_RECEIVE, timeout)
            else:
                data = await self._stream.read(_RECEIVE, deadline.left())
            self._feed(data)

    def _feed(self, data: bytes) -> None:
        with self._lock:
            if data:
                self._incoming.write(data)
            else:
                self._incoming.write_eof()
                self._has_ended = True

    def _decrypted(self, max_bytes: int) -> bytes | None:
        """Return what there is to read: `b""` at the end, `None` if more must be received."""
        if self._unread:
            data = self._unread[:max_bytes]
            self._unread = self._unread[max_bytes:]
            return data
        pieces = []
        size = 0
        # OpenSSL returns one record, 16 KiB, at a time. Asking it in vain costs an exception.
        with self._lock:
            while size < max_bytes and (
                self._incoming.pending or self._object.pending() or self._has_ended
            ):
                try:
                    piece = self._object.read(max_bytes - size)
                except ssl.SSLWantReadError:
                    break
                except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                    self._has_ended = True
                    piece = b""
                except ssl.SSLError as exc:
                    if pieces:
                        break  # what came before is good; the next read meets the error again
                    raise ReadError(str(exc)) from exc
                if not piece:
                    return b"".join(pieces)
                pieces.append(piece)
                size += len(piece)
        if not pieces:
            return None
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        deadline = _Deadline(timeout, self.runtime)
        for start in range(0, len(buffer), _SLICE):
            piece = buffer if len(buffer) <= _SLICE else buffer[start : start + _SLICE]
            with self._lock:
                try:
                    self._object.write(piece)
                except ssl.SSLError as exc:
                    raise WriteError(str(exc)) from exc
            await self._flush(deadline)

    async def _flush(self, deadline: _Deadline) -> None:
        """Send what OpenSSL has made, in the order in which it did: whoever flushes already sends this, too."""
        while True:
            with self._lock:
                if self._is_flushing or not self._outgoing.pending:
                    return
                self._is_flushing = True
                data = self._outgoing.read()
            try:
                await self._stream.write(data, deadline.left())
            finally:
                self._is_flushing = False

    def abort(self) -> None:
        self._stream.abort()

    def read_nowait(self, max_bytes: int) -> bytes | None:
        try:
            while True:
                data = self._decrypted(max_bytes)
                if data is not None:
                    return data
                data = self._stream.read_nowait(_RECEIVE)
                if data is None:
                    return None
                self._feed(data)
        except ReadError:
            return b""

    def watch(self, callback: Callable[[], None] | None) -> None:
        self._watcher = callback
        self._stream.watch(None if callback is None else self._look)

    def _look(self) -> None:
        """Something has come: tell the watcher, unless it was for TLS alone, such as a session ticket."""
        data = self.read_nowait(1)
        if data is None:
            self._stream.watch(self._look)
            return
        self._unread = data
        callback, self._watcher = self._watcher, None
        assert callback is not None, "watch(None) stops the stream below, too"
        callback()

    def get_extra_info(self, info: str) -> Any:
        if info == "ssl_object":
            return self._object
        if info == "is_readable" and (self._unread or self._object.pending()):
            return True
        return self._stream.get_extra_info(info)
