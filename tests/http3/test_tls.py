"""TLS of HTTP/3: what is taken over from a context, what is refused, and session tickets."""

from __future__ import annotations

import logging
import ssl
from typing import Any

import pytest
import trustme
import truststore

import httpcore2
from httpcore2_core._connect import connection_config
from httpcore2_core._connect.http3_dial import RACE_DELAY
from httpcore2_http3._errors import name_application_code, name_transport_code
from httpcore2_http3._tls import KnownSession, QuicMemory, make_quic, problem_of

from ..support.h3peer import answering
from ..support.runtimes import TestedRuntime
from .conftest import HTTP3_ONLY, PoolMaker, Serve


def test_a_certificate_of_a_stranger_is_refused(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    stranger = trustme.CA().issue_cert("127.0.0.1").private_key_and_cert_chain_pem.bytes()
    with serve(answering()) as server:
        server.certificate = stranger

        async def main() -> None:
            async with make_pool() as pool:
                with pytest.raises(
                    httpcore2.ConnectError, match=r"QUIC handshake failed \(TLS alert bad_cert"
                ):
                    await pool.request("GET", server.url)

        runtime.run(main)


def test_the_name_in_the_certificate_counts(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker, client_tls: ssl.SSLContext
) -> None:
    with serve(answering()) as server:

        async def main() -> None:
            async with make_pool() as pool:
                for name in ("localhost", "other.example.com"):
                    response = await pool.request(
                        "GET", server.url, extensions={"sni_hostname": name}
                    )
                    assert response.content == b"fine"
                with pytest.raises(httpcore2.ConnectError, match="bad_certificate"):
                    await pool.request(
                        "GET", server.url, extensions={"sni_hostname": "wrong.example.com"}
                    )

        runtime.run(main)


def test_a_context_that_verifies_nothing_is_obeyed(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    stranger = trustme.CA().issue_cert("wrong.example.com").private_key_and_cert_chain_pem.bytes()
    with serve(answering()) as server:
        server.certificate = stranger

        async def main() -> None:
            async with make_pool(ssl_context=context) as pool:
                response = await pool.request("GET", server.url)
                assert response.content == b"fine"
                tls = response.extensions["network_stream"].get_extra_info("ssl_object")
                assert tls.getpeercert() == {}  # as that of ssl: nothing in it was verified
                assert tls.getpeercert(binary_form=True)

        runtime.run(main)


def test_a_session_is_resumed_once_for_each_ticket(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    with serve(answering()) as server:

        async def main() -> None:
            async with make_pool() as pool:
                for _ in range(3):
                    response = await pool.request("GET", server.url)
                    assert response.content == b"fine"
                    await runtime.close(pool.connections[0])

        runtime.run(main)
        resumed = [peer.is_resumed for peer in server.peers]
        assert resumed == [False, True, True]


def test_a_resumed_session_has_the_certificate_of_its_first_connection(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    with serve(answering()) as server:

        async def main() -> None:
            async with make_pool() as pool:
                certificates = []
                for _ in range(3):
                    response = await pool.request("GET", server.url)
                    tls = response.extensions["network_stream"].get_extra_info("ssl_object")
                    certificates.append((tls.getpeercert(binary_form=True), tls.getpeercert()))
                    await runtime.close(pool.connections[0])
                assert certificates[0][0] is not None
                assert certificates == certificates[:1] * 3

        runtime.run(main)
    assert [peer.is_resumed for peer in server.peers] == [False, True, True]


def test_a_context_of_a_request_that_can_not_be_used_is_an_error_of_connecting(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker
) -> None:
    context = ssl.create_default_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with serve(answering()) as server:

        async def main() -> None:
            async with make_pool() as pool:
                with pytest.raises(httpcore2.ConnectError, match="maximum_version is below"):
                    await pool.request("GET", server.url, extensions={"ssl_context": context})

        runtime.run(main)


def test_a_server_that_requests_a_certificate_is_refused(
    runtime: TestedRuntime, serve: Serve, make_pool: PoolMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    # qh3's server never requests one.
    monkeypatch.setattr(
        "httpcore2_http3._quic.ClientQuic.is_asked_for_certificate", property(lambda quic: True)
    )
    with serve(answering()) as server:

        async def main() -> None:
            async with make_pool() as pool:
                with pytest.raises(httpcore2.ConnectError, match="requests a certificate"):
                    await pool.request("GET", server.url)

        runtime.run(main)


def test_the_client_notices_a_request_for_a_certificate(
    serve: Serve, client_tls: ssl.SSLContext
) -> None:
    with (
        serve(answering()) as server,
        httpcore2.ConnectionPool(ssl_context=client_tls, **HTTP3_ONLY) as pool,
    ):
        pool.request("GET", server.url)
        established: Any = pool._engine.connections[0].established
        quic = established._session.quic
        assert not quic.is_asked_for_certificate
        quic.tls._certificate_request = object()
        assert quic.is_asked_for_certificate


def changed(**attributes: Any) -> ssl.SSLContext:
    context = ssl.create_default_context()
    for name, value in attributes.items():
        setattr(context, name, value)
    return context


@pytest.mark.parametrize(
    ("context", "problem"),
    [
        (changed(), None),
        (changed(maximum_version=ssl.TLSVersion.TLSv1_3), None),
        (changed(maximum_version=ssl.TLSVersion.TLSv1_2), "below TLS 1.3"),
        (changed(verify_flags=ssl.VERIFY_CRL_CHECK_LEAF), "verify_flags"),
        (changed(verify_mode=ssl.CERT_OPTIONAL), "CERT_OPTIONAL"),
        (ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), "trust anchors"),
    ],
)
def test_what_a_context_does_beyond_trust_anchors_is_a_problem(
    context: ssl.SSLContext, problem: str | None
) -> None:
    if context.get_ca_certs() or problem not in (None,):
        found = problem_of(context)
        assert found is None if problem is None else problem in str(found)


def test_a_key_log_is_a_problem(tmp_path: Any) -> None:
    context = ssl.create_default_context()
    context.keylog_filename = str(tmp_path / "keys")
    assert "keylog_filename" in str(problem_of(context))


@pytest.fixture
def store_tls() -> ssl.SSLContext:
    """Return a context with which the operating system verifies certificates."""
    context: ssl.SSLContext = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return context


def test_a_context_of_truststore_is_refused_if_http3_is_the_only_protocol(
    store_tls: ssl.SSLContext,
) -> None:
    with pytest.raises(ValueError, match=r"truststore\S* verifies certificates by itself"):
        httpcore2.ConnectionPool(ssl_context=store_tls, **HTTP3_ONLY)


def test_a_context_of_truststore_excludes_http3_and_the_log_says_why(
    store_tls: ssl.SSLContext, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "httpcore2.connection"):
        pool = httpcore2.ConnectionPool(ssl_context=store_tls, http3=True)
    assert not pool._config.connection.http3
    assert "http3=True has no effect: the ssl_context can't be used for it" in caplog.text


def test_truststore_in_the_place_of_the_standard_context_is_recognised() -> None:
    truststore.inject_into_ssl()
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        assert "verifies certificates by itself" in str(problem_of(context))
    finally:
        truststore.extract_from_ssl()


def test_a_default_context_that_can_not_be_used_excludes_http3(
    monkeypatch: pytest.MonkeyPatch, store_tls: ssl.SSLContext
) -> None:
    monkeypatch.setattr(connection_config, "shared_ssl_context", lambda protocols: store_tls)
    with pytest.raises(ValueError, match="the default TLS context can't be used for it"):
        httpcore2.ConnectionPool(**HTTP3_ONLY)
    assert not httpcore2.ConnectionPool(http3=True)._config.connection.http3


class Ticket:
    max_early_data_size: int | None = 1


def sessions(count: int) -> list[Any]:
    return [KnownSession(Ticket(), None) for _ in range(count)]  # type: ignore[arg-type]


def test_so_many_sessions_are_kept(client_tls: ssl.SSLContext) -> None:
    memory = QuicMemory()
    known = sessions(110)
    for number, session in enumerate(known):
        memory.add_session(client_tls, f"host{number}", session)
    assert memory.take_session(client_tls, "host0") is None
    assert memory.take_session(client_tls, "host109") is known[109]
    assert memory.take_session(client_tls, "host109") is None, "a session is resumed once"
    memory.forget()
    assert memory.take_session(client_tls, "host108") is None


def test_a_session_is_resumed_only_by_the_context_that_verified_it() -> None:
    memory = QuicMemory()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    (session,) = sessions(1)
    memory.add_session(context, "host", session)
    context.verify_mode = ssl.CERT_REQUIRED
    assert memory.take_session(context, "host") is None
    context.verify_mode = ssl.CERT_NONE
    # A context that comes later has another identity, since the memory refers to the first one.
    assert memory.take_session(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), "host") is None
    assert memory.take_session(context, "host") is session


def test_the_names_of_error_codes() -> None:
    assert name_application_code(0x100) == "H3_NO_ERROR"
    assert name_application_code(1) == "error 0x1"
    assert name_transport_code(0x3) == "FLOW_CONTROL_ERROR"
    assert name_transport_code(0x12A) == "TLS alert bad_certificate"
    assert name_transport_code(0x1FE) == "error 0x1fe"


def test_a_first_datagram_that_is_lost_is_sent_again_before_tcp_is_tried(
    client_tls: ssl.SSLContext,
) -> None:
    quic = make_quic(client_tls, "localhost", QuicMemory())
    quic.connect(("127.0.0.1", 443), 1.0)
    assert quic.datagrams_to_send(1.0)
    timer = quic.get_timer()
    assert timer is not None and timer - 1.0 < RACE_DELAY
    quic.handle_timer(timer)
    assert quic.datagrams_to_send(timer)
