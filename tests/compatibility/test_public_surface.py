"""The public surface: every name that users may import, one on a line, with its signature.

It lists the names of 2.16.2, and the new ones. A class may have more members than are listed; the module has exactly
these names.
"""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import Any

import pytest

import httpcore2

SURFACE = """
class AnyIOBackend(AsyncNetworkBackend)
    async connect_tcp(self, host, port, timeout=None, local_address=None, socket_options=None)
    async connect_unix_socket(self, path, timeout=None, socket_options=None)
    async sleep(self, seconds)
class AsyncConnectionInterface
    async aclose(self)
    can_handle_request(self, origin)
    can_multiplex(self)
    async handle_async_request(self, request)
    has_expired(self)
    info(self)
    is_available(self)
    is_closed(self)
    is_connected(self)
    is_idle(self)
    async request(self, method, url, *, headers=None, content=None, extensions=None)
    stream(self, method, url, *, headers=None, content=None, extensions=None)
class AsyncConnectionPool
    async __aenter__(self)
    async __aexit__(self, exc_type=None, exc_value=None, traceback=None)
    __init__(self, ssl_context=None, proxy=None, max_connections=10,
        max_keepalive_connections=None, keepalive_expiry=None, http1=True, http2=False, retries=0,
        local_address=None, uds=None, network_backend=None, socket_options=None,
        *, resend=True, resolver=None, max_connections_per_origin=None,
        max_connection_age=None,
        max_http2_connections_per_origin=None, http3=False)
    __repr__(self)
    async aclose(self)
    close_expired(self)
    async connect(self, url, count=1, *, extensions=None)
    connections
    create_connection(self, origin)
    async handle_async_request(self, request)
    lease(self, url, *, reuse=False, extensions=None)
    observe(self, observer)
    stats(self)
    async request(self, method, url, *, headers=None, content=None, extensions=None)
    stream(self, method, url, *, headers=None, content=None, extensions=None)
class AsyncHTTP11Connection(AsyncConnectionInterface)
    MAX_INCOMPLETE_EVENT_SIZE = 102400
    READ_NUM_BYTES = 65536
    async __aenter__(self)
    async __aexit__(self, exc_type=None, exc_value=None, traceback=None)
    __init__(self, origin, stream, keepalive_expiry=None)
    __repr__(self)
    async aclose(self)
    can_handle_request(self, origin)
    can_multiplex(self)
    async handle_async_request(self, request)
    has_expired(self)
    info(self)
    is_available(self)
    is_closed(self)
    is_connected(self)
    is_idle(self)
    async request(self, method, url, *, headers=None, content=None, extensions=None)
    stream(self, method, url, *, headers=None, content=None, extensions=None)
class AsyncHTTP2Connection(AsyncConnectionInterface)
    READ_NUM_BYTES = 65536
    async __aenter__(self)
    async __aexit__(self, exc_type=None, exc_value=None, traceback=None)
    __init__(self, origin, stream, keepalive_expiry=None)
    __repr__(self)
    async aclose(self)
    can_handle_request(self, origin)
    can_multiplex(self)
    async handle_async_request(self, request)
    has_expired(self)
    info(self)
    is_available(self)
    is_closed(self)
    is_connected(self)
    is_idle(self)
    async request(self, method, url, *, headers=None, content=None, extensions=None)
    stream(self, method, url, *, headers=None, content=None, extensions=None)
class AsyncHTTP3Connection(AsyncConnectionInterface)
    async __aenter__(self)
    async __aexit__(self, exc_type=None, exc_value=None, traceback=None)
    __init__(self, origin, datagrams, keepalive_expiry=None, ssl_context=None)
    __repr__(self)
    async aclose(self)
    can_handle_request(self, origin)
    can_multiplex(self)
    async handle_async_request(self, request)
    has_expired(self)
    info(self)
    is_available(self)
    is_closed(self)
    is_connected(self)
    is_idle(self)
    async request(self, method, url, *, headers=None, content=None, extensions=None)
    stream(self, method, url, *, headers=None, content=None, extensions=None)
class AsyncHTTPConnection(AsyncConnectionInterface)
    async __aenter__(self)
    async __aexit__(self, exc_type=None, exc_value=None, traceback=None)
    __init__(self, origin, ssl_context=None, keepalive_expiry=None, http1=True, http2=False,
        retries=0, local_address=None, uds=None, network_backend=None, socket_options=None,
        *, resolver=None, http3=False)
    __repr__(self)
    async aclose(self)
    can_handle_request(self, origin)
    can_multiplex(self)
    async handle_async_request(self, request)
    has_expired(self)
    info(self)
    is_available(self)
    is_closed(self)
    is_connected(self)
    is_idle(self)
    async request(self, method, url, *, headers=None, content=None, extensions=None)
    stream(self, method, url, *, headers=None, content=None, extensions=None)
class AsyncHTTPProxy(AsyncConnectionPool)
    __init__(self, proxy_url, proxy_auth=None, proxy_headers=None, ssl_context=None,
        proxy_ssl_context=None, max_connections=10, max_keepalive_connections=None,
        keepalive_expiry=None, http1=True, http2=False, retries=0, local_address=None, uds=None,
        network_backend=None, socket_options=None,
        *, resend=True, resolver=None,
        max_connections_per_origin=None,
        max_connection_age=None,
        max_http2_connections_per_origin=None)
class AsyncIOBackend(AsyncNetworkBackend)
    async connect_tcp(self, host, port, timeout=None, local_address=None, socket_options=None)
    async connect_unix_socket(self, path, timeout=None, socket_options=None)
    async sleep(self, seconds)
class AsyncLeasedConnection
    async __aenter__(self)
    async __aexit__(self, exc_type=None, exc_value=None, traceback=None)
    async aclose(self)
    async handle_async_request(self, request)
    async request(self, method, url, *, headers=None, content=None, extensions=None)
    stream(self, method, url, *, headers=None, content=None, extensions=None)
class AsyncMockBackend(AsyncNetworkBackend)
    __init__(self, buffer, http2=False)
    async connect_tcp(self, host, port, timeout=None, local_address=None, socket_options=None)
    async connect_unix_socket(self, path, timeout=None, socket_options=None)
    async sleep(self, seconds)
class AsyncMockStream(AsyncNetworkStream)
    __init__(self, buffer, http2=False)
    __repr__(self)
    async aclose(self)
    get_extra_info(self, info)
    async read(self, max_bytes, timeout=None)
    async start_tls(self, ssl_context, server_hostname=None, timeout=None)
    async write(self, buffer, timeout=None)
class AsyncNetworkBackend
    async connect_tcp(self, host, port, timeout=None, local_address=None, socket_options=None)
    async connect_unix_socket(self, path, timeout=None, socket_options=None)
    async sleep(self, seconds)
class AsyncNetworkStream
    async aclose(self)
    get_extra_info(self, info)
    async read(self, max_bytes, timeout=None)
    async start_tls(self, ssl_context, server_hostname=None, timeout=None)
    async write(self, buffer, timeout=None)
class AsyncResolver
    async aresolve(self, host, port, timeout=None)
class AsyncSOCKSProxy(AsyncConnectionPool)
    __init__(self, proxy_url, proxy_auth=None, ssl_context=None, max_connections=10,
        max_keepalive_connections=None, keepalive_expiry=None, http1=True, http2=False, retries=0,
        network_backend=None,
        *, resend=True, resolver=None,
        max_connections_per_origin=None,
        max_connection_age=None,
        max_http2_connections_per_origin=None)
class CachingResolver(Resolver, AsyncResolver)
    __init__(self, ttl=60.0, max_entries=1000, *, resolver=None)
    async aresolve(self, host, port, timeout=None)
    clear(self)
    resolve(self, host, port, timeout=None)
class CloseReason
class ConnectAttempt
class ConnectError(NetworkError)
class ConnectTimeout(TimeoutException)
class ConnectionInterface
    can_handle_request(self, origin)
    can_multiplex(self)
    close(self)
    handle_request(self, request)
    has_expired(self)
    info(self)
    is_available(self)
    is_closed(self)
    is_connected(self)
    is_idle(self)
    request(self, method, url, *, headers=None, content=None, extensions=None)
    stream(self, method, url, *, headers=None, content=None, extensions=None)
class ConnectionNotAvailable
class ConnectionPool
    __enter__(self)
    __exit__(self, exc_type=None, exc_value=None, traceback=None)
    __init__(self, ssl_context=None, proxy=None, max_connections=10,
        max_keepalive_connections=None, keepalive_expiry=None, http1=True, http2=False, retries=0,
        local_address=None, uds=None, network_backend=None, socket_options=None,
        *, resend=True, resolver=None, max_connections_per_origin=None,
        max_connection_age=None,
        max_http2_connections_per_origin=None, http3=False)
    __repr__(self)
    close(self)
    close_expired(self)
    connect(self, url, count=1, *, extensions=None)
    connections
    create_connection(self, origin)
    handle_request(self, request)
    lease(self, url, *, reuse=False, extensions=None)
    observe(self, observer)
    stats(self)
    request(self, method, url, *, headers=None, content=None, extensions=None)
    stream(self, method, url, *, headers=None, content=None, extensions=None)
class HTTP11Connection(ConnectionInterface)
    MAX_INCOMPLETE_EVENT_SIZE = 102400
    READ_NUM_BYTES = 65536
    __enter__(self)
    __exit__(self, exc_type=None, exc_value=None, traceback=None)
    __init__(self, origin, stream, keepalive_expiry=None)
    __repr__(self)
    can_handle_request(self, origin)
    can_multiplex(self)
    close(self)
    handle_request(self, request)
    has_expired(self)
    info(self)
    is_available(self)
    is_closed(self)
    is_connected(self)
    is_idle(self)
    request(self, method, url, *, headers=None, content=None, extensions=None)
    stream(self, method, url, *, headers=None, content=None, extensions=None)
class HTTP2Connection(ConnectionInterface)
    READ_NUM_BYTES = 65536
    __enter__(self)
    __exit__(self, exc_type=None, exc_value=None, traceback=None)
    __init__(self, origin, stream, keepalive_expiry=None)
    __repr__(self)
    can_handle_request(self, origin)
    can_multiplex(self)
    close(self)
    handle_request(self, request)
    has_expired(self)
    info(self)
    is_available(self)
    is_closed(self)
    is_connected(self)
    is_idle(self)
    request(self, method, url, *, headers=None, content=None, extensions=None)
    stream(self, method, url, *, headers=None, content=None, extensions=None)
class HTTP3Connection(ConnectionInterface)
    __enter__(self)
    __exit__(self, exc_type=None, exc_value=None, traceback=None)
    __init__(self, origin, datagrams, keepalive_expiry=None, ssl_context=None)
    __repr__(self)
    can_handle_request(self, origin)
    can_multiplex(self)
    close(self)
    handle_request(self, request)
    has_expired(self)
    info(self)
    is_available(self)
    is_closed(self)
    is_connected(self)
    is_idle(self)
    request(self, method, url, *, headers=None, content=None, extensions=None)
    stream(self, method, url, *, headers=None, content=None, extensions=None)
class HTTPConnection(ConnectionInterface)
    __enter__(self)
    __exit__(self, exc_type=None, exc_value=None, traceback=None)
    __init__(self, origin, ssl_context=None, keepalive_expiry=None, http1=True, http2=False,
        retries=0, local_address=None, uds=None, network_backend=None, socket_options=None,
        *, resolver=None, http3=False)
    __repr__(self)
    can_handle_request(self, origin)
    can_multiplex(self)
    close(self)
    handle_request(self, request)
    has_expired(self)
    info(self)
    is_available(self)
    is_closed(self)
    is_connected(self)
    is_idle(self)
    request(self, method, url, *, headers=None, content=None, extensions=None)
    stream(self, method, url, *, headers=None, content=None, extensions=None)
class HTTPProxy(ConnectionPool)
    __init__(self, proxy_url, proxy_auth=None, proxy_headers=None, ssl_context=None,
        proxy_ssl_context=None, max_connections=10, max_keepalive_connections=None,
        keepalive_expiry=None, http1=True, http2=False, retries=0, local_address=None, uds=None,
        network_backend=None, socket_options=None,
        *, resend=True, resolver=None,
        max_connections_per_origin=None,
        max_connection_age=None,
        max_http2_connections_per_origin=None)
class LeasedConnection
    __enter__(self)
    __exit__(self, exc_type=None, exc_value=None, traceback=None)
    close(self)
    handle_request(self, request)
    request(self, method, url, *, headers=None, content=None, extensions=None)
    stream(self, method, url, *, headers=None, content=None, extensions=None)
class LocalProtocolError(ProtocolError)
class MockBackend(NetworkBackend)
    __init__(self, buffer, http2=False)
    connect_tcp(self, host, port, timeout=None, local_address=None, socket_options=None)
    connect_unix_socket(self, path, timeout=None, socket_options=None)
    sleep(self, seconds)
class MockStream(NetworkStream)
    __init__(self, buffer, http2=False)
    __repr__(self)
    close(self)
    get_extra_info(self, info)
    read(self, max_bytes, timeout=None)
    start_tls(self, ssl_context, server_hostname=None, timeout=None)
    write(self, buffer, timeout=None)
class NetworkBackend
    connect_tcp(self, host, port, timeout=None, local_address=None, socket_options=None)
    connect_unix_socket(self, path, timeout=None, socket_options=None)
    sleep(self, seconds)
class NetworkError
class NetworkStream
    close(self)
    get_extra_info(self, info)
    read(self, max_bytes, timeout=None)
    start_tls(self, ssl_context, server_hostname=None, timeout=None)
    write(self, buffer, timeout=None)
class Observation
    __enter__(self)
    __exit__(self, exc_type=None, exc_value=None, traceback=None)
    __init__(self, observer)
    remove(self)
class ObservedConnection
    __init__(self, origin, started_at)
    __repr__(self)
class Observer
    attempt_ended(self, connection, address, error, time)
    attempt_started(self, connection, address, time)
    connection_acquired(self, token, connection, reused, waited, time)
    connection_active(self, connection, time)
    connection_closed(self, connection, reason, time)
    connection_idle(self, connection, time)
    connection_opened(self, connection, time)
    first_byte_received(self, token, time)
    goaway_received(self, connection, code, last_stream_id, debug_data, time)
    interim_received(self, token, status, headers, time)
    ping_answered(self, connection, waited, time)
    ping_sent(self, connection, time)
    request_ended(self, token, status, error, sent, received, time)
    request_head_sent(self, token, time)
    request_queued(self, token, time)
    request_resent(self, token, count, cause, time)
    request_started(self, request, time)
    resolution_ended(self, connection, host, addresses, error, time)
    resolution_started(self, connection, host, time)
    response_received(self, token, response, time)
    tls_ended(self, connection, version, cipher, alpn, error, time)
    tls_started(self, connection, server_name, time)
class Origin
    __eq__(self, other)
    __init__(self, scheme, host, port)
    __str__(self)
class OriginStats
class PoolStats
class PoolTimeout(TimeoutException)
class ProtocolError
class Proxy
    __init__(self, url, auth=None, headers=None, ssl_context=None)
class ProxyError
class ReadError(NetworkError)
class ReadTimeout(TimeoutException)
class RemoteProtocolError(ProtocolError)
class Request
    __init__(self, method, url, *, headers=None, content=None, extensions=None)
    __repr__(self)
class RequestExtensions
class RequestTimings
    __init__(self)
    __repr__(self)
class Resolver
    resolve(self, host, port, timeout=None)
class Response
    __init__(self, status, *, headers=None, content=None, extensions=None)
    __repr__(self)
    async aclose(self)
    aiter_stream(self)
    async aread(self)
    close(self)
    content
    iter_stream(self)
    read(self)
class ResponseExtensions
SOCKET_OPTION
class SOCKSProxy(ConnectionPool)
    __init__(self, proxy_url, proxy_auth=None, ssl_context=None, max_connections=10,
        max_keepalive_connections=None, keepalive_expiry=None, http1=True, http2=False, retries=0,
        network_backend=None,
        *, resend=True, resolver=None,
        max_connections_per_origin=None,
        max_connection_age=None,
        max_http2_connections_per_origin=None)
class StaticResolver(Resolver, AsyncResolver)
    __init__(self, addresses, *, otherwise=None)
    async aresolve(self, host, port, timeout=None)
    resolve(self, host, port, timeout=None)
class SyncBackend(NetworkBackend)
    connect_tcp(self, host, port, timeout=None, local_address=None, socket_options=None)
    connect_unix_socket(self, path, timeout=None, socket_options=None)
    sleep(self, seconds)
class SystemResolver(Resolver, AsyncResolver)
    async aresolve(self, host, port, timeout=None)
    resolve(self, host, port, timeout=None)
class TimeoutException
class TimeoutExtension
class Timings(Observer)
    __init__(self)
    attempt_ended(self, connection, address, error, time)
    attempt_started(self, connection, address, time)
    connection_acquired(self, token, connection, reused, waited, time)
    first_byte_received(self, token, time)
    request_ended(self, token, status, error, sent, received, time)
    request_head_sent(self, token, time)
    request_started(self, request, time)
    resolution_ended(self, connection, host, addresses, error, time)
    resolution_started(self, connection, host, time)
    response_received(self, token, response, time)
    tls_ended(self, connection, version, cipher, alpn, error, time)
    tls_started(self, connection, server_name, time)
class TrioBackend(AsyncNetworkBackend)
    async connect_tcp(self, host, port, timeout=None, local_address=None, socket_options=None)
    async connect_unix_socket(self, path, timeout=None, socket_options=None)
    async sleep(self, seconds)
class URL
    __bytes__(self)
    __eq__(self, other)
    __init__(self, url='', *, scheme=b'', host=b'', port=None, target=b'')
    __repr__(self)
    origin
class UnsupportedProtocol
class WriteError(NetworkError)
class WriteTimeout(TimeoutException)
default_ssl_context(*, system_store=None)
observe(observer)
request(method, url, *, headers=None, content=None, extensions=None)
stream(method, url, *, headers=None, content=None, extensions=None)
tcp_keepalive(idle=15, interval=15, count=9, *, user_timeout=None)
"""

