"""Module paths of 2.16.2: the async classes. Those of HTTP/2 need another distribution, and are loaded on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .connection import AsyncHTTPConnection
from .connection_pool import AsyncConnectionPool
from .http11 import AsyncHTTP11Connection
from .http_proxy import AsyncHTTPProxy
from .interfaces import AsyncConnectionInterface
from .socks_proxy import AsyncSOCKSProxy

if TYPE_CHECKING:
    from .http2 import AsyncHTTP2Connection


def __getattr__(name: str) -> Any:
    if name in ("http2", "AsyncHTTP2Connection"):
        module = import_module(".http2", __name__)
        return module if name == "http2" else module.AsyncHTTP2Connection
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "AsyncConnectionInterface",
    "AsyncConnectionPool",
    "AsyncHTTP2Connection",
    "AsyncHTTP11Connection",
    "AsyncHTTPConnection",
    "AsyncHTTPProxy",
    "AsyncSOCKSProxy",
]
