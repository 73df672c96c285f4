"""One request and its response on a connection that others use as well: sends, waits, receives. Layer: connection.

Rules: QUIC is used under the session's lock, and nothing is awaited under it. A complete response ends the upload. If
the response's head comes before the body was sent, the remaining body is sent while the response is read. While the
caller's body keeps an event loop waiting, a task beside it waits for a response that makes the body useless, and the
request's total timeout goes on: either cancels the body, which is iterated in the caller's own task.

Must not know: other exchanges, the participant that receives on behalf of all, QUIC.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from httpcore2_core._exceptions import Peer, ReadTimeout, WriteTimeout
from httpcore2_core._http.fields import Headers
from httpcore2_core._http.observation import RequestObservation
from httpcore2_core._http.stream_upload import StreamUpload
from httpcore2_core._http.timeouts import Timeouts
from httpcore2_core._net.coroutines import before_suspending
from httpcore2_core._net.runtime import Deadline, Waiter

from ._session import Session
from ._stream import Stream

SLICE = 64 * 1024
"""Bytes of a body that are queued at a time."""

EAGER_SLICES = 8
"""Slices that are sent in a row without yielding to other tasks."""


class HTTP3Exchange:
    """A request that was sent, and its response; see `httpcore2_core._http.established.Exchange`.

    Attributes:
        stream: the stream that carries it.
    """

    __slots__ = ("_end", "_observation", "_peer", "_session", "stream")

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
            peer: names the server, for messages.
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
        if upload is None or upload.iterator is None or self._session.endpoint.runtime.is_blocking:
            await self._send_until_head(timeouts)
        else:
            # Around all chunks, not each: the caller's body may hold a scope of trio or anyio open between two of them.
            await self._interruptible(self._send_until_head, upload, timeouts)

    async def _wait_for_continue(self, upload: StreamUpload, timeouts: Timeouts) -> None:
        """Wait for the server's answer to `Expect: 100-continue` (RFC 9110, section 10.1.1)."""
        stream = self.stream
        endpoint = self._session.endpoint
        limit = timeouts.for_continue()
        is_cut = timeouts.is_cut
        deadline = Deadline(limit, endpoint.runtime)
        while not await self._has_come(stream.has_answered):
            left = timeouts.for_read() if limit is None else deadline.left()
            try:
                await endpoint.wait(stream.turns, self._has_news(stream.has_answered), left)
            except ReadTimeout:
                if limit is None:
                    raise
                if is_cut:
                    raise timeouts.exceeded(WriteTimeout) from None
                break
        upload.is_stopped = stream.is_refused()

    async def _send_until_head(self, timeouts: Timeouts, waiter: Waiter | None = None) -> None:
        stream = self.stream
        while self._may_send() and not await self._has_come(stream.has_head):
            assert stream.upload is not None, "it has something to send"
            await self._send_some(stream.upload, timeouts, stream.has_head, waiter)

    def _may_send(self) -> bool:
        stream = self.stream
        return stream.upload is not None and not stream.is_over and not stream.is_stopped

    async def _interruptible(
        self,
        send: Callable[[Timeouts, Waiter], Coroutine[Any, Any, None]],
        upload: StreamUpload,
        timeouts: Timeouts,
    ) -> None:
        """Send until that is done, the request's total is over, or a response makes the body useless."""
        endpoint = self._session.endpoint
        runtime = endpoint.runtime
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
            # While we wait for the network, we receive ourselves.
            await waiter.wait(None)
            await endpoint.wait(stream.turns, stream.is_refused, None)
            # Our own waits end without being cancelled.
            upload.is_stopped = upload.is_waiting
            return upload.is_stopped

        limit = timeouts.for_body()
        if not await runtime.interruptible(work(), await_refusal, limit) and not upload.is_stopped:
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
            if not self._may_send() or upload.is_stopped:
                return
            was_sent = self.queue_slice(upload)
            if was_sent:
                session.endpoint.flush()
        if was_sent:
            upload.slices += 1
            session.endpoint.poll()
            if not upload.slices % EAGER_SLICES:
                await session.endpoint.runtime.sleep(0)
        else:
            await session.endpoint.wait(
                stream.turns,
                lambda: has_come() or stream.is_stopped or session.room(stream) > 0,
                timeouts.for_write(),
                WriteTimeout,
            )

    def queue_slice(self, upload: StreamUpload) -> bool:
        """Queue as much of the current chunk as there is room for; false if that is nothing; under the lock."""
        session = self._session
        stream = self.stream
        if upload.is_done:
            session.send_data(stream, b"", True)
            return True
        if not upload.chunk:
            return True  # an empty chunk
        room = min(session.room(stream), SLICE)
        if room <= 0:
            return False
        part = upload.take(room)
        if self._observation is not None:
            self._observation.sent += len(part)
        session.send_data(stream, part, upload.is_done)
        return True

    # The response

    async def receive_head(self, timeouts: Timeouts) -> tuple[int, Headers]:
        """Return status and fields of the response; report the interim responses that come before."""
        stream = self.stream
        wait = self._session.endpoint.wait
        while not await self._has_come(stream.has_head):
            await wait(stream.turns, self._has_news(stream.has_head), timeouts.for_read())
        if stream.head is None:
            self._raise_error()
        return stream.head

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

    def take_remaining(self) -> bytes | None:
        """End the exchange and return the remaining body, if it has all arrived; else `None`."""
        session = self._session
        stream = self.stream
        with session.lock:
            if not stream.has_ended or not stream.has_sent_all or stream.trailers:
                return None
            if session.is_closed or session.is_retired:
                return None
            remaining = session.data_taken(stream)
        self._end(stream)
        return remaining

    def take_chunk(self) -> bytes | None:
        """Return the part of the response's body that has arrived; `b""` at its end, `None` if there is nothing yet."""
        stream = self.stream
        session = self._session
        with session.lock:
            if stream.chunks:
                return session.data_taken(stream)
            return b"" if stream.has_ended else None

    async def receive_chunk(self, timeouts: Timeouts) -> bytes:
        """Return the next chunk of the response's body, at least a byte; `b""` at its end."""
        session = self._session
        stream = self.stream
        try:
            while True:
                chunk = self.take_chunk()
                if chunk is not None:
                    session.notify()
                    return chunk
                if stream.error is not None:
                    self._raise_error()
                upload = stream.upload
                if upload is not None and stream.is_refused():
                    upload.is_stopped = True
                if upload is None or upload.is_stopped:
                    await session.endpoint.wait(stream.turns, stream.has_data, timeouts.for_read())
                elif (
                    upload.chunk or upload.iterator is None or session.endpoint.runtime.is_blocking
                ):
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
        if self.stream.body.has_begun:
            exc.add_note("The request can't be sent again: a chunk of its body was taken already.")
            return False
        return True

    def _raise_error(self) -> NoReturn:
        assert self.stream.error is not None, "there is one if nothing else came"
        raise self.stream.error

    # For the response's body

    @property
    def peer(self) -> Peer:
        return Peer(f"{self._peer}, stream {self.stream.stream_id}", self._peer.addresses)

    @property
    def has_body_left(self) -> bool:
        return bool(self.stream.chunks) or not self.stream.has_ended

    @property
    def has_switched(self) -> bool:
        return False

    @property
    def trailers(self) -> Headers:
        return self.stream.trailers

    def finish(self, has_failed: bool) -> None:
        self._end(self.stream)

    @property
    def close_pending(self) -> bool:
        return self.stream.upload is not None

    async def wait_closed(self) -> None:
        if self.stream.upload is not None:
            await self.stream.upload.aclose()
