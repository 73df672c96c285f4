"""TLS where the caller says nothing about it."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import certifi
import pytest
import trustme

from httpcore2_core import _ssl
from httpcore2_core._ssl import default_ssl_context, shared_ssl_context

from .conftest import in_child


def install(monkeypatch: pytest.MonkeyPatch, file: str | Path, folder: str | Path) -> None:
    """Let the system have these authorities."""
    paths = ssl.get_default_verify_paths()._replace(
        openssl_cafile=str(file), openssl_capath=str(folder)
    )
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths)


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    monkeypatch.setattr(_ssl, "_contexts", {})
    install(monkeypatch, "/nowhere", tmp_path_factory.mktemp("system"))


def trusted_at_once(context: ssl.SSLContext) -> list[bytes]:
    """The authorities that are loaded; those of a folder are looked for when they are needed."""
    return sorted(context.get_ca_certs(binary_form=True))


def from_file(path: str | Path) -> list[bytes]:
    return trusted_at_once(ssl.create_default_context(cafile=path))


def test_certificates_and_names_are_verified() -> None:
    context = default_ssl_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_the_authorities_are_those_of_the_system_and_of_certifi(
    monkeypatch: pytest.MonkeyPatch, ca_file: Path
) -> None:
    install(monkeypatch, ca_file, "/nowhere")
    both = from_file(certifi.where()) + from_file(ca_file)
    assert trusted_at_once(default_ssl_context()) == sorted(both)


def test_a_system_without_such_files_may_have_another_store(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[ssl.SSLContext] = []
    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", lambda context: asked.append(context))
    install(monkeypatch, "/nowhere", "/nowhere")
    context = default_ssl_context()
    assert asked == [context]


@pytest.mark.parametrize("folder", [None, "/nowhere"])
def test_a_file_that_the_environment_names_is_trusted_alone(
    monkeypatch: pytest.MonkeyPatch, ca_file: Path, folder: str | None
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    if folder is not None:
        monkeypatch.setenv("SSL_CERT_DIR", folder)
    assert trusted_at_once(default_ssl_context()) == from_file(ca_file)


def test_a_folder_that_the_environment_names_is_trusted_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert trusted_at_once(default_ssl_context()) == []


def test_an_empty_variable_names_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "")
    monkeypatch.setenv("SSL_CERT_DIR", "")
    assert trusted_at_once(default_ssl_context()) == from_file(certifi.where())


def test_the_environment_can_be_left_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")
    monkeypatch.setenv("SSL_CERT_DIR", "/nowhere")
    assert trusted_at_once(default_ssl_context(_trust_env=False)) == from_file(certifi.where())


def test_a_file_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    with pytest.raises(FileNotFoundError):
        default_ssl_context()


def test_a_file_without_a_certificate_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with pytest.raises(ssl.SSLError):
        default_ssl_context()


@pytest.mark.parametrize("protocols", [("http/1.1",), ("h2", "http/1.1"), ("h2",)])
def test_the_shared_context_offers_the_protocols(
    monkeypatch: pytest.MonkeyPatch,
    ca_file: Path,
    certificate_authority: trustme.CA,
    protocols: tuple[str, ...],
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = shared_ssl_context(protocols).wrap_bio(
        to_client, to_server, server_hostname="localhost"
    )
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate_authority.issue_cert("localhost").configure_cert(server_tls)
    server_tls.set_alpn_protocols([protocols[-1]])
    server = server_tls.wrap_bio(to_server, to_client, server_side=True)
    for end in (client, server):
        with pytest.raises(ssl.SSLWantReadError):
            end.do_handshake()
    client.do_handshake()
    assert client.selected_alpn_protocol() == protocols[-1]


def test_connections_that_offer_the_same_share_one_context() -> None:
    both = shared_ssl_context(("h2", "http/1.1"))
    assert shared_ssl_context(("h2", "http/1.1")) is both
    assert shared_ssl_context(("http/1.1",)) is not both


def test_threads_that_need_it_at_once_make_one_context(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    found = []
    start = threading.Barrier(8)

    def make() -> ssl.SSLContext:
        made.append(True)
        return default_ssl_context()

    def need() -> None:
        start.wait(10)
        found.append(shared_ssl_context(("http/1.1",)))

    monkeypatch.setattr(_ssl, "default_ssl_context", make)
    threads = [threading.Thread(target=need) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert len(set(map(id, found))) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork()")
def test_a_child_does_not_wait_for_a_thread_of_its_parent() -> None:
    with _ssl._lock:
        assert in_child(lambda: shared_ssl_context(("http/1.1",)))


def test_nothing_is_loaded_before_it_is_needed() -> None:
    code = "import sys, httpcore2_core; sys.exit(bool({'ssl', 'certifi'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
