"""The table of `StaticResolver`, the system's resolver, and the checks of what resolvers return."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

import pytest

from httpcore2_core import (
    AsyncResolver,
    ConnectError,
    Resolver,
    RuntimeBackend,
    StaticResolver,
    SystemResolver,
)
from httpcore2_core._net.coroutines import run_blocking
from httpcore2_core._net.resolver_interfaces import is_address
from httpcore2_core._net.socket_backend import numeric, text_of
from httpcore2_core._net.sync_backend import THREADS

from ...support.resolvers import AsyncOnlyResolver, RecordingResolver, SyncOnlyResolver


def test_a_table_is_looked_up_by_host_and_by_host_and_port() -> None:
    resolver = StaticResolver(
        {
            "www.example.com": "192.0.2.1",
            "WWW.Example.com.:8443": ["192.0.2.2", "2001:db8::2"],
            "203.0.113.9": "192.0.2.3",
            "2001:db8::9": "192.0.2.4",
            "[2001:db8::9]:81": "192.0.2.5",
        }
    )
    assert resolver.resolve("www.example.com", 443) == ("192.0.2.1",)
    assert resolver.resolve("WWW.EXAMPLE.COM.", 443) == ("192.0.2.1",)
    assert resolver.resolve("www.example.com", 8443) == ("192.0.2.2", "2001:db8::2")
    assert resolver.resolve("203.0.113.9", 80) == ("192.0.2.3",)
    assert resolver.resolve("2001:db8::9", 80) == ("192.0.2.4",)
    assert resolver.resolve("2001:db8::9", 81) == ("192.0.2.5",)
    assert run_blocking(resolver.aresolve("www.example.com", 443)) == ("192.0.2.1",)


def test_other_hosts_are_left_to_the_other_resolver() -> None:
    other = RecordingResolver({"other.example": ["192.0.2.7"]})
    resolver = StaticResolver({"www.example.com:8443": "192.0.2.1"}, otherwise=other)
    assert resolver.resolve("other.example", 80, 3.0) == ["192.0.2.7"]
    assert run_blocking(resolver.aresolve("other.example", 81, 4.0)) == ["192.0.2.7"]
    assert other.queries == [("other.example", 80), ("other.example", 81)]
    assert other.timeouts == [3.0, 4.0]


def test_the_other_resolver_has_to_serve_the_api_in_use() -> None:
    with pytest.raises(TypeError, match="got AsyncOnlyResolver inside StaticResolver"):
        StaticResolver({}, otherwise=AsyncOnlyResolver()).resolve("h", 80)
    with pytest.raises(TypeError, match="got SyncOnlyResolver inside StaticResolver"):
        run_blocking(StaticResolver({}, otherwise=SyncOnlyResolver()).aresolve("h", 80))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            {"h": "example.com"},
            "must hold IP addresses, such as '192.0.2.1', but got 'example.com'",
        ),
        ({"h": ["192.0.2.1", "127.1"]}, "but got '127.1' for 'h'"),
        ({"h": []}, "must hold one IP address or more for 'h', but got none"),
        ({"h:65536": "192.0.2.1"}, "a port from 0 to 65535, but got 'h:65536'"),
        ({"h:http": "192.0.2.1"}, "but got 'h:http'"),
        ({"h:": "192.0.2.1"}, "but got 'h:'"),
    ],
)
def test_a_table_with_a_bad_entry_is_refused(table: Any, message: str) -> None:
    with pytest.raises(ValueError, match=r"^addresses must") as caught:
        StaticResolver(table)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "host", ["192.0.2.1", "::1", "2001:db8::1", "fe80::1%2", "::ffff:127.0.0.1"]
)
def test_an_address_in_its_usual_form_is_one(host: str) -> None:
    assert is_address(host)


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1", "", "[::1]"])
def test_an_abbreviated_address_is_a_name(host: str) -> None:
    assert not is_address(host)


def test_the_system_resolves_abbreviated_addresses_to_their_usual_form() -> None:
    assert SystemResolver().resolve("127.1", 80) == ["127.0.0.1"]
    assert SystemResolver().resolve("2130706433", 80, timeout=5.0) == ["127.0.0.1"]


def test_the_system_reports_each_address_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def twice(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1", port, 0, 7)),
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("2001:db8::1", port, 0, 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", port)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", port)),
        ]

    monkeypatch.setattr(socket, "getaddrinfo", twice)
    assert SystemResolver().resolve("h", 80) == ["fe80::1%7", "2001:db8::1", "192.0.2.1"]


def test_a_name_that_the_system_can_not_resolve_is_a_connect_error() -> None:
    with pytest.raises(ConnectError):
        SystemResolver().resolve("a" * 64, 80, timeout=5.0)


def test_the_zone_of_an_address_stays() -> None:
    [address] = numeric("fe80::1%1", 80, socket.AF_UNSPEC)
    assert address[4][3] == 1
    assert text_of(address).startswith("fe80::1%")
    assert numeric("fe80::1%1", 80, socket.AF_INET) == ()
    assert numeric("192.0.2.1", 80, socket.AF_INET6) == ()


def test_a_backend_resolves_by_the_system_without_a_resolver() -> None:
    assert run_blocking(THREADS.resolve("127.0.0.1", 80)) == ["127.0.0.1"]


def test_the_interfaces_have_no_default() -> None:
    with pytest.raises(NotImplementedError):
        Resolver().resolve("h", 80)
    with pytest.raises(NotImplementedError):
        run_blocking(AsyncResolver().aresolve("h", 80))
    with pytest.raises(NotImplementedError):
        run_blocking(RuntimeBackend().resolve("h", 80))


def test_addresses_may_be_objects_that_print_as_one() -> None:
    import ipaddress

    class Objects(Resolver):
        def resolve(self, host: str, port: int, timeout: float | None = None) -> Sequence[Any]:
            return [ipaddress.ip_address("192.0.2.1")]

    from httpcore2_core._net.resolver_interfaces import adapt_sync_resolver

    resolver = adapt_sync_resolver(Objects())
    assert run_blocking(THREADS.resolve("h", 80, resolver=resolver)) == ["192.0.2.1"]
