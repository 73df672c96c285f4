"""URLs and origins: the parsing of URLs, and the checks of hosts and ports.

Rules: text is ASCII, held as bytes. A URL is split as RFC 3986, appendix B, does it; nothing is stripped, decoded or
corrected, so that an allow-list that checks the URL sees the host that is connected to.
Must not know: requests, connections, the network.
"""

from __future__ import annotations

import re
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

# Parses most URLs in one match. Neighbouring repetitions have no byte in common, so that it takes linear time.
_match_plain_url = re.compile(
    rb"(https?)://([a-z0-9.-]{1,255})(?::([0-9]{1,5}))?(/[!-\"$->@-~]*(?:\?[!-\"$-~]*)?)?\Z"
).match
# RFC 3986, appendix B. Matches everything.
_split = re.compile(
    rb"(?:([A-Za-z][A-Za-z0-9+.-]*):)?(?://([^/?#]*))?([^?#]*)(\?[^#]*)?(?:#.*)?", re.DOTALL
).fullmatch
# Section 3.2.1 allows fewer characters. These are safe, since no other parser finds another host in them. A backslash
# is not: browsers read it as "/".
_is_userinfo = re.compile(rb"[!-Z^-~]*").fullmatch
_split_place = re.compile(rb"(\[[^\[\]]*\]|[^:\[\]]*)(?::(.*))?", re.DOTALL).fullmatch
# Section 3.2.2. A name has at most 255 bytes (RFC 1035, section 2.3.4).
_is_name = re.compile(rb"(?:[-A-Za-z0-9._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})+").fullmatch
_is_zone = re.compile(rb"[-A-Za-z0-9._~]+").fullmatch
_LONGEST_HOST = 255
_LONGEST_QUOTED = 60


def enforce_bytes(value: ByteOrStr, *, name: str) -> bytes:
    """Return `value` as bytes; raise `TypeError` for another type, or text that is not ASCII."""
    if isinstance(value, str):
        try:
            return value.encode("ascii")
        except UnicodeEncodeError:
            raise TypeError(f"{name} strings may not include unicode characters.") from None
    if isinstance(value, bytes):
        return value
    raise TypeError(f"{name} must be bytes or str, but got {type(value).__name__}.")


def quoted(text: bytes) -> str:
    """Return `text` for an error message, with control characters escaped and cut to 60 bytes."""
    if len(text) <= _LONGEST_QUOTED:
        return repr(text)
    return f"{text[:_LONGEST_QUOTED]!r}… ({len(text)} bytes)"


# Hosts


def is_host(host: bytes) -> bool:
    """Return whether `host`, without brackets, is a valid name or address (RFC 3986, section 3.2.2)."""
    if len(host) > _LONGEST_HOST:
        return False
    if b":" not in host:
        return _is_name(host) is not None
    address, percent, zone = split_zone(host)
    if percent and _is_zone(zone) is None:
        return False
    import ipaddress  # imported here, since it takes 3 ms and only IPv6 addresses need it

    try:
        ipaddress.IPv6Address(address.decode("ascii"))
    except ValueError:
        return False
    return True


def split_zone(host: bytes) -> tuple[bytes, bytes, bytes]:
    """Split an IPv6 address from its zone, the interface of a link-local address: return address, `%` and zone.

    RFC 6874, section 2, writes `%25eth0` in a URL. `%eth0` is read, too, as curl and Python do.
    """
    if b":" not in host:
        return host, b"", b""
    address, percent, zone = host.partition(b"%")
    if len(zone) > 2:
        zone = zone.removeprefix(b"25")
    return address, percent, zone


def host_to_dial(host: bytes) -> str:
    """Return `host` as the operating system's resolver expects it, with the zone."""
    return b"".join(split_zone(host)).decode("ascii")


def server_name(host: ByteOrStr) -> str:
    """Return the name for SNI and for the verification of the certificate.

    It has no final dot (RFC 6066, section 3), and no zone, which is only meaningful on this machine.
    """
    name = host if isinstance(host, str) else host.decode("ascii")
    if ":" in name:
        name = name.partition("%")[0]
    return name.removesuffix(".")


def bracketed(host: bytes) -> bytes:
    """Return `host` as it stands before a port: an IPv6 address in brackets."""
    return b"[%b]" % host if b":" in host else host


def host_header(scheme: bytes, host: bytes, port: int | None) -> bytes:
    """Return the Host field of a URL (RFC 9110, section 7.2): IPv6 in brackets, no default port.

    It has no zone, which is only meaningful on this machine (RFC 6874, section 4).
    """
    host = bracketed(split_zone(host)[0])
    if port is None or port == DEFAULT_PORTS.get(scheme):
        return host
    return b"%b:%d" % (host, port)


