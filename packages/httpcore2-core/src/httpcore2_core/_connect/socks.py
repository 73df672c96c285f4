"""The handshake with a SOCKS proxy, of version 4, 4a or 5 (RFC 1928, RFC 1929).

Rules: the protocols are generators without I/O, and `run_handshake` sends and receives their bytes. `socksio`, which is
loaded when first needed, writes the requests of SOCKS5. The replies are parsed here: `socksio` accepts them only whole,
and does not check all of them.
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
from .._net.resolver_interfaces import AsyncResolver
from .._net.runtime_backend import RuntimeBackend
from .stream_setup import StreamSetup

SOCKS4_SCHEMES = (b"socks4", b"socks4a")
SOCKS5_SCHEMES = (b"socks5", b"socks5h")

Handshake: TypeAlias = Generator[tuple[bytes, int], bytes, None]
"""A handshake without I/O: yields bytes to send and the length of the reply, and is sent the reply."""

_RECEIVE = 4096

_GRANTED = 90
_SOCKS4_REFUSALS = {
    91: "Request rejected or failed",
    92: "Request rejected since the proxy can't connect to identd on this machine",
    93: "Request rejected since identd on this machine reports another user id",
}
# The address 0.0.0.x, where x isn't 0, announces a name (SOCKS4a).
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
    """Raise `ImportError` if `socksio`, which SOCKS5 needs, is not installed; it names the command that installs it."""
    try:
        import socksio  # noqa: F401
    except ModuleNotFoundError:
        raise ImportError(missing("socksio", "socks", "A SOCKS5 proxy")) from None


class SOCKSHandshake:
    """Requests a connection to the origin from a SOCKS proxy."""

    def __init__(self, proxy: Proxy, origin: Origin, resolver: AsyncResolver | None) -> None:
        """Make the stage; `resolver` finds the address of the origin for SOCKS4, which has no names."""
        self._resolver = resolver
        self._proxy = proxy
        self._origin = origin
        self._version = 4 if proxy.url.scheme in SOCKS4_SCHEMES else 5
        target = bracketed(origin.host).decode("ascii")
        if self._version == 4 and b":" in origin.host:
            raise ConnectError(
                f"SOCKS4 has no IPv6, so the proxy can't connect to {target}: use SOCKS5."
            )
        self.purpose = (
            f"requesting a connection to {target}:{origin.port} "
            f"from the SOCKS{self._version} proxy {proxy.url.origin}"
        )

    async def run(self, setup: StreamSetup) -> None:
        info = {
            "stream": setup.stream.unwrapped,
            "host": self._origin.host.decode("ascii"),
            "port": self._origin.port,
            "auth": None if self._proxy.auth is None else "[secure]",
            "timeouts": setup.request.extensions.get("timeout", {}),
        }

        async def shake_hands() -> BackendStream:
            stream = setup.stream
            with setup.handshake_timeouts() as timeouts:
                handshake = await self._begin(setup, timeouts)
                leading_data = await run_handshake(handshake, stream, timeouts)
            return PrefixedStream(stream, leading_data) if leading_data else stream

        event = f"setup_socks{self._version}_connection"
        await setup.replace_stream("socks", event, info, shake_hands)

    async def _begin(self, setup: StreamSetup, timeouts: Timeouts) -> Handshake:
        host, port, auth = self._origin.host, self._origin.port, self._proxy.auth
        if self._version == 5:
            return socks5(host, port, auth)
        address = _ipv4(host)
        if address is None and self._proxy.url.scheme == b"socks4":
            address = await self._resolve_ipv4(setup.backend, timeouts.for_connect())
        return socks4(host, address, port, b"" if auth is None else auth[0])

    async def _resolve_ipv4(self, backend: RuntimeBackend, timeout: float | None) -> bytes | None:
        host = self._origin.host.decode("ascii")
        if self._resolver is None:
            return _ipv4((await backend.resolve_ipv4(host, timeout)).encode("ascii"))
        found = await backend.resolve(host, self._origin.port, timeout, resolver=self._resolver)
        addresses = [address for address in found if ":" not in address]
        if not addresses:
            raise ConnectError(
                f"{host} has no IPv4 address, which SOCKS4 needs, but {', '.join(found)}: use SOCKS5."
            )
        return _ipv4(addresses[0].encode("ascii"))


def socks4(host: bytes, address: bytes | None, port: int, user_id: bytes) -> Handshake:
    """Make the handshake with a SOCKS4 proxy.

    Args:
        host: the name that the proxy resolves (SOCKS4a) if `address` is `None`.
        address: the four bytes of an IPv4 address.
        port: the port of the origin.
        user_id: empty for none.

    Raises:
        ProxyError: the proxy refused.
        RemoteProtocolError: the reply is not one of SOCKS4.
    """
    request = b"\x04\x01%b%b%b\x00" % (port.to_bytes(2, "big"), address or _NAME_FOLLOWS, user_id)
    if address is None:
        request += host + b"\x00"
    version, code, *_ = yield request, 8
    _check_version(version, 0, "SOCKS4")
    if code != _GRANTED:
        raise _refusal(code, _SOCKS4_REFUSALS)


def socks5(host: bytes, port: int, auth: tuple[bytes, bytes] | None) -> Handshake:
    """Make the handshake with a SOCKS5 proxy.

    Args:
        host: an address, or a name that the proxy resolves.
        port: the port of the origin.
        auth: user name and password; `None` to offer only the method without authentication.

    Raises:
        ProxyError: the proxy refused the method, the credentials or the connection.
        RemoteProtocolError: a reply is not one of SOCKS5.
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
        # Refused at once: some proxies send no more of the reply.
        raise _refusal(reply, _SOCKS5_REFUSALS)
    # The address that the proxy connects from follows. Nobody needs it, but the tunnel begins after it.
    _, kind, first = yield b"", 3
    lengths = {_IPV4: 4 - 1, _NAME: first, _IPV6: 16 - 1}
    if kind not in lengths:
        raise RemoteProtocolError(f"The proxy's reply has an address of the unknown type {kind}.")
    yield b"", lengths[kind] + 2


def _check_version(version: int, expected: int, protocol: str) -> None:
    if version != expected:
        raise RemoteProtocolError(
            f"The proxy's reply begins with {version}, not with {expected} as in {protocol}: is it a {protocol} proxy?"
        )


def _refusal(code: int, known: dict[int, str]) -> ProxyError:
    reason = known.get(code, f"unknown reply {code}")
    return ProxyError(f"Proxy Server could not connect: {reason}.")


async def run_handshake(handshake: Handshake, stream: BackendStream, timeouts: Timeouts) -> bytes:
    """Send and receive the bytes of a handshake, and return those that arrived after its end."""
    received = b""
    reply: bytes | None = None
    while True:
        try:
            data, count = next(handshake) if reply is None else handshake.send(reply)
        except StopIteration:
            return received
        if data:
            await stream.write(data, timeouts.for_write())
        while len(received) < count:
            chunk = await stream.read(_RECEIVE, timeouts.for_read())
            if not chunk:
                raise RemoteProtocolError(
                    f"The proxy closed the connection after {len(received)} of the {count} bytes of a reply."
                )
            received += chunk
        reply, received = received[:count], received[count:]


def _ipv4(host: bytes) -> bytes | None:
    """Return the bytes of an IPv4 address, `None` for a name."""
    numbers = [int(part) for part in host.split(b".") if part.isdigit() and len(part) <= 3]
    if host.count(b".") != 3 or len(numbers) != 4 or max(numbers) > 255:
        return None
    return bytes(numbers)
