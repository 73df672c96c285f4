"""Request, Response and Proxy: their arguments, their errors, their bodies and copies."""

from __future__ import annotations

import asyncio
import copy
import pickle
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import pytest

from httpcore2_core._models import (
    URL,
    ByteStream,
    Origin,
    Proxy,
    Request,
    Response,
    include_request_headers,
    received_response,
)

A = "http://a"
NUMBER: Any = 5


def test_the_fields_included_depend_on_url_headers_and_content() -> None:
    url, other = URL(A), URL("http://b")
    fields = [(b"X", b"y")]
    host, other_host = (b"Host", b"a"), (b"Host", b"b")
    for _ in range(2):
        for headers in ([], fields):
            assert include_request_headers(headers, url=url, content=None) == [host, *headers]
            assert include_request_headers(headers, url=other, content=None) == [
                other_host,
                *headers,
            ]
            given = include_request_headers(headers, url=url, content=b"abc")
            assert given == [host, *headers, (b"Content-Length", b"3")]
            given.clear()


# Request


def test_a_request_keeps_its_arguments() -> None:
    url = URL(A)
    extensions = {"trace": None}
    request = Request(b"get", url, headers=[("X", "1")], content=b"abc", extensions=extensions)
    assert request.method == b"get"
    assert request.url is url
    assert request.headers == [(b"X", b"1")]
    assert isinstance(request.stream, ByteStream)
    assert request.extensions is extensions
    assert repr(request) == "<Request [b'get']>"


def test_a_request_needs_no_more_than_method_and_url() -> None:
    request = Request("GET", A)
    assert (request.method, request.url, request.headers) == (b"GET", URL(A), [])
    assert request.extensions == {}
    assert list(iter_of(request.stream)) == [b""]


@pytest.mark.parametrize("target", ["*", b"*"])
def test_the_target_extension_replaces_the_target_of_the_url(target: str | bytes) -> None:
    url = URL("http://a:1/p")
    request = Request("OPTIONS", url, extensions={"target": target})
    assert request.url == URL(scheme="http", host="a", port=1, target="*")
    assert url.target == b"/p"


@pytest.mark.parametrize(
    ("headers", "taken"),
    [
        (None, []),
        ([], []),
        ({}, []),
        ([("a", "b"), (b"A", b"\xe9")], [(b"a", b"b"), (b"A", b"\xe9")]),
        ((("a", b"b"),), [(b"a", b"b")]),
        ([["a", "b"]], [(b"a", b"b")]),
        (["ab"], [(b"a", b"b")]),
        ({"a": "b", b"c": b"d"}, [(b"a", b"b"), (b"c", b"d")]),
    ],
)
def test_headers_are_a_mapping_or_a_sequence_of_pairs(
    headers: Any, taken: list[tuple[bytes, bytes]]
) -> None:
    assert Request("GET", A, headers=headers).headers == taken
    assert Response(200, headers=headers).headers == taken
    assert Proxy(A, headers=headers).headers == taken


def test_headers_are_copied() -> None:
    headers = [(b"a", b"b")]
    for _ in range(2):
        request = Request("GET", A, headers=headers)
        assert request.headers == headers
        request.headers.clear()
    assert headers


