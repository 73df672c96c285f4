"""URLs and origins: how a URL is taken apart, and which hosts and ports can be connected to.

Rules: text is ASCII, held as bytes. A URL is split as RFC 3986, appendix B, does it; nothing is stripped, decoded or
corrected, so that a check of the URL before the request (an allow-list) and the connection concern the same host.
Must not know: requests, connections, the network.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import ClassVar, TypeAlias

from ._exceptions import ConnectError, LocalProtocolError

ByteOrStr: TypeAlias = bytes | str

DEFAULT_PORTS = {
    b"http": 80,
    b"https": 443,
    b"ws": 80,
    b"wss": 443,
    b"socks4": 1080,
    b"socks4a": 1080,
    b"socks5": 1080,
    b"socks5h": 1080,
}

# The usual URL, in one match. No two neighbours in it can match the same byte, so that it takes linear time.
_match_plain_url = re.compile(
    rb"(https?)://([a-z0-9.-]{1,255})(?::([0-9]{1,5}))?(/[!-\"$->@-~]*(?:\?[!-\"$-~]*)?)?\Z"
).match
# RFC 3986, appendix B. Matches everything.
_split = re.compile(
    rb"(?:([A-Za-z][A-Za-z0-9+.-]*):)?(?://([^/?#]*))?([^?#]*)(\?[^#]*)?(?:#.*)?", re.DOTALL
).fullmatch
# Section 3.2.1 has fewer characters, and "@" in their place as "%40". What counts is that no other parser could find
# another host: a browser takes "\" for "/".
_is_userinfo = re.compile(rb"[!-Z^-~]*").fullmatch
_split_place = re.compile(rb"(\[[^\[\]]*\]|[^:\[\]]*)(?::(.*))?", re.DOTALL).fullmatch
# Section 3.2.2. A name has at most 255 bytes (RFC 1035, section 2.3.4).
_is_name = re.compile(rb"(?:[-A-Za-z0-9._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})+").fullmatch
_is_zone = re.compile(rb"[-A-Za-z0-9._~]+").fullmatch
_LONGEST_HOST = 255
_LONGEST_SHOWN = 60


def enforce_bytes(value: ByteOrStr, *, name: str) -> bytes:
    """Return `value` as bytes, or raise `TypeError`."""
    if isinstance(value, str):
        try:
            return value.encode("ascii")
        except UnicodeEncodeError:
            raise TypeError(f"{name} strings may not include unicode characters.") from None
    if isinstance(value, bytes):
        return value
    raise TypeError(f"{name} must be bytes or str, but got {type(value).__name__}.")


def shown(text: bytes) -> str:
    """Return `text` for an error message: without control characters, and not too long."""
    if len(text) <= _LONGEST_SHOWN:
        return repr(text)
    return f"{text[:_LONGEST_SHOWN]!r}… ({len(text)} bytes)"


# Hosts


def is_host(host: bytes) -> bool:
    """Whether `host`, without brackets, is a name or an address that a URL allows (RFC 3986, section 3.2.2)."""
    if len(host) > _LONGEST_HOST:
        return False
    if b":" not in host:
        return _is_name(host) is not None
    address, percent, zone = split_zone(host)
    if percent and _is_zone(zone) is None:
        return False
    import ipaddress  # 3 ms that most programs don't need

    try:
        ipaddress.IPv6Address(address.decode("ascii"))
    except ValueError:
        return False
    return True


def split_zone(host: bytes) -> tuple[bytes, bytes, bytes]:
    """Return an IPv6 address, and after the `%` its zone: the interface that a link-local address belongs to.

    A URL has `%25eth0` (RFC 6874, section 2) or, as curl and Python read it, too, `%eth0`.
    """
    if b":" not in host:
        return host, b"", b""
    address, percent, zone = host.partition(b"%")
    if len(zone) > 2:
        zone = zone.removeprefix(b"25")
    return address, percent, zone


def host_to_dial(host: bytes) -> str:
    """Return `host` as the operating system takes it, the zone included."""
    return b"".join(split_zone(host)).decode("ascii")


def server_name(host: ByteOrStr) -> str:
    """Return the name for SNI and for the check of the certificate.

    It is without a final dot (RFC 6066, section 3), and without a zone, which only this machine knows.
    """
    name = host if isinstance(host, str) else host.decode("ascii")
    if ":" in name:
        name = name.partition("%")[0]
    return name.removesuffix(".")


def bracketed(host: bytes) -> bytes:
    """Return `host` as it is written before a port: an IPv6 address in brackets."""
    return b"[%b]" % host if b":" in host else host


@lru_cache(maxsize=1024)
def host_header(scheme: bytes, host: bytes, port: int | None) -> bytes:
    """The Host field of a URL (RFC 9110, section 7.2): IPv6 in brackets, without a default port.

    It is without a zone, too, which means nothing elsewhere (RFC 6874, section 4).
    """
    host = bracketed(split_zone(host)[0])
    if port is None or port == DEFAULT_PORTS.get(scheme):
        return host
    return b"%b:%d" % (host, port)


class Origin:
    """Scheme, host and port: what a connection is made to (RFC 9110, section 4.3.1)."""

    __slots__ = ("host", "port", "scheme")

    def __init__(self, scheme: bytes, host: bytes, port: int) -> None:
        self.scheme: bytes = scheme
        self.host: bytes = host
        self.port: int = port

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Origin)
            and self.scheme == other.scheme
            and self.host == other.host
            and self.port == other.port
        )

    __hash__: ClassVar[None] = None  # type: ignore[assignment]

    def __str__(self) -> str:
        start = b"%b://%b" % (self.scheme, bracketed(self.host))
        return f"{start.decode('ascii', 'backslashreplace')}:{self.port}"


def check_origin(origin: Origin) -> None:
    """Refuse an origin that nothing can be connected to, before its host is looked up.

    Raises:
        LocalProtocolError: there is no host, or none that a URL allows.
        ConnectError: the port is none; 2.16.2 finds that out when it connects.
    """
    if not origin.host:
        raise LocalProtocolError(
            "The request's URL has no host, as 'http:///path' has none: "
            "write 'http://www.example.com/path' (RFC 9110, section 4.2.1)."
        )
    if not is_host(origin.host):
        raise LocalProtocolError(_no_host(origin.host))
    if not 0 <= origin.port <= 65535:
        raise ConnectError(f"There is no port {origin.port}: a port is 0 to 65535. ({origin})")


def _no_host(host: bytes) -> str:
    return (
        f"{shown(host)} is no host: that is a name of letters, digits and -._~!$&'()*+,;= "
        "or an IP address, of 255 bytes at most (RFC 3986, section 3.2.2)."
    )


class URL:
    """A URL in the parts that a request needs.

    Either parsed from one string, or given in parts, which then are taken as they are:

        url = httpcore2.URL("https://www.example.com/path?query")
        url = httpcore2.URL(scheme="https", host="www.example.com", port=443, target="/path?query")

    Attributes:
        scheme: such as `b"https"`, in lower case when parsed.
        host: name or address; an IPv6 address without brackets.
        port: the port, or `None` for the scheme's own.
        target: path and query as sent in the request line, such as `b"/path?query"`.
    """

    __slots__ = ("host", "port", "scheme", "target")

    def __init__(
        self,
        url: ByteOrStr = "",
        *,
        scheme: ByteOrStr = b"",
        host: ByteOrStr = b"",
        port: int | None = None,
        target: ByteOrStr = b"",
    ) -> None:
        """Parse `url`, or take the parts.

        Raises:
            TypeError: a part is neither bytes nor an ASCII string.
            ValueError: `url` has a host that no URL may have, or a port that is no number from 0 to 65535. Of parts
                the host and the port are checked when they are connected to.
        """
        self.scheme: bytes
        self.host: bytes
        self.port: int | None
        self.target: bytes
        if url:
            if type(url) is not str:
                url = enforce_bytes(url, name="url")
            self.scheme, self.host, self.port, self.target = _parse_url(url)
        else:
            self.scheme = enforce_bytes(scheme, name="scheme")
            self.host = enforce_bytes(host, name="host")
            self.port = port
            self.target = enforce_bytes(target, name="target")

    @property
    def origin(self) -> Origin:
        """What to connect to; the scheme's own port where none is given."""
        port = DEFAULT_PORTS[self.scheme] if self.port is None else self.port
        return Origin(self.scheme, self.host, port)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, URL)
            and self.scheme == other.scheme
            and self.host == other.host
            and self.port == other.port
            and self.target == other.target
        )

    __hash__: ClassVar[None] = None  # type: ignore[assignment]

    def __bytes__(self) -> bytes:
        host = bracketed(self.host)
        if self.port is not None:
            host = b"%b:%d" % (host, self.port)
        return b"%b://%b%b" % (self.scheme, host, self.target)

    def __repr__(self) -> str:
        return (
            f"URL(scheme={self.scheme!r}, host={self.host!r}, "
            f"port={self.port!r}, target={self.target!r})"
        )


