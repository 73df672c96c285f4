"""Error codes, and faults of the server that end a connection (RFC 9113, sections 5.4 and 7). Layer: frames.

Must not know: frames, streams, the network.
"""

from __future__ import annotations

from enum import IntEnum


class ErrorCode(IntEnum):
    """Why a stream or a connection ends (RFC 9113, section 7)."""

    NO_ERROR = 0x0
    PROTOCOL_ERROR = 0x1
    INTERNAL_ERROR = 0x2
    FLOW_CONTROL_ERROR = 0x3
    SETTINGS_TIMEOUT = 0x4
    STREAM_CLOSED = 0x5
    FRAME_SIZE_ERROR = 0x6
    REFUSED_STREAM = 0x7
    CANCEL = 0x8
    COMPRESSION_ERROR = 0x9
    CONNECT_ERROR = 0xA
    ENHANCE_YOUR_CALM = 0xB
    INADEQUATE_SECURITY = 0xC
    HTTP_1_1_REQUIRED = 0xD


def name_code(code: int) -> str:
    """Return the name that RFC 9113 has for an error code."""
    try:
        return ErrorCode(code).name
    except ValueError:
        return f"error {code:#x}"


class ConnectionFault(Exception):
    """The server broke a rule in a way that ends the connection (a connection error: RFC 9113, section 5.4.1).

    Attributes:
        code: the error code of the GOAWAY frame that is sent.
    """

    def __init__(self, reason: str, code: ErrorCode = ErrorCode.PROTOCOL_ERROR) -> None:
        super().__init__(reason)
        self.code = code
