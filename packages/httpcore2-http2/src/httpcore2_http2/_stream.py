"""What a connection knows of one of its streams: how much of the request has gone, and what has come of the response.

Must not know: frames, the network, locks (the connection holds its own).
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from httpcore2_core._exceptions import LocalProtocolError
from httpcore2_core._http.bodies import check_size, close_generator, enforce_chunk, iterate
from httpcore2_core._models import ByteStream, Request
from httpcore2_core._net.runtime import Waiter

from ._fields import Headers


class Upload:
    """A request's body, as far as it has not been sent."""

    __slots__ = ("chunk", "has_begun", "is_stopped", "is_waiting", "iterator", "left", "parts")

    def __init__(
        self, content: bytes, iterator: AsyncIterator[bytes] | None, length: int | None
    ) -> None:
        """Take what there is.

        Args:
            content: the body, or nothing if it comes from the iterator.
            iterator: what gives the body piece by piece.
            length: its declared Content-Length.
        """
        self.chunk: memoryview = memoryview(content)
        self.iterator = iterator
        self.left = length
        self.parts: int = 0  # how many have been sent
        # Whether something was taken from the iterator, which can't be put back.
        self.has_begun: bool = False
        # Whether no more is sent of it, though it has not gone whole.
        self.is_stopped: bool = False
        # Whether the iterator has the turn.
        self.is_waiting: bool = False

    @classmethod
    def of(cls, request: Request, length: int | None, is_blocking: bool) -> Upload | None:
        """Return the body of `request`; `None` for CONNECT, which has none.

        Args:
            request: its body has the right colour.
            length: its declared Content-Length.
            is_blocking: whether its body is synchronous.

        Raises:
            LocalProtocolError: the body is not as long as declared, or one that can't be.
        """
        body = request.stream
        content = body.content if type(body) is ByteStream else None
        if request.method == b"CONNECT":
            if content != b"" or length is not None:
                raise LocalProtocolError(
                    "CONNECT has no content: write to response.extensions['network_stream']."
                )
            return None
        if content is None:
            return cls(b"", aiter(iterate(body, is_blocking)), length)
        if length is not None:
            check_size(len(content) - length)
        return cls(content, None, length)

    async def next_chunk(self) -> None:
        """Get the next piece; `iterator` is `None` when there is no more.

        Raises:
            TypeError: it is not bytes.
            LocalProtocolError: the body is not as long as its Content-Length.
        """
        assert self.iterator is not None, "there is more to come"
        self.has_begun = self.is_waiting = True
        try:
            chunk = await anext(self.iterator)
        except StopAsyncIteration:
            self.iterator, chunk = None, b""
        finally:
            self.is_waiting = False
        if self.iterator is None:
            check_size(-(self.left or 0))
            return
        self.chunk = memoryview(enforce_chunk(chunk))
        if self.left is not None:
            self.left -= len(self.chunk)
            check_size(-min(0, self.left))

    def take(self, count: int) -> memoryview:
        """Return the next bytes of the piece at hand."""
        part = self.chunk[:count]
        self.chunk = self.chunk[count:]
        return part

    async def aclose(self) -> None:
        """Leave what has not been sent."""
        if self.has_begun and self.iterator is not None:
            await close_generator(self.iterator)

    @property
    def is_done(self) -> bool:
        return self.iterator is None and not self.chunk


class Stream:
    """One request and its response.

    Attributes:
        upload: what is left of the request's body; `None` when all has been sent.
        may_send: CONNECT alone: our half is open, for whatever its caller has to send.
        is_tunnel: CONNECT was granted: what comes is no body.
        is_released: its exchange is over, as far as the codec is concerned.
        head: status and fields of the response.
        has_ended: the response is complete.
        error: why it never will be.
        is_unprocessed: with an error: the request may be sent again.
        made_progress: the server processed others meanwhile.
        waiters: those who wait for something to come.
    """

    __slots__ = (
        "buffer",
        "error",
        "has_ended",
        "head",
        "is_released",
        "is_tunnel",
        "is_unprocessed",
        "made_progress",
        "may_send",
        "reads",
        "request",
        "stream_id",
        "trailers",
        "upload",
        "waiters",
    )

    def __init__(self, stream_id: int, request: Request, upload: Upload | None, reads: int) -> None:
        """Begin.

        Args:
            stream_id: its number.
            request: what is asked.
            upload: the request's body; `None` for CONNECT, which has none, and can be sent to when it was granted.
            reads: how often something had been received when the request was sent.
        """
        self.stream_id: int = stream_id
        self.request: Request = request
        self.upload: Upload | None = upload
        self.may_send: bool = upload is None
        self.is_tunnel: bool = False
        self.is_released: bool = False
        self.reads: int = reads
        self.head: tuple[int, Headers] | None = None
        self.buffer: bytearray = bytearray()
        self.trailers: Headers = []
        self.has_ended: bool = False
        self.error: Exception | None = None
        self.is_unprocessed: bool = False
        self.made_progress: bool = False
        self.waiters: list[Waiter] = []

    @property
    def has_sent_all(self) -> bool:
        """Whether nothing more will be sent."""
        return self.upload is None and not self.may_send

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self.has_ended or self.error is not None

    def has_head(self) -> bool:
        """Whether nobody needs to wait for the response's head."""
        return self.head is not None or self.is_over

    def is_refused(self) -> bool:
        """Whether the response leaves the request's body no use: it is complete, or no success (see HTTP/1.1)."""
        return self.is_over or (self.head is not None and self.head[0] >= 300)

    def has_data(self) -> bool:
        """Whether nobody needs to wait for what follows it."""
        return bool(self.buffer) or self.is_over

    def fail(self, error: Exception, is_unprocessed: bool) -> None:
        """Nothing more will come, and nothing more can be sent, since the server or the network failed."""
        if self.error is None and (self.may_send or not self.has_ended):
            self.error = error
            self.is_unprocessed = is_unprocessed

    def wake(self) -> None:
        """Let those who wait look again."""
        for waiter in self.waiters:
            waiter.wake()
