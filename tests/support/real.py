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
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from .server import unused_port

ROOT = Path(__file__).parents[2]
LIMIT = 20.0
"""Seconds for a server to come up."""

SERVERS = ("uvicorn-h11", "uvicorn-httptools", "hypercorn", "nginx")


@contextmanager
def running(
    name: str, folder: Path, certificate: Path | None, *, http2: bool = False
) -> Iterator[str]:
    """Run a server and give its origin.

    Args:
        name: one of `SERVERS`.
        folder: an empty folder for its files.
        certificate: a PEM file with key and chain, for TLS.
        http2: whether nginx speaks HTTP/2, as it comes: it says farewell after 1000 requests. (hypercorn always does.)
    """
    scheme = "http" if certificate is None else "https"
    if name == "nginx":
        context = _nginx(name, folder, certificate, http2)
    else:
        context = _asgi(name, folder, certificate)
    with context as port:
        yield f"{scheme}://127.0.0.1:{port}"


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
        process = context.__enter__()
    try:
        yield port
        assert process.poll() is None, (folder / "log").read_text()
    finally:
        context.__exit__(None, None, None)


NGINX = """
daemon off;
master_process off;
pid {folder}/pid;
error_log stderr warn;
events {{ worker_connections 128; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests {requests};
    server {{
        listen 127.0.0.1:{port}{tls};
        root {folder}/files;
        location /small {{ client_max_body_size 1k; error_page 405 =200 /1000; }}
        location /status/204 {{ return 204; }}
        location /text {{ gzip on; gzip_types *; gzip_min_length 1; return 200 "{text}"; }}
    }}
}}
"""


@contextmanager
def _nginx(name: str, folder: Path, certificate: Path | None, http2: bool) -> Iterator[int]:
    binary = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if binary is None:
        _missing(name)
        raise AssertionError("pytest has taken over")
    files = folder / "files"
    files.mkdir()
    for size in (0, 1, 1000, 1_000_000):
        (files / str(size)).write_bytes(bytes(size))
    port = unused_port()
    tls = " http2" if http2 else ""
    if certificate is not None:
        tls += f" ssl; ssl_certificate {certificate}; ssl_certificate_key {certificate}"
    configuration = folder / "nginx.conf"
    configuration.write_text(
        NGINX.format(
            folder=folder,
            port=port,
            tls=tls,
            text="a text to compress " * 50,
            requests=1000 if http2 else 100_000,
        )
    )
    command = [binary, "-p", str(folder), "-e", "stderr", "-c", str(configuration)]
    with _process(command, folder) as process:
        _wait_until_it_listens(port, process, folder)
        yield port
        assert process.poll() is None, (folder / "log").read_text()


def _wait_until_it_listens(port: int, process: subprocess.Popen[bytes], folder: Path) -> None:
    end = time.monotonic() + LIMIT
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert process.poll() is None, (folder / "log").read_text()
        assert time.monotonic() < end, "the server never listened"
        time.sleep(0.005)
