"""What the command does at real servers, and at servers that fail in each phase: rows for the documentation.

Rules: a row does not depend on the machine: ports, times and paths are left out.
Must not know: where the rows are written.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import trustme

from httpcore2_cli._failures import ExitCode

from ..support import programs
from ..support.real_proxies import PASSWORD, USER, Proxies
from ..support.real_servers import running_server
from ..support.scripted_servers import (
    LIMIT,
    Handler,
    Peer,
    refusing_port,
    response,
    scripted_server,
)
from .conftest import invoke

PROGRAMS = ("nginx", "caddy", "squid", "danted")
"""The programs that must be installed."""


class Row(NamedTuple):
    """What the command did.

    Attributes:
        server: what it was pointed at.
        command: the options and the URL, with names for what depends on the machine.
        code: the exit code.
        result: the phases and the status, or the message and how far the request came.
    """

    server: str
    command: str
    code: int
    result: str


@dataclass
class Setting:
    """What the rows need.

    Attributes:
        folder: a folder for files.
        authority: signs the certificates.
        trusted: a PEM file with that authority.
        proxies: the running proxies.
    """

    folder: Path
    authority: trustme.CA
    trusted: Path
    proxies: Proxies

    def pem(self, name: str, **options: object) -> Path:
        """Return a PEM file with a certificate for 127.0.0.1, unless other names are given, and its key."""
        names = options.pop("names", ("127.0.0.1",))
        authority = options.pop("authority", self.authority)
        path = self.folder / f"{name}.pem"
        leaf = authority.issue_cert(*names, **options)  # type: ignore[attr-defined, misc]
        leaf.private_key_and_cert_chain_pem.write_to_path(str(path))
        return path


def rows(setting: Setting) -> Iterator[Row]:
    """Run the command at each server, and yield what it did."""
    yield from at_servers(setting)
    yield from through_proxies(setting)
    yield from with_certificates(setting)
    yield from at_hanging_servers(setting)
    yield from at_failing_servers()


def observe(server: str, shown: str, *arguments: object) -> Row:
    """Run the command, and return the row."""
    outcome = invoke("--json", *arguments)
    known = json.loads(outcome.output) if outcome.output else {}
    if outcome.code == 0:
        phases = ", ".join(name for name in known["phases"] if name != "queued")
        result = f"{known['http_code']}, HTTP/{known['http_version']}: {phases}"
    else:
        message, *more = map(str.strip, outcome.error.splitlines())
        lines = [line for line in more if line.startswith("Came as far as")]
        if outcome.code == ExitCode.TIMEOUT:
            # Which limit is noticed first depends on the moment. The hint names the option that sets it.
            lines += [line for line in more if line.startswith("Hint")]
        else:
            lines.insert(0, re.sub(r"^httpcore2: \(\d+\) ", "", message))
        result = "<br>".join(lines)
    return Row(server, f"httpcore2 {shown}", outcome.code, unspecific(result))


def unspecific(text: str) -> str:
    """Return a text without what depends on the machine."""
    text = re.sub(r"(127\.0\.0\.1|localhost):\d+", r"\1:…", text)
    text = re.sub(r"[\d,]+\.\d ms", "… ms", text)
    text = re.sub(r" ?\(_ssl\.c:\d+\)", "", text)
    return text.replace("|", r"\|")


def at_servers(setting: Setting) -> Iterator[Row]:
    secure = ("--cacert", setting.trusted)
    for name in ("nginx", "caddy"):
        with ExitStack() as stack:
            application = stack.enter_context(
                running_server("hypercorn", folder(setting, f"{name}-application"), None)
            )

            def start(
                label: str,
                certificate: Path | None,
                name: str = name,
                stack: ExitStack = stack,
                application: str = application,
            ) -> str:
                return stack.enter_context(
                    running_server(
                        name,
                        folder(setting, f"{name}-{label}"),
                        certificate,
                        http2=certificate is not None,
                        backend=application,
                    )
                )

            plain, tls = start("plain", None), start("tls", setting.pem(name))
            path = "/bytes/1000"
            yield observe(name, f"http://…{path}", plain + path)
            yield observe(name, f"https://…{path}", *secure, tls + path)
            yield observe(name, f"--http1.1 https://…{path}", "--http1.1", *secure, tls + path)
            yield observe(name, f"--http3 https://…{path}", "--http3", *secure, tls + path)
            yield observe(name, "-f http://…/none", "-f", f"{plain}/none")


def folder(setting: Setting, name: str) -> Path:
    path = setting.folder / name
    path.mkdir()
    return path


def through_proxies(setting: Setting) -> Iterator[Row]:
    certificate = setting.pem("origin")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with (
        scripted_server(answer_once) as plain,
        scripted_server(answer_once, tls=context, allow_disconnect=True) as tls,
    ):
        secure = ("--cacert", setting.trusted, tls.url)
        open_, locked = (
            f"http://127.0.0.1:{setting.proxies[name].port}" for name in ("squid", "squid-locked")
        )
        user = ("-U", f"{USER}:{PASSWORD}")
        yield observe("squid", "-x http://… http://…", "-x", open_, plain.url)
        yield observe("squid", "-x http://… https://…", "-x", open_, *secure)
        yield observe(
            "squid with credentials", "-x http://… -U … https://…", "-x", locked, *user, *secure
        )
        yield observe("squid with credentials", "-x http://… https://…", "-x", locked, *secure)
        socks = f"socks5://127.0.0.1:{setting.proxies['dante'].port}"
        yield observe("dante", "-x socks5://… http://…", "-x", socks, plain.url)
        yield observe("dante", "-x socks5://… https://…", "-x", socks, *secure)
        with refusing_port() as port:
            refused = f"http://127.0.0.1:{port}/"
            yield observe(
                "dante, to a port that refuses", "-x socks5://… http://…", "-x", socks, refused
            )
    with refusing_port() as port:
        gone = f"http://127.0.0.1:{port}"
        yield observe("no proxy", "-x http://… http://…", "-x", gone, "http://127.0.0.1/")


def with_certificates(setting: Setting) -> Iterator[Row]:
    past = datetime.now(UTC) - timedelta(days=1)
    stranger = trustme.CA()
    faults = {
        "expired certificate": setting.pem("expired", not_after=past),
        "certificate for another name": setting.pem("other", names=("www.example.com",)),
        "certificate of an unknown authority": setting.pem("unknown", authority=stranger),
    }
    for server, certificate in faults.items():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        with scripted_server(answer_once, tls=context, allow_disconnect=True) as running:
            yield observe(server, "https://…", "--cacert", setting.trusted, running.url)
            yield observe(server, "-k https://…", "-k", running.url)
    with scripted_server(hang, allow_disconnect=True) as running:
        missing = setting.folder / "none.pem"
        row = observe(
            "missing file", "--cacert none.pem https://…", "--cacert", missing, running.url
        )
        yield row._replace(result=row.result.replace(f"{setting.folder}/", ""))


def hang(peer: Peer) -> None:
    peer.receive_until_close()


def hang_after(reply: bytes) -> Handler:
    def handle(peer: Peer) -> None:
        peer.receive_some()
        peer.send(reply)
        peer.receive_until_close()

    return handle


def answer_once(peer: Peer) -> None:
    """Answer one request, so that no proxy keeps the connection."""
    if peer.receive_request() is not None:
        peer.send(response(b"fine", b"Connection: close"))


@contextmanager
def full_backlog() -> Iterator[int]:
    """Listen on a port that accepts nothing: connections to it hang, since its backlog is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def at_hanging_servers(setting: Setting) -> Iterator[Row]:
    limit = ("-m", "1.5")  # more than a loaded machine needs for all that goes well
    gave_up = threading.Event()

    def stall(peer: Peer) -> None:
        peer.receive_head()
        assert gave_up.wait(LIMIT)

    with full_backlog() as port:
        url = f"http://127.0.0.1:{port}/"
        yield observe("hangs before TCP", "-m 1.5 http://…", *limit, url)
    upload = setting.folder / "upload"
    upload.write_bytes(bytes(20_000_000))
    partial = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"
    cases: list[tuple[str, Handler, str, Callable[[str], tuple[object, ...]]]] = [
        ("hangs in CONNECT", hang, "-x http://… https://…", lambda at: ("-x", at, "https://a/")),
        (
            "hangs in the SOCKS handshake",
            hang,
            "-x socks5://… http://…",
            lambda at: ("-x", at.replace("http", "socks5"), "http://127.0.0.1/"),
        ),
        ("hangs in TLS", hang, "https://…", lambda at: (at.replace("http", "https"),)),
        ("does not read the body", stall, "-T FILE http://…", lambda at: ("-T", upload, at)),
        ("hangs before the response", hang, "http://…", lambda at: (at,)),
        ("hangs in the body", hang_after(partial), "http://…", lambda at: (at,)),
        (
            "hangs before SETTINGS",
            hang,
            "--http2-prior-knowledge http://…",
            lambda at: ("--http2-prior-knowledge", at),
        ),
    ]
    for server, handler, shown, arguments in cases:
        gave_up.clear()
        with scripted_server(handler, allow_disconnect=True) as running:
            row = observe(server, f"-m 1.5 {shown}", *limit, *arguments(running.origin))
            gave_up.set()
            yield row


