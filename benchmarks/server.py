"""The server: nginx, or uvicorn if nginx is not installed, on the loopback interface and on its own core.

It has four ports (plain, TLS, HTTP/2 over TLS and in clear text). Each serves the pages `/1024`, `/102400`, …, named
after their size, and `/sink`, which reads the body of the request and responds with its size. The ports without HTTP/2
also serve `/post`, whose response is the page of 1 KiB. The plain port accepts absolute URLs, as a forward proxy does.
Tunnels need squid. caddy and h2o serve the pages over HTTP/2, too, and caddy over HTTP/3; haproxy forwards to nginx.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.programs import find

from benchmarks.cases import Case, ServerName
from benchmarks.environments import ROOT
from benchmarks.machine import pin, raise_limit_of_descriptors
from benchmarks.pages import page

_CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr crit;
events {{ worker_connections {descriptors}; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    default_type application/octet-stream;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    open_file_cache max=16;
    ssl_certificate {folder}/server.pem;
    ssl_certificate_key {folder}/server.pem;
    ssl_protocols TLSv1.3;
    client_max_body_size 0;
    # Uploads stay in memory.
    client_body_buffer_size 16m;
    root {folder}/pages;
    server {{
        {listen}
        # nginx refuses POST to static files, but can serve one as the error page.
        location = /post {{ error_page 405 =200 /1024; }}
        {sink}
    }}
    server {{
        listen 127.0.0.1:{http2} ssl http2;
        listen 127.0.0.1:{clear} http2;
        # A client that falls back to HTTP/1.1 fails here.
        if ($server_protocol != HTTP/2.0) {{ return 505; }}
        {sink}
    }}
    server {{
        listen 127.0.0.1:{counter};
        location / {{ return 200 $http_received; }}
    }}
}}
"""


_SINK = """
        location = /sink {{
            proxy_pass http://127.0.0.1:{counter};
            proxy_method GET;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
            proxy_set_header Received $request_length;
        }}
"""

# The other servers of HTTP/2 and HTTP/3: the command, and its configuration.
_CADDY = (
    "caddy run --adapter caddyfile --config {file}",
    """{{
	admin off
	auto_https off
	log {{
		level ERROR
	}}
	servers {{
		protocols h1 h2 h3
	}}
}}
https://127.0.0.1:{port} {{
	tls {folder}/server.pem {folder}/server.pem
	root * {folder}/pages
	file_server
}}
""",
)
_H2O = (
    "h2o -m worker -c {file}",
    """
num-threads: 1
http2-max-concurrent-requests-per-connection: 128
listen:
  host: 127.0.0.1
  port: {port}
  ssl:
    certificate-file: {folder}/server.pem
    key-file: {folder}/server.pem
    ocsp-update-interval: 0
hosts:
  default:
    paths:
      /:
        file.dir: {folder}/pages
        file.mime.setdefaulttype: application/octet-stream
""",
)
_HAPROXY = (
    "haproxy -db -f {file}",
    """
global
    nbthread 1
defaults
    mode http
    timeout connect 60s
    timeout client 60s
    timeout server 60s
listen all
    bind 127.0.0.1:{port} ssl crt {folder}/server.pem alpn h2
    http-reuse always
    server nginx {backend}
""",
)
_OTHERS: Mapping[ServerName, tuple[str, str]] = {"caddy": _CADDY, "h2o": _H2O, "haproxy": _HAPROXY}


@dataclass
class Server:
    """The addresses of the server.

    Attributes:
        name: its name and version.
        plain: the origin for HTTP/1.1 in clear text.
        tls: the origin for HTTP/1.1 over TLS 1.3.
        http2: the origins for HTTP/2, by the name of the server, and whether it is over TLS.
        tunnel: the origin of a proxy that accepts CONNECT, if there is one.
        authority: the file with the certificate of the authority that issued the server's.
        origins: further origins in clear text.
    """

    name: str
    plain: str
    tls: str
    http2: dict[tuple[ServerName, bool], str]
    tunnel: str | None
    authority: Path
    origins: Sequence[str]


@contextmanager
def running(cases: Sequence[Case], core: int | None) -> Iterator[Server]:
    """Run the server with the ports and proxies that the cases need."""
    sizes = {1024, *(case.size for case in cases)}
    origins = max(case.origins for case in cases)
    with_tunnel = any(case.proxy == "tunnel" for case in cases)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "pages").mkdir()
        for size in sizes:
            (folder / "pages" / str(size)).write_bytes(page(size))
        (folder / "pages" / "post").touch()
        _certify(folder)
        tunnel = stack.enter_context(_squid(folder, core)) if with_tunnel else None
        server = stack.enter_context(_nginx_or_uvicorn(folder, origins, tunnel, core))
        if server.http2:
            for other in sorted({case.server for case in cases} - {"nginx"}):
                origin = stack.enter_context(_other_server(other, folder, server.plain, core))
                if origin is not None:
                    server.http2[other, True] = origin
        yield server


