"""Fetch a URL that a user gave, from public addresses alone: `python examples/public_addresses.py URL`.

The resolver is asked for the host of each new connection, IP addresses included, and the connection is made to the
addresses that it returns. So no second look-up can have another result.
"""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Sequence

import httpcore2

TIMEOUTS = {"pool": 5.0, "connect": 5.0, "read": 10.0, "write": 10.0}
GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")


class PublicAddressesOnly(httpcore2.Resolver, httpcore2.AsyncResolver):
    """Asks the operating system, and refuses hosts with an address that is not public."""

    def __init__(self) -> None:
        self._system = httpcore2.SystemResolver()

    def resolve(self, host: str, port: int, timeout: float | None = None) -> Sequence[str]:
        return checked(host, self._system.resolve(host, port, timeout))

    async def aresolve(self, host: str, port: int, timeout: float | None = None) -> Sequence[str]:
        return checked(host, await self._system.aresolve(host, port, timeout))


def checked(host: str, addresses: Sequence[str]) -> Sequence[str]:
    """Return the addresses of a host; raise `ConnectError` if one of them is not public."""
    for address in addresses:
        if not is_public(address):
            raise httpcore2.ConnectError(f"{host} has the address {address}, which is not public.")
    return addresses


def is_public(address: str) -> bool:
    """Whether an address is neither private, loopback, link-local, unspecified, multicast nor reserved.

    IPv6 addresses that hold an IPv4 address (mapped, NAT64, 6to4, Teredo) are not: they may lead to an internal one.
    """
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address) and (
        ip not in GLOBAL_UNICAST or ip.sixtofour is not None or ip.teredo is not None
    ):
        return False
    return ip.is_global and not ip.is_multicast


def main(url: str) -> None:
    with httpcore2.ConnectionPool(resolver=PublicAddressesOnly()) as http:
        try:
            response = http.request("GET", url, extensions={"timeout": TIMEOUTS})
        except httpcore2.ConnectError as exc:
            raise SystemExit(f"refused: {exc}") from exc
    print(response, len(response.content), "bytes")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(sys.argv[1])
