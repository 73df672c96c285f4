"""One request and its response on a connection that others use, too: sends, waits, receives.

Rules: what the codec takes and tells is dealt with under the connection's lock; nothing is awaited there. A complete
response ends the upload. When a response's head comes before the body has gone, the rest of it is sent as the response
is read. While the caller's body keeps an event loop waiting, a task of its own waits for a response that leaves the
body no use, and the request's total goes on: either cancels the body, which is iterated in the caller's task.

Must not know: other exchanges, who reads and writes for whom, what frames look like.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, NoReturn

from httpcore2_core._exceptions import WriteTimeout
from httpcore2_core._http.timeouts import Timeouts
from httpcore2_core._http.trace import Tracer
from httpcore2_core._net.coroutines import before_suspending
from httpcore2_core._net.runtime import Waiter

from ._fields import Headers
from ._stream import Stream, Upload
from ._writer import EAGER_PARTS, SLICE

if TYPE_CHECKING:
    from ._connection import EstablishedHTTP2Connection


class Exchange:
    """A request that was sent, and its response; see `httpcore2_core._http.established.Exchange`."""

    __slots__ = ("_connection", "stream")

    def __init__(self, connection: EstablishedHTTP2Connection, stream: Stream) -> None:
        self._connection = connection
        self.stream = stream

    # The request's body

    async def send_body(self, timeouts: Timeouts) -> None:
        """Send the body, until the response's head has come."""
        upload = self.stream.upload
        if upload is None or upload.iterator is None or self._connection.runtime.is_blocking:
            await self._send_until_head(timeouts)
        else:
            # Around all of it, not each step: trio's and anyio's scopes may be open from one step to the next.
            await self._interruptible(self._send_until_head, upload, timeouts)

    async def _send_until_head(self, timeouts: Timeouts, waiter: Waiter | None = None) -> None:
        stream = self.stream
        while stream.upload is not None and stream.head is None and not stream.is_over:
            await self._send_some(stream.upload, timeouts, stream.has_head, waiter)

    async def _interruptible(
        self,
        send: Callable[[Timeouts, Waiter], Coroutine[Any, Any, None]],
        upload: Upload,
        timeouts: Timeouts,
    ) -> None:
        """Send; what ends it is the request's total, or a response that leaves the body no use."""
        connection = self._connection
        runtime = connection.runtime
        stream = self.stream
        waiter = runtime.create_waiter()

        async def work() -> None:
            try:
                await send(timeouts, waiter)
            except BaseException:
                await upload.aclose()
                raise
            if upload.is_stopped:
                await upload.aclose()

        async def await_refusal() -> bool:
            # While we wait for the network, we read ourselves.
            await waiter.wait(None)
            await connection.reader.wait(stream.waiters, stream.is_refused, None)
            # What we wait for ourselves ends without being cancelled.
            upload.is_stopped = upload.is_waiting
            return upload.is_stopped

        limit = timeouts.for_body()
        # A caller's own stream may not be fit to be read again after a read that was cancelled.
        interrupt = await_refusal if connection.reader.is_resumable else None
        if not await runtime.interruptible(work(), interrupt, limit) and not upload.is_stopped:
            raise timeouts.exceeded(WriteTimeout)

    async def _send_some(
        self,
        upload: Upload,
        timeouts: Timeouts,
        has_come: Callable[[], bool],
        waiter: Waiter | None = None,
    ) -> None:
        """Send the next part of the body, or wait until that is possible or something `has_come`.

        The waiter is woken when the caller's body has to be waited for.
        """
        connection = self._connection
        stream = self.stream
        if not upload.chunk and upload.iterator is not None:
            if waiter is None:
                await upload.next_chunk()
            else:
                await before_suspending(upload.next_chunk(), waiter.wake)
            timeouts.for_body()
        with connection.lock:
            if stream.is_over or upload.is_stopped:
                return
            was_sent = self.send_part(upload)
        if was_sent:
            is_pointless = stream.has_head if stream.head is None else stream.is_refused
            await connection.writer.flush(timeouts.for_write(), is_pointless)
            upload.parts += 1
            if connection.poll() or not upload.parts % EAGER_PARTS:
                await connection.runtime.sleep(0)
        else:
            await connection.reader.wait(
                stream.waiters,
                lambda: has_come() or self._has_window(),
                timeouts.for_write(),
                WriteTimeout,
            )

    def send_part(self, upload: Upload) -> bool:
        """Queue as much of the piece at hand as the windows allow; whether there was anything to queue.

        Under the lock.
        """
        codec = self._connection.codec
        stream = self.stream
        if upload.is_done:
            codec.send_data(stream.stream_id, b"", True)
            stream.upload = None
            return True
        if not upload.chunk:
            return True  # an empty piece
        room = min(codec.window(stream.stream_id), SLICE)
        if room <= 0:
            return False
        part = upload.take(room)
        codec.send_data(stream.stream_id, part, upload.is_done)
        if upload.is_done:
            stream.upload = None
        return True

    # The response

    async def receive_head(
        self, timeouts: Timeouts, tracer: Tracer | None = None
    ) -> tuple[int, Headers]:
        """Return status and fields of the response."""
        stream = self.stream
        await self._connection.reader.wait(stream.waiters, stream.has_head, timeouts.for_read())
        if tracer is not None:
            await self._tell_settings(tracer)
        if stream.head is None:
            self._raise_error()
        return stream.head

    async def _tell_settings(self, tracer: Tracer) -> None:
        """Tell of the server's settings whoever listens first."""
        settings, self._connection.settings = self._connection.settings, None
        if settings is not None:
            await tracer.event("receive_remote_settings.started", {})
            await tracer.event("receive_remote_settings.complete", {"return_value": settings})

    def take_remaining(self) -> bytes | None:
        """End the exchange and return the rest of the body, if that costs no waiting; else `None`."""
        connection = self._connection
        stream = self.stream
        with connection.lock:
            is_all = stream.has_ended and stream.has_sent_all and not stream.trailers
            if not is_all or stream.is_tunnel or not connection.is_available():
                return None
            rest = self.take_chunk()
        self.finish(has_failed=False)
        return rest

    def take_chunk(self) -> bytes | None:
        """Return what is here of the response's body already; `b""` at its end, `None` if nothing is."""
        connection = self._connection
        stream = self.stream
        if stream.is_tunnel:
            return b""
        with connection.lock:
            if stream.buffer:
                piece = bytes(stream.buffer)
                stream.buffer.clear()
                connection.codec.consumed(stream.stream_id, len(piece))
                connection.writer.push()
                return piece
            return b"" if stream.has_ended else None

    async def receive_chunk(self, timeouts: Timeouts) -> bytes:
        """Return the next piece of the response's body, at least a byte; `b""` at its end."""
        connection = self._connection
        stream = self.stream
        try:
            while True:
                piece = self.take_chunk()
                if piece is not None:
                    return piece
                if stream.error is not None:
                    self._raise_error()
                upload = stream.upload
                if upload is None or upload.is_stopped:
                    await connection.reader.wait(
                        stream.waiters, stream.has_data, timeouts.for_read()
                    )
                elif upload.chunk or upload.iterator is None or connection.runtime.is_blocking:
                    await self._send_some(upload, timeouts, stream.has_data, None)
                else:
                    await self._interruptible(self._send_for_reader, upload, timeouts)
        except BaseException as exc:
            connection.end_if_interrupted(exc)
            raise

    async def _send_for_reader(self, timeouts: Timeouts, waiter: Waiter) -> None:
        stream = self.stream
        assert stream.upload is not None, "it has something to send"
        await self._send_some(stream.upload, timeouts, stream.has_data, waiter)

    def is_unprocessed(self, exc: BaseException) -> bool:
        """Whether `exc` says that the server did not process the request, which may be sent again."""
        return self.stream.is_unprocessed and exc is self.stream.error

    def _raise_error(self) -> NoReturn:
        assert self.stream.error is not None, "there is one if nothing else came"
        raise self.stream.error

    def _has_window(self) -> bool:
        return self._connection.codec.window(self.stream.stream_id) > 0

    # What the response's body sees

    @property
    def peer(self) -> str:
        return f"{self._connection.peer}, stream {self.stream.stream_id}"

    @property
    def has_body_left(self) -> bool:
        stream = self.stream
        return not stream.is_tunnel and (bool(stream.buffer) or not stream.has_ended)

    @property
    def has_switched(self) -> bool:
        return self.stream.is_tunnel

    @property
    def trailers(self) -> Headers:
        return self.stream.trailers

    def finish(self, has_failed: bool) -> None:
        self._connection.finish(self.stream)

    @property
    def close_pending(self) -> bool:
        return self._connection.close_pending or self.stream.upload is not None

    async def wait_closed(self) -> None:
        await self._connection.wait_closed()
        if self.stream.upload is not None:
            await self.stream.upload.aclose()