class Origin:
    """The scheme, host and port that a connection is made to (RFC 9110, section 4.3.1).

    Two origins are equal if all three are. An origin is not hashable.

    Args:
        scheme: the scheme, such as `b"https"`.
        host: the name or the address; an IPv6 address has no brackets.
        port: the port.

    Attributes:
        scheme: the scheme.
        host: the name or the address.
        port: the port.

    Example:
        The origin of a URL has the default port of the scheme.

        ```python
        import httpcore2

        origin = httpcore2.URL("https://www.example.com/path").origin
        assert origin == httpcore2.Origin(b"https", b"www.example.com", 443)
        assert str(origin) == "https://www.example.com:443"
        ```
    """

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
    """Check that the host and the port of an origin are valid, before the host is resolved.

    Raises:
        LocalProtocolError: the host is empty or malformed.
        ConnectError: the port is not between 0 and 65535. 2.16.2 raises this error when it connects.
    """
    if not origin.host:
        raise LocalProtocolError(
            "The request's URL has no host. Give an absolute URL, such as 'http://www.example.com/path' "
            "(RFC 9110, section 4.2.1)."
        )
    if not is_host(origin.host):
        raise LocalProtocolError(_invalid_host(origin.host))
    if not 0 <= origin.port <= 65535:
        raise ConnectError(f"Port {origin.port} is out of range 0-65535. ({origin})")


def _invalid_host(host: bytes) -> str:
    return (
        f"{quoted(host)} is not a valid host. A host is an IP address, or a name of letters, digits and "
        "-._~!$&'()*+,;= with 255 bytes at most (RFC 3986, section 3.2.2)."
    )


class URL:
    """A URL in the components that a request needs (RFC 3986).

    It is parsed from one string, or made from components, which are not checked until a connection is made.

    Args:
        url: the URL as one string. The other arguments are ignored if it is given.
        scheme: the scheme, such as `"https"`.
        host: the name or the address; an IPv6 address has no brackets.
        port: the port, `None` for the default port of the scheme.
        target: the path and the query.

    Attributes:
        scheme: the scheme, such as `b"https"`, in lower case if the URL was parsed.
        host: the name or the address, in lower case if the URL was parsed; an IPv6 address has no brackets.
        port: the port, or `None` for the default port of the scheme.
        target: the path and the query as sent in the request line, such as `b"/path?query"`.

    Raises:
        TypeError: an argument is neither bytes nor an ASCII string.
        ValueError: the host in `url` is malformed, or its port is not a number from 0 to 65535.

    Example:
        Both of these are the same URL.

        ```python
        import httpcore2

        parsed = httpcore2.URL("https://www.example.com:8443/path?query")
        made = httpcore2.URL(
            scheme="https", host="www.example.com", port=8443, target="/path?query"
        )
        assert parsed == made
        ```
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
        self.scheme: bytes
        self.host: bytes
        self.port: int | None
        self.target: bytes
        if url:
            if type(url) is not str:
                url = enforce_bytes(url, name="url")
            self.scheme, self.host, self.port, self.target = parse_url(url)
        else:
            self.scheme = enforce_bytes(scheme, name="scheme")
            self.host = enforce_bytes(host, name="host")
            self.port = port
            self.target = enforce_bytes(target, name="target")

    @property
    def origin(self) -> Origin:
        """The `Origin` of the URL, with the default port of the scheme if the URL has none."""
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


def parse_url(url: ByteOrStr) -> tuple[bytes, bytes, int | None, bytes]:
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
    assert split is not None, "every component may be empty"
    scheme, authority, path, query = split.groups(b"")
    host, port = _parse_authority(authority)
    return scheme.lower(), host, port, (path or b"/") + query


def _parse_authority(authority: bytes) -> tuple[bytes, int | None]:
    """Return the host and the port. The user information before the last "@" is dropped (RFC 3986, section 3.2)."""
    userinfo, _, place = authority.rpartition(b"@")
    if not _is_userinfo(userinfo):
        # Without its text, which may have a password.
        raise ValueError(
            "The user information before the '@' of the URL has a blank, a control character, a backslash or a "
            "bracket. Percent-encode it (RFC 3986, section 3.2.1)."
        )
    split = _split_place(place)
    if split is None:
        raise ValueError(
            f"Invalid IPv6 URL: the brackets in the host {quoted(place)} do not match."
        )
    host, digits = split.groups()
    is_address = host.startswith(b"[")
    if is_address:
        host = host[1:-1]
    # A zone keeps its case, since it names an interface.
    name, percent, zone = host.partition(b"%")
    host = name.lower() + percent + zone
    if is_address and b":" not in host:
        raise ValueError(
            f"{quoted(host)} is in brackets, but is not an IPv6 address (RFC 3986, section 3.2.2)."
        )
    if host and not is_host(host):
        raise ValueError(_invalid_host(host))
    return host, _parse_port(digits)


def _parse_port(digits: bytes | None) -> int | None:
    if not digits:
        return None
    if not digits.isdigit():
        raise ValueError(f"Port could not be cast to integer value as {quoted(digits)}")
    significant = digits.lstrip(b"0")
    if len(significant) > 5 or int(significant or b"0") > 65535:
        raise ValueError("Port out of range 0-65535")
    return int(digits)
