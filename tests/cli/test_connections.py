"""The options that decide where connections go, and how."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from httpcore2_cli._connections import make_client
from httpcore2_cli._failures import Failure
from httpcore2_cli._options import Options
from httpcore2_cli._routes import Route
from httpcore2_cli._runtimes import RUNTIMES

from ..support.h2peer import answering, speaking
from ..support.scripted_proxies import PROXY_KINDS, ScriptedProxy, scripted_proxy
from ..support.scripted_servers import Server, response, scripted_server
from .conftest import BACKENDS, Recording, Run, serve


@pytest.fixture
def tls_server(server_tls: ssl.SSLContext) -> Iterator[Server]:
    with scripted_server(serve(response(b"fine")), tls=server_tls, allow_disconnect=True) as server:
        yield server


@pytest.fixture
def h2_server(h2_server_tls: ssl.SSLContext) -> Iterator[Server]:
    with scripted_server(speaking(answering()), tls=h2_server_tls) as server:
        yield server


@pytest.mark.parametrize("backend", BACKENDS)
def test_http2_is_offered_over_tls(
    run: Run, h2_server: Server, ca_file: Path, backend: str
) -> None:
    arguments = ("--backend", backend, "--cacert", ca_file, "--json", h2_server.url)
    for option in ((), ("--http2",), ("--http2-prior-knowledge",)):
        known = run(*option, *arguments).json
        assert (known["http_version"], known["tls"]["alpn"], known["stream_id"]) == ("2", "h2", 1)


def test_http11_is_an_offer_of_its_own(run: Run, tls_server: Server, ca_file: Path) -> None:
    known = run("--http1.1", "--cacert", ca_file, "--json", tls_server.url).json
    assert (known["http_version"], known["stream_id"]) == ("1.1", None)


def test_http2_that_is_not_installed_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "httpcore2_http2", None)
    outcome = run("--http2", "http://127.0.0.1/")
    assert outcome.code == 2
    assert "pip install 'httpcore2[http2]'" in outcome.error


@pytest.mark.parametrize("backend", ["asyncio", "trio", "anyio"])
def test_a_backend_that_is_not_installed_is_named(
    run: Run, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    package = RUNTIMES[backend].package  # type: ignore[attr-defined]
    monkeypatch.setitem(__import__("sys").modules, package, None)
    outcome = run("--backend", backend, "http://127.0.0.1/")
    assert outcome.code == 2
    assert f"pip install 'httpcore2[{backend}]'" in outcome.error


def test_a_client_certificate_is_sent(
    run: Run, tmp_path: Path, certificate_authority: trustme.CA, ca_file: Path
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate_authority.issue_cert("127.0.0.1").configure_cert(context)
    context.verify_mode = ssl.CERT_REQUIRED
    certificate_authority.configure_trust(context)
    client = certificate_authority.issue_cert("client")
    both, key, chain = (tmp_path / name for name in ("both.pem", "key.pem", "chain.pem"))
    client.private_key_and_cert_chain_pem.write_to_path(both)
    client.private_key_pem.write_to_path(key)
    client.cert_chain_pems[0].write_to_path(chain)
    with scripted_server(serve(response(b"fine")), tls=context, allow_disconnect=True) as server:
        assert run("--cacert", ca_file, server.url).code in (35, 55, 56)
        assert run("--cacert", ca_file, "--cert", both, server.url).output == b"fine"
        with_key = run("--cacert", ca_file, "-E", chain, "--key", key, server.url)
        assert with_key.output == b"fine"


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", PROXY_KINDS)
def test_a_tunnel_leads_through_a_proxy(
    run: Run,
    tls_server: Server,
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    ca_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    backend: str,
) -> None:
    # The default context, which other tests may have used before, is made anew from the variable.
    monkeypatch.setattr("httpcore2_core._net.ssl_context._contexts", {})
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    with scripted_proxy(PROXY_KINDS[kind], tls_server.port, server_tls, client_tls) as proxy:
        known = run(
            "--http1.1", "--backend", backend, "--json", *through(proxy), tls_server.url
        ).json
    assert known["http_code"] == 200, known
    assert known["proxy_used"] == 1
    assert proxy.server is not None
    assert known["remote_port"] == proxy.server.port
    assert list(known["phases"]) == ["queued", "TCP", "proxy", "TLS", "send", "wait", "download"]


def through(proxy: ScriptedProxy) -> list[str]:
    """Return the options for a proxy."""
    options = ["-x", proxy.origin]
    if proxy.kind.auth is not None:
        options += ["--proxy-user", ":".join(proxy.kind.auth)]
    return options


def test_credentials_may_be_in_the_url_of_the_proxy(
    run: Run, tls_server: Server, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    kind = PROXY_KINDS["http with credentials"]
    with scripted_proxy(kind, tls_server.port, server_tls, client_tls) as proxy:
        assert proxy.server is not None
        address = f"127.0.0.1:{proxy.server.port}"
        url = "http://127.0.0.1/"
        assert run("-x", f"user:secret@{address}", url).output == b"forwarded"
        refused = run("-x", f"user:wrong@{address}", tls_server.url)
    assert refused.code == 56
    assert "407 Proxy Authentication Required" in refused.error
    assert "wrong" not in refused.error


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://a:b", "The URL of the proxy is malformed: Port could not be cast"),
        ("ftp://a", "The URL of the proxy needs a host, and one of the schemes http,"),
        ("http://", "The URL of the proxy needs a host"),
    ],
)
def test_a_faulty_url_of_a_proxy_is_5(run: Run, url: str, message: str) -> None:
    outcome = run("-x", url, "http://127.0.0.1/")
    assert outcome.code == 5
    assert message in outcome.error


def test_an_empty_proxy_is_none(run: Run, recording: Recording) -> None:
    assert run("-x", "", recording.url).output == b"fine\n"


def test_a_proxy_may_have_an_ipv6_address_and_has_a_default_port() -> None:
    from httpcore2_cli._connections import make_proxy

    proxy = make_proxy(Options(urls=(), proxy="[::1]"))
    assert proxy is not None
    assert bytes(proxy.url) == b"http://[::1]:1080/"
    proxy = make_proxy(Options(urls=(), proxy="https://a"))
    assert proxy is not None
    assert proxy.url.port == 443


@pytest.mark.parametrize("backend", BACKENDS)
def test_addresses_and_redirected_hosts_are_connected_to(
    run: Run, recording: Recording, backend: str
) -> None:
    port = recording.server.port
    routes = (
        ("--resolve", f"a.example:{port}:127.0.0.1"),
        ("--resolve", f"*:{port}:127.0.0.1"),
        ("--connect-to", f"a.example:{port}:127.0.0.1:{port}"),
        ("--connect-to", "::127.0.0.1:"),
    )
    for route in routes:
        outcome = run("--backend", backend, *route, f"http://a.example:{port}/")
        assert outcome.output == b"fine\n", outcome.error
    other = run("--backend", backend, "--connect-to", f":80::{port}", "http://127.0.0.1/")
    assert other.output == b"fine\n"
    assert b"Host: a.example:" in recording.recorder.requests[0][0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_look_up_of_a_name_is_a_phase_of_its_own(
    run: Run, recording: Recording, backend: str
) -> None:
    port = recording.server.port
    arguments = ("--backend", backend, "-4", "--json")
    named = run(*arguments, f"http://localhost:{port}/").json
    assert list(named["phases"])[:3] == ["queued", "DNS", "TCP"]
    assert 0 < named["time_namelookup"] < named["time_connect"]
    given = run(*arguments, "--resolve", f"localhost:{port}:127.0.0.1", f"http://localhost:{port}/")
    assert "DNS" not in given.json["phases"]
    missing = run("--backend", backend, "http://missing.invalid/")
    assert "Came as far as: DNS failed after" in missing.error


def test_each_given_address_is_tried(run: Run, recording: Recording) -> None:
    port = recording.server.port
    known = run("--json", "--resolve", f"a:{port}:::1,127.0.0.1", f"http://a:{port}/").json
    assert known["remote_ip"] == "127.0.0.1"


def test_the_first_redirect_that_matches_counts() -> None:
    route = Route(
        [("b", 80, "x", 1), ("a", 80, "c", 0), ("", 0, "d", 81)],
        [("e", 81, ("192.0.2.1",)), ("c", 80, ("192.0.2.2",))],
    )
    assert route.target("A", 80) == ("192.0.2.2", 80)
    assert route.target("z", 443) == ("d", 81)
    assert Route([], []).target("z", 443) == ("z", 443)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_unix_socket_is_connected_to(run: Run, tmp_path: Path, backend: str) -> None:
    path = tmp_path / "socket"
    with scripted_server(serve(response(b"fine")), uds=path):
        for route in ((), ("--connect-to", "a:80:127.0.0.1:1")):
            outcome = run("--backend", backend, *route, "-v", "--unix-socket", path, "http://a/")
            assert outcome.output == b"fine"
            assert f"* Connecting to {path}\n* Connected\n" in outcome.error


def test_the_local_end_is_an_address_an_interface_or_a_host(
    run: Run, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    for option in (("--interface", "127.0.0.2"), ("--interface", "host!127.0.0.2")):
        known = run(*option, "--json", recording.url).json
        assert known["local_ip"] == "127.0.0.2"
    assert run("-4", "--json", recording.url).json["local_ip"] == "127.0.0.1"
    if os.geteuid() == 0:
        for name in ("lo", "if!lo"):
            assert run("--interface", name, recording.url).output == b"fine\n"
    monkeypatch.delattr("socket.SO_BINDTODEVICE")
    unable = run("--interface", "lo", recording.url)
    assert unable.code == 2
    assert "Hint: Give --interface an address of lo." in unable.error
    missing = run("--interface", "if!none", recording.url)
    assert missing.code == 7
    assert "There is no network interface 'none'." in missing.error


def test_one_family_of_addresses_can_be_required(run: Run, recording: Recording) -> None:
    assert run("-6", recording.url).code in (6, 7)


def test_a_setting_that_the_pool_refuses_is_a_failure() -> None:
    options = Options(urls=(), http1=False, http2=False)
    with pytest.raises(Failure, match="http1"):
        make_client(RUNTIMES["threads"](), options)
