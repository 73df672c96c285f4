"""Starts real servers on the loopback interface, each in a process of its own.

Rules: where a server supports it, it inherits a listening socket, so that no test waits for its start. It is stopped
through its process handle. A missing server is reported (`programs`) before any file or process is created.
Must not know: httpcore2.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

from . import programs
from .scripted_servers import unused_port

ROOT = Path(__file__).parents[2]
LIMIT = 20.0
"""Seconds until a server must listen."""

HTTP1_SERVERS = ("uvicorn-h11", "uvicorn-httptools", "hypercorn", "nginx")
"""The servers that the tests of HTTP/1.1 use."""

HTTP2_SERVERS = ("hypercorn", "nginx", "nghttpd", "nghttpx", "h2o", "haproxy", "caddy")
"""The servers that the tests of HTTP/2 use."""

HTTP3_SERVERS = ("hypercorn-aioquic", "caddy")
"""The servers that the tests of HTTP/3 use. Over TCP they speak HTTP/2 on the same port."""


class ServerProgram(NamedTuple):
    """A server that is not a Python package: its command, which runs in the foreground, and its configuration.

    Both are templates. They may contain `$folder` (the server's own), `$port`, `$certificate` (a PEM file with key and
    chain), `$backend` (the port of the application behind it), options, and `$listen`, which is replaced by `plain` or
    `secured`.
    """

    command: str
    configuration: str
    """The content of the file `$folder/configuration`."""
    plain: str
    """The value of `$listen` in clear text."""
    secured: str
    """The value of `$listen` over TLS."""


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
    server application 127.0.0.1:$backend proto h2 ws h1
"""

CADDY = """
{
    admin unix/$folder/admin
    auto_https off
    servers {
        protocols h1 h2 h2c h3
    }
}
$listen
respond /refused 413
handle_path /files/* {
    root * $folder/files
    file_server
}
reverse_proxy h2c://127.0.0.1:$backend {
    flush_interval -1
}
"""

PROGRAMS = {
    "nginx": ServerProgram(
        "nginx -p $folder -e stderr -c $folder/configuration",
        NGINX,
        "$http2",
        "$http2 ssl; ssl_certificate $certificate; ssl_certificate_key $certificate",
    ),
    "nghttpd": ServerProgram(
        "nghttpd --address=127.0.0.1 --htdocs=$folder/files --echo-upload --trailer=x-sum:1 $listen",
        "",
        "--no-tls $port",
        "$port $certificate $certificate",
    ),
    "nghttpx": ServerProgram(
        "nghttpx --conf=/dev/null --single-process --workers=1 --no-ocsp --log-level=ERROR "
        "--backend=127.0.0.1,$backend;;proto=h2 --frontend=127.0.0.1,$port$listen",
        "",
        ";no-tls",
        " $certificate $certificate",
    ),
    "nghttpx-proxy": ServerProgram(
        "nghttpx --conf=/dev/null --single-process --workers=1 --no-ocsp --log-level=ERROR "
        "--http2-proxy --backend=127.0.0.1,$backend --frontend=127.0.0.1,$port$listen",
        "",
        ";no-tls",
        " $certificate $certificate",
    ),
    "h2o": ServerProgram(
        "h2o -m worker -c $folder/configuration",
        H2O,
        "",
        ", ssl: { certificate-file: $certificate, key-file: $certificate, ocsp-update-interval: 0 }",
    ),
    "haproxy": ServerProgram(
        "haproxy -db -f $folder/configuration",
        HAPROXY,
        "proto h2",
        "ssl crt $certificate alpn h2,http/1.1",
    ),
    "caddy": ServerProgram(
        "caddy run --adapter caddyfile --config $folder/configuration",
        CADDY,
        "http://127.0.0.1:$port",
        "https://127.0.0.1:$port\ntls $certificate $certificate",
    ),
}


@contextmanager
def running_server(
    name: str,
    folder: Path,
    certificate: Path | None,
    *,
    http2: bool = False,
    requests: int = 100_000,
    backend: str | None = None,
    ipv6: bool = False,
) -> Iterator[str]:
    """Run a server; the context's value is its origin.

    Args:
        name: one of `HTTP1_SERVERS`, `HTTP2_SERVERS` or `HTTP3_SERVERS`; or nghttpx-proxy, which forwards to the
            proxy `backend`.
        folder: an empty folder for its files.
        certificate: a PEM file with key and chain, for TLS.
        http2: whether nginx speaks HTTP/2. The others always do.
        requests: the number of requests on a connection after which nginx closes it, on HTTP/2 with GOAWAY. (nginx's
            default is 1000.)
        backend: the origin of the application behind it, in clear text.
        ipv6: whether hypercorn listens on `::1` as well, on the same port.
    """
    scheme = "http" if certificate is None else "https"
    if name in PROGRAMS:
        options = {"http2": "http2" if http2 else "", "requests": requests}
        context = _program(PROGRAMS[name], folder, certificate, backend, options)
    else:
        context = _asgi(name, folder, certificate, ipv6)
    with context as port:
        yield f"{scheme}://127.0.0.1:{port}"


