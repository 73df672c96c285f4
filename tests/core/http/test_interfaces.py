"""What can take a request: `request()` and `stream()`, and what an implementation must give."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

import pytest

from httpcore2_core._http.interfaces import (
    AsyncClosingContext,
    AsyncConnectionInterface,
    AsyncRequestInterface,
    ClosingContext,
    ConnectionInterface,
    RequestInterface,
)
from httpcore2_core._models import Origin, Request, Response


class Body:
    """A body in both colours, that may fail, and knows whether it was closed."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.closed = 0

    def __iter__(self) -> Any:
        yield b"a"
        if self.error is not None:
            raise self.error
        yield b"b"

    async def __aiter__(self) -> Any:
        for piece in self:
            yield piece

    def close(self) -> None:
        self.closed += 1

    async def aclose(self) -> None:
        self.closed += 1


class Taking(RequestInterface):
    def __init__(self, body: Body) -> None:
        self.body = body
        self.requests: list[Request] = []

    def handle_request(self, request: Request) -> Response:
        self.requests.append(request)
        return Response(200, content=self.body)


class AsyncTaking(AsyncRequestInterface):
    def __init__(self, body: Body) -> None:
        self.body = body
        self.requests: list[Request] = []

    async def handle_async_request(self, request: Request) -> Response:
        self.requests.append(request)
        return Response(200, content=self.body)


def request(colour: str, body: Body, *args: Any, **options: Any) -> tuple[Request, Response]:
    """Send a request, in either colour; return it as it was taken, and its response."""
    if colour == "sync":
        taking = Taking(body)
        response = taking.request(*args, **options)
        return taking.requests[0], response
    async_taking = AsyncTaking(body)
    response = asyncio.run(async_taking.request(*args, **options))
    return async_taking.requests[0], response


def stream(colour: str, body: Body, inside: Exception | None = None) -> bytes:
    """Stream a response, in either colour, and raise `inside` before its body is read."""
    if colour == "sync":
        with Taking(body).stream("GET", "http://example.com/") as response:
            assert body.closed == 0
            if inside is not None:
                raise inside
            return b"".join(response.iter_stream())

    async def main() -> bytes:
        async with AsyncTaking(body).stream("GET", "http://example.com/") as response:
            assert body.closed == 0
            if inside is not None:
                raise inside
            return b"".join([piece async for piece in response.aiter_stream()])

    return asyncio.run(main())


colours = pytest.mark.parametrize("colour", ["sync", "async"])
HOST = (b"Host", b"example.com")


@colours
def test_a_request_is_answered_with_its_body_read(colour: str) -> None:
    body = Body()
    _, response = request(colour, body, "GET", "http://example.com/")
    assert response.content == b"ab"
    assert body.closed == 1


@colours
def test_a_response_whose_body_fails_is_closed(colour: str) -> None:
    body = Body(ValueError("mine"))
    with pytest.raises(ValueError, match="mine"):
        request(colour, body, "GET", "http://example.com/")
    assert body.closed == 1


@colours
@pytest.mark.parametrize(
    ("options", "headers"),
    [
        ({}, [HOST]),
        ({"headers": {"X": "1"}}, [HOST, (b"X", b"1")]),
        ({"headers": [("X", "1"), ("hOST", "a")]}, [(b"X", b"1"), (b"hOST", b"a")]),
        ({"content": b"abc"}, [HOST, (b"Content-Length", b"3")]),
        ({"content": b""}, [HOST, (b"Content-Length", b"0")]),
        ({"content": bytearray(b"abc")}, [HOST, (b"Content-Length", b"3")]),
        (
            {"content": memoryview(b"abcdefgh").cast("I")},
            [HOST, (b"Content-Length", b"8")],
        ),
        ({"content": Body()}, [HOST, (b"Transfer-Encoding", b"chunked")]),
        (
            {"content": b"abc", "headers": {"content-length": "3"}},
            [HOST, (b"content-length", b"3")],
        ),
        (
            {"content": b"abc", "headers": {"transfer-encodinG": "chunked"}},
            [HOST, (b"transfer-encodinG", b"chunked")],
        ),
        (
            {"content": b"abc", "headers": {"Content-Lengti": "", "name": ""}},
            [HOST, (b"Content-Lengti", b""), (b"name", b""), (b"Content-Length", b"3")],
        ),
    ],
)
def test_the_fields_that_a_request_needs_are_added(
    colour: str, options: dict[str, Any], headers: list[tuple[bytes, bytes]]
) -> None:
    taken, _ = request(colour, Body(), "POST", "http://example.com/", **options)
    assert taken.headers == headers


@colours
def test_extensions_are_passed_on(colour: str) -> None:
    extensions = {"timeout": {"read": 3.0}}
    taken, _ = request(colour, Body(), b"GET", b"http://example.com/", extensions=extensions)
    assert taken.extensions is extensions


@colours
def test_a_streamed_response_is_closed_when_it_is_left(colour: str) -> None:
    body = Body()
    assert stream(colour, body) == b"ab"
    assert body.closed == 1


@colours
def test_a_streamed_response_is_closed_when_it_is_left_by_an_error(colour: str) -> None:
    body = Body()
    with pytest.raises(ValueError, match="mine"):
        stream(colour, body, inside=ValueError("mine"))
    assert body.closed == 1


REQUEST = Request("GET", "http://example.com/")
ORIGIN = Origin(b"http", b"example.com", 80)


def call(function: Callable[..., Any], *args: Any) -> Any:
    result = function(*args)
    return asyncio.run(result) if inspect.iscoroutine(result) else result


@pytest.mark.parametrize("make", [ConnectionInterface, AsyncConnectionInterface])
@pytest.mark.parametrize(
    ("method", "args"),
    [
        ("handle_request", [REQUEST]),
        ("close", []),
        ("info", []),
        ("can_handle_request", [ORIGIN]),
        ("is_available", []),
        ("has_expired", []),
        ("is_idle", []),
        ("is_closed", []),
        ("is_connected", []),
    ],
)
def test_a_connection_must_give_it(make: type, method: str, args: list[Any]) -> None:
    if make is AsyncConnectionInterface:
        method = {"handle_request": "handle_async_request", "close": "aclose"}.get(method, method)
    with pytest.raises(NotImplementedError):
        call(getattr(make(), method), *args)


@pytest.mark.parametrize("make", [ConnectionInterface, AsyncConnectionInterface])
def test_a_connection_takes_one_request_at_a_time_unless_it_says_otherwise(
    make: type[ConnectionInterface],
) -> None:
    assert not make().can_multiplex()


def test_what_closes_at_the_end_of_a_block_must_say_how() -> None:
    with pytest.raises(NotImplementedError), ClosingContext():
        pass

    async def main() -> None:
        with pytest.raises(NotImplementedError):
            async with AsyncClosingContext():
                pass

    asyncio.run(main())
