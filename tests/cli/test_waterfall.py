"""The waterfall and the progress line, without a terminal."""

from __future__ import annotations

import io
import ssl
from pathlib import Path

import pytest

from httpcore2_cli._options import Options
from httpcore2_cli._outputs import Output
from httpcore2_cli._progress import ProgressMeter
from httpcore2_cli._requests import make_request
from httpcore2_cli._timeline import Phase, Span
from httpcore2_cli._transfer import Transfer
from httpcore2_cli._waterfall import Waterfall, amount

from ..support.h2peer import answering, speaking
from ..support.scripted_proxies import PROXY_KINDS, scripted_proxy
from ..support.scripted_servers import response, scripted_server
from .conftest import Recording, Run, serve


def test_http2_and_the_certificate_are_shown(
    run: Run, h2_server_tls: ssl.SSLContext, ca_file: Path
) -> None:
    with scripted_server(speaking(answering()), tls=h2_server_tls) as server:
        lines = run("--waterfall", "--cacert", ca_file, server.url).error.splitlines()
    assert "  status    200" in lines
    assert "  protocol  HTTP/2, stream 1, new connection" in lines
    (tls,) = [line for line in lines if line.startswith("  TLS  ")]
    assert tls.endswith(", ALPN h2")
    certificate = lines[lines.index(tls) + 1]
    assert certificate.startswith("            certificate trustme")
    assert certificate.endswith(" days left")


@pytest.mark.parametrize("kind", ["http", "socks5"])
def test_the_proxy_is_shown_with_what_it_is_asked_for(
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
        arguments = ("--waterfall", "-x", proxy.origin, "-U", "user:s3cret", "--cacert", ca_file)
        error = run(*arguments, server.url).error
        plain = run(*arguments, "http://127.0.0.1/a").error if kind == "http" else ""
    target = f"127.0.0.1:{server.port}"
    asked = {"http": f"CONNECT {target}", "socks5": f"a connection to {target}"}[kind]
    assert f"  proxy     {proxy.origin}, asked for {asked}\n" in error
    assert kind == "socks5" or f"{proxy.origin}, asked for GET http://127.0.0.1/a\n" in plain
    assert "\nproxy " in error
    assert "s3cret" not in error


def test_a_failed_phase_is_marked(run: Run) -> None:
    with scripted_server(lambda peer: None) as server:
        error = run("--waterfall", server.url).error
    (wait,) = [line for line in error.splitlines() if line.startswith("wait ")]
    assert wait.endswith("# failed")


def transfer(reused: bool, total: float, fails: bool = False) -> Transfer:
    request, _ = make_request(Options(urls=()), "http://a/")
    made = Transfer("http://a/", request, None, Output(io.BytesIO(), None), False)
    made.timeline.total = total
    made.timeline.spans[Phase.SEND] = Span(0.0, total)
    if not reused:
        made.timeline.spans[Phase.TCP] = Span(0.0, total)
    if fails:
        made.failure = object()  # type: ignore[assignment]
    return made


def test_what_reuse_saves_is_the_difference_to_the_median() -> None:
    draw = Waterfall(80, True)
    new = transfer(False, 0.010)
    (line,) = draw.saving([new, *(transfer(True, total) for total in (0.001, 0.002, 0.009))])
    assert str(line) == "new 10.0 ms, reused 2.0 ms (median of 3): reuse saves 8.0 ms (80%)"
    (line,) = draw.saving([new, transfer(True, 0.010)])
    assert str(line).endswith("reuse saves nothing here")
    assert draw.saving([new, transfer(True, 0.001, fails=True)]) == []
    assert draw.saving([transfer(True, 0.001)]) == []


def test_amounts_have_units() -> None:
    assert [amount(count) for count in (999, 1500, 2_500_000, 3e9)] == [
        "999 bytes",
        "1.5 kB",
        "2.5 MB",
        "3.0 GB",
    ]


def test_a_long_name_leaves_room_for_the_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    stream = io.StringIO()
    meter = ProgressMeter(stream, is_plain=True)
    meter.advance(1)
    meter.start("a" * 100 + "z", 10)
    meter.advance(10)
    meter.stop()
    meter.stop()
    (line,) = stream.getvalue().splitlines()
    assert line.startswith("..." + "a" * 36 + "z 10/10 bytes")
    assert len(line) <= 80


def test_a_plain_run_shows_the_body_alone(run: Run, recording: Recording) -> None:
    assert run(recording.url).error == ""
