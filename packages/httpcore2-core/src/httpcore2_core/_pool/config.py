"""What a pool is made with: one object in place of the arguments of the public constructors.

Must not know: how a connection is made.
"""

from __future__ import annotations

from typing import NamedTuple

from .._connect.connection_config import ConnectionConfig
from .._connect.proxies import check_proxy
from .._models import Proxy, Request

OVER_HTTP3 = b"https over HTTP/3"
"""In the place of the scheme: origins that offer HTTP/3, whose connections over TCP stay as they are."""


class PoolConfig(NamedTuple):
    """The settings of a pool.

    Attributes:
        connection: the settings of its connections.
        proxy: the proxy that they go through; `None` for none.
        max_connections: how many connections may be open at a time; `None` for any number.
        max_keepalive_connections: how many of them may be idle; `None` for all.
        resend: whether a request that the server did not process may be sent again, if its extension does not say so.
        max_connections_per_origin: how many of them may be to one origin; `None` for all.
        max_http2_connections_per_origin: how many of those may be HTTP/2; `None` for all.
        max_connection_age: seconds after which a connection takes no further request; `None` for never.
    """

    connection: ConnectionConfig
    proxy: Proxy | None = None
    max_connections: int | None = 10
    max_keepalive_connections: int | None = None
    resend: bool = True
    max_connections_per_origin: int | None = None
    max_http2_connections_per_origin: int | None = None
    max_connection_age: float | None = None

    @property
    def multiplexing_schemes(self) -> tuple[bytes, ...]:
        """The schemes whose connections may turn out to be HTTP/2: by ALPN, or because HTTP/1.1 is not allowed.

        HTTP/3 is like HTTP/2 in that.
        """
        connection = self.connection
        schemes: tuple[bytes, ...] = (OVER_HTTP3,) if connection.http3 else ()
        if connection.http2 or connection.is_http3_only:
            schemes += (b"https", b"wss")
        if connection.http2 and not connection.http1:
            schemes += (b"http", b"ws")
        return schemes

    def may_resend(self, request: Request) -> bool:
        """Return whether `request` may be sent again if the server did not process it.

        Raises:
            TypeError: its extension `resend` is neither true nor false.
        """
        resend = request.extensions.get("resend")
        if resend is None:
            return self.resend
        _check_switch("extensions['resend']", resend)
        return bool(resend)

    def check(self) -> None:
        """Refuse settings that no pool can have.

        Raises:
            ValueError: a number is out of its range, no protocol is allowed, or the proxy's host, credentials or header
                fields can't be sent.
            UnsupportedProtocol: the scheme of the proxy's URL is unknown.
            ImportError: HTTP/2 is allowed, or the proxy is a SOCKS5 proxy, and what that needs is not installed.
            TypeError: `resend` is neither true nor false.
        """
        self.connection.check()
        for name, value in (
            ("max_connections", self.max_connections),
            ("max_keepalive_connections", self.max_keepalive_connections),
            ("retries", self.connection.retries),
        ):
            if value is not None and value < 0:
                raise ValueError(f"{name} must be 0 or more, but got {value}.")
        _check_switch("resend", self.resend)
        for name, value in (
            ("max_connections_per_origin", self.max_connections_per_origin),
            ("max_http2_connections_per_origin", self.max_http2_connections_per_origin),
        ):
            if value is not None and value < 1:
                raise ValueError(
                    f"{name} must be 1 or more, or None for no limit, but got {value}."
                )
        age = self.max_connection_age
        # A number that is not a number compares as false.
        if age is not None and not age > 0:
            raise ValueError(
                f"max_connection_age must be more than 0 seconds, or None for no limit, but got {age}."
            )
        if self.proxy is not None:
            check_proxy(self.proxy)
            if self.connection.is_http3_only:
                raise ValueError(
                    "http3=True can't be the only protocol with a proxy: allow http1 or http2."
                )

    def without_unusable_http3(self) -> PoolConfig:
        """Return the settings without HTTP/3, if that can't be used with the others; the log says why."""
        problem = None if self.proxy is None else "it is not used through a proxy"
        return self._replace(connection=self.connection.without_unusable_http3(problem))


def _check_switch(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, but got {type(value).__name__}.")