@pytest.mark.parametrize(
    ("headers", "exception", "message"),
    [
        (5, TypeError, "headers must be a mapping or sequence of two-tuples, but got int"),
        ("ab", TypeError, "headers must be a mapping or sequence of two-tuples, but got str"),
        (b"ab", TypeError, "headers must be a mapping or sequence of two-tuples, but got bytes"),
        (iter([]), TypeError, "headers must be .* but got list_iterator"),
        ([("a",)], ValueError, "not enough values to unpack"),
        ([(b"a", b"b", b"c")], ValueError, "too many values to unpack"),
        ([("é", "b")], TypeError, "header name strings may not include unicode characters"),
        ([("a", "é")], TypeError, "header value strings may not include unicode characters"),
        ([(b"a", 1)], TypeError, "header value must be bytes or str, but got int"),
        ({1: b"a"}, TypeError, "header name must be bytes or str, but got int"),
    ],
)
def test_malformed_headers_are_refused(
    headers: Any, exception: type[Exception], message: str
) -> None:
    for make in (
        lambda: Request("GET", A, headers=headers),
        lambda: Response(200, headers=headers),
    ):
        with pytest.raises(exception, match=message):
            make()


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("é", "method strings may not include unicode characters"),
        (5, "method must be bytes or str, but got int"),
    ],
)
def test_a_method_is_bytes_or_ascii(method: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        Request(method, A)


# Content


def iter_of(stream: Any) -> Iterator[bytes]:
    return iter(stream)


async def chunks_of(stream: Any) -> list[bytes]:
    return [chunk async for chunk in stream]


async def asynchronous() -> AsyncIterator[bytes]:
    yield b"a"
    yield b"b"


@pytest.mark.parametrize("content", [b"abc", bytearray(b"abc"), memoryview(b"abc")])
def test_bytes_as_content_can_be_sent_again_by_both_apis(content: Any) -> None:
    for stream in (
        Request("POST", A, content=content).stream,
        Response(200, content=content).stream,
    ):
        assert repr(stream) == "<ByteStream [3 bytes]>"
        for _ in range(2):
            assert list(iter_of(stream)) == [b"abc"]
            assert asyncio.run(chunks_of(stream)) == [b"abc"]


@pytest.mark.parametrize("content", [[b"a"], iter([b"a"]), asynchronous()])
def test_iterable_content_is_kept(content: Any) -> None:
    assert Request("POST", A, content=content).stream is content
    assert Response(200, content=content).stream is content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("abc", r"must be bytes .* but got str. Encode it first: content.encode\('utf-8'\)"),
        (5, r"must be bytes or an \(async\) iterable of bytes, but got int"),
    ],
)
def test_other_content_is_refused(content: Any, message: str) -> None:
    for make in (
        lambda: Request("PUT", A, content=content),
        lambda: Response(200, content=content),
    ):
        with pytest.raises(TypeError, match=message):
            make()


# Response


