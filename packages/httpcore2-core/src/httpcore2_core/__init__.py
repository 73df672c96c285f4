"""The core of httpcore2: models, exceptions, interfaces, HTTP/1.1, the connection pool, and the backend for threads.

Applications import `httpcore2`; libraries may depend on this package alone, or vendor it.
"""

from __future__ import annotations

from ._backends.mock import AsyncMockBackend, AsyncMockStream, MockBackend, MockStream
from ._backends.sync import SyncBackend
from ._connection import AsyncHTTPConnection
from ._exceptions import (
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
from ._http11.connection import AsyncHTTP11Connection
from ._interfaces import (
    AsyncConnectionInterface,
    AsyncRequestInterface,
    ConnectionInterface,
    RequestInterface,
)
from ._models import URL, Origin, Proxy, Request, Response
from ._network import (
    SOCKET_OPTION,
    AsyncNetworkBackend,
    AsyncNetworkStream,
    BackendStream,
    NetworkBackend,
    NetworkStream,
    RuntimeBackend,
)
from ._pool.pool import AsyncConnectionPool
from ._proxies.pools import AsyncHTTPProxy, AsyncSOCKSProxy, HTTPProxy, SOCKSProxy
from ._runtime import Runtime, Waiter
from ._ssl import default_ssl_context
from ._sync import ConnectionPool, HTTP11Connection, HTTPConnection, request, stream

__all__ = [
    "SOCKET_OPTION",
    "URL",
    "AsyncConnectionInterface",
    "AsyncConnectionPool",
    "AsyncHTTP11Connection",
    "AsyncHTTPConnection",
    "AsyncHTTPProxy",
    "AsyncMockBackend",
    "AsyncMockStream",
    "AsyncNetworkBackend",
    "AsyncNetworkStream",
    "AsyncRequestInterface",
    "AsyncSOCKSProxy",
    "BackendStream",
    "ConnectError",
    "ConnectTimeout",
    "ConnectionInterface",
    "ConnectionNotAvailable",
    "ConnectionPool",
    "HTTP11Connection",
    "HTTPConnection",
    "HTTPProxy",
    "LocalProtocolError",
    "MockBackend",
    "MockStream",
    "NetworkBackend",
    "NetworkError",
    "NetworkStream",
    "Origin",
    "PoolTimeout",
    "ProtocolError",
    "Proxy",
    "ProxyError",
    "ReadError",
    "ReadTimeout",
    "RemoteProtocolError",
    "Request",
    "RequestInterface",
    "Response",
    "Runtime",
    "RuntimeBackend",
    "SOCKSProxy",
    "SyncBackend",
    "TimeoutException",
    "UnsupportedProtocol",
    "Waiter",
    "WriteError",
    "WriteTimeout",
    "default_ssl_context",
    "request",
    "stream",
]
