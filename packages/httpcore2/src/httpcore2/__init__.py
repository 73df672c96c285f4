"""httpcore2: the transport under HTTP clients.

Most names come from `httpcore2_core`. The backends for event loops and the HTTP/2 connections come from sibling
distributions, which extras such as `httpcore2[asyncio]` install, and are loaded on first use.

Example:
    A pool keeps connections open between requests.

    ```python
    import httpcore2

    with httpcore2.ConnectionPool() as http:
        response = http.request("GET", "https://www.example.com/")
    print(response.status, response.content)
    ```
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from httpcore2_core._distributions import check_version

__version__ = "3.0.0"

check_version(__name__, __version__)

from httpcore2_core import (
    SOCKET_OPTION,
    URL,
    AsyncConnectionInterface,
    AsyncConnectionPool,
    AsyncHTTP11Connection,
    AsyncHTTPConnection,
    AsyncHTTPProxy,
    AsyncLeasedConnection,
    AsyncMockBackend,
    AsyncMockStream,
    AsyncNetworkBackend,
    AsyncNetworkStream,
    AsyncResolver,
    AsyncSOCKSProxy,
    CachingResolver,
    CloseReason,
    ConnectAttempt,
    ConnectError,
    ConnectionInterface,
    ConnectionNotAvailable,
    ConnectionPool,
    ConnectTimeout,
    HTTP11Connection,
    HTTPConnection,
    HTTPProxy,
    LeasedConnection,
    LocalProtocolError,
    MockBackend,
    MockStream,
    NetworkBackend,
    NetworkError,
    NetworkStream,
    Observation,
    ObservedConnection,
    Observer,
    Origin,
    OriginStats,
    PoolStats,
    PoolTimeout,
    ProtocolError,
    Proxy,
    ProxyError,
    ReadError,
    ReadTimeout,
    RemoteProtocolError,
    Request,
    RequestExtensions,
    RequestTimings,
    Resolver,
    Response,
    ResponseExtensions,
    SOCKSProxy,
    StaticResolver,
    SyncBackend,
    SystemResolver,
    TimeoutException,
    TimeoutExtension,
    Timings,
    UnsupportedProtocol,
    WriteError,
    WriteTimeout,
    default_ssl_context,
    observe,
    request,
    stream,
    tcp_keepalive,
)

if TYPE_CHECKING:
    from httpcore2_asyncio import AnyIOBackend, AsyncIOBackend
    from httpcore2_http2 import AsyncHTTP2Connection, HTTP2Connection
    from httpcore2_http3 import AsyncHTTP3Connection, HTTP3Connection
    from httpcore2_trio import TrioBackend

__all__ = [
    "SOCKET_OPTION",
    "URL",
    "AnyIOBackend",
    "AsyncConnectionInterface",
    "AsyncConnectionPool",
    "AsyncHTTP2Connection",
    "AsyncHTTP3Connection",
    "AsyncHTTP11Connection",
    "AsyncHTTPConnection",
    "AsyncHTTPProxy",
    "AsyncIOBackend",
    "AsyncLeasedConnection",
    "AsyncMockBackend",
    "AsyncMockStream",
    "AsyncNetworkBackend",
    "AsyncNetworkStream",
    "AsyncResolver",
    "AsyncSOCKSProxy",
    "CachingResolver",
    "CloseReason",
    "ConnectAttempt",
    "ConnectError",
    "ConnectTimeout",
    "ConnectionInterface",
    "ConnectionNotAvailable",
    "ConnectionPool",
    "HTTP2Connection",
    "HTTP3Connection",
    "HTTP11Connection",
    "HTTPConnection",
    "HTTPProxy",
    "LeasedConnection",
    "LocalProtocolError",
    "MockBackend",
    "MockStream",
    "NetworkBackend",
    "NetworkError",
    "NetworkStream",
    "Observation",
    "ObservedConnection",
    "Observer",
    "Origin",
    "OriginStats",
    "PoolStats",
    "PoolTimeout",
    "ProtocolError",
    "Proxy",
    "ProxyError",
    "ReadError",
    "ReadTimeout",
    "RemoteProtocolError",
    "Request",
    "RequestExtensions",
    "RequestTimings",
    "Resolver",
    "Response",
    "ResponseExtensions",
    "SOCKSProxy",
    "StaticResolver",
    "SyncBackend",
    "SystemResolver",
    "TimeoutException",
    "TimeoutExtension",
    "Timings",
    "TrioBackend",
    "UnsupportedProtocol",
    "WriteError",
    "WriteTimeout",
    "default_ssl_context",
    "observe",
    "request",
    "stream",
    "tcp_keepalive",
]

# The names that sibling distributions define: their package, and the extra that installs it.
_SIBLINGS = {
    "AnyIOBackend": ("httpcore2_asyncio", "anyio"),
    "AsyncHTTP2Connection": ("httpcore2_http2", "http2"),
    "AsyncHTTP3Connection": ("httpcore2_http3", "http3"),
    "AsyncIOBackend": ("httpcore2_asyncio", "asyncio"),
    "HTTP2Connection": ("httpcore2_http2", "http2"),
    "HTTP3Connection": ("httpcore2_http3", "http3"),
    "TrioBackend": ("httpcore2_trio", "trio"),
}

# Module paths of 2.16.2, from which other packages import or in which they patch. Each is loaded on first use.
_MODULES_OF_2 = (
    "_api",
    "_async",
    "_backends",
    "_exceptions",
    "_models",
    "_ssl",
    "_sync",
    "_synchronization",
    "_trace",
    "_types",
    "_utils",
)


def __getattr__(name: str) -> Any:
    if name in _MODULES_OF_2:
        from importlib import import_module

        return import_module(f".{name}", __name__)
    if name in _SIBLINGS:
        value = _load(name, *_SIBLINGS[name])
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


def _load(name: str, package: str, extra: str) -> type[Any]:
    """Return the class of a sibling. If that is not installed, return a class that raises `ImportError` when called."""
    from httpcore2_core._distributions import load

    try:
        found: type[Any] = load(package, name, extra, f"httpcore2.{name}")
    except ImportError as exc:
        reason = str(exc)

        def __init__(self: object, *args: object, **options: object) -> None:
            raise ImportError(reason)

        base = AsyncNetworkBackend if name.endswith("Backend") else object
        return type(name, (base,), {"__init__": __init__, "__module__": __name__})
    found.__module__ = __name__
    return found


# Tracebacks and `repr`s name the module that users import from.
for _name in __all__:
    if _name not in _SIBLINGS and _name != "SOCKET_OPTION":
        globals()[_name].__module__ = __name__
del _name