def _certify(folder: Path) -> None:
    import trustme

    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority.pem")
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    certificate.private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")


@contextmanager
def _nginx_or_uvicorn(
    folder: Path, origins: int, tunnel: str | None, core: int | None
) -> Iterator[Server]:
    program = find("nginx")
    authority = folder / "authority.pem"
    more: list[str] = []
    if program is None:
        print(
            "nginx is not installed. uvicorn is the server, which is slower than some of the clients.\n"
        )
        plain, tls = _free_ports(2)
        certificate = [
            "--ssl-certfile",
            folder / "server.pem",
            "--ssl-keyfile",
            folder / "server.pem",
        ]
        with (
            _process([*_UVICORN, "--port", plain], [plain], core),
            _process([*_UVICORN, "--port", tls, *certificate], [tls], core),
        ):
            yield Server(
                "uvicorn", _origin(plain), _origin(tls, "https"), {}, tunnel, authority, more
            )
        return
    plain, tls, http2, clear, counter = _free_ports(5)
    listen = [f"127.0.0.1:{plain}", f"127.0.0.1:{tls} ssl"]
    if sys.platform == "linux":  # where all of 127.0.0.0/8 is on the loopback interface
        hosts = [f"127.0.{1 + index // 250}.{1 + index % 250}" for index in range(origins)]
        more = [f"http://{host}:{plain}" for host in hosts]
        listen += [f"{host}:{plain}" for host in hosts]
    descriptors = raise_limit_of_descriptors()
    (folder / "nginx.conf").write_text(
        _CONFIGURATION.format(
            folder=folder,
            sink=_SINK.format(counter=counter),
            counter=counter,
            http2=http2,
            clear=clear,
            descriptors=min(descriptors, 16384) - 64,
            listen="\n".join(f"listen {address} backlog=4096;" for address in listen),
        )
    )
    command = [program, "-p", folder, "-c", folder / "nginx.conf"]
    version = subprocess.run([program, "-v"], capture_output=True, text=True, check=True).stderr
    with _process(command, [plain, tls, http2, clear, counter], core):
        name = version.strip().rpartition(" ")[2]
        yield Server(
            name,
            _origin(plain),
            _origin(tls, "https"),
            {("nginx", True): _origin(http2, "https"), ("nginx", False): _origin(clear)},
            tunnel,
            authority,
            more,
        )


@contextmanager
def _other_server(
    name: ServerName, folder: Path, backend: str, core: int | None
) -> Iterator[str | None]:
    """Run a server for HTTP/2 over TLS; the context's value is its origin, or `None` if it is not installed."""
    if find(name) is None:
        yield None
        return
    (port,) = _free_ports(1)
    command, configuration = _OTHERS[name]
    file = folder / f"{name}.conf"
    address = backend.partition("//")[2]
    file.write_text(configuration.format(port=port, folder=folder, backend=address))
    with _process(command.format(file=file).split(), [port], core):
        yield _origin(port, "https")


_SQUID = """
http_port 127.0.0.1:{port}
http_access allow all
access_log none
cache deny all
cache_log /dev/null
cache_mem 0
coredump_dir none
netdb_filename none
pid_filename none
pinger_enable off
shutdown_lifetime 0 seconds
visible_hostname squid
"""


@contextmanager
def _squid(folder: Path, core: int | None) -> Iterator[str | None]:
    program = find("squid")
    if program is None:
        yield None
        return
    (port,) = _free_ports(1)
    (folder / "squid.conf").write_text(_SQUID.format(port=port))
    with _process([program, "-N", "-f", folder / "squid.conf"], [port], core):
        yield _origin(port)


_UVICORN = [sys.executable, "-m", "uvicorn", "--log-level", "error", "benchmarks.app:app"]


def _origin(port: int, scheme: str = "http") -> str:
    return f"{scheme}://127.0.0.1:{port}"


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        held = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [sock.getsockname()[1] for sock in held]


@contextmanager
def _process(command: Sequence[object], ports: Sequence[int], core: int | None) -> Iterator[None]:
    process = subprocess.Popen([str(part) for part in command], cwd=ROOT)
    try:
        pin(process.pid, core)
        for port in ports:
            _wait_until_ready(process, port)
        yield
    finally:
        process.terminate()
        process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], port: int) -> None:
    for _ in range(500):
        if process.poll() is not None:
            raise SystemExit(f"The server ended with status {process.returncode}.")
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.01)
        else:
            return
    raise SystemExit("The server did not answer within 5 seconds.")
