"""Sends the body of one HTTP/1.1 request, and receives a response that comes before all of it was sent.

Rules:

- The sender also watches for the response (RFC 9112, section 9.5). A final response of 300 or more ends the upload:
  the server has no use for the body (after a redirect it is sent elsewhere, if at all), and may read nothing more of
  it. After 1xx and 2xx the upload goes on; after a 2xx nothing more is received until it is done.
- A request with `Expect: 100-continue` first waits for the server's answer.
- A response that was received is returned though the connection broke. One of 300 or more is returned though the upload
  failed in any way; a 2xx is not, since it says nothing about a body that can't be sent in time.
- A connection whose request was not sent whole is not used again.

On event loops a task of its own watches, as soon as the upload waits for the first time, for the socket or for the
caller's body. The body is iterated in the caller's task. Threads, and uploads through a caller's own stream, which
can't be watched, poll between writes.

Must not know: connections, what is done with the response.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable

from .._exceptions import ReadError, ReadTimeout, WriteError, WriteTimeout
from .._http.bodies import close_generator, iterate
from .._http.informational import Informer
from .._http.observation import RequestObservation
from .._http.timeouts import Timeouts
from .._http.traffic import Traffic
from .._models import ByteStream
from .._net.backend_stream import BackendStream
from .._net.errors import rounded
from .._net.runtime import Deadline
from .codec import HTTP11Codec
from .heads import ResponseHead

SLICE = 256 * 1024
"""Bytes of a body that are framed and written at a time."""

PART = 64 * 1024
"""Bytes that are offered to a socket that was full."""

WAIT_LIMIT = 0.05
"""Seconds that a thread waits to write before it polls again, and that a read of a caller's own stream may take."""

POLL_INTERVAL = 0.001
"""Seconds between two polls of a thread that need not wait: a poll takes half as long as sending a small chunk."""

_REFUSED = 300

Body = Iterable[bytes] | AsyncIterable[bytes]


class _Stopped(Exception):
    """The upload ends before all of the body was sent."""


