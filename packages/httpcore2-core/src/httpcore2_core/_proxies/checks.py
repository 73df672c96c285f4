"""What is refused before a byte is sent.

Rules: no text tells what a credential or a header field holds.
Must not know: connections, the network.
"""

from __future__ import annotations

import re

from .._exceptions import LocalProtocolError, UnsupportedProtocol
from .._http11.heads import is_token, is_value
from .._models import Origin, Proxy
from .socks import SOCKS4_SCHEMES, SOCKS5_SCHEMES, check_socksio

HTTP_SCHEMES = (b"http", b"https")

# RFC 3986, section 3.2.2. A name has at most 255 bytes (RFC 1035, section 2.3.4), and SOCKS5 one byte to tell it.
_is_host = re.compile(rb"[-A-Za-z0-9._~!$&'()*+,;=:%]{1,255}").fullmatch
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
    if not _is_host(url.host):
        raise ValueError(f"The proxy's URL has no valid host: {_shown(url.host)}.")
    for part in proxy.auth or ():
        if _has_line_end(part):
            raise ValueError("The proxy's auth holds a carriage return, a line feed or a NUL.")
    for name, value in proxy.headers:
        if not is_token(name) or not is_value(value):
            raise ValueError(
                f"The proxy's header field {_shown(name)} can't be sent: a name is a token, and a value "
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
        LocalProtocolError: it is no host, or too long, or the port is none.
    """
    if not _is_host(origin.host):
        raise LocalProtocolError(
            f"A proxy can't be asked for the host {_shown(origin.host)}: "
            "it takes 1 to 255 bytes that a URL allows there (RFC 3986, section 3.2.2)."
        )
    if not 0 <= origin.port <= 65535:
        raise LocalProtocolError(
            f"A proxy can't be asked for the port {origin.port}: it takes 0 to 65535."
        )


def _shown(text: bytes) -> str:
    if len(text) <= 60:
        return repr(text)
    return f"{text[:60]!r}… ({len(text)} bytes)"
