"""Proxies that misbehave: each ends in one clear error, in time, and nothing is left."""

from __future__ import annotations

from typing import Any

import pytest

import httpcore2

from ...support.fake_network import FakeNetworkBackend, FakeNetworkStream
from ...support.runtimes import TestedRuntime
from ...support.scripted_servers import Peer, response, scripted_server

URL = "https://origin.example/"
TIMEOUT = {"timeout": {"connect": 0.05}}


def failing(
    runtime: TestedRuntime, handler: Any, scheme: str, *errors: type[Exception], **options: Any
) -> str:
    """Run a request into a scripted proxy, and return the text of its error."""
    texts: list[str] = []

    async def scenario() -> None:
        proxy = httpcore2.Proxy(f"{scheme}://127.0.0.1:{server.port}", auth=("user", ""))
        async with runtime.pool(proxy=proxy, max_connections=1) as pool:
            for _ in range(2):  # nothing of the first is in the way of the second
                with pytest.raises(errors) as caught:
                    await pool.request("GET", URL, **options)
                assert pool.connections == []
                assert "Requests: 0 active, 0 queued" in repr(pool)
                texts.append(str(caught.value))

    with scripted_server(handler, allow_disconnect=True) as server:
        runtime.run(scenario)
    return texts[0]


def replying(data: bytes) -> Any:
    """A proxy that says one thing, and then waits for the client to close."""

    def handler(peer: Peer) -> None:
        peer.receive_some()
        peer.send(data)
        peer.receive_until_close()

    return handler


@pytest.mark.parametrize("scheme", ["http", "socks5", "socks4a"])
def test_a_silent_proxy_is_given_up_when_connecting_takes_too_long(
    runtime: TestedRuntime, scheme: str
) -> None:
    failing(runtime, Peer.receive_until_close, scheme, httpcore2.ConnectTimeout, extensions=TIMEOUT)


@pytest.mark.parametrize("scheme", ["http", "socks5", "socks4a"])
@pytest.mark.parametrize(
    ("limits", "read", "error"),
    [
        ({"total": 5}, 5, httpcore2.ConnectTimeout),
        ({"total": 5, "connect": 9, "read": 9}, 5, httpcore2.ConnectTimeout),
        ({"connect": 5, "read": 5}, 5, httpcore2.ConnectTimeout),
        ({"connect": 9, "read": 5}, 5, httpcore2.ReadTimeout),
        ({"read": 5}, 5, httpcore2.ReadTimeout),
        ({"total": 0}, None, httpcore2.ConnectTimeout),
    ],
)
def test_the_nearest_limit_holds_and_names_the_error(
    runtime: TestedRuntime,
    scheme: str,
    limits: dict[str, float],
    read: float | None,
    error: type[Exception],
) -> None:
    waited: list[float | None] = []

    class Silent(FakeNetworkStream):
        async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
            waited.append(timeout)
            raise httpcore2.ReadTimeout("nothing came")

    async def scenario() -> None:
        backend, proxy = FakeNetworkBackend(Silent()), httpcore2.Proxy(f"{scheme}://proxy")
        async with runtime.pool(network_backend=backend, proxy=proxy) as pool:
            with pytest.raises(error) as caught:
                await pool.request("GET", URL, extensions={"timeout": limits})
            assert type(caught.value) is error
        assert waited == ([] if read is None else [pytest.approx(read, abs=2)])

    runtime.run(scenario)


@pytest.mark.parametrize(
    ("scheme", "drip"), [("http", b"X: y\r\n"), ("socks5", b""), ("socks4a", b"")]
)
def test_a_proxy_that_sends_bit_by_bit_gets_no_more_time(
    runtime: TestedRuntime, scheme: str, drip: bytes
) -> None:
    """The read's limit would begin anew with each byte; the one for connecting does not."""

    def handler(peer: Peer) -> None:
        peer.receive_some()
        peer.send({"http": b"HTTP/1.1 200 OK\r\n", "socks5": b"\x05", "socks4a": b"\x00"}[scheme])
        peer.socket.settimeout(0.02)
        while True:
            try:
                assert not peer.receive_some()
            except TimeoutError:
                peer.send(drip)
            else:
                return

    limits = {"timeout": {"connect": 0.1, "read": 9}}
    failing(runtime, handler, scheme, httpcore2.ConnectTimeout, extensions=limits)


