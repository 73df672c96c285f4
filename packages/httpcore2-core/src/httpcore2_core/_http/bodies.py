"""Where bodies cross between the synchronous and the asynchronous interface.

Requests: a body of the wrong colour is refused before anything is sent. Responses: the transport's
body is asynchronous; `BlockingBody` is what threads see of it.
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
    """A response's body as it comes from the network; the transport's connections derive theirs
    from it.

    Attributes:
        pool: the pool of its connection: it must not be finalised while the body is read.
        lease: of its connection, if that is pooled and not given back yet. If the body is dropped, it is lost with it.
        uses: those of the lease when the connection was got; see `Lease`.
        is_closed: whether its connection was given back, or dropped, so that nothing is left to close.
    """

    __slots__ = ("is_closed", "lease", "pool", "uses")

    pool: object
    lease: Lease[Any] | None
    uses: int
    is_closed: bool

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        piece = await self.next_body_chunk()
        if not piece:
            raise StopAsyncIteration
        return piece

    def take_remaining(self) -> bytes | None:
        """Return what is left of the body, if that costs no waiting; else `None`."""
        return None

    async def aread_all(self) -> bytes:
        """Return what is left of the body."""
        pieces = [await self.next_body_chunk()]
        while pieces[-1] and not self.is_closed:
            pieces.append(await self.next_body_chunk())
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def next_body_chunk(self) -> bytes:
        """Return the next piece; `b""` at the end."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Give the connection back, or drop it if the body was not read to its end."""
        raise NotImplementedError


class BlockingBody:
    """The body of a response, for threads."""

    __slots__ = ("body",)

    def __init__(self, body: ReceivedBody) -> None:
        self.body = body

    def __iter__(self) -> Iterator[bytes]:
        while piece := run_blocking(self.body.next_body_chunk()):
            yield piece

    def take_remaining(self) -> bytes | None:
        return self.body.take_remaining()

    def read_all(self) -> bytes:
        return run_blocking(self.body.aread_all())

    def close(self) -> None:
        run_blocking(self.body.aclose())


def read_at_once(response: Response) -> bool:
    """Read the body of a response of ours, if all of it is here, as most are; return whether it was."""
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
    """Refuse, with `TypeError`, a request body that this interface can't iterate."""
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
    """Refuse, with `LocalProtocolError`, a request body that is `surplus` bytes longer than declared."""
    if surplus:
        how_much = "much" if surplus > 0 else "little"
        raise LocalProtocolError(f"Too {how_much} data for declared Content-Length")


def enforce_chunk(chunk: bytes) -> bytes:
    """Return a piece of a request body as bytes, or raise `TypeError`: a caller may use its buffer again."""
    if isinstance(chunk, bytes):
        return chunk
    if not isinstance(chunk, (bytearray, memoryview)):
        raise TypeError(f"content must consist of bytes, but got {type(chunk).__name__}.")
    return bytes(chunk)


def iterate(
    stream: Iterable[bytes] | AsyncIterable[bytes], is_blocking: bool
) -> AsyncIterable[bytes]:
    """Return `stream` as something that a coroutine can iterate; `check_body_api` has passed it."""
    if not is_blocking:
        assert isinstance(stream, AsyncIterable), "checked"
        return stream
    assert isinstance(stream, Iterable), "checked"
    return _AsyncView(iter(stream))


async def close_generator(iterator: AsyncIterator[bytes]) -> None:
    """Close a request body that is left in the middle: its event loop would have to, and complain of it."""
    if isinstance(iterator, AsyncGeneratorType):
        await iterator.aclose()


class _AsyncView:
    """A synchronous iterator, for a coroutine that runs on a thread.

    Not an async generator: an event loop that happens to run this thread would adopt it.
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
