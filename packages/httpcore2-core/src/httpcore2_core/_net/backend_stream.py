"""The streams that the transport works with: they can be closed, and polled, without awaiting.

`BackendStream` is the base class. `TLSStream` is the encrypted stream over any of them, TLS included: `start_tls` makes
it, and it is a `BackendStream` itself, which is why the two share a module.

Rules of `TLSStream`:

- `TLSSession` decrypts and encrypts in memory; the stream below carries the bytes.
- A stream whose handshake fails or is cancelled is closed.
- One task or thread may read while others write. A writer has the `Role` until all its bytes are sent: no write comes
  in the middle of another, and one that is cancelled before its turn has sent nothing.
- The bytes given to `write_nowait` and `write_some` are encrypted and kept, and count as accepted when the stream below
  has accepted all their records. A writer that is cancelled meanwhile breaks nothing: the next one goes on with them.

Must not know: sockets, HTTP, the pool.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

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
from .errors import rounded
from .network_interfaces import AsyncNetworkStream, NetworkStream
from .roles import Role, Turn
from .runtime import Deadline, Runtime

if TYPE_CHECKING:
    import ssl

    from .tls_session import TLSSession

_RECEIVE = 64 * 1024
# How many bytes are encrypted at a time. OpenSSL's memory keeps its size: 70 kB a connection after a large body, and
# 180 kB with slices of 256 KiB, which are sent no faster.
_SLICE = 64 * 1024

_INTERRUPTED = (
    "An earlier write to this TLS connection was interrupted, so nothing can be sent after it. "
    "Use a new connection."
)


class BackendStream(AsyncNetworkStream):
    """A stream that is closed, and polled, without awaiting. On threads its coroutines block and never suspend.

    Derive from it to give the transport a stream of your own kind: implement `runtime`, `read`, `write`, `abort` and
    `read_nowait`. The other methods have defaults that are right for a stream that knows no more than that.

    Attributes:
        is_resumable: whether bytes that `write_nowait` and `write_some` have accepted are sent for certain, so that
            a write that was cancelled or timed out can be resumed. Such writes are not mixed with `write`.
        read_size: bytes to request in one read; 64 KiB cost least where each read allocates its buffer.
        owner: an object that lives as long as the stream. A stream that has left HTTP (101, CONNECT) holds the
            response's body, without which the pool would take the connection for forgotten.

    Example:
        The streams of httpcore2's backends are of this class.

        ```python
        import asyncio

        import httpcore2
        import httpcore2_core


        async def main():
            backend = httpcore2.AsyncIOBackend()
            stream = await backend.connect_tcp("www.example.com", 80, timeout=5.0)
            assert isinstance(stream, httpcore2_core.BackendStream)
            assert stream.read_nowait(1024) is None  # nothing has arrived
            stream.abort()


        asyncio.run(main())
        ```
    """

    owner: object = None
    is_resumable = False
    read_size = 64 * 1024

    @property
    def runtime(self) -> Runtime:
        """The clock and the scheduling of the runtime that the stream belongs to."""
        raise NotImplementedError

    @property
    def unwrapped(self) -> AsyncNetworkStream | NetworkStream:
        """The stream as the caller knows it: of an adapter the caller's own stream, else this one."""
        return self

    # Reading

    @property
    def ended_cleanly(self) -> bool:
        """Whether it was the peer that ended the stream. Known once a read has returned the end.

        `False` over TLS without close_notify: anybody on the path can have cut the stream off.
        """
        return True

    def read_nowait(self, max_bytes: int) -> bytes | None:
        """Return the bytes that can be read without waiting.

        This polls the network, not only the bytes that an event loop has received so far. It must not be called while
        a `read` is under way.

        Args:
            max_bytes: the most bytes to return.

        Returns:
            From 1 to `max_bytes` bytes; `b""` at the end of the stream; `None` if nothing has arrived.

        Raises:
            ReadError: the connection broke, or was closed on this side.
        """
        raise NotImplementedError

    async def wait_readable(self) -> None:
        """Wait until `read_nowait` returns something, in a task that may be cancelled. Nobody may read meanwhile.

        Only event loops need it. The default never returns.
        """
        await self.runtime.create_waiter().wait(None)

    def watch(self, callback: Callable[[], None] | None) -> None:
        """Call `callback` once, when bytes, the end or an error arrive while no read waits.

        Only asyncio sees the network while nothing waits for it. On other runtimes this does nothing, and a
        connection is polled before it is used again.

        Args:
            callback: takes no arguments and must not raise; `None` ends the watch.
        """

    # Writing

    def write_nowait(self, buffer: bytes) -> int:
        """Accept as many bytes of `buffer` as can be sent without waiting.

        The bytes that were not accepted must come first in the next call: TLS may have encrypted them already.

        Args:
            buffer: the bytes to send.

        Returns:
            The number of bytes accepted, which may be 0, as the default is.

        Raises:
            WriteError: the connection broke, or was closed on this side.
        """
        return 0

    async def write_some(self, buffer: bytes, timeout: float | None = None) -> int:
        """Wait until some bytes of `buffer` can be accepted.

        A resumable stream that is cancelled or times out has accepted nothing. Any other is closed, since some of
        the bytes may have been sent.

        Args:
            buffer: the bytes to send.
            timeout: seconds to wait; `None` for no limit.

        Returns:
            The number of bytes accepted; 0 if a resumable stream timed out.

        Raises:
            WriteTimeout: a stream that is not resumable timed out.
            WriteError: the connection broke, or was closed on this side.
        """
        try:
            await self.write(buffer, timeout)
        except BaseException:
            self.abort()
            raise
        return len(buffer)

    # Closing

    @property
    def close_pending(self) -> bool:
        """Whether `abort()` has left something to await in `wait_closed()`."""
        return False

    def abort(self) -> None:
        """Close the connection now, without waiting and without raising. May be called more than once.

        Reads and writes under way fail with `ReadError` or `WriteError`. TLS sends no close_notify, since that could
        need waiting.
        """
        raise NotImplementedError

    async def wait_closed(self) -> None:
        """Await what `abort()` has left, shielded from cancellation."""

    async def aclose(self) -> None:
        self.abort()

    # TLS

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> BackendStream:
        return await TLSStream.handshake(self, ssl_context, server_hostname, timeout)