@pytest.mark.parametrize(
    ("scheme", "replies"),
    [
        (
            "http",
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 Connection established\r\nX: y\r\n\r\n",
        ),
        ("socks5", b"\x05\x02\x01\x00\x05\x00\x00\x03\x02me\x12\x34"),
        ("socks4a", b"\x00\x5a\x12\x34\x00\x00\x00\x00"),
    ],
)
def test_a_proxy_may_close_at_every_byte(
    runtime: TestedRuntime, scheme: str, replies: bytes
) -> None:
    async def scenario() -> None:
        proxy = httpcore2.Proxy(f"{scheme}://proxy", auth=("u", ""))
        for length in range(len(replies) + 1):
            for end in (b"", httpcore2.ReadError("reset")):
                stream = FakeNetworkStream([replies[:length], end][not length :])
                backend = FakeNetworkBackend(stream)
                async with runtime.pool(network_backend=backend, proxy=proxy) as pool:
                    with pytest.raises(
                        (
                            httpcore2.RemoteProtocolError,  # it ended
                            httpcore2.ConnectError,  # it was reset in the handshake
                            httpcore2.ReadError,  # ... and in the tunnel
                        )
                    ) as caught:
                        await pool.request("GET", "ws://origin.example/")
                    assert pool.connections == []
                assert stream.closed == 1
                is_handshake = length < len(replies)
                assert ("(requesting " in str(caught.value)) == is_handshake
                if isinstance(end, Exception):
                    kind = httpcore2.ConnectError if is_handshake else httpcore2.ReadError
                    assert type(caught.value) is kind

    runtime.run(scenario)


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"\x15\x03\x03\x00\x02\x02\x28",  # a TLS alert
        b"SSH-2.0-OpenSSH_9.9\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 1000,
    ],
)
def test_an_answer_that_is_not_http_is_a_protocol_error(
    runtime: TestedRuntime, data: bytes
) -> None:
    failing(
        runtime,
        replying(data),
        "http",
        httpcore2.RemoteProtocolError,
        extensions={"timeout": {"read": 9}},
    )


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        (b"HTTP/1.1 200 ", b"a" * 1000),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 403 Forbidden\r\n", b"X" * 1000),
    ],
)
def test_an_endless_head_is_hung_up_on(runtime: TestedRuntime, start: bytes, more: bytes) -> None:
    def handler(peer: Peer) -> None:
        peer.receive_head()
        peer.send(start)
        peer.send_endlessly(more, bound=20_000_000)

    failing(runtime, handler, "http", httpcore2.RemoteProtocolError)


def test_a_refusal_with_an_endless_body_is_hung_up_on(runtime: TestedRuntime) -> None:
    def handler(peer: Peer) -> None:
        peer.receive_head()
        peer.send(b"HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n")
        peer.send_endlessly(b"5\r\nhello\r\n", bound=20_000_000)

    text = failing(runtime, handler, "http", httpcore2.ProxyError)
    assert text.startswith("403 Forbidden (requesting a tunnel from the proxy")