# A line that is indented twice continues the previous one.
LINES = re.sub(r"\n {8}", " ", SURFACE.strip()).splitlines()


def _members() -> Iterator[tuple[str, str]]:
    """Yield each indented line, with the class above it."""
    owner = ""
    for line in LINES:
        if line.startswith(" "):
            yield owner, line.strip()
        else:
            owner = line.removeprefix("class ").partition("(")[0]


TOP = [line for line in LINES if not line.startswith(" ")]
NAMES = sorted(line.removeprefix("class ").partition("(")[0] for line in TOP)


def _signature(function: Callable[..., Any]) -> str:
    parts: list[str] = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name.startswith("_"):
            continue  # private
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in parts:
            parts.append("*")
        default = "" if parameter.default is parameter.empty else f"={parameter.default!r}"
        parts.append(parameter.name + default)
    return f"({', '.join(parts)})"


def _describe(name: str, value: Any) -> str:
    if inspect.isclass(value):
        bases = [base.__name__ for base in value.__mro__[1:-1] if base.__name__ in NAMES]
        return f"class {name}({', '.join(bases)})" if bases else f"class {name}"
    return name + _signature(value) if callable(value) else name


def test_the_module_has_exactly_the_listed_names() -> None:
    assert sorted(httpcore2.__all__) == NAMES


