"""The step of a route that a SOCKS proxy takes: asking it for a connection to the origin.

Must not know: how the protocols are written, what goes through the connection.
"""

from __future__ import annotations

from .._backends.caller import public_stream
from .._exceptions import ConnectError
from .._http11.upgrade import UpgradedStream
from .._models import Origin, Proxy, bracketed
from .._network import BackendStream
from .._routes import Opening, Step
from .._timeouts import Timeouts
from .checks import SOCKS4_SCHEMES
from .handshake import Dialogue, converse, handshake_limits
from .socks4 import socks4
from .socks5 import socks5


class Socks(Step):
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
            "stream": public_stream(opening.stream),
            "host": self._origin.host.decode("ascii"),
            "port": self._origin.port,
            "auth": None if self._proxy.auth is None else "[secure]",
            "timeouts": opening.request.extensions.get("timeout", {}),
        }

        async def set_up() -> BackendStream:
            stream = opening.stream
            with handshake_limits(opening) as limits:
                dialogue = await self._begin(opening, limits)
                surplus = await converse(dialogue, stream, limits)
            return UpgradedStream(stream, surplus) if surplus else stream

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


def _ipv4(host: bytes) -> bytes | None:
    """The bytes of an IPv4 address, `None` for a name."""
    numbers = [int(part) for part in host.split(b".") if part.isdigit() and len(part) <= 3]
    if host.count(b".") != 3 or len(numbers) != 4 or max(numbers) > 255:
        return None
    return bytes(numbers)
