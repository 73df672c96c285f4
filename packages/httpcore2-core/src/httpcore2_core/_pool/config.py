"""What a pool is made with: one object in place of the arguments of the public constructors.

Must not know: how a connection is made.
"""

from __future__ import annotations

from typing import NamedTuple

from .._connect.connection_config import ConnectionConfig
from .._connect.proxies import check_proxy
from .._models import Proxy


class PoolConfig(NamedTuple):
    """The settings of a pool.

    Attributes:
        connection: the settings of its connections.
        proxy: the proxy that they go through; `None` for none.
        max_connections: how many connections may be open at a time; `None` for any number.
        max_keepalive_connections: how many of them may be idle; `None` for all.
    """

    connection: ConnectionConfig
    proxy: Proxy | None = None
    max_connections: int | None = 10
    max_keepalive_connections: int | None = None

    @property
    def multiplexing_schemes(self) -> tuple[bytes, ...]:
        """The schemes whose connections may turn out to be HTTP/2: by ALPN, or because HTTP/1.1 is not allowed."""
        if not self.connection.http2:
            return ()
        return (b"https", b"wss") if self.connection.http1 else (b"https", b"wss", b"http", b"ws")

    def check(self) -> None:
        """Refuse settings that no pool can have.

        Raises:
            ValueError: a number is negative, no protocol is allowed, or the proxy's host, credentials or header fields
                can't be sent.
            UnsupportedProtocol: the scheme of the proxy's URL is unknown.
            ImportError: HTTP/2 is allowed, or the proxy is a SOCKS5 proxy, and what that needs is not installed.
        """
        self.connection.check()
        for name, value in (
            ("max_connections", self.max_connections),
            ("max_keepalive_connections", self.max_keepalive_connections),
            ("retries", self.connection.retries),
        ):
            if value is not None and value < 0:
                raise ValueError(f"{name} must be 0 or more, but got {value}.")
        if self.proxy is not None:
            check_proxy(self.proxy)
