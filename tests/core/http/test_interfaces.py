"""The interfaces of pools and connections: `request()`, `stream()`, and the methods of an implementation."""

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
    """A body for both APIs, which may fail, and counts how often it was closed."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.closed = 0

    def __iter__(self) -> Any:
        yield b"a"
        if self.error is not None:
            raise self.error
        yield b"b"

    async def __aiter__(self) -> Any:
        for chunk in self:
            yield chunk

    def close(self) -> None:
        self.closed += 1

    async def aclose(self) -> None:
        self.closed += 1


class Recorder(RequestInterface):
    def __init__(self, body: Body) -> None:
        self.body = body
        self.requests: list[Request] = []

    def handle_request(self, request: Request) -> Response:
        self.requests.append(request)
        return Response(200, content=self.body)


class AsyncRecorder(AsyncRequestInterface):
    def __init__(self, body: Body) -> None:
        self.body = body
        self.requests: list[Request] = []

    async def handle_async_request(self, request: Request) -> Response:
        self.requests.append(request)
        return Response(200, content=self.body)


def request(api: str, body: Body, *args: Any, **options: Any) -> tuple[Request, Response]:
    """Send a request by one of the APIs; return it as the implementation received it, and its response."""
    if api == "sync":
        recorder = Recorder(body)
        response = recorder.request(*args, **options)
        return recorder.requests[0], response
    async_recorder = AsyncRecorder(body)
    response = asyncio.run(async_recorder.request(*args, **options))
    return async_recorder.requests[0], response


def stream(api: str, body: Body, inside: Exception | None = None) -> bytes:
    """Stream a response by one of the APIs, and raise `inside` before its body is read."""
    if api == "sync":
        with Recorder(body).stream("GET", "http://example.com/") as response:
            assert body.closed == 0
            if inside is not None:
                raise inside
            return b"".join(response.iter_stream())

    async def main() -> bytes:
        async with AsyncRecorder(body).stream("GET", "http://example.com/") as response:
            assert body.closed == 0
            if inside is not None:
                raise inside
            return b"".join([chunk async for chunk in response.aiter_stream()])

    return asyncio.run(main())


each_api = pytest.mark.parametrize("api", ["sync", "async"])
HOST = (b"Host", b"example.com")


@each_api
def test_a_request_returns_a_response_with_its_body_read(api: str) -> None:
    body = Body()
    _, response = request(api, body, "GET", "http://example.com/")
    assert response.content == b"ab"
    assert body.closed == 1


@each_api
def test_a_response_whose_body_fails_is_closed(api: str) -> None:
    body = Body(ValueError("mine"))
    with pytest.raises(ValueError, match="mine"):
        request(api, body, "GET", "http://example.com/")
    assert body.closed == 1


@each_api
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
    api: str, options: dict[str, Any], headers: list[tuple[bytes, bytes]]
) -> None:
    received, _ = request(api, Body(), "POST", "http://example.com/", **options)
    assert received.headers == headers


@each_api
def test_extensions_are_kept(api: str) -> None:
    extensions = {"timeout": {"read": 3.0}}
    received, _ = request(api, Body(), b"GET", b"http://example.com/", extensions=extensions)
    assert received.extensions is extensions


@each_api
def test_a_streamed_response_is_closed_at_the_end_of_its_block(api: str) -> None:
    body = Body()
    assert stream(api, body) == b"ab"
    assert body.closed == 1


@each_api
def test_a_streamed_response_is_closed_by_an_error_in_its_block(api: str) -> None:
    body = Body()
    with pytest.raises(ValueError, match="mine"):
        stream(api, body, inside=ValueError("mine"))
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
def test_a_connection_must_implement_the_method(make: type, method: str, args: list[Any]) -> None:
    if make is AsyncConnectionInterface:
        method = {"handle_request": "handle_async_request", "close": "aclose"}.get(method, method)
    with pytest.raises(NotImplementedError):
        call(getattr(make(), method), *args)


@pytest.mark.parametrize("make", [ConnectionInterface, AsyncConnectionInterface])
def test_a_connection_is_not_multiplexed_by_default(
    make: type[ConnectionInterface],
) -> None:
    assert not make().can_multiplex()


def test_a_closing_context_must_implement_closing() -> None:
    with pytest.raises(NotImplementedError), ClosingContext():
        pass

    async def main() -> None:
        with pytest.raises(NotImplementedError):
            async with AsyncClosingContext():
                pass

    asyncio.run(main())
