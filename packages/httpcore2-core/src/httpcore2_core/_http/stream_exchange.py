"""One request and its response on a stream of HTTP/2 or HTTP/3: sends, waits, receives.

Rules: the session, which the exchanges of a connection share, is used under its lock, and nothing is awaited under it.
A complete response ends the upload. If the response's head comes before the body was sent, the remaining body is sent
while the response is read, unless its status is 300 or more: then no more is sent, as in Go, and the stream is reset at
the end of the response. While the caller's body keeps an event loop waiting, a task beside it waits for a response that
makes the body useless, and the request's total timeout goes on: either cancels the body, which is iterated in the
caller's own task.

Must not know: other exchanges, frames, windows, the participant that reads or writes on behalf of all.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractContextManager
from typing import Any, Generic, NoReturn, Protocol, TypeVar

from .._exceptions import Peer, ReadTimeout, TimeoutException, WriteTimeout
from .._models import ByteStream, Request
from .._net.coroutines import before_suspending
from .._net.runtime import Deadline, Runtime, Waiter
from .fields import Headers
from .informational import Informer
from .observation import RequestObservation
from .stream_upload import EAGER_SLICES, SLICE, StreamUpload
from .timeouts import Timeouts


class MessageStream(Protocol):
    """What an exchange needs of the stream that carries it.

    Attributes:
        upload: the part of the request's body that was not sent; `None` when all was sent, or if it has no body.
        head: status and fields of the response.
        error: why the response never will be complete.
    """

    upload: StreamUpload | None
    head: tuple[int, Headers] | None
    error: Exception | None

    @property
    def request(self) -> Request:
        """The request."""

    @property
    def stream_id(self) -> int:
        """Its identifier."""

    @property
    def informer(self) -> Informer | None:
        """Reports the interim responses; `None` for nobody."""

    @property
    def chunks(self) -> Sequence[bytes | bytearray]:
        """Received data that nobody has taken."""

    @property
    def trailers(self) -> Headers:
        """Fields after the body."""

    @property
    def is_unprocessed(self) -> bool:
        """With an error: whether the server did not process the request."""

    @property
    def has_ended(self) -> bool:
        """Whether the response is complete."""

    def has_head(self) -> bool:
        """Whether there is no need to wait for the response's head."""

    def has_answered(self) -> bool:
        """Whether the server has answered `Expect: 100-continue`."""

    def is_refused(self) -> bool:
        """Whether the server has no use for the request's body."""

    def has_data(self) -> bool:
        """Whether there is no need to wait for data or the end."""


class ExchangeSession(Protocol):
    """What an exchange needs of the state that it shares with others."""

    @property
    def runtime(self) -> Runtime:
        """That of the stream below."""

    @property
    def lock(self) -> AbstractContextManager[bool]:
        """Held for every decision."""

    def on_failure(self, exc: BaseException) -> None:
        """Find out what `exc`, which ends an exchange, means for the connection.

        The connection is closed if it came from outside, as KeyboardInterrupt does.
        """


SessionT = TypeVar("SessionT", bound=ExchangeSession)
StreamT = TypeVar("StreamT", bound=MessageStream)


class StreamExchange(Generic[SessionT, StreamT]):
    """A request that was sent, and its response; see `established.Exchange`.

    Attributes:
        stream: the stream that carries it.
    """

    def __init__(
        self,
        session: SessionT,
        stream: StreamT,
        peer: Peer,
        end: Callable[[StreamT], None],
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

    # What each version of HTTP does in its own way. No `ABC`, since one is made for each request: CPython does not
    # specialise the call of a class that has a metaclass.

    @abstractmethod
    def _wait(
        self,
        is_ready: Callable[[], bool],
        limit: float | None,
        timeout_error: type[TimeoutException] = ReadTimeout,
    ) -> Coroutine[Any, Any, None]:
        """Wait until `is_ready`, which is called under the lock, returns true; read on behalf of all, or let others.

        Raises:
            TimeoutException: `timeout_error`, if it took longer than `limit`, in seconds.
        """

    @abstractmethod
    def _may_send(self) -> bool:
        """Whether a part of the request's body is left that the server may want."""

    @abstractmethod
    def _room(self) -> int:
        """Return how many bytes of the request's body may be queued now; under the lock."""

    @abstractmethod
    def _queue(self, data: memoryview | bytes, end_stream: bool) -> None:
        """Queue a part of the request's body; under the lock."""

    @abstractmethod
    async def _send_queued(self, timeouts: Timeouts) -> bool:
        """Send what is queued, receive what has arrived, and return whether other tasks should have a turn."""

    @abstractmethod
    def take_remaining(self) -> bytes | None:
        """End the exchange and return the remaining body, if it has all arrived; else `None`."""

    @abstractmethod
    def take_chunk(self) -> bytes | None:
        """Return the part of the response's body that has arrived; `b""` at its end, `None` if there is nothing yet."""

    @property
    def _may_cancel_reads(self) -> bool:
        """Whether the connection can be used after a read that was cancelled."""
        return True

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
        limit = timeouts.for_continue()
        is_cut = timeouts.is_cut
        deadline = Deadline(limit, self._session.runtime)
        while not await self._has_come(stream.has_answered):
            left = timeouts.for_read() if limit is None else deadline.left()
            try:
                await self._wait(self._has_news(stream.has_answered), left)
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

    async def _interruptible(
        self,
        send: Callable[[Timeouts, Waiter], Coroutine[Any, Any, None]],
        upload: StreamUpload,
        timeouts: Timeouts,
    ) -> None:
        """Send until that is done, the request's total is over, or a response makes the body useless."""
        runtime = self._session.runtime
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
            await self._wait(self.stream.is_refused, None)
            # Our own waits end without being cancelled.
            upload.is_stopped = upload.is_waiting
            return upload.is_stopped

        limit = timeouts.for_body()
        interrupt = await_refusal if self._may_cancel_reads else None
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
            upload.slices += 1
            if await self._send_queued(timeouts) or not upload.slices % EAGER_SLICES:
                await session.runtime.sleep(0)
        else:
            await self._wait(
                lambda: has_come() or self._room() > 0 or not self._may_send(),
                timeouts.for_write(),
                WriteTimeout,
            )

    def queue_slice(self, upload: StreamUpload) -> bool:
        """Queue as much of the current chunk as there is room for; false if that is nothing; under the lock."""
        if upload.is_done:
            self._queue(b"", True)
            return True
        if not upload.chunk:
            return True  # an empty chunk
        room = min(self._room(), SLICE)
        if room <= 0:
            return False
        part = upload.take(room)
        if self._observation is not None:
            self._observation.sent += len(part)
        self._queue(part, upload.is_done)
        return True

    # The response

    async def wait_for_head(self, timeouts: Timeouts) -> None:
        """Wait until the response's head has come, or never will; report the interim responses that come before."""
        has_head = self.stream.has_head
        while not await self._has_come(has_head):
            await self._wait(self._has_news(has_head), timeouts.for_read())

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
                    await self._wait(stream.has_data, timeouts.for_read())
                elif upload.chunk or upload.iterator is None or session.runtime.is_blocking:
                    await self._send_some(upload, timeouts, stream.has_data, None)
                else:
                    await self._interruptible(self._send_for_reader, upload, timeouts)
        except BaseException as exc:
            session.on_failure(exc)
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
