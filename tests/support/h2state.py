"""Checks the inside of an HTTP/2 connection: it holds nothing of any request when it is idle; its windows.

The only module of the tests that uses these private names.
Must not know: runtimes, servers.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from httpcore2_http2 import AsyncHTTP2Connection
from httpcore2_http2._client_codec import ClientCodec
from httpcore2_http2._session import Session

from .h2peer import H2Peer


class Windows(NamedTuple):
    """How many bytes a connection may carry now, up to the server and down to the client."""

    up: int
    down: int


def inner(pool: Any) -> AsyncHTTP2Connection:
    """The HTTP/2 connection inside of the only one in a pool."""
    (connection,) = pool.connections
    counterpart = getattr(connection, "_counterpart", connection).established
    assert isinstance(counterpart, AsyncHTTP2Connection)
    return counterpart


def session(pool: Any) -> Session:
    """The session of the only HTTP/2 connection in a pool."""
    return inner(pool)._session


def header_table(pool: Any) -> int:
    """How many bytes of its headers the only connection in a pool may remember."""
    codec = session(pool).codec
    assert isinstance(codec, ClientCodec)
    return codec._sender.encoder.header_table_size


def check_idle(pool: Any) -> Windows:
    """Check that the only connection in a pool is idle, and holds nothing of any request; return its windows."""
    assert "Requests: 0 active, 0 queued | Connections: 0 active, 1 idle" in repr(pool)
    of_connection = session(pool)
    assert not of_connection.streams and not of_connection.exchanges
    for role in (of_connection.reader.role, of_connection.writer.role):
        assert not role.waiting and role.holder is None
    assert not of_connection.writer.unsent
    codec = of_connection.codec
    assert isinstance(codec, ClientCodec)
    assert not codec._streams
    # All received data was added to the window again, or will be.
    assert codec._receive_window + codec._unreturned == inner(pool).CONNECTION_WINDOW
    return Windows(codec._sender.window, codec._receive_window)


def server_windows(peer: H2Peer) -> Windows:
    """The same windows as the server counts them."""
    window = peer.h2._inbound_flow_control_window_manager
    assert window.current_window_size + window._bytes_processed == window.max_window_size
    return Windows(window.current_window_size, peer.h2.outbound_flow_control_window)
