"""SOCKS: asking a proxy for a connection to the origin, in version 4, 4a or 5 (RFC 1928, RFC 1929).

Rules: the protocols are generators without I/O, and one function carries their bytes. For SOCKS5 `socksio`, loaded
when first needed, writes the requests; replies it takes only whole, and does not check them all: they are read here.
Must not know: what goes through the connection.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeAlias

from .._distributions import missing
from .._exceptions import ConnectError, ProxyError, RemoteProtocolError
from .._http.timeouts import Timeouts
from .._models import Origin, Proxy, bracketed
from .._net.backend_stream import BackendStream
from .._net.prefixed_stream import PrefixedStream
from .routes import Opening

SOCKS4_SCHEMES = (b"socks4", b"socks4a")
SOCKS5_SCHEMES = (b"socks5", b"socks5h")

Dialogue: TypeAlias = Generator[tuple[bytes, int], bytes, None]
"""A conversation without I/O: yields what to send and how many bytes the reply has, and is sent those."""

_RECEIVE = 4096

_GRANTED = 90
_SOCKS4_REFUSALS = {
    91: "Request rejected or failed",
    92: "Request rejected since the proxy can't ask identd on this machine",
    93: "Request rejected since identd on this machine reports another user id",
}
# An address that stands for "the name follows": 0.0.0.x, where x isn't 0 (SOCKS4a).
_NAME_FOLLOWS = bytes((0, 0, 0, 1))

_METHODS = {
    0: "NO AUTHENTICATION REQUIRED",
    1: "GSSAPI",
    2: "USERNAME/PASSWORD",
    255: "NO ACCEPTABLE METHODS",
}
_SOCKS5_REFUSALS = {
    1: "General SOCKS server failure",
    2: "Connection not allowed by ruleset",
    3: "Network unreachable",
    4: "Host unreachable",
    5: "Connection refused",
    6: "TTL expired",
    7: "Command not supported",
    8: "Address type not supported",
}
_IPV4, _NAME, _IPV6 = 1, 3, 4


def check_socksio() -> None:
    """Raise `ImportError` where SOCKS5 can't be spoken; it names the command that installs `socksio`."""
    try:
        import socksio  # noqa: F401
    except ModuleNotFoundError:
        raise ImportError(missing("socksio", "socks", "A SOCKS5 proxy")) from None


class Socks:
    """Have a SOCKS proxy connect to the origin."""

    def __init__(self, proxy: Proxy, origin: Origin) -> None:
        self._proxy = proxy
        self._origin = origin
        self._version = 4 if proxy.url.scheme in SOCKS4_SCHEMES else 5
        target = bracketed(origin.host).decode("ascii")
        if self._version == 4 and b":" in origin.host:
            raise ConnectError(f"SOCKS4 has no IPv6, and so can't reach {target}: use socks5.")
        self.purpose = (
            f"asking the SOCKS{self._version} proxy {proxy.url.origin} "
            f"for a connection to {target}:{origin.port}"
        )

    async def take(self, opening: Opening) -> None:
        info = {
            "stream": opening.stream.unwrapped,
            "host": self._origin.host.decode("ascii"),
            "port": self._origin.port,
            "auth": None if self._proxy.auth is None else "[secure]",
            "timeouts": opening.request.extensions.get("timeout", {}),
        }

        async def set_up() -> BackendStream:
            stream = opening.stream
            with opening.conversing() as limits:
                dialogue = await self._begin(opening, limits)
                surplus = await converse(dialogue, stream, limits)
            return PrefixedStream(stream, surplus) if surplus else stream

        await opening.advance("socks", f"setup_socks{self._version}_connection", info, set_up)

    async def _begin(self, opening: Opening, limits: Timeouts) -> Dialogue:
        host, port, auth = self._origin.host, self._origin.port, self._proxy.auth
        if self._version == 5:
            return socks5(host, port, auth)
        address = _ipv4(host)
        if address is None and self._proxy.url.scheme == b"socks4":
            found = await opening.backend.resolve_ipv4(host.decode("ascii"), limits.for_connect())
            address = _ipv4(found.encode("ascii"))
        return socks4(host, address, port, b"" if auth is None else auth[0])


