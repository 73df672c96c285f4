"""TLS where the caller says nothing about it."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import certifi
import pytest
import trustme
import truststore
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from httpcore2_core import ConnectionPool
from httpcore2_core._net import ssl_context
from httpcore2_core._net.ssl_context import (
    default_ssl_context,
    offering_protocols,
    shared_ssl_context,
    wrap_memory,
)

from ...support.scripted_servers import canned_responses, response, scripted_server
from ..conftest import in_child


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
    monkeypatch.setattr(ssl_context, "_contexts", {})
    install(monkeypatch, "/nowhere", tmp_path_factory.mktemp("system"))


def trusted_at_once(context: ssl.SSLContext) -> list[bytes]:
    """The authorities that are loaded; those of a folder are looked for when they are needed."""
    return sorted(context.get_ca_certs(binary_form=True))


def from_file(path: str | Path) -> list[bytes]:
    return trusted_at_once(ssl.create_default_context(cafile=path))


@pytest.mark.parametrize("has_file", [False, True])
def test_tls_ends_with_a_close_notify_on_every_python(
    monkeypatch: pytest.MonkeyPatch, has_file: bool
) -> None:
    # CPython up to 3.11.2 sets it in each context.
    if has_file:
        monkeypatch.setenv("SSL_CERT_FILE", certifi.where())
    assert not default_ssl_context().options & ssl.OP_IGNORE_UNEXPECTED_EOF


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

    monkeypatch.setattr(ssl_context, "default_ssl_context", make)
    threads = [threading.Thread(target=need) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert len(set(map(id, found))) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork()")
def test_a_child_does_not_wait_for_a_thread_of_its_parent() -> None:
    with ssl_context._lock, ssl_context._use_lock:
        assert in_child(use_in_another_thread)


def use_in_another_thread() -> bool:
    done: list[ssl.SSLObject] = []

    def use() -> None:
        context = shared_ssl_context(("http/1.1",))
        with offering_protocols(context, ["h2"]):
            done.append(wrap_memory(context, ssl.MemoryBIO(), ssl.MemoryBIO(), "a.test"))

    thread = threading.Thread(target=use, daemon=True)
    thread.start()
    thread.join(5)
    return bool(done)


def test_a_contexts_protocols_are_not_set_while_another_thread_makes_a_connection_of_it() -> None:
    """OpenSSL copies them without Python's lock: the ClientHello had memory in it that was freed."""
    has_lock: dict[str, bool] = {}

    def is_locked_for_others() -> bool:
        found: list[bool] = []

        def ask() -> None:
            is_free = ssl_context._use_lock.acquire(blocking=False)
            if is_free:
                ssl_context._use_lock.release()
            found.append(not is_free)

        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
        return found[0]

    class Context(ssl.SSLContext):
        def set_alpn_protocols(self, alpn_protocols: Any) -> None:
            has_lock["set"] = is_locked_for_others()
            super().set_alpn_protocols(alpn_protocols)

        def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
            has_lock["wrap"] = is_locked_for_others()
            return super().wrap_bio(*args, **options)

    context = Context(ssl.PROTOCOL_TLS_CLIENT)
    with offering_protocols(context, ("h2", "http/1.1")):
        wrap_memory(context, ssl.MemoryBIO(), ssl.MemoryBIO(), "a.test")
    assert has_lock == {"set": True, "wrap": True}
    assert not is_locked_for_others()


