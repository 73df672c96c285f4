"""HTTP proxies: CONNECT for tunnels, and the requests that a forwarding proxy is sent.

Rules: no text repeats a credential or the value of a header field, and no listener is shown fields that are for the
proxy alone. The body of the response to CONNECT is never read: the connection of a proxy that refuses is closed.
Must not know: pools, what is sent through a tunnel.
"""

from __future__ import annotations

from typing import TypeAlias

from .._exceptions import ProxyError
from .._http11.connection import EstablishedHTTP11Connection
from .._models import URL, Origin, Proxy, Request, bracketed
from .._net.network_adapters import adapt_async_stream
from .routes import Opening

Headers: TypeAlias = list[tuple[bytes, bytes]]

HTTP_SCHEMES = (b"http", b"https")

_LONGEST_REASON = 200


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
        connection = EstablishedHTTP11Connection(proxy.origin, opening.stream)
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


def forwarded(request: Request, proxy_headers: Headers) -> tuple[bytes, Headers]:
    """Return the target and the header fields of `request` as a forwarding proxy is sent them.

    The target is in absolute form (RFC 9112, section 3.2.2), unless the caller has chosen another one than the
    origin form.
    """
    target = request.url.target
    if target.startswith(b"/"):
        target = bytes(request.url)
    return target, merged(proxy_headers, request.headers)