class Body:
    """A body that can be closed, and read as a whole."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __iter__(self) -> Iterator[bytes]:
        self.calls.append("iter")
        return iter([b"a", b"b"])

    def close(self) -> None:
        self.calls.append("close")

    def read_all(self) -> bytes:
        self.calls.append("read_all")
        return b"ab"


class AsyncBody:
    def __init__(self) -> None:
        self.calls: list[str] = []

    def __aiter__(self) -> AsyncIterator[bytes]:
        self.calls.append("aiter")
        return asynchronous()

    async def aclose(self) -> None:
        self.calls.append("aclose")

    async def aread_all(self) -> bytes:
        self.calls.append("read_all")
        return b"ab"


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(coroutine)


def test_a_response_keeps_its_arguments() -> None:
    extensions = {"http_version": b"HTTP/1.1"}
    response = Response(404, headers=[("X", "1")], content=[b"a"], extensions=extensions)
    assert response.status == 404
    assert response.headers == [(b"X", b"1")]
    assert response.extensions is extensions
    assert repr(response) == "<Response [404]>"
    assert Response(200).extensions == {}
    assert Response(200).read() == b""


@pytest.mark.parametrize(
    ("content", "calls"), [([b"a", b"b"], None), (iter([b"a", b"b"]), None), (Body(), ["read_all"])]
)
def test_a_body_is_read_once_and_kept(content: Any, calls: list[str] | None) -> None:
    response = Response(200, content=content)
    assert response.read() == b"ab"
    assert response.read() == b"ab"
    assert response.content == b"ab"
    if calls is not None:
        assert content.calls == calls


@pytest.mark.parametrize(
    ("content", "calls"), [(asynchronous(), None), (AsyncBody(), ["read_all"])]
)
def test_an_async_body_is_read_once_and_kept(content: Any, calls: list[str] | None) -> None:
    response = Response(200, content=content)
    assert run(response.aread()) == b"ab"
    assert run(response.aread()) == b"ab"
    assert response.content == b"ab"
    if calls is not None:
        assert content.calls == calls


def test_a_body_is_iterated_in_chunks() -> None:
    body = Body()
    assert list(Response(200, content=body).iter_stream()) == [b"a", b"b"]
    assert body.calls == ["iter"]


def test_an_async_body_is_iterated_in_chunks() -> None:
    body = AsyncBody()
    assert run(chunks_of(Response(200, content=body).aiter_stream())) == [b"a", b"b"]
    assert body.calls == ["aiter"]


@pytest.mark.parametrize("make", [Body, lambda: [b"a"]])
@pytest.mark.parametrize(
    "again", [Response.read, lambda response: list(response.iter_stream())], ids=["read", "iterate"]
)
@pytest.mark.parametrize(
    "first", [Response.read, lambda response: list(response.iter_stream())], ids=["read", "iterate"]
)
def test_a_body_is_consumed_once(
    make: Callable[[], Any], first: Callable[[Response], Any], again: Callable[[Response], Any]
) -> None:
    response = Response(200, content=make())
    first(response)
    if first is again is Response.read:
        again(response)
        return
    with pytest.raises(RuntimeError) as raised:
        again(response)
    assert str(raised.value) == (
        "Attempted to call 'for ... in response.iter_stream()' more than once."
    )


async def iterate(response: Response) -> list[bytes]:
    return await chunks_of(response.aiter_stream())


@pytest.mark.parametrize("make", [AsyncBody, asynchronous])
@pytest.mark.parametrize("again", [Response.aread, iterate])
@pytest.mark.parametrize("first", [Response.aread, iterate])
def test_an_async_body_is_consumed_once(
    make: Callable[[], Any],
    first: Callable[[Response], Coroutine[Any, Any, Any]],
    again: Callable[[Response], Coroutine[Any, Any, Any]],
) -> None:
    response = Response(200, content=make())
    run(first(response))
    if first is again is Response.aread:
        run(again(response))
        return
    with pytest.raises(RuntimeError) as raised:
        run(again(response))
    assert str(raised.value) == (
        "Attempted to call 'async for ... in response.aiter_stream()' more than once."
    )


@pytest.mark.parametrize(
    ("content", "call"),
    [([b"a"], "response.read()"), (AsyncBody(), "await response.aread()")],
)
def test_content_is_an_error_before_the_body_was_read(content: Any, call: str) -> None:
    with pytest.raises(RuntimeError) as raised:
        _ = Response(200, content=content).content
    assert str(raised.value) == (
        f"Attempted to access 'response.content' on a streaming response. Call '{call}' first."
    )


def test_closing_a_response_closes_its_body() -> None:
    body, async_body = Body(), AsyncBody()
    Response(200, content=body).close()
    run(Response(200, content=async_body).aclose())
    assert body.calls == ["close"]
    assert async_body.calls == ["aclose"]


def test_a_body_need_not_be_closable() -> None:
    Response(200, content=[b"a"]).close()
    run(Response(200, content=b"a").aclose())


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (
            Response.read,
            (
                "Attempted to read an asynchronous response using 'response.read()'. "
                "You should use 'await response.aread()' instead."
            ),
        ),
        (
            Response.iter_stream,
            (
                "Attempted to stream an asynchronous response using "
                "'for ... in response.iter_stream()'. "
                "You should use 'async for ... in response.aiter_stream()' instead."
            ),
        ),
        (
            Response.close,
            (
                "Attempted to close an asynchronous response using 'response.close()'. "
                "You should use 'await response.aclose()' instead."
            ),
        ),
    ],
)
def test_an_async_body_is_refused_by_sync_methods(
    use: Callable[[Response], object], message: str
) -> None:
    with pytest.raises(RuntimeError) as raised:
        use(Response(200, content=AsyncBody()))
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (
            Response.aread,
            (
                "Attempted to read an synchronous response using 'await response.aread()'. "
                "You should use 'response.read()' instead."
            ),
        ),
        (
            iterate,
            (
                "Attempted to stream an synchronous response using "
                "'async for ... in response.aiter_stream()'. "
                "You should use 'for ... in response.iter_stream()' instead."
            ),
        ),
        (
            Response.aclose,
            (
                "Attempted to close a synchronous response using 'await response.aclose()'. "
                "You should use 'response.close()' instead."
            ),
        ),
    ],
)
def test_a_sync_body_is_refused_by_async_methods(
    use: Callable[[Response], Coroutine[Any, Any, Any]], message: str
) -> None:
    with pytest.raises(RuntimeError) as raised:
        run(use(Response(200, content=Body())))
    assert str(raised.value) == message


def test_a_received_response_is_a_response() -> None:
    headers = [(b"X", b"1")]
    extensions = {"http_version": b"HTTP/1.1"}
    response = received_response(200, headers, AsyncBody(), extensions)
    assert response.headers is headers
    assert response.extensions is extensions
    assert repr(response) == "<Response [200]>"
    assert run(response.aread()) == b"ab"


# Proxy


def test_a_proxy_keeps_its_arguments() -> None:
    proxy = Proxy("http://p:1", headers={"X": "1"})
    assert proxy.url == URL("http://p:1")
    assert Proxy(proxy.url).url is proxy.url
    assert proxy.auth is None
    assert proxy.headers == [(b"X", b"1")]
    assert proxy.ssl_context is None


@pytest.mark.parametrize("scheme", ["http", "https", "socks5", "socks5h"])
def test_proxy_authorization_is_the_first_header_field(scheme: str) -> None:
    proxy = Proxy(f"{scheme}://p", auth=("user", b"pass"), headers=[("X", "1")])
    assert proxy.auth == (b"user", b"pass")
    assert proxy.headers == [(b"Proxy-Authorization", b"Basic dXNlcjpwYXNz"), (b"X", b"1")]


@pytest.mark.parametrize(
    ("url", "auth", "message"),
    [
        (5, None, "url must be a URL, bytes, or str, but got int"),
        (A, ("é", "p"), "auth strings may not include unicode characters"),
        (A, (1, "p"), "auth must be bytes or str, but got int"),
    ],
)
def test_malformed_arguments_of_a_proxy_are_refused(url: Any, auth: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        Proxy(url, auth)


# Copies


def pickled(thing: Any) -> Any:
    return pickle.loads(pickle.dumps(thing))


def shown(message: Request | Response) -> dict[str, Any]:
    return {
        name: list(iter_of(value)) if name == "stream" else value
        for name in (*Request.__slots__, *Response.__slots__)
        if (value := getattr(message, name, None)) is not None
    }


COPIERS = pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])


@COPIERS
@pytest.mark.parametrize(
    "thing",
    [URL("http://a:1/p?q"), URL(), Origin(b"http", b"a", 80)],
    ids=["url", "parts", "origin"],
)
def test_urls_and_origins_can_be_copied(copied: Callable[[Any], Any], thing: URL | Origin) -> None:
    clone = copied(thing)
    assert clone == thing
    assert type(clone) is type(thing)
    clone.host = b"other"
    assert clone != thing


@COPIERS
@pytest.mark.parametrize("content", [None, b"abc", [b"a", b"b"]])
def test_a_request_can_be_copied(copied: Callable[[Any], Any], content: Any) -> None:
    extensions = {"timeout": {"read": 5.0}}
    request = Request("GET", A, headers={"a": "b"}, content=content, extensions=extensions)
    clone = copied(request)
    assert type(clone) is Request
    assert shown(clone) == shown(request)


@COPIERS
@pytest.mark.parametrize("content", [None, b"abc", [b"a", b"b"]])
def test_a_constructed_response_can_be_copied(copied: Callable[[Any], Any], content: Any) -> None:
    response = Response(200, headers={"a": "b"}, content=content, extensions={"x": 1})
    clone = copied(response)
    assert type(clone) is Response
    assert shown(clone) == shown(response)
    assert clone.read() == response.read()
    assert shown(copied(response))["_content"] == response.content


class Tagged(Response):
    """A caller's own class, whose objects have a `__dict__`."""

    tag: str


