"""Bodies on their way between the synchronous and the asynchronous interface."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from httpcore2_core._http.bodies import (
    BlockingBody,
    ReceivedBody,
    check_body_api,
    iterate,
    read_at_once,
)
from httpcore2_core._models import ByteStream, Response
from httpcore2_core._net.coroutines import run_blocking


class Body(ReceivedBody):
    def __init__(self, *segments: bytes) -> None:
        self.segments = list(segments)
        self.is_closed = False

    async def next_body_chunk(self) -> bytes:
        return self.segments.pop(0) if self.segments else b""

    async def aclose(self) -> None:
        self.is_closed = True


async def asynchronous() -> AsyncIterator[bytes]:
    yield b"a"
    yield b"b"


def synchronous() -> Iterator[bytes]:
    yield b"a"
    yield b"b"


class SyncAndAsync:
    def __iter__(self) -> Iterator[bytes]:
        return synchronous()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return asynchronous()


def test_a_received_body_leaves_all_to_the_connection() -> None:
    body = ReceivedBody()
    for coroutine in (body.next_body_chunk(), body.aclose()):
        with pytest.raises(NotImplementedError):
            run_blocking(coroutine)


def test_threads_iterate_over_a_body_in_chunks() -> None:
    assert list(BlockingBody(Body(b"a", b"b"))) == [b"a", b"b"]


def test_threads_read_a_body_as_a_whole_and_close_it() -> None:
    body = Body(b"a", b"b")
    stream: Any = BlockingBody(body)
    response = Response(200, content=stream)
    assert response.read() == b"ab"
    response.close()
    assert body.is_closed


class BodyThatIsHere(Body):
    def take_remaining(self) -> bytes | None:
        return b"".join(self.segments)


@pytest.mark.parametrize("wrap", [lambda body: body, BlockingBody], ids=["async", "threads"])
def test_a_body_that_is_here_is_read_at_once(wrap: Any) -> None:
    response = Response(200, content=wrap(BodyThatIsHere(b"a", b"b")))
    assert read_at_once(response)
    assert response.content == b"ab"
    with pytest.raises(RuntimeError, match="more than once"):
        response._consume("read()")


@pytest.mark.parametrize("content", [Body(b"a"), BlockingBody(Body(b"a")), b"a", SyncAndAsync()])
def test_other_bodies_are_not(content: Any) -> None:
    response = Response(200, content=content)
    assert not read_at_once(response)
    response._consume("read()")


def test_a_body_that_was_taken_before_is_not() -> None:
    content: Any = BodyThatIsHere(b"a")
    response = Response(200, content=content)
    response.aiter_stream()
    assert not read_at_once(response)


@pytest.mark.parametrize("stream", [ByteStream(b"ab"), SyncAndAsync()])
@pytest.mark.parametrize("is_blocking", [False, True])
def test_a_body_that_is_sync_and_async_serves_both_apis(stream: Any, is_blocking: bool) -> None:
    check_body_api(stream, is_blocking)


@pytest.mark.parametrize("stream", [[b"a"], synchronous(), (b"a",)])
def test_a_synchronous_body_serves_the_synchronous_interface_only(stream: Any) -> None:
    check_body_api(stream, is_blocking=True)
    with pytest.raises(TypeError, match=f"got {type(stream).__name__}, which is synchronous"):
        check_body_api(stream, is_blocking=False)


def test_an_asynchronous_body_serves_the_asynchronous_interface_only() -> None:
    stream = asynchronous()
    check_body_api(stream, is_blocking=False)
    with pytest.raises(TypeError, match="got async_generator, which is asynchronous"):
        check_body_api(stream, is_blocking=True)


async def joined(stream: Any, is_blocking: bool) -> bytes:
    return b"".join([chunk async for chunk in iterate(stream, is_blocking)])


@pytest.mark.parametrize("stream", [[b"a", b"b"], synchronous(), SyncAndAsync()])
def test_a_synchronous_body_is_iterated_without_suspending(stream: Any) -> None:
    assert run_blocking(joined(stream, is_blocking=True)) == b"ab"


def test_an_asynchronous_body_is_iterated_as_it_is() -> None:
    stream = asynchronous()
    assert iterate(stream, is_blocking=False) is stream
    assert asyncio.run(joined(stream, is_blocking=False)) == b"ab"


def test_an_error_of_a_sync_body_reaches_the_caller() -> None:
    def fail() -> Iterator[bytes]:
        yield b"a"
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        run_blocking(joined(fail(), is_blocking=True))