@lru_cache(maxsize=256)
def _parse_url(url: ByteOrStr) -> tuple[bytes, bytes, int | None, bytes]:
    raw = enforce_bytes(url, name="url")
    plain = _match_plain_url(raw)
    if plain is not None:
        scheme, host, digits, target = plain.groups()
        return scheme, host, _parse_port(digits), target or b"/"
    if not raw.isascii():
        raise TypeError(
            "url may only include ASCII characters: percent-encode the path and query, "
            "and give the host in its IDNA form."
        )
    split = _split(raw)
    assert split is not None, "every part may be empty"
    scheme, authority, path, query = split.groups(b"")
    host, port = _parse_authority(authority)
    return scheme.lower(), host, port, (path or b"/") + query


def _parse_authority(authority: bytes) -> tuple[bytes, int | None]:
    """Return host and port; what comes before the last "@" is dropped (RFC 3986, section 3.2)."""
    userinfo, _, place = authority.rpartition(b"@")
    if not _is_userinfo(userinfo):
        # Not shown: it may hold a password.
        raise ValueError(
            "What comes before the '@' of the URL's host holds a blank, a control character, a backslash or a bracket: "
            "percent-encode it (RFC 3986, section 3.2.1)."
        )
    split = _split_place(place)
    if split is None:
        raise ValueError(f"Invalid IPv6 URL: the brackets in the host {shown(place)} don't match.")
    host, digits = split.groups()
    is_address = host.startswith(b"[")
    if is_address:
        host = host[1:-1]
    # The name of a zone keeps its case, as an interface does.
    name, percent, rest = host.partition(b"%")
    host = name.lower() + percent + rest
    if is_address and b":" not in host:
        raise ValueError(
            f"{shown(host)} is in brackets, and is no IPv6 address (RFC 3986, section 3.2.2)."
        )
    if host and not is_host(host):
        raise ValueError(_no_host(host))
    return host, _parse_port(digits)


def _parse_port(digits: bytes | None) -> int | None:
    if not digits:
        return None
    if not digits.isdigit():
        raise ValueError(f"Port could not be cast to integer value as {shown(digits)}")
    significant = digits.lstrip(b"0")
    if len(significant) > 5 or int(significant or b"0") > 65535:
        raise ValueError("Port out of range 0-65535")
    return int(digits)