class Servers:
    """The servers of HTTP/2 and HTTP/3. Each starts when a test first needs it; all are stopped together."""

    def __init__(self, make_folder: Callable[[str], Path], certificate: Path) -> None:
        """Start nothing yet.

        Args:
            make_folder: makes an empty folder, given a name.
            certificate: a PEM file with key and chain.
        """
        self._make_folder = make_folder
        self._certificate = certificate
        self._origins: dict[tuple[str, bool, int], str] = {}
        self._running = ExitStack()

    def __enter__(self) -> Servers:
        return self

    def __exit__(self, *details: Any) -> None:
        self._running.__exit__(*details)

    def origin(self, name: str, secured: bool, requests: int = 150) -> str:
        """Return the origin of one of `HTTP2_SERVERS` or `HTTP3_SERVERS`; nghttpd and nginx serve files at their paths.

        A separate nginx runs for each value of `requests`.
        """
        key = (name, secured, requests)
        if key not in self._origins:
            server = running_server(
                name,
                self._make_folder(name),
                self._certificate if secured else None,
                http2=True,
                requests=requests,
                backend=self.origin("hypercorn", False) if name in PROGRAMS else None,
            )
            self._origins[key] = self._running.enter_context(server)
        return self._origins[key]


@contextmanager
def _process(
    command: list[str], folder: Path, **options: object
) -> Iterator[subprocess.Popen[bytes]]:
    # Coverage is measured in this project's own processes only; it slows the start of a server.
    environment = {key: value for key, value in os.environ.items() if "COVERAGE" not in key}
    environment["HOME"] = str(folder)  # caddy keeps files there
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=log,
            # In a process group of its own, so that its child processes are stopped with it.
            start_new_session=True,
            **options,  # type: ignore[call-overload]
        )
    try:
        yield process
        # It runs, unless a test has stopped it.
        assert process.poll() in (None, 0), (folder / "log").read_text()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _listen(ipv6: bool, quic: bool) -> list[socket.socket]:
    """Return sockets of one free port: TCP over IPv4, and as asked, TCP over IPv6, and UDP."""
    while True:
        sockets = [socket.create_server(("127.0.0.1", 0), backlog=128)]
        port = sockets[0].getsockname()[1]
        try:
            if ipv6:
                sockets.append(
                    socket.create_server(("::1", port), family=socket.AF_INET6, backlog=128)
                )
            if quic:
                sockets.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                sockets[-1].bind(("127.0.0.1", port))
        except OSError as exc:
            for each in sockets:
                each.close()
            if exc.errno != errno.EADDRINUSE:
                raise
        else:
            return sockets


@contextmanager
def _asgi(name: str, folder: Path, certificate: Path | None, ipv6: bool) -> Iterator[int]:
    package, _, parser = name.partition("-")
    for needed in filter(None, (package, parser)):
        if find_spec(needed) is None:
            programs.missing(needed)
    application = "tests.support.asgi_app:app"
    with ExitStack() as listeners:
        sockets = _listen(ipv6, parser == "aioquic")
        numbers = [listeners.enter_context(each).fileno() for each in sockets]
        port: int = sockets[0].getsockname()[1]
        # Accepted sockets inherit it. uvicorn does not set it on inherited sockets, which costs 40 ms a response.
        sockets[0].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        command = [sys.executable, "-m", package, application]
        if package == "uvicorn":
            command += ["--fd", str(numbers[0]), "--http", parser, "--log-level", "warning"]
            command += ["--timeout-keep-alive", "600"]
        else:
            # Without workers it serves in the process that is stopped below.
            command += ["--keep-alive", "600", "--workers", "0"]
            # After 1000 requests, its default, it would close a connection, on which Go's client may wait without end.
            configuration = folder / "hypercorn.toml"
            configuration.write_text("keep_alive_max_requests = 1_000_000_000\n")
            command += ["--config", str(configuration)]
            for each in sockets:
                option = "--bind" if each.type is socket.SOCK_STREAM else "--quic-bind"
                command += [option, f"fd://{each.fileno()}"]
        if certificate is not None:
            prefix = "--ssl-" if package == "uvicorn" else "--"
            command += [f"{prefix}keyfile", str(certificate), f"{prefix}certfile", str(certificate)]
        context = _process(command, folder, pass_fds=numbers)
        context.__enter__()
    try:
        yield port
    finally:
        context.__exit__(*sys.exc_info())


