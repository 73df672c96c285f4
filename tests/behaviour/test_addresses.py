"""Who answered: the addresses of the two ends of a connection, in responses and in exceptions."""

from __future__ import annotations

import copy
import pickle
import select
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import httpcore2

from ..support.resolvers import RecordingResolver
from ..support.runtimes import TestedRuntime
from ..support.scripted_protocols import PROTOCOLS, Protocol
from ..support.scripted_servers import (
    Peer,
    canned_responses,
    refusing_port,
    response,
    scripted_server,
)

FINE = response(b"fine")
NAME = "www.example.com"


def ends(subject: httpcore2.Response | Exception) -> tuple[Any, Any]:
    """Return the addresses of peer and of this end, of a response or an exception."""
    if isinstance(subject, Exception):
        error: Any = subject
        return error.peer_address, error.local_address
    extensions = subject.extensions
    return extensions.get("peer_address"), extensions.get("local_address")


async def failure(pool: httpcore2.AsyncConnectionPool, url: str, **timeout: float) -> Any:
    with pytest.raises(Exception) as caught:  # noqa: PT011
        await pool.request("GET", url, extensions={"timeout": timeout})
    return caught.value


# Responses


@pytest.mark.parametrize("is_secure", [False, True])
def test_a_response_has_the_addresses_of_both_ends(
    runtime: TestedRuntime, is_secure: bool, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    seen: list[Any] = []

    def serve(peer: Peer) -> None:
        seen.append(peer.socket.getpeername())
        canned_responses([FINE, FINE])(peer)

    async def scenario() -> None:
        async with runtime.pool(ssl_context=client_tls) as pool:
            for _ in range(2):
                found = await pool.request("GET", server.url)
                assert ends(found) == (("127.0.0.1", server.port), seen[0])

    with scripted_server(serve, tls=server_tls if is_secure else None) as server:
        runtime.run(scenario)
    assert len(seen) == 1


def test_a_unix_socket_has_its_path_and_no_local_address(
    runtime: TestedRuntime, tmp_path: Path
) -> None:
    path = tmp_path / "server"

    async def scenario() -> None:
        async with runtime.pool(uds=str(path)) as pool:
            found = await pool.request("GET", "http://h/")
            assert found.extensions["peer_address"] == str(path)
            assert "local_address" not in found.extensions

    with scripted_server(canned_responses([FINE]), uds=path):
        runtime.run(scenario)


def test_a_backend_that_does_not_know_leaves_them_out(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with runtime.pool(network_backend=runtime.mock_backend([FINE])) as pool:
            found = await pool.request("GET", "http://h/")
            assert ends(found) == (None, None)
            assert not {"peer_address", "local_address"} & set(found.extensions)
        async with runtime.pool(network_backend=runtime.mock_backend([b"nonsense"])) as pool:
            error = await failure(pool, "http://h/")
            assert isinstance(error, httpcore2.RemoteProtocolError)
            assert ends(error) == (None, None)

    runtime.run(scenario)


def test_through_a_proxy_the_peer_is_the_proxy(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        proxy = httpcore2.Proxy(server.url)
        async with runtime.pool(proxy=proxy) as pool:
            found = await pool.request("GET", "http://origin.example/")
            assert ends(found)[0] == ("127.0.0.1", server.port)

    with scripted_server(canned_responses([FINE])) as server:
        runtime.run(scenario)


# Exceptions of an established connection


def test_a_reset_has_the_addresses(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool:
            error = await failure(pool, server.url)
            assert isinstance(error, httpcore2.ReadError)
            peer, local = ends(error)
            assert peer == ("127.0.0.1", server.port)
            assert local[0] == "127.0.0.1"
            assert error.attempts == ()
            for clone in (copy.copy(error), pickle.loads(pickle.dumps(error))):
                assert (ends(clone), str(clone)) == (ends(error), str(error))

    def serve(peer: Peer) -> None:
        peer.receive_request()
        peer.reset()

    with scripted_server(serve) as server:
        runtime.run(scenario)


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
def test_a_timeout_and_a_violation_have_the_addresses(
    runtime: TestedRuntime,
    protocol: Protocol,
    protocol_tls: ssl.SSLContext | None,
    client_tls: ssl.SSLContext,
) -> None:
    async def scenario() -> None:
        async with runtime.pool(ssl_context=client_tls, **protocol.options) as pool:
            error = await failure(pool, server.url, read=0.05)
            assert isinstance(error, httpcore2.ReadTimeout)
            assert ends(error)[0] == ("127.0.0.1", server.port)
            error = await failure(pool, server.url)
            assert isinstance(error, httpcore2.RemoteProtocolError)
            assert ends(error)[0] == ("127.0.0.1", server.port)

    def serve(peer: Peer) -> None:
        if peer.number:
            peer.receive_some()
            peer.send(b"nonsense" * 10 + b"\r\n\r\n")
        peer.receive_until_close()

    with scripted_server(serve, tls=protocol_tls, allow_disconnect=True) as server:
        runtime.run(scenario)


def test_an_error_within_the_body_has_the_addresses(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool, pool.stream("GET", server.url) as found:
            with pytest.raises(httpcore2.RemoteProtocolError) as caught:
                await found.aread()
            assert ends(caught.value)[0] == ("127.0.0.1", server.port)

    def serve(peer: Peer) -> None:
        peer.receive_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab")
        peer.close()

    with scripted_server(serve) as server:
        runtime.run(scenario)


# Exceptions of connecting


def test_a_failed_tls_handshake_has_the_addresses(
    runtime: TestedRuntime, server_tls: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool:
            error = await failure(pool, server.url)
            assert isinstance(error, httpcore2.ConnectError)
            peer, local = ends(error)
            assert peer == ("127.0.0.1", server.port)
            assert local[0] == "127.0.0.1"

    with scripted_server(canned_responses([FINE]), tls=server_tls, allow_disconnect=True) as server:
        runtime.run(scenario)


def test_a_refusal_of_a_proxy_has_the_address_of_the_proxy(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with runtime.pool(proxy=httpcore2.Proxy(server.url)) as pool:
            error = await failure(pool, "https://origin.example/")
            assert isinstance(error, httpcore2.ProxyError)
            assert ends(error)[0] == ("127.0.0.1", server.port)

    with scripted_server(canned_responses([response(status=b"403 Forbidden")])) as server:
        runtime.run(scenario)


def test_a_refused_dial_lists_each_address_and_why_it_failed(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        resolver = RecordingResolver({NAME: ["127.0.0.1", "127.0.0.2"], "one": ["127.0.0.3"]})
        async with runtime.pool(resolver=resolver) as pool:
            error = await failure(pool, f"http://{NAME}:{port}/")
            assert isinstance(error, httpcore2.ConnectError)
            assert [address for address, _ in error.attempts] == [
                ("127.0.0.1", port),
                ("127.0.0.2", port),
            ]
            assert {type(reason) for _, reason in error.attempts} == {ConnectionRefusedError}
            assert "127.0.0.1" in str(error)
            assert "127.0.0.2" in str(error)
            assert str(error).endswith(f"(connecting to http://{NAME}:{port})")
            assert ends(error) == (None, None)
            error = await failure(pool, f"http://one:{port}/")
            assert [address for address, _ in error.attempts] == [("127.0.0.3", port)]
            assert "127.0.0.3" in str(error)

    with refusing_port() as port:
        runtime.run(scenario)


@pytest.fixture
def silent_port() -> Iterator[int]:
    """The port of a server whose backlog is full, on 127.0.0.1."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        while True:
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(server.getsockname())
            if not select.select([], [client], [], 0.05)[1]:
                break
        yield server.getsockname()[1]


def test_a_dial_that_takes_too_long_lists_the_addresses(
    runtime: TestedRuntime, silent_port: int
) -> None:
    async def scenario() -> None:
        resolver = RecordingResolver({NAME: ["127.0.0.2", "127.0.0.1"]})
        async with runtime.pool(resolver=resolver) as pool:
            error = await failure(pool, f"http://{NAME}:{silent_port}/", connect=0.1)
            assert isinstance(error, httpcore2.ConnectTimeout)
            (first, refusal), (second, none) = error.attempts
            assert (first, second) == (("127.0.0.2", silent_port), ("127.0.0.1", silent_port))
            assert isinstance(refusal, ConnectionRefusedError)
            assert none is None
            assert "Tried 127.0.0.2: " in str(error)
            assert "; 127.0.0.1: no answer. (connecting to" in str(error)

    runtime.run(scenario)


def test_a_name_without_address_has_no_attempts(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        resolver = RecordingResolver({NAME: socket.gaierror(-2, "Name or service not known")})
        async with runtime.pool(resolver=resolver) as pool:
            error = await failure(pool, f"http://{NAME}/")
            assert error.attempts == ()
            assert ends(error) == (None, None)

    runtime.run(scenario)
