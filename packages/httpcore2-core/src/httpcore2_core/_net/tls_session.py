"""One TLS connection without I/O: decrypts what is received, and encrypts what is to be sent.

OpenSSL works in memory; `TLSStream` moves the bytes. This module loads `ssl`, which takes milliseconds, so it is itself
imported when the first TLS connection is made.

Rules: one thread may decrypt while others encrypt. OpenSSL is called (for a few µs) under `lock`, and nothing waits
under it. A peer that closes the stream below without close_notify has ended the connection, as one that sends it has,
except for `ended_cleanly`. Most messages tell by their own framing whether they are complete; for the others HTTP
checks it (RFC 9112, section 9.8).

Must not know: streams, sockets, HTTP, which contexts are used.
"""

from __future__ import annotations

import ssl
from threading import RLock

from .._exceptions import ConnectError, ReadError, WriteError
from .errors import CLOSED_HERE
from .ssl_context import wrap_memory


class TLSSession:
    """The client's end of a TLS connection.

    Attributes:
        lock: to be held for `take_outgoing`, `encrypt` and `put_back`; `decrypt` takes it itself.
        ssl_object: OpenSSL's end, for the caller's information.
        outgoing: bytes for the stream below that OpenSSL has made and `take_outgoing` has not returned yet.
        is_drained: whether more bytes have to be received before `decrypt` can return any.
        ended_cleanly: once `decrypt` has returned the end: whether the peer has sent close_notify.
        write_failure: why nothing more can be encrypted, if so.
    """

    __slots__ = (
        "_has_ended",
        "_incoming",
        "_read_failure",
        "_unread",
        "ended_cleanly",
        "is_drained",
        "lock",
        "outgoing",
        "ssl_object",
        "write_failure",
    )

    def __init__(self, ssl_context: ssl.SSLContext, server_hostname: str | None) -> None:
        """Prepare the handshake.

        Raises:
            ConnectError: `server_hostname` can't be a server's name, such as one that begins with a dot.
        """
        self._incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        try:
            self.ssl_object = wrap_memory(
                ssl_context, self._incoming, self.outgoing, server_hostname
            )
        except (ssl.SSLError, ValueError) as exc:
            raise ConnectError(str(exc)) from exc
        self.lock = RLock()
        self.is_drained = False
        self.ended_cleanly = True
        self.write_failure: str | None = None
        self._unread = b""  # decrypted and not read yet
        self._has_ended = False
        self._read_failure: str | None = None

    # The handshake

    def handshake(self, received: bytes) -> bool:
        """Go on with the handshake; return whether it is complete.

        In either case, and after an error, `take_outgoing()` returns the bytes that are to be sent next.

        Raises:
            ConnectError: it failed; the text is OpenSSL's.
        """
        self._incoming.write(received)
        try:
            self.ssl_object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError as exc:
            raise ConnectError(str(exc)) from exc
        return True

    # Reading

    def decrypt(self, max_bytes: int, received: bytes | None = None) -> bytes | None:
        """Return from 1 to `max_bytes` bytes: `b""` at the end, `None` if more bytes have to be received.

        Args:
            max_bytes: the most bytes to return.
            received: what the stream below has received, `b""` at its end; `None` if nothing was requested from it.

        Raises:
            ReadError: the peer has sent a record that is not valid, or the connection was closed on this side.
        """
        chunks: list[bytes] = []
        size = 0
        incoming = self._incoming
        with self.lock:
            if received:
                incoming.write(received)
            elif received is not None:
                incoming.write_eof()
            if self._read_failure is not None:
                raise ReadError(self._read_failure)
            if self._unread:
                data, self._unread = self._unread[:max_bytes], self._unread[max_bytes:]
                return data
            # OpenSSL returns one record, of at most 16 KiB, at a time, and keeps of it only the bytes that there was no
            # room for. To read from it when there is nothing costs an exception.
            may_have_more = bool(received) or self._may_have_more()
            while may_have_more and size < max_bytes and not self._has_ended:
                try:
                    chunk = self.ssl_object.read(max_bytes - size)
                except ssl.SSLWantReadError:
                    may_have_more = False
                    break  # part of a record, or a message of TLS itself, such as a session ticket
                except ssl.SSLEOFError:
                    chunk = b""
                    self.ended_cleanly = False
                except ssl.SSLError as exc:
                    self._read_failure = str(exc)
                    if chunks:
                        break  # the records before it are valid; the next read raises
                    raise ReadError(self._read_failure) from exc
                if chunk:
                    chunks.append(chunk)
                    size += len(chunk)
                    may_have_more = size == max_bytes or bool(incoming.pending or incoming.eof)
                else:
                    # Remembered: after close_notify the stream below may stay open.
                    self._has_ended = True
            self.is_drained = not may_have_more
        if len(chunks) == 1:
            return chunks[0]
        return b"".join(chunks) or (b"" if self._has_ended else None)

    def _may_have_more(self) -> bool:
        """Whether there are bytes that OpenSSL has not processed yet, or the end."""
        incoming = self._incoming
        return bool(
            incoming.pending or self._has_ended or self.ssl_object.pending() or incoming.eof
        )

    def put_back(self, data: bytes) -> None:
        """Have the next `decrypt` return `data`, which an earlier one has returned, first."""
        self._unread = data + self._unread
        self.is_drained = False

    # Writing

    def encrypt(self, plaintext: bytes) -> bytes:
        """Return `plaintext` as records, after all that OpenSSL had to send before.

        Raises:
            WriteError: nothing more can be sent, since an earlier write was interrupted or the connection is closed.
        """
        if self.write_failure is not None:
            raise WriteError(self.write_failure)
        try:
            count = self.ssl_object.write(plaintext)
        except ssl.SSLError as exc:
            raise WriteError(str(exc)) from exc
        assert count == len(plaintext), "memory is never full"
        return self.outgoing.read()

    def take_outgoing(self) -> bytes:
        """Return the bytes that OpenSSL has to send of itself, such as those of a handshake or a key update."""
        return self.outgoing.read()

    def fail_writing(self, reason: str) -> None:
        """Let every later `encrypt` fail with `reason`, unless it fails already."""
        self.write_failure = self.write_failure or reason

    def close(self) -> None:
        """Let everything fail from here on. No close_notify is made: sending it could need waiting."""
        self._read_failure = self.write_failure = CLOSED_HERE
        self._unread = b""
