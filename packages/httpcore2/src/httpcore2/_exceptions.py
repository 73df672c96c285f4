"""Module path of 2.16.2: the exceptions, and what backends of a caller's own raise them with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from . import (
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
from ._types import ExceptionMapping


@contextmanager
def map_exceptions(map: ExceptionMapping) -> Iterator[None]:  # noqa: A002 - it has always been called so
    """Raise the exceptions of the block as others, by the first class in `map` that covers them."""
    try:
        yield
    except Exception as exc:
        for covered, raised in map.items():
            if isinstance(exc, covered):
                raise raised(exc) from exc
        raise


__all__ = [
    "ConnectError",
    "ConnectTimeout",
    "ConnectionNotAvailable",
    "LocalProtocolError",
    "NetworkError",
    "PoolTimeout",
    "ProtocolError",
    "ProxyError",
    "ReadError",
    "ReadTimeout",
    "RemoteProtocolError",
    "TimeoutException",
    "UnsupportedProtocol",
    "WriteError",
    "WriteTimeout",
    "map_exceptions",
]
