"""Proxies of all kinds: which are refused before anything is sent, and the routes through them.

Rules: no text repeats a credential or the value of a header field.
Must not know: pools, what is sent to the origin.
"""

from __future__ import annotations

import re

from .._exceptions import LocalProtocolError, UnsupportedProtocol
from .._http.fields import is_token, is_value
from .._models import Origin, Proxy
from .._urls import check_origin, is_host, quoted, split_zone
from .connection_config import ConnectionConfig
from .dial import Dial, Endpoint
from .http_proxy import HTTP_SCHEMES, HTTPTunnel
from .route import Route
from .socks import SOCKS4_SCHEMES, SOCKS5_SCHEMES, SOCKSHandshake, check_socksio
from .stream_setup import SetupStage
from .tls_handshake import TLSHandshake

_has_line_end = re.compile(rb"[\r\n\0]").search


def check_proxy(proxy: Proxy) -> None:
    """Refuse a proxy that can't be used.

    Raises:
        UnsupportedProtocol: the scheme of its URL is unknown.
        ValueError: its host, its credentials or a header field can't be sent.
        ImportError: it is a SOCKS5 proxy, and `socksio` is not installed.
    """
    url = proxy.url
    known = (*HTTP_SCHEMES, *SOCKS5_SCHEMES, *SOCKS4_SCHEMES)
    if url.scheme not in known:
        raise UnsupportedProtocol(
            f"The proxy's URL has the scheme {url.scheme.decode('ascii', 'replace')!r}. "
            f"Use one of {', '.join(scheme.decode('ascii') for scheme in known)}."
        )
    if not is_host(url.host):
        raise ValueError(f"The proxy's URL has no valid host: {quoted(url.host)}.")
    if url.port is not None and not 0 <= url.port <= 65535:
        raise ValueError(f"The proxy's URL has the port {url.port}: a port is 0 to 65535.")
    for part in proxy.auth or ():
        if _has_line_end(part):
            raise ValueError("The proxy's auth holds a carriage return, a line feed or a NUL.")
    for name, value in proxy.headers:
        if not is_token(name) or not is_value(value):
            raise ValueError(
                f"The proxy's header field {quoted(name)} can't be sent: a name must be a token, and a value "
                "visible text without blanks at its ends (RFC 9110, section 5.5)."
            )
    if url.scheme in SOCKS5_SCHEMES:
        check_socksio()
        if any(len(part) > 255 for part in proxy.auth or ()):
            raise ValueError(
                "The proxy's auth is too long: "
                "SOCKS5 allows a user name and a password of at most 255 bytes each (RFC 1929)."
            )
    elif url.scheme in SOCKS4_SCHEMES and proxy.auth is not None and proxy.auth[1]:
        raise ValueError("SOCKS4 has a user ID and no password: give an empty password.")


def check_host(origin: Origin) -> None:
    """Refuse an origin whose host can't be sent to a proxy.

    Raises:
        LocalProtocolError: the host is not valid, or it is an address with a zone.
        ConnectError: the port is not valid.
    """
    check_origin(origin)
    address, _, zone = split_zone(origin.host)
    if zone:
        raise LocalProtocolError(
            f"The host {quoted(origin.host)} can't be sent to a proxy: "
            f"the zone {quoted(zone)} is an interface of this machine, "
            f"which the proxy does not know (RFC 6874, section 4). "
            f"Connect without a proxy, or use {quoted(address)}."
        )


def proxy_route(proxy: Proxy, origin: Origin, config: ConnectionConfig) -> Route:
    """Return the route to `origin` through `proxy`.

    The settings of `config` that are about TLS apply to the origin, and those about the dial to the proxy.
    """
    hop = proxy.url.origin
    endpoint = Endpoint.of(hop, config)
    dialling = f"connecting to the proxy {endpoint} for {origin}"
    securing = f"connecting to {origin} through the proxy {hop}"
    context, protocols = config.ssl_context, config.alpn_protocols
    if proxy.url.scheme not in HTTP_SCHEMES:
        return Route(
            origin,
            Dial(endpoint, dialling, "socks"),
            SOCKSHandshake(proxy, origin, config.resolver),
            TLSHandshake(origin, context, protocols, securing, "socks"),
            retries=config.retries,
        )
    stages: list[SetupStage] = [
        TLSHandshake(
            hop,
            proxy.ssl_context,
            ("http/1.1",),
            f"TLS handshake with the proxy {hop} for {origin}",
            "connection",
            obeys_extensions=False,
        )
    ]
    if origin.scheme != b"http":
        stages.append(HTTPTunnel(proxy, origin))
        stages.append(TLSHandshake(origin, context, protocols, securing, "proxy"))
    return Route(origin, Dial(endpoint, dialling, "connection"), *stages, retries=config.retries)
