"""The backends that the transport works with: they open `BackendStream`s, and have a runtime.

Must not know: sockets, HTTP, the pool.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Coroutine, Iterable, Sequence
from typing import Any, Generic, TypeVar

from .._exceptions import ConnectError, ConnectTimeout
from .attempts import AttemptLog
from .backend_stream import BackendStream
from .datagram_stream import DatagramStream
from .dial_listener import report_resolution
from .errors import connect_timeout
from .network_interfaces import (
    SOCKET_OPTION,
    AsyncNetworkBackend,
    AsyncNetworkStream,
    NetworkBackend,
)
from .resolver_interfaces import AsyncResolver, find_addresses
from .runtime import Deadline, Runtime

S = TypeVar("S", bound=AsyncNetworkStream)
T = TypeVar("T")


class RuntimeBackend(AsyncNetworkBackend):
    """Opens `BackendStream`s, and says which clock and which scheduling belong to them.

    Derive from it to bring a runtime of your own: implement `connect_tcp`, and `connect_unix_socket` and `resolve_ipv4`
    if they are needed.

    Attributes:
        runtime: the clock and the scheduling. Pools with this backend wait by it alone.

    Example:
        The backends of httpcore2 are of this class.

        ```python
        import httpcore2
        import httpcore2_core

        backend = httpcore2.AsyncIOBackend()
        assert isinstance(backend, httpcore2_core.RuntimeBackend)
        assert backend.runtime.now() <= backend.runtime.now()
        ```
    """

    runtime: Runtime

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> BackendStream:
        raise NotImplementedError

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> BackendStream:
        raise NotImplementedError

    async def connect_to(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
        *,
        resolver: AsyncResolver | None = None,
    ) -> BackendStream:
        """Connect over TCP to a host whose addresses a resolver may find. Pools call it for each new connection.

        The default calls `connect_tcp`, for each address in turn if there is a resolver, so that the `connect_tcp` of a
        derived class sees every attempt.

        Args:
            host: the name or the IP address.
            port: the port.
            timeout: the limit on resolving the name and connecting, in seconds; `None` is no limit.
            local_address: the address to connect from; `None` and `""` are any.
            socket_options: arguments for `setsockopt`, which are applied before connecting.
            resolver: finds the addresses of the host; `None` for the resolver of the operating system.

        Returns:
            The stream.

        Raises:
            ConnectTimeout: the connection was not established within `timeout`.
            ConnectError: the name was not resolved, or no address accepted the connection.
        """

        def connect(address: str, limit: float | None) -> Coroutine[Any, Any, BackendStream]:
            return self.connect_tcp(
                host=address,
                port=port,
                timeout=limit,
                local_address=local_address,
                socket_options=socket_options,
            )

        if resolver is None:
            return await connect(host, timeout)
        deadline = Deadline(timeout, self.runtime)
        resolving = self.resolve(host, port, timeout, resolver=resolver)
        addresses = await report_resolution(host, resolving, lambda texts: texts)
        log = AttemptLog(host, lambda address: (address, port))
        last: ConnectError | None = None
        for address in addresses:
            attempt = log.begin(address)
            try:
                return await connect(address, deadline.left())
            except ConnectError as exc:
                attempt.error = last = exc
            except ConnectTimeout as exc:
                log.add_to(exc)
                raise
        error = ConnectError()
        log.add_to(error)
        raise error from last

    async def connect_udp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> DatagramStream:
        """Open a stream of datagrams to and from a host, for HTTP/3.

        UDP has no connections: that the host can be reached shows when its first datagram comes back. If it has several
        addresses, the stream tries them one after the other (RFC 8305).

        Args:
            host: the name or the IP address.
            port: the port.
            timeout: the limit on resolving the name, in seconds; `None` is no limit.
            local_address: the address to send from, which also selects the address family. `None` and `""` are any.
            socket_options: arguments for `setsockopt`, which are applied before connecting.

        Returns:
            The stream.

        Raises:
            ConnectTimeout: the name was not resolved within `timeout`.
            ConnectError: the name was not resolved, there is no route to any address, or the backend has no UDP.
        """
        raise no_udp(self)

    async def connect_udp_to(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
        *,
        resolver: AsyncResolver | None = None,
    ) -> DatagramStream:
        """Open datagrams to a host whose addresses a resolver may find. Pools call it for each new connection.

        The default calls `connect_udp`, with the first address if there is a resolver.

        Args:
            host: the name or the IP address.
            port: the port.
            timeout: the limit on resolving the name, in seconds; `None` is no limit.
            local_address: the address to send from; `None` and `""` are any.
            socket_options: arguments for `setsockopt`, which are applied before connecting.
            resolver: finds the addresses of the host; `None` for the resolver of the operating system.

        Returns:
            The stream.

        Raises:
            ConnectTimeout: the name was not resolved within `timeout`.
            ConnectError: the name was not resolved, there is no route to any address, or the backend has no UDP.
        """
        if resolver is not None:
            host = (await self.resolve(host, port, timeout, resolver=resolver))[0]
        return await self.connect_udp(host, port, timeout, local_address, socket_options)

    @property
    def has_udp(self) -> bool:
        """Whether `connect_udp` is there, and may be used.

        Returns:
            `False` also for a class that overrides `connect_tcp` and inherits `connect_udp`: what the override guards
            or records must not be passed by.
        """
        return opens_datagrams(self)

    async def sleep(self, seconds: float) -> None:
        await self.runtime.sleep(seconds)

    async def resolve(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        *,
        resolver: AsyncResolver | None = None,
    ) -> Sequence[str]:
        """Find the IP addresses of a host.

        Args:
            host: the name or the IP address.
            port: the port that is going to be connected to.
            timeout: the limit on resolving the name, in seconds; `None` is no limit.
            resolver: finds the addresses; `None` for the resolver of the operating system.

        Returns:
            The addresses in text form, the preferred one first.

        Raises:
            ConnectTimeout: the name was not resolved within `timeout`.
            ConnectError: the name has no address, or the resolver refused it.
        """
        if resolver is None:
            return await self._resolve_by_system(host, port, timeout)
        deadline = Deadline(timeout, self.runtime)
        addresses: list[str] = []

        async def look_up() -> None:
            addresses.extend(await find_addresses(resolver, host, port, timeout))

        try:
            has_ended = await self.runtime.interruptible(look_up(), None, timeout)
        except (OSError, UnicodeError) as exc:
            raise ConnectError(str(exc)) from exc
        # A thread can't be cancelled, nor can a resolver that blocks its event loop.
        if not has_ended or deadline.left() == 0:
            raise connect_timeout(f"address of {host}", timeout)
        return addresses

    async def _resolve_by_system(
        self, host: str, port: int, timeout: float | None
    ) -> Sequence[str]:
        raise NotImplementedError

    async def resolve_ipv4(self, host: str, timeout: float | None = None) -> str:
        """Resolve a name to an IPv4 address, for SOCKS4 proxies, which accept no names.

        Args:
            host: the name or the IPv4 address.
            timeout: the limit on resolving the name, in seconds; `None` is no limit.

        Returns:
            An IPv4 address in text form.

        Raises:
            ConnectTimeout: the name was not resolved within `timeout`.
            ConnectError: the name has no IPv4 address.
        """
        raise NotImplementedError


def no_udp(backend: object) -> ConnectError:
    """Make the error for a backend without UDP."""
    return ConnectError(
        f"The network backend {type(backend).__name__} has no connect_udp method, which HTTP/3 needs: "
        "add one that returns a DatagramStream, or use HTTP/1.1 or HTTP/2."
    )


def opens_datagrams(backend: AsyncNetworkBackend | NetworkBackend) -> bool:
    """Whether datagrams may be sent by a backend's `connect_udp`.

    Not if its `connect_tcp` was overridden or replaced, and its `connect_udp` was not: what it guards or records must
    not be passed by.
    """
    kind = type(backend)
    for base in kind.__mro__:
        if "connect_udp" in vars(base):
            return base is not RuntimeBackend and "connect_tcp" not in vars(backend)
        if "connect_tcp" in vars(base):
            return False
    return False


class DelegatingBackend(AsyncNetworkBackend, Generic[S]):
    """Opens each connection with another backend, of the sync or the async API.

    Arguments are passed as httpcore2 has always passed them, by name: many backends accept the last ones as `**kwargs`.
    """

    @abstractmethod
    def _delegate(self) -> AsyncNetworkBackend | NetworkBackend:
        """Return the backend for the next call."""

    def _adapt(self, stream: Any) -> S:
        """Return a stream of the other backend as one of this backend's."""
        adapted: S = stream
        return adapted

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> S:
        connecting = self._delegate().connect_tcp(
            host=host,
            port=port,
            timeout=timeout,
            local_address=local_address,
            socket_options=socket_options,
        )
        return self._adapt(await result_of(connecting))

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> S:
        connecting = self._delegate().connect_unix_socket(
            path=path, timeout=timeout, socket_options=socket_options
        )
        return self._adapt(await result_of(connecting))

    async def sleep(self, seconds: float) -> None:
        await result_of(self._delegate().sleep(seconds))


async def result_of(call: Awaitable[T] | T) -> T:
    """Return the result of a call of the sync API, or await that of one of the async API."""
    return await call if isinstance(call, Awaitable) else call
