"""What a connection is made with, besides its origin: one object in place of the arguments of the public constructors.

A named tuple, not a dataclass: `dataclasses` imports `inspect`, which `import httpcore2` would have to wait for.
Must not know: pools, proxies, how a stream is opened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .._distributions import load_http2
from .._net.network_interfaces import SOCKET_OPTION
from .._net.resolver_interfaces import AsyncResolver
from .._net.runtime_backend import RuntimeBackend

if TYPE_CHECKING:
    import ssl


class ConnectionConfig(NamedTuple):
    """The settings of connections.

    Attributes:
        ssl_context: for TLS with the origin; `None` for the shared default of the offered protocols.
        keepalive_expiry: seconds after which an idle connection counts as expired; `None` for never.
        http1: whether HTTP/1.1 may be used.
        http2: whether HTTP/2 may be used.
        retries: how often a failed connection attempt is repeated, after 0, 0.5, 1, 2, … seconds.
        local_address: the address to connect from; `None` lets the system choose.
        uds: the path of a unix socket to connect to, in place of TCP; `None` for TCP.
        network_backend: opens the streams; `None` for the backend of the running event loop.
        socket_options: arguments of `setsockopt`, applied before connecting.
        resolver: finds the addresses of hosts; `None` for the resolver of the operating system.
    """

    ssl_context: ssl.SSLContext | None = None
    keepalive_expiry: float | None = None
    http1: bool = True
    http2: bool = False
    retries: int = 0
    local_address: str | None = None
    uds: str | None = None
    network_backend: RuntimeBackend | None = None
    socket_options: list[SOCKET_OPTION] | None = None
    resolver: AsyncResolver | None = None

    @property
    def alpn_protocols(self) -> tuple[str, ...]:
        """The protocols to offer by ALPN (RFC 7301), the preferred one first."""
        if not self.http2:
            return ("http/1.1",)
        return ("h2", "http/1.1") if self.http1 else ("h2",)

    def check(self) -> None:
        """Refuse settings that allow no connection.

        Raises:
            ValueError: neither HTTP/1.1 nor HTTP/2 is allowed, or a unix socket has a resolver.
            ImportError: HTTP/2 is allowed, and its distribution is not installed.
        """
        if not (self.http1 or self.http2):
            raise ValueError(
                "http1=False, http2=False leaves no protocol: let at least one be True."
            )
        if self.resolver is not None and self.uds is not None:
            raise ValueError(
                f"resolver must be None with uds={self.uds!r}, since no name is resolved for a unix socket."
            )
        if self.http2:
            load_http2("http2=True")
