"""HTTP/3 on the command line: where it is tried, what is shown of it, and how it fails."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from httpcore2_cli._connections import http3_problem
from httpcore2_cli._failures import ExitCode, explain
from httpcore2_cli._options import Options
from httpcore2_cli._timeline import Phase, Span, Timeline
from httpcore2_core import ConnectError, RemoteProtocolError

from ..support.h2peer import answering as h2_answering
from ..support.h2peer import speaking
from ..support.h3peer import H3Peer, H3Server, Script, answering, frame
from ..support.scripted_servers import Server, response, scripted_server
from .conftest import BACKENDS, Run, serve

Serve3 = Callable[..., AbstractContextManager[H3Server]]

QUIC_PHASES = ["queued", "QUIC", "send", "wait", "download"]


@pytest.fixture
def serve3(certificate_authority: trustme.CA) -> Serve3:
    """Return a function that runs a server of HTTP/3 alone."""
    issued = certificate_authority.issue_cert("127.0.0.1", "localhost")
    certificate = issued.private_key_and_cert_chain_pem.bytes()

    def serving(script: Script, **options: Any) -> AbstractContextManager[H3Server]:
        return H3Server(script, certificate, **options).running()

    return serving


@pytest.fixture
def server3(serve3: Serve3) -> Iterator[H3Server]:
    with serve3(answering()) as server:
        yield server


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Return a port that takes datagrams, and never answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


@contextmanager
def server_beside_silence(tls: ssl.SSLContext) -> Iterator[Server]:
    """Serve HTTP/2 over TCP, on a port where a UDP socket never answers."""
    while True:
        with (
            scripted_server(speaking(h2_answering()), tls=tls) as server,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent,
        ):
            try:
                silent.bind(("127.0.0.1", server.port))
            except OSError:
                continue  # another program has the port
            yield server
            return


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("option", ["--http3", "--http3-only"])
def test_http3_is_used_at_once(
    run: Run, server3: H3Server, ca_file: Path, option: str, backend: str
) -> None:
    outcome = run(option, "--backend", backend, "--cacert", ca_file, "--json", server3.url)
    known = outcome.json
    assert (known["http_version"], known["stream_id"], known["http_code"]) == ("3", 0, 200)
    assert (known["tls"]["alpn"], known["tls"]["version"]) == ("h3", "TLSv1.3")
    assert known["tls"]["is_verified"]
    assert list(known["phases"]) == QUIC_PHASES
    # The handshake includes that of TLS.
    assert 0 < known["time_connect"] == known["time_appconnect"] < known["time_total"]
    assert (known["num_connects"], known["reused"]) == (1, False)
    assert known["remote_port"] == server3.port


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_server_without_http3_is_asked_over_tcp(
    run: Run, server_tls: ssl.SSLContext, ca_file: Path, backend: str
) -> None:
    with scripted_server(serve(response(b"fine")), tls=server_tls, allow_disconnect=True) as server:
        arguments = ("--http3", "--backend", backend, "--cacert", ca_file)
        known = run(*arguments, "--json", server.url).json
        shown = run(*arguments, "-v", f"https://localhost:{server.port}/").error
    assert (known["http_version"], known["http_code"]) == ("1.1", 200)
    assert list(known["phases"]) == ["queued", "QUIC", "TCP", "TLS", "send", "wait", "download"]
    assert f"* Connecting to localhost port {server.port} over UDP\n* QUIC: Connect" in shown
    assert f"* Connecting to localhost port {server.port}\n* Connected to" in shown


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_network_that_drops_datagrams_delays_the_request_and_no_more(
    run: Run, h2_server_tls: ssl.SSLContext, ca_file: Path, backend: str
) -> None:
    with server_beside_silence(h2_server_tls) as server:
        arguments = ("--http3", "--backend", backend, "--cacert", ca_file, "--json")
        known = run(*arguments, server.url).json
    assert (known["http_version"], known["http_code"]) == ("2", 200)
    assert list(known["phases"]) == ["queued", "QUIC", "TCP", "TLS", "send", "wait", "download"]
    assert known["phases"]["QUIC"] < known["time_connect"] < known["time_appconnect"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_routes_and_names_apply_to_datagrams(
    run: Run, server3: H3Server, ca_file: Path, backend: str
) -> None:
    port = server3.port
    arguments = ("--http3-only", "--backend", backend, "--cacert", ca_file, "--json")
    named = run(*arguments, "-4", f"https://localhost:{port}/").json
    assert list(named["phases"]) == ["queued", "DNS", *QUIC_PHASES[1:]]
    assert 0 < named["time_namelookup"] < named["time_connect"]
    for route in (
        ("--resolve", f"localhost:{port}:127.0.0.1"),
        ("--connect-to", f"localhost:443:127.0.0.1:{port}"),
    ):
        url = "https://localhost/" if "443" in route[1] else f"https://localhost:{port}/"
        known = run(*arguments, *route, url).json
        assert (known["http_version"], known["remote_port"]) == ("3", port)


def test_http3_is_not_tried_for_http(run: Run) -> None:
    with scripted_server(serve(response(b"fine"))) as server:
        assert run("--http3", server.url).output == b"fine"
        alone = run("--http3-only", server.url)
    assert alone.code == 1
    assert "HTTP/3 needs https" in alone.error


def test_a_malformed_url_is_reported_in_its_turn(
    run: Run, server3: H3Server, ca_file: Path
) -> None:
    outcome = run("--http3", "--cacert", ca_file, server3.url, "http://a:b/")
    assert (outcome.code, outcome.output) == (3, b"fine")


def test_the_waterfall_shows_quic_and_what_reuse_saves(
    run: Run, server3: H3Server, ca_file: Path
) -> None:
    arguments = ("--http3-only", "--waterfall", "--repeat", "2", "--cacert", ca_file)
    lines = run(*arguments, server3.url).error.splitlines()
    assert "  protocol  HTTP/3, stream 0, new connection" in lines
    assert "  protocol  HTTP/3, stream 4, reused connection" in lines
    assert any(line.startswith("  TLS       TLSv1.3, TLS_AES_") for line in lines)
    assert sum(line.startswith("QUIC   ") for line in lines) == 1
    assert not any(line.startswith(("TCP", "TLS")) for line in lines)
    assert "(median of 1): reuse saves " in lines[-1]


def test_verbose_shows_the_handshake_and_the_heads(
    run: Run, server3: H3Server, ca_file: Path
) -> None:
    arguments = ("--http3-only", "-v", "--repeat", "2", "--cacert", ca_file)
    lines = run(*arguments, server3.url).error.splitlines()
    assert lines[0] == f"* Connecting to 127.0.0.1 port {server3.port} over UDP"
    assert lines[1].startswith(f"* QUIC to 127.0.0.1:{server3.port} from 127.0.0.1:")
    assert lines[2].endswith(", ALPN h3")
    assert lines[3].startswith("* certificate trustme")
    assert lines[5] == "> GET / HTTP/3"
    assert "< HTTP/3 200" in lines
    assert lines.count("* Reusing the connection") == 1


def test_a_certificate_that_is_not_checked_is_shown_as_such(run: Run, server3: H3Server) -> None:
    error = run("--http3-only", "-k", "-v", server3.url).error
    assert "* certificate not verified" in error


def test_a_load_uses_one_connection_for_many_requests(
    run: Run, server3: H3Server, ca_file: Path
) -> None:
    for option in ("--http3", "--http3-only"):
        arguments = (option, "--backend", "asyncio", "--cacert", ca_file)
        known = run(*arguments, "--bench", "-n", "20", "-m", "4", "--json", server3.url).json
        assert (known["statuses"], known["num_connects"]) == ({"200": 20}, 1)


# What excludes HTTP/3


def test_the_distribution_that_is_not_installed_is_named(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "httpcore2_http3", None)
    for option in ("--http3", "--http3-only"):
        outcome = run(option, "https://127.0.0.1/")
        assert outcome.code == 2
        assert "pip install 'httpcore2[http3]'" in outcome.error


CONFLICTS = {
    "-x": (("-x", "http://127.0.0.1:1"), "HTTP/3 is not used through a proxy (-x)"),
    "--unix-socket": (("--unix-socket", "none"), "HTTP/3 needs UDP, which a unix socket"),
    "--cert": (("--cert", "none.pem"), "HTTP/3 can't send a client certificate"),
}


@pytest.mark.parametrize("option", CONFLICTS)
def test_what_excludes_http3_is_named(run: Run, option: str) -> None:
    arguments, problem = CONFLICTS[option]
    alone = run("--http3-only", *arguments, "https://127.0.0.1/")
    assert alone.code == 2
    assert f"--http3-only is not possible: {problem}" in alone.error
    outcome = run("--http3", *arguments, "https://127.0.0.1/")
    assert f"--http3 has no effect: {problem}" in outcome.error
    assert outcome.code in (7, 58)


def test_nothing_excludes_what_is_not_asked_for() -> None:
    assert http3_problem(Options(urls=(), proxy="http://a")) is None
    assert http3_problem(Options(urls=(), http3=True)) is None


# Failures


def test_each_failure_of_quic_has_its_exit_code(
    run: Run,
    serve3: Serve3,
    ca_file: Path,
    silent_port: int,
) -> None:
    alone = ("--http3-only", "--cacert", ca_file)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
        unused.bind(("127.0.0.1", 0))
        closed = unused.getsockname()[1]
    refused = run(*alone, f"https://127.0.0.1:{closed}/")
    assert refused.code == 7, refused.error
    assert "Came as far as: QUIC failed after" in refused.error
    silent = run(*alone, "-m", "0.3", f"https://127.0.0.1:{silent_port}/")
    assert silent.code == 28
    assert "Hint: To wait longer, raise --connect-timeout or --max-time." in silent.error
    with serve3(answering()) as server:
        stranger = trustme.CA().issue_cert("127.0.0.1")
        server.certificate = stranger.private_key_and_cert_chain_pem.bytes()
        untrusted = run(*alone, server.url)
    assert untrusted.code == 60, untrusted.error
    assert "Hint: If you know the authority" in untrusted.error
    with serve3(answering(), alpn_protocols=["other"]) as server:
        other = run(*alone, server.url)
    assert other.code == 96, other.error
    assert "Hint: Check that the server speaks HTTP/3 on this port." in other.error


def test_a_violation_of_http3_is_95(run: Run, serve3: Serve3, ca_file: Path) -> None:
    def script(peer: H3Peer) -> None:
        stream_id = peer.request()
        peer.raw(stream_id, frame(0, b"DATA before HEADERS"))
        peer.until_end()

    with serve3(script) as server:
        outcome = run("--http3-only", "--cacert", ca_file, server.url)
    assert outcome.code == 95, outcome.error
    assert "Hint: Try --http2" in outcome.error


@pytest.mark.parametrize(
    ("error", "reached", "code"),
    [
        (ConnectError("The QUIC handshake failed (TLS alert unknown_ca)."), Phase.QUIC, 60),
        (ConnectError("The QUIC handshake failed (INTERNAL_ERROR)."), Phase.QUIC, 96),
        (RemoteProtocolError("x"), Phase.WAIT, 95),
        (RemoteProtocolError("x"), Phase.DOWNLOAD, 95),
    ],
)
def test_the_code_follows_from_the_exception_and_the_phase(
    error: Exception, reached: Phase, code: int
) -> None:
    failure = explain(error, reached, is_http2=False, is_http3=True, is_proxied=False)
    assert failure.code is ExitCode(code)


# The timeline


def test_tcp_after_quic_keeps_the_time_of_both() -> None:
    timeline = Timeline()
    for phase, begin, end in ((Phase.QUIC, 1, 2), (Phase.DNS, 3, 4), (Phase.TCP, 4, 5)):
        timeline.begin(Phase.TCP if phase is Phase.DNS else phase, begin)
        timeline.begin(phase, begin)
        timeline.end(end)
    assert timeline.spans[Phase.QUIC] == Span(1, 2)
    assert list(timeline.spans) == [Phase.QUEUED, Phase.QUIC, Phase.DNS, Phase.TCP]


def test_quic_after_tcp_is_another_attempt() -> None:
    timeline = Timeline()
    for phase, begin, end in ((Phase.TCP, 1, 2), (Phase.TLS, 2, 3), (Phase.QUIC, 4, 5)):
        timeline.begin(phase, begin)
        timeline.end(end)
    assert list(timeline.spans) == [Phase.QUEUED, Phase.QUIC]
    assert timeline.has_dialled
