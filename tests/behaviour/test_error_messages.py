"""The messages of exceptions: each names its origin and route, since a log often contains nothing else."""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from h2.errors import ErrorCodes

import httpcore2

from ..support.fake_network import FakeNetworkBackend, FakeNetworkStream
from ..support.h2peer import H2Peer
from ..support.runtimes import TestedRuntime
from ..support.scripted_servers import Peer, refusing_port, scripted_server

URL = "http://origin.example/"
SECURE = "https://origin.example/"
PROXY = httpcore2.Proxy("http://proxy:3128")
ESTABLISHED = b"HTTP/1.1 200 OK\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
DISCONNECTED = "Server disconnected without sending a response."
TRUNCATED = (
    "peer closed connection without sending complete message body (received 2 bytes, expected 5)"
)

FAILURES = (
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.ProxyError,
    httpcore2.TimeoutException,
)

Outcome = FakeNetworkStream | Exception


async def failure(pool: httpcore2.AsyncConnectionPool, url: str, **options: Any) -> Exception:
    with pytest.raises(FAILURES) as caught:
        await pool.request("GET", url, **options)
    assert not hasattr(caught.value, "__notes__")
    return caught.value


@pytest.mark.parametrize(
    ("options", "url", "outcome", "message"),
    [
        (
            {},
            URL,
            lambda: httpcore2.ConnectError("refused"),
            "refused (connecting to http://origin.example:80)",
        ),
        ({}, URL, lambda: httpcore2.ConnectTimeout(), "(connecting to http://origin.example:80)"),
        (
            {"uds": "/a/b"},
            URL,
            lambda: httpcore2.ConnectError("refused"),
            "refused (connecting to http://origin.example:80 at the unix socket /a/b)",
        ),
        (
            {"proxy": PROXY},
            URL,
            lambda: httpcore2.ConnectError("refused"),
            "refused (connecting to the proxy http://proxy:3128 for http://origin.example:80)",
        ),
        (
            {"proxy": PROXY, "uds": "/a/b"},
            URL,
            lambda: httpcore2.ConnectError("refused"),
            "refused (connecting to the proxy http://proxy:3128 at the unix socket /a/b for http://origin.example:80)",
        ),
        ({}, URL, lambda: FakeNetworkStream(), f"{DISCONNECTED} (http://origin.example:80)"),
        ({}, SECURE, lambda: FakeNetworkStream(), f"{DISCONNECTED} (https://origin.example:443)"),
        (
            {},
            "http://[::1]:8080/",
            lambda: FakeNetworkStream(),
            f"{DISCONNECTED} (http://[::1]:8080)",
        ),
        (
            {"uds": "/a/b"},
            URL,
            lambda: FakeNetworkStream(),
            f"{DISCONNECTED} (http://origin.example:80 at the unix socket /a/b)",
        ),
        (
            {"proxy": PROXY},
            URL,
            lambda: FakeNetworkStream(),
            f"{DISCONNECTED} (http://origin.example:80 through the proxy http://proxy:3128)",
        ),
        (
            {"proxy": PROXY},
            SECURE,
            lambda: FakeNetworkStream(),
            f"{DISCONNECTED} (requesting a tunnel from the proxy http://proxy:3128: CONNECT origin.example:443)",
        ),
        (
            {"proxy": PROXY},
            SECURE,
            lambda: FakeNetworkStream([httpcore2.ReadError("reset")]),
            "reset (requesting a tunnel from the proxy http://proxy:3128: CONNECT origin.example:443)",
        ),
        (
            {"proxy": PROXY},
            SECURE,
            lambda: FakeNetworkStream([ESTABLISHED]),
            f"{DISCONNECTED} (https://origin.example:443 through the proxy http://proxy:3128)",
        ),
        (
            {"proxy": PROXY, "uds": "/a"},
            SECURE,
            lambda: FakeNetworkStream([ESTABLISHED]),
            f"{DISCONNECTED} (https://origin.example:443 through the proxy http://proxy:3128 at the unix socket /a)",
        ),
        (
            {},
            URL,
            lambda: FakeNetworkStream([httpcore2.ReadError("reset")]),
            "reset (http://origin.example:80)",
        ),
        (
            {},
            URL,
            lambda: FakeNetworkStream([httpcore2.ReadTimeout("late")]),
            "late (http://origin.example:80)",
        ),
        (
            {},
            URL,
            lambda: FakeNetworkStream([HEAD + b"he"]),
            f"{TRUNCATED} (http://origin.example:80)",
        ),
        (
            {},
            URL,
            lambda: FakeNetworkStream([HEAD, httpcore2.ReadError("reset")]),
            "reset (http://origin.example:80)",
        ),
        (
            {"uds": "/a/b"},
            URL,
            lambda: FakeNetworkStream([HEAD, httpcore2.ReadTimeout("late")]),
            "late (http://origin.example:80 at the unix socket /a/b)",
        ),
        ({}, URL, lambda: FakeNetworkStream([b"nonsense\r\n\r\n"]), " (http://origin.example:80)"),
    ],
)
def test_the_message_names_the_origin_and_its_route(
    runtime: TestedRuntime,
    options: dict[str, Any],
    url: str,
    outcome: Callable[[], Outcome],
    message: str,
) -> None:
    async def scenario() -> None:
        backend = FakeNetworkBackend(outcome())
        async with runtime.pool(network_backend=backend, **options) as pool:
            error = await failure(pool, url)
        assert str(error) == message or (message[0] == " " and str(error).endswith(message))

    runtime.run(scenario)


