"""SOCKS4 and SOCKS4a as an object without I/O; the protocol is small enough to be written by hand.

See `handshake.Dialogue` for what the generator yields.
Must not know: the network, who resolves names.
"""

from __future__ import annotations

from .._exceptions import ProxyError, RemoteProtocolError
from .handshake import Dialogue

_GRANTED = 90
_REFUSALS = {
    91: "Request rejected or failed",
    92: "Request rejected since the proxy can't ask identd on this machine",
    93: "Request rejected since identd on this machine reports another user id",
}
# An address that stands for "the name follows": 0.0.0.x, where x isn't 0 (SOCKS4a).
_NAME_FOLLOWS = bytes((0, 0, 0, 1))


def socks4(host: bytes, address: bytes | None, port: int, user_id: bytes) -> Dialogue:
    """Ask for a connection.

    Args:
        host: the name to be resolved by the proxy, where `address` is not known.
        address: the four bytes of an IPv4 address, or `None`.
        port: the origin's port.
        user_id: whom the proxy is told that this is.

    Raises:
        ProxyError: the proxy refused.
        RemoteProtocolError: it does not speak SOCKS4.
    """
    request = b"\x04\x01%b%b%b\x00" % (
        port.to_bytes(2, "big"),
        _NAME_FOLLOWS if address is None else address,
        user_id,
    )
    if address is None:
        request += host + b"\x00"
    version, code, *_ = yield request, 8
    if version != 0:
        raise RemoteProtocolError(
            f"The proxy's reply begins with {version}, where SOCKS4 has 0: does it speak SOCKS4?"
        )
    if code != _GRANTED:
        words = _REFUSALS.get(code, f"unknown reply {code}")
        raise ProxyError(f"Proxy Server could not connect: {words}.")
