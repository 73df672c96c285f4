"""HTTP proxies: CONNECT for tunnels, and the requests that are sent to a forwarding proxy.

Rules: no text repeats a credential or the value of a header field, and no trace callback receives the fields that are
for the proxy alone. The body of the response to CONNECT is never read: a proxy that refuses loses its connection.
Must not know: pools, what is sent through a tunnel.
"""

from __future__ import annotations

from typing import TypeAlias

from .._exceptions import ProxyError
from .._http11.connection import EstablishedHTTP11Connection
from .._models import URL, Origin, Proxy, Request, bracketed
from .._net.backend_stream import BackendStream
from .stream_setup import StreamSetup

Headers: TypeAlias = list[tuple[bytes, bytes]]

HTTP_SCHEMES = (b"http", b"https")

_LONGEST_REASON = 200
# The extensions of a request that the exchange with the proxy has no part in.
_FOR_ORIGIN = frozenset(("informational", "protocol", "sni_hostname", "ssl_context", "target"))


def merged(fields: Headers, overriding: Headers) -> Headers:
    """Return the fields of both lists, without those of `fields` whose names are in `overriding`."""
    names = {name.lower() for name, _ in overriding}
    return [field for field in fields if field[0].lower() not in names] + overriding


class HTTPTunnel:
    """Requests a tunnel to the origin from an HTTP proxy, by CONNECT (RFC 9110, section 9.3.6)."""

    def __init__(self, proxy: Proxy, origin: Origin) -> None:
        self._proxy = proxy.url
        self._headers = proxy.headers.copy()  # the caller may change its list after the check
        self._target = b"%b:%d" % (bracketed(origin.host), origin.port)
        self.purpose = f"requesting a tunnel from the proxy {proxy.url.origin}: CONNECT {self._target.decode('ascii')}"

    async def run(self, setup: StreamSetup) -> None:
        proxy = self._proxy
        request = Request(
            b"CONNECT",
            URL(scheme=proxy.scheme, host=proxy.host, port=proxy.port, target=self._target),
            headers=[(b"Host", self._target), (b"Accept", b"*/*")],
            extensions={
                name: value
                for name, value in setup.request.extensions.items()
                if name not in _FOR_ORIGIN
            },
        )
        connection = EstablishedHTTP11Connection(proxy.origin, setup.stream)
        connection.peer.name = self.purpose
        connection.rewrite = self._rewrite
        with setup.handshake_timeouts() as timeouts:
            response = await connection.exchange(request, timeouts)
        if not 200 <= response.status <= 299:
            raise self._refusal(response.status, response.extensions["reason_phrase"])
        # Its first bytes may have arrived with the response.
        stream = response.extensions["network_stream"]
        assert isinstance(stream, BackendStream), "a connection that has left HTTP gives its own"
        setup.stream = stream

    def _rewrite(self, request: Request) -> tuple[bytes, Headers]:
        return request.url.target, merged(request.headers, self._headers)

    def _refusal(self, status: int, reason: bytes) -> ProxyError:
        text = reason.decode("ascii", "ignore")[:_LONGEST_REASON]
        error = ProxyError(f"{status} {text}".rstrip())
        # 401 is an origin's status, but tinyproxy sends it for wrong credentials.
        if status in (401, 407):
            names = {name.lower() for name, _ in self._headers}
            error.add_note(
                "The proxy did not accept the credentials that it was given."
                if b"proxy-authorization" in names
                else "The proxy requires credentials: give them with Proxy(url, auth=(user, password))."
            )
        return error


def forwarded(request: Request, proxy_headers: Headers) -> tuple[bytes, Headers]:
    """Return the target and the header fields of `request` for a forwarding proxy.

    The target has the absolute form (RFC 9112, section 3.2.2), unless the caller has chosen another one than the
    origin form.
    """
    target = request.url.target
    if target.startswith(b"/"):
        target = bytes(request.url)
    return target, merged(proxy_headers, request.headers)
