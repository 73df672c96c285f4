"""One request and its response on a connection that others use as well: sends, waits, receives. Layer: connection.

Rules: the codec is used under the session's lock, and nothing is awaited under it. A complete response ends the upload.
If the response's head comes before the body was sent, the remaining body is sent while the response is read, unless its
status is 300 or more: then no more is sent, as in Go, and the stream is reset at the end of the response. While the
caller's body keeps an event loop waiting, a task beside it waits for a response that makes the body useless, and the
request's total timeout goes on: either cancels the body, which is iterated in the caller's own task.

Must not know: other exchanges, the participant that reads or writes on behalf of all, the format of frames.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from httpcore2_core._exceptions import Peer, ReadTimeout, WriteTimeout
from httpcore2_core._http.fields import Headers
from httpcore2_core._http.observation import RequestObservation
from httpcore2_core._http.stream_upload import StreamUpload
from httpcore2_core._http.timeouts import Timeouts
from httpcore2_core._http.trace import Tracer
from httpcore2_core._models import ByteStream
from httpcore2_core._net.coroutines import before_suspending
from httpcore2_core._net.runtime import Deadline, Waiter

from ._session import Session
from ._states import COMPLETE, ENDED
from ._stream import Stream
from ._writer import EAGER_SLICES, SLICE


class HTTP2Exchange:
    """A request that was sent, and its response; see `httpcore2_core._http.established.Exchange`.

    Attributes:
        stream: the stream that carries it.
    """

    def __init__(
        self,
        session: Session,
        stream: Stream,
        peer: Peer,
        end: Callable[[Stream], None],
        observation: RequestObservation | None = None,
    ) -> None:
        """Create the exchange of a request whose head is queued.

        Args:
            session: the connection's.
            stream: the stream that carries it.
            peer: names the server, and the proxies before it, for messages.
            end: ends it, without awaiting; a second call does nothing.
            observation: counts the bytes of the request's body; `None` for nobody.
        """
        self._session = session
        self._peer = peer
        self._end = end
        self._observation = observation
        self.stream = stream

    # The request's body

    async def send_body(self, timeouts: Timeouts) -> None:
        """Send the body until the response's head has come."""
        upload = self.stream.upload
        if upload is not None and upload.expects_continue:
            await self._wait_for_continue(upload, timeouts)
        if upload is None or upload.iterator is None or self._session.runtime.is_blocking:
            await self._send_until_head(timeouts)
        else:
            # Around all chunks, not each: the caller's body may hold a scope of trio or anyio open between two of them.
            await self._interruptible(self._send_until_head, upload, timeouts)

    async def _wait_for_continue(self, upload: StreamUpload, timeouts: Timeouts) -> None:
        """Wait for the server's answer to `Expect: 100-continue` (RFC 9110, section 10.1.1)."""
        stream = self.stream
        session = self._session
        limit = timeouts.for_continue()
        is_cut = timeouts.is_cut
        deadline = Deadline(limit, session.runtime)
        while not await self._has_come(stream.has_answered):
            left = timeouts.for_read() if limit is None else deadline.left()
            try:
                await session.reader.wait(stream.turns, self._has_news(stream.has_answered), left)
            except ReadTimeout:
                if limit is None:
                    raise
                if is_cut:
                    raise timeouts.exceeded(WriteTimeout) from None
                break
        upload.is_stopped = stream.is_refused()

    async def _send_until_head(self, timeouts: Timeouts, waiter: Waiter | None = None) -> None:
        stream = self.stream
        while stream.upload is not None and not await self._has_come(stream.has_head):
            await self._send_some(stream.upload, timeouts, stream.has_head, waiter)

    async def _interruptible(
        self,
        send: Callable[[Timeouts, Waiter], Coroutine[Any, Any, None]],
        upload: StreamUpload,
        timeouts: Timeouts,
    ) -> None:
        """Send until that is done, the request's total is over, or a response makes the body useless."""
        session = self._session
        runtime = session.runtime
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
            await session.reader.wait(stream.turns, stream.is_refused, None)
            # Our own waits end without being cancelled.
            upload.is_stopped = upload.is_waiting
            return upload.is_stopped

        limit = timeouts.for_body()
        # A caller's own stream may be unusable after a read that was cancelled.
        interrupt = await_refusal if session.reader.is_resumable else None
        if not await runtime.interruptible(work(), interrupt, limit) and not upload.is_stopped:
            raise timeouts.exceeded(WriteTimeout)

    async def _send_some(
        self,
        upload: StreamUpload,
        timeouts: Timeouts,
        has_come: Callable[[], bool],
        waiter: Waiter | None = None,
    ) -> None:
        """Send the next slice of the body, or wait until that is possible or `has_come` returns true.

        Args:
            upload: the body.
            timeouts: the request's.
            has_come: called under the lock.
            waiter: is woken when the caller's body suspends.
        """
        session = self._session
        stream = self.stream
        if not upload.chunk and upload.iterator is not None:
            if waiter is None:
                await upload.next_chunk()
            else:
                await before_suspending(upload.next_chunk(), waiter.wake)
            timeouts.for_body()
        with session.lock:
            if stream.is_over or upload.is_stopped:
                return
            was_sent = self.queue_slice(upload)
        if was_sent:
            is_pointless = stream.has_head if stream.head is None else stream.is_refused
            await session.writer.flush(timeouts.for_write(), is_pointless)
            upload.slices += 1
            if session.poll() or not upload.slices % EAGER_SLICES:
                await session.runtime.sleep(0)
        else:
            await session.reader.wait(
                stream.turns,
                lambda: has_come() or self._has_window(),
                timeouts.for_write(),
                WriteTimeout,
            )

    def queue_slice(self, upload: StreamUpload) -> bool:
        """Queue as much of the current chunk as the windows allow; false if that is nothing; under the lock."""
        codec = self._session.codec
        stream = self.stream
        if upload.is_done:
            codec.send_data(stream, b"", True)
            stream.upload = None
            return True
        if not upload.chunk:
            return True  # an empty chunk
        room = min(codec.window(stream), SLICE)
        if room <= 0:
            return False
        part = upload.take(room)
        if self._observation is not None:
            self._observation.sent += len(part)
        codec.send_data(stream, part, upload.is_done)
        if upload.is_done:
            stream.upload = None
        return True

    # The response

    @property
    def waits_for_head_alone(self) -> bool:
        """Whether the response's head has not come, and nothing else is to be sent or reported before it."""
        stream = self.stream
        return (
            stream.upload is None
            and stream.informer is None
            and self._observation is None
            and stream.head is None
            and stream.error is None
        )

    async def receive_head(self, timeouts: Timeouts, tracer: Tracer) -> tuple[int, Headers]:
        """Return status and fields of the response to a traced request."""
        stream = self.stream
        await self.wait_for_head(timeouts)
        await self._report_settings(tracer)
        if stream.head is None:
            self.raise_error()
        return stream.head

    async def wait_for_head(self, timeouts: Timeouts) -> None:
        """Wait until the response's head has come, or never will; report the interim responses that come before."""
        stream = self.stream
        reader = self._session.reader
        while not await self._has_come(stream.has_head):
            await reader.wait(stream.turns, self._has_news(stream.has_head), timeouts.for_read())

    async def _has_come(self, is_ready: Callable[[], bool]) -> bool:
        """Return what `is_ready` returns, and report the interim responses that came before that."""
        result = is_ready()
        informer = self.stream.informer
        if informer is not None:
            await informer.report()
        return result

    def _has_news(self, is_ready: Callable[[], bool]) -> Callable[[], bool]:
        """Return a function that returns whether `is_ready` does, or an interim response is to be reported."""
        informer = self.stream.informer
        if informer is None:
            return is_ready
        return lambda: bool(informer.pending) or is_ready()

    async def _report_settings(self, tracer: Tracer) -> None:
        """Report the server's settings to the first tracer that there is."""
        settings, self._session.new_settings = self._session.new_settings, None
        if settings is not None:
            await tracer.event("receive_remote_settings.started", {})
            await tracer.event("receive_remote_settings.complete", {"return_value": settings})

    def take_remaining(self) -> bytes | None:
        """End the exchange and return the remaining body, if it has all arrived; else `None`."""
        session = self._session
        stream = self.stream
        # After the end of a stream nobody adds to its data, so that the lock is not needed.
        if stream.response is not COMPLETE or stream.state is not ENDED:
            return None
        if stream.trailers or stream.is_tunnel:
            return None
        if session.is_closed or session.is_retired:
            return None
        chunks = stream.chunks
        remaining = chunks.pop() if len(chunks) == 1 else stream.take_data()
        self._end(stream)
        return remaining if type(remaining) is bytes else bytes(remaining)

    def take_chunk(self) -> bytes | None:
        """Return the part of the response's body that has arrived; `b""` at its end, `None` if there is nothing yet."""
        session = self._session
        stream = self.stream
        if stream.is_tunnel:
            return b""
        with session.lock:
            if stream.chunks:
                chunk = stream.take_data()
                if session.codec.consumed(stream, len(chunk)):
                    session.writer.push()
                return chunk
            return b"" if stream.response is COMPLETE else None

    async def receive_chunk(self, timeouts: Timeouts) -> bytes:
        """Return the next chunk of the response's body, at least a byte; `b""` at its end."""
        session = self._session
        stream = self.stream
        try:
            while True:
                chunk = self.take_chunk()
                if chunk is not None:
                    return chunk
                if stream.error is not None:
                    self.raise_error()
                upload = stream.upload
                if upload is not None and stream.is_refused():
                    upload.is_stopped = True
                if upload is None or upload.is_stopped:
                    await session.reader.wait(stream.turns, stream.has_data, timeouts.for_read())
                elif upload.chunk or upload.iterator is None or session.runtime.is_blocking:
                    await self._send_some(upload, timeouts, stream.has_data, None)
                else:
                    await self._interruptible(self._send_for_reader, upload, timeouts)
        except BaseException as exc:
            session.abort_if_interrupted(exc)
            raise

    async def _send_for_reader(self, timeouts: Timeouts, waiter: Waiter) -> None:
        stream = self.stream
        assert stream.upload is not None, "it has something to send"
        await self._send_some(stream.upload, timeouts, stream.has_data, waiter)

    def may_be_resent(self, exc: BaseException) -> bool:
        """Return whether the server did not process the request, as `exc` says, and the body can be sent again.

        Called when the exchange has failed. Before that, the caller's body may be iterated in one thread while another
        receives the refusal.
        """
        if not self.stream.is_unprocessed or exc is not self.stream.error:
            return False
        if self.has_consumed_body:
            exc.add_note("The request can't be sent again: a chunk of its body was taken already.")
            return False
        return True

    @property
    def has_consumed_body(self) -> bool:
        """Whether the iteration of the caller's body has begun, so that it can't be sent again."""
        if type(self.stream.request.stream) is ByteStream:
            return False
        upload = self.stream.upload
        return upload is None or upload.has_begun  # `None` after its end

    def raise_error(self) -> NoReturn:
        """Raise the error that the stream ended with."""
        assert self.stream.error is not None, "there is one if nothing else came"
        raise self.stream.error

    def _has_window(self) -> bool:
        return self._session.codec.window(self.stream) > 0

    # For the response's body

    @property
    def peer(self) -> Peer:
        return Peer(f"{self._peer}, stream {self.stream.stream_id}", self._peer.addresses)

    @property
    def has_body_left(self) -> bool:
        stream = self.stream
        return not stream.is_tunnel and (bool(stream.chunks) or not stream.has_ended)

    @property
    def has_switched(self) -> bool:
        return self.stream.is_tunnel

    @property
    def trailers(self) -> Headers:
        return self.stream.trailers

    def finish(self, has_failed: bool) -> None:
        self._end(self.stream)

    @property
    def close_pending(self) -> bool:
        return self._session.stream.close_pending or self.stream.upload is not None

    async def wait_closed(self) -> None:
        if self._session.stream.close_pending:
            await self._session.stream.wait_closed()
        if self.stream.upload is not None:
            await self.stream.upload.aclose()