def socks4(host: bytes, address: bytes | None, port: int, user_id: bytes) -> Dialogue:
    """Ask a SOCKS4 proxy, which resolves `host` (SOCKS4a) where the four bytes of `address` are not given.

    Raises:
        ProxyError: the proxy refused.
        RemoteProtocolError: it does not speak SOCKS4.
    """
    request = b"\x04\x01%b%b%b\x00" % (port.to_bytes(2, "big"), address or _NAME_FOLLOWS, user_id)
    if address is None:
        request += host + b"\x00"
    version, code, *_ = yield request, 8
    _check_version(version, 0, "SOCKS4")
    if code != _GRANTED:
        raise _refusal(code, _SOCKS4_REFUSALS)


def socks5(host: bytes, port: int, auth: tuple[bytes, bytes] | None) -> Dialogue:
    """Ask a SOCKS5 proxy, which resolves names; with `auth` no other method is offered.

    Raises:
        ProxyError: the proxy refused the method, the credentials or the connection.
        RemoteProtocolError: it does not speak SOCKS5.
    """
    from socksio.socks5 import (
        SOCKS5AuthMethod,
        SOCKS5AuthMethodsRequest,
        SOCKS5Command,
        SOCKS5CommandRequest,
        SOCKS5UsernamePasswordRequest,
    )

    method = SOCKS5AuthMethod.NO_AUTH_REQUIRED
    if auth is not None:
        method = SOCKS5AuthMethod.USERNAME_PASSWORD
    version, chosen = yield SOCKS5AuthMethodsRequest([method]).dumps(), 2
    _check_version(version, 5, "SOCKS5")
    if chosen != method[0]:
        raise ProxyError(
            f"Requested {_METHODS[method[0]]} from proxy server, "
            f"but got {_METHODS.get(chosen, f'method {chosen}')}."
        )
    if auth is not None:
        version, status = yield SOCKS5UsernamePasswordRequest(*auth).dumps(), 2
        _check_version(version, 1, "SOCKS5")
        if status:
            raise ProxyError("Invalid username/password")

    address = (host.decode("ascii"), port)
    request = SOCKS5CommandRequest.from_address(SOCKS5Command.CONNECT, address)
    version, reply = yield request.dumps(), 2
    _check_version(version, 5, "SOCKS5")
    if reply:
        # Judged at once: there are proxies that send no more of it.
        raise _refusal(reply, _SOCKS5_REFUSALS)
    # Then the address that the proxy connects from, which nobody needs; but where it ends the tunnel begins.
    _, kind, first = yield b"", 3
    lengths = {_IPV4: 4 - 1, _NAME: first, _IPV6: 16 - 1}
    if kind not in lengths:
        raise RemoteProtocolError(f"The proxy's reply has an address of the unknown type {kind}.")
    yield b"", lengths[kind] + 2


def _check_version(version: int, expected: int, protocol: str) -> None:
    if version != expected:
        raise RemoteProtocolError(
            f"The proxy's reply begins with {version}, where {protocol} has {expected}: does it speak {protocol}?"
        )


def _refusal(code: int, known: dict[int, str]) -> ProxyError:
    words = known.get(code, f"unknown reply {code}")
    return ProxyError(f"Proxy Server could not connect: {words}.")


async def converse(dialogue: Dialogue, stream: BackendStream, limits: Timeouts) -> bytes:
    """Carry a dialogue's bytes, and return those that came beyond its end."""
    received = b""
    reply: bytes | None = None
    while True:
        try:
            data, count = next(dialogue) if reply is None else dialogue.send(reply)
        except StopIteration:
            return received
        if data:
            await stream.write(data, limits.for_write())
        while len(received) < count:
            piece = await stream.read(_RECEIVE, limits.for_read())
            if not piece:
                raise RemoteProtocolError(
                    f"The proxy closed the connection after {len(received)} of the {count} bytes of a reply."
                )
            received += piece
        reply, received = received[:count], received[count:]


def _ipv4(host: bytes) -> bytes | None:
    """The bytes of an IPv4 address, `None` for a name."""
    numbers = [int(part) for part in host.split(b".") if part.isdigit() and len(part) <= 3]
    if host.count(b".") != 3 or len(numbers) != 4 or max(numbers) > 255:
        return None
    return bytes(numbers)