@contextmanager
def _program(
    program: ServerProgram,
    folder: Path,
    certificate: Path | None,
    backend: str | None,
    options: Mapping[str, object],
) -> Iterator[int]:
    require_executable(program.command)
    _make_files(folder)
    port = unused_port()
    values = {
        "folder": folder,
        "port": port,
        "certificate": certificate,
        "backend": port if backend is None else backend.rpartition(":")[2],
        "text": "a text to compress " * 50,
        **options,
    }
    listen = program.plain if certificate is None else program.secured
    values["listen"] = Template(listen).substitute(values)
    with running_program(program.command, program.configuration, values, port):
        yield port


def _make_files(folder: Path) -> None:
    files = folder / "files"
    (files / "bytes").mkdir(parents=True)
    for size in (0, 1, 1000, 1_000_000, 2_000_000):
        (files / str(size)).write_bytes(bytes(size))
        (files / "bytes" / str(size)).symlink_to(files / str(size))


class RestartableCaddy:
    """A caddy over TLS that serves files, and can be reloaded, and stopped and started again on its port.

    Attributes:
        origin: its origin.
    """

    def __init__(self, folder: Path, certificate: Path) -> None:
        """Start nothing yet.

        Args:
            folder: an empty folder for its files.
            certificate: a PEM file with key and chain.
        """
        self._folder = folder
        self._port = unused_port()
        self._certificate = certificate
        self._running = ExitStack()
        self.origin = f"https://127.0.0.1:{self._port}"

    def __enter__(self) -> RestartableCaddy:
        program = PROGRAMS["caddy"]
        require_executable(program.command)
        _make_files(self._folder)
        self._start()
        return self

    def _start(self) -> None:
        program = PROGRAMS["caddy"]
        values: dict[str, object] = {
            "folder": self._folder,
            "port": self._port,
            "certificate": self._certificate,
            "backend": self._port,
        }
        values["listen"] = Template(program.secured).substitute(values)
        running = running_program(program.command, program.configuration, values, self._port)
        self._process = self._running.enter_context(running)

    def __exit__(self, *details: Any) -> None:
        self._running.__exit__(*details)

    def reload(self) -> None:
        """Let it load its configuration again: other listeners accept the next connections."""
        command = [programs.require("caddy"), "reload", "--force", "--adapter", "caddyfile"]
        command += ["--config", str(self._folder / "configuration")]
        command += ["--address", f"unix/{self._folder}/admin"]
        environment = {**os.environ, "HOME": str(self._folder)}
        subprocess.run(command, env=environment, check=True, capture_output=True, timeout=LIMIT)

    def restart(self) -> None:
        """Stop it by SIGTERM, on which it closes its connections, and start another on the same port."""
        self._process.terminate()
        self._process.wait(LIMIT)
        self._running.close()
        self._start()


def require_executable(command: str) -> str:
    """Return the path of a command's program; if it is missing, skip the test, or fail in CI."""
    name = command.split()[0]
    return sys.executable if name == "python" else programs.require(name)


@contextmanager
def running_program(
    command: str, configuration: str, values: Mapping[str, object], endpoint: int | Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program. The context begins when it listens, and ends with its end; its value is the process.

    Args:
        command: a template, split at blanks. `python` stands for the Python that runs this.
        configuration: a template for the file `$folder/configuration`.
        values: for the templates, `folder` among them.
        endpoint: where it listens: a port of the loopback interface, or the path of a unix socket.
    """
    binary = require_executable(command)
    folder = Path(str(values["folder"]))
    arguments = Template(command).substitute(values).split()[1:]
    (folder / "configuration").write_text(Template(configuration).substitute(values))
    with _process([binary, *arguments], folder) as process:
        _wait_until_listening(endpoint, process, folder)
        yield process


def _wait_until_listening(
    endpoint: int | Path, process: subprocess.Popen[bytes], folder: Path
) -> None:
    family = socket.AF_UNIX if isinstance(endpoint, Path) else socket.AF_INET
    address = str(endpoint) if isinstance(endpoint, Path) else ("127.0.0.1", endpoint)
    end = time.monotonic() + LIMIT
    while True:
        with socket.socket(family) as probe:
            if probe.connect_ex(address) == 0:
                return
        assert process.poll() is None, (folder / "log").read_text()
        assert time.monotonic() < end, "the server never listened"
        time.sleep(0.005)
