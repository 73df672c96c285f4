"""What is told of a connection through a proxy: names and payloads of 2.x, but for the secrets."""

from __future__ import annotations

import logging
from typing import Any

import pytest

import httpcore2

from ...support.fake_network import FakeNetworkBackend, FakeNetworkStream
from ...support.runtimes import TestedRuntime
from ...support.scripted_proxies import ESTABLISHED
from ...support.scripted_servers import response
from .conftest import FINE

Events = list[tuple[str, dict[str, Any]]]


def _spans(*names: str) -> list[str]:
    return [f"{name}.{moment}" for name in names for moment in ("started", "complete")]


TCP, TLS = "connection.connect_tcp", "connection.start_tls"
HEAD = [
    "http11.send_request_headers",
    "http11.send_request_body",
    "http11.receive_response_headers",
]
EXCHANGE = [*HEAD, "http11.receive_response_body", "http11.response_closed"]
SOCKS5 = [b"\x05\x00", b"\x05\x00\x00\x01" + bytes(6)]
SOCKS4 = [b"\x00\x5a" + bytes(6)]

WAYS: dict[str, tuple[str, str, list[bytes], list[str]]] = {
    "forwarded": ("http", "http", [], [TCP, *EXCHANGE]),
    "forwarded, TLS to the proxy": ("https", "http", [], [TCP, TLS, *EXCHANGE]),
    "tunnelled": ("http", "https", [ESTABLISHED], [TCP, *HEAD, "proxy.start_tls", *EXCHANGE]),
    "tunnelled, TLS to the proxy": (
        "https",
        "https",
        [ESTABLISHED],
        [TCP, TLS, *HEAD, "proxy.start_tls", *EXCHANGE],
    ),
    "a websocket": ("http", "ws", [ESTABLISHED], [TCP, *HEAD, *EXCHANGE]),
    "socks5": (
        "socks5",
        "https",
        SOCKS5,
        ["socks.connect_tcp", "socks.setup_socks5_connection", "socks.start_tls", *EXCHANGE],
    ),
    "socks5 in the clear": (
        "socks5h",
        "http",
        SOCKS5,
        ["socks.connect_tcp", "socks.setup_socks5_connection", *EXCHANGE],
    ),
    "socks4a": (
        "socks4a",
        "https",
        SOCKS4,
        ["socks.connect_tcp", "socks.setup_socks4_connection", "socks.start_tls", *EXCHANGE],
    ),
}


@pytest.mark.parametrize(("scheme", "origin", "replies", "spans"), WAYS.values(), ids=WAYS)
def test_each_step_is_traced(
    runtime: TestedRuntime, scheme: str, origin: str, replies: list[bytes], spans: list[str]
) -> None:
    events: Events = []

    async def scenario() -> None:
        backend = FakeNetworkBackend(FakeNetworkStream([*replies, FINE]))
        async with runtime.pool(
            network_backend=backend, proxy=httpcore2.Proxy(f"{scheme}://proxy")
        ) as pool:
            await pool.request("GET", f"{origin}://h/", extensions={"trace": runtime.trace(events)})

    runtime.run(scenario)
    assert [name for name, _ in events] == _spans(*spans)


def test_the_step_of_socks_tells_what_it_is_given_but_for_the_secrets(
    runtime: TestedRuntime, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="httpcore2.socks")
    events: Events = []
    stream = FakeNetworkStream([b"\x05\x02", b"\x01\x00", SOCKS5[1], FINE])
    timeout = {"connect": 9.0, "read": 8.0}

    async def scenario() -> None:
        proxy = httpcore2.Proxy("socks5://proxy", ("user", "secret"))
        async with runtime.pool(network_backend=FakeNetworkBackend(stream), proxy=proxy) as pool:
            await pool.request(
                "GET",
                "http://origin.example:81/",
                extensions={"trace": runtime.trace(events), "timeout": timeout},
            )

    runtime.run(scenario)
    told = dict(events)
    info = told["socks.setup_socks5_connection.started"]
    assert {key: value for key, value in info.items() if key != "stream"} == {
        "host": "origin.example",
        "port": 81,
        "auth": "[secure]",
        "timeouts": timeout,
    }
    shown = info["stream"]
    assert told["socks.setup_socks5_connection.complete"] == {"return_value": shown}
    assert told["socks.connect_tcp.started"] == {
        "host": "proxy",
        "port": 1080,
        "local_address": None,
        "timeout": 9.0,
        "socket_options": None,
    }
    # What a listener is shown is the caller's own stream; on threads, one over it.
    assert shown is stream or runtime.name == "threads"
    assert [record.name for record in caplog.records] == ["httpcore2.socks"] * 4
    assert "auth='[secure]'" in caplog.text


