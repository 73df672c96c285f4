"""The bodies of requests and responses, in the sync and the async API.

A request with a sync body in the async API, or the reverse, is refused before anything is sent. The body of a response
is async; `BlockingBody` adapts it for threads.
Must not know: framing, connections.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from types import AsyncGeneratorType
from typing import Any

from .._exceptions import LocalProtocolError
from .._models import ByteStream, Response
from .._net.coroutines import run_blocking
from .lease import Lease


class ReceivedBody:
    """Base class of the bodies that connections return in responses.

    Attributes:
        pool: the pool of its connection, which must not be finalised while the body is read.
        lease: the lease of its connection, while that is checked out. It is lost if the body is garbage-collected.
        uses: the count of `lease.uses` when the connection was checked out.
        is_closed: whether its connection was checked in or closed, so that closing the body does nothing.
        is_expectation_refused: whether the response is a 417, and the request may be sent again without its Expect
            field.
        is_too_early: whether the response is a 425 to a request in early data, which may be sent again without it.
    """

    __slots__ = ("is_closed", "is_expectation_refused", "is_too_early", "lease", "pool", "uses")

    pool: object
    lease: Lease[Any] | None
    uses: int
    is_closed: bool
    is_expectation_refused: bool
    is_too_early: bool

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        chunk = await self.next_body_chunk()
        if not chunk:
            raise StopAsyncIteration
        return chunk

    def take_remaining(self) -> bytes | None:
        """Return the remaining body if it has been received; otherwise `None`."""
        return None

    async def aread_all(self) -> bytes:
        """Return the remaining body."""
        chunks = [await self.next_body_chunk()]
        while chunks[-1] and not self.is_closed:
            chunks.append(await self.next_body_chunk())
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def next_body_chunk(self) -> bytes:
        """Return the next chunk; `b""` at the end."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Check the connection in, or close it if the body was not read to its end."""
        raise NotImplementedError


class BlockingBody:
    """The body of a response, for threads."""

    __slots__ = ("body",)

    def __init__(self, body: ReceivedBody) -> None:
        self.body = body

    def __iter__(self) -> Iterator[bytes]:
        while chunk := run_blocking(self.body.next_body_chunk()):
            yield chunk

    def take_remaining(self) -> bytes | None:
        return self.body.take_remaining()

    def read_all(self) -> bytes:
        return run_blocking(self.body.aread_all())

    def close(self) -> None:
        run_blocking(self.body.aclose())


def read_at_once(response: Response) -> bool:
    """Read the body of a response if all of it has been received, as most are; return whether it was."""
    stream = response.stream
    if response._stream_consumed or not isinstance(stream, (ReceivedBody, BlockingBody)):
        return False
    content = stream.take_remaining()
    if content is None:
        return False
    response._stream_consumed = True
    response._content = content
    return True


def check_body_api(stream: Iterable[bytes] | AsyncIterable[bytes], is_blocking: bool) -> None:
    """Raise `TypeError` for a sync body in the async API, or an async body in the sync API."""
    if type(stream) is ByteStream:
        return
    if is_blocking:
        if not hasattr(stream, "__iter__"):
            raise TypeError(
                "The content of a synchronous request must be bytes or an iterable of bytes, "
                f"but got {type(stream).__name__}, which is asynchronous. "
                "Use an AsyncConnectionPool."
            )
    elif not hasattr(stream, "__aiter__"):
        raise TypeError(
            "The content of an asynchronous request must be bytes or an async iterable of bytes, "
            f"but got {type(stream).__name__}, which is synchronous. "
            "Use a ConnectionPool, or an async generator."
        )


def check_size(surplus: int) -> None:
    """Raise `LocalProtocolError` if a request body has `surplus` bytes more, or if negative fewer, than declared."""
    if surplus:
        how_much = "much" if surplus > 0 else "little"
        raise LocalProtocolError(f"Too {how_much} data for declared Content-Length")


def enforce_chunk(chunk: bytes) -> bytes:
    """Return a chunk as bytes, since a caller may reuse its buffer; raise `TypeError` for another type."""
    if isinstance(chunk, bytes):
        return chunk
    if not isinstance(chunk, (bytearray, memoryview)):
        raise TypeError(f"content must consist of bytes, but got {type(chunk).__name__}.")
    return bytes(chunk)


def iterate(
    stream: Iterable[bytes] | AsyncIterable[bytes], is_blocking: bool
) -> AsyncIterable[bytes]:
    """Return `stream`, which `check_body_api` has checked, as an async iterable."""
    if not is_blocking:
        assert isinstance(stream, AsyncIterable), "checked"
        return stream
    assert isinstance(stream, Iterable), "checked"
    return _AsyncView(iter(stream))


async def close_generator(iterator: AsyncIterator[bytes]) -> None:
    """Close a request body that is not iterated to its end. Otherwise its event loop closes it, with a warning."""
    if isinstance(iterator, AsyncGeneratorType):
        await iterator.aclose()


class _AsyncView:
    """A sync iterator as an async one, for a coroutine that runs on a thread.

    It is not an async generator, whose finalisation an event loop in this thread would take over.
    """

    __slots__ = ("_iterator",)

    def __init__(self, iterator: Iterator[bytes]) -> None:
        self._iterator = iterator

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            return next(self._iterator)
        except StopIteration:
            raise StopAsyncIteration from None
