"""Module path of 2.16.2: the exceptions, and the context manager by which a caller's own backend maps to them."""

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
def map_exceptions(map: ExceptionMapping) -> Iterator[None]:  # noqa: A002 - the name of 2.16.2
    """Map exceptions of the block to other classes: the first key of `map` that is a base class decides."""
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
