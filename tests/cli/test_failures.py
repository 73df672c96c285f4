"""How a transfer fails: the exit code of curl, the message, how far it came, the hint."""

from __future__ import annotations

import os
import signal
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
from h2.errors import ErrorCodes

from httpcore2_cli._failures import ExitCode, causes, explain
from httpcore2_cli._timeline import Phase
from httpcore2_core import (
    ConnectError,
    LocalProtocolError,
    ProxyError,
    ReadError,
    RemoteProtocolError,
    UnsupportedProtocol,
    WriteError,
)

from ..support.h2peer import H2Peer, speaking
from ..support.scripted_servers import Peer, refusing_port, response, scripted_server
from .conftest import BACKENDS, Run, serve
from .outcomes import full_backlog


def truncated(peer: Peer) -> None:
    peer.receive_request()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")


def malformed(peer: Peer) -> None:
    peer.receive_request()
    peer.send(b"SSH-2.0-server\r\n\r\n")


def silent(peer: Peer) -> None:
    peer.receive_request()


def resets(peer: Peer) -> None:
    peer.receive_request()
    peer.reset()


def hangs(peer: Peer) -> None:
    peer.receive_until_close()


def hangs_in_the_body(peer: Peer) -> None:
    peer.receive_request()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    peer.receive_until_close()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("handler", "code", "message", "phase"),
    [
        (truncated, 18, "received 4 bytes, expected 10", "download failed after"),
        (malformed, 8, "", "wait failed after"),
        (silent, 52, "Server disconnected without sending a response", "wait failed after"),
        (resets, 56, "Connection reset", "wait failed after"),
        (hangs, 28, "(read timeout)", "wait failed after"),
        (hangs_in_the_body, 28, "(read timeout)", "download failed after"),
    ],
)
def test_a_server_that_fails_has_the_exit_code_of_curl(
    run: Run,
    handler: Callable[[Peer], None],
    code: int,
    message: str,
    phase: str,
    backend: str,
) -> None:
    with scripted_server(handler, allow_disconnect=True) as server:
        outcome = run("--backend", backend, "-m", "1", server.url)
    assert outcome.code == code
    assert outcome.error.startswith(f"httpcore2: ({code}) ")
    assert message in outcome.error
    assert phase in outcome.error


def test_a_time_limit_names_the_option_to_raise(run: Run) -> None:
    with scripted_server(hangs, allow_disconnect=True) as server:
        outcome = run("-m", "0.1", server.url)
    assert "Hint: To wait longer, raise --max-time." in outcome.error


def test_a_refused_connection_says_how_far_it_came(run: Run) -> None:
    with refusing_port() as port:
        outcome = run(f"http://127.0.0.1:{port}/")
    assert outcome.code == 7
    first, came, tried, cause, hint = outcome.error.splitlines()
    assert (
        tried == f"  Tried 127.0.0.1:{port}: ConnectionRefusedError: [Errno 111] Connection refused"
    )
    assert first.startswith("httpcore2: (7) [Errno 111] Connection refused")
    assert came.startswith("  Came as far as: TCP failed after ")
    assert cause == "  Caused by ConnectionRefusedError: [Errno 111] Connection refused"
    assert hint.startswith("  Hint: Check the port")


def test_the_addresses_of_a_failed_request_are_in_the_json(run: Run) -> None:
    with scripted_server(silent) as server:
        known = run("--json", server.url).json
    assert (known["remote_ip"], known["remote_port"]) == ("127.0.0.1", server.port)
    assert known["local_ip"] == "127.0.0.1"


def test_an_address_that_did_not_answer_is_named(run: Run) -> None:
    with full_backlog() as port:
        outcome = run("--connect-timeout", "0.2", f"http://127.0.0.1:{port}/")
    assert f"\n  Tried 127.0.0.1:{port}: no answer\n" in outcome.error


def test_a_silent_failure_shows_nothing_and_show_error_shows_it(run: Run) -> None:
    with refusing_port() as port:
        assert run("-s", f"http://127.0.0.1:{port}/") == (7, b"", "")
        assert "(7)" in run("-sS", f"http://127.0.0.1:{port}/").error
    assert run("-s", "http://").error == ""


def test_the_exit_code_is_that_of_the_last_transfer(run: Run) -> None:
    with refusing_port() as port, scripted_server(serve(response(b"fine"))) as server:
        assert run(f"http://127.0.0.1:{port}/", server.url).code == 0
        assert run(server.url, f"http://127.0.0.1:{port}/").code == 7


def test_a_name_that_is_not_resolved_is_the_hosts_or_the_proxys(run: Run) -> None:
    assert run("http://missing.invalid/").code == 6
    assert run("-x", "http://missing.invalid", "http://127.0.0.1/").code == 5


@pytest.mark.parametrize("status", [b"400 Bad", b"503 Busy"])
def test_fail_makes_a_status_an_error(run: Run, status: bytes) -> None:
    with scripted_server(serve(response(b"page", status=status))) as server:
        assert run(server.url) == (0, b"page", "")
        outcome = run("-f", server.url)
    assert (outcome.code, outcome.output) == (22, b"")
    assert f"The server answered {status[:3].decode()}" in outcome.error


def test_a_certificate_that_is_not_trusted_is_60_unless_insecure(
    run: Run, server_tls: ssl.SSLContext, ca_file: Path
) -> None:
    def handler(peer: Peer) -> None:
        serve(response(b"fine"))(peer)

    with scripted_server(handler, tls=server_tls) as server:
        outcome = run(server.url)
        assert outcome.code == 60
        assert "TLS failed after" in outcome.error
        assert (
            "Hint: If you know the authority, give its certificate with --cacert." in outcome.error
        )
        assert run("--cacert", ca_file, server.url).output == b"fine"
        insecure = run("-k", server.url)
        assert insecure.output == b"fine"
        assert insecure.error.startswith("Warning: certificates are not checked (-k)")
        assert run("-ks", server.url) == (0, b"fine", "")


