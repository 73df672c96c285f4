"""The TLS handshake with an origin or a proxy, and the name that the peer's certificate must hold for.

Must not know: how TLS records are made, what is sent over the stream, connections, pools.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, NamedTuple

from .._models import Origin, Request
from .._net.backend_stream import BackendStream
from .._net.ssl_context import offer_protocols, shared_ssl_context
from .._urls import server_name
from .stream_setup import StreamSetup

if TYPE_CHECKING:
    import ssl

_SECURE_SCHEMES = (b"https", b"wss")


def server_name_override(request: Request) -> str | None:
    """Return the name that the origin's certificate must hold for, if `sni_hostname` differs from the URL's host.

    A connection was verified for one name, and is used for no request with another. Without TLS there is none.
    Names are the same whatever their case, and with a final dot (RFC 9110, section 4.2.3; RFC 6066, section 3).

    Raises:
        TypeError: the extension is neither text nor bytes.
    """
    name = request.extensions.get("sni_hostname")
    url = request.url
    if not name or url.scheme not in _SECURE_SCHEMES:
        return None
    if not isinstance(name, (str, bytes, bytearray)):
        raise TypeError(
            f"extensions['sni_hostname'] must be str or bytes, but got {type(name).__name__}."
        )
    name = server_name(name if isinstance(name, str) else bytes(name)).lower()
    return None if name == server_name(url.host).lower() else name


class TLSHandshake(NamedTuple):
    """Encrypts the stream if the scheme requires it, and agrees on a protocol by ALPN (RFC 7301).

    Attributes:
        origin: the peer: an origin, or a proxy.
        ssl_context: the caller's context; `None` for the shared default of `protocols`.
        protocols: the protocols to offer by ALPN, the preferred one first.
        purpose: as for `SetupStage`.
        prefix: the first part of the names of its trace events.
        obeys_sni_hostname: whether the request's extension of that name is about this peer.
    """

    origin: Origin
    ssl_context: ssl.SSLContext | None
    protocols: tuple[str, ...]
    purpose: str
    prefix: str
    obeys_sni_hostname: bool = True

    async def run(self, setup: StreamSetup) -> None:
        if self.origin.scheme not in _SECURE_SCHEMES:
            return
        context = self.ssl_context or shared_ssl_context(self.protocols)
        name = None
        if self.obeys_sni_hostname:
            name = setup.request.extensions.get("sni_hostname")
        info: dict[str, Any] = {
            "ssl_context": context,
            "server_hostname": server_name(name or self.origin.host),
            "timeout": setup.timeouts.for_connect(),
        }

        def start_tls() -> Coroutine[Any, Any, BackendStream]:
            if self.ssl_context is not None:
                # As late as possible: the same context may be that of a proxy, which is offered fewer protocols.
                offer_protocols(self.ssl_context, self.protocols)
            return setup.stream.start_tls(**info)

        await setup.replace_stream(self.prefix, "start_tls", info, start_tls)
