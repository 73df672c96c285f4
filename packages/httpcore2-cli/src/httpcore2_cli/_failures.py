"""What a failed transfer is called: the exit code that curl has for it, a message, and a hint.

Rules: an exit code has the meaning that `man curl` gives it. The decision uses the class of the exception, its causes,
and the phase that the transfer had reached, never the text of the operating system.
Must not know: how it is shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum

from httpcore2_core import (
    LocalProtocolError,
    ProtocolError,
    ProxyError,
    TimeoutException,
    UnsupportedProtocol,
    WriteError,
)

from ._timeline import Phase


class ExitCode(IntEnum):
    """The exit codes, with the numbers of curl."""

    OK = 0
    UNSUPPORTED_PROTOCOL = 1
    USAGE = 2
    MALFORMED_URL = 3
    PROXY_NOT_RESOLVED = 5
    HOST_NOT_RESOLVED = 6
    NOT_CONNECTED = 7
    WEIRD_RESPONSE = 8
    HTTP2 = 16
    PARTIAL = 18
    HTTP_STATUS = 22
    WRITE = 23
    READ = 26
    TIMEOUT = 28
    RANGE = 33
    TLS = 35
    EMPTY_RESPONSE = 52
    SEND = 55
    RECEIVE = 56
    CLIENT_CERTIFICATE = 58
    CERTIFICATE = 60
    TRUST_FILE = 77
    HTTP2_STREAM = 92
    HTTP3 = 95
    QUIC = 96
    PROXY = 97
    INTERRUPTED = 130


class Failure(Exception):
    """A transfer that failed.

    Attributes:
        code: the exit code.
        message: what happened, and to whom.
        hint: what the user can do, or `None`.
    """

    def __init__(self, code: ExitCode, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint


HINTS = {
    ExitCode.PROXY_NOT_RESOLVED: "Check the host in the URL of -x, and the name server.",
    ExitCode.HOST_NOT_RESOLVED: "Check the host in the URL, and the name server. --resolve gives an address by hand.",
    ExitCode.NOT_CONNECTED: "Check the port, that the server runs, and firewalls in between.",
    ExitCode.TLS: "Check that the server speaks TLS on this port, and which versions and ciphers it allows.",
    ExitCode.CERTIFICATE: "If you know the authority, give its certificate with --cacert. -k skips the check.",
    ExitCode.EMPTY_RESPONSE: "The server closed the connection without an answer: look into its log.",
    ExitCode.HTTP2: "Try --http1.1: if that works, the server's HTTP/2 is at fault.",
    ExitCode.HTTP2_STREAM: "Try --http1.1: if that works, the server's HTTP/2 is at fault.",
    ExitCode.HTTP3: "Try --http2: if that works, the server's HTTP/3 is at fault.",
    ExitCode.QUIC: "Check that the server speaks HTTP/3 on this port. --http3 uses other versions if it does not.",
    ExitCode.PROXY: "Check the address and the credentials of the proxy (-x, --proxy-user).",
}

CERTIFICATE_ALERTS = ("bad_certificate", "certificate_expired", "certificate_unknown", "unknown_ca")
"""The alerts of TLS that this end sends for a certificate which it does not accept. QUIC has no exception for them."""

LIMITS = {
    Phase.QUEUED: "--max-time",
    Phase.DNS: "--connect-timeout or --max-time",
    Phase.QUIC: "--connect-timeout or --max-time",
    Phase.TCP: "--connect-timeout or --max-time",
    Phase.PROXY: "--connect-timeout or --max-time",
    Phase.TLS: "--connect-timeout or --max-time",
    Phase.SEND: "--max-time",
    Phase.WAIT: "--max-time",
    Phase.DOWNLOAD: "--max-time",
}


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception, and then what caused it, the nearest cause first."""
    seen: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in seen:
        seen.append(current)
        yield current
        current = current.__cause__ or (
            None if current.__suppress_context__ else current.__context__
        )


def explain(
    error: BaseException,
    reached: Phase,
    *,
    is_http2: bool,
    is_http3: bool = False,
    is_proxied: bool,
) -> Failure:
    """Return the failure of a transfer.

    Args:
        error: an exception of the transport, or a `Failure` of the command itself.
        reached: the phase in which it was raised.
        is_http2: whether the connection speaks HTTP/2.
        is_http3: whether it speaks HTTP/3.
        is_proxied: whether the requests pass through a proxy.
    """
    if isinstance(error, Failure):
        return error
    code = _code(error, reached, is_http2, is_http3, is_proxied)
    hint = HINTS.get(code)
    if code is ExitCode.TIMEOUT:
        hint = f"To wait longer, raise {LIMITS[reached]}."
    elif isinstance(error, ProxyError):
        hint = HINTS[ExitCode.PROXY]
    # The notes of an exception are for those who write Python.
    return Failure(code, str(error) or type(error).__name__, hint)


def _code(
    error: BaseException, reached: Phase, is_http2: bool, is_http3: bool, is_proxied: bool
) -> ExitCode:
    if isinstance(error, TimeoutException):
        return ExitCode.TIMEOUT
    if isinstance(error, UnsupportedProtocol):
        return ExitCode.UNSUPPORTED_PROTOCOL
    if isinstance(error, ProxyError):
        # The message begins with the status of an HTTP proxy, whose refusal has no code of its own in curl.
        return ExitCode.RECEIVE if str(error)[:3].isdigit() else ExitCode.PROXY
    if isinstance(error, LocalProtocolError):
        return ExitCode.MALFORMED_URL if reached is Phase.QUEUED else ExitCode.USAGE
    if reached < Phase.SEND:
        return _connect_code(error, reached, is_proxied)
    if isinstance(error, ProtocolError):
        return ExitCode.HTTP3 if is_http3 else _protocol_code(error, reached, is_http2)
    if isinstance(error, WriteError):
        return ExitCode.SEND
    return ExitCode.RECEIVE


def _connect_code(error: BaseException, reached: Phase, is_proxied: bool) -> ExitCode:
    import socket
    import ssl

    chain = list(causes(error))
    if any(isinstance(each, ssl.SSLCertVerificationError) for each in chain):
        return ExitCode.CERTIFICATE
    if any(isinstance(each, socket.gaierror | UnicodeError) for each in chain):
        return ExitCode.PROXY_NOT_RESOLVED if is_proxied else ExitCode.HOST_NOT_RESOLVED
    if reached is Phase.QUIC and not any(isinstance(each, OSError) for each in chain):
        # The name of the alert is that of the specification (RFC 8446, section 6).
        is_refused = any(alert in str(error) for alert in CERTIFICATE_ALERTS)
        return ExitCode.CERTIFICATE if is_refused else ExitCode.QUIC
    if reached is Phase.TLS:
        return ExitCode.TLS
    if reached is Phase.PROXY:
        return ExitCode.PROXY
    return ExitCode.NOT_CONNECTED


def _protocol_code(error: ProtocolError, reached: Phase, is_http2: bool) -> ExitCode:
    text = str(error)
    if is_http2:
        # One stream was reset, or the whole connection failed.
        return ExitCode.HTTP2_STREAM if "reset the stream" in text else ExitCode.HTTP2
    if reached is Phase.DOWNLOAD:
        return ExitCode.PARTIAL
    if "without sending a response" in text:
        return ExitCode.EMPTY_RESPONSE
    return ExitCode.WEIRD_RESPONSE
