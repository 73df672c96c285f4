"""The byte stream that CONNECT opens: one stream of an HTTP/2 connection (RFC 9113, section 8.5; RFC 8441). Layer:
session.  Rules: one task or thread may read while another writes, and requests on the connection go on beside them.
Closing sends END_STREAM after all written data; data that arrives afterwards is dropped. Aborting sends RST_STREAM.
Either leaves the connection to the others.  Must not know: the protocol inside the tunnel, the format of frames.
"""

from __future__ import annotations

from typing import Any

from httpcore2_core._exceptions import ReadError, WriteError, WriteTimeout
from httpcore2_core._http.stream_upload import EAGER_SLICES, SLICE
from httpcore2_core._net.backend_stream import BackendStream
from httpcore2_core._net.runtime import Deadline, Runtime

from ._session import Session
from ._stream import Stream

_CLOSED_HERE = "The stream was closed on this side."


class Tunnel(BackendStream):
    """A byte stream over one stream of an HTTP/2 session."""

    def __init__(self, session: Session, stream: Stream) -> None:
        """Create the byte stream of a CONNECT that was granted.

        Args:
            session: the connection's.
            stream: the stream of the CONNECT.
        """
        self.is_resumable = session.stream.is_resumable
        self._session = session
        self._stream = stream

    @property
    def runtime(self) -> Runtime:
        return self._session.runtime

    # Reading

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        while (data := self._take(max_bytes)) is None:
            await self._session.reader.wait(self._stream.turns, self._is_readable, timeout)
        return data

    def read_nowait(self, max_bytes: int) -> bytes | None:
        self._session.poll()
        return self._take(max_bytes)

    def _take(self, max_bytes: int) -> bytes | None:
        """Return data that has arrived; `b""` at the end, `None` if there is nothing yet."""
        session = self._session
        stream = self._stream
        with session.lock:
            if stream.is_released:
                raise ReadError(_CLOSED_HERE)
            if stream.chunks:
                data = stream.take_data(max_bytes)
                if session.codec.consumed(stream, len(data)):
                    session.writer.push()
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
        unsent = memoryview(buffer)
        slices = 0
        while unsent:
            taken = await self._send(unsent, deadline)
            if not taken:
                raise WriteTimeout(
                    f"The server did not accept data for {timeout} seconds (write timeout)."
                )
            unsent = unsent[taken:]
            await self._session.writer.flush(deadline.left())
            slices += 1
            if not slices % EAGER_SLICES:
                await self.runtime.sleep(0)

    def write_nowait(self, buffer: bytes) -> int:
        return self._queue(memoryview(buffer)) if self.is_resumable else 0

    async def write_some(self, buffer: bytes, timeout: float | None = None) -> int:
        return await self._send(memoryview(buffer), Deadline(timeout, self.runtime))

    async def _send(self, data: memoryview, deadline: Deadline) -> int:
        """Wait until part of `data` can be queued; return how many bytes were queued, 0 after `deadline`."""
        session = self._session
        turns = self._stream.turns
        while not (taken := self._queue(data)):
            left = deadline.left()
            try:
                if session.writer.unsent:
                    await session.writer.flush(left)
                else:
                    await session.reader.wait(turns, self._is_writable, left, WriteTimeout)
            except WriteTimeout:
                return 0
        return taken

    def _queue(self, data: memoryview) -> int:
        """Queue as much of `data` as the windows allow; return how many bytes. Nothing while other bytes are unsent."""
        session = self._session
        stream = self._stream
        writer = session.writer
        with session.lock:
            if stream.is_released:
                raise WriteError(_CLOSED_HERE)
            error = stream.error or writer.error
            if error is not None:
                raise WriteError(str(error)) from error
            writer.push()
            if writer.unsent:
                return 0
            part = data[: max(0, min(session.codec.window(stream), SLICE))]
            if part:
                session.codec.send_data(stream, part, False)
                writer.push()
            return len(part)

    def _is_writable(self) -> bool:
        stream = self._stream
        return (
            stream.is_released or stream.error is not None or self._session.codec.window(stream) > 0
        )

    # End

    def abort(self) -> None:
        with self._session.lock:
            self._session.release(self._stream)

    async def aclose(self) -> None:
        session = self._session
        with session.lock:
            session.release(self._stream, gently=True)
        if not self.is_resumable:  # a caller's own stream writes nothing without awaiting
            await session.writer.flush(None)

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":
            self._session.poll()
            return self._is_readable()
        return self._session.stream.get_extra_info(info)
