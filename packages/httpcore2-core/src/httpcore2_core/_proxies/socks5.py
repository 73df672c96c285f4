"""SOCKS5 (RFC 1928, RFC 1929) as an object without I/O, over `socksio`, which is loaded when first needed.

`socksio` writes the requests. It takes replies only whole, and does not check all of them, so they are read
here. See `handshake.Dialogue` for what the generator yields.
Must not know: the network.
"""

from __future__ import annotations

from .._exceptions import ProxyError, RemoteProtocolError
from .._siblings import missing
from .handshake import Dialogue

_METHODS = {
    0: "NO AUTHENTICATION REQUIRED",
    1: "GSSAPI",
    2: "USERNAME/PASSWORD",
    255: "NO ACCEPTABLE METHODS",
}
_REFUSALS = {
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
    """Make sure that SOCKS5 can be spoken.

    Raises:
        ImportError: `socksio` is not installed; the text names the command that installs it.
    """
    try:
        import socksio  # noqa: F401
    except ModuleNotFoundError:
        raise ImportError(missing("socksio", "socks", "A SOCKS5 proxy")) from None


def socks5(host: bytes, port: int, auth: tuple[bytes, bytes] | None) -> Dialogue:
    """Ask for a connection.

    Args:
        host: a name, which the proxy resolves, or an IP address.
        port: the origin's port.
        auth: user name and password; with them no other method is offered.

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
    _check_version(version, 5)
    if chosen != method[0]:
        raise ProxyError(
            f"Requested {_METHODS[method[0]]} from proxy server, "
            f"but got {_METHODS.get(chosen, f'method {chosen}')}."
        )
    if auth is not None:
        version, status = yield SOCKS5UsernamePasswordRequest(*auth).dumps(), 2
        _check_version(version, 1)
        if status:
            raise ProxyError("Invalid username/password")

    address = (host.decode("ascii"), port)
    request = SOCKS5CommandRequest.from_address(SOCKS5Command.CONNECT, address)
    version, reply = yield request.dumps(), 2
    _check_version(version, 5)
    if reply:
        # Judged at once: there are proxies that send no more of it.
        words = _REFUSALS.get(reply, f"unknown reply {reply}")
        raise ProxyError(f"Proxy Server could not connect: {words}.")
    # Then the address that the proxy connects from, which nobody needs; but where it ends the tunnel begins.
    _, kind, first = yield b"", 3
    lengths = {_IPV4: 4 - 1, _NAME: first, _IPV6: 16 - 1}
    if kind not in lengths:
        raise RemoteProtocolError(f"The proxy's reply has an address of the unknown type {kind}.")
    yield b"", lengths[kind] + 2


def _check_version(version: int, expected: int) -> None:
    if version != expected:
        raise RemoteProtocolError(
            f"The proxy's reply begins with {version}, where SOCKS5 has {expected}: does it speak SOCKS5?"
        )