@pytest.mark.parametrize("line", TOP)
def test_a_public_name_has_the_listed_kind(line: str) -> None:
    name = line.removeprefix("class ").partition("(")[0]
    value = getattr(httpcore2, name)
    if name == "SOCKET_OPTION":
        assert str(value).startswith("tuple[int, int, int] | ")
        return
    assert _describe(name, value) == line
    assert value.__module__ == "httpcore2"
    assert value.__doc__, "it has no documentation"


@pytest.mark.parametrize(("owner", "line"), list(_members()))
def test_a_public_member_has_the_listed_signature(owner: str, line: str) -> None:
    is_async = line.startswith("async ")
    name, bracket, _ = line.removeprefix("async ").partition("(")
    if " = " in name and not bracket:
        name, _, value = name.partition(" = ")
        assert repr(getattr(getattr(httpcore2, owner), name)) == value
        return
    member = getattr(getattr(httpcore2, owner), name)
    if not bracket:
        assert isinstance(member, property)
        return
    assert name + _signature(member) == line.removeprefix("async ")
    assert inspect.iscoroutinefunction(inspect.unwrap(member)) == is_async


def test_the_version_is_public() -> None:
    assert httpcore2.__version__ == metadata.version("httpcore2")


def test_an_unknown_name_raises_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'httpcore2' has no attribute 'nonsense'"):
        httpcore2.nonsense  # noqa: B018


