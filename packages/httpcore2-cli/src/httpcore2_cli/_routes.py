"""Where connections go: given addresses (--resolve), and other hosts and ports than those of the URL (--connect-to).

Must not know: HTTP, TLS, options.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from httpcore2_core import (
    SOCKET_OPTION,
    AsyncNetworkBackend,
    AsyncNetworkStream,
    AsyncResolver,
    NetworkBackend,
    NetworkStream,
    Resolver,
    SystemResolver,
)
from httpcore2_core._net.resolver_interfaces import is_address

Redirect = tuple[str, int, str, int]
"""A host and a port of URLs, and those to connect to. An empty host and the port 0 stand for any, and for the same."""

Addresses = tuple[str, int, tuple[str, ...]]
"""A host, a port, and the addresses of that host."""


class Route:
    """Decides where a connection goes.

    Args:
        connect_to: the first entry that matches counts.
        resolve: addresses of hosts, those that follow from `connect_to` too. The host `*` stands for any.
    """

    def __init__(self, connect_to: Iterable[Redirect], resolve: Iterable[Addresses]) -> None:
        self._connect_to = tuple(connect_to)
        self._resolve = tuple(resolve)

    def target(self, host: str, port: int) -> tuple[str, int]:
        """Return the host, or its address, and the port to connect to."""
        for from_host, from_port, to_host, to_port in self._connect_to:
            if from_host in ("", host.lower()) and from_port in (0, port):
                host, port = to_host or host, to_port or port
                break
        return next(iter(self.addresses(host, port)), host), port

    def addresses(self, host: str, port: int) -> tuple[str, ...]:
        """Return the addresses that were given for a host and port; none if the resolver of the system is asked."""
        for name, number, addresses in self._resolve:
            if name in ("*", host.lower()) and number == port:
                return addresses
        return ()


class TimedResolver(Resolver, AsyncResolver):
    """Finds the addresses of hosts, and reports when it begins and ends to do so. It serves threads and event loops.

    Args:
        route: the addresses that were given.

    Attributes:
        on_start: called before a name is looked up.
        on_end: called afterwards.
    """

    def __init__(self, route: Route) -> None:
        self.on_start: Callable[[], None] = nothing
        self.on_end: Callable[[], None] = nothing
        self._route = route
        self._system = SystemResolver()

    def resolve(self, host: str, port: int, timeout: float | None = None) -> Sequence[str]:
        given = self._route.addresses(host, port)
        if given or is_address(host):
            return given or self._system.resolve(host, port, timeout)
        self.on_start()
        addresses = self._system.resolve(host, port, timeout)
        self.on_end()
        return addresses

    async def aresolve(self, host: str, port: int, timeout: float | None = None) -> Sequence[str]:
        given = self._route.addresses(host, port)
        if given or is_address(host):
            return given or await self._system.aresolve(host, port, timeout)
        self.on_start()
        addresses = await self._system.aresolve(host, port, timeout)
        self.on_end()
        return addresses


def nothing() -> None:
    """Do nothing."""


class RoutedBackend(NetworkBackend):
    """A network backend for threads, with a route."""

    def __init__(self, backend: NetworkBackend, route: Route) -> None:
        self._backend = backend
        self._route = route

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> NetworkStream:
        host, port = self._route.target(host, port)
        return self._backend.connect_tcp(host, port, timeout, local_address, socket_options)

    def connect_udp(self, host: str, port: int, *options: Any, **named: Any) -> Any:
        connect: Any = getattr(self._backend, "connect_udp")  # noqa: B009 - optional in the interface
        return connect(*self._route.target(host, port), *options, **named)

    def connect_unix_socket(self, path: str, *options: Any, **named: Any) -> NetworkStream:
        return self._backend.connect_unix_socket(path, *options, **named)


class AsyncRoutedBackend(AsyncNetworkBackend):
    """A network backend for event loops, with a route."""

    def __init__(self, backend: AsyncNetworkBackend, route: Route) -> None:
        self._backend = backend
        self._route = route

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        host, port = self._route.target(host, port)
        return await self._backend.connect_tcp(host, port, timeout, local_address, socket_options)

    async def connect_udp(self, host: str, port: int, *options: Any, **named: Any) -> Any:
        connect: Any = getattr(self._backend, "connect_udp")  # noqa: B009 - optional in the interface
        return await connect(*self._route.target(host, port), *options, **named)

    async def connect_unix_socket(
        self, path: str, *options: Any, **named: Any
    ) -> AsyncNetworkStream:
        return await self._backend.connect_unix_socket(path, *options, **named)
