"""The TLS handshake with an origin or a proxy: its context, and the name that the peer's certificate must hold for.

Must not know: how TLS records are made, what is sent over the stream, connections, pools.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from .._models import Origin, Request
from .._net.backend_stream import BackendStream
from .._net.ssl_context import offering_protocols, shared_ssl_context
from .._urls import server_name
from .stream_setup import StreamSetup

if TYPE_CHECKING:
    import ssl

_SECURE_SCHEMES = (b"https", b"wss")


class TLSOverrides(NamedTuple):
    """What a request's extensions say about TLS with its origin, in place of the URL and of the connection's settings.

    A connection was verified for one name, by one context, and is used for no request with others.

    Attributes:
        server_name: the name that the certificate must hold for, if it is not the URL's host.
        ssl_context: the TLS context, if it is not that of the settings. It is compared by identity: equal settings
            can't be told from different ones.
    """

    server_name: str | None = None
    ssl_context: ssl.SSLContext | None = None


_NO_OVERRIDES = TLSOverrides()


def tls_overrides(request: Request, ssl_context: ssl.SSLContext | None) -> TLSOverrides | None:
    """Return what the extensions of `request` override; `None` for nothing, as without TLS.

    Args:
        request: the request.
        ssl_context: that of the settings.

    Raises:
        TypeError: `sni_hostname` is neither text nor bytes, or `ssl_context` is not an `ssl.SSLContext`.
    """
    if request.url.scheme not in _SECURE_SCHEMES:
        return None
    context = request.extensions.get("ssl_context")
    if context is not None and not hasattr(context, "wrap_bio"):
        raise TypeError(
            f"extensions['ssl_context'] must be an ssl.SSLContext, but got {type(context).__name__}."
        )
    overrides = TLSOverrides(
        _server_name_override(request), None if context is ssl_context else context
    )
    return None if overrides == _NO_OVERRIDES else overrides


def _server_name_override(request: Request) -> str | None:
    """Return the name of the extension `sni_hostname`, if it differs from the URL's host.

    Names are the same whatever their case, and with a final dot (RFC 9110, section 4.2.3; RFC 6066, section 3).
    """
    name = request.extensions.get("sni_hostname")
    url = request.url
    if not name:
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
        ssl_context: that of the settings; `None` for the shared default of `protocols`.
        protocols: the protocols to offer by ALPN, the preferred one first.
        purpose: as for `SetupStage`.
        prefix: the first part of the names of its trace events.
        obeys_extensions: whether the request's `sni_hostname` and `ssl_context` are about this peer.
    """

    origin: Origin
    ssl_context: ssl.SSLContext | None
    protocols: tuple[str, ...]
    purpose: str
    prefix: str
    obeys_extensions: bool = True

    async def run(self, setup: StreamSetup) -> None:
        if self.origin.scheme not in _SECURE_SCHEMES:
            return
        given, name = self.ssl_context, None
        if self.obeys_extensions:
            extensions = setup.request.extensions
            given = extensions.get("ssl_context") or given
            name = extensions.get("sni_hostname")
        info: dict[str, Any] = {
            "ssl_context": given or shared_ssl_context(self.protocols),
            "server_hostname": server_name(name or self.origin.host),
            "timeout": setup.timeouts.for_connect(),
        }

        async def start_tls() -> BackendStream:
            if given is None:
                return await setup.stream.start_tls(**info)
            # As late as possible: the same context may be that of a proxy, which is offered fewer protocols.
            with offering_protocols(given, self.protocols):
                return await setup.stream.start_tls(**info)

        observation = setup.observation
        if observation is None:
            await setup.replace_stream(self.prefix, "start_tls", info, start_tls)
            return
        observation.tls_started(info["server_hostname"])
        try:
            await setup.replace_stream(self.prefix, "start_tls", info, start_tls)
        except BaseException as exc:
            observation.tls_ended(None, None, None, exc)
            raise
        observation.tls_ended(*agreed(setup.stream.get_extra_info("ssl_object")), None)


def agreed(ssl_object: object) -> tuple[str | None, str | None, str | None]:
    """Return the version of TLS, the cipher, and the protocol of ALPN, as far as `ssl_object` reports them."""

    def call(name: str) -> Any:
        method = getattr(ssl_object, name, None)  # a mock may lack it
        return None if method is None else method()

    cipher = call("cipher")
    return call("version"), None if cipher is None else cipher[0], call("selected_alpn_protocol")
