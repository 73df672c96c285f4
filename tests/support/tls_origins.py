"""An origin over TLS, with or without a proxy in between, that records the server name of each handshake.

Must not know: what the tests send.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trustme

from .h2peer import answering, speaking
from .scripted_proxies import PROXY_KINDS, scripted_proxy
from .scripted_servers import canned_responses, response, scripted_server

FINE = response(b"fine")
ROUTES = {
    "direct": None,
    "tunnel": PROXY_KINDS["http"],
    "https tunnel": PROXY_KINDS["https"],
    "SOCKS5": PROXY_KINDS["socks5"],
    "SOCKS4": PROXY_KINDS["socks4"],
}


@dataclass
class TLSOrigin:
    """A server whose certificate is valid for some names.

    Attributes:
        url: its URL.
        options: the arguments of a pool that reaches it.
        names: the server name of each handshake.
    """

    url: str
    options: dict[str, Any]
    names: list[str | None] = field(default_factory=list)


@contextmanager
def tls_origin(
    authority: trustme.CA,
    names: list[str],
    protocol: str,
    route: str = "direct",
    uds: Path | None = None,
) -> Iterator[TLSOrigin]:
    """Run a server whose certificate is valid for `names`, and the proxy of the route, if it has one.

    Args:
        authority: signs the certificate, and is trusted by the context in the options.
        names: what the certificate is valid for.
        protocol: `HTTP/1.1` or `HTTP/2`.
        route: a key of `ROUTES`.
        uds: the path of a unix socket to listen on instead.
    """
    is_http2 = protocol == "HTTP/2"
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(server_tls)
    server_tls.set_alpn_protocols(["h2"] if is_http2 else ["http/1.1"])
    client_tls, proxy_tls = (ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) for _ in range(2))
    proxy_server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(proxy_server_tls)
    for context in (client_tls, proxy_tls):
        authority.configure_trust(context)

    def record(sock: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        origin.names.append(name)

    server_tls.sni_callback = record
    handler = speaking(answering()) if is_http2 else canned_responses([FINE] * 9)
    with scripted_server(handler, tls=server_tls, uds=uds, allow_disconnect=True) as server:
        origin = TLSOrigin(server.url, {"ssl_context": client_tls, "http2": is_http2})
        if uds is not None:
            origin.options["uds"] = str(uds)
        kind = ROUTES[route]
        if kind is None:
            yield origin
            return
        with scripted_proxy(kind, server.port, proxy_server_tls, proxy_tls) as proxy:
            origin.options["proxy"] = proxy.proxy()
            yield origin
