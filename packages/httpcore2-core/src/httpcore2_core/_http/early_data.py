"""Early data (0-RTT): requests that are sent before the TLS handshake is complete (RFC 8470).

An attacker can send early data again, and a server may then process a request twice. So a request is sent in it only if
its extension `early_data` says so, if its method is idempotent, and if it may be sent more than once. A server may
refuse it by 425 (Too Early): it is sent again, and not in early data.
Must not know: QUIC, connections, when a connection can send early data.
"""

from __future__ import annotations

from .._exceptions import LocalProtocolError
from .._models import IDEMPOTENT_METHODS, ByteStream, Request

TOO_EARLY = 425


def check_early_data(request: Request) -> None:
    """Refuse an extension `early_data` that can't be honoured.

    Raises:
        TypeError: it is neither true nor false.
        LocalProtocolError: it is true, and the method is not idempotent.
    """
    wanted = request.extensions["early_data"]
    if not isinstance(wanted, bool):
        raise TypeError(
            f"extensions['early_data'] must be True or False, but got {type(wanted).__name__}."
        )
    if wanted and request.method not in IDEMPOTENT_METHODS:
        allowed = b", ".join(sorted(IDEMPOTENT_METHODS)).decode()
        raise LocalProtocolError(
            f"A {request.method.decode('ascii', 'replace')} request to {request.url.origin} can't be sent in early "
            f"data, which an attacker could send again (RFC 8470, section 4): only {allowed} can. "
            "Remove extensions['early_data']."
        )


def may_use_early_data(request: Request) -> bool:
    """Whether a request is to be sent in early data, if the connection can do that. All of its body must be here."""
    return bool(request.extensions.get("early_data")) and type(request.stream) is ByteStream


def without_early_data(request: Request) -> Request:
    """Return `request` without the extension `early_data`."""
    extensions = {key: value for key, value in request.extensions.items() if key != "early_data"}
    return Request(
        request.method,
        request.url,
        headers=request.headers,
        content=request.stream,
        extensions=extensions,
    )
