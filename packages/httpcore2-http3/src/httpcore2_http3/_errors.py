"""The names of error codes: of HTTP/3 and QPACK (RFC 9114, section 8.1), of QUIC and TLS (RFC 9000, section 20).

Layer: QUIC.  Must not know: streams, the network.
"""

from __future__ import annotations

from qh3.h3.connection import ErrorCode
from qh3.quic.packet import QuicErrorCode
from qh3.tls import AlertDescription

__all__ = ["ErrorCode", "name_application_code", "name_transport_code"]

# RFC 9000, section 20.1: CRYPTO_ERROR, to which the code of a TLS alert is added.
_CRYPTO_ERROR = 0x100


def name_application_code(code: int) -> str:
    """Return the name of an error code of HTTP/3."""
    try:
        return ErrorCode(code).name
    except ValueError:
        return f"error {code:#x}"


def name_transport_code(code: int) -> str:
    """Return the name of an error code of QUIC, or of the TLS alert in it."""
    try:
        if _CRYPTO_ERROR <= code < _CRYPTO_ERROR + 0x100:
            return f"TLS alert {AlertDescription(code - _CRYPTO_ERROR).name}"
        return QuicErrorCode(code).name
    except ValueError:
        return f"error {code:#x}"
