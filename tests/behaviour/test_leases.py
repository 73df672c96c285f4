"""Leased connections: one caller has a connection for itself, over several requests, and nobody else has it then."""

from __future__ import annotations

import base64
import gc
import ssl
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import pytest
import trustme

import httpcore2

from ..support.cancellation import cancel_at_every_wait
from ..support.h2peer import answering, speaking
from ..support.runtimes import CancellationOutcome, TestedAsyncRuntime, TestedRuntime
from ..support.scripted_proxies import PROXY_KINDS, scripted_proxy
from ..support.scripted_servers import Peer, canned_responses, response, scripted_server
from ..support.tls_origins import ROUTES, tls_origin

FINE = response(b"fine")
AT_ONCE: dict[str, Any] = {"timeout": {"pool": 0.0}}


def challenge(number: int) -> bytes:
    """Return the challenge of the server on its connection of that number."""
    return b"NTLM " + base64.b64encode(b"challenge %d" % number)


def demand_ntlm(peer: Peer, status: bytes = b"401 Unauthorized", field: bytes = b"") -> None:
    """Authenticate the connection in three steps, as NTLM does, and answer with the user's name from then on."""
    user = b""
    while request := peer.receive_request():
        head = request[0]
        if user:
            peer.send(response(user + b" on %d" % peer.number))
        elif b"Authorization: proof of " in head and challenge(peer.number) in head:
            user = head.split(b"proof of ")[1].split()[0]
            peer.send(response(user + b" on %d" % peer.number))
        else:
            asked = challenge(peer.number) if b"Authorization: NTLM hello" in head else b"NTLM"
            name = field or b"WWW-Authenticate"
            peer.send(b"HTTP/1.1 %b\r\n%b: %b\r\nContent-Length: 0\r\n\r\n" % (status, name, asked))


async def authenticate(
    connection: httpcore2.AsyncLeasedConnection, url: str, user: str, prefix: str = ""
) -> bytes:
    """Go through the three steps, and return the body of the last response."""
    asking = "Proxy-Authenticate" if prefix else "WWW-Authenticate"
    name = f"{prefix}Authorization"
    reply = await connection.request("GET", url)
    assert reply.status in (401, 407)
    reply = await connection.request("GET", url, headers={name: "NTLM hello"})
    fields = dict(reply.headers)
    proof = b"proof of %b %b" % (user.encode(), fields[asking.encode()])
    reply = await connection.request("GET", url, headers={name: proof.decode()})
    assert reply.status == 200
    return reply.content


def serve(peer: Peer) -> None:
    while peer.receive_request():
        peer.send(FINE)


def test_two_callers_authenticate_their_own_connections_at_the_same_time(
    runtime: TestedRuntime,
) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool:

            async def use(user: str) -> bytes:
                async with pool.lease(server.url) as connection:
                    first = await authenticate(connection, server.url, user)
                    for _ in range(3):
                        assert (await connection.request("GET", server.url)).content == first
                    return first

            users = ["ann", "ben", "eve"]
            bodies = await runtime.gather(*[partial(use, user) for user in users])
            assert [body.split()[0].decode() for body in bodies] == users
            assert len({body.split()[2] for body in bodies}) == 3

    with scripted_server(demand_ntlm) as server:
        runtime.run(scenario)


@pytest.mark.parametrize("reuse", [False, True])
def test_no_other_request_is_sent_on_a_connection_that_was_leased(
    runtime: TestedRuntime, reuse: bool
) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool:
            async with pool.lease(server.url, reuse=reuse) as connection:
                assert await authenticate(connection, server.url, "ann") == b"ann on 0"
                # Both while it is leased, and after it.
                assert (await pool.request("GET", server.url)).status == 401
            assert (await pool.request("GET", server.url)).status == 401
            async with pool.lease(server.url) as connection:
                assert (await connection.request("GET", server.url)).status == 401

    with scripted_server(demand_ntlm) as server:
        runtime.run(scenario)
    assert server.accepted == 3


