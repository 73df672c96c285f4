"""Starts haproxy with servers behind it that say their names, and adds and removes these as a rolling restart does.

haproxy forwards TCP connections, each to the next server in turn, as the load balancers of cloud providers do. A client
that keeps its connections stays with the servers of these connections.
Must not know: httpcore2.
"""

from __future__ import annotations

import csv
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from . import real_servers
from .scripted_servers import unused_port

NGINX = """
daemon off;
master_process off;
pid $folder/pid;
error_log stderr error;
events { worker_connections 256; }
http {
    access_log off;
    keepalive_requests 1000000;
    server {
        listen 127.0.0.1:$port $http2;
        location / { return 200 $name; }
    }
}
"""

HAPROXY = """
global
    nbthread 1
    stats socket $folder/control mode 600 level admin
defaults
    mode tcp
    timeout connect 60s
    timeout client 60s
    timeout server 60s
listen all
    bind 127.0.0.1:$port
$servers
"""


class LoadBalancer:
    """A running haproxy; the servers behind it are known by their names.

    Attributes:
        url: a resource whose content is the name of the server that answers.
    """

    def __init__(self, url: str, control: Path, running: dict[str, ExitStack]) -> None:
        self.url = url
        self._control = control
        self._running = running

    def add(self, name: str) -> None:
        """Give the server its share of the new connections."""
        self._command(f"set server all/{name} state ready")

    def drain(self, name: str) -> None:
        """Give the server no new connection; those that it has go on."""
        self._command(f"set server all/{name} state drain")

    def connections(self, name: str) -> int:
        """Return how many connections the server has."""
        lines = self._command("show stat").removeprefix("# ").splitlines()
        (row,) = [row for row in csv.DictReader(lines) if row["svname"] == name]
        return int(row["scur"])

    def stop(self, name: str) -> None:
        """End the process of the server, with all connections that it has."""
        self._running[name].close()

    def _command(self, command: str) -> str:
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(str(self._control))
            control.sendall(command.encode() + b"\n")
            received = b""
            while chunk := control.recv(65536):
                received += chunk
        return received.decode().strip()


@contextmanager
def load_balancer(
    folder: Path, names: list[str], *, ready: int, http2: bool = False
) -> Iterator[LoadBalancer]:
    """Run haproxy with a server of each name behind it; the first `ready` of them have connections from the start."""
    for program in ("haproxy", "nginx"):
        real_servers.require_executable(program)
    lines = []
    running: dict[str, ExitStack] = {}
    with ExitStack() as stack:
        for number, name in enumerate(names):
            home = folder / name
            home.mkdir()
            port = unused_port()
            values = {
                "folder": home,
                "port": port,
                "name": name,
                "http2": "http2" if http2 else "",
            }
            running[name] = stack.enter_context(ExitStack())
            command = "nginx -p $folder -e stderr -c $folder/configuration"
            running[name].enter_context(real_servers.running_program(command, NGINX, values, port))
            state = "" if number < ready else "disabled"
            lines.append(f"    server {name} 127.0.0.1:{port} {state}")
        port = unused_port()
        values = {"folder": folder, "port": port, "servers": "\n".join(lines)}
        command = "haproxy -db -f $folder/configuration"
        stack.enter_context(real_servers.running_program(command, HAPROXY, values, port))
        yield LoadBalancer(f"http://127.0.0.1:{port}/", folder / "control", running)
