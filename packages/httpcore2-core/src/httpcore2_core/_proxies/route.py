"""The way to an origin through a proxy.

Must not know: what the steps do, connections.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._models import Proxy
from .._routes import Dial, Endpoint, Route, Secure, Step
from .checks import HTTP_SCHEMES
from .connect import Connect
from .socks import Socks

if TYPE_CHECKING:
    import ssl


def route_through(
    proxy: Proxy,
    endpoint: Endpoint,
    ssl_context: ssl.SSLContext | None,
    protocols: tuple[str, ...],
    retries: int,
) -> Route:
    """Return the way to an origin through `proxy`; what `endpoint` says besides is for the dial to the proxy.

    Args:
        proxy: whom to go through. Plain requests (`http`) an HTTP proxy passes on itself, and the way ends there.
        endpoint: the origin, and how to dial.
        ssl_context: for TLS with the origin.
        protocols: what the origin is offered by ALPN.
        retries: how often to try again to connect.
    """
    origin, between = endpoint.origin, proxy.url.origin
    endpoint = endpoint._replace(origin=between)
    dialling = f"connecting to the proxy {between}, on the way to {origin}"
    securing = f"connecting to {origin} through the proxy {between}"
    if proxy.url.scheme not in HTTP_SCHEMES:
        return Route(
            Dial(endpoint, dialling, "socks"),
            Socks(proxy, origin),
            Secure(origin, ssl_context, protocols, securing, "socks"),
            retries=retries,
        )
    steps: list[Step] = [
        Secure(
            between,
            proxy.ssl_context,
            ("http/1.1",),
            f"securing the connection to the proxy {between}, on the way to {origin}",
            "connection",
            obeys_sni_hostname=False,
        )
    ]
    if origin.scheme != b"http":
        steps.append(Connect(proxy, origin))
        steps.append(Secure(origin, ssl_context, protocols, securing, "proxy"))
    return Route(Dial(endpoint, dialling, "connection"), *steps, retries=retries)
