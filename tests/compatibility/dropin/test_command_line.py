"""The command-line programs of the clients."""

from __future__ import annotations

import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ...support.h2peer import answering, speaking
from ...support.scripted_proxies import PROXY_KINDS, scripted_proxy
from ...support.scripted_servers import canned_responses, response, scripted_server, unused_port
from .conftest import SHIM

FINE = response(b"fine", b"Content-Type: text/plain")


def _run(library: Any, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).parent / library.__name__, *arguments],
        env={"PYTHONPATH": str(SHIM), **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_a_page_is_printed(library: Any) -> None:
    with scripted_server(canned_responses([FINE])) as server:
        done = _run(library, server.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert "HTTP/1.1 200 OK" in done.stdout
    assert done.stdout.rstrip().endswith("fine")


def test_the_verbose_mode_prints_each_phase(library: Any) -> None:
    with scripted_server(canned_responses([FINE])) as server:
        done = _run(library, server.url, "--verbose")
    assert done.returncode == 0
    assert f"* Connected to '127.0.0.1' on port {server.port}" in done.stdout
    assert "GET / HTTP/1.1" in done.stdout


def test_http2_is_used_over_tls(library: Any, h2_server_tls: ssl.SSLContext, ca_file: Path) -> None:
    with scripted_server(speaking(answering()), tls=h2_server_tls, allow_disconnect=True) as server:
        done = _run(library, server.url, "--http2", "--verbose", SSL_CERT_FILE=str(ca_file))
    assert done.returncode == 0
    assert "HTTP/2 200 OK" in done.stdout
    assert "* SSL established using 'TLSv1.3'" in done.stdout


def test_a_request_is_sent_through_a_proxy(
    library: Any, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    with scripted_proxy(PROXY_KINDS["http"], 1, server_tls, client_tls) as proxy:
        done = _run(library, "http://www.example.com/", "--proxy", proxy.origin)
    assert done.returncode == 0
    assert "HTTP/1.1 200 OK" in done.stdout
    assert proxy.requests[0].startswith("GET http://www.example.com/ HTTP/1.1")


def test_a_page_is_saved_to_a_file(library: Any, tmp_path: Path) -> None:
    with scripted_server(canned_responses([FINE])) as server:
        done = _run(library, server.url, "--download", str(tmp_path / "page"))
    assert done.returncode == 0
    assert (tmp_path / "page").read_bytes() == b"fine"


@pytest.mark.parametrize(
    ("url", "error"),
    [("http://127.0.0.1:{unused}/", "ConnectError: "), ("ftp://h/", "UnsupportedProtocol: ")],
)
def test_an_error_is_printed_with_its_class_name(library: Any, url: str, error: str) -> None:
    done = _run(library, url.format(unused=unused_port()))
    assert done.returncode == 1
    assert error in done.stdout
