"""A forward proxy is sent plain requests in absolute form, over one connection for each origin."""

from __future__ import annotations

import pytest

import httpcore2

from ...support.fake_network import FakeNetworkBackend, FakeNetworkStream
from ...support.runtimes import TestedRuntime
from ...support.scripted_servers import response
from .conftest import FINE

PROXY = "http://proxy:8080"


def exchange(
    runtime: TestedRuntime, method: str = "GET", url: str = "http://h/path", **options: object
) -> bytes:
    """What a forward proxy receives for a request."""
    stream = FakeNetworkStream([FINE])
    proxy = options.pop("proxy", httpcore2.Proxy(PROXY))

    async def scenario() -> None:
        async with runtime.pool(network_backend=FakeNetworkBackend(stream), proxy=proxy) as pool:
            await pool.request(method, url, **options)  # type: ignore[arg-type]

    runtime.run(scenario)
    return b"".join(stream.written)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://h", b"http://h/"),
        ("http://h/path?query", b"http://h/path?query"),
        ("http://h:81/", b"http://h:81/"),
        ("http://[::1]:81/x", b"http://[::1]:81/x"),
    ],
)
def test_the_target_is_the_url(runtime: TestedRuntime, url: str, target: bytes) -> None:
    assert exchange(runtime, url=url).startswith(b"GET " + target + b" HTTP/1.1\r\nHost: ")


@pytest.mark.parametrize(
    ("target", "sent"),
    [
        ("/other", b"http://h/other"),
        ("*", b"*"),
        ("https://elsewhere/", b"https://elsewhere/"),
        ("elsewhere:443", b"elsewhere:443"),
    ],
)
def test_a_target_of_the_callers_own_is_made_absolute_only_if_it_is_a_path(
    runtime: TestedRuntime, target: str, sent: bytes
) -> None:
    request = exchange(runtime, "OPTIONS", extensions={"target": target})
    assert request.startswith(b"OPTIONS " + sent + b" HTTP/1.1\r\nHost: h\r\n")


def test_fields_for_the_proxy_come_first_and_the_requests_own_win(runtime: TestedRuntime) -> None:
    proxy = httpcore2.Proxy(PROXY, auth=("user", "secret"), headers=[("X", "1"), ("Y", "2")])
    assert exchange(runtime, headers={"x": "3", "Z": "4"}, proxy=proxy) == (
        b"GET http://h/path HTTP/1.1\r\nHost: h\r\n"
        b"Proxy-Authorization: Basic dXNlcjpzZWNyZXQ=\r\nY: 2\r\nx: 3\r\nZ: 4\r\n\r\n"
    )


def test_a_body_is_passed_on(runtime: TestedRuntime) -> None:
    assert exchange(runtime, "POST", content=b"body").endswith(b"\r\nContent-Length: 4\r\n\r\nbody")


def test_a_proxys_refusal_is_a_response_like_any_other(runtime: TestedRuntime) -> None:
    refusal = response(b"who are you?", status=b"407 Proxy Authentication Required")

    async def scenario() -> None:
        stream = FakeNetworkStream([refusal, FINE])
        proxy = httpcore2.Proxy(PROXY)
        async with runtime.pool(network_backend=FakeNetworkBackend(stream), proxy=proxy) as pool:
            reply = await pool.request("GET", "http://h/")
            assert (reply.status, reply.content) == (407, b"who are you?")
            assert (await pool.request("GET", "http://h/")).status == 200

    runtime.run(scenario)


def test_each_origin_has_its_own_connections_to_the_proxy(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        backend = FakeNetworkBackend(FakeNetworkStream([FINE, FINE]), FakeNetworkStream([FINE]))
        async with runtime.pool(network_backend=backend, proxy=httpcore2.Proxy(PROXY)) as pool:
            for url in ("http://a/", "http://b/", "http://a/"):
                await pool.request("GET", url)
            assert backend.connected == [("proxy", 8080)] * 2
            name = f"{runtime.class_prefix}ForwardHTTPConnection"
            state = "'http://proxy:8080', HTTP/1.1, IDLE, Request Count: "
            assert [repr(connection) for connection in pool.connections] == [
                f"<{name} [{state}2] to 'http://a:80' via 'http://proxy:8080'>",
                f"<{name} [{state}1] to 'http://b:80' via 'http://proxy:8080'>",
            ]
            first = pool.connections[0]
            assert first.info() == state + "2"
            assert first.can_handle_request(httpcore2.Origin(b"http", b"a", 80))
            assert not first.can_handle_request(httpcore2.Origin(b"http", b"b", 80))

    runtime.run(scenario)
