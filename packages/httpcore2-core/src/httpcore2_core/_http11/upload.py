"""The body of one HTTP/1.1 request on its way, and the response that may come before all of it has gone.

Rules: who sends also watches for the response (RFC 9112, section 9.5). A final response of 300 or more ends the
sending: the server has no use for the body (a redirect wants it elsewhere, if at all), and may take in nothing more of
it. After 1xx and 2xx the sending goes on; after a 2xx nothing more is received until it is done. A response that is
here is never lost to a broken connection, and one of 300 or more to no error of the sending: a 2xx says nothing about a
body that can't be sent in time. A request that was not sent whole is the connection's last.

On event loops a task of its own watches, from the first time on that the sending has to wait, be it for the socket or
for the caller's body; the body itself is iterated in the caller's task. On threads, and of a caller's own stream, which
can't be watched, what has come is looked at between writes.

Must not know: connections, what becomes of the response.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable

from .._exceptions import ReadError, ReadTimeout, WriteError, WriteTimeout
from .._http.bodies import close_generator, iterate
from .._http.timeouts import Timeouts
from .._models import ByteStream
from .._net.backend_stream import BackendStream
from .._net.runtime import Deadline
from .codec import HTTP11Codec
from .heads import ResponseHead

SLICE = 256 * 1024
"""Bytes of a body that are framed and written at a time."""

PART = 64 * 1024
"""Bytes that are offered to a socket that was full."""

PATIENCE = 0.05
"""Seconds that a thread waits to write before it looks at what came, and that a caller's own stream gets to read."""

PAUSE = 0.001
"""Seconds between two looks of a thread that need not wait: one takes half as long as to send a small chunk."""

_REFUSED = 300

Body = Iterable[bytes] | AsyncIterable[bytes]


class _Stopped(Exception):
    """Nothing more is to be sent."""


class Upload:
    """The body of one request.

    Attributes:
        head: of the response, if it came before all had been sent.
        has_begun: the caller's body was begun, and can't be sent again.
    """

    __slots__ = (
        "_codec",
        "_has_stopped",
        "_is_async",
        "_is_readable",
        "_looks_at",
        "_read_size",
        "_stream",
        "_timeouts",
        "_watches",
        "has_begun",
        "head",
    )

    def __init__(
        self, stream: BackendStream, codec: HTTP11Codec, read_size: int, timeouts: Timeouts
    ) -> None:
        """Begin.

        Args:
            stream: where to write to, and to read from.
            codec: frames the body, and reads the response.
            read_size: how many bytes to read at a time.
            timeouts: the request's.
        """
        self._stream = stream
        self._codec = codec
        self._read_size = read_size
        self._timeouts = timeouts
        runtime = stream.runtime
        self._is_async = not runtime.is_blocking
        self._watches = self._is_async and stream.is_resumable
        self._looks_at = runtime.now() + PAUSE if runtime.is_blocking else 0.0
        self._is_readable = True  # a caller's own stream gives something when it says so
        self._has_stopped = False
        self.has_begun = False
        self.head: ResponseHead | None = None

    async def send(self, body: Body) -> ResponseHead | None:
        """Send `body`; return the response's head if it is here already.

        Raises:
            WriteTimeout: the total is over, or the peer took in too little.
            WriteError: the connection broke, or was closed on this side.
            RemoteProtocolError: what came is no response.
            LocalProtocolError: the body is not as long as declared.
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

    def final_poll(self) -> ResponseHead | None:
        """After a `WriteTimeout`, return the head of a response that has come nevertheless, and refuses the body."""
        self._take_in()
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
                data = codec.send_data(content[start : start + SLICE])
                await write(data, self._timeouts.for_write())
        else:
            # It is iterated even if no body is declared: it may turn out not to be empty.
            chunks = aiter(iterate(body, not self._is_async))
            self.has_begun = True
            try:
                async for chunk in chunks:
                    limit = self._limit()
                    data = codec.send_data(chunk)
                    if data:
                        await write(data, limit)
                self._limit()
            except BaseException:
                await close_generator(chunks)
                raise
        data = codec.end_request()
        if data:
            await write(data, self._timeouts.for_write())

    def _limit(self) -> float | None:
        """Return how long the next write may take, after the caller's body had the turn.

        It may have kept it too long (on threads it can), or swallowed the cancellation that was to end it.
        """
        if self._has_stopped:
            raise _Stopped
        return self._timeouts.for_write()

    async def _write(self, data: bytes, limit: float | None) -> None:
        """Look at what has come, and write."""
        stream = self._stream
        if stream.is_resumable:
            now = stream.runtime.now()
            if now >= self._looks_at:
                self._looks_at = now + PAUSE
                self._look()
            sent = stream.write_nowait(data)
            if sent < len(data):
                await self._write_in_turns(memoryview(data)[sent:], limit)
        else:
            await self._read_if_readable()
            await stream.write(data, limit)

    async def _write_in_turns(self, data: memoryview, limit: float | None) -> None:
        """Write, and look at what came, in turns."""
        stream = self._stream
        deadline = Deadline(limit, stream.runtime)
        while data:
            self._look()
            left = deadline.left()
            if left == 0:
                raise WriteTimeout(f"The peer took in too little for {limit} seconds.")
            patience = PATIENCE if left is None else min(left, PATIENCE)
            data = data[await stream.write_some(bytes(data[:PART]), patience) :]

    # The response

    def _look(self) -> None:
        if self._take_in():
            raise _Stopped

    async def _watch(self) -> bool:
        """Wait for a response that ends the sending; return `False` when another one is here."""
        while not self._take_in():
            if self.head is not None:
                return False
            await self._stream.wait_readable()
        return True

    def _take_in(self) -> bool:
        """Take in what has come of the response, up to its head; return whether to stop sending."""
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
        """Do as `_look` where only a read tells what has come."""
        stream = self._stream
        while self._is_readable and self.head is None and stream.get_extra_info("is_readable"):
            try:
                self._receive(await stream.read(self._read_size, PATIENCE))
            except ReadTimeout:
                # It was for TLS alone, say. Not to wait for that before each write, don't ask again.
                self._is_readable = False
            if self._has_stopped:
                raise _Stopped

    def _receive(self, data: bytes) -> None:
        if not data:
            # Whether the stream has ended or is broken, the next read tells again.
            self._has_stopped = True
            return
        self._codec.receive(data)
        self.head = self._codec.take_head()
        self._has_stopped = self._is_refused
