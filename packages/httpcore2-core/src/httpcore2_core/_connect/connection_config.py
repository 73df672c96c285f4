"""What a connection is made with, besides its origin: one object in place of the arguments of the public constructors.

A named tuple, not a dataclass: `dataclasses` imports `inspect`, which `import httpcore2` would have to wait for.
Must not know: pools, proxies, how a stream is opened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .._distributions import load_http2, load_http3
from .._http.trace import log
from .._net.network_interfaces import SOCKET_OPTION
from .._net.resolver_interfaces import AsyncResolver
from .._net.runtime_backend import RuntimeBackend
from .._net.ssl_context import shared_ssl_context

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
        http3: whether HTTP/3 may be used: where an origin offers it, or always, if nothing else is allowed.
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
    http3: bool = False

    @property
    def alpn_protocols(self) -> tuple[str, ...]:
        """The protocols to offer by ALPN (RFC 7301), the preferred one first."""
        if not self.http2:
            return ("http/1.1",)
        return ("h2", "http/1.1") if self.http1 else ("h2",)

    def check(self) -> None:
        """Refuse settings that allow no connection.

        Raises:
            ValueError: no protocol is allowed, a unix socket has a resolver, or HTTP/3 is the only protocol, and can't
                be used with the other settings.
            ImportError: HTTP/2 or HTTP/3 is allowed, and its distribution is not installed.
        """
        if not (self.http1 or self.http2 or self.http3):
            raise ValueError(
                "http1=False, http2=False leaves no protocol: let at least one be True."
            )
        if self.resolver is not None and self.uds is not None:
            raise ValueError(
                f"resolver must be None with uds={self.uds!r}, since no name is resolved for a unix socket."
            )
        if self.http2:
            load_http2("http2=True")
        if self.http3:
            load_http3("http3=True")
            problem = self.http3_problem()
            if problem is not None and self.is_http3_only:
                raise ValueError(f"http3=True can't be the only protocol: {problem}.")

    @property
    def is_http3_only(self) -> bool:
        """Whether HTTP/3 is used by prior knowledge, and nothing else."""
        return self.http3 and not (self.http1 or self.http2)

    def http3_problem(self) -> str | None:
        """Return why HTTP/3 can't be used with the other settings; `None` if it can."""
        if self.uds is not None:
            return f"uds={self.uds!r} is a unix socket, and HTTP/3 needs UDP"
        backend = self.network_backend
        if backend is not None and not backend.has_udp:
            return "the network_backend has no connect_udp method of its own"
        # The default one may be the system's trust store, or have a key log.
        context = self.ssl_context or shared_ssl_context(("h3",))
        problem: str | None = load_http3("http3=True").problem_of(context)
        if problem is not None:
            which = "default TLS context" if self.ssl_context is None else "ssl_context"
            return f"the {which} can't be used for it, since {problem}"
        return None

    def without_unusable_http3(self, proxy_problem: str | None = None) -> ConnectionConfig:
        """Return the settings without HTTP/3, if that can't be used with the others; the log says why.

        Args:
            proxy_problem: why a proxy excludes it.
        """
        if not self.http3 or self.is_http3_only:
            return self
        problem = proxy_problem or self.http3_problem()
        if problem is None:
            return self
        log("connection", f"http3=True has no effect: {problem}.")
        return self._replace(http3=False)
