"""TLS for QUIC from the `ssl_context` of a pool, and the sessions that connections resume. Layer: QUIC.

QUIC has TLS 1.3 inside, which qh3 does. Of a context it needs the trust anchors, and whether the certificate and the
name are verified. What a context does beyond that can't be carried over, and is named by `problem_of`.
Must not know: streams, the network.
"""

from __future__ import annotations

import ssl
from base64 import encodebytes
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from qh3.quic.configuration import QuicConfiguration
from qh3.tls import CipherSuite, SessionTicket

from ._quic import ClientQuic, EarlyQuic

if TYPE_CHECKING:
    from qh3._hazmat import Certificate

IDLE_TIMEOUT = 30.0
"""Seconds of silence after which a connection is over, unless the server's limit is lower."""

# The flags that a context has by default: none of them needs anything but the trust anchors.
_HARMLESS_FLAGS = (
    ssl.VERIFY_X509_TRUSTED_FIRST | ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
)
_MAX_SESSIONS = 100
# The names that OpenSSL has for the attributes of a subject.
_ATTRIBUTES = {
    "C": "countryName",
    "CN": "commonName",
    "L": "localityName",
    "O": "organizationName",
    "OU": "organizationalUnitName",
    "ST": "stateOrProvinceName",
}
# Seconds of a round trip, while none is measured. A first datagram that is lost is sent again after two of them, before
# a pool tries TCP. RFC 9002 (section 6.2.2) has 333 ms; quic-go and Chromium have 100 ms, too.
_INITIAL_RTT = 0.1
# Bytes of a response that the server may send before they are received, on one stream and on all.
_STREAM_WINDOW = 2 * 1024 * 1024
_CONNECTION_WINDOW = 16 * 1024 * 1024


def problem_of(context: ssl.SSLContext) -> str | None:
    """Return why HTTP/3 can't do what a TLS context is for.

    Args:
        context: the context.

    Returns:
        The reason, as the end of a sentence; `None` if there is none.
    """
    kind = type(context)
    # `truststore.inject_into_ssl()` puts its own class in the place of the standard library's.
    if kind is not ssl.SSLContext or kind.__module__ != ssl.__name__:
        return f"{kind.__module__}.{kind.__name__} verifies certificates by itself"
    if not ssl.TLSVersion.TLSv1_3 <= _maximum(context):
        return "its maximum_version is below TLS 1.3, which QUIC is made with"
    if context.verify_flags & ~_HARMLESS_FLAGS:
        return f"its verify_flags {context.verify_flags!r} can't be carried over"
    if context.keylog_filename is not None:
        return "its keylog_filename can't be carried over"
    if context.verify_mode is ssl.CERT_OPTIONAL:
        return "its verify_mode CERT_OPTIONAL is for servers"
    if context.verify_mode is ssl.CERT_REQUIRED and not context.cert_store_stats()["x509_ca"]:
        return "its trust anchors are not in memory, such as those of a folder, or it has none"
    return None


def _maximum(context: ssl.SSLContext) -> ssl.TLSVersion:
    maximum = context.maximum_version
    return ssl.TLSVersion.TLSv1_3 if maximum is ssl.TLSVersion.MAXIMUM_SUPPORTED else maximum


class KnownSession(NamedTuple):
    """A session that can be resumed.

    Attributes:
        ticket: by which the server recognises it.
        certificate: that of the server, which it does not send again (RFC 8446, section 2.2).
    """

    ticket: SessionTicket
    certificate: Certificate | None


# The context itself, not its identity, which another one may get later; and what it verified. A session that was not
# verified is not resumed where it has to be, since a resumed one is not verified at all.
_SessionKey: TypeAlias = tuple[ssl.SSLContext, ssl.VerifyMode, bool, str]


def _session_key(context: ssl.SSLContext, server_name: str) -> _SessionKey:
    return context, context.verify_mode, context.check_hostname, server_name


class QuicMemory:
    """What the connections of a pool share: sessions, and trust anchors in the form that qh3 needs."""

    def __init__(self) -> None:
        self._sessions: dict[_SessionKey, KnownSession] = {}
        self._anchors: tuple[ssl.SSLContext, int, bytes] | None = None

    def forget(self) -> None:
        """Drop them."""
        self._sessions = {}
        self._anchors = None

    def take_session(self, context: ssl.SSLContext, server_name: str) -> KnownSession | None:
        """Return a session with a server, which is resumed once, so that its connections can't be linked by it."""
        return self._sessions.pop(_session_key(context, server_name), None)

    def add_session(self, context: ssl.SSLContext, server_name: str, session: KnownSession) -> None:
        """Keep a session for the next connection to a server."""
        self._sessions[_session_key(context, server_name)] = session
        while len(self._sessions) > _MAX_SESSIONS:
            self._sessions.pop(next(iter(self._sessions)), None)

    def anchors(self, context: ssl.SSLContext) -> bytes:
        """Return the trust anchors of a context as PEM."""
        count = context.cert_store_stats()["x509_ca"]
        known = self._anchors
        if known is not None and known[0] is context and known[1] == count:
            return known[2]
        pem = b"".join(
            b"-----BEGIN CERTIFICATE-----\n" + encodebytes(der) + b"-----END CERTIFICATE-----\n"
            for der in context.get_ca_certs(binary_form=True)
        )
        self._anchors = (context, count, pem)
        return pem