def test_a_lease_gets_no_connection_of_the_pool_that_was_used_before(
    runtime: TestedRuntime,
) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool:
            await pool.request("GET", server.url)
            async with pool.lease(server.url) as connection:
                await connection.request("GET", server.url)
            assert [each.is_idle() for each in pool.connections] == [True]

    with scripted_server(serve) as server:
        runtime.run(scenario)
    assert server.accepted == 2


def test_leases_with_reuse_follow_one_another_on_one_connection(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool:
            for _ in range(3):
                async with pool.lease(server.url, reuse=True) as connection:
                    for _ in range(2):
                        assert (await connection.request("GET", server.url)).content == b"fine"
                assert [each.is_idle() for each in pool.connections] == [True]

    with scripted_server(serve) as server:
        runtime.run(scenario)
    assert server.accepted == 1


def test_a_reused_connection_that_the_server_has_closed_is_replaced(
    runtime: TestedRuntime,
) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool:
            async with pool.lease(server.url, reuse=True) as connection:
                await connection.request("GET", server.url)
            closed.set()
            await runtime.wait_until(lambda: has_closed.is_set())
            async with pool.lease(server.url, reuse=True) as connection:
                assert (await connection.request("GET", server.url)).content == b"fine"

    closed, has_closed = runtime.event(), runtime.event()

    def handler(peer: Peer) -> None:
        peer.receive_request()
        peer.send(FINE)
        if peer.number == 0:
            closed.wait_in_thread()
            peer.close()
            has_closed.set()

    with scripted_server(handler) as server:
        runtime.run(scenario)
    assert server.accepted == 2


def test_a_lease_without_a_request_closes_its_connection(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool:
            async with pool.lease(server.url):
                pass
            assert pool.connections == []

    with scripted_server(canned_responses([])) as server:
        runtime.run(scenario)


def test_a_second_request_is_refused_while_the_first_response_is_unread(
    runtime: TestedRuntime,
) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool, pool.lease(server.url) as connection:
            async with connection.stream("GET", server.url) as reply:
                with pytest.raises(httpcore2.ConnectionNotAvailable, match="one request at a time"):
                    await connection.request("GET", server.url)
                assert await reply.aread() == b"fine"
            assert (await connection.request("GET", server.url)).content == b"fine"

    with scripted_server(serve) as server:
        runtime.run(scenario)
    assert server.accepted == 1


def test_concurrent_requests_of_one_lease_never_share_its_connection(
    runtime: TestedRuntime,
) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool, pool.lease(server.url) as connection:

            async def fetch() -> bytes:
                return (await connection.request("GET", server.url)).content

            for _ in range(20):
                outcomes = await runtime.outcomes(*[fetch] * 4)
                refused = [each for each in outcomes if isinstance(each, Exception)]
                assert all(isinstance(each, httpcore2.ConnectionNotAvailable) for each in refused)
                assert len(refused) < 4
                assert {each for each in outcomes if isinstance(each, bytes)} == {b"fine"}

    with scripted_server(serve) as server:
        runtime.run(scenario)
    assert server.accepted == 1


def test_a_block_that_ends_before_the_body_closes_the_connection(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool:
            async with pool.lease(server.url, reuse=True) as connection:
                request = httpcore2.Request("GET", server.url, headers={"Host": "h"})
                reply = await connection.handle_async_request(request)
            assert pool.connections == []
            with pytest.raises(httpcore2.ReadError):
                await reply.aread()
            with pytest.raises(httpcore2.ConnectionNotAvailable, match="given back"):
                await connection.request("GET", server.url)
            await connection.aclose()

    def handler(peer: Peer) -> None:
        peer.receive_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfine")
        peer.receive_until_close()

    with scripted_server(handler) as server:
        runtime.run(scenario)


@pytest.mark.parametrize("has_observer", [False, True])
def test_a_request_on_a_broken_connection_is_not_sent_again(
    runtime: TestedRuntime, has_observer: bool
) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool:
            if has_observer:
                pool.observe(httpcore2.Observer())
            async with pool.lease(server.url) as connection:
                await connection.request("GET", server.url)
                with pytest.raises((httpcore2.RemoteProtocolError, httpcore2.ReadError)) as caught:
                    await connection.request("GET", server.url)
                assert "the lease is over" in caught.value.__notes__[-1]
                assert pool.connections == []
                with pytest.raises(httpcore2.ConnectionNotAvailable, match="the lease is over"):
                    await connection.request("GET", server.url)
            assert pool.stats().resent == 0

    def handler(peer: Peer) -> None:
        peer.receive_request()
        peer.send(FINE)
        peer.receive_request()

    with scripted_server(handler) as server:
        runtime.run(scenario)
    assert server.accepted == 1


def test_a_connection_that_the_server_closes_between_requests_is_named_in_the_error(
    runtime: TestedRuntime,
) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool, pool.lease(server.url) as connection:
            await connection.request("GET", server.url)
            await runtime.wait_until(closed.is_set)
            await runtime.wait_until(
                lambda: not pool.connections or pool.connections[0].has_expired()
            )
            for _ in range(2):
                with pytest.raises(httpcore2.RemoteProtocolError, match="lease is over"):
                    await connection.request("GET", server.url)
            assert pool.connections == []

    closed = runtime.event()

    def handler(peer: Peer) -> None:
        peer.receive_request()
        peer.send(FINE)
        peer.close()
        closed.set()

    with scripted_server(handler) as server:
        runtime.run(scenario)
    assert server.accepted == 1


def test_a_response_after_which_the_server_closes_ends_the_lease(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool, pool.lease(server.url) as connection:
            await connection.request("GET", server.url)
            assert pool.connections == []
            with pytest.raises(httpcore2.ConnectionNotAvailable, match="allowed no other"):
                await connection.request("GET", server.url)

    last = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    with scripted_server(canned_responses([last])) as server:
        runtime.run(scenario)


def test_a_request_that_cannot_be_sent_leaves_the_lease_as_it_was(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool, pool.lease(server.url) as connection:
            with pytest.raises(httpcore2.LocalProtocolError):
                await connection.request("GET", server.url, headers={"X": "a\nb"})
            assert (await connection.request("GET", server.url)).content == b"fine"

    with scripted_server(serve) as server:
        runtime.run(scenario)
    assert server.accepted == 1


def test_a_pool_that_is_closed_ends_its_leases(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        pool = runtime.pool()
        async with pool.lease(server.url) as connection:
            await connection.request("GET", server.url)
            await pool.aclose()
            with pytest.raises(httpcore2.ConnectionNotAvailable, match="the pool was closed"):
                await connection.request("GET", server.url)
        assert pool.connections == []

    with scripted_server(serve) as server:
        runtime.run(scenario)


def test_a_request_to_another_origin_or_for_another_certificate_is_refused(
    runtime: TestedRuntime, certificate_authority: trustme.CA
) -> None:
    async def scenario() -> None:
        async with runtime.pool(**origin.options) as pool:
            extensions: Any = {"sni_hostname": "a.test"}
            async with pool.lease(origin.url, extensions=extensions) as connection:
                with pytest.raises(RuntimeError, match=r"b\.test:443 on a leased connection"):
                    await connection.request("GET", "https://b.test/")
                for others in (
                    {"sni_hostname": "127.0.0.1"},
                    {"ssl_context": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)},
                ):
                    with pytest.raises(RuntimeError, match="checked for these alone"):
                        await connection.request("GET", origin.url, extensions=cast(Any, others))
                with pytest.raises(TypeError, match="informational"):
                    await connection.request(
                        "GET", origin.url, extensions={"informational": cast(Any, "no function")}
                    )
                assert (await connection.request("GET", origin.url)).content == b"fine"
                reply = await connection.request("GET", origin.url, extensions=extensions)
                assert reply.content == b"fine"

    with tls_origin(certificate_authority, ["127.0.0.1", "a.test"], "HTTP/1.1") as origin:
        runtime.run(scenario)
    assert origin.names == ["a.test"]


def test_the_context_of_a_lease_applies_to_its_requests(
    runtime: TestedRuntime, certificate_authority: trustme.CA
) -> None:
    async def scenario() -> None:
        extensions: Any = {"ssl_context": origin.options["ssl_context"]}
        async with (
            runtime.pool() as pool,
            pool.lease(origin.url, extensions=extensions) as connection,
        ):
            assert (await connection.request("GET", origin.url)).content == b"fine"

    with tls_origin(certificate_authority, ["127.0.0.1"], "HTTP/1.1") as origin:
        runtime.run(scenario)


@pytest.mark.parametrize("route", ROUTES)
def test_a_lease_offers_http11_alone_and_shows_the_certificate_on_each_route(
    runtime: TestedRuntime, certificate_authority: trustme.CA, route: str
) -> None:
    async def scenario() -> None:
        origin.options["http2"] = True
        async with runtime.pool(**origin.options) as pool, pool.lease(origin.url) as connection:
            for _ in range(2):
                reply = await connection.request("GET", origin.url)
                assert reply.extensions["http_version"] == b"HTTP/1.1"
                stream = reply.extensions["network_stream"]
                tls = stream.get_extra_info("ssl_object")
                assert tls.selected_alpn_protocol() == "http/1.1"
                assert tls.getpeercert(binary_form=True)

    with tls_origin(certificate_authority, ["127.0.0.1"], "HTTP/1.1", route) as origin:
        runtime.run(scenario)
    assert len(origin.names) == 1


def test_a_forwarding_proxy_authenticates_the_leased_connection(
    runtime: TestedRuntime,
) -> None:
    async def scenario() -> None:
        async with runtime.pool(proxy=httpcore2.Proxy(proxy.url)) as pool:
            url = "http://a.test/"
            async with pool.lease(url) as connection:
                assert await authenticate(connection, url, "ann", "Proxy-") == b"ann on 0"
                assert (await connection.request("GET", url)).content == b"ann on 0"
                assert (await pool.request("GET", url)).status == 407

    handler = partial(
        demand_ntlm, status=b"407 Proxy Authentication Required", field=b"Proxy-Authenticate"
    )
    with scripted_server(handler) as proxy:
        runtime.run(scenario)
    assert proxy.accepted == 2


def test_a_lease_counts_as_an_active_connection_and_waits_its_turn(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with runtime.pool(max_connections=1) as pool:
            observed = Recorder()
            pool.observe(observed)
            async with pool.lease(server.url) as connection:
                for _ in range(2):
                    await connection.request("GET", server.url)
                    stats = pool.stats()
                    assert (stats.active_connections, stats.idle_connections) == (1, 0)
                with pytest.raises(httpcore2.PoolTimeout, match="1 are active"):
                    await pool.request("GET", server.url, extensions=AT_ONCE)
                with pytest.raises(httpcore2.PoolTimeout, match="1 are active"):
                    async with pool.lease(server.url, extensions=AT_ONCE):
                        raise AssertionError("it has a connection")
            assert observed.events == ["opened", "active", "LEASE_ENDED"]
            assert (await pool.request("GET", server.url)).content == b"fine"
            # An idle connection is closed for a lease.
            async with pool.lease(server.url, reuse=True, extensions=AT_ONCE) as connection:
                await connection.request("GET", server.url)
            assert observed.events[-1] == "idle"
            assert pool.stats().idle_connections == 1

    with scripted_server(serve) as server:
        runtime.run(scenario)


class Recorder(httpcore2.Observer):
    """Records the events of connections."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def connection_opened(self, connection: object, time: float) -> None:
        self.events.append("opened")

    def connection_active(self, connection: object, time: float) -> None:
        self.events.append("active")

    def connection_idle(self, connection: object, time: float) -> None:
        self.events.append("idle")

    def connection_closed(
        self, connection: object, reason: httpcore2.CloseReason, time: float
    ) -> None:
        self.events.append(reason.name)


def test_the_waiting_request_gets_the_slot_of_a_lease_that_ends(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with runtime.pool(max_connections=1) as pool:
            is_held = runtime.event()

            async def hold() -> None:
                async with pool.lease(server.url) as connection:
                    is_held.set()
                    await runtime.wait_until(lambda: pool.stats().queued_requests == 1)
                    await connection.request("GET", server.url)

            async def fetch() -> None:
                await is_held.wait()
                assert (await pool.request("GET", server.url)).content == b"fine"

            await runtime.gather(hold, fetch)

    with scripted_server(serve) as server:
        runtime.run(scenario)
    assert server.accepted == 2


def test_a_lease_that_is_dropped_is_recovered(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with runtime.pool(max_connections=1) as pool:
            connection: Any = pool.lease(server.url)
            await connection.__aenter__()
            await connection.request("GET", server.url)
            connection = None
            gc.collect()
            reply = await pool.request("GET", server.url, extensions=AT_ONCE)
            assert reply.content == b"fine"
            assert len(pool.connections) == 1

    with scripted_server(serve) as server:
        runtime.run(scenario)
    assert server.accepted == 2


def test_an_unread_response_of_a_dropped_lease_holds_the_connection(
    runtime: TestedRuntime,
) -> None:
    async def scenario() -> None:
        async with runtime.pool(max_connections=1) as pool:
            connection: Any = pool.lease(server.url)
            await connection.__aenter__()
            request = httpcore2.Request("GET", server.url, headers={"Host": "h"})
            reply: Any = await connection.handle_async_request(request)
            connection = None
            gc.collect()
            with pytest.raises(httpcore2.PoolTimeout):
                await pool.request("GET", server.url, extensions=AT_ONCE)
            assert await reply.aread() == b"fine"
            reply = None
            gc.collect()
            assert (await pool.request("GET", server.url, extensions=AT_ONCE)).content == b"fine"

    with scripted_server(serve) as server:
        runtime.run(scenario)


@pytest.mark.parametrize("late", [False, True], ids=["while waiting", "as the result arrives"])
@pytest.mark.parametrize("reuse", [False, True])
def test_a_lease_can_be_cancelled_at_every_wait(
    async_runtime: TestedAsyncRuntime, reuse: bool, late: bool
) -> None:
    runtime = async_runtime

    async def attempt(number: int) -> CancellationOutcome:
        async with runtime.pool(max_connections=1) as pool:

            async def use() -> None:
                async with pool.lease(server.url, reuse=reuse) as connection:
                    for _ in range(2):
                        async with connection.stream("GET", server.url) as reply:
                            assert await reply.aread() == b"fine"

            outcome = await runtime.cancel_at_wait(number, use, late)
            assert "Requests: 0 active, 0 queued | Connections: 0 active" in repr(pool)
            reply = await pool.request("GET", server.url, extensions=AT_ONCE)
            assert reply.content == b"fine"
        return outcome

    async def scenario() -> None:
        assert CancellationOutcome.CANCELLED in await cancel_at_every_wait(attempt)

    def handler(peer: Peer) -> None:
        while peer.receive_request():
            peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nfi\r\n")
            peer.send(b"2\r\nne\r\n0\r\n\r\n")

    with scripted_server(handler, allow_disconnect=True) as server:
        runtime.run(scenario)


def test_a_lease_that_cannot_connect_leaks_no_slot(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with runtime.pool(max_connections=1) as pool:
            with scripted_server(serve) as closed:
                url = closed.url
            with pytest.raises(httpcore2.ConnectError):
                async with pool.lease(url):
                    raise AssertionError("nothing listens there")
            assert pool.connections == []
            assert pool.stats().failed == {"connect": 1}

    runtime.run(scenario)


def test_a_pool_without_http11_refuses_leases(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with runtime.pool(http1=False, http2=True) as pool:
            with pytest.raises(RuntimeError, match="http1=False"):
                pool.lease("https://www.example.com/")

    runtime.run(scenario)


@pytest.mark.parametrize("url", ["ftp://www.example.com/", "//www.example.com/"])
def test_a_url_of_another_scheme_is_refused(runtime: TestedRuntime, url: str) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool:
            with pytest.raises(httpcore2.UnsupportedProtocol):
                async with pool.lease(url):
                    raise AssertionError("it has a connection")

    runtime.run(scenario)


def test_reuse_is_a_bool(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool:
            with pytest.raises(TypeError, match="reuse must be a bool, but got int"):
                pool.lease("https://www.example.com/", reuse=cast(bool, 1))

    runtime.run(scenario)


def test_a_leased_connection_is_used_within_one_block(runtime: TestedRuntime) -> None:
    async def scenario() -> None:
        async with runtime.pool() as pool:
            connection: Any = pool.lease(server.url)
            await connection.aclose()
            with pytest.raises(RuntimeError, match="has to be acquired"):
                await connection.request("GET", server.url)
            async with connection:
                await connection.request("GET", server.url)
            with pytest.raises(RuntimeError, match="one `with` block"):
                await connection.__aenter__()

    with scripted_server(serve) as server:
        runtime.run(scenario)


def make_own(runtime: TestedRuntime, make: Callable[[Any, httpcore2.Origin], Any]) -> Any:
    """Return a pool whose class makes its connections by `make`."""
    pool: Any = runtime.pool()
    wrapped = getattr(pool, "wrapped", pool)
    wrapped.__class__ = type("OwnPool", (type(wrapped),), {"create_connection": make})
    return pool


def test_a_connection_of_the_callers_own_can_be_leased(runtime: TestedRuntime) -> None:
    made: list[Any] = []

    def make(pool: Any, origin: httpcore2.Origin) -> Any:
        made.append(getattr(httpcore2, f"{runtime.class_prefix}HTTPConnection")(origin))
        return made[-1]

    async def scenario() -> None:
        async with make_own(runtime, make) as pool, pool.lease(server.url) as connection:
            await connection.request("GET", server.url)

    with scripted_server(serve) as server:
        runtime.run(scenario)
    assert len(made) == 1


def test_a_connection_of_the_callers_own_that_takes_no_request_ends_the_lease(
    runtime: TestedRuntime,
) -> None:
    def make(pool: Any, origin: httpcore2.Origin) -> Any:
        base = getattr(httpcore2, f"{runtime.class_prefix}HTTPConnection")

        def refuse(self: Any, request: httpcore2.Request) -> Any:
            raise httpcore2.ConnectionNotAvailable

        async def arefuse(self: Any, request: httpcore2.Request) -> Any:
            raise httpcore2.ConnectionNotAvailable

        methods = {"handle_request": refuse, "handle_async_request": arefuse}
        return type("Refusing", (base,), methods)(origin)

    async def scenario() -> None:
        async with make_own(runtime, make) as pool, pool.lease("http://a.test/") as connection:
            with pytest.raises(httpcore2.RemoteProtocolError, match="before the request was sent"):
                await connection.request("GET", "http://a.test/")
            assert pool.connections == []

    runtime.run(scenario)


def test_an_http2_connection_of_the_callers_own_is_refused(
    runtime: TestedRuntime, h2_server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    def make(pool: Any, origin: httpcore2.Origin) -> Any:
        connection_class = getattr(httpcore2, f"{runtime.class_prefix}HTTPConnection")
        return connection_class(origin, ssl_context=client_tls, http2=True)

    async def scenario() -> None:
        async with make_own(runtime, make) as pool:
            with pytest.raises(httpcore2.LocalProtocolError, match="uses HTTP/2"):
                async with pool.lease(server.url):
                    raise AssertionError("it has a connection")
            assert pool.connections == []

    with scripted_server(speaking(answering()), tls=h2_server_tls, allow_disconnect=True) as server:
        runtime.run(scenario)


def test_the_proxy_of_a_tunnel_is_asked_for_one_tunnel(
    runtime: TestedRuntime, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async def scenario() -> None:
        options: dict[str, Any] = {"proxy": proxy.proxy(), "ssl_context": client_tls}
        async with runtime.pool(**options) as pool, pool.lease(server.url) as connection:
            assert await authenticate(connection, server.url, "ann") == b"ann on 0"

    with (
        scripted_server(demand_ntlm, tls=server_tls) as server,
        scripted_proxy(PROXY_KINDS["http"], server.port, server_tls, client_tls) as proxy,
    ):
        runtime.run(scenario)
    assert server.accepted == 1
