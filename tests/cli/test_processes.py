"""The command in a process of its own: pipes, and the time of its start."""

from __future__ import annotations

import subprocess
import sys

from ..support.scripted_servers import Peer, response, scripted_server

COMMAND = [sys.executable, "-m", "httpcore2_cli"]


def test_a_broken_pipe_is_silent(no_leaks: None) -> None:
    def handler(peer: Peer) -> None:
        peer.receive_request()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
        peer.send_endlessly(b"many bytes\n", 100_000_000)

    with scripted_server(handler, allow_disconnect=True) as server:
        process = subprocess.Popen(
            [*COMMAND, server.url], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        with process:
            assert process.stdout is not None and process.stderr is not None
            assert process.stdout.read(11) == b"many bytes\n"
            process.stdout.close()
            assert process.stderr.read() == b""
            assert process.wait(10) == 23


def test_a_full_disk_is_an_error(no_leaks: None) -> None:
    with (
        scripted_server(lambda peer: peer.send(response(b"body"))) as server,
        open("/dev/full", "wb") as full,
    ):
        done = subprocess.run(
            [*COMMAND, server.url], stdout=full, stderr=subprocess.PIPE, timeout=30, check=False
        )
    assert b"The standard output cannot be written: No space left on device." in done.stderr
    assert done.returncode == 23