def addresses_of(stream: BackendStream) -> dict[str, Any]:
    """Return the addresses of the two ends of a stream that it knows, by the names of the extensions of a response."""
    found = {}
    peer = stream.get_extra_info("server_addr")
    if peer:
        found["peer_address"] = peer
    local = stream.get_extra_info("client_addr")
    if local:  # that of a unix socket has no name
        found["local_address"] = local
    return found


class TLSStream(BackendStream):
    """The encrypted stream over another one."""

    def __init__(self, stream: BackendStream, session: TLSSession) -> None:
        self.is_resumable = stream.is_resumable
        self._stream = stream
        self._session = session
        self._lock = session.lock
        self._is_reading = False  # a read is under way, and every byte is for it
        self._watcher: Callable[[], None] | None = None
        self._writing = Role()
        self._unsent = (
            b""  # records that `write_nowait` has made, and the stream below has not accepted
        )
        self._pledged = 0  # how many bytes they hold: these are accepted when the records are sent

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
        from .tls_session import TLSSession  # loads ssl, which a program without TLS does not need

        try:
            encrypted = cls(stream, TLSSession(ssl_context, server_hostname))
            await encrypted._do_handshake(Deadline(timeout, stream.runtime))
        except TimeoutException as exc:
            stream.abort()
            raise ConnectTimeout(
                f"The TLS handshake did not complete within {rounded(timeout)} seconds (connect timeout)."
            ) from exc
        except BaseException as exc:
            stream.abort()
            if isinstance(exc, NetworkError) and not isinstance(exc, ConnectError):
                raise ConnectError(str(exc)) from exc
            raise
        return encrypted

    async def _do_handshake(self, deadline: Deadline) -> None:
        session = self._session
        received = b""
        while True:
            try:
                is_done = session.handshake(received)
            except ConnectError:
                await self._send_alert(deadline)
                raise
            data = session.take_outgoing()
            if data:
                await self._stream.write(data, deadline.left())
            if is_done:
                return
            received = await self._stream.read(_RECEIVE, deadline.left())
            if not received:
                raise ReadError("The server closed the connection during the TLS handshake.")

    async def _send_alert(self, deadline: Deadline) -> None:
        """Send the alert that OpenSSL has made, so that the peer learns why the handshake failed."""
        try:
            await self._stream.write(self._session.take_outgoing(), deadline.left())
        except (NetworkError, TimeoutException):
            pass  # the error of the handshake is the one that counts

    @property
    def runtime(self) -> Runtime:
        return self._stream.runtime

    # Reading

    @property
    def ended_cleanly(self) -> bool:
        return self._session.ended_cleanly

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        session = self._session
        with self._lock:
            self._is_reading = True
            is_drained = session.is_drained
        try:
            data = None if is_drained else session.decrypt(max_bytes)
            # Most reads need no clock. The first bytes that are not enough start the time anew, once: a peer can't keep
            # a read waiting by sending byte by byte.
            deadline = None
            left = timeout
            while data is None:
                if session.outgoing.pending:
                    await self._send_reply(left)
                data = session.decrypt(max_bytes, await self._stream.read(_RECEIVE, left))
                if data is None:
                    deadline = deadline or Deadline(timeout, self._stream.runtime)
                    left = deadline.left()
            return data
        finally:
            self._is_reading = False

    async def _send_reply(self, timeout: float | None) -> None:
        """Send the reply that OpenSSL has made to what it received, such as that to a key update."""
        turn = Turn()
        try:
            with self._lock:
                # A writer sends it at its end. To wait for that could be without end: the peer may read nothing
                # before something is read from it.
                if self._unsent or self._session.write_failure or not self._writing.take(turn):
                    return
                data = self._session.take_outgoing()
            await self._send(turn, data, timeout)
        except WriteTimeout as exc:
            raise ReadTimeout(str(exc)) from exc
        except WriteError:
            pass  # there may still be something to read; if not, reading raises
        finally:
            with self._lock:
                self._writing.leave(turn)

    def read_nowait(self, max_bytes: int) -> bytes | None:
        session = self._session
        data = None if session.is_drained else session.decrypt(max_bytes)
        while data is None:
            received = self._stream.read_nowait(_RECEIVE)
            if not received:
                # A caller's own stream returns `b""` if there is something that only a read takes.
                return received
            data = session.decrypt(max_bytes, received)
        return data

    async def wait_readable(self) -> None:
        while not self._poll():
            await self._stream.wait_readable()

    def watch(self, callback: Callable[[], None] | None) -> None:
        self._watcher = callback
        self._stream.watch(None if callback is None else self._on_arrival)

    def _on_arrival(self) -> None:
        """Notify the watcher, unless the bytes that arrived are for TLS alone."""
        if not self._poll():
            self._stream.watch(self._on_arrival)
            return
        callback, self._watcher = self._watcher, None
        assert callback is not None, "watch(None) ends the watch of the stream below, too"
        callback()

    def _poll(self) -> bool:
        """Receive and decrypt what has arrived; return whether a read would return at once.

        To poll the stream below would not do: it may hold a message for TLS alone, such as a session ticket.
        """
        with self._lock:
            try:
                data = self.read_nowait(_RECEIVE)
            except ReadError:
                return True
            if data is None:
                return False
            self._session.put_back(data)
            return True

    # Writing

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if not buffer:
            return
        turn = Turn()
        data, waiter = b"", None
        try:
            with self._lock:
                if self._writing.take(turn):
                    data = self._session.encrypt(buffer[:_SLICE])
                else:
                    waiter = self._writing.enqueue(turn, self.runtime.create_waiter())
            if waiter is not None:
                deadline = Deadline(timeout, self.runtime)
                if not await waiter.wait(timeout):
                    raise WriteTimeout(
                        f"Other writes to this connection took more than {timeout} seconds (write timeout)."
                    )
                timeout = deadline.left()
                with self._lock:
                    data = self._session.encrypt(buffer[:_SLICE])
            await self._send(turn, data, timeout, buffer)
        finally:
            with self._lock:
                self._writing.leave(turn)

    async def _send(
        self, turn: Turn, data: bytes, timeout: float | None, buffer: bytes = b""
    ) -> None:
        """Send the records `data`, and those of the slices of `buffer` after the first; `turn` has the role."""
        session = self._session
        try:
            if len(buffer) > _SLICE:
                deadline = Deadline(timeout, self.runtime)
                for start in range(_SLICE, len(buffer), _SLICE):
                    await self._stream.write(data, deadline.left())
                    with self._lock:
                        data = session.encrypt(buffer[start : start + _SLICE])
                timeout = deadline.left()
            while data:
                await self._stream.write(data, timeout)
                with self._lock:
                    data = session.take_outgoing()  # replies that a reader has left to be sent
                    if not data:
                        self._writing.leave(turn)
        except BaseException:
            # Part of a record may have been sent: the peer would take what follows for its remaining bytes.
            session.fail_writing(_INTERRUPTED)
            raise

    def write_nowait(self, buffer: bytes) -> int:
        with self._lock:
            if self._writing.holder is not None:
                return 0
            if not self._pledged:
                plaintext = buffer[:_SLICE]
                self._unsent = self._session.encrypt(plaintext)
                self._pledged = len(plaintext)
            self._unsent = self._unsent[self._stream.write_nowait(self._unsent) :]
            if self._unsent:
                return 0
            accepted, self._pledged = self._pledged, 0
            return accepted

    async def write_some(self, buffer: bytes, timeout: float | None = None) -> int:
        deadline = Deadline(timeout, self.runtime)
        turn = Turn()
        try:
            while True:
                waiter = None
                with self._lock:
                    accepted = self.write_nowait(buffer)
                    if accepted:
                        return accepted
                    unsent = self._unsent
                    if not unsent:
                        # A reader's reply is on its way.
                        waiter = self._writing.enqueue(turn, self.runtime.create_waiter())
                if waiter is None:
                    sent = await self._stream.write_some(unsent, deadline.left())
                    if not sent:
                        return 0
                    with self._lock:
                        self._unsent = self._unsent[sent:]
                else:
                    if not await waiter.wait(deadline.left()):
                        return 0
                    with self._lock:
                        self._writing.leave(turn)
        finally:
            with self._lock:
                self._writing.leave(turn)

    # Closing

    def abort(self) -> None:
        self._session.close()
        self._watcher = None
        self._stream.abort()

    @property
    def close_pending(self) -> bool:
        return self._stream.close_pending

    async def wait_closed(self) -> None:
        await self._stream.wait_closed()

    def get_extra_info(self, info: str) -> Any:
        if info == "ssl_object":
            return self._session.ssl_object
        if info == "is_readable":
            with self._lock:
                # The bytes that a read under way waits for must not be taken from it.
                if not self._is_reading:
                    return self._poll()
        return self._stream.get_extra_info(info)
