"""The resolvers that come with the library: the operating system's, and a table.

Must not know: HTTP, the pool.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from .coroutines import run_blocking
from .detection import detect_backend
from .resolver_interfaces import AsyncResolver, Resolver, WrappingResolver, is_address
from .sync_backend import THREADS


class SystemResolver(Resolver, AsyncResolver):
    """Asks the operating system, as a pool without a `resolver` does: for resolvers that check or change its result.

    It serves threads and event loops.

    Example:
        ```python
        import httpcore2

        assert "127.0.0.1" in httpcore2.SystemResolver().resolve("localhost", 80, timeout=5.0)
        ```
    """

    def resolve(self, host: str, port: int, timeout: float | None = None) -> Sequence[str]:
        return run_blocking(THREADS.resolve(host, port, timeout))

    async def aresolve(self, host: str, port: int, timeout: float | None = None) -> Sequence[str]:
        return await detect_backend().resolve(host, port, timeout)


class StaticResolver(WrappingResolver):
    """Returns addresses from a table, as curl's `--resolve`, and asks another resolver for other hosts.

    The server is still sent, and must prove, the name of the URL. It serves threads and event loops.

    Args:
        addresses: one address or several for each host, which is given as `"www.example.com"` for all ports, or as
            `"www.example.com:8443"` for one. Names are compared without regard to case and to a final dot.
        otherwise: the resolver for other hosts, by default that of the operating system.

    Raises:
        ValueError: an address is malformed, a host has none, or a port is not from 0 to 65535.

    Example:
        Requests to this name go to another server.

        ```python
        import httpcore2

        resolver = httpcore2.StaticResolver({"staging.example.com": "203.0.113.5"})
        with httpcore2.ConnectionPool(resolver=resolver) as http:
            http.request("GET", "https://staging.example.com/")
        ```
    """

    def __init__(
        self,
        addresses: Mapping[str, str | Iterable[str]],
        *,
        otherwise: Resolver | AsyncResolver | None = None,
    ) -> None:
        super().__init__(SystemResolver() if otherwise is None else otherwise)
        self._table = {_key(host): _addresses(host, found) for host, found in addresses.items()}

    def resolve(self, host: str, port: int, timeout: float | None = None) -> Sequence[str]:
        return self._find(host, port) or self._ask(host, port, timeout)

    async def aresolve(self, host: str, port: int, timeout: float | None = None) -> Sequence[str]:
        return self._find(host, port) or await self._ask_async(host, port, timeout)

    def _find(self, host: str, port: int) -> Sequence[str]:
        name = _normalised(host)
        return self._table.get((name, port)) or self._table.get((name, None)) or ()


def _normalised(host: str) -> str:
    return host.removesuffix(".").lower()


def _key(host: str) -> tuple[str, int | None]:
    """Return host and port of a key of the table; the port is `None` for all ports."""
    name, colon, port = host.rpartition(":")
    if not colon or is_address(host):
        return _normalised(host.strip("[]")), None
    if not (port.isascii() and port.isdigit() and int(port) <= 65535):
        raise ValueError(
            f"addresses must name a host, or a host and a port from 0 to 65535, but got {host!r}."
        )
    return _normalised(name.strip("[]")), int(port)


def _addresses(host: str, found: str | Iterable[str]) -> Sequence[str]:
    addresses = (found,) if isinstance(found, str) else tuple(found)
    if not addresses:
        raise ValueError(f"addresses must hold one IP address or more for {host!r}, but got none.")
    for address in addresses:
        if not is_address(address):
            raise ValueError(
                f"addresses must hold IP addresses, such as '192.0.2.1', but got {address!r} for {host!r}."
            )
    return addresses
