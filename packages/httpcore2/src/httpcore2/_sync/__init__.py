"""Module paths of 2.16.2: the classes for threads. HTTP/2, which loads more, is loaded on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .connection import HTTPConnection
from .connection_pool import ConnectionPool
from .http11 import HTTP11Connection
from .http_proxy import HTTPProxy
from .interfaces import ConnectionInterface
from .socks_proxy import SOCKSProxy

if TYPE_CHECKING:
    from .http2 import HTTP2Connection


def __getattr__(name: str) -> Any:
    if name in ("http2", "HTTP2Connection"):
        module = import_module(".http2", __name__)
        return module if name == "http2" else module.HTTP2Connection
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "ConnectionInterface",
    "ConnectionPool",
    "HTTP2Connection",
    "HTTP11Connection",
    "HTTPConnection",
    "HTTPProxy",
    "SOCKSProxy",
]
