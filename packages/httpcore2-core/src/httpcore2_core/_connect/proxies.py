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
from .config import ConnectionConfig
from .http_proxy import HTTP_SCHEMES, Connect
from .routes import Dial, Endpoint, Route, Secure, Step
from .socks import SOCKS4_SCHEMES, SOCKS5_SCHEMES, Socks, check_socksio

_has_line_end = re.compile(rb"[\r\n\0]").search


def check_proxy(proxy: Proxy) -> None:
    """Refuse a proxy that can't be used.

    Raises:
        UnsupportedProtocol: the scheme of its URL is unknown.
        ValueError: its host, its credentials or a header field hold what can't be sent.
        ImportError: it speaks SOCKS5, and `socksio` is not installed.
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
                f"The proxy's header field {quoted(name)} can't be sent: a name is a token, and a value "
                "visible text, with blanks only in between (RFC 9110, section 5.5)."
            )
    if url.scheme in SOCKS5_SCHEMES:
        check_socksio()
        if any(len(part) > 255 for part in proxy.auth or ()):
            raise ValueError(
                "SOCKS5 takes a user name and a password of at most 255 bytes each (RFC 1929)."
            )
    elif url.scheme in SOCKS4_SCHEMES and proxy.auth is not None and proxy.auth[1]:
        raise ValueError("SOCKS4 knows a user id alone: give an empty password.")


def check_host(origin: Origin) -> None:
    """Refuse an origin whose host can't be told to a proxy.

    Raises:
        LocalProtocolError: it is no host, or the address has a zone.
        ConnectError: the port is none.
    """
    check_origin(origin)
    address, _, zone = split_zone(origin.host)
    if zone:
        raise LocalProtocolError(
            f"A proxy can't be asked for {quoted(origin.host)}: "
            f"the zone {quoted(zone)} is an interface of this machine, "
            f"which the proxy does not know (RFC 6874, section 4). "
            f"Connect without a proxy, or ask it for {quoted(address)}."
        )


def proxy_route(proxy: Proxy, origin: Origin, config: ConnectionConfig) -> Route:
    """Return the route to `origin` through `proxy`.

    Of `config`, what concerns TLS is for the origin, and what concerns the dial is for the proxy.
    """
    between = proxy.url.origin
    endpoint = Endpoint.of(between, config)
    dialling = f"connecting to the proxy {endpoint}, on the way to {origin}"
    securing = f"connecting to {origin} through the proxy {between}"
    context, protocols = config.ssl_context, config.alpn_protocols
    if proxy.url.scheme not in HTTP_SCHEMES:
        return Route(
            origin,
            Dial(endpoint, dialling, "socks"),
            Socks(proxy, origin),
            Secure(origin, context, protocols, securing, "socks"),
            retries=config.retries,
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
        steps.append(Secure(origin, context, protocols, securing, "proxy"))
    return Route(origin, Dial(endpoint, dialling, "connection"), *steps, retries=config.retries)
