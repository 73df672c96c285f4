"""Working proxies, as handlers for `scripted_server`: HTTP with and without TLS, SOCKS4, SOCKS4a, SOCKS5.

Rules: a proxy connects to one port of the loopback interface whatever target it receives, so that no test resolves a
name by accident; it records its requests.
Must not know: the internals of httpcore2, event loops.
"""

from __future__ import annotations

import base64
import select
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpcore2

from .scripted_servers import LIMIT, Handler, Peer, Server, response, scripted_server

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
FORWARDED = b"forwarded"
NUL = b"\0"


def relay(peer: Peer, port: int) -> None:
    """Relay bytes between a client and `port` until either side closes."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port)) as upstream:
        upstream.sendall(peer.buffer)
        client = peer.socket
        while True:
            ready: list[socket.socket] = [client]
            if not (isinstance(client, ssl.SSLSocket) and client.pending()):
                ready = select.select([client, upstream], [], [], LIMIT)[0]
            for source in ready:
                data = source.recv(65536)
                if not data:
                    return
                (upstream if source is client else client).sendall(data)


@dataclass
class ProxyKind:
    """A kind of proxy, and how clients use it.

    Attributes:
        scheme: the scheme of the proxy's URL.
        class_name: the sync class of the connections to https origins through it.
        auth: the credentials that it requires.
    """

    scheme: str
    class_name: str
    auth: tuple[str, str] | None = None

    @property
    def is_http(self) -> bool:
        return self.scheme.startswith("http")


PROXY_KINDS = {
    "http": ProxyKind("http", "TunnelHTTPConnection"),
    "http with credentials": ProxyKind("http", "TunnelHTTPConnection", ("user", "secret")),
    "https": ProxyKind("https", "TunnelHTTPConnection"),
    "socks5": ProxyKind("socks5", "Socks5Connection"),
    "socks5h with credentials": ProxyKind("socks5h", "Socks5Connection", ("user", "secret")),
    "socks4": ProxyKind("socks4", "Socks4Connection"),
    "socks4a with user id": ProxyKind("socks4a", "Socks4Connection", ("user", "")),
}


@dataclass
class ScriptedProxy:
    """A running proxy.

    Attributes:
        kind: one of `PROXY_KINDS`.
        port: the port of the origin that it connects to.
        client_tls: the SSL context of its clients, for TLS to it.
        requests: the recorded requests: heads, or with SOCKS the targets, as `name host:port` or `ipv4 host:port`.
        server: the server that runs it.
    """

    kind: ProxyKind
    port: int
    client_tls: ssl.SSLContext
    requests: list[str] = field(default_factory=list)
    server: Server | None = None

    @property
    def origin(self) -> str:
        assert self.server is not None
        return f"{self.kind.scheme}://127.0.0.1:{self.server.port}"

    def proxy(self, **options: Any) -> httpcore2.Proxy:
        if self.kind.scheme == "https":
            options = {"ssl_context": self.client_tls, **options}
        return httpcore2.Proxy(self.origin, **{"auth": self.kind.auth, **options})

    @property
    def handler(self) -> Handler:
        if self.kind.is_http:
            return self._http
        return self._socks4 if self.kind.scheme.startswith("socks4") else self._socks5

    def _http(self, peer: Peer) -> None:
        while request := peer.receive_request():
            head = request[0].decode("ascii")
            self.requests.append(head)
            if self.kind.auth is not None:
                basic = base64.b64encode(":".join(self.kind.auth).encode()).decode()
                if f"\r\nProxy-Authorization: Basic {basic}\r\n" not in head:
                    peer.send(response(status=b"407 Proxy Authentication Required"))
                    continue
            if head.startswith("CONNECT "):
                peer.send(ESTABLISHED)
                relay(peer, self.port)
                return
            peer.send(response(FORWARDED))

    def _socks4(self, peer: Peer) -> None:
        version, command, *target = peer.receive_exactly(8)
        assert (version, command) == (4, 1)
        port = int.from_bytes(target[:2], "big")
        address = target[2:]
        user = peer.receive_until(NUL)[:-1].decode()
        if address[:3] == [0, 0, 0] and address[3]:
            self.requests.append(f"name {peer.receive_until(NUL)[:-1].decode()}:{port}")
        else:
            self.requests.append(f"ipv4 {'.'.join(map(str, address))}:{port}")
        granted = self.kind.auth is None or self.kind.auth[0] == user
        peer.send(bytes([0, 90 if granted else 93]) + bytes(6))
        if granted:
            relay(peer, self.port)

    def _socks5(self, peer: Peer) -> None:
        version, count = peer.receive_exactly(2)
        assert version == 5
        method = b"\0" if self.kind.auth is None else b"\2"
        if method not in peer.receive_exactly(count):
            peer.send(b"\5\xff")
            return
        peer.send(b"\5" + method)
        if self.kind.auth is not None:
            assert peer.receive_exactly(1) == b"\1"
            given = tuple(
                peer.receive_exactly(peer.receive_exactly(1)[0]).decode() for _ in range(2)
            )
            peer.send(b"\1" + bytes([given != self.kind.auth]))
            if given != self.kind.auth:
                return
        assert peer.receive_exactly(3) == b"\5\1\0"
        family = peer.receive_exactly(1)[0]
        if family == 3:
            host = "name " + peer.receive_exactly(peer.receive_exactly(1)[0]).decode()
        elif family == 1:
            host = "ipv4 " + socket.inet_ntop(socket.AF_INET, peer.receive_exactly(4))
        else:
            host = "ipv6 " + socket.inet_ntop(socket.AF_INET6, peer.receive_exactly(16))
        self.requests.append(f"{host}:{int.from_bytes(peer.receive_exactly(2), 'big')}")
        peer.send(b"\5\0\0\1\x7f\0\0\1\x12\x34")
        relay(peer, self.port)


@contextmanager
def scripted_proxy(
    kind: ProxyKind,
    port: int,
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    *,
    uds: Path | None = None,
) -> Iterator[ScriptedProxy]:
    """Run a proxy of `kind` that connects to `port`.

    Args:
        kind: one of `PROXY_KINDS`.
        port: the port of the origin.
        server_tls: the SSL context of a proxy with the scheme `https`.
        client_tls: the SSL context of its clients.
        uds: the path of a unix socket on which it listens.
    """
    proxy = ScriptedProxy(kind, port, client_tls)
    tls = server_tls if kind.scheme == "https" else None
    with scripted_server(proxy.handler, tls=tls, uds=uds, allow_disconnect=True) as proxy.server:
        yield proxy