def test_a_server_without_tls_is_35(run: Run) -> None:
    with scripted_server(lambda peer: peer.send(b"plain text, no TLS")) as server:
        assert run(f"https://127.0.0.1:{server.port}/").code == 35


def test_an_https_server_that_hangs_in_the_handshake_is_28(run: Run) -> None:
    with scripted_server(hangs, allow_disconnect=True) as server:
        outcome = run("--connect-timeout", "0.2", f"https://127.0.0.1:{server.port}/")
    assert outcome.code == 28
    assert "TLS failed after" in outcome.error
    assert "raise --connect-timeout or --max-time" in outcome.error


def test_files_that_cannot_be_used_have_codes_of_their_own(
    run: Run, tmp_path: Path, certificate_authority: trustme.CA
) -> None:
    broken = tmp_path / "broken.pem"
    broken.write_text("no certificate")
    assert run("--cacert", broken, "https://127.0.0.1/").code == 77
    missing = run("--cacert", tmp_path / "none.pem", "https://127.0.0.1/")
    assert missing.code == 77
    assert "none.pem cannot be used: No such file or directory." in missing.error
    outcome = run("--cert", f"{broken}:word", "https://127.0.0.1/")
    assert outcome.code == 58
    assert "word" not in outcome.error


def test_a_reset_stream_is_92_and_a_failed_connection_16(run: Run) -> None:
    def reset(peer: H2Peer) -> None:
        peer.reset(peer.request(), ErrorCodes.INTERNAL_ERROR)
        peer.peer.receive_until_close()

    def broken(peer: Peer) -> None:
        peer.receive_some()
        peer.send(b"no HTTP/2 at all, but long enough for a frame")
        peer.receive_until_close()

    with scripted_server(speaking(reset), allow_disconnect=True) as server:
        outcome = run("--http2-prior-knowledge", server.url)
    assert outcome.code == 92, outcome.error
    with scripted_server(broken, allow_disconnect=True) as server:
        outcome = run("--http2-prior-knowledge", server.url)
    assert outcome.code == 16
    assert "Hint: Try --http1.1" in outcome.error


@pytest.mark.parametrize(
    ("error", "reached", "code"),
    [
        (UnsupportedProtocol("x"), Phase.QUEUED, ExitCode.UNSUPPORTED_PROTOCOL),
        (LocalProtocolError("x"), Phase.QUEUED, ExitCode.MALFORMED_URL),
        (LocalProtocolError("x"), Phase.SEND, ExitCode.USAGE),
        (ProxyError("407 Proxy Authentication Required"), Phase.PROXY, ExitCode.RECEIVE),
        (ProxyError("Proxy Server could not connect"), Phase.PROXY, ExitCode.PROXY),
        (ReadError("x"), Phase.PROXY, ExitCode.PROXY),
        (ConnectError("x"), Phase.TLS, ExitCode.TLS),
        (ConnectError("x"), Phase.TCP, ExitCode.NOT_CONNECTED),
        (WriteError("x"), Phase.SEND, ExitCode.SEND),
        (ReadError("x"), Phase.WAIT, ExitCode.RECEIVE),
        (RemoteProtocolError("x"), Phase.WAIT, ExitCode.WEIRD_RESPONSE),
    ],
)
def test_the_code_follows_from_the_exception_and_the_phase(
    error: Exception, reached: Phase, code: ExitCode
) -> None:
    assert explain(error, reached, is_http2=False, is_proxied=False).code is code


def test_the_message_has_no_notes_for_python() -> None:
    error = ProxyError("407 No")
    error.add_note("The proxy requires credentials.")
    failure = explain(error, Phase.PROXY, is_http2=False, is_proxied=True)
    assert failure.message == "407 No"
    assert failure.hint == "Check the address and the credentials of the proxy (-x, --proxy-user)."
    assert explain(ReadError(), Phase.WAIT, is_http2=False, is_proxied=False).message == "ReadError"


def test_a_circle_of_causes_ends() -> None:
    first, second = ValueError("1"), ValueError("2")
    first.__cause__, second.__cause__ = second, first
    assert list(causes(first)) == [first, second]


@pytest.mark.parametrize("backend", BACKENDS)
def test_ctrl_c_is_130_and_keeps_the_file(run: Run, tmp_path: Path, backend: str) -> None:
    file = tmp_path / "file"

    def handler(peer: Peer) -> None:
        peer.receive_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + bytes(200_000))
        # Files are buffered: what was received in the meantime follows when it is closed.
        while not (file.exists() and file.stat().st_size >= 100_000):
            os.sched_yield()
        os.kill(os.getpid(), signal.SIGINT)
        peer.receive_until_close()

    with scripted_server(handler, allow_disconnect=True) as server:
        outcome = run("--backend", backend, "-o", file, server.url)
    assert outcome.code == 130
    kept = file.stat().st_size
    assert kept >= 100_000
    assert f"Interrupted. {kept:,} of 300,000 bytes are in" in outcome.error
    assert outcome.error.endswith("Continue with -C -.\n")


def test_ctrl_c_without_a_file_says_only_that(run: Run) -> None:
    def handler(peer: Peer) -> None:
        peer.receive_request()
        os.kill(os.getpid(), signal.SIGINT)
        peer.receive_until_close()

    with scripted_server(handler, allow_disconnect=True) as server:
        assert run(server.url) == (130, b"", "httpcore2: Interrupted.\n")
        assert run("-s", server.url) == (130, b"", "")