@pytest.mark.parametrize("pool", ["ConnectionPool", "AsyncConnectionPool"])
def test_http2_without_its_distribution_names_the_command_that_installs_it(
    pool: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "httpcore2_http2", None)
    with pytest.raises(ImportError) as caught:
        getattr(httpcore2, pool)(http2=True)
    assert "pip install 'httpcore2[http2]'" in str(caught.value)


@pytest.mark.parametrize("pool", ["ConnectionPool", "AsyncConnectionPool"])
@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_socks5_without_its_package_names_the_command_that_installs_it(
    pool: str, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    with pytest.raises(ImportError) as caught:
        getattr(httpcore2, pool)(proxy=httpcore2.Proxy(f"{scheme}://proxy:1080"))
    assert "pip install 'httpcore2[socks]'" in str(caught.value)


def test_importing_the_package_imports_no_event_loop_no_tls_and_no_optional_codec() -> None:
    script = (
        "import sys; before = set(sys.modules); import httpcore2; print(*set(sys.modules) - before)"
    )
    done = subprocess.run(
        # -S: without site packages that import other modules at start-up, such as coverage.
        [sys.executable, "-S", "-c", f"import sys; sys.path[:] = {sys.path!r}; {script}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    loaded = set(done.stdout.split())
    assert "httpcore2_core" in loaded
    heavy = {
        "anyio",
        "asyncio",
        "h2",
        "qh3",
        "click",
        "httpcore2_asyncio",
        "httpcore2_cli",
        "httpcore2_http2",
        "httpcore2_http3",
        "httpcore2_opentelemetry",
        "httpcore2_trio",
        "rich",
        "socksio",
        "ssl",
        "trio",
    }
    assert not loaded & heavy