def make_quic(
    context: ssl.SSLContext, server_name: str, memory: QuicMemory, allows_early_data: bool = False
) -> ClientQuic:
    """Make a connection to a server, without beginning it.

    Args:
        context: the TLS context, which has no `problem_of`.
        server_name: the name for SNI, and for the verification of the certificate.
        memory: has sessions and trust anchors.
        allows_early_data: whether something may be sent before the handshake is complete, if a session is resumed that
            permits it. An attacker can send it again (RFC 8446, section 8).
    """
    is_verified = context.verify_mode is ssl.CERT_REQUIRED
    session = memory.take_session(context, server_name)
    if session is not None and not allows_early_data:
        session.ticket.max_early_data_size = None
    configuration = QuicConfiguration(
        alpn_protocols=["h3"],
        cadata=memory.anchors(context) if is_verified else None,
        idle_timeout=IDLE_TIMEOUT,
        initial_rtt=_INITIAL_RTT,
        max_data=_CONNECTION_WINDOW,
        max_stream_data=_STREAM_WINDOW,
        server_name=server_name,
        session_ticket=None if session is None else session.ticket,
        verify_hostname=context.check_hostname,
        verify_mode=context.verify_mode,
    )

    def keep(ticket: SessionTicket) -> None:
        memory.add_session(context, server_name, KnownSession(ticket, quic.certificate))

    quic_class = EarlyQuic if allows_early_data else ClientQuic
    quic = quic_class(configuration=configuration, session_ticket_handler=keep)
    if session is not None:
        quic.known_certificate = session.certificate
    return quic


class TLSInformation:
    """What is known of the TLS handshake, by methods of `ssl.SSLObject`."""

    def __init__(self, quic: ClientQuic) -> None:
        self._quic = quic

    def version(self) -> str:
        """Return the version of TLS."""
        return "TLSv1.3"

    def selected_alpn_protocol(self) -> str:
        """Return the protocol that ALPN has agreed on."""
        return "h3"

    def cipher(self) -> tuple[str, str, int] | None:
        """Return the name of the cipher suite, the version of TLS, and the bits of the key; `None` if it is unknown."""
        suite = self._quic.get_cipher()
        if suite is None:
            return None
        bits = 128 if suite is CipherSuite.AES_128_GCM_SHA256 else 256
        return f"TLS_{suite.name}", "TLSv1.3", bits

    def getpeercert(self, binary_form: bool = False) -> Any:
        """Return the certificate of the server.

        Args:
            binary_form: whether to return it in DER; else the same dictionary as the standard library's, as far as
                it has the names and the times of the certificate.

        Returns:
            The certificate; `None` before the handshake. If the session was resumed, it is that of the first
            connection of the session. The dictionary is empty if the certificate was not verified, as that of the
            standard library.
        """
        certificate = self._quic.certificate
        if certificate is None:
            return None
        if binary_form:
            return certificate.public_bytes()
        is_verified = self._quic.configuration.verify_mode is ssl.CERT_REQUIRED
        return describe_certificate(certificate) if is_verified else {}


def describe_certificate(certificate: Certificate) -> dict[str, Any]:
    """Return the dictionary of `ssl.SSLSocket.getpeercert()` for a certificate."""
    return {
        "subject": _name(certificate.subject),
        "issuer": _name(certificate.issuer),
        "version": certificate.version + 1,
        "serialNumber": certificate.serial_number.replace(":", "").upper(),
        "notBefore": _time(certificate.not_valid_before),
        "notAfter": _time(certificate.not_valid_after),
        "subjectAltName": tuple(map(_alternative, certificate.get_subject_alt_names())),
    }


def _name(parts: list[tuple[str, str, bytes]]) -> tuple[tuple[tuple[str, str], ...], ...]:
    return tuple(
        ((_ATTRIBUTES.get(short, short or oid), value.decode("utf-8", "replace")),)
        for oid, short, value in parts
    )


def _time(seconds: int) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%b} {moment.day:2} {moment:%H:%M:%S %Y} GMT"


def _alternative(text: bytes) -> tuple[str, str]:
    """Return a name as the standard library does, of one such as `DNSName(www.example.com)`."""
    kind, _, value = text.decode().removesuffix(")").partition("(")
    if kind == "IPAddress":
        return "IP Address", str(ip_address(bytes.fromhex(value.replace(":", ""))))
    return kind.removesuffix("Name"), value