def at_failing_servers() -> Iterator[Row]:
    with refusing_port() as port:
        yield observe("refuses connections", "http://…", f"http://127.0.0.1:{port}/")
    yield observe("has no address", "http://missing.invalid/", "http://missing.invalid/")
    cases: list[tuple[str, Handler]] = [
        ("closes without a response", receive),
        ("resets the connection", reset),
        ("sends something else than HTTP", sending(b"SSH-2.0-server\r\n\r\n")),
        ("ends within the body", sending(response(bytes(100))[:-50])),
    ]
    for server, handler in cases:
        with scripted_server(handler, allow_disconnect=True) as running:
            yield observe(server, "http://…", running.url)

    def without_tls(peer: Peer) -> None:
        peer.receive_some()
        peer.send(b"no TLS")
        peer.receive_until_close()

    with scripted_server(without_tls, allow_disconnect=True) as running:
        yield observe("speaks no TLS", "https://…", f"https://127.0.0.1:{running.port}/")


def receive(peer: Peer) -> None:
    peer.receive_request()


def reset(peer: Peer) -> None:
    peer.receive_some()
    peer.reset()


def sending(reply: bytes) -> Handler:
    def handle(peer: Peer) -> None:
        peer.receive_some()
        peer.send(reply)

    return handle


def require_programs() -> None:
    """Skip the test if a program is missing, or fail in CI."""
    for program in PROGRAMS:
        programs.require(program)
