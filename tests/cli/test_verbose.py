"""What -v and --trace show, and what they hide."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from httpcore2_cli._terminal import escape, is_plain, shown_value
from httpcore2_cli._verbose import certificate_lines, describe, shown_address

from ..support.h2peer import answering, speaking
from ..support.scripted_proxies import PROXY_KINDS, scripted_proxy
from ..support.scripted_servers import response, scripted_server
from .conftest import Recording, Run, serve


def test_verbose_shows_connection_and_heads(run: Run, recording: Recording) -> None:
    port = recording.server.port
    lines = run("-v", "--repeat", "2", recording.url).error.splitlines()
    assert lines[0] == f"* Connecting to 127.0.0.1 port {port}"
    assert lines[1].startswith(f"* Connected to 127.0.0.1:{port} from 127.0.0.1:")
    head = [
        "> GET / HTTP/1.1",
        f"> Host: 127.0.0.1:{port}",
        lines[4],
        "> Accept: */*",
        ">",
        "< HTTP/1.1 200 OK",
        "< Content-Length: 5",
        "<",
    ]
    assert lines[2:] == [*head, "* Reusing the connection", *head]


def test_verbose_shows_tls_and_http2(
    run: Run, h2_server_tls: ssl.SSLContext, ca_file: Path
) -> None:
    with scripted_server(speaking(answering()), tls=h2_server_tls) as server:
        error = run("-v", "--cacert", ca_file, server.url).error
    assert ", ALPN h2\n* certificate trustme" in error
    assert " days left\n* issued by " in error
    assert "\n> GET / HTTP/2\n" in error
    assert "\n< HTTP/2 200\n" in error


@pytest.mark.parametrize("kind", ["http", "socks5", "socks4a with user id"])
def test_verbose_shows_the_proxy_and_what_it_is_asked_for(
    run: Run,
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    ca_file: Path,
    kind: str,
) -> None:
    with (
        scripted_server(serve(response(b"")), tls=server_tls, allow_disconnect=True) as server,
        scripted_proxy(PROXY_KINDS[kind], server.port, server_tls, client_tls) as proxy,
    ):
        options = ("-U", "user:") if "user" in kind else ()
        url = f"https://localhost:{server.port}/"
        error = run("-v", "--cacert", ca_file, "-x", proxy.origin, *options, url).error
    target = f"localhost port {server.port}" if "socks" in kind else f"localhost:{server.port}"
    asked = {"http": "> CONNECT", "socks5": "* SOCKS5 to"}.get(kind, "* SOCKS4 to")
    assert f"\n{asked} {target}" in error
    assert "Reusing" not in error


def test_no_credential_is_shown(run: Run, recording: Recording) -> None:
    recording.recorder.responses[:] = [response(b"", b"Set-Cookie: session=s3cret")]
    fields = (
        "-H",
        "Authorization: Bearer s3cret",
        "-H",
        "Cookie: a=s3cret",
        "-H",
        "X-Api-Key: s3cret",
    )
    error = run("-v", "--trace", *fields, recording.url).error
    assert "s3cret" not in error
    assert "> Authorization: Bearer [secret]\n" in error
    assert "> Cookie: [secret]\n" in error
    assert "< Set-Cookie: [secret]\n" in error
    assert b"s3cret" in recording.recorder.requests[0][0]
    assert shown_value(b"Authorization", b"s3cret") == "[secret]"


def test_control_characters_of_the_server_are_escaped(run: Run, recording: Recording) -> None:
    recording.recorder.responses[:] = [
        b"HTTP/1.1 200 \xe2\x80\xaeOK\r\nX: \xff\tb\xc3\xa9\xc2\x9b\r\nContent-Length: 0\r\n\r\n"
    ]
    error = run("-v", recording.url).error
    assert "< HTTP/1.1 200 \\u202eOK\n" in error
    assert "< X: \\xff\\tbé\\x9b\n" in error
    assert escape("a\x1b[2J") == "a\\x1b[2J"


def test_trace_shows_each_event_with_its_time(run: Run, recording: Recording) -> None:
    lines = run("--trace", recording.url).error.splitlines()
    times = [float(line.split()[0]) for line in lines]
    assert times == sorted(times)
    port = recording.server.port
    assert lines[0].split()[1:] == [
        "connection.connect_tcp.started",
        "host=127.0.0.1",
        f"port={port}",
    ]
    assert lines[-1].split()[1:] == ["http11.response_closed.complete"]


def test_trace_shows_failures(run: Run) -> None:
    with scripted_server(lambda peer: None) as server:
        error = run("--trace", server.url).error
    assert "http11.receive_response_headers.failed exception=" in error


def test_a_connection_without_addresses_has_unknown_ones() -> None:
    assert shown_address(None) == "an unknown address"
    assert shown_address(("::1", 80)) == "[::1]:80"
    assert describe(ValueError()) == "ValueError"


def test_a_certificate_without_names_is_shown() -> None:
    names: list[str] = []
    tls = {"is_verified": True, "subject": None, "names": names, "days_left": 1, "issuer": None}
    assert certificate_lines(tls) == [
        "certificate without a name, 1 days left",
        "issued by an authority without a name",
    ]
    assert certificate_lines({"is_verified": False}) == ["certificate not verified"]


@pytest.mark.parametrize(
    ("environment", "encoding", "plain"),
    [
        ({}, "utf-8", False),
        ({"NO_COLOR": "1"}, "utf-8", True),
        ({"NO_COLOR": ""}, "UTF8", False),
        ({"TERM": "dumb"}, "utf-8", True),
        ({"TERM": "xterm"}, "ascii", True),
    ],
)
def test_a_terminal_gets_styles_unless_it_should_not(
    environment: dict[str, str], encoding: str, plain: bool
) -> None:
    class Terminal:
        def __init__(self, is_terminal: bool) -> None:
            self.encoding = encoding
            self.isatty = lambda: is_terminal

    assert is_plain(Terminal(True), environment) is plain  # type: ignore[arg-type]
    assert is_plain(Terminal(False), environment)  # type: ignore[arg-type]