def test_a_listener_is_shown_the_callers_request_and_a_connect_without_secrets(
    runtime: TestedRuntime,
) -> None:
    events: Events = []
    proxy = httpcore2.Proxy("http://proxy", ("user", "secret"), {"X": "y"})

    async def scenario() -> None:
        for url, replies in (("https://h/", [ESTABLISHED]), ("http://h/", [])):
            backend = FakeNetworkBackend(FakeNetworkStream([*replies, FINE]))
            async with runtime.pool(network_backend=backend, proxy=proxy) as pool:
                await pool.request("GET", url, extensions={"trace": runtime.trace(events)})

    runtime.run(scenario)
    requests = [info["request"] for name, info in events if name.endswith("_headers.started")]
    assert [(request.method, request.url.target) for request in requests[::2]] == [
        (b"CONNECT", b"h:443"),
        (b"GET", b"/"),
        (b"GET", b"/"),
    ]
    assert requests[0].headers == [(b"Host", b"h:443"), (b"Accept", b"*/*")]
    assert requests[4].headers == [(b"Host", b"h")]


@pytest.mark.parametrize(
    ("scheme", "replies", "last"),
    [
        ("http", [response(status=b"407 No")], "http11.receive_response_headers.complete"),
        ("http", [], "http11.response_closed.complete"),
        ("socks5", [b"\x05\xff"], "socks.setup_socks5_connection.failed"),
        ("socks4a", [], "socks.setup_socks4_connection.failed"),
    ],
)
def test_a_failure_is_traced(
    runtime: TestedRuntime, scheme: str, replies: list[bytes], last: str
) -> None:
    events: Events = []

    async def scenario() -> None:
        backend, proxy = (
            FakeNetworkBackend(FakeNetworkStream(replies)),
            httpcore2.Proxy(f"{scheme}://proxy"),
        )
        async with runtime.pool(network_backend=backend, proxy=proxy) as pool:
            with pytest.raises((httpcore2.ProxyError, httpcore2.RemoteProtocolError)) as caught:
                await pool.request("GET", "https://h/", extensions={"trace": runtime.trace(events)})
        assert events[-1][0] == last
        if last.endswith("failed"):
            assert events[-1][1] == {"exception": caught.value}

    runtime.run(scenario)


@pytest.mark.parametrize(
    ("scheme", "prefix", "replies"),
    [("http", "connection", [ESTABLISHED]), ("socks5", "socks", SOCKS5)],
)
def test_a_retry_is_traced(
    runtime: TestedRuntime, scheme: str, prefix: str, replies: list[bytes]
) -> None:
    events: Events = []

    async def scenario() -> None:
        backend = FakeNetworkBackend(
            httpcore2.ConnectError("no"), FakeNetworkStream([*replies, FINE])
        )
        proxy = httpcore2.Proxy(f"{scheme}://proxy")
        async with runtime.pool(network_backend=backend, proxy=proxy, retries=1) as pool:
            await pool.request("GET", "ws://h/", extensions={"trace": runtime.trace(events)})

    runtime.run(scenario)
    names = [name for name, _ in events]
    assert names[:6] == [
        f"{prefix}.connect_tcp.started",
        f"{prefix}.connect_tcp.failed",
        *_spans(f"{prefix}.retry", f"{prefix}.connect_tcp"),
    ]


@pytest.mark.parametrize("scheme", ["http", "https", "socks5", "socks4a"])
def test_a_listener_that_fails_at_any_event_leaves_no_connection(
    runtime: TestedRuntime, scheme: str
) -> None:
    replies = SOCKS5 if scheme == "socks5" else SOCKS4 if scheme == "socks4a" else [ESTABLISHED]

    async def scenario() -> None:
        for count in range(40):
            heard: Events = []
            note = runtime.trace(heard)

            def trace(name: str, info: dict[str, Any]) -> Any:
                if len(heard) == count:  # noqa: B023 - it is called in this turn
                    raise ZeroDivisionError
                return note(name, info)  # noqa: B023

            stream = FakeNetworkStream([*replies, FINE])
            proxy = httpcore2.Proxy(f"{scheme}://proxy")
            async with runtime.pool(
                network_backend=FakeNetworkBackend(stream), proxy=proxy
            ) as pool:
                try:
                    await pool.request("GET", "https://h/", extensions={"trace": trace})
                except ZeroDivisionError:
                    assert "Connections: 0 active" in repr(pool)
                else:
                    break
            assert stream.closed == (count > 0), "what was opened is closed, once"
        assert count >= 16

    runtime.run(scenario)