@COPIERS
def test_the_attributes_of_a_derived_class_are_copied(copied: Callable[[Any], Any]) -> None:
    response = Tagged(200, content=b"abc")
    response.tag = "x"
    clone = copied(response)
    assert type(clone) is Tagged
    assert clone.tag == "x"
    assert clone.read() == b"abc"


async def async_chunks() -> AsyncIterator[bytes]:
    yield b"abc"


@pytest.mark.parametrize("copied", [copy.deepcopy, pickled])
@pytest.mark.parametrize(
    "content", [lambda: (chunk for chunk in [b"abc"]), async_chunks, lambda: iter([b"abc"])]
)
def test_content_that_can_be_iterated_over_once_cannot_be_copied(
    copied: Callable[[Any], Any], content: Callable[[], Any]
) -> None:
    with pytest.raises(TypeError, match=r"can't be pickled or deep-copied: its content is .* once"):
        copied(Request("POST", A, content=content()))
    with pytest.raises(TypeError, match="can't be pickled or deep-copied: its body was not read"):
        copied(Response(200, content=content()))


def test_a_shallow_copy_shares_the_body() -> None:
    body = iter([b"abc"])
    request = Request("POST", A, content=body)
    assert copy.copy(request).stream is body
    response = Response(200, content=body, extensions={"network_stream": object()})
    clone = copy.copy(response)
    assert clone.stream is body
    assert clone.extensions is response.extensions
