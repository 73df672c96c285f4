"""The byte stream that CONNECT gives: one stream of an HTTP/2 connection (RFC 9113, section 8.5; RFC 8441).

Rules: one task or thread may read while another writes, and requests on the connection go on beside them. To close is
to send the end, after what was written; what then still comes is dropped. To abort is to reset. Either leaves the
connection to the others.

Must not know: what is spoken through it, frames.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from httpcore2_core._exceptions import ReadError, WriteError, WriteTimeout
from httpcore2_core._net.backend_stream import BackendStream
from httpcore2_core._net.runtime import Deadline, Runtime

from ._stream import Stream
from ._writer import EAGER_PARTS, SLICE

if TYPE_CHECKING:
    from ._connection import EstablishedHTTP2Connection

_CLOSED_HERE = "The stream was closed on this side."


class Tunnel(BackendStream):
    """A stream through a stream."""

    def __init__(
        self, connection: EstablishedHTTP2Connection, stream: Stream, below: BackendStream
    ) -> None:
        """Take over a stream of `connection`, which runs over the stream `below`."""
        self.is_resumable = below.is_resumable
        self._connection = connection
        self._stream = stream
        self._below = below

    @property
    def runtime(self) -> Runtime:
        return self._below.runtime

    # Reading

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        while (data := self._take(max_bytes)) is None:
            await self._connection.reader.wait(self._stream.waiters, self._is_readable, timeout)
        return data

    def read_nowait(self, max_bytes: int) -> bytes | None:
        self._connection.poll()
        return self._take(max_bytes)

    def _take(self, max_bytes: int) -> bytes | None:
        """Return what has come: `b""` at the end, `None` if there is nothing yet."""
        connection = self._connection
        stream = self._stream
        with connection.lock:
            if stream.is_released:
                raise ReadError(_CLOSED_HERE)
            if stream.buffer:
                data = bytes(stream.buffer[:max_bytes])
                del stream.buffer[:max_bytes]
                connection.codec.consumed(stream.stream_id, len(data))
                connection.writer.push()
                return data
            if stream.has_ended:
                return b""
            if stream.error is not None:
                raise ReadError(str(stream.error)) from stream.error
            return None

    def _is_readable(self) -> bool:
        return self._stream.has_data() or self._stream.is_released

    # Writing

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        deadline = Deadline(timeout, self.runtime)
        rest = memoryview(buffer)
        parts = 0
        while rest:
            taken = await self._send(rest, deadline)
            if not taken:
                raise WriteTimeout(f"The server took in too little for {timeout} seconds.")
            rest = rest[taken:]
            await self._connection.writer.flush(deadline.left())
            parts += 1
            if not parts % EAGER_PARTS:
                await self.runtime.sleep(0)

    def write_nowait(self, buffer: bytes) -> int:
        return self._queue(memoryview(buffer)) if self.is_resumable else 0

    async def write_some(self, buffer: bytes, timeout: float | None = None) -> int:
        return await self._send(memoryview(buffer), Deadline(timeout, self.runtime))

    async def _send(self, data: memoryview, deadline: Deadline) -> int:
        """Wait until some of `data` can be queued; return how many bytes were, 0 after `deadline`."""
        connection = self._connection
        waiters = self._stream.waiters
        while not (taken := self._queue(data)):
            left = deadline.left()
            try:
                if connection.writer.unsent:
                    await connection.writer.flush(left)
                else:
                    await connection.reader.wait(waiters, self._is_writable, left, WriteTimeout)
            except WriteTimeout:
                return 0
        return taken

    def _queue(self, data: memoryview) -> int:
        """Queue as much of `data` as the windows allow, unless the network is behind; return how many bytes."""
        connection = self._connection
        stream = self._stream
        writer = connection.writer
        with connection.lock:
            if not stream.may_send or stream.is_released:
                raise WriteError(_CLOSED_HERE)
            error = stream.error or writer.error
            if error is not None:
                raise WriteError(str(error)) from error
            writer.push()
            if writer.unsent:
                return 0
            part = data[: max(0, min(connection.codec.window(stream.stream_id), SLICE))]
            if part:
                connection.codec.send_data(stream.stream_id, part, False)
                writer.push()
            return len(part)

    def _is_writable(self) -> bool:
        stream = self._stream
        return (
            stream.is_released
            or stream.error is not None
            or self._connection.codec.window(stream.stream_id) > 0
        )

    # The rest

    def abort(self) -> None:
        with self._connection.lock:
            self._connection.release(self._stream)

    async def aclose(self) -> None:
        connection = self._connection
        with connection.lock:
            connection.release(self._stream, softly=True)
        if not self.is_resumable:  # a caller's own stream, which writes nothing without awaiting
            await connection.writer.flush(None)

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":
            self._connection.poll()
            return self._is_readable()
        return self._below.get_extra_info(info)