class UnwritableStream(FakeNetworkStream):
    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        raise httpcore2.WriteTimeout("late")


def test_the_message_of_a_failed_write_names_the_origin(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with runtime.pool(network_backend=FakeNetworkBackend(UnwritableStream())) as pool:
            assert str(await failure(pool, URL)) == "late (http://origin.example:80)"

    runtime.run(scenario)


def test_the_message_after_retries_names_the_origin_once(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        backend = FakeNetworkBackend(httpcore2.ConnectError("refused"))
        async with runtime.pool(network_backend=backend, retries=3) as pool:
            for _ in range(2):
                message = str(await failure(pool, URL))
                assert message == "refused (connecting to http://origin.example:80)"

    runtime.run(scenario)


def test_the_message_of_a_refused_request_names_the_origin(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with runtime.pool(network_backend=FakeNetworkBackend(FakeNetworkStream())) as pool:
            error = await failure(pool, URL, headers={"X": "a\r\nb"})
        assert isinstance(error, httpcore2.LocalProtocolError)
        assert str(error).endswith(" (http://origin.example:80)")

    runtime.run(scenario)


def test_the_message_of_a_total_timeout_names_the_origin_in_every_phase(
    runtime: TestedRuntime,
) -> None:
    async def scenario() -> None:
        extensions = {"timeout": {"total": 0.0}}
        async with runtime.pool(network_backend=FakeNetworkBackend(FakeNetworkStream())) as pool:
            message = str(await failure(pool, URL, extensions=extensions))
            assert message.endswith(" seconds. (connecting to http://origin.example:80)")
        async with runtime.pool(
            network_backend=FakeNetworkBackend(FakeNetworkStream()), max_connections=0
        ) as pool:
            error = await failure(pool, URL, extensions=extensions)
            assert isinstance(error, httpcore2.PoolTimeout)
            assert str(error).endswith(" seconds. (http://origin.example:80)")

    runtime.run(scenario)


def test_the_message_of_a_total_timeout_names_the_origin_between_retries(
    runtime: TestedRuntime,
) -> None:
    class SlowBackend(FakeNetworkBackend):
        async def connect_tcp(self, *args: Any, **options: Any) -> Any:
            end = time.monotonic() + 0.01
            while time.monotonic() < end:
                pass
            return await super().connect_tcp(*args, **options)

    async def scenario() -> None:
        backend = SlowBackend(httpcore2.ConnectError("refused"))
        async with runtime.pool(network_backend=backend, retries=1) as pool:
            error = await failure(pool, URL, extensions={"timeout": {"total": 0.01}})
        assert isinstance(error, httpcore2.ConnectTimeout)
        assert str(error).endswith(" seconds. (connecting to http://origin.example:80)")

    runtime.run(scenario)


def test_the_message_of_reading_a_closed_response_names_the_origin(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with (
            runtime.pool(network_backend=FakeNetworkBackend(FakeNetworkStream([HEAD]))) as pool,
            pool.stream("GET", URL) as reply,
        ):
            await reply.aclose()
            with pytest.raises(httpcore2.ReadError, match=r" \(http://origin.example:80\)$"):
                await reply.aread()

    runtime.run(scenario)


def test_a_network_error_keeps_its_cause(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool:
            error = await failure(pool, f"http://127.0.0.1:{port}/")
        assert isinstance(error.__cause__, OSError)
        assert str(error) == f"{error.__cause__} (connecting to http://127.0.0.1:{port})"

    with refusing_port() as port:
        runtime.run(scenario)


def test_the_message_names_a_unix_socket_by_its_path(
    runtime: TestedRuntime, tmp_path: Path
) -> None:
    path = tmp_path / "missing"

    async def scenario() -> None:
        async with runtime.pool(uds=str(path)) as pool:
            message = str(await failure(pool, "http://a/"))
        assert message.endswith(f" (connecting to http://a:80 at the unix socket {path})")

    runtime.run(scenario)


def test_the_message_of_a_failed_tls_handshake_names_the_origin(
    runtime: TestedRuntime, server_tls: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool:
            message = str(await failure(pool, server.url))
        assert message.endswith(f" (connecting to {server.origin})")
        assert "certificate" in message

    with scripted_server(lambda peer: None, tls=server_tls, allow_disconnect=True) as server:
        runtime.run(scenario)


def test_the_message_of_an_http2_error_names_the_stream(runtime: TestedRuntime) -> None:
    def handler(peer: Peer) -> None:
        origin = H2Peer(peer)
        first = origin.request()
        origin.head(first)
        origin.data(first, b"he")
        origin.reset(first, ErrorCodes.INTERNAL_ERROR)
        second = origin.request()
        origin.reset(second, ErrorCodes.INTERNAL_ERROR)
        origin.until_end()

    async def scenario() -> None:
        async with runtime.pool(http1=False, http2=True) as pool:
            for number in (1, 3):
                error = await failure(pool, server.url)
                assert isinstance(error, httpcore2.RemoteProtocolError)
                assert str(error).endswith(f" ({server.origin}, stream {number})")

    with scripted_server(handler, allow_disconnect=True) as server:
        runtime.run(scenario)


class CustomError(httpcore2.ConnectError):
    """An exception of a caller, which builds its own message."""

    def __str__(self) -> str:
        return "custom message"


@pytest.mark.parametrize("error", [CustomError(), httpcore2.ConnectError(5, "refused")])
def test_an_exception_of_a_callers_backend_gets_a_note(
    runtime: TestedRuntime, error: Exception
) -> None:
    message = str(error)

    async def scenario() -> None:
        async with runtime.pool(network_backend=FakeNetworkBackend(error)) as pool:
            with pytest.raises(httpcore2.ConnectError) as caught:
                await pool.request("GET", URL)
        assert str(caught.value) == message
        assert caught.value.__notes__[-1] == "(connecting to http://origin.example:80)"

    runtime.run(scenario)


@pytest.mark.parametrize(
    ("options", "scheme"),
    [
        ({}, "http"),
        ({}, "https"),
        ({"proxy": "http"}, "http"),
        ({"proxy": "http"}, "https"),
        ({"proxy": "socks5"}, "http"),
        ({"proxy": "socks4"}, "http"),
        ({"http1": False, "http2": True}, "http"),
    ],
    ids=str,
)
def test_the_limit_in_a_message_is_rounded_to_milliseconds(
    runtime: TestedRuntime, options: dict[str, Any], scheme: str
) -> None:
    def stay_silent(peer: Peer) -> None:
        peer.receive_until_close()

    async def scenario() -> None:
        given = dict(options)
        if "proxy" in given:
            given["proxy"] = httpcore2.Proxy(f"{given['proxy']}://127.0.0.1:{server.port}")
        # What is left of the total is a fraction with many digits.
        limits = {"timeout": {"total": 0.03}}
        async with runtime.pool(**given) as pool:
            with pytest.raises(httpcore2.TimeoutException) as caught:
                await pool.request("GET", f"{scheme}://127.0.0.1:{server.port}/", extensions=limits)
        numbers = re.findall(r"\d+\.\d+(?= seconds)", str(caught.value))
        assert numbers, caught.value
        assert all(len(number.partition(".")[2]) <= 3 for number in numbers), caught.value

    with scripted_server(stay_silent, allow_disconnect=True) as server:
        runtime.run(scenario)
