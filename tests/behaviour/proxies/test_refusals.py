"""What is refused, by whom, and in which words; and that none of them tells a secret."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import Any

import pytest

import httpcore2

from ...support.fake_network import FakeNetworkBackend, FakeNetworkStream
from ...support.runtimes import TestedRuntime
from ...support.scripted_proxies import ESTABLISHED
from ...support.scripted_servers import response
from .conftest import FINE

URL = "https://origin.example/"
AUTH = ("user-id", "sesame")
SECRETS = ("sesame", "dXNlci1pZDpzZXNhbWU=", "user-id", "hush")
"""The password, the pair as Basic has it, the name, and the value of a header field."""


async def failure(pool: httpcore2.AsyncConnectionPool, url: str = URL, **options: Any) -> Exception:
    """What a request fails with; it leaves no connection."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the caller looks at it
        await pool.request("GET", url, **options)
    assert pool.connections == []
    return caught.value


# Before a byte is sent


def _pool_with_proxy(*args: Any) -> httpcore2.ConnectionPool:
    return httpcore2.ConnectionPool(proxy=httpcore2.Proxy(*args))


@pytest.mark.parametrize("make", [_pool_with_proxy, httpcore2.HTTPProxy, httpcore2.AsyncHTTPProxy])
@pytest.mark.parametrize("bad", ["\r", "\n", "\0", "hush\r\nX: y"])
@pytest.mark.parametrize("where", ["value", "name", "user", "password"])
def test_line_ends_in_what_is_sent_to_a_proxy_are_refused(
    make: Callable[..., object], bad: str, where: str
) -> None:
    auth = {"user": ("user" + bad, "sesame"), "password": ("user", "sesame" + bad)}.get(where)
    headers = {"value": {"X": "hush" + bad}, "name": {"X" + bad: "hush"}}.get(where, {})
    with pytest.raises(ValueError, match=r"carriage return|can't be sent") as caught:
        make("http://proxy", auth, headers)
    assert "sesame" not in str(caught.value)
    assert where == "name" or "hush" not in str(caught.value)


@pytest.mark.parametrize("url", ["socks5://proxy", "socks4://proxy"])
@pytest.mark.parametrize("auth", [("us\0er", ""), ("us\ner", ""), ("us\rer", "")])
def test_line_ends_in_what_is_sent_to_a_socks_proxy_are_refused(
    url: str, auth: tuple[str, str]
) -> None:
    with pytest.raises(ValueError, match="carriage return, a line feed or a NUL"):
        httpcore2.SOCKSProxy(url, auth)


@pytest.mark.parametrize("auth", [("u" * 256, "p"), ("u", "p" * 256)])
def test_credentials_that_socks5_has_no_room_for_are_refused(auth: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="at most 255 bytes"):
        httpcore2.SOCKSProxy("socks5://proxy", auth)


def test_socks4_takes_no_password() -> None:
    with pytest.raises(ValueError, match="give an empty password"):
        httpcore2.SOCKSProxy("socks4a://proxy", ("user", "sesame"))
    httpcore2.SOCKSProxy("socks4a://proxy", ("user", "")).close()


@pytest.mark.parametrize(
    "host", [b"", b"a b", b"a\r\nb", b"a\0b", b"a/b", b"user@a", b"\xe9", b"a" * 256]
)
def test_a_proxy_without_a_valid_host_is_refused(host: bytes) -> None:
    url = httpcore2.URL(scheme="http", host=host, port=80)
    with pytest.raises(ValueError, match="no valid host"):
        httpcore2.ConnectionPool(proxy=httpcore2.Proxy(url))


@pytest.mark.parametrize("port", [-1, 65536 + 8080])
def test_a_proxy_without_a_valid_port_is_refused(port: int) -> None:
    url = httpcore2.URL(scheme="http", host="proxy", port=port)
    with pytest.raises(ValueError, match=f"has the port {port}: a port is 0 to 65535"):
        httpcore2.ConnectionPool(proxy=httpcore2.Proxy(url))