@pytest.mark.parametrize(
    "field", [b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Connection: close"]
)
def test_a_200_has_no_body_whatever_it_says(runtime: TestedRuntime, field: bytes) -> None:
    """What follows is the tunnel's (RFC 9110, section 9.3.6): here no TLS."""
    answer = b"HTTP/1.1 200 OK\r\n" + field + b"\r\n\r\nhello"
    failing(runtime, replying(answer), "http", httpcore2.ConnectError)


def test_a_407_again_and_again_leaves_nothing(runtime: TestedRuntime) -> None:
    refusal = response(b"no", status=b"407 Proxy Authentication Required")

    async def scenario() -> None:
        proxy = httpcore2.Proxy(f"http://127.0.0.1:{server.port}", auth=("user", "wrong"))
        async with runtime.pool(proxy=proxy, max_connections=2, retries=3) as pool:

            async def fetch() -> None:
                for _ in range(10):
                    with pytest.raises(httpcore2.ProxyError, match="407 Proxy Authentication"):
                        await pool.request("GET", URL)

            await runtime.gather(*[fetch] * 4)
            assert pool.connections == []
        assert server.accepted == 40

    with scripted_server(replying(refusal), allow_disconnect=True) as server:
        runtime.run(scenario)


@pytest.mark.parametrize(
    ("scheme", "data", "error"),
    [
        ("socks5", b"\x05", httpcore2.ConnectTimeout),
        ("socks5", b"\x05\x02\x01\x00\x05\x00\x00\x01\x7f", httpcore2.ConnectTimeout),
        ("socks5", b"\x04\x02", httpcore2.RemoteProtocolError),
        ("socks5", b"\x05\x00", httpcore2.ProxyError),
        ("socks5", b"\x05\x02\x05\x00", httpcore2.RemoteProtocolError),
        ("socks5", b"\x05\x02\x01\x00\x05\x00\x00\x09\x00", httpcore2.RemoteProtocolError),
        ("socks5", b"HTTP/1.1 400 Bad Request\r\n\r\n", httpcore2.RemoteProtocolError),
        ("socks4a", b"\x00\x5a\x12", httpcore2.ConnectTimeout),
        ("socks4a", b"\x05\x00\x00\x00\x00\x00\x00\x00", httpcore2.RemoteProtocolError),
        ("socks4a", b"HTTP/1.1 400 Bad Request\r\n\r\n", httpcore2.RemoteProtocolError),
    ],
)
def test_a_reply_that_is_not_socks_is_an_error(
    runtime: TestedRuntime, scheme: str, data: bytes, error: type[Exception]
) -> None:
    extensions = TIMEOUT if error is httpcore2.ConnectTimeout else {}
    failing(runtime, replying(data), scheme, error, extensions=extensions)


def test_replies_may_come_one_byte_at_a_time(runtime: TestedRuntime) -> None:
    replies = {
        "http": b"HTTP/1.1 200 OK\r\n\r\n",
        "socks5": b"\x05\x02\x01\x00\x05\x00\x00\x01\x7f\x00\x00\x01\x12\x34",
        "socks4a": b"\x00\x5a\x12\x34\x00\x00\x00\x00",
    }

    def handler(peer: Peer) -> None:
        first = peer.receive_some()
        scheme = {b"\x05": "socks5", b"\x04": "socks4a"}.get(first[:1], "http")
        peer.send_bytewise(replies[scheme])
        peer.receive_until(b"\r\n\r\n")
        peer.send_bytewise(response(b"fine"))
        peer.receive_until_close()

    async def scenario() -> None:
        for scheme in replies:
            proxy = httpcore2.Proxy(f"{scheme}://127.0.0.1:{server.port}", auth=("u", ""))
            async with runtime.pool(proxy=proxy) as pool:
                assert (await pool.request("GET", "ws://origin.example/")).content == b"fine"

    with scripted_server(handler) as server:
        runtime.run(scenario)


def test_a_proxy_that_takes_in_nothing_is_given_up(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        for failed, error in (
            (httpcore2.WriteError("broken pipe"), httpcore2.ConnectError),
            (httpcore2.WriteTimeout("too slow"), httpcore2.WriteTimeout),
        ):

            class Stuck(FakeNetworkStream):
                async def write(self, buffer: bytes, timeout: float | None = None) -> None:
                    raise failed  # noqa: B023 - it is raised in this turn

            stream = Stuck()
            proxy = httpcore2.Proxy("socks4a://proxy")
            async with runtime.pool(
                network_backend=FakeNetworkBackend(stream), proxy=proxy
            ) as pool:
                with pytest.raises(error):
                    await pool.request("GET", URL)
                assert pool.connections == []
            assert stream.closed == 1

    runtime.run(scenario)


def test_a_refusal_is_told_even_if_the_request_could_not_be_sent_whole(
    runtime: TestedRuntime,
) -> None:
    class Refusing(FakeNetworkStream):
        async def write(self, buffer: bytes, timeout: float | None = None) -> None:
            raise httpcore2.WriteError("broken pipe")

    async def scenario() -> None:
        stream = Refusing([response(status=b"403 Forbidden")])
        proxy = httpcore2.Proxy("http://proxy")
        async with runtime.pool(network_backend=FakeNetworkBackend(stream), proxy=proxy) as pool:
            with pytest.raises(httpcore2.ProxyError, match="403 Forbidden"):
                await pool.request("GET", URL)

    runtime.run(scenario)