class Upload:
    """The body of one request.

    Attributes:
        head: the response's head, if it was received before all of the body was sent.
        has_begun: whether the iteration of the caller's body has begun, so that it can't be sent again.
    """

    __slots__ = (
        "_codec",
        "_has_stopped",
        "_informer",
        "_is_async",
        "_is_readable",
        "_is_reporting",
        "_next_poll",
        "_observation",
        "_read_size",
        "_stream",
        "_timeouts",
        "_traffic",
        "_watches",
        "has_begun",
        "head",
    )

    def __init__(
        self,
        stream: BackendStream,
        codec: HTTP11Codec,
        traffic: Traffic,
        read_size: int,
        timeouts: Timeouts,
        observation: RequestObservation | None = None,
        informer: Informer | None = None,
    ) -> None:
        """Prepare an upload; nothing is sent yet.

        Args:
            stream: to write to, and to read from.
            codec: frames the body, and reads the response.
            traffic: counts the bytes that are sent and received.
            read_size: how many bytes to read at a time.
            timeouts: the request's.
            observation: reports the response's first byte, and counts the bytes of the body; `None` for nobody.
            informer: reports interim responses; `None` for nobody.
        """
        self._observation = observation
        self._informer = informer
        self._is_reporting = False
        self._stream = stream
        self._codec = codec
        self._traffic = traffic
        self._read_size = read_size
        self._timeouts = timeouts
        runtime = stream.runtime
        self._is_async = not runtime.is_blocking
        self._watches = self._is_async and stream.is_resumable
        self._next_poll = runtime.now() + POLL_INTERVAL if runtime.is_blocking else 0.0
        self._is_readable = True  # a caller's own stream may be polled
        self._has_stopped = False
        self.has_begun = False
        self.head: ResponseHead | None = None

    async def send(self, body: Body) -> ResponseHead | None:
        """Send `body`; return the response's head if it was received meanwhile.

        Raises:
            WriteTimeout: the total is over, or the peer accepted too little in time.
            WriteError: the connection broke, or was closed on this side.
            RemoteProtocolError: the received bytes are not a response.
            LocalProtocolError: the body has not the length that the request declares.
        """
        timeouts = self._timeouts
        try:
            if not self._is_async:
                await self._send(body)
            else:
                limit = timeouts.for_body()
                interrupt = self._watch if self._watches else None
                runtime = self._stream.runtime
                has_ended = await runtime.interruptible(self._send(body), interrupt, limit)
                if not has_ended and not self._has_stopped:
                    raise timeouts.exceeded(WriteTimeout)
        except _Stopped:
            pass
        except WriteError:
            if self.head is None:
                raise
            self._has_stopped = True
        except WriteTimeout:
            if not self._is_refused:
                raise
        if self._has_stopped:
            self._codec.abandon_request()
        return self.head

    async def wait_for_continue(self) -> bool:
        """Wait for the server's answer to `Expect: 100-continue`; return whether the body is to be sent.

        It is sent after 100 (Continue) or a response of 2xx, and if the server does not answer in time.

        Raises:
            WriteTimeout: the total is over.
            ReadTimeout: the wait has no limit of its own, and nothing came within that of a read.
            ReadError: the connection broke.
            RemoteProtocolError: the received bytes are not a response, or the server closed the connection.
        """
        codec, stream, timeouts = self._codec, self._stream, self._timeouts
        codec.was_continued = False
        limit = timeouts.for_continue()
        is_cut = timeouts.is_cut
        deadline = Deadline(limit, stream.runtime)
        while self.head is None and not codec.was_continued:
            left = timeouts.for_read() if limit is None else deadline.left()
            try:
                data = await stream.read(self._read_size, left)
            except ReadTimeout:
                if limit is None:
                    raise
                if is_cut:
                    raise timeouts.exceeded(WriteTimeout) from None
                break
            self._pass_on(data)
            await self._report()
        if self._is_refused:
            self._has_stopped = True
            codec.abandon_request()
        return not self._has_stopped

    def final_poll(self) -> ResponseHead | None:
        """After a `WriteTimeout`, return the head of a received response of 300 or more, if there is one."""
        self._poll()
        self._codec.abandon_request()
        return self.head if self._is_refused else None

    @property
    def _is_refused(self) -> bool:
        return self.head is not None and self.head.status >= _REFUSED

    # The request

    async def _send(self, body: Body) -> None:
        codec = self._codec
        write = self._stream.write if self._watches else self._write
        if type(body) is ByteStream:
            content = body.content
            for start in range(0, len(content), SLICE):
                await self._report()
                part = content[start : start + SLICE]
                data = codec.send_data(part)
                await write(data, self._timeouts.for_write())
                self._count(part, data)
        else:
            # It is iterated even if no body is declared: it may turn out not to be empty.
            chunks = aiter(iterate(body, not self._is_async))
            self.has_begun = True
            try:
                async for chunk in chunks:
                    await self._report()
                    limit = self._limit()
                    data = codec.send_data(chunk)
                    if data:
                        await write(data, limit)
                        self._count(chunk, data)
                self._limit()
            except BaseException:
                await close_generator(chunks)
                raise
        data = codec.end_request()
        if data:
            await write(data, self._timeouts.for_write())
            self._count(b"", data)

    def _count(self, part: bytes, data: bytes) -> None:
        size = len(data)
        self._traffic.bytes_sent += size
        if self._observation is not None:
            self._observation.sent += len(part)

    def _limit(self) -> float | None:
        """Return how long the next write may take, after the caller's body was iterated.

        The body may have taken too long (on threads nothing stops it), or swallowed the cancellation that was to end
        it.
        """
        if self._has_stopped:
            raise _Stopped
        return self._timeouts.for_write()

    async def _report(self) -> None:
        """Report the interim responses that have come, in the caller's task, and never while it is being cancelled."""
        informer = self._informer
        if informer is None or not informer.pending:
            return
        self._is_reporting = True
        try:
            await informer.report()
        finally:
            self._is_reporting = False
        self._limit()

    async def _write(self, data: bytes, limit: float | None) -> None:
        """Poll for the response if that is due, and write."""
        stream = self._stream
        if stream.is_resumable:
            now = stream.runtime.now()
            if now >= self._next_poll:
                self._next_poll = now + POLL_INTERVAL
                self._poll_or_stop()
            sent = stream.write_nowait(data)
            if sent < len(data):
                await self._write_in_turns(memoryview(data)[sent:], limit)
        else:
            await self._read_if_readable()
            await stream.write(data, limit)

    async def _write_in_turns(self, data: memoryview, limit: float | None) -> None:
        """Poll and write in turns, until all of `data` is written."""
        stream = self._stream
        deadline = Deadline(limit, stream.runtime)
        while data:
            self._poll_or_stop()
            left = deadline.left()
            if left == 0:
                raise WriteTimeout(
                    f"The peer accepted no more of the body within {rounded(limit)} seconds (write timeout)."
                )
            wait = WAIT_LIMIT if left is None else min(left, WAIT_LIMIT)
            data = data[await stream.write_some(bytes(data[:PART]), wait) :]

    # The response

    def _poll_or_stop(self) -> None:
        if self._poll():
            raise _Stopped

    async def _watch(self) -> bool:
        """Wait for a response that ends the upload; return `False` if another one is received."""
        while not self._poll():
            if self.head is not None:
                return False
            await self._stream.wait_readable()
        # The callback is not cancelled; after it the upload ends by itself.
        return not self._is_reporting

    def _poll(self) -> bool:
        """Receive the response's head as far as it has arrived; return whether the upload ends."""
        while self.head is None and not self._has_stopped:
            try:
                data = self._stream.read_nowait(self._read_size)
            except ReadError:
                data = b""
            if data is None:
                return False
            self._receive(data)
        return self._has_stopped

    async def _read_if_readable(self) -> None:
        """Poll a caller's own stream, which can only be read: with a short timeout, if it reports to be readable."""
        stream = self._stream
        while self._is_readable and self.head is None and stream.get_extra_info("is_readable"):
            try:
                self._receive(await stream.read(self._read_size, WAIT_LIMIT))
            except ReadTimeout:
                # TLS records without data, such as session tickets, look like data. Don't wait for them before each
                # write.
                self._is_readable = False
            if self._has_stopped:
                raise _Stopped

    def _pass_on(self, data: bytes) -> None:
        """Pass received data on to the codec, which may now have the response's head."""
        size = len(data)
        self._traffic.bytes_received += size
        if self._observation is not None:
            self._observation.data_received()
        self._codec.receive(data)
        self.head = self._codec.take_head()

    def _receive(self, data: bytes) -> None:
        if not data:
            # The next read raises the error, or returns the end again.
            self._has_stopped = True
            return
        self._pass_on(data)
        self._has_stopped = self._is_refused
