"""The core of httpcore2: models, exceptions, interfaces, HTTP/1.1, the connection pool, and the backend for threads.

Applications import `httpcore2`; libraries may depend on this package alone, or vendor it.
"""

from __future__ import annotations

from ._api.async_connection import AsyncHTTPConnection
from ._api.async_pool import AsyncConnectionPool
from ._api.functions import request, stream
from ._api.http11_connections import AsyncHTTP11Connection, HTTP11Connection
from ._api.leases import AsyncLeasedConnection, LeasedConnection
from ._api.proxy_pools import AsyncHTTPProxy, AsyncSOCKSProxy, HTTPProxy, SOCKSProxy
from ._api.sync_connections import HTTPConnection
from ._api.sync_pool import ConnectionPool
from ._exceptions import (
    ConnectAttempt,
    ConnectError,
    ConnectionNotAvailable,
    ConnectTimeout,
    LocalProtocolError,
    NetworkError,
    PoolTimeout,
    ProtocolError,
    ProxyError,
    ReadError,
    ReadTimeout,
    RemoteProtocolError,
    TimeoutException,
    UnsupportedProtocol,
    WriteError,
    WriteTimeout,
)
from ._extensions import RequestExtensions, ResponseExtensions, TimeoutExtension
from ._http.close_reason import CloseReason
from ._http.interfaces import (
    AsyncConnectionInterface,
    AsyncRequestInterface,
    ConnectionInterface,
    RequestInterface,
)
from ._http.observation import Observation, observe
from ._http.observer import ObservedConnection, Observer
from ._http.timings import RequestTimings, Timings
from ._models import URL, Origin, Proxy, Request, Response
from ._net.backend_stream import BackendStream
from ._net.caching_resolver import CachingResolver
from ._net.datagram_stream import DatagramStream, SyncDatagramStream
from ._net.keepalive_options import tcp_keepalive
from ._net.mock import AsyncMockBackend, AsyncMockStream, MockBackend, MockStream
from ._net.network_interfaces import (
    SOCKET_OPTION,
    AsyncNetworkBackend,
    AsyncNetworkStream,
    NetworkBackend,
    NetworkStream,
)
from ._net.resolver_interfaces import AsyncResolver, Resolver
from ._net.resolvers import StaticResolver, SystemResolver
from ._net.runtime import Runtime, Waiter
from ._net.runtime_backend import RuntimeBackend
from ._net.ssl_context import default_ssl_context
from ._net.sync_backend import SyncBackend
from ._pool.statistics import OriginStats, PoolStats

__all__ = [
    "SOCKET_OPTION",
    "URL",
    "AsyncConnectionInterface",
    "AsyncConnectionPool",
    "AsyncHTTP11Connection",
    "AsyncHTTPConnection",
    "AsyncHTTPProxy",
    "AsyncLeasedConnection",
    "AsyncMockBackend",
    "AsyncMockStream",
    "AsyncNetworkBackend",
    "AsyncNetworkStream",
    "AsyncRequestInterface",
    "AsyncResolver",
    "AsyncSOCKSProxy",
    "BackendStream",
    "CachingResolver",
    "CloseReason",
    "ConnectAttempt",
    "ConnectError",
    "ConnectTimeout",
    "ConnectionInterface",
    "ConnectionNotAvailable",
    "ConnectionPool",
    "DatagramStream",
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
    "RequestInterface",
    "RequestTimings",
    "Resolver",
    "Response",
    "ResponseExtensions",
    "Runtime",
    "RuntimeBackend",
    "SOCKSProxy",
    "StaticResolver",
    "SyncBackend",
    "SyncDatagramStream",
    "SystemResolver",
    "TimeoutException",
    "TimeoutExtension",
    "Timings",
    "UnsupportedProtocol",
    "Waiter",
    "WriteError",
    "WriteTimeout",
    "default_ssl_context",
    "observe",
    "request",
    "stream",
    "tcp_keepalive",
]
