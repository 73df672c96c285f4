"""The public interfaces of resolvers, which find the addresses of a host, and their adapters.

Rules: a resolver is asked for each host that the transport connects to, IP addresses included, so that it may refuse
any of them. What it returns is checked here, and is connected to without another look-up.
Must not know: sockets, HTTP, the pool.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._exceptions import ConnectError


class Resolver:
    """Base class of resolvers for threads, which find the IP addresses of a host. A pool accepts one as `resolver`.

    The transport connects to the addresses that it returns, and looks up nothing else. It is called for the host of
    each new connection, also if that is an IP address already. Threads may call it at the same time.

    Example:
        This resolver prints each name, and asks the operating system for its addresses.

        ```python
        import httpcore2


        class PrintingResolver(httpcore2.Resolver):
            def __init__(self):
                self.system = httpcore2.SystemResolver()

            def resolve(self, host, port, timeout=None):
                addresses = self.system.resolve(host, port, timeout)
                print(host, addresses)
                return addresses


        with httpcore2.ConnectionPool(resolver=PrintingResolver()) as http:
            http.request("GET", "https://www.example.com/")
        ```
    """

    def resolve(self, host: str, port: int, timeout: float | None = None) -> Sequence[str]:
        """Return the IP addresses of a host.

        Args:
            host: the name, or an IP address: the host of the URL, or that of the proxy.
            port: the port that is going to be connected to.
            timeout: what is left of the `connect` timeout, in seconds; `None` is no limit.

        Returns:
            The addresses as text, such as `["2001:db8::1", "192.0.2.1"]`, the preferred one first. Families are
            tried in turn (RFC 8305, section 4).

        Raises:
            OSError: the host has no address, or was not resolved. The request fails with `ConnectError`.
            ConnectError: the address is refused.
            ConnectTimeout: the host was not resolved within `timeout`.
        """
        raise NotImplementedError


class AsyncResolver:
    """Base class of resolvers for event loops, which find the IP addresses of a host. A pool accepts one as `resolver`.

    The transport connects to the addresses that it returns, and looks up nothing else. It is called for the host of
    each new connection, also if that is an IP address already. It is cancelled when the `connect` timeout has passed.

    Example:
        This resolver prints each name, and asks the operating system for its addresses.

        ```python
        import asyncio

        import httpcore2


        class PrintingResolver(httpcore2.AsyncResolver):
            def __init__(self):
                self.system = httpcore2.SystemResolver()

            async def aresolve(self, host, port, timeout=None):
                addresses = await self.system.aresolve(host, port, timeout)
                print(host, addresses)
                return addresses


        async def main():
            async with httpcore2.AsyncConnectionPool(resolver=PrintingResolver()) as http:
                await http.request("GET", "https://www.example.com/")


        asyncio.run(main())
        ```
    """

    async def aresolve(self, host: str, port: int, timeout: float | None = None) -> Sequence[str]:
        """Return the IP addresses of a host.

        Args:
            host: the name, or an IP address: the host of the URL, or that of the proxy.
            port: the port that is going to be connected to.
            timeout: what is left of the `connect` timeout, in seconds; `None` is no limit.

        Returns:
            The addresses as text, such as `["2001:db8::1", "192.0.2.1"]`, the preferred one first. Families are
            tried in turn (RFC 8305, section 4).

        Raises:
            OSError: the host has no address, or was not resolved. The request fails with `ConnectError`.
            ConnectError: the address is refused.
            ConnectTimeout: the host was not resolved within `timeout`.
        """
        raise NotImplementedError


class SyncResolverAdapter(AsyncResolver):
    """Adapts a resolver for threads to the transport's coroutines."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    async def aresolve(self, host: str, port: int, timeout: float | None = None) -> Sequence[str]:
        return self._resolver.resolve(host, port, timeout)


def adapt_sync_resolver(resolver: Resolver | None) -> AsyncResolver | None:
    """Return the `resolver` of a pool for threads for the transport.

    Raises:
        TypeError: it is not a `Resolver`.
    """
    if resolver is None:
        return None
    check_resolver(resolver, Resolver)
    return SyncResolverAdapter(resolver)


def adapt_async_resolver(resolver: AsyncResolver | None) -> AsyncResolver | None:
    """Return the `resolver` of a pool for event loops for the transport.

    Raises:
        TypeError: it is not an `AsyncResolver`.
    """
    if resolver is not None:
        check_resolver(resolver, AsyncResolver)
    return resolver


class WrappingResolver(Resolver, AsyncResolver):
    """Base class of resolvers that ask another one, and serve the same API as that one.

    Attributes:
        inner: the other one.
    """

    def __init__(self, inner: Resolver | AsyncResolver) -> None:
        if not isinstance(inner, (Resolver, AsyncResolver)):
            check_resolver(inner, Resolver)  # raises
        self.inner = inner

    def _ask(self, host: str, port: int, timeout: float | None) -> Sequence[str]:
        check_resolver(self, Resolver)
        assert isinstance(self.inner, Resolver), "it was checked"
        return self.inner.resolve(host, port, timeout)

    async def _ask_async(self, host: str, port: int, timeout: float | None) -> Sequence[str]:
        check_resolver(self, AsyncResolver)
        assert isinstance(self.inner, AsyncResolver), "it was checked"
        return await self.inner.aresolve(host, port, timeout)


def check_resolver(resolver: object, interface: type[Resolver | AsyncResolver]) -> None:
    """Refuse an object that is not of the interface of its API.

    Raises:
        TypeError: `resolver`, or the one that it asks, is not.
    """
    asked = resolver
    while isinstance(asked, WrappingResolver):
        asked = asked.inner
    if not isinstance(asked, interface):
        owner = "" if asked is resolver else f" inside {type(resolver).__name__}"
        raise TypeError(
            f"resolver must be derived from {interface.__name__}, but got {type(asked).__name__}{owner}. "
            "Pools for threads take a Resolver, and those for event loops an AsyncResolver."
        )


async def find_addresses(
    resolver: AsyncResolver, host: str, port: int, timeout: float | None
) -> list[str]:
    """Return the addresses that a resolver finds, checked.

    Raises:
        ConnectError: there is no address, or one is malformed.
        TypeError: the resolver returned no sequence.
        OSError: the resolver failed.
    """
    found: Any = await resolver.aresolve(host, port, timeout)
    name = type(resolver).__name__
    if isinstance(found, (str, bytes)):
        raise TypeError(
            f"{name} must return a sequence of addresses, but got {type(found).__name__}."
        )
    addresses = [str(address) for address in found]
    if not addresses:
        raise ConnectError(f"The resolver returned no address for {host}.")
    for address in addresses:
        if not is_address(address):
            raise ConnectError(
                f"The resolver returned {address!r} for {host}, which is not an IP address."
            )
    return addresses


def is_address(host: str) -> bool:
    """Whether `host` is an IP address in text form, with or without a zone.

    The abbreviations that some systems accept, such as `127.1`, are names: a resolver that checks addresses must see
    them as the numbers that are connected to.
    """
    import ipaddress  # takes a millisecond, which a program without a resolver does not need

    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