def test_another_thread_with_the_same_context_does_not_change_what_is_offered() -> None:
    """On threads, a proxy was offered the origin's HTTP/2 if both were dialled at the same time with one context."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    def offer_others() -> None:
        with offering_protocols(context, ["h2"]):
            pass

    with offering_protocols(context, ["http/1.1"]):
        thread = threading.Thread(target=offer_others)
        thread.start()
        thread.join()
        outgoing = ssl.MemoryBIO()
        tls = wrap_memory(context, ssl.MemoryBIO(), outgoing, "a.test")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    client_hello = outgoing.read()
    assert b"\x08http/1.1" in client_hello and b"\x02h2" not in client_hello


def test_every_connection_of_a_pool_is_made_under_that_lock(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[str] = []

    class Lock:
        def __enter__(self) -> None:
            used.append("lock")

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(ssl_context, "_use_lock", Lock())
    with (
        scripted_server(canned_responses([response(b"fine")]), tls=server_tls) as server,
        ConnectionPool(ssl_context=client_tls) as pool,
    ):
        assert pool.request("GET", server.url).content == b"fine"
    assert used == ["lock"] * 2


def test_nothing_is_loaded_before_it_is_needed() -> None:
    code = "import sys, httpcore2_core; sys.exit(bool({'ssl', 'certifi'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# How strictly


def authority_without_key_identifiers(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """Make an authority as companies have them: a root whose certificates have no Authority Key Identifier.

    Returns:
        The file with the root, and a context for a server named "localhost".
    """
    key = ec.generate_private_key(ec.SECP256R1())
    server_key = ec.generate_private_key(ec.SECP256R1())
    root_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Company root")])
    server_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Company server")])
    now = datetime.now(UTC)

    def certificate(
        subject: x509.Name, public_key: ec.EllipticCurvePublicKey, *extensions: x509.ExtensionType
    ) -> bytes:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(root_name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
        )
        for extension in extensions:
            builder = builder.add_extension(extension, isinstance(extension, x509.BasicConstraints))
        return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    root = folder / "root.pem"
    root.write_bytes(
        certificate(root_name, key.public_key(), x509.BasicConstraints(ca=True, path_length=None))
    )
    server = folder / "server.pem"
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    server.write_bytes(
        certificate(server_name, server_key.public_key(), names)
        + server_key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server)
    return root, context


def shake_hands(client_tls: ssl.SSLContext, server_tls: ssl.SSLContext) -> None:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_tls.wrap_bio(to_client, to_server, server_hostname="localhost")
    server = server_tls.wrap_bio(to_server, to_client, server_side=True)
    for end in (client, server):
        with pytest.raises(ssl.SSLWantReadError):
            end.do_handshake()
    client.do_handshake()


@pytest.mark.parametrize("source", ["system", "SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_an_authority_without_key_identifiers_is_trusted_but_by_who_wants_more(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str
) -> None:
    root, server_tls = authority_without_key_identifiers(tmp_path)
    if source == "system":
        install(monkeypatch, root, "/nowhere")
    elif source == "SSL_CERT_FILE":
        monkeypatch.setenv(source, str(root))
    elif shutil.which("openssl") is None:
        pytest.skip("needs openssl, which names the files of such a folder")
    else:
        subprocess.run(["openssl", "rehash", tmp_path], check=True, capture_output=True)
        monkeypatch.setenv(source, str(tmp_path))
    context = default_ssl_context()
    shake_hands(context, server_tls)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    with pytest.raises(ssl.SSLCertVerificationError, match="Missing Authority Key Identifier"):
        shake_hands(context, server_tls)


def test_secrets_are_logged_where_the_environment_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = str(tmp_path / "keys")
    monkeypatch.setenv("SSLKEYLOGFILE", path)
    assert default_ssl_context().keylog_filename == path
    assert default_ssl_context(_trust_env=False).keylog_filename is None
    monkeypatch.setenv("SSLKEYLOGFILE", "")
    assert default_ssl_context().keylog_filename is None


def test_who_leaves_the_environment_aside_has_no_secrets_logged(tmp_path: Path) -> None:
    code = "import httpcore2_core as h, sys; sys.exit(h.default_ssl_context().keylog_filename is not None)"
    environment = {**os.environ, "SSLKEYLOGFILE": str(tmp_path / "keys")}
    command = [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}; {code}"]
    assert (
        subprocess.run([command[0], "-E", *command[1:]], env=environment, check=False).returncode
        == 0
    )
    assert subprocess.run(command, env=environment, check=False).returncode == 1


# The trust store of the operating system


@pytest.mark.parametrize(
    ("platform", "system_store", "is_used"),
    [
        ("darwin", None, True),
        ("win32", None, True),
        ("linux", None, False),
        ("linux", True, True),
        ("darwin", True, True),
        ("darwin", False, False),
        ("linux", False, False),
    ],
)
def test_the_store_of_the_system_is_used_on_macos_and_windows_and_on_request(
    monkeypatch: pytest.MonkeyPatch, platform: str, system_store: bool | None, is_used: bool
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    context = default_ssl_context(system_store=system_store)
    assert (type(context) is truststore.SSLContext) == is_used
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert not context.options & ssl.OP_IGNORE_UNEXPECTED_EOF


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_without_truststore_openssl_verifies(
    monkeypatch: pytest.MonkeyPatch, platform: str
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setitem(sys.modules, "truststore", None)
    assert trusted_at_once(default_ssl_context()) == from_file(certifi.where())


def test_a_store_that_is_required_and_missing_names_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "truststore", None)
    with pytest.raises(ImportError, match=r"system_store=True\) needs a distribution") as caught:
        default_ssl_context(system_store=True)
    assert "pip install 'httpcore2[truststore]'" in str(caught.value)


@pytest.mark.parametrize("system_store", [None, True])
def test_the_variables_replace_the_store_of_the_system(
    monkeypatch: pytest.MonkeyPatch, system_store: bool | None, ca_file: Path
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    assert trusted_at_once(default_ssl_context(system_store=system_store)) == from_file(ca_file)


def test_the_keys_are_logged_with_the_store_of_the_system(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    assert default_ssl_context(system_store=True).keylog_filename == str(tmp_path / "keys")


def test_the_shared_context_uses_the_store_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert type(shared_ssl_context(("http/1.1",))) is truststore.SSLContext


def test_a_choice_that_is_not_a_bool_is_refused() -> None:
    wrong: Any = "yes"
    with pytest.raises(TypeError, match="system_store must be True, False or None, but got str"):
        default_ssl_context(system_store=wrong)
