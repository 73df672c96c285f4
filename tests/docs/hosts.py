"""The servers and proxies that stand for the hosts which the documentation's examples name.

CONTRIBUTING.md lists the names for those who write examples. A program reaches them by a `getaddrinfo` that knows no
others (`runner`), so that its URLs need no change.
Rules: everything listens on free ports of the loopback interface.
Must not know: what is answered (`answers`), how examples are run.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import trustme

from ..support.h3peer import H3Server, answering
from ..support.scripted_proxies import ESTABLISHED, NUL, relay
from ..support.scripted_servers import Peer, refusing_port, response, scripted_server
from .answers import content, serve, serve_http11, serve_offering_http3

DOMAINS = ["example.com", "example.org", "wikipedia.org", "203.0.113.5"]
"""Each host of these, unless it is named below, is served on ports 80 and 443."""

WRONG_PASSWORD = b"wrong"

ROOT = Path(__file__).parents[2]


@dataclass
class Hosts:
    """What runs.

    Attributes:
        ports: the port on the loopback interface of each host and port; 0 for a host without an address.
        domains: the same for all other hosts of `DOMAINS`, by port.
        trusted: a PEM file with the authority of most hosts.
        files: a folder with the files that examples open.
    """

    ports: dict[tuple[str, int], int]
    domains: dict[int, int]
    trusted: Path
    files: Path

    def as_json(self) -> str:
        """Return what the process that runs examples needs to know."""
        return json.dumps(
            {
                "ports": {f"{host}:{port}": to for (host, port), to in self.ports.items()},
                "domains": dict.fromkeys(DOMAINS, self.domains),
                "trusted": str(self.trusted),
                "files": str(self.files),
            }
        )

    def find(self, host: str, port: int) -> int | None:
        """Return the port on the loopback interface for a host and port; `None` for one that is not ours."""
        if (host, port) in self.ports:
            return self.ports[host, port]
        if any(host == domain or host.endswith(f".{domain}") for domain in DOMAINS):
            return self.domains.get(port, 0)
        return None


def _http_proxy(find: Callable[[str, int], int | None]) -> Callable[[Peer], None]:
    def handle(peer: Peer) -> None:
        head = peer.receive_head()
        if _basic(head) == WRONG_PASSWORD:
            peer.send(response(status=b"407 Proxy Authentication Required"))
            peer.receive_until_close()
        elif head.startswith(b"CONNECT "):
            host, _, port = head.split(b" ")[1].decode().rpartition(":")
            found = find(host, int(port))
            if not found:
                peer.send(response(status=b"502 Bad Gateway"))
                return
            peer.send(ESTABLISHED)
            relay(peer, found)
        else:
            peer.buffer = head + peer.buffer
            serve_http11(peer, via=b"proxy.example.com")

    return handle


def _basic(head: bytes) -> bytes:
    """Return the password of the Proxy-Authorization field, if there is one."""
    found = re.search(rb"(?i)\r\nproxy-authorization: basic ([A-Za-z0-9+/=]+)\r\n", head)
    return base64.b64decode(found[1]).partition(b":")[2] if found else b""


def _socks5_proxy(find: Callable[[str, int], int | None]) -> Callable[[Peer], None]:
    def handle(peer: Peer) -> None:
        _, count = peer.receive_exactly(2)
        methods = peer.receive_exactly(count)
        if b"\2" in methods:
            peer.send(b"\5\2")
            peer.receive_exactly(1)
            _, password = (peer.receive_exactly(peer.receive_exactly(1)[0]) for _ in range(2))
            peer.send(b"\1" + bytes([password == WRONG_PASSWORD]))
        else:
            peer.send(b"\5\0")
        peer.receive_exactly(3)
        if peer.receive_exactly(1) == b"\3":
            host = peer.receive_exactly(peer.receive_exactly(1)[0]).decode()
        else:
            host = ".".join(map(str, peer.receive_exactly(4)))
        found = find(host, int.from_bytes(peer.receive_exactly(2), "big"))
        peer.send(bytes([5, 0 if found else 4, 0, 1]) + bytes(6))
        if found:
            relay(peer, found)

    return handle


def _socks4_proxy(find: Callable[[str, int], int | None]) -> Callable[[Peer], None]:
    def handle(peer: Peer) -> None:
        _, _, *rest = peer.receive_exactly(8)
        port, address = int.from_bytes(rest[:2], "big"), rest[2:]
        peer.receive_until(NUL)
        host = ".".join(map(str, address))
        if address[:3] == [0, 0, 0] and address[3]:
            host = peer.receive_until(NUL)[:-1].decode()
        found = find(host, port)
        peer.send(bytes([0, 90 if found else 91]) + bytes(6))
        if found:
            relay(peer, found)

    return handle


def _context(certificate: trustme.LeafCert | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2", "http/1.1"])
    if certificate is not None:
        certificate.configure_cert(context)
    return context


def _vendored(folder: Path) -> None:
    """Make the copy inside another package that the page on vendoring describes."""
    vendor = folder / "acme" / "_vendor"
    vendor.mkdir(parents=True)
    (vendor.parent / "__init__.py").touch()
    (vendor / "__init__.py").touch()
    for package in ("core", "asyncio", "trio", "http2"):
        source = ROOT / "packages" / f"httpcore2-{package}" / "src" / f"httpcore2_{package}"
        target = vendor / source.name
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        for module in target.rglob("*.py"):
            code = module.read_text()
            module.write_text(
                code.replace("from httpcore2_core", "from acme._vendor.httpcore2_core")
            )


def _files(folder: Path, company: trustme.CA, client: trustme.LeafCert) -> None:
    company.cert_pem.write_to_path(folder / "company-ca.pem")
    client.private_key_and_cert_chain_pem.write_to_path(folder / "client.pem")
    (folder / "upload.bin").write_bytes(content(1024 * 1024))
    _vendored(folder)


@contextmanager
def serving(folder: Path) -> Iterator[Hosts]:
    """Run all servers and proxies, with what they need in `folder`."""
    authority, company = trustme.CA(), trustme.CA()
    files = folder / "files"
    files.mkdir()
    trusted = folder / "trusted.pem"
    authority.cert_pem.write_to_path(trusted)
    _files(files, company, company.issue_cert("client@example.com"))

    names = [name for domain in DOMAINS[:3] for name in (domain, f"*.{domain}")]
    secure = _context(authority.issue_cert(*names, "127.0.0.1", "localhost"))
    internal = _context(company.issue_cert("internal.example.com"))
    past = datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 2, 1, tzinfo=UTC)
    expired = _context(
        authority.issue_cert("expired.example.com", not_before=past[0], not_after=past[1])
    )
    wrong_name = _context(authority.issue_cert("other.example.com"))
    self_signed = _context()
    stranger = trustme.CA()
    pem = folder / "self-signed.pem"
    pem.write_bytes(stranger.private_key_pem.bytes() + stranger.cert_pem.bytes())
    self_signed.load_cert_chain(pem)
    mutual = _context(authority.issue_cert("mtls.example.com"))
    mutual.verify_mode = ssl.CERT_REQUIRED
    company.configure_trust(mutual)

    with ExitStack() as stack:

        def run(
            handler: Callable[[Peer], None],
            tls: ssl.SSLContext | None = None,
            uds: Path | None = None,
        ) -> int:
            server = scripted_server(handler, tls=tls, uds=uds, allow_disconnect=True)
            return stack.enter_context(server).port

        refusing = stack.enter_context(refusing_port())
        hosts = Hosts({}, {80: run(serve), 443: run(serve, secure)}, trusted, files)
        run(serve, uds=files / "app.sock")
        # The same port for TCP and for UDP: `getaddrinfo` is asked for both.
        with_http3 = run(serve_offering_http3, secure)
        pem_of_http3 = authority.issue_cert("h3.example.com").private_key_and_cert_chain_pem
        http3 = H3Server(answering(), pem_of_http3.bytes(), port=with_http3)
        stack.enter_context(http3.running())
        http_proxy = run(_http_proxy(hosts.find))
        socks5 = run(_socks5_proxy(hosts.find))
        hosts.ports.update(
            {
                ("refused.example.com", 80): refusing,
                ("refused.example.com", 443): refusing,
                ("missing.example.com", 80): 0,
                ("missing.example.com", 443): 0,
                ("h3.example.com", 443): with_http3,
                ("internal.example.com", 443): run(serve, internal),
                ("expired.example.com", 443): run(serve, expired),
                ("wrong-name.example.com", 443): run(serve, wrong_name),
                ("self-signed.example.com", 443): run(serve, self_signed),
                ("mtls.example.com", 443): run(serve, mutual),
                ("proxy.example.com", 8080): http_proxy,
                ("proxy.example.com", 3128): http_proxy,
                ("proxy.example.com", 8443): run(_http_proxy(hosts.find), secure),
                ("proxy.example.com", 1080): socks5,
                ("proxy.example.com", 1081): run(_socks4_proxy(hosts.find)),
                ("127.0.0.1", 8080): http_proxy,
                ("127.0.0.1", 1080): socks5,
            }
        )
        yield hosts
