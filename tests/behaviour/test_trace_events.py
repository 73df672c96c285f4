"""The events that requests report are those of the table, with its payloads."""

from __future__ import annotations

import asyncio
from typing import Any

from benchmarks.micro.peers import SETTINGS, http2_answer

import httpcore2
from httpcore2_core._http.trace_events import TRACED_OPERATIONS

from ..support.fake_network import FakeNetworkBackend, FakeNetworkStream
from ..support.scripted_proxies import ESTABLISHED
from ..support.scripted_servers import response

PAYLOADS: dict[str, list[set[str]]] = {}
for operation in TRACED_OPERATIONS:
    payloads = [operation.started, operation.over_unix_socket]
    PAYLOADS[f"{operation.name}.started"] = [set(each) for each in payloads if each is not None]
    PAYLOADS[f"{operation.name}.complete"] = [{"return_value"}]
    PAYLOADS[f"{operation.name}.failed"] = [{"exception"}]

FINE = response(b"fine")
SOCKS5 = [b"\x05\x00", b"\x05\x00\x00\x01" + bytes(6)]
SOCKS4 = [b"\x00\x5a" + bytes(6)]
HTTP2 = {"http1": False, "http2": True}
BROKEN = httpcore2.ReadError("broken")
REFUSED = httpcore2.ConnectError("refused")
NO_TLS = httpcore2.ConnectError("no TLS")


class WithoutTLS(FakeNetworkStream):
    """A stream whose handshakes fail."""

    async def start_tls(self, *args: Any, **kwargs: Any) -> httpcore2.AsyncNetworkStream:
        raise NO_TLS


class WithoutWrites(FakeNetworkStream):
    """A stream that takes nothing."""

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        raise httpcore2.WriteTimeout("full")


def proxy(scheme: str) -> dict[str, Any]:
    return {"proxy": httpcore2.Proxy(f"{scheme}://proxy")}


# What connects, the pool's options, the URL, and whether the request fails.
CASES: dict[str, tuple[list[FakeNetworkStream | Exception], dict[str, Any], str, bool]] = {
    "HTTP/1.1": ([FakeNetworkStream([FINE])], {}, "http://h/", False),
    "HTTPS": ([FakeNetworkStream([FINE])], {}, "https://h/", False),
    "a unix socket": ([FakeNetworkStream([FINE])], {"uds": "/socket"}, "http://h/", False),
    "a second attempt": ([REFUSED, FakeNetworkStream([FINE])], {"retries": 1}, "http://h/", False),
    "a second attempt at a unix socket": (
        [REFUSED, FakeNetworkStream([FINE])],
        {"uds": "/socket", "retries": 1},
        "http://h/",
        False,
    ),
    "no connection": ([REFUSED], {}, "http://h/", True),
    "no unix socket": ([REFUSED], {"uds": "/socket"}, "http://h/", True),
    "no TLS": ([WithoutTLS()], {}, "https://h/", True),
    "no write": ([WithoutWrites()], {}, "http://h/", True),
    "no head": ([FakeNetworkStream([BROKEN])], {}, "http://h/", True),
    "no body": ([FakeNetworkStream([FINE[:-1], BROKEN])], {}, "http://h/", True),
    "HTTP/2": ([FakeNetworkStream([SETTINGS + http2_answer(1)])], HTTP2, "http://h/", False),
    "HTTP/2, no write": ([WithoutWrites()], HTTP2, "http://h/", True),
    "HTTP/2, no head": ([FakeNetworkStream([SETTINGS, BROKEN])], HTTP2, "http://h/", True),
    "HTTP/2, no body": (
        [FakeNetworkStream([SETTINGS + http2_answer(1)[:-1], BROKEN])],
        HTTP2,
        "http://h/",
        True,
    ),
    "forwarded": ([FakeNetworkStream([FINE])], proxy("http"), "http://h/", False),
    "an HTTPS proxy": ([FakeNetworkStream([FINE])], proxy("https"), "http://h/", False),
    "tunnelled": ([FakeNetworkStream([ESTABLISHED, FINE])], proxy("http"), "https://h/", False),
    "no tunnel": ([FakeNetworkStream([BROKEN])], proxy("http"), "https://h/", True),
    "no TLS in the tunnel": ([WithoutTLS([ESTABLISHED])], proxy("http"), "https://h/", True),
    "SOCKS5": ([FakeNetworkStream([*SOCKS5, FINE])], proxy("socks5"), "https://h/", False),
    "SOCKS4": ([FakeNetworkStream([*SOCKS4, FINE])], proxy("socks4a"), "http://h/", False),
    "SOCKS over a unix socket": (
        [FakeNetworkStream([*SOCKS4, FINE])],
        {**proxy("socks4a"), "uds": "/socket"},
        "http://h/",
        False,
    ),
    "SOCKS, a second attempt": (
        [REFUSED, FakeNetworkStream([*SOCKS4, FINE])],
        {**proxy("socks4a"), "retries": 1},
        "http://h/",
        False,
    ),
    "no SOCKS5": ([FakeNetworkStream([BROKEN])], proxy("socks5"), "http://h/", True),
    "no SOCKS4": (
        [FakeNetworkStream([b"\x00\x5b" + bytes(6)])],
        proxy("socks4a"),
        "http://h/",
        True,
    ),
    "no TLS over SOCKS": ([WithoutTLS(SOCKS5)], proxy("socks5"), "https://h/", True),
}