def test_a_proxys_own_address_may_have_a_zone(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        stream = FakeNetworkStream([FINE])
        backend, proxy = FakeNetworkBackend(stream), httpcore2.Proxy("http://[fe80::1%25eth0]:3128")
        async with runtime.pool(network_backend=backend, proxy=proxy) as pool:
            assert (await pool.request("GET", "http://a/")).content == b"fine"
        assert backend.connected == [("fe80::1%eth0", 3128)]

    runtime.run(scenario)


@pytest.mark.parametrize("url", ["ftp://proxy", "proxy:8080", "ws://proxy"])
def test_a_proxy_of_an_unknown_scheme_is_refused(url: str) -> None:
    with pytest.raises(httpcore2.UnsupportedProtocol, match="Use one of http, https, socks5"):
        httpcore2.ConnectionPool(proxy=httpcore2.Proxy(url))


def test_what_the_proxy_is_told_is_checked_again_when_a_connection_is_made(
    runtime: TestedRuntime,
) -> None:
    async def scenario() -> None:
        backend, proxy = FakeNetworkBackend(FakeNetworkStream()), httpcore2.Proxy("http://proxy")
        async with runtime.pool(network_backend=backend, proxy=proxy) as pool:
            proxy.headers.append((b"X", b"hush\r\nEvil: yes"))
            error = await failure(pool)
        assert isinstance(error, ValueError)
        assert "hush" not in str(error)
        assert backend.connected == []

    runtime.run(scenario)


@pytest.mark.parametrize("scheme", ["http", "socks5", "socks4a"])
@pytest.mark.parametrize(
    ("host", "port"),
    [
        (b"", 443),
        (b"a\r\nb", 443),
        (b"a\0b", 443),
        (b"a b", 443),
        (b"a/b", 443),
        (b"\xe9", 443),
        (b"a" * 256, 443),
        (b"a" * 70000, 443),
        (b"[::1]", 443),
        (b"a:443", 443),
        (b"a%zz", 443),
        (b"fe80::1%25eth0", 443),
        (b"fe80::1%eth0", 443),
        (b"a", 65536),
        (b"a", -1),
    ],
)
def test_an_origin_that_no_proxy_can_be_asked_for_is_refused_before_a_byte_is_sent(
    scheme: str, host: bytes, port: int
) -> None:
    backend = httpcore2.MockBackend([])
    with httpcore2.ConnectionPool(
        proxy=httpcore2.Proxy(f"{scheme}://proxy"), network_backend=backend
    ) as pool:
        for origin_scheme in ("http", "https"):
            url = httpcore2.URL(scheme=origin_scheme, host=host, port=port, target="/")
            with pytest.raises(
                (httpcore2.LocalProtocolError, httpcore2.ConnectError),
                match=r"has no host|is not a valid host|is out of range 0-65535|is an interface of this machine",
            ) as caught:
                pool.request("GET", url, headers={"Host": "a"})
            assert len(str(caught.value)) < 400
            assert pool.connections == []


def test_a_host_name_may_have_255_bytes(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        stream = FakeNetworkStream([b"\x05\x00", b"\x05\x00\x00\x01" + bytes(6), FINE])
        backend, proxy = FakeNetworkBackend(stream), httpcore2.Proxy("socks5://proxy")
        async with runtime.pool(network_backend=backend, proxy=proxy) as pool:
            assert (await pool.request("GET", f"http://{'a' * 255}/")).content == b"fine"
        assert b"".join(stream.written).startswith(b"\x05\x01\x00\x05\x01\x00\x03\xff" + b"a" * 255)

    runtime.run(scenario)


# By the proxy

REFUSED = response(b"go away", status=b"407 Proxy Authentication Required")
REFUSALS: dict[str, tuple[str, list[bytes], str, str]] = {
    "407": (
        "http",
        [REFUSED],
        "407 Proxy Authentication Required",
        "requesting a tunnel from the proxy http://proxy:80: CONNECT origin.example:443",
    ),
    "502 without words": (
        "http",
        [b"HTTP/1.1 502\r\n\r\n"],
        "502",
        "requesting a tunnel from the proxy http://proxy:80: CONNECT origin.example:443",
    ),
    "a redirection": (
        "http",
        [b"HTTP/1.1 302 Found\r\nLocation: /login\r\n\r\n"],
        "302 Found",
        "requesting a tunnel from the proxy http://proxy:80: CONNECT origin.example:443",
    ),
    "socks5": (
        "socks5",
        [b"\x05\x00", b"\x05\x05\x00\x01" + bytes(6)],
        "Proxy Server could not connect: Connection refused.",
        "requesting a connection to origin.example:443 from the SOCKS5 proxy socks5://proxy:1080",
    ),
    "socks5 method": (
        "socks5",
        [b"\x05\xff"],
        "Requested NO AUTHENTICATION REQUIRED from proxy server, but got NO ACCEPTABLE METHODS.",
        "requesting a connection to origin.example:443 from the SOCKS5 proxy socks5://proxy:1080",
    ),
    "socks4a": (
        "socks4a",
        [b"\x00\x5b" + bytes(6)],
        "Proxy Server could not connect: Request rejected or failed.",
        "requesting a connection to origin.example:443 from the SOCKS4 proxy socks4a://proxy:1080",
    ),
}


@pytest.mark.parametrize(("scheme", "replies", "text", "phase"), REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_tells_the_answer_the_phase_and_the_proxy(
    runtime: TestedRuntime, scheme: str, replies: list[bytes], text: str, phase: str
) -> None:
    async def scenario() -> None:
        stream = FakeNetworkStream(replies)
        proxy = httpcore2.Proxy(f"{scheme}://proxy")
        async with runtime.pool(network_backend=FakeNetworkBackend(stream), proxy=proxy) as pool:
            error = await failure(pool)
        assert isinstance(error, httpcore2.ProxyError)
        assert str(error) == f"{text} ({phase})"
        assert stream.closed == 1

    runtime.run(scenario)


@pytest.mark.parametrize(
    ("proxy", "hint"),
    [
        (httpcore2.Proxy("http://proxy"), "The proxy requires credentials: "),
        (httpcore2.Proxy("http://proxy", auth=AUTH), "The proxy did not accept the credentials"),
    ],
)
def test_a_proxy_that_wants_other_credentials_gets_a_hint(
    runtime: TestedRuntime, proxy: httpcore2.Proxy, hint: str
) -> None:
    async def scenario() -> None:
        backend = FakeNetworkBackend(FakeNetworkStream([REFUSED]))
        async with runtime.pool(network_backend=backend, proxy=proxy) as pool:
            assert (await failure(pool)).__notes__[0].startswith(hint)

    runtime.run(scenario)


def test_a_reason_without_end_is_cut(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        backend = FakeNetworkBackend(
            FakeNetworkStream([b"HTTP/1.1 403 " + b"a" * 50_000 + b"\r\n\r\n"])
        )
        proxy = httpcore2.Proxy("http://proxy")
        async with runtime.pool(network_backend=backend, proxy=proxy) as pool:
            assert str(await failure(pool)).startswith(
                "403 " + "a" * 200 + " (requesting a tunnel from the proxy"
            )

    runtime.run(scenario)


@pytest.mark.parametrize("scheme", ["http", "socks5", "socks4"])
def test_a_proxy_that_is_not_there_is_named(runtime: TestedRuntime, scheme: str) -> None:
    async def scenario() -> None:
        backend = FakeNetworkBackend(httpcore2.ConnectError("refused"))
        proxy = httpcore2.Proxy(f"{scheme}://proxy:99")
        async with runtime.pool(network_backend=backend, proxy=proxy) as pool:
            error = await failure(pool)
        assert isinstance(error, httpcore2.ConnectError)
        assert str(error) == (
            f"refused (connecting to the proxy {scheme}://proxy:99 for https://origin.example:443)"
        )

    runtime.run(scenario)


# Secrets

ENDS: dict[str, tuple[str, list[bytes | Exception], str]] = {
    "forwarded": ("http", [FINE], "http://origin.example/"),
    "forwarded in vain": ("http", [b"nonsense"], "http://origin.example/"),
    "tunnelled": ("http", [ESTABLISHED, FINE], URL),
    "refused": ("http", [REFUSED], URL),
    "answered with nonsense": ("http", [b"nonsense\r\n\r\n"], URL),
    "reset": ("https", [httpcore2.ReadError("reset")], URL),
    "through socks5": (
        "socks5",
        [b"\x05\x02", b"\x01\x00", b"\x05\x00\x00\x01" + bytes(6), FINE],
        URL,
    ),
    "refused by socks5": ("socks5", [b"\x05\x02", b"\x01\x01"], URL),
    "reset by socks5": ("socks5", [b"\x05\x02", httpcore2.ReadError("reset")], URL),
}


@pytest.mark.parametrize(("scheme", "replies", "url"), ENDS.values(), ids=ENDS)
def test_no_secret_is_told_to_anybody_but_the_proxy(
    runtime: TestedRuntime,
    scheme: str,
    replies: list[bytes | Exception],
    url: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, logger="httpcore2")
    events: list[tuple[str, dict[str, Any]]] = []
    told: list[str] = []
    proxy = httpcore2.Proxy(f"{scheme}://user-id:sesame@proxy", AUTH, {"X-Token": "hush"})
    stream = FakeNetworkStream(replies)

    async def scenario() -> None:
        backend = FakeNetworkBackend(stream)
        async with runtime.pool(network_backend=backend, proxy=proxy) as pool:
            try:
                await pool.request("GET", url, extensions={"trace": runtime.trace(events)})
            except Exception as exc:
                told.extend(traceback.format_exception(exc))
            told.extend([repr(pool), repr(pool.connections), repr(proxy)])

    runtime.run(scenario)
    assert events
    assert caplog.messages
    for _, info in events:
        told.append(repr(info))
        if "request" in info:
            told.append(f"{info['request'].url!r} {info['request'].headers}")
    for secret in SECRETS:
        assert secret not in "\n".join([*told, *caplog.messages])

    sent = b"".join(stream.written)
    if scheme.startswith("http"):
        head, _, tunnelled = sent.partition(b"\r\n\r\n")
        assert b"\r\nProxy-Authorization: Basic dXNlci1pZDpzZXNhbWU=\r\nX-Token: hush" in head
        assert b"Proxy-Authorization" not in tunnelled
        assert b"hush" not in tunnelled
    else:
        assert b"\x07user-id\x06sesame" in sent
        assert b"hush" not in sent
