"""Connections to origins by way of a proxy, in the kinds that their `repr` names: what is refused before, and what HTTP
proxies are told.

Rules: no text tells what a credential or a header field holds, and no listener is shown what is for the proxy alone.
The body of its answer to CONNECT is never read: a proxy that refuses is hung up on.
Must not know: pools, what goes through a tunnel.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from .._connect.routes import Dial, Endpoint, Opening, Route, Secure, Step
from .._connect.socks import SOCKS4_SCHEMES, SOCKS5_SCHEMES, Socks, check_socksio
from .._exceptions import LocalProtocolError, ProxyError, UnsupportedProtocol
from .._http.fields import is_token, is_value
from .._http11.connection import AsyncHTTP11Connection
from .._models import URL, Origin, Proxy, Request, bracketed
from .._net.adapters import adapt_async_stream
from .._net.backend_stream import BackendStream
from .._net.network_interfaces import SOCKET_OPTION, AsyncNetworkBackend
from .._urls import check_origin, is_host, shown, split_zone
from .async_connection import AsyncHTTPConnection

if TYPE_CHECKING:
    import ssl

Headers: TypeAlias = list[tuple[bytes, bytes]]

HTTP_SCHEMES = (b"http", b"https")

_has_line_end = re.compile(rb"[\r\n\0]").search
_LONGEST_REASON = 200


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
        raise ValueError(f"The proxy's URL has no valid host: {shown(url.host)}.")
    if url.port is not None and not 0 <= url.port <= 65535:
        raise ValueError(f"The proxy's URL has the port {url.port}: a port is 0 to 65535.")
    for part in proxy.auth or ():
        if _has_line_end(part):
            raise ValueError("The proxy's auth holds a carriage return, a line feed or a NUL.")
    for name, value in proxy.headers:
        if not is_token(name) or not is_value(value):
            raise ValueError(
                f"The proxy's header field {shown(name)} can't be sent: a name is a token, and a value "
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
            f"A proxy can't be asked for {shown(origin.host)}: the zone {shown(zone)} is an interface of this machine, "
            f"which the proxy does not know (RFC 6874, section 4). "
            f"Connect without a proxy, or ask it for {shown(address)}."
        )


def merged(fields: Headers, overriding: Headers) -> Headers:
    """Return both, those of `fields` that `overriding` names left out."""
    names = {name.lower() for name, _ in overriding}
    return [field for field in fields if field[0].lower() not in names] + overriding


class Connect:
    """Have an HTTP proxy open a tunnel to the origin (RFC 9110, section 9.3.6)."""

    def __init__(self, proxy: Proxy, origin: Origin) -> None:
        self._proxy = proxy.url
        self._headers = proxy.headers.copy()  # as they were checked
        self._target = b"%b:%d" % (bracketed(origin.host), origin.port)
        self.purpose = f"asking the proxy {proxy.url.origin} for a tunnel: CONNECT {self._target.decode('ascii')}"

    async def take(self, opening: Opening) -> None:
        proxy = self._proxy
        request = Request(
            b"CONNECT",
            URL(scheme=proxy.scheme, host=proxy.host, port=proxy.port, target=self._target),
            headers=[(b"Host", self._target), (b"Accept", b"*/*")],
            extensions={
                name: value
                for name, value in opening.request.extensions.items()
                if name not in ("protocol", "sni_hostname", "target")
            },
        )
        connection = AsyncHTTP11Connection(proxy.origin, opening.stream)
        connection.peer = self.purpose
        connection.rewrite = self._rewrite
        with opening.conversing() as limits:
            response = await connection.exchange(request, limits)
        if not 200 <= response.status <= 299:
            raise self._refusal(response.status, response.extensions["reason_phrase"])
        # Bytes that came with the answer are the tunnel's first.
        opening.stream = adapt_async_stream(response.extensions["network_stream"])

    def _rewrite(self, request: Request) -> tuple[bytes, Headers]:
        return request.url.target, merged(request.headers, self._headers)

    def _refusal(self, status: int, reason: bytes) -> ProxyError:
        words = reason.decode("ascii", "ignore")[:_LONGEST_REASON]
        error = ProxyError(f"{status} {words}".rstrip())
        # 401 is for origins to say, but tinyproxy says it of wrong credentials.
        if status in (401, 407):
            names = {name.lower() for name, _ in self._headers}
            error.add_note(
                "The proxy did not accept the credentials that it was given."
                if b"proxy-authorization" in names
                else "The proxy wants credentials: give them with Proxy(url, auth=(user, password))."
            )
        return error


class Settings(NamedTuple):
    """What `AsyncHTTPConnection` is given besides its origin, in that order."""

    ssl_context: ssl.SSLContext | None
    keepalive_expiry: float | None
    http1: bool
    http2: bool
    retries: int
    local_address: str | None
    uds: str | None
    network_backend: AsyncNetworkBackend | None
    socket_options: Iterable[SOCKET_OPTION] | None


class ProxiedConnection(AsyncHTTPConnection):
    """A connection to an origin by way of a proxy, made when the first request needs it."""

    def __init__(self, proxy: Proxy, origin: Origin, settings: Settings) -> None:
        """Prepare a connection; of `settings`, `ssl_context` is for the origin, how to dial for the proxy.

        Raises:
            UnsupportedProtocol, ValueError, ImportError, LocalProtocolError: as `check_proxy` and `check_host`.
        """
        check_proxy(proxy)
        check_host(origin)
        self._proxy = proxy
        super().__init__(origin, *settings)

    def _find_route(
        self,
        endpoint: Endpoint,
        ssl_context: ssl.SSLContext | None,
        protocols: tuple[str, ...],
        retries: int,
    ) -> Route:
        proxy, origin = self._proxy, endpoint.origin
        between = proxy.url.origin
        endpoint = endpoint._replace(origin=between)
        dialling = f"connecting to the proxy {endpoint}, on the way to {origin}"
        securing = f"connecting to {origin} through the proxy {between}"
        if proxy.url.scheme not in HTTP_SCHEMES:
            return Route(
                origin,
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
        return Route(origin, Dial(endpoint, dialling, "connection"), *steps, retries=retries)

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} [{self.info()}] "
            f"to '{self._origin}' via '{self._proxy.url.origin}'>"
        )


class AsyncForwardHTTPConnection(ProxiedConnection):
    """A connection to an HTTP proxy that passes on requests to one origin (RFC 9112, section 3.2.2)."""

    def __init__(self, proxy: Proxy, origin: Origin, settings: Settings) -> None:
        # The proxy is spoken to in HTTP/1.1, whatever the origins may speak.
        super().__init__(proxy, origin, settings._replace(http1=True, http2=False))
        self._headers = proxy.headers.copy()  # as they were checked

    def _speak(self, stream: BackendStream) -> AsyncHTTP11Connection:
        connection = AsyncHTTP11Connection(self._proxy.url.origin, stream, self._keepalive_expiry)
        connection.on_lost = self.on_lost
        connection.rewrite = self._rewrite
        return connection

    def _rewrite(self, request: Request) -> tuple[bytes, Headers]:
        target = request.url.target
        if target.startswith(b"/"):
            target = bytes(request.url)  # the absolute form; any other is the caller's own choice
        return target, merged(self._headers, request.headers)


class AsyncTunnelHTTPConnection(ProxiedConnection):
    """A connection to an origin through an HTTP proxy's tunnel (RFC 9110, section 9.3.6)."""


class AsyncSocks5Connection(ProxiedConnection):
    """A connection to an origin through a SOCKS5 proxy."""


class AsyncSocks4Connection(ProxiedConnection):
    """A connection to an origin through a SOCKS4 or SOCKS4a proxy."""


def make_connection(proxy: Proxy | None, origin: Origin, settings: Settings) -> AsyncHTTPConnection:
    """Make the kind of connection that leads to `origin`, through `proxy` if there is one."""
    if proxy is None:
        return AsyncHTTPConnection(origin, *settings)
    kind: type[ProxiedConnection]
    if proxy.url.scheme in SOCKS4_SCHEMES:
        kind = AsyncSocks4Connection
    elif proxy.url.scheme not in HTTP_SCHEMES:
        kind = AsyncSocks5Connection
    elif origin.scheme == b"http":
        kind = AsyncForwardHTTPConnection
    else:
        kind = AsyncTunnelHTTPConnection
    return kind(proxy, origin, settings)
