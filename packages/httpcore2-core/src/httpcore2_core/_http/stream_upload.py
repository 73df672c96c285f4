"""The body of a request that is being sent on a stream of HTTP/2 or HTTP/3.

Must not know: frames, windows, the network.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from .._exceptions import LocalProtocolError
from .._models import ByteStream, Request
from .bodies import check_size, close_generator, enforce_chunk, iterate
from .expectation import expects_continue

SLICE = 64 * 1024
"""The most bytes of a body that are sent at a time."""

EAGER_SLICES = 16
"""Slices of one body that are sent without waiting before other tasks get a turn."""


class StreamUpload:
    """The part of a request's body that was not sent.

    Attributes:
        chunk: the remaining bytes of the current chunk.
        iterator: gives the chunks that follow; `None` after the last.
        slices: how many slices have been sent.
        has_begun: a chunk was taken from the iterator, so that the body can't be sent again.
        is_stopped: no more is sent, though the body is not complete.
        is_waiting: the iterator is running.
        expects_continue: nothing is sent before the server has answered with 100 (Continue), or a limit has passed.
    """

    __slots__ = (
        "_left",
        "chunk",
        "expects_continue",
        "has_begun",
        "is_stopped",
        "is_waiting",
        "iterator",
        "slices",
    )

    def __init__(
        self, content: bytes, iterator: AsyncIterator[bytes] | None, length: int | None
    ) -> None:
        """Create it for a body of which nothing was sent.

        Args:
            content: the body; empty if it comes from the iterator.
            iterator: gives the body in chunks.
            length: its declared Content-Length in bytes.
        """
        self.chunk: memoryview = memoryview(content)
        self.iterator = iterator
        self.slices: int = 0
        self.has_begun: bool = False
        self.is_stopped: bool = False
        self.is_waiting: bool = False
        self.expects_continue: bool = False
        self._left = length

    @classmethod
    def of(cls, request: Request, length: int | None, is_blocking: bool) -> StreamUpload | None:
        """Return the body of `request`; `None` for CONNECT, which has none.

        Args:
            request: its body is sync or async, as the runtime requires.
            length: its declared Content-Length in bytes.
            is_blocking: whether the runtime is threads, so that the body is sync.

        Raises:
            LocalProtocolError: the body is not as long as declared, or a CONNECT has a body.
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
            upload = cls(b"", aiter(iterate(body, is_blocking)), length)
        else:
            if length is not None:
                check_size(len(content) - length)
            upload = cls(content, None, length)
        if content != b"":
            upload.expects_continue = expects_continue(request.headers)
        return upload

    async def next_chunk(self) -> None:
        """Take the next chunk from the iterator; after the last, `iterator` is `None`.

        Raises:
            TypeError: it is not bytes.
            LocalProtocolError: the body is not as long as its Content-Length.
        """
        assert self.iterator is not None, "more chunks may follow"
        self.has_begun = self.is_waiting = True
        try:
            chunk = await anext(self.iterator)
        except StopAsyncIteration:
            self.iterator, chunk = None, b""
        finally:
            self.is_waiting = False
        if self.iterator is None:
            check_size(-(self._left or 0))
            return
        self.chunk = memoryview(enforce_chunk(chunk))
        if self._left is not None:
            self._left -= len(self.chunk)
            check_size(-min(0, self._left))

    def take(self, count: int) -> memoryview:
        """Return the next `count` bytes of the current chunk, or all if there are fewer."""
        part = self.chunk[:count]
        self.chunk = self.chunk[count:]
        return part

    async def aclose(self) -> None:
        """Close the caller's body, if it was begun and not finished."""
        if self.has_begun and self.iterator is not None:
            await close_generator(self.iterator)

    @property
    def is_done(self) -> bool:
        """Whether there is nothing more to send."""
        return self.iterator is None and not self.chunk
