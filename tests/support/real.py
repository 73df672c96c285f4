"""Real servers on the loopback interface, each a process of its own.

Rules: a server inherits a socket that listens already, where it can, so that nobody waits for it to come up; it is
stopped through its handle. A server that is missing is a failure in CI, and skipped elsewhere.
Must not know: httpcore2.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

import pytest

from .server import unused_port

ROOT = Path(__file__).parents[2]
LIMIT = 20.0
"""Seconds for a server to come up."""

SERVERS = ("uvicorn-h11", "uvicorn-httptools", "hypercorn", "nginx")
"""Those for HTTP/1.1."""

HTTP2_SERVERS = ("hypercorn", "nginx", "nghttpd", "nghttpx", "h2o", "haproxy", "caddy")
"""Those for HTTP/2."""


class Program(NamedTuple):
    """A server that is no Python package, in one process that stays in the foreground.

    Its texts name `$folder`, its own, `$port`, `$certificate`, a PEM file with key and chain, and `$backend`, the port
    of the application that it stands before. `$listen` stands for `plain` or `secured`.
    """

    command: str
    configuration: str
    """What the file `$folder/configuration` holds."""
    plain: str
    """What differs in clear text."""
    secured: str
    """What differs over TLS."""


NGINX = """
daemon off;
master_process off;
pid $folder/pid;
error_log stderr error;
events { worker_connections 256; }
http {
    access_log off;
    keepalive_requests $requests;
    client_body_temp_path $folder/body;
    proxy_temp_path $folder/proxy;
    fastcgi_temp_path $folder/fastcgi;
    uwsgi_temp_path $folder/uwsgi;
    scgi_temp_path $folder/scgi;
    client_max_body_size 10m;
    server {
        listen 127.0.0.1:$port $listen;
        root $folder/files;
        location /small { client_max_body_size 1k; error_page 405 =200 /1000; }
        location /status/204 { return 204; }
        location /text { gzip on; gzip_types *; gzip_min_length 1; return 200 "$text"; }
        location ~ ^/(bytes|echo|silent|stall) {
            proxy_pass http://127.0.0.1:$backend;
            proxy_http_version 1.1;
            proxy_buffering off;
            proxy_request_buffering off;
        }
    }
}
"""

H2O = """
num-threads: 1
listen: { host: 127.0.0.1, port: $port$listen }
hosts:
  default:
    paths:
      /: { proxy.reverse.url: "http://127.0.0.1:$backend/" }
"""

HAPROXY = """
global
    nbthread 1
defaults
    mode http
    timeout connect 60s
    timeout client 60s
    timeout server 60s
listen all
    bind 127.0.0.1:$port $listen
    server application 127.0.0.1:$backend proto h2