async def events_of(
    outcomes: list[FakeNetworkStream | Exception], options: dict[str, Any], url: str, fails: bool
) -> list[tuple[str, set[str]]]:
    events: list[tuple[str, set[str]]] = []

    async def trace(name: str, info: dict[str, Any]) -> None:
        events.append((name, set(info)))

    backend = FakeNetworkBackend(*outcomes)
    async with httpcore2.AsyncConnectionPool(network_backend=backend, **options) as pool:
        try:
            await pool.request("GET", url, extensions={"trace": trace})
        except Exception:
            assert fails
        else:
            assert not fails
    return events


async def events_of_a_wait(fails: bool) -> list[tuple[str, set[str]]]:
    """The events of a request that waits for the connection of another one."""
    events: list[tuple[str, set[str]]] = []

    async def trace(name: str, info: dict[str, Any]) -> None:
        events.append((name, set(info)))

    backend = FakeNetworkBackend(FakeNetworkStream([FINE, FINE]))
    extensions = {"trace": trace, "timeout": {"pool": 0.0 if fails else None}}
    async with httpcore2.AsyncConnectionPool(network_backend=backend, max_connections=1) as pool:
        async with pool.stream("GET", "http://h/") as held:
            waiting = asyncio.create_task(pool.request("GET", "http://h/", extensions=extensions))
            while not events or (fails and not waiting.done()):
                await asyncio.sleep(0)
            await held.aread()
        try:
            await waiting
        except httpcore2.PoolTimeout:
            assert fails
        else:
            assert not fails
    return events


def test_a_request_that_waits_for_a_connection_reports_the_wait() -> None:
    wait = "connection_pool.wait_for_connection"
    events = [name for name, _ in asyncio.run(events_of_a_wait(fails=False))]
    assert events[:3] == [
        f"{wait}.started",
        f"{wait}.complete",
        "http11.send_request_headers.started",
    ]
    events = [name for name, _ in asyncio.run(events_of_a_wait(fails=True))]
    assert events == [f"{wait}.started", f"{wait}.failed"]


def test_requests_report_the_events_of_the_table_and_no_others() -> None:
    seen = set()
    for name, case in CASES.items():
        for event, keys in asyncio.run(events_of(*case)):
            assert keys in PAYLOADS[event], f"{event} of {name!r}"
            seen.add(event)
    for event, keys in asyncio.run(events_of_a_wait(fails=False)):
        assert keys in PAYLOADS[event]
        seen.add(event)
    for operation in TRACED_OPERATIONS:
        if operation.name.startswith(("http3.", "connection.connect_udp", "connection.quic_")):
            continue  # tests/http3/test_requests.py has these
        assert f"{operation.name}.started" in seen
        assert f"{operation.name}.complete" in seen
    failed = {event.removesuffix(".failed") for event in seen if event.endswith(".failed")}
    assert failed >= {
        "connection.connect_tcp",
        "connection.connect_unix_socket",
        "connection.start_tls",
        "proxy.start_tls",
        "socks.setup_socks4_connection",
        "socks.setup_socks5_connection",
        "socks.start_tls",
        "http11.send_request_headers",
        "http11.receive_response_headers",
        "http11.receive_response_body",
        "http2.send_connection_init",
        "http2.receive_response_headers",
        "http2.receive_response_body",
    }
