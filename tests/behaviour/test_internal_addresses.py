"""The example against forged requests: no request reaches an internal address, whatever the URL says."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import httpcore2

from ..support.resolvers import RecordingResolver
from ..support.runtimes import TestedRuntime
from ..support.scripted_servers import canned_responses, response, scripted_server

ROOT = Path(__file__).parents[2]
FINE = response(b"fine")


@pytest.fixture(scope="module")
def example() -> Any:
    path = ROOT / "examples" / "public_addresses.py"
    spec = importlib.util.spec_from_file_location("public_addresses", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.255.255.254", "::1"),  # loopback
        *("10.0.0.1", "172.16.0.1", "192.168.1.1", "fd00::1", "100.64.0.1"),  # private, shared
        *("169.254.169.254", "fe80::1", "fe80::1%1"),  # link-local, and the metadata of clouds
        *("0.0.0.0", "0.1.2.3", "::"),  # unspecified
        *("224.0.0.1", "239.255.255.250", "ff02::1"),  # multicast
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8"),  # IPv4-mapped
        *("64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:7f00:1::"),  # NAT64, 6to4, Teredo
        *("240.0.0.1", "255.255.255.255", "192.0.2.1", "2001:db8::1"),  # reserved, documentation
    ],
)
def test_an_address_that_is_not_public_is_refused(example: Any, address: str) -> None:
    assert not example.is_public(address)
    with pytest.raises(httpcore2.ConnectError, match="which is not public"):
        example.checked("h", ["8.8.8.8", address])


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.216.34", "2606:4700:4700::1111"])
def test_a_public_address_is_accepted(example: Any, address: str) -> None:
    assert example.checked("h", [address]) == [address]


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0.0.0.0",
        "localhost",
        "[::1]",
        "[::ffff:7f00:1]",
    ],
)
def test_no_form_of_a_host_reaches_this_machine(
    runtime: TestedRuntime, example: Any, host: str
) -> None:
    async def scenario() -> None:
        async with runtime.pool(resolver=example.PublicAddressesOnly()) as pool:
            with pytest.raises(httpcore2.ConnectError):
                await pool.request("GET", f"http://{host}:{server.port}/")

    with scripted_server(canned_responses([FINE])) as server:
        runtime.run(scenario)
        assert not server.accepted


def test_a_name_with_an_internal_address_is_refused(runtime: TestedRuntime, example: Any) -> None:
    async def scenario() -> None:
        resolver = example.PublicAddressesOnly()
        resolver._system = RecordingResolver({"rebind.example": ["8.8.8.8", "127.0.0.1"]})
        async with runtime.pool(resolver=resolver) as pool:
            with pytest.raises(
                httpcore2.ConnectError, match=r"has the address 127.0.0.1, which is"
            ):
                await pool.request("GET", f"http://rebind.example:{server.port}/")

    with scripted_server(canned_responses([FINE])) as server:
        runtime.run(scenario)
        assert not server.accepted


def test_the_connection_is_made_to_the_address_that_was_checked(
    runtime: TestedRuntime, example: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Rebinding(RecordingResolver):
        """Returns an internal address from the second query on."""

        async def aresolve(
            self, host: str, port: int, timeout: float | None = None
        ) -> Sequence[str]:
            found = await super().aresolve(host, port, timeout)
            self.table[host] = ["127.0.0.9"]
            return found

    # The server's address stands for a public one.
    monkeypatch.setattr(example, "is_public", lambda address: address == "127.0.0.1")

    async def scenario() -> None:
        resolver = example.PublicAddressesOnly()
        resolver._system = system = Rebinding({"rebind.example": ["127.0.0.1"]})
        async with runtime.pool(resolver=resolver) as pool:
            url = f"http://rebind.example:{server.port}/"
            for _ in range(2):
                result = await pool.request("GET", url, headers=[("Connection", "close")])
                assert result.content == b"fine"
                if len(system.queries) == 1:
                    system.table["rebind.example"] = ["127.0.0.1"]
            with pytest.raises(httpcore2.ConnectError, match=r"127.0.0.9, which is not public"):
                await pool.request("GET", url)
        assert len(system.queries) == 3

    with scripted_server(
        canned_responses([response(b"fine", b"Connection: close")]), allow_disconnect=True
    ) as server:
        runtime.run(scenario)