"""

CADDY = """
{
    admin off
    auto_https off
    servers {
        protocols h1 h2 h2c
    }
}
$listen
reverse_proxy h2c://127.0.0.1:$backend {
    flush_interval -1
}
"""

PROGRAMS = {
    "nginx": Program(
        "nginx -p $folder -e stderr -c $folder/configuration",
        NGINX,
        "$http2",
        "$http2 ssl; ssl_certificate $certificate; ssl_certificate_key $certificate",
    ),
    "nghttpd": Program(
        "nghttpd --address=127.0.0.1 --htdocs=$folder/files --echo-upload --trailer=x-sum:1 $listen",
        "",
        "--no-tls $port",
        "$port $certificate $certificate",
    ),
    "nghttpx": Program(
        "nghttpx --conf=/dev/null --single-process --workers=1 --no-ocsp --log-level=ERROR "
        "--backend=127.0.0.1,$backend;;proto=h2 --frontend=127.0.0.1,$port$listen",
        "",
        ";no-tls",
        " $certificate $certificate",
    ),
    "h2o": Program(
        "h2o -m worker -c $folder/configuration",
        H2O,
        "",
        ", ssl: { certificate-file: $certificate, key-file: $certificate, ocsp-update-interval: 0 }",
    ),
    "haproxy": Program(
        "haproxy -db -f $folder/configuration",
        HAPROXY,
        "proto h2",
        "ssl crt $certificate alpn h2,http/1.1",
    ),
    "caddy": Program(
        "caddy run --adapter caddyfile --config $folder/configuration",
        CADDY,
        "http://127.0.0.1:$port",
        "https://127.0.0.1:$port\ntls $certificate $certificate",
    ),
}


@contextmanager
def running(
    name: str,
    folder: Path,
    certificate: Path | None,
    *,
    http2: bool = False,
    backend: str | None = None,
) -> Iterator[str]:
    """Run a server and give its origin.

    Args:
        name: one of `SERVERS` or `HTTP2_SERVERS`.
        folder: an empty folder for its files.
        certificate: a PEM file with key and chain, for TLS.
        http2: whether nginx speaks HTTP/2. (The others always do.) It says farewell after 300 requests; by default,
            after 1000.
        backend: the origin of the application that it stands before, in clear text.
    """
    scheme = "http" if certificate is None else "https"
    if name in PROGRAMS:
        context = _program(PROGRAMS[name], folder, certificate, http2, backend)
    else:
        context = _asgi(name, folder, certificate)
    with context as port:
        yield f"{scheme}://127.0.0.1:{port}"


class Servers:
    """The servers for HTTP/2, started when they are first asked for, and stopped together."""

    def __init__(self, make_folder: Callable[[str], Path], certificate: Path) -> None:
        """Start nothing yet.

        Args:
            make_folder: makes an empty folder, given a name.
            certificate: a PEM file with key and chain.
        """
        self._make_folder = make_folder
        self._certificate = certificate
        self._origins: dict[tuple[str, bool], str] = {}
        self._running = ExitStack()

    def __enter__(self) -> Servers:
        return self

    def __exit__(self, *details: Any) -> None:
        self._running.__exit__(*details)

    def origin(self, name: str, secured: bool) -> str:
        """Return the origin of one of `HTTP2_SERVERS`. It serves the application, or files that look like it."""
        key = (name, secured)
        if key not in self._origins:
            server = running(
                name,
                self._make_folder(name),
                self._certificate if secured else None,
                http2=True,
                backend=self.origin("hypercorn", False) if name in PROGRAMS else None,
            )
            self._origins[key] = self._running.enter_context(server)
        return self._origins[key]


def _missing(what: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(f"{what} is not installed")
    pytest.skip(f"{what} is not installed")


@contextmanager
def _process(
    command: list[str], folder: Path, **options: object
) -> Iterator[subprocess.Popen[bytes]]:
    # Measuring coverage is for our own code, and makes these slow to start.
    environment = {key: value for key, value in os.environ.items() if "COVERAGE" not in key}
    environment["HOME"] = str(folder)  # caddy keeps files there
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=log,
            **options,  # type: ignore[call-overload]
        )
    try:
        yield process
        assert process.poll() is None, (folder / "log").read_text()
    finally:
        process.kill()
        process.wait()


@contextmanager
def _asgi(name: str, folder: Path, certificate: Path | None) -> Iterator[int]:
    package, _, parser = name.partition("-")
    for needed in filter(None, (package, parser)):
        if find_spec(needed) is None:
            _missing(needed)
    application = "tests.support.app:app"
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        # What is accepted inherits it. uvicorn leaves it out for sockets that it is given: 40 ms a response.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        port: int = listener.getsockname()[1]
        number = listener.fileno()
        command = [sys.executable, "-m", package, application]
        if package == "uvicorn":
            command += ["--fd", str(number), "--http", parser, "--log-level", "warning"]
            command += ["--timeout-keep-alive", "600"]
        else:
            # No workers: it serves in the process that we hold.
            command += ["--bind", f"fd://{number}", "--keep-alive", "600", "--workers", "0"]
        if certificate is not None:
            prefix = "--ssl-" if package == "uvicorn" else "--"
            command += [f"{prefix}keyfile", str(certificate), f"{prefix}certfile", str(certificate)]
        context = _process(command, folder, pass_fds=[number])
        context.__enter__()
    try:
        yield port
    finally:
        context.__exit__(*sys.exc_info())


@contextmanager
def _program(
    program: Program, folder: Path, certificate: Path | None, http2: bool, backend: str | None
) -> Iterator[int]:
    name, *arguments = program.command.split()
    binary = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if binary is None:
        _missing(name)
        raise AssertionError("pytest has taken over")
    files = folder / "files"
    (files / "bytes").mkdir(parents=True)
    for size in (0, 1, 1000, 1_000_000, 3_000_000):
        (files / str(size)).write_bytes(bytes(size))
        (files / "bytes" / str(size)).symlink_to(files / str(size))
    port = unused_port()
    values = {
        "folder": folder,
        "port": port,
        "certificate": certificate,
        "backend": port if backend is None else backend.rpartition(":")[2],
        "http2": "http2" if http2 else "",
        "requests": 300 if http2 else 100_000,
        "text": "a text to compress " * 50,
    }
    listen = program.plain if certificate is None else program.secured
    values["listen"] = Template(listen).substitute(values)
    configuration = folder / "configuration"
    configuration.write_text(Template(program.configuration).substitute(values))
    command = Template(" ".join(arguments)).substitute(values).split()
    with _process([binary, *command], folder) as process:
        _wait_until_it_listens(port, process, folder)
        yield port


def _wait_until_it_listens(port: int, process: subprocess.Popen[bytes], folder: Path) -> None:
    end = time.monotonic() + LIMIT
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert process.poll() is None, (folder / "log").read_text()
        assert time.monotonic() < end, "the server never listened"
        time.sleep(0.005)
